"""What AWS Backup does to each type of resource: find it, take it, copy it, restore it, delete the result."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.services.backup_shifts import awaited


class JobFailed(Exception):
    """A job ends as FAILED; the text becomes its status message."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Something that can be backed up."""

    arn: str
    type: str
    name: str
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a backup or copy made: the ARN it is listed under, its size, and how to restore it."""

    arn: str
    size_bytes: int
    metadata: dict[str, str] = field(default_factory=dict)
    contents: Any = None
    encrypted: bool = True


# What the job's role must allow, by resource type: (take, copy, restore).
ACTIONS = {
    "RDS": ("rds:CreateDBSnapshot", "rds:CopyDBSnapshot", "rds:RestoreDBInstanceFromDBSnapshot"),
    "EC2": ("ec2:CreateImage", "ec2:CopyImage", "ec2:RunInstances"),
    "EBS": ("ec2:CreateSnapshot", "ec2:CopySnapshot", "ec2:CreateVolume"),
    "DynamoDB": ("dynamodb:CreateBackup", "backup:CopyIntoBackupVault", "dynamodb:RestoreTableFromBackup"),
    "S3": ("s3:GetObjectVersion", "backup:CopyIntoBackupVault", "s3:PutObject"),
}
_SERVICES = {
    "RDS": r"arn:aws:rds:([\w-]+):\d+:db:(.+)",
    "EC2": r"arn:aws:ec2:([\w-]+):\d*:instance/(.+)",
    "EBS": r"arn:aws:ec2:([\w-]+):\d*:volume/(.+)",
    "DynamoDB": r"arn:aws:dynamodb:([\w-]+):\d+:table/([^/]+)",
    "S3": r"arn:aws:s3:()::(.+)",
}


def split(resource_arn: str) -> tuple[str, str]:
    """Return type and id of a resource's ARN; raises ValueError for what AWS Backup does not protect here."""
    for kind, pattern in _SERVICES.items():
        match = re.fullmatch(pattern, resource_arn)
        if match is not None:
            return kind, match.group(2)
    raise ValueError(f"{resource_arn} is not the ARN of a supported resource")


# -- finding -----------------------------------------------------------------------------------------------------------


def everything(cloud: Cloud, region: str) -> Iterator[Resource]:
    """Yield every resource of a region that can be backed up here, with its tags."""
    for page in cloud.client("rds", region).get_paginator("describe_db_instances").paginate():
        for found in page["DBInstances"]:
            name = found["DBInstanceIdentifier"]
            yield Resource(arn=found["DBInstanceArn"], type="RDS", name=name, tags=_tags(found.get("TagList")))
    ec2 = cloud.client("ec2", region)
    for page in ec2.get_paginator("describe_instances").paginate():
        for found in (instance for reservation in page["Reservations"] for instance in reservation["Instances"]):
            if found["State"]["Name"] in ("running", "stopped"):
                yield _ec2_resource(region, "EC2", f"instance/{found['InstanceId']}", found)
    for page in ec2.get_paginator("describe_volumes").paginate():
        for found in page["Volumes"]:
            yield _ec2_resource(region, "EBS", f"volume/{found['VolumeId']}", found)
    dynamodb = cloud.client("dynamodb", region)
    for page in dynamodb.get_paginator("list_tables").paginate():
        for name in page["TableNames"]:
            table_arn = f"arn:aws:dynamodb:{region}:{ACCOUNT_ID}:table/{name}"
            tags = _tags(dynamodb.list_tags_of_resource(ResourceArn=table_arn)["Tags"])
            yield Resource(arn=table_arn, type="DynamoDB", name=name, tags=tags)
    s3 = cloud.client("s3", region)
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        if (s3.get_bucket_location(Bucket=name).get("LocationConstraint") or "us-east-1") == region:
            bucket_tags: list[dict[str, str]] = []
            with suppress(s3.exceptions.from_code("NoSuchTagSet")):
                bucket_tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
            yield Resource(arn=f"arn:aws:s3:::{name}", type="S3", name=name, tags=_tags(bucket_tags))


def _ec2_resource(region: str, kind: str, path: str, found: dict[str, Any]) -> Resource:
    tags = _tags(found.get("Tags"))
    resource_arn = f"arn:aws:ec2:{region}:{ACCOUNT_ID}:{path}"
    return Resource(arn=resource_arn, type=kind, name=tags.get("Name", ""), tags=tags)


def _tags(listed: list[dict[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in listed or []}


def find(cloud: Cloud, region: str, resource_arn: str) -> Resource | None:
    """Return the resource of an ARN, or None when it is not there."""
    return next((resource for resource in everything(cloud, region) if resource.arn == resource_arn), None)


def selected(selection: dict[str, Any], resource: Resource, *, opted_in: bool) -> bool:
    """Return whether a selection takes a resource: ARNs or any tag, then all conditions, then the exclusions.

    `opted_in` is the region's setting for the type; naming ARNs overrides it.
    """
    arns, tags = selection["Resources"], selection["ListOfTags"]
    conditions = selection["Conditions"]
    named = any(fnmatchcase(resource.arn, pattern) for pattern in arns if pattern != "*")
    if not named:
        by_tag = any(resource.tags.get(tag["ConditionKey"]) == tag["ConditionValue"] for tag in tags)
        if not opted_in or not (by_tag or "*" in arns or not (arns or tags)):
            return False
    if any(fnmatchcase(resource.arn, pattern) for pattern in selection["NotResources"]):
        return False
    return all(
        _condition_holds(operator, condition, resource.tags)
        for operator, listed in conditions.items()
        for condition in listed
    )


def _condition_holds(operator: str, condition: dict[str, str], tags: dict[str, str]) -> bool:
    value = tags.get(condition["ConditionKey"].removeprefix("aws:ResourceTag/"))
    wanted = condition["ConditionValue"]
    matched = value is not None and (fnmatchcase(value, wanted) if operator.endswith("Like") else value == wanted)
    return matched != operator.startswith("StringNot")


# -- taking ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Order:
    """Where and for which job something is done."""

    cloud: Cloud
    region: str
    job_id: str
    now: datetime
    tags: dict[str, str] = field(default_factory=dict)

    def client(self, service: str, region: str | None = None) -> Any:
        return self.cloud.client(service, region or self.region)

    def tag_list(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items() if not key.startswith("aws:")]


def take(order: Order, resource: Resource, *, continuous_days: int | None) -> Taken:
    """Back a resource up and return when it is done; `continuous_days` asks for point-in-time recovery."""
    if continuous_days is not None:
        if resource.type == "RDS":
            return _watch_rds(order, resource, continuous_days)
        if resource.type == "S3":
            return _take_s3(order, resource)
    return _TAKE[resource.type](order, resource)


def _take_rds(order: Order, resource: Resource) -> Taken:
    rds = order.client("rds")
    snapshot_id = f"awsbackup:job-{order.job_id}"
    rds.create_db_snapshot(DBInstanceIdentifier=resource.name, DBSnapshotIdentifier=snapshot_id, Tags=order.tag_list())
    snapshot = _snapshot_available(order, order.region, snapshot_id)
    instance = rds.describe_db_instances(DBInstanceIdentifier=resource.name)["DBInstances"][0]
    gigabytes = snapshot.get("AllocatedStorage", 0)
    return Taken(
        arn=snapshot["DBSnapshotArn"],
        size_bytes=gigabytes * 2**30,
        metadata=_rds_metadata(instance),
        encrypted=bool(snapshot.get("Encrypted")),
    )


def _watch_rds(order: Order, resource: Resource, days: int) -> Taken:
    rds = order.client("rds")

    def at_rest() -> bool | None:
        found = rds.describe_db_instances(DBInstanceIdentifier=resource.name)["DBInstances"][0]
        return True if found["DBInstanceStatus"] == "available" else None

    awaited(order.cloud, at_rest, f"instance {resource.name}")
    # AWS Backup takes over the instance's retention, which Terraform then sees as drift.
    rds.modify_db_instance(DBInstanceIdentifier=resource.name, BackupRetentionPeriod=days, ApplyImmediately=True)
    instance = rds.describe_db_instances(DBInstanceIdentifier=resource.name)["DBInstances"][0]
    point = f"continuous:{instance['DbiResourceId'].lower()}"
    return Taken(
        arn=f"arn:aws:backup:{order.region}:{ACCOUNT_ID}:recovery-point:{point}",
        size_bytes=instance.get("AllocatedStorage", 0) * 2**30,
        metadata=_rds_metadata(instance),
        contents={"DBInstanceIdentifier": resource.name, "DbiResourceId": instance["DbiResourceId"]},
    )


def _rds_metadata(instance: dict[str, Any]) -> dict[str, str]:
    kept = [
        "DBInstanceClass",
        "Engine",
        "EngineVersion",
        "MultiAZ",
        "AllocatedStorage",
        "StorageType",
        "PubliclyAccessible",
        "DBName",
        "AvailabilityZone",
        "LicenseModel",
        "CopyTagsToSnapshot",
        "DeletionProtection",
    ]
    metadata = {name: _as_text(instance[name]) for name in kept if instance.get(name) is not None}
    metadata["Port"] = str(instance.get("Endpoint", {}).get("Port", 5432))
    if instance.get("DBSubnetGroup"):
        metadata["DBSubnetGroupName"] = instance["DBSubnetGroup"]["DBSubnetGroupName"]
    groups = [group["VpcSecurityGroupId"] for group in instance.get("VpcSecurityGroups", [])]
    metadata["VpcSecurityGroupIds"] = json.dumps(groups)
    return metadata


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _snapshot_available(order: Order, region: str, snapshot_id: str) -> dict[str, Any]:
    rds = order.client("rds", region)

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot_id)["DBSnapshots"][0]
        if found["Status"] == "failed":
            raise JobFailed(f"The snapshot {snapshot_id} failed")
        return found if found["Status"] == "available" else None

    return dict(awaited(order.cloud, look, f"snapshot {snapshot_id}"))


def _take_ec2(order: Order, resource: Resource) -> Taken:
    ec2 = order.client("ec2")
    instance_id = resource.arn.rsplit("/", 1)[1]
    image_id = ec2.create_image(InstanceId=instance_id, Name=f"AwsBackup_{instance_id}_{order.job_id}", NoReboot=True)[
        "ImageId"
    ]
    image = _image_available(order, order.region, image_id)
    ec2.create_tags(Resources=[image_id], Tags=[*order.tag_list(), *_marks(resource.arn)])
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    metadata = {
        "InstanceType": instance["InstanceType"],
        "SubnetId": instance.get("SubnetId", ""),
        "VpcId": instance.get("VpcId", ""),
        "SecurityGroupIds": json.dumps([group["GroupId"] for group in instance.get("SecurityGroups", [])]),
        "KeyName": instance.get("KeyName", ""),
        "IamInstanceProfileName": instance.get("IamInstanceProfile", {}).get("Arn", "").rsplit("/", 1)[-1],
        "EbsOptimized": _as_text(bool(instance.get("EbsOptimized"))),
    }
    return Taken(
        arn=f"arn:aws:ec2:{order.region}::image/{image_id}",
        size_bytes=_image_bytes(image),
        metadata={key: value for key, value in metadata.items() if value},
    )


def _marks(source_arn: str) -> list[dict[str, str]]:
    return [{"Key": "aws:backup:source-resource", "Value": source_arn}]


def _image_available(order: Order, region: str, image_id: str) -> dict[str, Any]:
    ec2 = order.client("ec2", region)

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = ec2.describe_images(ImageIds=[image_id])["Images"][0]
        if found["State"] == "failed":
            raise JobFailed(f"The image {image_id} failed")
        return found if found["State"] == "available" else None

    return dict(awaited(order.cloud, look, f"image {image_id}"))


def _image_bytes(image: dict[str, Any]) -> int:
    sizes = (mapping.get("Ebs", {}).get("VolumeSize", 0) for mapping in image.get("BlockDeviceMappings", []))
    return sum(int(size) for size in sizes) * 2**30


def _take_ebs(order: Order, resource: Resource) -> Taken:
    ec2 = order.client("ec2")
    volume_id = resource.arn.rsplit("/", 1)[1]
    snapshot = ec2.create_snapshot(
        VolumeId=volume_id, Description=f"This snapshot is created by the AWS Backup service. {order.job_id}"
    )
    _snapshot_completed(order, order.region, snapshot["SnapshotId"])
    ec2.create_tags(Resources=[snapshot["SnapshotId"]], Tags=[*order.tag_list(), *_marks(resource.arn)])
    volume = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
    metadata = {
        "volumeId": volume_id,
        "volumeSize": str(volume["Size"]),
        "volumeType": volume.get("VolumeType", "gp3"),
        "availabilityZone": volume["AvailabilityZone"],
        "encrypted": _as_text(bool(volume.get("Encrypted"))),
    }
    return Taken(
        arn=f"arn:aws:ec2:{order.region}::snapshot/{snapshot['SnapshotId']}",
        size_bytes=int(volume["Size"]) * 2**30,
        metadata=metadata,
        encrypted=bool(volume.get("Encrypted")),
    )


def _snapshot_completed(order: Order, region: str, snapshot_id: str) -> None:
    ec2 = order.client("ec2", region)

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
        if found["State"] == "error":
            raise JobFailed(f"The snapshot {snapshot_id} failed")
        return found if found["State"] == "completed" else None

    awaited(order.cloud, look, f"snapshot {snapshot_id}")


def _take_dynamodb(order: Order, resource: Resource) -> Taken:
    details = order.client("dynamodb").create_backup(TableName=resource.name, BackupName=f"awsbackup-{order.job_id}")[
        "BackupDetails"
    ]
    return Taken(
        arn=details["BackupArn"],
        size_bytes=details.get("BackupSizeBytes", 0),
        metadata={"originalTableName": resource.name},
    )


def _take_s3(order: Order, resource: Resource) -> Taken:
    s3 = order.client("s3")
    if s3.get_bucket_versioning(Bucket=resource.name).get("Status") != "Enabled":
        raise JobFailed(f"Versioning is not enabled on bucket {resource.name}; AWS Backup needs it")
    current = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=resource.name):
        current += [
            {"Key": version["Key"], "VersionId": version["VersionId"], "Size": version["Size"]}
            for version in page.get("Versions", [])
            if version["IsLatest"]
        ]
    return Taken(
        arn=f"arn:aws:backup:{order.region}:{ACCOUNT_ID}:recovery-point:{resource.name}-{uuid4().hex[:16]}",
        size_bytes=sum(version["Size"] for version in current),
        metadata={"BucketName": resource.name, "Encrypted": "true"},
        contents={"bucket": resource.name, "versions": current},
    )


_TAKE: dict[str, Callable[[Order, Resource], Taken]] = {
    "RDS": _take_rds,
    "EC2": _take_ec2,
    "EBS": _take_ebs,
    "DynamoDB": _take_dynamodb,
    "S3": _take_s3,
}


# -- copying -----------------------------------------------------------------------------------------------------------


def copy(order: Order, point: dict[str, Any], region: str, key_arn: str) -> Taken:
    """Copy a recovery point's data to a region under another key and return when it is done there."""
    kind = point["ResourceType"]
    if point.get("_continuous"):
        raise JobFailed("A continuous recovery point cannot be copied as it is; copy a snapshot of it")
    source_id = re.split(r"[:/]", point["RecoveryPointArn"])[-1]
    encrypted = {"Encrypted": True, "KmsKeyId": key_arn}
    if kind == "RDS":
        # The part after "snapshot:" holds a colon of its own: awsbackup:job-…
        snapshot_id = f"awsbackup:copyjob-{order.job_id}"
        order.client("rds", region).copy_db_snapshot(
            SourceDBSnapshotIdentifier=point["RecoveryPointArn"],
            TargetDBSnapshotIdentifier=snapshot_id,
            SourceRegion=order.region,
            Tags=order.tag_list(),
            **({"KmsKeyId": key_arn} if point["IsEncrypted"] else {}),
        )
        target_arn = str(_snapshot_available(order, region, snapshot_id)["DBSnapshotArn"])
    elif kind == "EC2":
        name = f"AwsBackup_{source_id}_{order.job_id}"
        image_id = order.client("ec2", region).copy_image(
            SourceRegion=order.region, SourceImageId=source_id, Name=name, **encrypted
        )["ImageId"]
        _image_available(order, region, image_id)
        _mark(order, region, image_id, point)
        target_arn = f"arn:aws:ec2:{region}::image/{image_id}"
    elif kind == "EBS":
        snapshot_id = order.client("ec2", region).copy_snapshot(
            SourceRegion=order.region, SourceSnapshotId=source_id, **encrypted
        )["SnapshotId"]
        _snapshot_completed(order, region, snapshot_id)
        _mark(order, region, snapshot_id, point)
        target_arn = f"arn:aws:ec2:{region}::snapshot/{snapshot_id}"
    elif kind == "S3":
        target_arn = f"arn:aws:backup:{region}:{ACCOUNT_ID}:recovery-point:{point['ResourceName']}-{uuid4().hex[:16]}"
    else:
        raise JobFailed("Copies of DynamoDB backups need its advanced features, which this account has not enabled")
    return Taken(
        arn=target_arn,
        size_bytes=point["BackupSizeInBytes"],
        metadata=point["_metadata"],
        contents=point.get("_contents"),
        encrypted=point["IsEncrypted"] or kind in ("EC2", "EBS"),
    )


def _mark(order: Order, region: str, made_id: str, point: dict[str, Any]) -> None:
    tags = [*order.tag_list(), *_marks(point["ResourceArn"])]
    order.client("ec2", region).create_tags(Resources=[made_id], Tags=tags)


# -- deleting ----------------------------------------------------------------------------------------------------------


def discard(cloud: Cloud, region: str, point: dict[str, Any]) -> None:
    """Delete what a recovery point stands for; what is gone already is no failure."""
    target = str(point["RecoveryPointArn"])
    made_id = target.rsplit("/", 1)[-1]
    gone = (
        "DBSnapshotNotFound",
        "DBSnapshotNotFoundFault",
        "InvalidSnapshot.NotFound",
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
        "BackupNotFoundException",
    )
    try:
        if ":rds:" in target:
            cloud.client("rds", region).delete_db_snapshot(DBSnapshotIdentifier=target.split(":snapshot:", 1)[1])
        elif "::image/" in target:
            ec2 = cloud.client("ec2", region)
            images = ec2.describe_images(ImageIds=[made_id])["Images"]
            ec2.deregister_image(ImageId=made_id)
            for mapping in (mapping for image in images for mapping in image.get("BlockDeviceMappings", [])):
                if mapping.get("Ebs", {}).get("SnapshotId"):
                    ec2.delete_snapshot(SnapshotId=mapping["Ebs"]["SnapshotId"])
        elif "::snapshot/" in target:
            cloud.client("ec2", region).delete_snapshot(SnapshotId=made_id)
        elif ":dynamodb:" in target:
            cloud.client("dynamodb", region).delete_backup(BackupArn=target)
    except ClientError as error:
        if error.response["Error"]["Code"] not in gone:
            raise
