"""Backup vaults: keys, access policies that really deny, notifications, and locks in both modes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services.backup import (
    LOCK,
    arn,
    checked_name,
    impossible,
    invalid,
    not_found,
    page,
    public,
    set_tags,
    table,
)
from localcloud.services.backup_access import caller, checked_resource_policy, denied, is_own

# What a vault may ask to be told; of these AWS still sends only job starts and ends.
EVENTS = {
    "BACKUP_JOB": ("STARTED", "COMPLETED", "SUCCESSFUL", "FAILED", "EXPIRED"),
    "RESTORE_JOB": ("STARTED", "COMPLETED", "SUCCESSFUL", "FAILED"),
    "COPY_JOB": ("STARTED", "SUCCESSFUL", "FAILED"),
    "RECOVERY_POINT": ("MODIFIED",),
    "BACKUP_PLAN": ("CREATED", "MODIFIED"),
    "S3_BACKUP_OBJECT": ("FAILED",),
    "S3_RESTORE_OBJECT": ("FAILED",),
    "CONTINUOUS_BACKUP": ("INTERRUPTED",),
}
_VAULT_ARN = re.compile(r"arn:aws[\w-]*:backup:([\w-]+):(\d{12}):backup-vault:([\w-]{2,50})")


def vault(cloud: Cloud, region: str, name: str) -> dict[str, Any]:
    """Return a vault's record; a name that is not there is refused."""
    found: dict[str, Any] | None = table(cloud, region, "vaults").get(name)
    if found is None:
        raise not_found(f"Backup vault {name} does not exist")
    return found


def looked_at(cloud: Cloud, region: str, name: str) -> dict[str, Any]:
    """Return a vault's record; reading one that is not there is refused as AWS does, with 403."""
    if name not in table(cloud, region, "vaults"):
        raise Refused("AccessDeniedException", "Insufficient privileges to perform this action.", 403)
    return vault(cloud, region, name)


def vault_at(vault_arn: str) -> tuple[str, str]:
    """Return region and name of a vault's ARN; raises InvalidParameterValueException."""
    match = _VAULT_ARN.fullmatch(vault_arn)
    if match is None:
        raise invalid(f"Invalid ARN: {vault_arn} is not the ARN of a backup vault")
    return match.group(1), match.group(3)


def points_in(cloud: Cloud, region: str, name: str) -> list[dict[str, Any]]:
    """Return the recovery points of a vault, the newest first."""
    points = [p for p in table(cloud, region, "recovery_points").values() if p["BackupVaultName"] == name]
    return sorted(points, key=lambda point: point["CreationDate"], reverse=True)


def key_problem(cloud: Cloud, region: str, key_arn: str) -> str | None:
    """Return why a vault's key cannot be used now, or None."""
    key_id = key_arn.rsplit("/", 1)[-1]
    key = cloud.moto("kms", region).keys.get(key_id)
    if key is None:
        return f"KMS key {key_arn} does not exist"
    state = str(key.key_state)
    return None if state == "Enabled" else f"KMS key {key_arn} is {state}"


def check_access(call: Call, vault_record: dict[str, Any], action: str) -> None:
    """Refuse with 403 what the vault's access policy denies the caller."""
    policy = vault_record.get("_policy")
    if policy and not is_own(call) and denied(policy, action, caller(call)):
        raise Refused(
            "AccessDeniedException",
            f"User: {caller(call)} is not authorized to perform: {action} on resource:"
            f" {vault_record['BackupVaultArn']} with an explicit deny in a resource-based policy",
            403,
        )


@around("backup", "*")
def _guarded(call: Call, proceed: Callable[[], Answer]) -> Answer:
    name = call.params.get("BackupVaultName")
    if isinstance(name, str) and call.operation != "CreateBackupVault":
        record = table(call.cloud, call.region, "vaults").get(name)
        if record is not None:
            check_access(call, record, f"backup:{call.operation}")
    return proceed()


# -- vaults ------------------------------------------------------------------------------------------------------------


@operation("backup", "CreateBackupVault")
def _create(
    call: Call,
    *,
    BackupVaultName: str,
    BackupVaultTags: dict[str, str] | None = None,
    EncryptionKeyArn: str | None = None,
    CreatorRequestId: str | None = None,
) -> dict[str, Any]:
    checked_name(BackupVaultName, r"[a-zA-Z0-9_-]{2,50}", "BackupVaultName")
    key_arn = EncryptionKeyArn or _default_key(call)
    if key_arn.split(":")[3:4] != [call.region] or key_problem(call.cloud, call.region, key_arn):
        raise invalid(f"Unable to use the encryption key {key_arn} in {call.region}")
    with LOCK:
        known = table(call.cloud, call.region, "vaults")
        existing = known.get(BackupVaultName)
        if existing is not None:
            if CreatorRequestId and existing.get("CreatorRequestId") == CreatorRequestId:
                return public(existing)
            raise Refused("AlreadyExistsException", "Backup vault with the same name already exists")
        record: dict[str, Any] = {
            "BackupVaultName": BackupVaultName,
            "BackupVaultArn": arn(call.region, "backup-vault", BackupVaultName),
            "VaultType": "BACKUP_VAULT",
            "VaultState": "AVAILABLE",
            "EncryptionKeyArn": key_arn,
            "EncryptionKeyType": "CUSTOMER_MANAGED_KMS_KEY" if EncryptionKeyArn else "AWS_OWNED_KMS_KEY",
            "CreationDate": call.cloud.now(),
            "CreatorRequestId": CreatorRequestId,
            "Locked": False,
        }
        set_tags(call.cloud, call.region, record["BackupVaultArn"], BackupVaultTags or {})
        known[BackupVaultName] = record
    return public(record)


def _default_key(call: Call) -> str:
    """Return the region's aws/backup key, made when first wanted, as AWS does."""
    settings = table(call.cloud, call.region, "settings")
    if "_default_key" not in settings:
        kms = call.cloud.client("kms", call.region)
        description = "Default key that protects my Backup data when no other key is defined"
        key = kms.create_key(Description=description)["KeyMetadata"]
        # The API lets nobody make an alias/aws/… ; its owner, the service, goes past it.
        call.cloud.moto("kms", call.region).create_alias(key["KeyId"], "alias/aws/backup")
        settings["_default_key"] = key["Arn"]
    return str(settings["_default_key"])


def _described(call: Call, record: dict[str, Any]) -> dict[str, Any]:
    points = points_in(call.cloud, call.region, record["BackupVaultName"])
    return {**public(record), "NumberOfRecoveryPoints": len(points)}


@operation("backup", "DescribeBackupVault")
def _describe(call: Call, *, BackupVaultName: str, **_others: Any) -> dict[str, Any]:
    return _described(call, looked_at(call.cloud, call.region, BackupVaultName))


@operation("backup", "ListBackupVaults")
def _list(call: Call, **asked: Any) -> dict[str, Any]:
    records = sorted(table(call.cloud, call.region, "vaults").values(), key=lambda record: record["BackupVaultName"])
    kind = asked.get("ByVaultType")
    chosen = [_described(call, record) for record in records if kind in (None, record["VaultType"])]
    return page(asked, "BackupVaultList", chosen)


@operation("backup", "DeleteBackupVault")
def _delete(call: Call, *, BackupVaultName: str) -> dict[str, Any]:
    with LOCK:
        record = vault(call.cloud, call.region, BackupVaultName)
        if points_in(call.cloud, call.region, BackupVaultName):
            raise impossible("Backup vault cannot be deleted because it contains recovery points.")
        del table(call.cloud, call.region, "vaults")[BackupVaultName]
        set_tags(call.cloud, call.region, record["BackupVaultArn"], None)
    return {}


# -- access policy and notifications -----------------------------------------------------------------------------------


@operation("backup", "PutBackupVaultAccessPolicy")
def _put_policy(call: Call, *, BackupVaultName: str, Policy: str | None = None) -> dict[str, Any]:
    record = vault(call.cloud, call.region, BackupVaultName)
    try:
        checked_resource_policy(Policy or "")
    except ValueError as error:
        raise invalid(f"Invalid policy: {error}") from error
    record["_policy"] = Policy
    return {}


@operation("backup", "GetBackupVaultAccessPolicy")
def _get_policy(call: Call, *, BackupVaultName: str) -> dict[str, Any]:
    record = vault(call.cloud, call.region, BackupVaultName)
    if not record.get("_policy"):
        raise not_found(f"Failed reading policy of {BackupVaultName}: it has none")
    return {**_named(record), "Policy": record["_policy"]}


@operation("backup", "DeleteBackupVaultAccessPolicy")
def _delete_policy(call: Call, *, BackupVaultName: str) -> dict[str, Any]:
    vault(call.cloud, call.region, BackupVaultName).pop("_policy", None)
    return {}


@operation("backup", "PutBackupVaultNotifications")
def _put_notifications(
    call: Call, *, BackupVaultName: str, SNSTopicArn: str, BackupVaultEvents: list[str]
) -> dict[str, Any]:
    record = vault(call.cloud, call.region, BackupVaultName)
    if not re.fullmatch(rf"arn:aws[\w-]*:sns:{call.region}:\d{{12}}:[\w-]+", SNSTopicArn):
        raise invalid(f"SNSTopicArn {SNSTopicArn} is not the ARN of a topic in {call.region}")
    known = {f"{kind}_{state}" for kind, states in EVENTS.items() for state in states}
    unknown = sorted(set(BackupVaultEvents) - known)
    if unknown or not BackupVaultEvents:
        raise invalid(f"Unsupported backup vault event: {', '.join(unknown) or 'none given'}")
    record["_notifications"] = {"SNSTopicArn": SNSTopicArn, "BackupVaultEvents": list(BackupVaultEvents)}
    return {}


@operation("backup", "GetBackupVaultNotifications")
def _get_notifications(call: Call, *, BackupVaultName: str) -> dict[str, Any]:
    record = vault(call.cloud, call.region, BackupVaultName)
    if not record.get("_notifications"):
        raise not_found(f"Failed reading notifications of {BackupVaultName}: it has none")
    return {**_named(record), **record["_notifications"]}


@operation("backup", "DeleteBackupVaultNotifications")
def _delete_notifications(call: Call, *, BackupVaultName: str) -> dict[str, Any]:
    vault(call.cloud, call.region, BackupVaultName).pop("_notifications", None)
    return {}


def _named(record: dict[str, Any]) -> dict[str, Any]:
    return {"BackupVaultName": record["BackupVaultName"], "BackupVaultArn": record["BackupVaultArn"]}


# -- lock --------------------------------------------------------------------------------------------------------------


@operation("backup", "PutBackupVaultLockConfiguration")
def _lock(
    call: Call,
    *,
    BackupVaultName: str,
    MinRetentionDays: int | None = None,
    MaxRetentionDays: int | None = None,
    ChangeableForDays: int | None = None,
) -> dict[str, Any]:
    record = vault(call.cloud, call.region, BackupVaultName)
    now = call.cloud.now()
    _refuse_when_immutable(record, now)
    for name, days in (("MinRetentionDays", MinRetentionDays), ("MaxRetentionDays", MaxRetentionDays)):
        if days is not None and not 1 <= days <= 36500:
            raise invalid(f"{name} must be 1 to 36500, is {days}")
    if MinRetentionDays is not None and MaxRetentionDays is not None and MinRetentionDays > MaxRetentionDays:
        raise invalid("MinRetentionDays cannot be greater than MaxRetentionDays")
    if ChangeableForDays is not None and not 3 <= ChangeableForDays <= 36500:
        raise invalid(f"ChangeableForDays must be 3 to 36500, is {ChangeableForDays}")
    record.update(
        Locked=True,
        MinRetentionDays=MinRetentionDays,
        MaxRetentionDays=MaxRetentionDays,
        LockDate=None if ChangeableForDays is None else now + timedelta(days=ChangeableForDays),
    )
    return {}


@operation("backup", "DeleteBackupVaultLockConfiguration")
def _unlock(call: Call, *, BackupVaultName: str) -> dict[str, Any]:
    record = vault(call.cloud, call.region, BackupVaultName)
    _refuse_when_immutable(record, call.cloud.now())
    record.update(Locked=False, MinRetentionDays=None, MaxRetentionDays=None, LockDate=None)
    return {}


def _refuse_when_immutable(record: dict[str, Any], now: datetime) -> None:
    if record["Locked"] and record.get("LockDate") is not None and now >= record["LockDate"]:
        raise impossible("Vault Lock configuration is immutable: its grace time ended")


def retention_problem(record: dict[str, Any], days: int | None) -> str | None:
    """Return why a vault's lock refuses a recovery point kept for `days` (None is for ever), or None."""
    if not record["Locked"]:
        return None
    shortest, longest = record.get("MinRetentionDays"), record.get("MaxRetentionDays")
    name = record["BackupVaultName"]
    if shortest is not None and days is not None and days < shortest:
        return f"Retention of {days} days is below the minimum of {shortest} days of the locked vault {name}"
    if longest is not None and (days is None or days > longest):
        kept = "for ever" if days is None else f"of {days} days"
        return f"Retention {kept} is above the maximum of {longest} days of the locked vault {name}"
    return None
