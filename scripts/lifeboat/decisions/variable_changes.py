"""From what GitLab has to what it shall have: the changes, their order, the way back, and whether it was reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lifeboat.decisions import variable_scopes, variables
from lifeboat.gitlab_model import ATTRIBUTES, Doing, SyncPlan, Target, Variable, VariableChange

# The less can be put back, the later it is done: nobody can read a hidden value, so nobody can put it back.
_IRREVERSIBLE = 2
_TURN = {Doing.KEEP: 0, Doing.CREATE: 0, Doing.UPDATE: 0, Doing.DELETE: 1, Doing.REWRITE: _IRREVERSIBLE}


# -- forward -----------------------------------------------------------------------------------------------------------


def planned(targets: Iterable[Target], current: Iterable[Variable], environment: str) -> SyncPlan:
    """Return what must be written so that each target holds; variables without a target are left alone."""
    targets, current = list(targets), list(current)
    have = {variable.name: variable for variable in current}
    changes = [_change(target, have.get(target.name)) for target in targets]
    return SyncPlan(changes=in_order(changes), warnings=variable_scopes.collisions(targets, current, environment))


def pruned(plan: SyncPlan, current: Iterable[Variable], environment: str) -> SyncPlan:
    """Return the plan with the deletes of what lifeboat keeps for this environment and nothing asks for any more."""
    asked = {change.name for change in plan.changes}
    deletes = [
        VariableChange(name=v.name, doing=Doing.DELETE, before=v, after=None, notes=("nothing asks for it any more",))
        for v in current
        if v.name not in asked and variables.is_ours(v, environment)
    ]
    return replace(plan, changes=in_order([*plan.changes, *deletes]))


def in_order(changes: Iterable[VariableChange]) -> tuple[VariableChange, ...]:
    """Return changes in the order of writing: pointers last, so that what they point at is ready when they change."""

    def turn(change: VariableChange) -> tuple[bool, int]:
        lost = change.doing is Doing.DELETE and change.before is not None and change.before.hidden
        return change.pointer, _IRREVERSIBLE if lost else _TURN[change.doing]

    return tuple(sorted(changes, key=turn))


def _change(target: Target, before: Variable | None) -> VariableChange:
    asked = dict(target.attributes)
    if target.hidden:
        asked["masked"] = True
    if before is None:
        after = replace(Variable(name=target.name, value=target.value, hidden=target.hidden), **asked)  # type: ignore[arg-type]
        return _with(target, Doing.CREATE, before, after)
    after = replace(before, value=target.value, **asked)  # type: ignore[arg-type]
    if before.hidden:
        return _with(target, Doing.REWRITE, before, after)
    return _with(target, Doing.KEEP if after == before else Doing.UPDATE, before, after)


def _with(target: Target, doing: Doing, before: Variable | None, after: Variable) -> VariableChange:
    return VariableChange(
        name=target.name,
        doing=doing,
        before=before,
        after=after,
        attributes=_written(before, after),
        pointer=target.pointer,
        notes=target.notes,
    )


def _written(before: Variable | None, after: Variable) -> tuple[str, ...]:
    if before is None:
        return ATTRIBUTES
    return tuple(name for name in ATTRIBUTES if getattr(before, name) != getattr(after, name))


# -- what is there -----------------------------------------------------------------------------------------------------


def same(found: Variable | None, expected: Variable | None) -> bool:
    """Return whether a variable is as expected, as far as GitLab shows it: of a hidden one, all but the value."""
    if found is None or expected is None:
        return found is expected
    if found.hidden and expected.hidden:
        return replace(found, value=None) == replace(expected, value=None)
    return found == expected


def unlike(found: Variable | None, expected: Variable | None) -> str:
    """Return in words how a variable is not as expected, with no value in them; nothing when it is."""
    if same(found, expected):
        return ""
    if found is None:
        return "is not there"
    if expected is None:
        return "is still there"
    if found.hidden and expected.hidden:
        found = replace(found, value=expected.value)
    differing = [name for name in (*ATTRIBUTES, "hidden") if getattr(found, name) != getattr(expected, name)]
    return f"has another {', '.join(differing)}"


def missed(changes: Iterable[VariableChange], listed: Iterable[Variable]) -> tuple[str, ...]:
    """Return what is not as it was to be once all changes are made, one line for each variable."""
    have = {variable.name: variable for variable in listed}
    found = [(change.name, unlike(have.get(change.name), change.after)) for change in changes]
    return tuple(f"{name} {words}" for name, words in found if words)


# -- back --------------------------------------------------------------------------------------------------------------


def back(change: VariableChange) -> VariableChange | None:
    """Return the change that takes this one back as far as it can be; None when nothing of it can."""
    before, after = change.before, change.after
    if before is None:
        return replace(change, doing=Doing.DELETE, before=after, after=None, attributes=())
    if after is None:
        if before.hidden:
            return None
        return replace(change, doing=Doing.CREATE, before=None, after=before, attributes=ATTRIBUTES)
    attributes = tuple(name for name in change.attributes if name != "value" or not before.hidden)
    return (
        replace(change, doing=Doing.UPDATE, before=after, after=before, attributes=attributes) if attributes else None
    )


def for_good(change: VariableChange) -> bool:
    """Return whether this change loses a value that nobody can put back: that of a hidden variable."""
    return change.before is not None and change.before.hidden and (change.after is None or "value" in change.attributes)
