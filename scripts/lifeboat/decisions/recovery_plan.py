"""What a recovery's plan may touch: the path of the instance, and what the operator names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lifeboat.model import Action, Change, Plan

# Of the module that makes the instance: what must be made anew with it, or moves to it.
_MODULE = "module.app_instance."
_PATH = {"aws_instance", "aws_eip", "aws_eip_association", "aws_route53_record"}


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
    return change.address.startswith(_MODULE) and change.resource_type in _PATH


def _why(change: Change) -> str:
    if change.action in (Action.DELETE, Action.REPLACE):
        return "a recovery of the instance destroys nothing else"
    return "it has nothing to do with the instance: something was edited, or drifted, since the last apply"
