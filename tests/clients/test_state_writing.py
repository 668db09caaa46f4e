"""A state written over only while what stands on top is what was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from lifeboat.clients.state_writing import StateWriting
from lifeboat.errors import Refused, Unreachable
from lifeboat.state_model import StateOrigin, VersionId

from tests.conftest import RunningCloud

KEY = "stack.tfstate"
ORIGIN = StateOrigin(by="zoë@host", run="20260301T030000Z-state-restore-1a2b3c", made_of=VersionId("v1"))


@pytest.fixture
def bucket(cloud: RunningCloud) -> Iterator[str]:
    name, s3 = f"states-{uuid4().hex[:8]}", cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    yield name
    cloud.control("faults", clear=True)


def writing(cloud: RunningCloud, bucket: str) -> StateWriting:
    return StateWriting(s3=cloud.client("s3"), bucket=bucket, key=KEY)


def test_over_nothing_over_a_version_and_over_a_delete_marker(cloud: RunningCloud, bucket: str) -> None:
    state, s3 = writing(cloud, bucket), cloud.client("s3")

    state.write(b"1", state.top(), ORIGIN)
    state.write(b"2", state.top(), ORIGIN)
    s3.delete_object(Bucket=bucket, Key=KEY)
    nothing = state.top()
    state.write(b"3", nothing, ORIGIN)

    found = s3.get_object(Bucket=bucket, Key=KEY)
    assert nothing is None
    assert (found["Body"].read(), found["ContentType"]) == (b"3", "application/json")
    assert found["Metadata"] == {
        "lifeboat-by": "zo?@host",
        "lifeboat-run": "20260301T030000Z-state-restore-1a2b3c",
        "lifeboat-from": "v1",
    }
    assert len(s3.list_object_versions(Bucket=bucket, Prefix=KEY)["Versions"]) == 3


@pytest.mark.parametrize("meanwhile", ["written", "deleted", "written over nothing"])
def test_who_came_before_is_not_written_over(cloud: RunningCloud, bucket: str, meanwhile: str) -> None:
    state, s3 = writing(cloud, bucket), cloud.client("s3")
    if meanwhile != "written over nothing":
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"1")
    seen = state.top()
    if meanwhile == "deleted":
        s3.delete_object(Bucket=bucket, Key=KEY)
    else:
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"theirs")
    before = s3.list_object_versions(Bucket=bucket, Prefix=KEY)["Versions"]

    with pytest.raises(Refused, match="since it was looked at; it was not written"):
        state.write(b"ours", seen, ORIGIN)

    assert s3.list_object_versions(Bucket=bucket, Prefix=KEY)["Versions"] == before


def test_a_write_that_got_through_is_known_by_its_run(cloud: RunningCloud, bucket: str) -> None:
    state = writing(cloud, bucket)
    state.write(b"ours", None, ORIGIN)

    state.write(b"ours", None, ORIGIN)  # as boto3 does when the answer was lost

    assert len(cloud.client("s3").list_object_versions(Bucket=bucket, Prefix=KEY)["Versions"]) == 1


def test_a_bucket_that_is_gone_is_no_empty_one(cloud: RunningCloud) -> None:
    with pytest.raises(Unreachable, match="NoSuchBucket"):
        writing(cloud, "no-such-bucket-of-states").top()
