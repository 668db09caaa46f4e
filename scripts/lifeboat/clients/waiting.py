"""Waiting for something outside: asked again and again, told about, and given up at a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.25, 5.0, 1.5
# On Linux the monotonic clock stands still while the machine sleeps; on macOS this name of it does not (clock_gettime(2)).
SLEEP_INCLUDED: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_Found = TypeVar("_Found")


def elapsed() -> float:
    """Return seconds that only grow, those that the machine slept through included."""
    return time.clock_gettime(SLEEP_INCLUDED)


class WallClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """For how many seconds to wait, whom to tell what is waited for, how to sleep meanwhile, and by which clock."""

    seconds: float
    tell: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def until(patience: Patience, ask: Callable[[], tuple[_Found | None, str]]) -> _Found | None:
    """Ask until there is an answer, and return it; None at the deadline. The text with no answer says how far it is.

    It is asked at least once, and once more at the deadline: what was ready during the last pause counts.
    """
    deadline = patience.clock() + patience.seconds
    pause = _FIRST_PAUSE
    while True:
        last = patience.clock() >= deadline
        found, progress = ask()
        if found is not None:
            return found
        if last:
            return None
        patience.tell(progress)
        patience.sleep(max(0.0, min(pause, deadline - patience.clock())))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
