"""What pg_restore printed when it failed, in words of what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHOWN_LINES = 3
_LONGEST_LINE = 300
# What a row holds is nobody's business who reads a log.
_WITH_DATA = ("DETAIL:", "CONTEXT:", "Command was:", "STATEMENT:", "pg_restore: from TOC entry", "pg_restore: detail:")
# What the others say when one of several has failed.
_CONSEQUENCE = "a worker process died unexpectedly"


@dataclass(frozen=True, kw_only=True)
class Explained:
    """The first errors, as printed and without data, and the next thing to do; `damaged`: the archive is at fault."""

    summary: str
    hint: str = ""
    damaged: bool = False


@dataclass(frozen=True, kw_only=True)
class _Known:
    pattern: re.Pattern[str]
    hint: str
    damaged: bool = False


_KNOWN = (
    _Known(
        pattern=re.compile(r"unsupported version \((?P<what>[0-9.]+)\) in file header"),
        hint="the archive is of format {what}, newer than this pg_restore reads: install the client of the server's major",
    ),
    _Known(
        pattern=re.compile(r'permission denied to create extension "(?P<what>[^"]+)"'),
        hint='let a role that may do so create it first in the empty database: CREATE EXTENSION "{what}"',
    ),
    _Known(
        pattern=re.compile(r'extension "(?P<what>[^"]+)" is not available'),
        hint="the server does not offer {what}; install it, or restore on a server that has it",
    ),
    _Known(
        pattern=re.compile(r'role "(?P<what>[^"]+)" does not exist'),
        hint='create it first (CREATE ROLE "{what}"), or leave --with-grants out',
    ),
    _Known(
        pattern=re.compile(r"No space left on device|could not extend file|exceeds temp_file_limit"),
        hint="the server's disk is full: give it more storage, then remove what is left and restore again",
    ),
    _Known(
        pattern=re.compile(
            r"server closed the connection unexpectedly|the connection to the server was lost|terminating connection"
        ),
        hint="the server went away while it was restored; look at its log and its memory",
    ),
    _Known(
        pattern=re.compile(r"canceling statement due to (?P<what>statement timeout|lock timeout|user request)"),
        hint="{what}: lift it for the role that restores (ALTER ROLE … SET statement_timeout = 0)",
    ),
    _Known(
        pattern=re.compile(r"must be superuser|must be owner of|must be member of role|permission denied"),
        hint="the role that restores may not do that; as the owner of everything it may: --owner",
    ),
    _Known(
        pattern=re.compile(
            r"end of file|did not find magic string|corrupt|could not find block ID|found unexpected block ID"
            r"|does not appear to be a valid archive|unrecognized data block|bad dumpId|integer size|out of memory|ftell mismatch"
            r"|unexpected data offset|file offset in dump file is too large|entry ID .* out of range|input file is too short"
        ),
        hint="the archive is damaged: lifeboat verify --level 2 says of every copy whether it is whole",
        damaged=True,
    ),
)


# What this machine, or the server that it runs for one restore, says when it is at fault. Nothing in it is open-ended before
# its words: what is printed may hold a statement of the archive, as long as that likes.
_OF_THIS_MACHINE = re.compile(
    r"^(?:setpriv|prlimit|unshare): |No space left on device|Cannot allocate memory|could not fork"
    r"|error while loading shared libraries|server closed the connection unexpectedly|connection to server .{1,200} failed"
    r"|the connection to the server was lost|terminating connection|the database system is (?:starting up|shutting down"
    r"|in recovery mode)"
)


def fault_here(status: int, printed: str) -> str | None:
    """Return why a program's failure says nothing about the archive; None where it may.

    `status` as subprocess has it: negative for a signal, which whoever is short of memory sends. 126 and 127 are the
    shell's, and prlimit's, for what cannot be started (POSIX, "Exit Status for Commands").
    """
    if status < 0:
        return f"it was ended by signal {-status}"
    for line in printed.splitlines():
        if _OF_THIS_MACHINE.search(line):
            return plain(line.strip())
    return "it could not be started" if status in (126, 127) else None


def explained(printed: str) -> Explained:
    """Return the first errors of what was printed and, for a known one, what to do."""
    lines = [line for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "ERROR:" in line or "fatal:" in line.lower()] or lines
    first = [line for line in errors if _CONSEQUENCE not in line] or errors
    shown = [_message(line) for line in first if not line.lstrip().startswith(_WITH_DATA)][:_SHOWN_LINES]
    text = "\n".join(errors)
    if "text format dump" in text:
        # pg_restore's own advice would be psql, which runs what is in such a file, commands of the shell included.
        return Explained(summary="it is plain SQL, no archive; lifeboat restores none", damaged=True)
    summary = "\n".join(shown) or "it said nothing"
    for known in _KNOWN:
        found = known.pattern.search(text)
        if found is not None:
            what = plain(found.groupdict().get("what") or "")
            return Explained(summary=summary, hint=known.hint.replace("{what}", what), damaged=known.damaged)
    return Explained(summary=summary)


def plain(line: str) -> str:
    """Return a line without what would move or colour a terminal, and not longer than one can read."""
    return "".join(c if c.isprintable() else " " for c in line)[:_LONGEST_LINE]


def _message(line: str) -> str:
    return plain(line.removeprefix("pg_restore: ").removeprefix("error: "))
