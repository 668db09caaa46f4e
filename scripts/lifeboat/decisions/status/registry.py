"""Every check, in the order of the report; the one list that the status, its page and its tests take."""

from __future__ import annotations

from lifeboat.decisions.status import database, dumps, state
from lifeboat.decisions.status.check import Check

CHECKS: tuple[Check, ...] = (
    *database.CHECKS,
    *dumps.CHECKS,
    *state.CHECKS,
)
