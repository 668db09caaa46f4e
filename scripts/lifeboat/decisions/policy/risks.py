"""Risks that somebody accepts for one run: a rule and the reason, which is written down."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lifeboat.decisions.policy.registry import BY_ID, RULES
from lifeboat.decisions.policy.rule import AnyRule
from lifeboat.errors import WrongConfiguration
from lifeboat.model import AcceptedRisk

_LONGEST = 500  # characters: it is a line of a report and of a journal


def rule(name: str) -> AnyRule:
    """Return the rule of an id, in whatever case it was typed. Raises WrongConfiguration where there is none."""
    found = BY_ID.get(name.upper())
    if found is None:
        near = difflib.get_close_matches(name.upper(), [one.id for one in RULES], n=1)
        raise WrongConfiguration(
            f"there is no rule {name}",
            hint=f"lifeboat policy explain {near[0]}" if near else "lifeboat policy list shows every rule",
        )
    return found


def parsed(texts: Iterable[str]) -> tuple[AcceptedRisk, ...]:
    """Return what RULE=REASON texts accept. Raises WrongConfiguration for an unknown rule, no reason, or two of them."""
    found: dict[str, AcceptedRisk] = {}
    for text in texts:
        name, _, reason = text.partition("=")
        known, reason = rule(name.strip()).id, reason.strip()
        if not reason:
            raise WrongConfiguration(
                f"--accept-risk {name.strip()} gives no reason",
                hint=f"--accept-risk {known}='why it is accepted': whoever reads the report has to know",
            )
        if len(reason) > _LONGEST or not reason.isprintable():
            raise WrongConfiguration(
                f"the reason of --accept-risk {known} is not one line of at most {_LONGEST} characters",
                hint=f"--accept-risk {known}='why it is accepted'",
            )
        if known in found:
            raise WrongConfiguration(
                f"--accept-risk {known} is given twice", hint="give one reason for all that it finds"
            )
        found[known] = AcceptedRisk(rule=known, reason=reason)
    return tuple(found.values())


def together(before: Iterable[AcceptedRisk], more: Iterable[AcceptedRisk]) -> tuple[AcceptedRisk, ...]:
    """Return what is accepted when more is: the newer reason of a rule counts."""
    return tuple({risk.rule: risk for risk in (*before, *more)}.values())
