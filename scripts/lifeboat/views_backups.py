"""Printing of recovery points: the one table of all of them, one in full, what stays and what goes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.markup import escape

from lifeboat.database_model import (
    Described,
    Fate,
    Manifest,
    PointKind,
    PointList,
    Proof,
    RecoveryPoint,
    SnapshotPruning,
    Unseen,
)
from lifeboat.decisions.durations import said
from lifeboat.decisions.recovery_points import UNSEEN_KEY, humane
from lifeboat.decisions.recovery_points import summary as counted
from lifeboat.dumps.retaining import Retention, summary
from lifeboat.views import aligned, console, findings, lines, pairs

_HEADINGS = (
    "id",
    "kind",
    "of",
    "taken (UTC)",
    "age",
    "size",
    "region",
    "encrypted by",
    "expires",
    "verified",
    "kept",
    "flags",
)
_ALLOCATED = (PointKind.AUTOMATED_SNAPSHOT, PointKind.MANUAL_SNAPSHOT, PointKind.POINT_IN_TIME)


def points(found: PointList) -> None:
    """Print every recovery point, newest first; above them, a row for each place that could not be looked at."""
    rows = [_row(point, found.now) for point in found.points]
    unseen = [("?", one.what, "", "unknown", "", "", one.region) for one in found.unseen]
    printed = aligned([_HEADINGS, *unseen, *rows])
    out = console(stderr=False)
    lines(printed[:1])
    for line, one in zip(printed[1:], found.unseen, strict=False):
        out.print(f"[red]{escape(f'{line}  {one.call}: {one.why}')}[/red]")
    lines(printed[1 + len(unseen) :])
    more = f"; unknown: {len(unseen)} places, so there may be more" if unseen else ""
    lines([f"{counted(found)}{more}"])


def _row(point: RecoveryPoint, now: datetime) -> tuple[str, ...]:
    taken = f"{point.taken_at:%Y-%m-%d %H:%M}"
    if point.earliest is not None:
        taken = f"{point.earliest:%Y-%m-%d %H:%M} to {taken}"
    size = humane(point.size) + (" allocated" if point.kind in _ALLOCATED and point.size is not None else "")
    proven = "never" if point.proven is None else f"{_level(point.proven)}, {said(now - point.proven.at)} ago"
    return (
        point.id,
        point.kind.value,
        point.database,
        taken,
        said(now - point.taken_at),
        size,
        point.region,
        _key(point),
        _expires(point),
        proven,
        "kept" if point.kept else "",
        "; ".join(point.flags),
    )


def _level(proof: Proof) -> str:
    short = "of a part" if proof.part else "rows only" if proof.rows_only else proof.looked
    return f"level {proof.level}" + (f" ({short})" if short else "")


def _key(point: RecoveryPoint) -> str:
    if point.key is None:
        return "nothing" if point.kind is not PointKind.DUMP else "S3's own key"
    return point.key if point.key == UNSEEN_KEY else f"key {point.key.rpartition('/')[2][:8]}"


def _expires(point: RecoveryPoint) -> str:
    if point.expires_at is not None:
        return f"{point.expires_at:%Y-%m-%d}"
    if point.kept or point.kind is PointKind.MANUAL_SNAPSHOT:
        return "never"
    return {PointKind.DUMP: "by retention", PointKind.POINT_IN_TIME: "moves on"}.get(point.kind, "unknown")


def points_document(found: PointList) -> dict[str, Any]:
    """Return every recovery point for JSON, and what could not be looked at: both together are the answer."""
    return {
        "points": [point_document(point, found.now) for point in found.points],
        "unseen": [_unseen(one) for one in found.unseen],
    }


def point_document(point: RecoveryPoint, now: datetime) -> dict[str, Any]:
    """Return one recovery point for JSON; times are RFC 3339, sizes bytes."""
    return {
        "id": point.id,
        "kind": point.kind.value,
        "database": point.database,
        "region": point.region,
        "taken_at": point.taken_at.isoformat(),
        "earliest": None if point.earliest is None else point.earliest.isoformat(),
        "age_seconds": round((now - point.taken_at).total_seconds()),
        "status": point.status,
        "size": point.size,
        "source": point.source,
        "key": point.key,
        "expires_at": None if point.expires_at is None else point.expires_at.isoformat(),
        "verified": None if point.proven is None else _proof(point.proven),
        "kept": point.kept,
        "flags": list(point.flags),
        "arn": point.arn,
        "tags": dict(point.tags),
    }


def _unseen(one: Unseen) -> dict[str, str]:
    return {"what": one.what, "region": one.region, "call": one.call, "why": one.why}


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "level": proof.level,
        "region": proof.region or None,
        "looked": proof.looked,
        "at": proof.at.isoformat(),
        "verdict": proof.verdict.value,
        "findings": list(proof.findings),
        "remarks": list(proof.remarks),
        "rows_only": proof.rows_only,
        "part": proof.part,
        "run": proof.run or None,
        "took_seconds": None if proof.took is None else proof.took.total_seconds(),
    }


# -- one of them -------------------------------------------------------------------------------------------------------


def described(found: Described, now: datetime) -> None:
    """Print all that is known of a recovery point: its copies, and of a dump what is in it and what proved it."""
    for copy in found.copies:
        pairs(
            [
                *zip(_HEADINGS, _row(copy, now), strict=True),
                ("source", copy.source),
                ("key", copy.key or "none"),
                *([("ARN", copy.arn)] if copy.arn else []),
                *((f"tag {name}", value) for name, value in sorted(copy.tags.items())),
            ]
        )
        lines([""])
    if found.dump is None:
        return
    if found.dump.manifest is not None:
        _manifest(found.dump.manifest)
    pairs([("tagged to be kept as", found.dump.keep_as or "nothing yet: lifeboat retention apply")])
    for proof in found.dump.proofs:
        by = f", by the recovery {proof.run}" if proof.run else ""
        where = f" in {proof.region}" if proof.region else ""
        lines([f"verified{where} {proof.at:%Y-%m-%d %H:%M}Z, {_level(proof)}: {proof.verdict.value}{by}"])
        findings(proof.findings)
        lines(f"  {remark}" for remark in proof.remarks)
    if found.dump.problem:
        findings([found.dump.problem])


def _manifest(manifest: Manifest) -> None:
    server, tables = manifest.server, manifest.contents.tables
    selection = ", ".join((*manifest.selection.schemas, *manifest.selection.tables))
    pairs(
        [
            ("snapshot at", f"{manifest.snapshot_at:%Y-%m-%d %H:%M:%S}Z, WAL {manifest.lsn}"),
            ("took", said(manifest.ended_at - manifest.begun_at)),
            ("taken from", "a standby" if manifest.standby else "the primary"),
            ("server", f"{server.version}, {server.encoding}, {server.collation}, owner {server.owner}"),
            ("programs", f"{manifest.client_version}, lifeboat {manifest.lifeboat_version}"),
            ("commit", manifest.git_sha or "unknown"),
            ("image", manifest.image_tag or "unknown"),
            ("state serial", "unknown" if manifest.state_serial is None else str(manifest.state_serial)),
            ("of", "the whole database" if manifest.selection.whole else f"a part: {selection}"),
            ("large objects", str(manifest.contents.large_objects.count)),
            ("extensions", ", ".join(f"{e.name} {e.version}" for e in manifest.contents.extensions) or "none"),
        ]
    )
    lines(["", *aligned([("table", "rows"), *((str(t.table), str(t.rows)) for t in tables)]), ""])
    lines(aligned([("file", "size"), *((file.name, humane(file.size)) for file in manifest.files)]))
    findings(manifest.flags)


def described_document(found: Described, now: datetime) -> dict[str, Any]:
    """Return all that is known of a recovery point for JSON."""
    dump = found.dump
    document: dict[str, Any] = {"copies": [point_document(copy, now) for copy in found.copies], "dump": None}
    if dump is None:
        return document
    manifest = dump.manifest
    document["dump"] = {
        "problem": dump.problem or None,
        "keep_as": dump.keep_as,
        "proofs": [_proof(proof) for proof in dump.proofs],
        "flags": [] if manifest is None else list(manifest.flags),
        "snapshot_at": None if manifest is None else manifest.snapshot_at.isoformat(),
        "server_version": None if manifest is None else manifest.server.version,
        "tables": []
        if manifest is None
        else [{"table": str(t.table), "rows": t.rows, "fingerprint": t.fingerprint} for t in manifest.contents.tables],
        "files": []
        if manifest is None
        else [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in manifest.files],
    }
    return document


# -- what stays and what goes --------------------------------------------------------------------------------------------


def retention(found: Retention) -> None:
    """Print what becomes of each dump, newest first, with every reason."""
    rows = [_fate(fate) for fate in found.fates]
    lines(aligned([("dump", "database", "kept as", "why"), *rows]))
    lines([summary(found.fates)])
    findings(found.findings)


def _fate(fate: Fate) -> tuple[str, ...]:
    return fate.entry.id, fate.entry.database, fate.keep_as.value, "; ".join(fate.reasons)


def retention_document(found: Retention) -> dict[str, Any]:
    """Return what becomes of each dump for JSON, and where the buckets' rules do not do what the tags say."""
    dumps = [
        {
            "id": fate.entry.id,
            "database": fate.entry.database,
            "keep_as": fate.keep_as.value,
            "reasons": list(fate.reasons),
        }
        for fate in found.fates
    ]
    return {"dumps": dumps, "findings": list(found.findings)}


def pruning(found: SnapshotPruning) -> None:
    """Print which snapshots go and which stay, each with the reason."""
    goes = [("goes", j.what.id, j.what.region, j.why) for j in found.removed]
    stays = [("stays", j.what.id, j.what.region, j.why) for j in found.kept]
    lines(aligned([("", "snapshot", "region", "why"), *goes, *stays]))


def pruning_document(found: SnapshotPruning) -> dict[str, Any]:
    """Return which snapshots go and which stay for JSON."""

    def one(point: RecoveryPoint, why: str) -> dict[str, str]:
        return {"id": point.id, "region": point.region, "why": why}

    return {
        "removed": [one(judged.what, judged.why) for judged in found.removed],
        "kept": [one(judged.what, judged.why) for judged in found.kept],
    }


def kept(places: Iterable[tuple[str, str]], word: str) -> None:
    """Print which recovery points are kept, or released, from now on."""
    lines(f"{name} in {region} is {word}" for name, region in places)
