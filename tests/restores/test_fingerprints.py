"""Values that nearly are the same: a real PostgreSQL's fingerprints tell each from the other, in whatever order rows lie."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from lifeboat.database_model import Selection
from lifeboat.dumps.contents import contents

from tests.restores.servers import RdsServer, rds_server

# A type, and values of it of which no two may have the same fingerprint.
NEAR = (
    ("smallint", "0", "1", "-1", "NULL"),
    ("int", "0", "1", "-1", "256", "NULL"),
    # What hashint8 folds to the same half: the upper bits of the one are in the lower bits of the other.
    ("bigint", "5", "-6", str((1 << 32) + 4), str((4 << 32) + 1), "NULL"),
    ("text", "''", "' '", "'a'", "'A'", "'ä'", "'NULL'", "NULL"),
    ("varchar(9)", "''", "' '", "'a '", "'a'", "NULL"),
    ("char(3)", "'a'", "'b'", "NULL"),
    ("numeric", "1", "1.0", "1.00", "'NaN'", "'Infinity'", "NULL"),
    ("float8", "0", "'-0'", "'0.1'", "'0.10000000000000002'", "'NaN'", "NULL"),
    ("jsonb", "'1'", "'1.0'", "'\"1\"'", "'[1, 2]'", "'[2, 1]'", "'{}'", "'null'", "NULL"),
    ("json", "'{\"a\": 1}'", "'{\"a\":1}'", "NULL"),
    ("bytea", "''", "'\\x00'", "'\\x0000'", "NULL"),
    ("uuid", "'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000100'", "NULL"),
    ("timestamptz", "'2026-01-01Z'", "'2026-01-01 00:00:00.000001Z'", "'infinity'", "'-infinity'", "NULL"),
    ("date", "'2026-01-01'", "'infinity'", "NULL"),
    ("int[]", "'{}'", "'{NULL}'", "'{1,2}'", "'{{1,2}}'", "'[0:1]={1,2}'", "NULL"),
    ("public.mood", "'good'", "'bad'", "NULL"),
    ("public.pair", "ROW(NULL, NULL)", "ROW(1, NULL)", "ROW(NULL, 1)", "NULL"),
    ("public.counted", "1", "2", "NULL"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RdsServer]:
    with rds_server() as running:
        running.new_database("near")
        with running.admin("near") as connection:
            for order in (
                "CREATE TYPE public.mood AS ENUM ('good', 'bad')",
                "CREATE TYPE public.pair AS (a int, b int)",
                "CREATE DOMAIN public.counted AS bigint",
            ):
                connection.execute(order)
        yield running


def fingerprint(connection: psycopg.Connection[tuple[object, ...]], columns: str, *rows: str) -> str:
    """Return the fingerprint of a table that has these rows, and is gone afterwards."""
    connection.execute(f"CREATE TABLE public.near ({columns})".encode())
    for row in rows:
        connection.execute(f"INSERT INTO public.near VALUES ({row})".encode())
    (found,) = contents(connection, Selection()).tables
    connection.execute("DROP TABLE public.near")
    assert found.rows == len(rows)
    return found.fingerprint


@pytest.mark.parametrize(
    ("kind", "values"), [(kind, values) for kind, *values in NEAR], ids=[kind for kind, *_ in NEAR]
)
def test_values_that_nearly_are_the_same_have_other_fingerprints(
    server: RdsServer, kind: str, values: list[str]
) -> None:
    with server.admin("near") as connection:
        found = [fingerprint(connection, f"v {kind}", value) for value in values]

    assert len(set(found)) == len(values)


def test_neither_order_nor_place_of_a_column_counts_and_a_row_twice_does(server: RdsServer) -> None:
    with server.admin("near") as connection:
        found = fingerprint(connection, "a int, b bigint", "1, 2", "3, 4")

        assert fingerprint(connection, "a int, b bigint", "3, 4", "1, 2") == found
        assert fingerprint(connection, "b bigint, a int", "4, 3", "2, 1") == found
        assert fingerprint(connection, "a int, b bigint", "2, 1", "4, 3") != found
        assert fingerprint(connection, "a int, b bigint", "1, 4", "3, 2") != found
        assert fingerprint(connection, "a int, b bigint", "1, 2", "3, 4", "3, 4") != found


def test_a_type_that_somebody_casts_to_text_in_a_way_of_their_own_is_written_by_itself(server: RdsServer) -> None:
    with server.admin("near") as connection:
        for order in (
            "CREATE FUNCTION public.lie(public.mood) RETURNS text LANGUAGE sql AS $$ SELECT 'same' $$",
            "CREATE CAST (public.mood AS text) WITH FUNCTION public.lie(public.mood)",
        ):
            connection.execute(order)
        found = {fingerprint(connection, "v public.mood", value) for value in ("'good'", "'bad'")}
        connection.execute("DROP CAST (public.mood AS text)")

    assert len(found) == 2
