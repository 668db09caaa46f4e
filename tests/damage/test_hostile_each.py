"""Each hostile statement alone, and each bomb: nothing outside is touched, nothing is left, and it ends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import zstandard
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth, NotHere, read_whole, restored_on_scratch
from localcloud.processes import unprivileged_user

from tests.conftest import own_temporary_files
from tests.damage import hostile
from tests.damage.hostile import Outside
from tests.restores.servers import BIN, RdsServer, StockDump, rds_server

QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
DEPTH = Depth(level=3, within=timedelta(seconds=20))
NAMES = tuple(hostile.attempts(Outside(folder=Path("/nowhere"), port=1)))
REFUSALS = ("permission denied", "must be superuser", "must be a superuser", "is not allowed", "must be owner")
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


def open_to_harm(rds: RdsServer, there: Outside) -> None:
    """Make a database such as a scratch server has, on one whose superuser may do anything to what is outside."""
    with rds.admin() as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        for what in ("DATABASE IF EXISTS evil", "TABLESPACE IF EXISTS ts", "ROLE IF EXISTS evil"):
            connection.execute(f"DROP {what}".encode())
        there_already = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role, rights in (("lifeboat_admin", "SUPERUSER"), ("lifeboat_restore", "")):
            if role not in there_already:
                connection.execute(f"CREATE ROLE {role} LOGIN {rights}".encode())
    rds.new_database("scratch")
    with rds.admin("scratch") as connection:
        connection.execute(
            "CREATE TABLE public.t AS SELECT generate_series(1, 10) AS n; GRANT SELECT ON public.t TO app"
        )
    unprivileged_user().own(there.folder)  # a tablespace's folder is its server's


def by_psql(rds: RdsServer, script: str) -> None:
    """Let psql run a script, whatever comes of it."""
    with rds.master("scratch").program_env() as env:
        subprocess.run([BIN / "psql", "-q"], env={**os.environ, **env}, input=script.encode() + b"\n", check=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_superuser_does_its_harm(rds: RdsServer, there: Outside, name: str) -> None:
    attempt = hostile.attempts(there)[name]
    open_to_harm(rds, there)
    refused = ""

    if attempt.psql:
        by_psql(rds, attempt.statement)
    else:
        try:
            with rds.admin("scratch") as connection:
                connection.execute(attempt.telling.encode())
                connection.execute(attempt.then.encode())
        except psycopg.Error as error:
            refused = str(error)

    if attempt.said:
        assert hostile.HARM in refused
    elif attempt.alone:
        assert refused == ""
    else:
        assert set(there.reached()) & {"marker", "tcp", "unix"}, refused


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_of_its_own_reaches_nothing(base: tuple[StockDump, bytes], there: Outside, name: str) -> None:
    dump, raw = base
    attempt = hostile.attempts(there)[name]
    spoiled = hostile.saying(dump, raw, attempt.telling)

    read = read_whole(spoiled.copy(), DEPTH, QUIET)
    findings, _ = restored_on_scratch(spoiled.copy(), DEPTH, QUIET)

    assert read == [], "an archive with it is an archive"
    assert there.reached() == []
    assert hostile.HARM not in "\n".join(findings)
    if attempt.alone or attempt.said:
        assert any(words in "\n".join(findings) for words in REFUSALS), findings
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
