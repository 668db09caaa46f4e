"""AWS schedule expressions: cron(six fields), rate(…) and at(…), read as the AWS manuals define them."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
WEEKDAYS = {name: number for number, name in enumerate(("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), 1)}
YEARS = range(1970, 2200)
RATE = re.compile(r"rate\((\d+) (minutes?|hours?|days?)\)")
SEARCHED_DAYS = 366 * 8  # 29 February comes back within eight years


class BadExpression(ValueError):
    """The text is not a schedule expression; the message says which part."""


@dataclass(frozen=True, kw_only=True)
class Cron:
    """The six fields of a cron expression; the two day fields stay text because L, W and # depend on the month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]

    def due_on(self, day: date) -> bool:
        """Return whether the expression fires on a day."""
        if day.year not in self.years or day.month not in self.months:
            return False
        if self.day_of_week == "?":
            return _day_of_month_matches(self.day_of_month, day)
        return _day_of_week_matches(self.day_of_week, day)

    def times(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the moments (UTC) after `after`; clocks put forward skip a moment, as AWS does."""
        first = after.astimezone(zone).date()
        for offset in range(SEARCHED_DAYS):
            day = first + timedelta(days=offset)
            if not self.due_on(day):
                continue
            for hour in self.hours:
                for minute in self.minutes:
                    moment = datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
                    if moment > after and moment.astimezone(zone).hour == hour:
                        yield moment


def cron(text: str) -> Cron:
    """Return the parts of `cron(minutes hours day-of-month month day-of-week year)`; raises BadExpression."""
    match = re.fullmatch(r"cron\((.*)\)", text.strip())
    if match is None:
        raise BadExpression(f"{text!r} is not of the form cron(…)")
    fields = match.group(1).split()
    if len(fields) != 6:
        raise BadExpression(f"{text!r} has {len(fields)} fields; AWS wants six")
    minutes, hours, day_of_month, months, day_of_week, years = (field.upper() for field in fields)
    if (day_of_month == "?") == (day_of_week == "?"):
        raise BadExpression(f"{text!r}: exactly one of day-of-month and day-of-week must be ?")
    parsed = Cron(
        minutes=tuple(sorted(_numbers(minutes, range(60), {}))),
        hours=tuple(sorted(_numbers(hours, range(24), {}))),
        day_of_month=day_of_month,
        months=frozenset(_numbers(months, range(1, 13), MONTHS)),
        day_of_week=day_of_week,
        years=frozenset(_numbers(years, YEARS, {})),
    )
    # Reading the day fields once for some month finds what is wrong in them.
    parsed.due_on(date(min(parsed.years), min(parsed.months), 1))
    return parsed


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; raises BadExpression."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadExpression(f"{name!r} is not a time zone") from error


def rate(text: str) -> timedelta:
    """Return the interval of `rate(value unit)`; raises BadExpression."""
    match = RATE.fullmatch(text.strip())
    if match is None:
        raise BadExpression(f"{text!r} is not of the form rate(value unit)")
    value, unit = int(match.group(1)), match.group(2)
    if value < 1 or (value == 1) == unit.endswith("s"):
        raise BadExpression(f"{text!r}: write 1 with the singular unit and more with the plural")
    return timedelta(**{unit.rstrip("s") + "s": value})


def at(text: str, zone_name: str = "UTC") -> datetime:
    """Return the moment (UTC) of `at(yyyy-mm-ddThh:mm:ss)`; raises BadExpression."""
    match = re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", text.strip())
    if match is None:
        raise BadExpression(f"{text!r} is not of the form at(yyyy-mm-ddThh:mm:ss)")
    try:
        return datetime.fromisoformat(match.group(1)).replace(tzinfo=zone(zone_name)).astimezone(UTC)
    except ValueError as error:
        raise BadExpression(f"{text!r}: {error}") from error


def due_in(text: str, today: date) -> str | None:
    """Return the tick that an expression belongs to: daily, monthly, or None for rarer ones and for at(…).

    Daily fires on at least five days of seven; monthly is everything rarer that still fires in most months, so
    a weekly expression goes with the monthly tick. Raises BadExpression.
    """
    if text.startswith("rate("):
        interval = rate(text)
        if interval <= timedelta(days=1):
            return "daily"
        return "monthly" if interval <= timedelta(days=31) else None
    if text.startswith("at("):
        at(text)
        return None
    expression = cron(text)
    days = sum(expression.due_on(today + timedelta(days=offset)) for offset in range(366))
    if days >= 250:
        return "daily"
    return "monthly" if days >= 7 else None


def time_of_day(text: str, zone_name: str, today: date) -> time | None:
    """Return when an expression first fires on a day that it fires on, in UTC; None for one without such a time.

    That is rate(…), at(…), and a cron that fires each hour: it fires again after each of the others.
    """
    if not text.startswith("cron("):
        return None
    expression = cron(text)
    if len(expression.hours) == 24:
        return None
    midnight = datetime.combine(today, time(), UTC)
    first = next(expression.times(midnight - timedelta(seconds=1), zone(zone_name)), None)
    return None if first is None else first.time()


# -- one field ---------------------------------------------------------------------------------------------------------


def _numbers(field: str, allowed: range, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        if slash and not step_text.isdigit():
            raise BadExpression(f"{part!r}: a number must follow the slash")
        step = int(step_text) if slash else 1
        if step < 1:
            raise BadExpression(f"{part!r}: the step must be at least 1")
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = allowed[0], allowed[-1]
        else:
            first = _number(first_text, allowed, names)
            last = _number(last_text, allowed, names) if dash else (allowed[-1] if slash else first)
        if first <= last:
            found.update(range(first, last + 1, step))
        else:
            found.update([*range(first, allowed[-1] + 1), *range(allowed[0], last + 1)][::step])
    return found


def _number(text: str, allowed: range, names: dict[str, int]) -> int:
    number = {name.upper(): value for name, value in names.items()}.get(text)
    if number is None and text.isdigit():
        number = int(text)
    if number is None or number not in allowed:
        raise BadExpression(f"{text!r} is not between {allowed[0]} and {allowed[-1]}")
    return number


def _day_of_month_matches(field: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if field == "L":
        return day.day == last
    if field == "LW":
        return day == _nearest_working_day(day.replace(day=last))
    match = re.fullmatch(r"(\d+)W", field)
    if match is not None:
        wanted = _number(match.group(1), range(1, 32), {})
        return wanted <= last and day == _nearest_working_day(day.replace(day=wanted))
    return day.day in _numbers(field, range(1, 32), {})


def _day_of_week_matches(field: str, day: date) -> bool:
    weekday = day.isoweekday() % 7 + 1
    nth = re.fullmatch(r"(\w+)#([1-5])", field)
    if nth is not None:
        return weekday == _number(nth.group(1), range(1, 8), WEEKDAYS) and (day.day - 1) // 7 + 1 == int(nth.group(2))
    last = re.fullmatch(r"(\w+)L", field)
    if last is not None and last.group(1) not in {name.upper() for name in WEEKDAYS}:
        month_days = calendar.monthrange(day.year, day.month)[1]
        return weekday == _number(last.group(1), range(1, 8), WEEKDAYS) and day.day + 7 > month_days
    if field == "L":
        return weekday == 7
    return weekday in _numbers(field, range(1, 8), WEEKDAYS)


def _nearest_working_day(day: date) -> date:
    """Return the weekday nearest to a day within its month."""
    if day.isoweekday() <= 5:
        return day
    before, after = (-1, 2) if day.isoweekday() == 6 else (-2, 1)
    for shift in sorted((before, after), key=abs):
        shifted = day + timedelta(days=shift)
        if shifted.month == day.month:
            return shifted
    return day
