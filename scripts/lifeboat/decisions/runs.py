"""What a journal says of its run as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.model import Event, EventKind, RunState


def state(events: Iterable[Event]) -> RunState:
    """Return how a run stands. One that ended is not opened again by lines after its end."""
    changed = False
    for event in events:
        if event.kind is EventKind.ENDED:
            return RunState.ENDED
        changed = changed or event.kind is EventKind.INTENT
    return RunState.OPEN if changed else RunState.IDLE
