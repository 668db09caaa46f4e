"""A recovery whose calls are refused, throttled, or lose their answers ends right, or stops and is resumed."""

from __future__ import annotations

import pytest

from tests.faults.recoveries import (
    ALL,
    ERRORS,
    SHARDS,
    Point,
    Recorded,
    Scene,
    described,
    every,
    number_of,
    recorded,
    scene,
    tried,
)

__all__ = ["scene"]


@pytest.mark.parametrize("shard", SHARDS)
def test_a_recovery_ends_right_whatever_becomes_of_one_call(scene: Scene, shard: int) -> None:
    calls = recorded(scene)
    points = every(calls, ERRORS, shard) if ALL else few(calls)

    outcomes = [tried(scene, point) for point in points]

    for outcome in outcomes:
        print(described(outcome))
    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []
    assert all(outcome.hit for outcome in outcomes)


def few(calls: list[Recorded]) -> list[Point]:
    """Return what has cost others most: a launch whose answer is lost, and an AWS that goes away in the middle."""
    return [Point(number_of(calls, "ec2:RunInstances"), "lost answer"), Point(len(calls) // 2, "outage")]
