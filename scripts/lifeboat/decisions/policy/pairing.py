"""Which block of a plan's values is written as which block of its configuration: of a set, both have an order of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def paired(values: Mapping[str, Any], expressions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the expressions of a resource or block with those of the blocks in it in the order of the values.

    None stands for the expressions of a block where two could be it: what is written there is lost. The values of a set come
    in the order of the provider's hashes, the configuration in that of the file (a plan of provider 5.100 with two rules).
    """
    changed = {
        name: _of_blocks(values[name], written)
        for name, written in expressions.items()
        if isinstance(written, list) and isinstance(values.get(name), list) and len(written) == len(values[name])
    }
    return {**expressions, **changed} if changed else expressions


def _of_blocks(bodies: Sequence[Any], written: Sequence[Any]) -> list[Any]:
    if len(bodies) == 1:
        found: list[Any] = list(written)
    else:
        chosen = _chosen(
            [[number for number, one in enumerate(written) if _fits(body, one)] for body in bodies], written
        )
        found = [None if number is None else written[number] for number in chosen]
    return [
        paired(body, one) if isinstance(body, Mapping) and isinstance(one, Mapping) else one
        for body, one in zip(bodies, found, strict=True)
    ]


def _chosen(fitting: list[list[int]], written: Sequence[Any]) -> list[int | None]:
    """Return for each body which of the written blocks it is, None where more than one is left to it."""
    chosen: list[int | None] = [None] * len(fitting)
    open_ = {body: set(numbers) for body, numbers in enumerate(fitting)}
    while True:
        body, number = next(_certain(open_), (None, None))
        if body is None or number is None:
            break
        chosen[body] = number
        del open_[body]
        for numbers in open_.values():
            numbers.discard(number)
    for body, numbers in open_.items():
        # Blocks that are written alike need not be told apart.
        if numbers and all(written[number] == written[min(numbers)] for number in numbers):
            chosen[body] = min(numbers)
    return chosen


def _certain(open_: Mapping[int, set[int]]) -> Any:
    """Yield a body with the only written block that is left to it, or a written block with the only body that it fits."""
    for body, numbers in open_.items():
        if len(numbers) == 1:
            yield body, next(iter(numbers))
    for number in sorted({number for numbers in open_.values() for number in numbers}):
        bodies = [body for body, numbers in open_.items() if number in numbers]
        if len(bodies) == 1:
            yield bodies[0], number


def _fits(body: Any, written: Any) -> bool:
    """Return whether everything that is written as a constant is what the body has."""
    if not isinstance(body, Mapping) or not isinstance(written, Mapping):
        return False
    return all(_same(body.get(name), expression) for name, expression in written.items())


def _same(value: Any, expression: Any) -> bool:
    if isinstance(expression, list):
        blocks = value if isinstance(value, list) else []
        return len(blocks) >= len(expression) and all(any(_fits(one, each) for one in blocks) for each in expression)
    if not isinstance(expression, Mapping) or "constant_value" not in expression:
        return True
    return _plain(value) == _plain(expression["constant_value"])


def _plain(value: Any) -> str:
    """Return a value as Terraform converts it: 35 and "35" are one, and so are true and "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)
