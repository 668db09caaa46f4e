"""AWS Backup's common ground: its tables, refusals, pages, tags and settings (moto has only a part of it)."""

from __future__ import annotations

import base64
import re
import threading
from datetime import datetime
from typing import Any

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.services.backup_access import assumable

SERVICE = "backup.amazonaws.com"
# Everything here that checks first and writes then holds this; never while calling another service.
LOCK = threading.RLock()

# Resource type → opted in by default, as a new account finds it.
RESOURCE_TYPES = {
    "Aurora": True,
    "CloudFormation": False,
    "DSQL": True,
    "DocumentDB": True,
    "DynamoDB": True,
    "EBS": True,
    "EC2": True,
    "EFS": True,
    "EKS": False,
    "FSx": True,
    "Neptune": True,
    "RDS": True,
    "Redshift": False,
    "Redshift Serverless": False,
    "S3": True,
    "SAP HANA on Amazon EC2": False,
    "Storage Gateway": True,
    "Timestream": False,
    "VirtualMachine": True,
}


def table(cloud: Cloud, region: str, name: str) -> dict[str, Any]:
    """Return one of the service's tables in a region, such as vaults or recovery_points."""
    with LOCK:
        found: dict[str, Any] = cloud.store("backup", region).setdefault(name, {})
        return found


def regions(cloud: Cloud) -> list[str]:
    """Return the regions in which something of AWS Backup exists."""
    return sorted(region for name, region in list(cloud.remembered.stores) if name == "backup")


def arn(region: str, kind: str, name: str) -> str:
    """Return the ARN of a thing of this service."""
    return f"arn:aws:backup:{region}:{ACCOUNT_ID}:{kind}:{name}"


def public(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what only the local cloud keeps (names with an underscore) and without blanks."""
    return {key: value for key, value in record.items() if not key.startswith("_") and value is not None}


# -- refusals ----------------------------------------------------------------------------------------------------------


def invalid(text: str) -> Refused:
    """Return the refusal of a wrong value."""
    return Refused("InvalidParameterValueException", text)


def missing(text: str) -> Refused:
    """Return the refusal of an absent value."""
    return Refused("MissingParameterValueException", text)


def not_found(text: str) -> Refused:
    """Return the refusal of a name that is not there; AWS Backup's own are 400, not 404."""
    return Refused("ResourceNotFoundException", text)


def impossible(text: str) -> Refused:
    """Return the refusal of an order that the present state forbids."""
    return Refused("InvalidRequestException", text)


def checked_role(cloud: Cloud, role_arn: str) -> None:
    """Refuse a role that AWS Backup cannot assume."""
    if not assumable(cloud, role_arn, SERVICE):
        raise invalid(f"IAM Role {role_arn} cannot be assumed by AWS Backup")


def checked_name(name: str, pattern: str, what: str) -> None:
    """Refuse a name that does not match."""
    if not re.fullmatch(pattern, name):
        raise invalid(f"{what} {name!r} must match {pattern}")


def checked_lifecycle(lifecycle: dict[str, Any] | None, where: str) -> None:
    """Refuse a lifecycle as AWS does: 90 days in cold storage at least, and never shorter than the way there."""
    cold, delete = retention(lifecycle, "MoveToColdStorageAfterDays"), retention(lifecycle, "DeleteAfterDays")
    for name, days in (("MoveToColdStorageAfterDays", cold), ("DeleteAfterDays", delete)):
        if days is not None and not 1 <= days <= 36500:
            raise invalid(f"Invalid lifecycle. {name} of {where} must be 1 to 36500, is {days}")
    if cold is not None and delete is not None and delete < cold + 90:
        raise invalid(
            f"Invalid lifecycle. DeleteAfterDays of {where} cannot be less than 90 days apart from"
            " MoveToColdStorageAfterDays"
        )


def retention(lifecycle: dict[str, Any] | None, name: str) -> int | None:
    """Return the days of a lifecycle's entry, or None for never (absent, or -1 as AWS takes it in updates)."""
    days = (lifecycle or {}).get(name)
    return None if days in (None, -1) else int(days)


# -- pages -------------------------------------------------------------------------------------------------------------


def page(asked: dict[str, Any], name: str, items: list[Any]) -> dict[str, Any]:
    """Return the page that MaxResults and NextToken ask for."""
    size = asked.get("MaxResults") or 100
    if not 1 <= size <= 1000:
        raise invalid(f"MaxResults must be 1 to 1000, is {size}")
    first = 0
    if asked.get("NextToken"):
        try:
            first = int(base64.b64decode(asked["NextToken"], validate=True))
        except ValueError as error:
            raise invalid("Invalid NextToken") from error
    result: dict[str, Any] = {name: items[first : first + size]}
    if first + size < len(items):
        result["NextToken"] = base64.b64encode(str(first + size).encode()).decode()
    return result


def within(moment: datetime | None, asked: dict[str, Any], what: str) -> bool:
    """Return whether a moment lies between By…After and By…Before."""
    after, before = asked.get(f"By{what}After"), asked.get(f"By{what}Before")
    if moment is None:
        return after is None and before is None
    return (after is None or moment > _aware(after, moment)) and (before is None or moment < _aware(before, moment))


def _aware(moment: datetime, like: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=like.tzinfo)


# -- tags --------------------------------------------------------------------------------------------------------------


def tags_of(cloud: Cloud, region: str, resource_arn: str) -> dict[str, str]:
    """Return the tags of a vault, plan, framework, recovery point or restore-testing plan."""
    return dict(table(cloud, region, "tags").get(resource_arn, {}))


def set_tags(cloud: Cloud, region: str, resource_arn: str, tags: dict[str, str] | None) -> None:
    """Replace the tags of something; none drops them."""
    known = table(cloud, region, "tags")
    if tags is None:
        known.pop(resource_arn, None)
        return
    if any(key.startswith("aws:") for key in tags):
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    known[resource_arn] = dict(tags)


@operation("backup", "ListTags")
def _list_tags(call: Call, *, ResourceArn: str, **asked: Any) -> dict[str, Any]:
    _tagged(call, ResourceArn)
    found = page(asked, "Tags", sorted(tags_of(call.cloud, call.region, ResourceArn).items()))
    return {**found, "Tags": dict(found["Tags"])}


@operation("backup", "TagResource")
def _tag(call: Call, *, ResourceArn: str, Tags: dict[str, str]) -> dict[str, Any]:
    _tagged(call, ResourceArn)
    set_tags(call.cloud, call.region, ResourceArn, {**tags_of(call.cloud, call.region, ResourceArn), **Tags})
    return {}


@operation("backup", "UntagResource")
def _untag(call: Call, *, ResourceArn: str, TagKeyList: list[str]) -> dict[str, Any]:
    _tagged(call, ResourceArn)
    kept = {k: v for k, v in tags_of(call.cloud, call.region, ResourceArn).items() if k not in TagKeyList}
    set_tags(call.cloud, call.region, ResourceArn, kept)
    return {}


def _tagged(call: Call, resource_arn: str) -> None:
    def has(name: str, member: str) -> bool:
        return any(record.get(member) == resource_arn for record in table(call.cloud, call.region, name).values())

    known = (
        has("vaults", "BackupVaultArn")
        or has("plans", "BackupPlanArn")
        or has("recovery_points", "RecoveryPointArn")
        or has("testing_plans", "RestoreTestingPlanArn")
        or has("frameworks", "FrameworkArn")
        or ":report-plan:" in resource_arn
    )
    if not known:
        raise not_found(f"{resource_arn} does not exist")


# -- settings ----------------------------------------------------------------------------------------------------------


def opted_in(cloud: Cloud, region: str, resource_type: str) -> bool:
    """Return whether selections by tag take a resource type in a region."""
    chosen = table(cloud, region, "settings").get("ResourceTypeOptInPreference", {})
    return bool(chosen.get(resource_type, RESOURCE_TYPES.get(resource_type, False)))


@operation("backup", "DescribeRegionSettings")
def _region_settings(call: Call) -> dict[str, Any]:
    settings = table(call.cloud, call.region, "settings")
    return {
        "ResourceTypeOptInPreference": {**RESOURCE_TYPES, **settings.get("ResourceTypeOptInPreference", {})},
        "ResourceTypeManagementPreference": {
            "DynamoDB": False,
            "EFS": True,
            **settings.get("ResourceTypeManagementPreference", {}),
        },
    }


@operation("backup", "UpdateRegionSettings")
def _set_region_settings(call: Call, **asked: Any) -> dict[str, Any]:
    settings = table(call.cloud, call.region, "settings")
    for name in ("ResourceTypeOptInPreference", "ResourceTypeManagementPreference"):
        chosen = asked.get(name) or {}
        unknown = sorted(chosen.keys() - RESOURCE_TYPES.keys())
        if unknown:
            raise invalid(f"Unsupported resource type: {', '.join(unknown)}")
        settings[name] = {**settings.get(name, {}), **chosen}
    return {}


@operation("backup", "DescribeGlobalSettings")
def _global_settings(call: Call) -> dict[str, Any]:
    changed: dict[str, Any] = call.cloud.store("backup_global").get("settings", {})
    settings = {"isCrossAccountBackupEnabled": "false", "isMpaEnabled": "false", **changed.get("values", {})}
    return {"GlobalSettings": settings, "LastUpdateTime": changed.get("at", call.cloud.now())}


@operation("backup", "UpdateGlobalSettings")
def _set_global_settings(call: Call, *, GlobalSettings: dict[str, str] | None = None) -> dict[str, Any]:
    # Only the management account of an organization may; the local account is in none.
    raise impossible("Your account is not a member of an organization.")


@operation("backup", "GetSupportedResourceTypes")
def _supported(_call: Call) -> dict[str, Any]:
    return {"ResourceTypes": sorted(RESOURCE_TYPES)}
