"""What the rules cover: controls of other standards, checks of other tools, and which of it was judged on a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifeboat.decisions.policy.controls import Framework
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.rule import AnyRule, Outcome, RuleId, Scan, Verdict


@dataclass(frozen=True, kw_only=True)
class RuleCoverage:
    """One rule, and how it ended on a plan: None where no plan was judged. `judged` counts what it was asked about."""

    rule: AnyRule
    verdict: Verdict | None = None
    judged: int = 0


@dataclass(frozen=True, kw_only=True)
class ControlCoverage:
    """A control and the rules that answer to it. `sourced`: a source assigns it to one of them; else the choice is ours."""

    framework: Framework
    name: str
    sourced: bool
    rules: tuple[RuleId, ...]
    verdict: Verdict | None = None  # the worst of theirs on a plan


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """A check that checkov brings, the rule that looks at the same thing, and what the check does not see of it."""

    check: str
    title: str
    rule: RuleId
    blind_to: str


@dataclass(frozen=True, kw_only=True)
class Covered:
    """Everything that the rules cover."""

    rules: tuple[RuleCoverage, ...]
    controls: tuple[ControlCoverage, ...]
    replaced: tuple[Replaced, ...]


# Worst first: what could not be judged is worse than what is not there, and better than what is wrong.
_WORST = (Verdict.FINDINGS, Verdict.UNDECIDED, Verdict.CLEAN, Verdict.ABSENT)


def _replaced(check: str, title: str, rule: str, blind_to: str) -> Replaced:
    return Replaced(check=check, title=title, rule=RuleId(rule), blind_to=blind_to)


# Read in the source of checkov 3.3.30.
REPLACED = (
    _replaced("CKV_AWS_133", "RDS has a backup policy", "LB_RDS_1", "passes for one day, and where nothing is set"),
    _replaced(
        "CKV_AWS_293",
        "RDS instances are protected from deletion",
        "LB_RDS_7",
        "reads an expression without its parentheses",
    ),
    _replaced(
        "CKV_AWS_139",
        "RDS clusters are protected from deletion",
        "LB_RDS_7",
        "reads an expression without its parentheses",
    ),
    _replaced(
        "CKV2_AWS_8", "RDS clusters are in a backup plan", "LB_COV_1", "sees direct references only, and no instance"
    ),
    _replaced("CKV2_AWS_9", "EBS volumes are in a backup plan", "LB_COV_1", "sees no tags and no lifecycle policy"),
    _replaced("CKV2_AWS_18", "EFS is in a backup plan", "LB_COV_1", "sees direct references only"),
    _replaced(
        "CKV_AWS_166", "Backup vaults have a key of one's own", "LB_ENC_1", "fails in a plan that makes the key as well"
    ),
    _replaced(
        "CKV_AWS_28", "DynamoDB keeps point-in-time backups", "LB_STATE_2", "does not ask for deletion protection"
    ),
    _replaced(
        "CKV_AWS_143", "S3 has an object lock", "LB_DUMP_2", "knows only the block that the provider gave up in 4.0"
    ),
    _replaced("CKV2_AWS_61", "S3 has a lifecycle", "LB_DUMP_1", "does not look at days"),
    _replaced("CKV_AWS_255", "Copies of snapshots are encrypted", "LB_DLM_2", "passes where nothing is copied"),
    _replaced("CKV_AWS_319", "Alarms have their actions enabled", "LB_ALARM_1", "passes without any action"),
    _replaced("CKV_AWS_379", "S3 transport is secure", "LB_DUMP_2", "asks for it only where an access list is public"),
    _replaced("CKV_AWS_7", "KMS keys are rotated", "LB_ENC_2", "does not look at how soon a key can be gone"),
)


def covered(scan: Scan | None = None, rules: Sequence[AnyRule] = RULES) -> Covered:
    """Return what the rules cover, with how each ended on a plan where one was judged."""
    outcomes = {} if scan is None else {one.rule.id: one for one in scan.outcomes}
    controls: dict[tuple[Framework, str], list[tuple[AnyRule, bool]]] = {}
    for rule in rules:
        for control in rule.controls:
            controls.setdefault((control.framework, control.name), []).append((rule, control.sourced))
    order = list(Framework)
    return Covered(
        rules=tuple(_rule(rule, outcomes.get(rule.id)) for rule in rules),
        controls=tuple(
            ControlCoverage(
                framework=framework,
                name=name,
                sourced=any(sourced for _, sourced in answering),
                rules=tuple(rule.id for rule, _ in answering),
                verdict=_worst([outcomes[rule.id].verdict for rule, _ in answering if rule.id in outcomes]),
            )
            for (framework, name), answering in sorted(
                controls.items(), key=lambda one: (order.index(one[0][0]), one[0][1])
            )
        ),
        replaced=REPLACED,
    )


def _rule(rule: AnyRule, outcome: Outcome | None) -> RuleCoverage:
    if outcome is None:
        return RuleCoverage(rule=rule)
    return RuleCoverage(rule=rule, verdict=outcome.verdict, judged=len(outcome.judged))


def _worst(verdicts: Sequence[Verdict]) -> Verdict | None:
    return min(verdicts, key=_WORST.index, default=None)
