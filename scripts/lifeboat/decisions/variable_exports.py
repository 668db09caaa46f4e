"""Which variables an export of an environment holds, and what putting one back would change."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from lifeboat.decisions import variable_changes, variable_scopes
from lifeboat.gitlab_model import ATTRIBUTES, Export, SyncPlan, Target, Variable, VariableName


def exported(export: Export, current: Iterable[Variable], own_scopes: Collection[str]) -> Export:
    """Return the export with every variable that the environment's jobs can see; hidden ones by name alone."""
    wanted = [
        v for v in current if v.name.scope in own_scopes or variable_scopes.covers(v.name.scope, export.environment)
    ]
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


def put_back(
    export: Export,
    current: Iterable[Variable],
    own_scopes: Collection[str] | None,
    pointers: Collection[VariableName],
) -> PutBack:
    """Return how GitLab becomes again what the export says (own_scopes: None for every scope that it holds).

    Nothing is deleted: what came after the export stays, and is told.
    """
    current = list(current)
    have = {variable.name: variable for variable in current}
    targets = [
        replace(_target(variable, have.get(variable.name)), pointer=variable.name in pointers)
        for variable in export.variables
    ]
    whole = variable_changes.planned(targets, current, export.environment)
    own = [c for c in whole.changes if own_scopes is None or c.name.scope in own_scopes]
    shared = tuple(c.name for c in whole.writes if c not in own)
    return PutBack(plan=SyncPlan(changes=tuple(own), warnings=_warnings(export, current, own_scopes)), shared=shared)


def _target(variable: Variable, before: Variable | None) -> Target:
    if variable.value is None:
        raise ValueError(f"the export has no value for {variable.name}")
    attributes: dict[str, str | bool] = {name: getattr(variable, name) for name in ATTRIBUTES if name != "value"}
    notes: tuple[str, ...] = ()
    if before is not None and before.hidden:
        attributes["masked"] = True
        notes = ("GitLab hides it now and for good: the value is put back unseen",)
    return Target(name=variable.name, value=variable.value, attributes=attributes, notes=notes)


def _warnings(export: Export, current: list[Variable], own_scopes: Collection[str] | None) -> tuple[str, ...]:
    known = {variable.name for variable in export.variables} | set(export.hidden)
    later = [
        str(v.name)
        for v in current
        if v.name not in known
        and (
            v.name.scope in own_scopes
            if own_scopes is not None
            else variable_scopes.covers(v.name.scope, export.environment)
        )
    ]
    gone = [str(name) for name in export.hidden if name not in {v.name for v in current}]
    return (
        *([f"not in the export, so left as they are: {', '.join(sorted(later))}"] if later else []),
        *([f"hidden when it was exported, so nobody can put them back: {', '.join(gone)}"] if gone else []),
    )
