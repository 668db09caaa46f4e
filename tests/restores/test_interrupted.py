"""A verification or a restore that is ended from outside leaves no server, no folder and no query behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from lifeboat.database_model import Manifest

from tests.damage import hostile
from tests.restores.dump_sites import CLEAN, DumpSite
from tests.restores.servers import session

_SECONDS = 60.0


@pytest.fixture(scope="module")
def endless(place: DumpSite) -> Manifest:
    """A dump whose view takes an hour to be filled."""
    source = place.rds.new_database("endless")
    with session(source) as connection:
        connection.execute("CREATE FUNCTION slow() RETURNS text LANGUAGE sql AS $$ SELECT 'quick' $$")
        connection.execute("CREATE MATERIALIZED VIEW waiting AS SELECT public.slow()")
        connection.execute(
            "CREATE OR REPLACE FUNCTION slow() RETURNS text LANGUAGE sql AS $$ SELECT pg_sleep(3600)::text $$"
        )
    return place.dump("endless")[0]


@contextmanager
def running(place: DumpSite, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["lifeboat", *arguments, "-e", "x"],
        cwd=place.root,
        env={**CLEAN, "TMPDIR": tempfile.gettempdir()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def filling(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes of a verification once its scratch server fills the view; nothing before."""
    family = psutil.Process(process.pid).children(recursive=True)
    names = []
    for member in family:
        with suppress(psutil.Error):
            names.append(" ".join(member.cmdline()))
    return family if any("REFRESH" in name for name in names) else []


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_a_verification_that_is_ended_removes_its_server(place: DumpSite, endless: Manifest, temporary: Path) -> None:
    """By SIGTERM here, by the other signals in tests/long."""
    require_nothing_left_after(signal.SIGTERM, place, endless, temporary)


def require_nothing_left_after(number: signal.Signals, place: DumpSite, endless: Manifest, temporary: Path) -> None:
    with running(place, "verify", endless.id, "--database", "endless", "--level", "3") as process:
        until(lambda: bool(filling(process)))
        family = filling(process)
        process.send_signal(number)
        _, printed = process.communicate(timeout=_SECONDS)

    assert process.returncode == 130, printed
    assert alive(family) == []
    assert list(temporary.iterdir()) == []
    assert "Traceback" not in printed


def test_the_server_of_a_verification_that_is_killed_ends_and_is_swept(
    place: DumpSite, endless: Manifest, temporary: Path
) -> None:
    with running(place, "verify", endless.id, "--database", "endless", "--level", "3") as process:
        until(lambda: bool(filling(process)))
        family = filling(process)
        process.kill()
        until(lambda: not alive(family))

    (left,) = hostile.left_behind()
    os.utime(temporary / left, (0, 0))
    small = place.rds.new_database("small")
    with session(small) as connection:
        connection.execute("CREATE TABLE t (n int)")
    done = place.lifeboat("verify", place.dump("small")[0].id, "--database", "small", "--level", "3", "-o", "json")
    assert [one["verdict"] for one in json.loads(done.stdout)] == ["passed"]
    assert hostile.left_behind() == []


@pytest.fixture
def half(place: DumpSite) -> Iterator[Callable[[], bool]]:
    """Whether a restore to the database `half` waits for its view; the database is gone at the end."""

    def sleeping() -> bool:
        with place.rds.admin() as connection:
            found = connection.execute("SELECT FROM pg_stat_activity WHERE datname = 'half' AND query LIKE 'REFRESH%'")
            return bool(found.fetchall())

    yield sleeping
    with place.rds.admin() as connection:
        connection.execute("DROP DATABASE half WITH (FORCE)")


def test_a_restore_that_is_ended_says_what_is_left(
    place: DumpSite, endless: Manifest, half: Callable[[], bool]
) -> None:
    with running(place, "restore", endless.id, "--database", "endless", "--to", "half", "--yes") as process:
        until(half)
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=_SECONDS)

    assert process.returncode == 130
    assert "interrupted: the database half is left, not whole; to remove it: psql -h" in printed
    until(lambda: not half())


def test_of_a_restore_that_is_killed_no_program_goes_on_and_no_password_stays(
    place: DumpSite, endless: Manifest, half: Callable[[], bool], temporary: Path
) -> None:
    with running(place, "restore", endless.id, "--database", "endless", "--to", "half", "--yes") as process:
        until(half)
        family = psutil.Process(process.pid).children(recursive=True)
        names = {member.name() for member in family}
        process.kill()
        until(lambda: not alive(family) and not half())

    assert names == {"pg_restore"}
    left = sorted(path.name.rsplit("-", 1)[0] for path in temporary.iterdir())
    for path in temporary.iterdir():
        os.utime(path, (0, 0))
    small = place.rds.new_database("small")
    with session(small) as connection:
        connection.execute("CREATE TABLE t (n int)")
    place.dump("small")
    done = place.lifeboat("restore", "latest", "--database", "small", "--to", "small_again", "--yes")

    assert done.returncode == 0, done.stderr
    assert left == ["lifeboat-pg", "lifeboat-restore"]
    assert list(temporary.iterdir()) == []
