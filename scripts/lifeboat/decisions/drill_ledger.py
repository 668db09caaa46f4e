"""The ledger of a drill: lines of its journal that say what it is about to make, and what is seen to be gone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lifeboat.drill_model import Thing
from lifeboat.model import Event, EventKind

MADE, GONE = "made", "gone"


def entry(thing: Thing) -> dict[str, str]:
    """Return a thing as the ledger names it."""
    return {"type": thing.kind, "id": thing.id, "region": thing.region}


def made(events: Iterable[Event]) -> tuple[Thing, ...]:
    """Return everything that was made or about to be, in the order in which it was."""
    return tuple(dict.fromkeys(_named(events, MADE)))


def left(events: Iterable[Event]) -> tuple[Thing, ...]:
    """Return what was made and was not seen to be gone since, last first: that is the order in which it goes."""
    open_: dict[Thing, None] = {}
    for event in events:
        for name, found in ((MADE, thing(event, MADE)), (GONE, thing(event, GONE))):
            if found is not None:
                open_.pop(found, None)
                if name == MADE:
                    open_[found] = None
    return tuple(reversed(open_))


def ordered_at(events: Iterable[Event], thing_: Thing) -> datetime | None:
    """Return when it was last about to be made, ordered, or its order answered; None where the ledger does not name it."""
    at, step = None, None
    for event in events:
        if thing(event, MADE) == thing_:
            at, step = event.at, event.step
        elif event.step == step and event.kind in (EventKind.INTENT, EventKind.RESULT):
            at = event.at
    return at


def thing(event: Event, name: str) -> Thing | None:
    """Return what a line of the ledger names; None where it is none."""
    said: Any = event.data.get(name)
    if not isinstance(said, dict) or not {"type", "id", "region"} <= said.keys():
        return None
    return Thing(kind=str(said["type"]), id=str(said["id"]), region=str(said["region"]))


def _named(events: Iterable[Event], name: str) -> Iterable[Thing]:
    return (found for event in events if (found := thing(event, name)) is not None)
