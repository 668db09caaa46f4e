"""The geometry of a report's charts, in units of their view boxes: what the templates draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.decisions.evidence_overview import ProofAge, Series, Timed
from lifeboat.evidence_formats import words
from lifeboat.evidence_model import Bundle, StepTaken

WIDTH = 960.0
_NICE_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_TICKS = 8
_DAY = 86400.0


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    text: str


# -- step by step ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One step: its row, where its bar begins and how long it is, what stands beside it."""

    y: float
    x: float
    width: float
    title: str
    label: str
    outcome: str
    took: str
    why: str
    label_x: float


@dataclass(frozen=True, kw_only=True)
class Waterfall:
    """The steps of one attempt from above to below, along the time since it began; `answered` is where the answer came."""

    attempt: int
    who: str
    height: float
    left: float
    right: float
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    answered: float | None


_ROW, _LEFT, _RIGHT, _TOP = 26.0, 384.0, 800.0, 30.0
_LONGEST_TITLE = 50  # signs; the whole of it is shown where the pointer rests


def waterfalls(found: Bundle) -> tuple[Waterfall, ...]:
    """Return a chart for each attempt that got as far as a step."""
    numbers = sorted({step.attempt for step in found.steps})
    return tuple(_waterfall(found, number) for number in numbers)


def _waterfall(found: Bundle, number: int) -> Waterfall:
    steps = [step for step in found.steps if step.attempt == number]
    attempt = found.who[number - 1] if 0 < number <= len(found.who) else None
    began = min([step.began for step in steps] + ([attempt.at] if attempt is not None else []))
    whole = max(1.0, *((step.ended - began).total_seconds() for step in steps))

    def x(at: datetime) -> float:
        return _LEFT + (at - began).total_seconds() / whole * (_RIGHT - _LEFT)

    answered = None
    if found.rto is not None and found.rto.seconds is not None:
        at = (found.failed_at or found.began) + timedelta(seconds=found.rto.seconds)
        answered = round(x(at), 2) if began <= at <= began + timedelta(seconds=whole) else None
    return Waterfall(
        attempt=number,
        who="" if attempt is None else f"{attempt.user}@{attempt.host}, {words.moment(attempt.at)}",
        height=_TOP + _ROW * len(steps) + 26,
        left=_LEFT,
        right=_RIGHT,
        ticks=tuple(
            Tick(at=round(_LEFT + s / whole * (_RIGHT - _LEFT), 2), text=words.length(s)) for s in _ticks(whole)
        ),
        bars=tuple(_bar(step, row, x(step.began), x(step.ended)) for row, step in enumerate(steps)),
        answered=answered,
    )


def _bar(step: StepTaken, row: int, begin: float, end: float) -> Bar:
    # What took no time is seen all the same.
    width = max(3.0, end - begin)
    return Bar(
        y=_TOP + _ROW * row,
        x=round(begin, 2),
        width=round(width, 2),
        title=step.title,
        label=step.title if len(step.title) <= _LONGEST_TITLE else step.title[: _LONGEST_TITLE - 1].rstrip() + "…",
        outcome=step.outcome,
        took=words.length(step.seconds),
        why=step.why,
        label_x=round(begin + width + 6, 2),
    )


def _ticks(whole: float) -> list[float]:
    """Return round numbers of seconds from 0 up to the whole, not too many."""
    step = next((nice for nice in _NICE_SECONDS if whole / nice <= _MOST_TICKS), None)
    if step is None:
        step = math.ceil(whole / _MOST_TICKS / _DAY) * 86400
    return [float(number * step) for number in range(int(whole // step) + 1)]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of the recovery time: its title, seconds, and colour by number; `small` is not worth a line of the legend."""

    title: str
    seconds: float
    colour: int
    small: bool


_COLOURS = 12


def shares(found: Bundle) -> tuple[Share, ...]:
    """Return where the recovery time went."""
    whole = sum(part.seconds for part in found.time_spent)
    return tuple(
        Share(
            title=part.title,
            seconds=part.seconds,
            colour=number % _COLOURS,
            small=part.seconds < whole * 0.005,
        )
        for number, part in enumerate(found.time_spent)
    )


# -- over time ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One run: where it stands, how it is drawn (met, missed, or none where it never answered), and what is said of it."""

    x: float
    y: float
    kind: str
    text: str
    current: bool


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Recovery times over time, as a line through dots, and the target as a line of steps."""

    name: str
    height: float
    left: float
    right: float
    top: float
    bottom: float
    dots: tuple[Dot, ...]
    line: str
    target: str
    target_y: float
    target_text: str
    ticks: tuple[Tick, ...]
    days: tuple[Tick, ...]
    last: str
    last_met: bool


_T_LEFT, _T_RIGHT, _T_TOP, _T_BOTTOM, _T_HEIGHT = 76.0, 936.0, 22.0, 200.0, 232.0
# Minutes and a target of hours are both to be read: each mark is some three times the one below.
_MARKS = (1, 3, 10, 30, 60, 180, 600, 1800, 3600, 14400, 43200, 86400, 259200, 864000, 2592000)


def trends(found: Iterable[Series], *, current: int | None = None) -> tuple[Trend, ...]:
    """Return a chart for each kind of run and scope; the bundle that the report is about is marked."""
    return tuple(_trend(one, current) for one in found)


def _trend(found: Series, current: int | None) -> Trend:
    timed = found.timed
    first, span = timed[0].at, (timed[-1].at - timed[0].at).total_seconds()
    marks = _marks([one.objective_seconds for one in timed] + [one.seconds for one in timed if one.seconds is not None])
    low, high = math.log(marks[0]), math.log(marks[-1])

    def x(at: datetime) -> float:
        share = (at - first).total_seconds() / span if span else 0.5
        return round(_T_LEFT + 16 + share * (_T_RIGHT - _T_LEFT - 32), 2)

    def y(seconds: float) -> float:
        share = (math.log(min(max(seconds, marks[0]), marks[-1])) - low) / (high - low)
        return round(_T_BOTTOM - share * (_T_BOTTOM - _T_TOP), 2)

    dots = tuple(
        Dot(
            x=x(one.at),
            # What never answered stands at the upper edge, and no line leads to it.
            y=_T_TOP if one.seconds is None else y(one.seconds),
            kind="none" if one.seconds is None else ("met" if one.met else "missed"),
            text=_said(one),
            current=one.number == current,
        )
        for one in timed
    )
    objective = timed[-1].objective_seconds
    answered = [dot for dot in dots if dot.kind != "none"]
    return Trend(
        name=f"{found.kind.value}, {found.scope}",
        height=_T_HEIGHT,
        left=_T_LEFT,
        right=_T_RIGHT,
        top=_T_TOP,
        bottom=_T_BOTTOM,
        dots=dots,
        line=" ".join(f"{dot.x},{dot.y}" for dot in answered) if len(answered) > 1 else "",
        target=_steps([(dot.x, y(one.objective_seconds)) for dot, one in zip(dots, timed, strict=True)]),
        target_y=y(objective),
        target_text=f"target {words.length(objective)}",
        ticks=tuple(Tick(at=y(mark), text=words.length(mark)) for mark in marks),
        days=_days(timed, [dot.x for dot in dots]),
        last=words.length(timed[-1].seconds) if timed[-1].seconds is not None else "no answer",
        last_met=timed[-1].met,
    )


def _marks(values: Sequence[float]) -> list[int]:
    """Return the marks of a logarithmic axis that all values lie between, at least three of them."""
    least, most = max(min(values), _MARKS[0]), max(values)
    begin = max((number for number, mark in enumerate(_MARKS) if mark <= least), default=0)
    end = min((number for number, mark in enumerate(_MARKS) if mark >= most), default=len(_MARKS) - 1)
    if _MARKS[end] < most * 1.15:
        end = min(end + 1, len(_MARKS) - 1)
    begin = min(begin, max(0, end - 2))
    return list(_MARKS[begin : end + 1])


def _said(one: Timed) -> str:
    took = "it did not answer" if one.seconds is None else words.length(one.seconds)
    return f"{words.moment(one.at)}: {took} of {words.length(one.objective_seconds)} ({one.run})"


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """Return the target as points of a line that changes level only where the target did, from edge to edge."""
    line = [(_T_LEFT, points[0][1])]
    for x, y in points:
        if y != line[-1][1]:
            line += [(x, line[-1][1]), (x, y)]
    line.append((_T_RIGHT, line[-1][1]))
    return " ".join(f"{x},{y}" for x, y in line)


def _days(timed: Sequence[Timed], places: Sequence[float]) -> tuple[Tick, ...]:
    """Return the days of the runs, those left out that would be written over the one before."""
    found: list[Tick] = []
    for one, place in zip(timed, places, strict=True):
        if not found or place - found[-1].at > 90:
            found.append(Tick(at=place, text=words.day(one.at)))
    return tuple(found)


# -- age of proof ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AgeBar:
    """How long ago one kind of copy was restored for real; `level` is fresh, old or never."""

    y: float
    width: float
    name: str
    text: str
    level: str


@dataclass(frozen=True, kw_only=True)
class Ages:
    """The ages of proof, a bar for each source, with the days on the axis and the age from which a proof is old."""

    height: float
    left: float
    right: float
    bars: tuple[AgeBar, ...]
    ticks: tuple[Tick, ...]
    limit: float
    limit_text: str


_A_LEFT, _A_RIGHT, _A_ROW, _A_TOP = 280.0, 840.0, 30.0, 28.0
OLD_DAYS = 90  # drills are wanted quarterly


def ages(found: Sequence[ProofAge]) -> Ages:
    """Return the chart of how old the proofs are."""
    days = [(one.seconds or 0.0) / _DAY for one in found]
    most = max([*days, OLD_DAYS * 1.2])

    def width(value: float) -> float:
        return round(value / most * (_A_RIGHT - _A_LEFT), 2)

    step = next(nice for nice in (15, 30, 60, 90, 180, 365, 10_000) if most / nice <= _MOST_TICKS)
    bars = []
    for row, (one, age) in enumerate(zip(found, days, strict=True)):
        level = "never" if one.seconds is None else ("old" if age > OLD_DAYS else "fresh")
        text = "never restored" if one.seconds is None else f"{words.length(one.seconds)} ago"
        bars.append(
            AgeBar(
                y=_A_TOP + _A_ROW * row,
                width=max(3.0, width(age)),
                name=f"{one.asset}: {one.source}",
                text=text,
                level=level,
            )
        )
    return Ages(
        height=_A_TOP + _A_ROW * len(bars) + 6,
        left=_A_LEFT,
        right=_A_RIGHT,
        bars=tuple(bars),
        ticks=tuple(Tick(at=_A_LEFT + width(d), text=f"{d} d") for d in range(0, int(most) + 1, step)),
        limit=_A_LEFT + width(OLD_DAYS),
        limit_text=f"{OLD_DAYS} d",
    )


# -- a gauge -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """How much of an objective was used, in percent of a bar's length: at most 100; `over` where it was more."""

    used: float
    over: bool


def gauge(seconds: float | None, objective: float) -> Gauge:
    """Return the gauge; what nobody knows fills it."""
    if seconds is None or objective <= 0:
        return Gauge(used=100.0, over=True)
    share = seconds / objective * 100
    return Gauge(used=round(min(100.0, max(share, 1.0)), 1), over=share > 100)
