"""Settings of alarms, event rules and schedules as AWS describes them, under the names that Terraform's attributes have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_ALARM = {
    "comparison_operator": "ComparisonOperator",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "evaluate_low_sample_count_percentiles": "EvaluateLowSampleCountPercentile",
    "evaluation_periods": "EvaluationPeriods",
    "extended_statistic": "ExtendedStatistic",
    "metric_name": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "threshold_metric_id": "ThresholdMetricId",
    "treat_missing_data": "TreatMissingData",
    "unit": "Unit",
}
_RULE = {"event_pattern": "EventPattern", "schedule_expression": "ScheduleExpression", "state": "State"}
_SCHEDULE = {
    "schedule_expression": "ScheduleExpression",
    "schedule_expression_timezone": "ScheduleExpressionTimezone",
    "state": "State",
}
_WINDOW = {"mode": "Mode", "maximum_window_in_minutes": "MaximumWindowInMinutes"}
_QUERY = {"id": "Id", "account_id": "AccountId", "expression": "Expression", "label": "Label", "period": "Period"}
_SUPPRESSOR = {"extension_period": "ActionsSuppressorExtensionPeriod", "wait_period": "ActionsSuppressorWaitPeriod"}


def of_alarm(found: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings of an alarm that DescribeAlarms lists, of a metric or of other alarms; None: it does not have one."""
    if "AlarmRule" in found:
        suppressor = found.get("ActionsSuppressor")
        suppressed = [{"alarm": suppressor, **_named(_SUPPRESSOR, found)}] if suppressor else []
        return {"alarm_rule": found["AlarmRule"], "actions_suppressor": suppressed}
    return {
        **_named(_ALARM, found),
        "dimensions": _dimensions(found.get("Dimensions", [])),
        "metric_query": [_query(one) for one in found.get("Metrics", [])],
    }


def of_rule(found: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings of a rule that ListRules lists; None: it does not have one."""
    return _named(_RULE, found)


def of_schedule(found: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings of an answer of GetSchedule; None: it does not have one."""
    return {
        **_named(_SCHEDULE, found),
        "flexible_time_window": [_named(_WINDOW, found["FlexibleTimeWindow"])] if "FlexibleTimeWindow" in found else [],
        "start_date": _instant(found.get("StartDate")),
        "end_date": _instant(found.get("EndDate")),
    }


def _named(names: Mapping[str, str], found: Mapping[str, Any]) -> dict[str, object]:
    return {ours: found.get(theirs) for ours, theirs in names.items()}


def _dimensions(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in found}


def _query(found: Mapping[str, Any]) -> dict[str, object]:
    # Terraform writes blocks as lists, also those of which there is one at most.
    return {
        **_named(_QUERY, found),
        "return_data": found.get("ReturnData", True),  # the API's default; Terraform always says it
        "metric": [_metric(found["MetricStat"])] if "MetricStat" in found else [],
    }


def _metric(found: Mapping[str, Any]) -> dict[str, object]:
    metric = found["Metric"]
    return {
        "metric_name": metric.get("MetricName"),
        "namespace": metric.get("Namespace"),
        "dimensions": _dimensions(metric.get("Dimensions", [])),
        "period": found.get("Period"),
        "stat": found.get("Stat"),
        "unit": found.get("Unit"),
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
