"""The application's database: found through a secret, reached again whenever it was lost or has moved."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
import psycopg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from psycopg.rows import dict_row

LOG = logging.getLogger("app")
Result = TypeVar("Result")

CONNECT_SECONDS = 5
# Half an hour passes before RDS has built a database; asking every few seconds costs nothing.
RETRY_SECONDS = (1, 2, 3, 5)

MIGRATIONS = (
    """CREATE TABLE notes (
           id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
           text text NOT NULL CHECK (text <> ''),
           written_at timestamptz NOT NULL DEFAULT now()
       )""",
    """INSERT INTO notes (text) VALUES
           ('The first note: written when the database was new.'),
           ('Backups that were never restored are hopes.'),
           ('If you read this after a recovery, the data came back.')""",
)
MIGRATION_LOCK = 7_310_001


class NotReady(Exception):
    """The database cannot be asked yet; the text says what the application waits for, without any secret."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the database is, and which secret holds the password."""

    host: str
    port: int
    dbname: str
    username: str
    password_secret_arn: str
    generation: str


class Database:
    """One connection, made anew from the secrets whenever it is gone."""

    def __init__(self, *, secret_name: str, region: str) -> None:
        self._secret_name = secret_name
        self._region = region
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self._target: Target | None = None
        self._ready = threading.Event()
        self.waits_for = f"secret {secret_name}"

    @property
    def generation(self) -> str | None:
        """Return which generation of the database answers, None before the first connection."""
        return self._target.generation if self._target else None

    def keep_trying(self, stopping: threading.Event) -> None:
        """Connect and migrate as soon as it is possible; says what it waits for only when that changes."""
        attempt = 0
        said = ""
        while not stopping.is_set() and not self._ready.is_set():
            try:
                self.asked(lambda connection: None)
            except NotReady as reason:
                if str(reason) != said:
                    said = str(reason)
                    LOG.info("waiting: %s", said)
                stopping.wait(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1

    def asked(self, question: Callable[[psycopg.Connection[dict[str, Any]]], Result]) -> Result:
        """Return what `question(connection)` returns, in one transaction; connects anew once; NotReady otherwise."""
        with self._lock:
            if self._connection is not None:
                try:
                    return self._in_transaction(self._connection, question)
                except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                    LOG.info("the database connection was lost: %s", type(error).__name__)
                    self._forget()
            try:
                self._connection = self._connected()
                return self._in_transaction(self._connection, question)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._forget()
                target = self._target
                place = f"{target.host}:{target.port}" if target else "database"
                self.waits_for = f"database {place} ({_plain(error)})"
                raise NotReady(self.waits_for) from error

    def _in_transaction(
        self,
        connection: psycopg.Connection[dict[str, Any]],
        question: Callable[[psycopg.Connection[dict[str, Any]]], Result],
    ) -> Result:
        with connection.transaction():
            return question(connection)

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        self._target = target = self._read_target()
        connection = psycopg.connect(
            host=target.host,
            port=target.port,
            dbname=target.dbname,
            user=target.username,
            password=self._read_password(target.password_secret_arn),
            sslmode="require",
            connect_timeout=CONNECT_SECONDS,
            application_name="app",
            autocommit=True,
            row_factory=dict_row,
        )
        _migrate(connection)
        self._ready.set()
        self.waits_for = ""
        LOG.info("connected to database %s, generation %s", target.host, target.generation)
        return connection

    def _read_target(self) -> Target:
        document = self._read_secret(self._secret_name)
        try:
            found = json.loads(document)
            host = str(found["host"])
            return Target(
                host=host,
                port=int(found["port"]),
                dbname=str(found["dbname"]),
                username=str(found["username"]),
                password_secret_arn=str(found["password_secret_arn"]),
                generation=str(found.get("identifier") or _first_label(host)),
            )
        except (KeyError, TypeError, ValueError) as error:
            self.waits_for = f"secret {self._secret_name} (its value lacks {error})"
            raise NotReady(self.waits_for) from error

    def _read_password(self, arn: str) -> str:
        document = self._read_secret(arn)
        try:
            return str(json.loads(document)["password"])
        except (KeyError, TypeError, ValueError) as error:
            self.waits_for = f"secret {arn} (it holds no password)"
            raise NotReady(self.waits_for) from error

    def _read_secret(self, name: str) -> str:
        client = boto3.client(
            "secretsmanager",
            region_name=self._region,
            config=Config(connect_timeout=CONNECT_SECONDS, read_timeout=CONNECT_SECONDS, retries={"max_attempts": 1}),
        )
        try:
            return str(client.get_secret_value(SecretId=name)["SecretString"])
        except ClientError as error:
            self.waits_for = f"secret {name} ({error.response['Error']['Code']})"
            raise NotReady(self.waits_for) from error
        except BotoCoreError as error:
            self.waits_for = f"secret {name} ({type(error).__name__})"
            raise NotReady(self.waits_for) from error


def _migrate(connection: psycopg.Connection[dict[str, Any]]) -> None:
    with connection.transaction():
        # Two hosts may start at once while one replaces the other.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY)")
        done = {row["number"] for row in connection.execute("SELECT number FROM schema_migrations")}
        for number, statement in enumerate(MIGRATIONS, 1):
            if number not in done:
                connection.execute(statement)
                connection.execute("INSERT INTO schema_migrations (number) VALUES (%s)", (number,))


def _first_label(host: str) -> str:
    """Return an RDS endpoint's first label, which is the instance's identifier; an IP address stays whole."""
    return host if host.replace(".", "").isdigit() else host.split(".", 1)[0]


def _plain(error: Exception) -> str:
    """Return the last part of what libpq says, which names no secret."""
    return str(error).strip().splitlines()[0].rsplit("failed: ", 1)[-1][:200] if str(error) else type(error).__name__
