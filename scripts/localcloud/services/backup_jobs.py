"""Backup and copy jobs: started by hand or by a plan's rule, run for real, refused or failed as AWS would."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.schedules import on_tick
from localcloud.services import backup_sources as sources
from localcloud.services.backup import (
    checked_lifecycle,
    checked_role,
    impossible,
    invalid,
    not_found,
    opted_in,
    page,
    public,
    regions,
    retention,
    table,
    within,
)
from localcloud.services.backup_access import role_allows
from localcloud.services.backup_events import told
from localcloud.services.backup_plans import rules_due
from localcloud.services.backup_points import add_point, delete_point
from localcloud.services.backup_shifts import shift
from localcloud.services.backup_sources import JobFailed, Order, Resource
from localcloud.services.backup_vaults import check_access, key_problem, retention_problem, vault, vault_at

LOG = logging.getLogger("localcloud.backup")
ENDED = ("ABORTED", "COMPLETED", "FAILED", "EXPIRED", "PARTIAL")


# -- backup jobs -------------------------------------------------------------------------------------------------------


@operation("backup", "StartBackupJob")
def _start(
    call: Call,
    *,
    BackupVaultName: str,
    ResourceArn: str,
    IamRoleArn: str,
    IdempotencyToken: str | None = None,
    Lifecycle: dict[str, Any] | None = None,
    RecoveryPointTags: dict[str, str] | None = None,
    StartWindowMinutes: int = 480,
    CompleteWindowMinutes: int | None = None,
    **others: Any,
) -> dict[str, Any]:
    record = vault(call.cloud, call.region, BackupVaultName)
    if StartWindowMinutes < 60:
        raise invalid("Invalid start window: it must be at least 60 minutes")
    if CompleteWindowMinutes is not None and CompleteWindowMinutes < StartWindowMinutes + 60:
        raise invalid("Invalid completion window: it must be 60 minutes longer than the start window")
    checked_lifecycle(Lifecycle, "the job")
    try:
        sources.split(ResourceArn)
    except ValueError as error:
        raise invalid(f"Unsupported resource type: {error}") from error
    checked_role(call.cloud, IamRoleArn)
    known = table(call.cloud, call.region, "jobs").values()
    again = next((job for job in known if IdempotencyToken and job["_token"] == IdempotencyToken), None)
    if again is None:
        again = _new_job(
            call.cloud,
            call.region,
            record,
            ResourceArn,
            role_arn=IamRoleArn,
            lifecycle=Lifecycle,
            tags=RecoveryPointTags or {},
            start_by=call.cloud.now() + timedelta(minutes=StartWindowMinutes),
        )
        again.update(_token=IdempotencyToken, BackupOptions=others.get("BackupOptions") or {})
        _in_background(call.cloud, call.region, again)
    return {"BackupJobId": again["BackupJobId"], "CreationDate": again["CreationDate"], "IsParent": False}


def _new_job(
    cloud: Cloud,
    region: str,
    vault_record: dict[str, Any],
    resource_arn: str,
    *,
    role_arn: str,
    lifecycle: dict[str, Any] | None,
    tags: dict[str, str],
    start_by: datetime,
) -> dict[str, Any]:
    kind, name = sources.split(resource_arn)
    job: dict[str, Any] = {
        "AccountId": ACCOUNT_ID,
        "BackupJobId": str(uuid4()),
        "BackupVaultName": vault_record["BackupVaultName"],
        "BackupVaultArn": vault_record["BackupVaultArn"],
        "VaultType": "BACKUP_VAULT",
        "ResourceArn": resource_arn,
        "ResourceType": kind,
        "ResourceName": name,
        "IamRoleArn": role_arn,
        "RecoveryPointLifecycle": lifecycle,
        "State": "CREATED",
        "PercentDone": "0.0",
        "CreationDate": cloud.now(),
        "InitiationDate": cloud.now(),
        "StartBy": start_by,
        "BackupOptions": {},
        "IsParent": False,
        "MessageCategory": "SUCCESS",
        "_tags": dict(tags),
        "_token": None,
        "_continuous_days": None,
    }
    table(cloud, region, "jobs")[job["BackupJobId"]] = job
    told(cloud, region, "BACKUP_JOB_STARTED", job)
    return job


def _in_background(cloud: Cloud, region: str, job: dict[str, Any]) -> None:
    def work() -> None:
        with shift(cloud):
            run_job(cloud, region, job)

    cloud.background(work, name=f"backup job {job['BackupJobId']}")


def run_job(cloud: Cloud, region: str, job: dict[str, Any]) -> None:
    """Take the resource of a job and list the recovery point; any failure becomes the job's own."""
    if job["State"] == "ABORTED":
        return
    job["State"] = "RUNNING"
    try:
        _back_up(cloud, region, job)
    except (JobFailed, ClientError, TimeoutError) as error:
        LOG.warning("backup job %s failed: %s", job["BackupJobId"], error)
        end(cloud, job, "FAILED", str(error))
    told(cloud, region, "BACKUP_JOB_COMPLETED", job)


def _back_up(cloud: Cloud, region: str, job: dict[str, Any]) -> None:
    record = _usable_vault(cloud, region, job["BackupVaultName"], job["RecoveryPointLifecycle"])
    _require(cloud, job["IamRoleArn"], sources.ACTIONS[job["ResourceType"]][0])
    resource = sources.find(cloud, region, job["ResourceArn"])
    if resource is None:
        raise JobFailed(f"The resource {job['ResourceArn']} does not exist")
    job["ResourceName"] = resource.name
    order = Order(
        cloud=cloud,
        region=region,
        job_id=job["BackupJobId"],
        now=cloud.now(),
        tags={**resource.tags, **job["_tags"]},
    )
    taken = sources.take(order, resource, continuous_days=job["_continuous_days"])
    if job["State"] == "ABORTING":
        made = {"RecoveryPointArn": taken.arn, "ResourceType": resource.type}
        sources.discard(cloud, region, made)
        end(cloud, job, "ABORTED", "Backup job was stopped by user.")
        return
    add_point(
        cloud,
        region,
        record,
        job,
        taken,
        tags={key: value for key, value in order.tags.items() if not key.startswith("aws:")},
    )
    job.update(RecoveryPointArn=taken.arn, BackupSizeInBytes=taken.size_bytes, BytesTransferred=taken.size_bytes)
    job.update(IsEncrypted=taken.encrypted, EncryptionKeyArn=record["EncryptionKeyArn"] if taken.encrypted else None)
    end(cloud, job, "COMPLETED", None)


def _usable_vault(cloud: Cloud, region: str, name: str, lifecycle: dict[str, Any] | None) -> dict[str, Any]:
    """Return a vault that can take a recovery point now; raises JobFailed when lock or key forbid it."""
    try:
        record = vault(cloud, region, name)
    except Refused as refusal:
        raise JobFailed(refusal.text) from refusal
    problem = retention_problem(record, retention(lifecycle, "DeleteAfterDays"))
    problem = problem or key_problem(cloud, region, record["EncryptionKeyArn"])
    if problem:
        raise JobFailed(problem)
    return record


def _require(cloud: Cloud, role_arn: str, action: str) -> None:
    if not role_allows(cloud, role_arn, action):
        raise JobFailed(f"Access Denied: IAM Role {role_arn} is not authorized to perform {action}")


def end(cloud: Cloud, job: dict[str, Any], state: str, message: str | None) -> None:
    """Note how a backup or copy job ended."""
    job.update(State=state, StatusMessage=message, CompletionDate=cloud.now(), PercentDone="100.0")
    if state != "COMPLETED":
        job["MessageCategory"] = "AccessDenied" if message and "Access Denied" in message else "FAILURE"


@operation("backup", "StopBackupJob")
def _stop(call: Call, *, BackupJobId: str) -> dict[str, Any]:
    job = _job(call, BackupJobId)
    if job["State"] in ENDED:
        raise impossible(f"Cannot stop backup job {BackupJobId}: it is {job['State']}")
    job["State"] = "ABORTED" if job["State"] == "CREATED" else "ABORTING"
    return {}


@operation("backup", "DescribeBackupJob")
def _describe(call: Call, *, BackupJobId: str) -> dict[str, Any]:
    return public(_job(call, BackupJobId))


def _job(call: Call, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] | None = table(call.cloud, call.region, "jobs").get(job_id)
    if job is None:
        raise not_found(f"Backup job {job_id} does not exist")
    return job


@operation("backup", "ListBackupJobs")
def _list(call: Call, **asked: Any) -> dict[str, Any]:
    equals = {
        "ByResourceArn": "ResourceArn",
        "ByState": "State",
        "ByBackupVaultName": "BackupVaultName",
        "ByResourceType": "ResourceType",
        "ByMessageCategory": "MessageCategory",
    }
    jobs = _matching(table(call.cloud, call.region, "jobs"), asked, equals)
    return page(asked, "BackupJobs", [public(job) for job in jobs])


def _matching(known: dict[str, Any], asked: dict[str, Any], equals: dict[str, str]) -> list[dict[str, Any]]:
    """Return the jobs that the By… parameters choose, the newest first."""
    found = [
        job
        for job in list(known.values())
        if all(asked.get(by) in (None, job.get(member)) for by, member in equals.items())
        and within(job["CreationDate"], asked, "Created")
        and within(job.get("CompletionDate"), asked, "Complete")
        and asked.get("ByAccountId") in (None, "*", ACCOUNT_ID)
        and asked.get("ByParentJobId") is None
    ]
    return sorted(found, key=lambda job: job["CreationDate"], reverse=True)


# -- copy jobs ---------------------------------------------------------------------------------------------------------


@operation("backup", "StartCopyJob")
def _start_copy(
    call: Call,
    *,
    RecoveryPointArn: str,
    SourceBackupVaultName: str,
    DestinationBackupVaultArn: str,
    IamRoleArn: str,
    IdempotencyToken: str | None = None,
    Lifecycle: dict[str, Any] | None = None,
) -> dict[str, Any]:
    source = vault(call.cloud, call.region, SourceBackupVaultName)
    check_access(call, source, "backup:StartCopyJob")
    point = table(call.cloud, call.region, "recovery_points").get(RecoveryPointArn)
    if point is None or point["BackupVaultName"] != SourceBackupVaultName:
        raise not_found(f"Recovery point {RecoveryPointArn} does not exist in {SourceBackupVaultName}")
    checked_lifecycle(Lifecycle, "the copy")
    checked_role(call.cloud, IamRoleArn)
    region, name = vault_at(DestinationBackupVaultArn)
    target = vault(call.cloud, region, name)
    check_access(call, target, "backup:CopyIntoBackupVault")
    known = table(call.cloud, call.region, "copies").values()
    job = next((job for job in known if IdempotencyToken and job["_token"] == IdempotencyToken), None)
    if job is None:
        job = _new_copy(
            call.cloud, call.region, point, DestinationBackupVaultArn, role_arn=IamRoleArn, lifecycle=Lifecycle
        )
        job["_token"] = IdempotencyToken
        started = job

        def work() -> None:
            with shift(call.cloud):
                run_copy(call.cloud, call.region, started)

        call.cloud.background(work, name=f"copy job {job['CopyJobId']}")
    return {"CopyJobId": job["CopyJobId"], "CreationDate": job["CreationDate"], "IsParent": False}


def _new_copy(
    cloud: Cloud,
    region: str,
    point: dict[str, Any],
    destination: str,
    *,
    role_arn: str,
    lifecycle: dict[str, Any] | None,
) -> dict[str, Any]:
    job: dict[str, Any] = {
        "AccountId": ACCOUNT_ID,
        "CopyJobId": str(uuid4()),
        "SourceBackupVaultArn": point["BackupVaultArn"],
        "SourceRecoveryPointArn": point["RecoveryPointArn"],
        "DestinationBackupVaultArn": destination,
        "DestinationVaultType": "BACKUP_VAULT",
        "DestinationRecoveryPointLifecycle": lifecycle,
        "ResourceArn": point["ResourceArn"],
        "ResourceType": point["ResourceType"],
        "ResourceName": point.get("ResourceName"),
        "CreationDate": cloud.now(),
        "State": "CREATED",
        "IamRoleArn": role_arn,
        "IsParent": False,
        "MessageCategory": "SUCCESS",
        "_token": None,
    }
    table(cloud, region, "copies")[job["CopyJobId"]] = job
    told(cloud, region, "COPY_JOB_STARTED", job)
    return job


def run_copy(cloud: Cloud, region: str, job: dict[str, Any]) -> None:
    """Copy a recovery point to another vault, mostly in another region."""
    job["State"] = "RUNNING"
    try:
        _copy(cloud, region, job)
    except (JobFailed, ClientError, TimeoutError) as error:
        LOG.warning("copy job %s failed: %s", job["CopyJobId"], error)
        end(cloud, job, "FAILED", str(error))
    told(cloud, region, "COPY_JOB_SUCCESSFUL" if job["State"] == "COMPLETED" else "COPY_JOB_FAILED", job)


def _copy(cloud: Cloud, region: str, job: dict[str, Any]) -> None:
    target_region, name = vault_at(job["DestinationBackupVaultArn"])
    target = _usable_vault(cloud, target_region, name, job["DestinationRecoveryPointLifecycle"])
    _require(cloud, job["IamRoleArn"], sources.ACTIONS[job["ResourceType"]][1])
    point = table(cloud, region, "recovery_points").get(job["SourceRecoveryPointArn"])
    if point is None:
        raise JobFailed(f"Recovery point {job['SourceRecoveryPointArn']} does not exist any more")
    tags = table(cloud, region, "tags").get(point["RecoveryPointArn"], {})
    order = Order(cloud=cloud, region=region, job_id=job["CopyJobId"], now=cloud.now(), tags=tags)
    taken = sources.copy(order, point, target_region, target["EncryptionKeyArn"])
    add_point(cloud, target_region, target, {**job, "CreatedBy": point.get("CreatedBy")}, taken, tags=tags)
    job.update(
        DestinationRecoveryPointArn=taken.arn,
        BackupSizeInBytes=taken.size_bytes,
        DestinationEncryptionKeyArn=target["EncryptionKeyArn"],
    )
    end(cloud, job, "COMPLETED", None)


@operation("backup", "DescribeCopyJob")
def _describe_copy(call: Call, *, CopyJobId: str) -> dict[str, Any]:
    job = table(call.cloud, call.region, "copies").get(CopyJobId)
    if job is None:
        raise not_found(f"Copy job {CopyJobId} does not exist")
    return {"CopyJob": public(job)}


@operation("backup", "ListCopyJobs")
def _list_copies(call: Call, **asked: Any) -> dict[str, Any]:
    equals = {
        "ByResourceArn": "ResourceArn",
        "ByState": "State",
        "ByResourceType": "ResourceType",
        "ByDestinationVaultArn": "DestinationBackupVaultArn",
        "ByMessageCategory": "MessageCategory",
        "BySourceRecoveryPointArn": "SourceRecoveryPointArn",
    }
    jobs = _matching(table(call.cloud, call.region, "copies"), asked, equals)
    return page(asked, "CopyJobs", [public(job) for job in jobs])


# -- plans on a tick ---------------------------------------------------------------------------------------------------


@on_tick
def run_due(cloud: Cloud, schedule: str, now: datetime) -> list[str]:
    """Run every plan rule that is due, with its copies, and let recovery points past their lifecycle go."""
    lines: list[str] = []
    with shift(cloud):
        for region in regions(cloud):
            for plan, rule in rules_due(cloud, region, schedule, now):
                lines += _run_rule(cloud, region, plan, rule, now)
            lines += _expire(cloud, region, now)
    return lines


def _run_rule(cloud: Cloud, region: str, plan: dict[str, Any], rule: dict[str, Any], now: datetime) -> list[str]:
    lines: list[str] = []
    created_by = {
        "BackupPlanId": plan["BackupPlanId"],
        "BackupPlanArn": plan["BackupPlanArn"],
        "BackupPlanName": plan["BackupPlanName"],
        "BackupPlanVersion": plan["VersionId"],
        "BackupRuleId": rule["RuleId"],
        "BackupRuleName": rule["RuleName"],
        "BackupRuleCron": rule["ScheduleExpression"],
        "BackupRuleTimezone": rule["ScheduleExpressionTimezone"],
    }
    name = f"AWS Backup {plan['BackupPlanName']} ({rule['RuleName']})"
    for role_arn, resource in _resources(cloud, region, plan):
        try:
            record = vault(cloud, region, rule["TargetBackupVaultName"])
        except Refused as refusal:
            return [*lines, f"{name}: FAILED {refusal.text}"]
        job = _new_job(
            cloud,
            region,
            record,
            resource.arn,
            role_arn=role_arn,
            lifecycle=rule.get("Lifecycle"),
            tags=rule.get("RecoveryPointTags") or {},
            start_by=now + timedelta(minutes=rule["StartWindowMinutes"]),
        )
        job["CreatedBy"] = created_by
        if rule.get("EnableContinuousBackup"):
            job["_continuous_days"] = retention(rule["Lifecycle"], "DeleteAfterDays")
        run_job(cloud, region, job)
        if job["State"] != "COMPLETED":
            lines.append(f"{name}: {job['State']} {resource.arn}: {job['StatusMessage']}")
            continue
        lines.append(f"{name}: recovery point {job['RecoveryPointArn']} in {record['BackupVaultName']}")
        point = table(cloud, region, "recovery_points")[job["RecoveryPointArn"]]
        for action in rule.get("CopyActions") or []:
            copied = _new_copy(
                cloud,
                region,
                point,
                action["DestinationBackupVaultArn"],
                role_arn=role_arn,
                lifecycle=action.get("Lifecycle"),
            )
            copied.update(CreatedBy=created_by, CreatedByBackupJobId=job["BackupJobId"])
            run_copy(cloud, region, copied)
            outcome = copied.get("DestinationRecoveryPointArn") or f"FAILED: {copied['StatusMessage']}"
            lines.append(f"{name}: copy to {action['DestinationBackupVaultArn']}: {outcome}")
    return lines


def _resources(cloud: Cloud, region: str, plan: dict[str, Any]) -> list[tuple[str, Resource]]:
    """Return what the selections of a plan take, each once, with the role to use."""
    selections = [record["_selection"] for record in plan["_selections"].values()]
    if not selections:
        return []
    found: dict[str, tuple[str, Resource]] = {}
    for resource in sources.everything(cloud, region):
        for selection in selections:
            if sources.selected(selection, resource, opted_in=opted_in(cloud, region, resource.type)):
                found.setdefault(resource.arn, (selection["IamRoleArn"], resource))
    return list(found.values())


def _expire(cloud: Cloud, region: str, now: datetime) -> list[str]:
    lines = []
    for point in list(table(cloud, region, "recovery_points").values()):
        due = point.get("CalculatedLifecycle") or {}
        if due.get("DeleteAt") is not None and due["DeleteAt"] <= now:
            delete_point(cloud, region, point)
            lines.append(f"AWS Backup: recovery point {point['RecoveryPointArn']} deleted, past its lifecycle")
        elif due.get("MoveToColdStorageAt") is not None and due["MoveToColdStorageAt"] <= now:
            point["StorageClass"] = "COLD"
    return lines


def install(cloud: Cloud) -> None:
    """Fail the jobs that a stop of the cloud interrupted."""

    def fail_interrupted(cloud: Cloud) -> None:
        for region in regions(cloud):
            for name in ("jobs", "copies"):
                for job in table(cloud, region, name).values():
                    if job["State"] not in ENDED:
                        end(cloud, job, "FAILED", "The service was interrupted while the job ran")

    cloud.on_start(fail_interrupted)
