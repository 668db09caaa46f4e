"""The rules do not cost more than in proportion where a plan has many instances of one block: counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.rule import Verdict

from tests.policies.fleets import fleet, fleet_by_key
from tests.policies.plans import PlanFile


def _calls(work: Callable[[], object]) -> int:
    """Return how many functions of Python a piece of work calls."""
    count = 0

    def seen(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(("made", "few"), [(fleet, 8), (fleet_by_key, 20)], ids=["by block", "by for_each"])
def test_four_times_as_many_resources_cost_about_four_times_as_much(made: Callable[[int], PlanFile], few: int) -> None:
    texts = [made(number).text() for number in (few, 4 * few)]

    less, more = (_calls(lambda text=text: judging.scanned(reading.read(text))) for text in texts)

    assert more < 8 * less


def test_what_goes_with_each_other_by_each_key_is_found() -> None:
    scan = judging.scanned(reading.read(fleet_by_key(3).text()))

    ended = {one.rule.id: (one.verdict, len(one.judged)) for one in scan.outcomes}
    assert ended["LB_COV_1"] == (Verdict.CLEAN, 3)
    assert ended["LB_DUMP_1"] == (Verdict.CLEAN, 3)
