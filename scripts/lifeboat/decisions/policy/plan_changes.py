"""Rules on the plan itself: checks that fail, and copies that it would delete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifeboat.decisions import plans
from lifeboat.decisions.policy import controls
from lifeboat.decisions.policy.planned import Awaited
from lifeboat.decisions.policy.rule import Fault, PlanCase, PlanRule, RuleId, Severity
from lifeboat.model import Address

# What `lifeboat apply` itself refuses to lose, and what holds copies beside it. Instances are replaced in every recovery.
_NOT_COPIES = ("aws_instance", "aws_route53_zone")
_MORE = {
    "aws_rds_cluster": "it is the database",
    "aws_efs_file_system": "its files go with it",
    "aws_db_snapshot": "it is a copy of the database",
    "aws_db_cluster_snapshot": "it is a copy of the database",
    "aws_db_snapshot_copy": "it is a copy of the database",
    "aws_ebs_snapshot": "it is a copy of a volume",
    "aws_ebs_snapshot_copy": "it is a copy of a volume",
    "aws_ami": "instances are recovered from it",
    "aws_ami_copy": "instances are recovered from it",
    "aws_ami_from_instance": "instances are recovered from it",
    "aws_backup_logically_air_gapped_vault": "it holds recovery points",
}
_HOLDS = {
    kind: why for kind, why in {**plans.PROTECTED, **plans.HOLDS_DATA, **_MORE}.items() if kind not in _NOT_COPIES
}


def _checks(case: PlanCase) -> Sequence[Address]:
    return [Address(check.name) for check in case.plan.checks]


def _failing(case: PlanCase) -> Iterable[Fault]:
    waiting = [check for check in case.plan.checks if check.kind == "check" and check.status == "unknown"]
    for check in case.plan.checks:
        if check.status in ("fail", "error"):
            said = "; ".join(check.problems) or "Terraform says no more"
            # The words are the author's; Terraform leaves sensitive values out of them.
            yield Fault(address=Address(check.name), found=f"the check fails: {said}", wanted="a check that passes")
    if waiting:
        # Conditions and validations stop the apply; of a check block it only warns.
        raise Awaited(f"{waiting[0].name}: whether the check passes is known only after the apply")


def _changes(case: PlanCase) -> Sequence[Address]:
    return [change.address for change in case.plan.changes]


def _losing(case: PlanCase) -> Iterable[Fault]:
    for change in case.plan.changes:
        if change.loses and change.type in _HOLDS:
            done = "replaces" if "create" in change.actions else "deletes"
            yield Fault(
                address=change.address,
                found=f"the plan {done} it: {_HOLDS[change.type]}",
                wanted="a plan that keeps it",
            )


RULES = (
    PlanRule(
        id=RuleId("LB_TF_1"),
        severity=Severity.HIGH,
        title="No check of the configuration fails",
        why="Terraform only warns of a failing check block and ends with 0.",
        change="Mend what the check says.",
        types=(),
        present=_checks,
        judge=_failing,
        controls=(*controls.well_architected("REL13-BP04"),),
    ),
    PlanRule(
        id=RuleId("LB_TF_2"),
        severity=Severity.CRITICAL,
        title="The plan deletes and replaces nothing that is, holds or makes copies",
        why="What a plan deletes is gone before anybody reads the plan a second time.",
        change="Keep it: prevent_destroy, a moved block for a new name, or a removed block with destroy = false.",
        types=tuple(sorted(_HOLDS)),
        present=_changes,
        judge=_losing,
        controls=(*controls.nist("CP-9(d)", "CM-3"), *controls.soc2("A1.2"), *controls.iso("A.8.13")),
    ),
)
