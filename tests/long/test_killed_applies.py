"""An apply that is killed at any moment is repaired by the next one, and nothing exists twice.

LIFEBOAT_KILLS says how many kill points to try (one unless told), LIFEBOAT_KILL_SEED from which
seed they are drawn.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress

import pytest

from tests.conftest import open_folder
from tests.faults.counted import existing, recorded
from tests.faults.killing import VICTIMS, kill
from tests.rehearsal import Rehearsal, checkout, passed

KILLS = int(os.environ.get("LIFEBOAT_KILLS", "1"))
SEED = os.environ.get("LIFEBOAT_KILL_SEED", "lifeboat")
# A first apply takes 125 s on a quiet machine, of which the first 10 change nothing yet and the last 10 may not either.
EARLIEST_SECONDS, LATEST_SECONDS = 10, 115
_RANDOM = random.Random(SEED)  # noqa: S311  (kill points, not keys)
POINTS = [
    (round(_RANDOM.uniform(EARLIEST_SECONDS, LATEST_SECONDS), 1), VICTIMS[number % len(VICTIMS)])
    for number in range(KILLS)
]


@pytest.mark.parametrize(("seconds", "victim"), POINTS, ids=[f"{s}s-{v}" for s, v in POINTS])
def test_a_killed_apply_is_repaired_by_the_next_one(seconds: float, victim: str) -> None:
    with open_folder() as folder:
        rehearsal = checkout(folder / "checkout")
        try:
            killed = _kill_after(rehearsal, seconds, victim)

            repaired = rehearsal.run("make", "apply")

            print(f"killed {victim} after {seconds} s: {killed}\n{repaired.stderr}")
            passed(repaired)
            passed(rehearsal.lifeboat("plan", "--detailed-exitcode"))
            assert existing(rehearsal) == recorded(rehearsal)
        finally:
            rehearsal.lifeboat("local", "down")


def _kill_after(rehearsal: Rehearsal, seconds: float, victim: str) -> str:
    """Kill an apply and return what it had done by then."""
    apply = rehearsal.start("make", "apply")
    with suppress(Exception):
        apply.wait(seconds)
    kill(apply, victim)
    events = list((rehearsal.root / ".lifeboat" / "local" / "runs").glob("*/*-apply.jsonl"))
    done = {path.name: path.read_text().count('"apply_complete"') for path in events}
    return f"{done or 'nothing begun'}"
