"""Suspended versioning loses nothing old; metadata comes back as S3 writes it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud


def suspended(cloud: RunningCloud, name: str) -> tuple[Any, str]:
    """Return a client and the version that was in a bucket when its versioning was suspended."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    old: str = s3.put_object(Bucket=name, Key="state", Body=b"old")["VersionId"]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    return s3, old


def test_overwriting_replaces_only_the_null_version(cloud: RunningCloud) -> None:
    s3, old = suspended(cloud, "overwritten")

    for body in (b"new", b"newer"):
        s3.put_object(Bucket="overwritten", Key="state", Body=body)

    versions = s3.list_object_versions(Bucket="overwritten")["Versions"]
    assert [(v["VersionId"], v["IsLatest"]) for v in versions] == [("null", True), (old, False)]
    assert s3.get_object(Bucket="overwritten", Key="state")["Body"].read() == b"newer"
    assert s3.get_object(Bucket="overwritten", Key="state", VersionId=old)["Body"].read() == b"old"


def test_deleting_leaves_old_versions_behind_a_null_marker(cloud: RunningCloud) -> None:
    s3, old = suspended(cloud, "deleted")
    s3.put_object(Bucket="deleted", Key="state", Body=b"lost")

    s3.delete_object(Bucket="deleted", Key="state")

    listed = s3.list_object_versions(Bucket="deleted")
    assert [v["VersionId"] for v in listed["Versions"]] == [old]
    assert [(m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]] == [("null", True)]
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="deleted", Key="state")

    s3.delete_object(Bucket="deleted", Key="state", VersionId="null")

    assert s3.get_object(Bucket="deleted", Key="state")["Body"].read() == b"old"


def test_a_bucket_with_suspended_versioning_cannot_replicate(cloud: RunningCloud) -> None:
    s3, _ = suspended(cloud, "sender")
    rule = {"ID": "a", "Status": "Enabled", "Prefix": "", "Destination": {"Bucket": "arn:aws:s3:::sender"}}

    with pytest.raises(ClientError, match="Versioning must be 'Enabled'"):
        s3.put_bucket_replication(
            Bucket="sender", ReplicationConfiguration={"Role": "arn:aws:iam::123456789012:role/r", "Rules": [rule]}
        )


def test_metadata_comes_back_in_lower_case(cloud: RunningCloud) -> None:
    s3, _ = suspended(cloud, "metadata")

    s3.put_object(Bucket="metadata", Key="a", Body=b"x", Metadata={"Rows-Counted": "12", "sha256": "Ab"})

    wanted = {"rows-counted": "12", "sha256": "Ab"}
    assert s3.head_object(Bucket="metadata", Key="a")["Metadata"] == wanted
    assert s3.get_object(Bucket="metadata", Key="a")["Metadata"] == wanted


def seen(cloud: RunningCloud) -> tuple[Any, ...]:
    """Return what S3 tells of each version in the bucket "kept", newest first, and of its delete markers."""
    s3 = cloud.client("s3")
    listed = s3.list_object_versions(Bucket="kept")
    whole = []
    for version in listed["Versions"]:
        name = {"Bucket": "kept", "Key": version["Key"], "VersionId": version["VersionId"]}
        got = s3.get_object(**name)
        tags = s3.get_object_tagging(**name)["TagSet"]
        whole.append((version["Key"], version["VersionId"], got["LastModified"], got["Body"].read(), tags))
    return whole, listed.get("DeleteMarkers")


def test_every_version_and_marker_is_there_after_a_save_and_a_load_and_after_a_restart() -> None:
    with open_folder() as folder:
        first = start_cloud(folder / "cloud")
        s3, _ = suspended(first, "kept")
        s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        for count in range(3):
            s3.put_object(Bucket="kept", Key="state", Body=b"%d" % count, Tagging=f"count={count}")
        s3.put_object(Bucket="kept", Key="removed", Body=b"once")
        s3.delete_object(Bucket="kept", Key="removed")
        before = seen(first)
        first.control("save", name="versions")
        s3.put_object(Bucket="kept", Key="state", Body=b"after the save")

        first.control("load", name="versions")
        loaded = seen(first)
        stop_cloud(first)
        second = start_cloud(folder / "cloud", first.port)
        restarted = seen(second)
        stop_cloud(second)

    assert [body for _, _, _, body, _ in before[0]] == [b"once", b"2", b"1", b"0", b"old"]
    assert (len(before[1]), loaded, restarted) == (1, before, before)
