"""How long the rules take on plans of many resources, by themselves and as an apply asks them: seconds of CPU, medians."""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable

from lifeboat.decisions.policy import introduced, judging, reading
from lifeboat.decisions.policy.introduced import Deed

from tests.policies.changes import changed
from tests.policies.fleets import EACH, EACH_BY_KEY, SHARED, fleet, fleet_by_key

_ROUNDS = 3
_SIZES = (641, 5000)
_FLEETS = (("", fleet, EACH), (" by for_each", fleet_by_key, EACH_BY_KEY))


def main() -> int:
    """Print a line for each size and way."""
    for wanted, (kind, made, each) in itertools.product(_SIZES, _FLEETS):
        plan = made(-(-(wanted - SHARED) // each))
        text = plan.text()
        standing = json.dumps(changed(plan, plan)).encode()
        for way, work in (
            ("read and judged", lambda text=text: judging.scanned(reading.read(text))),
            ("what a change brings about", lambda text=standing: introduced.weighed(json.loads(text), Deed.APPLY)),
        ):
            size = len(plan.resources)
            print(
                f"rules on {size} resources{kind}, {way:27} {_median(work):6.2f} s of CPU  ({len(text) / 1e6:.1f} MB)",
                flush=True,
            )
    return 0


def _median(work: Callable[[], object]) -> float:
    return statistics.median(_seconds(work) for _ in range(_ROUNDS))


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    sys.exit(main())
