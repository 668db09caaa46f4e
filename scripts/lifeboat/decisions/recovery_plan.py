"""What a recovery's plan may touch: the path of the instance, and what the operator names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lifeboat.decisions import plans
from lifeboat.model import LOSING, Change, Plan

# Of the module that makes the instance: what must be made anew with it, or moves to it.
_MODULE = "module.app_instance."
_PATH = {"aws_instance", "aws_eip", "aws_eip_association", "aws_route53_record"}
# What clients find the application by: it may be led to the instance, and never goes.
_FOUND_BY = {"aws_eip": "the address", "aws_route53_record": "the public name"}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The changes of a plan that a recovery must not make: those that nothing allows, and those that may be named."""

    lost: list[tuple[Change, str]]
    off: list[tuple[Change, str]]

    @property
    def refused(self) -> list[tuple[Change, str]]:
        """Both."""
        return [*self.lost, *self.off]


def judged(plan: Plan, *, allowed: Iterable[str] = ()) -> Judgement:
    """Return what a recovery must not do of a plan, each change once."""
    lost = list(plans.judged(plan).refused)
    known = [change for change, _ in lost]
    return Judgement(lost=lost, off=[one for one in off_the_path(plan, allowed=allowed) if one[0] not in known])


def off_the_path(plan: Plan, *, allowed: Iterable[str] = ()) -> list[tuple[Change, str]]:
    """Return the changes that a recovery of the instance must not make, each with the reason.

    `allowed` are addresses that the operator named, `*` for any part of one: a recovery at night is no time for
    whatever else somebody has edited since the last apply.
    """
    # Not a glob of Python's: the brackets of an address are no character class.
    patterns = [re.compile(".*".join(re.escape(part) for part in pattern.split("*"))) for pattern in allowed]
    found: list[tuple[Change, str]] = []
    for change in plan.changes:
        if _on_the_path(change) or any(pattern.fullmatch(change.address) for pattern in patterns):
            continue
        found.append((change, _why(change)))
    return found


def _on_the_path(change: Change) -> bool:
    goes = change.resource_type in _FOUND_BY and change.action in LOSING
    return change.address.startswith(_MODULE) and change.resource_type in _PATH and not goes


def _why(change: Change) -> str:
    if change.address.startswith(_MODULE) and change.resource_type in _FOUND_BY:
        return f"clients find the application by it: {_FOUND_BY[change.resource_type]} must stay"
    if change.action in LOSING:
        return "a recovery of the instance destroys nothing else"
    return "it has nothing to do with the instance: something was edited, or drifted, since the last apply"
