"""What watches over the copies: alarms, event rules, topics and metrics as AWS has them, and our own metrics written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.clients import alarm_routes, sdk, terraform_attributes
from lifeboat.clients.sdk import translated
from lifeboat.status_model import Alarm, EventRule, Measure, Topic

NAMESPACE = "Lifeboat"
_AT_ONCE = 1000  # data that PutMetricData takes in a call (CloudWatch API reference)
_PAGE = re.compile(r"docs/runbooks/[a-z0-9-]+\.md")  # as modules/backup-alarms writes it into a description
_QUERIES = 500  # that GetMetricData takes in a call
_PERIOD = 60


class AlarmSettings:
    """The alarms of one application, whose names all begin with its own, in whatever region."""

    def __init__(self, client: Callable[[str, str], Any], application: str) -> None:
        self._client = client
        self._prefix = f"{application}-"

    def alarms(self, region: str) -> Mapping[str, Alarm]:
        """Return the metric alarms of a region, by name."""
        with translated(f"list the alarms in {region}"):
            found = sdk.items(
                self._client("cloudwatch", region), "describe_alarms", "MetricAlarms", AlarmNamePrefix=self._prefix
            )
            return {alarm.name: alarm for alarm in map(_alarm, found)}

    def rules(self, region: str) -> Mapping[str, EventRule]:
        """Return the event rules of a region, by name, each with whom it tells."""
        events = self._client("events", region)
        with translated(f"list the event rules in {region}"):
            found = list(sdk.items(events, "list_rules", "Rules", NamePrefix=self._prefix))
            return {
                str(rule["Name"]): EventRule(
                    name=str(rule["Name"]),
                    enabled=rule["State"] != "DISABLED",
                    targets=tuple(
                        str(one["Arn"])
                        for one in sdk.items(events, "list_targets_by_rule", "Targets", Rule=rule["Name"])
                    ),
                    settings=terraform_attributes.of_rule(rule),
                )
                for rule in found
            }

    def topic(self, arn: str) -> Topic | None:
        """Return who listens to a topic, each with its filter; None where there is no such topic."""
        sns = self._client("sns", arn.split(":")[3])
        with translated(f"list who listens to {arn}"):
            listed = sdk.unless_absent(
                ("NotFound", "NotFoundException"),
                lambda: list(sdk.items(sns, "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)),
            )
            if listed is None:
                return None
            return Topic(arn=arn, subscribers=tuple(alarm_routes.subscriber(one, sns) for one in listed))

    def newest(self, alarms: Sequence[Alarm], region: str, within: timedelta) -> dict[str, datetime]:
        """Return when the newest data point of each alarm's metric is of, by the alarm's name; none: within this time none came."""
        now, found = datetime.now(UTC), dict[str, datetime]()
        cloudwatch = self._client("cloudwatch", region)
        with translated(f"read the metrics that alarms watch in {region}"):
            for first in range(0, len(alarms), _QUERIES):
                asked = {f"m{number}": alarm for number, alarm in enumerate(alarms[first : first + _QUERIES])}
                pages = sdk.paginator(cloudwatch, "get_metric_data").paginate(
                    MetricDataQueries=[_query(name, alarm) for name, alarm in asked.items()],
                    StartTime=now - within,
                    EndTime=now + timedelta(seconds=_PERIOD),
                )
                for result in (one for page in pages for one in page["MetricDataResults"]):
                    for at in result["Timestamps"]:
                        name = asked[result["Id"]].name
                        found[name] = max(at.astimezone(UTC), found.get(name, at.astimezone(UTC)))
        return found

    def write(self, measures: Sequence[Measure], region: str, at: datetime) -> None:
        """Write metrics of ours, all of one moment."""
        data = [
            {
                "MetricName": one.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in sorted(one.dimensions.items())],
                "Timestamp": at,
                "Value": one.value,
                "Unit": one.unit,
            }
            for one in measures
        ]
        with translated(f"write {len(data)} metrics", hint="the role that may is the verifier's, or the dump job's"):
            for first in range(0, len(data), _AT_ONCE):
                self._client("cloudwatch", region).put_metric_data(
                    Namespace=NAMESPACE, MetricData=data[first : first + _AT_ONCE]
                )


def _alarm(found: Mapping[str, Any]) -> Alarm:
    since, page = found.get("StateUpdatedTimestamp"), _PAGE.search(str(found.get("AlarmDescription", "")))
    return Alarm(
        name=str(found["AlarmName"]),
        enabled=bool(found.get("ActionsEnabled", True)),
        actions=tuple(found.get("AlarmActions", [])),
        state=str(found["StateValue"]),
        reason=str(found.get("StateReason", "")),
        since=None if since is None else since.astimezone(UTC),
        namespace=str(found.get("Namespace", "")),
        metric=str(found.get("MetricName", "")),
        dimensions={one["Name"]: one["Value"] for one in found.get("Dimensions", [])},
        page="" if page is None else page[0],
        settings=terraform_attributes.of_alarm(found),
    )


def _query(name: str, alarm: Alarm) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in sorted(alarm.dimensions.items())]
    metric = {"Namespace": alarm.namespace, "MetricName": alarm.metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": _PERIOD, "Stat": "SampleCount"}, "ReturnData": True}
