"""Temporary folders for secrets: gone at the end, and swept once nobody holds them any more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lifeboat.clients.private_folders import private_folder

from tests.conftest import own_temporary_files

PREFIX = "lifeboat-test-"
HOLDING = f"""
import sys
from lifeboat.clients.private_folders import private_folder
with private_folder({PREFIX!r}) as folder:
    (folder / "secret").write_text("Canary")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    with own_temporary_files() as folder:
        yield folder


def held(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    """Return another process that holds a folder, and the folder, as old as one that is swept."""
    env = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    os.utime(folder, (0, 0))
    return process, folder


def test_a_folder_is_for_us_alone_and_gone_at_the_end(temporary: Path) -> None:
    modes = []

    def fail() -> None:
        with private_folder(PREFIX) as folder:
            (folder / "secret").write_text("Canary")
            modes.append(folder.stat().st_mode & 0o777)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()

    assert modes == [0o700]
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_what_another_one_holds_is_not(temporary: Path) -> None:
    (killed, left), (running, kept) = held(temporary), held(temporary)
    elsewhere = temporary / "other"
    elsewhere.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    os.utime(elsewhere, (0, 0))
    killed.kill()
    killed.wait()

    with private_folder(PREFIX):
        there = [path.exists() for path in (left, kept, elsewhere)]
    running.communicate(timeout=60)

    assert there == [False, True, True]
    assert not kept.exists()


def test_one_that_was_only_just_made_is_left_alone(temporary: Path) -> None:
    fresh = temporary / f"{PREFIX}fresh"
    fresh.mkdir()

    with private_folder(PREFIX):
        pass

    assert fresh.exists()
