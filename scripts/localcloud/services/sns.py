"""SNS subscriptions that have to be confirmed, a mailbox for what is sent to people, and queues that obey their policies."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.sns.models import Subscription

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services import backup_access

LOG = logging.getLogger("localcloud.sns")
# Mail to this domain is read here, and the link in it followed; mail to any other goes to nobody, who confirms nothing.
READ_HERE = "@lifeboat.test"
PENDING = "PendingConfirmation"
PAGE = 100  # subscriptions in one answer (SNS API reference, ListSubscriptionsByTopic)
_WRITING = threading.Lock()


@around("sns", "Subscribe")
def subscribe(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Let a subscription by mail wait for its confirmation; who subscribes again confirms nothing by that."""
    protocol, endpoint = str(call.params.get("Protocol")), str(call.params.get("Endpoint"))
    if protocol.startswith("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+", endpoint):
        raise Refused("InvalidParameter", "Invalid parameter: Email address")
    answer = proceed()
    if answer.status < 300:
        for found in _subscriptions(call, call.params["TopicArn"]):
            if found.protocol.startswith("email") and found.endpoint == endpoint and not _read_here(found):
                found.attributes[PENDING] = True
    return answer


@operation("sns", "ListSubscriptions", "ListSubscriptionsByTopic")
def list_subscriptions(call: Call, **asked: Any) -> dict[str, Any]:
    """Return subscriptions, one hundred at a time; one that nobody confirmed has no ARN yet."""
    arn = asked.get("TopicArn")
    if arn is not None and arn not in call.cloud.moto("sns", call.region).topics:
        raise Refused("NotFound", "Topic does not exist", 404)
    found = list(_subscriptions(call, arn))
    start = int(asked.get("NextToken") or 0)
    more = {"NextToken": str(start + PAGE)} if start + PAGE < len(found) else {}
    return {"Subscriptions": [_listed(one) for one in found[start : start + PAGE]], **more}


def _subscriptions(call: Call, arn: str | None) -> Iterable[Any]:
    every = call.cloud.moto("sns", call.region).subscriptions.values()
    return [one for one in every if arn in (None, one.topic.arn)]


def _listed(one: Any) -> dict[str, str]:
    return {
        "SubscriptionArn": PENDING if one.attributes.get(PENDING) else one.arn,
        "Owner": ACCOUNT_ID,
        "Protocol": one.protocol,
        "Endpoint": one.endpoint,
        "TopicArn": one.topic.arn,
    }


def _read_here(one: Any) -> bool:
    return str(one.endpoint).endswith(READ_HERE)


# -- delivery ----------------------------------------------------------------------------------------------------------


def install(cloud: Cloud) -> None:
    """Deliver as SNS does: mail only to who confirmed, and into a queue only where its policy lets the topic."""
    original = Subscription.publish

    def publish(self: Any, message: str, message_id: str, **more: Any) -> None:
        if self.attributes.get(PENDING):
            return
        if self.protocol.startswith("email"):
            matcher = self._filter_policy_matcher
            if matcher is None or matcher.matches(more.get("message_attributes"), message):
                _write(cloud, self, message, str(more.get("subject") or "AWS Notification Message"))
        elif self.protocol != "sqs" or _may_send(cloud, self):
            original(self, message, message_id, **more)

    Subscription.publish = publish


def _may_send(cloud: Cloud, one: Any) -> bool:
    """Return whether the queue's policy lets the topic send to it; without a policy nobody but its account may."""
    _, _, _, region, _, name = one.endpoint.split(":")
    queue = cloud.moto("sqs", region).queues.get(name)
    document = None if queue is None else queue.policy
    values = {"aws:sourcearn": one.topic.arn, "aws:sourceaccount": ACCOUNT_ID}
    if document and backup_access.service_may(document, "sqs:SendMessage", "sns.amazonaws.com", values):
        return True
    # AWS counts it in NumberOfNotificationsFailed and says nothing; here the log says it.
    LOG.warning("%s takes no messages from the topic %s", one.endpoint, one.topic.arn)
    return False


def _write(cloud: Cloud, one: Any, message: str, subject: str) -> None:
    path = cloud.folder("mail") / re.sub(r"[^\w.@+-]", "_", one.endpoint)
    with _WRITING, path.open("a", encoding="utf-8") as mailbox:
        mailbox.write(f"From: AWS Notifications\nTo: {one.endpoint}\nDate: {cloud.now():%Y-%m-%dT%H:%M:%SZ}\n")
        mailbox.write(f"Subject: {subject}\n\n{message}\n\n")
