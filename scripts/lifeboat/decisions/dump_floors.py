"""Whether a dump is suspiciously small against those before it: an emptied database makes a perfect dump."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from lifeboat.database_model import Manifest, Selection

# A flag that is no suspicion: somebody looked and said that this is the new measure.
ACCEPTED = "accepted as the new measure"
NEWEST = 7  # dumps that the median is of


@dataclass(frozen=True, kw_only=True)
class Floors:
    """By how many per cent the bytes, and the number of tables, may be below the median of the dumps before."""

    bytes_percent: float
    tables_percent: float


def suspicious(manifest: Manifest) -> tuple[str, ...]:
    """Return what is suspicious about a dump, in words."""
    return tuple(flag for flag in manifest.flags if not flag.startswith(ACCEPTED))


def measure(newest_first: Sequence[Manifest], selection: Selection) -> list[Manifest]:
    """Return the dumps that another of a selection is measured by: the last good ones.

    Back to one that was accepted as the new measure: what was before it no longer counts.
    """
    found: list[Manifest] = []
    for manifest in newest_first:
        if manifest.selection != selection or suspicious(manifest):
            continue
        found.append(manifest)
        if len(found) == NEWEST or manifest.flags:
            break
    return found


def flags(manifest: Manifest, before: Sequence[Manifest], floors: Floors) -> tuple[str, ...]:
    """Return why a dump is suspiciously small against the median of `before`; nothing where there is none to compare."""
    if not before:
        return ()
    found = []
    for what, now, usual, percent in (
        ("bytes", raw_size(manifest), median(raw_size(other) for other in before), floors.bytes_percent),
        (
            "tables",
            len(manifest.contents.tables),
            median(len(other.contents.tables) for other in before),
            floors.tables_percent,
        ),
    ):
        if now < usual * (1 - percent / 100):
            found.append(
                f"{now} {what} are {round(100 * (1 - now / usual))} % below the median of the last {len(before)} good"
                f" dumps, {usual:.0f}; the limit is {percent:g} %"
            )
    return tuple(found)


def unmeasured(found: Sequence[Manifest], selection: Selection, unread: int) -> tuple[str, ...]:
    """Return what is suspicious about a dump of a selection that has none to be measured by; nothing where it is the first.

    `found` are the manifests of those before it, beside `unread` ones that nobody can read.
    """
    others = unread + sum(manifest.selection == selection for manifest in found)
    if not others:
        return ()
    return (
        f"nobody can tell whether it shrank: none of the {others} dumps before it can be read and is not flagged itself",
    )


def raw_size(manifest: Manifest) -> int:
    """Return the bytes of a dump before compression."""
    return sum(file.raw_size for file in manifest.files)
