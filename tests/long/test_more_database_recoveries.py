"""Recoveries of the database that are killed, or begin when the database is gone already."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.database_recoveries import beat, databases, drop, next_second, texts, wait_for_window, write, written
from tests.rehearsal import Rehearsal, passed


def test_a_recovery_that_was_killed_goes_on_with_the_instance_that_it_had_ordered(stack: Rehearsal) -> None:
    write(stack, "written before")
    last_in_it = beat(stack)
    moment = next_second()
    left_out = beat(stack)
    drop(stack)
    wait_for_window(stack, moment)
    first = stack.start("lifeboat", "recover", "--scope", "database", "--to", written(moment))
    kill = {
        "service": "rds",
        "operation": "RestoreDBInstanceToPointInTime",
        "when": "after",
        "status": 503,
        "kill": first.pid,
    }
    stack.control("faults", add=kill)
    first.communicate(timeout=300)
    ordered = sorted(databases(stack))
    unfinished = passed(stack.lifeboat("recover", "--scope", "database"), 3)

    report = json.loads(passed(stack.lifeboat("resume", "-o", "json")).stdout)

    assert ordered == ["app-local-g1", "app-local-g2"]
    assert "was cut off and is not finished" in unfinished.stderr
    assert sorted(databases(stack)) == ordered
    assert texts(stack)[3:] == ["written before"]
    assert (report["database"]["identifier"], report["database"]["with_rows"] >= 2) == ("app-local-g2", True)
    assert report["database"]["to"] == moment.isoformat()
    until, left = (datetime.fromisoformat(report["database"][name]) for name in ("data_until", "before_until"))
    failed_at = datetime.fromisoformat(report["failed_at"])
    assert report["database"]["rpo_seconds"] == pytest.approx((max(failed_at, left) - until).total_seconds(), abs=0.001)
    assert last_in_it <= until <= moment < left_out <= left
    assert "no changes" in passed(stack.run("make", "plan")).stdout


def test_a_database_that_is_gone_comes_back_from_its_retained_backups_and_giving_up_takes_it_away(
    stack: Rehearsal,
) -> None:
    write(stack, "written before")
    wait_for_window(stack, next_second())
    rds = stack.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="app-local-g1", DeletionProtection=False, ApplyImmediately=True)
    rds.delete_db_instance(DBInstanceIdentifier="app-local-g1", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    stack.control("faults", add={"service": "rds", "operation": "ModifyDBInstance", "times": 10_000, "status": 400})

    stopped = passed(stack.lifeboat("recover", "--scope", "database"), 4)
    stack.control("faults", clear=True)
    half = sorted(databases(stack))
    aborted = passed(stack.lifeboat("abort"))
    after = sorted(databases(stack))
    passed(stack.lifeboat("recover", "--scope", "database"))

    assert "lifeboat resume " in stopped.stderr
    assert half == ["app-local-g2"]
    assert "app-local-g2, which this recovery restored and Terraform does not know, is being deleted" in aborted.stdout
    assert after == []
    assert len(databases(stack)) == 1
    assert texts(stack)[3:] == ["written before"]
    assert "no changes" in passed(stack.run("make", "plan")).stdout


def test_a_restore_that_ends_badly_is_given_up_and_the_next_one_works(stack: Rehearsal) -> None:
    write(stack, "written before")
    moment = next_second()
    drop(stack)
    wait_for_window(stack, moment)
    serving = databases(stack)["app-local-g1"]["DBInstanceArn"]
    broken = [{"Key": "localcloud:break", "Value": "next-restore"}]
    stack.client("rds").add_tags_to_resource(ResourceName=serving, Tags=broken)

    gone = passed(stack.lifeboat("recover", "--scope", "database", "--to", written(moment)), 6)
    made = databases(stack)["app-local-g2"]
    aborted = passed(stack.lifeboat("abort"))
    after = sorted(databases(stack))
    passed(stack.lifeboat("recover", "--scope", "database", "--to", written(moment)))

    assert "app-local-g2 is incompatible-restore" in gone.stderr
    assert "lifeboat abort " in gone.stderr
    assert (made["DBInstanceStatus"], made["DeletionProtection"]) == ("incompatible-restore", False)
    assert "app-local-g2, which this recovery restored and Terraform does not know, is being deleted" in aborted.stdout
    assert after == ["app-local-g1"]
    assert databases(stack)["app-local-g2"]["DeletionProtection"]
    assert texts(stack)[3:] == ["written before"]
    assert "no changes" in passed(stack.run("make", "plan")).stdout
