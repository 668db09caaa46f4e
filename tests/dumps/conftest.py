"""One database with something of everything in it, and a dump bucket that each test finds empty."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningCloud, own_temporary_files
from tests.dump_sites import DumpSite, dump_site

CONTENT = (
    "CREATE SCHEMA sales",
    "CREATE TYPE mood AS ENUM ('good', 'bad')",
    "CREATE TABLE sales.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood mood, total numeric, at"
    " timestamptz, doubled numeric GENERATED ALWAYS AS (total * 2) STORED)",
    "INSERT INTO sales.orders (mood, total, at) SELECT 'good', n, '2026-01-01'::timestamptz + n * interval '1 hour'"
    " FROM generate_series(1, 2000) n",
    'CREATE TABLE "Größen ""x"".y" ("Id" serial, r real, d double precision, j jsonb, b bytea)',
    """INSERT INTO "Größen ""x"".y" (r, d, j, b) VALUES ('NaN', 'Infinity', '{"a": null}', '\\xdeadbeef'),"""
    " (NULL, NULL, NULL, NULL)",
    "CREATE TABLE parts (n int, word text) PARTITION BY RANGE (n)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200)",
    "INSERT INTO parts SELECT n, repeat('w', n) FROM generate_series(0, 199) n",
    "CREATE VIEW shown AS SELECT 1 AS one",
    "CREATE MATERIALIZED VIEW summed AS SELECT count(*) FROM parts",
    "SELECT lo_from_bytea(0, 'large')",
    "CREATE TABLE filler (n int, body text)",
    "INSERT INTO filler SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 5000) n",
    "CREATE DATABASE second",
)


@pytest.fixture(scope="module")
def made(cloud: RunningCloud) -> Iterator[DumpSite]:
    with own_temporary_files(), tempfile.TemporaryDirectory() as folder:
        site = dump_site(cloud, Path(folder))
        site.run(*CONTENT)
        site.run("CREATE TABLE one AS SELECT 1 AS n", database="second")
        yield site


@pytest.fixture
def site(made: DumpSite) -> DumpSite:
    """The database and its bucket, which is empty and has no faults."""
    made.clean()
    return made
