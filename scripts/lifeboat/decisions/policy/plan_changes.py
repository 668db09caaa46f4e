"""Rules on the plan itself: checks that fail, and copies that it would delete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifeboat.decisions import plans
from lifeboat.decisions.policy import controls
from lifeboat.decisions.policy.coverage import BACKUP_TYPES
from lifeboat.decisions.policy.exposure import SHARED
from lifeboat.decisions.policy.keys import HOLDERS, KEYS
from lifeboat.decisions.policy.planned import Awaited, Change
from lifeboat.decisions.policy.rule import Fault, PlanCase, PlanRule, RuleId, Severity
from lifeboat.model import Address

# What `lifeboat apply` itself refuses to lose, and what other rules know of. Instances are replaced in every recovery.
_NOT_COPIES = ("aws_instance", "aws_route53_zone")
_IS_DATA, _IS_COPY = "its data goes with it", "it is a copy, or holds copies"
_MORE = {
    "aws_rds_cluster": "it is the database",
    "aws_rds_global_cluster": "it is the database in more than one region",
    "aws_docdb_global_cluster": "it is the database in more than one region",
    "aws_neptune_global_cluster": "it is the database in more than one region",
    "aws_efs_file_system": "its files go with it",
    "aws_db_snapshot": "it is a copy of the database",
    "aws_db_cluster_snapshot": "it is a copy of the database",
    "aws_db_snapshot_copy": "it is a copy of the database",
    "aws_rds_cluster_snapshot_copy": "it is a copy of the database",
    "aws_docdb_cluster_snapshot": "it is a copy of the database",
    "aws_neptune_cluster_snapshot": "it is a copy of the database",
    "aws_ebs_snapshot": "it is a copy of a volume",
    "aws_ebs_snapshot_copy": "it is a copy of a volume",
    "aws_ami": "instances are recovered from it",
    "aws_ami_copy": "instances are recovered from it",
    "aws_ami_from_instance": "instances are recovered from it",
    "aws_backup_logically_air_gapped_vault": "it holds recovery points",
    "aws_fsx_backup": "it is a copy of a file system",
    "aws_fsx_lustre_file_system": _IS_DATA,
    "aws_fsx_ontap_file_system": _IS_DATA,
    "aws_fsx_ontap_volume": _IS_DATA,
    "aws_fsx_openzfs_file_system": _IS_DATA,
    "aws_fsx_openzfs_volume": _IS_DATA,
    "aws_fsx_openzfs_snapshot": "it is a copy of a volume",
    "aws_fsx_windows_file_system": _IS_DATA,
}
_HOLDS = {
    kind: why
    for kind, why in {
        **dict.fromkeys(BACKUP_TYPES, _IS_DATA),
        **dict.fromkeys((*HOLDERS, *SHARED), _IS_COPY),
        **dict.fromkeys(KEYS, plans.PROTECTED["aws_kms_key"]),
        **plans.PROTECTED,
        **plans.HOLDS_DATA,
        **_MORE,
    }.items()
    if kind not in _NOT_COPIES
}
_SCHEDULES = ("aws_scheduler_schedule", "aws_cloudwatch_event_rule")
# Whoever makes copies is as good when it is made anew, and these hold nothing.
_MAKES = {
    "aws_backup_selection": "what it selects is copied no more",
    **dict.fromkeys(_SCHEDULES, "it makes the dumps"),
}


def _checks(case: PlanCase) -> Sequence[Address]:
    return [Address(check.name) for check in case.plan.checks]


def _failing(case: PlanCase) -> Iterable[Fault]:
    waiting = [check for check in case.plan.checks if check.kind == "check" and check.status == "unknown"]
    for check in case.plan.checks:
        if check.status in ("fail", "error"):
            # Its words are the author's and may hold any value: Terraform hides only what is marked as sensitive.
            found = "the check fails" if check.status == "fail" else "the check cannot be made: it ends with an error"
            yield Fault(address=Address(check.name), found=found, wanted="a check that passes")
    if waiting:
        # Conditions and validations stop the apply; of a check block it only warns.
        raise Awaited(f"{waiting[0].name}: whether the check passes is known only after the apply")


def _changes(case: PlanCase) -> Sequence[Address]:
    return [change.address for change in case.plan.changes]


def _losing(case: PlanCase) -> Iterable[Fault]:
    for change in case.plan.changes:
        replaced = "create" in change.actions
        if change.loses and change.type in _HOLDS:
            yield Fault(
                address=change.address,
                found=f"the plan {'replaces' if replaced else 'deletes'} it: {_HOLDS[change.type]}",
                wanted="a plan that keeps it",
            )
        elif change.loses and not replaced and _makes_copies(change):
            # Whether anything is then left without copies is what LB_COV_1 asks.
            yield Fault(
                address=change.address,
                found=f"the plan deletes it: {_MAKES[change.type]}",
                wanted="a plan that keeps it",
                severity=Severity.MEDIUM if change.type == "aws_backup_selection" else None,
            )


def _makes_copies(change: Change) -> bool:
    texts = (change.address, change.before.get("name"), change.before.get("description"))
    return change.type in _MAKES and (
        change.type not in _SCHEDULES or any("dump" in text.lower() for text in texts if isinstance(text, str))
    )


RULES = (
    PlanRule(
        id=RuleId("LB_TF_1"),
        severity=Severity.HIGH,
        title="No check of the configuration fails",
        why="Terraform only warns of a failing check block and ends with 0.",
        change="Mend what the check says: terraform plan prints it. A report does not, since it may hold a secret.",
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
        types=tuple(sorted({*_HOLDS, *_MAKES})),
        present=_changes,
        judge=_losing,
        controls=(
            *controls.nist("CP-9(d)", "CM-3"),
            *controls.fsbp("KMS.3"),  # Terraform deletes a key by scheduling its deletion
            *controls.config("KMS_CMK_NOT_SCHEDULED_FOR_DELETION"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.13"),
        ),
    ),
)
