"""Cases of the rules on the plans of AWS Backup."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import HERE, THERE, PlanFile, known, later

_DAILY, _MONTHLY = "cron(0 5 * * ? *)", "cron(0 7 1 * ? *)"
_DR = "arn:aws:backup:eu-central-1:123456789012:backup-vault:dr"


def rule(
    schedule: str | None = _DAILY, *, keep: int | None = 35, cold: int | None = None, **over: Any
) -> dict[str, Any]:
    """Return a rule of a backup plan."""
    return {
        "rule_name": "r",
        "target_vault_name": "main",
        "schedule": schedule,
        "start_window": 60,
        "completion_window": 120,
        "lifecycle": [{"delete_after": keep, "cold_storage_after": cold}],
        **over,
    }


def plan(*rules: dict[str, Any], rpo: float = 24, region: str | None = HERE) -> PlanFile:
    """Return a plan with one backup plan."""
    found = PlanFile().add("aws_backup_plan.this", {"name": "p", "rule": list(rules)}, region=region)
    found.variables["objectives"] = {"rpo_hours": rpo}
    return found


def _selected(found: PlanFile) -> PlanFile:
    """Add a database and a selection that takes it."""
    return found.add("aws_db_instance.this", {"identifier": "app", "maintenance_window": "sun:05:00-sun:06:00"}).add(
        "aws_backup_selection.this",
        {"plan_id": later("aws_backup_plan.this.id"), "resources": ["arn:aws:rds:*:*:db:*"]},
    )


def _copies(arn: Any, keep: int | None = 35) -> dict[str, Any]:
    return rule(copy_action=[{"destination_vault_arn": arn, "lifecycle": [{"delete_after": keep}]}])


def _locked(found: PlanFile, least: int | None, most: int | None) -> PlanFile:
    return found.add("aws_backup_vault.main", {"name": "main"}).add(
        "aws_backup_vault_lock_configuration.main",
        {"backup_vault_name": "main", "min_retention_days": least, "max_retention_days": most},
    )


def _seldom(schedule: str, gap: str) -> str:
    return f"its most frequent rule ({schedule}) leaves up to {gap} between two runs"


def _two(daily: Any, monthly: Any) -> PlanFile:
    """Return a plan with a daily rule that copies into one vault, and a monthly one that copies into another."""
    rules = [
        rule(rule_name="daily", copy_action=[{"destination_vault_arn": daily}]),
        rule(_MONTHLY, rule_name="monthly", copy_action=[{"destination_vault_arn": monthly}]),
    ]
    vaults = PlanFile().add("aws_backup_vault.main", {"name": "main"})
    return vaults.add("aws_backup_vault.dr", {"name": "dr"}, region=THERE).add("aws_backup_plan.this", {"rule": rules})


def _reversed(found: PlanFile) -> PlanFile:
    """Return a plan whose rules come in the order of the provider's set, which is none of the file."""
    found.resources[-1]["values"]["rule"].reverse()
    found.changes[-1]["change"]["after_unknown"]["rule"].reverse()
    return found


def _of_volumes(found: PlanFile) -> PlanFile:
    return found.add("aws_ebs_volume.data", {"size": 1}).add(
        "aws_backup_selection.this",
        {"plan_id": later("aws_backup_plan.this.id"), "resources": ["arn:aws:ec2:*:*:volume/*"]},
    )


_WEEKDAYS = "cron(0 5 ? * MON-FRI *)"
CASES = (
    clean("LB_PLAN_1", "daily and 24 hours", plan(rule())),
    clean("LB_PLAN_1", "AWS's own schedule", plan(rule(None))),
    bad("LB_PLAN_1", "daily and 23 hours", plan(rule(), rpo=23), _seldom(_DAILY, "24 hours")),
    clean("LB_PLAN_1", "every 6 hours and 6", plan(rule("cron(0 0/6 * * ? *)"), rpo=6)),
    bad(
        "LB_PLAN_1",
        "every 6 hours and 5",
        plan(rule("cron(0 0/6 * * ? *)"), rpo=5),
        _seldom("cron(0 0/6 * * ? *)", "6 hours"),
    ),
    bad("LB_PLAN_1", "on weekdays", plan(rule(_WEEKDAYS)), _seldom(_WEEKDAYS, "3 days")),
    clean("LB_PLAN_1", "on weekdays and 72 hours", plan(rule(_WEEKDAYS), rpo=72)),
    bad("LB_PLAN_1", "weekly", plan(rule("cron(0 5 ? * SUN *)")), _seldom("cron(0 5 ? * SUN *)", "7 days")),
    clean("LB_PLAN_1", "monthly beside daily", plan(rule(_MONTHLY), rule())),
    clean("LB_PLAN_1", "continuous", _selected(plan(rule(_MONTHLY, enable_continuous_backup=True), rpo=1))),
    bad("LB_PLAN_1", "no rule", plan(), "the plan has no rule"),
    bad(
        "LB_PLAN_1", "a year", plan(rule("cron(0 5 * * ? 2027)")), "its most frequent rule (cron(0 5 * * ? 2027)) ends"
    ),
    bad("LB_PLAN_1", "no schedule of AWS", plan(rule("0 5 * * *")), "'0 5 * * *' is no schedule of AWS"),
    bad(
        "LB_PLAN_1",
        "on the 31st of February",
        plan(rule("cron(0 5 31 2 ? *)")),
        "'cron(0 5 31 2 ? *)' is a schedule that never fires",
    ),
    clean(
        "LB_PLAN_1",
        "an archive of what another plan takes daily",
        _selected(plan(rule()))
        .add("aws_backup_plan.archive", {"rule": [rule(_MONTHLY)]})
        .add(
            "aws_backup_selection.archive",
            {"plan_id": later("aws_backup_plan.archive.id"), "resources": [later("aws_db_instance.this.arn")]},
        ),
    ),
    absent("LB_PLAN_1", "no backup plan", PlanFile().add("aws_vpc.this")),
    clean("LB_PLAN_2", "seven days", plan(rule(keep=7))),
    bad("LB_PLAN_2", "six days", plan(rule(keep=6)), f"recovery points of {_DAILY} are kept for 6 days"),
    clean("LB_PLAN_2", "for ever", plan(rule(keep=None))),
    clean("LB_PLAN_2", "hourly for a day beside daily", plan(rule("cron(0 * * * ? *)", keep=1), rule())),
    bad(
        "LB_PLAN_2",
        "daily for two days beside monthly for a year",
        plan(rule(keep=2), rule(_MONTHLY, keep=365)),
        f"recovery points of {_DAILY} are kept for 2 days",
    ),
    clean("LB_PLAN_2", "90 days cold", plan(rule(keep=120, cold=30))),
    bad(
        "LB_PLAN_2",
        "89 days cold",
        plan(rule(keep=119, cold=30)),
        "recovery points go cold after 30 days and are deleted after 119",
    ),
    absent("LB_PLAN_2", "no backup plan", PlanFile().add("aws_vpc.this")),
    clean("LB_PLAN_3", "into another region", plan(_copies(_DR))),
    clean(
        "LB_PLAN_3",
        "into a vault of another region that is made in the same apply",
        plan(_copies(later("aws_backup_vault.dr.arn"))).add("aws_backup_vault.dr", {"name": "dr"}, region=THERE),
    ),
    bad(
        "LB_PLAN_3",
        "into another vault of the same region",
        plan(_copies(later("aws_backup_vault.dr.arn"))).add("aws_backup_vault.dr", {"name": "dr"}),
        f"its copies stay in {HERE}",
    ),
    bad(
        "LB_PLAN_3",
        "into an ARN of the same region",
        plan(_copies(_DR.replace(THERE, HERE))),
        f"its copies stay in {HERE}",
    ),
    bad("LB_PLAN_3", "no copy", plan(rule()), "its recovery points are not copied"),
    bad(
        "LB_PLAN_3",
        "only the monthly rule copies",
        plan(rule(), {**_copies(_DR), "schedule": _MONTHLY}),
        "its recovery points are not copied",
    ),
    undecided(
        "LB_PLAN_3",
        "a provider whose region the plan does not tell",
        plan(_copies(_DR), region=None),
        "aws_backup_plan.this rule[0] copy_action[0]: in which regions the plan and the vault of the copy are is not in the plan",
    ),
    absent("LB_PLAN_3", "no backup plan", PlanFile().add("aws_vpc.this")),
    clean("LB_PLAN_4", "ends before the next", plan(rule("cron(0 0/3 * * ? *)"), rpo=3)),
    bad(
        "LB_PLAN_4",
        "an hour too long",
        plan(rule("cron(0 0/2 * * ? *)"), rpo=3),
        "a job of cron(0 0/2 * * ? *) may take 3 hours, and the next one starts after 2 hours",
    ),
    bad(
        "LB_PLAN_4",
        "in the maintenance window",
        _selected(plan(rule())),
        f"{_DAILY} fires in the maintenance window sun:05:00-sun:06:00 of aws_db_instance.this",
    ),
    clean("LB_PLAN_4", "as the maintenance window ends", _selected(plan(rule("cron(0 6 * * ? *)")))),
    bad(
        "LB_PLAN_4",
        "a minute before it ends",
        _selected(plan(rule("cron(59 5 * * ? *)"))),
        "cron(59 5 * * ? *) fires in the maintenance window sun:05:00-sun:06:00 of aws_db_instance.this",
    ),
    absent("LB_PLAN_4", "no backup plan", PlanFile().add("aws_vpc.this")),
    clean("LB_PLAN_5", "the lock's least", _locked(plan(rule(keep=30)), 30, 400)),
    bad(
        "LB_PLAN_5",
        "a day less",
        _locked(plan(rule(keep=29)), 30, 400),
        "aws_backup_plan.this rule[0] keeps recovery points for 29 days, and the lock of aws_backup_vault.main wants 30 days",
    ),
    clean("LB_PLAN_5", "the lock's most", _locked(plan(rule(keep=400)), 30, 400)),
    bad(
        "LB_PLAN_5",
        "a day more",
        _locked(plan(rule(keep=401)), 30, 400),
        "aws_backup_plan.this rule[0] keeps recovery points for 401 days, and the lock of aws_backup_vault.main allows 400 days",
    ),
    bad(
        "LB_PLAN_5",
        "for ever",
        _locked(plan(rule(keep=None)), 30, 400),
        "aws_backup_plan.this rule[0] keeps recovery points for ever, and the lock of aws_backup_vault.main allows 400 days",
    ),
    bad(
        "LB_PLAN_5",
        "a copy that the other vault refuses",
        plan(_copies(_DR, 20))
        .add("aws_backup_vault.dr", {"name": "dr"}, region=THERE)
        .add(
            "aws_backup_vault_lock_configuration.dr",
            {"backup_vault_name": known("dr", "aws_backup_vault.dr.name"), "min_retention_days": 30},
            region=THERE,
        ),
        "aws_backup_plan.this rule[0] copy_action[0] keeps recovery points for 20 days, and the lock of aws_backup_vault.dr"
        " wants 30 days",
    ),
    clean("LB_PLAN_5", "no lock", plan(rule(keep=1)).add("aws_backup_vault.main", {"name": "main"})),
    absent("LB_PLAN_5", "no backup plan", PlanFile().add("aws_vpc.this")),
    bad(
        "LB_PLAN_3",
        "two rules in the order of their file",
        _two(later("aws_backup_vault.main.arn"), later("aws_backup_vault.dr.arn")),
        f"its copies stay in {HERE}",
    ),
    bad(
        "LB_PLAN_3",
        "two rules in another order than in their file",
        _reversed(_two(later("aws_backup_vault.main.arn"), later("aws_backup_vault.dr.arn"))),
        f"its copies stay in {HERE}",
    ),
    clean(
        "LB_PLAN_3",
        "two rules in another order, of which the daily one leaves",
        _reversed(_two(later("aws_backup_vault.dr.arn"), later("aws_backup_vault.main.arn"))),
    ),
    bad(
        "LB_PLAN_1",
        "continuous, of what has no such backup",
        _of_volumes(plan(rule("cron(0 5 ? * SUN *)", enable_continuous_backup=True))),
        f"{_seldom('cron(0 5 ? * SUN *)', '7 days')}; there is no continuous backup of EBS",
    ),
    clean(
        "LB_PLAN_1",
        "continuous and daily, of what has no such backup",
        _of_volumes(plan(rule(enable_continuous_backup=True))),
    ),
    undecided(
        "LB_PLAN_1",
        "continuous, of nothing in this plan",
        plan(rule(_MONTHLY, enable_continuous_backup=True)),
        "aws_backup_plan.this: continuous backup is for databases and buckets, and what it takes is not in the plan",
    ),
    clean(
        "LB_PLAN_4",
        "in the window by the clock of another zone",
        _selected(plan(rule("cron(30 5 * * ? *)", schedule_expression_timezone="America/New_York"))),
    ),
    bad(
        "LB_PLAN_4",
        "in the window by UTC under another name",
        _selected(plan(rule("cron(30 5 * * ? *)", schedule_expression_timezone="Etc/UTC"))),
        "cron(30 5 * * ? *) fires in the maintenance window sun:05:00-sun:06:00 of aws_db_instance.this",
    ),
)
