"""What pg_dump and pg_dumpall are asked for, so that together they dump all of a database and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifeboat.database_model import Relation, Selection, TableName
from lifeboat.decisions.fingerprints import quoted, quoted_name


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The snapshot that all read in, for how many seconds they wait for a lock, and the encoding of the database."""

    id: str
    lock_seconds: int
    encoding: str


def data_file(number: int) -> str:
    """Return the name of a shard's file."""
    return f"data-{number:02}.dump.zst"


def chosen_by_name(selection: Selection, relations: Sequence[Relation]) -> list[str]:
    """Return the options that take of a database what a selection matched; none where that is all of it.

    By full names: what a pattern means would depend on the search_path. A quoted name is a pattern that matches itself.
    """
    if selection.schemas:
        return [f"--schema={quoted(schema)}" for schema in sorted({r.name.schema for r in relations})]
    if selection.tables:
        return [f"--table={quoted_name(relation.name)}" for relation in relations]
    return []


def _archive(snapshot: Snapshot) -> list[str]:
    # Not compressed: zstd outside costs a twelfth of pg_dump's gzip, and no archive depends on how its client was built.
    return [
        "--format=custom",
        "--compress=0",
        "--no-password",
        f"--snapshot={snapshot.id}",
        f"--lock-wait-timeout={snapshot.lock_seconds * 1000}",
        *_in_utf8(snapshot.encoding),
    ]


def _in_utf8(encoding: str) -> list[str]:
    """Return the option by which names are written, and understood, as everybody here reads them.

    Of SQL_ASCII the server does not know what it stands for, and says whatever is there.
    """
    return [] if encoding == "SQL_ASCII" else ["--encoding=UTF8"]


def schema(snapshot: Snapshot, chosen: Sequence[str]) -> list[str]:
    """Return pg_dump's options for everything but rows. Not --schema-only, which leaves out that large objects exist."""
    return [*_archive(snapshot), "--section=pre-data", "--section=post-data", *chosen]


def rest(snapshot: Snapshot, chosen: Sequence[str], elsewhere: Sequence[TableName]) -> list[str]:
    """Return pg_dump's options for all rows but those of the tables that other shards name: nothing can be forgotten."""
    return [
        *_archive(snapshot),
        "--section=data",
        *chosen,
        *(f"--exclude-table-data={quoted_name(name)}" for name in elsewhere),
    ]


def shard(snapshot: Snapshot, tables: Sequence[TableName]) -> list[str]:
    """Return pg_dump's options for the rows of some tables."""
    return [*_archive(snapshot), "--section=data", *(f"--table={quoted_name(name)}" for name in tables)]


def globals_only(database: str, encoding: str) -> list[str]:
    """Return pg_dumpall's options for roles and tablespaces; passwords, which RDS lets nobody read, are left out."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    where = f"--database=dbname='{escaped}'"
    return ["--globals-only", "--no-role-passwords", "--no-password", *_in_utf8(encoding), where]
