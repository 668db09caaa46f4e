"""The runner: steps in order or side by side, each checked before and after, every side effect written down around itself.

It reaches nothing outside: the journal, the clock and the fence are given to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Any, Generic, Protocol, TypeVar

from lifeboat.errors import ChoiceGone, Failed, Interrupted, LifeboatError, Locked, StepTookTooLong, StoppedPartWay
from lifeboat.model import Event, EventKind, Gap, LeftOpen, Previewed

Context = TypeVar("Context")
# EC2 and Route 53 answer questions from copies: "eventual consistency", in the API reference of EC2.
SETTLING_SECONDS = 10.0


class Journal(Protocol):
    """What happened in one run; a line is durable, here and in the state bucket, when `write` returns."""

    @property
    def run(self) -> str:
        """The run that it is the journal of."""

    @property
    def events(self) -> Sequence[Event]:
        """What was written, oldest first, by earlier attempts too."""

    def write(self, kind: EventKind, *, step: str = "", text: str = "", **data: Any) -> Event:
        """Append one line."""


class Clock(Protocol):
    """Time: UTC for instants, a monotonic count of seconds for lengths."""

    def now(self) -> datetime:
        """Return the instant."""

    def monotonic(self) -> float:
        """Return seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Fence(Protocol):
    """What tells us that nobody else took this environment over."""

    def require(self) -> None:
        """Raise Locked when somebody did."""


class Guard(Protocol):
    """What looks at each effect before it is written down and done."""

    def __call__(self, step: str, about: Mapping[str, Any], /) -> None:
        """Raise Refused where it must not be done."""


def unguarded(_step: str, _about: Mapping[str, Any], /) -> None:
    """Let every effect be done: what a recovery may touch is decided before its plan is carried out."""


class Turn:
    """A step's time to act: what it does to the world goes through `effect`, what it waits for through `sleep`."""

    def __init__(
        self,
        step: str,
        *,
        limit: timedelta,
        journal: Journal,
        clock: Clock,
        fence: Fence,
        guard: Guard = unguarded,
    ) -> None:
        self._step = step
        self._limit = limit
        self._journal = journal
        self._clock = clock
        self._fence = fence
        self._guard = guard
        self._until = clock.monotonic() + limit.total_seconds()

    @property
    def seconds_left(self) -> float:
        """Seconds until the step's deadline; not below 0."""
        return max(0.0, self._until - self._clock.monotonic())

    def sleep(self, seconds: float) -> None:
        """Wait; raises StepTookTooLong past the step's deadline, Locked when somebody took over meanwhile."""
        self._fence.require()
        if self.seconds_left <= 0:
            raise StepTookTooLong(f"not done within {self._limit.total_seconds():.0f} s")
        self._clock.sleep(min(seconds, self.seconds_left))

    @contextmanager
    def effect(self, text: str, **about: Any) -> Iterator[dict[str, Any]]:
        """Write down what is about to be done and, afterwards, what came of it (what is put into the given dictionary).

        An intent without a result is what an interruption leaves; the step's check then finds out whether it was done.
        """
        self._fence.require()
        self._guard(self._step, about)
        self._journal.write(EventKind.INTENT, step=self._step, text=text, **about)
        came: dict[str, Any] = {}
        try:
            yield came
        except LifeboatError as error:
            # What went wrong counts for more than that it cannot be written down as well.
            with suppress(LifeboatError):
                self._journal.write(EventKind.RESULT, step=self._step, text=text, error=error.summary, **came)
            raise
        self._journal.write(EventKind.RESULT, step=self._step, text=text, **came)

    def note(self, text: str, **data: Any) -> None:
        """Write down something that was learnt or decided."""
        self._journal.write(EventKind.NOTE, step=self._step, text=text, **data)


class Check(Protocol[Context]):  # type: ignore[misc]
    """What a step wants to know: the gap that is still open, None when there is none. It only reads."""

    def __call__(self, context: Context, /) -> Gap | None: ...


class Do(Protocol[Context]):  # type: ignore[misc]
    """What closes the gap."""

    def __call__(self, context: Context, turn: Turn, /) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Step(Generic[Context]):
    """One row of a runbook.

    `check` runs before `do`, which is left out where nothing is missing, and after it, so that success is measured.
    Without `do` the step is a condition. `limit` is how long `do` may take. A failure of one of the kinds in
    `may_stay_open` does not stop the run: the step is left open, for `resume`.
    """

    name: str
    title: str
    check: Check[Context]
    do: Do[Context] | None = None
    limit: timedelta = timedelta(minutes=10)
    may_stay_open: tuple[type[LifeboatError], ...] = ()


@dataclass(frozen=True, kw_only=True)
class SideBySide(Generic[Context]):
    """Two parts of a runbook that need nothing of each other.

    `here` is carried out by the thread that runs the runbook, which alone gets the operator's interrupt: what owns
    processes belongs there. `beside` waits through its turns alone, so that it stops as soon as `here` has failed.
    """

    here: tuple[Step[Context], ...]
    beside: tuple[Step[Context], ...]


def flat(rows: Iterable[Step[Context] | SideBySide[Context]]) -> list[Step[Context]]:
    """Return all steps of a runbook in the order in which they are numbered."""
    found: list[Step[Context]] = []
    for row in rows:
        found += [*row.beside, *row.here] if isinstance(row, SideBySide) else [row]
    return found


class _UntilHalted:
    """A clock that lets nobody sleep any more once its flag is set."""

    def __init__(self, clock: Clock, halted: Flag) -> None:
        self._clock = clock
        self._halted = halted

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._halted.is_set():
            raise Interrupted("what runs beside it has stopped")
        self._clock.sleep(seconds)


class Watcher(Protocol):
    """Who is told which step the run is at."""

    def step_begins(self, number: int, total: int, title: str) -> None:
        """Step `number` of `total` is looked at."""

    def step_ends(self, number: int, total: int, outcome: str) -> None:
        """That step is over."""


def preview(steps: Iterable[Step[Context]], context: Context) -> list[Previewed]:
    """Return what each step would find missing now; nothing is changed, and one that cannot look stops no other."""
    found: list[Previewed] = []
    for step in steps:
        try:
            found.append(Previewed(name=step.name, title=step.title, gap=step.check(context)))
        except LifeboatError as error:
            stops = not isinstance(error, step.may_stay_open)
            found.append(Previewed(name=step.name, title=step.title, gap=None, problem=error, stops=stops))
    return found


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Carries out the steps of one run."""

    journal: Journal
    clock: Clock
    fence: Fence
    watcher: Watcher
    guard: Guard = unguarded

    def run(
        self,
        rows: Sequence[Step[Context] | SideBySide[Context]],
        context: Context,
        beside: Context | None = None,
    ) -> tuple[LeftOpen, ...]:
        """Carry out the steps, skipping what holds; return those left open. `beside` is what those beside others share.

        A failure before anything was changed is raised as it is; afterwards it is StoppedPartWay, whose hint resumes,
        unless no attempt can go on.
        """
        left: list[LeftOpen] = []
        steps = flat(rows)
        place = {step.name: (number, len(steps)) for number, step in enumerate(steps, start=1)}
        for row in rows:
            if isinstance(row, SideBySide):
                left += self._side_by_side(row, context, context if beside is None else beside, place)
            else:
                left += self._watched(row, context, place[row.name])
        return tuple(left)

    def _side_by_side(
        self, row: SideBySide[Context], context: Context, other: Context, place: dict[str, tuple[int, int]]
    ) -> list[LeftOpen]:
        """Carry out both parts; where one fails, the other one stops before its next step, or in its wait."""
        halted = Flag()
        runner = replace(self, clock=_UntilHalted(self.clock, halted))

        def all_beside() -> list[LeftOpen]:
            left: list[LeftOpen] = []
            for step in row.beside:
                if halted.is_set():
                    break
                left += runner._watched(step, other, place[step.name])
            return left

        left: list[LeftOpen] = []
        with ThreadPoolExecutor(max_workers=1) as pool:
            under_way: Future[list[LeftOpen]] = pool.submit(all_beside)
            try:
                for step in row.here:
                    if under_way.done():
                        under_way.result()
                    left += self._watched(step, context, place[step.name])
                return [*under_way.result(), *left]
            except KeyboardInterrupt:
                raise Interrupted("interrupted while steps ran side by side", hint=self._resume()) from None
            finally:
                halted.set()

    def _watched(self, step: Step[Context], context: Context, place: tuple[int, int]) -> list[LeftOpen]:
        number, total = place
        self.watcher.step_begins(number, total, step.title)
        try:
            outcome = self._step(step, context)
        except (KeyboardInterrupt, Interrupted) as stop:
            self.watcher.step_ends(number, total, "interrupted")
            self._note_stop(step.name, "interrupted")
            why = f": {stop.summary}" if isinstance(stop, Interrupted) else ""
            raise Interrupted(f"interrupted in the step {step.name!r}{why}", hint=self._resume()) from None
        except LifeboatError as error:
            if isinstance(error, step.may_stay_open):
                self.watcher.step_ends(number, total, f"left open: {error.summary}")
                self.journal.write(EventKind.LEFT_OPEN, step=step.name, text=error.summary)
                return [LeftOpen(name=step.name, title=step.title, why=error.summary)]
            self.watcher.step_ends(number, total, "failed")
            self._note_stop(step.name, error.summary)
            raise self._stopped(step.title, error) from error
        self.watcher.step_ends(number, total, outcome)
        return []

    def _step(self, step: Step[Context], context: Context) -> str:
        self.fence.require()
        gap = step.check(context)
        if gap is None:
            self.journal.write(EventKind.HOLDS, step=step.name)
            return "holds"
        if step.do is None:
            raise Failed(gap.text)
        self.journal.write(EventKind.DOING, step=step.name, text=gap.text)
        turn = Turn(
            step.name,
            limit=step.limit,
            journal=self.journal,
            clock=self.clock,
            fence=self.fence,
            guard=self.guard,
        )
        try:
            step.do(context, turn)
        except StepTookTooLong as error:
            still = step.check(context)
            if still is not None:
                raise StepTookTooLong(f"{error.summary}: {still.text}", hint=error.hint) from error
        still = self._settled(step, context)
        if still is not None:
            raise Failed(f"done, and yet: {still.text}")
        self.journal.write(EventKind.DONE, step=step.name)
        return "done"

    def _settled(self, step: Step[Context], context: Context) -> Gap | None:
        """Return the gap that stays: what was ordered of AWS may be seen some seconds later."""
        until = self.clock.monotonic() + SETTLING_SECONDS
        while (still := step.check(context)) is not None and self.clock.monotonic() < until:
            self.clock.sleep(1)
        return still

    def _note_stop(self, step: str, text: str) -> None:
        with suppress(LifeboatError):  # what stopped the run is told in any case, with how to go on
            self.journal.write(EventKind.STOPPED, step=step, text=text)

    def _stopped(self, title: str, error: LifeboatError) -> LifeboatError:
        changed = any(event.kind is EventKind.INTENT for event in self.journal.events)
        if not changed or isinstance(error, (Locked, ChoiceGone)):
            return error
        hint = f"{error.hint}\n        then: {self._resume()}" if error.hint else self._resume()
        return StoppedPartWay(f"{title}: {error.summary}", hint=hint)

    def _resume(self) -> str:
        return f"lifeboat resume {self.journal.run}"
