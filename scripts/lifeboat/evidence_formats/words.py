"""Lengths and moments as a report says them."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def length(seconds: float | None) -> str:
    """Return a length in its two largest units: 6 min 11 s, 4 h, 12 d 3 h; "unknown" for None."""
    if seconds is None:
        return "unknown"
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size or (not parts and size == 1):
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def moment(at: datetime | None) -> str:
    """Return a moment in UTC to the second; a dash for None."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def day(at: datetime) -> str:
    """Return the day of a moment in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d}"
