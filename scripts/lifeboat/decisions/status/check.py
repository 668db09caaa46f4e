"""What a check is: of what it is asked, what it needs to see, and how it judges that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from lifeboat.decisions.durations import said
from lifeboat.errors import NotSeen
from lifeboat.status_model import Asset, Facts, Limits, Seen, Stack, Weight, nobody

_Found = TypeVar("_Found")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that one check is asked of, and all that was seen."""

    facts: Facts
    limits: Limits
    subject: str

    @property
    def now(self) -> datetime:
        """Return when everything was looked at."""
        return self.facts.now

    @property
    def stack(self) -> Stack:
        """Return what Terraform built. Raises NotSeen where its state cannot be read."""
        found = self.facts.stack.value
        if found is None:
            raise NotSeen("the stack has no state", call="s3:GetObject")
        return found

    @property
    def rpo(self) -> timedelta:
        """Return how much may be lost, as the stack says."""
        return timedelta(hours=self.stack.recovery.objectives.rpo_hours)


@dataclass(frozen=True, kw_only=True)
class Good:
    """All is well, and what was seen that says so."""

    says: str


@dataclass(frozen=True, kw_only=True)
class Bad:
    """What is, what should be, and the one command to type."""

    found: str
    wanted: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """What was seen and tells nothing, what should be, and the one command to type."""

    found: str
    wanted: str
    command: str


Outcome = Good | Bad | Unknown
Subjects = Callable[[Stack], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. `subjects` says what of the stack it is asked of, `asks` which permissions its looks need.

    `on_missing_stack` is asked where the stack's state cannot be read: by names alone. Without it, nobody knows.
    """

    id: str  # database.window
    asset: Asset
    weight: Weight
    title: str
    why: str
    act: str
    asks: tuple[str, ...]
    subjects: Subjects
    judge: Callable[[Case], Outcome]
    on_missing_stack: Callable[[Limits], tuple[str, ...]] | None = None


def once(_stack: Stack) -> tuple[str, ...]:
    """Return the one subject of a check that is made once."""
    return ("",)


def once_without(_limits: Limits) -> tuple[str, ...]:
    """Return the same where the stack cannot be asked."""
    return ("",)


def regions(stack: Stack) -> tuple[str, ...]:
    """Return both regions."""
    return stack.recovery.region, stack.recovery.dr_region


def regions_without(limits: Limits) -> tuple[str, ...]:
    """Return the same where the stack cannot be asked: the environment's file names them."""
    return limits.region, limits.dr_region


def seen(found: Mapping[str, Seen[_Found]], subject: str) -> _Found | None:
    """Return what was seen of a subject. Raises NotSeen where it could not be looked at, or nobody tried."""
    look: Seen[_Found] = found.get(subject, nobody(subject))
    return look.value


def old(case: Case, at: datetime) -> str:
    """Return how old something is, in words."""
    return said(case.now - at)


def late(case: Case, every: timedelta | None) -> timedelta:
    """Return how old the newest copy may be that is made so often: it begins late, and takes its time."""
    return (case.rpo if every is None else every) + case.limits.late
