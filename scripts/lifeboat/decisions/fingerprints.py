"""Fingerprints of what is in a database: SQL that gives the same text for the same content, in whatever order it lies."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.database_model import Column, TableName

# Set before any fingerprint is taken: the text of a value depends on them. With an empty search_path, names that values
# of reg* types stand for are written with their schema.
SETTINGS = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "search_path": "",
    "quote_all_identifiers": "off",
    "row_security": "off",  # an error instead of rows left out
}
# Of a large object that is longer, each piece counts: one value may have 1 GB at most.
LARGE_OBJECT_PIECE = 8 * 1024 * 1024
_PIECE = f"SELECT sha256(b) AS body, octet_length(b) AS size FROM lo_get({{}}, {LARGE_OBJECT_PIECE}) AS b"  # noqa: S608


# Of these the type's own hash says all that its text would. hashint8extended folds a number into half its bits first,
# so that the number itself is added to it.
_ENUM = "pg_catalog.enum_out"
_HASHES = {
    "pg_catalog.int2out": "hashint2extended({column}, {seed})",
    "pg_catalog.int4out": "hashint4extended({column}, {seed})",
    "pg_catalog.int8out": "(hashint8extended({column}, {seed}) # {column})",
    "pg_catalog.textout": 'hashtextextended({column} COLLATE "C", {seed})',
    "pg_catalog.varcharout": 'hashtextextended({column} COLLATE "C", {seed})',
    "pg_catalog.uuid_out": "uuid_hash_extended({column}, {seed})",
}


def fingerprint_sql(tables: Sequence[TableName], columns: Sequence[Column]) -> str:
    """Return the query of the own rows (without those of children) of tables: one row, their count and fingerprint.

    The tables have the same columns.

    The fingerprint is 64 hex digits. A hash of 64 bits of each row is added up over all rows, so that no order counts, while
    a row that is there twice does. A row's is made of its columns', each with a seed of its own: the text of a whole row,
    quoted sign by sign, takes twice the time (measured, 3.1 against 1.7 s for 200 MB). To be asked under SETTINGS.
    """
    # By name: a restored table that inherits may have its columns in another order.
    hashes = [_hashed(column, number) for number, column in enumerate(sorted(columns, key=lambda one: one.name), 1)]
    # Within, so that no column or table of the database may be called as what is here.
    rows = [f"SELECT {' # '.join(hashes) or '0'} AS content FROM ONLY {quoted_name(table)}" for table in tables]  # noqa: S608  (names are quoted)
    source = f"({' UNION ALL '.join(rows)} OFFSET 0) AS rendered"
    return f"SELECT count(*), {_digest('coalesce(sum(content), 0)::text')} FROM {source}"  # noqa: S608  (names are quoted)


def _hashed(column: Column, seed: int) -> str:
    # What the type itself writes; a cast may be somebody's function. All of these give NULL for NULL, and only for that.
    name = quoted(column.name)
    if column.output == _ENUM and column.base:
        name = f"{name}::{column.base}"  # to PostgreSQL a domain over an enum is none (parse_coerce.c); this cast is its own
    known = _HASHES.get(column.output)
    text = f'hashtextextended(textin({column.output}({name})) COLLATE "C", {seed})'
    return f"coalesce({text if known is None else known.format(column=name, seed=seed)}, {seed}::bigint)"


def large_objects_sql() -> str:
    """Return the query of all large objects: one row, their count and the fingerprint of their ids and content."""
    return f"""
        WITH RECURSIVE pieces (oid, at, body, size) AS (
            SELECT m.oid, 0::bigint, piece.body, piece.size
            FROM pg_largeobject_metadata AS m, LATERAL ({_PIECE.format("m.oid, 0")}) AS piece
            UNION ALL
            SELECT pieces.oid, pieces.at + {LARGE_OBJECT_PIECE}, piece.body, piece.size
            FROM pieces, LATERAL ({_PIECE.format(f"pieces.oid, pieces.at + {LARGE_OBJECT_PIECE}")}) AS piece
            WHERE pieces.size = {LARGE_OBJECT_PIECE}
        )
        SELECT count(*) FILTER (WHERE at = 0), {summed("content")}
        FROM (SELECT at, concat_ws(':', oid, at, encode(body, 'hex')) AS content FROM pieces) AS rendered
    """  # noqa: S608  (nothing in it comes from outside)


def summed(content: str) -> str:
    """Return an expression for the fingerprint of many texts.

    hashtextextended is three times as fast as SHA-256 or MD5 of rows, and the same in all versions: tables that are
    partitioned by hash lie where it says, and stay there through pg_upgrade.
    """
    sums = [f'coalesce(sum(hashtextextended({content} COLLATE "C", {seed})), 0)::text' for seed in (0, 1)]
    return _digest(f"{sums[0]} || ':' || {sums[1]}")


def _digest(text: str) -> str:
    return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"


def quoted(identifier: str) -> str:
    """Return a name as SQL and as pg_dump's patterns take it literally (PostgreSQL manual, 4.1.1)."""
    doubled = identifier.replace('"', '""')
    return f'"{doubled}"'


def quoted_name(table: TableName) -> str:
    """Return schema and name, both quoted."""
    return f"{quoted(table.schema)}.{quoted(table.name)}"
