"""Every recovery point of the database, asked of every place where one can be; what cannot be asked is told, not left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from lifeboat.clients import backup_points
from lifeboat.clients.dump_store import DumpStore, OtherBucket
from lifeboat.database_model import PointKind, PointList, RecoveryPoint, Unseen
from lifeboat.decisions import recovery_points as decisions
from lifeboat.decisions import snapshots
from lifeboat.decisions.recovery_points import DumpPlace
from lifeboat.dumps import places
from lifeboat.dumps.places import Places
from lifeboat.errors import IntegrityFailure, LifeboatError, Unreachable
from lifeboat.model import EncryptionKey
from lifeboat.site import Site

SNAPSHOTS = frozenset({PointKind.AUTOMATED_SNAPSHOT, PointKind.MANUAL_SNAPSHOT})
ALL = frozenset(PointKind)
# Each place is asked beside the others: most of the time is theirs.
_AT_ONCE = 8
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which kinds and regions are looked at: what is not wanted is not asked for."""

    kinds: frozenset[PointKind] = ALL
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """The list, and what to know of how it came to be; `damaged`: something that could not be seen is not just out of reach."""

    list: PointList
    remarks: tuple[str, ...]
    damaged: bool

    def require_whole(self) -> None:
        """Raise where something could not be looked at: Unreachable, or IntegrityFailure for what is damaged."""
        if not self.list.unseen:
            return
        lines = "\n".join(f"  {one.what} in {one.region} ({one.call}): {one.why}" for one in self.list.unseen)
        calls = ", ".join(sorted({one.call for one in self.list.unseen}))
        kind = IntegrityFailure if self.damaged else Unreachable
        raise kind(
            f"copies may be missing from this list, for not everything could be looked at:\n{lines}",
            hint=f"where permissions refuse it, take a role that has {calls}; else run it again",
        )

    def require_known(self) -> None:
        """Raise IntegrityFailure where none was found, and the stack does not tell where they lie: that says nothing."""
        self.require_whole()
        if self.remarks and not self.list.points:
            raise IntegrityFailure(
                f"nobody knows whether there are copies: none was found, {'; '.join(self.remarks)}",
                hint="is it the right environment? lifeboat state doctor says what became of the state; where nothing was"
                " ever applied: lifeboat apply",
            )


@dataclass(frozen=True, kw_only=True)
class _Looking:
    """Who asks, and writes down what could not be looked at."""

    problems: list[tuple[Unseen, LifeboatError]] = field(default_factory=list)

    def at(self, what: str, place: tuple[str, str], ask: Callable[[], _Answer]) -> _Answer | None:
        """Return an answer; None where there was none. `place` is the region, and the call as IAM names it."""
        region, call = place
        try:
            return ask()
        except LifeboatError as error:
            self.problems.append((Unseen(what=what, region=region, call=call, why=error.summary), error))
            return None


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What every question needs: the environment, where its copies lie, who asks, and when."""

    site: Site
    where: Places
    looking: _Looking
    now: datetime


def found(site: Site, scope: Scope) -> Found:
    """Return every recovery point of the database in the scope. Never raises for a place that cannot be looked at."""
    now = datetime.now(UTC)
    asked = _Asked(site=site, where=places.of(site), looking=_Looking(), now=now)
    regions = [region for region in asked.where.regions if scope.region in (None, region)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # One bucket after the other: what a listing holds of each file is most of the memory that all of this takes.
        dumps = pool.submit(lambda: [_dumps(asked, r) for r in regions if PointKind.DUMP in scope.kinds])
        others = [pool.submit(_snapshots, asked, r) for r in regions if SNAPSHOTS & scope.kinds]
        others += [pool.submit(_windows, asked, r) for r in regions if PointKind.POINT_IN_TIME in scope.kinds]
        others += [pool.submit(_in_vault, asked, r) for r in regions if PointKind.BACKUP_POINT in scope.kinds]
        points = [point for one in others for point in one.result()]
        points += _with_copies(dumps.result(), now)
        points = [p for p in points if p.kind in scope.kinds]
        keys = decisions.keys_of(points)
        states = dict(zip(keys, pool.map(lambda one: _key(asked, *one), keys), strict=True))
    unseen = sorted((one for one, _ in asked.looking.problems), key=lambda one: (one.what, one.region))
    return Found(
        list=decisions.listed(decisions.under_keys(points, states), unseen, now),
        remarks=(asked.where.remark,) if asked.where.remark else (),
        damaged=any(isinstance(error, IntegrityFailure) for _, error in asked.looking.problems),
    )


def _dumps(asked: _Asked, region: str) -> list[RecoveryPoint] | None:
    store = store_in(asked.site, asked.where, region)
    entries = asked.looking.at("dumps", (region, "s3:ListBucketVersions"), store.entries)
    if entries is None:
        return None
    bucket = asked.site.dump_bucket(store.bucket, region)
    seen: list[str | None] = []
    asked.looking.at("the key of dumps", (region, "s3:GetEncryptionConfiguration"), lambda: seen.append(bucket.key()))
    place = DumpPlace(bucket=store.bucket, region=region, key=seen[0] if seen else decisions.UNSEEN_KEY)
    return decisions.of_dumps(entries, place, asked.now)


def _key(asked: _Asked, region: str, name: str) -> EncryptionKey | None:
    keys = asked.site.encryption_keys(region)
    return asked.looking.at(f"the key {name}", (region, "kms:DescribeKey"), lambda: keys.key(name))


def _with_copies(in_buckets: Sequence[list[RecoveryPoint] | None], now: datetime) -> list[RecoveryPoint]:
    """Return the dumps of the buckets that were seen; what is missing in one is known only where both were."""
    seen = [one for one in in_buckets if one is not None]
    if len(seen) == 2:
        return decisions.with_copies(seen[0], seen[1], now)
    return [point for one in seen for point in one]


def _snapshots(asked: _Asked, region: str) -> list[RecoveryPoint]:
    client = asked.site.database_snapshots()
    found = asked.looking.at("snapshots", (region, "rds:DescribeDBSnapshots"), lambda: client.snapshots(region))
    return ours(asked.site, found or [])


def _windows(asked: _Asked, region: str) -> list[RecoveryPoint]:
    client = asked.site.database_snapshots()
    place = (region, "rds:DescribeDBInstanceAutomatedBackups")
    return ours(asked.site, asked.looking.at("point-in-time windows", place, lambda: client.windows(region)) or [])


def _in_vault(asked: _Asked, region: str) -> list[RecoveryPoint]:
    client = asked.site.backup_points()
    vault = asked.where.vaults.primary if region == asked.where.region else asked.where.vaults.dr
    found = asked.looking.at(
        f"the vault {vault}", (region, "backup:ListRecoveryPointsByBackupVault"), lambda: client.in_vault(vault, region)
    )
    proofs = asked.looking.at("restore tests", (region, "backup:ListRestoreJobs"), lambda: client.proofs(region))
    mine = [point for point in found or [] if _is_of_the_database(point, asked)]
    place = (region, "rds:DescribeDBSnapshots")
    ask = partial(asked.site.database_snapshots().moments_of_aws_backup, region)
    moments = asked.looking.at("moments of AWS Backup's points", place, ask) if mine else None
    return [backup_points.proven(backup_points.as_of(point, moments or {}), proofs or {}) for point in mine]


def _is_of_the_database(point: RecoveryPoint, asked: _Asked) -> bool:
    """Return whether a recovery point of a vault is of a database instance, or of the bucket of its dumps."""
    dumps = asked.where.dumps
    return ":rds:" in point.source or point.database in (dumps.bucket, dumps.replica_bucket)


def ours(site: Site, points: Sequence[RecoveryPoint]) -> list[RecoveryPoint]:
    """Return the snapshots and windows that are of this environment's database."""
    owner = site.owner()
    return [point for point in points if snapshots.is_ours(point.source, point.tags, owner)]


def store_in(site: Site, where: Places, region: str) -> DumpStore:
    """Return the dumps of a region: those that were written, or S3's copies of them."""
    primary = OtherBucket(bucket=where.dumps.bucket, region=where.region)
    replica = OtherBucket(bucket=where.dumps.replica_bucket, region=where.dr_region)
    here, other = (primary, replica) if region == where.region else (replica, primary)
    return site.dumps_in(here.bucket, region, where.dumps.prefix, other)
