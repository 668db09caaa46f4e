"""Bucket policies are obeyed with their conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud


def bucket_with(cloud: RunningCloud, name: str, *statements: dict[str, Any]) -> Any:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"], **rest}
            for rest in statements
        ],
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document))
    return s3


def test_a_deny_of_plain_transport_does_not_deny_everything(cloud: RunningCloud) -> None:
    s3 = bucket_with(cloud, "tls", {"Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})

    s3.put_object(Bucket="tls", Key="a", Body=b"x")

    assert s3.get_object(Bucket="tls", Key="a")["Body"].read() == b"x"


def test_a_version_cannot_be_deleted_by_other_than_the_break_glass_role(cloud: RunningCloud) -> None:
    denial = {
        "Action": "s3:DeleteObjectVersion",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/break-glass"}},
    }
    s3 = bucket_with(cloud, "kept", denial)
    version = s3.put_object(Bucket="kept", Key="a", Body=b"x")["VersionId"]

    with pytest.raises(ClientError, match="s3:DeleteObjectVersion"):
        s3.delete_object(Bucket="kept", Key="a", VersionId=version)
    errors = s3.delete_objects(Bucket="kept", Delete={"Objects": [{"Key": "a", "VersionId": version}]})["Errors"]
    s3.delete_object(Bucket="kept", Key="a")

    assert [error["Code"] for error in errors] == ["AccessDenied"]
    assert [v["VersionId"] for v in s3.list_object_versions(Bucket="kept")["Versions"]] == [version]


def test_the_wrong_encryption_is_denied_and_the_right_one_passes(cloud: RunningCloud) -> None:
    denial = {
        "Action": "s3:PutObject",
        "Condition": {"StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption": "aws:kms"}},
    }
    s3 = bucket_with(cloud, "sealed", denial)

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="sealed", Key="a", Body=b"x", ServerSideEncryption="AES256")
    s3.put_object(Bucket="sealed", Key="b", Body=b"x", ServerSideEncryption="aws:kms")

    assert [o["Key"] for o in s3.list_objects_v2(Bucket="sealed")["Contents"]] == ["b"]


def test_an_operator_that_is_not_judged_is_refused_not_ignored(cloud: RunningCloud) -> None:
    s3 = bucket_with(cloud, "odd", {"Action": "s3:*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}})

    with pytest.raises(ClientError, match="does not judge the condition operator IpAddress"):
        s3.put_object(Bucket="odd", Key="a", Body=b"x")
