"""Where a value of a configuration comes from: through variables, outputs and `each.value` to the resources that give it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lifeboat.decisions.policy.planned import NOWHERE, BlockAddress, Origin

ModulePath = tuple[str, ...]  # names of the modules from the root down

_PART = re.compile(r'([A-Za-z_][A-Za-z0-9_-]*)((?:\[(?:"(?:[^"\\]|\\.)*"|[^\]"]*)\])*)\.?')
_NOTHING = frozenset({"path", "terraform", "self", "count"})


class Tracer:
    """The configuration of one plan, and what was already found in it."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self._root: Mapping[str, Any] = _mapping(configuration.get("root_module"))
        self._found: dict[tuple[ModulePath, str, str], Origin] = {}
        self._modules: dict[ModulePath, Mapping[str, Any]] = {(): self._root}
        self._blocks: dict[tuple[ModulePath, str], Mapping[str, Any]] = {}
        for path, module in self._walk((), self._root):
            self._modules[path] = module
            for resource in module.get("resources", []):
                self._blocks[path, _short(resource)] = resource

    def block(self, path: ModulePath, short: str) -> Mapping[str, Any]:
        """Return a resource as the configuration writes it, empty where it does not (a resource that goes)."""
        return self._blocks.get((path, short), {})

    def origin(self, path: ModulePath, expression: Any, each: Any) -> Origin:
        """Return which resources an expression in a module takes its value from; `each` is what `for_each` goes through."""
        return _union(self._reference(path, reference, each) for reference in _specific(_references(expression)))

    def _walk(self, path: ModulePath, module: Mapping[str, Any]) -> Iterator[tuple[ModulePath, Mapping[str, Any]]]:
        yield path, module
        for name, call in module.get("module_calls", {}).items():
            yield from self._walk((*path, name), _mapping(call.get("module")))

    def _reference(self, path: ModulePath, reference: str, each: Any) -> Origin:
        parts = [found[1] for found in _PART.finditer(reference)]
        if not parts or parts[0] in _NOTHING:
            return NOWHERE
        if parts[0] == "local":
            return Origin(lost=True)
        if parts[0] == "each":
            # What its for_each goes through cannot hold `each` again.
            return self.origin(path, each, None) if parts[1:2] == ["value"] else NOWHERE
        if parts[0] == "var" and len(parts) > 1:
            return self._once(path, "var", parts[1])
        if parts[0] == "module" and len(parts) > 1:
            return self._once(path, "module", ".".join(parts[1:3]))
        length = 3 if parts[0] == "data" else 2
        if len(parts) < length:
            return NOWHERE
        return Origin(blocks=frozenset([address_of(path, ".".join(parts[:length]))]))

    def _once(self, path: ModulePath, kind: str, name: str) -> Origin:
        place = (path, kind, name)
        if place not in self._found:
            self._found[place] = NOWHERE  # Terraform allows no circle; a damaged document may hold one
            self._found[place] = self._variable(path, name) if kind == "var" else self._output(path, name)
        return self._found[place]

    def _variable(self, path: ModulePath, name: str) -> Origin:
        if not path:
            return NOWHERE  # an input of the whole plan is known
        call = _mapping(_mapping(self._modules.get(path[:-1], {}).get("module_calls")).get(path[-1]))
        expression = _mapping(call.get("expressions")).get(name)
        return self.origin(path[:-1], expression, call.get("for_each_expression"))

    def _output(self, path: ModulePath, name: str) -> Origin:
        module, _, output = name.partition(".")
        outputs = _mapping(self._modules.get((*path, module), {}).get("outputs"))
        wanted = [outputs[output]] if output in outputs else list(outputs.values())
        return _union(self.origin((*path, module), _mapping(one).get("expression"), None) for one in wanted)


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


def _specific(references: Iterator[str]) -> list[str]:
    """Leave out what another reference names more closely: a plan lists module.a.out, module.a and so on."""
    found = sorted(set(references))
    return [
        one for one in found if not any(other != one and other.startswith((f"{one}.", f"{one}[")) for other in found)
    ]


def _union(origins: Iterator[Origin]) -> Origin:
    blocks: frozenset[BlockAddress] = frozenset()
    lost = False
    for origin in origins:
        blocks, lost = blocks | origin.blocks, lost or origin.lost
    return Origin(blocks=blocks, lost=lost)


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
