"""A scan as GitLab's Code Quality report, which a merge request shows on every tier (doc/ci/testing/code_quality.md)."""

from __future__ import annotations

import hashlib
from typing import Any

from lifeboat.decisions.policy.formats.places import place, sentence, start
from lifeboat.decisions.policy.report import Report
from lifeboat.decisions.policy.reported import Place, Reported
from lifeboat.decisions.policy.rule import Severity

_SEVERITIES = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
}


def code_quality(report: Report) -> list[dict[str, Any]]:
    """Return the issues: every finding, what is accepted and remarks as information, and each reason why the scan is not valid.

    GitLab compares the fingerprints of a merge request with those of its target, so they must be each its own.
    """
    found = [
        _issue(one.rule, _severity(one), (sentence(one), place(one, report), one.fingerprint)) for one in report.found
    ]
    told = [
        *(("scan-not-valid", "blocker", text) for text in report.not_valid),
        *(("scan-put-off", "info", f"put off until it is built: {one.text}") for one in report.put_off),
        *(("scan-remark", "info", text) for text in report.remarks),
        *(("scan-ground", "info", text) for text in filter(None, [report.subject.warning])),
    ]
    at = start(report)
    return [*found, *(_issue(name, grave, (text, at, _mark(name, text))) for name, grave, text in told)]


def _issue(name: str, severity: str, what: tuple[str, Place, str]) -> dict[str, Any]:
    text, at, fingerprint = what
    return {
        "description": text,
        "check_name": name,
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {"path": at.file, "lines": {"begin": at.line}},
    }


def _severity(one: Reported) -> str:
    return "info" if one.waived is not None else _SEVERITIES[one.severity]


def _mark(name: str, text: str) -> str:
    return hashlib.sha256(f"{name}|{text}".encode()).hexdigest()
