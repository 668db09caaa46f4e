"""Which variables an export of an environment holds, and what putting one back would change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from lifeboat.decisions import variable_changes, variable_scopes
from lifeboat.gitlab_model import ATTRIBUTES, Export, SyncPlan, Target, Variable, VariableName


class Reach(StrEnum):
    """Which of an export's variables are put back."""

    OWN = "own"
    SHARED = "shared"


@dataclass(frozen=True, kw_only=True)
class Own:
    """What is an environment's own: all of its exact scope, and what its file asks for, whatever the scope of that."""

    environment: str
    asked: frozenset[VariableName]

    def __contains__(self, name: VariableName) -> bool:
        """Return whether a variable is: of a shared scope, the file owns what it names and nothing else."""
        return name.scope == self.environment or name in self.asked


def exported(export: Export, current: Iterable[Variable], own: Own) -> Export:
    """Return the export with every variable that the environment's jobs can see; hidden ones by name alone."""
    wanted = [v for v in current if v.name in own or variable_scopes.covers(v.name.scope, export.environment)]
    wanted.sort(key=lambda v: (v.name.key, v.name.scope))
    return replace(
        export,
        variables=tuple(v for v in wanted if v.value is not None),
        hidden=tuple(v.name for v in wanted if v.value is None),
    )


@dataclass(frozen=True, kw_only=True)
class PutBack:
    """What putting an export back changes; `shared` is what differs too, but is seen by other environments' jobs."""

    plan: SyncPlan
    shared: tuple[VariableName, ...]


def put_back(export: Export, current: Iterable[Variable], own: Own, reach: Reach) -> PutBack:
    """Return how GitLab becomes again what the export says.

    What the file asks for is left out: a sync writes it from its own source, and the export may hold where the instance
    and the database were before the last recovery. Nothing is deleted: what came after the export stays, and is told.
    """
    current = list(current)
    have = {variable.name: variable for variable in current}
    targets = [_target(v, have.get(v.name)) for v in export.variables if v.name not in own.asked]
    whole = variable_changes.planned(targets, current, export.environment)
    ours = [change for change in whole.changes if reach is Reach.SHARED or change.name in own]
    shared = tuple(change.name for change in whole.writes if change not in ours)
    return PutBack(plan=SyncPlan(changes=tuple(ours), warnings=_warnings(export, current, own, reach)), shared=shared)


def _target(variable: Variable, before: Variable | None) -> Target:
    if variable.value is None:
        raise ValueError(f"the export has no value for {variable.name}")
    attributes: dict[str, str | bool] = {name: getattr(variable, name) for name in ATTRIBUTES if name != "value"}
    notes: tuple[str, ...] = ()
    if before is not None and before.hidden:
        attributes["masked"] = True
        notes = ("GitLab hides it now and for good: the value is put back unseen",)
    return Target(name=variable.name, value=variable.value, attributes=attributes, notes=notes)


def _warnings(export: Export, current: list[Variable], own: Own, reach: Reach) -> tuple[str, ...]:
    known = {variable.name for variable in export.variables} | set(export.hidden) | own.asked
    later = [
        str(v.name)
        for v in current
        if v.name not in known
        and (v.name in own if reach is Reach.OWN else variable_scopes.covers(v.name.scope, export.environment))
    ]
    left = [str(variable.name) for variable in export.variables if variable.name in own.asked]
    gone = [str(name) for name in export.hidden if name not in {v.name for v in current} | own.asked]
    return (
        *([f"left to a sync, which writes them from their own source: {', '.join(left)}"] if left else []),
        *([f"not in the export, so left as they are: {', '.join(sorted(later))}"] if later else []),
        *([f"hidden when it was exported, so nobody can put them back: {', '.join(gone)}"] if gone else []),
    )
