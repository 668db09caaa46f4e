"""Printing of scans and of the rules they judge by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifeboat import views
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.rule import AnyRule, Finding, Outcome, Scan, Severity, Verdict
from lifeboat.decisions.policy.standards import ControlCoverage, Covered, RuleCoverage

_COLOURS = {Severity.CRITICAL: "red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "blue"}


def scan(done: Scan) -> None:
    """Print the findings, the gravest first, then why and what to change for each rule, then what the scan is worth."""
    out = views.console(stderr=False)
    if done.findings:
        table = Table()
        for heading in ("severity", "rule", "address", "found", "wanted"):
            table.add_column(heading, overflow="fold", no_wrap=heading in ("severity", "rule"))
        for finding in done.findings:
            table.add_row(
                _severity(finding.severity),
                finding.rule,
                escape(finding.address),
                escape(finding.found),
                escape(finding.wanted),
            )
        out.print(table)
        for text in dict.fromkeys(f"{one.rule}: {one.why} {one.change}" for one in done.findings):
            out.print(escape(text))
    for reason in done.put_off:
        out.print(f"[yellow]put off until it is built: {escape(reason)}[/yellow]")
    for reason in done.not_valid:
        out.print(f"[red]not judged: {escape(reason)}[/red]")
    if any(one.awaited for outcome in done.outcomes for one in outcome.unjudged) and done.not_valid:
        out.print(
            "a plan of what stands tells everything; for one that is only to be built: lifeboat scan --first-apply"
        )
    out.print(escape(summary(done)))


def summary(done: Scan) -> str:
    """Return the worth of a scan in one line: how many rules ended how, and of how many resources."""
    counts = {verdict: sum(one.verdict is verdict for one in done.outcomes) for verdict in Verdict}
    said = [
        f"{len(done.outcomes)} rules on {len(done.plan.resources)} resources",
        f"{counts[Verdict.FINDINGS]} with findings",
        f"{counts[Verdict.CLEAN]} clean",
        f"{counts[Verdict.ABSENT]} about nothing that is there",
        f"{counts[Verdict.UNDECIDED]} that could not be judged",
    ]
    if done.not_valid:
        return f"NOT VALID: {said[0]}: {', '.join(said[1:])}"
    return f"{'failed' if done.failing else 'passed'}: {said[0]}: {', '.join(said[1:])}"


def scan_document(done: Scan) -> dict[str, Any]:
    """Return a scan for JSON; parameters in hours, with where each comes from."""
    return {
        "valid": not done.not_valid,
        "not_valid": list(done.not_valid),
        "put_off": list(done.put_off),
        "passed": not done.not_valid and not done.failing,
        "terraform_version": done.plan.terraform_version,
        "resources": len(done.plan.resources),
        "parameters": _parameters(done.parameters),
        "findings": [finding_document(finding) for finding in done.findings],
        "rules": [_outcome(outcome) for outcome in done.outcomes],
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return one finding for JSON."""
    return {
        **asdict(finding),
        "severity": finding.severity.name.lower(),
        "controls": [asdict(control) for control in finding.controls],
    }


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


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.rule.id,
        "verdict": outcome.verdict.value,
        "judged": list(outcome.judged),
        "findings": len(outcome.findings),
        "unjudged": [asdict(one) for one in outcome.unjudged],
    }


def _parameters(found: Parameters) -> dict[str, Any]:
    sources = dict(found.sources)
    lengths = {field.name: getattr(found, field.name) for field in fields(found)}
    return {
        name: {"hours": length.total_seconds() / 3600, "from": sources.get(name, "default")}
        for name, length in lengths.items()
        if isinstance(length, timedelta)
    }


def _severity(severity: Severity) -> str:
    colour = _COLOURS[severity]
    return f"[{colour}]{severity.name.lower()}[/{colour}]"


# -- what the rules cover ----------------------------------------------------------------------------------------------


def coverage(found: Covered) -> None:
    """Print which rules there are and how they ended, the controls that they answer to, and the checks that they replace."""
    out = views.console(stderr=False)
    if any(one.verdict is not None for one in found.rules):
        out.print(_table(("rule", "ended", "asked about", "asks for"), map(_covered_rule, found.rules)))
    headings = ("standard", "control", "rules", "worst of them", "assigned by")
    out.print(_table(headings, map(_covered_control, found.controls)))
    rows = ((one.check, one.title, one.rule, one.blind_to) for one in found.replaced)
    out.print(_table(("checkov's own", "asks for", "replaced by", "what it does not see, or sees wrongly"), rows))
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


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
