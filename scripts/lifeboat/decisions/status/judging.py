"""All checks put to all that was seen: one verdict each, and never a green one for what nobody saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from lifeboat.decisions import hints
from lifeboat.decisions.status import copies, drilled
from lifeboat.decisions.status.check import Bad, Case, Check, Unknown
from lifeboat.decisions.status.registry import CHECKS
from lifeboat.errors import NotSeen
from lifeboat.status_model import Colour, Facts, Limits, Stack, Status, Verdict

# What is red of a check that could not look, in words of IAM.
_ALLOW = "a look at it: {call} must be allowed, and answer"


def status(environment: str, facts: Facts, limits: Limits) -> Status:
    """Return the status of an environment; a pure function, so that what the night will say can be read and tested by day."""
    stack = facts.stack.found
    objectives = None if stack is None else stack.recovery.objectives
    return Status(
        environment=environment,
        application=limits.application,
        now=facts.now,
        rpo=None if objectives is None else timedelta(hours=objectives.rpo_hours),
        rto=None if objectives is None else timedelta(hours=objectives.rto_hours),
        expected=len(expected(stack, limits)),
        verdicts=tuple(_typed(one, environment, limits) for one in _verdicts(facts, limits)),
        copies=copies.rows(facts, limits),
        drills=drilled.rows(facts),
    )


def expected(stack: Stack | None, limits: Limits) -> list[tuple[Check, str]]:
    """Return every check that must be made, with what it is made of: what the stack asks for, not what answered.

    A check that is asked of nothing is made of nothing, except where there is no stack: then once, and nobody knows.
    """
    found: list[tuple[Check, str]] = []
    for check in CHECKS:
        if stack is not None:
            subjects = check.subjects(stack)
        else:
            subjects = ("",) if check.on_missing_stack is None else check.on_missing_stack(limits)
        found += [(check, subject) for subject in subjects]
    return found


def _verdicts(facts: Facts, limits: Limits) -> Iterator[Verdict]:
    for check, subject in expected(facts.stack.found, limits):
        yield verdict(check, Case(facts=facts, limits=limits, subject=subject))


def _typed(found: Verdict, environment: str, limits: Limits) -> Verdict:
    """Return a verdict whose command reaches this environment as it stands: typed as it is, it must not hit another."""
    command = f"{limits.before_aws}{found.command}" if found.command.startswith("aws ") else found.command
    return replace(found, command=hints.for_environment(command, None if environment == hints.DEFAULT else environment))


def verdict(check: Check, case: Case) -> Verdict:
    """Return what one check says of one thing."""

    def said(colour: Colour, says: str, wanted: str = "", command: str = "") -> Verdict:
        return Verdict(
            check=check.id,
            subject=case.subject,
            asset=check.asset,
            weight=check.weight,
            colour=colour,
            says=says,
            wanted=wanted,
            why=check.why,
            command=command,
        )

    try:
        if check.on_missing_stack is None:
            case.stack  # noqa: B018  (raises where nobody knows what must be there: then there is nothing to judge by)
        outcome = check.judge(case)
    except NotSeen as error:
        call = error.call or ", ".join(check.asks)
        return said(
            Colour.UNKNOWN, error.summary, _ALLOW.format(call=call), "lifeboat status, once it can be looked at"
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # One answer that nobody foresaw must not hide what all other checks have to say.
        return said(Colour.UNKNOWN, f"the check could not be made of what was seen: {type(error).__name__}: {error}")
    if isinstance(outcome, Unknown):
        return said(Colour.UNKNOWN, outcome.found, outcome.wanted, outcome.command)
    if isinstance(outcome, Bad):
        return said(Colour.RED, outcome.found, outcome.wanted, outcome.command)
    return said(Colour.GREEN, outcome.says)
