"""How sizes changed, as one character each."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def line(sizes: Sequence[int]) -> str:
    """Return one bar for each size, oldest first: the largest is full, and nothing is an empty place."""
    most = max(sizes, default=0)
    if most <= 0:
        return " " * len(sizes)
    return "".join(
        " " if size <= 0 else _BARS[min(len(_BARS) - 1, round(size / most * (len(_BARS) - 1)))] for size in sizes
    )
