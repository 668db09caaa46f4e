"""A recovery whose calls are refused, throttled, or lose their answers ends right, or stops and is resumed."""

from __future__ import annotations

from tests.faults.recoveries import ALL, ERRORS, Point, Scene, described, every, recorded, scene, tried

__all__ = ["scene"]


def test_a_recovery_ends_right_whatever_becomes_of_one_call(scene: Scene) -> None:
    calls = recorded(scene)
    points = every(calls, ERRORS) if ALL else few(calls)

    outcomes = [tried(scene, point) for point in points]

    for outcome in outcomes:
        print(described(outcome))
    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []
    assert all(outcome.hit for outcome in outcomes)


def few(calls: list[str]) -> list[Point]:
    """Return the two that have cost others most: a launch whose answer is lost, a token that expires in the middle."""
    launch = next(number for number, call in enumerate(calls, start=1) if call == "ec2:RunInstances")
    return [Point(launch, "lost answer"), Point(len(calls) // 2, "expired token")]
