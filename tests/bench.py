"""`make bench`: how long everyday commands take on an applied local stack, and other tools beside some; medians and ratios."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.benches import dumps, policy, state
from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed

ROUNDS = 3


@dataclass(frozen=True)
class Work:
    """A command that is measured, and what is done before each time, which is not."""

    name: str
    run: Callable[[], object]
    before: Callable[[], object] = lambda: None


def main() -> int:
    """Apply a fresh checkout, measure, print a table, and take it down."""
    with open_folder() as folder:
        rehearsal = checkout(folder / "checkout")
        try:
            first = _seconds(lambda: passed(rehearsal.run("make", "apply")))
            rows = [(work.name, _median(work)) for work in _works(rehearsal)]
            rows += [(work.name, _median(work)) for work in _recoveries(rehearsal)]
        finally:
            rehearsal.lifeboat("local", "down")
    bare = dict(rows)["terraform plan of the stack, bare"]
    print(f"{'first make apply':45} {first:7.1f} s")
    for name, seconds in rows:
        print(f"{name:45} {seconds:7.1f} s  {seconds / bare:5.2f} x a bare plan", flush=True)
    return policy.main() or state.main() or dumps.main()


def _works(rehearsal: Rehearsal) -> list[Work]:
    env = rehearsal.exported()
    bare = ("terraform", "-chdir=terraform/stack", "plan", "-detailed-exitcode")
    return [
        Work("terraform plan of the stack, bare", lambda: passed(rehearsal.run(*bare, **env))),
        Work("lifeboat plan, both roots", lambda: passed(rehearsal.lifeboat("plan", "--detailed-exitcode"))),
        Work("make apply without changes", lambda: passed(rehearsal.run("make", "apply"))),
        Work("local save", lambda: passed(rehearsal.lifeboat("local", "save", "bench", "--replace"))),
        Work("local load", lambda: passed(rehearsal.lifeboat("local", "load", "bench"))),
        Work("local tick daily", lambda: passed(rehearsal.lifeboat("local", "tick", "daily"))),
    ]


def _recoveries(rehearsal: Rehearsal) -> list[Work]:
    """Return what is measured of a recovery; the same dead instance before each."""
    passed(rehearsal.lifeboat("ami", "bake", "--no-reboot"))
    passed(rehearsal.lifeboat("local", "break", "instance"))
    passed(rehearsal.lifeboat("local", "save", "broken"))

    def broken() -> None:
        passed(rehearsal.lifeboat("local", "load", "broken"))
        (rehearsal.root / "environments" / "local.recovery.tfvars.json").unlink(missing_ok=True)

    return [
        Work("recover --preview", lambda: passed(rehearsal.lifeboat("recover", "--preview")), before=broken),
        Work(
            "make recover, from dead to an empty plan", lambda: passed(rehearsal.run("make", "recover")), before=broken
        ),
        Work("gitlab sync without changes", lambda: passed(rehearsal.lifeboat("gitlab", "sync", "--yes"))),
        Work("app redeploy", lambda: passed(rehearsal.lifeboat("app", "redeploy"))),
    ]


def _median(work: Work) -> float:
    seconds = []
    for _ in range(ROUNDS):
        work.before()
        seconds.append(_seconds(work.run))
    return statistics.median(seconds)


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
