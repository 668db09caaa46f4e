"""Cases of the rules on lifecycle policies."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import PlanFile, later

_TAGS = {"lifeboat:protect": "daily"}


def schedule(
    hours: int | None = 24, *, cron: str | None = None, keep: dict[str, Any] | None = None, **over: Any
) -> dict[str, Any]:
    """Return a schedule of a lifecycle policy, copied to another region."""
    return {
        "create_rule": [{"interval": hours, "interval_unit": "HOURS", "cron_expression": cron}],
        "retain_rule": [keep or {"interval": 14, "interval_unit": "DAYS"}],
        "copy_tags": True,
        "cross_region_copy_rule": [_copy()],
        **over,
    }


def _copy(*, encrypted: bool = True, days: int = 14) -> dict[str, Any]:
    return {
        "target": "eu-central-1",
        "encrypted": encrypted,
        "retain_rule": [{"interval": days, "interval_unit": "DAYS"}],
    }


def policy(
    *schedules: dict[str, Any], state: str = "ENABLED", rpo: float = 24, kind: str = "EBS_SNAPSHOT_MANAGEMENT"
) -> PlanFile:
    """Return a plan with one lifecycle policy."""
    details = {"policy_type": kind, "resource_types": ["VOLUME"], "target_tags": _TAGS, "schedule": list(schedules)}
    found = PlanFile().add("aws_dlm_lifecycle_policy.this", {"state": state, "policy_details": [details]})
    found.variables["objectives"] = {"rpo_hours": rpo}
    return found


def _default(days: int, rpo: float) -> PlanFile:
    found = PlanFile().add(
        "aws_dlm_lifecycle_policy.this",
        {"default_policy": "VOLUME", "policy_details": [{"create_interval": days, "retain_interval": 7}]},
    )
    found.variables["objectives"] = {"rpo_hours": rpo}
    return found


def _seldom(gap: str) -> str:
    return f"its most frequent schedule leaves up to {gap} between two runs"


_YEAR = "cron(0 5 * * ? 2027)"
_WHERE = "aws_dlm_lifecycle_policy.this policy_details[0] schedule[0]"
CASES = (
    clean("LB_DLM_1", "daily and 24 hours", policy(schedule())),
    bad("LB_DLM_1", "daily and 23 hours", policy(schedule(), rpo=23), _seldom("24 hours")),
    clean("LB_DLM_1", "every 12 hours and 12", policy(schedule(12), rpo=12)),
    bad("LB_DLM_1", "every 12 hours and 11", policy(schedule(12), rpo=11), _seldom("12 hours")),
    bad("LB_DLM_1", "weekly", policy(schedule(None, cron="cron(0 3 ? * SUN *)")), _seldom("7 days")),
    bad("LB_DLM_1", "disabled", policy(schedule(), state="DISABLED"), "the policy is disabled"),
    bad("LB_DLM_1", "no schedule", policy(), "the policy has no schedule"),
    clean("LB_DLM_1", "a default policy", _default(1, 24)),
    bad("LB_DLM_1", "a default policy every two days", _default(2, 24), _seldom("2 days")),
    clean(
        "LB_DLM_1",
        "monthly images of what is copied daily",
        policy(schedule())
        .add("aws_ebs_volume.data", {"tags": _TAGS})
        .add(
            "aws_dlm_lifecycle_policy.images",
            {
                "policy_details": [
                    {
                        "resource_types": ["VOLUME"],
                        "target_tags": _TAGS,
                        "schedule": [schedule(None, cron="cron(0 4 1 * ? *)")],
                    }
                ]
            },
        ),
    ),
    bad(
        "LB_DLM_1",
        "weekly beside a vault that takes the same daily",
        policy(schedule(None, cron="cron(0 3 ? * SUN *)"))
        .add("aws_ebs_volume.data", {"tags": _TAGS})
        .add("aws_backup_plan.this", {"rule": [{"schedule": "cron(0 5 * * ? *)"}]})
        .add("aws_backup_selection.this", {"plan_id": later("aws_backup_plan.this.id"), "resources": ["*"]}),
        _seldom("7 days"),
    ),
    undecided("LB_DLM_1", "nothing says when", policy(schedule(None)), f"{_WHERE}: nothing says when it runs"),
    absent("LB_DLM_1", "a policy on events", policy(kind="EVENT_BASED_POLICY")),
    clean("LB_DLM_2", "seven days", policy(schedule(keep={"interval": 7, "interval_unit": "DAYS"}))),
    bad(
        "LB_DLM_2",
        "six days",
        policy(schedule(keep={"interval": 6, "interval_unit": "DAYS"})),
        "its copies are kept for 6 days",
    ),
    clean("LB_DLM_2", "a week", policy(schedule(keep={"interval": 1, "interval_unit": "WEEKS"}))),
    clean("LB_DLM_2", "seven daily ones", policy(schedule(keep={"count": 7}))),
    bad("LB_DLM_2", "six daily ones", policy(schedule(keep={"count": 6})), "its copies are kept for 6 days"),
    clean("LB_DLM_2", "fourteen of 12 hours", policy(schedule(12, keep={"count": 14}))),
    bad(
        "LB_DLM_2",
        "thirteen of 12 hours",
        policy(schedule(12, keep={"count": 13})),
        "its copies are kept for 156 hours",
    ),
    bad("LB_DLM_2", "no tags", policy(schedule(copy_tags=False)), f"{_WHERE} copies no tags"),
    bad("LB_DLM_2", "no copy", policy(schedule(cross_region_copy_rule=[])), "its copies stay in this region"),
    bad(
        "LB_DLM_2",
        "a copy that is not encrypted",
        policy(schedule(cross_region_copy_rule=[_copy(encrypted=False)])),
        f"{_WHERE} cross_region_copy_rule[0] is not encrypted",
    ),
    clean("LB_DLM_2", "a copy for two runs", policy(schedule(cross_region_copy_rule=[_copy(days=2)]))),
    bad(
        "LB_DLM_2",
        "a copy for one run",
        policy(schedule(cross_region_copy_rule=[_copy(days=1)])),
        f"{_WHERE} cross_region_copy_rule[0] is gone before the next two are made",
    ),
    absent("LB_DLM_2", "no policy", PlanFile().add("aws_vpc.this")),
    bad("LB_DLM_1", "a year", policy(schedule(None, cron=_YEAR)), "its most frequent schedule ends"),
    clean("LB_DLM_2", "a year", policy(schedule(None, cron=_YEAR))),
    bad(
        "LB_DLM_2",
        "a copy into its own region",
        policy(schedule(cross_region_copy_rule=[{**_copy(), "target": "eu-west-1"}])),
        "its copies stay in this region",
    ),
    bad(
        "LB_DLM_2",
        "a yearly copy of daily snapshots",
        policy(
            schedule(cross_region_copy_rule=[]),
            schedule(None, cron="cron(0 5 1 1 ? *)", cross_region_copy_rule=[_copy(days=800)]),
        ),
        "its copies stay in this region",
    ),
    clean(
        "LB_DLM_2",
        "a daily copy beside yearly snapshots without one",
        policy(schedule(), schedule(None, cron="cron(0 5 1 1 ? *)", cross_region_copy_rule=[])),
    ),
)
