"""One server with a database that has everything in it, and one site for its dumps, for all tests of restores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lifeboat.database_model import TableName

from tests.conftest import own_temporary_files
from tests.restores import everything
from tests.restores.dump_sites import DumpSite, dump_site
from tests.restores.servers import RdsServer, StockDump, rds_server, session, stock_dump

EVENTS = TableName(schema="audit", name="events_2024_rest")
ODD = TableName(schema="public", name='naïve "quoted" 名前')


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The folder for temporary files of one test."""
    with own_temporary_files() as folder:
        yield folder


@pytest.fixture(scope="session")
def rds() -> Iterator[RdsServer]:
    with rds_server() as server:
        yield server


@pytest.fixture(scope="session")
def everything_database(rds: RdsServer) -> str:
    """The name of a database with everything in it, which stays as it is."""
    source = rds.new_database("everything")
    with session(source) as connection:
        everything.fill(connection)
    return "everything"


@pytest.fixture(scope="session")
def everything_dump(rds: RdsServer, everything_database: str) -> StockDump:
    """A dump of the database "everything", by stock tools."""
    return stock_dump(rds.master(everything_database), EVENTS, ODD)


@pytest.fixture(scope="session")
def place(rds: RdsServer, everything_database: str) -> Iterator[DumpSite]:
    """A site whose database is "everything"."""
    with dump_site(rds) as made:
        made.output(everything_database)
        yield made
