"""Cases of the rules on RDS."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import RuleCase, absent, bad, clean, undecided
from tests.policies.plans import COMPUTED, HERE, THERE, PlanFile, known, later

INSTANCE = {
    "identifier": "app-g1",
    "backup_retention_period": 14,
    "backup_window": "03:00-04:00",
    "maintenance_window": "sun:00:30-sun:01:30",
    "skip_final_snapshot": False,
    "delete_automated_backups": False,
    "deletion_protection": True,
    "storage_encrypted": True,
    "kms_key_id": later("aws_kms_key.this.arn"),
    "manage_master_user_password": True,
}
CLUSTER = {
    "cluster_identifier": "app",
    "backup_retention_period": 14,
    "preferred_backup_window": "03:00-04:00",
    "preferred_maintenance_window": "sun:00:30-sun:01:30",
    "skip_final_snapshot": False,
    "deletion_protection": True,
}
_REPLICATION = "aws_db_instance_automated_backups_replication.dr"


def database(**over: Any) -> PlanFile:
    """Return a plan with one instance and its key."""
    return (
        PlanFile()
        .add("aws_kms_key.this", {"enable_key_rotation": True})
        .add("aws_db_instance.this", {**INSTANCE, **over})
    )


def cluster(**over: Any) -> PlanFile:
    """Return a plan with one Aurora cluster."""
    return PlanFile().add("aws_rds_cluster.this", {**CLUSTER, **over})


def _measured(plan: PlanFile, **variables: Any) -> PlanFile:
    plan.variables |= variables
    return plan


def _windows(what: str, backup: str | None, maintenance: str | None, *found: str) -> RuleCase:
    plan = database(backup_window=backup, maintenance_window=maintenance)
    return bad("LB_RDS_2", what, plan, *found) if found else clean("LB_RDS_2", what, plan)


def _dumped(schedule: str, **over: Any) -> PlanFile:
    return PlanFile().add("aws_scheduler_schedule.this", {"name": "app-dump", "schedule_expression": schedule, **over})


def _copied_yearly(*more: dict[str, Any]) -> PlanFile:
    """Return a database in a backup plan that copies on New Year, with more rules."""
    yearly = {
        "schedule": "cron(0 5 1 1 ? *)",
        "copy_action": [{"destination_vault_arn": later("aws_backup_vault.dr.arn")}],
    }
    return (
        database()
        .add("aws_backup_vault.dr", {"name": "dr"}, region=THERE)
        .add("aws_backup_plan.this", {"rule": [*more, yearly]})
        .add(
            "aws_backup_selection.this",
            {"plan_id": later("aws_backup_plan.this.id"), "resources": [later("aws_db_instance.this.arn")]},
        )
    )


_OVERLAP = "backups at {} and maintenance at {} overlap"
CASES = (
    clean("LB_RDS_1", "two weeks", database()),
    clean("LB_RDS_1", "seven days", database(backup_retention_period=7)),
    bad("LB_RDS_1", "six days", database(backup_retention_period=6), "automated backups are kept for 6 days"),
    bad("LB_RDS_1", "no day", database(backup_retention_period=0), "automated backups are kept for 0 days"),
    bad(
        "LB_RDS_1",
        "not said, and chosen by the provider",
        database(backup_retention_period=COMPUTED),
        "backup_retention_period is not set, and RDS then keeps a day of backups or none",
    ),
    bad(
        "LB_RDS_1",
        "a module's variable that nobody sets",
        database(backup_retention_period=known(None, "var.days")),
        "backup_retention_period is not set, and RDS then keeps a day of backups or none",
    ),
    clean("LB_RDS_1", "as long as a variable wants", _measured(database(), min_retention_days=14)),
    bad(
        "LB_RDS_1",
        "a day less than a variable wants",
        _measured(database(), min_retention_days=15),
        "automated backups are kept for 14 days",
    ),
    undecided(
        "LB_RDS_1",
        "days that come of something made in the same apply",
        database(backup_retention_period=later("aws_ssm_parameter.days.value")),
        "aws_db_instance.this: backup_retention_period is known only after the apply",
    ),
    absent("LB_RDS_1", "a replica alone", database(backup_retention_period=0, replicate_source_db="app-g0")),
    clean("LB_RDS_1", "a cluster", cluster()),
    bad("LB_RDS_1", "a cluster for a day", cluster(backup_retention_period=1), "automated backups are kept for 1 day"),
    _windows("apart", "03:00-04:00", "sun:00:30-sun:01:30"),
    _windows("maintenance begins as backups end", "03:00-04:00", "sun:04:00-sun:05:00"),
    _windows(
        "maintenance begins a minute before",
        "03:00-04:00",
        "sun:03:59-sun:05:00",
        _OVERLAP.format("03:00-04:00", "sun:03:59-sun:05:00"),
    ),
    _windows("maintenance ends as backups begin", "03:00-04:00", "sun:02:00-sun:03:00"),
    _windows(
        "maintenance ends a minute later",
        "03:00-04:00",
        "sun:02:00-sun:03:01",
        _OVERLAP.format("03:00-04:00", "sun:02:00-sun:03:01"),
    ),
    _windows(
        "over midnight", "23:30-00:30", "mon:00:00-mon:01:00", _OVERLAP.format("23:30-00:30", "mon:00:00-mon:01:00")
    ),
    _windows("after midnight", "23:30-00:30", "mon:00:30-mon:01:00"),
    _windows(
        "over the week", "00:10-00:40", "sat:23:30-sun:00:20", _OVERLAP.format("00:10-00:40", "sat:23:30-sun:00:20")
    ),
    _windows("after the week", "00:20-00:50", "sat:23:30-sun:00:20"),
    _windows("one not set", None, "sun:00:30-sun:01:30", "backup_window not set: AWS picks a time at random"),
    _windows("none set", None, None, "backup_window and maintenance_window not set: AWS picks a time at random"),
    undecided(
        "LB_RDS_2", "no window at all", database(maintenance_window="whenever"), "'whenever' is no window of RDS"
    ),
    absent("LB_RDS_2", "a replica", database(replicate_source_db="app-g0")),
    clean("LB_RDS_3", "both kept", database()),
    bad("LB_RDS_3", "no final snapshot", database(skip_final_snapshot=True), "skip_final_snapshot is true"),
    bad("LB_RDS_3", "backups go too", database(delete_automated_backups=True), "delete_automated_backups is true"),
    bad("LB_RDS_3", "AWS's default", database(delete_automated_backups=None), "delete_automated_backups is true"),
    clean("LB_RDS_3", "a cluster of a provider without the argument", cluster()),
    bad("LB_RDS_3", "a cluster without a snapshot", cluster(skip_final_snapshot=True), "skip_final_snapshot is true"),
    absent("LB_RDS_3", "no database", PlanFile().add("aws_vpc.this")),
    clean("LB_RDS_4", "the window is the RPO", database(backup_retention_period=1)),
    bad(
        "LB_RDS_4",
        "the window is shorter than the RPO",
        _measured(database(backup_retention_period=1), objectives={"rpo_hours": 25}),
        "a restore reaches back 24 hours",
    ),
    bad("LB_RDS_4", "no window", database(backup_retention_period=0), "there is no point-in-time recovery"),
    bad("LB_RDS_4", "less than none", database(backup_retention_period=-5), "there is no point-in-time recovery"),
    bad(
        "LB_RDS_4",
        "dumps by a schedule of five fields",
        _dumped("cron(0 3 * * *)"),
        "'cron(0 3 * * *)' is no schedule of AWS",
    ),
    clean("LB_RDS_4", "dumps once a day", _dumped("cron(0 3 * * ? *)")),
    clean("LB_RDS_4", "dumps as often as the RPO", _measured(_dumped("rate(12 hours)"), objectives={"rpo_hours": 12})),
    bad(
        "LB_RDS_4",
        "dumps an hour too rare",
        _measured(_dumped("rate(13 hours)"), objectives={"rpo_hours": 12}),
        "up to 13 hours lie between two dumps",
    ),
    bad("LB_RDS_4", "no dumps on Sundays", _dumped("cron(0 3 ? * MON-SAT *)"), "up to 2 days lie between two dumps"),
    bad(
        "LB_RDS_4",
        "a disabled schedule",
        _dumped("rate(1 hour)", state="DISABLED"),
        "the schedule of the dumps is disabled",
    ),
    bad("LB_RDS_4", "one dump", _dumped("at(2026-01-01T00:00:00)"), "the dumps end"),
    absent(
        "LB_RDS_4",
        "another job",
        PlanFile().add("aws_scheduler_schedule.mail", {"schedule_expression": "rate(9 days)"}),
    ),
    clean("LB_RDS_5", "a key of the same plan", database()),
    clean("LB_RDS_5", "a key that is known", database(kms_key_id="arn:aws:kms:eu-west-1:123456789012:key/1")),
    bad("LB_RDS_5", "no encryption", database(storage_encrypted=False), "the storage is not encrypted"),
    bad("LB_RDS_5", "AWS's key", database(kms_key_id=COMPUTED), "the storage is encrypted with AWS's own key"),
    bad(
        "LB_RDS_5",
        "AWS's key by name",
        database(kms_key_id="arn:aws:kms:eu-west-1:123456789012:alias/aws/rds"),
        "the storage is encrypted with AWS's own key",
    ),
    undecided(
        "LB_RDS_5",
        "a key that a local hides",
        database(kms_key_id=later("local.key")),
        "aws_db_instance.this: which key kms_key_id is, is known only after the apply",
    ),
    absent("LB_RDS_5", "no database", PlanFile().add("aws_vpc.this")),
    clean(
        "LB_RDS_6",
        "automated backups replicated",
        database().add(_REPLICATION, {"source_db_instance_arn": later("aws_db_instance.this.arn")}, region=THERE),
    ),
    bad(
        "LB_RDS_6",
        "replicated into the same region",
        database().add(_REPLICATION, {"source_db_instance_arn": later("aws_db_instance.this.arn")}, region=HERE),
        "nothing copies its backups to another region",
    ),
    bad(
        "LB_RDS_6",
        "another database is replicated",
        database()
        .add("aws_db_instance.other", {**INSTANCE, "replicate_source_db": "x"})
        .add(_REPLICATION, {"source_db_instance_arn": later("aws_db_instance.other.arn")}, region=THERE),
        "nothing copies its backups to another region",
    ),
    undecided(
        "LB_RDS_6",
        "a provider whose region the plan does not tell",
        database().add(_REPLICATION, {"source_db_instance_arn": later("aws_db_instance.this.arn")}, region=None),
        f"{_REPLICATION}: in which region it is, is not in the plan",
    ),
    undecided(
        "LB_RDS_6",
        "a database whose region the plan does not tell",
        PlanFile()
        .add("aws_kms_key.this", {"enable_key_rotation": True})
        .add("aws_db_instance.this", INSTANCE, region=None)
        .add(_REPLICATION, {"source_db_instance_arn": later("aws_db_instance.this.arn")}, region=THERE),
        "aws_db_instance.this: in which region it is, is not in the plan",
    ),
    clean(
        "LB_RDS_6",
        "a backup plan that copies",
        database()
        .add("aws_backup_vault.dr", {"name": "dr"}, region=THERE)
        .add(
            "aws_backup_plan.this",
            {"rule": [{"copy_action": [{"destination_vault_arn": later("aws_backup_vault.dr.arn")}]}]},
        )
        .add(
            "aws_backup_selection.this",
            {"plan_id": later("aws_backup_plan.this.id"), "resources": [later("aws_db_instance.this.arn")]},
        ),
    ),
    absent("LB_RDS_6", "no database", PlanFile().add("aws_vpc.this")),
    bad(
        "LB_RDS_6",
        "a backup plan that copies once a year",
        _copied_yearly({"schedule": "cron(0 5 * * ? *)"}),
        "nothing copies its backups to another region",
    ),
    clean("LB_RDS_4", "a cluster that says nothing: Aurora keeps a day", cluster(backup_retention_period=None)),
    bad(
        "LB_RDS_4",
        "a cluster that says nothing, and a longer RPO",
        _measured(cluster(backup_retention_period=None), objectives={"rpo_hours": 25}),
        "a restore reaches back 24 hours",
    ),
    absent("LB_RDS_4", "a cluster that is the copy of another region's", cluster(replication_source_identifier="arn")),
    undecided(
        "LB_RDS_5",
        "a key that a data source looks up",
        database(kms_key_id=known("arn:aws:kms:eu-west-1:123456789012:key/1", "data.aws_kms_alias.rds.target_key_arn")),
        "aws_db_instance.this: whether kms_key_id of a data source is a key of your own is not in the plan",
    ),
)
