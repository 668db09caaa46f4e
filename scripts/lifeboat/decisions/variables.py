"""What a GitLab variable shall be: its value from the stack's output, whether it can be masked, and who keeps it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lifeboat.gitlab_model import Masking, Target, Variable, VariableName, Wish
from lifeboat.model import Secret

# GitLab's documentation of limits; its code checks none for project variables, and a runner passes on far more.
LONGEST_VALUE = 10_000
LONGEST_DESCRIPTION = 255  # app/models/ci/variable.rb
# app/models/concerns/ci/maskable.rb: for raw=false, and for raw=true, where Ruby's \S knows ASCII's blanks alone.
_MASKABLE_EXPANDED = re.compile(r"[a-zA-Z0-9_+=/@:.~-]{8,}")
_MASKABLE_RAW = re.compile(r"\S{8,}", re.ASCII)
_BLANK = re.compile(r"\s", re.ASCII)
_SHORTEST_MASKED = 8


# -- values ------------------------------------------------------------------------------------------------------------


def rendered(outputs: Mapping[str, object], path: str) -> Secret | str:
    """Return what an output says as text, or why it says nothing, in words."""
    found: object = outputs
    for part in path.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, Sequence) and not isinstance(found, str) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return f"the stack's output recovery has no {path}"
    if found is None:
        return f"the stack's output recovery.{path} is null"
    if isinstance(found, str):
        return Secret(found)
    return Secret(json.dumps(found, separators=(",", ":"), ensure_ascii=False))


def _unfit(value: Secret) -> str | None:
    """Return why no variable can have this value."""
    if not value:
        return "its value is empty"
    if len(value) > LONGEST_VALUE:
        return f"its value has {len(value)} characters, and GitLab takes {LONGEST_VALUE} at most"
    return "its value contains a NUL, which no environment variable can hold" if "\0" in value.reveal() else None


def unmaskable(wish: Wish, value: Secret) -> str | None:
    """Return why GitLab would refuse to mask a value; None when it would not. GitLab itself only says "is invalid"."""
    text = value.reveal()
    if (_MASKABLE_RAW if wish.raw else _MASKABLE_EXPANDED).fullmatch(text):
        return None
    if _BLANK.search(text):
        return "it contains white space (blanks or line breaks)"
    if len(text) < _SHORTEST_MASKED:
        return f"it has fewer than {_SHORTEST_MASKED} characters"
    return "it contains other characters than letters, digits and _+=/@:.~- (raw = true allows any but white space)"


# -- who keeps a variable ----------------------------------------------------------------------------------------------


def marker(environment: str) -> str:
    """Return what the description of a variable says that lifeboat keeps for an environment."""
    return f"managed-by: lifeboat/{environment}"


def is_ours(variable: Variable, environment: str) -> bool:
    """Return whether a variable bears the marker of this environment, to the last letter."""
    return re.search(rf"(?<!\S){re.escape(marker(environment))}(?!\S)", variable.description) is not None


def _described(wish: Wish, before: Variable | None, environment: str) -> str:
    """Return the description with our marker; one that leaves no room for it stays as it is."""
    if wish.description is None and before is not None and is_ours(before, environment):
        return before.description
    said = wish.description if wish.description is not None else before.description if before is not None else ""
    marked = f"{said} {marker(environment)}".strip()
    return marked if len(marked) <= LONGEST_DESCRIPTION else said


# -- targets -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the variables shall be; with mistakes, nothing may be written."""

    targets: tuple[Target, ...]
    mistakes: tuple[str, ...]


def targets(wishes: Iterable[tuple[Wish, Secret]], current: Iterable[Variable], environment: str) -> Targets:
    """Return what each variable shall be, given what GitLab has, and everything that forbids it."""
    have = {variable.name: variable for variable in current}
    made: list[Target] = []
    mistakes: list[str] = []
    seen: set[VariableName] = set()
    for wish, value in wishes:
        before = have.get(wish.name)
        wrong = [
            *(["there is more than one entry for it"] if wish.name in seen else []),
            *filter(None, [_unfit(value), _unhideable(wish, before)]),
        ]
        seen.add(wish.name)
        masked = _masked(wish, value, before)
        if masked.mistake:
            wrong.append(masked.mistake)
        mistakes += [f"{wish.name}: {reason}" for reason in wrong]
        if not wrong:
            made.append(_target(wish, value, before, masked, environment))
    return Targets(targets=tuple(made), mistakes=tuple(mistakes))


def _target(wish: Wish, value: Secret, before: Variable | None, masked: _Masked, environment: str) -> Target:
    notes = [masked.note] if masked.note else []
    if before is not None and before.hidden and not wish.hidden:
        notes.append("GitLab hides it for good: it cannot be compared, exported or put back")
    attributes: dict[str, str | bool] = {
        "variable_type": wish.variable_type,
        "raw": wish.raw,
        "masked": masked.masked,
        "description": _described(wish, before, environment),
    }
    if wish.protected is not None:
        attributes["protected"] = wish.protected
    if marker(environment) not in attributes["description"]:  # type: ignore[operator]
        notes.append("its description leaves no room for the marker, so it is never pruned")
    return Target(
        name=wish.name,
        value=value,
        attributes=attributes,
        hidden=wish.hidden,
        pointer=wish.pointer,
        notes=tuple(notes),
    )


def _unhideable(wish: Wish, before: Variable | None) -> str | None:
    if before is None or before.hidden == wish.hidden:
        return None
    if wish.hidden:
        return (
            "it exists and can be seen, and GitLab hides new variables alone: delete it there first, or write"
            " hidden = false"
        )
    if wish.masked is Masking.NEVER:
        return 'GitLab hides it for good and masks what it hides: delete it there first, or leave out masked = "never"'
    return None


@dataclass(frozen=True, kw_only=True)
class _Masked:
    masked: bool = False
    note: str = ""
    mistake: str = ""


def _masked(wish: Wish, value: Secret, before: Variable | None) -> _Masked:
    """Return whether to mask a value. What must be masked and cannot be is a mistake, never quietly shown."""
    if wish.masked is Masking.NEVER:
        return _Masked()
    reason = unmaskable(wish, value)
    if reason is None:
        return _Masked(masked=True)
    if wish.hidden:
        why = "what is hidden is masked too"
    elif wish.masked is Masking.REQUIRE:
        why = 'its entry says masked = "require"'
    elif wish.sensitive:
        why = f"{wish.source} is secret"
    elif before is not None and before.masked:
        why = "it is masked in GitLab now"
    else:
        return _Masked(note=f"not masked: {reason}")
    return _Masked(mistake=f'cannot be masked: {reason}; {why}. Write masked = "never" to have it shown in job logs')
