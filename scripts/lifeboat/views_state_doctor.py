"""Printing of what is amiss with Terraform's state, and of its locks."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat.commands.state_doctor import Locks, Unlocked
from lifeboat.decisions.durations import said
from lifeboat.decisions.state_doctor import Diagnosis
from lifeboat.decisions.state_observation import LockSeen
from lifeboat.decisions.state_verdicts import Severity, Standing, Verdict
from lifeboat.views import clean, console, lines, next_command

_MARKS = {
    Standing.GOOD: "[green]ok[/green]",
    Standing.FINDING: "[red]bad[/red]",
    Standing.UNSEEN: "[red]not seen[/red]",
    Standing.MOOT: "-",
}
_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan"}


def diagnosis(found: Diagnosis) -> None:
    """Print every check with what it saw, then each finding with the command that repairs it, then how many checks looked."""
    out = console(stderr=False)
    table = Table()
    for heading in ("", "root", "check", "seen"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("", "root"))
    for verdict in found.verdicts:
        table.add_row(_MARKS[verdict.standing], _root(verdict), verdict.check, escape(clean(verdict.says)))
    out.print(table)
    for verdict in found.verdicts:
        finding = verdict.finding
        if finding is not None:
            where = f"{_root(verdict)} {verdict.check}".strip()
            colour = _COLOURS[finding.severity]
            out.print(f"[{colour}]{finding.severity.value}: {escape(where)}: {escape(clean(finding.found))}[/{colour}]")
            out.print(f"  should be: {escape(clean(finding.wanted))}")
            out.print(f"  to repair: {escape(next_command(finding.command))}")
    kinds = [v.check.removeprefix("tagged ") for v in found.verdicts if v.check.startswith("tagged ")]
    if kinds:
        lines([f"of what bears our tags these types were looked at: {', '.join(kinds)}; no others"])
    lines([f"checks: {found.executed} of {found.expected} could look; findings: {len(found.findings)}"])


def _root(verdict: Verdict) -> str:
    return "" if verdict.root is None else verdict.root.value


def diagnosis_document(found: Diagnosis) -> dict[str, Any]:
    """Return every check for JSON; `finding` is null where nothing is amiss."""
    return {
        "expected": found.expected,
        "executed": found.executed,
        "checks": [
            {
                "root": None if verdict.root is None else verdict.root.value,
                "check": verdict.check,
                "standing": verdict.standing.value,
                "seen": verdict.says,
                "finding": None
                if verdict.finding is None
                else {
                    "severity": verdict.finding.severity.value,
                    "found": verdict.finding.found,
                    "wanted": verdict.finding.wanted,
                    "command": next_command(verdict.finding.command),
                },
            }
            for verdict in found.verdicts
        ],
    }


# -- locks -----------------------------------------------------------------------------------------------------------


def locks(found: Locks) -> None:
    """Print who locks a state, since when and for what, and whether they live."""
    if not found.locks:
        lines([f"nothing locks {found.url}"])
        return
    table = Table()
    for heading in ("where", "lock", "who", "operation", "age", "holder"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "lock")
    for seen in found.locks:
        lock = seen.lock
        age = "unknown" if lock.created is None else said(found.now - lock.created)
        holder = f"{seen.holding.life.value}: {seen.holding.why}"
        row = (
            lock.place.value,
            lock.lock_id or "no id: not written by Terraform",
            lock.who,
            lock.operation,
            age,
            holder,
        )
        table.add_row(*(escape(clean(cell)) for cell in row))
    out = console(stderr=False)
    out.print(table)
    if any(not seen.lock.lock_id for seen in found.locks):
        out.print("what Terraform did not write has no id to be removed by")
        out.print(f"  next: {escape(next_command('lifeboat state doctor'))}")


def locks_document(found: Locks) -> dict[str, Any]:
    """Return the locks for JSON; ages in seconds, null where unknown."""
    return {"state": found.url, "locks": [_lock(seen, found) for seen in found.locks]}


def _lock(seen: LockSeen, found: Locks) -> dict[str, Any]:
    lock = seen.lock
    return {
        "place": lock.place.value,
        "id": lock.lock_id,
        "who": lock.who,
        "operation": lock.operation,
        "created": None if lock.created is None else lock.created.isoformat(),
        "age_seconds": None if lock.created is None else round((found.now - lock.created).total_seconds()),
        "holder": seen.holding.life.value,
        "why": seen.holding.why,
    }


def unlocked(done: Unlocked) -> None:
    """Print which lock was removed and from where."""
    lines([f"removed the lock {done.lock_id}: {' and '.join(place.value for place in done.places)}"])


def unlocked_document(done: Unlocked) -> dict[str, Any]:
    """Return which lock was removed and from where, for JSON."""
    return {"removed": done.lock_id, "places": [place.value for place in done.places]}
