"""Which state of the stack this machine last found sound: what one without a digest is held against."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from lifeboat.clients import private_files
from lifeboat.model import StateMark


def path(work: Path) -> Path:
    """Return the file that it is written down in."""
    return work / "known-state.json"


def remember(work: Path, mark: StateMark) -> None:
    """Write down that this state was sound."""
    private_files.write(path(work), json.dumps(asdict(mark)).encode())


def forget(work: Path) -> None:
    """Know nothing any more: another state takes its place, on purpose."""
    path(work).unlink(missing_ok=True)


def read(work: Path) -> StateMark | None:
    """Return it; None when nothing was written down here, or what was is not readable."""
    try:
        document = json.loads(path(work).read_bytes())
        return StateMark(serial=int(document["serial"]), lineage=str(document["lineage"]), md5=str(document["md5"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
