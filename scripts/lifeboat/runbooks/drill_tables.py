"""Which table of steps drills what, and the step at which its clock stops."""

from __future__ import annotations

from lifeboat.decisions.timings import Answering
from lifeboat.drill_model import DrillScope
from lifeboat.evidence_model import Kind
from lifeboat.runbooks import drill_database, drill_instance, drill_state, drilling
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step
from lifeboat.stack import drill_effects
from lifeboat.stack.evidence_keeping import About

FULL: tuple[Step[Recovering], ...] = (
    drill_instance.CHOICE[0],
    *drill_database.CANARY,
    drilling.DECLARED,
    drill_instance.CHOICE[1],
    *drill_database.DATA,
    drill_instance.TOLD,
    *drill_instance.LAUNCHED,
    drill_instance.CONNECTED,
    drill_instance.PROVEN,
)
_TABLES: dict[DrillScope, tuple[Step[Recovering], ...]] = {
    DrillScope.DATABASE: drill_database.STEPS,
    DrillScope.INSTANCE: drill_instance.STEPS,
    DrillScope.FULL: FULL,
    DrillScope.STATE: drill_state.STEPS,
}
_ANSWERS = {
    DrillScope.DATABASE: drill_database.RESTORED,
    DrillScope.INSTANCE: drill_instance.ANSWERED,
    DrillScope.FULL: drill_instance.ANSWERED,
    DrillScope.STATE: drill_state.PLANNED,
}


def of(scope: DrillScope) -> tuple[Step[Recovering], ...]:
    """Return the steps that drill this."""
    return _TABLES[scope]


def titles(scope: DrillScope) -> dict[str, str]:
    """Return the title of each of them by its name."""
    return {step.name: step.title for step in of(scope)}


def answering(scope: DrillScope) -> Answering:
    """Return the step at which the clock of a drill stops; nothing after it takes that back."""
    return Answering(step=_ANSWERS[scope], confirmed_by="")


def evidence_of(scope: DrillScope) -> About:
    """Return what a journal of such a drill is of."""
    return About(
        kind=Kind.DRILL,
        scope=scope.value,
        answering=answering(scope),
        titles={**titles(scope), drill_effects.UNWIND: "Take away what it made"},
    )
