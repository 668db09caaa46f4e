"""EventBridge Scheduler: what moto accepts wrongly is refused, and a tick fires the schedules that are due."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, time
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from localcloud import cron
from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Answer, Call, Refused, around
from localcloud.schedules import on_tick
from localcloud.services import ecs
from localcloud.services.backup_access import assumable, role_allows
from localcloud.services.backup_shifts import awaited, shift

LOG = logging.getLogger("localcloud.scheduler")
SERVICE = "scheduler.amazonaws.com"
TASK_SECONDS = 1800  # how long a tick waits for a task
# Kind of target → (service in its ARN, what the schedule's role must allow).
ACTIONS = {
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "ecs": "ecs:RunTask",
    "events": "events:PutEvents",
}


@around("scheduler", "CreateSchedule", "UpdateSchedule")
def _checked(call: Call, proceed: Callable[[], Answer]) -> Answer:
    asked = call.params
    zone_name = asked.get("ScheduleExpressionTimezone") or "UTC"
    expression = str(asked.get("ScheduleExpression"))
    try:
        cron.zone(zone_name)
        if expression.startswith("rate("):
            cron.rate(expression)
        elif expression.startswith("at("):
            cron.at(expression, zone_name)
        else:
            cron.cron(expression)
    except cron.BadExpression as error:
        raise _invalid(f"Invalid Schedule Expression {expression}: {error}") from error
    window = asked.get("FlexibleTimeWindow") or {}
    if (window.get("Mode") == "FLEXIBLE") != (window.get("MaximumWindowInMinutes") is not None):
        raise _invalid("MaximumWindowInMinutes is required when the mode is FLEXIBLE, and only then.")
    target = asked.get("Target") or {}
    kind = _kind(str(target.get("Arn")))
    if kind not in ACTIONS:
        raise Refused(
            "LocalCloudNotImplemented",
            f"The local cloud does not implement schedules of {kind or 'that target'}; it has {', '.join(ACTIONS)}.",
        )
    if kind == "ecs" and not target.get("EcsParameters"):
        raise _invalid("EcsParameters is required for a target that is an ECS cluster.")
    if kind == "events" and not target.get("EventBridgeParameters"):
        raise _invalid("EventBridgeParameters is required for a target that is an event bus.")
    if kind == "events":
        try:
            json.loads(target.get("Input") or "{}")
        except ValueError as error:
            raise _invalid(f"Input must be JSON for a target that is an event bus: {error}") from error
    if not assumable(call.cloud, str(target.get("RoleArn")), SERVICE):
        raise _invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
    return proceed()


def _invalid(text: str) -> Refused:
    return Refused("ValidationException", text)


def _kind(target_arn: str) -> str:
    parts = target_arn.split(":")
    if target_arn.startswith("arn:aws:scheduler:::aws-sdk:"):
        return "aws-sdk"
    return parts[2] if len(parts) > 5 else ""


# -- on a tick ---------------------------------------------------------------------------------------------------------


@on_tick
def run_due(cloud: Cloud, schedule: str, now: datetime) -> list[str]:
    """Fire every enabled schedule that is due, in the order of a day; moments given with at(…) fire once they have passed."""
    from moto import backends

    lines: list[str] = []
    with shift(cloud):
        due = [
            (region, group, entry)
            for region, backend in sorted(backends.get_backend("scheduler")[ACCOUNT_ID].items())
            for group in backend.schedule_groups.values()
            for entry in group.schedules.values()
            if _due(cloud, entry, schedule, now)
        ]
        for region, group, entry in sorted(due, key=lambda one: _turn(one[2], now)):
            lines.append(_fire(cloud, region, entry, now))
            _after(cloud, group, entry)
    return lines


def _turn(entry: Any, now: datetime) -> time:
    """Return what orders schedules that are due together: their time of day; what has none comes last."""
    found = cron.time_of_day(entry.schedule_expression, entry.schedule_expression_timezone or "UTC", now.date())
    return time.max if found is None else found


def _due(cloud: Cloud, entry: Any, tick: str, now: datetime) -> bool:
    if entry.state != "ENABLED" or not _within(entry, now):
        return False
    if entry.schedule_expression.startswith("at("):
        moment = cron.at(entry.schedule_expression, entry.schedule_expression_timezone)
        return moment <= now and entry.arn not in cloud.store("scheduler_fired")
    return cron.due_in(entry.schedule_expression, now.date()) == tick


def _within(entry: Any, now: datetime) -> bool:
    """Return whether now lies between the schedule's start and end, which moto keeps as seconds since 1970."""
    start, end = entry.start_date, entry.end_date
    seconds = now.timestamp()
    return (not start or float(start) <= seconds) and (not end or seconds <= float(end))


def _after(cloud: Cloud, group: Any, entry: Any) -> None:
    if not entry.schedule_expression.startswith("at("):
        return
    cloud.store("scheduler_fired")[entry.arn] = True
    if entry.action_after_completion == "DELETE":
        group.schedules.pop(entry.name, None)


def _fire(cloud: Cloud, region: str, entry: Any, now: datetime) -> str:
    name = f"schedule {entry.group_name}/{entry.name}"
    target = entry.target
    kind = _kind(target["Arn"])
    text = _filled(target.get("Input") or "{}", entry, now)
    try:
        if not assumable(cloud, target["RoleArn"], SERVICE):
            raise _Failed(f"the role {target['RoleArn']} cannot be assumed")
        if not role_allows(cloud, target["RoleArn"], ACTIONS[kind]):
            raise _Failed(f"the role {target['RoleArn']} is not authorized to perform {ACTIONS[kind]}")
        return f"{name}: {_SEND[kind](cloud, region, target, text)}"
    except (_Failed, ClientError, TimeoutError) as error:
        LOG.warning("%s failed: %s", name, error)
        letter = (target.get("DeadLetterConfig") or {}).get("Arn")
        if letter:
            _send_sqs(cloud, region, {"Arn": letter}, text)
        return f"{name}: FAILED {error}"


class _Failed(Exception):
    """A target could not be called."""


def _filled(text: str, entry: Any, now: datetime) -> str:
    values = {
        "<aws.scheduler.schedule-arn>": entry.arn,
        "<aws.scheduler.scheduled-time>": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "<aws.scheduler.execution-id>": str(uuid4()),
        "<aws.scheduler.attempt-number>": "1",
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _send_sns(cloud: Cloud, region: str, target: dict[str, Any], text: str) -> str:
    cloud.client("sns", region).publish(TopicArn=target["Arn"], Message=text)
    return f"published to {target['Arn']}"


def _send_sqs(cloud: Cloud, region: str, target: dict[str, Any], text: str) -> str:
    sqs = cloud.client("sqs", region)
    queue = sqs.get_queue_url(QueueName=target["Arn"].rsplit(":", 1)[1])["QueueUrl"]
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    sqs.send_message(QueueUrl=queue, MessageBody=text, **({"MessageGroupId": group} if group else {}))
    return f"sent to {target['Arn']}"


def _put_event(cloud: Cloud, region: str, target: dict[str, Any], text: str) -> str:
    parameters = target["EventBridgeParameters"]
    entry = {"Source": parameters["Source"], "DetailType": parameters["DetailType"], "Detail": text}
    cloud.client("events", region).put_events(Entries=[{**entry, "EventBusName": target["Arn"]}])
    return f"event to {target['Arn']}"


def _run_task(cloud: Cloud, region: str, target: dict[str, Any], text: str) -> str:
    parameters = target["EcsParameters"]
    network = (parameters.get("NetworkConfiguration") or {}).get("awsvpcConfiguration") or {}
    configuration = {
        "subnets": network.get("Subnets", []),
        "securityGroups": network.get("SecurityGroups", []),
        "assignPublicIp": network.get("AssignPublicIp", "DISABLED"),
    }
    asked: dict[str, Any] = {"networkConfiguration": {"awsvpcConfiguration": configuration}} if network else {}
    if json.loads(text):
        asked["overrides"] = json.loads(text)
    answer = cloud.client("ecs", region).run_task(
        cluster=target["Arn"],
        taskDefinition=parameters["TaskDefinitionArn"],
        count=parameters.get("TaskCount") or 1,
        launchType=parameters.get("LaunchType") or "FARGATE",
        **asked,
    )
    if answer.get("failures"):
        raise _Failed(f"RunTask: {answer['failures'][0].get('reason')}")
    return "; ".join(_outcome(cloud, region, task["taskArn"]) for task in answer["tasks"])


def _outcome(cloud: Cloud, region: str, arn: str) -> str:
    """Wait for the end of a task, which Scheduler itself does not, and return how it ended: what a tick is asked for."""
    task = awaited(cloud, lambda: ecs.ended(cloud, region, arn), f"the end of {arn}", seconds=TASK_SECONDS)
    status = task["containers"][0].get("exitCode")
    if status == 0:
        return f"task {arn} ended with exit code 0"
    ended = task["stoppedReason"] if status is None else f"exit code {status} ({task['stoppedReason']})"
    return f"task {arn} FAILED: {ended}"


_SEND: dict[str, Callable[[Cloud, str, dict[str, Any], str], str]] = {
    "sns": _send_sns,
    "sqs": _send_sqs,
    "ecs": _run_task,
    "events": _put_event,
}
