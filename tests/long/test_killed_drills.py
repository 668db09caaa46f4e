"""A drill that is killed at any line of its journal: one sweep later nothing of it is left, and production is untouched.

At every other line the sweep is typed in another checkout, which has no ledger but the one in the bucket, and the marks.
LIFEBOAT_SHARDS says among how many stacks the lines are divided.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import open_folder
from tests.database_recoveries import beat
from tests.drilled import left, production
from tests.rehearsal import Rehearsal, another, passed

SECONDS = 300.0
SHARDS = int(os.environ.get("LIFEBOAT_SHARDS", "2"))


@pytest.fixture(scope="module")
def ready(saved: Rehearsal) -> Iterator[Rehearsal]:
    """The applied stack with an image to launch from; afterwards it is as it was."""
    passed(saved.lifeboat("ami", "bake", "--no-reboot"))
    beat(saved)  # the host's first is a minute away from the start
    yield saved
    saved.control("faults", clear=True)
    passed(saved.lifeboat("local", "load", "applied"))


@pytest.fixture(scope="module")
def elsewhere(ready: Rehearsal) -> Iterator[Rehearsal]:
    """Another checkout of the same environment."""
    with open_folder() as folder:
        yield another(folder / "other", ready)


def killed_at(ready: Rehearsal, scope: str, line: int) -> bool:
    """Drill and kill it, with all that it started, when it writes that line of its journal; False if it ended before."""
    drilling = ready.start("lifeboat", "drill", scope)
    # The line is on the disk already, and on its way to the bucket.
    path = rf"/runs/[^/]*-drill-{scope}-[^/]*/{line:06}\.json"
    ready.control("faults", add={"service": "s3", "operation": "PutObject", "path": f".*{path}", "kill": drilling.pid})
    said, _ = drilling.communicate(timeout=SECONDS)
    ready.control("faults", clear=True)
    assert drilling.returncode in (0, -signal.SIGKILL), said
    return drilling.returncode != 0


def lines(ready: Rehearsal) -> list[dict[str, object]]:
    """Return the journal of the newest drill, as its own machine has it."""
    folders = sorted(Path(ready.root, ".lifeboat/local/journals").glob("*-drill-*"))
    return [json.loads(line) for line in (folders[-1] / "journal.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("scope", ["full", "state"])
def test_whatever_line_a_drill_was_killed_at_a_sweep_leaves_nothing(
    ready: Rehearsal, elsewhere: Rehearsal, scope: str, shard: int
) -> None:
    passed(ready.lifeboat("drill", scope))
    whole, before = len(lines(ready)), production(ready)
    wrong: list[str] = []

    line, tried = shard + 1, 0
    while killed_at(ready, scope, line):
        where = ready if tried % 2 else elsewhere
        written, there = len(lines(ready)), left(ready)
        swept = where.lifeboat("sweep", "--yes")
        again = where.lifeboat("sweep")
        if (swept.returncode, left(ready), again.stdout) != (0, [], "drills left nothing\n"):
            wrong.append(f"line {line}: {there} was there, {left(ready)} is left: {swept.stdout}{swept.stderr}")
        print(f"{scope} {line}: killed after {written} lines, {len(there)} things were there", flush=True)
        line, tried = line + SHARDS, tried + 1

    assert wrong == []
    assert production(ready) == before
    # Remarks come and go, so that no two drills have quite as many lines.
    assert line - SHARDS > whole * 3 / 4
