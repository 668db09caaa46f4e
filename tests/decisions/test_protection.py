"""The protection table."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lifeboat.decisions.protection import ASSETS, span, table
from lifeboat.model import Protection

DAY = timedelta(hours=24)


def way(asset: str, every: float | None, mechanism: str = "copies") -> Protection:
    return Protection(asset=asset, mechanism=mechanism, every_hours=every, kept_days=7, regions=["eu-west-1"])


def test_every_asset_has_a_row_even_when_nothing_protects_it() -> None:
    rows = table([], rpo=DAY)

    assert [row.asset for row in rows] == list(ASSETS)
    assert {(row.rpo, row.meets, row.note) for row in rows} == {(None, False, "nothing known protects it")}


def test_the_rpo_is_that_of_the_most_frequent_copy() -> None:
    rows = {row.asset: row for row in table([way("database", 24, "a"), way("database", 1 / 12, "b")], rpo=DAY)}

    assert rows["database"].rpo == timedelta(minutes=5)
    assert [w.mechanism for w in rows["database"].ways] == ["a", "b"]
    assert rows["database"].meets


def test_storage_without_a_schedule_is_not_an_rpo() -> None:
    row = next(r for r in table([way("dumps", None)], rpo=DAY) if r.asset == "dumps")

    assert (row.rpo, row.meets) == (None, False)
    assert row.note == "stored safely, but nothing makes copies on a schedule yet"


def test_a_copy_rarer_than_the_objective_does_not_meet_it() -> None:
    row = next(r for r in table([way("instance volume", 48)], rpo=DAY) if r.asset == "instance volume")

    assert (row.rpo, row.meets) == (timedelta(hours=48), False)


def test_a_monthly_image_meets_the_objective_as_long_as_the_volume_does() -> None:
    with_volume = table([way("image", 744), way("instance volume", 24)], rpo=DAY)
    alone = table([way("image", 744)], rpo=DAY)

    assert [row.meets for rows in (with_volume, alone) for row in rows if row.asset == "image"] == [True, False]


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (timedelta(0), "0 (each change)"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=24), "24h"),
        (timedelta(days=31), "31d"),
    ],
)
def test_a_span_is_said_as_an_operator_says_it(length: timedelta, shown: str) -> None:
    assert span(length) == shown
