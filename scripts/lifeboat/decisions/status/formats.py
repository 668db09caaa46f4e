"""A status for programs: one JSON document, Prometheus's text format, and the one line of a plugin of Nagios."""

from __future__ import annotations

from typing import Any

from lifeboat.decisions.status import gate
from lifeboat.status_model import Colour, CopyRow, DrillRow, Status, Verdict


def document(found: Status) -> dict[str, Any]:
    """Return a status for JSON: times are RFC 3339, lengths seconds, sizes bytes; null where nobody knows."""
    return {
        "environment": found.environment,
        "application": found.application,
        "at": found.now.isoformat(),
        "gate": gate.exit_status(found),
        "checks": {
            "expected": found.expected,
            "executed": found.executed,
            "whole": found.whole,
            **{colour.value: len(found.of(colour)) for colour in Colour},
        },
        "objectives": {
            "rpo_seconds": None if found.rpo is None else found.rpo.total_seconds(),
            "rto_seconds": None if found.rto is None else found.rto.total_seconds(),
        },
        "copies": [_copy(row, found) for row in found.copies],
        "drills": [_drill(row) for row in found.drills],
        "verdicts": [_verdict(verdict) for verdict in found.verdicts],
    }


def _copy(row: CopyRow, found: Status) -> dict[str, Any]:
    return {
        "asset": row.asset.value,
        "kind": row.kind.value,
        "region": row.region,
        "count": None if row.unseen else row.count,
        "newest": None if row.newest is None else row.newest.isoformat(),
        "age_seconds": None if row.newest is None else round((found.now - row.newest).total_seconds()),
        "limit_seconds": None if row.limit is None else row.limit.total_seconds(),
        "sizes": list(row.sizes),
        "verified_level": row.verified,
        "verified_at": None if row.verified_at is None else row.verified_at.isoformat(),
        "restored_at": None if row.restored_at is None else row.restored_at.isoformat(),
        "unseen": row.unseen or None,
    }


def _drill(row: DrillRow) -> dict[str, Any]:
    record = row.record
    return {
        "scope": row.scope,
        "run": None if record is None else record.run,
        "ended": None if record is None else record.ended.isoformat(),
        "passed": None if record is None else record.passed,
        "rto_seconds": None if record is None or record.rto is None else record.rto.total_seconds(),
        "rpo_seconds": None if record is None or record.rpo is None else record.rpo.total_seconds(),
        "unseen": row.unseen or None,
    }


def _verdict(verdict: Verdict) -> dict[str, str]:
    return {
        "check": verdict.check,
        "subject": verdict.subject,
        "asset": verdict.asset.value,
        "weight": verdict.weight.value,
        "colour": verdict.colour.value,
        "is": verdict.says,
        "should_be": verdict.wanted,
        "why": verdict.why,
        "next": verdict.command,
    }
