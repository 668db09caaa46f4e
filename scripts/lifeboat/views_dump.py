"""Printing of dumps: what came of each database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat.database_model import DumpOutcome
from lifeboat.decisions.recovery_points import humane
from lifeboat.views import console


def outcomes(found: Sequence[DumpOutcome]) -> None:
    """Print a row for each database: the dump, its sizes and what is in it, or that there is none."""
    table = Table()
    for heading in ("database", "dump", "outcome", "stored", "of", "tables", "rows", "seconds"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "dump")
    for outcome in found:
        manifest, took = outcome.manifest, f"{outcome.took.total_seconds():.1f}"
        if manifest is None:
            table.add_row(escape(outcome.database), "", "[red]failed[/red]", "", "", "", "", took)
            continue
        table.add_row(
            escape(outcome.database),
            outcome.id,
            _word(outcome),
            humane(manifest.size),
            humane(sum(file.raw_size for file in manifest.files)),
            str(len(manifest.contents.tables)),
            str(sum(content.rows for content in manifest.contents.tables)),
            took,
        )
    console(stderr=False).print(table)


def outcomes_document(found: Sequence[DumpOutcome]) -> dict[str, Any]:
    """Return what came of each database for JSON; sizes in bytes, `dump` null where there is none."""
    return {"dumps": [_outcome(outcome) for outcome in found]}


def _word(outcome: DumpOutcome) -> str:
    if outcome.manifest is not None and outcome.problem is not None:
        return "[yellow]look at it[/yellow]"
    return "[green]done[/green]"


def _outcome(outcome: DumpOutcome) -> dict[str, Any]:
    manifest, problem = outcome.manifest, outcome.problem
    return {
        "database": outcome.database,
        "problem": None if problem is None else {"exit_status": problem.exit_status, "summary": problem.summary},
        "seconds": round(outcome.took.total_seconds(), 3),
        "dump": None
        if manifest is None
        else {
            "id": manifest.id,
            "snapshot_at": manifest.snapshot_at.isoformat(),
            "lsn": manifest.lsn,
            "size": manifest.size,
            "raw_size": sum(file.raw_size for file in manifest.files),
            "files": [file.name for file in manifest.files],
            "tables": len(manifest.contents.tables),
            "rows": sum(content.rows for content in manifest.contents.tables),
            "flags": list(manifest.flags),
        },
    }
