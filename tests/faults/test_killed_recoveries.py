"""A recovery that is killed at any call that changes something is finished from another checkout, as if nothing happened."""

from __future__ import annotations

from tests.faults.recoveries import ALL, KILLS, Point, Scene, described, every, recorded, scene, tried

__all__ = ["scene"]
FEW = 2


def test_a_killed_recovery_is_finished_from_another_checkout(scene: Scene) -> None:
    calls = recorded(scene)
    points = every(calls, KILLS) if ALL else few(calls)

    outcomes = [tried(scene, point) for point in points]

    for outcome in outcomes:
        print(described(outcome))
    assert len(calls) > 30
    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []
    assert [outcome for outcome in outcomes if outcome.ended == -9]


def few(calls: list[str]) -> list[Point]:
    """Return the launch itself, and some that are spread over the whole."""
    launch = next(number for number, call in enumerate(calls, start=1) if call == "ec2:RunInstances")
    spread = [Point(1 + number * len(calls) // FEW, "kill head before") for number in range(1, FEW)]
    return [Point(launch, "kill everything after"), *spread]
