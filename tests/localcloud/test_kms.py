"""KMS keys whose state matters, to KMS itself and to what is encrypted with them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud


def key(cloud: RunningCloud, **asked: Any) -> str:
    return str(cloud.client("kms").create_key(**asked)["KeyMetadata"]["Arn"])


def code(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


def bucket(cloud: RunningCloud) -> str:
    name = f"sealed-{uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def test_a_disabled_key_serves_nobody_until_it_is_enabled_again(cloud: RunningCloud) -> None:
    kms, arn = cloud.client("kms"), key(cloud)
    sealed = kms.encrypt(KeyId=arn, Plaintext=b"secret")["CiphertextBlob"]
    kms.disable_key(KeyId=arn)

    for use in (
        lambda: kms.encrypt(KeyId=arn, Plaintext=b"x"),
        lambda: kms.decrypt(CiphertextBlob=sealed),
        lambda: kms.generate_data_key(KeyId=arn, KeySpec="AES_256"),
        lambda: kms.generate_data_key_without_plaintext(KeyId=arn, KeySpec="AES_256"),
        lambda: kms.re_encrypt(CiphertextBlob=sealed, DestinationKeyId=key(cloud)),
        lambda: kms.re_encrypt(
            CiphertextBlob=kms.encrypt(KeyId=key(cloud), Plaintext=b"x")["CiphertextBlob"], DestinationKeyId=arn
        ),
    ):
        with pytest.raises(ClientError) as refusal:
            use()
        assert code(refusal) == "DisabledException"
        assert refusal.value.response["Error"]["Message"] == f"{arn} is disabled."
    kms.enable_key(KeyId=arn)

    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"


def test_a_key_that_is_to_be_deleted_refuses_use_and_change_until_that_is_cancelled(cloud: RunningCloud) -> None:
    kms, arn = cloud.client("kms"), key(cloud)
    sealed = kms.encrypt(KeyId=arn, Plaintext=b"secret")["CiphertextBlob"]
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)

    for use in (
        lambda: kms.decrypt(CiphertextBlob=sealed),
        lambda: kms.generate_data_key(KeyId=arn, KeySpec="AES_256"),
        lambda: kms.enable_key(KeyId=arn),
        lambda: kms.disable_key(KeyId=arn),
        lambda: kms.schedule_key_deletion(KeyId=arn),
        lambda: kms.create_alias(AliasName="alias/doomed", TargetKeyId=arn),
    ):
        with pytest.raises(ClientError) as refusal:
            use()
        assert code(refusal) == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=arn)

    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=arn)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"


def test_a_key_is_refused_by_its_alias_too(cloud: RunningCloud) -> None:
    kms, arn = cloud.client("kms"), key(cloud)
    kms.create_alias(AliasName="alias/by-name", TargetKeyId=arn)
    kms.disable_key(KeyId=arn)

    with pytest.raises(ClientError) as refusal:
        kms.encrypt(KeyId="alias/by-name", Plaintext=b"x")

    assert code(refusal) == "DisabledException"


@pytest.mark.parametrize("days", [6, 31])
def test_a_waiting_time_that_aws_does_not_know_is_refused(cloud: RunningCloud, days: int) -> None:
    arn = key(cloud)

    with pytest.raises(ClientError) as refusal:
        cloud.client("kms").schedule_key_deletion(KeyId=arn, PendingWindowInDays=days)

    assert code(refusal) == "ValidationException"
    assert cloud.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"


def test_a_rotation_period_is_kept_and_one_out_of_range_refused(cloud: RunningCloud) -> None:
    kms, arn = cloud.client("kms"), key(cloud)

    kms.enable_key_rotation(KeyId=arn, RotationPeriodInDays=180)

    assert kms.get_key_rotation_status(KeyId=arn)["RotationPeriodInDays"] == 180
    with pytest.raises(ClientError, match="between 90 and 2560"):
        cloud.client("kms", parameter_validation=False).enable_key_rotation(KeyId=arn, RotationPeriodInDays=30)
    kms.disable_key_rotation(KeyId=arn)
    assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] is False


def test_a_replica_keeps_its_primary_a_primary_and_has_a_state_of_its_own(cloud: RunningCloud) -> None:
    kms, there = cloud.client("kms"), cloud.client("kms", "eu-central-1")
    made = kms.create_key(MultiRegion=True, Description="first")["KeyMetadata"]
    sealed = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"secret")["CiphertextBlob"]

    kms.replicate_key(KeyId=made["KeyId"], ReplicaRegion="eu-central-1", Description="second")
    kms.disable_key(KeyId=made["KeyId"])

    primary = kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
    replica = there.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
    assert primary["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    assert replica["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert (primary["Description"], replica["Description"]) == ("first", "second")
    assert (primary["KeyState"], replica["KeyState"]) == ("Disabled", "Enabled")
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"


@pytest.mark.parametrize(
    ("harm", "expected"),
    [("disable_key", "KMS.DisabledException"), ("schedule_key_deletion", "KMS.KMSInvalidStateException")],
)
def test_s3_neither_writes_nor_reads_under_a_key_that_cannot_be_used(
    cloud: RunningCloud, harm: str, expected: str
) -> None:
    kms, s3, arn, name = cloud.client("kms"), cloud.client("s3"), key(cloud), bucket(cloud)
    s3.put_object(Bucket=name, Key="plain", Body=b"x")
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [default]})
    s3.put_object(Bucket=name, Key="sealed", Body=b"x")
    getattr(kms, harm)(KeyId=arn)

    for use in (
        lambda: s3.get_object(Bucket=name, Key="sealed"),
        lambda: s3.put_object(Bucket=name, Key="new", Body=b"x"),
        lambda: s3.create_multipart_upload(Bucket=name, Key="new"),
        lambda: s3.copy_object(
            Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "sealed"}, ServerSideEncryption="AES256"
        ),
    ):
        with pytest.raises(ClientError) as refusal:
            use()
        assert code(refusal) == expected

    assert s3.get_object(Bucket=name, Key="plain")["Body"].read() == b"x"
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=name)["Contents"]] == ["plain", "sealed"]


def test_s3_does_not_write_under_a_key_that_does_not_exist(cloud: RunningCloud) -> None:
    name, nobody = bucket(cloud), "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"

    with pytest.raises(ClientError) as refusal:
        cloud.client("s3").put_object(
            Bucket=name, Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=nobody
        )

    assert code(refusal) == "KMS.NotFoundException"


@pytest.mark.parametrize("harm", ["disable_key", "schedule_key_deletion"])
def test_ebs_neither_makes_volumes_nor_copies_snapshots_under_a_key_that_cannot_be_used(
    cloud: RunningCloud, harm: str
) -> None:
    ec2, arn = cloud.client("ec2"), key(cloud)
    asked = {"AvailabilityZone": "eu-west-1a", "Size": 1, "Encrypted": True}
    plain = ec2.create_volume(**asked)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=plain)["SnapshotId"]
    volumes = ec2.describe_volumes()["Volumes"]
    getattr(cloud.client("kms"), harm)(KeyId=arn)

    for use in (
        lambda: ec2.create_volume(**asked, KmsKeyId=arn),
        lambda: ec2.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=snapshot, Encrypted=True, KmsKeyId=arn),
    ):
        with pytest.raises(ClientError) as refusal:
            use()
        assert code(refusal) == "InvalidKmsKey.InvalidState"

    assert ec2.describe_volumes()["Volumes"] == volumes


@pytest.mark.parametrize("harm", ["disable_key", "schedule_key_deletion"])
def test_rds_makes_no_database_under_a_key_that_cannot_be_used(cloud: RunningCloud, harm: str) -> None:
    rds, arn = cloud.client("rds"), key(cloud)
    getattr(cloud.client("kms"), harm)(KeyId=arn)

    with pytest.raises(ClientError) as refusal:
        rds.create_db_instance(
            DBInstanceIdentifier="sealed",
            DBInstanceClass="db.t3.micro",
            Engine="postgres",
            MasterUsername="app",
            MasterUserPassword="not-a-secret",
            AllocatedStorage=20,
            StorageEncrypted=True,
            KmsKeyId=arn,
        )

    assert code(refusal) == "KMSKeyNotAccessibleFault"
    assert rds.describe_db_instances()["DBInstances"] == []
