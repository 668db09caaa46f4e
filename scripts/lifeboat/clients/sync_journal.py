"""What was written to GitLab, by whom and when: keys and names of attributes, never values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifeboat.clients.run_files import user_name
from lifeboat.gitlab_model import VariableChange

_NAME = "gitlab-sync.jsonl"


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """A sync that began and never ended: the variables that it may have written."""

    began: str
    who: str
    written: tuple[str, ...]


class SyncJournal:
    """The journal of one environment on this machine: appended to, each line durable before what follows it."""

    def __init__(self, work: Path) -> None:
        self._path = work / _NAME

    def begin(self, what: str, changes: Iterable[VariableChange]) -> None:
        """Note what is about to be written."""
        # A line that a kill cut off must not swallow this one.
        self._append(
            {"event": "begin", "what": what, "who": user_name(), "changes": [_shown(c) for c in changes]}, "\n"
        )

    def writing(self, change: VariableChange) -> None:
        """Note that one variable is about to be written."""
        self._append({"event": "writing", **_shown(change)})

    def undone(self, change: VariableChange) -> None:
        """Note that a write was taken back."""
        self._append({"event": "undone", **_shown(change)})

    def end(self, how: str) -> None:
        """Note the end."""
        self._append({"event": "end", "how": how})

    def cut_off(self) -> CutOff | None:
        """Return the last sync when it never ended; what comes after a line that was cut off itself is lost."""
        begun: dict[str, Any] | None = None
        written: list[str] = []
        for event in self._events():
            if event.get("event") == "begin":
                begun, written = event, []
            elif event.get("event") == "end":
                begun = None
            elif event.get("event") == "writing":
                written.append(f"{event.get('key')} ({event.get('scope')})")
        if begun is None:
            return None
        return CutOff(began=str(begun.get("at")), who=str(begun.get("who")), written=tuple(written))

    def _events(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        events = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
        return events

    def _append(self, event: dict[str, Any], before: str = "") -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = before + json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **event}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())


def _shown(change: VariableChange) -> dict[str, Any]:
    return {
        "key": change.name.key,
        "scope": change.name.scope,
        "doing": change.doing.value,
        "attributes": list(change.attributes),
    }
