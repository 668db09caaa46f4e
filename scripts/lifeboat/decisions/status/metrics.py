"""What a status comes to in numbers: the metrics that alarms and the dashboard are made of. What nobody saw is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from lifeboat.decisions.status import copies, database, dumps
from lifeboat.decisions.status.check import Case
from lifeboat.errors import NotSeen
from lifeboat.status_model import Asset, Colour, CopyKind, CopyRow, Facts, Limits, Measure, Status

# Which rows of the table a kind of metric is of (modules/backup-alarms, "freshness").
_ROWS: tuple[tuple[str, Asset, CopyKind], ...] = (
    ("database", Asset.DATABASE, CopyKind.WINDOW),
    ("vault", Asset.DATABASE, CopyKind.VAULT),
    ("dumps", Asset.DUMPS, CopyKind.DUMP),
    ("instance-volume", Asset.VOLUME, CopyKind.VOLUME_SNAPSHOT),
    ("image", Asset.IMAGE, CopyKind.IMAGE),
)


def measures(found: Status, facts: Facts, limits: Limits) -> tuple[Measure, ...]:
    """Return every metric that can be told. A copy that is missing, or could not be seen, has no age: its alarm rings."""
    case = Case(facts=facts, limits=limits, subject="")
    return (
        *_ages(found, limits.application),
        *_state(found, limits.application),
        *_proofs(case),
        *_drills(found, limits.application),
        *_counts(found, facts, limits.application),
    )


def _ages(found: Status, name: str) -> Iterator[Measure]:
    for kind, asset, of in _ROWS:
        rows = [row for row in found.copies if row.asset is asset and row.kind is of]
        oldest = _oldest(rows)
        if oldest is not None:
            yield _seconds("BackupAgeSeconds", name, kind, found.now - oldest)
        sizes = [row.sizes[-1] for row in rows if row.sizes]
        if sizes:
            yield Measure(name="BackupBytes", dimensions=_of(name, kind), value=float(sizes[0]), unit="Bytes")


def _oldest(rows: Iterable[CopyRow]) -> datetime | None:
    """Return the newest copy of the region that lags behind: what would be lost with the other one."""
    newest = [None if row.unseen else row.newest for row in rows]
    known = [at for at in newest if at is not None]
    return min(known) if known and len(known) == len(newest) else None


def _state(found: Status, name: str) -> Iterator[Measure]:
    """Yield the age of the newest look that found the state and its copy sound: of this one, or of none."""
    verdicts = [verdict for verdict in found.verdicts if verdict.check == "state.sound"]
    if verdicts and all(verdict.colour is Colour.GREEN for verdict in verdicts):
        yield _seconds("BackupAgeSeconds", name, "state", timedelta(0))


def _proofs(case: Case) -> Iterator[Measure]:
    name = case.limits.application
    found: dict[str, list[datetime]] = {"database": [], "dumps": [], "image": [], "state": []}
    try:
        found["database"] = [at for at, _ in database.proofs(case)[0]]
        found["dumps"] = [at for at, _, _ in dumps.proofs(case)]
    except NotSeen:
        pass  # it has no age then, and its alarm rings
    for region, look in case.facts.images.items():
        if case.facts.architecture.unseen is None:
            wanted = copies.launched(case.facts.architecture.found, case.limits, case.now, region)
            images = copies.usable(look.found or (), wanted)
            found["image"] += [image.proven_at for image in images if image.proven_at is not None]
    found["state"] = [one.ended for one in case.facts.drills.found or () if one.passed and one.scope == "state"]
    for kind, moments in found.items():
        if moments:
            yield _seconds("RestoreProofAgeSeconds", name, kind, case.now - max(moments))


def _drills(found: Status, name: str) -> Iterator[Measure]:
    for row in found.drills:
        if row.good is None:
            continue
        if row.good.rto is not None:
            yield _seconds("MeasuredRtoSeconds", name, row.scope, row.good.rto)
        if row.good.rpo is not None:
            yield _seconds("MeasuredRpoSeconds", name, row.scope, row.good.rpo)
        yield _seconds("DrillAgeSeconds", name, row.scope, found.now - row.good.ended)


def _counts(found: Status, facts: Facts, name: str) -> Iterator[Measure]:
    of = {"Name": name}
    if facts.leaks.unseen is None:
        left = len(facts.leaks.found or ())
        yield Measure(name="LeakedResources", dimensions=of, value=float(left), unit="Count")
    for metric, colour in (("StatusChecksRed", Colour.RED), ("StatusChecksUnknown", Colour.UNKNOWN)):
        yield Measure(name=metric, dimensions=of, value=float(len(found.of(colour))), unit="Count")


def _of(name: str, kind: str) -> dict[str, str]:
    return {"Name": name, "Kind": kind}


def _seconds(metric: str, name: str, kind: str, length: timedelta) -> Measure:
    value = max(0.0, length.total_seconds())
    return Measure(name=metric, dimensions=_of(name, kind), value=value, unit="Seconds")
