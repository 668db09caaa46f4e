"""A state that was lost or damaged stands on top again, Terraform reads it, and nothing of its history is gone."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.clients import run_files
from lifeboat.clients.journal import document
from lifeboat.decisions.state_restoring import with_serial
from lifeboat.errors import Refused
from lifeboat.model import Event, EventKind
from lifeboat.site import Site
from lifeboat.stack import state_restoring, state_writing
from lifeboat.stack.state_restoring import Request
from lifeboat.state_model import LatestGood, LockMode, StateRoot, Whose

from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION
from tests.plain_sites import Told
from tests.restored_states import (
    KEY,
    MODES,
    ROOT_KEY,
    Applied,
    StateSite,
    made,
    md5,
    new_site,
    serial,
    state_site,
)

__all__ = ["made", "new_site"]


# -- accidents ---------------------------------------------------------------------------------------------------------


def copied_over(site: StateSite) -> None:
    site.put(site.applied.bodies[0])


def deleted(site: StateSite) -> None:
    site.plain.delete(KEY)


def deleted_with_its_digest(site: StateSite) -> None:
    site.plain.delete(KEY)
    site.delete_digest()


def digest_wrong(site: StateSite) -> None:
    site.put_digest("0" * 32)


def cut_off(site: StateSite) -> None:
    body = site.applied.newest[: len(site.applied.newest) // 2]
    site.put(body)
    if site.keeps_digest:
        site.put_digest(md5(body))


def of_another_lineage(site: StateSite) -> None:
    body = json.dumps({**json.loads(site.applied.newest), "lineage": "another", "serial": 40}, indent=2).encode()
    site.put(body)
    if site.keeps_digest:
        site.put_digest(md5(body))


def of_root_1(site: StateSite) -> None:
    site.put(site.applied.root)
    if site.keeps_digest:
        site.put_digest(md5(site.applied.root))


def lower_serial(site: StateSite) -> None:
    body = site.applied.bodies[1]
    site.put(body)
    if site.keeps_digest:
        site.put_digest(md5(body))


ACCIDENTS = (
    *(copied_over, deleted, deleted_with_its_digest, digest_wrong),
    *(cut_off, of_another_lineage, of_root_1, lower_serial),
)
NEED_A_DIGEST = (deleted_with_its_digest, digest_wrong)
CASES = [(a, mode) for a in ACCIDENTS for mode in MODES if mode != "lockfile" or a not in NEED_A_DIGEST]
# Each accident in one mode, and in the others in tests/long: each takes four plans.
ONCE: list[tuple[Callable[[StateSite], None], LockMode]] = [
    (copied_over, "both"),
    (deleted, "dynamodb"),
    (deleted_with_its_digest, "both"),
    (digest_wrong, "dynamodb"),
    (cut_off, "lockfile"),
    (of_another_lineage, "dynamodb"),
    (of_root_1, "both"),
    (lower_serial, "lockfile"),
]


@pytest.mark.parametrize(("accident", "mode"), ONCE, ids=lambda value: getattr(value, "__name__", value))
def test_after_any_accident_the_latest_good_state_is_on_top_and_a_plan_is_empty(
    new_site: Callable[[LockMode], StateSite], accident: Callable[[StateSite], None], mode: LockMode
) -> None:
    require_the_latest_good_one_after(accident, new_site(mode))


def require_the_latest_good_one_after(accident: Callable[[StateSite], None], site: StateSite) -> None:
    accident(site)
    before = site.versions()

    ended = site.restore("--latest-good", "--yes")

    site.require_restored(before, site.applied.newest)
    assert "stack: no changes" in ended.stdout
    assert site.restore("--latest-good", "--yes").stdout.startswith(
        f"serial {serial(site.top())} stands on top of s3://{site.bucket}/{KEY} already; nothing was written"
    )


@pytest.mark.parametrize("journal", [True, False], ids=["its journal is there", "its journal is lost"])
def test_when_a_run_began_its_journal_tells_by_how_wrong_the_clock_of_its_machine_was(
    new_site: Callable[[LockMode], StateSite], tmp_path: Path, journal: bool
) -> None:
    site, file = new_site("lockfile"), tmp_path / "pulled"
    time.sleep(2)  # S3 tells whole seconds
    ahead = datetime.now(UTC) + timedelta(minutes=20)
    run = f"{ahead:%Y%m%dT%H%M%S}Z-recover-aaaaaa"
    if journal:
        line = Event(seq=1, at=ahead, kind=EventKind.BEGUN, step="", text="", data={})
        site.plain.put(f"runs/{run}/000001.json", json.dumps(document(line)).encode())
    time.sleep(2)
    site.put(with_serial(site.applied.newest, 40))

    ended = site.restore("--before-run", run, "--to-file", str(file))

    assert serial(file.read_bytes()) == (serial(site.applied.newest) if journal else 40)
    assert ("its journal is not in the bucket" in " ".join(ended.stdout.split())) != journal


def test_out_of_the_replica_a_version_from_before_a_run_is_had_where_the_other_region_does_not_answer(
    new_site: Callable[[LockMode], StateSite], tmp_path: Path
) -> None:
    site, file = new_site("lockfile"), tmp_path / "pulled"
    site.replicate()
    refused = {"service": "s3", "path": f"/{site.bucket}.*", "code": "AccessDenied", "status": 403, "times": 1000}
    site.cloud.control("faults", add={**refused, "operation": "ListObjectsV2"})
    run = "20990101T000000Z-recover-aaaaaa"

    told = site.restore("--before-run", run, "--from-replica", "--to-file", str(file))
    alone = site.restore("--before-run", run, "--to-file", str(tmp_path / "other"), status=8)

    assert serial(file.read_bytes()) == serial(site.applied.newest)
    assert f"when {run} began its name alone says" in " ".join(told.stdout.split())
    assert "cannot look for the journal" in alone.stderr


def test_without_a_lock_table_the_state_comes_back_and_its_digest_with_the_table(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    site.plain.delete(KEY)
    site.delete_table()
    before = site.versions()

    first = site.restore("--latest-good", "--yes", status=4)

    assert serial(site.top()) == serial(site.applied.newest) + 1
    assert "there is no lock table" in first.stderr
    assert "lifeboat apply -e x" in first.stderr
    # As an apply would, after which the digest is all that is missing.
    site.make_table()
    again = site.restore("--latest-good", "--yes")
    site.require_restored(before, site.applied.newest)
    assert "1. write the digest" in again.stderr
    assert "2. " not in again.stderr


def test_what_a_naive_restore_comes_to(new_site: Callable[[LockMode], StateSite]) -> None:
    both, alone = new_site("both"), new_site("lockfile")
    deleted_with_its_digest(both)
    copied_over(alone)

    planned = {site.mode: naive_plan(site) for site in (both, alone)}

    # Everything, or what the old version does not know, would be made a second time, and nothing says that it is wrong.
    assert planned == {"both": "Plan: 3 to add", "lockfile": "Plan: 2 to add"}


def naive_plan(site: StateSite) -> str:
    """Return how a plan without lifeboat ends."""
    here = Site(config.load(site.plain.root, "x"), dict(os.environ))
    terraform = here.stack_terraform()
    terraform.init(here.backend())
    folder = site.plain.root / ".lifeboat" / "naive"
    folder.mkdir()
    found = terraform.plan(out=folder / "plan", events=folder / "events", seconds=60).planned()
    return f"Plan: {len(found.changes)} to add"


# -- what is refused -----------------------------------------------------------------------------------------------------


def test_what_terraform_knows_does_not_vanish_unless_its_number_is_agreed_to(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    oldest = list(site.versions())[-1]

    refused = site.restore(oldest, "--yes", status=3)
    fewer = site.restore(oldest, "--yes", "--accept", "1", status=3)
    kept = site.top()
    accepted = site.restore(oldest, "--yes", "--accept", "2", status=20)

    assert "2 resources would vanish from what Terraform knows" in refused.stderr
    assert f"terraform_data.two ({_id(site, 1)}), known to serial 5, on top" in refused.stderr
    assert f"lifeboat state restore -e x {oldest} --accept 2" in " ".join(refused.stderr.split())
    assert "--accept 2" in fewer.stderr
    assert kept == site.applied.newest
    assert "stack: 2 to add" in accepted.stdout
    assert serial(site.top()) == serial(site.applied.newest) + 1


def test_what_was_destroyed_since_does_not_come_back_unless_its_number_is_agreed_to(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("lockfile")
    newest = next(iter(site.versions()))
    fewer = json.loads(site.applied.newest)
    fewer = {**fewer, "serial": fewer["serial"] + 1, "resources": fewer["resources"][:1]}
    site.put(json.dumps(fewer, indent=2).encode())

    refused = " ".join(site.restore(newest, "--yes", status=3).stderr.split())
    site.restore(newest, "--yes", "--accept", "2")

    assert "2 resources would appear in it that no newer state has" in refused
    assert "vanish from what" not in refused
    assert f"lifeboat state restore -e x {newest} --accept 2" in refused


def test_what_aws_has_counts_where_the_newest_version_cannot_be_read(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    cut_off(site)
    tags = {"application": site.plain.application, "environment": "x"}
    network = site.cloud.client("ec2").create_vpc(
        CidrBlock="10.0.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
    )["Vpc"]["VpcId"]

    refused = site.restore("--latest-good", "--yes", status=3)
    site.restore("--latest-good", "--yes", "--accept", "1")

    assert f"aws_vpc ({network}), known to AWS in eu-west-1" in refused.stderr


def test_nothing_is_written_over_in_a_bucket_that_keeps_no_versions(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    s3 = site.cloud.client("s3")
    s3.delete_bucket_replication(Bucket=site.bucket)  # while a rule copies, S3 suspends no versioning
    s3.put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration={"Status": "Suspended"})
    copied_over(site)
    before = site.versions()

    refused = " ".join(site.restore("--latest-good", "--yes", status=3).stderr.split())

    assert f"versioning of {site.bucket} is suspended" in refused
    enabled = f"aws s3api put-bucket-versioning --bucket {site.bucket} --versioning-configuration Status=Enabled"
    assert (
        "the bucket's policy lets only those enable it whom it names: the command below takes the role break-glass"
        in refused
    )
    assert f"{site.plain.application}-break-glass" in refused
    assert refused.endswith(f"{enabled}) && lifeboat state restore -e x --latest-good")
    assert (site.versions(), site.runs()) == (before, [])


def _id(site: StateSite, number: int) -> str:
    resources = json.loads(site.applied.newest)["resources"]
    found = next(one for one in resources if one["name"] == ("one", "two", "three")[number])
    return str(found["instances"][0]["attributes"]["id"])


def test_without_agreement_nothing_is_changed(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    site.plain.delete(KEY)
    before = site.versions()

    asked = site.restore("--latest-good", status=7)

    assert "write serial 6 on top of" in asked.stderr
    assert (site.versions(), site.digest(), site.runs()) == (before, md5(site.applied.newest), [])


@pytest.mark.parametrize("mode", MODES)
def test_another_lock_is_named_and_left(new_site: Callable[[LockMode], StateSite], mode: LockMode) -> None:
    site = new_site(mode)
    site.plain.delete(KEY)
    site.lock(
        {"ID": "11-22", "Who": "eva@laptop", "Operation": "OperationTypeApply", "Created": "2026-03-01T03:00:00Z"}
    )
    locked = site.locks()

    refused = site.restore("--latest-good", "--yes", status=5)

    assert "the state is locked by eva@laptop" in refused.stderr
    assert "lifeboat state unlock -e x 11-22" in refused.stderr
    assert site.locks() == locked
    assert site.runs() == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "name one version: VERSION, --latest-good, --at TIME, --before-run RUN, or --from-replica alone"),
        (("",), 2, "the version that is named is empty"),
        (("--latest-good", "--at", "2026-03-01T03:00:00Z"), 2, "name one version"),
        (("--at", "2026-03-01T03:00:00"), 2, "is no time with a zone"),
        (("--before-run", "yesterday"), 2, "is no run: its name begins with the time it began at"),
        (("--latest-good", "--allow-lineage"), 2, "--allow-lineage is for a VERSION that is named"),
        (("--at", "2020-03-01T03:00:00Z"), 6, "no version written by 2020-03-01 03:00:00Z is sound"),
        (("--before-run", "20200301T030000Z-recover-1a2b3c"), 6, "is sound"),
        (("no-such-version",), 6, "there is no version 'no-such-version' of this state next: lifeboat state list -e x"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_looked_at(
    refused_site: StateSite, arguments: tuple[str, ...], status: int, said: str
) -> None:
    ended = refused_site.restore(*arguments, "--yes", status=status)

    assert said in " ".join(ended.stderr.split())
    assert (refused_site.top(), refused_site.runs()) == (refused_site.applied.newest, [])


@pytest.fixture(scope="module")
def refused_site(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory, made: Applied) -> StateSite:
    return state_site(cloud, tmp_path_factory.mktemp("refused"), made, "both")


def test_a_memory_that_is_damaged_is_written_anew_and_that_is_told(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    s3 = site.cloud.client("s3", DR_REGION)
    s3.put_object(Bucket=site.replica, Key="known-states/x/stack.json", Body=b"{not json")

    first, second = (site.restore("--latest-good", "--yes").stdout for _ in range(2))

    assert "of the state nothing was written, and in the other region was written down that it is the newest" in first
    assert "; nothing was written" in second
    assert json.loads(s3.get_object(Bucket=site.replica, Key="known-states/x/stack.json")["Body"].read())["serial"]


def test_another_lineage_is_taken_only_when_it_is_named_and_allowed(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    body = json.dumps({**json.loads(site.applied.newest), "lineage": "another", "serial": 2}, indent=2).encode()
    other = site.put(body)
    site.put(site.applied.newest)

    refused = site.restore(other, "--yes", status=6)
    site.restore(other, "--yes", "--allow-lineage")

    assert "of another lineage (another, not " in refused.stderr
    assert "--allow-lineage" in refused.stderr
    assert (json.loads(site.top())["lineage"], serial(site.top())) == ("another", 6)


def test_when_the_journal_is_refused_nothing_is_changed(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    site.plain.delete(KEY)
    before = site.versions()
    site.cloud.control(
        "faults", add={"service": "s3", "operation": "PutObject", "times": 100, "code": "AccessDenied", "status": 403}
    )

    refused = site.restore("--latest-good", "--yes", status=8)

    assert "cannot write the journal" in refused.stderr
    assert (site.versions(), site.digest(), site.locks()) == (before, md5(site.applied.newest), [])


def test_who_wrote_meanwhile_is_not_written_over(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    copied_over(site)
    here = site.plain.site()
    request = Request(
        root=StateRoot.STACK,
        wanted=LatestGood(),
        whose=Whose(environment="x", lineage=None),
        again="lifeboat state restore --latest-good",
    )
    preview = state_restoring.look(here, Told(), request)
    theirs = site.applied.newest.replace(b'"serial": 5', b'"serial": 9')
    site.put(theirs)

    with pytest.raises(Refused, match="somebody has written or deleted the state"):
        state_writing.carry_out(here, Told(), preview.writing)

    assert (site.top(), site.locks()) == (theirs, [])
    (run,) = site.runs()
    assert site.kinds(run)[-2:] == ["stopped", "ended"]


# -- the journal and the record --------------------------------------------------------------------------------------------


def test_a_restore_is_a_run_written_ahead_and_its_version_says_what_it_is_of(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    site.plain.delete(KEY)
    newest = next(iter(site.versions()))

    site.restore("--at", f"{datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}", "--yes", "-o", "json")

    (run,) = site.runs()
    assert run.partition("-")[2].startswith("state-restore-")
    pairs = ["intent", "result"]
    assert site.kinds(run) == ["begun", *pairs, *pairs, *pairs, "ended"]
    metadata = site.cloud.client("s3").head_object(Bucket=site.bucket, Key=KEY)["Metadata"]
    who = f"{run_files.user_name()}@{socket.gethostname()}"
    assert metadata == {"lifeboat-by": who, "lifeboat-run": run, "lifeboat-from": newest}
    assert run in site.run("runs").stdout
    assert "write serial 6 on top of" in site.run("logs", run).stdout


# -- lost answers and kills ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "number"), [("s3", "PutObject", 5), ("dynamodb", "PutItem", 2), ("dynamodb", "PutItem", 1)]
)
def test_a_write_whose_answer_is_lost_is_not_taken_for_somebody_elses(
    new_site: Callable[[LockMode], StateSite], service: str, operation: str, number: int
) -> None:
    site = new_site("dynamodb")
    copied_over(site)
    before = site.versions()
    site.cloud.control(
        "faults", add={"service": service, "operation": operation, "when": "after", "first": number, "status": 500}
    )

    site.restore("--latest-good", "--yes")

    site.require_restored(before, site.applied.newest)
    assert len(site.versions()) == len(before) + 1


def test_killed_before_any_write_the_same_restore_goes_on_from_there(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    """Before every third here, before each one and in each mode in tests/long."""
    calls = killed_before(new_site("both"), count(1, 3))

    assert calls[0] == "dynamodb:UpdateItem"
    assert len(calls) >= 6


def killed_before(site: StateSite, numbers: Iterable[int]) -> list[str]:
    """Kill a restore before the first of its changing calls, before the second, ...; return those calls.

    After each, the same restore is made again and must come to what an undisturbed one comes to.
    """
    calls: list[str] = []
    for number in numbers:
        (deleted if len(calls) % 2 else copied_over)(site)
        before = site.versions()
        ended, hit = killed_at(site, CHANGING, number)
        if ended == 0:
            return calls
        calls.append(hit.split(" ")[0])

        restored(site)

        site.require_restored(before, site.applied.newest)
        assert len(site.versions()) == len(before) + 1
        assert site.unended() == []
    raise AssertionError("the numbers end before the calls do")


def test_killed_before_the_digest_the_same_command_writes_what_is_missing(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("dynamodb")
    deleted_with_its_digest(site)
    before = site.versions()

    _, hit = killed_at(site, "PutItem", 2)
    half, locked = site.top(), site.locks()
    ended = site.restore("--latest-good", "--yes")

    assert hit.startswith("dynamodb:PutItem")
    assert (serial(half), site.digest(), locked) == (6, md5(half), ["table"])
    assert "1. remove the lock" in ended.stderr
    assert "2. write the digest" in ended.stderr
    assert "3. " not in ended.stderr
    site.require_restored(before, site.applied.newest)
    assert len(site.versions()) == len(before) + 1


CHANGING = r"(?!Describe|List|Get|Head).+"


def restored(site: StateSite) -> None:
    """Restore the latest good state without a plan of it."""
    here, said = Site(config.load(site.plain.root, "x"), dict(os.environ)), "lifeboat state restore --latest-good"
    whose = Whose(environment="x", lineage=None)
    request = Request(root=StateRoot.STACK, wanted=LatestGood(), whose=whose, again=said)
    state_writing.carry_out(here, Told(), state_restoring.look(here, Told(), request).writing)


def killed_at(site: StateSite, operation: str, number: int) -> tuple[int, str]:
    """Kill a restore right before a call of its own; return how it ended, and which call it was ("": none came so far)."""
    fork = multiprocessing.get_context("fork")  # a process that has read everything already
    go = fork.Event()

    def work() -> None:
        go.wait()
        restored(site)

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


# -- the other region ------------------------------------------------------------------------------------------------------


def test_a_bucket_that_lost_every_version_gets_the_newest_of_the_replica(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    site.replicate()
    site.forget_everything()

    chosen_here = site.restore("--latest-good", "--yes", status=6)
    ended = site.restore("--from-replica", "--yes")

    assert "--from-replica" in chosen_here.stderr
    site.require_restored({}, site.applied.newest)
    assert serial(site.top()) == serial(site.applied.newest) + 1
    assert f"from the replica {site.replica}" in ended.stderr


def test_a_higher_serial_in_the_replica_is_exceeded_and_what_it_knows_does_not_vanish(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    site.replicate()
    ahead = site.applied.newest.replace(b'"serial": 5', b'"serial": 30')
    site.replicate(ahead)
    second = list(site.versions())[1]

    refused = site.restore(second, "--yes", status=3)
    site.restore(second, "--yes", "--accept", "1", status=20)

    assert "1 resource would vanish from what Terraform knows" in refused.stderr
    assert serial(site.top()) == 31


def test_without_the_first_region_the_state_can_be_had_as_a_file(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    site.replicate()
    site.delete_bucket()
    file, link = site.plain.root.parent / "pulled.tfstate", site.plain.root / "link.tfstate"
    link.symlink_to(file)

    refused = site.restore("--latest-good", "--from-replica", "--yes", status=8)
    inside = site.restore("--latest-good", "--from-replica", "--to-file", "x.tfstate", status=2)
    pulled = site.restore("--latest-good", "--from-replica", "--to-file", str(link))
    again = site.restore("--latest-good", "--from-replica", "--to-file", str(file), status=2)

    said = " ".join(refused.stderr.split())
    assert "lifeboat state restore -e x --latest-good --from-replica --to-file ~/stack.tfstate" in said
    assert "lies in the checkout" in inside.stderr
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (site.applied.newest, 0o600)
    assert "serial 5, 3 resources" in pulled.stdout
    assert link.is_symlink()
    assert "exists already" in again.stderr
    assert not list(site.plain.root.rglob("x.tfstate"))


# -- root 1 ----------------------------------------------------------------------------------------------------------------


def test_root_1_comes_back_into_the_bucket_and_as_the_working_copy(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    site.plain.delete(ROOT_KEY)
    before = site.versions(ROOT_KEY)
    work = site.plain.root / ".lifeboat" / "x" / "state-root.tfstate"
    work.parent.mkdir(parents=True, exist_ok=True)
    # Applied once more, and killed before that got into the bucket.
    work.write_bytes(site.applied.root.replace(f'"serial": {serial(site.applied.root)}'.encode(), b'"serial": 8'))

    ended = site.restore("--latest-good", "--root", "state", "--yes")

    assert serial(site.top(ROOT_KEY)) == 9
    assert work.read_bytes() == site.top(ROOT_KEY)
    assert {version: site.versions(ROOT_KEY).get(version) for version in before} == before
    assert site.digest() == md5(site.applied.newest)
    assert "state backend: no changes" in ended.stdout


@pytest.mark.parametrize("mode", MODES)
def test_what_terraform_could_not_save_is_not_passed_over_where_the_object_is_gone(
    new_site: Callable[[LockMode], StateSite], mode: LockMode
) -> None:
    site = new_site(mode)
    unsaved = with_serial(site.applied.newest, serial(site.applied.newest) + 1)
    left = site.plain.root / "terraform" / "stack" / "errored.tfstate"
    left.write_bytes(unsaved)
    site.cloud.client("s3").delete_object(Bucket=site.bucket, Key=KEY)
    before = site.versions()

    refused = " ".join(site.restore("--latest-good", "--yes", status=3).stderr.split())
    unwritten = site.versions() == before
    doctor = json.loads(site.run("state", "doctor", "--root", "stack", "-o", "json", status=11).stdout)["checks"]
    site.put(unsaved)  # what both of them name
    site.restore("--latest-good", "--yes")

    put = f"aws s3api put-object --bucket {site.bucket} --key {KEY} --body {left}"
    found = {one["check"]: one["finding"]["command"] for one in doctor if one["finding"] is not None}
    assert "could not save its state (serial" in refused
    assert f"{put} && lifeboat state restore --latest-good -e x" in refused
    assert unwritten
    assert found["errored.tfstate"].endswith(f"{put} && lifeboat state restore -e x --latest-good")
    site.require_restored(before, unsaved)
