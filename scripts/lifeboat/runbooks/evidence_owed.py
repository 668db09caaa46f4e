"""Evidence that is owed by runs that ended, and were cut off or refused before it was written: made from their journals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lifeboat.clients.journal import Journal
from lifeboat.decisions import evidence
from lifeboat.decisions import runs as run_states
from lifeboat.drill_model import DrillScope
from lifeboat.errors import IntegrityFailure, LifeboatError, Locked, NothingFits
from lifeboat.model import EventKind, RunId, RunState, Scope, Teller
from lifeboat.runbooks import drill_tables, tables
from lifeboat.site import Site
from lifeboat.stack import evidence_keeping
from lifeboat.stack.evidence_keeping import About


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The journals that a sweep reads; `unseen` are, in words, those at which it could not look, or write what is owed, and why."""

    unseen: list[str] = field(default_factory=list)

    @contextmanager
    def at(self, run: RunId) -> Iterator[None]:
        """Go on where the block cannot read or write a journal, and note it where nobody could look.

        One that says nothing, or is written to by somebody else, is named by all that a recovery would be in the way of.
        """
        try:
            yield
        except (IntegrityFailure, NothingFits, Locked):
            return
        except LifeboatError as error:
            self.unseen.append(f"{run}: {error.summary}")


def of_recoveries(site: Site, tell: Teller, sweep: RunId, looks: Looks) -> list[RunId]:
    """Do what `written` does for recoveries that have ended and are not marked as that, while this sweep holds the environment.

    Where somebody else holds it, it may be one that is at it now: the next sweep looks again.
    """
    if not _ended(site, looks):  # who looks only keeps nobody out
        return []
    try:
        with site.lease(sweep, tell.say).held():
            return written(site, tell, list(_opened(site, looks)), looks)
    except Locked:
        return []


def _ended(site: Site, looks: Looks) -> list[RunId]:
    """Return the recoveries that have ended and are not marked as that."""
    bucket = site.journals()
    found = []
    for run in filter(run_states.is_recovery, bucket.unended()):
        with looks.at(run):
            if run_states.state(bucket.events(run)) is RunState.ENDED:
                found.append(run)
    return found


def _opened(site: Site, looks: Looks) -> Iterator[Journal]:
    """Yield their journals as they are by now."""
    for run in _ended(site, Looks()):  # which of them nobody could look at is noted already
        with looks.at(run):
            journal: Journal = site.journal(run)
            journal.open()
            yield journal


def written(site: Site, tell: Teller, ended: Sequence[Journal], looks: Looks) -> list[RunId]:
    """Write what runs that ended owe, mark those that owe nothing any more, and return the runs that it was written of.

    What cannot be written is warned of: the run stays unmarked, and the next sweep tries again. Where the bucket refused it
    that is noted among what nobody could look at; of a journal that nobody understands it stays a warning.
    """
    owing = [journal for journal in ended if run_states.has_evidence(RunId(journal.run))]
    try:
        untold = _untold(site, owing)
    except LifeboatError as error:
        for journal in owing:
            _warn(tell, journal, error.summary)
            looks.unseen.append(f"{journal.run}: {error.summary}")
        return []
    for journal in ended:
        if journal not in owing or journal.run not in untold:
            _mark(journal)
    return [RunId(one.run) for one in owing if one.run in untold and _is_written(site, tell, one, looks)]


def _untold(site: Site, owing: Sequence[Journal]) -> set[str]:
    """Return the runs whose end no bundle tells; of the bundles none is kept, those of years are more than fits into memory."""
    journals = {str(journal.run): evidence.digest(journal.events) for journal in owing}
    for stored in evidence_keeping.store(site).newest_first() if journals else ():
        one = stored.bundle
        if one is not None and one.run in journals and evidence.tells_the_end(one, journals[one.run]):
            del journals[one.run]
        if not journals:
            break
    return set(journals)


def _is_written(site: Site, tell: Teller, journal: Journal, looks: Looks) -> bool:
    try:
        about = _about(journal)
    except evidence_keeping.NOT_UNDERSTOOD as error:
        _warn(tell, journal, f"{type(error).__name__}: {error}")
        return False
    if about is None:
        _warn(tell, journal, "it is of a newer lifeboat")
        return False
    done = evidence_keeping.append(site, tell, journal, about)
    if done.refused:
        looks.unseen.append(f"{journal.run}: {done.refused}")
    return done.link is not None


def _warn(tell: Teller, journal: Journal, why: str) -> None:
    tell.warn(f"the evidence of {journal.run} is not written: {why}; its journal stays (lifeboat logs {journal.run})")


def _about(journal: Journal) -> About | None:
    """Return what a journal is of; None where nobody here knows such a scope; raises one of NOT_UNDERSTOOD for an odd one."""
    if run_states.is_drill(RunId(journal.run)):
        scope = run_states.drilled(RunId(journal.run))
        return drill_tables.evidence_of(DrillScope(scope)) if scope in set(DrillScope) else None
    asked = [event.data.get("request", {}) for event in journal.events if event.kind is EventKind.BEGUN]
    found = asked[-1].get("scope", Scope.INSTANCE.value)
    return tables.evidence_of(Scope(found)) if found in set(Scope) else None


def _mark(journal: Journal) -> None:
    with suppress(LifeboatError):  # the next sweep marks it
        journal.mark_ended()
