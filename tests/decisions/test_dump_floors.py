"""Whether a dump is suspiciously small: against the median of the last good ones of the same selection."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.database_model import Manifest, Selection
from lifeboat.decisions import dump_floors
from lifeboat.decisions.dump_floors import ACCEPTED, Floors

from tests.dump_manifests import manifest

FLOORS = Floors(bytes_percent=50, tables_percent=20)


def dump(raw_size: int, tables: int = 10, *flags: str, **other: Any) -> Manifest:
    return manifest(raw_size=raw_size, tables=tables, flags=flags, **{"selection": Selection(), **other})


@pytest.mark.parametrize(
    ("now", "before", "flags"),
    [
        (dump(1), [], 0),
        (dump(500), [dump(1000)], 0),
        (dump(499), [dump(1000)], 1),
        (dump(499), [dump(1000), dump(600), dump(500)], 0),
        (dump(1000, 8), [dump(1000, 10)], 0),
        (dump(1000, 7), [dump(1000, 10)], 1),
        (dump(0, 0), [dump(1000, 10)], 2),
        (dump(9000, 90), [dump(1000, 10)], 0),
    ],
)
def test_a_dump_below_the_median_by_more_than_the_limit_is_flagged(
    now: Manifest, before: list[Manifest], flags: int
) -> None:
    assert len(dump_floors.flags(now, before, FLOORS)) == flags


def test_a_flag_says_how_far_below() -> None:
    assert dump_floors.flags(dump(100), [dump(1000), dump(1000)], FLOORS) == (
        "100 bytes are 90 % below the median of the last 2 good dumps, 1000; the limit is 50 %",
    )


def test_only_good_dumps_of_the_same_selection_are_the_measure() -> None:
    part = Selection(tables=("t",))
    newest_first = [dump(1, 1, "90 % below"), dump(2, 1, selection=part), dump(1000), dump(1001)]

    assert dump_floors.measure(newest_first, Selection()) == newest_first[2:]
    assert dump_floors.measure(newest_first, part) == newest_first[1:2]
    assert dump_floors.measure(newest_first, Selection(schemas=("s",))) == []


def test_what_was_before_an_accepted_dump_no_longer_counts() -> None:
    newest_first = [dump(101), dump(100, 10, f"{ACCEPTED} by eva"), dump(1000)]

    assert dump_floors.measure(newest_first, Selection()) == newest_first[:2]
    assert dump_floors.suspicious(newest_first[1]) == ()


def test_the_last_seven_are_enough() -> None:
    assert len(dump_floors.measure([dump(n) for n in range(1, 30)], Selection())) == 7


def test_a_dump_without_any_good_one_before_it_is_flagged_unless_it_is_the_first() -> None:
    flagged, part = dump(1, 1, "90 % below"), Selection(tables=("t",))

    assert dump_floors.unmeasured([], Selection(), 0) == ()
    assert dump_floors.unmeasured([flagged], part, 0) == ()
    assert dump_floors.unmeasured([flagged], Selection(), 2) == (
        "nobody can tell whether it shrank: none of the 3 dumps before it can be read and is not flagged itself",
    )
