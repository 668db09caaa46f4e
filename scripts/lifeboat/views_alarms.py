"""Printing what rings, who hears it, and what came of a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat.alarm_model import AlarmReport, Outcome, Ringer, Row
from lifeboat.views import aligned, console, lines

_HEADINGS = ("what", "name", "region", "state", "tells", "heard", "page")


def rows(found: Sequence[Row]) -> None:
    """Print what rings, one line each: a table on a terminal, elsewhere whole lines, however long."""
    out = console(stderr=False)
    if not out.is_terminal:
        lines(aligned([_HEADINGS, *map(_plain, found)]))
        return
    table = Table()
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold", no_wrap=heading in ("region", "state"))
    for row in found:
        heard = "[green]yes[/green]" if not row.why else f"[red]no: {escape(row.why)}[/red]"
        tells = ", ".join(arn.split(":")[-1] for arn in row.tells) or "nobody"
        state = f"[red]{row.state}[/red]" if row.state in ("ALARM", "GONE") else row.state
        ringer = row.ringer
        table.add_row(ringer.sort.value, escape(ringer.name), ringer.region, state, escape(tells), heard, row.page)
    out.print(table)


def _plain(row: Row) -> tuple[str, ...]:
    ringer, tells = row.ringer, ", ".join(arn.split(":")[-1] for arn in row.tells) or "nobody"
    heard = f"no: {row.why}" if row.why else "yes"
    return ringer.sort.value, ringer.name, ringer.region, row.state, tells, heard, row.page


def rows_document(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what rings for JSON; `why_unheard` is null where somebody would hear it."""
    return [
        {
            **_ringer(row.ringer),
            "state": row.state,
            "tells": list(row.tells),
            "page": row.page or None,
            "why_unheard": row.why or None,
        }
        for row in found
    ]


def tested(done: AlarmReport) -> None:
    """Print what came of a test, what could only be checked, and the count."""
    table = Table()
    for heading in ("what", "name", "region", "arrived"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "region")
    for outcome in done.rung:
        ringer = outcome.ringer
        table.add_row(ringer.sort.value, escape(ringer.name), ringer.region, _arrived(outcome))
    out = console(stderr=False)
    if done.rung:
        out.print(table)
    for outcome in done.checked:
        said = (
            "[green]switched on, topic and policy are right[/green]"
            if outcome.good
            else f"[red]{escape(outcome.why)}[/red]"
        )
        out.print(f"cannot be sent from outside: {escape(outcome.ringer.words)}: {said}")
    for arn, why in done.topics:
        said = "[green]has a listener who confirmed[/green]" if not why else f"[red]{escape(why)}[/red]"
        out.print(f"topic {escape(arn)}: {said}")
    out.print(f"{done.arrived}/{len(done.rung)} arrived  ({done.run})")


def _arrived(outcome: Outcome) -> str:
    if outcome.took is None:
        return f"[red]no: {escape(outcome.why)}[/red]"
    return f"[green]yes, after {outcome.took.total_seconds():.1f} s[/green]"


def tested_document(done: AlarmReport) -> dict[str, Any]:
    """Return a test for JSON; seconds until a message arrived, null where none did and `why` says why."""
    return {
        "run": done.run,
        "arrived": done.arrived,
        "of": len(done.rung),
        "rung": [_outcome(one) for one in done.rung],
        "checked_only": [_outcome(one) for one in done.checked],
        "topics": [{"arn": arn, "why_unheard": why or None} for arn, why in done.topics],
        "left": list(done.left),
    }


def _outcome(one: Outcome) -> dict[str, Any]:
    seconds = None if one.took is None else round(one.took.total_seconds(), 3)
    return {
        **_ringer(one.ringer),
        "good": one.good,
        "seconds": seconds,
        "page": one.page or None,
        "why": one.why or None,
        "unsure": one.unsure,
    }


def _ringer(ringer: Ringer) -> dict[str, str]:
    return {"what": ringer.sort.value, "name": ringer.name, "region": ringer.region}
