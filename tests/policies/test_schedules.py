"""How far apart two runs of a schedule are at its worst."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions.policy.planned import Undecided
from lifeboat.decisions.policy.schedules import NEVER, longest_gap, minutes_of_week

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("rate(1 hour)", HOUR),
        ("rate(90 minutes)", 1.5 * HOUR),
        ("rate(7 days)", 7 * DAY),
        ("cron(0 5 * * ? *)", DAY),
        ("cron(0 5 ? * * *)", DAY),
        ("cron(30 3 * * * *)", DAY),
        ("cron(0 * * * ? *)", HOUR),
        ("cron(0/15 * * * ? *)", HOUR / 4),
        ("cron(0 0/6 * * ? *)", 6 * HOUR),
        ("cron(0 1/6 * * ? *)", 6 * HOUR),
        ("cron(0 0/5 * * ? *)", 5 * HOUR),  # 0, 5, 10, 15, 20, and four hours to midnight
        ("cron(0 6,18 * * ? *)", 12 * HOUR),
        ("cron(0 6,8 * * ? *)", 22 * HOUR),
        ("cron(0 8-18 * * ? *)", 14 * HOUR),
        ("cron(0 22-2 * * ? *)", 20 * HOUR),
        ("cron(0 5 ? * MON-FRI *)", 3 * DAY),
        ("cron(0 5 ? * 2-6 *)", 3 * DAY),
        ("cron(0 5 ? * SAT-SUN *)", 6 * DAY),
        ("cron(0 5 ? * SUN *)", 7 * DAY),
        ("cron(0 5 ? * L *)", 7 * DAY),
        ("cron(0 5 ? * 6L *)", 35 * DAY),
        ("cron(0 5 ? * MON#1 *)", 35 * DAY),
        ("cron(0 5 1 * ? *)", 31 * DAY),
        ("cron(0 5 31 * ? *)", 61 * DAY),
        ("cron(0 5 L * ? *)", 31 * DAY),
        ("cron(0 5 1W * ? *)", 33 * DAY),
        ("cron(0 5 */2 * ? *)", 2 * DAY),
        ("cron(0 5 1,15 * ? *)", 17 * DAY),
        ("cron(0 5 1 JAN,JUL ? *)", 184 * DAY),
        ("cron(0 5 1 1 ? *)", 366 * DAY),
        ("cron(0 5 29 2 ? *)", 1461 * DAY),
        ("cron(0 0,23 ? * MON-FRI *)", 2 * DAY + HOUR),
        ("cron(0 5 * * ? 2027)", NEVER),
        ("at(2027-01-01T00:00:00)", NEVER),
    ],
)
def test_the_longest_pause(expression: str, gap: timedelta) -> None:
    assert longest_gap(expression) == gap


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "daily",
        "0 5 * * *",
        "rate(0 hours)",
        "rate(1 week)",
        "cron(0 5 * * *)",
        "cron(60 5 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 5 1 * MON *)",
        "cron(0 5 0 * ? *)",
        "cron(0 5 ? * MON#6 *)",
        "cron(0 5 ? * FUN *)",
        "cron(0/0 5 * * ? *)",
        "cron(0 5 30 2 ? *)",
        "cron(0 5 32W * ? *)",
        "cron(0 5 * * ? *) ; rm",
    ],
)
def test_what_is_no_schedule_is_not_guessed(expression: str) -> None:
    with pytest.raises(Undecided, match="schedule"):
        longest_gap(expression)


@given(hours=st.sets(st.integers(0, 23), min_size=1), minute=st.integers(0, 59))
def test_a_daily_cron_is_never_further_apart_than_a_day(hours: set[int], minute: int) -> None:
    gap = longest_gap(f"cron({minute} {','.join(map(str, sorted(hours)))} * * ? *)")

    assert DAY / len(hours) <= gap <= DAY


def test_the_minutes_of_a_week() -> None:
    assert minutes_of_week("cron(30 1 ? * SUN *)") == {90}
    assert minutes_of_week("cron(0 0 * * ? *)") == {day * 1440 for day in range(7)}
    assert minutes_of_week("rate(1 day)") == frozenset()
