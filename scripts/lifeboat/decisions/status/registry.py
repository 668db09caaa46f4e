"""Every check, in the order of the report; the one list that the status, its page and its tests take."""

from __future__ import annotations

from lifeboat.decisions.status import (
    database,
    drilled,
    dumps,
    environment,
    machines,
    running,
    state,
    stores,
    watching,
)
from lifeboat.decisions.status.check import Check

CHECKS: tuple[Check, ...] = (
    *environment.CHECKS,
    *database.CHECKS,
    *dumps.CHECKS,
    *machines.CHECKS,
    *stores.CHECKS,
    *state.CHECKS,
    *watching.CHECKS,
    *running.CHECKS,
    *drilled.CHECKS,
)
BY_ID: dict[str, Check] = {check.id: check for check in CHECKS}
