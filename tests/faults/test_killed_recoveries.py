"""A recovery that is killed at any call that changes something is finished from another checkout, as if nothing happened."""

from __future__ import annotations

import pytest

from tests.faults.recoveries import (
    ALL,
    KILLS,
    SHARDS,
    PlainTerraform,
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
FEW = 2
LAUNCH = "ec2:RunInstances"


@pytest.mark.parametrize("shard", SHARDS)
def test_a_killed_recovery_is_finished_from_another_checkout(scene: Scene, shard: int) -> None:
    calls = recorded(scene)
    points = every(calls, KILLS, shard) if ALL else few(calls)

    outcomes = [tried(scene, point) for point in points]

    for outcome in outcomes:
        print(described(outcome))
    assert len(calls) > 30
    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []
    # Leases are renewed by the clock, so that a run has a call more or less than the one that was recorded.
    assert sum(not outcome.hit for outcome in outcomes) <= len(outcomes) // 20
    assert [outcome for outcome in outcomes if outcome.ended == -9]


def few(calls: list[Recorded]) -> list[Point]:
    """Return the launch itself, and some that are spread over the whole."""
    spread = [Point(1 + number * len(calls) // FEW, "kill everything before") for number in range(1, FEW)]
    return [Point(number_of(calls, LAUNCH), "kill everything after"), *spread]


def test_plain_terraform_does_not_get_over_a_launch_that_it_was_killed_in(scene: Scene) -> None:
    plain = PlainTerraform(scene)
    calls = recorded(scene, plain)
    launch = Point(number_of(calls, LAUNCH), "kill everything after")
    both = ("kill everything before", "kill everything after")
    points = [Point(number, how) for number in range(1, len(calls) + 1) for how in both] if ALL else [launch]

    outcomes = {point: tried(scene, point, plain) for point in points}

    for outcome in outcomes.values():
        print(described(outcome))
    assert sum(not outcome.hit for outcome in outcomes.values()) <= len(outcomes) // 20
    assert outcomes[launch].wrong
