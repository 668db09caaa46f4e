"""What may be done about an interrupted apply."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.decisions.interrupted import digest_repair, is_ours, untainted
from lifeboat.model import RemoteLock, StateVersion

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def lock(who: str = "root@host", created: datetime | None = NOW) -> RemoteLock:
    return RemoteLock(lock_id="1", who=who, operation="OperationTypeApply", created=created)


def version(serial: int | None, md5: str, lineage: str = "a") -> StateVersion:
    return StateVersion(version_id=md5, md5=md5, serial=serial, lineage=lineage, written_at=NOW)


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (lock(), True),
        (lock(who="other@host"), False),
        (lock(who="root@elsewhere"), False),
        (lock(created=NOW - timedelta(hours=1)), False),
        (lock(created=NOW + timedelta(hours=1)), False),
        (lock(created=None), False),
    ],
)
def test_only_a_lock_taken_by_the_run_itself_is_ours(found: RemoteLock, ours: bool) -> None:
    answer = is_ours(found, user="root", host="host", started=NOW, now=NOW + timedelta(minutes=5))

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


def test_tainted_resources_are_trusted_again_and_the_serial_is_raised() -> None:
    state = {
        "serial": 7,
        "resources": [{"type": "aws_db_instance", "instances": [{"status": "tainted", "attributes": {}}, {}]}],
    }

    fresh = untainted(json.dumps(state).encode())

    assert fresh is not None
    assert json.loads(fresh) == {
        "serial": 8,
        "resources": [{"type": "aws_db_instance", "instances": [{"attributes": {}}, {}]}],
    }


def test_a_state_without_taint_stays_as_it_is() -> None:
    assert untainted(b'{"serial": 7, "resources": [{"type": "a", "instances": [{}]}]}') is None
