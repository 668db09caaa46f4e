"""Every rule asked about a plan: what it found, and what it could not tell, which is never taken for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lifeboat.decisions.policy import parameters as measures
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.planned import Awaited, Impossible, Planned, Undecided
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.rule import (
    AnyRule,
    Case,
    Fault,
    Finding,
    Outcome,
    PlanCase,
    PlanRule,
    Rule,
    Scan,
    Standing,
    Unjudged,
)
from lifeboat.model import Address

# What code raises that meets a document of a shape that it does not expect. It is told as what could not be judged.
CRASHES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
WHOLE_PLAN = Address("the plan")


def scanned(plan: Planned, rules: Sequence[AnyRule] = RULES, standing: Standing = Standing.BUILT) -> Scan:
    """Return what each rule says of a plan, in the order of the rules. Raises ScanNotValid for wrong objectives.

    What could not be judged makes the scan not valid. Where the environment is only to be built, what its first apply will
    tell of what it makes is put off instead.
    """
    found = measures.of(plan.variables)
    outcomes = tuple(outcome(rule, plan, found) for rule in rules)
    made = {change.address for change in plan.changes if change.actions == ("create",)} | {WHOLE_PLAN}
    put_off: list[str] = []
    not_valid: list[str] = []
    if not plan.complete:
        not_valid.append(
            "the plan is not complete (made with -target, or with changes put off): what it leaves out was not judged"
        )
    for one in outcomes:
        for unjudged in one.unjudged:
            may_wait = standing is Standing.TO_BUILD and unjudged.awaited and unjudged.address in made
            (put_off if may_wait else not_valid).append(f"{one.rule.id} on {unjudged.address}: {unjudged.why}")
    return Scan(plan=plan, parameters=found, outcomes=outcomes, not_valid=tuple(not_valid), put_off=tuple(put_off))


def outcome(rule: AnyRule, plan: Planned, parameters: Parameters) -> Outcome:
    """Return how one rule ends for a plan."""
    return _of_plan(rule, plan, parameters) if isinstance(rule, PlanRule) else _of_each(rule, plan, parameters)


def _of_each(rule: Rule, plan: Planned, parameters: Parameters) -> Outcome:
    judged: list[Address] = []
    findings: list[Finding] = []
    unjudged: list[Unjudged] = []
    for resource in plan.of(*rule.types):
        case = Case(resource=resource, plan=plan, parameters=parameters)
        about: list[bool] = []

        def faults(case: Case = case, about: list[bool] = about) -> Iterable[Fault]:
            about.append(rule.among(case))
            return rule.judge(case) if about[0] else ()

        found, cannot = _asked(faults)
        if about == [False]:
            continue
        judged.append(resource.address)
        findings += [_finding(rule, resource.address, fault) for fault in found]
        unjudged += _unjudged(resource.address, cannot)
    return Outcome(rule=rule, judged=tuple(judged), findings=tuple(findings), unjudged=tuple(unjudged))


def _of_plan(rule: PlanRule, plan: Planned, parameters: Parameters) -> Outcome:
    case = PlanCase(plan=plan, parameters=parameters)
    about: list[Address] = []

    def faults() -> Iterable[Fault]:
        about.extend(rule.present(case))
        return rule.judge(case) if about else ()

    found, cannot = _asked(faults)
    return Outcome(
        rule=rule,
        judged=tuple(about),
        findings=tuple(_finding(rule, fault.address or WHOLE_PLAN, fault) for fault in found),
        unjudged=tuple(_unjudged(WHOLE_PLAN, cannot)),
    )


def _asked(faults: Callable[[], Iterable[Fault]]) -> tuple[list[Fault], Undecided | None]:
    """Return the faults up to where nobody knows, and why not; a crash is told without its words, which may hold values."""
    found: list[Fault] = []
    try:
        for fault in faults():
            found.append(fault)  # one by one: what was found before it cannot go on is kept
    except Impossible as wrong:
        change = "Correct it: as it is written nothing ever runs by it."
        return [*found, Fault(found=str(wrong), wanted=wrong.wanted, change=change)], None
    except Undecided as cannot:
        return found, cannot
    except CRASHES as crash:
        return found, Undecided(f"the rule failed with {type(crash).__name__}: this is a defect of lifeboat")
    return found, None


def _unjudged(address: Address, cannot: Undecided | None) -> list[Unjudged]:
    if cannot is None:
        return []
    return [Unjudged(address=address, why=str(cannot), awaited=isinstance(cannot, Awaited))]


def _finding(rule: AnyRule, address: Address, fault: Fault) -> Finding:
    return Finding(
        rule=rule.id,
        severity=rule.severity if fault.severity is None else fault.severity,
        address=fault.address or address,
        found=fault.found,
        wanted=fault.wanted,
        why=rule.why,
        change=fault.change or rule.change,
        controls=rule.controls,
    )
