"""Waiting asks at once, tells how far it is, and gives up at its deadline after a last question."""

from __future__ import annotations

import pytest
from lifeboat.clients.waiting import Patience, until


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def patience(self, seconds: float, told: list[str]) -> Patience:
        return Patience(seconds=seconds, tell=told.append, sleep=self.sleep, clock=self.monotonic)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_there_already_is_returned_without_sleeping(clock: Clock) -> None:
    told: list[str] = []

    found = until(clock.patience(0, told), lambda: ("there", ""))

    assert (found, told, clock.slept) == ("there", [], [])


def test_it_is_asked_again_with_growing_pauses_and_what_it_says_is_told(clock: Clock) -> None:
    answers = iter([(None, "10 %"), (None, "50 %"), (None, "90 %"), ("done", "")])
    told: list[str] = []

    found = until(clock.patience(60, told), lambda: next(answers))

    assert (found, told) == ("done", ["10 %", "50 %", "90 %"])
    assert clock.slept == sorted(clock.slept)


def test_at_the_deadline_it_is_asked_once_more_and_given_up(clock: Clock) -> None:
    asked: list[float] = []

    def ask() -> tuple[None, str]:
        asked.append(clock.now)
        return None, "not yet"

    found = until(clock.patience(7, []), ask)

    assert found is None
    assert asked[-1] == clock.now == pytest.approx(7)
    assert max(clock.slept) <= 5
