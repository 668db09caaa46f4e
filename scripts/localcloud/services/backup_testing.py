"""Restore-testing plans: which recovery points they choose, restoring them on a tick, cleaning up after."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from uuid import uuid4

from localcloud import cron
from localcloud.cloud import Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.schedules import on_tick
from localcloud.services.backup import (
    LOCK,
    arn,
    checked_name,
    checked_role,
    impossible,
    invalid,
    missing,
    not_found,
    page,
    public,
    regions,
    set_tags,
    table,
    tags_of,
)
from localcloud.services.backup_points import point_of
from localcloud.services.backup_restores import delete_restored, new_restore, run_restore
from localcloud.services.backup_shifts import shift
from localcloud.services.backup_sources import ACTIONS

# What a restore test made bears this name, and nothing else does.
PREFIX = "awsbackup-restore-test-"
# A tick is the next time of its schedule, so at least this long has gone by, whatever the clock says.
PASSED = {"daily": timedelta(days=1), "monthly": timedelta(days=28)}
WATCH_SECONDS = 60.0
ALGORITHMS = ("LATEST_WITHIN_WINDOW", "RANDOM_WITHIN_WINDOW")
NAME = r"[a-zA-Z0-9_]{1,50}"


# -- plans -------------------------------------------------------------------------------------------------------------


@operation("backup", "CreateRestoreTestingPlan")
def _create(
    call: Call,
    *,
    RestoreTestingPlan: dict[str, Any],
    CreatorRequestId: str | None = None,
    Tags: dict[str, str] | None = None,
) -> dict[str, Any]:
    name = RestoreTestingPlan.get("RestoreTestingPlanName") or ""
    checked_name(name, NAME, "RestoreTestingPlanName")
    document = _checked(RestoreTestingPlan)
    with LOCK:
        known = table(call.cloud, call.region, "testing_plans")
        if name in known:
            raise Refused("AlreadyExistsException", f"Restore testing plan {name} already exists")
        plan = {
            **document,
            "RestoreTestingPlanArn": arn(call.region, "restore-testing-plan", f"{name}-{uuid4()}"),
            "CreationTime": call.cloud.now(),
            "CreatorRequestId": CreatorRequestId,
            "_selections": {},
        }
        known[name] = plan
        set_tags(call.cloud, call.region, plan["RestoreTestingPlanArn"], Tags or {})
    return public(plan)


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    document = {"ScheduleExpressionTimezone": "Etc/UTC", "StartWindowHours": 24, **given}
    try:
        cron.cron(document.get("ScheduleExpression") or "")
        cron.zone(document["ScheduleExpressionTimezone"])
    except cron.BadExpression as error:
        raise invalid(f"Invalid schedule: {error}") from error
    if not 1 <= document["StartWindowHours"] <= 168:
        raise invalid(f"StartWindowHours must be 1 to 168, is {document['StartWindowHours']}")
    selection = {"ExcludeVaults": [], "SelectionWindowDays": 30, **(document.get("RecoveryPointSelection") or {})}
    if selection.get("Algorithm") not in ALGORITHMS:
        raise invalid(f"Algorithm must be one of {', '.join(ALGORITHMS)}")
    if not selection.get("IncludeVaults") or not selection.get("RecoveryPointTypes"):
        raise missing("RecoveryPointSelection needs IncludeVaults and RecoveryPointTypes")
    if not 1 <= selection["SelectionWindowDays"] <= 365:
        raise invalid(f"SelectionWindowDays must be 1 to 365, is {selection['SelectionWindowDays']}")
    for vault_arn in [*selection["IncludeVaults"], *selection["ExcludeVaults"]]:
        if vault_arn != "*" and ":backup-vault:" not in vault_arn:
            raise invalid(f"{vault_arn} is neither * nor the ARN of a backup vault")
    return {**document, "RecoveryPointSelection": selection}


def _plan(call: Call, name: str) -> dict[str, Any]:
    plan: dict[str, Any] | None = table(call.cloud, call.region, "testing_plans").get(name)
    if plan is None:
        raise not_found(f"Restore testing plan {name} does not exist")
    return plan


@operation("backup", "GetRestoreTestingPlan")
def _get(call: Call, *, RestoreTestingPlanName: str) -> dict[str, Any]:
    return {"RestoreTestingPlan": public(_plan(call, RestoreTestingPlanName))}


@operation("backup", "UpdateRestoreTestingPlan")
def _update(call: Call, *, RestoreTestingPlanName: str, RestoreTestingPlan: dict[str, Any]) -> dict[str, Any]:
    plan = _plan(call, RestoreTestingPlanName)
    given = {key: value for key, value in RestoreTestingPlan.items() if value is not None}
    selection = {**plan["RecoveryPointSelection"], **given.pop("RecoveryPointSelection", {})}
    plan.update(_checked({**plan, **given, "RecoveryPointSelection": selection}), LastUpdateTime=call.cloud.now())
    return {**public(plan), "UpdateTime": plan["LastUpdateTime"]}


@operation("backup", "ListRestoreTestingPlans")
def _list(call: Call, **asked: Any) -> dict[str, Any]:
    plans = [public(plan) for plan in table(call.cloud, call.region, "testing_plans").values()]
    return page(asked, "RestoreTestingPlans", plans)


@operation("backup", "DeleteRestoreTestingPlan")
def _delete(call: Call, *, RestoreTestingPlanName: str) -> dict[str, Any]:
    with LOCK:
        plan = _plan(call, RestoreTestingPlanName)
        if plan["_selections"]:
            raise impossible(f"Restore testing plan {RestoreTestingPlanName} still has selections")
        set_tags(call.cloud, call.region, plan["RestoreTestingPlanArn"], None)
        del table(call.cloud, call.region, "testing_plans")[RestoreTestingPlanName]
    return {}


# -- selections --------------------------------------------------------------------------------------------------------


@operation("backup", "CreateRestoreTestingSelection")
def _select(
    call: Call,
    *,
    RestoreTestingPlanName: str,
    RestoreTestingSelection: dict[str, Any],
    CreatorRequestId: str | None = None,
) -> dict[str, Any]:
    plan = _plan(call, RestoreTestingPlanName)
    name = RestoreTestingSelection.get("RestoreTestingSelectionName") or ""
    checked_name(name, NAME, "RestoreTestingSelectionName")
    selection = _checked_selection(call, RestoreTestingSelection)
    with LOCK:
        if name in plan["_selections"]:
            raise Refused("AlreadyExistsException", f"Restore testing selection {name} already exists")
        plan["_selections"][name] = {
            **selection,
            "RestoreTestingPlanName": RestoreTestingPlanName,
            "CreationTime": call.cloud.now(),
            "CreatorRequestId": CreatorRequestId,
        }
    return {**public(plan["_selections"][name]), "RestoreTestingPlanArn": plan["RestoreTestingPlanArn"]}


def _checked_selection(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    selection = {
        "ProtectedResourceArns": [],
        "RestoreMetadataOverrides": {},
        "ValidationWindowHours": 0,
        **{key: value for key, value in given.items() if value is not None},
    }
    conditions = selection.get("ProtectedResourceConditions") or {}
    selection["ProtectedResourceConditions"] = {"StringEquals": [], "StringNotEquals": [], **conditions}
    if selection.get("ProtectedResourceType") not in ACTIONS:
        raise invalid(f"Unsupported ProtectedResourceType {selection.get('ProtectedResourceType')}")
    arns = selection["ProtectedResourceArns"]
    conditioned = any(selection["ProtectedResourceConditions"].values())
    if not arns and not conditioned:
        raise invalid("A restore testing selection needs ProtectedResourceArns or ProtectedResourceConditions")
    if conditioned and arns not in ([], ["*"]):
        raise invalid("ProtectedResourceConditions cannot be used together with named ProtectedResourceArns")
    for listed in selection["ProtectedResourceConditions"].values():
        for condition in listed:
            if not condition["Key"].startswith("aws:ResourceTag/"):
                raise invalid(f"Condition key {condition['Key']} must start with aws:ResourceTag/")
    if not 0 <= selection["ValidationWindowHours"] <= 168:
        raise invalid(f"ValidationWindowHours must be 0 to 168, is {selection['ValidationWindowHours']}")
    checked_role(call.cloud, selection.get("IamRoleArn") or "")
    return selection


def _selection(call: Call, plan_name: str, name: str) -> dict[str, Any]:
    selection: dict[str, Any] | None = _plan(call, plan_name)["_selections"].get(name)
    if selection is None:
        raise not_found(f"Restore testing selection {name} of {plan_name} does not exist")
    return selection


@operation("backup", "GetRestoreTestingSelection")
def _get_selection(call: Call, *, RestoreTestingPlanName: str, RestoreTestingSelectionName: str) -> dict[str, Any]:
    selection = _selection(call, RestoreTestingPlanName, RestoreTestingSelectionName)
    return {"RestoreTestingSelection": public(selection)}


@operation("backup", "UpdateRestoreTestingSelection")
def _update_selection(
    call: Call,
    *,
    RestoreTestingPlanName: str,
    RestoreTestingSelectionName: str,
    RestoreTestingSelection: dict[str, Any],
) -> dict[str, Any]:
    selection = _selection(call, RestoreTestingPlanName, RestoreTestingSelectionName)
    selection.update(_checked_selection(call, {**selection, **RestoreTestingSelection}))
    plan_arn = _plan(call, RestoreTestingPlanName)["RestoreTestingPlanArn"]
    return {**public(selection), "RestoreTestingPlanArn": plan_arn, "UpdateTime": call.cloud.now()}


@operation("backup", "ListRestoreTestingSelections")
def _list_selections(call: Call, *, RestoreTestingPlanName: str, **asked: Any) -> dict[str, Any]:
    selections = [public(selection) for selection in _plan(call, RestoreTestingPlanName)["_selections"].values()]
    return page(asked, "RestoreTestingSelections", selections)


@operation("backup", "DeleteRestoreTestingSelection")
def _delete_selection(call: Call, *, RestoreTestingPlanName: str, RestoreTestingSelectionName: str) -> dict[str, Any]:
    _selection(call, RestoreTestingPlanName, RestoreTestingSelectionName)
    del _plan(call, RestoreTestingPlanName)["_selections"][RestoreTestingSelectionName]
    return {}


@operation("backup", "GetRestoreTestingInferredMetadata")
def _inferred_metadata(call: Call, *, BackupVaultName: str, RecoveryPointArn: str, **_others: Any) -> dict[str, Any]:
    point = point_of(call.cloud, call.region, BackupVaultName, RecoveryPointArn)
    return {"InferredMetadata": _inferred(point)}


def _inferred(point: dict[str, Any]) -> dict[str, str]:
    """Return what AWS infers: the source's settings under a name of its own, reachable by nobody."""
    fresh = f"{PREFIX}{uuid4()}"
    name = {
        "RDS": "DBInstanceIdentifier",
        "DynamoDB": "targetTableName",
        "S3": "DestinationBucketName",
    }.get(point["ResourceType"])
    dropped = ("DeletionProtection", "originalTableName", "BucketName")
    metadata = {key: value for key, value in point["_metadata"].items() if key not in dropped}
    if point["ResourceType"] == "RDS":
        metadata.update(PubliclyAccessible="false", MultiAZ="false", DeletionProtection="false")
    return {**metadata, **({name: fresh[:63]} if name else {})}


# -- on a tick ---------------------------------------------------------------------------------------------------------


@on_tick
def run_due(cloud: Cloud, schedule: str, now: datetime) -> list[str]:
    """Clean up after tests whose validation window ended, then run every testing plan that is due."""
    lines: list[str] = []
    with shift(cloud):
        for region in regions(cloud):
            lines += end_windows(cloud, region, now + PASSED[schedule])
            for plan in table(cloud, region, "testing_plans").values():
                if cron.due_in(plan["ScheduleExpression"], now.date()) == schedule:
                    plan["LastExecutionTime"] = now
                    lines += _run(cloud, region, plan, now)
    return lines


def _run(cloud: Cloud, region: str, plan: dict[str, Any], now: datetime) -> list[str]:
    lines = []
    for selection in plan["_selections"].values():
        name = f"restore test {plan['RestoreTestingPlanName']} ({selection['RestoreTestingSelectionName']})"
        chosen = _chosen(cloud, region, plan["RecoveryPointSelection"], selection, now)
        if not chosen:
            lines.append(f"{name}: no recovery point to test")
        for point in chosen:
            metadata = {**_inferred(point), **selection["RestoreMetadataOverrides"]}
            if point["ResourceType"] == "S3":
                _make_bucket(cloud, region, metadata["DestinationBucketName"])
            job = new_restore(cloud, region, point, selection["IamRoleArn"], metadata)
            job["CreatedBy"] = {"RestoreTestingPlanArn": plan["RestoreTestingPlanArn"]}
            run_restore(cloud, region, job)
            outcome = job.get("CreatedResourceArn") or job.get("StatusMessage")
            lines.append(f"{name}: {job['Status']} {point['RecoveryPointArn']}: {outcome}")
            if job["Status"] != "COMPLETED":
                continue
            if selection["ValidationWindowHours"]:
                window = timedelta(hours=selection["ValidationWindowHours"])
                job.update(ValidationStatus="VALIDATING", _validate_until=now + window)
            else:
                delete_restored(cloud, region, job)
    return lines


def _make_bucket(cloud: Cloud, region: str, name: str) -> None:
    cloud.client("s3", region).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})


def end_windows(cloud: Cloud, region: str, now: datetime) -> list[str]:
    """Delete what tests restored whose validation window is over at a time, as AWS Backup does; return it in words."""
    lines = []
    for job in list(table(cloud, region, "restores").values()):
        if job.get("ValidationStatus") == "VALIDATING" and job["_validate_until"] <= now:
            job["ValidationStatus"] = "TIMED_OUT"
            delete_restored(cloud, region, job)
            outcome = f"deletion {job['DeletionStatus']} {job.get('DeletionStatusMessage', '')}".rstrip()
            lines.append(f"restore test: the validation window of {job['CreatedResourceArn']} is over: {outcome}")
    return lines


def install(cloud: Cloud) -> None:
    """End the validation windows that pass by the clock."""

    def watch() -> None:
        while not cloud.stopping.wait(WATCH_SECONDS):
            if not any(_validating(cloud, region) for region in regions(cloud)):
                continue
            with cloud.gate.working():
                done = [line for region in regions(cloud) for line in end_windows(cloud, region, cloud.now())]
            if done:
                cloud.changed()

    cloud.background(watch, name="restore-test-windows")


def _validating(cloud: Cloud, region: str) -> bool:
    jobs = list(table(cloud, region, "restores").values())
    return any(job.get("ValidationStatus") == "VALIDATING" for job in jobs)


def _chosen(
    cloud: Cloud, region: str, rule: dict[str, Any], selection: dict[str, Any], now: datetime
) -> list[dict[str, Any]]:
    """Return one recovery point for each resource that a selection takes."""
    oldest = now - timedelta(days=rule["SelectionWindowDays"])
    by_resource: dict[str, list[dict[str, Any]]] = {}
    for point in table(cloud, region, "recovery_points").values():
        vault_arn = point["BackupVaultArn"]
        if (
            point["ResourceType"] == selection["ProtectedResourceType"]
            and point["CreationDate"] >= oldest
            and ("CONTINUOUS" if point["_continuous"] else "SNAPSHOT") in rule["RecoveryPointTypes"]
            and any(fnmatchcase(vault_arn, pattern) for pattern in rule["IncludeVaults"])
            and not any(fnmatchcase(vault_arn, pattern) for pattern in rule["ExcludeVaults"])
            and _takes(selection, point, tags_of(cloud, region, point["RecoveryPointArn"]))
        ):
            by_resource.setdefault(point["ResourceArn"], []).append(point)
    if rule["Algorithm"] == "RANDOM_WITHIN_WINDOW":
        return [random.choice(points) for points in by_resource.values()]
    return [max(points, key=lambda point: point["CreationDate"]) for points in by_resource.values()]


def _takes(selection: dict[str, Any], point: dict[str, Any], tags: dict[str, str]) -> bool:
    arns = selection["ProtectedResourceArns"]
    if arns and "*" not in arns and point["ResourceArn"] not in arns:
        return False
    conditions = selection["ProtectedResourceConditions"]

    def value(condition: dict[str, str]) -> str | None:
        return tags.get(condition["Key"].removeprefix("aws:ResourceTag/"))

    return all(value(condition) == condition["Value"] for condition in conditions["StringEquals"]) and all(
        value(condition) != condition["Value"] for condition in conditions["StringNotEquals"]
    )
