"""A small root, applied and destroyed by pytest-terraform, against the local cloud."""

from __future__ import annotations

from typing import Any

from pytest_terraform import terraform

from tests.conftest import RunningCloud


@terraform("topic", scope="session")
def test_an_alarm_on_stale_backups_rings_for_want_of_data(topic: Any, root_cloud: RunningCloud) -> None:
    arn = topic["aws_sns_topic.alarms.arn"]
    cloudwatch = root_cloud.client("cloudwatch")

    root_cloud.control("tick", schedule="daily")

    alarm = cloudwatch.describe_alarms(AlarmNames=["rehearsed-stale"])["MetricAlarms"][0]
    assert alarm["AlarmActions"] == [arn]
    assert alarm["StateValue"] == "ALARM"
