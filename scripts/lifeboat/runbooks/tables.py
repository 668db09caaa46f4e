"""Which table of steps brings back what."""

from __future__ import annotations

from lifeboat.decisions.timings import Answering
from lifeboat.evidence_model import Kind
from lifeboat.model import Scope
from lifeboat.runbooks import database_sessions, recover, recover_both, recover_database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import SideBySide, Step, flat
from lifeboat.stack.evidence_keeping import About

ANSWERING = Answering(step=recover.ANSWERS, confirmed_by=database_sessions.ASKED.name)

_TABLES: dict[Scope, tuple[Step[Recovering] | SideBySide[Recovering], ...]] = {
    Scope.INSTANCE: recover.STEPS,
    Scope.DATABASE: recover_database.STEPS,
    Scope.FULL: recover_both.STEPS,
}


def of(scope: Scope) -> tuple[Step[Recovering] | SideBySide[Recovering], ...]:
    """Return the steps that bring this back."""
    return _TABLES[scope]


def titles(scope: Scope) -> dict[str, str]:
    """Return the title of each of them by its name."""
    return {step.name: step.title for step in flat(of(scope))}


def evidence_of(scope: Scope) -> About:
    """Return what a journal of such a recovery is of."""
    return About(kind=Kind.RECOVER, scope=scope.value, answering=ANSWERING, titles=titles(scope))
