"""A scan as JSON of our own: everything that is known, for programs."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

from lifeboat.decisions.policy.controls import Control
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.report import Ended, Report
from lifeboat.decisions.policy.reported import Reported


def document(report: Report) -> dict[str, Any]:
    """Return the report for JSON; parameters in hours, with where each comes from."""
    return {
        "subject": report.subject.name,
        "ground": report.subject.ground,
        "warning": report.subject.warning,
        "valid": not report.not_valid,
        "not_valid": list(report.not_valid),
        "put_off": [one.text for one in report.put_off],
        "remarks": list(report.remarks),
        "passed": not report.not_valid and not report.failing,
        "checkov": report.checkov or None,
        "terraform_version": report.terraform_version,
        "resources": report.resources,
        "parameters": _parameters(report.parameters),
        "findings": [_reported(one) for one in report.found],
        "rules": [_ended(one, report) for one in report.rules],
    }


def _reported(one: Reported) -> dict[str, Any]:
    waived = one.waived
    return {
        "rule": one.rule,
        "title": one.title,
        "severity": one.severity.name.lower(),
        "root": one.root or None,
        "address": one.address,
        "file": one.place.file if one.place else None,
        "line": one.place.line if one.place else None,
        "found": one.found,
        "wanted": one.wanted,
        "why": one.why,
        "change": one.change,
        "controls": [_control(control) for control in one.controls],
        "source": one.source.value,
        "fingerprint": one.fingerprint,
        "fails": one.fails,
        "waived": None
        if waived is None
        else {"reason": waived.reason, "by": waived.by, "until": None if waived.until is None else f"{waived.until}"},
    }


def _control(one: Control) -> dict[str, Any]:
    # By hand: dataclasses.asdict copies each text, which is most of the time for some thousand findings.
    return {"framework": one.framework.value, "name": one.name, "sourced": one.sourced}


def _ended(one: Ended, report: Report) -> dict[str, Any]:
    return {
        "id": one.rule.id,
        "verdict": one.verdict.value,
        "judged": list(one.judged),
        "findings": sum(found.rule == one.rule.id for found in report.found),
        "unjudged": [{"address": address, "why": why} for address, why in one.unjudged],
    }


def _parameters(found: Parameters) -> dict[str, Any]:
    sources = dict(found.sources)
    lengths = {field.name: getattr(found, field.name) for field in fields(found)}
    hours = {
        name: {"hours": length.total_seconds() / 3600, "from": sources.get(name, "default")}
        for name, length in lengths.items()
        if isinstance(length, timedelta)
    }
    return {**hours, "disposable": {"value": found.disposable, "from": sources.get("disposable", "default")}}
