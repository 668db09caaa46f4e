"""What is told of settings that are not as they were built, and what is the same in other words and is told of by nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifeboat.decisions.hand_changes import Change, Compared, compared

from tests.terraform_attributes import alarm_attributes, rule_attributes, schedule_attributes

ALARM, COMPOSITE = "aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm"
RULE, SCHEDULE = "aws_cloudwatch_event_rule", "aws_scheduler_schedule"
PATTERN: dict[str, Any] = {
    "source": ["aws.backup"],
    "detail": {"state": ["FAILED", "ABORTED"], "size": [{"exists": True}]},
}
RATIO: list[dict[str, Any]] = [
    {"id": "r", "account_id": "", "expression": "a/b", "label": "", "period": 0, "return_data": True, "metric": []},
    {
        "id": "a", "account_id": "", "expression": "", "label": "", "period": 0, "return_data": False,
        "metric": [{
            "metric_name": "Errors", "namespace": "N", "dimensions": None, "period": 60, "stat": "Sum", "unit": "",
        }],
    },
]  # fmt: skip
COMPOSED = {"alarm_rule": "ALARM(a) OR ALARM(b)", "actions_suppressor": []}


@pytest.mark.parametrize(
    ("kind", "built", "changed", "told"),
    [
        (ALARM, alarm_attributes(), {"threshold": 1e9}, ("threshold", "1000000000", "93600")),
        (ALARM, alarm_attributes(threshold=0), {"threshold": 0.5}, ("threshold", "0.5", "0")),
        (ALARM, alarm_attributes(threshold=0), {"threshold": None}, ("threshold", "not set", "0")),
        (
            ALARM,
            alarm_attributes(),
            {"comparison_operator": "LessThanThreshold"},
            ("comparison_operator", "LessThanThreshold", "GreaterThanThreshold"),
        ),
        (ALARM, alarm_attributes(), {"evaluation_periods": 24}, ("evaluation_periods", "24", "3")),
        (ALARM, alarm_attributes(), {"datapoints_to_alarm": 2}, ("datapoints_to_alarm", "2", "3")),
        (ALARM, alarm_attributes(), {"treat_missing_data": "ignore"}, ("treat_missing_data", "ignore", "breaching")),
        (ALARM, alarm_attributes(), {"treat_missing_data": None}, ("treat_missing_data", "missing", "breaching")),
        (ALARM, alarm_attributes(), {"statistic": "Maximum"}, ("statistic", "Maximum", "Minimum")),
        (ALARM, alarm_attributes(statistic=""), {"extended_statistic": "p1"}, ("extended_statistic", "p1", "not set")),
        (ALARM, alarm_attributes(), {"period": 60}, ("period", "60", "3600")),
        (ALARM, alarm_attributes(), {"unit": "Bytes"}, ("unit", "Bytes", "not set")),
        (ALARM, alarm_attributes(), {"namespace": "Other"}, ("namespace", "Other", "Lifeboat")),
        (ALARM, alarm_attributes(), {"metric_name": "Nothing"}, ("metric_name", "Nothing", "BackupAgeSeconds")),
        (ALARM, alarm_attributes(), {"dimensions": {"Kind": "x", "Name": "app-x"}}, ("dimensions.Kind", "x", "dumps")),
        (ALARM, alarm_attributes(), {"dimensions": {"Name": "app-x"}}, ("dimensions.Kind", "not set", "dumps")),
        (ALARM, alarm_attributes(dimensions=None), {"dimensions": {"K": "x"}}, ("dimensions", '{"K": "x"}', "not set")),
        (
            ALARM,
            alarm_attributes(metric_query=RATIO[:1]),
            {"metric_query": [{**RATIO[0], "expression": "0"}]},
            (
                "metric_query",
                '[{"expression": "0", "id": "r", "return_data": true}]',
                '[{"expression": "a/b", "id": "r", "return_data": true}]',
            ),
        ),
        (COMPOSITE, COMPOSED, {"alarm_rule": "FALSE"}, ("alarm_rule", "FALSE", "ALARM(a) OR ALARM(b)")),
        (
            COMPOSITE,
            COMPOSED,
            {"actions_suppressor": [{"alarm": "a", "wait_period": 60, "extension_period": 60}]},
            ("actions_suppressor", '[{"alarm": "a", "extension_period": 60, "wait_period": 60}]', "not set"),
        ),
        (
            RULE,
            rule_attributes(PATTERN),
            rule_attributes({**PATTERN, "detail": {**PATTERN["detail"], "state": ["ABORTED"]}}),
            ("event_pattern.detail.state", '["ABORTED"]', '["FAILED", "ABORTED"]'),
        ),
        (
            RULE,
            rule_attributes(PATTERN),
            rule_attributes({**PATTERN, "account": ["1"]}),
            ("event_pattern.account", '["1"]', "not set"),
        ),
        (
            RULE,
            rule_attributes({"detail": {"code": [1]}}),
            rule_attributes({"detail": {"code": [1.0]}}),
            ("event_pattern.detail.code", "[1.0]", "[1]"),
        ),
        (RULE, rule_attributes({}), {"event_pattern": "{"}, ("event_pattern", "{", "{}")),
        (
            RULE,
            rule_attributes(PATTERN, state="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"),
            {"state": "ENABLED"},
            ("state", "ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"),
        ),
        (
            SCHEDULE,
            schedule_attributes(),
            {"schedule_expression": "rate(365 days)"},
            ("schedule_expression", "rate(365 days)", "cron(15 3 * * ? *)"),
        ),
        (
            SCHEDULE,
            schedule_attributes(schedule_expression_timezone=""),
            {"schedule_expression_timezone": "Asia/Tokyo"},
            ("schedule_expression_timezone", "Asia/Tokyo", "UTC"),
        ),
        (SCHEDULE, schedule_attributes(), {"state": "DISABLED"}, ("state", "DISABLED", "ENABLED")),
        (
            SCHEDULE,
            schedule_attributes(),
            {"flexible_time_window": [{"mode": "FLEXIBLE", "maximum_window_in_minutes": 1440}]},
            (
                "flexible_time_window",
                '[{"maximum_window_in_minutes": 1440, "mode": "FLEXIBLE"}]',
                '[{"mode": "OFF"}]',
            ),
        ),
        (
            SCHEDULE,
            schedule_attributes(),
            {"end_date": "2026-01-01T00:00:00Z"},
            ("end_date", "2026-01-01T00:00:00Z", "not set"),
        ),
    ],
)
def test_a_setting_that_was_changed_is_told_with_what_it_is_and_what_was_built(
    kind: str, built: dict[str, Any], changed: dict[str, Any], told: tuple[str, str, str]
) -> None:
    found = compared(kind, {**built, **changed}, built)

    setting, is_now, was_built = told
    assert found == Compared(changes=(Change(setting=setting, now=is_now, built=was_built),))


@pytest.mark.parametrize(
    ("kind", "built", "same"),
    [
        (ALARM, alarm_attributes(), alarm_attributes(threshold=93600.0, evaluation_periods=3.0)),
        (ALARM, alarm_attributes(), alarm_attributes(unit=None, extended_statistic=None, metric_query=None)),
        (ALARM, alarm_attributes(datapoints_to_alarm=0), alarm_attributes(datapoints_to_alarm=None)),
        (ALARM, alarm_attributes(datapoints_to_alarm=None), alarm_attributes(datapoints_to_alarm=3)),
        (ALARM, alarm_attributes(treat_missing_data="missing"), alarm_attributes(treat_missing_data=None)),
        (ALARM, alarm_attributes(dimensions={}), alarm_attributes(dimensions=None)),
        (ALARM, alarm_attributes(metric_query=RATIO), alarm_attributes(metric_query=RATIO[::-1])),
        (
            ALARM,
            alarm_attributes(threshold=0, threshold_metric_id="band"),
            alarm_attributes(threshold=None, threshold_metric_id="band"),
        ),
        (COMPOSITE, COMPOSED, {**COMPOSED, "alarm_rule": "ALARM(a)\n  OR ALARM(b)\n"}),
        (RULE, rule_attributes(PATTERN), rule_attributes(PATTERN, event_pattern=json.dumps(PATTERN, indent=2))),
        (RULE, rule_attributes(PATTERN), rule_attributes(PATTERN, schedule_expression=None)),
        (SCHEDULE, schedule_attributes(), schedule_attributes(schedule_expression_timezone=None, start_date=None)),
    ],
)
def test_the_same_in_other_words_is_the_same(kind: str, built: dict[str, Any], same: dict[str, Any]) -> None:
    assert compared(kind, same, built) == Compared()
    assert compared(kind, built, same) == Compared()


@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        (ALARM, alarm_attributes()),
        (COMPOSITE, COMPOSED),
        (RULE, rule_attributes(PATTERN)),
        (SCHEDULE, schedule_attributes()),
    ],
)
def test_a_setting_that_one_side_does_not_tell_is_never_equal(kind: str, whole: dict[str, Any]) -> None:
    for name in whole:
        short = {setting: value for setting, value in whole.items() if setting != name}

        assert compared(kind, short, whole) == Compared(untold=(name,))
        assert compared(kind, whole, short) == Compared(untold=(name,))
        assert compared(kind, short, short) == Compared(untold=(name,))


def test_fewer_periods_are_one_change_and_not_two() -> None:
    found = compared(ALARM, alarm_attributes(evaluation_periods=1), alarm_attributes())

    assert [one.setting for one in found.changes] == ["evaluation_periods"]


def test_all_that_was_changed_is_said_in_words() -> None:
    now = alarm_attributes(threshold=1e9, treat_missing_data="ignore")
    del now["unit"]

    found = compared(ALARM, now, alarm_attributes())

    assert found.words == (
        "threshold is 1000000000, built as 93600; treat_missing_data is ignore, built as breaching;"
        " unit cannot be compared with what was built"
    )
    assert found.now == "threshold is 1000000000, treat_missing_data is ignore, unit cannot be compared"
    assert found.built == ("threshold 93600, treat_missing_data breaching, unit told by AWS and by Terraform's state")
