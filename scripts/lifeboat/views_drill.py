"""Printing of drills: what came of one, and what a sweep found and removed."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat import views
from lifeboat.commands import sweep as sweep_command
from lifeboat.commands.sweep import Swept
from lifeboat.decisions import drill_costs
from lifeboat.drill_model import DrillReport, DrillScope, Thing
from lifeboat.views_recovery import clock


def report(found: DrillReport, titles: dict[str, str]) -> None:
    """Print what came of a drill: where the time went, what was seen, what was lost, and that nothing of it is left."""
    out, timing = views.console(stderr=False), found.timing
    table = Table(title=f"Drill {found.run}", title_justify="left")
    for heading in ("where the time went", "took", "share"):
        table.add_column(heading, overflow="fold", justify="left" if heading[0] == "w" else "right")
    for part in timing.parts:
        share = part.took / timing.took if timing.took else 0.0
        table.add_row(escape(titles.get(part.name, part.name)), clock(part.took), f"{share:.0%}")
    out.print(table)
    views.pairs(found.facts)
    colour = "green" if timing.met else "red"
    out.print(f"[{colour}]RTO {clock(timing.took)} of {clock(timing.objective)}[/{colour}]")
    if found.scope not in (DrillScope.INSTANCE, DrillScope.STATE):
        out.print(_lost(found))
    for step in found.left_open:
        out.print(f"[yellow]{escape(f'left open: {step.title}: {step.why}')}[/yellow]")
    for remark in found.remarks:
        out.print(f"[yellow]{escape(remark)}[/yellow]")
    out.print(escape(f"made and gone again: {', '.join(thing.words for thing in found.made) or 'nothing'}"))
    out.print(escape(f"cost: {drill_costs.words(found.estimate)}"))
    out.print(escape(f"evidence: {found.evidence}"))
    if found.why:
        out.print(f"[red]{escape(f'status {found.exit_status}: {found.why}')}[/red]")


def _lost(found: DrillReport) -> str:
    if found.rpo is None:
        return "[red]RPO: nobody knows until when the data is[/red]"
    colour = "green" if found.rpo <= found.rpo_objective else "red"
    return f"[{colour}]RPO {clock(found.rpo)} of {clock(found.rpo_objective)}[/{colour}]"


def report_document(found: DrillReport) -> dict[str, Any]:
    """Return what came of a drill for JSON; durations in seconds, costs in USD."""
    return {
        "run": found.run,
        "scope": found.scope.value,
        "objectives_met": found.objectives_met,
        "rto_seconds": found.timing.took.total_seconds(),
        "rto_objective_seconds": found.timing.objective.total_seconds(),
        "rpo_seconds": None if found.rpo is None else found.rpo.total_seconds(),
        "rpo_objective_seconds": found.rpo_objective.total_seconds(),
        "parts": [{"name": part.name, "seconds": part.took.total_seconds()} for part in found.timing.parts],
        "facts": dict(found.facts),
        "remarks": list(found.remarks),
        "left_open": [{"step": step.name, "why": step.why} for step in found.left_open],
        "made": [_thing(thing) for thing in found.made],
        "estimate_usd": round(found.estimate.usd, 4),
        "price_unknown": list(found.estimate.unknown),
        "evidence": found.evidence,
        "exit_status": found.exit_status,
        "why": found.why,
    }


def swept(found: Swept) -> None:
    """Print what was removed, or that there was nothing."""
    if not found.found:
        views.lines(["drills left nothing"])
    views.lines([f"gone: {thing.words}" for thing in found.gone])
    views.lines([f"ended: {run}" for run in found.closed])
    views.lines([f"evidence written: {run}" for run in found.told])


def swept_document(found: Swept) -> dict[str, Any]:
    """Return the same for JSON."""
    return {
        "found": [
            {**_thing(leak.thing), "run": leak.run, "by": leak.found_by, "words": sweep_command.words(leak)}
            for leak in found.found
        ],
        "gone": [_thing(thing) for thing in found.gone],
        "ended": list(found.closed),
        "evidence": list(found.told),
    }


def _thing(thing: Thing) -> dict[str, str]:
    return {"type": thing.kind, "id": thing.id, "region": thing.region}
