"""Attributes of alarms, event rules and schedules as Terraform's provider writes them into a state: each, also what is not set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def alarm_attributes(**changed: Any) -> dict[str, Any]:
    """Return those of an alarm that watches the age of dumps."""
    return {
        "comparison_operator": "GreaterThanThreshold",
        "datapoints_to_alarm": None,
        "dimensions": {"Kind": "dumps", "Name": "app-x"},
        "evaluate_low_sample_count_percentiles": "",
        "evaluation_periods": 3,
        "extended_statistic": "",
        "metric_name": "BackupAgeSeconds",
        "metric_query": [],
        "namespace": "Lifeboat",
        "period": 3600,
        "statistic": "Minimum",
        "threshold": 93600,
        "threshold_metric_id": "",
        "treat_missing_data": "breaching",
        "unit": "",
        **changed,
    }


def rule_attributes(pattern: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """Return those of a rule that takes the events of a pattern."""
    written = json.dumps(pattern, separators=(",", ":"), sort_keys=True)
    return {"event_pattern": written, "schedule_expression": "", "state": "ENABLED", **changed}


def schedule_attributes(**changed: Any) -> dict[str, Any]:
    """Return those of a schedule that runs each night."""
    return {
        "schedule_expression": "cron(15 3 * * ? *)",
        "schedule_expression_timezone": "UTC",
        "flexible_time_window": [{"mode": "OFF", "maximum_window_in_minutes": 0}],
        "state": "ENABLED",
        "start_date": "",
        "end_date": "",
        **changed,
    }
