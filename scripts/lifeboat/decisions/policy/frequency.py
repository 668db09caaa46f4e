"""How often and how long backup plans and lifecycle policies keep copies, rule by rule, schedule by schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lifeboat.decisions.policy import schedules
from lifeboat.decisions.policy.coverage import BACKUP_TYPES, coverage, covered_by, plans_of
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Block, Planned, Resource, Undecided

# What AWS Backup runs a rule without a schedule by (AWS::Backup::BackupPlan BackupRuleResourceType).
_DAILY = "cron(0 5 ? * * *)"
_UNITS = {"DAYS": 1, "WEEKS": 7, "MONTHS": 30, "YEARS": 365}
_CONTINUOUS = ("aws_db_instance", "aws_rds_cluster", "aws_s3_bucket")
DAY = timedelta(days=1)
FOR_EVER = timedelta.max


@dataclass(frozen=True, kw_only=True)
class Run:
    """One rule of a backup plan, or one schedule of a lifecycle policy: how far apart two runs are, and what they keep."""

    block: Block
    gap: timedelta  # zero where it is continuous
    kept: timedelta
    schedule: str
    continuous: bool = False  # asked for; AWS Backup does so for some types alone


def of_plan(plan: Planned, backup_plan: Resource) -> list[Run]:
    """Return the rules of a backup plan. Raises Undecided."""
    found: list[Run] = []
    for rule in backup_plan.body.blocks("rule"):
        schedule = rule.text("schedule") or _DAILY
        continuous = bool(rule.flag("enable_continuous_backup"))
        whole = continuous and bool(covered_by(plan, backup_plan)) and not in_snapshots(plan, backup_plan)
        gap = timedelta() if whole else schedules.longest_gap(schedule)
        found.append(Run(block=rule, gap=gap, kept=kept(rule), schedule=schedule, continuous=continuous))
    return found


def in_snapshots(plan: Planned, backup_plan: Resource) -> list[str]:
    """Return the types that a backup plan takes and that have no continuous backup: snapshots by the schedule alone.

    It is for RDS, Aurora and S3 (AWS Backup developer guide, "Continuous backups and point-in-time recovery").
    """
    return sorted({BACKUP_TYPES[one.type] for one in covered_by(plan, backup_plan) if one.type not in _CONTINUOUS})


def kept(block: Block) -> timedelta:
    """Return how long what a block of a plan makes is kept. Raises Undecided."""
    lifecycle = block.block("lifecycle")
    days = None if lifecycle is None else lifecycle.number("delete_after")
    return timedelta(days=days) if days else FOR_EVER


def of_policy(policy: Resource) -> list[Run]:
    """Return the schedules of a lifecycle policy that runs by the clock. Raises Undecided."""
    details = policy.body.block("policy_details")
    if details is None:
        return []
    if policy.body.text("default_policy") is not None:
        # Both have defaults of a day and a week (DLM user guide, "Default policies").
        gap = timedelta(days=details.number("create_interval") or 1)
        return [Run(block=details, gap=gap, kept=timedelta(days=details.number("retain_interval") or 7), schedule="")]
    found: list[Run] = []
    for schedule in details.blocks("schedule"):
        gap, words = _gap(schedule)
        found.append(Run(block=schedule, gap=gap, kept=retained(schedule, gap), schedule=words))
    return found


def retained(block: Block, gap: timedelta) -> timedelta:
    """Return how long a schedule or a copy rule of DLM keeps what it makes. Raises Undecided."""
    rule = block.block("retain_rule")
    if rule is None:
        return FOR_EVER
    interval, count = rule.number("interval"), rule.number("count")
    if interval:
        return timedelta(days=interval * _UNITS.get(rule.text("interval_unit") or "DAYS", 1))
    return FOR_EVER if not count or gap == schedules.NEVER else gap * count


def often_enough(runs: list[Run], rpo: timedelta) -> list[Run]:
    """Return the runs that come at least once in the RPO, or once a day where the RPO is shorter; all where none does."""
    return [run for run in runs if run.gap <= max(rpo, DAY)] or runs


def apart(gap: timedelta) -> str:
    """Return in words how far apart two runs of a schedule are, or that it ends."""
    return "ends" if gap == schedules.NEVER else f"leaves up to {words(gap)} between two runs"


def meets(run: Run, rpo: timedelta) -> bool:
    """Return whether two runs are never further apart than the RPO."""
    return run.gap <= rpo


def others_meet(plan: Planned, policy: Resource, rpo: timedelta) -> bool:
    """Return whether this one is an archive: what it takes copies of has others of its kind that come once in the RPO.

    Of the same kind only: snapshots that stop are not made good by a vault whose restores take other ways. One that takes
    nothing of this plan is beside whatever its kind takes (LB_COV_3 tells of it).
    """
    covered = covered_by(plan, policy)
    if not covered:
        others = [one for one in plan.of(policy.type) if one is not policy and enabled(one)]
        return any(_comes_often(plan, one, rpo) for one in others)
    return all(_often(plan, resource, policy, rpo) for resource in covered)


def _often(plan: Planned, resource: Resource, apart_from: Resource, rpo: timedelta) -> bool:
    has = coverage(plan, resource)
    others = [one for one in has.policies if enabled(one)]
    others += [one for selection in has.selections for one in plans_of(plan, selection)]
    return any(_comes_often(plan, one, rpo) for one in others if one is not apart_from and one.type == apart_from.type)


def _comes_often(plan: Planned, policy: Resource, rpo: timedelta) -> bool:
    key = ("often", policy.address)
    if key not in plan.worked_out:
        runs = of_plan(plan, policy) if policy.type == "aws_backup_plan" else of_policy(policy)
        plan.worked_out[key] = any(meets(run, rpo) for run in runs)
    return bool(plan.worked_out[key])


def enabled(policy: Resource) -> bool:
    """Return whether a lifecycle policy runs at all; it does where nothing is said."""
    return (policy.body.text("state") or "ENABLED") == "ENABLED"


def _gap(schedule: Block) -> tuple[timedelta, str]:
    create = schedule.block("create_rule")
    if create is None:
        raise Undecided(f"{schedule.where}: it has no create_rule")
    cron = create.text("cron_expression")
    if cron is not None:
        return schedules.longest_gap(cron), cron
    hours = create.number("interval")
    if not hours:
        raise Undecided(f"{schedule.where}: nothing says when it runs")
    return timedelta(hours=hours), f"every {hours:g} hours"
