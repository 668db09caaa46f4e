"""Printing of the database's copies as a recovery sees them, and of the file that says which database serves."""

from __future__ import annotations

import json
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat.commands.plan_recovery import Planned
from lifeboat.commands.recovery_file import Agreed
from lifeboat.database_model import CopyCandidate
from lifeboat.decisions.database_choice import blind_spots, lost
from lifeboat.decisions.durations import said
from lifeboat.views import console, lines


def planned(found: Planned) -> None:
    """Print every copy, newest first, with what it costs and why it is taken or not."""
    table = Table()
    for heading in ("copy", "kind", "of", "data until", "region", "lost", "takes", ""):
        table.add_column(heading, overflow="fold", no_wrap=heading == "data until")
    for one in found.candidates:
        taken = _is_taken(found, one)
        why = _taken(found) if taken else escape(_why_not(found, one))
        until = f"{one.point.taken_at:%Y-%m-%d %H:%M:%S}Z"
        first = one.point.earliest
        table.add_row(
            escape(one.point.id),
            one.point.kind.value,
            one.point.database,
            until if first is None else f"{first:%Y-%m-%d %H:%M:%S}Z\n… {until}",
            one.point.region,
            lost(one),
            "unknown" if one.takes is None else said(one.takes),
            why,
        )
    for place in found.unseen:
        table.add_row(
            "?", f"[red]not seen: {escape(place.what)}[/red]", "", "", place.region, "", "", escape(place.why)
        )
    out = console(stderr=False)
    out.print(table)
    if found.choosing.hidden:
        out.print(
            "[red]a copy that would be taken instead may be there[/red], for not everything could be looked at:"
            f" {escape(blind_spots(found.choosing.hidden))}"
        )
    if found.chosen is not None and found.refusal:
        out.print(f"[red]nothing can be restored as it stands: {escape(found.refusal)}[/red]")
    elif found.chosen is not None:
        best = found.chosen
        out.print(
            f"restores {escape(best.point.id)} as it was at {best.to:%Y-%m-%d %H:%M:%S}Z; lost: {lost(best)};"
            f" takes {'unknown' if best.takes is None else said(best.takes)} ({escape(best.takes_why)});"
            f" needs {escape(' and '.join(best.needs))}"
        )
    for warning in _warnings(found):
        out.print(f"[yellow]{escape(warning)}[/yellow]")
    for remark in found.remarks:
        out.print(f"[yellow]{escape(remark)}[/yellow]")
    out.print("nothing was changed")


def _taken(found: Planned) -> str:
    why = escape(found.choosing.choice.why)
    return (
        f"[red]would be taken ({why}), and cannot be restored[/red]"
        if found.refusal
        else f"[green]taken: {why}[/green]"
    )


def _warnings(found: Planned) -> list[str]:
    """Return what there is to be warned of, of each copy that would be taken or could be named."""
    return list(dict.fromkeys(one.warning for one in found.candidates if one.warning))


def planned_document(found: Planned) -> dict[str, Any]:
    """Return the same for JSON; lengths in seconds, sizes in bytes, times in RFC 3339."""
    best = found.chosen
    return {
        "chosen": None if best is None else {**_document(best), "why": found.choosing.choice.why},
        "why": found.choosing.choice.why,
        "copies": [
            {
                **_document(one),
                "why_not": None if _is_taken(found, one) else _why_not(found, one),
            }
            for one in found.candidates
        ],
        "unseen": [
            {
                "what": place.what,
                "region": place.region,
                "call": place.call,
                "why": place.why,
                "may_hold_a_better_one": place in found.choosing.hidden,
            }
            for place in found.unseen
        ],
        "remarks": list(found.remarks),
        "refused": found.refusal or None,
    }


def _document(one: CopyCandidate) -> dict[str, Any]:
    point = one.point
    return {
        "id": point.id,
        "kind": point.kind.value,
        "source": point.source,
        "database": point.database,
        "region": point.region,
        "status": point.status,
        "earliest": None if point.earliest is None else point.earliest.isoformat(),
        "taken_at": point.taken_at.isoformat(),
        "to": one.to.isoformat(),
        "size": point.size,
        "loss_seconds": None if one.loss is None else one.loss.total_seconds(),
        "after_failure_seconds": one.after.total_seconds(),
        "takes_seconds": None if one.takes is None else one.takes.total_seconds(),
        "takes_why": one.takes_why,
        "needs": list(one.needs),
        "warning": one.warning or None,
    }


def _why_not(found: Planned, one: CopyCandidate) -> str:
    return next((why for point, why in found.choosing.others if point == one.point), found.choosing.choice.why)


def _is_taken(found: Planned, one: CopyCandidate) -> bool:
    """Whether it is the copy that would be restored: a dump lies in both regions by the same id."""
    return found.chosen is not None and one.point == found.chosen.point


def recovery_file(found: Agreed) -> None:
    """Print what the recovery file said and says, and how the other checkouts come to know it."""
    lines([f"{found.name} said: {found.said}", f"Terraform's state knows: {found.told}"])
    if found.agrees:
        lines([f"{found.name} is as it must be; nothing was changed"])
    elif found.written:
        done = "removed: no file is needed any more" if found.wanted is None else "written as the state says"
        lines([f"{found.name} is {done}" + (f"; commit it: {found.to_commit}" if found.to_commit else "")])
    else:
        lines([f"{found.name} would be: {_compact(found.wanted)}", "nothing was changed"])


def recovery_file_document(found: Agreed) -> dict[str, Any]:
    """Return the same for JSON."""
    return {
        "file": found.name,
        "said": found.said,
        "state": found.told,
        "agreed": found.agrees,
        "written": found.written,
        "content": None if found.wanted is None else json.loads(found.wanted),
    }


def _compact(text: str | None) -> str:
    return "no file" if text is None else json.dumps(json.loads(text))
