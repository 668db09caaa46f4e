"""Bucket documents come back as they were put."""

from __future__ import annotations

import json
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


def test_an_unreadable_lifecycle_is_refused_and_the_old_one_stays(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "kept-rules")
    good = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 60}}
    s3.put_bucket_lifecycle_configuration(Bucket="kept-rules", LifecycleConfiguration={"Rules": [good]})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({**good, "Expiration": {"Days": 0}}, "InvalidArgument"),
        ({**good, "Expiration": {"Days": 60, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
        ({**good, "Transitions": [{"Days": 7, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument"),
        ({**good, "Transitions": [{"Days": 90, "StorageClass": "GLACIER"}]}, "InvalidArgument"),
        ({"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}}, "InvalidRequest"),
    ]

    codes = []
    for rule, _ in wrong:
        with pytest.raises(ClientError) as refusal:
            s3.put_bucket_lifecycle_configuration(Bucket="kept-rules", LifecycleConfiguration={"Rules": [rule]})
        codes.append(refusal.value.response["Error"]["Code"])
    with pytest.raises(ClientError, match="Rule ID must be unique"):
        s3.put_bucket_lifecycle_configuration(Bucket="kept-rules", LifecycleConfiguration={"Rules": [good, good]})

    assert codes == [code for _, code in wrong]
    assert s3.get_bucket_lifecycle_configuration(Bucket="kept-rules")["Rules"] == [good]


def test_a_notification_to_a_topic_that_does_not_exist_is_refused(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "notifying")
    topic = cloud.client("sns").create_topic(Name="uploads")["TopicArn"]
    entry = {"Id": "a", "TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
    wanted = {"TopicConfigurations": [entry], "EventBridgeConfiguration": {}}

    s3.put_bucket_notification_configuration(Bucket="notifying", NotificationConfiguration=wanted)
    with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
        s3.put_bucket_notification_configuration(
            Bucket="notifying",
            NotificationConfiguration={"TopicConfigurations": [{**entry, "TopicArn": topic + "-none"}]},
        )

    found = s3.get_bucket_notification_configuration(Bucket="notifying")
    assert {name: found[name] for name in wanted} == wanted


def test_a_tiering_configuration_comes_back_until_it_is_deleted(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "tiering")
    wanted = {"Id": "old", "Status": "Enabled", "Tierings": [{"Days": 180, "AccessTier": "DEEP_ARCHIVE_ACCESS"}]}

    s3.put_bucket_intelligent_tiering_configuration(Bucket="tiering", Id="old", IntelligentTieringConfiguration=wanted)
    found = s3.get_bucket_intelligent_tiering_configuration(Bucket="tiering", Id="old")
    s3.delete_bucket_intelligent_tiering_configuration(Bucket="tiering", Id="old")

    assert found["IntelligentTieringConfiguration"] == wanted
    with pytest.raises(ClientError, match="NoSuchConfiguration"):
        s3.get_bucket_intelligent_tiering_configuration(Bucket="tiering", Id="old")


def test_a_document_is_not_written_past_the_policy_of_the_bucket(cloud: RunningCloud) -> None:
    s3 = bucket(cloud, "guarded-rules")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutLifecycleConfiguration", "Resource": "*"}
    s3.put_bucket_policy(Bucket="guarded-rules", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    rule = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_bucket_lifecycle_configuration(Bucket="guarded-rules", LifecycleConfiguration={"Rules": [rule]})

    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="guarded-rules")
