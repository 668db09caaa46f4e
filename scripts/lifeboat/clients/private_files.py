"""Files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_STANDARD_OUTPUT = 1


def write(path: Path, body: bytes) -> None:
    """Make `body` the file's content, with mode 0600 from the start; on any error the file stays as it was."""
    fresh: str | None = None
    try:
        descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600, and never a link
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
        _keep_name(path.parent)
    except BaseException as error:
        if fresh is not None:
            with suppress(OSError):
                Path(fresh).unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # a full disk names no file, others the temporary one
        raise


def write_named(path: Path, body: bytes) -> None:
    """Make `body` the content of what a user named: a file as in `write`, and the one that a link leads to.

    What is no regular file (a pipe, a device) is written to, and so is a file that is our standard output: both stay what
    they are.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is not None and os.path.samestat(found, os.fstat(_STANDARD_OUTPUT)):
        with os.fdopen(
            os.dup(_STANDARD_OUTPUT), "wb"
        ) as file:  # opened by its name, it would be written over from its start
            file.write(body)
    elif found is None or stat.S_ISREG(found.st_mode):
        write(path.resolve(), body)
    else:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_NOCTTY), "wb") as file:
            file.write(body)


def _keep_name(folder: Path) -> None:
    # Without it a power cut may bring the old name back, although the new content is on the disk (fsync(2)).
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
