"""Dumps made to do harm, restored on a scratch server: nothing outside of it is touched, whatever they try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
import zstandard
from lifeboat.database_model import Extension
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth, NotHere, read_whole, restored_on_scratch

from tests.conftest import own_temporary_files
from tests.damage import hostile
from tests.damage.hostile import Outside
from tests.restores.servers import RdsServer, StockDump

QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
DEPTH = Depth(level=3, within=timedelta(minutes=2))


@pytest.fixture
def there() -> Iterator[Outside]:
    with own_temporary_files(), hostile.outside() as made:
        yield made


@pytest.fixture(scope="module")
def base(rds: RdsServer) -> tuple[StockDump, bytes]:
    """A small dump, and the bytes of its schema's archive."""
    dump = hostile.base(rds)
    return dump, zstandard.ZstdDecompressor().decompress(dump.files["schema.dump.zst"], max_output_size=10**7)


def test_with_the_rights_of_a_superuser_they_do_reach_outside(rds: RdsServer, there: Outside) -> None:
    tried = hostile.attempts(there)
    rds.new_database("harmed")

    with rds.admin("harmed") as connection:
        connection.execute(tried["copy to a program"].statement.encode())
        with suppress(psycopg.Error):  # who listens there is no server
            connection.execute(tried["dblink to loopback"].statement.encode())

    assert there.reached() == ["marker", "tcp"]


def test_nothing_that_statements_try_reaches_outside(base: tuple[StockDump, bytes], there: Outside) -> None:
    dump, raw = base
    tried = hostile.attempts(there)
    every = "\n".join(hostile.attempting(attempt.statement, n) for n, attempt in enumerate(tried.values()))

    findings, _ = restored_on_scratch(hostile.saying(dump, raw, every).copy(), DEPTH, QUIET)

    assert len(tried) >= 40
    # The trigger that fires always stops the data; all the others were tried before.
    assert findings == [
        'it cannot be restored: data-00.dump.zst: pg_restore ended with status 1: COPY failed for table "t": ERROR:  must be'
        " superuser or have privileges of the pg_execute_server_program role to COPY to or from an external program"
    ]
    assert there.reached() == []
    assert hostile.left_behind() == []


def test_what_waits_for_the_comparison_runs_without_rights(base: tuple[StockDump, bytes], there: Outside) -> None:
    dump, raw = base
    tried = hostile.attempts(there)
    waiting = ("a program when a row becomes text", "a program instead of the comparison's functions")
    several = "\n".join(hostile.attempting(tried[name].statement, n) for n, name in enumerate(waiting))

    findings, _ = restored_on_scratch(hostile.saying(dump, raw, several).copy(), DEPTH, QUIET)

    assert findings[0] == "table public.with_cast is not in the manifest"
    assert all(finding.startswith("there are ") for finding in findings[1:]), findings
    assert there.reached() == []


def test_a_path_that_the_archive_sets_answers_for_nothing_that_a_superuser_calls(
    base: tuple[StockDump, bytes], there: Outside
) -> None:
    dump, raw = base
    shadow = hostile.attempts(there)["a program instead of what every session calls first"]

    findings, _ = restored_on_scratch(hostile.saying(dump, raw, shadow.statement).copy(), DEPTH, QUIET)

    assert there.reached() == []
    assert findings == ["there are 1 functions, not 0"], "the indexes were checked, and nothing else failed"


def test_names_that_are_statements_stay_names(rds: RdsServer, there: Outside) -> None:
    dump = hostile.named(rds, there)

    assert read_whole(dump.copy(), DEPTH, QUIET) == []
    assert restored_on_scratch(dump.copy(), DEPTH, QUIET)[0] == []
    assert there.reached() == []


def test_plain_sql_is_refused(base: tuple[StockDump, bytes], there: Outside) -> None:
    dump, raw = base
    plain = hostile.bombs(dump, raw)["plain SQL"]

    assert read_whole(plain.copy(), DEPTH, QUIET) == [
        "schema.dump.zst: pg_restore cannot read it: it is plain SQL, no archive; lifeboat restores none"
    ]
    assert restored_on_scratch(plain.copy(), DEPTH, QUIET)[0] == [
        "schema.dump.zst: pg_restore ended with status 1: it is plain SQL, no archive; lifeboat restores none"
    ]
    assert there.reached() == []


def test_a_manifest_that_hides_a_bomb_fills_nothing(base: tuple[StockDump, bytes]) -> None:
    dump, raw = base
    lied = hostile.bombs(dump, raw)["zeros, and the manifest says less"]

    assert read_whole(lied.copy(), DEPTH, QUIET) == ["schema.dump.zst: more than the 1,024 raw bytes of the manifest"]


def test_an_extension_that_reaches_out_is_not_tried(base: tuple[StockDump, bytes]) -> None:
    dump, _ = base
    more = (*dump.manifest.contents.extensions, Extension(name="dblink", version="1.2"))
    reaching = replace(dump, manifest=replace(dump.manifest, contents=replace(dump.manifest.contents, extensions=more)))

    with pytest.raises(NotHere, match="the extension dblink reaches out of the server"):
        restored_on_scratch(reaching.copy(), DEPTH, QUIET)
