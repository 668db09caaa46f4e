"""`make bench`: how long the everyday commands take on an applied local stack; medians, and ratios within one run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed

ROUNDS = 3


def main() -> int:
    """Apply a fresh checkout, measure, print a table, and take it down."""
    with open_folder() as folder:
        rehearsal = checkout(folder / "checkout")
        try:
            first = _seconds(lambda: passed(rehearsal.run("make", "apply")))
            rows = [(name, _median(work)) for name, work in _works(rehearsal)]
        finally:
            rehearsal.lifeboat("local", "down")
    bare = dict(rows)["terraform plan of the stack, bare"]
    print(f"{'first make apply':45} {first:7.1f} s")
    for name, seconds in rows:
        print(f"{name:45} {seconds:7.1f} s  {seconds / bare:5.2f} x a bare plan")
    return 0


def _works(rehearsal: Rehearsal) -> list[tuple[str, Callable[[], object]]]:
    env = rehearsal.exported()
    bare = ("terraform", "-chdir=terraform/stack", "plan", "-detailed-exitcode")
    return [
        ("terraform plan of the stack, bare", lambda: passed(rehearsal.run(*bare, **env))),
        ("lifeboat plan, both roots", lambda: passed(rehearsal.lifeboat("plan", "--detailed-exitcode"))),
        ("make apply without changes", lambda: passed(rehearsal.run("make", "apply"))),
        ("local save", lambda: passed(rehearsal.lifeboat("local", "save", "bench", "--replace"))),
        ("local load", lambda: passed(rehearsal.lifeboat("local", "load", "bench"))),
        ("local tick daily", lambda: passed(rehearsal.lifeboat("local", "tick", "daily"))),
    ]


def _median(work: Callable[[], object]) -> float:
    return statistics.median(_seconds(work) for _ in range(ROUNDS))


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
