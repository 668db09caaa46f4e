"""A recovery of the database that is killed at a call that changes something is gone on with elsewhere, and ends right.

Two kills take two minutes each; `make test-database-faults` records an unbroken one anew, and lets everything happen at
every call (tests/faults/recoveries.py).
"""

from __future__ import annotations

import pytest

from tests.faults.recoveries import (
    ALL,
    DATABASE_CALLS,
    ERRORS,
    HAPPENINGS,
    SHARDS,
    OfTheDatabase,
    Recorded,
    Scene,
    all_of,
    damaged,
    described,
    every,
    keep,
    of_record,
    recorded,
    resembles_another,
    sample,
    together,
)

__all__ = ["damaged"]


@pytest.fixture(scope="module")
def calls(damaged: Scene) -> list[Recorded]:
    """The changing calls of an unbroken recovery, which is recorded where that was not done before."""
    if DATABASE_CALLS.exists() and not ALL:
        return of_record(DATABASE_CALLS)
    found = recorded(damaged, OfTheDatabase(damaged))
    keep(found, DATABASE_CALLS)
    return found


@pytest.mark.parametrize("shard", SHARDS)
def test_a_recovery_of_the_database_ends_right_whatever_becomes_of_a_call(
    damaged: Scene, calls: list[Recorded], shard: int
) -> None:
    by, points = OfTheDatabase(damaged), every(calls, HAPPENINGS, shard)
    own = [point for point in points if point.happens in ERRORS and not resembles_another(point, calls)]
    known = together(damaged, own if ALL else [], calls, by)

    outcomes = all_of(damaged, points if ALL else sample(calls), by, known)

    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []
    assert [outcome for outcome in outcomes if outcome.ended == -9]
