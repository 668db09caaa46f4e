"""What the operating system refuses is one line that names the file, or the stream, not a traceback."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed

NARROW = 4096  # bytes: the smallest pipe that Linux makes


@pytest.fixture
def fresh() -> Iterator[Rehearsal]:
    with open_folder() as folder:
        made = checkout(folder / "checkout")
        yield made
        made.ask("local", "down")


@pytest.fixture(scope="module")
def untouched() -> Iterator[Rehearsal]:
    """A checkout for commands that leave nothing in it."""
    with open_folder() as folder:
        yield checkout(folder / "checkout")


def failed(done: subprocess.CompletedProcess[str], *lines: str) -> None:
    """Assert status 1, the words, one error only, and nothing that Python printed."""
    passed(done, 1)
    for line in lines:
        assert line in done.stderr, done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("command", [("apply",), ("plan",), ("local", "up")])
def test_a_file_where_our_folder_should_be_is_named(fresh: Rehearsal, command: tuple[str, ...]) -> None:
    ours = fresh.root / ".lifeboat"
    ours.write_text("")

    done = fresh.ask(*command)
    ours.unlink()

    failed(done, f"cannot use {ours}", ": Not a directory")


def test_a_folder_where_a_file_should_be_is_named(fresh: Rehearsal) -> None:
    lock = fresh.root / ".lifeboat" / "local" / "lock"
    lock.mkdir(parents=True)

    done = fresh.ask("apply")

    failed(done, f"cannot use {lock}: Is a directory")


def test_damaged_files_of_ours_are_named(fresh: Rehearsal) -> None:
    runs = [fresh.root / ".lifeboat" / "local" / "runs" / f"20260101T000000Z-{x}" / "run.json" for x in "xy"]
    for run, text in zip(runs, [b'{"run": "x"', b"\xff\xfe"], strict=True):
        run.parent.mkdir(parents=True)
        run.write_bytes(text)

    done = fresh.lifeboat("apply")

    failed(done, f"not JSON, so damaged: {runs[0]}, {runs[1]}\n", "move it aside")


@pytest.mark.parametrize("command", [("--help",), ("local", "down"), ("doctor", "-o", "json")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_cannot_be_written_is_named(
    untouched: Rehearsal, command: tuple[str, ...], unbuffered: str
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            ["lifeboat", *command],
            cwd=untouched.root,
            env=untouched.env(PYTHONUNBUFFERED=unbuffered),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )

    failed(done, "cannot write the output to stdout: No space left on device", "df -h")


@pytest.mark.parametrize("command", [("--help",), ("local", "saves")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_told_nothing_and_changes_no_status(
    untouched: Rehearsal, command: tuple[str, ...], unbuffered: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        done = subprocess.run(
            ["lifeboat", *command],
            cwd=untouched.root,
            env=untouched.env(PYTHONUNBUFFERED=unbuffered),
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "closed", "status"),
    [
        ("doctor -o json", ">&-", 0),
        ("local saves", "<&- >&- 2>&-", 0),
        ("--help", ">&-", 0),
        ("local save x", "<&- >&- 2>&-", 8),
        ("nope", ">&- 2>&-", 2),
    ],
)
def test_streams_that_are_closed_change_no_status(untouched: Rehearsal, command: str, closed: str, status: int) -> None:
    done = untouched.run("sh", "-c", f"exec lifeboat {command} {closed}")

    passed(done, status)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_reader_that_is_behind_gets_the_whole_result_from_a_stream_that_does_not_block(untouched: Rehearsal) -> None:
    whole = passed(untouched.lifeboat("--help")).stdout

    with narrow_pipe() as (reading, writing):
        process = subprocess.Popen(["lifeboat", "--help"], cwd=untouched.root, env=untouched.env(), stdout=writing)
        writing.close()
        before = 0
        while not before or before != waiting(reading):  # until the writer got no further for a while
            before = waiting(reading)
            time.sleep(0.5)
        text = reading.read().decode()

    assert (process.wait(timeout=60), text) == (0, whole)
    assert len(text) > NARROW


def test_progress_that_a_stream_does_not_take_is_left_out(untouched: Rehearsal) -> None:
    order = ["lifeboat", "recover", "--ami", "x" * 10 * NARROW]

    with narrow_pipe() as (reading, writing):
        process = subprocess.Popen(order, cwd=untouched.root, env=untouched.env(), stderr=writing)
        writing.close()
        status = process.wait(timeout=60)
        text = reading.read().decode()

    assert status == 2
    assert 0 < len(text) <= NARROW
    assert "Traceback" not in text


def waiting(reading: BinaryIO) -> int:
    """Return how many bytes were written and not yet read."""
    return int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, bytes(4)), sys.byteorder)


@contextmanager
def narrow_pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give both ends of a pipe that takes little, and whose writer is not made to wait for its reader."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, NARROW)
    os.set_blocking(ends[1], False)
    with os.fdopen(ends[0], "rb") as reading, os.fdopen(ends[1], "wb") as writing:
        yield reading, writing
