"""Rules on RDS: windows, retention, what is left after a deletion, keys, and copies in another region."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from lifeboat.decisions.policy import controls, frequency, schedules, windows
from lifeboat.decisions.policy.backup_plans import copies_elsewhere
from lifeboat.decisions.policy.counts import counted
from lifeboat.decisions.policy.coverage import coverage, is_replica, plans_of
from lifeboat.decisions.policy.dump_making import SCHEDULES, is_of_dumps
from lifeboat.decisions.policy.joins import attached_anywhere
from lifeboat.decisions.policy.keys import customer_key
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Undecided
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity

DATABASES = ("aws_db_instance", "aws_rds_cluster")
CLUSTERS = ("aws_docdb_cluster", "aws_neptune_cluster")  # of the same API, with a part of its arguments
_BACKUP_WINDOW = {"aws_db_instance": "backup_window", "aws_rds_cluster": "preferred_backup_window"}
_MAINTENANCE_WINDOW = {"aws_db_instance": "maintenance_window", "aws_rds_cluster": "preferred_maintenance_window"}


def is_source(case: Case) -> bool:
    """Return whether a database holds data of its own: a read replica is made anew of its source."""
    return not is_replica(case.resource.body)


def _retention(case: Case) -> Iterable[Fault]:
    days = case.resource.body.number("backup_retention_period")
    wanted = f"at least {words(case.parameters.min_retention)}"
    if days is None:
        yield Fault(
            found="backup_retention_period is not set, and RDS then keeps a day of backups or none", wanted=wanted
        )
    elif timedelta(days=days) < case.parameters.min_retention:
        yield Fault(found=f"automated backups are kept for {counted(days, 'day')}", wanted=wanted)


def _windows(case: Case) -> Iterable[Fault]:
    kind, body = case.resource.type, case.resource.body
    backup, maintenance = body.text(_BACKUP_WINDOW[kind]), body.text(_MAINTENANCE_WINDOW[kind])
    unset = [
        name
        for name, value in ((_BACKUP_WINDOW[kind], backup), (_MAINTENANCE_WINDOW[kind], maintenance))
        if value is None
    ]
    if backup is None or maintenance is None:
        yield Fault(found=f"{' and '.join(unset)} not set: AWS picks a time at random", wanted="both windows, apart")
    elif windows.meet(windows.spans(backup), windows.spans(maintenance)):
        yield Fault(
            found=f"backups at {backup} and maintenance at {maintenance} overlap", wanted="windows that do not overlap"
        )


def _after_deletion(case: Case) -> Iterable[Fault]:
    body = case.resource.body
    if body.flag("skip_final_snapshot"):
        yield Fault(found="skip_final_snapshot is true", wanted="a final snapshot: skip_final_snapshot = false")
    # Older providers know no such argument of a cluster.
    if "delete_automated_backups" in body.values and body.flag("delete_automated_backups") is not False:
        yield Fault(found="delete_automated_backups is true", wanted="delete_automated_backups = false")


def _loses_little(case: Case) -> bool:
    if case.resource.type in DATABASES:
        return is_source(case)
    return is_of_dumps(case.resource)


def _point_in_time(case: Case) -> Iterable[Fault]:
    body, rpo = case.resource.body, case.parameters.rpo
    if case.resource.type not in DATABASES:
        yield from _dumped(case)
        return
    days = body.number("backup_retention_period")
    if days is None:
        days = 1 if case.resource.type == "aws_rds_cluster" else 0  # Aurora always keeps a day
    if timedelta(days=days) < rpo:
        yield Fault(
            found=f"a restore reaches back {words(timedelta(days=days))}"
            if days > 0
            else "there is no point-in-time recovery",
            wanted=f"a window of at least the RPO, {words(rpo)}",
        )


def _dumped(case: Case) -> Iterable[Fault]:
    schedule = case.resource.body.text("schedule_expression")
    if schedule is None:
        return  # a rule on events, not on the clock
    gap, rpo = schedules.longest_gap(schedule), case.parameters.rpo
    if (case.resource.body.text("state") or "ENABLED") != "ENABLED" or case.resource.body.flag("is_enabled") is False:
        yield Fault(found="the schedule of the dumps is disabled", wanted="an enabled schedule")
    if gap > rpo:
        between = "the dumps end" if gap == schedules.NEVER else f"up to {words(gap)} lie between two dumps"
        yield Fault(
            found=between, wanted=f"a dump at least every {words(rpo)}", change="Let the schedule run more often."
        )


def _encrypted(case: Case) -> Iterable[Fault]:
    body = case.resource.body
    if not body.flag("storage_encrypted"):
        yield Fault(found="the storage is not encrypted", wanted="storage_encrypted = true with a key of your own")
    elif not customer_key(case.plan, body, "kms_key_id")[0]:
        yield Fault(found="the storage is encrypted with AWS's own key", wanted="kms_key_id of a customer managed key")


def _elsewhere(case: Case) -> Iterable[Fault]:
    plan, database = case.plan, case.resource
    doubt: Undecided | None = None
    # A replication is made in the region that the backups go to.
    replication = "aws_db_instance_automated_backups_replication"
    for one in attached_anywhere(plan, database, replication, "source_db_instance_arn"):
        lost = next((side for side in (one, database) if side.region is None), None)
        if lost is not None:
            doubt = lost.doubt_of_region(f"{lost.address}: in which region it is, is not in the plan")
        elif one.region != database.region:
            return
    for selection in coverage(plan, database).selections:
        for backup_plan in plans_of(plan, selection):
            runs = frequency.of_plan(plan, backup_plan)
            for run in frequency.often_enough(runs, case.parameters.rpo):
                try:
                    if copies_elsewhere(plan, backup_plan, run):
                        return
                except Undecided as cannot:
                    doubt = doubt or cannot
    if doubt is not None:
        raise doubt
    yield Fault(
        found="nothing copies its backups to another region",
        wanted="automated backups replicated, or a backup plan with a copy_action, into another region",
    )


RULES = (
    Rule(
        id=RuleId("LB_RDS_1"),
        severity=Severity.HIGH,
        title="Automated backups of a database are kept long enough",
        why="Damage that is found after the last backup is gone cannot be undone.",
        change="Set backup_retention_period to at least the retention that is wanted.",
        types=(*DATABASES, *CLUSTERS),
        among=is_source,
        judge=_retention,
        controls=(
            *controls.well_architected("REL09-BP03", "REL13-BP01"),
            *controls.nist("CP-9(a)", "CP-6(2)"),
            *controls.fsbp("RDS.11", "DocumentDB.2", "Neptune.5"),
            *controls.config("DB_INSTANCE_BACKUP_ENABLED"),
            *controls.soc2("A1.2", sourced=True),
            *controls.iso("A.8.13", sourced=True),
        ),
    ),
    Rule(
        id=RuleId("LB_RDS_2"),
        severity=Severity.MEDIUM,
        title="Backup and maintenance windows are set and apart",
        why="Maintenance that restarts the database in the backup window costs the backup of that day.",
        change="Set both windows so that neither is open while the other is.",
        types=DATABASES,
        among=is_source,
        judge=_windows,
        controls=(*controls.well_architected("REL09-BP03"), *controls.nist("CP-9")),
    ),
    Rule(
        id=RuleId("LB_RDS_3"),
        severity=Severity.HIGH,
        title="A deleted database leaves its backups behind",
        why="A database that is deleted by mistake is gone with every automated backup unless both are kept.",
        change="Set skip_final_snapshot = false with a final_snapshot_identifier, and delete_automated_backups = false.",
        types=(*DATABASES, *CLUSTERS),
        among=is_source,
        judge=_after_deletion,
        controls=(
            *controls.well_architected("REL09-BP01"),
            *controls.nist("CP-9"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_RDS_4"),
        severity=Severity.HIGH,
        title="A restore to a moment, and the newest dump, reach back no less than the recovery point objective asks",
        why="The dump is what is left when the database and its backups are gone together; its age is then the loss.",
        change="Raise backup_retention_period.",
        types=(*DATABASES, *SCHEDULES),
        among=_loses_little,
        judge=_point_in_time,
        controls=(
            *controls.well_architected("REL13-BP01"),
            *controls.nist("CP-9", "CP-10"),
            *controls.soc2("A1.2", sourced=True),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_RDS_5"),
        severity=Severity.MEDIUM,
        title="A database is encrypted with a key of your own",
        why="A snapshot under AWS's own key can be shared with no other account and is bound to its region.",
        change="Set storage_encrypted = true and kms_key_id; a database that exists is restored from a copy under the key.",
        types=DATABASES,
        among=is_source,
        judge=_encrypted,
        controls=(
            *controls.well_architected("REL09-BP02"),
            *controls.nist("CP-9(8)", "SC-28"),
            *controls.fsbp("RDS.3", "RDS.27"),
            *controls.iso("A.8.24"),
        ),
    ),
    Rule(
        id=RuleId("LB_RDS_6"),
        severity=Severity.MEDIUM,
        title="A database's backups are copied to another region",
        why="When the region is gone, what is only there is gone with it.",
        change="Add an aws_db_instance_automated_backups_replication with a provider of the other region, or a copy_action.",
        types=DATABASES,
        among=is_source,
        judge=_elsewhere,
        controls=(
            *controls.well_architected("REL13-BP02"),
            *controls.nist("CP-6(1)", "CP-9(3)"),
            *controls.iso("A.8.14"),
        ),
    ),
)
