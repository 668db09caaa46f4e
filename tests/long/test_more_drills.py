"""More drills on the applied stack: the roles, kills, refusals on the way out, the state, an instance, another network."""

from __future__ import annotations

import hashlib
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
from tests.drilled import BUCKET, left, production, site
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


def test_the_newest_sound_state_plans_to_no_change(stack: Rehearsal) -> None:
    before = production(stack)

    done = passed(stack.lifeboat("drill", "state", "-o", "json"))

    found = json.loads(done.stdout)
    assert (found["facts"]["plan"], found["made"][0]["type"]) == ("no changes", "s3:object")
    assert left(stack) == []
    assert production(stack) == before


def test_an_instance_without_a_database_shows_that_the_image_boots(stack: Rehearsal) -> None:
    passed(stack.lifeboat("ami", "bake"))

    found = json.loads(passed(stack.lifeboat("drill", "instance", "-o", "json")).stdout)

    assert found["facts"]["application"].startswith("HTTP 503 on i-")
    assert [one["type"] for one in found["made"]] == ["ec2:instance"]
    assert left(stack) == []


def test_another_network_waits_for_what_is_in_this_one(stack: Rehearsal) -> None:
    stack.edit("environments/local.tfvars", r"^drill = .*$", 'drill = { enabled = true, cidr = "10.254.0.0/20" }')

    with site(stack).drill_lease(RunId("20260301T000000Z-drill-full-aaaaaa")).held():
        applied = stack.lifeboat("apply", "--yes")

    assert applied.returncode == 5, applied.stderr
    assert "runs since" in applied.stderr
    assert left(stack) == []


def test_a_drill_that_is_killed_before_its_evidence_is_there_has_it_from_the_sweep_as_it_would_have_been(
    stack: Rehearsal,
) -> None:
    drilling = stack.start("lifeboat", "drill", "state")
    kill = {"operation": "PutObject", "path": ".*/evidence/.*", "kill": drilling.pid, "status": 503}
    stack.control("faults", add={"service": "s3", **kill})
    said, _ = drilling.communicate(timeout=SECONDS)
    stack.control("faults", clear=True)
    run = journal(stack).parent.name

    missing = stack.ask("report", run)
    listed = passed(stack.ask("report", "--all"))
    swept, again = passed(stack.lifeboat("sweep")), passed(stack.lifeboat("sweep"))

    assert (drilling.returncode, missing.returncode) == (-signal.SIGKILL, 6), said
    assert f"{run}: it has ended, and was cut off or refused before it was written" in " ".join(listed.stdout.split())
    assert (swept.stdout, again.stdout) == (
        f"drills left nothing\nevidence written: {run}\n",
        "drills left nothing\n",
    )
    found = json.loads(passed(stack.ask("report", run, "-o", "json")).stdout)["bundle"]
    digest = hashlib.sha256(journal(stack).read_bytes()).hexdigest()
    assert (found["outcome"], found["exit_status"], found["journal_sha256"]) == ("met", 0, digest)
    passed(stack.ask("report", "verify"))


def test_credentials_that_expire_while_it_is_taken_away_end_with_what_is_left(stack: Rehearsal) -> None:
    fault = {"service": "rds", "operation": "DeleteDBInstance", "code": "ExpiredToken", "status": 400, "times": 100}
    drilling = drilling_until(stack, has_made)
    stack.control("faults", add=fault)

    said, _ = drilling.communicate(timeout=SECONDS)
    meanwhile = stack.lifeboat("sweep", "--yes")
    stack.control("faults", clear=True)
    swept = stack.lifeboat("sweep", "--yes")

    assert drilling.returncode == 12, said
    assert "ExpiredToken" in said
    assert "lifeboat sweep" in said
    assert (meanwhile.returncode, swept.returncode) == (12, 0), meanwhile.stderr + swept.stderr
    assert left(stack) == []
