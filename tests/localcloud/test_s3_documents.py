"""Bucket documents come back as they were put."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud


def bucket(cloud: RunningCloud, name: str) -> Any:
    s3 = cloud.client("s3")
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectLockEnabledForBucket=True,
    )
    return s3


def test_a_lifecycle_rule_keeps_the_fields_that_moto_loses(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "lifecycle")
    rule = {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "dumps/", "ObjectSizeGreaterThan": 1}},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 3},
    }

    s3.put_bucket_lifecycle_configuration(Bucket="lifecycle", LifecycleConfiguration={"Rules": [rule]})

    found = s3.get_bucket_lifecycle_configuration(Bucket="lifecycle")
    assert found["Rules"] == [rule]
    assert found["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"


def test_a_deleted_document_is_gone_also_for_a_new_bucket_of_that_name(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "gone")
    rules = [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
    s3.put_bucket_lifecycle_configuration(Bucket="gone", LifecycleConfiguration={"Rules": rules})
    s3.delete_bucket(Bucket="gone")
    bucket(cloud, "gone")

    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="gone")


def test_a_lifecycle_without_rules_is_refused(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "norules")

    with pytest.raises(ClientError):
        s3.put_bucket_lifecycle_configuration(Bucket="norules", LifecycleConfiguration={"Rules": []})


def test_object_lock_can_be_changed_while_the_bucket_holds_objects(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "locked")
    s3.put_object(Bucket="locked", Key="a", Body=b"x")
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}}}

    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=lock)

    assert s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"] == lock
    assert s3.get_object(Bucket="locked", Key="a")["Body"].read() == b"x"


def test_the_replica_of_a_secret_keeps_its_key(cloud: RunningCloud) -> None:
    secrets = cloud.client("secretsmanager")
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"

    secrets.create_secret(
        Name="replicated", SecretString="x", AddReplicaRegions=[{"Region": "eu-central-1", "KmsKeyId": key}]
    )

    status = secrets.describe_secret(SecretId="replicated")["ReplicationStatus"]
    assert [(entry["Region"], entry["KmsKeyId"]) for entry in status] == [("eu-central-1", key)]
