"""What the other region remembers of a state: written over only while it is what was read, and never taken for absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from lifeboat.clients.state_memory import StateMemory
from lifeboat.errors import Unreachable
from lifeboat.model import StateMark
from lifeboat.state_model import KnownState, StateRoot

from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION

STACK = StateRoot.STACK
KEY = "known-states/x/stack.json"
STATE = KnownState(
    mark=StateMark(serial=7, lineage="a", md5="0f"),
    at=datetime(2026, 3, 1, 3, 0, tzinfo=UTC),
    by="zoë@laptop",
    run="20260301T030000Z-apply",
    account="123456789012",
)


@pytest.fixture
def bucket(cloud: RunningCloud) -> Iterator[str]:
    name, s3 = f"copies-{uuid4().hex[:8]}", cloud.client("s3", DR_REGION)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": DR_REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    yield name
    cloud.control("faults", clear=True)


def memory_of(cloud: RunningCloud, bucket: str, env: str = "x") -> StateMemory:
    return StateMemory(s3=cloud.client("s3", DR_REGION), bucket=bucket, env=env)


def test_what_was_written_is_read_and_every_earlier_version_stays(cloud: RunningCloud, bucket: str) -> None:
    memory, next_one = memory_of(cloud, bucket), replace(STATE, mark=StateMark(serial=8, lineage="a", md5="1f"))

    before = memory.read(STACK)
    written = [memory.write(STACK, STATE, over=before), memory.write(STACK, next_one, over=memory.read(STACK))]

    found = memory.read(STACK)
    assert (before, written, found is not None and found.state) == (None, [True, True], next_one)
    assert (memory.read(StateRoot.BACKEND), memory_of(cloud, bucket, "xy").read(STACK)) == (None, None)
    s3 = cloud.client("s3", DR_REGION)
    versions = s3.list_object_versions(Bucket=bucket, Prefix="known-states/")["Versions"]
    bodies = [s3.get_object(Bucket=bucket, Key=KEY, VersionId=one["VersionId"])["Body"].read() for one in versions]
    assert sorted(json.loads(body)["serial"] for body in bodies) == [7, 8]


def test_who_wrote_in_between_is_not_written_over(cloud: RunningCloud, bucket: str) -> None:
    ours, theirs = memory_of(cloud, bucket), memory_of(cloud, bucket)
    nothing = ours.read(STACK)
    theirs.write(STACK, STATE, over=None)
    seen = ours.read(STACK)
    theirs.write(STACK, replace(STATE, run="theirs"), over=seen)

    written = [ours.write(STACK, replace(STATE, run="ours"), over=over) for over in (nothing, seen)]

    found = ours.read(STACK)
    assert written == [False, False]
    assert found is not None
    assert found.state == replace(STATE, run="theirs")


def test_without_a_bucket_nothing_is_remembered_and_what_may_not_be_seen_is_not_nothing(
    cloud: RunningCloud, bucket: str
) -> None:
    assert memory_of(cloud, f"{bucket}-never").read(STACK) is None
    memory_of(cloud, bucket).write(STACK, STATE, over=None)

    for operation in ("ListObjectsV2", "GetObject"):
        cloud.control("faults", clear=True)
        cloud.control(
            "faults", add={"service": "s3", "operation": operation, "code": "AccessDenied", "status": 403, "times": 9}
        )
        with pytest.raises(Unreachable, match="AccessDenied") as refused:
            memory_of(cloud, bucket).read(STACK)
        assert refused.value.hint == f"where permissions refuse it: take a role that may read s3://{bucket}/{KEY}"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "list indices must be"),
        (b'{"serial": 7}', "it has no 'lineage'"),
    ],
)
def test_what_is_damaged_says_so_and_can_be_written_over(
    cloud: RunningCloud, bucket: str, body: bytes, why: str
) -> None:
    memory = memory_of(cloud, bucket)
    cloud.client("s3", DR_REGION).put_object(Bucket=bucket, Key=KEY, Body=body)

    found = memory.read(STACK)

    assert found is not None
    assert (found.state, why in found.damaged) == (None, True)
    assert memory.write(STACK, STATE, over=found)
