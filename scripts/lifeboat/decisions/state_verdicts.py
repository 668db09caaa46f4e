"""How a check of the state came out, and what a finding is: what is, what should be, and the one command to type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lifeboat.decisions.state_observation import Look
from lifeboat.state_model import StateRoot


class Standing(StrEnum):
    """How a check came out. A question without an object is moot: why there is none is a finding of another check."""

    GOOD = "good"
    FINDING = "finding"
    UNSEEN = "could not look"
    MOOT = "nothing to judge"


class Severity(StrEnum):
    """How bad a finding is."""

    CRITICAL = "critical"  # Terraform refuses to work, or would make or lose something
    WARNING = "warning"  # it works, and something that protects it is missing
    NOTICE = "notice"  # to be known


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is, what should be, and the one command to type."""

    severity: Severity
    found: str
    wanted: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one check came out; `root` None is that of what both roots share."""

    check: str
    root: StateRoot | None
    standing: Standing
    says: str
    finding: Finding | None = None


Outcome = tuple[Standing, str] | Finding


def good(says: str) -> Outcome:
    """Return that all is well with what was looked at."""
    return Standing.GOOD, says


def moot(says: str) -> Outcome:
    """Return that there is nothing to judge, which another check tells of."""
    return Standing.MOOT, says


def unseen(*looks: Look[object]) -> Outcome | None:
    """Return that something could not be seen, where one of the looks failed."""
    reasons = list(dict.fromkeys(look.unseen for look in looks if look.unseen))
    return (Standing.UNSEEN, "; ".join(reasons)) if reasons else None


def critical(found: str, wanted: str, command: str) -> Finding:
    """Return what keeps Terraform from working, or would let it make or lose something."""
    return Finding(severity=Severity.CRITICAL, found=found, wanted=wanted, command=command)


def warning(found: str, wanted: str, command: str) -> Finding:
    """Return what takes protection away."""
    return Finding(severity=Severity.WARNING, found=found, wanted=wanted, command=command)


def notice(found: str, wanted: str, command: str) -> Finding:
    """Return what is to be known."""
    return Finding(severity=Severity.NOTICE, found=found, wanted=wanted, command=command)
