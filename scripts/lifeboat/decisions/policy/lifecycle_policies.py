"""Rules on the lifecycle policies of EBS (DLM): how often, for how long, and where the copies go."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.decisions.policy import arns, controls, frequency
from lifeboat.decisions.policy.frequency import FOR_EVER, Run
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Resource, Undecided
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity
from lifeboat.decisions.policy.schedules import NEVER

_TYPES = ("aws_dlm_lifecycle_policy",)


def _by_the_clock(case: Case) -> bool:
    details = case.resource.body.block("policy_details")
    return details is not None and details.text("policy_type") != "EVENT_BASED_POLICY"


def _often(case: Case) -> Iterable[Fault]:
    if not frequency.enabled(case.resource):
        yield Fault(found="the policy is disabled", wanted='state = "ENABLED"')
    rpo, runs = case.parameters.rpo, frequency.of_policy(case.resource)
    if any(frequency.meets(run, rpo) for run in runs) or frequency.others_meet(case.plan, case.resource, rpo):
        return
    most = min(runs, key=lambda run: run.gap, default=None)
    found = "the policy has no schedule" if most is None else f"its most frequent schedule {frequency.apart(most.gap)}"
    yield Fault(found=found, wanted=f"a schedule that runs at least every {words(rpo)}")


def _kept(case: Case) -> Iterable[Fault]:
    wanted, runs = case.parameters.min_backup, frequency.of_policy(case.resource)
    often = frequency.often_enough(runs, case.parameters.rpo)
    if often and all(run.kept < wanted for run in often):
        longest = max(often, key=lambda run: run.kept)
        yield Fault(found=f"its copies are kept for {words(longest.kept)}", wanted=f"at least {words(wanted)}")
    if case.resource.body.text("default_policy") is None:
        yield from _copied(case, runs)


def _copied(case: Case, runs: list[Run]) -> Iterable[Fault]:
    for run in runs:
        if not run.block.flag("copy_tags"):
            yield Fault(
                found=f"{run.block.where} copies no tags",
                wanted="copy_tags = true, or nobody can tell whose copy it is",
            )
        for copy in run.block.blocks("cross_region_copy_rule"):
            if copy.flag("encrypted") is False:
                yield Fault(found=f"{copy.where} is not encrypted", wanted="encrypted = true")
            lasts = run.gap == NEVER or frequency.retained(copy, run.gap) >= run.gap * 2
            if not lasts and run.kept != FOR_EVER:
                yield Fault(
                    found=f"{copy.where} is gone before the next two are made", wanted="a retention of two runs or more"
                )
    often = frequency.often_enough(runs, case.parameters.rpo)
    if often and not any(_leaves(case.resource, run) for run in often):
        yield Fault(found="its copies stay in this region", wanted="a cross_region_copy_rule of the frequent schedule")


def _leaves(policy: Resource, run: Run) -> bool:
    """Return whether a schedule copies into another region. Raises Undecided."""
    doubt: Undecided | None = None
    for copy in run.block.blocks("cross_region_copy_rule"):
        target = copy.text("target") or copy.text("target_region")
        region = arns.region_of(target or "") or target
        if region is None or policy.region is None:
            doubt = policy.doubt_of_region(f"{copy.where}: whether it is in another region is not in the plan")
        elif region != policy.region:
            return True
    if doubt is not None:
        raise doubt
    return False


RULES = (
    Rule(
        id=RuleId("LB_DLM_1"),
        severity=Severity.HIGH,
        title="A lifecycle policy is enabled, and runs at least once in the recovery point objective",
        why="What is written after the last snapshot is lost, and a disabled policy takes none without telling anybody.",
        change='Set state = "ENABLED" and an interval, or a cron_expression, that runs often enough.',
        types=_TYPES,
        among=_by_the_clock,
        judge=_often,
        controls=(
            *controls.well_architected("REL09-BP03"),
            *controls.nist("CP-9"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_DLM_2"),
        severity=Severity.MEDIUM,
        title="Snapshots are kept long enough, bear tags, and are copied encrypted to another region",
        why="A snapshot that is gone too early, or is only where the volume was, does not help when it is needed.",
        change="Raise the retain_rule, set copy_tags = true, and add a cross_region_copy_rule with encrypted = true.",
        types=_TYPES,
        among=_by_the_clock,
        judge=_kept,
        controls=(
            *controls.well_architected("REL09-BP02", "REL13-BP02"),
            *controls.nist("CP-6(1)", "CP-9(8)"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.14"),
        ),
    ),
)
