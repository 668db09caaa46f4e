"""Each hostile statement alone, and each bomb: nothing outside is touched, nothing is left, and it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth, NotHere, read_whole, restored_on_scratch

from tests.conftest import own_temporary_files
from tests.damage import hostile
from tests.damage.hostile import Outside
from tests.restores.servers import RdsServer, StockDump, rds_server

QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
DEPTH = Depth(level=3, within=timedelta(seconds=20))
NAMES = tuple(hostile.statements(Outside(folder=Path("/nowhere"), port=1)))
BOMBS = (
    "zeros, and the manifest says so",
    "zeros, and the manifest says less",
    "a table of contents without end",
    "plain SQL",
    "a loop",
    "a sleep",
    "memory",
    "a disk",
    "a log",
)


@pytest.fixture(scope="module")
def rds() -> Iterator[RdsServer]:
    with rds_server() as server:
        yield server


@pytest.fixture(scope="module")
def base(rds: RdsServer) -> tuple[StockDump, bytes]:
    dump = hostile.base(rds)
    return dump, zstandard.ZstdDecompressor().decompress(dump.files["schema.dump.zst"], max_output_size=10**7)


@pytest.fixture
def there() -> Iterator[Outside]:
    with own_temporary_files(), hostile.outside() as made:
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_of_its_own_reaches_nothing(base: tuple[StockDump, bytes], there: Outside, name: str) -> None:
    dump, raw = base
    spoiled = hostile.saying(dump, raw, hostile.statements(there)[name])

    read = read_whole(spoiled.copy(), QUIET)
    restored_on_scratch(spoiled.copy(), DEPTH, QUIET)

    assert read == [], "an archive with it is an archive"
    assert there.reached() == []
    assert hostile.left_behind() == []


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_with_a_finding(base: tuple[StockDump, bytes], there: Outside, name: str) -> None:
    dump, raw = base
    bombs = hostile.bombs(dump, raw)
    assert set(bombs) == set(BOMBS)

    try:
        findings, _ = restored_on_scratch(bombs[name].copy(), DEPTH, QUIET)
    except NotHere as error:
        findings = [error.summary]

    assert findings != []
    assert there.reached() == []
    assert hostile.left_behind() == []
