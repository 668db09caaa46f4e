"""`make apply` on a fresh checkout, and everything one can see afterwards."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import psutil
import psycopg
import pytest

from tests.fixtures import FirstApply
from tests.localcloud.machines import asked, until
from tests.rehearsal import Rehearsal, passed


def aws(stack: Rehearsal, *arguments: str) -> Any:
    """Return what the plain AWS command line prints, with the environment that `lifeboat local env` exports."""
    done = passed(stack.run("aws", *arguments, "--output", "json", **stack.exported()))
    return json.loads(done.stdout) if done.stdout.strip() else None


# -- the first apply -------------------------------------------------------------------------------------------------


def test_a_newcomers_make_apply_ends_with_the_protection_table(first_apply: FirstApply) -> None:
    done = passed(first_apply.done)

    for asset in ("database", "instance volume", "image", "dumps", "state", "secrets", "code"):
        assert f"│ {asset} " in done.stdout
    assert "application: http://" in done.stdout
    assert "(HTTP 200" in done.stdout


def test_the_application_answers_with_rows_read_from_the_database(saved: Rehearsal) -> None:
    env = saved.exported()
    with psycopg.connect(env["DATABASE_URL"]) as connection:
        rows = connection.execute("select id, text from notes order by id").fetchall()

    # A save that was loaded answers as soon as the application has started again.
    until(lambda: asked(env["APP_URL"])[0] == 200, 30)
    notes = json.loads(asked(env["APP_URL"])[1])["notes"]

    assert rows
    assert [(note["id"], note["text"]) for note in notes] == rows


def test_the_shell_lines_of_local_env_work_in_a_shell(saved: Rehearsal) -> None:
    account = "aws sts get-caller-identity --query Account --output text"
    script = f'eval "$(lifeboat local env)" && {account} && psql "$DATABASE_URL" -Atc "select 1"'

    done = passed(saved.run("bash", "-c", script))

    assert done.stdout.split() == ["123456789012", "1"]


# -- what is protected, through the plain AWS command line -----------------------------------------------------------


def test_the_database_keeps_backups_in_windows_that_do_not_meet(saved: Rehearsal) -> None:
    found = aws(saved, "rds", "describe-db-instances")["DBInstances"]

    assert len(found) == 1
    assert found[0]["BackupRetentionPeriod"] >= 7
    assert found[0]["PreferredBackupWindow"]
    assert found[0]["PreferredMaintenanceWindow"]
    assert found[0]["LatestRestorableTime"]
    assert found[0]["DeletionProtection"] is True
    assert "MasterUserSecret" in found[0]


def test_the_databases_backups_are_replicated_to_the_other_region(saved: Rehearsal) -> None:
    found = aws(saved, "rds", "describe-db-instance-automated-backups", "--region", "eu-central-1")

    assert [b["Status"] for b in found["DBInstanceAutomatedBackups"]] == ["replicating"]


def test_both_dlm_policies_are_enabled(saved: Rehearsal) -> None:
    found = aws(saved, "dlm", "get-lifecycle-policies")["Policies"]

    assert sorted((p["PolicyType"], p["State"]) for p in found) == [
        ("EBS_SNAPSHOT_MANAGEMENT", "ENABLED"),
        ("IMAGE_MANAGEMENT", "ENABLED"),
    ]


def test_the_backup_plan_selects_and_its_vaults_are_locked(saved: Rehearsal) -> None:
    plans = aws(saved, "backup", "list-backup-plans")["BackupPlansList"]
    selections = [
        selection
        for plan in plans
        for selection in aws(saved, "backup", "list-backup-selections", "--backup-plan-id", plan["BackupPlanId"])[
            "BackupSelectionsList"
        ]
    ]
    vaults = [
        vault
        for region in ("eu-west-1", "eu-central-1")
        for vault in aws(saved, "backup", "list-backup-vaults", "--region", region)["BackupVaultList"]
    ]

    assert len(plans) >= 1
    assert len(selections) == 2
    assert len(vaults) == 2
    assert all(vault["Locked"] and vault["MinRetentionDays"] for vault in vaults)


def test_the_dump_bucket_is_versioned_and_locked(saved: Rehearsal) -> None:
    bucket = saved.exported()["DUMP_BUCKET"]

    versioning = aws(saved, "s3api", "get-bucket-versioning", "--bucket", bucket)
    lock = aws(saved, "s3api", "get-object-lock-configuration", "--bucket", bucket)["ObjectLockConfiguration"]

    assert versioning["Status"] == "Enabled"
    assert lock["ObjectLockEnabled"] == "Enabled"
    assert lock["Rule"]["DefaultRetention"]["Mode"] == "GOVERNANCE"


def test_the_lock_table_can_be_restored_to_a_point_in_time(saved: Rehearsal) -> None:
    table = saved.exported()["LOCK_TABLE"]

    backups = aws(saved, "dynamodb", "describe-continuous-backups", "--table-name", table)
    described = aws(saved, "dynamodb", "describe-table", "--table-name", table)["Table"]

    description = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert description["PointInTimeRecoveryStatus"] == "ENABLED"
    assert described["DeletionProtectionEnabled"] is True


def test_every_alarm_has_an_action(saved: Rehearsal) -> None:
    for region in ("eu-west-1", "eu-central-1"):
        alarms = aws(saved, "cloudwatch", "describe-alarms", "--region", region)["MetricAlarms"]

        assert all(alarm["AlarmActions"] for alarm in alarms), region
        if region == "eu-west-1":
            assert alarms


# -- schedules -------------------------------------------------------------------------------------------------------


def test_a_daily_and_a_monthly_tick_make_every_kind_of_copy(stack: Rehearsal) -> None:
    rds, ec2 = stack.client("rds"), stack.client("ec2")
    before = len(rds.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"])

    passed(stack.ask("local", "tick", "daily"))
    passed(stack.ask("local", "tick", "monthly"))
    broken = stack.control("break", what="database")["done"]

    after = rds.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"]
    snapshots = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    images = ec2.describe_images(Owners=["self"])["Images"]
    assert len(after) > before
    # Not the database that a restore test made beside it.
    assert broken == ["app-local-g1 in eu-west-1 lost its storage; RDS shows it failed"]
    assert snapshots
    assert images
    for region in ("eu-west-1", "eu-central-1"):
        backup = stack.client("backup", region)
        points = [
            point
            for vault in backup.list_backup_vaults()["BackupVaultList"]
            for point in backup.list_recovery_points_by_backup_vault(BackupVaultName=vault["BackupVaultName"])[
                "RecoveryPoints"
            ]
        ]
        assert points, region
        assert {point["Status"] for point in points} == {"COMPLETED"}


# -- the database comes back -----------------------------------------------------------------------------------------


def test_the_database_goes_back_to_a_point_in_time_and_to_a_snapshot(stack: Rehearsal) -> None:
    rds, env = stack.client("rds"), stack.exported()
    source = rds.describe_db_instances()["DBInstances"][0]
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("create table proof (id int primary key)")
        rds.create_db_snapshot(DBSnapshotIdentifier="before", DBInstanceIdentifier=source["DBInstanceIdentifier"])
        rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier="before", WaiterConfig={"Delay": 1})
        connection.execute("insert into proof select generate_series(1, 1000)")
        time.sleep(1.1)  # RDS restores to whole seconds
        row = connection.execute("select date_trunc('second', now())").fetchone()
        time.sleep(1.1)
        connection.execute("drop table proof")

    assert row is not None
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=source["DBInstanceIdentifier"],
        TargetDBInstanceIdentifier="in-time",
        RestoreTime=row[0],
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="in-time", WaiterConfig={"Delay": 1})
    in_time = rds.describe_db_instances(DBInstanceIdentifier="in-time")["DBInstances"][0]
    rds.modify_db_instance(DBInstanceIdentifier=source["DBInstanceIdentifier"], DeletionProtection=False)
    rds.delete_db_instance(DBInstanceIdentifier=source["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="from-snapshot", DBSnapshotIdentifier="before")
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="from-snapshot", WaiterConfig={"Delay": 1})
    from_snapshot = rds.describe_db_instances(DBInstanceIdentifier="from-snapshot")["DBInstances"][0]

    assert in_time["Endpoint"]["Address"] != source["Endpoint"]["Address"]
    assert _count(env["DATABASE_URL"], source, in_time) == (1000, 1, 1000)
    assert _count(env["DATABASE_URL"], source, from_snapshot) == (0, None, None)


def _count(url: str, source: dict[str, Any], restored: dict[str, Any]) -> tuple[int, int, int]:
    there = url.replace(source["Endpoint"]["Address"], restored["Endpoint"]["Address"])
    with psycopg.connect(there) as connection:
        row = connection.execute("select count(*), min(id), max(id) from proof").fetchone()
    assert row is not None
    return row  # type: ignore[return-value]


# -- two at once, and a kill -----------------------------------------------------------------------------------------


def test_of_two_applies_at_once_one_finds_no_changes_and_the_other_names_it(saved: Rehearsal) -> None:
    first = saved.start("make", "apply")
    time.sleep(2)
    started = {str(child.pid) for child in psutil.Process(first.pid).children(recursive=True)}

    second = saved.lifeboat("apply", seconds=15)
    printed, _ = first.communicate(timeout=300)

    assert first.returncode == 0, printed
    assert "no changes" in printed
    passed(second, 5)
    assert set(re.findall(r"\(process (\d+)\) has held this environment for", second.stderr)) & started


def test_a_plan_that_would_lose_the_database_is_refused_even_with_yes(stack: Rehearsal) -> None:
    stack.edit("environments/local.tfvars", r"\Z", '\ndatabase_generations = { g9 = {} }\nactive_generation = "g9"\n')

    done = stack.lifeboat("apply", "--yes")

    passed(done, 3)
    assert "it is the database" in done.stderr
    assert passed(stack.lifeboat("local", "env"))


@pytest.mark.parametrize("schedule", ["hourly", ""])
def test_an_unknown_schedule_is_answered_with_the_known_ones(saved: Rehearsal, schedule: str) -> None:
    done = passed(saved.ask("local", "tick", schedule), 2)

    assert "write one of: daily, monthly" in done.stderr
