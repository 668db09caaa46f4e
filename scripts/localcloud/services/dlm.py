"""Data Lifecycle Manager: snapshot and image policies, refused for the reasons AWS gives (moto has no DLM)."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any

from localcloud import cron
from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Call, Refused, operation

INTERVAL_HOURS = (1, 2, 3, 4, 6, 8, 12, 24)
DAYS_OF_UNIT = {"DAYS": 1, "WEEKS": 7, "MONTHS": 30, "YEARS": 365}
IMAGES, SNAPSHOTS = "IMAGE_MANAGEMENT", "EBS_SNAPSHOT_MANAGEMENT"
POLICIES_PER_REGION = 100
# What no schedule here does; saying yes to it would be a lie.
NOT_DONE = ("FastRestoreRule", "ArchiveRule")
_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
_POLICY_ARN = re.compile(r"arn:aws[\w-]*:dlm:[\w-]+:\d{12}:policy/(policy-[0-9a-f]+)")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def policies(cloud: Cloud, region: str) -> dict[str, dict[str, Any]]:
    """Return the policies of a region by id."""
    return cloud.store("dlm", region)


def span_days(rule: dict[str, Any]) -> int:
    """Return how many days an age rule (Interval and IntervalUnit) stands for."""
    return int(rule["Interval"]) * DAYS_OF_UNIT[rule["IntervalUnit"]]


# -- operations --------------------------------------------------------------------------------------------------------


@operation("dlm", "CreateLifecyclePolicy")
def _create(
    call: Call,
    *,
    ExecutionRoleArn: str,
    Description: str,
    State: str,
    PolicyDetails: dict[str, Any] | None = None,
    Tags: dict[str, str] | None = None,
    DefaultPolicy: str | None = None,
    **_others: Any,
) -> dict[str, Any]:
    if DefaultPolicy or (PolicyDetails or {}).get("PolicyLanguage") == "SIMPLIFIED":
        raise _not_built("default policies")
    if not PolicyDetails:
        raise _invalid("PolicyDetails is required.")
    _check_header(ExecutionRoleArn, Description, State)
    details = _with_defaults(PolicyDetails)
    _check_details(details, call.region)
    known = policies(call.cloud, call.region)
    if len(known) >= POLICIES_PER_REGION:
        raise Refused("LimitExceededException", f"You have reached the limit of {POLICIES_PER_REGION} policies.", 429)
    now = call.cloud.now()
    policy_id = f"policy-0{secrets.token_hex(8)}"
    known[policy_id] = {
        "PolicyId": policy_id,
        "PolicyArn": f"arn:aws:dlm:{call.region}:{ACCOUNT_ID}:policy/{policy_id}",
        "Description": Description,
        "State": State,
        "StatusMessage": State,
        "ExecutionRoleArn": ExecutionRoleArn,
        "DateCreated": now,
        "DateModified": now,
        "PolicyDetails": details,
        "Tags": dict(Tags or {}),
        "DefaultPolicy": False,
    }
    return {"PolicyId": policy_id}


@operation("dlm", "GetLifecyclePolicy")
def _get(call: Call, *, PolicyId: str) -> dict[str, Any]:
    return {"Policy": _policy(call, PolicyId)}


@operation("dlm", "GetLifecyclePolicies")
def _get_all(
    call: Call,
    *,
    PolicyIds: list[str] | None = None,
    State: str | None = None,
    ResourceTypes: list[str] | None = None,
    TargetTags: list[str] | None = None,
    TagsToAdd: list[str] | None = None,
    DefaultPolicyType: str | None = None,
) -> dict[str, Any]:
    if DefaultPolicyType in ("VOLUME", "INSTANCE"):
        return {"Policies": []}
    found = [_policy(call, policy_id) for policy_id in PolicyIds or policies(call.cloud, call.region)]
    summaries = []
    for policy in found:
        details = policy["PolicyDetails"]
        added = [tag for schedule in details["Schedules"] for tag in schedule.get("TagsToAdd", [])]
        if (
            (State and policy["State"] != State)
            or (ResourceTypes and not set(ResourceTypes) & set(details["ResourceTypes"]))
            or (TargetTags and not set(TargetTags) & _pairs(details["TargetTags"]))
            or (TagsToAdd and not set(TagsToAdd) & _pairs(added))
        ):
            continue
        summary = {key: policy[key] for key in ("PolicyId", "Description", "State", "Tags", "DefaultPolicy")}
        summaries.append({**summary, "PolicyType": details["PolicyType"]})
    return {"Policies": summaries}


@operation("dlm", "UpdateLifecyclePolicy")
def _update(
    call: Call,
    *,
    PolicyId: str,
    ExecutionRoleArn: str | None = None,
    State: str | None = None,
    Description: str | None = None,
    PolicyDetails: dict[str, Any] | None = None,
    **_others: Any,
) -> dict[str, Any]:
    policy = _policy(call, PolicyId)
    role, description = ExecutionRoleArn or policy["ExecutionRoleArn"], Description or policy["Description"]
    state = State or policy["State"]
    _check_header(role, description, "ENABLED" if state == "ERROR" else state)
    details = policy["PolicyDetails"]
    if PolicyDetails:
        details = _with_defaults({"PolicyType": details["PolicyType"], **PolicyDetails})
        _check_details(details, call.region)
        _check_change(policy["PolicyDetails"], details)
    policy.update(
        ExecutionRoleArn=role,
        Description=description,
        State=state,
        StatusMessage=state if state != "ERROR" else policy["StatusMessage"],
        PolicyDetails=details,
        DateModified=call.cloud.now(),
    )
    return {}


@operation("dlm", "DeleteLifecyclePolicy")
def _delete(call: Call, *, PolicyId: str) -> dict[str, Any]:
    _policy(call, PolicyId)
    del policies(call.cloud, call.region)[PolicyId]
    return {}


@operation("dlm", "ListTagsForResource")
def _list_tags(call: Call, *, ResourceArn: str) -> dict[str, Any]:
    return {"Tags": _by_arn(call, ResourceArn)["Tags"]}


@operation("dlm", "TagResource")
def _tag(call: Call, *, ResourceArn: str, Tags: dict[str, str]) -> dict[str, Any]:
    policy = _by_arn(call, ResourceArn)
    if any(key.startswith("aws:") for key in Tags):
        raise _invalid("Tag keys that start with aws: are reserved.")
    policy["Tags"] = {**policy["Tags"], **Tags}
    return {}


@operation("dlm", "UntagResource")
def _untag(call: Call, *, ResourceArn: str, TagKeys: list[str]) -> dict[str, Any]:
    policy = _by_arn(call, ResourceArn)
    policy["Tags"] = {key: value for key, value in policy["Tags"].items() if key not in TagKeys}
    return {}


def set_state(policy: dict[str, Any], state: str, message: str, now: datetime) -> None:
    """Note how the last run of a policy ended: ENABLED, or ERROR with the reason."""
    policy.update(State=state, StatusMessage=message, DateModified=now)


def _pairs(tags: list[dict[str, str]]) -> set[str]:
    return {f"{tag['Key']}={tag['Value']}" for tag in tags}


def _policy(call: Call, policy_id: str) -> dict[str, Any]:
    policy = policies(call.cloud, call.region).get(policy_id)
    if policy is None:
        raise Refused("ResourceNotFoundException", f"Unable to find lifecycle policy with ID {policy_id}.", 404)
    return policy


def _by_arn(call: Call, arn: str) -> dict[str, Any]:
    match = _POLICY_ARN.fullmatch(arn)
    if match is None:
        raise _invalid(f"{arn} is not the ARN of a lifecycle policy.")
    return _policy(call, match.group(1))


def _invalid(text: str) -> Refused:
    return Refused("InvalidRequestException", text)


def _not_built(what: str) -> Refused:
    return Refused("LocalCloudNotImplemented", f"The local cloud does not implement DLM {what}.")


# -- what AWS refuses --------------------------------------------------------------------------------------------------


def _with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    details = {"PolicyType": SNAPSHOTS, "ResourceLocations": ["CLOUD"], "PolicyLanguage": "STANDARD", **given}
    schedules = []
    for schedule in details.get("Schedules") or []:
        rule = dict(schedule.get("CreateRule") or {})
        if rule:
            rule.setdefault("Location", "CLOUD")
        if "Interval" in rule and not rule.get("Times"):
            rule["Times"] = ["09:00"]
        schedules.append({"CopyTags": False, **schedule, "CreateRule": rule})
    return {**details, "Schedules": schedules}


def _check_header(role: str, description: str, state: str) -> None:
    if not _ROLE.fullmatch(role):
        raise _invalid(f"ExecutionRoleArn {role} is not the ARN of an IAM role.")
    if not re.fullmatch(r"[0-9A-Za-z _-]{1,500}", description):
        raise _invalid("Description must be 1 to 500 letters, digits, spaces, hyphens and underscores.")
    if state not in ("ENABLED", "DISABLED"):
        raise _invalid(f"State {state} is not ENABLED or DISABLED.")


def _check_details(details: dict[str, Any], region: str) -> None:
    kind = details["PolicyType"]
    if kind == "EVENT_BASED_POLICY":
        raise _not_built("event-based policies")
    resource_types = details.get("ResourceTypes") or []
    if len(resource_types) != 1:
        raise _invalid("ResourceTypes must hold exactly one of VOLUME and INSTANCE.")
    if kind == IMAGES and resource_types != ["INSTANCE"]:
        raise _invalid("An IMAGE_MANAGEMENT policy can only target INSTANCE.")
    if details["ResourceLocations"] != ["CLOUD"]:
        raise _not_built("policies for Outposts and Local Zones")
    targets = details.get("TargetTags") or []
    if not targets:
        raise _invalid("TargetTags is required and must hold at least one tag.")
    if len(_pairs(targets)) != len(targets):
        raise _invalid("TargetTags holds the same tag twice.")
    parameters = details.get("Parameters") or {}
    if parameters.get("NoReboot") is not None and kind != IMAGES:
        raise _invalid("NoReboot is only allowed in IMAGE_MANAGEMENT policies.")
    if parameters.get("ExcludeBootVolume") and (kind == IMAGES or resource_types != ["INSTANCE"]):
        raise _invalid("ExcludeBootVolume is only allowed in snapshot policies that target INSTANCE.")
    schedules = details["Schedules"]
    if not 1 <= len(schedules) <= 4:
        raise _invalid("A policy needs one to four Schedules.")
    names = [schedule.get("Name") or "" for schedule in schedules]
    if "" in names:
        raise _invalid("Each schedule needs a Name.")
    if len(set(names)) != len(names):
        raise _invalid("Schedule names must be unique within a policy.")
    for schedule in schedules:
        _check_schedule(schedule, kind, region)
    if len({"Count" in schedule["RetainRule"] for schedule in schedules}) > 1:
        raise _invalid("All schedules of a policy must have the same retention type, count or age.")


def _check_schedule(schedule: dict[str, Any], kind: str, region: str) -> None:
    name = schedule["Name"]
    for unsupported in NOT_DONE:
        if schedule.get(unsupported):
            raise _not_built(f"{unsupported} (schedule {name})")
    if schedule["CreateRule"].get("Scripts"):
        raise _not_built(f"scripts (schedule {name})")
    _check_create_rule(schedule["CreateRule"], name)
    retain = schedule.get("RetainRule")
    if not retain:
        raise _invalid(f"Schedule {name} needs a RetainRule.")
    _check_span(retain, f"RetainRule of schedule {name}")
    added = [tag["Key"] for tag in schedule.get("TagsToAdd") or []]
    if len(set(added)) != len(added) or any(key.startswith("aws:") for key in added):
        raise _invalid(f"TagsToAdd of schedule {name} must hold unique keys that do not start with aws:.")
    deprecate = schedule.get("DeprecateRule")
    if deprecate:
        if kind != IMAGES:
            raise _invalid(f"DeprecateRule (schedule {name}) is only allowed in IMAGE_MANAGEMENT policies.")
        _check_span(deprecate, f"DeprecateRule of schedule {name}")
        if ("Count" in deprecate) != ("Count" in retain):
            raise _invalid(f"DeprecateRule and RetainRule of schedule {name} must both be by count or both by age.")
        later = deprecate.get("Count", 0) > retain.get("Count", 0) or (
            "Interval" in deprecate and span_days(deprecate) > span_days(retain)
        )
        if later:
            raise _invalid(f"DeprecateRule of schedule {name} must not be longer than its RetainRule.")
    copies = schedule.get("CrossRegionCopyRules") or []
    if len(copies) > 3:
        raise _invalid(f"Schedule {name} has more than three CrossRegionCopyRules.")
    targets = [_check_copy(rule, name, kind, region) for rule in copies]
    if len(set(targets)) != len(targets):
        raise _invalid(f"Schedule {name} copies to the same region twice.")


def _check_create_rule(rule: dict[str, Any], name: str) -> None:
    if not rule:
        raise _invalid(f"Schedule {name} needs a CreateRule.")
    if ("Interval" in rule) == ("CronExpression" in rule):
        raise _invalid(f"CreateRule of schedule {name} needs exactly one of Interval and CronExpression.")
    if rule["Location"] != "CLOUD":
        raise _not_built(f"snapshots on Outposts and in Local Zones (schedule {name})")
    if "CronExpression" in rule:
        if rule.get("Times"):
            raise _invalid(f"Times of schedule {name} cannot be used with CronExpression.")
        try:
            cron.cron(rule["CronExpression"])
        except cron.BadExpression as error:
            raise _invalid(f"CronExpression of schedule {name}: {error}") from error
        return
    if rule["Interval"] not in INTERVAL_HOURS or rule.get("IntervalUnit") != "HOURS":
        raise _invalid(f"Interval of schedule {name} must be 1, 2, 3, 4, 6, 8, 12 or 24 HOURS.")
    times = rule["Times"]
    if len(times) != 1 or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", times[0]):
        raise _invalid(f"Times of schedule {name} must hold one time of the form hh:mm.")


def _check_span(rule: dict[str, Any], where: str) -> None:
    if ("Count" in rule) == ("Interval" in rule):
        raise _invalid(f"{where} needs exactly one of Count and Interval.")
    if "Count" in rule and not 1 <= rule["Count"] <= 1000:
        raise _invalid(f"Count in {where} must be 1 to 1000.")
    if "Interval" in rule:
        if rule.get("IntervalUnit") not in DAYS_OF_UNIT:
            raise _invalid(f"IntervalUnit in {where} must be DAYS, WEEKS, MONTHS or YEARS.")
        if rule["Interval"] < 1 or span_days(rule) > 100 * 365:
            raise _invalid(f"Interval in {where} must be at least 1 and at most 100 years.")


def _check_copy(rule: dict[str, Any], name: str, kind: str, region: str) -> str:
    if ("Target" in rule) == ("TargetRegion" in rule):
        raise _invalid(f"A CrossRegionCopyRule of schedule {name} needs exactly one of Target and TargetRegion.")
    target = str(rule.get("Target") or rule.get("TargetRegion"))
    if not _REGION.fullmatch(target):
        raise _invalid(f"CrossRegionCopyRule of schedule {name}: {target} is not a region.")
    if target == region:
        raise _invalid(f"CrossRegionCopyRule of schedule {name} must name another region than {region}.")
    key = rule.get("CmkArn")
    if key and not rule.get("Encrypted"):
        raise _invalid(f"CmkArn of schedule {name} needs Encrypted.")
    if key and key.split(":")[3:4] != [target]:
        raise _invalid(f"CmkArn of schedule {name} must be a key in {target}.")
    if rule.get("RetainRule"):
        _check_span(rule["RetainRule"], f"RetainRule of the copy of schedule {name}")
    if rule.get("DeprecateRule"):
        if kind != IMAGES:
            raise _invalid(f"DeprecateRule of a copy (schedule {name}) is only allowed in IMAGE_MANAGEMENT policies.")
        _check_span(rule["DeprecateRule"], f"DeprecateRule of the copy of schedule {name}")
    return target


def _check_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    if (old["PolicyType"], old["ResourceTypes"]) != (new["PolicyType"], new["ResourceTypes"]):
        raise _invalid("The policy type and resource type of a policy cannot be changed.")
    before = {schedule["Name"]: "Count" in schedule["RetainRule"] for schedule in old["Schedules"]}
    for schedule in new["Schedules"]:
        by_count = "Count" in schedule["RetainRule"]
        if before.get(schedule["Name"], by_count) != by_count:
            raise _invalid(f"The retention type of schedule {schedule['Name']} cannot be changed.")
