"""Keys of volumes, snapshots and images: which one is taken, and what happens when it cannot be used."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud

BASE_IMAGE = "ami-0f000000000000001"
ZONE = "eu-west-1a"


def error_of(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = refusal.value.response["Error"]["Code"]
    return code


def volume(cloud: RunningCloud, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = cloud.client("ec2").create_volume(AvailabilityZone=ZONE, **{"Size": 1, **more})
    return made


def key(cloud: RunningCloud, region: str = "eu-west-1") -> str:
    arn: str = cloud.client("kms", region).create_key()["KeyMetadata"]["Arn"]
    return arn


def sealed_image(cloud: RunningCloud, name: str, arn: str) -> tuple[str, str]:
    """Return an image, and its snapshot, encrypted with a key."""
    ec2 = cloud.client("ec2")
    image: str = ec2.copy_image(
        Name=name, SourceImageId=BASE_IMAGE, SourceRegion="eu-west-1", Encrypted=True, KmsKeyId=arn
    )["ImageId"]
    deadline = time.monotonic() + 20
    while (found := ec2.describe_images(ImageIds=[image])["Images"][0])["State"] != "available":
        assert time.monotonic() < deadline, f"{image} stayed {found['State']}"
        time.sleep(0.1)
    return image, found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]


def test_the_default_key_of_a_region_is_used_until_it_is_reset(cloud: RunningCloud) -> None:
    ec2, arn = cloud.client("ec2"), key(cloud)

    before = ec2.get_ebs_default_kms_key_id()["KmsKeyId"]
    ec2.modify_ebs_default_kms_key_id(KmsKeyId=arn)
    used = volume(cloud, Encrypted=True)["KmsKeyId"]
    elsewhere = cloud.client("ec2", "eu-central-1").get_ebs_default_kms_key_id()["KmsKeyId"]
    ec2.reset_ebs_default_kms_key_id()

    assert (before, used, elsewhere) == ("alias/aws/ebs", arn, "alias/aws/ebs")
    assert ec2.get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"
    assert volume(cloud, Encrypted=True)["KmsKeyId"] != arn


def test_a_volume_of_an_encrypted_snapshot_has_the_snapshots_key(cloud: RunningCloud) -> None:
    arn = key(cloud)
    _, snapshot = sealed_image(cloud, "sealed-volume", arn)

    made = cloud.client("ec2").create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot)

    assert (made["Encrypted"], made["KmsKeyId"]) == (True, arn)


@pytest.mark.parametrize("harm", ["disable_key", "schedule_key_deletion"])
def test_an_instance_whose_image_cannot_be_decrypted_ends_at_once(cloud: RunningCloud, harm: str) -> None:
    ec2, arn = cloud.client("ec2"), key(cloud)
    image, _ = sealed_image(cloud, f"sealed-{harm}", arn)
    getattr(cloud.client("kms"), harm)(KeyId=arn)

    name = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro")["Instances"][0][
        "InstanceId"
    ]
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[name], WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    ended = ec2.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]
    assert ended["StateReason"]["Code"] == "Client.InvalidKMSKey.InvalidState"


def test_a_snapshot_of_a_volume_whose_key_is_disabled_is_refused(cloud: RunningCloud) -> None:
    ec2, arn = cloud.client("ec2"), key(cloud)
    made = volume(cloud, Encrypted=True, KmsKeyId=arn)["VolumeId"]
    cloud.client("kms").disable_key(KeyId=arn)

    with pytest.raises(ClientError) as refusal:
        ec2.create_snapshot(VolumeId=made)
    cloud.client("kms").enable_key(KeyId=arn)

    assert error_of(refusal) == "InvalidKmsKey.InvalidState"
    assert ec2.create_snapshot(VolumeId=made)["Encrypted"] is True
