"""Which table of steps brings back what."""

from __future__ import annotations

from lifeboat.model import Scope
from lifeboat.runbooks import recover, recover_both, recover_database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import SideBySide, Step, flat

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
