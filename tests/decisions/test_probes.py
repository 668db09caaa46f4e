"""Whether the answer to a probe is as expected."""

from __future__ import annotations

from decimal import Decimal

import pytest
from lifeboat.database_model import Probe
from lifeboat.decisions.probes import finding


def probe(**judged: object) -> Probe:
    return Probe(name="p", sql="SELECT 1", **judged)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "answer", "found"),
    [
        (probe(expect="1"), "1", None),
        (probe(expect="t"), "f", "probe p: f; expected t"),
        (probe(expect="1"), None, "probe p: NULL; expected 1"),
        (probe(expect="1000", tolerance_percent=Decimal(5)), "950", None),
        (probe(expect="1000", tolerance_percent=Decimal(5)), "949.9", "probe p: 949.9; at least 950 was expected"),
        (probe(expect="-1000", tolerance_percent=Decimal(5)), "-1051", "probe p: -1051; at least -1050 was expected"),
        (probe(expect="0", tolerance_percent=Decimal(5)), "1", "probe p: 1; at most 0 was expected"),
        (probe(minimum=Decimal(2)), "2", None),
        (probe(minimum=Decimal(2)), "1", "probe p: 1; at least 2 was expected"),
        (probe(maximum=Decimal(100)), "1e3", "probe p: 1e3; at most 100 was expected"),
        (probe(minimum=Decimal(2)), "NaN", "probe p: NaN; a number was expected"),
        (probe(maximum=Decimal(2)), "many", "probe p: many; a number was expected"),
        (probe(maximum=Decimal(2)), None, "probe p: NULL; a number was expected"),
    ],
)
def test_an_answer_is_judged(asked: Probe, answer: str | None, found: str | None) -> None:
    assert finding(asked, answer) == found
