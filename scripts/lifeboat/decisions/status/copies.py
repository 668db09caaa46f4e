"""The copies of each asset: which of them count, which is the newest, and how each kind stands in each region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.database_model import PointKind, RecoveryPoint
from lifeboat.decisions import dump_dates
from lifeboat.decisions.images import unusable
from lifeboat.decisions.status import built
from lifeboat.decisions.status.check import Case, late
from lifeboat.model import Image, Snapshot, Tag, WantedImage
from lifeboat.status_model import (
    Asset,
    CopyKind,
    CopyRow,
    DrillRecord,
    Facts,
    Limits,
    Seen,
    Stack,
    nobody,
)

TREND = 12  # sizes that the trend shows
SNAPSHOTS = (PointKind.AUTOMATED_SNAPSHOT, PointKind.MANUAL_SNAPSHOT)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of copy: of what, how the stack names what makes it (None: see `every`), and how often it is made then.

    `points` are the recovery points of the database that are copies of this kind.
    """

    asset: Asset
    kind: CopyKind
    word: str
    every: timedelta | None = None
    points: tuple[PointKind, ...] = ()


WINDOWS = Kind(asset=Asset.DATABASE, kind=CopyKind.WINDOW, word=built.WINDOW, points=(PointKind.POINT_IN_TIME,))
# RDS takes one in each backup window.
AUTOMATED = Kind(
    asset=Asset.DATABASE, kind=CopyKind.SNAPSHOT, word=built.WINDOW, every=timedelta(days=1), points=SNAPSHOTS
)
IN_VAULT = Kind(asset=Asset.DATABASE, kind=CopyKind.VAULT, word=built.BACKUP, points=(PointKind.BACKUP_POINT,))
DUMPS = Kind(asset=Asset.DUMPS, kind=CopyKind.DUMP, word="", points=(PointKind.DUMP,))
VOLUMES = Kind(asset=Asset.VOLUME, kind=CopyKind.VOLUME_SNAPSHOT, word=built.SNAPSHOT)
MACHINES_IN_VAULT = Kind(asset=Asset.VOLUME, kind=CopyKind.VAULT, word=built.BACKUP)
IMAGES = Kind(asset=Asset.IMAGE, kind=CopyKind.IMAGE, word=built.IMAGE)


def sound(points: Iterable[RecoveryPoint], now: datetime) -> list[RecoveryPoint]:
    """Return the points that something can be restored from and that nothing speaks against, newest first."""
    found = [p for p in points if p.restorable and not p.doubts and p.taken_at <= now + dump_dates.CLOCKS_DIFFER]
    return sorted(found, key=lambda point: point.taken_at, reverse=True)


def of_database(points: Iterable[RecoveryPoint], stack: Stack) -> list[RecoveryPoint]:
    """Return those of the instance that serves: of snapshots and windows by its name, of a vault's points by its ARN's end."""
    serving = stack.recovery.database.identifier
    return [point for point in points if point.database == serving]


def of_machine(points: Iterable[RecoveryPoint], stack: Stack) -> list[RecoveryPoint]:
    """Return the points of a vault that are of the application's instance."""
    serving = stack.recovery.app.instance_id
    return [point for point in points if point.source.endswith(f":instance/{serving}")]


def dumps_of_database(points: Iterable[RecoveryPoint], stack: Stack) -> list[RecoveryPoint]:
    """Return the dumps of the application's database."""
    return [point for point in points if point.database == stack.recovery.database.name]


def complete(snapshots: Iterable[Snapshot], stack: Stack | None) -> list[Snapshot]:
    """Return the volume snapshots that are made and that a lifecycle policy of the stack took, newest first.

    Those of an image are no sign that the policy works. Without a stack, those of any policy.
    """
    policies = None if stack is None else built.snapshot_policies(stack)
    found = [
        one
        for one in snapshots
        if one.state == "completed"
        and (one.tags.get(Tag.DLM_POLICY) in policies if policies is not None else Tag.DLM_POLICY in one.tags)
    ]
    return sorted(found, key=lambda one: one.started_at, reverse=True)


def launched(architecture: str | None, limits: Limits, now: datetime, region: str) -> WantedImage:
    """Return what a recovery in a region would launch from: for the kind of machine that the instance is; None: for any."""
    return WantedImage(owner=limits.owner, region=region, now=now, architecture=architecture)


def usable(images: Iterable[Image], wanted: WantedImage) -> list[Image]:
    """Return the images that a recovery would launch from, newest first."""
    found = (image for image in images if unusable(image, wanted) is None)
    return sorted(found, key=lambda image: image.taken_at, reverse=True)


# -- rows of the table -------------------------------------------------------------------------------------------------


def rows(facts: Facts, limits: Limits) -> tuple[CopyRow, ...]:
    """Return one row for each kind of copy in each region that the stack copies to; without a stack, for what there is."""
    stack = facts.stack.found
    regions = (limits.region, limits.dr_region)
    found: list[CopyRow] = []
    for region in regions:
        found += [*_of_points(facts, limits, region)]
    order = {(kind.asset, kind.kind): number for number, kind in enumerate(_ALL)}
    found.sort(key=lambda row: (order[row.asset, row.kind], regions.index(row.region)))
    return tuple(row for row in found if stack is None or row.count or row.unseen or _expected(row, stack))


_ALL = (WINDOWS, AUTOMATED, IN_VAULT, DUMPS, VOLUMES, MACHINES_IN_VAULT, IMAGES)


def _expected(row: CopyRow, stack: Stack) -> bool:
    kind = next(one for one in _ALL if (one.asset, one.kind) == (row.asset, row.kind))
    if kind is AUTOMATED and row.region != stack.recovery.region:
        return False
    return bool(built.every(stack, kind.asset.value, kind.word, row.region))


def _of_points(facts: Facts, limits: Limits, region: str) -> Iterable[CopyRow]:
    stack = facts.stack.found

    def row(kind: Kind, look: Seen[Sequence[RecoveryPoint]], mine: Sequence[RecoveryPoint]) -> CopyRow:
        good = sound(mine, facts.now)
        newest = good[0] if good else None
        proven = newest.proven if newest is not None else None
        return CopyRow(
            asset=kind.asset,
            kind=kind.kind,
            region=region,
            newest=None if newest is None else newest.taken_at,
            limit=_limit(kind, facts, limits, region),
            count=len(good),
            sizes=tuple(p.size for p in reversed(good[:TREND]) if p.size is not None),
            verified=None if proven is None else proven.level,
            verified_at=None if proven is None else proven.at,
            restored_at=_newest([*_runs_of(good), *_restored(facts, kind, region)]),
            unseen="" if look.unseen is None else look.unseen.why,
        )

    windows, snapshots = _look(facts.windows, region), _look(facts.snapshots, region)
    vault, dumps = _look(facts.vaults, region), _look(facts.dumps, region)

    def mine(points: Seen[Sequence[RecoveryPoint]], pick: object) -> list[RecoveryPoint]:
        assert callable(pick)
        found = points.found or ()
        return list(found) if stack is None else list(pick(found, stack))

    yield row(WINDOWS, windows, mine(windows, of_database))
    yield row(AUTOMATED, snapshots, mine(snapshots, of_database))
    in_vault = [p for p in vault.found or () if ":rds:" in p.source]
    yield row(IN_VAULT, vault, in_vault if stack is None else of_database(in_vault, stack))
    yield row(DUMPS, dumps, mine(dumps, dumps_of_database))
    machines = [p for p in vault.found or () if ":instance/" in p.source]
    yield row(MACHINES_IN_VAULT, vault, machines if stack is None else of_machine(machines, stack))
    yield _volumes(facts, limits, region)
    yield _images(facts, limits, region)


def _look(found: Mapping[str, Seen[tuple[RecoveryPoint, ...]]], region: str) -> Seen[Sequence[RecoveryPoint]]:
    return found.get(region, nobody(f"the copies in {region}"))


def _volumes(facts: Facts, limits: Limits, region: str) -> CopyRow:
    look: Seen[tuple[Snapshot, ...]] = facts.volumes.get(region, nobody(f"volume snapshots in {region}"))
    good = complete(look.found or (), facts.stack.found)
    return CopyRow(
        asset=Asset.VOLUME,
        kind=CopyKind.VOLUME_SNAPSHOT,
        region=region,
        newest=good[0].started_at if good else None,
        limit=_limit(VOLUMES, facts, limits, region),
        count=len(good),
        sizes=tuple(s.size_gb * 1024**3 for s in reversed(good[:TREND])),
        unseen="" if look.unseen is None else look.unseen.why,
    )


def _images(facts: Facts, limits: Limits, region: str) -> CopyRow:
    look: Seen[tuple[Image, ...]] = facts.images.get(region, nobody(f"images in {region}"))
    wanted = launched(facts.architecture.found, limits, facts.now, region)
    good = [] if facts.architecture.unseen else usable(look.found or (), wanted)
    hidden = look.unseen or facts.architecture.unseen
    proven = _newest(image.proven_at for image in good)
    return CopyRow(
        asset=Asset.IMAGE,
        kind=CopyKind.IMAGE,
        region=region,
        newest=good[0].taken_at if good else None,
        limit=limits.image,
        count=len(good),
        sizes=tuple(sum(s.size_gb for s in i.snapshots) * 1024**3 for i in reversed(good[:TREND])),
        restored_at=proven,
        unseen="" if hidden is None else hidden.why,
    )


def _limit(kind: Kind, facts: Facts, limits: Limits, region: str) -> timedelta | None:
    stack = facts.stack.found
    if stack is None:
        return None
    often = kind.every or built.every(stack, kind.asset.value, kind.word, region)
    return None if often is None else late(Case(facts=facts, limits=limits, subject=region), often)


def _runs_of(points: Iterable[RecoveryPoint]) -> Iterable[datetime]:
    """Return when points were restored for real: by a recovery or drill, or by a restore test, never by a look at files.

    One of a part of the database is none of these.
    """
    proofs = (point.proven for point in points if point.proven is not None and not point.proven.part)
    return (proof.at for proof in proofs if proof.run or proof.level >= 3 or proof.looked)


def _restored(facts: Facts, kind: Kind, region: str) -> Iterable[datetime]:
    """Return when drills that went well restored copies of this kind that lay in this region."""
    return (
        drill.ended
        for drill in facts.drills.found or ()
        if drill.passed and any((word, region) in drill.copies for word in kind.points)
    )


def covers(drill: DrillRecord, scope: str) -> bool:
    """Return whether a drill is of a scope: a full one is of the database and of the instance too."""
    return drill.scope == scope or (drill.scope == "full" and scope in ("database", "instance"))


def _newest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in moments if at is not None), default=None)
