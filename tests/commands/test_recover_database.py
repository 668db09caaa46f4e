"""From lost data to an application that answers with every row up to a moment: what is restored, adopted, refused, retired."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from lifeboat.views_recovery import clock

from tests import permissions
from tests.database_recoveries import (
    RECOVERY_FILE,
    at,
    beat,
    databases,
    drop,
    fact,
    measured,
    next_second,
    runs,
    snapshots,
    texts,
    told,
    wait_for_window,
    write,
    written,
)
from tests.rehearsal import Rehearsal, passed


def test_a_dropped_table_comes_back_to_the_row_and_the_old_generation_goes_only_with_a_snapshot(
    stack: Rehearsal,
) -> None:
    """One story: a second recovery only for the retirement would take as long as both together."""
    write(stack, "written before")
    last_in_it = beat(stack)
    moment = next_second()
    write(stack, "written after")
    left_out = beat(stack)
    drop(stack)
    with pytest.raises(urllib.error.HTTPError):
        told(stack)
    wait_for_window(stack, moment)
    trace = stack.root / ".lifeboat/local/cloud/logs/trace.jsonl"
    sent_before = len(trace.read_text().splitlines())

    done = passed(stack.run("make", "recover", "SCOPE=database", f"TO={written(moment)}"))

    sent = [json.loads(line) for line in trace.read_text().splitlines()[sent_before:]]
    both = databases(stack)
    run = runs(stack)[0]
    events = json.loads(passed(stack.ask("logs", run["run"], "-o", "json")).stdout)
    assert texts(stack)[3:] == ["written before"]
    assert told(stack)["database_generation"] == both["app-local-g2"]["Endpoint"]["Address"]
    took, lost = measured(events)
    until, left = (datetime.fromisoformat(fact(events, name)) for name in ("data_until", "before_until"))
    assert f"RTO {clock(took)} of 4:00:00" in done.stdout
    assert f"RPO {clock(lost)} of 24:00:00: data until {until:%Y-%m-%d %H:%M:%S}Z" in done.stdout
    assert f"left behind: app-local-g1 was written to until {left:%Y-%m-%d %H:%M:%S}Z" in done.stdout
    assert last_in_it <= until <= moment < left_out <= left
    assert fact(events, "compared_with")[0] == "app-local-g1"
    assert fact(events, "missing") == []
    assert (fact(events, "works_on"), fact(events, "sessions_of")) == ("new", "app-local-g2")
    assert "application: works on the new database: app-local-g2 has sessions of " in done.stdout
    assert "lifeboat retire g1" in done.stdout
    assert (run["state"], events[-1]["kind"]) == ("ended", "ended")
    assert permissions.refused(permissions.actions(sent), stack.client("iam"), "app-local-restore-operator") == []
    # Like the one before in everything but its name, and marked as of no run any more: nobody may clear it away.
    alike = ("DBInstanceClass", "DeletionProtection", "BackupRetentionPeriod", "PreferredMaintenanceWindow", "KmsKeyId")
    assert [both["app-local-g2"][key] for key in alike] == [both["app-local-g1"][key] for key in alike]
    assert both["app-local-g2"]["DeletionProtection"]
    assert "lifeboat:run" not in [tag["Key"] for tag in both["app-local-g2"]["TagList"]]
    assert json.loads((stack.root / RECOVERY_FILE).read_text()) == {
        "active_generation": "g2",
        "database_generations": {"g1": {}, "g2": {"restored": True}},
    }
    assert "no changes" in passed(stack.run("make", "plan")).stdout

    # Both windows go on; each holds the application's data of its own generation's time only.
    switching = written(at(events, "adopt", "result"))
    planned = json.loads(passed(stack.ask("plan-recovery", "--to", written(moment), "-o", "json")).stdout)
    between = passed(stack.ask("plan-recovery", "--to", switching), 6)
    assert (planned["chosen"]["kind"], planned["chosen"]["database"]) == ("point-in-time window", "app-local-g1")
    assert f"nobody knows whether app-local-g1 served at {switching}; --from takes it" in between.stderr

    refused = passed(stack.ask("retire", "g2", "--yes"), 3)
    unknown = passed(stack.ask("retire", "g3", "--yes"), 6)
    unasked = passed(stack.lifeboat("retire", "g1"), 7)
    before = sorted(databases(stack))
    retired = passed(stack.lifeboat("retire", "g1", "--yes"))

    assert "g2 is the generation that serves" in refused.stderr
    assert "there is no generation g3" in unknown.stderr
    assert "app-local-g1-retired is taken first" in unasked.stderr
    assert before == ["app-local-g1", "app-local-g2"]
    assert "the snapshot app-local-g1-final stays" in retired.stdout
    assert sorted(databases(stack)) == ["app-local-g2"]
    # The one that RDS took as it deleted it has all that was ever written to it; the one from before is not paid for too.
    left = {name: status for name, status in snapshots(stack).items() if name.startswith("app-local-g1-")}
    assert left == {"app-local-g1-final": "available"}
    assert texts(stack)[3:] == ["written before"]
    assert "no changes" in passed(stack.run("make", "plan")).stdout


@pytest.fixture(scope="module")
def untouched(saved: Rehearsal) -> Iterator[Rehearsal]:
    """The stack for what is refused before anything changes."""
    saved.load("applied")
    yield saved
    saved.load("applied")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ["--to", "2026-01-01T00:00:00Z"],
            6,
            "is outside every window: app-local-g1 can be restored to any second from",
        ),
        (["--to", "2026-01-01T00:00:00"], 2, "--to '2026-01-01T00:00:00' is no time with a zone"),
        (["--to", "2099-01-01T00:00:00Z"], 2, "--to 2099-01-01T00:00:00Z is in the future"),
        (["--from", "no-such-copy"], 6, "there is no copy no-such-copy of this database"),
        (["--from", "20261129T031500Z-3f9a1c"], 6, "there is no copy 20261129T031500Z-3f9a1c of this database"),
        (["--from", "latest-dump"], 6, "there is no dump of this database"),
        (["--from", "latest-dump", "--accept-flagged"], 2, "--accept-flagged goes with a copy that is named by its id"),
        (["--ami", "ami-0f000000000000001"], 2, "--ami is of the instance"),
        ([], 7, "what is written from now on stays behind"),
        (
            ["--failed-at", "2026-01-01T00:00:00Z"],
            7,
            "whatever broke the data then is in it (--to 2026-01-01T00:00:00Z",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(
    untouched: Rehearsal, arguments: list[str], status: int, words: str
) -> None:
    refused = passed(untouched.ask("recover", "--scope", "database", *arguments), status)

    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(databases(untouched)) == ["app-local-g1"]
    assert {run["state"] for run in runs(untouched)} <= {"idle"}


def test_the_plan_of_a_recovery_shows_every_copy_and_changes_nothing(untouched: Rehearsal) -> None:
    found = json.loads(passed(untouched.ask("plan-recovery", "-o", "json")).stdout)
    outside = untouched.ask("plan-recovery", "--to", "2026-01-01T00:00:00Z", "-o", "json")
    to_come = passed(untouched.ask("plan-recovery", "--failed-at", "2099-01-01T00:00:00Z"), 2)
    no_time = passed(untouched.ask("plan-recovery", "--to", "0001-01-01T00:00:00+14:00"), 2)
    assert ("is in the future" in to_come.stderr, "is of no year" in no_time.stderr) == (True, True)
    previewed = json.loads(passed(untouched.ask("recover", "--scope", "database", "--preview", "-o", "json")).stdout)

    kinds = {(copy["kind"], copy["region"]) for copy in found["copies"]}
    assert kinds >= {
        ("point-in-time window", "eu-west-1"),
        ("point-in-time window", "eu-central-1"),
        ("automated snapshot", "eu-west-1"),
    }
    assert (found["chosen"]["kind"], found["chosen"]["source"]) == ("point-in-time window", "app-local-g1")
    assert [copy["id"] for copy in found["copies"] if copy["why_not"] is None] == [found["chosen"]["id"]]
    assert json.loads(passed(outside, 6).stdout)["chosen"] is None
    gaps = {step["step"]: step["gap"] for step in previewed["steps"]}
    assert f"{found['chosen']['id']} (point-in-time window of app-local-g1)" in gaps["copy"]
    # What the run itself is refused for want of (test_what_does_not_fit_is_refused_and_nothing_is_changed).
    (asked,) = previewed["asks"]
    assert "although the application answers: what is written from now on stays behind" in asked
    assert "tables hold no rows of which the old database or the newest dump has some" in previewed["remarks"][-1]
    assert sorted(databases(untouched)) == ["app-local-g1"]


def test_under_a_disabled_key_a_recovery_is_refused_and_its_plan_says_so(untouched: Rehearsal) -> None:
    kms = untouched.client("kms")
    (database,) = untouched.client("rds").describe_db_instances(DBInstanceIdentifier="app-local-g1")["DBInstances"]
    kms.disable_key(KeyId=database["KmsKeyId"])
    try:
        planned = untouched.ask("plan-recovery", "-o", "json")
        previewed = untouched.ask("recover", "--scope", "database", "--preview", "-o", "json")
    finally:
        kms.enable_key(KeyId=database["KmsKeyId"])

    for printed in (planned.stderr, previewed.stdout):
        assert f"the key {database['KmsKeyId']}, under which a database is restored, is disabled" in printed
        assert f"aws kms enable-key --key-id {database['KmsKeyId']} --region eu-west-1" in printed
    assert previewed.returncode == 3
    assert (planned.returncode, json.loads(planned.stdout)["chosen"]["source"]) == (3, "app-local-g1")
    assert sorted(databases(untouched)) == ["app-local-g1"]


DATABASE = "arn:aws:rds:eu-west-1:123456789012:db:app-local-g1"
SNAPSHOT = "arn:aws:rds:eu-west-1:123456789012:snapshot:app-local-g1-before"
GROUP = "arn:aws:rds:eu-west-1:123456789012:pg:app-local-postgres15"
OURS = {"aws:ResourceTag/application": "app-local"}
MARKED = {**OURS, "aws:ResourceTag/lifeboat:run": "a-run"}


def test_who_restores_marks_only_what_it_makes_and_deletes_only_what_is_marked(untouched: Rehearsal) -> None:
    iam = untouched.client("iam")
    documents = permissions.policies(iam, "app-local-restore-operator")

    def may(action: str, resource: str, context: dict[str, Any], *keys: str) -> bool:
        asked = {f"aws:RequestTag/{key}": "x" for key in keys} | ({"aws:TagKeys": list(keys)} if keys else {})
        return permissions.allows(documents, f"rds:{action}", resource, {**context, **asked})

    for there in (DATABASE, SNAPSHOT):
        assert not may("AddTagsToResource", there, OURS, "lifeboat:run")
        assert not may("AddTagsToResource", there, OURS, "team", "Lifeboat:Run")
        assert may("AddTagsToResource", there, OURS, "lifeboat:proven-at")
        assert may("AddTagsToResource", there, {}, "application", "lifeboat:run")
        assert not may("RemoveTagsFromResource", there, OURS, "application")
    assert may("RemoveTagsFromResource", DATABASE, MARKED, "lifeboat:run")
    assert [may("DeleteDBInstance", DATABASE, tags) for tags in (OURS, MARKED)] == [False, True]
    assert [may("DeleteDBSnapshot", SNAPSHOT, tags) for tags in (OURS, MARKED)] == [False, True]
    assert [may("CreateDBInstance", GROUP, {}, *keys) for keys in ((), ("lifeboat:run",))] == [False, True]
    assert not may("DeleteDBInstanceAutomatedBackup", "arn:aws:rds:eu-west-1:123456789012:auto-backup:ab-1", OURS)
