"""Databases of a kind that few are: each is dumped, read whole and restored on a scratch server, and nothing is called bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from lifeboat.database_model import Manifest
from lifeboat.decisions.fingerprints import quoted
from lifeboat.dumps import verifying
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth

from tests.dump_sites import DumpSite

QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
Make = Callable[..., str]


@pytest.fixture
def make(site: DumpSite) -> Iterator[Make]:
    """Return how to make a database with something in it, which is dropped afterwards."""
    made: list[str] = []

    def database(name: str, *statements: str, like: str = "") -> str:
        site.run(f"CREATE DATABASE {quoted(name)} TEMPLATE template0 {like}")
        made.append(name)
        site.run(*statements, database=name)
        return name

    yield database
    for name in made:
        site.run(f"DROP DATABASE {quoted(name)} WITH (FORCE)")


def proven(site: DumpSite, database: str, **wanted: Any) -> Manifest:
    """Dump a database and look at the dump as deep as goes; return its manifest when nothing is wrong with it."""
    (done,) = site.dump(database, **wanted)
    assert done.manifest is not None, done.problem
    store = site.site().dump_store(site.recovery())
    (entry,) = store.entries(database)
    for level in (2, 3):
        seen = verifying.verify(store, entry, Depth(level=level, within=timedelta(minutes=5)), QUIET)
        assert seen.proof is not None, seen.unable
        assert (level, seen.proof.findings) == (level, ())
    return done.manifest


def rows(manifest: Manifest) -> dict[str, int]:
    return {str(content.table): content.rows for content in manifest.contents.tables}


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_that_is_not_in_utf8(site: DumpSite, make: Make, jobs: int) -> None:
    name = make(
        "latin",
        "SET client_encoding = 'UTF8'",
        'CREATE TABLE "größen" AS SELECT n, repeat(\'süß\', 100) AS "wörter" FROM generate_series(1, 500) n',
        "CREATE TABLE others AS SELECT n, repeat('x', 400) AS word FROM generate_series(1, 400) n",
        like="ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    )

    manifest = proven(site, name, jobs=jobs)

    assert (manifest.server.encoding, rows(manifest)) == ("LATIN1", {"public.größen": 500, "public.others": 400})


def test_a_column_of_a_domain_over_an_enum(site: DumpSite, make: Make) -> None:
    name = make(
        "moods",
        "CREATE TYPE mood AS ENUM ('good', 'bad', 'it''s \"so\"')",
        "CREATE DOMAIN known AS mood NOT NULL",
        "CREATE DOMAIN fine AS known CHECK (VALUE::mood <> 'bad')",
        "CREATE TABLE days (a mood, b known, c fine)",
        "INSERT INTO days VALUES ('bad', 'bad', 'good'), (NULL, 'it''s \"so\"', 'it''s \"so\"')",
    )

    assert rows(proven(site, name)) == {"public.days": 2}


def test_partitions_by_the_hash_of_an_enum_which_a_restore_fills_otherwise(site: DumpSite, make: Make) -> None:
    name = make(
        "hashed",
        "CREATE TYPE kind AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')",
        "CREATE TABLE events (n int, kind kind) PARTITION BY RANGE (n)",
        "CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (400) PARTITION BY HASH (kind)",
        *(
            f"CREATE TABLE events_low_{number} PARTITION OF events_low FOR VALUES WITH (MODULUS 4, REMAINDER {number})"
            for number in range(4)
        ),
        "CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (400) TO (800)",
        "INSERT INTO events SELECT n, (enum_range(NULL::kind))[1 + n % 8] FROM generate_series(0, 799) n",
        "CREATE TABLE others AS SELECT n, repeat('x', 400) AS word FROM generate_series(1, 400) n",
    )

    manifest = proven(site, name, jobs=2)

    # What is beside them is loaded into itself.
    assert rows(manifest) == {"public.events": 400, "public.events_high": 400, "public.others": 400}


def test_a_part_that_was_named_as_the_databases_own_search_path_finds_it(site: DumpSite, make: Make) -> None:
    name = make(
        "pathed",
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.orders (id serial, n int)",
        "INSERT INTO sales.orders (n) SELECT generate_series(1, 7)",
        "CREATE TABLE public.others AS SELECT 1 AS n",
        "ALTER DATABASE pathed SET search_path = sales",
    )

    assert rows(proven(site, name, tables=("orders",))) == {"sales.orders": 7}
