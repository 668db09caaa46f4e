"""A private file is its owner's alone, and is there whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lifeboat.clients import private_files


@contextmanager
def no_room_for_more_than_4_kib() -> Iterator[None]:
    """Limit the size of files for just what is inside: pytest writes files of its own between tests' phases."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_is_its_owners_alone_whatever_the_umask_and_the_old_mode(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    path.chmod(0o644)
    umask = os.umask(0)

    private_files.write(path, b"new")
    os.umask(umask)

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    path = tmp_path / "state"
    path.symlink_to(theirs)

    private_files.write(path, b"ours")

    assert (path.is_symlink(), path.read_bytes(), theirs.read_bytes()) == (False, b"ours", b"theirs")


def test_a_write_that_fails_leaves_the_old_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    private_files.write(path, b"old")

    with no_room_for_more_than_4_kib(), pytest.raises(OSError, match="File too large") as caught:
        private_files.write(path, b"x" * 8192)

    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "state"

    with pytest.raises(FileNotFoundError) as caught:
        private_files.write(path, b"x")

    assert caught.value.filename == str(path)


# -- what a user named -------------------------------------------------------------------------------------------------


def test_what_a_user_named_is_written_through_its_links_and_they_stay(tmp_path: Path) -> None:
    theirs, linked, nowhere = tmp_path / "theirs", tmp_path / "linked", tmp_path / "nowhere"
    theirs.write_bytes(b"old")
    linked.symlink_to(theirs)
    nowhere.symlink_to(tmp_path / "fresh")

    private_files.write_named(linked, b"new")
    private_files.write_named(nowhere, b"first")

    assert (linked.is_symlink(), theirs.read_bytes()) == (True, b"new")
    assert (nowhere.is_symlink(), (tmp_path / "fresh").read_bytes()) == (True, b"first")


def test_a_pipe_that_a_user_named_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    private_files.write_named(path, b"new")

    said = os.read(reading, 100)
    os.close(reading)
    assert (said, stat.S_ISFIFO(path.stat().st_mode)) == (b"new", True)


def test_a_file_that_is_the_standard_output_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before\n")
    program = (
        "from pathlib import Path; from lifeboat.clients import private_files as p; p.write_named(Path({!r}), b'new')"
    )

    with path.open("ab") as out:
        subprocess.run([sys.executable, "-c", program.format("/proc/self/fd/1")], stdout=out, check=True)

    assert path.read_bytes() == b"before\nnew"


def test_a_folder_that_a_user_named_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        private_files.write_named(tmp_path, b"x")
