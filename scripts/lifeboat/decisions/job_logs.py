"""A job's log as it grows: the lines that are new, without the marks that are meant for GitLab's own pages."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE = 4000
# gitlab-runner: "section_start:1560896352:name[collapsed=true]\r\e[0K"
_SECTION = re.compile(r"section_(?:start|end):\d+:[^\r\n\x1b]*\r?(?:\x1b\[0K)?")
# Runner 17 and newer begin each line with the time, the stream, and + where a line goes on.
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \d\d[OE][+ ]?")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """The lines that were not shown yet, and how many bytes of the log have been shown with them."""

    lines: tuple[str, ...]
    shown: int


def fresh(trace: bytes, shown: int) -> Fresh:
    """Return the whole lines after what was shown; half a line waits for its end. GitLab gives the whole log each time."""
    end = trace.rfind(b"\n") + 1
    return _between(trace, shown, end) if end > shown else Fresh(lines=(), shown=shown)


def rest(trace: bytes, shown: int) -> Fresh:
    """Return everything after what was shown, once the job has ended."""
    return _between(trace, shown, len(trace)) if len(trace) > shown else Fresh(lines=(), shown=shown)


def _between(trace: bytes, start: int, end: int) -> Fresh:
    text = trace[start:end].decode(errors="replace")
    cleaned = (_clean(line) for line in text.removesuffix("\n").split("\n"))
    return Fresh(lines=tuple(line for line in cleaned if line is not None), shown=end)


def _clean(line: str) -> str | None:
    """Return a line as a terminal may show it; None for one that held nothing but marks."""
    bare = _STAMP.sub("", line)
    text = _ESCAPE.sub("", _SECTION.sub("", bare))
    # A progress bar overwrites itself: what stands last is what would be seen.
    text = _CONTROL.sub("", text.rstrip("\r").rsplit("\r", 1)[-1]).rstrip()
    return None if not text and bare.strip() else text[:LONGEST_LINE]
