"""Data Lifecycle Manager: what policies do on a tick, and what AWS refuses."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud

PRIMARY, DR = "eu-west-1", "eu-central-1"
BASE_IMAGE = "ami-0f000000000000001"
ROLE = "arn:aws:iam::123456789012:role/dlm"
SNAPSHOTS: dict[str, Any] = {
    "PolicyType": "EBS_SNAPSHOT_MANAGEMENT",
    "ResourceTypes": ["VOLUME"],
    "TargetTags": [{"Key": "protect", "Value": "snapshots"}],
    "Schedules": [
        {
            "Name": "daily",
            "CopyTags": True,
            "TagsToAdd": [{"Key": "made-by", "Value": "dlm"}],
            "CreateRule": {"Interval": 24, "IntervalUnit": "HOURS", "Times": ["03:00"]},
            "RetainRule": {"Count": 2},
            "CrossRegionCopyRules": [
                {
                    "Target": DR,
                    "Encrypted": False,
                    "CopyTags": True,
                    "RetainRule": {"Interval": 7, "IntervalUnit": "DAYS"},
                }
            ],
        }
    ],
}
IMAGES: dict[str, Any] = {
    "PolicyType": "IMAGE_MANAGEMENT",
    "ResourceTypes": ["INSTANCE"],
    "TargetTags": [{"Key": "protect", "Value": "images"}],
    "Parameters": {"NoReboot": True},
    "Schedules": [
        {
            "Name": "monthly",
            "CopyTags": True,
            "CreateRule": {"CronExpression": "cron(0 4 1 * ? *)"},
            "RetainRule": {"Count": 2},
            "DeprecateRule": {"Count": 1},
            "CrossRegionCopyRules": [
                {
                    "Target": DR,
                    "Encrypted": False,
                    "CopyTags": True,
                    "DeprecateRule": {"Interval": 1, "IntervalUnit": "MONTHS"},
                }
            ],
        }
    ],
}


def changed(details: dict[str, Any], **schedule: Any) -> dict[str, Any]:
    """Return policy details with some parts of the first schedule replaced; None drops one."""
    result = copy.deepcopy(details)
    for key, value in schedule.items():
        result["Schedules"][0][key] = value
        if value is None:
            del result["Schedules"][0][key]
    return result


@pytest.fixture(scope="module", autouse=True)
def role(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "dlm.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="dlm", AssumeRolePolicyDocument=document)
    for name in ("AWSDataLifecycleManagerServiceRole", "AWSDataLifecycleManagerServiceRoleForAMIManagement"):
        iam.attach_role_policy(RoleName="dlm", PolicyArn=f"arn:aws:iam::aws:policy/service-role/{name}")
    iam.create_role(RoleName="powerless", AssumeRolePolicyDocument=document)


def create(cloud: RunningCloud, details: dict[str, Any], **others: Any) -> str:
    asked = {"ExecutionRoleArn": ROLE, "Description": "of a test", "State": "ENABLED", **others}
    dlm = cloud.client("dlm", parameter_validation=False)  # what boto3 would refuse before AWS does
    return str(dlm.create_lifecycle_policy(PolicyDetails=details, **asked)["PolicyId"])


def made_by(cloud: RunningCloud, policy: str, region: str = PRIMARY) -> list[dict[str, Any]]:
    filters = [{"Name": "tag:aws:dlm:lifecycle-policy-id", "Values": [policy]}]
    found = cloud.client("ec2", region).describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return sorted(found, key=lambda snapshot: str(snapshot["SnapshotId"]))


def tags_of(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing["Tags"]}


def test_a_policy_reads_back_as_it_was_written_with_aws_defaults(cloud: RunningCloud) -> None:
    dlm = cloud.client("dlm")
    policy_id = create(cloud, SNAPSHOTS, Tags={"team": "ops"}, State="DISABLED")

    policy = dlm.get_lifecycle_policy(PolicyId=policy_id)["Policy"]

    expected = copy.deepcopy(SNAPSHOTS)
    expected["Schedules"][0]["CreateRule"]["Location"] = "CLOUD"
    assert policy["PolicyDetails"] == {**expected, "ResourceLocations": ["CLOUD"], "PolicyLanguage": "STANDARD"}
    assert (policy["State"], policy["Tags"]) == ("DISABLED", {"team": "ops"})
    dlm.tag_resource(ResourceArn=policy["PolicyArn"], Tags={"owner": "me"})
    dlm.untag_resource(ResourceArn=policy["PolicyArn"], TagKeys=["team"])
    assert dlm.list_tags_for_resource(ResourceArn=policy["PolicyArn"])["Tags"] == {"owner": "me"}
    dlm.update_lifecycle_policy(PolicyId=policy_id, Description="changed", State="ENABLED")
    assert dlm.get_lifecycle_policy(PolicyId=policy_id)["Policy"]["Description"] == "changed"
    listed = dlm.get_lifecycle_policies(TargetTags=["protect=snapshots"], State="ENABLED")["Policies"]
    assert [policy["PolicyId"] for policy in listed] == [policy_id]
    assert dlm.get_lifecycle_policies(TargetTags=["protect=other"])["Policies"] == []
    dlm.delete_lifecycle_policy(PolicyId=policy_id)
    with pytest.raises(ClientError, match=r"ResourceNotFoundException.*Unable to find lifecycle policy"):
        dlm.get_lifecycle_policy(PolicyId=policy_id)


def test_a_daily_tick_takes_copies_and_expires_snapshots(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    tags = [{"Key": "protect", "Value": "snapshots"}, {"Key": "Name", "Value": "data"}]
    volume = ec2.create_volume(
        AvailabilityZone="eu-west-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)
    policy = create(cloud, SNAPSHOTS)

    lines = cloud.control("tick", schedule="daily")["fired"]

    (snapshot,) = made_by(cloud, policy)
    (copied,) = made_by(cloud, policy, DR)
    assert [line for line in lines if policy in line] == [
        f"DLM {policy} (daily): snapshot {snapshot['SnapshotId']} of {volume}",
        f"DLM {policy} (daily): snapshot {copied['SnapshotId']} in {DR}, a copy of {snapshot['SnapshotId']}",
    ]
    assert snapshot["VolumeId"] == volume
    assert tags_of(snapshot) == {
        "protect": "snapshots",
        "Name": "data",
        "made-by": "dlm",
        "dlm:managed": "true",
        "aws:dlm:lifecycle-policy-id": policy,
        "aws:dlm:lifecycle-schedule-name": "daily",
    }
    assert tags_of(copied) == tags_of(snapshot)
    cloud.control("tick", schedule="monthly")
    assert len(made_by(cloud, policy)) == 1
    for _ in range(2):
        cloud.control("tick", schedule="daily")
    kept = [found["SnapshotId"] for found in made_by(cloud, policy)]
    assert len(kept) == 2
    assert snapshot["SnapshotId"] not in kept
    assert len(made_by(cloud, policy, DR)) == 3  # kept by age, a week
    cloud.client("dlm").delete_lifecycle_policy(PolicyId=policy)


def test_a_disabled_policy_and_an_untagged_volume_are_left_alone(cloud: RunningCloud) -> None:
    policy = create(cloud, SNAPSHOTS, State="DISABLED")

    lines = cloud.control("tick", schedule="daily")["fired"]

    assert [line for line in lines if policy in line] == []
    cloud.client("dlm").delete_lifecycle_policy(PolicyId=policy)


def test_a_monthly_tick_makes_images_of_tagged_instances_and_their_copies(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    tags = [{"Key": "protect", "Value": "images"}]
    specification = [{"ResourceType": "instance", "Tags": tags}]
    instance = ec2.run_instances(ImageId=BASE_IMAGE, MinCount=1, MaxCount=1, TagSpecifications=specification)
    instance_id = instance["Instances"][0]["InstanceId"]
    policy = create(cloud, IMAGES)

    for _ in range(3):
        cloud.control("tick", schedule="monthly")
    cloud.control("tick", schedule="daily")

    filters = [{"Name": "tag:aws:dlm:lifecycle-policy-id", "Values": [policy]}]
    for region in (PRIMARY, DR):
        images = cloud.client("ec2", region).describe_images(Owners=["self"], Filters=filters)["Images"]
        assert len(images) == 2
        assert all(found["Name"].startswith(f"{policy}_{instance_id}_") for found in images)
        assert tags_of(images[0])["protect"] == "images"
        # All but the newest here by count, every copy there by age.
        assert len([found for found in images if "DeprecationTime" in found]) == (1 if region == PRIMARY else 2)
    cloud.client("dlm").delete_lifecycle_policy(PolicyId=policy)


def test_an_image_cannot_be_deprecated_in_the_past_or_when_absent(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    image = ec2.copy_image(SourceRegion=PRIMARY, SourceImageId=BASE_IMAGE, Name="aged")["ImageId"]

    with pytest.raises(ClientError, match=r"InvalidParameterValue.*must be in the future"):
        ec2.enable_image_deprecation(ImageId=image, DeprecateAt="2020-01-01T00:00:00Z")
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        ec2.enable_image_deprecation(ImageId="ami-0123456789abcdef0", DeprecateAt="2090-01-01T00:00:00Z")

    ec2.enable_image_deprecation(ImageId=image, DeprecateAt="2090-01-01T00:00:30Z")
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["DeprecationTime"] == "2090-01-01T00:00:00.000Z"
    ec2.disable_image_deprecation(ImageId=image)
    assert "DeprecationTime" not in ec2.describe_images(ImageIds=[image])["Images"][0]


def test_a_role_that_may_not_puts_the_policy_in_error_and_a_mended_one_recovers(cloud: RunningCloud) -> None:
    dlm, sqs, bus = cloud.client("dlm"), cloud.client("sqs"), cloud.client("events")
    queue = sqs.create_queue(QueueName="errors")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.dlm"], "detail-type": ["DLM Policy State Change"], "detail": {"state": ["ERROR"]}}
    bus.put_rule(Name="errors", EventPattern=json.dumps(pattern))
    bus.put_targets(Rule="errors", Targets=[{"Id": "queue", "Arn": arn}])
    policy = create(cloud, SNAPSHOTS, ExecutionRoleArn="arn:aws:iam::123456789012:role/powerless")

    lines = cloud.control("tick", schedule="daily")["fired"]

    found = dlm.get_lifecycle_policy(PolicyId=policy)["Policy"]
    reason = "The role arn:aws:iam::123456789012:role/powerless is not authorized to perform ec2:CreateSnapshot."
    assert (found["State"], found["StatusMessage"]) == ("ERROR", reason)
    assert [line for line in lines if policy in line] == [f"DLM {policy} (daily): ERROR {reason}"]
    assert made_by(cloud, policy) == []
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["detail"]["cause"] == reason
    dlm.update_lifecycle_policy(PolicyId=policy, ExecutionRoleArn=ROLE)
    cloud.control("tick", schedule="daily")
    assert dlm.get_lifecycle_policy(PolicyId=policy)["Policy"]["State"] == "ENABLED"
    dlm.delete_lifecycle_policy(PolicyId=policy)


def test_a_role_that_does_not_exist_puts_the_policy_in_error(cloud: RunningCloud) -> None:
    policy = create(cloud, SNAPSHOTS, ExecutionRoleArn="arn:aws:iam::123456789012:role/absent")

    cloud.control("tick", schedule="daily")

    found = cloud.client("dlm").get_lifecycle_policy(PolicyId=policy)["Policy"]
    assert found["State"] == "ERROR"
    assert found["StatusMessage"] == "The role arn:aws:iam::123456789012:role/absent cannot be assumed by DLM."
    cloud.client("dlm").delete_lifecycle_policy(PolicyId=policy)


BY_AGE = {"Interval": 1, "IntervalUnit": "MONTHS"}


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (changed(SNAPSHOTS, CreateRule=None), "Schedule daily needs a CreateRule."),
        (
            changed(
                SNAPSHOTS,
                CreateRule={"Interval": 24, "IntervalUnit": "HOURS", "CronExpression": "cron(0 3 * * ? *)"},
            ),
            "exactly one of Interval and CronExpression",
        ),
        (changed(SNAPSHOTS, CreateRule={"Interval": 5, "IntervalUnit": "HOURS"}), "1, 2, 3, 4, 6, 8, 12 or 24 HOURS"),
        (changed(SNAPSHOTS, CreateRule={"CronExpression": "every day"}), "CronExpression of schedule daily"),
        (changed(SNAPSHOTS, CreateRule={"Interval": 24, "IntervalUnit": "HOURS", "Times": ["3:00"]}), "hh:mm"),
        (changed(SNAPSHOTS, RetainRule=None), "Schedule daily needs a RetainRule."),
        (changed(SNAPSHOTS, RetainRule={"Count": 2, **BY_AGE}), "exactly one of Count and Interval"),
        (changed(SNAPSHOTS, RetainRule={"Count": 1001}), "must be 1 to 1000"),
        (changed(SNAPSHOTS, DeprecateRule={"Count": 1}), "only allowed in IMAGE_MANAGEMENT"),
        (changed(IMAGES, DeprecateRule={"Count": 3}), "must not be longer than its RetainRule"),
        (changed(IMAGES, DeprecateRule=BY_AGE), "both be by count or both by age"),
        ({**IMAGES, "ResourceTypes": ["VOLUME"]}, "can only target INSTANCE"),
        ({**SNAPSHOTS, "TargetTags": []}, "TargetTags is required"),
        ({**SNAPSHOTS, "Schedules": []}, "one to four Schedules"),
        ({**SNAPSHOTS, "Schedules": SNAPSHOTS["Schedules"] * 2}, "Schedule names must be unique"),
        ({**SNAPSHOTS, "Parameters": {"NoReboot": True}}, "NoReboot is only allowed"),
        ({**SNAPSHOTS, "Parameters": {"ExcludeBootVolume": True}}, "ExcludeBootVolume is only allowed"),
        (changed(SNAPSHOTS, TagsToAdd=[{"Key": "aws:x", "Value": "y"}]), "do not start with aws:"),
        (changed(SNAPSHOTS, CrossRegionCopyRules=[{"Target": "nowhere", "Encrypted": False}]), "is not a region"),
        (changed(SNAPSHOTS, CrossRegionCopyRules=[{"Target": PRIMARY, "Encrypted": False}]), "another region"),
        (
            changed(
                SNAPSHOTS,
                CrossRegionCopyRules=[{"Target": DR, "Encrypted": False, "CmkArn": f"arn:aws:kms:{DR}:1:key/x"}],
            ),
            "CmkArn of schedule daily needs Encrypted",
        ),
        (
            changed(
                SNAPSHOTS,
                CrossRegionCopyRules=[{"Target": DR, "Encrypted": True, "CmkArn": f"arn:aws:kms:{PRIMARY}:1:key/x"}],
            ),
            f"must be a key in {DR}",
        ),
        (changed(SNAPSHOTS, CrossRegionCopyRules=[{"Target": DR, "Encrypted": False}] * 2), "same region twice"),
        (
            {
                **SNAPSHOTS,
                "Schedules": [
                    *SNAPSHOTS["Schedules"],
                    {**SNAPSHOTS["Schedules"][0], "Name": "weekly", "RetainRule": BY_AGE},
                ],
            },
            "same retention type",
        ),
    ],
)
def test_what_aws_refuses_is_refused(cloud: RunningCloud, details: dict[str, Any], reason: str) -> None:
    before = len(cloud.client("dlm").get_lifecycle_policies()["Policies"])

    with pytest.raises(ClientError, match="InvalidRequestException") as refusal:
        create(cloud, details)

    assert reason in refusal.value.response["Error"]["Message"]
    assert len(cloud.client("dlm").get_lifecycle_policies()["Policies"]) == before


def test_a_policy_keeps_its_kind_and_its_schedules_their_retention_type(cloud: RunningCloud) -> None:
    dlm = cloud.client("dlm")
    policy = create(cloud, SNAPSHOTS, State="DISABLED")

    with pytest.raises(ClientError, match="The retention type of schedule daily cannot be changed"):
        dlm.update_lifecycle_policy(PolicyId=policy, PolicyDetails=changed(SNAPSHOTS, RetainRule=BY_AGE))
    with pytest.raises(ClientError, match="resource type of a policy cannot be changed"):
        dlm.update_lifecycle_policy(PolicyId=policy, PolicyDetails={**SNAPSHOTS, "ResourceTypes": ["INSTANCE"]})

    dlm.delete_lifecycle_policy(PolicyId=policy)


def test_what_is_not_built_says_so(cloud: RunningCloud) -> None:
    rule = {"Count": 1, "AvailabilityZones": ["eu-west-1a"]}

    with pytest.raises(ClientError, match=r"LocalCloudNotImplemented.*FastRestoreRule"):
        create(cloud, changed(SNAPSHOTS, FastRestoreRule=rule))
