"""A queue that listens to topics for as long as a test of alarms takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lifeboat.alarm_model import Heard
from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.clients.waiting import Patience, until

_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_AT_ONCE = 10  # messages in an answer (SQS API reference, ReceiveMessage)
_KEPT_SECONDS = 3600


class ListeningQueue:
    """A queue of one region by its name, which need not exist yet."""

    def __init__(self, *, client: Callable[[str, str], Any], region: str, name: str) -> None:
        self._sqs = client("sqs", region)
        self._sns = client("sns", region)
        self.region = region
        self.name = name
        self._url = ""
        self._subscriptions: list[str] = []

    def make(self, topics: Sequence[str], account: str, tags: Mapping[str, str]) -> None:
        """Make the queue, let these topics and nobody else send to it, and subscribe it to them."""
        arn = f"arn:aws:sqs:{self.region}:{account}:{self.name}"
        allowed = {
            "Sid": "TheTopicsUnderTest",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": list(topics)}},
        }
        attributes = {
            # With the queue: a policy that is set later counts up to a minute later.
            "Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
            "MessageRetentionPeriod": str(_KEPT_SECONDS),
            "SqsManagedSseEnabled": "true",
        }
        with translated(f"make the queue {self.name} in {self.region}"):
            self._url = self._sqs.create_queue(QueueName=self.name, Attributes=attributes, tags=dict(tags))["QueueUrl"]
        for topic in topics:
            with translated(f"subscribe the queue {self.name} to {topic}"):
                answer = self._sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
                self._subscriptions.append(answer["SubscriptionArn"])

    def heard(self) -> list[Heard]:
        """Return what came since the last time, and take it out; waits up to a second for the first of it."""
        found: list[Heard] = []
        with translated(f"listen to the queue {self.name} in {self.region}"):
            while True:
                answer = self._sqs.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=0 if found else 1
                )
                messages = answer.get("Messages", [])
                if not messages:
                    return found
                found += [_heard(message["Body"]) for message in messages]
                entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
                self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)

    def remove(self, patience: Patience) -> bool:
        """End its subscriptions, delete it, and return whether it is seen to be gone: SQS takes up to a minute for it."""
        for subscription in self._subscriptions:
            with translated(f"end the subscription {subscription}"):
                self._sns.unsubscribe(SubscriptionArn=subscription)
        with translated(f"delete the queue {self.name} in {self.region}"):
            url = self._found()
            if url is not None:
                sdk.unless_absent(_NO_QUEUE, lambda: self._sqs.delete_queue(QueueUrl=url))
            words = f"the queue {self.name} in {self.region} is being deleted"
            return until(patience, lambda: (True if self._found() is None else None, words)) is not None

    def _found(self) -> str | None:
        answer = sdk.unless_absent(_NO_QUEUE, lambda: self._sqs.get_queue_url(QueueName=self.name))
        return None if answer is None else str(answer["QueueUrl"])


def _heard(body: str) -> Heard:
    """Return a message as SNS wraps it; one that somebody else put there has no topic."""
    try:
        said = json.loads(body)
        return Heard(topic=str(said["TopicArn"]), text=str(said["Message"]))
    except (ValueError, KeyError, TypeError):
        return Heard(topic="", text=body)
