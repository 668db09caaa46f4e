"""Queues that topics may send to, in which tests see what was published."""

from __future__ import annotations

import json

from tests.conftest import RunningCloud


def open_inbox(cloud: RunningCloud, name: str, region: str = "eu-west-1") -> str:
    """Make a queue that takes messages of every topic, and return its URL."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(cloud.client("sqs", region).create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"])
