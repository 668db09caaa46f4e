"""The canary of a drill: a row in the heartbeat's table, written before a restore and looked for after it."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from lifeboat.clients.postgres import Postgres, own_path, said
from lifeboat.errors import Failed

_APPLICATION = "lifeboat drill"


class Canary:
    """One database's heartbeat, whose rows are a moment each, to the microsecond: no two drills write the same one."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def write(self) -> datetime:
        """Write a row by the database's own clock, and return its moment in UTC once it is committed.

        Raises Failed where there is no heartbeat, which no drill makes: only its host does (modules/app-instance).
        """
        with self._postgres.connection(application=_APPLICATION) as connection:
            try:
                with own_path(connection):
                    self._require_table(connection)
                    row = connection.execute(
                        "INSERT INTO lifeboat_heartbeat (beat_at) VALUES (pg_catalog.clock_timestamp()) RETURNING beat_at"
                    ).fetchone()
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                raise Failed(f"{self._postgres.where} takes no canary: {said(error)}") from error
        if row is None:
            raise Failed(f"{self._postgres.where} did not say which canary it took")
        at: datetime = row[0]
        return at.astimezone(UTC)

    def has(self, at: datetime) -> bool:
        """Return whether the row of this moment is in the database."""
        with self._postgres.connection(application=_APPLICATION) as connection, own_path(connection):
            self._require_table(connection)
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM lifeboat_heartbeat WHERE beat_at = %s)", (at,)
            ).fetchone()
        return row is not None and bool(row[0])

    def _require_table(self, connection: psycopg.Connection[object]) -> None:
        found = connection.execute("SELECT pg_catalog.to_regclass('lifeboat_heartbeat')").fetchone()
        if found is None or found[0] is None:  # type: ignore[index]
            raise Failed(f"{self._postgres.where} has no heartbeat, so no canary can be written to it")
