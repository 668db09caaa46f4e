"""One plan, and what one rule says of it."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.decisions.policy.rule import Verdict

from tests.policies.plans import PlanFile


@dataclass(frozen=True, kw_only=True)
class RuleCase:
    """A plan with the verdict of a rule; `found` are the words of its findings, or of what it could not judge."""

    rule: str
    what: str
    plan: PlanFile
    verdict: Verdict
    found: tuple[str, ...]

    @property
    def id(self) -> str:
        """Return the name of the test."""
        return f"{self.rule}: {self.what}"


def clean(rule: str, what: str, plan: PlanFile) -> RuleCase:
    """Return a plan in which a rule finds nothing wrong."""
    return RuleCase(rule=rule, what=what, plan=plan, verdict=Verdict.CLEAN, found=())


def bad(rule: str, what: str, plan: PlanFile, *found: str) -> RuleCase:
    """Return a plan in which a rule finds exactly this."""
    return RuleCase(rule=rule, what=what, plan=plan, verdict=Verdict.FINDINGS, found=found)


def absent(rule: str, what: str, plan: PlanFile) -> RuleCase:
    """Return a plan that holds nothing that a rule is about."""
    return RuleCase(rule=rule, what=what, plan=plan, verdict=Verdict.ABSENT, found=())


def undecided(rule: str, what: str, plan: PlanFile, *why: str) -> RuleCase:
    """Return a plan that does not tell what a rule asks."""
    return RuleCase(rule=rule, what=what, plan=plan, verdict=Verdict.UNDECIDED, found=why)
