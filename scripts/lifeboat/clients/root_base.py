"""Which state of the bucket root 1's working copy goes on from, written down beside that copy."""

from __future__ import annotations

import json
from pathlib import Path

from lifeboat.clients import private_files


def path(copy: Path) -> Path:
    """Return the file that it is written down in."""
    return copy.with_name(f"{copy.stem}.base.json")


def remember(copy: Path, md5: str) -> None:
    """Write down that what the copy holds, and what it will hold, goes on from the state with this MD5."""
    if read(copy) != md5:
        private_files.write(path(copy), json.dumps({"md5": md5}).encode())


def forget(copy: Path) -> None:
    """Know of none any more: the bucket was taken back to another time."""
    path(copy).unlink(missing_ok=True)


def read(copy: Path) -> str | None:
    """Return the MD5 of that state; None where none was written down, or what was is not readable."""
    try:
        return str(json.loads(path(copy).read_bytes())["md5"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
