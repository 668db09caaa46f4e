"""Of recoveries that are started together, in two checkouts, one runs and the others name it. LIFEBOAT_ROUNDS: how often."""

from __future__ import annotations

import os
import re

import pytest

from tests.faults.recoveries import Lifeboat, Scene, reset, scene

__all__ = ["scene"]
ROUNDS = range(int(os.environ.get("LIFEBOAT_ROUNDS", "1")))
TOGETHER = 8
LOCKED = 5
NAMED = re.compile(r"\(process (\d+)\) has held this environment for \d+ s: .*run \S+-recover")


@pytest.mark.parametrize("round_", ROUNDS)
def test_of_eight_that_are_started_together_one_runs_and_seven_name_it(scene: Scene, round_: int) -> None:
    reset(scene)
    checkouts = [(scene.first, scene.other)[number % 2] for number in range(TOGETHER)]
    started = [checkout.start("lifeboat", "recover") for checkout in checkouts]

    printed = [process.communicate(timeout=600)[0] for process in started]

    ended = [process.returncode for process in started]
    named = {found.group(1) for text in printed if (found := NAMED.search(text))}
    assert sorted(ended) == [0] + [LOCKED] * (TOGETHER - 1), f"round {round_}: {printed}"
    # In the winner's checkout its lock is in the way, in the other one whoever asks first for the lease there.
    winner = ended.index(0)
    assert str(started[winner].pid) in named
    assert all(NAMED.search(text) for text, status in zip(printed, ended, strict=True) if status == LOCKED)
    assert Lifeboat(scene).wrong(checkouts[winner]) == []
