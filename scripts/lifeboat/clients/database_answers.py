"""What a database tells of its data and its clients: its tables, whether they hold rows, when it was last written to, by whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg
from psycopg import sql

from lifeboat.clients.postgres import Postgres, own_path, said
from lifeboat.database_model import HEARTBEAT_TABLE, ClientSession, DataProof, TableName, Tables
from lifeboat.errors import IntegrityFailure, Unreachable

_STATEMENT_MILLISECONDS = 60_000
_SILENT = timedelta(minutes=5)  # after the last of a heartbeat that beats each minute: it has stopped
_LIMITS: LiteralString = """
    SELECT set_config('statement_timeout', %s::text, false), set_config('default_transaction_read_only', 'on', false)"""
_TABLES: LiteralString = """
    SELECT n.nspname, c.relname, c.relispartition, c.relkind = 'p' FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relname <> %s
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
    ORDER BY 1, 2"""
_HEARTBEATS: LiteralString = "SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relname = %s"
# The last ten thousand transactions, counted back from the next one: commits before the restore was ordered are the copy's,
# later ones are RDS's, which gives the new instance its password. track_commit_timestamp is on (modules/database).
_LAST_COMMIT: LiteralString = """
    SELECT max(at) FROM (
      SELECT pg_xact_commit_timestamp(((next - n) %% 4294967296)::text::xid) AS at
      FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) AS now,
           generate_series(1, least(10000, next - 3)) AS n
    ) AS commits WHERE at <= %s"""

# Clients alone; of what the role may not look at, PostgreSQL tells the user. RDS's own accounts are none.
_SESSIONS: LiteralString = """
    SELECT usename, host(client_addr), application_name, clock_timestamp() - backend_start FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL
      AND usename NOT IN ('rdsadmin', 'rdsrepladmin', 'rdsproxyadmin')
      AND coalesce(backend_type, 'client backend') = 'client backend'
    ORDER BY backend_start, usename"""


class DatabaseAnswers:
    """One database, signed in to as its dumps are: with its certificate checked wherever its authorities are known."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def ready(self) -> str | None:
        """Return why it cannot be asked yet; None when it answers."""
        try:
            with self._connection() as connection:
                connection.execute("SELECT 1")
        except Unreachable as error:
            return error.summary
        return None

    def proof(self, *, before: datetime) -> DataProof:
        """Return what it holds, and until when: as `written_until`."""
        with self._connection() as connection:
            filled = self._tables(connection).holds_rows
            beating = connection.execute(_HEARTBEATS, (HEARTBEAT_TABLE,)).fetchall()
            until, known_by = self._until(connection, before)
        return DataProof(
            tables=len(filled),
            with_rows=sum(filled.values()),
            until=until,
            known_by=known_by,
            heartbeats=len(beating),
        )

    def tables(self) -> Tables:
        """Return its tables, and which of them hold rows."""
        with self._connection() as connection:
            return self._tables(connection)

    def written_until(self, *, before: datetime) -> tuple[datetime | None, str]:
        """Return when it was last written to and by what that is known: the heartbeat's row, or its commits before a moment.

        A heartbeat that had stopped when others still wrote hides what they wrote: then the commits count.
        """
        with self._connection() as connection:
            return self._until(connection, before)

    def sessions(self) -> list[ClientSession]:
        """Return who else is connected to it, the longest connected first."""
        with self._connection() as connection:
            rows, now = connection.execute(_SESSIONS).fetchall(), datetime.now(UTC)
        return [
            ClientSession(
                user=user, address=address, program=program or "", since=None if lasted is None else now - lasted
            )
            for user, address, program, lasted in rows
        ]

    def _tables(self, connection: psycopg.Connection) -> Tables:
        rows = connection.execute(_TABLES, (HEARTBEAT_TABLE,)).fetchall()
        found = [(TableName(schema=schema, name=name), *kind) for schema, name, *kind in rows]
        return Tables(
            holds_rows={table: self._holds_rows(connection, table) for table, partition, _ in found if not partition},
            partitions=frozenset(table for table, partition, _ in found if partition),
            divided=frozenset(table for table, _, divided in found if divided),
        )

    def _holds_rows(self, connection: psycopg.Connection, table: TableName) -> bool:
        asked = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table.schema, table.name))
        found = connection.execute(asked).fetchone()
        return found is not None and bool(found[0])

    def _until(self, connection: psycopg.Connection, before: datetime) -> tuple[datetime | None, str]:
        beat = self._last_beat(connection)
        tracked = connection.execute("SHOW track_commit_timestamp").fetchone()
        tracks = tracked is not None and tracked[0] == "on"
        row = connection.execute(_LAST_COMMIT, (before,)).fetchone() if tracks else None
        commit = None if row is None else row[0]
        if beat is not None and (commit is None or commit - beat <= _SILENT):
            return beat, "the heartbeat's last row"
        if beat is not None:
            stopped = f"{beat.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
            return (
                commit,
                f"the last commit of anybody that is in it, RDS's own among them: its heartbeat stopped at {stopped}",
            )
        if not tracks:
            return None, "nothing: it has no heartbeat, and track_commit_timestamp is off"
        if commit is None:
            return None, "nothing: it has no heartbeat, and no time of a commit is kept in it"
        return commit, "the last commit of anybody that is in it; when nothing was written, that is older than the loss"

    def _last_beat(self, connection: psycopg.Connection) -> datetime | None:
        # The application's host writes it (modules/app-instance), into the schema that its user writes to.
        with own_path(connection):
            beats = connection.execute("SELECT pg_catalog.to_regclass('lifeboat_heartbeat')").fetchone()
            if beats is None or beats[0] is None:
                return None
            row = connection.execute("SELECT pg_catalog.max(beat_at) FROM lifeboat_heartbeat").fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        """Give a connection that changes nothing, and in which no question takes longer than a minute."""
        with self._postgres.connection(application="lifeboat recover") as connection:
            try:
                connection.execute(_LIMITS, (_STATEMENT_MILLISECONDS,))
                yield connection
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                raise IntegrityFailure(f"{self._postgres.where} does not tell what it holds: {said(error)}") from error
