"""Rules on the plans of AWS Backup: how often, for how long, where the copies go, and what the vaults' locks allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from lifeboat.decisions.policy import arns, controls, frequency, schedules, windows
from lifeboat.decisions.policy.coverage import covered_by
from lifeboat.decisions.policy.frequency import FOR_EVER, Run, apart
from lifeboat.decisions.policy.joins import attached, pointed_at
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Awaited, Block, Planned, Resource, Undecided
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity

_TYPES = ("aws_backup_plan",)
VAULTS = ("aws_backup_vault", "aws_backup_logically_air_gapped_vault")
_UTC = ("UTC", "Etc/UTC", "Etc/UCT", "Etc/GMT", "GMT", "Zulu")
_COLD_DAYS = 90  # the least time in cold storage (AWS Backup manual, "Lifecycle")


def _often(case: Case) -> Iterable[Fault]:
    rpo, runs = case.parameters.rpo, frequency.of_plan(case.plan, case.resource)
    if any(frequency.meets(run, rpo) for run in runs) or frequency.others_meet(case.plan, case.resource, rpo):
        return
    most = min(runs, key=lambda run: run.gap, default=None)
    found = "the plan has no rule" if most is None else f"its most frequent rule ({most.schedule}) {apart(most.gap)}"
    if any(run.continuous for run in runs):
        types = frequency.in_snapshots(case.plan, case.resource)
        if not types:
            raise Undecided(
                f"{case.resource.address}: continuous backup is for databases and buckets, and what it takes is not in the plan"
            )
        found += f"; there is no continuous backup of {', '.join(types)}"
    yield Fault(found=found, wanted=f"a rule that runs at least every {words(rpo)}, or continuous backup")


def _long(case: Case) -> Iterable[Fault]:
    runs, wanted = frequency.of_plan(case.plan, case.resource), case.parameters.min_backup
    often = frequency.often_enough(runs, case.parameters.rpo)
    if often and all(run.kept < wanted for run in often):
        longest = max(often, key=lambda run: run.kept)
        yield Fault(
            found=f"recovery points of {longest.schedule} are kept for {words(longest.kept)}",
            wanted=f"at least {words(wanted)}",
        )
    for run in runs:
        lifecycle = run.block.block("lifecycle")
        cold = None if lifecycle is None else lifecycle.number("cold_storage_after")
        if cold and run.kept != FOR_EVER and run.kept < timedelta(days=cold + _COLD_DAYS):
            yield Fault(
                found=f"recovery points go cold after {cold:g} days and are deleted after {run.kept.days}",
                wanted=f"delete_after of at least {cold + _COLD_DAYS:g} days: AWS Backup refuses less than {_COLD_DAYS} days in"
                " cold storage",
            )


def copies_elsewhere(plan: Planned, backup_plan: Resource, run: Run) -> bool:
    """Return whether a rule copies its recovery points into another region. Raises Undecided."""
    doubt: Undecided | None = None
    for copy in run.block.blocks("copy_action"):
        regions = {region for region in _regions(plan, copy) if region}
        if backup_plan.region is not None and any(region != backup_plan.region for region in regions):
            return True
        if not regions or backup_plan.region is None:
            why = f"{copy.where}: in which regions the plan and the vault of the copy are is not in the plan"
            # A vault that the same apply makes has its ARN afterwards, whatever hides now which one it is.
            made = copy.unknown.get("destination_vault_arn") is True
            doubt = Awaited(why) if made else backup_plan.doubt_of_region(why)
    if doubt is not None:
        raise doubt
    return False


def _regions(plan: Planned, copy: Block) -> Iterator[str | None]:
    arn = copy.known("destination_vault_arn")
    if arn is not None:
        yield arns.region_of(arn)
        return
    for vault in plan.come_from(copy, "destination_vault_arn", *VAULTS):
        yield vault.region


def _elsewhere(case: Case) -> Iterable[Fault]:
    often = frequency.often_enough(frequency.of_plan(case.plan, case.resource), case.parameters.rpo)
    doubt: Undecided | None = None
    for run in often:
        try:
            if copies_elsewhere(case.plan, case.resource, run):
                return
        except Undecided as cannot:
            doubt = cannot
    if doubt is not None:
        raise doubt
    if often:
        copied = any(run.block.blocks("copy_action") for run in often)
        yield Fault(
            found=f"its copies stay in {case.resource.region}" if copied else "its recovery points are not copied",
            wanted="a copy_action into a vault of another region",
        )


def _fits(case: Case) -> Iterable[Fault]:
    databases = [
        one for one in covered_by(case.plan, case.resource) if one.type in ("aws_db_instance", "aws_rds_cluster")
    ]
    for run in frequency.of_plan(case.plan, case.resource):
        zone = run.block.text("schedule_expression_timezone") or "UTC"
        start, completion = run.block.number("start_window"), run.block.number("completion_window")
        if start and completion and timedelta() < run.gap < timedelta(minutes=start + completion):
            yield Fault(
                found=f"a job of {run.schedule} may take {words(timedelta(minutes=start + completion))}, and the next one starts"
                f" after {words(run.gap)}",
                wanted="start_window and completion_window that end before the next run",
            )
        # Windows are in UTC. When a schedule of another zone fires changes with its summer time.
        for database in databases if zone in _UTC else ():
            window = database.body.text("maintenance_window") or database.body.text("preferred_maintenance_window")
            minutes = schedules.minutes_of_week(run.schedule)
            if window and any(span.holds(minute) for span in windows.spans(window) for minute in minutes):
                yield Fault(
                    found=f"{run.schedule} fires in the maintenance window {window} of {database.address}",
                    wanted="a schedule outside of it",
                )


def _locked(case: Case) -> Iterable[Fault]:
    for rule in case.resource.body.blocks("rule"):
        yield from _within(case, rule, "target_vault_name", frequency.kept(rule))
        for copy in rule.blocks("copy_action"):
            yield from _within(case, copy, "destination_vault_arn", frequency.kept(copy))


def _within(case: Case, block: Block, name: str, kept: timedelta) -> Iterable[Fault]:
    for vault in _vaults(case.plan, case.resource, block, name):
        for lock in attached(case.plan, vault, "aws_backup_vault_lock_configuration", "backup_vault_name"):
            least, most = lock.body.number("min_retention_days"), lock.body.number("max_retention_days")
            said = "for ever" if kept == FOR_EVER else f"for {words(kept)}"
            if least is not None and kept < timedelta(days=least):
                yield Fault(
                    found=f"{block.where} keeps recovery points {said}, and the lock of {vault.address} wants {least:g} days",
                    wanted=f"delete_after of at least {least:g} days: the jobs fail otherwise",
                )
            if most is not None and kept > timedelta(days=most):
                yield Fault(
                    found=f"{block.where} keeps recovery points {said}, and the lock of {vault.address} allows {most:g} days",
                    wanted=f"delete_after of at most {most:g} days: the jobs fail otherwise",
                )


def _vaults(plan: Planned, backup_plan: Resource, block: Block, name: str) -> list[Resource]:
    """Return the vaults of this plan that a rule or a copy puts its recovery points into."""
    text = block.known(name)
    if text is None:
        return plan.come_from(block, name, *VAULTS)
    region = arns.region_of(text) or backup_plan.region
    found = [*pointed_at(plan, block, name, *VAULTS)]
    if not found and ":" in text:
        own_name = text.rpartition(":")[2]
        found = [vault for vault in plan.of(*VAULTS) if vault.body.known("name") == own_name]
    return [vault for vault in found if vault.region is None or region is None or vault.region == region]


RULES = (
    Rule(
        id=RuleId("LB_PLAN_1"),
        severity=Severity.HIGH,
        title="A backup plan runs at least once in the recovery point objective",
        why="What is written after the last backup is lost, so the longest pause between two is what a disaster costs.",
        change="Add a rule that runs often enough; Monday to Friday leaves three days out.",
        types=_TYPES,
        judge=_often,
        controls=(
            *controls.well_architected("REL09-BP03", "REL13-BP01"),
            *controls.nist("CP-9(a)", "CP-6(2)"),
            *controls.config("BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"),
            *controls.audit_manager("BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.13", sourced=True),
        ),
    ),
    Rule(
        id=RuleId("LB_PLAN_2"),
        severity=Severity.HIGH,
        title="Recovery points are kept long enough",
        why="Damage that is found after the last sound recovery point is deleted cannot be undone.",
        change="Raise delete_after in the lifecycle of the rule.",
        types=_TYPES,
        judge=_long,
        controls=(
            *controls.well_architected("REL09-BP03"),
            *controls.nist("CP-9", "CP-6(2)"),
            *controls.config(
                "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK", "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"
            ),
            *controls.audit_manager(
                "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK", "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"
            ),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_PLAN_3"),
        severity=Severity.HIGH,
        title="Recovery points are copied to another region",
        why="A copy in the region of the original is lost, or out of reach, together with it.",
        change="Give the frequent rule a copy_action whose destination_vault_arn is a vault of another region.",
        types=_TYPES,
        judge=_elsewhere,
        controls=(
            *controls.well_architected("REL13-BP02", "REL10-BP01"),
            *controls.nist("CP-6(1)", "CP-9(3)", "SC-36"),
            *controls.audit_manager("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.14"),
        ),
    ),
    Rule(
        id=RuleId("LB_PLAN_4"),
        severity=Severity.LOW,
        title="A backup has ended before the next one, and runs outside of maintenance",
        why="A job that still runs when the next one is due, or when the database is restarted, is the one that is missing.",
        change="Shorten start_window and completion_window, or move the schedule.",
        types=_TYPES,
        judge=_fits,
        controls=(*controls.well_architected("REL09-BP03"),),
    ),
    Rule(
        id=RuleId("LB_PLAN_5"),
        severity=Severity.MEDIUM,
        title="The retention of a plan lies within the lock of the vault",
        why="A locked vault refuses recovery points whose retention is outside of its lock, and the backup job fails.",
        change="Bring delete_after between min_retention_days and max_retention_days of the vault's lock.",
        types=_TYPES,
        judge=_locked,
        controls=(*controls.well_architected("REL09-BP02"),),
    ),
)
