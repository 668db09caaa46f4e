"""What is written in a Terraform configuration: known as it stands there, to come of a resource, or lost to whoever only reads.

The texts are those of checkov's parser (bc-python-hcl2): expressions stand in ${ }, and it drops parentheses. So nothing is
worked out here whose meaning they could change; that is lost, and a rule that asks for it cannot judge.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifeboat.decisions.policy.planned import Reference

Step = str | int
Path = tuple[Step, ...]  # what a reference goes through: ("var", "rules", "daily", "schedule")


@dataclass(frozen=True, kw_only=True)
class Known:
    """A text, number, truth value or null. `constant` where the value itself stands there, not a reference to it."""

    value: str | float | bool | None
    constant: bool = True


@dataclass(frozen=True, kw_only=True)
class Coming:
    """A value that these resources give once they are made."""

    references: frozenset[Reference]


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A value that is written, and that reading alone does not tell."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """A list."""

    parts: tuple[Worth, ...]


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A map or an object. Where a key is no text that is known, the whole is lost."""

    parts: Mapping[str, Worth] = field(hash=False)


Worth = Known | Coming | Lost | Items | Fields
LookUp = Callable[[Path], Worth]
LOST = Lost()
NULL = Known(value=None)

_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_STEP = re.compile(rf'\.({_NAME}|\d+)|\["((?:[^"\\$]|\\.)*)"\]|\[(\d+)\]')
_REFERENCE = re.compile(rf'{_NAME}(?:\.(?:{_NAME}|\d+)|\["(?:[^"\\$]|\\.)*"\]|\[\d+\])+')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ALIKE = re.compile(r"(?:toset|tolist|tomap)\((.*)\)", re.DOTALL)  # functions that change no value, only its type
_CHOICE = re.compile(r"([^?:]+)\?([^?:]+):([^?:]+)")
_WORDS: Mapping[str, Known] = {
    "true": Known(value=True),
    "True": Known(value=True),
    "false": Known(value=False),
    "False": Known(value=False),
    "null": NULL,
    "None": NULL,
}
_ESCAPED = re.compile(r'\\(u[0-9A-Fa-f]{4}|[nrt"\\])')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
# The parser drops the parentheses of {(local.key) = …}: such a key may be a text, and may be a reference.
_DOUBTFUL_KEY = re.compile(rf"(?:local|var|each|count|module|data|path|[a-z0-9]+_\w+)\.{_NAME}.*")


def nothing_known(_: Path) -> Worth:
    """Look up nothing: for what may hold no reference, such as a file of variables."""
    return LOST


def worth(raw: Any, look_up: LookUp = nothing_known) -> Worth:
    """Return what an attribute is worth, as the parser gives it."""
    if isinstance(raw, str):
        return _text(raw, look_up)
    if isinstance(raw, list):
        return Items(parts=tuple(worth(one, look_up) for one in raw))
    if isinstance(raw, Mapping):
        return _fields(raw, look_up)
    if raw is None or isinstance(raw, bool | int | float):
        return Known(value=raw)
    return LOST


def at(found: Worth, path: Path) -> Worth:
    """Return what stands at a place in a value; lost where nothing does."""
    for step in path:
        if isinstance(found, Coming):
            return found
        if isinstance(found, Fields) and str(step) in found.parts:
            found = found.parts[str(step)]
        elif isinstance(found, Items) and isinstance(step, int) and step < len(found.parts):
            found = found.parts[step]
        else:
            return LOST
    return found


def referred(raw: Any) -> tuple[str, ...]:
    """Return the reference that an attribute consists of, as a plan would list it; nothing where it is anything else."""
    found = re.fullmatch(r"\$\{(.*)\}", raw.strip()) if isinstance(raw, str) else None
    return (found[1],) if found and _REFERENCE.fullmatch(found[1]) else ()


def steps(reference: str) -> Path:
    """Return what a reference goes through."""
    head = re.match(_NAME, reference)
    if head is None:
        return ()
    found: list[Step] = [head.group()]
    for step in _STEP.finditer(reference, head.end()):
        name, key, number = step.groups()
        found.append(int(number) if number else int(name) if name and name.isdigit() else name or _unescaped(key))
    return tuple(found)


def _fields(raw: Mapping[str, Any], look_up: LookUp) -> Worth:
    found: dict[str, Worth] = {}
    for key, value in raw.items():
        name = _text(key, look_up) if isinstance(key, str) and not _DOUBTFUL_KEY.fullmatch(key) else LOST
        if not isinstance(name, Known) or name.value is None:
            return LOST
        found[_words(name.value)] = worth(value, look_up)
    return Fields(parts=found)


# -- texts -------------------------------------------------------------------------------------------------------------


def _text(raw: str, look_up: LookUp) -> Worth:
    if "%{" in raw:
        return LOST
    pieces = list(_pieces(raw))
    if len(pieces) == 1 and pieces[0][0]:
        return _expression(pieces[0][1], look_up)
    # In quotes no bare quote can stand: a text with one is a heredoc, in which nothing is escaped.
    heredoc = any(re.search(r'(?<!\\)"', text) for is_expression, text in pieces if not is_expression)
    references: frozenset[Reference] = frozenset()
    said: list[str] = []
    for is_expression, text in pieces:
        found = _expression(text, look_up) if is_expression else Known(value=text if heredoc else _unescaped(text))
        if isinstance(found, Coming):
            references |= found.references
        elif isinstance(found, Known) and found.value is not None:
            said.append(_words(found.value))
        else:
            return LOST
    if references:
        return Coming(references=references)
    return Known(value="".join(said), constant=not any(is_expression for is_expression, _ in pieces))


def _pieces(raw: str) -> Iterator[tuple[bool, str]]:
    """Yield the literal parts of a text and the expressions in ${ } between them."""
    begin = position = 0
    while (position := raw.find("${", position)) >= 0:
        if raw[:position].endswith("$"):  # $${ is the text ${
            position += 2
            continue
        if position > begin:
            yield False, raw[begin:position].replace("$${", "${")
        end = _closing(raw, position + 2)
        yield True, raw[position + 2 : end]
        begin = position = end + 1
    if begin < len(raw) or not raw:
        yield False, raw[begin:].replace("$${", "${")


def _closing(raw: str, begin: int) -> int:
    depth = 1
    for position in range(begin, len(raw)):
        depth += {"{": 1, "}": -1}.get(raw[position], 0)
        if depth == 0:
            return position
    return len(raw)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda one: _ESCAPES.get(one[1]) or chr(int(one[1][1:], 16)), text)


def _words(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:.15g}"


# -- expressions -------------------------------------------------------------------------------------------------------


def _expression(raw: str, look_up: LookUp) -> Worth:
    text = raw.strip()
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return Known(value=float(text) if "." in text else int(text))
    if _REFERENCE.fullmatch(text):
        return _not_constant(look_up(steps(text)))
    if quoted := _QUOTED.fullmatch(text):
        return _text(quoted[1], look_up)
    if alike := _ALIKE.fullmatch(text):
        return _expression(alike[1], look_up)
    if text[:1] in ("[", "{"):
        return _written_out(text, look_up)
    if choice := _CHOICE.fullmatch(text):
        return _chosen(choice[1].strip(), choice[2], choice[3], look_up)
    return LOST


def _written_out(text: str, look_up: LookUp) -> Worth:
    """Return what a list or an object is worth that stands within an expression: the parser prints it as Python's own."""
    try:
        return worth(ast.literal_eval(text), look_up)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return LOST


def _chosen(condition: str, then: str, other: str, look_up: LookUp) -> Worth:
    # A comparison before the ? could as well be one with what is chosen: the parentheses are gone.
    found = _expression(condition, look_up) if _REFERENCE.fullmatch(condition) else LOST
    if not isinstance(found, Known) or not isinstance(found.value, bool):
        return LOST
    chosen = then if found.value else other
    return _expression(chosen, look_up)


def _not_constant(found: Worth) -> Worth:
    return Known(value=found.value, constant=False) if isinstance(found, Known) else found
