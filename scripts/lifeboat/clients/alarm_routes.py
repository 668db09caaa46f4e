"""Alarms, event rules, what AWS tells by itself, and topics: how each is set, and each rung on purpose."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.alarm_model import (
    TEST_SOURCE,
    Alarm,
    Event,
    News,
    Notifier,
    Ringer,
    Rule,
    Sort,
    Subscriber,
    Target,
    Topic,
)
from lifeboat.clients import sdk, terraform_attributes
from lifeboat.clients.sdk import translated
from lifeboat.errors import Unreachable

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_NO_TOPIC = ("NotFound", "NotFoundException")
_NO_VAULT_NEWS = ("ResourceNotFoundException", "InvalidParameterValueException")


class AlarmRoutes:
    """What rings for one application, whose names all begin with its own, in whatever region."""

    def __init__(self, *, client: Callable[[str, str], Any], application: str) -> None:
        self._client = client
        self._prefix = f"{application}-"

    # -- looking ---------------------------------------------------------------------------------------------------------

    def alarms(self, region: str) -> list[Alarm]:
        """Return the alarms of a region, of metrics and of other alarms, to the last page."""
        kinds = {"MetricAlarms": "MetricAlarm", "CompositeAlarms": "CompositeAlarm"}
        cloudwatch = self._client("cloudwatch", region)
        with translated(f"list the alarms in {region}"):
            return [
                _alarm(found, region)
                for key, kind in kinds.items()
                for found in sdk.items(
                    cloudwatch, "describe_alarms", key, AlarmNamePrefix=self._prefix, AlarmTypes=[kind]
                )
            ]

    def rules(self, region: str) -> list[Rule]:
        """Return the rules of a region that wait for events, each with its targets; those with only a schedule ring nobody."""
        events = self._client("events", region)
        with translated(f"list the event rules in {region}"):
            found = list(sdk.items(events, "list_rules", "Rules", NamePrefix=self._prefix))
            return [
                Rule(
                    ringer=Ringer(sort=Sort.RULE, region=region, name=str(one["Name"])),
                    about=str(one.get("Description", "")),
                    enabled=str(one["State"]).startswith("ENABLED"),
                    pattern=str(one["EventPattern"]),
                    targets=tuple(
                        _target(target)
                        for target in sdk.items(events, "list_targets_by_rule", "Targets", Rule=one["Name"])
                    ),
                    settings=terraform_attributes.of_rule(one),
                )
                for one in found
                if one.get("EventPattern")
            ]

    def notifier(self, ringer: Ringer) -> Notifier | None:
        """Return how AWS tells of a database or a vault by itself; None where it tells nothing."""
        with translated(f"look at the {ringer.words}"):
            if ringer.sort is Sort.VAULT_EVENTS:
                return self._of_vault(ringer)
            return self._of_databases(ringer)

    def _of_vault(self, ringer: Ringer) -> Notifier | None:
        backup = self._client("backup", ringer.region)
        found = sdk.unless_absent(
            _NO_VAULT_NEWS, lambda: backup.get_backup_vault_notifications(BackupVaultName=ringer.name)
        )
        if found is None or not found.get("SNSTopicArn"):
            return None
        news = News(events=tuple(found.get("BackupVaultEvents", [])))
        return Notifier(ringer=ringer, topic=found["SNSTopicArn"], tells_of=news)

    def _of_databases(self, ringer: Ringer) -> Notifier | None:
        rds = self._client("rds", ringer.region)
        answer = sdk.unless_absent(
            ("SubscriptionNotFound", "SubscriptionNotFoundFault"),
            lambda: rds.describe_event_subscriptions(SubscriptionName=ringer.name),
        )
        if answer is None or not answer["EventSubscriptionsList"]:
            return None
        found = answer["EventSubscriptionsList"][0]
        silent = "" if found["Enabled"] else "it is disabled"
        if not silent and found["Status"] != "active":
            silent = f"RDS says that it is {found['Status']}"
        return Notifier(
            ringer=ringer,
            topic=found["SnsTopicArn"],
            tells_of=News(
                events=tuple(sorted(found.get("EventCategoriesList", []))),
                source_type=str(found.get("SourceType", "")),
                sources=tuple(sorted(found.get("SourceIdsList", []))),
            ),
            silent=silent,
        )

    def topic(self, arn: str) -> Topic | None:
        """Return a topic with who hears it, to the last page; None where there is none."""
        sns = self._client("sns", arn.split(":")[3])
        with translated(f"look at the topic {arn}"):
            found = sdk.unless_absent(_NO_TOPIC, lambda: sns.get_topic_attributes(TopicArn=arn))
            if found is None:
                return None
            listed = list(sdk.items(sns, "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn))
            return Topic(
                arn=arn,
                policy=str(found["Attributes"].get("Policy", "")),
                subscribers=tuple(subscriber(one, sns) for one in listed),
            )

    def refused_action(self, ringer: Ringer, token: str) -> str:
        """Return what CloudWatch says of an alarm's action that failed in a test; empty where it says nothing."""
        cloudwatch = self._client("cloudwatch", ringer.region)
        asked = {"AlarmName": ringer.name, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        with translated(f"read the history of the {ringer.words}"):
            items = cloudwatch.describe_alarm_history(**asked, MaxRecords=20)["AlarmHistoryItems"]
        for number, item in enumerate(items):
            if token in item.get("HistoryData", "") and item["HistoryItemType"] == "StateUpdate":
                # Newest first: what came of a change stands before it.
                failed = [
                    one
                    for one in items[:number]
                    if one["HistoryItemType"] == "Action" and one["HistorySummary"].startswith("Failed")
                ]
                if failed:
                    why = json.loads(failed[-1].get("HistoryData") or "{}").get("error")
                    return f"CloudWatch: {failed[-1]['HistorySummary']}" + (f": {why}" if why else "")
        return ""

    # -- ringing ---------------------------------------------------------------------------------------------------------

    def set_state(self, ringer: Ringer, state: str, why: str) -> None:
        """Set an alarm's state by hand: it acts if that is another one, and CloudWatch sets the true one when it next looks."""
        with translated(f"set the {ringer.words} to {state}"):
            self._client("cloudwatch", ringer.region).set_alarm_state(
                AlarmName=ringer.name, StateValue=state, StateReason=why
            )

    def put(self, event: Event, region: str) -> None:
        """Put an event on the default bus; raises Unreachable with EventBridge's reason where it does not take it."""
        entry: dict[str, Any] = {"Source": TEST_SOURCE, "DetailType": event.detail_type, "Detail": event.detail}
        if event.resources:
            entry["Resources"] = list(event.resources)
        with translated(f"put a made-up event on the bus in {region}"):
            answer = self._client("events", region).put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            said = answer["Entries"][0]
            raise Unreachable(
                f"EventBridge in {region} does not take it: {said.get('ErrorCode')}: {said.get('ErrorMessage')}"
            )


def _alarm(found: Mapping[str, Any], region: str) -> Alarm:
    return Alarm(
        ringer=Ringer(sort=Sort.ALARM, region=region, name=str(found["AlarmName"])),
        about=str(found.get("AlarmDescription", "")),
        state=str(found["StateValue"]),
        acts=bool(found.get("ActionsEnabled", True)),
        tells=tuple(found.get("AlarmActions", [])),
        back=(*found.get("OKActions", []), *found.get("InsufficientDataActions", [])),
        settings=terraform_attributes.of_alarm(found),
    )


def _target(found: Mapping[str, Any]) -> Target:
    if found.get("Input") is not None:
        return Target(arn=str(found["Arn"]), constant=True)
    if found.get("InputPath"):
        return Target(arn=str(found["Arn"]), paths=(str(found["InputPath"]),))
    transformer = found.get("InputTransformer")
    if transformer is None:
        return Target(arn=str(found["Arn"]))
    paths: Mapping[str, str] = transformer.get("InputPathsMap", {})
    shown: Sequence[str] = _PLACEHOLDER.findall(transformer["InputTemplate"])
    if "aws.events.event.json" in shown:
        return Target(arn=str(found["Arn"]))
    return Target(arn=str(found["Arn"]), paths=tuple(paths[name] for name in shown if name in paths))


def subscriber(found: Mapping[str, str], sns: Any) -> Subscriber:
    """Return a subscription of a listing, with the filter that only its attributes name."""
    confirmed = found["SubscriptionArn"].startswith("arn:")
    said: Mapping[str, str] = {}
    if confirmed:
        try:
            said = sns.get_subscription_attributes(SubscriptionArn=found["SubscriptionArn"])["Attributes"]
        except ClientError as error:
            if sdk.code(error) not in _NO_TOPIC:  # it was taken away meanwhile
                raise
            confirmed = False
    return Subscriber(
        protocol=found["Protocol"],
        endpoint=found["Endpoint"],
        confirmed=confirmed,
        wants=said.get("FilterPolicy", ""),
        of_body=said.get("FilterPolicyScope") == "MessageBody",
    )
