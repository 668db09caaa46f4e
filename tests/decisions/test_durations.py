"""Lengths of time as operators write and read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions.durations import parsed, said


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("45s", timedelta(seconds=45)),
        ("90m", timedelta(minutes=90)),
        ("4h", timedelta(hours=4)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_number_and_its_unit_are_a_length(text: str, length: timedelta) -> None:
    assert parsed(text) == length


@pytest.mark.parametrize("text", ["", "5", "m", "0h", "-5m", "1.5h", "5 m", "5m ", "5m\n", "1h30m", "٣h", "9999999d"])
def test_anything_else_is_none(text: str) -> None:
    assert parsed(text) is None


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=-3), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(seconds=120), "2m"),
        (timedelta(minutes=119), "119m"),
        (timedelta(hours=47, minutes=59), "47h"),
        (timedelta(days=31, hours=23), "31d"),
    ],
)
def test_a_length_is_said_in_its_largest_unit_that_is_not_too_coarse(length: timedelta, text: str) -> None:
    assert said(length) == text


@given(st.integers(min_value=1, max_value=86400 * 9999))
def test_what_is_said_is_read_back_as_no_more_than_it_was(seconds: int) -> None:
    length = timedelta(seconds=seconds)

    again = parsed(said(length))

    assert again is not None
    assert length / 2 < again <= length
