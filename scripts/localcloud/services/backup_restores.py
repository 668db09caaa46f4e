"""Restore jobs: a recovery point becomes a new database, instance, volume, table or set of objects."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.services.backup import (
    checked_role,
    impossible,
    invalid,
    not_found,
    page,
    public,
    regions,
    table,
    tags_of,
    within,
)
from localcloud.services.backup_access import role_allows
from localcloud.services.backup_events import told
from localcloud.services.backup_shifts import awaited, shift
from localcloud.services.backup_sources import ACTIONS, JobFailed, Order
from localcloud.services.backup_vaults import check_access, key_problem, vault

LOG = logging.getLogger("localcloud.backup")
ENDED = ("COMPLETED", "ABORTED", "FAILED")
# What each type's metadata must hold; AWS refuses or fails a job without it.
REQUIRED = {
    "RDS": ("DBInstanceIdentifier",),
    "EC2": ("InstanceType",),
    "EBS": ("availabilityZone",),
    "DynamoDB": ("targetTableName",),
    "S3": ("DestinationBucketName",),
}


@operation("backup", "StartRestoreJob")
def _start(
    call: Call,
    *,
    RecoveryPointArn: str,
    Metadata: dict[str, str],
    IamRoleArn: str | None = None,
    IdempotencyToken: str | None = None,
    ResourceType: str | None = None,
    CopySourceTagsToRestoredResource: bool = False,
) -> dict[str, Any]:
    point = table(call.cloud, call.region, "recovery_points").get(RecoveryPointArn)
    if point is None:
        raise not_found(f"Recovery point {RecoveryPointArn} does not exist")
    check_access(call, vault(call.cloud, call.region, point["BackupVaultName"]), "backup:StartRestoreJob")
    if ResourceType is not None and ResourceType != point["ResourceType"]:
        raise invalid(f"Recovery point {RecoveryPointArn} is of {point['ResourceType']}, not of {ResourceType}")
    if IamRoleArn is None:
        raise invalid("IamRoleArn is required")
    checked_role(call.cloud, IamRoleArn)
    absent = [name for name in REQUIRED[point["ResourceType"]] if not _entry(Metadata, name)]
    if absent:
        raise invalid(f"Invalid restore metadata. You must specify {', '.join(absent)}")
    known = table(call.cloud, call.region, "restores").values()
    job = next((job for job in known if IdempotencyToken and job["_token"] == IdempotencyToken), None)
    if job is None:
        job = new_restore(call.cloud, call.region, point, IamRoleArn, Metadata)
        job.update(_token=IdempotencyToken, _copy_tags=CopySourceTagsToRestoredResource)
        started = job

        def work() -> None:
            with shift(call.cloud):
                run_restore(call.cloud, call.region, started)

        call.cloud.background(work, name=f"restore job {job['RestoreJobId']}")
    return {"RestoreJobId": job["RestoreJobId"]}


def new_restore(
    cloud: Cloud, region: str, point: dict[str, Any], role_arn: str, metadata: dict[str, str]
) -> dict[str, Any]:
    """Return the record of a restore job that is about to run."""
    job: dict[str, Any] = {
        "AccountId": ACCOUNT_ID,
        "RestoreJobId": str(uuid4()),
        "RecoveryPointArn": point["RecoveryPointArn"],
        "SourceResourceArn": point["ResourceArn"],
        "BackupVaultArn": point["BackupVaultArn"],
        "RecoveryPointCreationDate": point["CreationDate"],
        "CreationDate": cloud.now(),
        "Status": "PENDING",
        "PercentDone": "0.0",
        "BackupSizeInBytes": point["BackupSizeInBytes"],
        "IamRoleArn": role_arn,
        "ResourceType": point["ResourceType"],
        "IsParent": False,
        "_metadata": dict(metadata),
        "_token": None,
        "_copy_tags": False,
    }
    table(cloud, region, "restores")[job["RestoreJobId"]] = job
    told(cloud, region, "RESTORE_JOB_STARTED", job)
    return job


def run_restore(cloud: Cloud, region: str, job: dict[str, Any]) -> None:
    """Restore for real; any failure becomes the job's own."""
    job["Status"] = "RUNNING"
    try:
        job["CreatedResourceArn"] = _restored(cloud, region, job)
        job.update(Status="COMPLETED", PercentDone="100.0", CompletionDate=cloud.now())
        table(cloud, region, "recovery_points")[job["RecoveryPointArn"]]["LastRestoreTime"] = cloud.now()
    except (JobFailed, ClientError, TimeoutError, KeyError, ValueError) as error:
        LOG.warning("restore job %s failed: %s", job["RestoreJobId"], error)
        job.update(Status="FAILED", StatusMessage=str(error), CompletionDate=cloud.now())
    told(cloud, region, "RESTORE_JOB_COMPLETED", job)


def _restored(cloud: Cloud, region: str, job: dict[str, Any]) -> str:
    point = table(cloud, region, "recovery_points").get(job["RecoveryPointArn"])
    if point is None:
        raise JobFailed(f"Recovery point {job['RecoveryPointArn']} does not exist any more")
    action = ACTIONS[point["ResourceType"]][2]
    if not role_allows(cloud, job["IamRoleArn"], action):
        raise JobFailed(f"Access Denied: IAM Role {job['IamRoleArn']} is not authorized to perform {action}")
    if point["IsEncrypted"] and point.get("EncryptionKeyArn"):
        problem = key_problem(cloud, region, point["EncryptionKeyArn"])
        if problem:
            raise JobFailed(problem)
    tags = tags_of(cloud, region, point["RecoveryPointArn"]) if job["_copy_tags"] else {}
    order = Order(cloud=cloud, region=region, job_id=job["RestoreJobId"], now=cloud.now(), tags=tags)
    # AWS writes the same names in more than one way (DBSubnetGroupName here, dbSubnetGroupName in restore tests).
    metadata = {
        name.lower(): value for given in (point["_metadata"], job["_metadata"]) for name, value in given.items()
    }
    return _RESTORE[point["ResourceType"]](order, point, metadata)


def _entry(metadata: dict[str, str], name: str) -> str | None:
    """Return an entry whatever the case of its name; blank counts as absent."""
    return next((value for key, value in metadata.items() if key.lower() == name.lower() and value), None)


# -- by type -----------------------------------------------------------------------------------------------------------


def _rds(order: Order, point: dict[str, Any], metadata: dict[str, str]) -> str:
    rds = order.client("rds")
    wanted = ("DBInstanceClass", "DBSubnetGroupName", "StorageType", "DBParameterGroupName", "AvailabilityZone")
    asked: dict[str, Any] = {name: metadata[name.lower()] for name in wanted if metadata.get(name.lower())}
    for name in ("MultiAZ", "PubliclyAccessible", "CopyTagsToSnapshot", "DeletionProtection"):
        if metadata.get(name.lower()):
            asked[name] = metadata[name.lower()].lower() == "true"
    if asked.get("MultiAZ"):
        asked.pop("AvailabilityZone", None)
    if metadata.get("port"):
        asked["Port"] = int(metadata["port"])
    groups = json.loads(metadata.get("vpcsecuritygroupids") or "[]")
    if groups:
        asked["VpcSecurityGroupIds"] = groups
    if order.tags:
        asked["Tags"] = order.tag_list()
    name = metadata["dbinstanceidentifier"]
    if point["_continuous"]:
        moment = metadata.get("restoretime")
        when: dict[str, Any] = {"UseLatestRestorableTime": True}
        if moment:
            when = {"RestoreTime": datetime.fromisoformat(moment.replace("Z", "+00:00"))}
        rds.restore_db_instance_to_point_in_time(
            SourceDbiResourceId=point["_contents"]["DbiResourceId"], TargetDBInstanceIdentifier=name, **when, **asked
        )
    else:
        snapshot = point["RecoveryPointArn"].split(":snapshot:", 1)[1]
        rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot, **asked)

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        if found["DBInstanceStatus"] in ("failed", "incompatible-restore", "restore-error"):
            raise JobFailed(f"The restored instance {name} is {found['DBInstanceStatus']}")
        return found if found["DBInstanceStatus"] == "available" else None

    return str(awaited(order.cloud, look, f"instance {name}")["DBInstanceArn"])


def _ec2(order: Order, point: dict[str, Any], metadata: dict[str, str]) -> str:
    ec2 = order.client("ec2")
    asked: dict[str, Any] = {"InstanceType": metadata["instancetype"]}
    for name in ("SubnetId", "KeyName"):
        if metadata.get(name.lower()):
            asked[name] = metadata[name.lower()]
    groups = json.loads(metadata.get("securitygroupids") or "[]")
    if groups:
        asked["SecurityGroupIds"] = groups
    if metadata.get("iaminstanceprofilename"):
        asked["IamInstanceProfile"] = {"Name": metadata["iaminstanceprofilename"]}
    tags = [*order.tag_list(), {"Key": "aws:backup:source-resource", "Value": point["ResourceArn"]}]
    instance = ec2.run_instances(
        ImageId=point["RecoveryPointArn"].rsplit("/", 1)[1],
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        **asked,
    )["Instances"][0]

    def look() -> bool | None:
        found = ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0]
        if found["State"]["Name"] in ("terminated", "shutting-down"):
            raise JobFailed(f"The restored instance {found['InstanceId']} is {found['State']['Name']}")
        return True if found["State"]["Name"] == "running" else None

    awaited(order.cloud, look, f"instance {instance['InstanceId']}")
    return f"arn:aws:ec2:{order.region}:{ACCOUNT_ID}:instance/{instance['InstanceId']}"


def _ebs(order: Order, point: dict[str, Any], metadata: dict[str, str]) -> str:
    asked: dict[str, Any] = {}
    if metadata.get("volumetype"):
        asked["VolumeType"] = metadata.get("volumetype")
    if (metadata.get("encrypted") or "").lower() == "true":
        asked["Encrypted"] = True
    if metadata.get("kmskeyid"):
        asked["KmsKeyId"] = metadata.get("kmskeyid")
    if metadata.get("volumesize"):
        asked["Size"] = int(metadata.get("volumesize") or 0)
    volume = order.client("ec2").create_volume(
        SnapshotId=point["RecoveryPointArn"].rsplit("/", 1)[1],
        AvailabilityZone=metadata.get("availabilityzone"),
        **({"TagSpecifications": [{"ResourceType": "volume", "Tags": order.tag_list()}]} if order.tags else {}),
        **asked,
    )
    return f"arn:aws:ec2:{order.region}:{ACCOUNT_ID}:volume/{volume['VolumeId']}"


def _dynamodb(order: Order, point: dict[str, Any], metadata: dict[str, str]) -> str:
    restored = order.client("dynamodb").restore_table_from_backup(
        TargetTableName=metadata.get("targettablename"), BackupArn=point["RecoveryPointArn"]
    )
    return str(restored["TableDescription"]["TableArn"])


def _s3(order: Order, point: dict[str, Any], metadata: dict[str, str]) -> str:
    target = str(metadata.get("destinationbucketname"))
    s3 = order.client("s3")
    for version in point["_contents"]["versions"]:
        source = {key: version[key] for key in ("Key", "VersionId")}
        s3.copy_object(Bucket=target, Key=version["Key"], CopySource={"Bucket": point["_contents"]["bucket"], **source})
    return f"arn:aws:s3:::{target}"


_RESTORE: dict[str, Callable[[Order, dict[str, Any], dict[str, str]], str]] = {
    "RDS": _rds,
    "EC2": _ec2,
    "EBS": _ebs,
    "DynamoDB": _dynamodb,
    "S3": _s3,
}


def delete_restored(cloud: Cloud, region: str, job: dict[str, Any]) -> None:
    """Delete what a restore test made, and note how that went."""
    created = job.get("CreatedResourceArn") or ""
    name = created.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    try:
        if job["ResourceType"] == "RDS":
            rds = cloud.client("rds", region)
            rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
            rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)
        elif job["ResourceType"] == "EC2":
            cloud.client("ec2", region).terminate_instances(InstanceIds=[name])
        elif job["ResourceType"] == "EBS":
            cloud.client("ec2", region).delete_volume(VolumeId=name)
        elif job["ResourceType"] == "DynamoDB":
            cloud.client("dynamodb", region).delete_table(TableName=name)
        elif job["ResourceType"] == "S3":
            _empty_and_delete(cloud.client("s3", region), name)
        job.update(DeletionStatus="SUCCESSFUL")
    except ClientError as error:
        job.update(DeletionStatus="FAILED", DeletionStatusMessage=str(error))


def _empty_and_delete(s3: Any, bucket: str) -> None:
    for found in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=bucket)


# -- reading -----------------------------------------------------------------------------------------------------------


def _job(call: Call, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] | None = table(call.cloud, call.region, "restores").get(job_id)
    if job is None:
        raise not_found(f"Restore job {job_id} does not exist")
    return job


@operation("backup", "DescribeRestoreJob")
def _describe(call: Call, *, RestoreJobId: str) -> dict[str, Any]:
    return public(_job(call, RestoreJobId))


@operation("backup", "GetRestoreJobMetadata")
def _metadata(call: Call, *, RestoreJobId: str) -> dict[str, Any]:
    return {"RestoreJobId": RestoreJobId, "Metadata": _job(call, RestoreJobId)["_metadata"]}


@operation("backup", "ListRestoreJobs", "ListRestoreJobsByProtectedResource")
def _list(call: Call, **asked: Any) -> dict[str, Any]:
    equals = {"ByStatus": "Status", "ByResourceType": "ResourceType", "ResourceArn": "SourceResourceArn"}
    jobs = [
        public(job)
        for job in list(table(call.cloud, call.region, "restores").values())
        if all(asked.get(by) in (None, job.get(member)) for by, member in equals.items())
        and asked.get("ByRestoreTestingPlanArn") in (None, (job.get("CreatedBy") or {}).get("RestoreTestingPlanArn"))
        and within(job["CreationDate"], asked, "Created")
        and within(job.get("CompletionDate"), asked, "Complete")
        and within(job["RecoveryPointCreationDate"], asked, "RecoveryPointCreationDate")
    ]
    return page(asked, "RestoreJobs", sorted(jobs, key=lambda job: job["CreationDate"], reverse=True))


@operation("backup", "PutRestoreValidationResult")
def _validated(
    call: Call, *, RestoreJobId: str, ValidationStatus: str, ValidationStatusMessage: str | None = None
) -> dict[str, Any]:
    job = _job(call, RestoreJobId)
    if job["Status"] != "COMPLETED":
        raise impossible(f"Restore job {RestoreJobId} is {job['Status']}; only a completed one can be validated")
    if not job.get("CreatedBy"):
        raise impossible(f"Restore job {RestoreJobId} was not started by a restore testing plan")
    if job.get("ValidationStatus") not in (None, "VALIDATING"):
        raise Refused("InvalidRequestException", f"Restore job {RestoreJobId} is already {job['ValidationStatus']}")
    job.update(ValidationStatus=ValidationStatus, ValidationStatusMessage=ValidationStatusMessage)
    if ValidationStatus != "VALIDATING":
        delete_restored(call.cloud, call.region, job)
    return {}


def install(cloud: Cloud) -> None:
    """Fail the restore jobs that a stop of the cloud interrupted."""

    def fail_interrupted(cloud: Cloud) -> None:
        for region in regions(cloud):
            for job in table(cloud, region, "restores").values():
                if job["Status"] not in ENDED:
                    job.update(Status="FAILED", StatusMessage="The service was interrupted while the job ran")

    cloud.on_start(fail_interrupted)
