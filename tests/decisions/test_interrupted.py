"""What may be done about an interrupted apply."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from lifeboat.decisions.interrupted import digest_repair, doubt, is_ours, unfinished, untainted
from lifeboat.model import Address, Progress, StateMark, StateVersion
from lifeboat.state_model import LockPlace, StateLock

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def lock(who: str = "root@host", created: datetime | None = NOW) -> StateLock:
    return StateLock(place=LockPlace.TABLE, lock_id="1", who=who, operation="OperationTypeApply", created=created)


def version(serial: int | None, md5: str, lineage: str = "a") -> StateVersion:
    return StateVersion(version_id=md5, md5=md5, serial=serial, lineage=lineage, written_at=NOW)


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (lock(), True),
        (lock(who="other@host"), False),
        (lock(who="root@elsewhere"), False),
        (lock(created=NOW - timedelta(hours=1)), False),
        (lock(created=NOW + timedelta(minutes=4)), False),  # by hand, after the run's own Terraform was killed
        (lock(created=NOW + timedelta(minutes=21)), True),
        (lock(created=NOW + timedelta(hours=1)), False),
        (lock(created=None), False),
    ],
)
def test_only_a_lock_taken_by_the_run_itself_is_ours(found: StateLock, ours: bool) -> None:
    answer = is_ours(found, user="root", host="host", starts=[NOW, NOW + timedelta(minutes=20)])

    assert answer is ours


@pytest.mark.parametrize(
    ("versions", "digest", "write", "why"),
    [
        ([], "x", None, "there is no state version at all"),
        ([version(5, "new"), version(4, "old")], "new", None, "state and digest agree"),
        ([version(5, "new"), version(4, "old")], "old", "new", "serial 5 was written and its digest was not"),
        ([version(1, "new")], None, "new", "the first state was written and its digest was not"),
        (
            [version(5, "new"), version(4, "old")],
            None,
            None,
            "the digest is missing although several states were written",
        ),
        ([version(6, "new"), version(4, "old")], "old", None, "serial 6 does not follow 4"),
        ([version(3, "new"), version(4, "old")], "old", None, "serial 3 does not follow 4"),
        ([version(5, "new", "b"), version(4, "old", "a")], "old", None, "the newest version has another lineage"),
        ([version(5, "new"), version(4, "old")], "?", None, "the digest belongs to none of the newest versions"),
        ([version(None, "new"), version(4, "old")], "old", None, "the newest version is not a Terraform state"),
    ],
)
def test_a_digest_is_repaired_only_for_the_direct_successor(
    versions: list[StateVersion], digest: str | None, write: str | None, why: str
) -> None:
    repair = digest_repair(versions, digest)

    assert (repair.write, repair.why) == (write, why)


@pytest.mark.parametrize(
    ("found", "known", "why"),
    [
        ((4, "a", "x"), None, None),
        ((4, "a", "x"), (4, "a", "x"), None),
        ((5, "a", "x"), (4, "a", "y"), None),  # another machine applied since
        ((4, "a", "x"), (4, "a", "y"), "it is not the state of serial 4 that was known last"),
        ((3, "a", "x"), (4, "a", "y"), "its serial is 3, and 4 was known last"),
        ((9, "b", "x"), (4, "a", "y"), "its lineage is b, and a was known last"),
        (None, None, "it is not a Terraform state"),
    ],
)
def test_a_state_whose_digest_is_lost_is_doubted_unless_it_follows_what_was_known(
    found: tuple[int, str, str] | None, known: tuple[int, str, str] | None, why: str | None
) -> None:
    assert doubt(mark(found), mark(known), [version(2, "x"), version(None, "y")]) == why


@pytest.mark.parametrize(
    ("known", "why"), [(None, "its serial is 3, and version v5 of it has 5"), ((3, "a", "x"), None)]
)
def test_a_state_whose_digest_is_lost_is_doubted_when_one_of_its_versions_is_newer(
    known: tuple[int, str, str] | None, why: str | None
) -> None:
    assert doubt(mark((3, "a", "x")), mark(known), [version(3, "x"), version(5, "v5"), version(4, "y")]) == why


def mark(of: tuple[int, str, str] | None) -> StateMark | None:
    return None if of is None else StateMark(serial=of[0], lineage=of[1], md5=of[2])


def tainted(*names: str) -> bytes:
    instances = [{"index_key": name, "status": "tainted", "attributes": {}} for name in names]
    resource = {"module": "module.database", "type": "aws_db_instance", "name": "this", "instances": instances}
    return json.dumps({"serial": 7, "resources": [resource]}).encode()


def test_what_an_interrupted_apply_was_making_is_trusted_again_and_the_serial_is_raised() -> None:
    fresh = untainted(tainted("g1", "g2"), {Address('module.database.aws_db_instance.this["g1"]')})

    assert fresh is not None
    document = json.loads(fresh)
    assert document["serial"] == 8
    assert [i.get("status") for i in document["resources"][0]["instances"]] == [None, "tainted"]


def test_what_was_tainted_for_another_reason_stays_so() -> None:
    assert untainted(tainted("g1"), {Address("aws_eip.app")}) is None


def test_what_was_begun_and_not_reported_as_done_is_unfinished() -> None:
    def seen(address: str, kind: Literal["started", "done", "failed"]) -> Progress:
        return Progress(address=Address(address), kind=kind, action="create")

    assert unfinished([seen("a", "started"), seen("a", "done"), seen("b", "started"), seen("c", "failed")]) == {
        Address("b"),
        Address("c"),
    }
