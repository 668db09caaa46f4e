"""The runner: what it skips, what it measures, what it writes down, and how it stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.errors import Interrupted, LifeboatError, Locked, Refused, StoppedPartWay, Unreachable
from lifeboat.model import Event, EventKind, Gap
from lifeboat.runner import Runner, SideBySide, Step, Turn, preview

START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@dataclass
class World:
    """What the steps of a test find and change."""

    done: set[str] = field(default_factory=set)
    acted: list[str] = field(default_factory=list)


@dataclass
class MemoryJournal:
    """A journal in memory."""

    run: str = "r1"
    events: list[Event] = field(default_factory=list)

    def write(self, kind: EventKind, *, step: str = "", text: str = "", **data: Any) -> Event:
        event = Event(seq=len(self.events) + 1, at=START, kind=kind, step=step, text=text, data=data)
        self.events.append(event)
        return event

    def told(self) -> list[tuple[str, str]]:
        return [(event.kind.value, event.step) for event in self.events]


@dataclass
class FakeClock:
    """A clock that moves only while something sleeps."""

    elapsed: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


@dataclass
class Fence:
    """A fence that falls after so many questions."""

    holds_for: int = 10_000

    def require(self) -> None:
        self.holds_for -= 1
        if self.holds_for < 0:
            raise Locked("somebody else took over")


@dataclass
class Silent:
    """A watcher that remembers how steps ended."""

    ended: list[str] = field(default_factory=list)

    def step_begins(self, number: int, total: int, title: str) -> None:
        pass

    def step_ends(self, number: int, total: int, outcome: str) -> None:
        self.ended.append(outcome)


def runner(journal: MemoryJournal, fence: Fence | None = None, watcher: Silent | None = None) -> Runner:
    return Runner(journal=journal, clock=FakeClock(), fence=fence or Fence(), watcher=watcher or Silent())


def step(name: str, *, fails: LifeboatError | None = None, **more: Any) -> Step[World]:
    """Return a step whose gap is open until its `do` was called; with `fails` it never closes."""

    def check(world: World) -> Gap | None:
        return None if name in world.done else Gap(text=f"{name} is missing")

    def do(world: World, turn: Turn) -> None:
        with turn.effect(f"make {name}"):
            world.acted.append(name)
            if fails is not None:
                raise fails
            world.done.add(name)

    return Step(name=name, title=name.upper(), check=check, do=do, **more)


def test_a_step_that_holds_is_skipped_and_another_is_done_and_measured_again() -> None:
    journal, world, watcher = MemoryJournal(), World(done={"a"}), Silent()

    left = runner(journal, watcher=watcher).run([step("a"), step("b")], world)

    assert (left, world.acted, watcher.ended) == ((), ["b"], ["holds", "done"])
    assert journal.told() == [("holds", "a"), ("doing", "b"), ("intent", "b"), ("result", "b"), ("done", "b")]


def test_running_again_after_the_end_does_nothing() -> None:
    journal, world = MemoryJournal(), World()
    steps = [step("a"), step("b")]
    runner(journal).run(steps, world)

    runner(journal).run(steps, world)

    assert world.acted == ["a", "b"]
    assert journal.told()[-2:] == [("holds", "a"), ("holds", "b")]


def test_a_preview_looks_at_every_step_and_changes_nothing() -> None:
    def blind(_world: World) -> Gap | None:
        raise Unreachable("no answer")

    world = World(done={"a"})
    steps = [step("a"), Step[World](name="x", title="X", check=blind), step("b")]

    found = preview(steps, world)

    assert [(p.name, p.gap, p.problem and p.problem.summary) for p in found] == [
        ("a", None, None),
        ("x", None, "no answer"),
        ("b", Gap(text="b is missing"), None),
    ]
    assert world.acted == []


def test_what_fails_before_anything_was_changed_is_raised_as_it_is() -> None:
    def refuse(_world: World) -> Gap | None:
        raise Refused("not allowed", hint="do something else")

    journal = MemoryJournal()

    with pytest.raises(Refused, match="not allowed"):
        runner(journal).run([Step[World](name="x", title="X", check=refuse), step("b")], World())

    assert journal.told() == [("stopped", "x")]


def test_what_fails_afterwards_stops_part_way_and_says_how_to_resume() -> None:
    journal, world = MemoryJournal(), World()

    with pytest.raises(StoppedPartWay) as stopped:
        runner(journal).run([step("a"), step("b", fails=Unreachable("no answer", hint="look")), step("c")], world)

    assert stopped.value.exit_status == 4
    assert stopped.value.summary == "B: no answer"
    assert stopped.value.hint == "look\n        then: lifeboat resume r1"
    assert world.acted == ["a", "b"]
    assert journal.events[-2].data == {"error": "no answer"}


def test_a_step_whose_do_leaves_the_gap_open_is_a_failure() -> None:
    def do(_world: World, turn: Turn) -> None:
        with turn.effect("pretend"):
            pass

    lazy = Step[World](name="x", title="X", check=lambda _: Gap(text="still missing"), do=do)

    with pytest.raises(StoppedPartWay, match="X: done, and yet: still missing"):
        runner(MemoryJournal()).run([lazy], World())


def test_a_step_that_may_stay_open_does_not_stop_the_run() -> None:
    journal, world = MemoryJournal(), World()
    steps = [step("a", fails=Unreachable("GitLab is down"), may_stay_open=(Unreachable,)), step("b")]

    left = runner(journal).run(steps, world)

    assert [(one.name, one.why) for one in left] == [("a", "GitLab is down")]
    assert world.acted == ["a", "b"]
    assert ("left-open", "a") in journal.told()


def test_another_kind_of_failure_stops_it_all_the_same() -> None:
    steps = [step("a", fails=Refused("no"), may_stay_open=(Unreachable,)), step("b")]

    with pytest.raises(StoppedPartWay):
        runner(MemoryJournal()).run(steps, World())


def test_an_interruption_is_written_down_and_resumable() -> None:
    def interrupt(_world: World, _turn: Turn) -> None:
        raise KeyboardInterrupt

    journal = MemoryJournal()

    with pytest.raises(Interrupted) as stopped:
        runner(journal).run([Step[World](name="x", title="X", check=lambda _: Gap(text="g"), do=interrupt)], World())

    assert (stopped.value.exit_status, stopped.value.hint) == (130, "lifeboat resume r1")
    assert journal.told()[-1] == ("stopped", "x")


@pytest.mark.parametrize("questions", range(5))
def test_nothing_is_done_once_the_fence_fell(questions: int) -> None:
    journal, world = MemoryJournal(), World()

    with pytest.raises(Locked):
        runner(journal, Fence(holds_for=questions)).run([step("a"), step("b"), step("c")], world)

    assert len(world.acted) == questions // 2
    assert [e.kind for e in journal.events].count(EventKind.INTENT) == len(world.acted)


def test_waiting_ends_at_the_steps_deadline() -> None:
    clock = FakeClock()

    def wait(_world: World, turn: Turn) -> None:
        while True:
            turn.sleep(7)

    slow = Step[World](name="x", title="X", check=lambda _: Gap(text="g"), do=wait, limit=timedelta(seconds=60))

    # What was still missing is told, not only that time ran out.
    with pytest.raises(LifeboatError, match="not done within 60 s: g$"):
        Runner(journal=MemoryJournal(), clock=clock, fence=Fence(), watcher=Silent()).run([slow], World())

    assert clock.elapsed == 60


NAMES = "abcde"


@given(
    holding=st.sets(st.sampled_from(NAMES)),
    failing=st.dictionaries(st.sampled_from(NAMES), st.integers(min_value=1, max_value=3)),
)
def test_however_often_it_fails_resuming_ends_as_the_unbroken_run_does(
    holding: set[str], failing: dict[str, int]
) -> None:
    journal, world, failures = MemoryJournal(), World(done=set(holding)), dict(failing)

    def flaky(name: str) -> Step[World]:
        def check(world: World) -> Gap | None:
            return None if name in world.done else Gap(text=name)

        def do(world: World, turn: Turn) -> None:
            with turn.effect(f"make {name}"):
                world.acted.append(name)
                if failures.get(name, 0) > 0:
                    failures[name] -= 1
                    raise Unreachable("no answer")
                world.done.add(name)

        return Step(name=name, title=name, check=check, do=do)

    _until_done(lambda: runner(journal).run([flaky(name) for name in NAMES], world))

    assert world.done == set(NAMES)
    assert set(world.acted).isdisjoint(holding)
    intents = [e for e in journal.events if e.kind is EventKind.INTENT]
    results = [e for e in journal.events if e.kind is EventKind.RESULT]
    assert len(intents) == len(results) == len(world.acted)


def _until_done(run: Callable[[], object]) -> None:
    for _ in range(20):
        try:
            run()
        except StoppedPartWay:
            continue
        return
    raise AssertionError("it never ended")


@dataclass
class LostJournal(MemoryJournal):
    """A journal that goes away when a result is to be written."""

    def write(self, kind: EventKind, *, step: str = "", text: str = "", **data: Any) -> Event:
        if kind in (EventKind.RESULT, EventKind.STOPPED):
            raise Unreachable("the bucket does not answer")
        return super().write(kind, step=step, text=text, **data)


def test_what_went_wrong_is_told_with_how_to_go_on_also_where_it_cannot_be_written_down() -> None:
    with pytest.raises(StoppedPartWay, match="^A: no room$") as stopped:
        runner(LostJournal()).run([step("a", fails=Refused("no room"))], World())

    assert stopped.value.hint == "lifeboat resume r1"


def test_what_was_done_may_be_seen_some_seconds_later_and_not_for_ever() -> None:
    journal, clock = MemoryJournal(), FakeClock()
    steps = Runner(journal=journal, clock=clock, fence=Fence(), watcher=Silent())
    ordered: list[float] = []

    def seen_after(seconds: float) -> Step[World]:
        def check(_: World) -> Gap | None:
            return None if ordered and clock.elapsed >= ordered[-1] + seconds else Gap(text="not to be seen")

        return Step(name="tag", title="TAG", check=check, do=lambda _world, _turn: ordered.append(clock.elapsed))

    steps.run([seen_after(3)], World())
    with pytest.raises(LifeboatError, match="done, and yet: not to be seen"):
        steps.run([seen_after(600)], World())

    assert journal.told() == [("doing", "tag"), ("done", "tag"), ("doing", "tag"), ("stopped", "tag")]


# -- side by side ------------------------------------------------------------------------------------------------------


def acting(name: str, do: Callable[[World, Turn], None]) -> Step[World]:
    return replace(step(name), do=do, limit=timedelta(days=9))


@dataclass
class PatientClock(FakeClock):
    """A clock that lets the other thread work while something sleeps."""

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def both(here: Step[World], beside: Step[World]) -> SideBySide[World]:
    return SideBySide(here=(here,), beside=(beside,))


def test_two_parts_overlap_and_the_journal_shows_it() -> None:
    """Each waits for the other to have begun: one after the other, neither would ever end."""
    begun = {"here": Flag(), "beside": Flag()}

    def meets(name: str, other: str) -> Step[World]:
        def do(world: World, turn: Turn) -> None:
            with turn.effect(f"begin {name}"):
                begun[name].set()
                assert begun[other].wait(30)
            world.done.add(name)

        return acting(name, do)

    journal, world = MemoryJournal(), World()

    left = runner(journal).run(
        [step("first"), both(meets("here", "beside"), meets("beside", "here")), step("last")], world
    )

    told = journal.told()
    assert left == ()
    assert world.done >= {"first", "here", "beside", "last"}
    assert told.index(("intent", "beside")) < told.index(("result", "here"))
    assert told.index(("intent", "here")) < told.index(("result", "beside"))
    assert told[-1] == ("done", "last")


def test_where_one_part_fails_the_other_one_stops_waiting_and_nothing_follows() -> None:
    waiting = Flag()

    def waits(world: World, turn: Turn) -> None:
        with turn.effect("order it"):
            waiting.set()
        while True:
            turn.sleep(0.01)

    def fails(_world: World, _turn: Turn) -> None:
        assert waiting.wait(30)
        raise Unreachable("AWS is away")

    journal, world = MemoryJournal(), World()
    rows = [both(acting("here", fails), acting("beside", waits)), step("last")]

    with pytest.raises(StoppedPartWay, match="AWS is away"):
        replace(runner(journal), clock=PatientClock()).run(rows, world)

    assert ("stopped", "here") in journal.told()
    assert ("stopped", "beside") in journal.told()
    assert "last" not in world.acted


def test_a_failure_beside_is_raised_when_the_other_part_has_ended_its_step() -> None:
    begun, failed = Flag(), Flag()

    def fails(_world: World, _turn: Turn) -> None:
        assert begun.wait(30)
        failed.set()
        raise Refused("not that one")

    def goes_on(world: World, _turn: Turn) -> None:
        begun.set()
        assert failed.wait(30)
        world.done.add("here")

    world = World()
    row = SideBySide(here=(acting("here", goes_on), step("never")), beside=(acting("beside", fails),))

    with pytest.raises(LifeboatError, match="not that one"):
        runner(MemoryJournal()).run([row], world)

    assert "here" in world.done


def test_each_part_is_given_its_own_context() -> None:
    here, beside = World(), World()

    runner(MemoryJournal()).run([both(step("a"), step("b"))], here, beside)

    assert (here.done, beside.done) == ({"a"}, {"b"})
