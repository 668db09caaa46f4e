"""Backup plans with their versions and selections, refused for the reasons AWS gives."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import uuid4

from localcloud import cron
from localcloud.cloud import Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.services.backup import (
    LOCK,
    arn,
    checked_lifecycle,
    checked_name,
    checked_role,
    impossible,
    invalid,
    missing,
    not_found,
    page,
    public,
    retention,
    set_tags,
    table,
)
from localcloud.services.backup_vaults import vault_at

OPERATORS = ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike")


def live_plans(cloud: Cloud, region: str) -> list[dict[str, Any]]:
    """Return the plans of a region that are not deleted."""
    return [plan for plan in table(cloud, region, "plans").values() if plan.get("DeletionDate") is None]


def _plan(call: Call, plan_id: str) -> dict[str, Any]:
    plan: dict[str, Any] | None = table(call.cloud, call.region, "plans").get(plan_id)
    if plan is None or plan.get("DeletionDate") is not None:
        raise not_found(f"Cannot find Backup plan with ID {plan_id}")
    return plan


# -- plans -------------------------------------------------------------------------------------------------------------


@operation("backup", "CreateBackupPlan")
def _create(
    call: Call,
    *,
    BackupPlan: dict[str, Any],
    BackupPlanTags: dict[str, str] | None = None,
    CreatorRequestId: str | None = None,
) -> dict[str, Any]:
    document = _checked(BackupPlan)
    with LOCK:
        for plan in live_plans(call.cloud, call.region):
            if CreatorRequestId and plan.get("CreatorRequestId") == CreatorRequestId:
                return _summary(plan)
            if _without_ids(plan["_versions"][-1]["plan"]) == _without_ids(document):
                raise Refused("AlreadyExistsException", "Backup plan with the same plan document already exists")
        plan_id = str(uuid4())
        plan = {
            "BackupPlanId": plan_id,
            "BackupPlanArn": arn(call.region, "backup-plan", plan_id),
            "BackupPlanName": document["BackupPlanName"],
            "CreatorRequestId": CreatorRequestId,
            "CreationDate": call.cloud.now(),
            "AdvancedBackupSettings": document.get("AdvancedBackupSettings") or [],
            "_versions": [],
            "_selections": {},
        }
        _add_version(plan, document, call.cloud.now())
        set_tags(call.cloud, call.region, plan["BackupPlanArn"], BackupPlanTags or {})
        table(call.cloud, call.region, "plans")[plan_id] = plan
    return _summary(plan)


@operation("backup", "UpdateBackupPlan")
def _update(call: Call, *, BackupPlanId: str, BackupPlan: dict[str, Any]) -> dict[str, Any]:
    document = _checked(BackupPlan)
    with LOCK:
        plan = _plan(call, BackupPlanId)
        known = {rule["RuleName"]: rule["RuleId"] for rule in plan["_versions"][-1]["plan"]["Rules"]}
        for rule in document["Rules"]:
            rule["RuleId"] = known.get(rule["RuleName"], rule["RuleId"])
        plan["BackupPlanName"] = document["BackupPlanName"]
        plan["AdvancedBackupSettings"] = document.get("AdvancedBackupSettings") or []
        _add_version(plan, document, call.cloud.now())
    return _summary(plan)


def _add_version(plan: dict[str, Any], document: dict[str, Any], now: datetime) -> None:
    plan["VersionId"] = secrets.token_urlsafe(36)
    plan["_versions"].append({"id": plan["VersionId"], "plan": document, "at": now})


def _summary(plan: dict[str, Any]) -> dict[str, Any]:
    return public(plan)


@operation("backup", "GetBackupPlan")
def _get(
    call: Call, *, BackupPlanId: str, VersionId: str | None = None, MaxScheduledRunsPreview: int | None = None
) -> dict[str, Any]:
    # A deleted plan can still be read in AWS; only its DeletionDate tells.
    plan: dict[str, Any] | None = table(call.cloud, call.region, "plans").get(BackupPlanId)
    if plan is None:
        raise not_found(f"Cannot find Backup plan with ID {BackupPlanId}")
    version = next((v for v in plan["_versions"] if v["id"] == (VersionId or plan["VersionId"])), None)
    if version is None:
        raise not_found(f"Cannot find version {VersionId} of Backup plan {BackupPlanId}")
    result = {**public(plan), "VersionId": version["id"], "BackupPlan": version["plan"]}
    if MaxScheduledRunsPreview:
        result["ScheduledRunsPreview"] = _preview(version["plan"], call.cloud.now(), MaxScheduledRunsPreview)
    return result


def _preview(document: dict[str, Any], now: datetime, count: int) -> list[dict[str, Any]]:
    runs = []
    for rule in document["Rules"]:
        times = cron.cron(rule["ScheduleExpression"]).times(now, cron.zone(rule["ScheduleExpressionTimezone"]))
        kind = "CONTINUOUS" if rule.get("EnableContinuousBackup") else "SNAPSHOTS"
        runs += [
            {"ExecutionTime": moment, "RuleId": rule["RuleId"], "RuleExecutionType": kind}
            for moment in islice(times, count)
        ]
    return sorted(runs, key=lambda run: run["ExecutionTime"])[:count]


@operation("backup", "ListBackupPlans")
def _list(call: Call, *, IncludeDeleted: bool = False, **asked: Any) -> dict[str, Any]:
    plans = table(call.cloud, call.region, "plans").values() if IncludeDeleted else live_plans(call.cloud, call.region)
    return page(asked, "BackupPlansList", [_summary(plan) for plan in plans])


@operation("backup", "ListBackupPlanVersions")
def _versions(call: Call, *, BackupPlanId: str, **asked: Any) -> dict[str, Any]:
    plan = _plan(call, BackupPlanId)
    found = [
        {
            **_summary(plan),
            "VersionId": version["id"],
            "BackupPlanName": version["plan"]["BackupPlanName"],
            "CreationDate": version["at"],
        }
        for version in reversed(plan["_versions"])
    ]
    return page(asked, "BackupPlanVersionsList", found)


@operation("backup", "DeleteBackupPlan")
def _delete(call: Call, *, BackupPlanId: str) -> dict[str, Any]:
    with LOCK:
        plan = _plan(call, BackupPlanId)
        if plan["_selections"]:
            raise impossible("Related backup plan selections must be deleted prior to backup plan")
        plan["DeletionDate"] = call.cloud.now()
        set_tags(call.cloud, call.region, plan["BackupPlanArn"], None)
    return _summary(plan)


def _without_ids(document: dict[str, Any]) -> dict[str, Any]:
    rules = [{key: value for key, value in rule.items() if key != "RuleId"} for rule in document["Rules"]]
    return {**document, "Rules": rules}


# -- what AWS refuses in a plan ----------------------------------------------------------------------------------------


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """Return a plan document with AWS's defaults and rule ids; a wrong one is refused."""
    checked_name(given.get("BackupPlanName") or "", r"[a-zA-Z0-9._-]{1,50}", "BackupPlanName")
    if not given.get("Rules"):
        raise missing("A backup plan needs at least one rule")
    names = [rule.get("RuleName") for rule in given["Rules"]]
    if len(set(names)) != len(names):
        raise invalid("Rule names must be unique within a backup plan")
    for setting in given.get("AdvancedBackupSettings") or []:
        if setting.get("ResourceType") not in ("EC2", "S3"):
            raise invalid(f"AdvancedBackupSettings do not exist for {setting.get('ResourceType')}")
    return {**given, "Rules": [_checked_rule(rule) for rule in given["Rules"]]}


def _checked_rule(given: dict[str, Any]) -> dict[str, Any]:
    rule = {
        "ScheduleExpression": "cron(0 5 ? * * *)",
        "ScheduleExpressionTimezone": "Etc/UTC",
        "StartWindowMinutes": 480,
        "CompletionWindowMinutes": 10080,
        "RuleId": str(uuid4()),
        **given,
    }
    name = rule.get("RuleName") or ""
    checked_name(name, r"[a-zA-Z0-9._-]{1,50}", "RuleName")
    checked_name(rule.get("TargetBackupVaultName") or "", r"[a-zA-Z0-9_-]{2,50}", "TargetBackupVaultName")
    try:
        expression = cron.cron(rule["ScheduleExpression"])
        cron.zone(rule["ScheduleExpressionTimezone"])
    except cron.BadExpression as error:
        raise invalid(f"Invalid schedule of rule {name}: {error}") from error
    if len(expression.minutes) > 1:
        raise invalid(f"Invalid schedule of rule {name}: backups cannot be less than an hour apart")
    start, completion = rule["StartWindowMinutes"], rule["CompletionWindowMinutes"]
    if start < 60:
        raise invalid(f"Invalid start window of rule {name}: it must be at least 60 minutes, is {start}")
    if completion < start + 60:
        raise invalid(f"Invalid completion window of rule {name}: it must be 60 minutes longer than the start window")
    lifecycle = rule.get("Lifecycle")
    checked_lifecycle(lifecycle, f"rule {name}")
    if rule.get("EnableContinuousBackup"):
        days = retention(lifecycle, "DeleteAfterDays")
        if days is None or days > 35:
            raise invalid(f"Rule {name} with continuous backup needs a DeleteAfterDays of 1 to 35")
        if retention(lifecycle, "MoveToColdStorageAfterDays") is not None:
            raise invalid(f"Rule {name} with continuous backup cannot move to cold storage")
    for action in rule.get("CopyActions") or []:
        vault_at(action["DestinationBackupVaultArn"])
        checked_lifecycle(action.get("Lifecycle"), f"a copy of rule {name}")
    return rule


# -- selections --------------------------------------------------------------------------------------------------------


@operation("backup", "CreateBackupSelection")
def _select(
    call: Call, *, BackupPlanId: str, BackupSelection: dict[str, Any], CreatorRequestId: str | None = None
) -> dict[str, Any]:
    plan = _plan(call, BackupPlanId)
    selection = {"Resources": [], "ListOfTags": [], "NotResources": [], **BackupSelection}
    selection["Conditions"] = {name: [] for name in OPERATORS} | (BackupSelection.get("Conditions") or {})
    checked_name(selection.get("SelectionName") or "", r"[a-zA-Z0-9._-]{1,50}", "SelectionName")
    for resource in [*selection["Resources"], *selection["NotResources"]]:
        if resource != "*" and not re.fullmatch(r"arn:aws[\w-]*:[\w-]+:[\w*-]*:[\d*]*:.+", resource):
            raise invalid(f"Invalid ARN: {resource}")
        if "*" in resource[:-1] and not re.fullmatch(r"arn:aws[\w-]*:[\w-]+:\*:\*:[^*]+\*?", resource):
            raise invalid(f"Invalid ARN: the asterisk must appear at the end of {resource}")
    for condition in selection["ListOfTags"]:
        if condition.get("ConditionType") != "STRINGEQUALS":
            raise invalid("ListOfTags supports only STRINGEQUALS")
    for name, conditions in selection["Conditions"].items():
        if name not in OPERATORS:
            raise invalid(f"Conditions do not support {name}")
        for condition in conditions:
            if not condition.get("ConditionKey", "").startswith("aws:ResourceTag/"):
                raise invalid(f"ConditionKey {condition.get('ConditionKey')} must start with aws:ResourceTag/")
    checked_role(call.cloud, selection["IamRoleArn"])
    with LOCK:
        for known in plan["_selections"].values():
            if CreatorRequestId and known["CreatorRequestId"] == CreatorRequestId:
                return public(known)
            if known["_selection"]["SelectionName"] == selection["SelectionName"]:
                raise Refused("AlreadyExistsException", "Backup selection with the same name already exists")
        record = {
            "SelectionId": str(uuid4()),
            "BackupPlanId": BackupPlanId,
            "CreationDate": call.cloud.now(),
            "CreatorRequestId": CreatorRequestId,
            "_selection": selection,
        }
        plan["_selections"][record["SelectionId"]] = record
    return public(record)


@operation("backup", "GetBackupSelection")
def _get_selection(call: Call, *, BackupPlanId: str, SelectionId: str) -> dict[str, Any]:
    record = _selection(call, BackupPlanId, SelectionId)
    return {**public(record), "BackupSelection": record["_selection"]}


@operation("backup", "ListBackupSelections")
def _list_selections(call: Call, *, BackupPlanId: str, **asked: Any) -> dict[str, Any]:
    found = [
        {
            **public(record),
            "SelectionName": record["_selection"]["SelectionName"],
            "IamRoleArn": record["_selection"]["IamRoleArn"],
        }
        for record in _plan(call, BackupPlanId)["_selections"].values()
    ]
    return page(asked, "BackupSelectionsList", found)


@operation("backup", "DeleteBackupSelection")
def _delete_selection(call: Call, *, BackupPlanId: str, SelectionId: str) -> dict[str, Any]:
    _selection(call, BackupPlanId, SelectionId)
    del _plan(call, BackupPlanId)["_selections"][SelectionId]
    return {}


def _selection(call: Call, plan_id: str, selection_id: str) -> dict[str, Any]:
    record: dict[str, Any] | None = _plan(call, plan_id)["_selections"].get(selection_id)
    if record is None:
        raise not_found(f"Cannot find selection {selection_id} of Backup plan {plan_id}")
    return record


def rules_due(cloud: Cloud, region: str, tick: str, now: datetime) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each plan with each of its rules that is due in a tick."""
    for plan in live_plans(cloud, region):
        for rule in plan["_versions"][-1]["plan"]["Rules"]:
            if cron.due_in(rule["ScheduleExpression"], now.date()) == tick:
                plan["LastExecutionDate"] = now
                yield plan, rule


def start_by(rule: dict[str, Any], now: datetime) -> datetime:
    """Return until when a job of a rule may start."""
    return now + timedelta(minutes=rule["StartWindowMinutes"])
