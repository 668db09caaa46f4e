"""`lifeboat plan-recovery`: which copy of the database a recovery would restore, what each costs, and why the others lose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lifeboat.database_model import CopyCandidate, RecoveryPointId, Unseen, WantedCopy
from lifeboat.decisions import database_choice, recoveries
from lifeboat.decisions.database_choice import Choosing
from lifeboat.dumps import recovery_choice
from lifeboat.dumps.recovery_choice import Asked
from lifeboat.errors import IntegrityFailure, LifeboatError, NothingFits, Refused, Unreachable, WrongConfiguration
from lifeboat.site import Site
from lifeboat.stack import outputs


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a recovery would do: the choice, what was asked for, every copy that it was chosen from, newest first.

    `unseen` is what could not be looked at: copies may be missing from the list. `remarks` is what nobody knows besides,
    `refusal` why nothing would be restored as it stands, empty where a recovery could begin.
    """

    choosing: Choosing
    wanted: WantedCopy
    candidates: tuple[CopyCandidate, ...]
    unseen: tuple[Unseen, ...]
    remarks: tuple[str, ...] = ()
    refusal: str = ""

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
    accepted: bool = False


def run(site: Site, question: Question) -> tuple[Planned, LifeboatError | None]:
    """Return what a recovery would restore, and what it would be refused with; nothing is changed.

    Raises WrongConfiguration for a moment that is to come, NothingFits where a copy is named that there is none of.
    """
    now = datetime.now(UTC)
    recoveries.require_past(question.failed_at, now=now)
    database_choice.require_time(question.to, now=now)
    asked = Asked(to=question.to, named=question.named, failed_at=question.failed_at or now, accepted=question.accepted)
    every = recovery_choice.candidates(site, asked)
    made = every.choosing()
    planned = Planned(
        choosing=made,
        wanted=every.wanted,
        candidates=tuple(database_choice.candidate(point, every.wanted, every.rate) for point in every.points),
        unseen=every.found.list.unseen,
    )
    try:
        chosen = every.required(made, env=site.project.env)
        database_choice.require_reached(every.points, every.wanted, question.failed_at)
        recovery_choice.require_fit(site, chosen, every.wanted)
        remarks = recovery_choice.require_keys(site, outputs.recovery(site.stack_store()))
    except (NothingFits, Refused, IntegrityFailure, Unreachable, WrongConfiguration) as error:
        return replace(planned, refusal=error.summary), error
    return replace(planned, remarks=tuple(remarks)), None
