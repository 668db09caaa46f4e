"""Steps of a recovery, carried out in this process without anybody to ask, and how each ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lifeboat.clients.waiting import WallClock
from lifeboat.errors import ApprovalMissing
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Clock, Runner, Step


@dataclass
class Held:
    """A lease that nobody takes."""

    def require(self) -> None:
        pass


@dataclass
class Seen:
    """A watcher that remembers how steps ended."""

    ended: list[str] = field(default_factory=list)

    def step_begins(self, number: int, total: int, title: str) -> None:
        pass

    def step_ends(self, number: int, total: int, outcome: str) -> None:
        self.ended.append(outcome)


def nobody(lines: Sequence[str]) -> None:
    raise ApprovalMissing("\n".join(lines))


@dataclass
class Hurried:
    """A clock on which nobody waits: what is slept has passed."""

    slept: float = 0.0

    def now(self) -> datetime:
        return WallClock().now()

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def carried_out(c: Recovering, steps: Sequence[Step[Recovering]], clock: Clock | None = None) -> list[str]:
    """Carry out steps and return how each ended."""
    seen = Seen()
    Runner(journal=c.journal, clock=clock or WallClock(), fence=Held(), watcher=seen).run(steps, c)
    return seen.ended
