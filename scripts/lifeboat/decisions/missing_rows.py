"""Which tables of a restored database hold no rows that hold some elsewhere: a copy of a truncated table looks sound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lifeboat.database_model import HEARTBEAT_TABLE, Manifest, TableName, Tables
from lifeboat.model import Event, EventKind

_SHOWN = 10  # of the tables that one refusal names


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Where else the database is, or was, and the tables that hold rows there; `with_partitions`: partitions are among them."""

    where: str
    tables: frozenset[TableName]
    with_partitions: bool = False


def is_compared(events: Iterable[Event]) -> bool:
    """Return whether the instance that a recovery ordered last was compared: one that is made anew is another one."""
    compared = False
    for event in events:
        if event.step == "restore" and event.kind is EventKind.INTENT:
            compared = False
        compared = compared or "compared_with" in event.data
    return compared


def of_tables(where: str, tables: Tables) -> Elsewhere:
    """Return those of a database's tables that hold rows."""
    return Elsewhere(where=where, tables=frozenset(table for table, holds in tables.holds_rows.items() if holds))


def of_manifest(manifest: Manifest) -> Elsewhere:
    """Return those of a dump's tables that hold rows: there partitions are tables like others."""
    counted = (one.table for one in manifest.contents.tables if one.rows)
    return Elsewhere(
        where=f"dump {manifest.id}",
        tables=frozenset(table for table in counted if table.name != HEARTBEAT_TABLE),
        with_partitions=True,
    )


def missing(restored: Tables, elsewhere: Iterable[Elsewhere]) -> list[str]:
    """Return in words which tables hold no row, or are not there, although they hold some elsewhere; of many the first ten.

    Partitions come and go: of them the table that is divided tells.
    """
    known = list(elsewhere)
    tables = sorted(_lacking(restored, known) - taken_for_partitions(restored, known))
    lines = [_line(table, restored, [one.where for one in known if table in one.tables]) for table in tables[:_SHOWN]]
    left = len(tables) - _SHOWN
    return [*lines, f"so it is with {left} more tables"] if left > 0 else lines


def taken_for_partitions(restored: Tables, elsewhere: Iterable[Elsewhere]) -> frozenset[TableName]:
    """Return the tables that are not there and are not missed, for they are named as partitions of one that is.

    Only dumps name such, whose manifests do not tell what is a partition: what a database says that is none is missed.
    """
    known = list(elsewhere)
    none = {table for one in known if not one.with_partitions for table in one.tables}
    return frozenset(table for table in _lacking(restored, known) - none if _was_partition(table, restored))


def _lacking(restored: Tables, known: Iterable[Elsewhere]) -> frozenset[TableName]:
    everywhere = frozenset(table for one in known for table in one.tables) - restored.partitions
    return frozenset(table for table in everywhere if not restored.holds_rows.get(table, False))


def _line(table: TableName, restored: Tables, where: list[str]) -> str:
    how = "holds no row" if table in restored.holds_rows else "is not there"
    return f"{table} {how}, and {' and '.join(where)} {'has' if len(where) == 1 else 'have'} rows of it"


def _was_partition(table: TableName, restored: Tables) -> bool:
    """Return whether a table that is not there is named as partitions of a table that holds rows usually are."""
    return table not in restored.holds_rows and any(
        one.schema == table.schema and table.name.startswith(f"{one.name}_") and restored.holds_rows.get(one, False)
        for one in restored.divided
    )
