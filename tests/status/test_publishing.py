"""Metrics written to CloudWatch and read back, alarm settings looked at: against a local cloud, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients.alarm_settings import AlarmSettings
from lifeboat.errors import Unreachable
from lifeboat.status_model import Alarm, Measure

from tests.conftest import RunningCloud
from tests.gitlab_sites import REGION


def measure(name: str, number: int = 0, **dimensions: str) -> Measure:
    return Measure(name=name, dimensions={"Name": "app", **dimensions}, value=float(number), unit="Seconds")


@pytest.fixture
def settings(cloud: RunningCloud) -> AlarmSettings:
    return AlarmSettings(cloud.client, "app")


def alarm(metric: str, **dimensions: str) -> Alarm:
    return Alarm(
        name=f"app-{metric}",
        enabled=True,
        actions=(),
        state="OK",
        reason="",
        since=None,
        namespace="Lifeboat",
        metric=metric,
        dimensions={"Name": "app", **dimensions},
    )


def test_what_is_written_is_found_by_the_alarm_that_watches_it_and_by_no_other(settings: AlarmSettings) -> None:
    name, now = f"Age{uuid4().hex}", datetime.now(UTC)

    settings.write([measure(name, 7, Kind="dumps")], REGION, now)

    watching = [alarm(name, Kind="dumps"), alarm(f"{name}2", Kind="dumps")]
    found = settings.newest(watching, REGION, timedelta(hours=3))
    assert found.keys() == {f"app-{name}"}
    assert abs(found[f"app-{name}"] - now) < timedelta(minutes=2)
    assert settings.newest([alarm(name, Kind="vault")], REGION, timedelta(hours=3)) == {}


def test_an_old_data_point_is_none(settings: AlarmSettings) -> None:
    name = f"Age{uuid4().hex}"
    settings.write([measure(name)], REGION, datetime.now(UTC) - timedelta(hours=4))

    assert settings.newest([alarm(name)], REGION, timedelta(hours=3)) == {}


def test_no_call_carries_more_than_a_thousand(cloud: RunningCloud) -> None:
    calls: list[int] = []

    class Counting:
        def put_metric_data(self, **asked: Any) -> None:
            calls.append(len(asked["MetricData"]))

    client = AlarmSettings(lambda service, region: Counting(), "app")

    client.write([measure("Age", number, Kind=str(number)) for number in range(2300)], REGION, datetime.now(UTC))

    assert calls == [1000, 1000, 300]


def test_that_metrics_are_refused_is_told(cloud: RunningCloud, settings: AlarmSettings) -> None:
    rule = {"code": "AccessDenied", "status": 403, "times": 9, "first": 1}
    cloud.control("faults", add={"service": "cloudwatch", "operation": "PutMetricData", **rule})

    with pytest.raises(Unreachable, match="cannot write 1 metrics: AccessDenied"):
        settings.write([measure("Age")], REGION, datetime.now(UTC))

    cloud.control("faults", clear=True)


def test_who_listens_is_told_with_what_they_want_to_hear(cloud: RunningCloud, settings: AlarmSettings) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name=f"app-{uuid4().hex}")["TopicArn"]

    empty = settings.topic(topic)
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="on-call@lifeboat.test")
    queue = cloud.client("sqs").create_queue(QueueName=f"app-{uuid4().hex}")["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"FilterPolicy": '{"a": ["b"]}'})
    heard = settings.topic(topic)

    assert empty is not None
    assert empty.subscribers == ()
    assert heard is not None
    assert {(one.protocol, one.endpoint, one.confirmed, bool(one.wants)) for one in heard.subscribers} == {
        ("email", "on-call@lifeboat.test", True, False),
        ("sqs", arn, True, True),
    }
    assert settings.topic(f"arn:aws:sns:{REGION}:123456789012:none") is None
