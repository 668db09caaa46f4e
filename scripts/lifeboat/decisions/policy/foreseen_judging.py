"""What the rules say of a configuration that nobody has planned: only what it surely tells; of all else they abstain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lifeboat.decisions.policy import judging
from lifeboat.decisions.policy import parameters as measures
from lifeboat.decisions.policy.foreseen import Foreseen
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.planned import Resource
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.rule import AnyRule, Case, Finding, Outcome, PlanRule, Rule, Verdict
from lifeboat.errors import ScanNotValid
from lifeboat.model import Address

# Rules that ask for what no configuration holds, and why.
ONLY_PLAN: Mapping[str, str] = {
    "LB_TF_1": "what comes of checks and conditions is in a plan alone",
    "LB_TF_2": "what is deleted and replaced is in a plan alone",
    "LB_REC_2": "whether an instance keeps its old image is in a plan alone",
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one rule says of one resource, or of the whole where `address` is None; `why` it abstains, where it does."""

    rule: AnyRule
    address: Address | None
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    why: str = ""


def judged(foreseen: Foreseen, rules: Iterable[AnyRule] = RULES) -> tuple[Judged, ...]:
    """Return what each rule says of each resource that it is about."""
    foreseen.watch.forget()
    try:
        parameters = measures.of(foreseen.plan.variables)
        unmeasured = "; ".join(foreseen.watch.asked)
    except ScanNotValid as wrong:
        parameters, unmeasured = Parameters(), wrong.summary
    found = [one for rule in rules for one in _of(rule, foreseen, parameters)]
    if unmeasured:
        return tuple(_abstained(one, f"the objectives are not known: {unmeasured}") for one in found)
    return tuple(found)


def _of(rule: AnyRule, foreseen: Foreseen, parameters: Parameters) -> Iterator[Judged]:
    if isinstance(rule, PlanRule):
        foreseen.plan.worked_out.clear()
        foreseen.watch.forget()
        outcome = judging.outcome(rule, foreseen.plan, parameters)
        yield _judged(rule, None, outcome, foreseen)
        return
    for resource in foreseen.plan.resources:
        if resource.type in rule.types:
            foreseen.plan.worked_out.clear()  # what was worked out for another resource was looked at for that one
            outcome = judging.outcome(_narrowed(rule, resource, foreseen), foreseen.plan, parameters)
            yield _judged(rule, resource.address, outcome, foreseen)


def _narrowed(rule: Rule, resource: Resource, foreseen: Foreseen) -> Rule:
    """Return the rule as one about a single resource, watched from the moment that it is asked about it."""

    def among(case: Case) -> bool:
        if case.resource.address != resource.address:
            return False
        foreseen.watch.forget()
        return rule.among(case)

    return replace(rule, among=among)


def _judged(rule: AnyRule, address: Address | None, outcome: Outcome, foreseen: Foreseen) -> Judged:
    found = Judged(rule=rule, address=address, verdict=outcome.verdict, findings=outcome.findings)
    if address in foreseen.doubtful:
        return _abstained(found, "nobody can tell how many of it there will be, if any")
    if rule.id in ONLY_PLAN:
        return _abstained(found, ONLY_PLAN[rule.id])
    if foreseen.watch.asked:
        return _abstained(found, f"{foreseen.watch.asked[0]} cannot be told without a plan")
    if outcome.verdict is Verdict.UNDECIDED:
        return _abstained(found, outcome.unjudged[0].why)
    return found


def _abstained(judged: Judged, why: str) -> Judged:
    return replace(judged, verdict=Verdict.UNDECIDED, findings=(), why=why)
