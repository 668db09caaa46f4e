"""Events that are made up for a rule: they match its pattern, and its message shows which test they are of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lifeboat.alarm_model import TEST_SOURCE, Event, Rule, Target
from lifeboat.errors import NothingFits

_STEP = re.compile(r"\.([A-Za-z0-9_\-]+)|\['([^']+)'\]|\[(\d+)\]")
_LEFT_OUT = object()
_MARK = "test"  # in a message where the whole text would stand a second time


def event(rule: Rule, targets: Sequence[Target], text: str) -> Event:
    """Return an event that the rule takes, with `text` where the messages of these targets show it.

    Raises NothingFits where none can be made, with the reason.
    """
    try:
        pattern = json.loads(rule.pattern)
    except ValueError:
        raise NothingFits("its pattern is not JSON") from None
    sources = pattern.get("source", [TEST_SOURCE])
    if TEST_SOURCE not in sources:
        raise NothingFits(f"its pattern does not take events of {TEST_SOURCE}, only of {_words(sources)}")
    detail = _object(pattern.get("detail", {}), text)
    for target in targets:
        _mark(detail, target, text, _MARK if len(targets) == 1 else text)
    detail_type = _one(pattern.get("detail-type", ["lifeboat test"]), text)
    resources = _one(pattern.get("resources", []), text) if pattern.get("resources") else None
    return Event(
        detail_type=str(detail_type),
        detail=json.dumps(detail),
        resources=() if resources is None else (str(resources),),
    )


# -- what a pattern takes ("Event patterns", comparison operators, in the EventBridge manual) ----------------------------


def _object(pattern: Mapping[str, Any], text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, wanted in pattern.items():
        if name == "$or":
            # One alternative is enough, and what stands beside it must hold as well.
            found |= _object(wanted[0], text)
            continue
        value = _object(wanted, text) if isinstance(wanted, dict) else _one(wanted, text)
        if value is not _LEFT_OUT:
            found[name] = value
    return found


def _one(wanted: Sequence[Any], text: str) -> Any:
    """Return one value that a list of a pattern takes: one that it names, else one that its first condition allows."""
    for literal in wanted:
        if not isinstance(literal, dict):
            return literal
    if not wanted:
        raise NothingFits("its pattern has an empty list, which nothing matches")
    return _allowed(wanted[0], text)


def _allowed(condition: Mapping[str, Any], text: str) -> Any:
    ((operator, said),) = condition.items() if len(condition) == 1 else (("", None),)
    match operator:
        case "exists":
            return text if said else _LEFT_OUT
        case "prefix" if isinstance(said, str):
            return f"{said}{text}"
        case "suffix" if isinstance(said, str):
            return f"{text}{said}"
        case "equals-ignore-case":
            return said
        case "wildcard":
            return str(said).replace("*", _MARK)
        case "anything-but" if not isinstance(said, dict):
            return _other_than(said if isinstance(said, list) else [said], text)
        case "numeric" if isinstance(said, list):
            return _number(said)
    raise NothingFits(f"no event can be made up for the condition {json.dumps(condition)} of its pattern")


def _other_than(refused: Sequence[Any], text: str) -> Any:
    numbers = [one for one in refused if isinstance(one, int | float)]
    return max(numbers) + 1 if numbers and len(numbers) == len(refused) else text


def _number(said: Sequence[Any]) -> float:
    """Return a number for ["=", 3], [">", 0, "<=", 5] and the like."""
    bounds = dict(zip(said[::2], said[1::2], strict=True))
    if "=" in bounds:
        return float(bounds["="])
    low = bounds.get(">=", bounds.get(">"))
    high = bounds.get("<=", bounds.get("<"))
    if low is not None and high is not None:
        return float(low) if ">=" in bounds else float(high) if "<=" in bounds else (float(low) + float(high)) / 2
    if low is not None:
        return float(low) + 1
    return float(high or 0) - 1


# -- where the text is shown ---------------------------------------------------------------------------------------------


def _mark(detail: dict[str, Any], target: Target, text: str, other: str) -> None:
    """Put the text into the event where the target's message shows it last, and `other` wherever else it shows anything.

    Raises NothingFits where the message shows nothing that is free.
    """
    if target.constant:
        raise NothingFits("what it sends is the same whatever happened, so a test cannot be told from anything else")
    if target.paths is None:
        detail[TEST_SOURCE] = text
        return
    shown = _shows(detail, target.paths, text)
    # The last one stands at the end of the message, where rules say why.
    for path in reversed([path for path in target.paths if path.startswith("$.detail.")]):
        shown = _place(detail, path, other if shown else text) or shown
    if not shown:
        raise NothingFits("its message takes nothing of an event but what its pattern fixes: no test can be told apart")


def _shows(detail: Mapping[str, Any], paths: Iterable[str], text: str) -> bool:
    return any(
        text in str(_at(detail, path.removeprefix("$.detail"))) for path in paths if path.startswith("$.detail.")
    )


def _at(found: Any, path: str) -> Any:
    for name, quoted, index in _STEP.findall(path):
        key = name or quoted
        if key and isinstance(found, Mapping):
            found = found.get(key)
        elif index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        else:
            return None
    return found


def _place(detail: dict[str, Any], path: str, text: str) -> bool:
    """Put a text at a path where nothing stands yet; return whether that was so."""
    steps = [name or quoted or int(index) for name, quoted, index in _STEP.findall(path.removeprefix("$.detail"))]
    place: Any = detail
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        empty: Any = text if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int) and isinstance(place, list):
            if step > len(place):
                return False
            if step == len(place):
                place.append(empty)
        elif isinstance(step, str) and isinstance(place, dict):
            if following is None and step in place:
                return False
            place.setdefault(step, empty)
        else:
            return False
        place = place[step]
    return bool(steps)


def _words(values: Iterable[Any]) -> str:
    return ", ".join(value if isinstance(value, str) else json.dumps(value) for value in values)
