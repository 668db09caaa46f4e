"""The checks of what is under way or was left: runs, a recovery file that is not committed, drift, leftovers of drills."""

from __future__ import annotations

from lifeboat.decisions.durations import said
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, old, once, once_without
from lifeboat.status_model import Asset, Weight

_SHOWN = 5
# What looking for it calls (clients/drill_things.py): by their mark in both regions, and each that a ledger names.
LOOKS_FOR_LEAKS = (
    "s3:ListBucket",
    "s3:GetObject",
    "s3:GetObjectTagging",
    "dynamodb:GetItem",
    "rds:DescribeDBInstances",
    "ec2:DescribeInstances",
    "ec2:DescribeVolumes",
    "secretsmanager:ListSecrets",
    "secretsmanager:DescribeSecret",
    "sqs:ListQueues",
    "sqs:GetQueueUrl",
    "sqs:ListQueueTags",
)


def _open(case: Case) -> Outcome:
    runs = case.facts.open_runs.value or ()
    if runs:
        return Bad(
            found=f"{len(runs)} recover{'y is' if len(runs) == 1 else 'ies are'} not finished: {', '.join(runs[:_SHOWN])}",
            wanted="each ended: what it began is nobody else's to end",
            command=f"lifeboat resume {runs[-1]} goes on with it; lifeboat abort {runs[-1]} gives it up",
        )
    return Good(says="no run is open")


def _leaks(case: Case) -> Outcome:
    left = case.facts.leaks.value or ()
    if left:
        shown = ", ".join(f"{one.kind} {one.id} in {one.region}" for one in left[:_SHOWN])
        more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        return Bad(
            found=f"drills left {len(left)} thing{'' if len(left) == 1 else 's'}: {shown}{more}",
            wanted="nothing that costs money",
            command="lifeboat sweep",
        )
    return Good(says="nothing is left")


def _file(case: Case) -> Outcome:
    found = case.facts.recovery_file.value
    if found is None:
        return Good(says="there is none, and none is needed")
    if found.disagrees:
        return Bad(
            found=found.disagrees,
            wanted="the recovery file that Terraform's state agrees with",
            command="lifeboat recovery-file, which writes it as it must be; then commit it",
        )
    if found.exists and found.uncommitted:
        return Bad(
            found="the recovery file of this checkout is not committed",
            wanted="committed: the next apply from another checkout would go back behind the recovery",
            command="git add environments/*.recovery.tfvars.json && git commit",
        )
    return Good(says="committed" if found.exists else "there is none, and none is needed")


def _drift(case: Case) -> Outcome:
    found, limit = case.facts.last_plan.value, case.limits.plan
    if found is None:
        return Bad(
            found="nobody has written down what a plan found",
            wanted=f"a plan without changes within {said(limit)}",
            command="lifeboat plan",
        )
    if found.changes:
        return Bad(
            found=f"the last {found.by}, {old(case, found.at)} ago, found {found.summary}",
            wanted="no changes: what is there is what the files say",
            command="lifeboat plan shows them, lifeboat apply makes them",
        )
    if case.now - found.at > limit:
        return Bad(
            found=f"the last {found.by} that found no changes is {old(case, found.at)} old",
            wanted=f"one within {said(limit)}",
            command="lifeboat plan",
        )
    return Good(says=f"no changes {old(case, found.at)} ago ({found.by})")


CHECKS = (
    Check(
        id="runs.open",
        asset=Asset.RUNS,
        weight=Weight.PROTECTION,
        title="No recovery is open",
        why="What it has changed is half done, and everybody else is kept from changing anything.",
        act="`lifeboat resume RUN` goes on with it, `lifeboat abort RUN` gives it up.",
        asks=("s3:ListBucket", "s3:GetObject"),
        subjects=once,
        judge=_open,
        on_missing_stack=once_without,
    ),
    Check(
        id="runs.leaks",
        asset=Asset.RUNS,
        weight=Weight.LEAK,
        title="No drill left anything behind",
        why="It costs money every hour, and a copy of production lies where nobody looks after it.",
        act="`lifeboat sweep` shows what is left, asks, and takes it away.",
        asks=LOOKS_FOR_LEAKS,
        subjects=once,
        judge=_leaks,
        on_missing_stack=once_without,
    ),
    Check(
        id="runs.recovery-file",
        asset=Asset.RUNS,
        weight=Weight.PROTECTION,
        title="What a recovery chose is committed",
        why="The next apply from another checkout, the pipeline's for one, would undo the recovery.",
        act="`lifeboat recovery-file` writes it; commit it.",
        asks=("s3:GetObject",),
        subjects=once,
        judge=_file,
        on_missing_stack=once_without,
    ),
    Check(
        id="runs.drift",
        asset=Asset.RUNS,
        weight=Weight.PROTECTION,
        title="The last plan or apply found that the stack is what its files say, not long ago",
        why="What somebody changed by hand is what the next recovery trips over.",
        act="`lifeboat plan` shows it; the pipeline should do so on a schedule.",
        asks=("s3:GetObject",),
        subjects=once,
        judge=_drift,
        on_missing_stack=once_without,
    ),
)
