"""The checks of where we look: the account that it is, and a clock that all ages are told by."""

from __future__ import annotations

from lifeboat.decisions.durations import said
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, once, once_without
from lifeboat.status_model import Asset, Weight


def _account(case: Case) -> Outcome:
    found, wanted = case.facts.account.value, case.limits.account_id
    if found != wanted:
        return Bad(
            found=f"signed in to the account {found}",
            wanted=f"the account {wanted}, where this environment is",
            command=f"sign in to {wanted} (aws sts get-caller-identity shows where one is)",
        )
    return Good(says=f"account {found}")


def _clock(case: Case) -> Outcome:
    skew = case.facts.skew.value
    assert skew is not None
    if abs(skew) > case.limits.skew:
        return Bad(
            found=f"this machine's clock is {said(abs(skew))} {'ahead of' if skew.total_seconds() > 0 else 'behind'} AWS's",
            wanted=f"within {said(case.limits.skew)}: every age here is told by it",
            command="timedatectl, and set the clock; AWS refuses what is signed 5 minutes off",
        )
    return Good(says=f"{abs(skew.total_seconds()):.0f} s from AWS's clock")


def _stack(case: Case) -> Outcome:
    stack = case.stack
    told = (stack.recovery.application, stack.recovery.account_id, stack.recovery.region, stack.recovery.dr_region)
    meant = (case.limits.application, case.limits.account_id, case.limits.region, case.limits.dr_region)
    if told != meant:
        return Bad(
            found=f"the stack's output is of {' '.join(told)}",
            wanted=f"{' '.join(meant)}, as the environment's file says",
            command="lifeboat state doctor",
        )
    if not stack.resources:
        return Bad(
            found="Terraform's state knows no resource: what must be there is not known",
            wanted="the resources that were applied",
            command="lifeboat plan, then: lifeboat state doctor",
        )
    return Good(says=f"{len(stack.resources)} resources")


CHECKS = (
    Check(
        id="environment.account",
        asset=Asset.ENVIRONMENT,
        weight=Weight.INTEGRITY,
        title="We look into the account that this environment is in",
        why="In another account there is nothing, and an empty list looks like peace.",
        act="Sign in to the account that `environments/<env>.toml` names.",
        asks=("sts:GetCallerIdentity",),
        subjects=once,
        judge=_account,
        on_missing_stack=once_without,
    ),
    Check(
        id="environment.clock",
        asset=Asset.ENVIRONMENT,
        weight=Weight.INTEGRITY,
        title="This machine's clock agrees with AWS's",
        why="Ages are told by it: a clock that is an hour behind makes an old copy young.",
        act="Set the clock; `timedatectl` shows whether something keeps it.",
        asks=("sts:GetCallerIdentity",),
        subjects=once,
        judge=_clock,
        on_missing_stack=once_without,
    ),
    Check(
        id="environment.stack",
        asset=Asset.ENVIRONMENT,
        weight=Weight.INTEGRITY,
        title="What Terraform built is known: what must be checked follows from it",
        why="Without it nobody can tell an alarm that was deleted from one that never was.",
        act="`lifeboat state doctor` says what became of the state, `lifeboat state restore` brings it back.",
        asks=("s3:GetObject",),
        subjects=once,
        judge=_stack,
    ),
)
