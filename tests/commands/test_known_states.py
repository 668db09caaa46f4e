"""Nothing is planned with a state that is lost, foreign or older than what is remembered of it outside the bucket."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.clients import known_state, root_base
from lifeboat.decisions.known_states import Purpose
from lifeboat.errors import Refused, Unreachable
from lifeboat.model import RunId, StateMark
from lifeboat.site import Site
from lifeboat.stack import known_states, repair
from lifeboat.state_model import LockMode, StateRoot

from tests.gitlab_sites import DR_REGION
from tests.restored_states import (
    KEY,
    MODES,
    ROOT_KEY,
    StateSite,
    made,
    md5,
    new_site,
    serial,
)

__all__ = ["made", "new_site"]
STACK, BACKEND = StateRoot.STACK, StateRoot.BACKEND
ALL = ("plan", "apply --yes", "recover --preview")


def here(site: StateSite) -> Site:
    return Site(config.load(site.plain.root, "x"), dict(os.environ))


def remembered_there(site: StateSite) -> None:
    """Let the other region remember what was applied of the stack, and this machine nothing."""
    assert known_states.keep(here(site), STACK, site.applied.newest, "r") is None


def with_root_1_here(site: StateSite) -> None:
    """Let this machine have root 1's working copy, so that an apply asks no Terraform before it looks at the states."""
    here(site).root_state_file.parent.mkdir(parents=True, exist_ok=True)
    here(site).root_state_file.write_bytes(site.applied.root)


def remembered_here(site: StateSite) -> None:
    """Let this machine remember what was applied, and the other region nothing."""
    here(site).project.work.mkdir(parents=True, exist_ok=True)
    repair.remember_state(here(site), site.applied.newest)


def known(site: StateSite, root: StateRoot = STACK) -> StateMark | None:
    there = known_states.remembered(here(site), root).there
    return None if there is None else there.mark


def versions_of_memory(site: StateSite) -> int:
    listed = site.cloud.client("s3", DR_REGION).list_object_versions(Bucket=site.replica, Prefix="known-states/x/stack")
    return len(listed.get("Versions", []))


def mark_of(body: bytes) -> StateMark:
    return StateMark(serial=serial(body), lineage=json.loads(body)["lineage"], md5=md5(body))


# -- accidents -----------------------------------------------------------------------------------------------------------


def put(site: StateSite, body: bytes) -> None:
    site.put(body)
    if site.keeps_digest:
        site.put_digest(md5(body))


def deleted(site: StateSite) -> None:
    site.plain.delete(KEY)
    site.delete_digest()


def emptied(site: StateSite) -> None:
    site.replicate()
    site.forget_everything()


def gone_everywhere(site: StateSite) -> None:
    site.forget_everything()


def bucket_gone(site: StateSite) -> None:
    site.delete_bucket()


def copied_over(site: StateSite) -> None:
    put(site, site.applied.bodies[0])


def of_another_lineage(site: StateSite) -> None:
    put(site, json.dumps({**json.loads(site.applied.newest), "lineage": "another", "serial": 40}).encode())


def cut_off(site: StateSite) -> None:
    put(site, site.applied.newest[:200])


@dataclass(frozen=True, kw_only=True)
class Case:
    """An accident, what is seen of it, the command that is named, and which commands are tried: all look alike."""

    happens: Callable[[StateSite], None]
    saw: str
    command: str
    tried: tuple[str, ...] = ALL[:1]


CASES = {
    "deleted": Case(
        happens=deleted,
        saw="is gone, deleted at",
        command="lifeboat state restore --latest-good -e x",
        tried=ALL,
    ),
    "every version gone": Case(
        happens=emptied, saw="is gone, and", command="lifeboat state restore --from-replica -e x"
    ),
    "every version gone in both regions": Case(
        happens=gone_everywhere, saw="is gone, and", command="lifeboat state rebuild -e x"
    ),
    "the bucket gone": Case(happens=bucket_gone, saw="there is no bucket", command="lifeboat state doctor -e x"),
    "old version copied over the key": Case(
        happens=copied_over,
        saw="it is an older one, which does not know what was made since",
        command="lifeboat state restore --latest-good -e x",
    ),
    "object of another lineage": Case(
        happens=of_another_lineage,
        saw="has serial 40 of lineage another, and",
        command="lifeboat state restore --latest-good -e x",
    ),
    "truncated": Case(
        happens=cut_off, saw="is no Terraform state, and", command="lifeboat state restore --latest-good -e x"
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_remembered_is_missed_by_whatever_would_plan(
    new_site: Callable[[LockMode], StateSite], case: Case, mode: LockMode
) -> None:
    site = new_site(mode)
    remembered_there(site)
    with_root_1_here(site)
    case.happens(site)
    before = site.digest()

    refused = [site.run(*words.split(), status=3).stderr for words in case.tried]
    with pytest.raises(Refused, match="^x was applied before: the other region remembers serial"):
        known_states.require(here(site), Purpose.FIRST_APPLY, known_states.STACK)

    lineage = json.loads(site.applied.newest)["lineage"]
    for told in refused:
        said = " ".join(told.split())
        assert case.saw in said
        assert f"the other region remembers serial {serial(site.applied.newest)} of lineage {lineage}" in said
        assert case.command in said
    assert site.digest() == before


def with_serial(body: bytes, number: int) -> bytes:
    return body.replace(f'"serial": {serial(body)}'.encode(), f'"serial": {number}'.encode())


LEFT: list[tuple[int, LockMode]] = [(0, "dynamodb"), (1, "both")]  # and in tests/long the others


@pytest.mark.parametrize(("further", "mode"), LEFT)
def test_a_history_that_left_the_remembered_state_is_refused_and_the_remembered_one_comes_back(
    new_site: Callable[[LockMode], StateSite], further: int, mode: LockMode
) -> None:
    require_refused_and_back(new_site(mode), further)


def require_refused_and_back(site: StateSite, further: int) -> None:
    """Fail unless a history that left the remembered state, with so many more serials, is refused until that comes back."""
    remembered_there(site)
    right, highest = next(iter(site.versions())), serial(site.applied.newest)
    # An old version copied over the key, and applied without lifeboat.
    put(site, site.applied.bodies[1])
    for number in range(highest, highest + further + 1):
        put(site, with_serial(site.applied.bodies[1], number))

    refused = " ".join(site.run("plan", status=3).stderr.split())
    found = json.loads(site.run("state", "doctor", "--root", "stack", "-o", "json", status=11).stdout)
    taken = site.restore(next(iter(site.versions())), "--yes", status=3)
    ended = site.restore("--latest-good", "--yes")

    assert f"lifeboat state restore {right} -e x" in refused
    (named,) = [one["finding"]["command"] for one in found["checks"] if one["check"] == "serial"]
    assert named.split()[:3] == ["lifeboat", "state", "restore"]
    assert right in named
    assert "1 resource would vanish" in taken.stderr
    assert f"serial {highest} (version {right})" in " ".join(taken.stderr.split())
    assert json.loads(site.top())["resources"] == json.loads(site.applied.newest)["resources"]
    assert known(site) == mark_of(site.top())
    assert "stack: no changes" in ended.stdout + site.run("plan").stdout


def test_an_older_state_that_was_remembered_does_not_pass_over_a_newer_one(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("lockfile")
    assert known_states.keep(here(site), STACK, site.applied.bodies[1], "r") is None
    newest = next(iter(site.versions()))
    put(site, site.applied.bodies[1])

    refused = " ".join(site.run("plan", status=3).stderr.split())

    assert f"lifeboat state restore {newest} -e x" in refused


@pytest.mark.parametrize("accident", [deleted, copied_over, of_another_lineage], ids=lambda found: found.__name__)
def test_what_only_this_machine_remembers_counts_too_until_it_is_told_to_forget(
    new_site: Callable[[LockMode], StateSite], accident: Callable[[StateSite], None]
) -> None:
    site = new_site("both")
    remembered_here(site)
    accident(site)

    refused = " ".join(site.run("plan", status=3).stderr.split())
    forget = f"rm -f {known_state.path(here(site).project.work)}"
    known_state.forget(here(site).project.work)

    assert f"this machine remembers serial {serial(site.applied.newest)}" in refused
    assert f"where this machine remembers the wrong one: {forget}" in refused
    if accident is not deleted:
        assert "stack:" in site.run("plan").stdout


def test_a_lineage_that_somebody_agreed_to_elsewhere_is_told_and_counts(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    remembered_there(site)
    here(site).project.work.mkdir(parents=True, exist_ok=True)
    known_state.remember(here(site).project.work, StateMark(serial=90, lineage="old", md5="0f"))

    planned = site.run("plan")

    assert "stack: no changes" in planned.stdout
    assert "this machine remembers" in planned.stderr
    assert "of another lineage, old" in " ".join(planned.stderr.split())


def test_a_plan_that_was_made_without_the_state_that_was_let_pass_is_not_applied(
    new_site: Callable[[LockMode], StateSite], tmp_path: Path
) -> None:
    site = new_site("lockfile")
    remembered_there(site)
    lifeboat = here(site)
    plans = {}
    passed = known_states.require(lifeboat, Purpose.APPLY, known_states.STACK)

    for name in ("kept", "deleted"):
        if name == "deleted":
            site.plain.delete(KEY)  # after it was looked at
        terraform = lifeboat.stack_terraform()
        terraform.init(lifeboat.backend())
        plans[name] = tmp_path / f"{name}.plan"
        terraform.plan(out=plans[name], events=tmp_path / f"{name}.jsonl", seconds=60).planned()

    known_states.require_planned_from(lifeboat, passed, plans["kept"])
    with pytest.raises(Refused, match="stood there, and the plan was made with no state at all; it was not applied"):
        known_states.require_planned_from(lifeboat, passed, plans["deleted"])


# -- root 1 ----------------------------------------------------------------------------------------------------------------


def test_root_1_is_missed_as_well_and_what_it_made_is_found_again_only_by_agreement(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    assert known_states.keep(here(site), BACKEND, site.applied.root, "r") is None
    site.plain.delete(ROOT_KEY)

    refused = [site.run(*words.split(), status=3).stderr for words in ("plan", "apply --yes")]
    # Without its versions an apply can only begin a new state, and asks.
    for version in site.versions(ROOT_KEY):
        site.cloud.client("s3").delete_object(Bucket=site.bucket, Key=ROOT_KEY, VersionId=version)
    asked = known_states.require(here(site), Purpose.APPLY, known_states.BOTH)

    for told in refused:
        assert "lifeboat state restore --latest-good --root state -e x" in " ".join(told.split())
    assert len(asked.to_agree) == 1
    assert asked.to_agree[0].startswith("begin a new state of root 1, with what it made found by its names: ")


def test_a_working_copy_of_root_1_that_did_not_get_into_the_bucket_is_the_state_that_an_apply_takes_when_agreed(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    assert known_states.keep(here(site), BACKEND, site.applied.root, "r") is None
    ahead = site.applied.root.replace(f'"serial": {serial(site.applied.root)}'.encode(), b'"serial": 8')
    here(site).root_state_file.parent.mkdir(parents=True, exist_ok=True)
    here(site).root_state_file.write_bytes(ahead)
    root_base.remember(here(site).root_state_file, mark_of(site.applied.root).md5)
    site.plain.delete(ROOT_KEY)

    passed = known_states.require(here(site), Purpose.APPLY, known_states.BOTH)

    assert passed.remarks == ()
    assert [asked.partition(":")[0] for asked in passed.to_agree] == [
        "put root 1's state back as this machine has it, serial 8"
    ]
    assert dict(passed.tops) == {BACKEND: mark_of(ahead), STACK: mark_of(site.applied.newest)}
    with pytest.raises(Refused, match="deleted at"):
        known_states.require(here(site), Purpose.PLAN, known_states.BOTH)


# -- a backend that is not whole -----------------------------------------------------------------------------------------


def test_a_recovery_says_what_is_missing_of_the_backend_and_an_apply_holds_its_lease_all_the_same(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("dynamodb")
    remembered_there(site)
    with_root_1_here(site)
    suspended = {"Status": "Suspended"}
    site.cloud.client("s3").delete_bucket_replication(Bucket=site.bucket)  # else S3 suspends no versioning
    site.cloud.client("s3").put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration=suspended)

    refused = " ".join(site.run("recover", "--preview", status=3).stderr.split())
    with here(site).lease(RunId("20260301T030000Z-other")).held():
        locked = site.run("apply", "--yes", status=5).stderr

    assert f"versioning of {site.bucket} is suspended" in refused
    assert (
        f"aws s3api put-bucket-versioning --bucket {site.bucket} --versioning-configuration Status=Enabled" in refused
    )
    assert "20260301T030000Z-other" in locked


# -- root 1's, of which this machine has a working copy ------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["deleted", "every version"])
def test_root_1_s_state_that_is_gone_is_put_back_only_once_somebody_agrees_and_is_told(
    new_site: Callable[[LockMode], StateSite], gone: str
) -> None:
    site = new_site("both")
    with_root_1_here(site)
    remembered_there(site)
    assert known_states.keep(here(site), BACKEND, site.applied.root, "r") is None
    if gone == "deleted":
        site.plain.delete(ROOT_KEY)
    else:
        site._empty(ROOT_KEY)

    nobody = " ".join(site.run("apply", status=7).stderr.split())
    planned = " ".join(site.run("plan", status=3).stderr.split())

    line = (
        f"put root 1's state back as this machine has it, serial {serial(site.applied.root)}:"
        f" s3://{site.bucket}/{ROOT_KEY} is gone"
    )
    assert line in nobody
    assert ("deleted at" in nobody) == (gone == "deleted")
    assert "--root state" in planned or "lifeboat apply" in planned
    assert here(site).root_store().body() is None
    passed = known_states.require(here(site), Purpose.APPLY, known_states.BOTH)
    assert (len(passed.put_back), passed.to_agree) == (1, passed.put_back)


def test_a_first_apply_that_was_cut_off_goes_on_from_its_working_copy_unasked(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    with_root_1_here(site)
    site._empty(ROOT_KEY)

    passed = known_states.require(here(site), Purpose.APPLY, [BACKEND])

    assert (passed.to_agree, passed.put_back) == ((), ())


# -- what was never a lock -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_what_terraform_never_wrote_in_the_lock_leads_to_the_doctor(
    new_site: Callable[[LockMode], StateSite], mode: LockMode
) -> None:
    site = new_site(mode)
    with_root_1_here(site)
    if mode != "lockfile":
        item = {"LockID": {"S": f"{site.bucket}/{KEY}"}, "Info": {"S": "garbage not json"}}
        site.cloud.client("dynamodb").put_item(TableName=site.plain.table, Item=item)
    if mode != "dynamodb":
        site.put(b"<html>oops</html>", f"{KEY}.tflock")

    ended = [site.run(*command.split(), status=5) for command in ("plan", "apply --yes", "state restore --latest-good")]

    for one in ended:
        assert "did not write" in one.stderr
        assert one.stderr.splitlines()[-1].startswith("  next: lifeboat state doctor")
        assert "-lock=false" not in one.stderr


# -- a first apply ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_what_nobody_remembers_is_a_first_apply_when_somebody_says_so(
    new_site: Callable[[LockMode], StateSite], mode: LockMode
) -> None:
    site = new_site(mode)
    with_root_1_here(site)  # as a first apply leaves it too that was cut off
    site.plain.delete(KEY)

    before = site.versions()

    refused = " ".join(site.run("apply", "--yes", status=3).stderr.split())
    # The stack of this site has no output that tells what is protected.
    made = site.run("apply", "--first-apply", "--yes", status=11).stderr

    comes_of = (
        "Terraform plans nothing while the digest of what is gone is left"
        if site.keeps_digest
        else "a plan would make everything a second time"
    )
    assert f"is serial {serial(site.applied.newest)}: {comes_of}" in refused
    assert "lifeboat state restore --latest-good -e x; where this is truly a first apply" in refused
    assert "lifeboat apply --first-apply -e x" in refused
    assert "nothing is remembered of it, and it was said that this is a first apply" in " ".join(made.split())
    assert ("emptied the digest" in made) is site.keeps_digest
    assert json.loads(site.top())["lineage"] != json.loads(site.applied.newest)["lineage"]
    assert (known(site), known(site, BACKEND)) == (mark_of(site.top()), mark_of(site.top(ROOT_KEY)))
    assert site.digest() == (md5(site.top()) if site.keeps_digest else None)
    assert {version: site.versions().get(version) for version in before} == before


@pytest.mark.parametrize("where", ["versions", "copies"])
def test_a_version_that_says_that_it_is_of_this_environment_is_no_first_apply(
    new_site: Callable[[LockMode], StateSite], where: str
) -> None:
    site = new_site("lockfile")
    outputs = {"recovery": {"value": {"environment": "x"}, "type": "dynamic"}}
    ours = json.dumps({**json.loads(site.applied.newest), "outputs": outputs, "serial": 40}).encode()
    if where == "versions":
        site.put(ours)
        site.plain.delete(KEY)
    else:
        site.replicate(ours)
        site.forget_everything()

    with pytest.raises(
        Refused, match=r"^x was applied before: version \S+ of \S+ has 3 resources, and says"
    ) as refused:
        known_states.require(here(site), Purpose.FIRST_APPLY, known_states.STACK)

    back = "--latest-good" if where == "versions" else "--from-replica"
    assert str(refused.value.hint).startswith(f"lifeboat state restore {back} -e x; ")


def test_a_first_apply_that_is_refused_leaves_the_digest_which_may_be_the_last_trace(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    with_root_1_here(site)
    site.forget_everything()
    site.put_digest(md5(site.applied.newest))

    nobody = site.run("apply", "--first-apply", status=7).stderr
    site.lock({"ID": "11-22", "Who": "eva@laptop", "Operation": "OperationTypeApply", "Created": ""})
    site.run("apply", "--first-apply", "--yes", status=5)
    held = site.digest()
    site.put_digest("")  # one that was killed after it had emptied it
    refused = " ".join(site.run("apply", "--yes", status=3).stderr.split())

    assert f"begin a new state of x: empty the digest {md5(site.applied.newest)}" in " ".join(nobody.split())
    assert held == md5(site.applied.newest)
    assert "a plan would make everything a second time" in refused


def test_a_first_apply_that_stops_before_it_has_a_state_writes_the_digest_again(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("dynamodb")
    with_root_1_here(site)
    site.forget_everything()
    site.put_digest(md5(site.applied.newest))
    (site.plain.root / "terraform" / "stack" / "0.tf").write_text(
        'resource "terraform_data" "one" { input = nowhere }\n'
    )

    stopped = site.run("apply", "--first-apply", "--yes", status=1).stderr

    assert "emptied the digest" in stopped
    assert site.digest() == md5(site.applied.newest)
    assert site.locks() == []


def test_what_was_never_applied_needs_nobody_to_say_so(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    site.delete_bucket()
    site.delete_digest()

    assert known_states.require(here(site), Purpose.APPLY, known_states.BOTH) == known_states.Passed()


def tagged_network(site: StateSite) -> str:
    tags = {"application": site.plain.application, "environment": "x"}
    made = site.cloud.client("ec2").create_vpc(
        CidrBlock="10.0.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
    )
    return str(made["Vpc"]["VpcId"])


@pytest.mark.parametrize("mode", MODES)
def test_where_nothing_is_left_of_a_state_what_bears_our_tags_tells_that_there_was_one(
    new_site: Callable[[LockMode], StateSite], mode: LockMode
) -> None:
    site = new_site(mode)
    with_root_1_here(site)
    site.forget_everything()
    network = tagged_network(site)

    refused = [" ".join(site.run(*words.split(), status=3).stderr.split()) for words in ("plan", "apply --yes")]
    passed = known_states.require(here(site), Purpose.FIRST_APPLY, known_states.STACK)

    for told in refused:
        assert f"x was applied before: aws_vpc {network} in eu-west-1 bears its tags" in told
        assert (
            "lifeboat state rebuild -e x; where nothing of that is of the stack: lifeboat apply --first-apply" in told
        )
    assert passed.to_agree == (
        f"make everything of x beside what bears its tags and is no state's: aws_vpc {network} in eu-west-1 bears its tags",
    )
    assert passed.anew == ()


def test_what_may_not_be_looked_at_is_not_nothing(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("lockfile")
    with_root_1_here(site)
    site.forget_everything()
    site.cloud.control(
        "faults",
        add={"service": "ec2", "operation": "DescribeVpcs", "code": "UnauthorizedOperation", "status": 403, "times": 9},
    )

    refused = site.run("plan", status=8)

    assert "cannot list what bears our tags in" in " ".join(refused.stderr.split())


def test_a_journal_in_the_bucket_tells_that_something_was_applied(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("lockfile")
    site.forget_everything()
    site.put(b"{}", "runs/20260301T030000Z-recover-1a2b3c/000001.json")

    with pytest.raises(Refused, match="its bucket has the journal of run 20260301T030000Z-recover-1a2b3c"):
        known_states.require(here(site), Purpose.APPLY, known_states.STACK)


# -- where it cannot be asked ------------------------------------------------------------------------------------------------


def test_where_it_cannot_be_asked_a_recovery_goes_on_loudly_and_nothing_else_does(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    remembered_here(site)
    with_root_1_here(site)
    site.cloud.control(
        "faults",
        add={"service": "s3", "operation": "ListObjectsV2", "code": "AccessDenied", "status": 403, "times": 100},
    )

    refused = [site.run(*words.split(), status=8).stderr for words in ("plan", "apply --first-apply")]
    (remark,) = known_states.require(here(site), Purpose.RECOVER, known_states.STACK).remarks
    site.plain.delete(KEY)
    with pytest.raises(Refused, match="this machine remembers serial"):
        known_states.require(here(site), Purpose.RECOVER, known_states.STACK)
    site.forget_everything()
    known_state.forget(here(site).project.work)
    with pytest.raises(Unreachable, match="is gone; which state of root stack is the newest cannot be known"):
        known_states.require(here(site), Purpose.RECOVER, known_states.STACK)

    for told in refused:
        assert "AccessDenied" in told
        assert f"s3://{site.replica}/known-states/x/" in " ".join(told.split())
    assert "could not be asked of the other region" in remark
    assert f"this machine remembers serial {serial(site.applied.newest)}" in remark


# -- written down ------------------------------------------------------------------------------------------------------------


def test_a_restore_writes_down_what_it_put_on_top_once_and_the_serial_exceeds_what_was_remembered(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    newer = site.applied.newest.replace(f'"serial": {serial(site.applied.newest)}'.encode(), b'"serial": 20')
    assert known_states.keep(here(site), STACK, newer, "r") is None

    ended = site.restore("--latest-good", "--yes")
    again = site.restore("--latest-good", "--yes")

    assert "serial 20 is in neither bucket, and was sound" in " ".join((ended.stdout + ended.stderr).split())
    assert "nothing was written" in again.stdout
    assert (known(site), serial(site.top())) == (mark_of(site.top()), 21)
    assert versions_of_memory(site) == 2
    assert "stack: no changes" in again.stdout


def test_another_lineage_is_written_down_only_when_it_was_asked_for(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("dynamodb")
    remembered_there(site)
    of_another_lineage(site)
    theirs = next(iter(site.versions()))

    kept = known_states.keep(here(site), STACK, site.top(), "r")
    before = known(site)
    site.restore(theirs, "--allow-lineage", "--yes")

    assert kept is not None
    assert "only takes its place when somebody agreed to it" in kept
    assert before == mark_of(site.applied.newest)
    assert known(site) == mark_of(site.top())


def test_a_restore_mends_what_is_damaged_of_what_is_remembered(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    site.plain.delete(KEY)
    s3 = site.cloud.client("s3", DR_REGION)
    s3.put_object(Bucket=site.replica, Key="known-states/x/stack.json", Body=b"{")

    planned_first = site.run("plan", status=8).stderr
    ended = site.restore("--latest-good", "--yes")

    assert "is damaged" in planned_first
    assert "what is remembered in the other region was not asked" in " ".join((ended.stdout + ended.stderr).split())
    assert known(site) == mark_of(site.top())


def refuse_what_is_remembered(site: StateSite) -> None:
    """Let nothing be written down in the other region any more."""
    refused = {"service": "s3", "operation": "PutObject", "path": f"/{site.replica}/known-states/.*"}
    site.cloud.control("faults", add={**refused, "code": "AccessDenied", "status": 403, "times": 100})


def test_what_a_plan_finds_is_told_all_the_same_where_a_restore_could_not_be_written_down(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("lockfile")
    site.plain.delete(KEY)
    refuse_what_is_remembered(site)

    stopped = json.loads(site.restore("--latest-good", "--yes", "-o", "json", status=4).stdout)

    assert "AccessDenied" in stopped["unremembered"]
    assert [plan["empty"] for plan in stopped["plans"]] == [True, True]


def test_a_restore_that_cannot_be_written_down_is_no_success_and_the_same_command_writes_it_down(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("both")
    of_another_lineage(site)
    theirs = next(iter(site.versions()))
    site.put(site.applied.newest)
    remembered_there(site)
    refuse_what_is_remembered(site)

    stopped = site.restore(theirs, "--allow-lineage", "--yes", status=4)
    before = known(site)
    site.cloud.control("faults", clear=True)
    again = site.restore(theirs, "--allow-lineage", "--yes")

    told = " ".join(stopped.stderr.split())
    assert "what the state of root stack is now could not be written down in the other region: " in told
    assert f"lifeboat state restore -e x {theirs} --allow-lineage" in told
    assert "AccessDenied" in told
    assert before == mark_of(site.applied.newest)
    assert "nothing was written" in again.stdout
    assert known(site) == mark_of(site.top())
    assert json.loads(site.top())["lineage"] == "another"


def test_an_answer_that_was_lost_is_no_second_write(new_site: Callable[[LockMode], StateSite]) -> None:
    site = new_site("both")
    site.cloud.control(
        "faults", add={"service": "s3", "operation": "PutObject", "when": "after", "first": 1, "status": 500}
    )

    assert known_states.keep(here(site), STACK, site.applied.newest, "r") is None

    assert (known(site), versions_of_memory(site)) == (mark_of(site.applied.newest), 1)


# -- whose a state is --------------------------------------------------------------------------------------------------------


def test_a_state_that_does_not_say_of_which_environment_it_is_is_nobodys(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("lockfile")
    outputs = {"recovery": {"value": {"environment": None}, "type": "dynamic"}}
    site.put(json.dumps({**json.loads(site.applied.newest), "outputs": outputs, "serial": 40}).encode())

    repair.require_own(here(site), here(site).stack_store())
