"""Lengths of time in the words of findings: 36 hours, 7 days."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.decisions.policy.schedules import NEVER


def words(length: timedelta) -> str:
    """Return a length in the largest unit of which it is a whole number, exact; 24 hours are not called a day."""
    if length == NEVER:
        return "never again"
    seconds = length.total_seconds()
    for unit, size, least in (("day", 86400, 2), ("hour", 3600, 1), ("minute", 60, 1)):
        if seconds >= size * least and seconds % size == 0:
            return f"{seconds / size:g} {unit}{'' if seconds == size else 's'}"
    return f"{seconds:.10g} seconds"
