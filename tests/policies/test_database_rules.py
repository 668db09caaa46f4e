"""Rules on RDS."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.decisions.policy.rule import Verdict

from tests.policies.plans import PlanFile, later, outcome, verdict

GOOD = {
    "identifier": "app-g1",
    "backup_retention_period": 14,
    "backup_window": "03:00-04:00",
    "maintenance_window": "sun:00:30-sun:01:30",
    "skip_final_snapshot": False,
    "delete_automated_backups": False,
}


def database(**over: Any) -> PlanFile:
    return PlanFile().add("aws_db_instance.this", {**GOOD, **over})


@pytest.mark.parametrize(
    ("days", "wanted"),
    [(35, Verdict.CLEAN), (7, Verdict.CLEAN), (6, Verdict.FINDINGS), (0, Verdict.FINDINGS), (None, Verdict.FINDINGS)],
)
def test_automated_backups_are_kept_for_seven_days(days: int | None, wanted: Verdict) -> None:
    assert verdict(database(backup_retention_period=days), "LB_RDS_1") is wanted


def test_the_retention_that_is_wanted_is_a_variable_of_the_plan() -> None:
    plan = database(backup_retention_period=14)
    plan.variables["min_retention_days"] = 15

    found = outcome(plan, "LB_RDS_1")

    assert [(one.found, one.wanted) for one in found.findings] == [
        ("automated backups are kept for 14 days", "at least 15 days")
    ]


def test_a_retention_of_something_made_in_the_same_apply_is_not_decided() -> None:
    plan = database(backup_retention_period=later("aws_ssm_parameter.days.value"))

    found = outcome(plan, "LB_RDS_1")

    assert found.verdict is Verdict.UNDECIDED
    assert found.unjudged[0].why == "aws_db_instance.this: backup_retention_period is known only after the apply"


def test_a_replica_is_no_database_of_its_own() -> None:
    plan = database(backup_retention_period=0, replicate_source_db="app-g1")

    assert verdict(plan, "LB_RDS_1") is Verdict.ABSENT


@pytest.mark.parametrize(
    ("backup", "maintenance", "wanted"),
    [
        ("03:00-04:00", "sun:00:30-sun:01:30", Verdict.CLEAN),
        ("03:00-04:00", "sun:04:00-sun:05:00", Verdict.CLEAN),
        ("03:00-04:00", "sun:03:59-sun:05:00", Verdict.FINDINGS),
        ("03:00-04:00", "sun:02:00-sun:03:00", Verdict.CLEAN),
        ("03:00-04:00", "sun:02:00-sun:03:01", Verdict.FINDINGS),
        ("23:30-00:30", "mon:00:00-mon:01:00", Verdict.FINDINGS),
        ("23:30-00:30", "mon:00:30-mon:01:00", Verdict.CLEAN),
        ("00:10-00:40", "sat:23:30-sun:00:20", Verdict.FINDINGS),
        ("00:20-00:50", "sat:23:30-sun:00:20", Verdict.CLEAN),
        (None, "sun:00:30-sun:01:30", Verdict.FINDINGS),
        ("03:00-04:00", "whenever", Verdict.UNDECIDED),
    ],
)
def test_the_windows_do_not_overlap(backup: str | None, maintenance: str, wanted: Verdict) -> None:
    assert verdict(database(backup_window=backup, maintenance_window=maintenance), "LB_RDS_2") is wanted


@pytest.mark.parametrize(
    ("skip", "delete", "findings"),
    [(False, False, 0), (True, False, 1), (False, True, 1), (True, True, 2), (False, None, 1)],
)
def test_a_deleted_database_leaves_its_backups(skip: bool, delete: bool | None, findings: int) -> None:
    plan = database(skip_final_snapshot=skip, delete_automated_backups=delete)

    assert len(outcome(plan, "LB_RDS_3").findings) == findings
