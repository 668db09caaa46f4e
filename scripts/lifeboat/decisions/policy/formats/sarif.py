"""A scan as SARIF 2.1.0 (OASIS Standard, 27 March 2020), which code scanning services take."""

from __future__ import annotations

import string
from typing import Any

from lifeboat.decisions.policy.formats.places import place
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.report import Report
from lifeboat.decisions.policy.reported import Place, Reported, Source
from lifeboat.decisions.policy.rule import AnyRule, Severity

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_FINGERPRINT = "lifeboat/v1"
_UNRESERVED = frozenset(
    f"{string.ascii_letters}{string.digits}-._~/".encode()
)  # RFC 3986 section 2.3, and what parts folders


def sarif(report: Report) -> dict[str, Any]:
    """Return the log: one run, with every rule that was asked and what kept the scan from being valid."""
    theirs = {one.rule: one for one in report.found if one.source is Source.CHECKOV}
    rules = [*(_rule(rule) for rule in RULES), *(_built_in(theirs[name]) for name in sorted(theirs))]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "lifeboat", "rules": rules}},
                "automationDetails": {"id": f"lifeboat-scan/{report.subject.name}/"},
                "invocations": [_invocation(report)],
                "originalUriBaseIds": {
                    "SRCROOT": {"description": {"text": "The folder of the repository, wherever it is checked out."}}
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, place(one, report), index[one.rule]) for one in report.found],
            }
        ],
    }


def _invocation(report: Report) -> dict[str, Any]:
    told = [
        *(("error", f"not valid: {text}") for text in report.not_valid),
        *(("warning", text) for text in filter(None, [report.subject.warning])),
        *(("warning", f"put off until it is built: {one.text}") for one in report.put_off),
        *(("note", text) for text in report.remarks),
    ]
    return {
        "executionSuccessful": not report.not_valid,
        "toolExecutionNotifications": [{"level": level, "message": {"text": text}} for level, text in told],
        "properties": {"ground": report.subject.ground, "checkov": report.checkov or "not asked"},
    }


def _rule(rule: AnyRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}. {rule.why}"},
        "help": {"text": rule.change},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "severity": rule.severity.name.lower(),
            "tags": list(dict.fromkeys(f"{one.framework.value}: {one.name}" for one in rule.controls)),
        },
    }


def _uri(file: str) -> str:
    return "".join(chr(one) if one in _UNRESERVED else f"%{one:02X}" for one in file.encode())


def _built_in(one: Reported) -> dict[str, Any]:
    return {
        "id": one.rule,
        "shortDescription": {"text": one.title},
        "fullDescription": {"text": one.why},
        "help": {"text": one.change},
        "defaultConfiguration": {"level": _LEVELS[one.severity]},
        "properties": {"severity": one.severity.name.lower(), "tags": []},
    }


def _result(one: Reported, at: Place, index: int) -> dict[str, Any]:
    wanted = f" Wanted: {one.wanted}." if one.wanted else ""
    result: dict[str, Any] = {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": _LEVELS[one.severity],
        "message": {"text": f"{one.where}: {one.found}.{wanted} {one.change}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(at.file), "uriBaseId": "SRCROOT"},
                    "region": {"startLine": at.line},
                },
                "logicalLocations": [{"fullyQualifiedName": one.where, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {_FINGERPRINT: one.fingerprint},
        "properties": {"severity": one.severity.name.lower(), "why": one.why},
    }
    if one.waived is not None:
        kind = "inSource" if one.waived.until is None else "external"
        result["suppressions"] = [{"kind": kind, "status": "accepted", "justification": one.waived.words}]
    return result
