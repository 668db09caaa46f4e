"""What fires by the clock in AWS and on demand here: services register what they do daily or monthly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from localcloud.cloud import Cloud

SCHEDULES = ("daily", "monthly")

# Does everything that is due in a schedule at a time, and returns one line for each thing started.
Due = Callable[[Cloud, str, datetime], list[str]]
_DUE: list[Due] = []


def on_tick(due: Due) -> Due:
    """Register `due(cloud, schedule, now) -> lines`; schedule is daily or monthly (a monthly tick is not a daily one)."""
    _DUE.append(due)
    return due


def fire(cloud: Cloud, schedule: str) -> list[str]:
    """Run everything registered, in the order of registration, and return what was started."""
    now = cloud.now()
    return [line for due in _DUE for line in due(cloud, schedule, now)]
