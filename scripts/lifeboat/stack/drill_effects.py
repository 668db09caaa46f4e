"""What looks at each effect of a drill before it is done, writes what it makes into the ledger, and takes it away again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lifeboat.clients.drill_things import DrillThings
from lifeboat.decisions import drill_guard, drill_ledger
from lifeboat.decisions.drill_guard import Deed
from lifeboat.drill_model import Drill, Standing, Thing
from lifeboat.errors import LifeboatError
from lifeboat.model import EventKind, Teller
from lifeboat.runner import Clock, Journal

_POLL_SECONDS = 5.0
_SOON_SECONDS = 0.5
# RDS deletes an instance in some minutes; while it makes one or changes it, it takes no order.
GONE_SECONDS = 1800.0
UNWIND = "unwind"
# EC2 and RDS answer from copies ("Eventual consistency", API reference of EC2), and an order is tried for some minutes:
# what was ordered lately is not there only when nobody sees it for as long as a minute.
_LATELY = timedelta(minutes=5)
_ABSENT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Asked before each effect of one drill: what does not bear its mark is not touched, what it makes is written down."""

    drill: Drill
    things: DrillThings
    journal: Journal
    region: str

    def __call__(self, step: str, about: Mapping[str, Any], /) -> None:
        """Raise Refused where an effect would touch what is not the drill's; write a thing that it makes into the ledger."""
        touch = drill_guard.touched(step, about, region=self.region)
        if touch is not None and touch.deed not in (Deed.PROVE, Deed.CANARY):
            standing = self.things.standing(touch.thing)
            touch = replace(touch, tags=None if standing is None else standing.tags)
        drill_guard.require(touch, self.drill)
        if touch is not None and touch.deed is Deed.MAKE:
            made = drill_ledger.made(self.journal.events)
            if touch.thing not in made:
                about_it = {drill_ledger.MADE: drill_ledger.entry(touch.thing)}
                self.journal.write(EventKind.NOTE, step=step, text=f"will make {touch.thing.words}", **about_it)


def about(deed: Deed, thing: Thing) -> dict[str, str]:
    """Return what is written down with an effect, by which the guard knows what it touches."""
    return {"deed": deed.value, **drill_ledger.entry(thing)}


@dataclass(frozen=True, kw_only=True)
class Removing:
    """How things are removed: where, by which clock, whom to tell; `noted` is told of each that was seen to be gone."""

    things: DrillThings
    clock: Clock
    tell: Teller
    noted: Callable[[Thing], None]
    seconds: float = GONE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A thing that could not be removed, and why."""

    thing: Thing
    why: str


def unwind(drill: Drill, journal: Journal, how: Removing) -> tuple[Kept, ...]:
    """Remove what the ledger says is left, last made first, and return what could not be; nothing stops it on its way.

    What is there under a name of the ledger without the drill's mark stays, and is returned.
    """
    kept: list[Kept] = []
    for thing in drill_ledger.left(journal.events):
        why = removed(thing, drill.application, how, drill_ledger.ordered_at(journal.events, thing))
        if why is not None:
            kept.append(Kept(thing=thing, why=why))
            with suppress(LifeboatError):  # who wrote nothing here tells it all the same
                journal.write(EventKind.NOTE, step=UNWIND, text=f"{thing.words} stays: {why}")
    return tuple(kept)


def found(thing: Thing, how: Removing, ordered_at: datetime | None) -> Standing | None:
    """Return how a thing is; None where it is not there, and stays away for a minute if it was ordered lately."""
    standing = how.things.standing(thing)
    if ordered_at is None or how.clock.now() - ordered_at > _LATELY:
        return standing
    until = how.clock.monotonic() + _ABSENT_SECONDS
    while standing is None and how.clock.monotonic() < until:
        how.clock.sleep(_POLL_SECONDS)
        standing = how.things.standing(thing)
    return standing


def removed(thing: Thing, application: str, how: Removing, ordered_at: datetime | None = None) -> str | None:
    """Remove one thing and wait until it is seen to be gone; return why it is still there, None where it is gone.

    `ordered_at` is when it was last ordered: what was so lately may not be seen yet.
    """
    until = how.clock.monotonic() + how.seconds
    pause, told = _SOON_SECONDS, False
    try:
        standing = found(thing, how, ordered_at)
        while standing is not None:
            why = drill_guard.removable(thing, standing.tags, application=application)
            if why is not None:
                return why
            if how.clock.monotonic() > until:
                return f"it is still there {how.seconds:.0f} s after it was ordered to go ({standing.about})"
            if not standing.going:
                if not told:
                    how.tell.say(f"removing {thing.words}")
                    told = True
                how.things.remove(thing)
            how.clock.sleep(pause)
            pause = min(_POLL_SECONDS, 1.5 * pause)
            standing = how.things.standing(thing)
    except LifeboatError as error:
        return error.summary
    how.noted(thing)
    return None


def noting(journal: Journal) -> Callable[[Thing], None]:
    """Return what writes into a journal that a thing is gone; that it cannot be written stops no removal."""

    def noted(thing: Thing) -> None:
        with suppress(LifeboatError):
            gone = {drill_ledger.GONE: drill_ledger.entry(thing)}
            journal.write(EventKind.NOTE, step=UNWIND, text=f"{thing.words} is gone", **gone)

    return noted


def words(kept: Iterable[Kept]) -> str:
    """Return what could not be removed, one a line."""
    return "\n".join(f"  {one.thing.words}: {one.why}" for one in kept)
