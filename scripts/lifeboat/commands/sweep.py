"""`lifeboat sweep`: what drills left that were killed, or could not clear up, removed; the evidence that runs owe, written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.decisions import drill_ledger, evidence
from lifeboat.decisions import runs as run_states
from lifeboat.drill_model import Leak, Thing
from lifeboat.errors import INTERRUPTED, CleanUpIncomplete, Failed, Unreachable
from lifeboat.model import Agree, EventKind, RunId, RunState, Teller
from lifeboat.runbooks import evidence_owed
from lifeboat.runbooks.evidence_owed import Looks
from lifeboat.site import Site
from lifeboat.stack import drill_effects, leaks, preflight, rehearsal
from lifeboat.stack.drill_effects import Kept, Removing


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What was found, and what of it is gone; runs that were ended by this, for nothing of them is left.

    `told` are the runs whose evidence was written: they were cut off before it was.
    """

    found: tuple[Leak, ...]
    gone: tuple[Thing, ...]
    closed: tuple[RunId, ...]
    told: tuple[RunId, ...] = ()


def run(site: Site, tell: Teller, agree: Agree) -> Swept:
    """Remove what drills left, after it was shown, end them, and write the evidence that they and recoveries owe.

    Raises CleanUpIncomplete where something stays, or where nobody can tell whether something does: what cannot be looked
    at is no absence.
    """
    _require_seen(site)
    name = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-sweep-{uuid4().hex[:6]}")
    try:
        preflight.require_account(site)
        with site.drill_lease(name, tell.say).held():
            return _swept(site, tell, agree, name)
    except Unreachable as error:  # with credentials that have expired nobody can even ask who we are
        raise CleanUpIncomplete(
            f"nobody can tell what drills left: {error.summary}", hint=error.hint or "lifeboat sweep, once it answers"
        ) from error


def _require_seen(site: Site) -> None:
    """Raise CleanUpIncomplete where the local cloud is stopped and keeps its state, NothingFits where there is no state of one."""
    env, cloud = site.project.env, site.local_cloud()
    rehearsal.require_begun(site, "sweep")
    if cloud is None or cloud.health() is not None:
        return
    raise CleanUpIncomplete(
        f"nobody can tell what drills left: the local cloud of {env} does not run, and its state is kept",
        hint=f"lifeboat local up -e {env}, then lifeboat sweep -e {env}",
    )


def _swept(site: Site, tell: Teller, agree: Agree, sweep: RunId) -> Swept:
    _wait_for_what_was_ordered(site, tell)
    found = leaks.leaks(site)
    going = [leak for leak in found if leak.why_not is None]
    if going:
        agree([f"remove {words(leak)}" for leak in going])
    kept = [Kept(thing=leak.thing, why=leak.why_not) for leak in found if leak.why_not is not None]
    gone = _removed(site, tell, going, kept)
    looks = Looks()
    closed, ended = _closed(site, {one.thing for one in kept}, looks)
    told = [*evidence_owed.written(site, tell, ended, looks), *evidence_owed.of_recoveries(site, tell, sweep, looks)]
    _require_all(kept, looks.unseen)
    return Swept(found=found, gone=tuple(gone), closed=tuple(closed), told=tuple(told))


def _require_all(kept: Sequence[Kept], unseen: Sequence[str]) -> None:
    """Raise CleanUpIncomplete for what stays, and for runs of which nobody can tell whether they owe something."""
    lines, again = [], "lifeboat sweep once more, when what it says is mended"
    if kept:
        lines.append(f"not everything that drills left could be removed:\n{drill_effects.words(kept)}")
        again += "; what bears no mark is somebody else's: ask them"
    if unseen:
        listed = "\n".join(f"  {one}" for one in unseen)
        lines.append(f"nobody can tell of every run whether it has ended, and owes its evidence:\n{listed}")
    if lines:
        raise CleanUpIncomplete("\n".join(lines), hint=again)


def _wait_for_what_was_ordered(site: Site, tell: Teller) -> None:
    """Look for what a run had ordered when it was cut off until it is seen: what is not there yet is not gone."""
    how = Removing(things=site.drill_things(), clock=WallClock(), tell=tell, noted=lambda _: None)
    for _, events in leaks.unended(site):
        for thing in drill_ledger.left(events):
            with suppress(Failed):  # of a kind that only a newer lifeboat knows, which is told as a leak
                drill_effects.found(thing, how, drill_ledger.ordered_at(events, thing))


def words(leak: Leak) -> str:
    """Return a leak in words."""
    expires = "" if leak.expires is None else f", expires {leak.expires:%Y-%m-%d %H:%M}Z"
    about = f" ({leak.about})" if leak.about else ""
    return f"{leak.thing.words}{about}: left by {leak.run}{expires}, found by {leak.found_by}"


def _removed(site: Site, tell: Teller, going: Sequence[Leak], kept: list[Kept]) -> list[Thing]:
    """Remove one after the other, instances before databases and secrets; what stays is added to `kept`."""
    gone: list[Thing] = []
    application = site.project.environment.application.name
    how = Removing(things=site.drill_things(), clock=WallClock(), tell=tell, noted=gone.append)
    for leak in going:
        why = drill_effects.removed(leak.thing, application, how)
        if why is not None:
            kept.append(Kept(thing=leak.thing, why=why))
    return gone


def _closed(site: Site, kept: set[Thing], looks: Looks) -> tuple[list[RunId], list[Journal]]:
    """Write into the ledger of each drill that its things are gone, and its end, where all are.

    Returns those, and the journals of all that have ended by now and are not marked as that.
    """
    closed: list[RunId] = []
    ended: list[Journal] = []
    for run_id, events in list(leaks.unended(site)):
        left = drill_ledger.left(events)
        if any(thing in kept for thing in left):
            continue
        with looks.at(run_id):  # a later sweep closes it
            journal: Journal = site.journal(run_id)
            journal.open()
            if run_states.state(journal.events) is not RunState.ENDED:
                _end(journal, left)
                closed.append(run_id)
            ended.append(journal)
    return closed, ended


def _end(journal: Journal, left: Sequence[Thing]) -> None:
    """Write the end of a drill: the one that it noted when it left something, else that it was killed.

    One that proved nothing is not one that never was.
    """
    noted = drill_effects.noting(journal)
    for thing in left:
        noted(thing)
    killed = {"text": "it did not get to its end, and was swept", "failed": True, "exit_status": INTERRUPTED}
    how = evidence.ended_with(journal.events) or killed
    journal.write(
        EventKind.ENDED,
        text=str(how.get("text", "")),
        failed=bool(how.get("failed")),
        exit_status=how.get("exit_status"),
        swept=True,
    )
