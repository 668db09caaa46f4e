"""How long a recovery took, and where the time went, from its journal alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from lifeboat.model import Event, EventKind, Part, Timing

BEFORE = "before the recovery was started"
INTERRUPTED = "interrupted"
_IN_BETWEEN = "between steps"


@dataclass(frozen=True, kw_only=True)
class Answering:
    """The step in which the application answered, and the one after it that tells whether from the right database."""

    step: str
    confirmed_by: str


def answered(events: Sequence[Event], answering: Answering) -> datetime | None:
    """Return since when the application answers as it shall; None where it does not, or nobody knows from which database.

    An answer counts no more once it was found away again, or to answer from the old database; and in a run that asks the
    databases, not before an attempt that got as far as that: what answered an earlier attempt may have been the old one.
    """
    asks = any(event.step == answering.confirmed_by for event in events)
    since, confirmed = None, False
    for event in events:
        if event.step == answering.confirmed_by:
            confirmed = confirmed or _closes(event)
            since = None if event.kind is EventKind.STOPPED else since
        elif event.kind is EventKind.BEGUN and asks and not confirmed:
            since = None
        elif event.step == answering.step:
            since = (since or event.at) if _closes(event) else None
    return since


def measured(events: Sequence[Event], *, failed_at: datetime, rto: timedelta, answering: Answering) -> Timing:
    """Return the time from the failure until the application answered, by part; the parts add up to it.

    Where it does not answer yet, the time runs on to the last line, and the objective is not met.
    """
    answered_at = answered(events, answering)
    until = answered_at or max((event.at for event in events), default=failed_at)
    spans: dict[str, timedelta] = {}
    cursor = failed_at
    for index, event in enumerate(events):
        end = min(event.at, until)
        if end > cursor:
            name = _owner(event, first=index == 0)
            spans[name] = spans.get(name, timedelta(0)) + (end - cursor)
            cursor = end
    total = max(until - failed_at, timedelta(0))
    return Timing(
        failed_at=failed_at,
        answered_at=answered_at,
        took=total,
        objective=rto,
        met=answered_at is not None and total <= rto,
        parts=tuple(Part(name=name, took=span) for name, span in spans.items()),
    )


def expected(journals: Iterable[Sequence[Event]]) -> dict[str, timedelta]:
    """Return how long each step took when it had something to do: the median of the runs in which it was done."""
    took: dict[str, list[float]] = {}
    for events in journals:
        done = {event.step for event in events if event.kind is EventKind.DONE}
        spans: dict[str, float] = {}
        for before, event in pairwise(events):
            if event.step in done and event.kind is not EventKind.BEGUN:
                spans[event.step] = spans.get(event.step, 0.0) + (event.at - before.at).total_seconds()
        for step, seconds in spans.items():
            took.setdefault(step, []).append(seconds)
    return {step: timedelta(seconds=median(seconds)) for step, seconds in took.items()}


def seen_within(events: Iterable[Event], step: str) -> tuple[datetime, timedelta] | None:
    """Return when what a step makes was ordered, and how long after it a later attempt found it made; None where none did.

    Nobody looked meanwhile: it took no longer than that, and it may have taken much less.
    """
    ordered: datetime | None = None
    for event in events:
        if event.step != step:
            continue
        if event.kind is EventKind.INTENT:
            ordered = event.at
        elif event.kind is EventKind.DONE:
            return None
        elif event.kind is EventKind.HOLDS and ordered is not None:
            return ordered, event.at - ordered
    return None


def _closes(event: Event) -> bool:
    return event.kind in (EventKind.HOLDS, EventKind.DONE)


def _owner(event: Event, *, first: bool) -> str:
    """Return what the time before a line was spent on."""
    if event.kind is EventKind.BEGUN:
        return BEFORE if first else INTERRUPTED
    return event.step or _IN_BETWEEN
