"""Lengths of time as operators write and read them: 45s, 90m, 4h, 7d."""

from __future__ import annotations

import re
from datetime import timedelta

_WRITTEN = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parsed(text: str) -> timedelta | None:
    """Return the length that a text such as 90m names; None when it names none, or nothing."""
    found = _WRITTEN.fullmatch(text)
    if found is None or int(found[1]) == 0:
        return None
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def said(length: timedelta) -> str:
    """Return a length in its largest unit of which there are at least two (seconds otherwise), cut off, not rounded."""
    seconds = max(0, int(length.total_seconds()))
    for unit in ("d", "h", "m"):
        if seconds >= 2 * _SECONDS[unit]:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"
