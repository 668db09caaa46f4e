"""A report as one HTML page that asks nobody for anything: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lifeboat.decisions import evidence_controls
from lifeboat.decisions.evidence_overview import Overview, RunReport
from lifeboat.evidence_formats import charts, words
from lifeboat.evidence_model import Bundle, Kind, Outcome, Wrong

_GOOD, _DOUBTFUL = "good", "doubtful"
# What the colour says is also said in words: a page is printed without colour, and read by who cannot tell red from green.
_TONES = {
    Outcome.MET: _GOOD,
    Outcome.MISSED: _DOUBTFUL,
    Outcome.GIVEN_UP: _DOUBTFUL,
    Outcome.STOPPED: _DOUBTFUL,
    Outcome.INTERRUPTED: _DOUBTFUL,
}
_SAID = {
    Outcome.MET: "objectives met",
    Outcome.MISSED: "objective missed",
    Outcome.UNSOUND: "data not as it was",
    Outcome.LEFT_OVER: "something is left over",
    Outcome.STOPPED: "stopped part-way",
    Outcome.FAILED: "failed",
    Outcome.INTERRUPTED: "interrupted",
    Outcome.GIVEN_UP: "given up",
}


_SCOPES = {
    "instance": "the instance",
    "database": "the database",
    "full": "database and instance",
    "state": "Terraform's state",
}
_KINDS = {Kind.RECOVER: "recovery of", Kind.DRILL: "drill of"}


def named(found: Bundle) -> str:
    """Return what a run was, in words."""
    return f"{_KINDS[found.kind]} {_SCOPES.get(found.scope, found.scope)}"


def said(outcome: Outcome) -> str:
    """Return an outcome in words."""
    return _SAID[outcome]


def _tone(outcome: Outcome) -> str:
    return _TONES.get(outcome, "bad")


def _data(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("lifeboat.evidence_formats"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(took=words.length, moment=words.moment, said=said, named=named, tone=_tone, data=_data)
    return made


def of_run(report: RunReport) -> str:
    """Return the page of one run."""
    found = report.bundle
    return (
        _environment()
        .get_template("run.html.j2")
        .render(
            report=report,
            run=found,
            waterfalls=charts.waterfalls(found),
            shares=charts.shares(found),
            trends=charts.trends(report.history, current=report.link.number),
            gauges={
                name: charts.gauge(one.seconds, one.objective_seconds)
                for name, one in (("rto", found.rto), ("rpo", found.rpo))
                if one is not None
            },
            answers=evidence_controls.answers(found),
            grave=[one for one in report.findings if one.wrong not in (Wrong.UNSEALED, Wrong.UNSEEN)],
        )
    )


def of_all(overview: Overview) -> str:
    """Return the page of all runs."""
    return (
        _environment()
        .get_template("overview.html.j2")
        .render(
            overview=overview,
            trends=charts.trends(overview.series),
            ages=charts.ages(overview.proofs),
            grave=[one for one in overview.findings if one.wrong not in (Wrong.UNSEALED, Wrong.UNSEEN)],
        )
    )
