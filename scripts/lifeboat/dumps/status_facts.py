"""What a status has to see of the copies of the database: windows, snapshots, vaults' points and dumps, in both regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lifeboat.clients import backup_points
from lifeboat.clients.dump_store import DumpStore
from lifeboat.database_model import DumpEntry, PointKind, RecoveryPoint
from lifeboat.decisions import recovery_points as decisions
from lifeboat.decisions import restores
from lifeboat.dumps import points
from lifeboat.dumps.places import Places
from lifeboat.dumps.points import Scope
from lifeboat.errors import IntegrityFailure, NothingFits, Unreachable
from lifeboat.site import Site
from lifeboat.stack.looking import Place, look, unseen
from lifeboat.status_model import NewestDump, Points, Seen

_SIZES = 12


@dataclass(frozen=True, kw_only=True)
class DumpsSeen:
    """The dumps of each region, and the newest one of the application's database in the primary one, looked into."""

    points: Mapping[str, Seen[Points]]
    newest: Seen[NewestDump]


def windows(site: Site, region: str) -> Seen[Points]:
    """Return the point-in-time windows of a region."""
    return _found(site, Scope(kinds=frozenset({PointKind.POINT_IN_TIME}), region=region), region)


def snapshots(site: Site, region: str) -> Seen[Points]:
    """Return the snapshots of a region, automated and manual ones."""
    return _found(site, Scope(kinds=points.SNAPSHOTS, region=region), region)


def _found(site: Site, scope: Scope, region: str) -> Seen[Points]:
    found = points.found(site, scope).list
    return Seen(unseen=found.unseen[0]) if found.unseen else Seen(found=found.points)


def vault(site: Site, where: Places, region: str) -> Seen[Points]:
    """Return the recovery points of a region's vault, of whatever resource, with what restore tests said of each."""
    name = where.vaults.primary if region == where.region else where.vaults.dr
    place = Place(what=f"the vault {name}", region=region, call="backup:ListRecoveryPointsByBackupVault")

    def ask() -> Points:
        client = site.backup_points()
        found, proofs = client.in_vault(name, region), client.proofs(region)
        of_rds = any(":rds:" in point.source for point in found)
        moments = site.database_snapshots().moments_of_aws_backup(region) if of_rds else {}
        return tuple(backup_points.proven(backup_points.as_of(point, moments), proofs) for point in found)

    return look(place, ask)


def dumps(site: Site, where: Places, database: str, now: datetime) -> DumpsSeen:
    """Return the dumps of both regions, and the newest one of a database of the primary region that is, or was, complete.

    One bucket after the other: what a listing holds of each file is most of the memory that a status takes.
    """
    listed: dict[str, list[RecoveryPoint]] = {}
    found: dict[str, Seen[Points]] = {}
    newest: Seen[NewestDump] = Seen()
    for region in where.regions:
        store = points.store_in(site, where, region)
        place = Place(what=f"the dumps in s3://{store.bucket}", region=region, call="s3:ListBucketVersions")
        entries = look(place, store.entries)
        if entries.unseen is not None:
            found[region] = Seen(unseen=entries.unseen)
            if region == where.region:
                newest = Seen(unseen=entries.unseen)
            continue
        there = decisions.DumpPlace(bucket=store.bucket, region=region, key=decisions.UNSEEN_KEY)
        listed[region] = decisions.of_dumps(entries.found or (), there, now)
        if region == where.region:
            newest = _newest(store, [e for e in entries.found or () if e.database == database], listed[region], now)
    primary, other = (listed.get(region) for region in where.regions)
    if primary is not None and other is not None:
        both = decisions.with_copies(primary, other, now)
        for region in where.regions:
            found[region] = Seen(found=tuple(point for point in both if point.region == region))
    else:
        found |= {region: Seen(found=tuple(mine)) for region, mine in listed.items()}
    return DumpsSeen(points=found, newest=newest)


def _newest(store: DumpStore, entries: list[DumpEntry], listed: list[RecoveryPoint], now: datetime) -> Seen[NewestDump]:
    ordered, beheaded = restores.newest_first(entries, now), restores.beheaded(entries)
    if not ordered and not beheaded:
        return Seen()
    entry = beheaded[-1] if beheaded else ordered[0]
    point = next(p for p in listed if (p.database, str(p.id)) == (entry.database, str(entry.id)))
    if beheaded:
        return Seen(found=NewestDump(point=point, manifest=None, damage=entry.why_incomplete))
    sizes = tuple(one.size for one in ordered[1 : _SIZES + 1])
    place = Place(what=f"the manifest of {entry.id}", region=store.place.region, call="s3:GetObjectVersion")
    try:
        manifest = store.manifest(entry)
    except (IntegrityFailure, NothingFits) as error:
        return Seen(found=NewestDump(point=point, manifest=None, damage=error.summary, sizes_before=sizes))
    except Unreachable as error:
        return unseen(place, error.summary)
    return Seen(found=NewestDump(point=point, manifest=manifest, sizes_before=sizes))
