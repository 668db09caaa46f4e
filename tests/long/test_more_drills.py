"""Drills on the applied stack that take longest: what the roles may do, and what a killed one leaves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from lifeboat.model import EventKind, RunId

from tests import permissions
from tests.commands.test_drill import SECONDS, drilling_until, has_made, journal
from tests.database_recoveries import beat
from tests.drilled import BUCKET, left, site
from tests.rehearsal import Rehearsal, passed


def test_the_roles_may_do_all_that_drills_a_status_and_a_sweep_do(stack: Rehearsal) -> None:
    passed(stack.lifeboat("ami", "bake"))
    beat(stack)
    trace = stack.root / ".lifeboat/local/cloud/logs/trace.jsonl"
    operator, iam = "app-local-restore-operator", stack.client("iam")

    def sent(*arguments: str) -> set[str]:
        before = len(trace.read_text().splitlines())
        passed(stack.lifeboat(*arguments))
        return permissions.actions(json.loads(line) for line in trace.read_text().splitlines()[before:])

    drilled = sent("drill", "full") | sent("drill", "state")
    what_is_left(stack)
    looked = sent("status", "--publish")
    swept = sent("sweep", "--yes")

    assert permissions.refused(drilled | swept, iam, operator) == []
    # The trace does not tell of tags: what bears the mark of a run may be deleted, and nothing else.
    documents = permissions.policies(iam, operator)
    marked = {"aws:ResourceTag/lifeboat:run": "r"}
    database = "arn:aws:rds:eu-west-1:123456789012:db:app-local-drill-aaaaaa"
    may = [permissions.allows(documents, "rds:DeleteDBInstance", database, tags) for tags in (marked, {})]
    assert may == [True, False]
    assert {"secretsmanager:DescribeSecret", "s3:GetObjectTagging", "sqs:GetQueueUrl"} <= looked & swept
    assert {"sns:ListSubscriptions", "sns:Unsubscribe", "sqs:DeleteQueue"} <= swept
    assert permissions.refused(looked, iam, "app-local-dump") == []
    assert left(stack) == []


def what_is_left(stack: Rehearsal) -> None:
    """Leave what a killed full drill, one of the state and a test of alarms leave, in the ledger of one run."""
    run, name = RunId("20260301T000000Z-drill-full-aaaaaa"), "app-local-drill-aaaaaa"
    tags = {"lifeboat:drill": run, "lifeboat:drill-of": "app-local", "lifeboat:run": run}
    copy, marks = f"runs/{run}/drill.tfstate", "&".join(f"{key}={value}" for key, value in tags.items())
    url = stack.client("sqs").create_queue(QueueName=name, tags=tags)["QueueUrl"]
    queue = "arn:aws:sqs:eu-west-1:123456789012:" + url.rpartition("/")[2]
    topic = next(one["TopicArn"] for one in stack.client("sns").list_topics()["Topics"] if "alarms" in one["TopicArn"])
    stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    stack.client("secretsmanager").create_secret(Name=name, SecretString="{}", Tags=pairs)
    stack.client("s3").put_object(Bucket=BUCKET, Key=copy, Body=b"{}", Tagging=marks)
    ledger = site(stack).journal(run)
    ledger.write(EventKind.BEGUN, text="drill of full")
    for kind, thing in (("sqs:queue", name), ("secretsmanager:secret", name), ("s3:object", f"s3://{BUCKET}/{copy}")):
        made = {"type": kind, "id": thing, "region": "eu-west-1"}
        ledger.write(EventKind.NOTE, step="make", text=f"makes {thing}", made=made)


@pytest.mark.parametrize(
    "happened",
    [
        lambda found: any("made" in one["data"] for one in found),
        has_made,
        lambda found: any(one["kind"] == "done" and one["step"] == "proof" for one in found),
        lambda found: any(one["kind"] == "stopped" or "gone" in one["data"] for one in found),
    ],
    ids=["before it is made", "when it is made", "when it is proven", "when it is gone"],
)
def test_what_a_killed_drill_left_is_swept(stack: Rehearsal, happened: Callable[[list[dict[str, Any]]], bool]) -> None:
    drilling = drilling_until(stack, happened)

    os.killpg(drilling.pid, signal.SIGKILL)
    drilling.communicate(timeout=SECONDS)
    resumed = stack.ask("resume", journal(stack).parent.name)
    swept = passed(stack.lifeboat("sweep", "--yes"))

    assert resumed.returncode == 3
    assert "is a drill: it is not gone on with" in resumed.stderr
    assert "lifeboat sweep" in resumed.stderr
    assert left(stack) == []
    assert "drills left nothing" in passed(stack.lifeboat("sweep")).stdout, swept.stdout
