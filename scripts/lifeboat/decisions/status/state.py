"""The checks of Terraform's state: each that the state doctor makes, as it came out there."""

from __future__ import annotations

from lifeboat.decisions import state_doctor, state_mending
from lifeboat.decisions.state_doctor import Diagnosis
from lifeboat.decisions.state_verdicts import Severity, Standing
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, once, once_without
from lifeboat.errors import NotSeen
from lifeboat.state_model import StateRoot
from lifeboat.status_model import Asset, Limits, Stack, StateCheck, Weight


def names() -> tuple[str, ...]:
    """Return the names of all checks of the doctor, of both roots: they hang on nothing that answers."""
    roots = [f"{root.value} {name}" for root in StateRoot for name in state_doctor.OF_A_ROOT]
    return (*state_doctor.SHARED, *roots)


def of_doctor(diagnosis: Diagnosis) -> dict[str, StateCheck]:
    """Return what the doctor found, by the name of the check.

    What somebody is at work on, and lives, is neither sound nor damaged: nobody can tell before that has ended.
    """
    found: dict[str, StateCheck] = {}
    for verdict in diagnosis.verdicts:
        name = verdict.check if verdict.root is None else f"{verdict.root.value} {verdict.check}"
        amiss = verdict.finding
        working = amiss is not None and amiss.severity is Severity.NOTICE and amiss.command == state_mending.AGAIN
        found[name] = StateCheck(
            name=name,
            says=verdict.says,
            finding="" if amiss is None else amiss.found,
            wanted="" if amiss is None else amiss.wanted,
            command="" if amiss is None else amiss.command,
            unseen=working or verdict.standing is Standing.UNSEEN,
        )
    return found


def _subjects(_stack: Stack) -> tuple[str, ...]:
    return names()


def _subjects_without(_limits: Limits) -> tuple[str, ...]:
    return names()


def _judge(case: Case) -> Outcome:
    found = case.facts.state.get(case.subject)
    if found is None:
        raise NotSeen(f"nothing looked at {case.subject}", call="s3:GetObject")
    if found.unseen:
        raise NotSeen(found.says, call="s3:ListBucketVersions")
    if found.finding:
        return Bad(found=found.finding, wanted=found.wanted, command=found.command)
    return Good(says=found.says)


def _table(case: Case) -> Outcome:
    status = case.facts.table_recovery.value
    if status != "ENABLED":
        return Bad(
            found="point-in-time recovery of the lock table is off" if status else "there is no lock table",
            wanted="point-in-time recovery, so that digests and the lease can be brought back",
            command="lifeboat apply, which sets it again",
        )
    return Good(says="point-in-time recovery is on")


CHECKS = (
    Check(
        id="state.sound",
        asset=Asset.STATE,
        weight=Weight.INTEGRITY,
        title="Terraform's state is what it was, and its copy in the other region too",
        why="Without it a recovery cannot tell what is there, and a plan would build everything a second time.",
        act="`lifeboat state doctor` shows each finding with the command that repairs it.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion", "dynamodb:GetItem", "dynamodb:DescribeTable"),
        subjects=_subjects,
        judge=_judge,
        on_missing_stack=_subjects_without,
    ),
    Check(
        id="state.table-recovery",
        asset=Asset.STATE,
        weight=Weight.PROTECTION,
        title="The lock table can be restored to any second of the last 35 days",
        why="It holds the digest that Terraform checks its state by: with a wrong one nothing can be applied.",
        act="`lifeboat apply` sets it again.",
        asks=("dynamodb:DescribeContinuousBackups",),
        subjects=once,
        judge=_table,
        on_missing_stack=once_without,
    ),
)
