"""Printing of recoveries: each step while it runs, the preview, the report, runs and their journals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat.decisions import databases, plans
from lifeboat.model import (
    Change,
    CountedFrom,
    DatabaseReport,
    Event,
    LeftOpen,
    Plan,
    RecoveryPreview,
    RecoveryReport,
    RunRow,
    WorksOn,
)
from lifeboat.views import console, next_command


class Steps:
    """Which step a recovery is at and how much of the objective is left, a line for each on stderr."""

    def __init__(
        self, *, objective: timedelta, failed_at: Callable[[], datetime | None], now: Callable[[], datetime]
    ) -> None:
        self._console = console(stderr=True)
        self._objective = objective
        self._failed_at = failed_at
        self._now = now
        self._began: dict[int, datetime] = {}  # by the step's number: two may be under way

    def step_begins(self, number: int, total: int, title: str) -> None:
        """Tell which step begins."""
        self._began[number] = self._now()
        self._console.print(escape(f"[{number:>2}/{total}] {title}{self._budget()}"))

    def step_ends(self, number: int, total: int, outcome: str) -> None:
        """Tell how it ended, and how long it took."""
        colour = {"done": "green", "holds": "dim", "failed": "red", "interrupted": "red"}.get(outcome, "yellow")
        took = clock(self._now() - self._began[number])
        self._console.print(f"        [{colour}]{escape(outcome)}[/{colour}] ({took})")

    def _budget(self) -> str:
        failed_at = self._failed_at()
        if failed_at is None:
            return ""
        used = self._now() - failed_at
        left = self._objective - used
        said = f"{clock(left)} left" if left >= timedelta(0) else f"{clock(-left)} over"
        return f"  -- {clock(used)} of {clock(self._objective)} used, {said}"


def clock(length: timedelta) -> str:
    """Return a length as hours, minutes and seconds: 0:01:07."""
    seconds = max(0, round(length.total_seconds()))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def preview(found: RecoveryPreview) -> None:
    """Print what each step would find missing, how long it usually takes, and what would be asked."""
    steps, expected = found.steps, found.expected
    table = Table()
    for heading in ("step", "", "what is missing", "usually takes"):
        table.add_column(heading, overflow="fold")
    for step in steps:
        if step.problem is not None:
            mark = "[red]stops[/red]" if step.stops else "[yellow]left open[/yellow]"
            text = f"{step.problem.summary}\n{next_command(step.problem.hint)}".strip()
        elif step.gap is not None:
            mark, text = "[yellow]to do[/yellow]", step.gap.text
        else:
            mark, text = "[green]holds[/green]", ""
        usual = expected.get(step.name)
        table.add_row(step.title, mark, escape(text), "unknown" if usual is None else clock(usual))
    out = console(stderr=False)
    out.print(table)
    if found.forbidden:
        out.print(f"[red]refused: {escape(found.forbidden)}[/red]")
    for line in found.asks:
        out.print(f"[yellow]{escape(f'asks before it does this (--yes agrees): {line}')}[/yellow]")
    for remark in found.remarks:
        out.print(f"[yellow]{escape(remark)}[/yellow]")
    known = sum((expected[step.name] for step in steps if step.name in expected), timedelta(0))
    if expected:
        out.print(f"what is known of past recoveries adds up to {clock(known)}")
    out.print("nothing was changed")


def planned(plan: Plan, refused: Iterable[tuple[Change, str]]) -> None:
    """Print what Terraform would do in a recovery, and what of it is refused."""
    out = console(stderr=False)
    for change in plan.changes:
        out.print(escape(f"  {change.action.value} {change.address}"))
    out.print(f"Terraform: {plans.headline(plan)}")
    for change, why in refused:
        out.print(f"  [red]refused: {escape(f'{change.action.value} {change.address}: {why}')}[/red]")


def report(found: RecoveryReport, titles: dict[str, str]) -> None:
    """Print what came of a recovery: the measured time and where it went, the image, the address, what is open."""
    out = console(stderr=False)
    timing = found.timing
    table = Table(title=f"Recovery {found.run}", title_justify="left")
    for heading in ("where the time went", "took", "share"):
        table.add_column(heading, overflow="fold", justify="left" if heading[0] == "w" else "right")
    for part in timing.parts:
        share = part.took / timing.took if timing.took else 0.0
        table.add_row(escape(titles.get(part.name, part.name)), clock(part.took), f"{share:.0%}")
    out.print(table)
    facts = found.facts
    colour = "green" if timing.met else "red"
    answered = "does not answer yet" if timing.answered_at is None else f"answers since {timing.answered_at:%H:%M:%S}Z"
    # Not in the journals of older versions.
    counted = CountedFrom(facts.get("counted_from") or CountedFrom.DECLARED)
    out.print(
        f"[{colour}]RTO {clock(timing.took)}[/{colour}] of {clock(timing.objective)}{_COUNTED[counted]}"
        f" {timing.failed_at:%Y-%m-%d %H:%M:%S}Z ({escape(str(facts['why']))}), {answered}"
    )
    if counted is not CountedFrom.DECLARED:
        out.print(f"[yellow]{_NOT_COUNTED}[/yellow]")
    if found.database is not None:
        _database(found.database)
    if facts["image"]:
        out.print(f"image:       {facts['image']} ({escape(str(facts['why_image']))})")
        out.print(f"instance:    {facts['instance']} (before: {facts['old_instance']})")
    moved = f"was {facts['old_address']}" if found.address_moved else "the same as before: it moved along"
    if not facts["image"]:
        moved = "the same instance as before"
    out.print(f"address:     {found.address} ({moved})")
    if found.public_name:
        out.print(f"public name: {escape(found.public_name)}")
    if facts.get("container"):
        out.print(f"container:   {escape(str(facts['container']))}")
    if facts.get("deployed_by"):
        out.print(f"deployed by: {escape(str(facts['deployed_by']))}")
    for line in found.accepted:
        out.print(f"[yellow]accepted risk: {escape(line)}[/yellow]")
    for remark in found.remarks:
        out.print(f"[yellow]{escape(remark)}[/yellow]")
    if found.to_commit:
        out.print(f"[yellow]commit it, else an apply from elsewhere is refused: {escape(found.to_commit)}[/yellow]")
        if any(step.name == _WRITES_AGAIN for step in found.left_open):
            out.print("[yellow]lifeboat resume writes that file once more: commit it again then[/yellow]")
    for step in found.left_open:
        out.print(f"[yellow]open: {escape(step.title)}: {escape(step.why)}[/yellow]")


_COUNTED = {
    CountedFrom.DECLARED: ": declared failed at",
    CountedFrom.LAST_SEEN: ", counted from the last good answer that lifeboat saw, at",
    CountedFrom.START: ", counted from the start of the recovery at",
}
_NOT_COUNTED = (
    "not counted: users may have seen errors before that; --failed-at TIME, given when a recovery begins, counts from the"
    " failure"
)
_WRITES_AGAIN = "copies"  # the step that may stay open and still changes the recovery file

_WORKS_ON = {
    WorksOn.NEW: "the new database",
    WorksOn.NEW_AT_LEAST: "the new database; nobody knows whether on the old one too",
    WorksOn.BOTH: "both databases",
    WorksOn.OLD: "the old database",
    WorksOn.UNKNOWN: "nobody knows which database",
}


def _database(found: DatabaseReport) -> None:
    """Print what came of the database: how much was lost and how that is known, from which copy, what stays of the old."""
    out = console(stderr=False)
    if found.rpo is None:
        out.print(f"[yellow]RPO unknown[/yellow]: {escape(found.known_by)}")
    else:
        colour = "green" if found.met else "red"
        until = "?" if found.until is None else f"{found.until:%Y-%m-%d %H:%M:%S}Z"
        out.print(
            f"[{colour}]RPO {clock(found.rpo)}[/{colour}] of {clock(found.objective)}: data until {until},"
            f" by {escape(found.known_by)}"
        )
    to = "" if found.to is None else f" as it was at {found.to:%Y-%m-%d %H:%M:%S}Z"
    content = databases.content(found.tables, found.with_rows, found.heartbeats)
    out.print(f"database:    {found.identifier} ({content})")
    out.print(f"copy:        {escape(found.copy)}{to} ({escape(found.why)})")
    colour = "green" if found.works_on is WorksOn.NEW else "yellow"
    out.print(f"application: [{colour}]works on {_WORKS_ON[found.works_on]}[/{colour}]: {escape(found.works_on_why)}")
    for line in found.left_out:
        out.print(f"[yellow]left out:    {escape(line)}[/yellow]")
    for line in found.missing:
        out.print(f"[yellow]missing:     {escape(line)}[/yellow]")
    for line in found.probe_findings:
        out.print(f"[red]{escape(line)}[/red]")
    if found.probed and not found.probe_findings:
        out.print(f"probes:      {len(found.probed)} asked, each with the answer that it shall have")
    if not found.compared_with:
        out.print(
            f"[yellow]compared:    with nothing: nobody knows whether tables of {found.identifier} lack rows[/yellow]"
        )
    for line in found.not_compared:
        out.print(f"[yellow]unknown:     not compared with {escape(line)}[/yellow]")
    if found.before_until is not None:
        out.print(
            f"left behind: {found.before} was written to until {found.before_until:%Y-%m-%d %H:%M:%S}Z: what is newer in it"
            f" is not in {found.identifier}; known by {escape(found.before_known_by)}"
        )
    if found.retire:
        out.print(
            f"before:      {found.before} stays as it was, and costs as before: once nobody misses anything of it,"
            f" {escape(found.retire)}"
        )


def _database_document(found: DatabaseReport) -> dict[str, Any]:
    return {
        "generation": found.generation,
        "identifier": found.identifier,
        "copy": found.copy,
        "why": found.why,
        "to": None if found.to is None else found.to.isoformat(),
        "data_until": None if found.until is None else found.until.isoformat(),
        "known_by": found.known_by,
        "rpo_seconds": None if found.rpo is None else round(found.rpo.total_seconds(), 3),
        "objective_seconds": found.objective.total_seconds(),
        "met": found.met,
        "tables": found.tables,
        "with_rows": found.with_rows,
        "heartbeats": found.heartbeats,
        "before": found.before,
        "before_until": None if found.before_until is None else found.before_until.isoformat(),
        "before_known_by": found.before_known_by,
        "left_out": list(found.left_out),
        "missing": list(found.missing),
        "compared_with": list(found.compared_with),
        "not_compared": list(found.not_compared),
        "probes": list(found.probed),
        "probe_findings": list(found.probe_findings),
        "works_on": found.works_on.value,
        "works_on_why": found.works_on_why,
        "retire": found.retire,
    }


def report_document(found: RecoveryReport) -> dict[str, Any]:
    """Return what came of a recovery for JSON; lengths in seconds, times in RFC 3339."""
    timing = found.timing
    return {
        "run": found.run,
        "failed_at": timing.failed_at.isoformat(),
        "answered_at": None if timing.answered_at is None else timing.answered_at.isoformat(),
        "rto_seconds": round(timing.took.total_seconds(), 3),
        "objective_seconds": timing.objective.total_seconds(),
        "met": timing.met,
        "parts": [{"step": part.name, "seconds": round(part.took.total_seconds(), 3)} for part in timing.parts],
        "address": found.address,
        "address_moved": found.address_moved,
        "url": found.url,
        "public_name": found.public_name,
        "facts": found.facts,
        "open": [_open(step) for step in found.left_open],
        "accepted_risks": list(found.accepted),
        "remarks": list(found.remarks),
        "to_commit": found.to_commit,
        **({} if found.database is None else {"database": _database_document(found.database)}),
    }


def _open(step: LeftOpen) -> dict[str, str]:
    return {"step": step.name, "why": step.why}


def preview_document(found: RecoveryPreview) -> dict[str, Any]:
    """Return a preview for JSON."""
    return {
        "steps": [
            {
                "step": step.name,
                "gap": None if step.gap is None else step.gap.text,
                "stops": None if step.problem is None or not step.stops else step.problem.summary,
                "left_open": None if step.problem is None or step.stops else step.problem.summary,
                "next": None if step.problem is None else next_command(step.problem.hint),
                "usual_seconds": None if step.name not in found.expected else found.expected[step.name].total_seconds(),
            }
            for step in found.steps
        ],
        "plan": None if found.plan is None else [f"{c.action.value} {c.address}" for c in found.plan.changes],
        "refused": [{"address": change.address, "why": why} for change, why in found.refused],
        "forbidden": found.forbidden or None,
        "asks": list(found.asks),
        "remarks": list(found.remarks),
    }


def runs(rows: Iterable[RunRow]) -> None:
    """Print runs, newest first."""
    table = Table()
    for heading in ("run", "state", "began", "by", "at step", "last word"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("run", "began"))
    for row in rows:
        began = "?" if row.began is None else f"{row.began:%Y-%m-%d %H:%M:%S}Z"
        table.add_row(row.run, row.state.value, began, escape(row.who), row.step, escape(row.text))
    console(stderr=False).print(table)


def runs_document(rows: Iterable[RunRow]) -> list[dict[str, Any]]:
    """Return runs for JSON."""
    return [
        {
            "run": row.run,
            "state": row.state.name.lower(),
            "began": None if row.began is None else row.began.isoformat(),
            "who": row.who,
            "step": row.step,
            "text": row.text,
        }
        for row in rows
    ]


def journal_document(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return the lines of a journal for JSON."""
    return [
        {
            "seq": event.seq,
            "at": event.at.isoformat(),
            "kind": event.kind.value,
            "step": event.step,
            "text": event.text,
            "data": dict(event.data),
        }
        for event in events
    ]


def journal(events: Iterable[Event]) -> None:
    """Print the lines of a journal, one each."""
    out = console(stderr=False)
    for event in events:
        data = "" if not event.data else " " + json.dumps(dict(event.data), default=str)
        step = f"{event.step}: " if event.step else ""
        out.print(escape(f"{event.at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"Z {event.kind.value:<9} {step}{event.text}{data}"))
