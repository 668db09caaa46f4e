"""Temporary folders that only we may read: gone at the end, and swept by the next one where whoever made them was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NEW_SECONDS = 60.0  # a folder is there for a moment before it is locked


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """Give a new folder of mode 0700, which is removed at the end.

    First those of the same prefix go that nobody holds any more: kill -9 and a power cut leave them, with what is in them.
    """
    there = Path(tempfile.gettempdir())
    sweep(there, prefix, owners=(os.geteuid(),))
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=there))  # 0700
    lock: int | None = None
    try:
        lock = locked(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def locked(folder: Path) -> int:
    """Lock a folder and return the descriptor that holds it, until it is closed or we end; raises OSError if it is held."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sweep(where: Path, prefix: str, *, owners: Collection[int]) -> None:
    """Remove the folders of a prefix that belong to one of these users (uids) and that nobody holds."""
    for folder in where.glob(f"{prefix}*"):
        with suppress(OSError):
            found = folder.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid in owners
            if ours and time.time() - found.st_mtime > _NEW_SECONDS:
                lock = locked(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
