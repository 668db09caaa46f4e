"""A status for programs: one JSON document, Prometheus's text format, and the one line of a plugin of Nagios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lifeboat.decisions.status import gate
from lifeboat.status_model import Colour, CopyRow, DrillRow, Measure, Status, Verdict


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
    record, good = row.record, row.good
    return {
        "scope": row.scope,
        "run": None if record is None else record.run,
        "ended": None if record is None else record.ended.isoformat(),
        "passed": None if record is None else record.passed,
        "cut_off": None if record is None else record.cut_off,
        "went_well": None if good is None else good.run,
        "rto_seconds": None if good is None or good.rto is None else good.rto.total_seconds(),
        "rpo_seconds": None if good is None or good.rpo is None else good.rpo.total_seconds(),
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


# -- Prometheus --------------------------------------------------------------------------------------------------------

# In the base units and with the suffixes that Prometheus asks for ("Metric and label naming").
_EXPOSED = {
    "BackupAgeSeconds": (
        "lifeboat_backup_age_seconds",
        "Age of the newest sound copy, of the region that lags behind.",
    ),
    "RestoreProofAgeSeconds": ("lifeboat_restore_proof_age_seconds", "Time since a copy was last proven by a restore."),
    "BackupBytes": ("lifeboat_backup_bytes", "Size of the newest copy."),
    "MeasuredRpoSeconds": ("lifeboat_measured_rpo_seconds", "Loss that the last drill that went well measured."),
    "MeasuredRtoSeconds": (
        "lifeboat_measured_rto_seconds",
        "Recovery time that the last drill that went well measured.",
    ),
    "DrillAgeSeconds": ("lifeboat_drill_age_seconds", "Time since a drill last went well."),
    "LeakedResources": ("lifeboat_leaked_resources", "Things that drills made and did not take away."),
}


def prometheus(found: Status, measures: Iterable[Measure]) -> str:
    """Return a status in Prometheus's text format, for a textfile collector; what nobody saw has no sample."""
    lines = []
    by_name: dict[str, list[Measure]] = {}
    for measure in measures:
        by_name.setdefault(measure.name, []).append(measure)
    for name, (exposed, says) in _EXPOSED.items():
        if name in by_name:
            lines += [f"# HELP {exposed} {says}", f"# TYPE {exposed} gauge"]
            lines += [f"{exposed}{_labels(found, one.dimensions)} {one.value:g}" for one in by_name[name]]
    ok = "lifeboat_status_check_ok"
    lines += [f"# HELP {ok} 1 where a check is green, 0 where it is red or could not look.", f"# TYPE {ok} gauge"]
    for verdict in found.verdicts:
        labels = {"check": verdict.check, "subject": verdict.subject}
        lines.append(f"{ok}{_labels(found, labels)} {int(verdict.colour is Colour.GREEN)}")
    counts = "lifeboat_status_checks"
    lines += [f"# HELP {counts} Checks of each colour.", f"# TYPE {counts} gauge"]
    lines += [f"{counts}{_labels(found, {'colour': one.value})} {len(found.of(one))}" for one in Colour]
    for name, value, says in (
        ("lifeboat_status_checks_expected", found.expected, "Checks that the stack asks for."),
        ("lifeboat_status_checks_executed", found.executed, "Checks that saw what they had to see."),
        ("lifeboat_status_gate", gate.exit_status(found), "What lifeboat status --gate ends with; 0 is all green."),
        ("lifeboat_status_timestamp_seconds", found.now.timestamp(), "When everything was looked at."),
    ):
        lines += [f"# HELP {name} {says}", f"# TYPE {name} gauge", f"{name}{_labels(found, {})} {value:.0f}"]
    return "\n".join(lines)


def _labels(found: Status, labels: Mapping[str, str]) -> str:
    both = {"environment": found.environment, "application": found.application}
    both |= {name.lower(): value for name, value in labels.items() if name != "Name"}
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in both.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# -- Nagios ------------------------------------------------------------------------------------------------------------

_WORDS = {
    gate.NAGIOS_OK: "OK",
    gate.NAGIOS_WARNING: "WARNING",
    gate.NAGIOS_CRITICAL: "CRITICAL",
    gate.NAGIOS_UNKNOWN: "UNKNOWN",
}
_NAMED = 3  # findings in the one line


def nagios_unseen(why: str) -> str:
    """Return the one line of a plugin of Nagios for a status that could not be made."""
    # What follows a bar is performance data to Nagios.
    return f"LIFEBOAT {_WORDS[gate.NAGIOS_UNKNOWN]}: {' '.join(why.replace('|', '/').split())}"


def nagios(found: Status, measures: Iterable[Measure]) -> str:
    """Return the one line of a plugin of Nagios, with the ages as its performance data."""
    red, unknown = found.of(Colour.RED), found.of(Colour.UNKNOWN)
    first = [f"{one.name}: {one.says}" for one in [*red, *unknown][:_NAMED]]
    more = len(red) + len(unknown) - len(first)
    says = "; ".join(first) + (f"; {more} more" if more > 0 else "") if first else f"{found.executed} checks are green"
    counts = f"{found.executed}/{found.expected} checks, {len(red)} red, {len(unknown)} unknown"
    data = [f"{one.dimensions['Kind']}={one.value:.0f}s" for one in measures if one.name == "BackupAgeSeconds"]
    line = f"LIFEBOAT {_WORDS[gate.nagios_status(found)]} - {found.environment}: {counts}: {says}"
    return " ".join(f"{line} | {' '.join([*data, f'red={len(red)}', f'unknown={len(unknown)}'])}".split())
