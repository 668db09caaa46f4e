"""One server with a database that has everything in it, for all tests of restores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lifeboat.database_model import TableName

from tests.dumps import everything
from tests.dumps.servers import RdsServer, StockDump, rds_server, stock_dump

EVENTS = TableName(schema="audit", name="events_2024_rest")
ODD = TableName(schema="public", name='naïve "quoted" 名前')


@pytest.fixture(scope="session")
def rds() -> Iterator[RdsServer]:
    with rds_server() as server:
        yield server


@pytest.fixture(scope="session")
def everything_dump(rds: RdsServer) -> StockDump:
    """A dump of the database "everything", which stays as it is."""
    source = rds.new_database("everything")
    with source.connection(application="test") as connection:
        everything.fill(connection)
    return stock_dump(source, EVENTS, ODD)
