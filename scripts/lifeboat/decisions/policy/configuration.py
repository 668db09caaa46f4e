"""A Terraform configuration as it is written, with the modules that it calls: what a parser of HCL gives, put in order."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifeboat.decisions.policy.expressions import LOST, NULL, Fields, Items, Worth, worth

Body = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A module block; `module` is None where what it calls cannot be read: it comes from a registry or another repository."""

    body: Body
    module: Module | None


@dataclass(frozen=True, kw_only=True)
class Module:
    """One folder of a configuration. It is not `whole` where it has files that the parser does not read as Terraform does."""

    resources: Mapping[tuple[str, str], Body] = field(default_factory=dict)
    variables: Mapping[str, Body] = field(default_factory=dict)
    local_values: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    providers: Mapping[str, Body] = field(default_factory=dict)  # by what resources call them: aws, aws.dr
    calls: Mapping[str, Call] = field(default_factory=dict)
    whole: bool = True


def module(files: Iterable[Mapping[str, Any]], called: Callable[[str], Module | None], *, whole: bool = True) -> Module:
    """Return the module that these parsed files make up. `called` gives the module of a source, such as ../../modules/x."""
    documents = list(files)
    return Module(
        resources={
            (kind, name): body
            for block in _blocks(documents, "resource")
            for kind, named in _named(block)
            for name, body in _named(named)
        },
        variables=dict(_each_named(documents, "variable")),
        local_values={name: value for block in _blocks(documents, "locals") for name, value in _attributes(block)},
        outputs={name: only(body, "value") for name, body in _each_named(documents, "output")},
        providers={_provider(name, body): body for name, body in _each_named(documents, "provider")},
        calls={
            name: Call(body=body, module=called(str(only(body, "source"))))
            for name, body in _each_named(documents, "module")
        },
        whole=whole,
    )


def only(body: Body, name: str) -> Any:
    """Return the value of an attribute as the parser gives it: each is wrapped in a list."""
    found = body.get(name)
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def _provider(name: str, body: Body) -> str:
    alias = only(body, "alias")
    return f"{name}.{alias}" if isinstance(alias, str) else name


def _blocks(documents: list[Mapping[str, Any]], kind: str) -> Iterator[Body]:
    for document in documents:
        yield from (one for one in document.get(kind, []) if isinstance(one, Mapping))


def _named(block: Body) -> Iterator[tuple[str, Body]]:
    for name, body in block.items():
        if isinstance(body, Mapping) and not name.startswith("__"):
            yield name.strip('"'), body


def _each_named(documents: list[Mapping[str, Any]], kind: str) -> Iterator[tuple[str, Body]]:
    for block in _blocks(documents, kind):
        yield from _named(block)


def _attributes(block: Body) -> Iterator[tuple[str, Any]]:
    for name in block:
        if not name.startswith("__"):
            yield name, only(block, name)


# -- what a variable is given ------------------------------------------------------------------------------------------

_TYPE = re.compile(r"(\w+)\((.*)\)", re.DOTALL)


def default(variable: Body) -> Worth:
    """Return what a variable is worth that nobody gives anything; lost where it must be given."""
    return as_declared(worth(only(variable, "default")), variable) if "default" in variable else LOST


def as_declared(given: Worth, variable: Body) -> Worth:
    """Return a value with what the variable's type adds: defaults of its optional attributes, null for those without one."""
    if given == NULL and only(variable, "nullable") is False and "default" in variable:
        given = worth(only(variable, "default"))
    return _completed(given, _bare(only(variable, "type")))


def _bare(written: Any) -> Any:
    """Return a type without the ${ } that the parser puts around it."""
    found = re.fullmatch(r"\$\{(.*)\}", written.strip(), re.DOTALL) if isinstance(written, str) else None
    return found[1] if found else written


def _completed(given: Worth, kind: Any) -> Worth:
    found = _TYPE.fullmatch(kind) if isinstance(kind, str) else None
    if found is None:
        return given
    name, inner = found.groups()
    if name == "object":
        attributes = _literal(inner)
        return _object(given, attributes) if isinstance(attributes, Mapping) else given
    element = _literal(inner) if inner[:1] in ("'", '"') else inner
    if name == "map" and isinstance(given, Fields):
        return Fields(parts={key: _completed(one, _bare(element)) for key, one in given.parts.items()})
    if name in ("list", "set") and isinstance(given, Items):
        return Items(parts=tuple(_completed(one, _bare(element)) for one in given.parts))
    return given


def _object(given: Worth, attributes: Mapping[str, Any]) -> Worth:
    if not isinstance(given, Fields):
        return given
    parts: dict[str, Worth] = {}
    for name, written in attributes.items():
        kind, otherwise = _optional(_bare(written))
        value = given.parts.get(name, NULL)
        if value == NULL and otherwise is not None:
            value = worth(otherwise)
        parts[name] = _completed(value, kind)
    return Fields(parts=parts)


def _optional(kind: Any) -> tuple[Any, Any]:
    """Return the type of an attribute, and its default: None where it has none."""
    found = _TYPE.fullmatch(kind) if isinstance(kind, str) else None
    if found is None or found[1] != "optional":
        return kind, None
    inner, otherwise = _split(found[2])
    return inner, None if otherwise is None else _default_of(otherwise)


def _split(arguments: str) -> tuple[str, str | None]:
    """Return the two arguments of optional( ): the type, and its default where there is one."""
    depth, quote, escaped = 0, "", False
    for position, letter in enumerate(arguments):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            return arguments[:position].strip(), arguments[position + 1 :].strip()
    return arguments.strip(), None


def _default_of(text: str) -> Any:
    """Return a default as the parser gives attributes: lists and objects as such, all else as an expression."""
    found = _literal(text) if text[:1] in ("[", "{") else None
    return f"${{{text}}}" if found is None else found


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
