"""How often a schedule of AWS fires: the longest time between two runs of cron(six fields) and rate(…), at its worst."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise

from lifeboat.decisions.policy.planned import Impossible

_RATE = re.compile(r"rate\((\d{1,6}) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\(([^()]+)\)")
_AT = re.compile(r"at\([^()]+\)")
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_ANY = ("*", "?")
_WANTED = "cron(six fields) or rate(number unit)"
# Long enough for the rarest day that comes back, 29 February; begins with a leap year.
_FIRST, _LAST = date(2028, 1, 1), date(2036, 12, 31)
_DAY = timedelta(days=1)
NEVER = timedelta.max  # the gap after the last run of what does not fire for ever


@dataclass(frozen=True, kw_only=True)
class Cron:
    """The fields of a cron expression: minutes of the day at which it fires, and the days on which it does."""

    minutes: tuple[int, ...]
    days: tuple[date, ...]
    every_day: bool
    ends: bool


@lru_cache(maxsize=1024)
def longest_gap(expression: str) -> timedelta:
    """Return the longest time between two runs; NEVER for a schedule that ends. Raises Impossible for what is no schedule.

    The fields are those of the manuals of AWS Backup, DLM and EventBridge: minutes, hours, day of month, month, day of
    week, year. An hour that summer time takes away or adds is not counted.
    """
    text = expression.strip()
    rate = _RATE.fullmatch(text)
    if rate is not None:
        if int(rate[1]) < 1:
            raise Impossible(f"{expression!r} is no schedule: a rate is at least 1", _WANTED)
        return timedelta(**{f"{rate[2]}s": int(rate[1])})
    if _AT.fullmatch(text):
        return NEVER
    cron = parsed(text)
    if cron.ends:
        return NEVER
    first, last = cron.minutes[0], cron.minutes[-1]
    within = max((later - one for one, later in pairwise(cron.minutes)), default=0)
    apart = 1 if cron.every_day else max((later - one).days for one, later in pairwise(cron.days))
    return timedelta(minutes=max(within, apart * 1440 - last + first))


def minutes_of_week(expression: str) -> frozenset[int]:
    """Return the minutes of a week, from Sunday 00:00, at which it ever fires; empty for a rate. Raises Impossible."""
    text = expression.strip()
    if _RATE.fullmatch(text) or _AT.fullmatch(text):
        return frozenset()
    cron = parsed(text)
    weekdays = range(7) if cron.every_day else {day.isoweekday() % 7 for day in cron.days}
    return frozenset(weekday * 1440 + minute for weekday in weekdays for minute in cron.minutes)


@lru_cache(maxsize=1024)
def parsed(expression: str) -> Cron:
    """Return the parts of a cron expression. Raises Impossible for what is none."""
    found = _CRON.fullmatch(expression.strip())
    fields = found[1].upper().split() if found is not None else []
    if len(fields) != 6:
        raise Impossible(f"{expression!r} is no schedule of AWS", _WANTED)
    minute, hour, month_day, month, weekday, year = fields
    try:
        minutes = sorted(
            60 * at_hour + at_minute
            for at_hour in _numbers(hour, range(24))
            for at_minute in _numbers(minute, range(60))
        )
        months = _numbers(month, range(1, 13), _MONTHS)
        every_day = month_day in _ANY and weekday in _ANY and len(months) == 12
        days = () if every_day else tuple(_days(month_day, weekday, months))
        if year not in _ANY:
            _numbers(year, range(1970, 2200))
    except ValueError as wrong:
        raise Impossible(f"{expression!r} is no schedule of AWS: {wrong}", _WANTED) from None
    if not every_day and len(days) < 2:
        raise Impossible(f"{expression!r} is a schedule that never fires", "days that come round")
    return Cron(minutes=tuple(minutes), days=days, every_day=every_day, ends=year not in _ANY)


def _days(month_day: str, weekday: str, months: set[int]) -> Iterator[date]:
    if month_day not in _ANY and weekday not in _ANY:
        raise ValueError("one of day of month and day of week must be ?")
    plain_days = None if month_day in _ANY or re.search("[LW]", month_day) else _numbers(month_day, range(1, 32))
    plain_weekdays = (
        None if weekday in _ANY or re.search("[L#]", weekday) else _numbers(weekday, range(1, 8), _WEEKDAYS)
    )
    day = _FIRST
    while day <= _LAST:
        if day.month in months and (
            (day.day in plain_days if plain_days is not None else month_day in _ANY or _month_day(month_day, day))
            and (
                day.isoweekday() % 7 + 1 in plain_weekdays
                if plain_weekdays is not None
                else weekday in _ANY or _weekday(weekday, day)
            )
        ):
            yield day
        day += _DAY


def _month_day(field: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if field == "L":
        return day.day == last
    if field == "LW":
        return day == _working_day(day.replace(day=last))
    nearest = re.fullmatch(r"(\d{1,2})W", field)
    if nearest is None:
        raise ValueError(f"{field!r} is no day of a month")
    wanted = int(nearest[1])
    if not 1 <= wanted <= 31:
        raise ValueError(f"{field!r} is no day of a month")
    return wanted <= last and day == _working_day(day.replace(day=wanted))


def _weekday(field: str, day: date) -> bool:
    today = day.isoweekday() % 7 + 1
    if field == "L":
        return today == 7
    counted = re.fullmatch(r"([A-Z0-9]+)#([1-5])", field)
    if counted is not None:
        return today == _number(counted[1], range(1, 8), _WEEKDAYS) and (day.day - 1) // 7 + 1 == int(counted[2])
    final = re.fullmatch(r"([A-Z0-9]+)L", field)
    if final is None:
        raise ValueError(f"{field!r} is no day of a week")
    last = calendar.monthrange(day.year, day.month)[1]
    return today == _number(final[1], range(1, 8), _WEEKDAYS) and day.day + 7 > last


def _working_day(day: date) -> date:
    """Return the weekday nearest to a day within its month."""
    if day.isoweekday() <= 5:
        return day
    saturday = day.isoweekday() == 6
    near = day - _DAY if saturday else day + _DAY
    far = day + 2 * _DAY if saturday else day - 2 * _DAY
    return near if near.month == day.month else far


def _numbers(field: str, allowed: range, names: dict[str, int] | None = None) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        if slash and not (step_text.isdecimal() and int(step_text) > 0):
            raise ValueError(f"{part!r}: a number above 0 must follow the slash")
        step = int(step_text) if slash else 1
        first_text, dash, last_text = span.partition("-")
        if span in _ANY:
            first, last = allowed[0], allowed[-1]
        else:
            first = _number(first_text, allowed, names)
            last = _number(last_text, allowed, names) if dash else (allowed[-1] if slash else first)
        around = [*range(first, allowed[-1] + 1), *range(allowed[0], last + 1)]
        found.update((range(first, last + 1) if first <= last else around)[::step])
    return found


def _number(text: str, allowed: range, names: dict[str, int] | None) -> int:
    number = (names or {}).get(text)
    if number is None and text.isdecimal():
        number = int(text)
    if number is None or number not in allowed:
        raise ValueError(f"{text!r} is not between {allowed[0]} and {allowed[-1]}")
    return number
