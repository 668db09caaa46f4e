"""What a database tells of its data: its tables, whether they hold rows, and until when it was written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql

from lifeboat.clients.postgres import OUR_PATH, own_path
from lifeboat.database_model import DataProof
from lifeboat.errors import IntegrityFailure, Unreachable
from lifeboat.model import Secret

_CONNECT_SECONDS = 10
_STATEMENT_MILLISECONDS = 60_000
_TABLES: LiteralString = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY 1, 2"""
# The last ten thousand transactions, counted back from the next one: commits before the restore was ordered are the copy's,
# later ones are RDS's, which gives the new instance its password. track_commit_timestamp is on (modules/database).
_LAST_COMMIT: LiteralString = """
    SELECT max(at) FROM (
      SELECT pg_xact_commit_timestamp(((next - n) %% 4294967296)::text::xid) AS at
      FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) AS now,
           generate_series(1, least(10000, next - 3)) AS n
    ) AS commits WHERE at <= %s"""


class DatabaseAnswers:
    """One database, asked at its address with its password."""

    def __init__(self, url: Secret) -> None:
        self._url = url

    def ready(self) -> str | None:
        """Return why it cannot be asked yet; None when it answers."""
        try:
            with self._connection() as connection:
                connection.execute("SELECT 1")
        except Unreachable as error:
            return error.summary
        return None

    def proof(self, *, before: datetime) -> DataProof:
        """Return what it holds, and until when: by the heartbeat's row, else by its commits before a moment."""
        with self._connection() as connection:
            tables = connection.execute(_TABLES).fetchall()
            filled = sum(self._holds_rows(connection, schema, name) for schema, name in tables)
            until, known_by = self._until(connection, before)
        return DataProof(tables=len(tables), with_rows=filled, until=until, known_by=known_by)

    def _holds_rows(self, connection: psycopg.Connection, schema: str, name: str) -> bool:
        asked = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, name))
        found = connection.execute(asked).fetchone()
        return found is not None and bool(found[0])

    def _until(self, connection: psycopg.Connection, before: datetime) -> tuple[datetime | None, str]:
        # The application's host writes it (modules/app-instance), into the schema that its user writes to.
        with own_path(connection):
            beats = connection.execute("SELECT pg_catalog.to_regclass('lifeboat_heartbeat')").fetchone()
            if beats is not None and beats[0] is not None:
                row = connection.execute("SELECT pg_catalog.max(beat_at) FROM lifeboat_heartbeat").fetchone()
                if row is not None and row[0] is not None:
                    return row[0], "the heartbeat's last row"
        tracked = connection.execute("SHOW track_commit_timestamp").fetchone()
        if tracked is None or tracked[0] != "on":
            return None, "nothing: it has no heartbeat, and track_commit_timestamp is off"
        row = connection.execute(_LAST_COMMIT, (before,)).fetchone()
        found = None if row is None else row[0]
        if found is None:
            return None, "nothing: it has no heartbeat, and no time of a commit is kept in it"
        return found, "the last commit of anybody that is in it; when nothing was written, that is older than the loss"

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        try:
            with psycopg.connect(
                self._url.reveal(),
                connect_timeout=_CONNECT_SECONDS,
                application_name="lifeboat recover",
                autocommit=True,
                options=f"-c statement_timeout={_STATEMENT_MILLISECONDS} -c default_transaction_read_only=on",
            ) as connection:
                connection.execute(OUR_PATH)
                yield connection
        except psycopg.OperationalError as error:
            # libpq names the host and the user, never the password.
            raise Unreachable(f"the database does not answer: {' '.join(str(error).split())}") from None
        except psycopg.Error as error:
            raise IntegrityFailure(
                f"the database does not tell what it holds: {' '.join(str(error).split())}"
            ) from error
