"""Printing of scans and of the rules they judge by."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat import views
from lifeboat.decisions.policy.counts import counted
from lifeboat.decisions.policy.report import Report
from lifeboat.decisions.policy.reported import Reported
from lifeboat.decisions.policy.rule import AnyRule, Severity, Verdict
from lifeboat.decisions.policy.standards import ControlCoverage, Covered, RuleCoverage

_COLOURS = {Severity.CRITICAL: "red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "blue"}


def scan(done: Report) -> None:
    """Print the findings, the gravest first, then why and what to change for each rule, then what the scan is worth."""
    out = views.console(stderr=False)
    if done.subject.warning and not (sys.stdout.isatty() and sys.stderr.isatty()):  # there it was told as it began
        out.print(f"[yellow]{escape(done.subject.warning)}[/yellow]")
    if done.found:
        out.print(_table(done.found))
        whys = (f"{one.rule}: {one.why} {one.change}" for one in done.found if one.waived is None)
        for text in dict.fromkeys(whys):
            out.print(escape(text))
    for one in done.found:
        if one.waived is not None:
            out.print(f"[yellow]{_text(f'{one.rule} on {one.where} is {one.waived.words}')}[/yellow]")
    for remark in done.remarks:
        out.print(f"[yellow]{_text(remark)}[/yellow]")
    for late in done.put_off:
        out.print(f"[yellow]put off until it is built: {_text(late.text)}[/yellow]")
    for reason in done.not_valid:
        out.print(f"[red]not valid: {_text(reason)}[/red]")
    if done.awaited:
        out.print(
            "a plan of what stands tells everything; for one that is only to be built:"
            f" {escape(done.subject.again)} --first-apply"
        )
    idle = [one.rule.id for one in done.rules if one.verdict is Verdict.ABSENT]
    if idle:
        out.print(f"nothing there to judge for {', '.join(idle)}")
    out.print(escape(summary(done)))


def summary(done: Report) -> str:
    """Return the worth of a scan in one line: how many rules ended how, and of how many resources."""
    counts = {verdict: sum(one.verdict is verdict for one in done.rules) for verdict in Verdict}
    said = [
        f"{counted(len(done.rules), 'rule')} on {counted(done.resources, 'resource')}",
        f"{counts[Verdict.FINDINGS]} with findings",
        f"{counts[Verdict.CLEAN]} clean",
        f"{counts[Verdict.ABSENT]} about nothing that is there",
        f"{counts[Verdict.UNDECIDED]} that could not be judged",
        *([f"{counted(len(done.accepted), 'finding')} accepted"] if done.accepted else []),
        *([f"{counted(len(done.put_off), 'judgement')} put off until it is built"] if done.put_off else []),
        f"with checkov {done.checkov}" if done.checkov else "without checkov",
    ]
    worth = "NOT VALID" if done.not_valid else "failed" if done.failing else "passed"
    return f"{worth}: {said[0]}: {', '.join(said[1:])}"


def _table(found: Sequence[Reported]) -> Table:
    table = Table()
    for heading in ("severity", "rule", "where", "found", "wanted"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("severity", "rule"))
    for one in found:
        severity = _severity(one.severity) if one.waived is None else f"waived ({one.severity.name.lower()})"
        place = f"\n{one.place.file}:{one.place.line}" if one.place else ""
        table.add_row(severity, one.rule, _text(f"{one.where}{place}"), _text(one.found), _text(one.wanted))
    return table


def rules(found: Sequence[AnyRule]) -> None:
    """Print the rules, a row for each."""
    table = Table()
    for heading in ("rule", "severity", "asks for", "of"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("rule", "severity"))
    for one in found:
        table.add_row(one.id, _severity(one.severity), escape(one.title), ", ".join(one.types) or "the whole plan")
    views.console(stderr=False).print(table)


def rule(found: AnyRule) -> None:
    """Print one rule with all that is known of it."""
    views.pairs(
        [
            ("rule", found.id),
            ("severity", found.severity.name.lower()),
            ("asks for", found.title),
            ("of", ", ".join(found.types) or "the whole plan"),
            ("why", found.why),
            ("what to change", found.change),
            *((one.framework.value, one.name + ("" if one.sourced else " (our choice)")) for one in found.controls),
        ]
    )


def rule_document(found: AnyRule) -> dict[str, Any]:
    """Return one rule for JSON."""
    return {
        "id": found.id,
        "severity": found.severity.name.lower(),
        "title": found.title,
        "types": list(found.types),
        "why": found.why,
        "change": found.change,
        "controls": [asdict(control) for control in found.controls],
    }


def _text(text: str) -> str:
    """Return a text of a plan or a file as it may be printed: a key of an instance can hold what commands a terminal."""
    return escape("".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text))


def _severity(severity: Severity) -> str:
    colour = _COLOURS[severity]
    return f"[{colour}]{severity.name.lower()}[/{colour}]"


# -- what the rules cover ----------------------------------------------------------------------------------------------


def coverage(found: Covered) -> None:
    """Print which rules there are and how they ended, the controls that they answer to, and the checks that they replace."""
    out = views.console(stderr=False)
    if any(one.verdict is not None for one in found.rules):
        out.print(_grid(("rule", "ended", "asked about", "asks for"), map(_covered_rule, found.rules)))
    headings = ("standard", "control", "rules", "worst of them", "assigned by")
    out.print(_grid(headings, map(_covered_control, found.controls)))
    rows = ((one.check, one.title, one.rule, one.blind_to) for one in found.replaced)
    out.print(_grid(("checkov's own", "asks for", "replaced by", "what it does not see, or sees wrongly"), rows))
    frameworks = {one.framework for one in found.controls}
    out.print(
        f"{len(found.rules)} rules answer to {len(found.controls)} controls of {len(frameworks)} standards, and replace"
        f" {len(found.replaced)} checks of checkov"
    )


def coverage_document(found: Covered) -> dict[str, Any]:
    """Return what the rules cover for JSON; a verdict is null where no plan was judged."""
    return {
        "rules": [
            {"id": one.rule.id, "verdict": None if one.verdict is None else one.verdict.value, "judged": one.judged}
            for one in found.rules
        ],
        "controls": [
            {
                "framework": one.framework.value,
                "name": one.name,
                "sourced": one.sourced,
                "rules": list(one.rules),
                "verdict": None if one.verdict is None else one.verdict.value,
            }
            for one in found.controls
        ],
        "replaced": [asdict(one) for one in found.replaced],
    }


def _covered_rule(one: RuleCoverage) -> tuple[str, ...]:
    return (one.rule.id, "" if one.verdict is None else one.verdict.value, str(one.judged), one.rule.title)


def _covered_control(one: ControlCoverage) -> tuple[str, ...]:
    ended = "no plan" if one.verdict is None else one.verdict.value
    return (one.framework.value, one.name, ", ".join(one.rules), ended, "a source" if one.sourced else "us")


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
