"""What level 2 and level 3 find in a dump, and that a sound one passes both."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psutil
import pytest
from lifeboat.clients import dump_reading, scratch_server
from lifeboat.clients.scratch_server import RESTORER, Room
from lifeboat.database_model import Probe, TableContent
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth, NotHere, read_whole, restored_on_scratch
from lifeboat.errors import IntegrityFailure, WrongConfiguration

from tests.restores.servers import BIN, RdsServer, StockDump, session, stock_dump

QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
DEPTH = Depth(level=3, within=timedelta(minutes=5))


def test_a_sound_dump_passes_level_2(everything_dump: StockDump) -> None:
    assert read_whole(everything_dump.copy(), DEPTH, QUIET) == []


def test_a_sound_dump_passes_levels_3_and_4_and_leaves_nothing(everything_dump: StockDump, temporary: Path) -> None:
    probes = (
        Probe(name="accounts", sql="SELECT count(*) FROM accounts", expect="310", tolerance_percent=Decimal(5)),
        Probe(name="too few", sql="SELECT 1", minimum=Decimal(2)),
        Probe(name="writes", sql="DELETE FROM accounts", expect="0"),
        Probe(name="two", sql="SELECT 1, 2", expect="1"),
    )

    findings, remarks = restored_on_scratch(everything_dump.copy(), replace(DEPTH, level=4, probes=probes), QUIET)

    assert findings == [
        "probe too few: 1; at least 2 was expected",
        "probe writes: cannot execute DELETE in a read-only transaction",
        "probe two: it gives 1 rows of 2 columns, not one value",
    ]
    assert [remark for remark in remarks if not remark.startswith("left out: COMMENT EXTENSION")] == []
    assert list(temporary.iterdir()) == []


def test_a_probe_that_would_change_the_copy_says_nothing_of_it(everything_dump: StockDump, temporary: Path) -> None:
    probes = (Probe(name="writes", sql="DELETE FROM accounts", expect="0"),)
    depth = replace(DEPTH, level=4, probes=probes, asked_in="environments/x.toml")

    with pytest.raises(WrongConfiguration) as refused:
        restored_on_scratch(everything_dump.copy(), depth, QUIET)

    assert refused.value.summary == (
        "what environments/x.toml asks of a restored copy would change it: probe writes: cannot execute DELETE in a read-only"
        " transaction"
    )
    assert "says nothing of any copy" in refused.value.hint
    assert list(temporary.iterdir()) == []


def test_a_row_that_the_manifest_tells_otherwise_is_found(everything_dump: StockDump) -> None:
    contents = everything_dump.manifest.contents
    told = tuple(
        replace(content, fingerprint="0" * 64) if content.table.name == "times" else content
        for content in contents.tables
    )
    wrong = replace(
        everything_dump, manifest=replace(everything_dump.manifest, contents=replace(contents, tables=told))
    )

    assert read_whole(wrong.copy(), DEPTH, QUIET) == []
    assert restored_on_scratch(wrong.copy(), DEPTH, QUIET)[0] == [
        "table public.times has 2 rows as it should, but other content"
    ]


def test_a_definition_that_another_archive_has_is_found_at_level_3(rds: RdsServer) -> None:
    source = rds.new_database("defined")
    with session(source) as connection:
        # What PostgreSQL writes of the second one is not what it writes of that, read again.
        connection.execute(
            "CREATE TABLE t (n int CHECK (n > 0), state varchar(9) CHECK (state IN ('new', 'paid')), at timestamptz(3)"
            " DEFAULT '2026-01-01Z')"
        )
        connection.execute("CREATE FUNCTION f(text = 'x'::varchar) RETURNS int LANGUAGE sql AS 'SELECT 1'")
        connection.execute("INSERT INTO t VALUES (5, 'new')")
    dump = stock_dump(source)
    schema = b"".join(dump_reading.slices([dump.files["schema.dump.zst"]], dump.copy().schema, lambda _: None))

    def found(old: bytes, new: bytes) -> list[str]:
        assert schema.count(old) == 1
        other = dump.with_raw("schema.dump.zst", schema.replace(old, new))
        assert read_whole(other.copy(), DEPTH, QUIET) == []
        return restored_on_scratch(other.copy(), DEPTH, QUIET)[0]

    findings, remarks = restored_on_scratch(dump.copy(), DEPTH, QUIET)
    assert (findings, [remark for remark in remarks if "definitions" in remark]) == ([], [])
    assert found(b"n > 0", b"n < 9") == ["there are 2 constraints as it should be, but not all defined as they were"]
    assert found(b"SELECT 1", b"SELECT 2") == [
        "there are 1 functions as it should be, but not all defined as they were"
    ]


def test_rows_that_are_not_in_the_archives_are_found_at_level_2(everything_dump: StockDump) -> None:
    contents = everything_dump.manifest.contents
    more = TableContent(table=contents.tables[0].table, rows=501, fingerprint="")
    wrong = replace(
        everything_dump,
        manifest=replace(everything_dump.manifest, contents=replace(contents, tables=(more, *contents.tables[1:]))),
    )

    assert read_whole(wrong.copy(), DEPTH, QUIET) == [
        "table Ventas 2024.Pedidos: 500 rows in the archives, 501 in the manifest"
    ]


def test_an_index_that_does_not_fit_its_table_is_found_at_level_3(rds: RdsServer) -> None:
    source = rds.new_database("misfit")
    with session(source) as connection:
        connection.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 50) AS n")
        connection.execute(
            "CREATE FUNCTION lie(int) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.random()'"
        )
        connection.execute("CREATE INDEX misfit ON t (public.lie(n))")
    dump = stock_dump(source)

    findings, _ = restored_on_scratch(dump.copy(), DEPTH, QUIET)

    assert read_whole(dump.copy(), DEPTH, QUIET) == []
    assert len(findings) == 1
    assert findings[0].startswith("pg_amcheck: ")
    assert 'lacks matching index tuple within index "misfit"' in findings[0]


def test_that_the_disk_here_is_full_is_no_finding_about_the_copy(rds: RdsServer) -> None:
    source = rds.new_database("full")
    with session(source) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        create = "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN {} END'"
        connection.execute(create.format("RETURN 1;").encode())
        connection.execute("CREATE INDEX on_f ON t (public.f(n))")
        # What PostgreSQL says where it cannot write.
        connection.execute(create.format("RAISE ''could not extend file: No space left on device'';").encode())

    with pytest.raises(NotHere, match="the disk of this machine is full, which says nothing about the copy"):
        restored_on_scratch(stock_dump(source).copy(), DEPTH, QUIET)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -9 $$", "pg_restore ended with status -9: it was ended by signal 9"),
        ("exit 127", "pg_restore ended with status 127: it could not be started"),
        ("echo 'prlimit: no room' >&2; exit 1", "pg_restore ended with status 1: prlimit: no room"),
    ],
)
def test_that_a_program_cannot_run_here_is_no_finding_about_the_copy(
    everything_dump: StockDump, temporary: Path, script: str, said: str
) -> None:
    folder = temporary / "programs"
    folder.mkdir(mode=0o755)
    program = folder / "pg_restore"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec {BIN}/pg_restore --version\n{script}\n')
    program.chmod(0o755)
    depth, copy = replace(DEPTH, env={"PG_BIN": str(folder)}), everything_dump.copy()

    for look in (lambda: read_whole(copy, depth, QUIET), lambda: restored_on_scratch(copy, depth, QUIET)):
        with pytest.raises(NotHere) as raised:
            look()
        assert raised.value.summary.startswith("this machine failed, which says nothing about the copy: ")
        assert raised.value.summary.endswith(said)


@pytest.mark.parametrize(
    ("room", "finding"),
    [
        (Room(disk=40_000_000, seconds=60), "it fills the disk: more than 0.0 GB when restored, so it was stopped"),
        (Room(disk=2_000_000_000, seconds=0), "it does not end: more than 0 s, so it was stopped"),
    ],
)
def test_a_limit_ends_the_server_with_a_finding(room: Room, finding: str, temporary: Path) -> None:
    with (
        pytest.raises(IntegrityFailure, match=finding),
        scratch_server.running(BIN, room) as scratch,
        session(scratch.as_role(scratch_server.ADMIN, "postgres")) as connection,
    ):
        connection.execute(
            "CREATE TABLE bomb AS SELECT repeat('x', 1000) FROM (SELECT generate_series(1, 10000000)) AS n"
        )

    assert list(temporary.iterdir()) == []


def test_the_server_is_another_account_without_network(everything_dump: StockDump) -> None:
    with scratch_server.running(BIN, Room(disk=2_000_000_000, seconds=60)) as scratch:
        scratch.create_database(everything_dump.manifest.server)
        process = psutil.Process(scratch.process.pid)
        family = [process, *process.children(recursive=True)]

        seen: list[tuple[str, str, int]] = []
        for member in family:
            with suppress(psutil.NoSuchProcess):
                seen.append((member.name()[:8], member.username(), len(member.net_connections("inet"))))
        assert {name for name, _, _ in seen} == {"postgres"}
        assert sum(connections for _, _, connections in seen) == 0
        if os.geteuid() == 0:
            assert {user for _, user, _ in seen} == {"nobody"}
            assert Path(f"/proc/{process.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        with session(scratch.as_role(RESTORER)) as connection:
            row = connection.execute(
                "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, current_setting('listen_addresses'),"
                " pg_has_role(current_user, 'pg_execute_server_program', 'MEMBER'),"
                " pg_has_role(current_user, 'pg_read_server_files', 'MEMBER') FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            assert row == (False, False, False, False, "", False, False)
