"""The drills: the last one of each scope, and its recovery time against the objective."""

from __future__ import annotations

from lifeboat.decisions.status.copies import covers
from lifeboat.status_model import DrillRecord, DrillRow, Facts

SCOPES = ("database", "instance", "full", "state")


def last(drills: tuple[DrillRecord, ...], scope: str) -> DrillRecord | None:
    """Return the last drill of a scope, however it came out; a full one counts for the database and the instance too."""
    return max((drill for drill in drills if covers(drill, scope)), key=lambda drill: drill.ended, default=None)


def rows(facts: Facts) -> tuple[DrillRow, ...]:
    """Return one row for each scope."""
    unseen = "" if facts.drills.unseen is None else facts.drills.unseen.why
    found = facts.drills.found or ()
    return tuple(DrillRow(scope=scope, record=last(found, scope), unseen=unseen) for scope in SCOPES)
