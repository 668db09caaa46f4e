"""Risks that somebody accepts for one run: a rule and the reason, which is written down."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.decisions.policy import registry
from lifeboat.errors import WrongConfiguration
from lifeboat.model import AcceptedRisk

_LONGEST = 500  # characters: it is a line of a report and of a journal


def parsed(texts: Iterable[str]) -> tuple[AcceptedRisk, ...]:
    """Return what RULE=REASON texts accept. Raises WrongConfiguration for an unknown rule, no reason, or two of them."""
    found: dict[str, AcceptedRisk] = {}
    for text in texts:
        name, _, reason = text.partition("=")
        known, reason = registry.named(name.strip()).id, reason.strip()
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
