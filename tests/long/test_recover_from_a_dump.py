"""The database gone with all that RDS had of it: back from a dump, alone and together with the instance."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests import permissions
from tests.database_recoveries import databases, runs, snapshots, texts, write
from tests.rehearsal import Rehearsal, passed

DR = "eu-central-1"


def dumped(stack: Rehearsal) -> str:
    """Dump the database, and return the dump's id."""
    (made,) = json.loads(passed(stack.lifeboat("dump", "-o", "json")).stdout)["dumps"]
    found: str = made["dump"]["id"]
    return found


def lose(stack: Rehearsal) -> None:
    """Delete the database with its automated backups in both regions and every snapshot of it."""
    rds = stack.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="app-local-g1", DeletionProtection=False, ApplyImmediately=True)
    rds.delete_db_instance(DBInstanceIdentifier="app-local-g1", SkipFinalSnapshot=True, DeleteAutomatedBackups=True)
    for name in snapshots(stack):
        rds.delete_db_snapshot(DBSnapshotIdentifier=name)
    there = stack.client("rds", DR)
    for backup in there.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]:
        there.delete_db_instance_automated_backup(DBInstanceAutomatedBackupsArn=backup["DBInstanceAutomatedBackupsArn"])


def leave_half_of_a_restore(stack: Rehearsal, identifier: str) -> None:
    """Put into the new instance what a restore that was cut off leaves: a table of the dump with other rows in it."""
    while "Endpoint" not in (found := databases(stack)[identifier]):
        time.sleep(0.2)  # as long as RDS makes it, it has no address
    secret = stack.client("secretsmanager").get_secret_value(SecretId=found["MasterUserSecret"]["SecretArn"])
    login = json.loads(secret["SecretString"])
    with psycopg.connect(
        host=found["Endpoint"]["Address"],
        port=found["Endpoint"]["Port"],
        dbname="app",
        user=login["username"],
        password=login["password"],
        autocommit=True,
    ) as connection:
        connection.execute("CREATE TABLE notes (id integer, text text)")
        connection.execute("INSERT INTO notes VALUES (1, 'half of it')")


def traced(stack: Rehearsal) -> list[dict[str, Any]]:
    lines = (stack.root / ".lifeboat/local/cloud/logs/trace.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def events(stack: Rehearsal, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(passed(stack.lifeboat("logs", run, "-o", "json")).stdout)
    return found


def times(found: list[dict[str, Any]], step: str) -> tuple[datetime, datetime]:
    """Return when a step began and when it was done."""
    said = {event["kind"]: datetime.fromisoformat(event["at"]) for event in found if event["step"] == step}
    return said["doing"], said["done"]


def test_a_database_that_is_gone_with_all_its_snapshots_comes_back_from_a_dump_and_never_from_half_of_one(
    stack: Rehearsal,
) -> None:
    write(stack, "written before")
    dump = dumped(stack)
    write(stack, "written after")
    lose(stack)
    sent_before = len(traced(stack))
    planned = json.loads(passed(stack.lifeboat("plan-recovery", "--from", "latest-dump", "-o", "json")).stdout)
    first = stack.start("lifeboat", "recover", "--scope", "database", "--from", "latest-dump")
    kill = {"service": "rds", "operation": "CreateDBInstance", "when": "after", "status": 503, "kill": first.pid}
    stack.control("faults", add=kill)
    first.communicate(timeout=300)
    leave_half_of_a_restore(stack, "app-local-g2")
    kept = {
        one["id"]: one for one in json.loads(passed(stack.lifeboat("retention", "plan", "-o", "json")).stdout)["dumps"]
    }

    report = json.loads(passed(stack.lifeboat("resume", "-o", "json")).stdout)

    run = runs(stack)[0]["run"]
    described = json.loads(passed(stack.lifeboat("describe", dump, "-o", "json")).stdout)["dump"]
    assert (planned["chosen"]["id"], planned["chosen"]["kind"]) == (dump, "dump")
    assert f"used by the run {run}, which has not ended" in kept[dump]["reasons"]
    assert sorted(databases(stack)) == ["app-local-g2"]
    assert texts(stack)[3:] == ["written before"]
    assert (report["database"]["copy"], report["database"]["data_until"]) == (dump, described["snapshot_at"])
    assert report["database"]["known_by"] == "the dump's snapshot, with which every table was compared"
    assert [(proof["level"], proof["verdict"]) for proof in described["proofs"]] == [(2, "passed")]
    made = databases(stack)["app-local-g2"]
    assert (made["DeletionProtection"], made["BackupRetentionPeriod"] > 0, made["DBName"]) == (True, True, "app")
    assert "lifeboat:run" not in [tag["Key"] for tag in made["TagList"]]
    sent = permissions.actions(traced(stack)[sent_before:])
    assert permissions.refused(sent, stack.client("iam"), "app-local-restore-operator") == []
    assert "no changes" in passed(stack.run("make", "plan")).stdout


def test_instance_and_database_come_back_from_an_image_and_a_dump(stack: Rehearsal) -> None:
    write(stack, "written before")
    dump = dumped(stack)
    write(stack, "written after")
    passed(stack.lifeboat("local", "break", "instance"))
    lose(stack)

    # Not by name: RDS has nothing left.
    report = json.loads(passed(stack.lifeboat("recover", "--scope", "full", "--yes", "-o", "json")).stdout)

    found = events(stack, report["run"])
    made, planned = times(found, "restore"), times(found, "plan")
    assert made[0] < planned[1]
    assert planned[0] < made[1]
    assert report["database"]["copy"] == dump
    assert texts(stack)[3:] == ["written before"]
    assert sorted(databases(stack)) == ["app-local-g2"]
    assert "no changes" in passed(stack.run("make", "plan")).stdout


def test_a_dump_that_failed_its_verification_is_taken_only_by_who_knows_it(stack: Rehearsal) -> None:
    dump = dumped(stack)
    state = stack.client("s3").get_object(Bucket=stack.exported()["STATE_BUCKET"], Key=stack.exported()["STATE_KEY"])
    dumps = json.loads(state["Body"].read())["outputs"]["recovery"]["value"]["dumps"]
    failed = f"{dumps['prefix']}local/app/{dump}/proofs/{datetime.now(UTC):%Y%m%dT%H%M%SZ}-2-failed-{'0' * 16}.json"
    stack.client("s3").put_object(Bucket=dumps["bucket"], Key=failed, Body=b"{}", IfNoneMatch="*")
    asked = ("recover", "--scope", "database", "--from", dump)

    refused = passed(stack.lifeboat(*asked), 6)
    known = json.loads(passed(stack.lifeboat(*asked, "--accept-flagged", "--preview", "-o", "json")).stdout)

    gaps = {step["step"]: step["gap"] for step in known["steps"]}
    assert "at level 2 failed; --from with --accept-flagged takes it" in refused.stderr
    assert f"{dump} (dump of app)" in gaps["copy"]
    assert f"{dump} is not restored into the next generation" in gaps["fill"]
    assert sorted(databases(stack)) == ["app-local-g1"]
