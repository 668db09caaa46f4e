"""The texts that stand in a configuration for whoever reads it: defaults of variables, and what modules are called with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def literals(configuration: Mapping[str, Any]) -> frozenset[str]:
    """Return them, from every module. They may be secret: nothing of them may be printed."""
    return frozenset(_of_module(configuration.get("root_module") or {}))


def _of_module(module: Mapping[str, Any]) -> Iterator[str]:
    for variable in (module.get("variables") or {}).values():
        yield from _texts(variable.get("default"))
    for call in (module.get("module_calls") or {}).values():
        for expression in (call.get("expressions") or {}).values():
            if isinstance(expression, Mapping):
                yield from _texts(expression.get("constant_value"))
        yield from _of_module(call.get("module") or {})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
