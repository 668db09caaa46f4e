"""When the application was last seen to be well, on this machine."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from lifeboat.clients import private_files


def remember(work: Path, at: datetime) -> None:
    """Write down that it was well at this time."""
    private_files.write(work / "last-good.json", json.dumps({"at": at.isoformat()}).encode())


def read(work: Path) -> datetime | None:
    """Return when it was; None when nobody looked, or what is written there is not readable."""
    try:
        return datetime.fromisoformat(json.loads((work / "last-good.json").read_bytes())["at"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
