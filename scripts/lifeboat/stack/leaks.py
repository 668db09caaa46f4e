"""What drills left behind: by the ledgers of those that did not end, and by the mark that all they make bears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from lifeboat.decisions import drill_guard, drill_ledger
from lifeboat.decisions import runs as run_states
from lifeboat.drill_model import DrillTag, Leak, Standing, Thing, prefix
from lifeboat.errors import Failed
from lifeboat.model import Event, RunId, moment
from lifeboat.site import Site
from lifeboat.stack import drill_turns

LEDGER, TAG, BOTH = "ledger", "tag", "ledger and tag"


def leaks(site: Site) -> tuple[Leak, ...]:
    """Return what drills of this environment left, in both regions, oldest run first; of the drill that runs now nothing.

    Raises Unreachable where it cannot be looked at, IntegrityFailure where the ledger of a drill cannot be read: nobody can
    say then that there is nothing.
    """
    application = site.project.environment.application
    held = drill_turns.running(site)
    now = None if held is None else held.run
    found: dict[Thing, Leak] = {}
    for run, events in unended(site):
        if run == now:
            continue
        for leak in _of_ledger(site, run, events):
            found[leak.thing] = leak
    for region in dict.fromkeys((application.region, application.dr_region)):
        for standing in site.drill_things().tagged(region):
            run = RunId(standing.tags[DrillTag.DRILL])
            if run == now or not _is_ours(standing, application.name):
                continue
            by = BOTH if standing.thing in found else TAG
            found[standing.thing] = _leak(standing, run=run, by=by, application=application.name)
    return tuple(sorted(found.values(), key=lambda leak: (leak.run, leak.thing.kind, leak.thing.id)))


def unended(site: Site) -> Iterator[tuple[RunId, Sequence[Event]]]:
    """Yield each run that keeps a ledger and has not ended, oldest first, with its lines."""
    bucket = site.journals()
    for run in bucket.unended():
        if not run_states.is_recovery(run) and not run_states.is_of_the_application(run):
            events = bucket.events(run)
            if run_states.is_drill(run) or drill_ledger.made(events):
                yield run, events


def _of_ledger(site: Site, run: RunId, events: Sequence[Event]) -> Iterator[Leak]:
    for thing in drill_ledger.left(events):
        try:
            standing = site.drill_things().standing(thing)
        except Failed as error:  # of a kind that only a newer lifeboat knows
            yield Leak(thing=thing, run=run, expires=None, found_by=LEDGER, why_not=error.summary)
            continue
        if standing is not None:  # else it was never made, or is gone
            yield _leak(standing, run=run, by=LEDGER, application=site.project.environment.application.name)


def _is_ours(standing: Standing, application: str) -> bool:
    """Return whether it is of a drill of this application: another environment of the same account sweeps its own."""
    of = standing.tags.get(DrillTag.OF)
    return of == application or (of is None and standing.thing.id.startswith(prefix(application)))


def _leak(standing: Standing, *, run: RunId, by: str, application: str) -> Leak:
    return Leak(
        thing=standing.thing,
        run=run,
        expires=_expires(standing),
        found_by=by,
        about=standing.about,
        why_not=drill_guard.removable(standing.thing, standing.tags, application=application),
    )


def _expires(standing: Standing) -> datetime | None:
    return moment(standing.tags.get(DrillTag.EXPIRES))
