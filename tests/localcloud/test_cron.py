"""AWS schedule expressions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from localcloud import cron

START = datetime(2025, 1, 30, 12, 0, tzinfo=UTC)


def next_times(text: str, count: int, zone: str = "UTC") -> list[str]:
    times = islice(cron.cron(text).times(START, cron.zone(zone)), count)
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in times]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cron(0 3 * * ? *)", ["2025-01-31 03:00", "2025-02-01 03:00"]),
        ("cron(15,45 12 ? * MON-FRI *)", ["2025-01-30 12:15", "2025-01-30 12:45", "2025-01-31 12:15"]),
        ("cron(0 0/12 * * ? *)", ["2025-01-31 00:00", "2025-01-31 12:00"]),
        ("cron(0 4 1 * ? *)", ["2025-02-01 04:00", "2025-03-01 04:00"]),
        ("cron(0 4 L * ? *)", ["2025-01-31 04:00", "2025-02-28 04:00"]),
        ("cron(0 4 15W * ? *)", ["2025-02-14 04:00", "2025-03-14 04:00", "2025-04-15 04:00"]),
        ("cron(0 4 1W * ? *)", ["2025-02-03 04:00", "2025-03-03 04:00"]),
        ("cron(0 4 LW * ? *)", ["2025-01-31 04:00", "2025-02-28 04:00", "2025-03-31 04:00"]),
        ("cron(0 4 ? * 2#1 *)", ["2025-02-03 04:00", "2025-03-03 04:00"]),
        ("cron(0 4 ? * 6L *)", ["2025-01-31 04:00", "2025-02-28 04:00"]),
        ("cron(0 4 ? * SAT-MON *)", ["2025-02-01 04:00", "2025-02-02 04:00", "2025-02-03 04:00", "2025-02-08 04:00"]),
        ("cron(0 4 29 2 ? *)", ["2028-02-29 04:00"]),
        ("cron(0 4 ? MAY SUN 2026)", ["2026-05-03 04:00", "2026-05-10 04:00"]),
    ],
)
def test_a_cron_expression_fires_when_aws_says(text: str, expected: list[str]) -> None:
    assert next_times(text, len(expected)) == expected


def test_a_time_zone_moves_the_moment_and_a_skipped_hour_does_not_fire() -> None:
    assert next_times("cron(0 3 * * ? *)", 1, "Europe/Berlin") == ["2025-01-31 02:00"]
    march = cron.cron("cron(30 2 29-31 3 ? 2025)").times(START, cron.zone("Europe/Berlin"))
    assert [f"{moment:%d %H:%M}" for moment in march] == ["29 01:30", "31 00:30"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("every day", "is not of the form cron"),
        ("cron(0 3 * * ?)", "has 5 fields; AWS wants six"),
        ("cron(0 3 * * * *)", "exactly one of day-of-month and day-of-week must be"),
        ("cron(0 3 ? * ? *)", "exactly one of day-of-month and day-of-week must be"),
        ("cron(60 3 * * ? *)", "'60' is not between 0 and 59"),
        ("cron(0 24 * * ? *)", "'24' is not between 0 and 23"),
        ("cron(0 3 32 * ? *)", "'32' is not between 1 and 31"),
        ("cron(0 3 ? * XYZ *)", "'XYZ' is not between 1 and 7"),
        ("cron(0/x 3 * * ? *)", "a number must follow the slash"),
        ("cron(0/0 3 * * ? *)", "the step must be at least 1"),
    ],
)
def test_a_wrong_cron_expression_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(cron.BadExpression, match=reason):
        cron.cron(text)


@pytest.mark.parametrize("text", ["rate(0 days)", "rate(1 days)", "rate(2 day)", "rate(5 weeks)", "rate(day)"])
def test_a_wrong_rate_is_refused(text: str) -> None:
    with pytest.raises(cron.BadExpression):
        cron.rate(text)


def test_a_rate_and_a_moment_are_read() -> None:
    assert cron.rate("rate(12 hours)") == timedelta(hours=12)
    assert cron.at("at(2025-07-01T12:00:00)", "Europe/Berlin") == datetime(2025, 7, 1, 10, tzinfo=UTC)
    with pytest.raises(cron.BadExpression):
        cron.at("at(2025-07-32T12:00:00)")


@pytest.mark.parametrize(
    ("text", "tick"),
    [
        ("cron(0 3 * * ? *)", "daily"),
        ("cron(0 * * * ? *)", "daily"),
        ("cron(0 3 ? * MON-FRI *)", "daily"),
        ("rate(1 day)", "daily"),
        ("rate(6 hours)", "daily"),
        ("cron(0 5 ? * SUN *)", "monthly"),
        ("cron(0 4 1 * ? *)", "monthly"),
        ("cron(0 4 31 * ? *)", "monthly"),
        ("rate(7 days)", "monthly"),
        ("rate(90 days)", None),
        ("cron(0 4 1 1 ? *)", None),
        ("at(2025-01-01T00:00:00)", None),
    ],
)
def test_an_expression_belongs_to_one_tick(text: str, tick: str | None) -> None:
    assert cron.due_in(text, date(2025, 1, 15)) == tick
