"""SNS: who hears a topic, and who does not: queues by their policies, people once they have confirmed."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.inboxes import open_inbox

ACCOUNT = "123456789012"


@pytest.fixture
def topic(cloud: RunningCloud) -> str:
    return str(cloud.client("sns").create_topic(Name=f"news-{uuid4().hex[:8]}")["TopicArn"])


def _arn(url: str) -> str:
    return f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{url.rsplit('/', 1)[-1]}"


def _heard(cloud: RunningCloud, url: str) -> list[str]:
    found = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"])["Message"] for message in found]


def test_a_queue_hears_only_the_topics_that_its_policy_lets_send(cloud: RunningCloud, topic: str) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    closed = sqs.create_queue(QueueName=f"closed-{uuid4().hex[:8]}")["QueueUrl"]
    opened = open_inbox(cloud, f"open-{uuid4().hex[:8]}")
    narrow = sqs.create_queue(QueueName=f"narrow-{uuid4().hex[:8]}")["QueueUrl"]
    only = {
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": _arn(narrow), "Condition": {"ArnEquals": {"aws:SourceArn": f"{topic}-other"}},
    }  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=narrow, Attributes={"Policy": json.dumps({"Statement": [only]})})
    for url in (closed, opened, narrow):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=_arn(url))

    sns.publish(TopicArn=topic, Message="hello")

    assert [_heard(cloud, url) for url in (closed, opened, narrow)] == [[], ["hello"], []]


def test_mail_goes_to_who_confirmed_and_a_subscription_that_nobody_confirmed_has_no_arn(
    cloud: RunningCloud, topic: str
) -> None:
    sns = cloud.client("sns")
    here = f"on-call-{uuid4().hex[:8]}@lifeboat.test"
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=here)
    away = sns.subscribe(
        TopicArn=topic, Protocol="email", Endpoint="away@example.com", ReturnSubscriptionArn=True
    )["SubscriptionArn"]  # fmt: skip

    sns.publish(TopicArn=topic, Message="the database is old", Subject="ALARM")

    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert {one["Endpoint"]: one["SubscriptionArn"].startswith("arn:") for one in listed} == {
        here: True, "away@example.com": False,
    }  # fmt: skip
    pending = sns.get_subscription_attributes(SubscriptionArn=away)["Attributes"]["PendingConfirmation"]
    assert pending.lower() == "true"
    mail = cloud.directory / "live/mail"
    assert "Subject: ALARM\n\nthe database is old\n" in (mail / here).read_text()
    assert not (mail / "away@example.com").exists()


def test_a_filter_keeps_mail_from_who_did_not_want_it(cloud: RunningCloud, topic: str) -> None:
    sns = cloud.client("sns")
    here = f"picky-{uuid4().hex[:8]}@lifeboat.test"
    wanted = json.dumps({"State": [{"exists": False}, {"anything-but": ["COMPLETED"]}]})
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=here, Attributes={"FilterPolicy": wanted})

    for text, state in (("done", "COMPLETED"), ("broken", "FAILED")):
        marks = {"State": {"DataType": "String", "StringValue": state}}
        sns.publish(TopicArn=topic, Message=text, MessageAttributes=marks)
    sns.publish(TopicArn=topic, Message="without a state")

    text = (cloud.directory / "live/mail" / here).read_text()
    assert ["done" in text, "broken" in text, "without a state" in text] == [False, True, True]


def test_subscriptions_are_listed_to_the_last_page(cloud: RunningCloud, topic: str) -> None:
    sns = cloud.client("sns")
    for number in range(101):
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=f"person-{number}@lifeboat.test")

    first = sns.list_subscriptions_by_topic(TopicArn=topic)
    rest = sns.list_subscriptions_by_topic(TopicArn=topic, NextToken=first["NextToken"])

    assert (len(first["Subscriptions"]), len(rest["Subscriptions"]), rest.get("NextToken")) == (100, 1, None)


def test_what_is_no_address_and_a_topic_that_is_not_there_are_refused(cloud: RunningCloud, topic: str) -> None:
    sns = cloud.client("sns")

    with pytest.raises(ClientError) as address:
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="nobody")
    with pytest.raises(ClientError) as missing:
        sns.list_subscriptions_by_topic(TopicArn=f"{topic}-gone")

    assert [found.value.response["Error"]["Code"] for found in (address, missing)] == ["InvalidParameter", "NotFound"]
