"""Manifests for tests: whole ones, of a dump that nobody made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.database_model import (
    Contents,
    DumpFile,
    Extension,
    LargeObjects,
    Manifest,
    SchemaContent,
    Selection,
    SequenceValue,
    Server,
    TableContent,
    TableName,
    dump_id,
)

BEGUN = datetime(2026, 11, 29, 3, 15, tzinfo=UTC)
SERVER = Server(
    version="15.18",
    version_number=150018,
    encoding="UTF8",
    collation="C.UTF-8",
    character_type="C.UTF-8",
    collation_version="",
    owner="app_admin",
)


def proof_body(*findings: str) -> dict[str, Any]:
    """Return what lifeboat writes of a verification, as far as it is read again."""
    return {"of": {"manifest_sha256": None}, "findings": findings, "remarks": [], "took_seconds": 4.5}


def file(name: str, raw_size: int = 1000) -> DumpFile:
    """Return a file of a dump."""
    return DumpFile(
        name=name,
        version_id="v",
        etag="e-1",
        crc64nvme="",
        size=raw_size // 3,
        sha256="a" * 64,
        raw_size=raw_size,
        raw_sha256="b" * 64,
        tables=(TableName(schema="public", name="Größe"),),
        parts_sha256="c=-1",
    )


def manifest(*, tables: int = 2, raw_size: int = 1000, **other: Any) -> Manifest:
    """Return a manifest of a database of so many tables and bytes."""
    contents = Contents(
        tables=tuple(
            TableContent(table=TableName(schema="public", name=f"t{n}"), rows=n, fingerprint="f") for n in range(tables)
        ),
        sequences=(SequenceValue(sequence=TableName(schema="s", name="q"), last_value=-4, is_called=False),),
        large_objects=LargeObjects(count=1, fingerprint="g"),
        extensions=(Extension(name="plpgsql", version="1.0"),),
        schema=(SchemaContent(kind="indexes", count=2, fingerprint="h"),),
    )
    whole: dict[str, Any] = {
        "id": dump_id(BEGUN, "3f9a1c"),
        "application": "app-x",
        "environment": "x",
        "database": "app",
        "begun_at": BEGUN,
        "snapshot_at": BEGUN + timedelta(seconds=1),
        "ended_at": BEGUN + timedelta(seconds=9),
        "lsn": "0/1",
        "standby": False,
        "server": SERVER,
        "client_version": "15.18",
        "lifeboat_version": "0.1.0",
        "git_sha": None,
        "image_tag": "registry/app:1",
        "state_serial": 7,
        "selection": Selection(tables=("t*",)),
        "files": (file("data-00.dump.zst", raw_size),),
        "contents": contents,
        "flags": ("small",),
    }
    return Manifest(**{**whole, **other})
