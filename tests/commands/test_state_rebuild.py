"""Where no version of a state is left, it is made anew of what exists, and nothing but the state is written for it."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest
from lifeboat import config
from lifeboat.clients import known_state
from lifeboat.decisions.state_restoring import with_serial
from lifeboat.model import StateMark
from lifeboat.site import Site
from lifeboat.stack import state_rebuilding, state_writing
from lifeboat.stack.state_rebuilding import Request
from lifeboat.state_model import LockMode, StateRoot

from tests.conftest import RunningCloud
from tests.plain_sites import Told
from tests.restored_states import CANARY, KEY, MODES, Applied, StateSite, made, md5, new_site, serial, state_site

__all__ = ["made", "new_site"]
# Of terraform_data nothing is found; with its id it can be imported, without a provider of its own.
NAMED = tuple(word for name in ("one", "two", "three") for word in ("--import", f"terraform_data.{name}=id-of-{name}"))


def rebuild(site: StateSite, *arguments: str, status: int = 0) -> str:
    """Return all that a rebuild prints, in one line."""
    ended = site.run("state", "rebuild", *arguments, status=status)
    return " ".join(f"{ended.stdout} {ended.stderr}".split())


# -- whatever the lock mode ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_it_is_written_as_a_restore_writes_it_above_everything_that_was_seen(
    new_site: Callable[[LockMode], StateSite], mode: LockMode
) -> None:
    site = new_site(mode)
    site.forget_everything()
    cut_off = site.put(site.applied.newest.replace(b'"serial": 5', b'"serial": 40')[:-200])
    before = site.versions()

    said = rebuild(site, *NAMED, "--yes", status=20)

    top = json.loads(site.top())
    assert (top["serial"], top["lineage"]) == (41, json.loads(site.applied.newest)["lineage"])
    assert [one["instances"][0]["attributes"]["id"] for one in top["resources"]] == [
        "id-of-one",
        "id-of-three",
        "id-of-two",
    ]
    assert {version: site.versions().get(version) for version in before} == before
    assert cut_off in before
    assert site.digest() == md5(site.top()) or not site.keeps_digest
    assert site.locks() == []
    assert "as the damaged versions say" in said
    assert "stack: 3 to change" in said
    known = known_state.read(site.plain.site().project.work)
    assert known == StateMark(serial=41, lineage=top["lineage"], md5=md5(site.top()))
    (run,) = site.runs()
    assert run.partition("-")[2].startswith("state-rebuild-")
    assert "of what exists in AWS" in site.run("state", "list", "-o", "json").stdout
    # Once more there is a version that can be read.
    assert "has 1 version that can be read" in rebuild(site, *NAMED, "--yes", status=3)


def test_the_lineage_that_this_machine_remembers_is_kept(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("lockfile")
    site.forget_everything()
    work = site.plain.site().project.work
    work.mkdir(parents=True, exist_ok=True)
    known_state.remember(work, StateMark(serial=70, lineage="remembered", md5="0f"))

    rebuild(site, *NAMED, "--yes", status=20)

    assert (json.loads(site.top())["lineage"], serial(site.top())) == ("remembered", 71)


# -- what is refused -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refused_site(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory, made: Applied) -> StateSite:
    return state_site(cloud, tmp_path_factory.mktemp("refused"), made, "both")


def readable(site: StateSite) -> None:
    site.plain.delete(KEY)


def only_copied(site: StateSite) -> None:
    site.replicate()
    site.forget_everything()


def of_a_newer_terraform(site: StateSite) -> None:
    site.forget_everything()
    site.put(site.applied.newest.replace(b'"version": 4', b'"version": 5'))


def not_to_be_listed(site: StateSite) -> None:
    site.forget_everything()
    site.cloud.control(
        "faults",
        add={"service": "s3", "operation": "ListObjectVersions", "times": 100, "code": "AccessDenied", "status": 403},
    )


def memory_not_to_be_read(site: StateSite) -> None:
    site.forget_everything()
    rule = {"service": "s3", "operation": "ListObjectsV2", "path": f"/{site.replica}(/.*)?", "times": 100}
    site.cloud.control("faults", add={**rule, "code": "AccessDenied", "status": 403})


def another_environments(site: StateSite) -> None:
    site.forget_everything()
    document = json.loads(site.applied.newest)
    document["outputs"] = {"recovery": {"value": {"environment": "other"}, "type": "dynamic"}}
    site.put(json.dumps(document).encode())


def not_saved(site: StateSite) -> None:
    site.forget_everything()
    (site.plain.root / "terraform" / "stack" / "errored.tfstate").write_bytes(site.applied.newest)


def locked(site: StateSite) -> None:
    site.forget_everything()
    site.lock(
        {"ID": "11-22", "Who": "eva@laptop", "Operation": "OperationTypeApply", "Created": "2026-03-01T03:00:00Z"}
    )


def nothing_at_all(site: StateSite) -> None:
    site.forget_everything()


@pytest.mark.parametrize(
    ("accident", "status", "said"),
    [
        (readable, 3, "has 3 versions that can be read"),
        (readable, 3, "lifeboat state restore -e x --latest-good"),
        (only_copied, 3, "lifeboat state restore -e x --from-replica"),
        (of_a_newer_terraform, 8, "1 version may hold the state, and cannot be read"),
        (not_to_be_listed, 8, "cannot list the versions"),
        (memory_not_to_be_read, 8, "cannot read what is known of the state"),
        (another_environments, 3, "is environment other"),
        (not_saved, 3, "Terraform could not save its state and left it in"),
        (locked, 5, "the state is locked by eva@laptop"),
        (nothing_at_all, 6, "nothing that the configuration names exists"),
        (nothing_at_all, 6, "where all of it is gone: lifeboat state rebuild -e x --accept 1 begins an empty state"),
    ],
)
def test_whatever_a_restore_can_use_or_nobody_can_judge_is_not_lost(
    new_site: Callable[[LockMode], StateSite], accident: Callable[[StateSite], None], status: int, said: str
) -> None:
    site = new_site("both")
    accident(site)
    before = [] if accident is not_to_be_listed else list(site.versions())

    printed = rebuild(site, "--yes", status=status)

    site.cloud.control("faults", clear=True)
    assert said in printed
    assert list(site.versions()) == before
    assert site.runs() == []


def test_a_database_that_the_configuration_does_not_name_is_refused_whatever_is_agreed_to(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("lockfile")
    site.forget_everything()
    ec2, rds = site.cloud.client("ec2"), site.cloud.client("rds")
    name = site.plain.application
    tags = [{"Key": "application", "Value": name}, {"Key": "environment", "Value": "x"}]
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])
    rds.create_db_instance(
        DBInstanceIdentifier=f"{name}-g2",
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword=CANARY,
        Tags=tags,
    )

    refused = rebuild(site, *NAMED, "--accept", "9", "--yes", status=3)
    nothing = dict(site.versions())
    rds.delete_db_instance(DBInstanceIdentifier=f"{name}-g2", SkipFinalSnapshot=True)
    uncounted = rebuild(site, *NAMED, "--yes", status=3)
    agreed = rebuild(site, *NAMED, "--accept", "1", "--yes", status=20)
    ec2.release_address(AllocationId=address["AllocationId"])

    assert f"aws_db_instance {name}-g2 in eu-west-1" in refused
    assert "it may be the database that serves" in refused
    assert "environments/x.recovery.tfvars.json must name each of these" in refused
    assert nothing == {}
    assert f"aws_eip {address['AllocationId']} in eu-west-1" in uncounted
    assert "bears our tags and has no address; the state would not know it" in uncounted
    assert "stack: 3 to change" in agreed


def test_where_all_of_it_is_gone_too_an_empty_state_of_the_remembered_lineage_is_begun(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    site.forget_everything()
    mark = StateMark(serial=70, lineage="remembered", md5="0f")
    work = site.plain.site().project.work
    work.mkdir(parents=True, exist_ok=True)
    known_state.remember(work, mark)

    said = rebuild(site, "--accept", "1", "--yes", status=20)

    top = json.loads(site.top())
    assert (top["lineage"], top["serial"], top["resources"]) == ("remembered", 71, [])
    assert site.digest() == md5(site.top())
    assert "stack: 3 to add" in said


def test_a_version_that_somebody_has_looked_at_is_passed_over(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("lockfile")
    site.forget_everything()
    version = site.put(site.applied.newest)

    refused = rebuild(site, *NAMED, "--yes", status=3)
    rebuild(site, *NAMED, "--pass-over", version, "--yes", status=20)

    assert f"--pass-over {version}" in refused
    assert serial(site.top()) == 6
    assert version in site.versions()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--import", "nothing"), "is not ADDRESS=ID"),
        (("--import", "aws_vpc.this="), "is not ADDRESS=ID"),
        (("--import", 'aws_eip.app["a=b"]'), "is not ADDRESS=ID"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_looked_at(
    refused_site: StateSite, arguments: tuple[str, ...], said: str
) -> None:
    assert said in rebuild(refused_site, *arguments, "--yes", status=2)


def test_an_id_for_what_the_configuration_does_not_name_is_refused(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("lockfile")
    site.forget_everything()

    assert "--import terraform_data.four: the configuration does not name it" in rebuild(
        site, "--import", "terraform_data.four=id", "--yes", status=2
    )


# -- kills ---------------------------------------------------------------------------------------------------------------


CHANGING = r"(?!Describe|List|Get|Head).+"
REQUEST = Request(root=StateRoot.STACK, again="lifeboat state rebuild")


def written(site: StateSite) -> None:
    """Write what a rebuild made, or what an earlier one that was killed has not written yet."""
    here = Site(config.load(site.plain.root, "x"), dict(os.environ))
    lost = state_rebuilding.look(here, Told(), REQUEST)
    half = state_rebuilding.half_done(here, REQUEST, lost)
    if half is None:
        state_rebuilding.require_lost(here, REQUEST, lost)
    body = with_serial(site.applied.newest, 0)
    state_writing.carry_out(here, Told(), half or state_rebuilding.writing(here, REQUEST, lost, body))


def gone_on_with_everywhere(site: StateSite) -> list[str]:
    """Kill it before each call that changes something, go on with it, see that it ends right, and return the calls."""
    hits: list[str] = []
    while True:
        site.forget_everything()
        ended, hit = killed_at(site, CHANGING, len(hits) + 1)
        if ended == 0:
            break
        hits.append(hit)

        if half_done(site) or not site.versions():
            written(site)

        assert json.loads(site.top()) == {**json.loads(site.applied.newest), "serial": serial(site.top())}
        assert len(site.versions()) == 1
        assert site.digest() == md5(site.top()) or not site.keeps_digest
        assert site.locks() == []
        assert site.unended() == []

    calls = [hit.split(" ")[0] for hit in hits]
    assert calls[0] == calls[-1] == "dynamodb:UpdateItem"
    return hits


def half_done(site: StateSite) -> bool:
    here = Site(config.load(site.plain.root, "x"), dict(os.environ))
    return state_rebuilding.half_done(here, REQUEST, state_rebuilding.look(here, Told(), REQUEST)) is not None


def test_killed_before_the_digest_the_doctor_says_so_and_the_same_command_writes_it(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("dynamodb")
    site.forget_everything()

    _, hit = killed_at(site, "PutItem", 2)
    half = site.top()
    doctor = " ".join(site.run("state", "doctor", "--root", "stack", status=11).stdout.split())
    said = rebuild(site, "--yes")

    assert hit.startswith("dynamodb:PutItem")
    assert "a rebuild was interrupted" in doctor
    assert "made of what exists in AWS, and not its digest" in doctor
    assert "1. remove the lock" in said
    assert "2. write the digest" in said
    assert "3. " not in said
    assert "stack: no changes" in said
    assert (site.top(), site.digest(), site.locks()) == (half, md5(half), [])


def killed_at(site: StateSite, operation: str, number: int) -> tuple[int, str]:
    """Kill a rebuild right before a call of its own; return how it ended, and which call it was ("": none came so far)."""
    fork = multiprocessing.get_context("fork")  # a process that has read everything already
    go = fork.Event()

    def work() -> None:
        go.wait()
        written(site)

    process = fork.Process(target=work)
    process.start()
    rule = {"service": "*", "operation": operation, "first": number, "kill": process.pid, "status": 503}
    site.cloud.control("faults", add=rule)
    go.set()
    process.join(120)
    (seen,) = site.cloud.control("faults")["faults"]
    site.cloud.control("faults", clear=True)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode, str(seen["hit"])
