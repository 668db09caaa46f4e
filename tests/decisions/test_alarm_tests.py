"""Who hears a topic and who may publish to it, as far as its settings tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifeboat.alarm_model import Channels, News, Notifier, Ringer, Sort, Subscriber, Topic
from lifeboat.decisions.alarm_tests import deaf, named, notifier_mute, policy_refuses
from lifeboat.errors import NothingFits

ARN = "arn:aws:sns:eu-west-1:123456789012:app-alarms"
RULE = Ringer(sort=Sort.RULE, region="eu-west-1", name="app-kms-key-disabled")


def somebody(protocol: str = "email", **changed: Any) -> Subscriber:
    return Subscriber(**{"protocol": protocol, "endpoint": "a@example.com", "confirmed": True, **changed})


def wants(**keys: Any) -> str:
    return json.dumps(keys)


@pytest.mark.parametrize(
    ("subscribers", "says"),
    [
        ([somebody()], ""),
        ([somebody("https", endpoint="https://example.com")], ""),
        ([somebody(wants=wants(State=[{"exists": False}, {"anything-but": ["COMPLETED"]}]))], ""),
        ([], "nobody listens"),
        ([somebody("sqs")], "nobody listens"),
        ([somebody("firehose")], "nobody listens"),
        ([somebody(confirmed=False)], "has confirmed: a@example.com"),
        ([somebody(confirmed=False), somebody("sqs")], "has confirmed"),
        ([somebody(wants=wants(State=["FAILED"]))], "the filter of every subscriber"),
        ([somebody(wants=wants(State=[{"exists": False}]), of_body=True)], "the filter of every subscriber"),
        ([somebody(wants=wants(State=["FAILED"])), somebody()], ""),
    ],
)
def test_a_topic_is_heard_by_a_person_who_confirmed_and_filters_nothing_away(
    subscribers: list[Subscriber], says: str
) -> None:
    why = deaf(ARN, subscribers)

    assert (says in why) if says else why == ""


def statement(effect: str = "Allow", **changed: Any) -> dict[str, Any]:
    usual = {
        "Effect": effect,
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": ARN,
    }
    return {**usual, **changed}


OF_RULES = "arn:aws:events:eu-west-1:123456789012:rule/app-*"


@pytest.mark.parametrize(
    ("statements", "lets"),
    [
        ([statement()], True),
        ([statement(Action=["sns:*"])], True),
        ([statement(Principal="*")], True),
        ([statement(Principal={"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]})], True),
        ([statement(Condition={"ArnLike": {"aws:SourceArn": OF_RULES}})], True),
        ([statement(Condition={"StringEquals": {"aws:SourceAccount": "123456789012"}})], True),
        ([statement(), statement("Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})], True),
        ([], False),
        ([statement(Principal={"Service": "cloudwatch.amazonaws.com"})], False),
        ([statement(Action="sns:Subscribe")], False),
        ([statement(Condition={"StringEquals": {"aws:SourceAccount": "210987654321"}})], False),
        ([statement(Condition={"ArnLike": {"aws:SourceArn": OF_RULES.replace("app-", "other-")}})], False),
        ([statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})], False),
        ([statement(), statement("Deny")], False),
        ([statement(), statement("Deny", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})], False),
    ],
)  # fmt: skip
def test_a_policy_lets_a_rule_publish_or_is_told_not_to(statements: list[dict[str, Any]], lets: bool) -> None:
    topic = Topic(arn=ARN, policy=json.dumps({"Version": "2012-10-17", "Statement": statements}), subscribers=())

    assert (policy_refuses(topic, RULE, "123456789012") is None) is lets


DATABASE = Ringer(sort=Sort.DATABASE_EVENTS, region="eu-west-1", name="app-database-event")
VAULT = Ringer(sort=Sort.VAULT_EVENTS, region="eu-west-1", name="app-backups")
LETS_ALL = json.dumps({"Statement": [statement(Principal="*")]})


@pytest.mark.parametrize(
    ("ringer", "built", "tells_of", "says"),
    [
        (DATABASE, ("backup", "failure"), ("backup", "deletion", "failure"), ""),
        (DATABASE, ("backup", "failure"), ("backup",), "it does not tell of failure, as it was built to"),
        (DATABASE, ("backup", "failure"), (), ""),  # RDS: of everything
        (DATABASE, (), ("backup",), "it tells of backup alone, and was built to tell of everything"),
        (VAULT, ("COPY_JOB_FAILED",), ("COPY_JOB_FAILED",), ""),
        (VAULT, ("COPY_JOB_FAILED",), (), "it does not tell of COPY_JOB_FAILED, as it was built to"),
    ],
)
def test_what_only_aws_rings_tells_of_all_that_it_was_built_for(
    ringer: Ringer, built: tuple[str, ...], tells_of: tuple[str, ...], says: str
) -> None:
    assert mute(ringer, News(events=built), News(events=tells_of)) == says


@pytest.mark.parametrize(
    ("built", "tells_of", "says"),
    [
        ({"source_type": "db-instance"}, {"source_type": "db-instance"}, ""),
        ({"source_type": "db-instance"}, {}, ""),  # RDS: of everything that it has
        (
            {"source_type": "db-instance"},
            {"source_type": "db-snapshot"},
            "it tells of db-snapshots, and was built to tell of db-instance",
        ),
        (
            {},
            {"sources": ("app-g1",)},
            "it tells of app-g1 alone, and was built to tell of all of them, of those to come too",
        ),
        ({"sources": ("app-g1",)}, {"sources": ("app-g1", "app-g2")}, ""),
        ({"sources": ("app-g1",)}, {}, ""),
        (
            {"sources": ("app-g1", "app-g2")},
            {"sources": ("app-g1",)},
            "it tells of app-g1 alone, and was built to tell of app-g1, app-g2",
        ),
    ],
)
def test_what_rds_rings_tells_of_all_databases_that_it_was_built_for(
    built: dict[str, Any], tells_of: dict[str, Any], says: str
) -> None:
    kinds = ("backup",)

    assert mute(DATABASE, News(events=kinds, **built), News(events=kinds, **tells_of)) == says


def mute(ringer: Ringer, built: News, now: News) -> str:
    topic = Topic(arn=ARN, policy=LETS_ALL, subscribers=())
    one = Notifier(ringer=ringer, topic=ARN, tells_of=now)
    channels = Channels(alarms=(), rules=(), notifiers=(one,), topics={ARN: topic}, built_to_tell_of={ringer: built})
    return notifier_mute(one, channels).partition(";")[0]


def test_a_name_is_one_whole_or_without_the_applications_in_front() -> None:
    nothing = Channels(alarms=(), rules=(), notifiers=(), topics={})
    expected = frozenset({RULE, Ringer(sort=Sort.RULE, region="eu-central-1", name="app-kms-key-disabled")})

    assert named(nothing, expected, ["kms-key-disabled"], "app") == expected
    assert named(nothing, expected, ["app-kms-key-disabled"], "app") == expected
    assert named(nothing, expected, [], "app") == expected
    with pytest.raises(NothingFits):
        named(nothing, expected, ["kms-key", "kms-key-disabled"], "app")
