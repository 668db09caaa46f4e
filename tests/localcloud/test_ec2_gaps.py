"""EC2 where moto is silent: monitoring, account defaults, pages, descriptions of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud


def code(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def ec2(cloud: RunningCloud) -> Any:
    return cloud.client("ec2")


@pytest.fixture(scope="module")
def snapshots(ec2: Any) -> list[str]:
    volumes = [ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"] for _ in range(12)]
    made = [ec2.create_snapshot(VolumeId=volume)["SnapshotId"] for volume in volumes]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=made, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return made


def test_monitoring_is_switched_on_and_off_and_only_of_what_exists(cloud: RunningCloud, ec2: Any) -> None:
    instance = ec2.run_instances(ImageId="ami-0f000000000000001", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]

    def shown() -> str:
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return str(found["Monitoring"]["State"])

    on = ec2.monitor_instances(InstanceIds=[instance])["InstanceMonitorings"]
    state = shown()
    ec2.unmonitor_instances(InstanceIds=[instance])

    assert on == [{"InstanceId": instance, "Monitoring": {"State": "enabled"}}]
    assert (state, shown()) == ("enabled", "disabled")
    with pytest.raises(ClientError) as refusal:
        ec2.monitor_instances(InstanceIds=["i-00000000000000000"])
    assert code(refusal) == "InvalidInstanceID.NotFound"


def test_the_default_key_of_volumes_is_kept_by_region_and_must_be_usable(cloud: RunningCloud, ec2: Any) -> None:
    kms = cloud.client("kms")
    key, off = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.disable_key(KeyId=off)
    first = ec2.get_ebs_default_kms_key_id()["KmsKeyId"]

    ec2.modify_ebs_default_kms_key_id(KmsKeyId=key)
    with pytest.raises(ClientError) as refusal:
        ec2.modify_ebs_default_kms_key_id(KmsKeyId=off)

    assert (first, ec2.get_ebs_default_kms_key_id()["KmsKeyId"]) == ("alias/aws/ebs", key)
    assert cloud.client("ec2", "eu-central-1").get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"
    assert code(refusal) == "InvalidKmsKey.InvalidState"
    assert ec2.reset_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"


def test_encryption_by_default_is_read_back(ec2: Any) -> None:
    before = ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"]

    ec2.enable_ebs_encryption_by_default()

    assert (before, ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"]) == (False, True)
    ec2.disable_ebs_encryption_by_default()


def test_blocked_snapshots_cannot_be_shared_with_everybody(ec2: Any, snapshots: list[str]) -> None:
    share = {
        "SnapshotId": snapshots[0],
        "Attribute": "createVolumePermission",
        "OperationType": "add",
        "GroupNames": ["all"],
    }

    ec2.enable_snapshot_block_public_access(State="block-all-sharing")
    with pytest.raises(ClientError) as refusal:
        ec2.modify_snapshot_attribute(**share)
    blocked = ec2.get_snapshot_block_public_access_state()["State"]
    ec2.disable_snapshot_block_public_access()
    ec2.modify_snapshot_attribute(**share)

    assert code(refusal) == "OperationNotPermitted"
    assert (blocked, ec2.get_snapshot_block_public_access_state()["State"]) == ("block-all-sharing", "unblocked")


def test_images_are_blocked_from_the_start(ec2: Any) -> None:
    first = ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"]

    ec2.disable_image_block_public_access()

    assert (first, ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"]) == (
        "block-new-sharing", "unblocked",
    )  # fmt: skip
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    with pytest.raises(ClientError) as refusal:
        ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-everything")
    assert code(refusal) == "InvalidParameterValue"


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_a_rule_between_groups_keeps_its_description(ec2: Any, direction: str) -> None:
    network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group, other = (
        ec2.create_security_group(GroupName=f"{name}-{direction}", Description="x", VpcId=network)["GroupId"]
        for name in ("a", "b")
    )
    pair = {"GroupId": other, "Description": "the application reads its database"}
    permission = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [pair]}

    getattr(ec2, f"authorize_security_group_{direction}")(GroupId=group, IpPermissions=[permission])

    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert [rule["Description"] for rule in rules if rule.get("FromPort") == 5432] == [pair["Description"]]


def test_snapshots_and_volumes_come_in_pages_without_loss_or_repetition(ec2: Any, snapshots: list[str]) -> None:
    for operation, member, name in (
        ("describe_snapshots", "Snapshots", "SnapshotId"),
        ("describe_volumes", "Volumes", "VolumeId"),
    ):
        whole = getattr(ec2, operation)()[member]
        pages = list(ec2.get_paginator(operation).paginate(PaginationConfig={"PageSize": 5}))

        assert max(len(page[member]) for page in pages) == 5
        found = [entry[name] for page in pages for entry in page[member]]
        assert sorted(found) == sorted(entry[name] for entry in whole)
        assert len(found) >= len(snapshots)


def test_what_is_made_between_two_pages_repeats_nothing(ec2: Any, snapshots: list[str]) -> None:
    first = ec2.describe_snapshots(OwnerIds=["self"], MaxResults=5)
    ec2.delete_snapshot(SnapshotId=first["Snapshots"][0]["SnapshotId"])

    second = ec2.describe_snapshots(OwnerIds=["self"], MaxResults=5, NextToken=first["NextToken"])

    ids = [entry["SnapshotId"] for entry in [*first["Snapshots"], *second["Snapshots"]]]
    assert len(ids) == len(set(ids)) == 10
    snapshots.remove(ids[0])


def test_images_come_in_pages_too(ec2: Any, snapshots: list[str]) -> None:
    for snapshot in snapshots[:4]:
        disk = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}]
        ec2.register_image(Name=f"of-{snapshot}", RootDeviceName="/dev/xvda", BlockDeviceMappings=disk)

    pages = list(ec2.get_paginator("describe_images").paginate(PaginationConfig={"PageSize": 2}))

    assert max(len(page["Images"]) for page in pages) == 2
    found = [image["ImageId"] for page in pages for image in page["Images"]]
    assert len(found) == len(set(found)) == len(ec2.describe_images()["Images"])


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda ec2: ec2.describe_snapshots(MaxResults=4), "InvalidParameterValue"),
        (lambda ec2: ec2.describe_volumes(NextToken="no such page"), "InvalidParameterValue"),
        (
            lambda ec2: ec2.describe_snapshots(SnapshotIds=["snap-00000000000000000"], MaxResults=5),
            "InvalidParameterCombination",
        ),
    ],
)
def test_pages_that_aws_does_not_cut_are_refused(ec2: Any, ask: Callable[[Any], Any], expected: str) -> None:
    with pytest.raises(ClientError) as refusal:
        ask(ec2)

    assert code(refusal) == expected
