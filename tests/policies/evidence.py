"""What was seen of a root, for the tests: a plan judged by our rules, and beside it what checkov would say that really looked."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from lifeboat.checkov_model import CheckovFinding, CheckovRun
from lifeboat.decisions.policy import judging, reading, report
from lifeboat.decisions.policy.built_in import BuiltIn
from lifeboat.decisions.policy.report import Report, Subject
from lifeboat.decisions.policy.reported import Looked, Place
from lifeboat.decisions.policy.rule import Severity, Standing
from lifeboat.decisions.policy.validity import Evidence

from tests.policies.cases.databases import database
from tests.policies.plans import PlanFile

TODAY = date(2026, 11, 29)
PLACES = {"aws_db_instance.this": Place(file="modules/database/main.tf", line=12)}
ENCRYPTED = BuiltIn(
    id="CKV_AWS_16",
    asked=True,
    severity=Severity.HIGH,
    why="A copy is as secret as its source.",
    types=("aws_db_instance",),
)


def ran(plan: PlanFile, *more: CheckovFinding, **over: Any) -> CheckovRun:
    """Return what checkov says that looked at all of a plan, and found what our rules find and nothing of its own.

    `more` is what it found besides, `over` what it says otherwise.
    """
    scan = judging.scanned(reading.read(plan.text()))
    same = tuple(
        CheckovFinding(
            rule=one.rule,
            address=one.address,
            file="stack.json",
            lines=(1, 1),
            found=one.found,
            wanted=one.wanted,
            source="plan",
        )
        for one in scan.findings
    )
    whole = CheckovRun(
        findings=(*more, *same),
        skipped=(),
        evaluated={**{one.rule.id: len(one.judged) for one in scan.outcomes}, ENCRYPTED.id: 1},
        resource_types=frozenset(scan.plan.by_type),
        problems=(),
        checkov_version="3.3.30",
    )
    return replace(whole, **over)


def seen(plan: PlanFile, run: CheckovRun | None = None, **over: Any) -> Evidence:
    """Return the evidence of one root with a plan."""
    scan = judging.scanned(reading.read(plan.text()), standing=Standing.TO_BUILD)
    looked = Looked(root="stack", scan=scan, places=PLACES, run=run)
    return Evidence(**{"looked": (looked,), "today": TODAY, "built_in": (ENCRYPTED,) if run else (), **over})


def reported(evidence: Evidence, warning: str = "") -> Report:
    """Return the report of an environment."""
    return report.of(evidence, Subject(name="production", ground="A plan against what stands", warning=warning))


def wrong() -> PlanFile:
    """Return a plan with a grave finding: LB_RDS_1 on aws_db_instance.this."""
    return database(backup_retention_period=1)
