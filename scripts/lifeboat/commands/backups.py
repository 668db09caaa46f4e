"""`lifeboat backups`, `describe` and `keep`: every recovery point in one list, one of them in full, one kept for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from lifeboat.clients.dump_store import DumpStore
from lifeboat.clients.waiting import Patience
from lifeboat.database_model import (
    MANIFEST_FILE,
    Described,
    DumpDescription,
    DumpEntry,
    KeepAs,
    PointKind,
    Proof,
    RecoveryPoint,
    SnapshotTag,
)
from lifeboat.decisions import recovery_points as decisions
from lifeboat.decisions import snapshots
from lifeboat.decisions.retention import KEEP_AS
from lifeboat.dumps import places, points, retaining
from lifeboat.dumps.points import Found, Scope
from lifeboat.errors import IntegrityFailure, NothingFits, Refused, WrongConfiguration
from lifeboat.model import Agree, Teller
from lifeboat.site import Site
from lifeboat.stack import holding


def listed(site: Site, scope: Scope) -> Found:
    """Return every recovery point in the scope, and what could not be looked at."""
    require_region(site, scope.region)
    return points.found(site, scope)


def require_region(site: Site, region: str | None) -> None:
    """Raise WrongConfiguration where a region is none of the environment's."""
    application = site.project.environment.application
    if region not in (None, application.region, application.dr_region):
        raise WrongConfiguration(
            f"{region} is neither of the regions of {site.project.env}",
            hint=f"--region {application.region} or {application.dr_region}",
        )


# -- one of them -------------------------------------------------------------------------------------------------------


def described(site: Site, wanted: str) -> Described:
    """Return all that is known of a recovery point; raises NothingFits where there is none, Unreachable where nobody can say."""
    copies = _named(site, wanted, None)
    if copies[0].kind is not PointKind.DUMP:
        return Described(copies=copies, dump=None)
    (store, entry), *others = _dumps_of(site, copies)
    found = _dump(site, store, entry)
    proofs, problems = list(found.proofs), [found.problem]
    for other, copy in others:
        more, wrong = _proofs(other, copy)
        proofs, problems = [*proofs, *more], [*problems, *wrong]
    whole = replace(found, proofs=tuple(proofs), problem="; ".join(filter(None, problems)))
    return Described(copies=copies, dump=whole)


def _dump(site: Site, store: DumpStore, entry: DumpEntry) -> DumpDescription:
    manifest, problem, keep_as = None, "", None
    if entry.complete:
        try:
            manifest = store.manifest(entry)
        except IntegrityFailure as error:
            problem = error.summary
        bucket = site.dump_bucket(store.bucket, store.place.region)
        keep_as = bucket.tags(f"{entry.prefix}{MANIFEST_FILE}").get(KEEP_AS)
    else:
        problem = entry.why_incomplete
    proofs, wrong = _proofs(store, entry)
    problem = "; ".join(filter(None, [problem, *wrong]))
    return DumpDescription(manifest=manifest, problem=problem, proofs=tuple(proofs), keep_as=keep_as)


def _proofs(store: DumpStore, entry: DumpEntry) -> tuple[list[Proof], list[str]]:
    """Return the proofs of the copy in one bucket with what they say, and which of them cannot be read."""
    proofs, wrong = [], []
    for proof in entry.proofs:
        try:
            proofs.append(store.proof(entry, proof))
        except IntegrityFailure as error:
            wrong.append(error.summary)
            proofs.append(proof)
    return proofs, wrong


def require_there(site: Site, wanted: str, region: str | None) -> None:
    """Raise NothingFits where there is no such recovery point, Unreachable where nobody can say."""
    _named(site, wanted, region)


def _named(site: Site, wanted: str, region: str | None) -> tuple[RecoveryPoint, ...]:
    """Return every copy of an id. That a place cannot be looked at is told rather than that there is none."""
    require_region(site, region)
    found = points.found(site, Scope(kinds=decisions.kinds_of(wanted), region=region))
    copies = decisions.named(found.list.points, wanted)
    if not copies:
        found.require_whole()
        raise NothingFits(
            f"there is no recovery point {wanted} of {site.project.environment.application.name}",
            hint="lifeboat backups lists them all",
        )
    return tuple(copies)


def _dumps_of(site: Site, copies: Sequence[RecoveryPoint]) -> list[tuple[DumpStore, DumpEntry]]:
    """Return the copies of a dump with the buckets that they lie in, of the primary region first."""
    where = places.of(site)
    regions = {point.region for point in copies}
    stores = [points.store_in(site, where, region) for region in where.regions if region in regions]
    wanted = {(point.database, str(point.id)) for point in copies}
    return [
        (store, entry)
        for store in stores
        for entry in store.entries(copies[0].database)
        if (entry.database, str(entry.id)) in wanted
    ]


# -- kept for ever -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Which recovery point is kept, where (None: wherever it is), why, and how long a copy that is made for it may take."""

    wanted: str
    region: str | None
    why: str
    within: timedelta


def keep(site: Site, tell: Teller, agree: Agree, keeping: Keeping) -> list[tuple[str, str]]:
    """Keep a recovery point until it is released, and return the ids and regions that are kept from now on.

    A dump is marked and its objects tagged, so that no rule of the bucket acts on them; a manual snapshot is tagged; an
    automated one, which RDS expires in any case, is copied to a manual one. The rest is refused with the reason.
    """
    copies = _named(site, keeping.wanted, keeping.region)
    kind, why = copies[0].kind, keeping.why
    _require_keepable(copies)
    if kind is PointKind.DUMP:
        with holding.alone(site, tell.say, "keep"):
            return _keep_dump(site, tell, copies, why)
    wrong = snapshots.wrong_text(why)
    if wrong is not None:
        raise WrongConfiguration(wrong, hint="write the reason in other signs")
    with holding.alone(site, tell.say, "keep"):
        if kind is PointKind.MANUAL_SNAPSHOT:
            client = site.database_snapshots()
            for point in copies:
                client.tag(point, {SnapshotTag.KEEP: why})
            return [(point.id, point.region) for point in copies]
        agree(
            [
                f"copy {p.id} in {p.region} to a manual snapshot, which is paid for until it is released and pruned"
                for p in copies
            ]
        )
        return [_keep_automated(site, tell, point, keeping) for point in copies]


def _require_keepable(copies: Sequence[RecoveryPoint]) -> None:
    point = copies[0]
    if point.kind is PointKind.BACKUP_POINT:
        raise Refused(
            f"{point.id} cannot be kept by lifeboat: how long a recovery point lasts is its vault's and plan's to say, and"
            " the vault is locked against everybody",
            hint="keep the data otherwise: lifeboat snapshot create --before 'keep', or lifeboat restore and a dump of that;"
            " for later ones: delete_after_days in backup.rules of the tfvars",
        )
    if point.kind is PointKind.POINT_IN_TIME:
        raise Refused(
            f"{point.id} is a window that moves on, and cannot be kept",
            hint="lifeboat snapshot create --before 'keep' keeps this moment; an earlier one has to be restored first",
        )
    unfinished = [p for p in copies if not p.restorable]
    if unfinished:
        raise Refused(
            f"{unfinished[0].id} in {unfinished[0].region} is {unfinished[0].status}: nothing can be restored from it",
            hint="lifeboat backups shows what can",
        )


def _keep_dump(site: Site, tell: Teller, copies: Sequence[RecoveryPoint], why: str) -> list[tuple[str, str]]:
    # The mark goes into one bucket, from which S3 copies it; the tags, which S3 copies at its leisure, into both.
    for number, (store, entry) in enumerate(_dumps_of(site, copies)):
        if number == 0:
            store.keep(entry, why)
        retaining.tag(site, store, entry, KeepAs.HELD)
        for finding in retaining.rule_findings(site, store):
            tell.warn(finding)
    return [(point.id, point.region) for point in copies]


def _keep_automated(site: Site, tell: Teller, point: RecoveryPoint, keeping: Keeping) -> tuple[str, str]:
    client, why, within = site.database_snapshots(), keeping.why, keeping.within
    order = snapshots.keeping_copy(point, site.owner(), why)
    there = snapshots.copy_in(filter(None, [client.snapshot(order.name, order.region)]), point)
    if there is None:
        tell.say(f"copying {point.id} in {point.region} to {order.name}")
        client.copy(point, order, None)
    with tell.waiting() as show:
        made = client.available(order.name, order.region, Patience(seconds=within.total_seconds(), tell=show))
    if there is not None and not there.kept:
        client.tag(made, {SnapshotTag.KEEP: why})
    return made.id, made.region


def release(site: Site, tell: Teller, wanted: str, region: str | None) -> list[tuple[str, str]]:
    """Take the mark of a kept recovery point away, and return the ids and regions; nothing is deleted by it.

    What becomes of it then, the next `retention apply` and `snapshot prune` decide.
    """
    copies = _named(site, wanted, region)
    kept = [point for point in copies if point.kept]
    if not kept:
        raise Refused(f"{wanted} is not kept, so there is nothing to release", hint="lifeboat backups")
    with holding.alone(site, tell.say, "keep"):
        if kept[0].kind is PointKind.DUMP:
            for store, entry in _dumps_of(site, kept):
                if entry.kept:
                    store.release(entry)
        else:
            for point in kept:
                site.database_snapshots().untag(point, SnapshotTag.KEEP)
    return [(point.id, point.region) for point in kept]
