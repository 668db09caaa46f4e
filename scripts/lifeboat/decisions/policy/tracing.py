"""Where a value of a configuration comes from: through variables, outputs and `each.value` to the resources that give it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lifeboat.decisions.policy.planned import NOWHERE, BlockAddress, Key, Keys, Origin, Reference, Which, mapping

ModulePath = tuple[str, ...]  # names of the modules from the root down

_PART = re.compile(r'([A-Za-z_][A-Za-z0-9_-]*)((?:\[(?:"(?:[^"\\]|\\.)*"|[^\]"]*)\])*)\.?')
_KEY = re.compile(r'\[("(?:[^"\\]|\\.)*"|\d+)\]')
_BRACKETS = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|[^\]"]*)\]')
_NOTHING = frozenset({"path", "terraform", "self", "count"})
_Part = tuple[str, Key | Which]  # a name of a reference, with the key that follows it


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where an expression stands: in which instance of which resource, and what its `for_each` goes through."""

    path: ModulePath
    keys: Keys
    each: Any = None


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A resource that is referred to, with the keys that the reference tells, from the root down.

    `alike` where the key is the one of whoever refers: each.key, each.value, count.index.
    """

    path: ModulePath
    short: str
    keys: tuple[Key | Which, ...]
    alike: bool


@dataclass(frozen=True, kw_only=True)
class _Trace:
    found: frozenset[_Found] = frozenset()
    lost: bool = False


_NO_TRACE = _Trace()


class Tracer:
    """The configuration of one plan with the instances in it, and what was already found there."""

    def __init__(self, configuration: Mapping[str, Any], instances: Iterable[tuple[BlockAddress, Keys]]) -> None:
        self._root: Mapping[str, Any] = mapping(configuration.get("root_module"))
        self._found: dict[tuple[ModulePath, str, str], _Trace] = {}
        self._modules: dict[ModulePath, Mapping[str, Any]] = {(): self._root}
        self._blocks: dict[tuple[ModulePath, str], Mapping[str, Any]] = {}
        self._levels: dict[BlockAddress, list[set[Key]]] = defaultdict(list)  # which keys there are, module by module
        for path, module in self._walk((), self._root):
            self._modules[path] = module
            for resource in module.get("resources", []):
                self._blocks[path, _short(resource)] = resource
        for block, keys in instances:
            levels = self._levels[block]
            levels += [set() for _ in range(len(keys) - len(levels))]
            for level, key in zip(levels, keys, strict=False):
                level.add(key)

    def block(self, path: ModulePath, short: str) -> Mapping[str, Any]:
        """Return a resource as the configuration writes it, empty where it does not (a resource that goes)."""
        return self._blocks.get((path, short), {})

    def origin(self, standing: Standing, expression: Any) -> Origin:
        """Return which resources an expression takes its value from."""
        trace = self._trace(standing.path, expression, standing.each)
        if not trace.found:
            return Origin(lost=True) if trace.lost else NOWHERE
        return Origin(references=frozenset(self._resolved(trace.found, standing)), lost=trace.lost)

    def _resolved(self, found: Iterable[_Found], standing: Standing) -> Iterator[Reference]:
        """Yield what is referred to, with the keys that follow from where the expression stands."""
        named: dict[tuple[BlockAddress, bool], list[tuple[Key | Which, ...]]] = defaultdict(list)
        for one in found:
            named[address_of(one.path, one.short), one.alike].append(self._keys(one, standing))
        for (block, alike), several in named.items():
            # Of a map that for_each goes through, each.value is what has the key of whoever refers.
            own = [keys for keys in several if keys[-1] == standing.keys[-1] is not None]
            for keys in own if alike and own else several:
                yield Reference(block=block, keys=keys)

    def _keys(self, one: _Found, standing: Standing) -> tuple[Key | Which, ...]:
        """Return the keys of a reference. Modules that both stand in are the same; what is alike has one of the own keys."""
        common = 0
        while one.path[common : common + 1] == standing.path[common : common + 1] != ():
            common += 1
        levels = self._levels.get(address_of(one.path, one.short), [])
        own = [key for key in reversed(standing.keys[common:]) if key is not None] if one.alike else []
        keys: list[Key | Which] = []
        for level, told in enumerate(one.keys):
            there = levels[level] if level < len(levels) else set()
            if told is not Which.ANY:
                keys.append(told)
            elif level < common:
                keys.append(standing.keys[level])
            elif len(there) == 1:
                keys.append(next(iter(there)))
            else:
                keys.append(next((key for key in own if key in there), Which.ANY))
        return tuple(keys)

    def _trace(self, path: ModulePath, expression: Any, each: Any) -> _Trace:
        parts = [_parts(head) for head in heads(_references(expression))]
        alike = any(one[0][0] in ("each", "count") for one in parts if one)
        trace = _union(self._reference(path, one, each) for one in parts)
        return _alike(trace) if alike else trace

    def _walk(self, path: ModulePath, module: Mapping[str, Any]) -> Iterator[tuple[ModulePath, Mapping[str, Any]]]:
        yield path, module
        for name, call in module.get("module_calls", {}).items():
            yield from self._walk((*path, name), mapping(call.get("module")))

    def _reference(self, path: ModulePath, parts: list[_Part], each: Any) -> _Trace:
        names = [name for name, _ in parts]
        if not names or names[0] in _NOTHING:
            return _NO_TRACE
        if names[0] == "local":
            return _Trace(lost=True)
        if names[0] == "each":
            # What its for_each goes through cannot hold `each` again.
            return _alike(self._trace(path, each, None)) if names[1:2] == ["value"] else _NO_TRACE
        if names[0] == "var" and len(names) > 1:
            return self._once(path, "var", names[1])
        if names[0] == "module" and len(names) > 1:
            return _called(self._once(path, "module", ".".join(names[1:3])), (*path, names[1]), parts[1][1])
        length = 3 if names[0] == "data" else 2
        if len(names) < length:
            return _NO_TRACE
        keys: tuple[Key | Which, ...] = (*(Which.ANY for _ in path), parts[length - 1][1])
        return _Trace(
            found=frozenset([_Found(path=path, short=".".join(names[:length]), keys=keys, alike=False)]),
        )

    def _once(self, path: ModulePath, kind: str, name: str) -> _Trace:
        place = (path, kind, name)
        if place not in self._found:
            self._found[place] = _NO_TRACE  # Terraform allows no circle; a damaged document may hold one
            self._found[place] = self._variable(path, name) if kind == "var" else self._output(path, name)
        return self._found[place]

    def _variable(self, path: ModulePath, name: str) -> _Trace:
        if not path:
            return _NO_TRACE  # an input of the whole plan is known
        call = mapping(mapping(self._modules.get(path[:-1], {}).get("module_calls")).get(path[-1]))
        expression = mapping(call.get("expressions")).get(name)
        return self._trace(path[:-1], expression, call.get("for_each_expression"))

    def _output(self, path: ModulePath, name: str) -> _Trace:
        module, _, output = name.partition(".")
        outputs = mapping(self._modules.get((*path, module), {}).get("outputs"))
        wanted = [outputs[output]] if output in outputs else list(outputs.values())
        return _union(self._trace((*path, module), mapping(one).get("expression"), None) for one in wanted)


def address_of(path: ModulePath, short: str) -> BlockAddress:
    """Return the address of a resource in the configuration, from its module and its short name."""
    return BlockAddress("".join(f"module.{name}." for name in path) + short)


def _short(resource: Mapping[str, Any]) -> str:
    name = f"{resource.get('type')}.{resource.get('name')}"
    return f"data.{name}" if resource.get("mode") == "data" else name


def _references(expression: Any) -> Iterator[str]:
    """Yield every reference of an expression, and of the expressions in the blocks below it."""
    if isinstance(expression, Mapping):
        for name, value in expression.items():
            if name == "references" and isinstance(value, list):
                yield from (reference for reference in value if isinstance(reference, str))
            elif name != "constant_value":
                yield from _references(value)
    elif isinstance(expression, list):
        for element in expression:
            yield from _references(element)


def heads(references: Iterable[str]) -> Iterator[str]:
    """Yield the references without what each is followed by: a plan lists x.y["a"].id, then x.y["a"], then x.y."""
    before = ""
    for one in references:
        if not before.startswith((f"{one}.", f"{one}[")):
            yield one
        before = one


def steps(reference: str) -> list[str]:
    """Return the names that a reference goes through: var.regions["dr"] is var, regions, dr."""
    found: list[str] = []
    for name, keys in _PART.findall(reference):
        found += [name, *(str(key) for text in _BRACKETS.findall(keys) if (key := _key(text)) is not Which.ANY)]
    return found


def _parts(reference: str) -> list[_Part]:
    return [(found[1], _key(found[2])) for found in _PART.finditer(reference)]


def _key(text: str) -> Key | Which:
    found = _KEY.match(text)
    if found is None:
        return Which.ANY
    try:
        key: str | int = json.loads(found[1])
    except ValueError:
        return Which.ANY  # an escape that only HCL knows
    return key


def _called(trace: _Trace, path: ModulePath, key: Key | Which) -> _Trace:
    """Return what an output gives of one call of its module, where the reference tells which."""
    if key is Which.ANY:
        return trace
    level = len(path) - 1
    found = frozenset(
        replace(one, keys=(*one.keys[:level], key, *one.keys[level + 1 :])) if one.path[: level + 1] == path else one
        for one in trace.found
    )
    return replace(trace, found=found)


def _alike(trace: _Trace) -> _Trace:
    return replace(trace, found=frozenset(replace(one, alike=True) for one in trace.found))


def _union(traces: Iterable[_Trace]) -> _Trace:
    found: frozenset[_Found] = frozenset()
    lost = False
    for trace in traces:
        found, lost = found | trace.found, lost or trace.lost
    return _Trace(found=found, lost=lost)
