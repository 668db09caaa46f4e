"""Printing of evidence: one run, all runs, and whether every bundle is as it was written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lifeboat.decisions import evidence_controls
from lifeboat.decisions.evidence_controls import Shown
from lifeboat.decisions.evidence_overview import Overview, ProofAge, RunReport, Series
from lifeboat.evidence_formats import page, words
from lifeboat.evidence_model import Bundle, Finding, Measured, Outcome, StepTaken, Wrong
from lifeboat.views import console

_BAR = 32  # signs
_COLOURS = {
    Outcome.MET: "green",
    Outcome.MISSED: "yellow",
    Outcome.STOPPED: "yellow",
    Outcome.INTERRUPTED: "yellow",
    Outcome.GIVEN_UP: "yellow",
}
_STEPS = {"done": "green", "holds": "dim", "left-open": "yellow", "stopped": "red", "cut-off": "red"}
_SHOWN = {Shown.YES: "green", Shown.IN_PART: "yellow", Shown.NO: "red"}


def text(whole: str) -> None:
    """Print a report in another form, sign by sign: what is stored has a digest."""
    sys.stdout.write(whole)


def run(report: RunReport) -> None:
    """Print one run's evidence."""
    out, found = console(stderr=False), report.bundle
    colour = _COLOURS.get(found.outcome, "red")
    out.print(
        f"[bold]{escape(found.application)}: {page.named(found)}[/bold]  [{colour}]{page.said(found.outcome)}[/{colour}]"
    )
    out.print(f"{words.moment(found.began)} to {words.moment(found.ended)}  {escape(found.run)}")
    if found.why:
        out.print(f"[{colour}]{escape(found.why)}[/{colour}]")
    out.print()
    for name, one in (("RTO", found.rto), ("RPO", found.rpo)):
        if one is not None:
            out.print(_objective(name, one))
    _told(out, found)
    _steps(out, found)
    _rejected(out, found)
    _made(out, found)
    _controls(out, found)
    for who in found.who:
        out.print(f"by:          {escape(f'{who.user}@{who.host}')} at {words.moment(who.at)}")
    out.print("with:        " + escape(", ".join(f"{name} {version}" for name, version in found.versions.items())))
    out.print(f"bundle:      {report.link.number}, sha256 {report.link.sha256}")
    findings(report.findings)


def _objective(name: str, one: Measured) -> str:
    colour = "green" if one.met else "red"
    how = f": {escape(one.how)}" if one.how else ""
    return f"[{colour}]{name} {words.length(one.seconds)}[/{colour}] of {words.length(one.objective_seconds)}{how}"


def _told(out: Console, found: Bundle) -> None:
    for copy in found.copies:
        out.print(f"{copy.asset + ':':<12} {escape(f'{copy.id} ({copy.kind}): {copy.why}')}")
        for line in copy.unseen:
            out.print(f"[yellow]not seen:    {escape(line)}[/yellow]")
    proof = found.proof
    if proof is not None:
        asked = f"{len(proof.probes)} questions asked"
        out.print(f"data:        {proof.tables} tables, {proof.with_rows} with rows, {asked}")
        for line in (*proof.missing, *proof.probe_findings):
            out.print(f"[red]wrong:       {escape(line)}[/red]")
        for line in proof.not_compared:
            out.print(f"[yellow]unknown:     not compared with {escape(line)}[/yellow]")
    for plan in found.plans:
        digest = f" (sha256 {plan.sha256})" if plan.sha256 else ""
        out.print(f"plan:        {escape(plan.headline)}{digest}")
    for risk in found.accepted_risks:
        out.print(f"[yellow]accepted risk: {escape(risk)}[/yellow]")
    for step in found.left_open:
        out.print(f"[yellow]open:        {escape(f'{step.title}: {step.why}')}[/yellow]")


def _steps(out: Console, found: Bundle) -> None:
    for number in sorted({step.attempt for step in found.steps}):
        steps = [step for step in found.steps if step.attempt == number]
        table = Table(title=f"Attempt {number}", title_justify="left")
        table.add_column("step", overflow="fold")
        table.add_column("took", justify="right", no_wrap=True)
        table.add_column("when", no_wrap=True)
        table.add_column("outcome", no_wrap=True)
        for step in steps:
            colour = _STEPS[step.outcome]
            bar = f"[{colour}]{_bar(step, steps)}[/{colour}]"
            table.add_row(escape(step.title), words.length(step.seconds), bar, f"[{colour}]{step.outcome}[/{colour}]")
        out.print(table)


def _bar(step: StepTaken, steps: list[StepTaken]) -> str:
    """Return a line of signs that stands where the step was at work between the first and the last of its attempt."""
    first, last = min(one.began for one in steps), max(one.ended for one in steps)
    whole = (last - first).total_seconds() or 1.0
    begin = min(_BAR - 1, int((step.began - first).total_seconds() / whole * _BAR))
    length = max(1, round(step.seconds / whole * _BAR))
    return (" " * begin + "━" * min(length, _BAR - begin)).ljust(_BAR)


def _rejected(out: Console, found: Bundle) -> None:
    if not any(copy.rejected for copy in found.copies):
        return
    table = Table(title="Copies that were not taken", title_justify="left")
    for heading in ("of", "copy", "why not"):
        table.add_column(heading, overflow="fold")
    for copy in found.copies:
        for one in copy.rejected:
            table.add_row(copy.asset, escape(one.id), escape(one.why))
    out.print(table)


def _made(out: Console, found: Bundle) -> None:
    if not found.made:
        return
    table = Table(title="Made", title_justify="left")
    for heading in ("resource", "id", "made", "seen to be gone"):
        table.add_column(heading, overflow="fold")
    left = set(found.left_over)
    for one in found.made:
        gone = words.moment(one.gone_at) if one.gone_at is not None else ("[red]no[/red]" if one in left else "stays")
        table.add_row(escape(one.type), escape(one.id), words.moment(one.made_at), gone)
    out.print(table)


def _controls(out: Console, found: Bundle) -> None:
    table = Table(title="Controls", title_justify="left")
    for heading in ("control", "asks for", "this run", "by"):
        table.add_column(heading, overflow="fold")
    for one in evidence_controls.answers(found):
        colour = _SHOWN[one.shown]
        shown = f"[{colour}]{one.shown.value}[/{colour}]"
        table.add_row(f"{one.framework.value} {one.control}", one.asks, shown, escape(one.by))
    out.print(table)


# -- all runs ----------------------------------------------------------------------------------------------------------


def overview(found: Overview) -> None:
    """Print all evidence."""
    out = console(stderr=False)
    table = Table(title=f"Evidence of {escape(found.application)}", title_justify="left")
    for heading in ("#", "ended", "run", "what", "outcome", "RTO", "RPO"):
        right = heading in ("#", "RTO", "RPO")
        table.add_column(
            heading, overflow="fold", justify="right" if right else "left", no_wrap=heading in ("ended", "run")
        )
    for entry in found.entries:
        one = entry.bundle
        if one is None:
            # Why is told below, with all that is wrong: it is longer than a column, and would take theirs from the others.
            table.add_row(str(entry.number), "", "", "", "[red]cannot be read[/red]", "", "")
            continue
        colour = _COLOURS.get(one.outcome, "red")
        outcome = f"[{colour}]{page.said(one.outcome)}[/{colour}]"
        times = (_short(one.rto), _short(one.rpo))
        table.add_row(str(entry.number), words.moment(one.ended), escape(one.run), page.named(one), outcome, *times)
    out.print(table if found.entries else "there is no evidence yet: a recovery writes some when it ends")
    _ages(out, found.proofs)
    for run_id, why in found.without:
        out.print(f"[yellow]without evidence: {escape(run_id)}: {escape(why)}[/yellow]")
    findings(found.findings)


def _short(one: Measured | None) -> str:
    if one is None:
        return ""
    colour = "green" if one.met else "red"
    return f"[{colour}]{words.length(one.seconds)}[/{colour}]"


def _ages(out: Console, proofs: Iterable[ProofAge]) -> None:
    table = Table(title="Age of proof: when each kind of copy was last restored for real", title_justify="left")
    for heading in ("asset", "copy", "proven", "by"):
        table.add_column(heading, overflow="fold")
    for one in proofs:
        age = "[red]never[/red]" if one.seconds is None else f"{words.length(one.seconds)} ago"
        table.add_row(one.asset, escape(one.source), age, escape(one.run))
    out.print(table)


def findings(found: Iterable[Finding]) -> None:
    """Print what is wrong with the chain."""
    out = console(stderr=False)
    for one in found:
        colour = "yellow" if one.wrong in (Wrong.UNSEALED, Wrong.UNSEEN) else "red"
        out.print(f"[{colour}]{escape(one.text)}[/{colour}]")


def verified(bundles: int, found: tuple[Finding, ...]) -> None:
    """Print how many bundles were looked at, and what is wrong."""
    if not found:
        how = (
            "each has the digest that the next one names and the other region knows"
            if bundles
            else "there is no evidence yet"
        )
        console(stderr=False).print(f"{bundles} bundles: {how}")
    findings(found)


# -- JSON --------------------------------------------------------------------------------------------------------------


def findings_document(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return what is wrong with the chain for JSON."""
    return [{"number": one.number, "wrong": one.wrong.value, "text": one.text} for one in found]


def overview_document(found: Overview) -> dict[str, Any]:
    """Return all evidence for JSON: of each bundle what lists and charts need; lifeboat report RUN -o json has it whole."""
    return {
        "application": found.application,
        "environment": found.environment,
        "at": found.at.isoformat(),
        "bundles": [
            {"number": entry.number, "sha256": entry.sha256, "damaged": entry.damaged or None, **_summary(entry.bundle)}
            for entry in found.entries
        ],
        "rto_over_time": [_series(one) for one in found.series],
        "proofs": [
            {
                "asset": one.asset,
                "source": one.source,
                "at": None if one.at is None else one.at.isoformat(),
                "age_seconds": one.seconds,
                "run": one.run or None,
            }
            for one in found.proofs
        ],
        "without_evidence": [{"run": run_id, "why": why} for run_id, why in found.without],
        "findings": findings_document(found.findings),
    }


def overview_text(found: Overview) -> str:
    """Return all evidence as JSON."""
    return json.dumps(overview_document(found), indent=2, ensure_ascii=False) + "\n"


def _summary(one: Bundle | None) -> dict[str, Any]:
    if one is None:
        return {}
    return {
        "kind": one.kind.value,
        "scope": one.scope,
        "run": one.run,
        "began": one.began.isoformat(),
        "ended": one.ended.isoformat(),
        "outcome": one.outcome.value,
        "exit_status": one.exit_status,
        "why": one.why,
        "rto": None if one.rto is None else asdict(one.rto),
        "rpo": None if one.rpo is None else asdict(one.rpo),
        "left_over": [made.id for made in one.left_over],
    }


def _series(one: Series) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "scope": one.scope,
        "points": [
            {
                "at": point.at.isoformat(),
                "run": point.run,
                "seconds": point.seconds,
                "objective_seconds": point.objective_seconds,
                "met": point.met,
            }
            for point in one.timed
        ],
    }
