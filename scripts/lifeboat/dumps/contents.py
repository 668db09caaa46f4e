"""The content of a database as it is compared: rows, fingerprints, sequences, large objects, extensions, definitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from lifeboat.clients import dump_server
from lifeboat.clients.dump_server import Connection
from lifeboat.database_model import (
    Contents,
    LargeObjects,
    Relation,
    SchemaContent,
    Selection,
    TableContent,
    TableName,
)
from lifeboat.decisions import fingerprints, schema_fingerprints, selections


def contents(
    connection: Connection,
    selection: Selection,
    told: Callable[[TableContent], None] = lambda _: None,
    beside: Sequence[Connection] = (),
) -> Contents:
    """Return the content of what a selection takes, as the connection's transaction sees it, else in one of its own.

    Rows of a table are its own, without those of its partitions and children; of partitions over which a restore spreads
    them otherwise they are told of the table that these divide. Not among the tables: materialized views
    (made anew by a restore), foreign tables, what extensions made, and on a standby unlogged tables, which are empty
    there. Large objects and definitions belong to no selection but the whole; definitions that were changed meanwhile, which
    no snapshot of rows prevents, are left out. `told` hears of each table when it is done. The connections `beside` are in
    transactions of the same snapshot: tables are read over all of them at a time.
    """
    if connection.info.transaction_status == TransactionStatus.IDLE:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
    with connection.transaction():
        chosen = selections.chosen(dump_server.relations(connection), selection)
        standby = dump_server.in_recovery(connection)
        readers = [connection, *beside]
        for reader in readers:
            dump_server.pin(reader, fingerprints.SETTINGS)
        schema = _schema(connection, selection)
        there = [relation for relation in chosen.of_kind("r") if not (standby and relation.unlogged)]
        sequences: list[TableName] = [
            relation.name for relation in chosen.of_kind("S") if not (standby and relation.unlogged)
        ]
        return Contents(
            tables=_tables(readers, selections.counted(there), told),
            sequences=tuple(dump_server.sequence_values(connection, sequences)),
            large_objects=dump_server.large_objects(connection, fingerprints.large_objects_sql())
            if selection.whole
            else LargeObjects(count=0, fingerprint=""),
            extensions=tuple(dump_server.extensions(connection)),
            schema=schema if schema == _schema(connection, selection) else (),
        )


def _schema(connection: Connection, selection: Selection) -> tuple[SchemaContent, ...]:
    """Return the definitions of a whole database; of a part of one nobody says which are in it."""
    if not selection.whole:
        return ()
    return tuple(dump_server.schema_contents(connection, schema_fingerprints.queries()))


def _tables(
    readers: Sequence[Connection],
    counted: Mapping[TableName, Sequence[Relation]],
    told: Callable[[TableContent], None],
) -> tuple[TableContent, ...]:
    """Return the content of tables, in their order; each reader takes the largest that nobody has taken yet."""
    every = dump_server.with_sizes(readers[0], [table for tables in counted.values() for table in tables])
    sizes = {table.name: table.size for table in every}
    waiting = deque(sorted(counted, key=lambda name: -sum(sizes[table.name] for table in counted[name])))
    found: dict[TableName, TableContent] = {}

    def read(reader: Connection) -> None:
        try:
            while waiting:
                name = waiting.popleft()
                tables = counted[name]
                query = fingerprints.fingerprint_sql([table.name for table in tables], tables[0].columns)
                found[name] = dump_server.table_content(reader, name, query)
                told(found[name])
        except IndexError:  # another one took the last
            return
        except BaseException:
            waiting.clear()
            raise

    with ThreadPoolExecutor(len(readers), thread_name_prefix="fingerprints") as pool:
        for future in [pool.submit(read, reader) for reader in readers]:
            future.result()
    return tuple(found[name] for name in counted)
