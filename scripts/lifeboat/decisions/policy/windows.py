"""Windows of RDS, which come back every day (03:00-04:00) or every week (sun:23:30-mon:00:30), in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lifeboat.decisions.policy.planned import Undecided

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY, _WEEK = 1440, 7 * 1440
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_DAILY = re.compile(rf"{_TIME}-{_TIME}")
_WEEKLY = re.compile(rf"([a-z]{{3}}):{_TIME}-([a-z]{{3}}):{_TIME}")


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time of the week, in minutes from Sunday 00:00; it may go on past the end of the week."""

    start: int
    minutes: int

    def holds(self, minute: int) -> bool:
        """Return whether a minute of the week lies in it."""
        return (minute - self.start) % _WEEK < self.minutes


def spans(window: str) -> tuple[Span, ...]:
    """Return when a window is open: once a week, or on each of seven days. Raises Undecided for what is no window."""
    text = window.strip().lower()
    daily = _DAILY.fullmatch(text)
    if daily is not None:
        start, end = int(daily[1]) * 60 + int(daily[2]), int(daily[3]) * 60 + int(daily[4])
        return tuple(Span(start=day * _DAY + start, minutes=(end - start) % _DAY) for day in range(7))
    weekly = _WEEKLY.fullmatch(text)
    if weekly is None or weekly[1] not in _DAYS or weekly[4] not in _DAYS:
        raise Undecided(f"{window!r} is no window of RDS")
    start = _DAYS.index(weekly[1]) * _DAY + int(weekly[2]) * 60 + int(weekly[3])
    end = _DAYS.index(weekly[4]) * _DAY + int(weekly[5]) * 60 + int(weekly[6])
    return (Span(start=start, minutes=(end - start) % _WEEK),)


def meet(one: Iterable[Span], other: Iterable[Span]) -> bool:
    """Return whether two windows are ever open at the same time; one that ends when the other begins does not meet it."""
    others = tuple(other)
    return any(
        (b.start - a.start) % _WEEK < a.minutes or (a.start - b.start) % _WEEK < b.minutes for a in one for b in others
    )
