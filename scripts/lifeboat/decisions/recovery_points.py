"""Recovery points of every kind in one list: newest first, with what is to be known of each, found again by its id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.database_model import (
    DumpEntry,
    PointKind,
    PointList,
    RecoveryPoint,
    RecoveryPointId,
    Unseen,
    dump_begun_at,
)
from lifeboat.decisions import databases, dump_dates, restores
from lifeboat.errors import Unreachable
from lifeboat.model import EncryptionKey

# Not a key's ARN: nobody could look at what encrypts it. Such a copy is not to be taken for one that nothing encrypts.
UNSEEN_KEY = "not to be seen"
# S3 copies most objects within 15 minutes (S3 user guide, "Replication Time Control"); a copy that is missing longer is told.
_REPLICATING = timedelta(hours=1)
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def listed(points: Iterable[RecoveryPoint], unseen: Iterable[Unseen], now: datetime) -> PointList:
    """Return the list, newest first; copies of one moment by region and id."""
    flagged = [replace(point, flags=(*point.flags, *_flags(point, now))) for point in points]
    ordered = sorted(flagged, key=lambda p: (p.region, p.id))
    ordered.sort(key=lambda p: p.taken_at, reverse=True)
    return PointList(points=tuple(ordered), unseen=tuple(unseen), now=now)


@dataclass(frozen=True, kw_only=True)
class DumpPlace:
    """A bucket of dumps: its name and region, and the key that it encrypts with."""

    bucket: str
    region: str
    key: str | None


def of_dumps(entries: Iterable[DumpEntry], place: DumpPlace, now: datetime) -> list[RecoveryPoint]:
    """Return the dumps of one bucket as recovery points."""
    return [_of_dump(entry, place, now) for entry in entries]


def with_copies(
    primary: Sequence[RecoveryPoint], replica: Sequence[RecoveryPoint], now: datetime
) -> list[RecoveryPoint]:
    """Return the dumps of both buckets; one that should be in the other region by now and is not says so."""
    return [*_missing_in(primary, replica, now), *_missing_in(replica, primary, now)]


def _missing_in(here: Sequence[RecoveryPoint], there: Sequence[RecoveryPoint], now: datetime) -> list[RecoveryPoint]:
    present = {(p.database, p.id) for p in there if p.restorable}
    return [
        replace(p, flags=(*p.flags, "no copy in the other region"))
        if p.restorable and (p.database, p.id) not in present and now - p.taken_at > _REPLICATING
        else p
        for p in here
    ]


def keys_of(points: Iterable[RecoveryPoint]) -> list[tuple[str, str]]:
    """Return the keys that copies are encrypted with, each with the region that it is used in."""
    return sorted({(point.region, point.key) for point in points if point.key not in (None, UNSEEN_KEY)})


def under_keys(
    points: Iterable[RecoveryPoint], keys: Mapping[tuple[str, str], EncryptionKey | None]
) -> list[RecoveryPoint]:
    """Return the copies with the keys among these, by region and name, that cannot be used; None: nobody could look.

    A dump is read under its own key. What RDS restores it refuses itself, and a recovery looks at that key first.
    """
    return [_under_key(point, keys.get((point.region, point.key or ""))) for point in points]


def _under_key(point: RecoveryPoint, key: EncryptionKey | None) -> RecoveryPoint:
    state = None if key is None else databases.key_state(key)
    if key is None or state is None:
        return point
    unfit = [f"its key {key.arn} is {state}: nothing can be read of it"] if point.kind is PointKind.DUMP else []
    return replace(point, locked=key, flags=(*point.flags, f"its key is {state}"), unfit=(*point.unfit, *unfit))


def require_readable(points: Iterable[RecoveryPoint]) -> None:
    """Raise Unreachable where copies are under a key that cannot be used, with what makes it usable again."""
    locked = [(point.locked, point) for point in points if point.locked is not None]
    if not locked:
        return
    keys = sorted({(key.arn, point.region) for key, point in locked})
    lines, mends = [], []
    for arn, region in keys:
        these = [(key, point) for key, point in locked if (key.arn, point.region) == (arn, region)]
        key = these[0][0]
        lines.append(f"  the key {arn} in {region} is {databases.key_state(key)}: {len(these)} of them")
        mends.append(databases.mend(key, region))
    raise Unreachable(
        f"{len(locked)} copies cannot be read or restored, for their keys cannot be used:\n" + "\n".join(lines),
        hint="; ".join(mends),
    )


def _of_dump(entry: DumpEntry, place: DumpPlace, now: datetime) -> RecoveryPoint:
    failure, ahead = entry.failure, dump_dates.ahead(entry, now)
    flags = [] if failure is None else [f"its last verification (level {failure.level}) failed"]
    flags += restores.failed_elsewhere(entry)
    return RecoveryPoint(
        id=RecoveryPointId(entry.id),
        kind=PointKind.DUMP,
        database=entry.database,
        region=place.region,
        taken_at=entry.begun_at,
        status="available" if entry.complete else "without its manifest" if entry.deleted else "incomplete",
        size=entry.size,
        source=f"s3://{place.bucket}/{entry.prefix}",
        key=place.key,
        proven=entry.proven,
        kept=entry.kept,
        flags=(*flags, *([] if ahead is None else [ahead])),
        doubts=tuple(restores.listed_doubts(entry, now)),
    )


def _flags(point: RecoveryPoint, now: datetime) -> list[str]:
    found = [] if point.restorable else [f"it is {point.status}"]
    if point.kind is not PointKind.DUMP and point.taken_at > now + dump_dates.CLOCKS_DIFFER:
        found.append("dated in the future")
    if point.kind is not PointKind.DUMP and point.key is None:
        found.append("not encrypted")
    return found


def named(points: Iterable[RecoveryPoint], wanted: str) -> list[RecoveryPoint]:
    """Return every copy of this id, or of this ARN, in whatever region."""
    return [point for point in points if wanted in (point.id, point.arn)]


def summary(found: PointList) -> str:
    """Return how many there are of each kind, in a line."""
    counts = {kind: sum(point.kind is kind for point in found.points) for kind in PointKind}
    parts = [f"{count} {kind.value}{'' if count == 1 else 's'}" for kind, count in counts.items() if count]
    return ", ".join(parts) or "no recovery points"


def humane(size: int | None) -> str:
    """Return a number of bytes with the unit in which it has at most four digits."""
    if size is None:
        return "unknown"
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 10 else f"{value:.1f} {_UNITS[unit]}"


def kinds_of(wanted: str) -> frozenset[PointKind]:
    """Return of which kinds the recovery point of an id can be, by the form of the id: what cannot be is not asked for."""
    if dump_begun_at(wanted) is not None:
        return frozenset({PointKind.DUMP})
    if re.match(r"(arn:[^:]+:rds:[^:]*:[^:]*:auto-backup:)?ab-", wanted):
        return frozenset({PointKind.POINT_IN_TIME})
    if re.match(r"(arn:[^:]+:rds:[^:]*:[^:]*:snapshot:)?awsbackup:|arn:[^:]+:backup:|continuous:|composite:", wanted):
        return frozenset({PointKind.BACKUP_POINT})
    if re.match(r"(arn:[^:]+:rds:[^:]*:[^:]*:snapshot:)?rds:", wanted):
        return frozenset({PointKind.AUTOMATED_SNAPSHOT})
    return frozenset(PointKind) - {PointKind.DUMP, PointKind.POINT_IN_TIME}
