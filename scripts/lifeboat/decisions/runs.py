"""What a journal says of its run as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from lifeboat.model import Event, EventKind, RunId, RunState

# What a run is of stands behind its time: 20261128T032535Z-recover-1a2b3c, 20261128T032535Z-app-restart-1a2b3c.
RECOVERY = "recover"
APPLICATION = "app"
DRILL = "drill"


def is_recovery(run: RunId) -> bool:
    """Return whether a run is a recovery, which can be gone on with."""
    return run.split("-")[1:2] == [RECOVERY]


def is_drill(run: RunId) -> bool:
    """Return whether a run is a drill, which is never gone on with: `lifeboat sweep` takes away what it left."""
    return run.split("-")[1:2] == [DRILL]


def drilled(run: RunId) -> str | None:
    """Return what a drill drills, as its name says it: database, instance, full or state; None where it is no drill."""
    return next(iter(run.split("-")[2:3]), None) if is_drill(run) else None


def is_of_the_application(run: RunId) -> bool:
    """Return whether a run did one thing to the application, which its host remembers."""
    return run.split("-")[1:2] == [APPLICATION]


def began(run: RunId) -> datetime | None:
    """Return when a run began as its name says it, to the second; None when that is no time."""
    try:
        return datetime.strptime(run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def state(events: Iterable[Event]) -> RunState:
    """Return how a run stands. One that ended is not opened again by lines after its end."""
    changed = False
    for event in events:
        if event.kind is EventKind.ENDED:
            return RunState.ENDED
        changed = changed or event.kind is EventKind.INTENT
    return RunState.OPEN if changed else RunState.IDLE


def words(events: Iterable[Event]) -> set[str]:
    """Return every text that stands as a value in the data of events, however deep: ids of what a run works with."""
    found: set[str] = set()
    left: list[object] = [event.data for event in events]
    while left:
        value = left.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, Mapping):
            left.extend(value.values())
        elif isinstance(value, list | tuple):
            left.extend(value)
    return found


def has_evidence(run: RunId) -> bool:
    """Return whether a run writes evidence when it ends: a recovery, or a drill."""
    return run.split("-")[1:2] in ([RECOVERY], ["drill"])
