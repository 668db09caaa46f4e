"""What a dump reads of a server beside pg_dump: what is there, one snapshot for all who read, and the content in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql

from lifeboat.clients.postgres import Postgres, own_path
from lifeboat.database_model import (
    Column,
    Extension,
    LargeObjects,
    Relation,
    SchemaContent,
    SequenceValue,
    Server,
    TableContent,
    TableName,
)
from lifeboat.errors import Failed, Locked

_ATTEMPTS = 5
_AT_ONCE = 500  # names in one statement
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class HeldSnapshot:
    """A snapshot that others may read in while it is held, the moment and log position of it, and what is locked.

    `at` is not after the moment that the content is of.
    """

    id: str
    at: datetime
    lsn: str
    standby: bool
    server: Server
    relations: tuple[Relation, ...]
    connection: Connection = field(repr=False)  # the one that holds it

    def answers(self) -> bool:
        """Return whether the server still answers, and with that the snapshot is still held."""
        try:
            self.connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def blockers(self) -> list[str]:
        """Return who holds or waits for a lock that keeps readers out of what is dumped."""
        return blockers(self.connection, [relation.oid for relation in self.relations])


class DumpServer:
    """One database to dump."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @contextmanager
    def snapshot(
        self, choose: Callable[[Sequence[Relation]], Sequence[Relation]], *, lock_seconds: int
    ) -> Iterator[HeldSnapshot]:
        """Lock what `choose` takes of the relations against change, export a snapshot after that, and hold both.

        First the locks: TRUNCATE is not MVCC-safe, so one that commits between snapshot and lock would leave a dump with
        an empty table and no error. Raises Locked naming whose lock was in the way for `lock_seconds`, Failed when tables
        come and go faster than they can be locked.
        """
        with self._postgres.connection(application="lifeboat dump") as connection:
            for _ in range(_ATTEMPTS):
                before = choose(relations(connection))
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                try:
                    _lock(connection, before, lock_seconds)
                except psycopg.errors.LockNotAvailable:
                    connection.execute("ROLLBACK")
                    raise self._locked(connection, before, lock_seconds) from None
                except psycopg.errors.UndefinedTable:
                    connection.execute("ROLLBACK")
                    continue
                held = _exported(connection, choose)
                if _identity(held.relations) == _identity(before):
                    yield held
                    # With the connection goes what it holds. Nothing is to be committed, and that it broke meanwhile is no
                    # fault of a dump that is complete by now.
                    connection.close()
                    return
                connection.execute("ROLLBACK")
        raise Failed(
            f"tables of {self._postgres.where} were made or dropped each of {_ATTEMPTS} times that all were to be locked",
            hint="run it again when no migration is under way",
        )

    @contextmanager
    def within(self, held: HeldSnapshot) -> Iterator[Connection]:
        """Give a connection of its own that reads in a held snapshot."""
        with self._postgres.connection(application="lifeboat dump contents") as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(held.id)))
            yield connection

    @contextmanager
    def readers(self, count: int) -> Iterator[list[Connection]]:
        """Give so many connections that all read in one snapshot, of now."""
        with ExitStack() as stack:
            first, *others = [
                stack.enter_context(self._postgres.connection(application="lifeboat contents")) for _ in range(count)
            ]
            first.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = sql.Literal(_one(first, "SELECT pg_export_snapshot()")[0])
            for connection in others:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
            yield [first, *others]

    def _locked(self, connection: Connection, wanted: Sequence[Relation], lock_seconds: int) -> Locked:
        return Locked(
            f"tables of {self._postgres.where} could not be locked for reading within {lock_seconds} s: "
            + ("; ".join(blockers(connection, [r.oid for r in wanted])) or "who held them has let go by now"),
            hint="run it again when that has ended; [dumps] lock_seconds in the environment's file says how long to wait",
        )


# -- what is there -----------------------------------------------------------------------------------------------------


def server(connection: Connection) -> Server:
    """Return the server and the database that a connection is to."""
    row = connection.execute(
        """
        SELECT current_setting('server_version'), current_setting('server_version_num')::int,
               pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_get_userbyid(d.datdba),
               to_jsonb(d) ->> 'datcollversion'  -- PostgreSQL 15 and newer
        FROM pg_database AS d WHERE d.datname = current_database()
        """
    ).fetchone()
    assert row is not None
    return Server(
        version=str(row[0]).split(" ")[0],
        version_number=row[1],
        encoding=row[2],
        collation=row[3],
        character_type=row[4],
        owner=row[5],
        collation_version=row[6] or "",
    )


def relations(connection: Connection) -> list[Relation]:
    """Return all tables, views and sequences but those of the system, as the transaction sees them.

    Waits for nobody's lock. That is why their size is not among it, for which PostgreSQL locks each.
    """
    with own_path(connection):
        # Nothing but names with their schema, for here the path is not ours.
        seen = {
            row[0]
            for row in connection.execute(
                "SELECT c.oid FROM pg_catalog.pg_class AS c WHERE pg_catalog.pg_table_is_visible(c.oid)"
            )
        }
    rows = connection.execute(
        """
        SELECT c.oid, n.nspname, c.relname, c.relkind::text,
               row_security_active(c.oid), c.relpersistence = 'u', columns.found,
               owners.schema, owners.name, e.extname, top.schema, top.name
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_depend AS made
            ON made.classid = 'pg_class'::regclass AND made.objid = c.oid AND made.objsubid = 0 AND made.deptype = 'e'
        LEFT JOIN pg_extension AS e ON e.oid = made.refobjid
        LEFT JOIN LATERAL (
            SELECT array_agg(
                ARRAY[a.attname::text, format('%I.%I', o.nspname, p.proname), coalesce(base.name, '')] ORDER BY a.attnum
            ) AS found
            FROM pg_attribute AS a
            JOIN pg_type AS t ON t.oid = a.atttypid JOIN pg_proc AS p ON p.oid = t.typoutput
            JOIN pg_namespace AS o ON o.oid = p.pronamespace
            LEFT JOIN LATERAL (
                WITH RECURSIVE under AS (
                    SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
                    UNION ALL
                    SELECT d.typbasetype FROM under JOIN pg_type AS d ON d.oid = under.oid WHERE d.typtype = 'd'
                )
                SELECT format('%I.%I', bn.nspname, b.typname) AS name
                FROM under JOIN pg_type AS b ON b.oid = under.oid JOIN pg_namespace AS bn ON bn.oid = b.typnamespace
                WHERE b.typtype <> 'd'
            ) AS base ON true
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) AS columns ON true
        LEFT JOIN LATERAL (
            SELECT tn.nspname AS schema, t.relname AS name
            FROM pg_depend AS d JOIN pg_class AS t ON t.oid = d.refobjid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
            WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
              AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') LIMIT 1
        ) AS owners ON true
        LEFT JOIN LATERAL (
            -- As pg_dump asks (forcePartitionRootLoad in pg_dump.c): the hash of an enum's value is another one after a restore.
            WITH RECURSIVE up AS (
                SELECT inhparent AS oid FROM pg_inherits WHERE inhrelid = c.oid AND c.relispartition
                UNION ALL
                SELECT i.inhparent
                FROM up JOIN pg_class AS p ON p.oid = up.oid AND p.relispartition JOIN pg_inherits AS i ON i.inhrelid = p.oid
            ), enums AS (
                SELECT k.oid FROM pg_opclass AS k JOIN pg_am AS m ON m.oid = k.opcmethod
                WHERE k.opcname = 'enum_ops' AND k.opcnamespace = 'pg_catalog'::regnamespace AND m.amname = 'hash'
            )
            SELECT rn.nspname AS schema, r.relname AS name
            FROM up JOIN pg_class AS r ON r.oid = up.oid JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
            WHERE NOT r.relispartition AND EXISTS (
                SELECT FROM up AS any_of JOIN pg_partitioned_table AS d ON d.partrelid = any_of.oid
                WHERE (SELECT oid FROM enums) = ANY (d.partclass)
            )
        ) AS top ON c.relkind = 'r'
        WHERE c.relkind IN ('r', 'p', 'S', 'm', 'v', 'f') AND c.relpersistence <> 't'
          AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
        """
    ).fetchall()
    return [
        Relation(
            oid=row[0],
            name=TableName(schema=row[1], name=row[2]),
            kind=row[3],
            size=0,
            visible=row[0] in seen,
            filtered=row[4],
            unlogged=row[5],
            columns=tuple(Column(name=name, output=output, base=base) for name, output, base in row[6] or ()),
            owner=None if row[7] is None else TableName(schema=row[7], name=row[8]),
            extension=row[9],
            through=None if row[10] is None else TableName(schema=row[10], name=row[11]),
        )
        for row in rows
    ]


def with_sizes(connection: Connection, found: Sequence[Relation]) -> tuple[Relation, ...]:
    """Return relations with the size of each table; to be asked when they are locked."""
    tables = [relation.oid for relation in found if relation.kind == "r"]
    rows = connection.execute(
        "SELECT oid, coalesce(pg_table_size(oid), 0) FROM unnest(%s::oid[]) AS listed (oid)", (tables,)
    ).fetchall()
    sizes = dict(rows)
    return tuple(replace(relation, size=sizes.get(relation.oid, 0)) for relation in found)


def in_recovery(connection: Connection) -> bool:
    """Return whether the server is a standby."""
    return bool(_one(connection, "SELECT pg_is_in_recovery()")[0])


def databases(connection: Connection) -> list[str]:
    """Return the names of the databases that the role may connect to, templates left out."""
    rows = connection.execute(
        "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
        " AND has_database_privilege(oid, 'CONNECT') ORDER BY datname"
    ).fetchall()
    return [row[0] for row in rows]


def blockers(connection: Connection, oids: Sequence[int]) -> list[str]:
    """Return who holds or waits for a lock that keeps readers out of these relations: never what they run."""
    rows = connection.execute(
        """
        SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), 'without a name'), a.query_start, l.granted,
               n.nspname || '.' || c.relname
        FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
        JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE l.mode = 'AccessExclusiveLock' AND l.relation = ANY(%s) AND l.pid <> pg_backend_pid()
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ORDER BY 4 DESC, 1 LIMIT 10
        """,
        (list(oids),),
    ).fetchall()
    return [
        f"process {pid} ({application}) {'holds' if granted else 'waits for'} {table}"
        + ("" if began is None else f", its query of {began.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z")
        for pid, application, began, granted, table in rows
    ]


# -- what is in it -----------------------------------------------------------------------------------------------------


def pin(connection: Connection, settings: dict[str, str]) -> None:
    """Set what the text of values depends on, until the transaction ends."""
    for name, value in settings.items():
        connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))


def table_content(connection: Connection, table: TableName, query: str) -> TableContent:
    """Return what a query of one row says: a table's row count and its fingerprint."""
    rows, fingerprint = _one(connection, query)
    return TableContent(table=table, rows=rows, fingerprint=fingerprint)


def large_objects(connection: Connection, query: str) -> LargeObjects:
    """Return what a query of one row says: the large objects' count and their fingerprint."""
    count, fingerprint = _one(connection, query)
    return LargeObjects(count=count, fingerprint=fingerprint)


def schema_contents(connection: Connection, queries: Mapping[str, str]) -> list[SchemaContent]:
    """Return what queries of one row each say: of each kind of thing in the schema the count and the fingerprint."""
    found = []
    for kind, query in queries.items():
        count, fingerprint = _one(connection, query)
        found.append(SchemaContent(kind=kind, count=count, fingerprint=fingerprint))
    return found


def sequence_values(connection: Connection, sequences: Sequence[TableName]) -> list[SequenceValue]:
    """Return where sequences stand now, which is no matter of snapshots."""
    found: list[SequenceValue] = []
    for some in _batches(sequences):
        parts = [
            sql.SQL("SELECT {}::int, last_value, is_called FROM {}").format(
                sql.Literal(number), sql.Identifier(name.schema, name.name)
            )
            for number, name in enumerate(some)
        ]
        rows = connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()
        found += [SequenceValue(sequence=some[n], last_value=value, is_called=called) for n, value, called in rows]
    return sorted(found, key=lambda value: value.sequence)


def extensions(connection: Connection) -> list[Extension]:
    """Return the extensions that are installed, by name."""
    rows = connection.execute("SELECT extname, extversion FROM pg_extension ORDER BY extname").fetchall()
    return [Extension(name=name, version=version) for name, version in rows]


# -- the snapshot ------------------------------------------------------------------------------------------------------


def _lock(connection: Connection, wanted: Sequence[Relation], lock_seconds: int) -> None:
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(lock_seconds * 1000)))
    for some in _batches([r.name for r in wanted if r.kind in "rp"]):
        names = sql.SQL(", ").join(sql.SQL("ONLY ") + sql.Identifier(name.schema, name.name) for name in some)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


def _exported(connection: Connection, choose: Callable[[Sequence[Relation]], Sequence[Relation]]) -> HeldSnapshot:
    standby = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text, pg_is_in_recovery()"
    # The first statement that needs a snapshot takes the transaction's; the time that it began at is before that.
    name, at, lsn, recovering = _one(connection, f"SELECT pg_export_snapshot(), statement_timestamp(), {standby}")
    return HeldSnapshot(
        id=name,
        at=at.astimezone(UTC),
        lsn=lsn or "",
        standby=recovering,
        server=server(connection),
        relations=with_sizes(connection, choose(relations(connection))),
        connection=connection,
    )


def _identity(found: Sequence[Relation]) -> set[tuple[int, TableName, str]]:
    return {(relation.oid, relation.name, relation.kind) for relation in found}


def _batches(names: Sequence[TableName]) -> Iterator[list[TableName]]:
    rest = iter(names)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row
