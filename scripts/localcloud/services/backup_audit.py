"""Backup Audit Manager frameworks: kept and read back; nothing here evaluates their controls."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from localcloud.operations import Call, Refused, operation
from localcloud.services.backup import arn, checked_name, invalid, missing, not_found, page, public, set_tags, table

CONTROLS = (
    "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
    "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
    "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
    "BACKUP_RECOVERY_POINT_ENCRYPTED",
    "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK",
    "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION",
    "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT",
    "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK",
    "BACKUP_LAST_RECOVERY_POINT_CREATED",
    "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET",
    "BACKUP_RESOURCES_INSIDE_LOGICALLY_AIR_GAPPED_VAULT",
)


@operation("backup", "CreateFramework")
def _create(
    call: Call,
    *,
    FrameworkName: str,
    FrameworkControls: list[dict[str, Any]],
    FrameworkDescription: str | None = None,
    FrameworkTags: dict[str, str] | None = None,
    IdempotencyToken: str | None = None,
) -> dict[str, Any]:
    checked_name(FrameworkName, r"[a-zA-Z][_a-zA-Z0-9]{0,255}", "FrameworkName")
    _check_controls(FrameworkControls)
    known = table(call.cloud, call.region, "frameworks")
    if FrameworkName in known:
        raise Refused("AlreadyExistsException", f"Framework {FrameworkName} already exists")
    framework = {
        "FrameworkName": FrameworkName,
        "FrameworkArn": arn(call.region, "framework", f"{FrameworkName}-{uuid4()}"),
        "FrameworkDescription": FrameworkDescription,
        "FrameworkControls": FrameworkControls,
        "CreationTime": call.cloud.now(),
        "DeploymentStatus": "COMPLETED",
        "FrameworkStatus": "ACTIVE",
        "IdempotencyToken": IdempotencyToken,
    }
    known[FrameworkName] = framework
    set_tags(call.cloud, call.region, str(framework["FrameworkArn"]), FrameworkTags or {})
    return public(framework)


def _check_controls(controls: list[dict[str, Any]]) -> None:
    if not controls:
        raise missing("A framework needs at least one control")
    unknown = sorted({control["ControlName"].upper() for control in controls} - set(CONTROLS))
    if unknown:
        raise invalid(f"Unsupported control: {', '.join(unknown)}")


def _framework(call: Call, name: str) -> dict[str, Any]:
    framework: dict[str, Any] | None = table(call.cloud, call.region, "frameworks").get(name)
    if framework is None:
        raise not_found(f"Framework {name} does not exist")
    return framework


@operation("backup", "DescribeFramework")
def _describe(call: Call, *, FrameworkName: str) -> dict[str, Any]:
    return public(_framework(call, FrameworkName))


@operation("backup", "UpdateFramework")
def _update(
    call: Call,
    *,
    FrameworkName: str,
    FrameworkDescription: str | None = None,
    FrameworkControls: list[dict[str, Any]] | None = None,
    **_others: Any,
) -> dict[str, Any]:
    framework = _framework(call, FrameworkName)
    if FrameworkControls is not None:
        _check_controls(FrameworkControls)
        framework["FrameworkControls"] = FrameworkControls
    if FrameworkDescription is not None:
        framework["FrameworkDescription"] = FrameworkDescription
    return public(framework)


@operation("backup", "ListFrameworks")
def _list(call: Call, **asked: Any) -> dict[str, Any]:
    found = [
        {**public(framework), "NumberOfControls": len(framework["FrameworkControls"])}
        for framework in table(call.cloud, call.region, "frameworks").values()
    ]
    return page(asked, "Frameworks", found)


@operation("backup", "DeleteFramework")
def _delete(call: Call, *, FrameworkName: str) -> dict[str, Any]:
    framework = _framework(call, FrameworkName)
    set_tags(call.cloud, call.region, framework["FrameworkArn"], None)
    del table(call.cloud, call.region, "frameworks")[FrameworkName]
    return {}
