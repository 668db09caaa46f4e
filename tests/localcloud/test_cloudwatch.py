"""Alarms that ring: computed from metrics, missing ones too, acted on and remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from localcloud.services.cloudwatch import judged, rule_holds

from tests.conftest import RunningCloud
from tests.localcloud.inboxes import open_inbox

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Watch:
    """A metric of its own, and a topic whose messages are seen in a queue."""

    cloud: RunningCloud
    name: str
    topic: str
    queue: str

    @property
    def client(self) -> Any:
        return self.cloud.client("cloudwatch")

    def alarm(self, **changed: Any) -> None:
        asked = {
            "AlarmName": self.name, "Namespace": self.name, "MetricName": "BackupAgeHours", "Statistic": "Minimum",
            "Dimensions": [{"Name": "Kind", "Value": "dumps"}], "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 24, "Period": 3600, "EvaluationPeriods": 1, "TreatMissingData": "breaching",
            "AlarmActions": [self.topic], "OKActions": [self.topic], **changed,
        }  # fmt: skip
        self.client.put_metric_alarm(**asked)

    def measure(self, value: float, *, hours_ago: float = 0, kind: str = "dumps") -> None:
        at = {"Timestamp": datetime.now(UTC) - timedelta(hours=hours_ago)} if hours_ago else {}
        datum = {"MetricName": "BackupAgeHours", "Dimensions": [{"Name": "Kind", "Value": kind}], "Value": value, **at}
        self.client.put_metric_data(Namespace=self.name, MetricData=[datum])

    def state(self, name: str | None = None) -> str:
        kinds = ["MetricAlarm", "CompositeAlarm"]
        found = self.client.describe_alarms(AlarmNames=[name or self.name], AlarmTypes=kinds)
        return str([*found["MetricAlarms"], *found["CompositeAlarms"]][0]["StateValue"])

    def messages(self) -> list[tuple[str, str]]:
        sqs = self.cloud.client("sqs")
        found = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        texts = [json.loads(json.loads(message["Body"])["Message"]) for message in found]
        return [(text["AlarmName"], text["NewStateValue"]) for text in texts]

    def history(self, kind: str) -> list[str]:
        asked = {"AlarmName": self.name, "HistoryItemType": kind, "ScanBy": "TimestampAscending"}
        return [item["HistorySummary"] for item in self.client.describe_alarm_history(**asked)["AlarmHistoryItems"]]


@pytest.fixture
def watch(cloud: RunningCloud) -> Watch:
    name = f"watch-{uuid4().hex[:8]}"
    sns = cloud.client("sns")
    queue = open_inbox(cloud, name)
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}")
    return Watch(cloud, name, topic, queue)


# Rows of the tables in the user guide, "Configuring how CloudWatch alarms treat missing data": the newest last, X
# breaches, 0 does not, - is missing; 3 of 3, then the states for missing, ignore, breaching and notBreaching.
@pytest.mark.parametrize(
    ("seen", "states"),
    [
        ("0-X-X", ("OK", "OK", "OK", "OK")),
        ("0----", ("OK", "OK", "OK", "OK")),
        ("-----", ("INSUFFICIENT_DATA", None, "ALARM", "OK")),
        ("0XX-X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("--X--", ("ALARM", None, "ALARM", "OK")),
    ],
)
def test_missing_data_is_treated_as_the_user_guide_says(seen: str, states: Sequence[str | None]) -> None:
    points = [{"X": True, "0": False, "-": None}[point] for point in seen]

    found = [judged(points, needed=3, of=3, missing=how) for how in ("missing", "ignore", "breaching", "notBreaching")]

    assert found == list(states)


def test_a_new_alarm_has_no_data_and_rings_when_the_metric_breaches(watch: Watch) -> None:
    watch.alarm()
    first = watch.state()

    watch.measure(30)
    watch.measure(30, kind="state")

    assert (first, watch.state()) == ("INSUFFICIENT_DATA", "ALARM")
    assert watch.messages() == [(watch.name, "ALARM")]
    assert watch.history("StateUpdate") == ["Alarm updated from INSUFFICIENT_DATA to ALARM"]
    assert watch.history("Action") == [f"Successfully executed action {watch.topic}"]


def test_another_dimension_or_a_value_at_the_threshold_does_not_ring(watch: Watch) -> None:
    watch.alarm()

    watch.measure(24)
    watch.measure(99, kind="state")

    assert watch.state() == "OK"
    assert watch.messages() == [(watch.name, "OK")]


def test_a_better_value_ends_the_alarm_and_a_state_that_stays_is_told_once(watch: Watch) -> None:
    watch.alarm()
    for value in (30, 31, 2, 3):
        watch.measure(value)

    assert watch.state() == "OK"
    assert watch.messages() == [(watch.name, "ALARM"), (watch.name, "OK")]


def test_silence_rings_a_freshness_alarm_and_not_a_failure_alarm(watch: Watch) -> None:
    watch.alarm()
    watch.alarm(AlarmName=f"{watch.name}-failures", TreatMissingData="notBreaching", Threshold=1)
    fired = watch.cloud.control("tick", schedule="daily")["fired"]

    assert [line for line in fired if watch.name in line] == [
        f"alarm {watch.name}: ALARM", f"alarm {watch.name}-failures: OK",
    ]  # fmt: skip
    assert watch.messages() == [(watch.name, "ALARM"), (f"{watch.name}-failures", "OK")]


def test_an_old_value_does_not_keep_a_freshness_alarm_quiet(watch: Watch) -> None:
    watch.alarm()

    watch.measure(0.5, hours_ago=5)

    assert watch.state() == "ALARM"


def test_so_many_of_so_many_periods_must_breach(watch: Watch) -> None:
    watch.alarm(EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData="notBreaching")

    watch.measure(30, hours_ago=2)
    one = watch.state()
    watch.measure(30, hours_ago=1)

    assert (one, watch.state()) == ("OK", "ALARM")


def test_a_state_set_by_hand_fires_the_actions(watch: Watch) -> None:
    watch.alarm()

    watch.client.set_alarm_state(AlarmName=watch.name, StateValue="ALARM", StateReason="a drill")

    assert watch.messages() == [(watch.name, "ALARM")]


def test_actions_that_are_switched_off_stay_quiet(watch: Watch) -> None:
    watch.alarm(ActionsEnabled=False)

    watch.measure(30)

    assert watch.state() == "ALARM"
    assert watch.messages() == []


def test_a_topic_that_does_not_let_alarms_publish_is_not_told_and_the_history_says_so(watch: Watch) -> None:
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "backup.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": "*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    watch.cloud.client("sns").set_topic_attributes(
        TopicArn=watch.topic, AttributeName="Policy", AttributeValue=document
    )
    watch.alarm()

    watch.measure(30)

    assert watch.messages() == []
    assert watch.history("Action") == [f"Failed to execute action {watch.topic}"]


def test_a_backup_job_that_fails_rings_at_once(watch: Watch) -> None:
    vault = {"Name": "BackupVaultName", "Value": watch.name}
    watch.alarm(
        Namespace="AWS/Backup", MetricName="NumberOfBackupJobsFailed", Dimensions=[vault], Statistic="Sum",
        ComparisonOperator="GreaterThanOrEqualToThreshold", Threshold=1, TreatMissingData="notBreaching",
    )  # fmt: skip
    backup = watch.cloud.client("backup")
    backup.create_backup_vault(BackupVaultName=watch.name)
    trust = {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = watch.cloud.client("iam").create_role(
        RoleName=watch.name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]

    backup.start_backup_job(
        BackupVaultName=watch.name,
        ResourceArn=f"arn:aws:ec2:eu-west-1:{ACCOUNT}:volume/vol-00000000000000000",
        IamRoleArn=role,
    )

    deadline = time.monotonic() + 20
    while watch.state() != "ALARM" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert watch.state() == "ALARM"


def test_metrics_in_the_name_of_aws_are_refused(watch: Watch) -> None:
    with pytest.raises(ClientError) as refusal:
        watch.client.put_metric_data(Namespace="AWS/Backup", MetricData=[{"MetricName": "x", "Value": 1}])

    assert refusal.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_a_changed_alarm_keeps_its_state(watch: Watch) -> None:
    watch.alarm()
    watch.measure(30)

    watch.alarm(AlarmDescription="changed")

    assert watch.state() == "ALARM"
    assert watch.history("ConfigurationUpdate") == [
        f'Alarm "{watch.name}" created', f'Alarm "{watch.name}" updated',
    ]  # fmt: skip


def test_a_composite_alarm_follows_the_alarms_that_it_names(watch: Watch) -> None:
    watch.alarm(AlarmActions=[], OKActions=[], TreatMissingData="missing")
    watch.alarm(
        AlarmName=f"{watch.name}-2", MetricName="Other", AlarmActions=[], OKActions=[], TreatMissingData="missing"
    )
    together = f"{watch.name}-both"
    rule = f"ALARM({watch.name}) AND NOT ALARM({watch.name}-2)"
    watch.client.put_composite_alarm(AlarmName=together, AlarmRule=rule, AlarmActions=[watch.topic])
    before = watch.state(together)

    watch.measure(30)

    assert (before, watch.state(together)) == ("OK", "ALARM")
    assert (together, "ALARM") in watch.messages()


@pytest.mark.parametrize("rule", ["ALARM(nobody-knows-it)", "ALARM(", "TRUE AND", "maybe"])
def test_a_composite_alarm_of_nothing_is_refused(watch: Watch, rule: str) -> None:
    with pytest.raises(ClientError) as refusal:
        watch.client.put_composite_alarm(AlarmName="composite", AlarmRule=rule)

    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    assert (
        watch.client.describe_alarms(AlarmNames=["composite"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"] == []
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ALARM(a) OR OK(a) AND OK(b)", True),
        ("(ALARM(a) OR OK(a)) AND ALARM(b)", False),
        ('NOT OK("a") AND NOT (ALARM(b) OR FALSE)', True),
    ],
)
def test_a_rule_binds_as_usual(rule: str, expected: bool) -> None:
    assert rule_holds(rule, {"a": "ALARM", "b": "OK"}.__getitem__) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"EvaluationPeriods": 2, "DatapointsToAlarm": 3},
        {"Period": 90},
        {"Period": 300, "EvaluationPeriods": 500},
        {"AlarmActions": [f"arn:aws:sns:eu-central-1:{ACCOUNT}:elsewhere"]},
    ],
)
def test_an_alarm_that_aws_would_not_take_is_refused(watch: Watch, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refusal:
        watch.alarm(**wrong)

    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    assert watch.client.describe_alarms(AlarmNames=[watch.name])["MetricAlarms"] == []


def test_a_dashboard_is_kept_as_it_was_put(cloud: RunningCloud) -> None:
    body = {"widgets": [
        {"type": "text", "x": 0, "y": 0, "width": 24, "height": 2, "properties": {"markdown": "# Copies"}},
        {"type": "metric", "properties": {
            "region": "eu-west-1", "metrics": [["Lifeboat", "BackupAgeSeconds", "Name", "app", "Kind", "dumps", {"label": "d"}]],
        }},
        {"type": "alarm", "properties": {"alarms": ["arn:aws:cloudwatch:eu-west-1:1:alarm:a"]}},
    ]}  # fmt: skip
    client = cloud.client("cloudwatch")

    client.put_dashboard(DashboardName="copies", DashboardBody=json.dumps(body))

    assert json.loads(client.get_dashboard(DashboardName="copies")["DashboardBody"]) == body


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "valid JSON"),
        ({}, "'widgets'"),
        ({"widgets": [{"type": "picture", "properties": {}}]}, "type of a widget"),
        ({"widgets": [{"type": "text", "properties": {}}]}, "properties/markdown"),
        ({"widgets": [{"type": "text", "width": 25, "properties": {"markdown": ""}}]}, "width must be"),
        ({"widgets": [{"type": "text", "x": 20, "y": 0, "width": 6, "properties": {"markdown": ""}}]}, "24 columns"),
        ({"widgets": [{"type": "metric", "properties": {"metrics": [["A", "B"]]}}]}, "properties/region"),
        ({"widgets": [{"type": "metric", "properties": {"region": "eu-west-1"}}]}, "properties/metrics"),
        ({"widgets": [{"type": "metric", "properties": {"region": "eu-west-1", "metrics": [["A"]]}}]}, "namespace"),
    ],
)  # fmt: skip
def test_a_dashboard_that_cloudwatch_would_not_take_is_refused(cloud: RunningCloud, body: Any, said: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)

    with pytest.raises(ClientError) as refused:
        cloud.client("cloudwatch").put_dashboard(DashboardName="wrong", DashboardBody=text)

    assert refused.value.response["Error"]["Code"] == "InvalidParameterInput"
    assert said in refused.value.response["Error"]["Message"]
    assert "wrong" not in str(cloud.client("cloudwatch").list_dashboards()["DashboardEntries"])
