"""Printing of restores and verifications: progress with the time that is left, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat import views
from lifeboat.commands.restore import Done
from lifeboat.database_model import Verdict
from lifeboat.decisions import restores
from lifeboat.decisions.durations import said
from lifeboat.dumps.verifying import Verified

_SHOWN_FINDINGS = 20
_TELLS_BYTES = 1_000_000  # fewer say how long the first answer took, not how fast the rest comes


def passing(done: int, total: int, seconds: float) -> str:
    """Return how far a stream is, how fast, and when it should end, once enough has passed to tell."""
    unit, one = ("MB", 1e6) if total >= 1e6 else ("kB", 1e3)
    share = 100 * done // total if total else 100
    rate = done / seconds if seconds > 0 else 0.0
    tells = _TELLS_BYTES <= done < total
    left = f", {said(timedelta(seconds=(total - done) / rate))} left" if tells and rate else ""
    return f"{done / one:,.1f} of {total / one:,.1f} {unit} ({share}%), {rate / one:,.1f} {unit}/s{left}"


def restored(done: Done) -> None:
    """Print what was restored, where it is, and what was left out."""
    contents, manifest = done.restored.contents, done.manifest
    rows = sum(content.rows for content in contents.tables)
    part = restores.part(manifest)
    # Of a part pg_dump takes no extensions.
    compared = "rows, fingerprints and sequences" if part else "rows, fingerprints, sequences and extensions"
    address = done.postgres.address
    views.lines([f"{address.database} holds {done.entry.id} of {manifest.snapshot_at:%Y-%m-%d %H:%M:%S}Z"])
    views.pairs(
        [
            ("where", f"{address.host}:{address.port}, database {address.database}"),
            (
                "content",
                f"{len(contents.tables):,} tables, {rows:,} rows, {contents.large_objects.count:,} large objects",
            ),
            *(() if part is None else (("a part", part),)),
            ("compared", f"{compared} are the manifest's"),
            *(("left out", f"{left.item}: {left.why}") for left in done.restored.left_out),
            *((("to remove it", done.to_remove),) if done.to_remove else ()),
        ]
        if not done.restored.compared.findings
        else [("findings", finding) for finding in done.restored.compared.findings]
    )
    views.timings(done.restored.stages)


def restored_document(done: Done) -> dict[str, Any]:
    """Return a restore for JSON; durations in seconds."""
    contents = done.restored.contents
    return {
        "dump": done.entry.id,
        "taken_at": done.manifest.snapshot_at.isoformat(),
        "part": restores.part(done.manifest),
        "database": done.postgres.address.database,
        "host": done.postgres.address.host,
        "port": done.postgres.address.port,
        "tables": len(contents.tables),
        "rows": sum(content.rows for content in contents.tables),
        "large_objects": contents.large_objects.count,
        "findings": list(done.restored.compared.findings),
        "remarks": list(done.restored.compared.remarks),
        "to_remove": done.to_remove,
        "left_out": [{"item": str(left.item), "why": left.why} for left in done.restored.left_out],
        "seconds": {name: round(seconds, 3) for name, seconds in done.restored.stages},
    }


def verified(found: Sequence[Verified], now: datetime) -> None:
    """Print what came of each copy, and below it what is wrong."""
    table = Table()
    for heading in ("dump", "database", "age", "level", "verdict", "took", "findings"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("dump", "age"))
    for done in found:
        age = said(now - done.entry.begun_at)
        if done.proof is None:
            table.add_row(
                done.entry.id,
                escape(done.entry.database),
                age,
                "-",
                "[yellow]not looked at[/yellow]",
                "",
                escape(str(done.unable)),
            )
            continue
        proof = done.proof
        colour = "green" if proof.verdict is Verdict.PASSED else "red"
        took = "" if proof.took is None else f"{proof.took.total_seconds():.1f} s"
        shown = [escape(finding) for finding in proof.findings[:_SHOWN_FINDINGS]]
        more = len(proof.findings) - len(shown)
        words = "\n".join([*shown, *([f"and {more} more"] if more else [])])
        verdict = f"[{colour}]{proof.verdict.value}[/{colour}]"
        short = ", of a part" if proof.part else ", rows only" if proof.rows_only else ""
        level = f"{proof.level}{short}"
        table.add_row(done.entry.id, escape(done.entry.database), age, level, verdict, took, words)
    views.console(stderr=False).print(table)
    for remark in dict.fromkeys(remark for done in found for remark in done.remarks):
        views.console(stderr=True).print(escape(f"  {remark}"))


def verified_document(found: Sequence[Verified]) -> list[dict[str, Any]]:
    """Return what came of each copy for JSON; `verdict` is null for one that could not be looked at."""
    return [
        {
            "dump": done.entry.id,
            "database": done.entry.database,
            "level": None if done.proof is None else done.proof.level,
            "verdict": None if done.proof is None else done.proof.verdict.value,
            "rows_only": done.proof is not None and done.proof.rows_only,
            "part": done.proof is not None and done.proof.part,
            "at": None if done.proof is None else done.proof.at.isoformat(),
            "seconds": None if done.proof is None or done.proof.took is None else done.proof.took.total_seconds(),
            "findings": [] if done.proof is None else list(done.proof.findings),
            "unable": None if done.unable is None else str(done.unable),
            "remarks": list(done.remarks),
        }
        for done in found
    ]
