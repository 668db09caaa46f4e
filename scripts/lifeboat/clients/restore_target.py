"""The database that a dump is restored into: what is there before, what it has to get after the data, and its making."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from lifeboat.clients.postgres import own_path
from lifeboat.database_model import SequenceValue, Server, TableName
from lifeboat.errors import Refused

Connection = psycopg.Connection[Any]

# Everything of its own that a database can hold, by the catalogue that it is in. What an extension made is not counted:
# an archive's CREATE EXTENSION IF NOT EXISTS takes it as it is.
_COUNTS = (
    (
        "table",
        "SELECT count(*) FROM pg_class AS o JOIN {n} ON n.oid = o.relnamespace WHERE o.relkind IN ('r', 'p', 'f') AND {own}",
    ),
    (
        "view",
        "SELECT count(*) FROM pg_class AS o JOIN {n} ON n.oid = o.relnamespace WHERE o.relkind IN ('v', 'm') AND {own}",
    ),
    (
        "sequence",
        "SELECT count(*) FROM pg_class AS o JOIN {n} ON n.oid = o.relnamespace WHERE o.relkind = 'S' AND {own}",
    ),
    ("function", "SELECT count(*) FROM pg_proc AS o JOIN {n} ON n.oid = o.pronamespace WHERE {own}"),
    (
        "type",
        "SELECT count(*) FROM pg_type AS o JOIN {n} ON n.oid = o.typnamespace"
        " LEFT JOIN pg_class AS c ON c.oid = o.typrelid WHERE o.typcategory <> 'A'"
        " AND (o.typrelid = 0 OR c.relkind = 'c') AND {own}",
    ),
    (
        "schema",
        "SELECT count(*) FROM pg_namespace AS o WHERE o.nspname !~ '^pg_' AND o.nspname NOT IN ('information_schema', 'public')"
        " AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = o.oid"
        " AND d.deptype = 'e')",
    ),
    ("large object", "SELECT count(*) FROM pg_largeobject_metadata"),
    ("event trigger", "SELECT count(*) FROM pg_event_trigger WHERE evtowner >= 16384"),
    ("publication", "SELECT count(*) FROM pg_publication"),
)
_NAMESPACE = "pg_namespace AS n"
_OWN = (
    "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS"
    " (SELECT FROM pg_depend AS d WHERE d.classid = o.tableoid AND d.objid = o.oid AND d.deptype = 'e')"
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A server as one who restores sees it: version, the role and its rights, extensions offered, databases there.

    `roles` are those that the role may act as.
    """

    server: Server
    role: str
    superuser: bool
    may_create: bool
    extensions: frozenset[str]
    databases: frozenset[str]
    roles: frozenset[str]


def place(connection: Connection, server: Server) -> Place:
    """Return what a restore has to know of a server before it changes anything."""
    role, superuser, may_create = _row(
        connection,
        "SELECT current_user::text, rolsuper, rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user",
    )
    return Place(
        server=server,
        role=role,
        superuser=superuser,
        may_create=may_create,
        extensions=frozenset(_column(connection, "SELECT name::text FROM pg_available_extensions")),
        databases=frozenset(_column(connection, "SELECT datname::text FROM pg_database")),
        roles=frozenset(
            _column(connection, "SELECT rolname::text FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')")
        ),
    )


def holds(connection: Connection) -> list[str]:
    """Return what is in a database, "3 tables", "1 function" …; nothing where it is empty."""
    found = []
    for name, query in _COUNTS:
        (count,) = _row(connection, query.replace("{n}", _NAMESPACE).replace("{own}", _OWN))
        if count:
            found.append(f"{count:,} {name}{'' if count == 1 else 's'}")
    return found


def encoding(connection: Connection) -> str:
    """Return the encoding of the connected database."""
    return str(_row(connection, "SELECT current_setting('server_encoding')")[0])


def create(connection: Connection, name: str, like: Server, owner: str | None) -> None:
    """Make an empty database with a recorded encoding and locale; raises Refused where the server cannot."""
    owned = sql.SQL("") if owner is None else sql.SQL(" OWNER {}").format(sql.Identifier(owner))
    order = sql.SQL("CREATE DATABASE {}{} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        sql.Identifier(name),
        owned,
        sql.Literal(like.encoding),
        sql.Literal(like.collation),
        sql.Literal(like.character_type),
    )
    try:
        connection.execute(order)
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation) as error:
        raise Refused(
            f"the database {name} was made by somebody else meanwhile; nothing was changed",
            hint="wait until that restore is done, or name another database with --to",
        ) from error
    except (
        psycopg.errors.WrongObjectType,
        psycopg.errors.InvalidParameterValue,
        psycopg.errors.UndefinedObject,
    ) as error:
        raise Refused(
            f"the server cannot make a database with encoding {like.encoding} and locale {like.collation}:"
            f" {error.diag.message_primary}; nothing was changed",
            hint="restore on a server that has the locale",
        ) from error


def mark(connection: Connection, name: str, text: str | None) -> None:
    """Write a comment on a database, or take it off; a role that may make it and is not let comment leaves it without one."""
    order = sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute(order)


def marked(connection: Connection, name: str) -> str | None:
    """Return the comment on a database; None where it has none."""
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,)
    ).fetchone()
    return None if row is None else row[0]


def restorers(connection: Connection, name: str) -> int:
    """Return how many sessions of restores are connected to a database, as far as the role may see whose they are."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE 'lifeboat restore%%'",
        (name,),
    ).fetchone()
    return 0 if row is None else int(row[0])


def drop(connection: Connection, name: str) -> None:
    """Drop a database with all that is in it, and end whoever is connected to it; one that is not there is as good."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def create_schemas(connection: Connection, names: Iterable[str], owner: str | None) -> None:
    """Make schemas that are not there yet; `owner` is whose they become, else the connected role's."""
    authorized = sql.SQL("") if owner is None else sql.SQL(" AUTHORIZATION {}").format(sql.Identifier(owner))
    for name in names:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}{}").format(sql.Identifier(name), authorized))


def advance_sequences(
    connection: Connection, wanted: tuple[SequenceValue, ...]
) -> tuple[list[TableName], frozenset[TableName]]:
    """Set each sequence that is behind to where the dump knew it; return those, and all that count down."""
    steps = {
        TableName(schema=schema, name=name): step
        for schema, name, step in connection.execute(
            "SELECT schemaname::text, sequencename::text, increment_by FROM pg_sequences"
        ).fetchall()
    }
    advanced = []
    for value in wanted:
        step = steps.get(value.sequence)
        if step is None:
            continue  # the comparison says that it is missing
        name = sql.Identifier(value.sequence.schema, value.sequence.name)
        last, called = _row(connection, sql.SQL("SELECT last_value, is_called FROM {}").format(name))
        found = SequenceValue(sequence=value.sequence, last_value=last, is_called=called)
        ahead = _next(value, step) - _next(found, step)
        if ahead * (1 if step > 0 else -1) > 0:
            connection.execute(
                sql.SQL("SELECT pg_catalog.setval({}::regclass, {}, {})").format(
                    sql.Literal(name.as_string(connection)), sql.Literal(value.last_value), sql.Literal(value.is_called)
                )
            )
            advanced.append(value.sequence)
    return advanced, frozenset(name for name, step in steps.items() if step < 0)


def _next(value: SequenceValue, step: int) -> int:
    return value.last_value + (step if value.is_called else 0)


def end_sessions(connection: Connection, application: str) -> None:
    """End the sessions of an application that is gone: a server does not notice by itself while a query runs."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND usename = current_user",
        (application,),
    )


def memory(connection: Connection) -> tuple[int, int]:
    """Return the bytes that a session may take to build an index, and those of the server's shared buffers."""
    allowed, shared = _row(
        connection,
        "SELECT pg_size_bytes(current_setting('maintenance_work_mem')), pg_size_bytes(current_setting('shared_buffers'))",
    )
    return allowed, shared


def analyze(connection: Connection) -> None:
    """Take the statistics that no dump holds: without them the first queries would be planned blindly."""
    with own_path(connection):  # what a statistic is of may be an expression whose functions rely on it
        connection.execute("ANALYZE")


def _row(connection: Connection, query: str | sql.Composed) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query.encode() if isinstance(query, str) else query).fetchone()
    assert row is not None
    return row


def _column(connection: Connection, query: str) -> list[str]:
    return [row[0] for row in connection.execute(query.encode()).fetchall()]
