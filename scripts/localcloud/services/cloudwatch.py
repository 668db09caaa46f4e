"""CloudWatch alarms that ring: evaluated when metrics arrive and at every tick, with actions and history."""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.schedules import on_tick
from localcloud.services import backup_access, events

LOG = logging.getLogger("localcloud.cloudwatch")
OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
# How many more periods than an alarm needs AWS looks back over; the examples of its user guide look 2 further.
LOOKED_BACK_FURTHER = 2
KEPT_HISTORY = 2000
REGION_NAMES = {"eu-west-1": "EU (Ireland)", "eu-central-1": "EU (Frankfurt)"}
BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_EVALUATING = threading.RLock()


# -- deciding ----------------------------------------------------------------------------------------------------------


def judged(seen: Sequence[bool | None], *, needed: int, of: int, missing: str) -> str | None:
    """Return an alarm's state for the periods seen, oldest first (True breaches, None is missing); None keeps it.

    `needed` of the newest `of` datapoints must breach. The rule and its table are those of the CloudWatch user guide,
    "Configuring how CloudWatch alarms treat missing data".
    """
    newest = [breach for breach in seen if breach is not None][-of:]
    lacking = of - len(newest)
    breaching = sum(1 for breach in newest if breach)
    if lacking == 0 or missing == "notBreaching":
        return ALARM if breaching >= needed else OK
    if missing == "breaching":
        return ALARM if breaching + lacking >= needed else OK
    if breaching >= needed:
        return ALARM
    if breaching < len(newest):
        return OK
    if missing == "ignore":
        return None
    return ALARM if newest else INSUFFICIENT


def _evaluated(cloud: Cloud, region: str, alarm: Any) -> tuple[str, str] | None:
    """Return a metric alarm's state and why, or None when it stays as it is or cannot be computed here."""
    statistic = alarm.statistic
    if alarm.metric_data_queries or not statistic or alarm.comparison_operator not in BREACHES:
        return None
    of, period = int(alarm.evaluation_periods), int(alarm.period)
    needed = int(alarm.datapoints_to_alarm or of)
    looked = of + LOOKED_BACK_FURTHER
    end = (math.floor(cloud.now().timestamp() / period) + 1) * period
    values: dict[int, list[Any]] = {}
    wanted = sorted((found.name, found.value) for found in alarm.dimensions)
    for datum in cloud.moto("cloudwatch", region).metric_data:
        if datum.namespace != alarm.namespace or datum.name != alarm.metric_name:
            continue
        if sorted((found.name, found.value) for found in datum.dimensions) != wanted:
            continue
        if alarm.unit and datum.unit != alarm.unit:
            continue
        at = datum.timestamp if datum.timestamp.tzinfo else datum.timestamp.replace(tzinfo=UTC)
        index = looked - 1 - int((end - at.timestamp()) // period)
        if 0 <= index < looked and at.timestamp() < end:
            values.setdefault(index, []).append(datum)
    points = [_statistic(values[index], statistic) if index in values else None for index in range(looked)]
    breaches = BREACHES[alarm.comparison_operator]
    seen = [None if point is None else breaches(point, float(alarm.threshold)) for point in points]
    state = judged(seen, needed=needed, of=of, missing=alarm.treat_missing_data or "missing")
    if state is None:
        return None
    known = [point for point in points if point is not None][-of:]
    shown = ", ".join(f"{point:g}" for point in reversed(known)) or "none"
    count = sum(1 for breach in [breach for breach in seen if breach is not None][-of:] if breach)
    reason = (
        f"Threshold Crossed: {count} of the last {of} datapoints [{shown}] breached the threshold "
        f"({alarm.threshold:g}, {alarm.comparison_operator}); {of - len(known)} were missing and treated as "
        f"{alarm.treat_missing_data or 'missing'}."
    )
    return state, reason


def _statistic(data: Iterable[Any], statistic: str) -> float:
    from moto.cloudwatch.models import Statistics

    computed = Statistics([statistic], datetime.now(UTC))
    computed.metric_data = list(data)
    value: Any = computed.get_statistics_for_type(statistic)
    return float(value)


# -- composite alarms --------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(\"[^\"]+\"|'[^']+'|[^()\s]+)\s*\)|(AND|OR|NOT|TRUE|FALSE|[()]))"
)


def rule_holds(rule: str, state_of: Callable[[str], str]) -> bool:
    """Return whether a composite alarm's rule holds; raises ValueError for text that is no rule."""
    tokens: list[str | bool] = []
    position = 0
    while rule[position:].strip():
        match = _TOKEN.match(rule, position)
        if match is None:
            raise ValueError(f"AlarmRule is not valid at: {rule[position:].strip()[:40]}")
        state, name, word = match.groups()
        tokens.append(state_of(name.strip("\"'").rsplit(":alarm:", 1)[-1]) == state if state else word)
        position = match.end()

    def next_is(word: str) -> bool:
        if tokens and tokens[0] == word and not isinstance(tokens[0], bool):
            tokens.pop(0)
            return True
        return False

    def either() -> bool:
        value = both()
        while next_is("OR"):
            value = both() or value
        return value

    def both() -> bool:
        value = one()
        while next_is("AND"):
            value = one() and value
        return value

    def one() -> bool:
        if next_is("NOT"):
            return not one()
        if next_is("("):
            value = either()
            if not next_is(")"):
                raise ValueError("AlarmRule has an unclosed parenthesis")
            return value
        if next_is("TRUE"):
            return True
        if next_is("FALSE"):
            return False
        if not tokens or not isinstance(tokens[0], bool):
            raise ValueError("AlarmRule ends or goes on where a condition is expected")
        return bool(tokens.pop(0))

    result = either()
    if tokens:
        raise ValueError("AlarmRule goes on after its end")
    return result


@operation("cloudwatch", "PutCompositeAlarm")
def put_composite_alarm(call: Call, **asked: Any) -> None:
    """Make an alarm of other alarms."""
    backend = call.cloud.moto("cloudwatch", call.region)
    name, rule = asked["AlarmName"], asked["AlarmRule"]

    def state_of(other: str) -> str:
        if other not in backend.alarms or other == name:
            raise ValueError(f"AlarmRule names the alarm {other}, which does not exist")
        return str(backend.alarms[other].state_value)

    try:
        rule_holds(rule, state_of)
    except ValueError as error:
        raise Refused("ValidationError", str(error)) from error
    _check_actions(call)
    old = backend.alarms.get(name)
    unused: dict[str, Any] = dict.fromkeys(
        ("namespace", "metric_name", "comparison_operator", "evaluation_periods", "period", "threshold", "statistic")
    )
    backend.put_metric_alarm(
        name=name,
        rule=rule,
        description=asked.get("AlarmDescription"),
        dimensions=[],
        alarm_actions=asked.get("AlarmActions", []),
        ok_actions=asked.get("OKActions", []),
        insufficient_data_actions=asked.get("InsufficientDataActions", []),
        actions_enabled=asked.get("ActionsEnabled", True),
        tags=asked.get("Tags"),
        **unused,
    )
    _carry_over(call, name, old)
    evaluate(call.cloud, call.region)


# -- evaluating --------------------------------------------------------------------------------------------------------


def evaluate(cloud: Cloud, region: str) -> list[str]:
    """Bring every alarm of a region up to date, act on those that change, and return their names with new states."""
    changed = []
    with _EVALUATING:
        alarms = cloud.moto("cloudwatch", region).alarms
        for alarm in [found for found in alarms.values() if found.rule is None]:
            result = _evaluated(cloud, region, alarm)
            if result is not None and result[0] != alarm.state_value:
                _change(cloud, region, alarm, state=result[0], reason=result[1])
                changed.append(f"alarm {alarm.name}: {result[0]}")
        for alarm in [found for found in alarms.values() if found.rule is not None]:
            state = _composite_state(alarms, alarm)
            if state != alarm.state_value:
                _change(cloud, region, alarm, state=state, reason=f"{alarm.rule} is {state == ALARM}")
                changed.append(f"alarm {alarm.name}: {state}")
    return changed


def _composite_state(alarms: dict[str, Any], alarm: Any) -> str:
    def state_of(name: str) -> str:
        return str(alarms[name].state_value) if name in alarms else INSUFFICIENT

    return ALARM if rule_holds(alarm.rule, state_of) else OK


@on_tick
def at_every_tick(cloud: Cloud, _schedule: str, _now: datetime) -> list[str]:
    """Evaluate the alarms of all regions: what should have come and did not, breaches too."""
    lines: list[str] = []
    for region in REGION_NAMES:
        with cloud.gate.working():
            lines += evaluate(cloud, region)
    return lines


def install(cloud: Cloud) -> None:
    """Evaluate after new metrics, whoever brings them; those without a time get that of the cloud's clock."""
    original = CloudWatchBackend.put_metric_data

    def put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        now = cloud.now().replace(tzinfo=None)
        timed = [{**datum, "Timestamp": datum.get("Timestamp") or now} for datum in metric_data]
        original(self, namespace, timed)
        evaluate(cloud, self.region_name)

    CloudWatchBackend.put_metric_data = put_metric_data


@around("cloudwatch", "PutMetricData")
def keep_namespaces_of_services(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse metrics in the name of an AWS service from anybody else."""
    if call.params["Namespace"].startswith("AWS/") and not backup_access.is_own(call):
        raise Refused("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
    return proceed()


@around("cloudwatch", "PutMetricAlarm")
def put_metric_alarm(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Let a new alarm start without data and a changed one keep its state; moto starts both at OK."""
    _check_actions(call)
    asked = call.params
    of, needed = int(asked["EvaluationPeriods"]), int(asked.get("DatapointsToAlarm") or asked["EvaluationPeriods"])
    if not 1 <= needed <= of:
        raise Refused("ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    period = int(asked.get("Period") or 60)
    if period not in (10, 20, 30) and period % 60:
        raise Refused("ValidationError", "Period must be 10, 20, 30 or a multiple of 60")
    if period * of > (7 * 86400 if period >= 3600 else 86400):
        text = "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)"
        raise Refused("ValidationError", text)
    alarms = call.cloud.moto("cloudwatch", call.region).alarms
    old = alarms.get(asked["AlarmName"])
    with _EVALUATING:
        answer = proceed()
        if answer.status < 300:
            _carry_over(call, asked["AlarmName"], old)
    return answer


def _check_actions(call: Call) -> None:
    for member in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        for arn in call.params.get(member, []):
            parts = arn.split(":")
            if len(parts) < 6 or parts[0] != "arn":
                raise Refused("ValidationError", f"Invalid arn syntax: {arn}")
            if parts[2] == "sns" and parts[3] != call.region:
                text = f"Invalid region {parts[3]} specified. Only {call.region} is supported."
                raise Refused("ValidationError", text)


def _carry_over(call: Call, name: str, old: Any) -> None:
    alarm = call.cloud.moto("cloudwatch", call.region).alarms[name]
    if old is None:
        alarm.state_value = INSUFFICIENT
    else:
        for attribute in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp"):
            setattr(alarm, attribute, getattr(old, attribute))
    made = "created" if old is None else "updated"
    _remember(call.cloud, call.region, alarm, kind="ConfigurationUpdate", summary=f'Alarm "{name}" {made}', data={})


@around("cloudwatch", "SetAlarmState")
def set_alarm_state(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Act on a state set by hand as on one computed; the next evaluation may change it back."""
    alarm = call.cloud.moto("cloudwatch", call.region).alarms.get(call.params["AlarmName"])
    with _EVALUATING:
        before = "" if alarm is None else str(alarm.state_value)
        answer = proceed()
        if alarm is not None and answer.status < 300 and before != alarm.state_value:
            _changed(call.cloud, call.region, alarm, before=before)
    return answer


def _change(cloud: Cloud, region: str, alarm: Any, *, state: str, reason: str) -> None:
    before = alarm.state_value
    alarm.update_state(reason, "{}", state)
    _changed(cloud, region, alarm, before=before)


def _changed(cloud: Cloud, region: str, alarm: Any, *, before: str) -> None:
    """Remember a change of state, tell EventBridge, and do what the alarm says."""
    state = alarm.state_value
    data = {"version": "1.0", "oldState": {"stateValue": before}, "newState": _state(alarm)}
    summary = f"Alarm updated from {before} to {state}"
    _remember(cloud, region, alarm, kind="StateUpdate", summary=summary, data=data)
    detail = {
        "alarmName": alarm.name,
        "state": {"value": state, "reason": alarm.state_reason},
        "previousState": {"value": before},
        "configuration": {"description": alarm.description},
    }
    events.emit(cloud, region, "aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.alarm_arn])
    if not alarm.actions_enabled:
        return
    actions = {ALARM: alarm.alarm_actions, OK: alarm.ok_actions, INSUFFICIENT: alarm.insufficient_data_actions}
    for arn in actions[state]:
        problem = _publish(cloud, region, alarm, arn=arn, before=before)
        done = "Successfully executed" if problem is None else "Failed to execute"
        text = {"actionState": "Succeeded" if problem is None else "Failed", "notificationResource": arn}
        _remember(cloud, region, alarm, kind="Action", summary=f"{done} action {arn}", data={**text, "error": problem})


def _state(alarm: Any) -> dict[str, str]:
    return {"stateValue": alarm.state_value, "stateReason": alarm.state_reason}


def _publish(cloud: Cloud, region: str, alarm: Any, *, arn: str, before: str) -> str | None:
    """Publish to an alarm's topic; return why that failed."""
    if arn.split(":")[2] != "sns":
        return "the local cloud does this kind of action not"
    sns = cloud.moto("sns", region)
    topic = sns.topics.get(arn)
    if topic is None:
        return "Resource not found"
    account = dict.fromkeys(("aws:sourceowner", "aws:sourceaccount"), ACCOUNT_ID)
    values = {**account, "aws:sourcearn": alarm.alarm_arn}
    if not backup_access.service_may(topic.policy, "sns:Publish", "cloudwatch.amazonaws.com", values):
        return "CloudWatch Alarms is not authorized to perform: SNS:Publish on resource: " + arn
    name = REGION_NAMES.get(region, region)
    try:
        message = json.dumps(_message(alarm, name, before))
        sns.publish(message, arn=arn, subject=f'{alarm.state_value}: "{alarm.name}" in {name}'[:100])
    except Exception as error:
        LOG.exception("alarm %s could not publish to %s", alarm.name, arn)
        return f"{type(error).__name__}: {error}"
    return None


def _message(alarm: Any, region_name: str, before: str) -> dict[str, Any]:
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": ACCOUNT_ID,
        "AlarmConfigurationUpdatedTimestamp": f"{alarm.configuration_updated_timestamp:%Y-%m-%dT%H:%M:%S.000+0000}",
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": f"{alarm.state_updated_timestamp:%Y-%m-%dT%H:%M:%S.000+0000}",
        "Region": region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
    }
    if alarm.rule is not None:
        return message | {"AlarmRule": alarm.rule}
    trigger = {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "StatisticType": "Statistic",
        "Statistic": (alarm.statistic or "").upper(),
        "Unit": alarm.unit,
        "Dimensions": [{"value": found.value, "name": found.name} for found in alarm.dimensions],
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "missing",
    }
    return message | {"Trigger": trigger}


# -- history -----------------------------------------------------------------------------------------------------------


def _remember(cloud: Cloud, region: str, alarm: Any, *, kind: str, summary: str, data: dict[str, Any]) -> None:
    history = cloud.store("cloudwatch", region).setdefault("history", [])
    history.append(
        {
            "AlarmName": alarm.name,
            "AlarmType": "MetricAlarm" if alarm.rule is None else "CompositeAlarm",
            "Timestamp": cloud.now(),
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps(data),
        }
    )
    del history[:-KEPT_HISTORY]


@operation("cloudwatch", "DescribeAlarmHistory")
def describe_alarm_history(call: Call, **asked: Any) -> dict[str, Any]:
    """Return what happened to alarms, newest first unless asked otherwise."""
    types = asked.get("AlarmTypes") or ["MetricAlarm"]
    found = [
        item
        for item in call.cloud.store("cloudwatch", call.region).get("history", [])
        if asked.get("AlarmName") in (None, item["AlarmName"])
        and asked.get("HistoryItemType") in (None, item["HistoryItemType"])
        and item["AlarmType"] in types
        and _aware(asked.get("StartDate"), datetime.min)
        <= item["Timestamp"]
        <= _aware(asked.get("EndDate"), datetime.max)
    ]
    if asked.get("ScanBy") != "TimestampAscending":
        found.reverse()
    start, size = int(asked.get("NextToken") or 0), int(asked.get("MaxRecords") or 100)
    rest = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return {"AlarmHistoryItems": found[start : start + size], **rest}


def _aware(moment: datetime | None, otherwise: datetime) -> datetime:
    found = moment or otherwise
    return found if found.tzinfo else found.replace(tzinfo=UTC)
