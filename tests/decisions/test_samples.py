"""A rolling share of all copies: the same everywhere in a week, and each copy once in its turn."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions.samples import Share, chosen, parsed

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
IDS = [f"202611{day:02}T031500Z-{day:06x}" for day in range(1, 31)]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("1/7", Share(part=1, whole=7)),
        ("3/3", Share(part=3, whole=3)),
        ("0/7", None),
        ("8/7", None),
        ("1/0", None),
        ("x", None),
    ],
)
def test_a_share_is_read(text: str, share: Share | None) -> None:
    assert parsed(text) == share


@given(st.integers(1, 9).flatmap(lambda whole: st.tuples(st.integers(1, whole), st.just(whole))))
def test_as_many_weeks_as_there_are_groups_look_at_each_copy(share: tuple[int, int]) -> None:
    part, whole = share

    seen = Counter(
        dump
        for week in range(whole)
        for dump in chosen(IDS, Share(part=part, whole=whole), MONDAY + timedelta(weeks=week))
    )

    assert seen == Counter(dict.fromkeys(IDS, part))


def test_a_week_begins_on_monday_and_a_new_copy_moves_no_old_one() -> None:
    share = Share(part=1, whole=4)
    first = chosen(IDS, share, MONDAY)

    assert chosen(IDS, share, MONDAY + timedelta(days=7, seconds=-1)) == first
    assert chosen(IDS, share, MONDAY - timedelta(seconds=1)) != first
    assert [dump for dump in chosen([*IDS, "20261201T031500Z-000000"], share, MONDAY) if dump in IDS] == first
