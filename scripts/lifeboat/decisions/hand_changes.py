"""What somebody changed by hand of an alarm, an event rule or a schedule: its settings now beside those of Terraform's state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Settings = Mapping[str, object]  # by the names of Terraform's attributes

# What decides when each kind of thing rings or runs; whom it tells, and whether it is switched on, is judged where that is.
_COMPARED = {
    "aws_cloudwatch_metric_alarm": (
        "namespace",
        "metric_name",
        "dimensions",
        "metric_query",
        "statistic",
        "extended_statistic",
        "unit",
        "period",
        "comparison_operator",
        "threshold",
        "threshold_metric_id",
        "evaluation_periods",
        "datapoints_to_alarm",
        "treat_missing_data",
        "evaluate_low_sample_count_percentiles",
    ),
    "aws_cloudwatch_composite_alarm": ("alarm_rule", "actions_suppressor"),
    "aws_cloudwatch_event_rule": ("event_pattern", "schedule_expression", "state"),
    "aws_scheduler_schedule": (
        "schedule_expression",
        "schedule_expression_timezone",
        "flexible_time_window",
        "state",
        "start_date",
        "end_date",
    ),
}
# What AWS does where nothing is said (PutMetricAlarm, PutRule and CreateSchedule in the API references).
_DEFAULTS = {
    "evaluate_low_sample_count_percentiles": "evaluate",
    "schedule_expression_timezone": "UTC",
    "state": "ENABLED",
    "treat_missing_data": "missing",
}
# Terraform's provider may write 0 for a number that was not given, and none of these may be 0.
_NEVER_ZERO = ("datapoints_to_alarm", "period", "maximum_window_in_minutes")
_NOTHING: tuple[object, ...] = (None, "", [], {})
_NOT_SET = "not set"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One setting that is not as it was built: where it is, by Terraform's name of it, and both values in words."""

    setting: str
    now: str
    built: str


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a comparison came to: what was changed, and the settings that one side does not tell, so that nobody knows."""

    changes: tuple[Change, ...] = ()
    untold: tuple[str, ...] = ()

    @property
    def now(self) -> str:
        """Return what is, in words: what was changed, and what nobody knows."""
        said = [f"{one.setting} is {one.now}" for one in self.changes]
        return ", ".join([*said, *(f"{name} cannot be compared" for name in self.untold)])

    @property
    def built(self) -> str:
        """Return what should be, in words."""
        said = [f"{one.setting} {one.built}" for one in self.changes]
        return ", ".join([*said, *(f"{name} told by AWS and by Terraform's state" for name in self.untold)])

    @property
    def words(self) -> str:
        """Return both in one sentence; empty where all is as it was built."""
        said = [f"{one.setting} is {one.now}, built as {one.built}" for one in self.changes]
        return "; ".join([*said, *(f"{name} cannot be compared with what was built" for name in self.untold)])


def compared(kind: str, now: Settings, built: Settings) -> Compared:
    """Return what differs between a thing as AWS describes it now and the attributes of its resource in Terraform's state.

    `kind` is Terraform's type of the resource. A setting that either side does not have at all is untold, never equal; one
    that it has with no value is not set.
    """
    names = _COMPARED[kind]
    untold = tuple(name for name in names if name not in now or name not in built)
    is_now, was_built = _settled(now), _settled(built)
    if was_built.get("datapoints_to_alarm") != is_now.get("datapoints_to_alarm"):
        # An alarm that names none needs all of its periods.
        for side in (is_now, was_built):
            side["datapoints_to_alarm"] = side.get("datapoints_to_alarm") or side.get("evaluation_periods")
    changes = tuple(
        change
        for name in names
        if name not in untold
        for change in _changes(name, is_now.get(name), was_built.get(name))
    )
    return Compared(changes=changes, untold=untold)


def _settled(settings: Settings) -> dict[str, object]:
    """Return settings in the one form that each has: nothing is None, defaults are said, JSON is read."""
    found = {name: _plain(value, name) for name, value in settings.items()}
    found |= {name: value for name, value in _DEFAULTS.items() if found.get(name) is None}
    if found.get("threshold_metric_id") is not None:
        found["threshold"] = None  # Terraform writes 0
    for name in ("event_pattern", "alarm_rule"):
        text = found.get(name)
        if isinstance(text, str):
            found[name] = _read(text) if name == "event_pattern" else " ".join(text.split())
    return found


def _plain(value: object, name: str) -> object:
    if value in _NOTHING or (name in _NEVER_ZERO and value == 0):
        return None
    if isinstance(value, Mapping):
        kept = {str(key): _plain(one, str(key)) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one is not None}
    if isinstance(value, list | tuple):
        # Blocks are a set to Terraform, in whatever order.
        return sorted((_plain(one, name) for one in value), key=_text)
    return value


def _read(pattern: str) -> object:
    try:
        return json.loads(pattern)
    except ValueError:
        return pattern


def _changes(path: str, now: object, built: object) -> Iterator[Change]:
    """Yield what differs at a path, as deep as both sides have names: of a long pattern, the one list that was changed."""
    if isinstance(now, dict) and isinstance(built, dict):
        for name in dict.fromkeys([*built, *now]):
            yield from _changes(f"{path}.{name}", now.get(name), built.get(name))
    elif not _same(now, built):
        yield Change(setting=path, now=_words(now), built=_words(built))


def _same(now: object, built: object) -> bool:
    if _is_number(now) and _is_number(built):
        return now == built
    # Within a pattern EventBridge tells 300 from 300.0, and true from 1 ("Event patterns", in its manual); Python does not.
    return _text(now) == _text(built)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _words(value: object) -> str:
    if value is None:
        return _NOT_SET
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else _text(value)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
