"""Object Lock: what nobody can shorten or delete, and what a right to bypass can."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud

# Whole seconds, as S3 keeps them. Taken when this file is read: a test that compares with AWS's own clock reads it anew.
LOADED = datetime.now(UTC).replace(microsecond=0)


def in_days(days: int) -> datetime:
    return LOADED + timedelta(days=days)


def bucket(cloud: RunningCloud, *, mode: str | None = None, lock: bool = True) -> str:
    s3, name = cloud.client("s3"), f"locked-{uuid4().hex[:8]}"
    where = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=lock)
    if mode:
        rule = {"DefaultRetention": {"Mode": mode, "Days": 10}}
        configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=configuration)
    return name


def put(cloud: RunningCloud, name: str, **asked: Any) -> str:
    return str(cloud.client("s3").put_object(Bucket=name, Key="a", Body=b"x", **asked)["VersionId"])


def code(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_default_retention_is_that_of_each_new_object(cloud: RunningCloud, mode: str) -> None:
    s3, name = cloud.client("s3"), bucket(cloud, mode=mode)

    before = datetime.now(UTC).replace(microsecond=0)
    put(cloud, name)
    after = datetime.now(UTC) + timedelta(seconds=1)

    found = s3.get_object_retention(Bucket=name, Key="a")["Retention"]
    assert found["Mode"] == mode
    assert before <= found["RetainUntilDate"] - timedelta(days=10) <= after
    assert s3.head_object(Bucket=name, Key="a")["ObjectLockMode"] == mode


def test_an_object_without_retention_has_none_and_a_bucket_without_lock_takes_none(cloud: RunningCloud) -> None:
    s3, name, plain = cloud.client("s3"), bucket(cloud), bucket(cloud, lock=False)
    put(cloud, name)
    s3.put_object(Bucket=plain, Key="a", Body=b"x")
    wanted = {"Mode": "GOVERNANCE", "RetainUntilDate": in_days(1)}

    with pytest.raises(ClientError) as none:
        s3.get_object_retention(Bucket=name, Key="a")
    with pytest.raises(ClientError) as no_lock:
        s3.put_object_retention(Bucket=plain, Key="a", Retention=wanted)

    assert code(none) == "NoSuchObjectLockConfiguration"
    assert code(no_lock) == "InvalidRequest"


def test_compliance_is_lengthened_but_never_shortened_or_weakened_by_anybody(cloud: RunningCloud) -> None:
    s3, name = cloud.client("s3"), bucket(cloud, mode="COMPLIANCE")
    version = put(cloud, name)
    asked: dict[str, Any] = {"Bucket": name, "Key": "a", "BypassGovernanceRetention": True}

    for weaker in (
        {"Mode": "COMPLIANCE", "RetainUntilDate": in_days(1)},
        {"Mode": "GOVERNANCE", "RetainUntilDate": in_days(100)},
        {},
    ):
        with pytest.raises(ClientError) as refusal:
            s3.put_object_retention(**asked, Retention=weaker)
        assert code(refusal) == "AccessDenied"
    with pytest.raises(ClientError) as deletion:
        s3.delete_object(**asked, VersionId=version)
    s3.put_object_retention(**asked, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": in_days(100)})

    assert code(deletion) == "AccessDenied"
    found = s3.get_object_retention(Bucket=name, Key="a")["Retention"]
    assert found == {"Mode": "COMPLIANCE", "RetainUntilDate": in_days(100)}


def test_governance_is_shortened_and_deleted_only_by_bypass(cloud: RunningCloud) -> None:
    s3, name = cloud.client("s3"), bucket(cloud, mode="GOVERNANCE")
    version = put(cloud, name)
    asked: dict[str, Any] = {"Bucket": name, "Key": "a"}
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": in_days(1)}

    with pytest.raises(ClientError) as refusal:
        s3.put_object_retention(**asked, Retention=shorter)
    with pytest.raises(ClientError) as deletion:
        s3.delete_object(**asked, VersionId=version)
    kept = s3.get_object_retention(**asked)["Retention"]["RetainUntilDate"]
    s3.put_object_retention(**asked, Retention=shorter, BypassGovernanceRetention=True)

    assert code(refusal) == code(deletion) == "AccessDenied"
    assert kept > in_days(9)
    assert s3.get_object_retention(**asked)["Retention"] == shorter
    s3.delete_object(**asked, VersionId=version, BypassGovernanceRetention=True)
    assert "Versions" not in s3.list_object_versions(Bucket=name)


def test_a_delete_marker_may_cover_a_locked_version_which_stays(cloud: RunningCloud) -> None:
    s3, name = cloud.client("s3"), bucket(cloud, mode="COMPLIANCE")
    version = put(cloud, name)

    s3.delete_object(Bucket=name, Key="a")

    assert s3.get_object(Bucket=name, Key="a", VersionId=version)["Body"].read() == b"x"


def test_an_object_that_came_in_parts_is_locked_too(cloud: RunningCloud) -> None:
    s3, name = cloud.client("s3"), bucket(cloud, mode="GOVERNANCE")
    upload = s3.create_multipart_upload(Bucket=name, Key="a")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="a", UploadId=upload, PartNumber=1, Body=b"x")

    listed = {"Parts": [{"PartNumber": 1, **{k: v for k, v in part.items() if k in ("ETag", "ChecksumCRC32")}}]}
    s3.complete_multipart_upload(Bucket=name, Key="a", UploadId=upload, MultipartUpload=listed)

    assert s3.get_object_retention(Bucket=name, Key="a")["Retention"]["Mode"] == "GOVERNANCE"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"ObjectLockMode": "GOVERNANCE"}, "InvalidArgument"),
        ({"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LOADED - timedelta(days=1)}, "InvalidArgument"),
    ],
)
def test_lock_headers_that_make_no_sense_are_refused(cloud: RunningCloud, asked: dict[str, Any], expected: str) -> None:
    name = bucket(cloud)

    with pytest.raises(ClientError) as refusal:
        put(cloud, name, **asked)

    assert code(refusal) == expected


def test_an_upload_to_a_locked_bucket_must_carry_a_checksum(cloud: RunningCloud) -> None:
    name = bucket(cloud, mode="GOVERNANCE")
    s3 = cloud.client("s3", request_checksum_calculation="when_required")
    s3.meta.events.register("before-send.s3.PutObject", lambda request, **_: _strip(request))

    with pytest.raises(ClientError) as refusal:
        s3.put_object(Bucket=name, Key="a", Body=b"x")

    assert code(refusal) == "InvalidRequest"


def _strip(request: Any) -> None:
    for name in [found for found in request.headers if found.lower().startswith(("content-md5", "x-amz-checksum-"))]:
        del request.headers[name]


def test_versioning_of_a_locked_bucket_cannot_be_suspended(cloud: RunningCloud) -> None:
    name = bucket(cloud)

    with pytest.raises(ClientError) as refusal:
        cloud.client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})

    assert code(refusal) == "InvalidBucketState"
