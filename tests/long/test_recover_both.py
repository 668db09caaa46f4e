"""Instance and database lost at once: both come back, restored side by side, and a plan changes nothing afterwards."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from tests import permissions
from tests.commands.test_recover import instances
from tests.database_recoveries import beat, databases, next_second, runs, texts, wait_for_window, write, written
from tests.rehearsal import Rehearsal, passed


def times(events: list[dict[str, Any]], step: str) -> tuple[datetime, datetime]:
    """Return when a step began and when it was done."""
    found = {event["kind"]: datetime.fromisoformat(event["at"]) for event in events if event["step"] == step}
    return found["doing"], found["done"]


def delete_database(stack: Rehearsal) -> None:
    rds = stack.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="app-local-g1", DeletionProtection=False, ApplyImmediately=True)
    rds.delete_db_instance(DBInstanceIdentifier="app-local-g1", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)


@pytest.mark.parametrize("lost", ["deleted", "failed"])
def test_both_come_back_and_their_restores_overlap(stack: Rehearsal, lost: str) -> None:
    write(stack, "written before")
    last_in_it = beat(stack)
    wait_for_window(stack, next_second())
    passed(stack.lifeboat("local", "break", "instance"))
    if lost == "deleted":
        delete_database(stack)
    else:
        passed(stack.lifeboat("local", "break", "database"))
    failed_at = next_second()
    asked = ("--scope", "full", "--failed-at", written(failed_at), "-o", "json")
    previewed = json.loads(passed(stack.lifeboat("recover", *asked, "--preview")).stdout)
    trace = stack.root / ".lifeboat/local/cloud/logs/trace.jsonl"
    sent_before = len(trace.read_text().splitlines())

    report = json.loads(passed(stack.lifeboat("recover", *asked)).stdout)

    sent = [json.loads(line) for line in trace.read_text().splitlines()[sent_before:]]
    run = runs(stack)[0]
    events = json.loads(passed(stack.lifeboat("logs", run["run"], "-o", "json")).stdout)
    restored, planned = times(events, "restore"), times(events, "plan")
    # As far as it can be planned without the database: the instance, and nothing that would be refused or asked.
    assert [line for line in previewed["plan"] if "module.app_instance.aws_instance.this" in line]
    assert (previewed["refused"], previewed["asks"]) == ([], [])
    assert restored[0] < planned[1]
    assert planned[0] < restored[1]
    assert run["state"] == "ended"
    assert texts(stack)[3:] == ["written before"]
    assert sorted(databases(stack)) == (["app-local-g2"] if lost == "deleted" else ["app-local-g1", "app-local-g2"])
    answered, until = (
        datetime.fromisoformat(text) for text in (report["answered_at"], report["database"]["data_until"])
    )
    assert datetime.fromisoformat(report["failed_at"]) == failed_at
    assert report["rto_seconds"] == pytest.approx((answered - failed_at).total_seconds(), abs=0.001)
    assert report["rto_seconds"] == pytest.approx(sum(part["seconds"] for part in report["parts"]), abs=0.1)
    # Nothing was written after the failure: instance and database were dead by then.
    assert report["database"]["rpo_seconds"] == pytest.approx((failed_at - until).total_seconds(), abs=0.001)
    assert last_in_it <= until <= failed_at
    assert report["database"]["before_until"] is None
    assert report["database"]["missing"] == []
    assert (report["met"], report["database"]["met"]) == (True, True)
    assert report["database"]["works_on"] == ("new" if lost == "deleted" else "new-at-least")
    assert permissions.refused(permissions.actions(sent), stack.client("iam"), "app-local-restore-operator") == []
    if lost == "failed":
        refused = passed(stack.lifeboat("retire", "g1", "--yes"), 3)
        assert "app-local-g1 is failed: RDS takes no snapshot of it" in refused.stderr
        assert (
            "aws rds delete-db-instance --db-instance-identifier app-local-g1 --skip-final-snapshot" in refused.stderr
        )
    assert "no changes" in passed(stack.run("make", "plan")).stdout


def test_a_living_application_is_started_anew_for_the_restored_database(stack: Rehearsal) -> None:
    """Nothing is launched and nothing deployed where the instance is well and runs from the newest image."""
    write(stack, "written before")
    moment = next_second()
    write(stack, "written after")
    wait_for_window(stack, moment)
    before = [instance["InstanceId"] for instance in instances(stack)]

    done = passed(stack.lifeboat("recover", "--scope", "full", "--to", written(moment), "--yes"))

    events = json.loads(passed(stack.lifeboat("logs", runs(stack)[0]["run"], "-o", "json")).stdout)
    started = [event for event in events if event["data"].get("restarted_for") == "app-local-g2"]
    deployed = [event for event in events if "deployed_to" in event["data"]]
    assert len(started) == 1, done.stdout
    assert deployed == []
    assert [instance["InstanceId"] for instance in instances(stack)] == before
    assert texts(stack)[3:] == ["written before"]
    assert "no changes" in passed(stack.run("make", "plan")).stdout
