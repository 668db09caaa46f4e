"""Lengths of time in the words of findings: 36 hours, 7 days."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.decisions.policy.schedules import NEVER


def words(length: timedelta) -> str:
    """Return a length in days or hours where it is a whole number of them, else in minutes."""
    if length == NEVER:
        return "never again"
    minutes = length.total_seconds() / 60
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= 2 * size and minutes % size == 0:
            return f"{minutes / size:g} {unit}s"
    for unit, size in (("hour", 60), ("minute", 1)):
        if minutes >= size:
            return f"{minutes / size:.4g} {unit}{'' if minutes == size else 's'}"
    return f"{length.total_seconds():g} seconds"
