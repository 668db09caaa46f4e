"""A recovery that anything happens to, at any call that changes something, ends right, or is gone on with and then does.

In each of these, whoever goes on with it sits in another checkout, except after an outage. LIFEBOAT_ROUNDS says how often
eight are started together; `make test-long` does so once, `make test` not at all.
"""

from __future__ import annotations

import os
import re
import time

import pytest

from tests.faults.recoveries import (
    ALL,
    ERRORS,
    HAPPENINGS,
    KILLS,
    SHARDS,
    Lifeboat,
    Outcome,
    PlainTerraform,
    Point,
    Recorded,
    Scene,
    all_of,
    described,
    every,
    grouped,
    keep,
    of_record,
    recorded,
    report,
    reported,
    resembles_another,
    reset,
    scene,
    together,
    tried,
)

__all__ = ["scene"]
ROUNDS = range(int(os.environ.get("LIFEBOAT_ROUNDS", "1")))
TOGETHER = 8
LOCKED = 5
NAMED = re.compile(r"\(process (\d+)\) has held this environment for \d+ s: (?:recover$|.*run \S+-recover)", re.M)


@pytest.fixture(scope="module")
def calls(scene: Scene) -> list[Recorded]:
    """The changing calls of an unbroken recovery."""
    if not ALL:
        return of_record()
    found = recorded(scene)
    keep(found)
    return found


@pytest.mark.parametrize("shard", SHARDS)
def test_a_killed_recovery_is_finished_from_another_checkout(scene: Scene, calls: list[Recorded], shard: int) -> None:
    launched = Point(1, "kill everything after", operation="RunInstances")
    points = [point for point in every(calls, KILLS, shard) if not resembles_another(point, calls)]

    outcomes = all_of(scene, points if ALL else [launched])

    assert len(calls) > 30
    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []
    assert [outcome for outcome in outcomes if outcome.ended == -9]


if ALL:  # the first shows nothing of lifeboat: what it stands beside

    @pytest.mark.parametrize("shard", SHARDS)
    def test_plain_terraform_does_not_get_over_a_launch_that_it_was_killed_in(scene: Scene, shard: int) -> None:
        plain = PlainTerraform(scene)
        launch = Point(1, "kill everything after", operation="RunInstances")
        both = ("kill everything before", "kill everything after")
        points = every(recorded(scene, plain), both, shard)

        outcomes = all_of(scene, [launch, *points], plain)

        assert [outcome.wrong for outcome in outcomes if outcome.point == launch] != [()]
        assert launch in [outcome.point for outcome in outcomes]

    @pytest.mark.parametrize("shard", SHARDS)
    def test_of_eight_that_are_started_together_one_runs_and_seven_name_it(scene: Scene, shard: int) -> None:
        for number in ROUNDS[shard :: len(SHARDS)]:
            started = Point(number, f"{TOGETHER} started together", "")
            if started not in reported(Lifeboat.name):
                start_together(scene, started)


# The last one, for it ends with what resembles another fault.
@pytest.mark.parametrize("shard", SHARDS)
def test_a_recovery_ends_right_whatever_becomes_of_a_call(scene: Scene, calls: list[Recorded], shard: int) -> None:
    own = [point for point in every(calls, ERRORS, shard) if not resembles_another(point, calls)]
    if ALL:
        like_another = [point for point in every(calls, HAPPENINGS, shard) if resembles_another(point, calls)]
        outcomes = all_of(scene, [*own, *like_another], known=together(scene, own, calls))
    else:
        outcomes = tried(scene, grouped((point for point in own if point.happens == "lost answer"), calls)[0])

    assert [outcome for outcome in outcomes if outcome.hit]
    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []


def start_together(scene: Scene, point: Point) -> None:
    """Start them in two checkouts, and see that one recovers and the others name it."""
    reset(scene)
    began = time.monotonic()
    checkouts = [(scene.first, scene.other)[number % 2] for number in range(TOGETHER)]
    started = [checkout.start("lifeboat", "recover") for checkout in checkouts]

    printed = [process.communicate(timeout=600)[0] for process in started]

    ended = [process.returncode for process in started]
    named = {found.group(1) for text in printed if (found := NAMED.search(text))}
    assert sorted(ended) == [0] + [LOCKED] * (TOGETHER - 1), f"{point}: {printed}"
    # In the winner's checkout its lock is in the way, in the other one whoever asks first for the lease there.
    winner = ended.index(0)
    assert str(started[winner].pid) in named
    assert all(NAMED.search(text) for text, status in zip(printed, ended, strict=True) if status == LOCKED)
    assert Lifeboat(scene).wrong(checkouts[winner]) == []
    took = round(time.monotonic() - began, 1)
    report(Outcome(point=point, by=Lifeboat.name, hit="", ended=0, resumed=None, seconds=took, wrong=()))
