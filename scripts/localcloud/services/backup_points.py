"""Recovery points: listed, described, kept by lock and policy, deleted; and what they protect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services.backup import (
    checked_lifecycle,
    impossible,
    not_found,
    page,
    public,
    retention,
    set_tags,
    table,
    within,
)
from localcloud.services.backup_access import is_own
from localcloud.services.backup_events import point_changed
from localcloud.services.backup_sources import Taken, discard
from localcloud.services.backup_vaults import looked_at, points_in, retention_problem, vault


def add_point(
    cloud: Cloud,
    region: str,
    vault_record: dict[str, Any],
    job: dict[str, Any],
    taken: Taken,
    *,
    tags: dict[str, str],
) -> None:
    """List what a backup or copy job made as a recovery point of a vault."""
    now = cloud.now()
    lifecycle = job.get("RecoveryPointLifecycle") or job.get("DestinationRecoveryPointLifecycle")
    continuous = bool(job.get("_continuous_days"))
    points = table(cloud, region, "recovery_points")
    created = points[taken.arn]["CreationDate"] if taken.arn in points else now
    points[taken.arn] = {
        "RecoveryPointArn": taken.arn,
        "BackupVaultName": vault_record["BackupVaultName"],
        "BackupVaultArn": vault_record["BackupVaultArn"],
        "SourceBackupVaultArn": job.get("SourceBackupVaultArn"),
        "ResourceArn": job["ResourceArn"],
        "ResourceType": job["ResourceType"],
        "ResourceName": job.get("ResourceName"),
        "CreatedBy": job.get("CreatedBy"),
        "IamRoleArn": job["IamRoleArn"],
        "Status": "AVAILABLE" if continuous else "COMPLETED",
        "CreationDate": created,
        "InitiationDate": job["CreationDate"],
        "CompletionDate": now,
        "BackupSizeInBytes": taken.size_bytes,
        "Lifecycle": lifecycle or None,
        "CalculatedLifecycle": _calculated(lifecycle, now) or None,
        "EncryptionKeyArn": vault_record["EncryptionKeyArn"] if taken.encrypted else None,
        "IsEncrypted": taken.encrypted,
        "IsParent": False,
        "StorageClass": "WARM",
        "VaultType": "BACKUP_VAULT",
        "_metadata": dict(taken.metadata),
        "_contents": taken.contents,
        "_continuous": continuous,
    }
    set_tags(cloud, region, taken.arn, tags)
    point_changed(cloud, region, points[taken.arn])


def _calculated(lifecycle: dict[str, Any] | None, start: datetime) -> dict[str, datetime]:
    found = {}
    for name, moment in (("MoveToColdStorageAfterDays", "MoveToColdStorageAt"), ("DeleteAfterDays", "DeleteAt")):
        days = retention(lifecycle, name)
        if days is not None:
            found[moment] = start + timedelta(days=days)
    return found


def delete_point(cloud: Cloud, region: str, point: dict[str, Any]) -> None:
    """Delete a recovery point and what it stands for."""
    if not point["_continuous"]:
        discard(cloud, region, point)
    table(cloud, region, "recovery_points").pop(point["RecoveryPointArn"], None)
    set_tags(cloud, region, point["RecoveryPointArn"], None)
    point_changed(cloud, region, {**point, "Status": "DELETED"})


def point_of(cloud: Cloud, region: str, vault_name: str, point_arn: str) -> dict[str, Any]:
    """Return a recovery point of a vault; one that is not there is refused."""
    vault(cloud, region, vault_name)
    point: dict[str, Any] | None = table(cloud, region, "recovery_points").get(point_arn)
    if point is None or point["BackupVaultName"] != vault_name:
        raise not_found(f"Recovery point {point_arn} does not exist in {vault_name}")
    return point


# -- operations --------------------------------------------------------------------------------------------------------


@operation("backup", "ListRecoveryPointsByBackupVault")
def _by_vault(call: Call, *, BackupVaultName: str, **asked: Any) -> dict[str, Any]:
    looked_at(call.cloud, call.region, BackupVaultName)
    points = [
        public(point)
        for point in points_in(call.cloud, call.region, BackupVaultName)
        if asked.get("ByResourceArn") in (None, point["ResourceArn"])
        and asked.get("ByResourceType") in (None, point["ResourceType"])
        and asked.get("ByBackupPlanId") in (None, (point.get("CreatedBy") or {}).get("BackupPlanId"))
        and asked.get("ByParentRecoveryPointArn") is None
        and within(point["CreationDate"], asked, "Created")
    ]
    return page(asked, "RecoveryPoints", points)


@operation("backup", "ListRecoveryPointsByResource")
def _by_resource(call: Call, *, ResourceArn: str, **asked: Any) -> dict[str, Any]:
    points = [
        {**public(point), "BackupSizeBytes": point["BackupSizeInBytes"]}
        for point in table(call.cloud, call.region, "recovery_points").values()
        if point["ResourceArn"] == ResourceArn
    ]
    return page(asked, "RecoveryPoints", sorted(points, key=lambda point: point["CreationDate"], reverse=True))


@operation("backup", "DescribeRecoveryPoint")
def _describe(call: Call, *, BackupVaultName: str, RecoveryPointArn: str, **_others: Any) -> dict[str, Any]:
    return public(point_of(call.cloud, call.region, BackupVaultName, RecoveryPointArn))


@operation("backup", "GetRecoveryPointRestoreMetadata")
def _metadata(call: Call, *, BackupVaultName: str, RecoveryPointArn: str, **_others: Any) -> dict[str, Any]:
    point = point_of(call.cloud, call.region, BackupVaultName, RecoveryPointArn)
    return {**public(point), "RestoreMetadata": point["_metadata"]}


@operation("backup", "UpdateRecoveryPointLifecycle")
def _update(
    call: Call, *, BackupVaultName: str, RecoveryPointArn: str, Lifecycle: dict[str, Any] | None = None
) -> dict[str, Any]:
    point = point_of(call.cloud, call.region, BackupVaultName, RecoveryPointArn)
    record = vault(call.cloud, call.region, BackupVaultName)
    if record["Locked"]:
        raise impossible("The lifecycle of a recovery point in a locked vault cannot be changed")
    if point["_continuous"]:
        raise impossible("The lifecycle of a continuous recovery point is that of its plan")
    checked_lifecycle(Lifecycle, "the recovery point")
    problem = retention_problem(record, retention(Lifecycle, "DeleteAfterDays"))
    if problem:
        raise impossible(problem)
    if point["StorageClass"] == "COLD" and retention(Lifecycle, "MoveToColdStorageAfterDays") is None:
        raise impossible("A recovery point in cold storage cannot go back to warm storage")
    point["Lifecycle"] = dict(Lifecycle or {})
    point["CalculatedLifecycle"] = _calculated(Lifecycle, point["CreationDate"]) or None
    point_changed(call.cloud, call.region, point)
    return public(point)


@operation("backup", "DeleteRecoveryPoint")
def _delete(call: Call, *, BackupVaultName: str, RecoveryPointArn: str) -> dict[str, Any]:
    point = point_of(call.cloud, call.region, BackupVaultName, RecoveryPointArn)
    if vault(call.cloud, call.region, BackupVaultName)["Locked"]:
        raise impossible(
            f"Recovery point {RecoveryPointArn} cannot be deleted: Backup vault {BackupVaultName} is locked"
        )
    delete_point(call.cloud, call.region, point)
    return {}


@operation("backup", "DisassociateRecoveryPoint")
def _disassociate(call: Call, *, BackupVaultName: str, RecoveryPointArn: str) -> dict[str, Any]:
    point = point_of(call.cloud, call.region, BackupVaultName, RecoveryPointArn)
    if not point["_continuous"]:
        raise impossible("Only a continuous recovery point can be disassociated")
    if vault(call.cloud, call.region, BackupVaultName)["Locked"]:
        raise impossible(f"Backup vault {BackupVaultName} is locked")
    delete_point(call.cloud, call.region, point)
    return {}


# -- what is protected -------------------------------------------------------------------------------------------------


def _protected(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for point in sorted(points, key=lambda point: point["CreationDate"]):
        newest[point["ResourceArn"]] = {
            "ResourceArn": point["ResourceArn"],
            "ResourceType": point["ResourceType"],
            "ResourceName": point.get("ResourceName") or "",
            "LastBackupTime": point["CreationDate"],
            "LastBackupVaultArn": point["BackupVaultArn"],
            "LastRecoveryPointArn": point["RecoveryPointArn"],
        }
    return list(newest.values())


@operation("backup", "ListProtectedResources")
def _list_protected(call: Call, **asked: Any) -> dict[str, Any]:
    points = list(table(call.cloud, call.region, "recovery_points").values())
    return page(asked, "Results", _protected(points))


@operation("backup", "ListProtectedResourcesByBackupVault")
def _list_protected_in(call: Call, *, BackupVaultName: str, **asked: Any) -> dict[str, Any]:
    vault(call.cloud, call.region, BackupVaultName)
    return page(asked, "Results", _protected(points_in(call.cloud, call.region, BackupVaultName)))


@operation("backup", "DescribeProtectedResource")
def _describe_protected(call: Call, *, ResourceArn: str) -> dict[str, Any]:
    points = list(table(call.cloud, call.region, "recovery_points").values())
    found = next((known for known in _protected(points) if known["ResourceArn"] == ResourceArn), None)
    if found is None:
        raise not_found(f"Resource {ResourceArn} is not protected by AWS Backup")
    return found


# -- nobody else deletes them ------------------------------------------------------------------------------------------


def _managed(call: Call, suffix: str) -> bool:
    points = table(call.cloud, call.region, "recovery_points")
    return not is_own(call) and any(point_arn.endswith(suffix) for point_arn in points)


@around("ec2", "DeleteSnapshot", "DeregisterImage")
def _keep_ec2(call: Call, proceed: Callable[[], Answer]) -> Answer:
    kind, made_id = ("snapshot", "SnapshotId") if call.operation == "DeleteSnapshot" else ("image", "ImageId")
    if _managed(call, f"::{kind}/{call.params.get(made_id)}"):
        raise Refused(
            "InvalidParameterValue",
            f"This {kind} is managed by the AWS Backup service and cannot be deleted via EC2 APIs. If you wish to"
            f" delete this {kind}, please do so via the Backup console.",
        )
    return proceed()


@around("rds", "DeleteDBSnapshot")
def _keep_rds(call: Call, proceed: Callable[[], Answer]) -> Answer:
    name = str(call.params.get("DBSnapshotIdentifier"))
    if _managed(call, f":snapshot:{name}"):
        raise Refused("InvalidDBSnapshotState", f"Snapshot {name} is managed by AWS Backup and cannot be deleted here.")
    return proceed()
