"""A report as Markdown, for a merge request or a ticket: no text of AWS becomes markup in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lifeboat.decisions import evidence_controls
from lifeboat.decisions.evidence_overview import Overview, RunReport
from lifeboat.evidence_formats import page, words
from lifeboat.evidence_model import Bundle, Finding, Measured

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&@])")


def of_run(report: RunReport) -> str:
    """Return the Markdown of one run."""
    return "\n".join([*_findings(report.findings), *_run(report)]) + "\n"


def of_all(overview: Overview) -> str:
    """Return the Markdown of all runs."""
    lines = [f"# Evidence of {_text(overview.application)}", "", f"As of {words.moment(overview.at)}.", ""]
    lines += _findings(overview.findings)
    lines += ["## Runs", ""]
    rows = []
    for entry in overview.entries:
        run = entry.bundle
        if run is None:
            rows.append([str(entry.number), "", f"cannot be read: {entry.damaged}", "", "", ""])
        else:
            times = [_measured(run.rto), _measured(run.rpo)]
            rows.append(
                [str(entry.number), words.moment(run.ended), run.run, page.named(run), page.said(run.outcome), *times]
            )
    lines += _table(["#", "Ended", "Run", "What", "Outcome", "RTO", "RPO"], rows)
    lines += ["", "## Age of proof", ""]
    ages = [
        [
            one.asset,
            one.source,
            "never restored" if one.seconds is None else f"{words.length(one.seconds)} ago",
            one.run,
        ]
        for one in overview.proofs
    ]
    lines += _table(["Asset", "Copy", "Proven", "By"], ages)
    if overview.without:
        lines += ["", "## Runs without evidence", "", *_table(["Run", "Why"], [list(one) for one in overview.without])]
    return "\n".join(lines) + "\n"


def _findings(found: Sequence[Finding]) -> list[str]:
    if not found:
        return []
    return [
        "> **This evidence is not confirmed to be as it was written**",
        ">",
        *(f"> - {_text(x.text)}" for x in found),
        "",
    ]


def _run(report: RunReport) -> Iterator[str]:
    found = report.bundle
    yield f"# {_text(found.application)}: {page.named(found)}: {page.said(found.outcome)}"
    yield ""
    if found.why:
        yield f"**{_text(found.why)}**"
        yield ""
    yield from _table(["", ""], _facts(report))
    yield from _section(
        "Steps",
        ["Attempt", "Step", "Took", "Outcome", "Why"],
        [[str(s.attempt), s.title, words.length(s.seconds), s.outcome, s.why] for s in found.steps],
    )
    yield from _section(
        "Copies that were not taken",
        ["Copy", "Why not"],
        [[one.id, one.why] for x in found.copies for one in x.rejected],
    )
    yield from _section(
        "Made",
        ["Resource", "Id", "Made", "Seen to be gone"],
        [[one.type, one.id, words.moment(one.made_at), words.moment(one.gone_at)] for one in found.made],
    )
    yield from _section(
        "Controls",
        ["Control", "Asks for", "This run", "By"],
        [[f"{x.framework.value} {x.control}", x.asks, x.shown.value, x.by] for x in evidence_controls.answers(found)],
    )
    yield ""
    yield f"Bundle {report.link.number}, SHA-256 `{report.link.sha256}`; the one before `{report.link.previous}`."


def _facts(report: RunReport) -> list[list[str]]:
    found = report.bundle
    rows = [
        ["Run", found.run],
        ["From", words.moment(found.began)],
        ["To", words.moment(found.ended)],
        ["By", ", ".join(f"{who.user}@{who.host}" for who in found.who)],
        ["Recovery time (RTO)", _against(found.rto)],
        ["Data lost (RPO)", _against(found.rpo)],
        *([copy.asset.capitalize(), f"{copy.kind} {copy.id}: {copy.why}"] for copy in found.copies),
        *_proof(found),
        *([f"Open: {step.title}", step.why] for step in found.left_open),
        *(["Accepted risk", risk] for risk in found.accepted_risks),
        ["Versions", ", ".join(f"{name} {version}" for name, version in found.versions.items())],
    ]
    return [row for row in rows if row[1]]


def _proof(found: Bundle) -> list[list[str]]:
    proof = found.proof
    if proof is None:
        return []
    return [
        ["Restored data", f"{proof.tables} tables, {proof.with_rows} with rows; {len(proof.probes)} questions asked"],
        *(["Missing", line] for line in proof.missing),
        *(["Wrong answer", line] for line in proof.probe_findings),
        *(["Not compared with", line] for line in proof.not_compared),
    ]


def _measured(one: Measured | None) -> str:
    return "" if one is None else f"{words.length(one.seconds)}{'' if one.met else ' (missed)'}"


def _against(one: Measured | None) -> str:
    return "" if one is None else f"{_measured(one)} of {words.length(one.objective_seconds)} allowed; {one.how}"


def _section(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from ("", f"## {title}", "", *_table(headings, rows))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return lines + [f"| {' | '.join(map(_text, row))} |" for row in rows]


def _text(text: str) -> str:
    """Return a text that stays text: on one line, with every sign of markup escaped."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
