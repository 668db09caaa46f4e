"""The operator's own questions to a restored copy, and whether the answers are as expected."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from lifeboat.database_model import Probe


def finding(probe: Probe, answer: str | None) -> str | None:
    """Return what is wrong with an answer (text, None for NULL); None where it is as expected."""
    if probe.expect is not None and probe.tolerance_percent is None:
        return None if answer == probe.expect else _wrong(probe, answer, f"expected {probe.expect}")
    number = _number(answer)
    if number is None:
        return _wrong(probe, answer, "a number was expected")
    lowest, highest = _bounds(probe)
    if lowest is not None and number < lowest:
        return _wrong(probe, answer, f"at least {_said(lowest)} was expected")
    if highest is not None and number > highest:
        return _wrong(probe, answer, f"at most {_said(highest)} was expected")
    return None


def _bounds(probe: Probe) -> tuple[Decimal | None, Decimal | None]:
    if probe.expect is not None and probe.tolerance_percent is not None:
        wanted = Decimal(probe.expect)
        margin = abs(wanted) * probe.tolerance_percent / 100
        return wanted - margin, wanted + margin
    return probe.minimum, probe.maximum


def _number(answer: str | None) -> Decimal | None:
    try:
        number = Decimal(answer) if answer is not None else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _said(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _wrong(probe: Probe, answer: str | None, expected: str) -> str:
    return f"probe {probe.name}: {'NULL' if answer is None else answer}; {expected}"
