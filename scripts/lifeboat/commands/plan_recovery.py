"""`lifeboat plan-recovery`: which copy of the database a recovery would restore, what each costs, and why the others lose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lifeboat.database_model import CopyCandidate, RecoveryPoint, RecoveryPointId, RestoreRate, WantedCopy
from lifeboat.decisions import database_choice
from lifeboat.decisions.database_choice import Choosing
from lifeboat.errors import NothingFits
from lifeboat.site import Site
from lifeboat.stack import database_copies
from lifeboat.stack.database_copies import Asked


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a recovery would do: the choice, what was asked for, and every copy that it was chosen from, newest first."""

    choosing: Choosing
    wanted: WantedCopy
    candidates: tuple[CopyCandidate, ...]

    @property
    def chosen(self) -> CopyCandidate | None:
        """The copy that would be restored; None where nothing fits."""
        return self.choosing.choice.chosen


@dataclass(frozen=True, kw_only=True)
class Question:
    """What would be asked of a recovery: a moment or a copy, or neither, and when it failed; None: now."""

    to: datetime | None = None
    named: RecoveryPointId | None = None
    failed_at: datetime | None = None


def run(site: Site, question: Question) -> tuple[Planned, Exception | None]:
    """Return what a recovery would restore, and what it would be refused with; nothing is changed.

    Raises WrongConfiguration for a moment that is to come.
    """
    now = datetime.now(UTC)
    database_choice.require_time(question.to, now=now)
    points = database_copies.points(site)
    asked = Asked(to=question.to, named=question.named, failed_at=question.failed_at or now)
    wanted, rate = database_copies.wanted(site, asked), database_copies.rate(site)
    found = database_choice.choose(points, wanted, rate)
    planned = Planned(choosing=found, wanted=wanted, candidates=_candidates(points, wanted, rate))
    try:
        database_choice.require(found, points, wanted, env=site.project.env)
    except NothingFits as error:
        return planned, error
    return planned, None


def _candidates(points: list[RecoveryPoint], wanted: WantedCopy, rate: RestoreRate) -> tuple[CopyCandidate, ...]:
    newest_first = sorted(points, key=lambda point: (point.taken_at, point.id), reverse=True)
    return tuple(database_choice.candidate(point, wanted, rate) for point in newest_first)
