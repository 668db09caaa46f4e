"""The rule on what keeps a database from being deleted by mistake."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.decisions.policy import controls
from lifeboat.decisions.policy.databases import CLUSTERS, DATABASES, is_source
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity


def _is_to_stay(case: Case) -> bool:
    return not case.parameters.disposable and is_source(case)


def _protected(case: Case) -> Iterable[Fault]:
    if not case.resource.body.flag("deletion_protection"):
        yield Fault(found="nothing protects it from being deleted", wanted="deletion_protection = true")


RULES = (
    Rule(
        id=RuleId("LB_RDS_7"),
        severity=Severity.HIGH,
        title="A database is not deleted by mistake",
        why="Without the protection one call deletes it, and every night of recovery begins with that one call.",
        change="Set deletion_protection = true, and lift it only in the apply before the one that takes the database out.",
        types=(*DATABASES, *CLUSTERS),
        among=_is_to_stay,
        judge=_protected,
        controls=(
            *controls.well_architected("REL09-BP02"),
            *controls.nist("CP-9(d)", "CP-2(5)"),
            *controls.fsbp("RDS.7", "RDS.8", "DocumentDB.5", "Neptune.4"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.13"),
        ),
    ),
)
