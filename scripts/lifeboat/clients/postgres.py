"""A PostgreSQL server and how to sign in to it: connections of our own, and what its client programs need."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, LiteralString

import psycopg

from lifeboat.clients import private_files
from lifeboat.clients.private_folders import private_folder
from lifeboat.clients.redaction import redacted
from lifeboat.errors import Failed, LifeboatError, RoleMissing, SignInRefused, Unreachable, WrongConfiguration
from lifeboat.model import Secret

_CONNECT_SECONDS = 10
# As a server says it in English; psycopg has no SQLSTATE of what happens while a connection is made.
_NOT_LET_IN = "password authentication failed"
# A token of IAM is valid for 15 minutes (RDS user guide, "IAM database authentication").
_RENEWED_SECONDS = 300.0
OUR_PATH: LiteralString = "SET search_path TO pg_catalog"
# A time-out set for a role or a database would end a dump or a restore half-way; pg_dump turns its own off likewise.
_TIME_OUTS = (
    ("statement_timeout", 0),
    ("lock_timeout", 0),
    ("idle_in_transaction_session_timeout", 0),
    ("idle_session_timeout", 140_000),
    ("transaction_timeout", 170_000),  # settings that an older server does not know
)


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """Where a database answers and who signs in; `ca_file` holds the authorities that its certificate is checked by."""

    host: str
    port: int
    database: str
    user: str
    sign_in: Literal["password", "iam"]
    ca_file: Path | None
    region: str

    @property
    def unchecked(self) -> str | None:
        """What to say where nobody checks who gets the password there; None where its certificate is checked."""
        if self.ca_file is not None:
            return None
        return f"nobody checks that {self.host} is the database: [database] ca_file names its authorities"


class Postgres:
    """One database of a server, and how to sign in to it.

    `password` is asked for each connection, and every `renewed` seconds for programs that run: it may be a token that ends.
    """

    def __init__(
        self, *, address: ServerAddress, password: Callable[[], Secret], renewed: float = _RENEWED_SECONDS
    ) -> None:
        self.address = address
        self._password = password
        self._renewed = renewed

    def of(self, database: str) -> Postgres:
        """Return another database of the same server."""
        address = replace(self.address, database=database)
        return Postgres(address=address, password=self._password, renewed=self._renewed)

    @contextmanager
    def connection(self, *, application: str) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection in autocommit, its time-outs off; what PostgreSQL refuses within comes out as an error of ours.

        A name without a schema means what is PostgreSQL's own (CVE-2018-1058); in `own_path` what the role means by it.
        Raises Unreachable where nobody answers or the password is wrong, RoleMissing where the role may not.
        """
        with translated(f"use {self.where}", self._mends), self._connected(application) as connection:
            _prepare(connection)
            yield connection

    def _mends(self, error: psycopg.Error) -> str:
        """Return what to do about an error of the connection, as far as what PostgreSQL says tells it."""
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return f"as the owner of it, or as a superuser: GRANT what it says TO {self.address.user}; or name a role that may"
        if _NOT_LET_IN in str(error):
            return (
                f"the secret of the database has another password than its role {self.address.user}: where RDS manages it, it may"
                " just be changing; else somebody set it by hand"
            )
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            return "lifeboat status tells how RDS sees it; where it is lost, lifeboat plan-recovery says what can be had back"
        return ""

    def _connected(self, application: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.address.host,
            port=self.address.port,
            dbname=self.address.database,
            user=self.address.user,
            password=self._password().reveal(),
            sslmode=self._ssl_mode,
            sslrootcert=None if self.address.ca_file is None else str(self.address.ca_file),
            application_name=application,
            client_encoding="UTF8",
            connect_timeout=_CONNECT_SECONDS,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=5,
            autocommit=True,
        )

    @contextmanager
    def program_env(self) -> Iterator[dict[str, str]]:
        """Give the variables by which pg_dump, pg_restore and the like reach the database, for as long as they run.

        The password is in a file that only we may read (PostgreSQL manual, 34.16), gone at the end. It is written anew time
        and again: each connection that a program makes reads it.
        """
        with private_folder("lifeboat-pg-") as folder:
            path = folder / "pgpass"
            private_files.write(path, self._password_line())
            over, writing = threading.Event(), threading.Lock()

            def renew() -> None:
                while not over.wait(self._renewed):
                    # What cannot be had now may be had the next time; until then the last one is tried.
                    with suppress(LifeboatError, OSError):
                        line = self._password_line()
                        with writing:
                            if not over.is_set():
                                private_files.write(path, line)

            threading.Thread(target=renew, name="pgpass", daemon=True).start()
            try:
                yield self._variables(path)
            finally:
                with writing:
                    over.set()

    def _password_line(self) -> bytes:
        password = self._password().reveal()
        if "\n" in password or "\r" in password or "\0" in password:
            raise WrongConfiguration(
                f"the password of {self.address.user} has a line break in it, which PostgreSQL's programs cannot read",
                hint="give the role a password without one",
            )
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        return f"*:*:*:*:{escaped}\n".encode()

    def _variables(self, password_file: Path) -> dict[str, str]:
        found = {
            "PGHOST": self.address.host,
            "PGPORT": str(self.address.port),
            "PGDATABASE": self.address.database,
            "PGUSER": self.address.user,
            "PGPASSFILE": str(password_file),
            "PGSSLMODE": self._ssl_mode,
            "PGCONNECT_TIMEOUT": str(_CONNECT_SECONDS),
            "PGAPPNAME": "lifeboat",
        }
        if self.address.ca_file is not None:
            found["PGSSLROOTCERT"] = str(self.address.ca_file)
        return found

    @property
    def where(self) -> str:
        """The database in words."""
        return f"the database {self.address.database} at {self.address.host}:{self.address.port}"

    @property
    def _ssl_mode(self) -> str:
        return "require" if self.address.ca_file is None else "verify-full"


@contextmanager
def translated(what: str, mends: Callable[[psycopg.Error], str] = lambda _: "") -> Iterator[None]:
    """Turn PostgreSQL's errors into ours: "I may not look" never becomes "it is not there"; `mends` says what to do then."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise RoleMissing(f"cannot {what}: {said(error)}", hint=mends(error)) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        kind = SignInRefused if _NOT_LET_IN in str(error) else Unreachable
        raise kind(f"cannot {what}: {said(error)}", hint=mends(error)) from error
    except psycopg.Error as error:
        raise Failed(f"cannot {what}: {said(error)}") from error


def said(error: psycopg.Error) -> str:
    """Return what PostgreSQL said, without the statement and without what looks like a secret."""
    words = error.diag.message_primary or str(error)
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    return redacted(f"{words}{detail}".strip())


@contextmanager
def own_path(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Let names mean what the role means by them, as its and the database's settings say; after an error they go on to.

    Within, whoever may create anything in a schema of that path decides what an unqualified function or operator is.
    """
    connection.execute("SET search_path TO DEFAULT")
    yield
    connection.execute(OUR_PATH)


def _prepare(connection: psycopg.Connection[Any]) -> None:
    """Set the path and the time-outs of a session, by words alone: nothing that is looked up in the path it comes with.

    A database's owner decides that path (ALTER DATABASE … SET search_path), and of a restored copy that is the archive.
    """
    version = connection.info.server_version
    time_outs = [f"SET {setting} TO 0" for setting, since in _TIME_OUTS if version >= since]
    connection.execute("; ".join([OUR_PATH, *time_outs]).encode())
