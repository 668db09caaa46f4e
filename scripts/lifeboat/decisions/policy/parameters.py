"""What plans are measured by: the objectives among the plan's own variables, and defaults where it has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lifeboat.decisions.policy.lengths import words
from lifeboat.errors import ScanNotValid


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The measures of the rules. `sources` says of each whether a variable of the plan or a default gave it.

    The defaults: 24 h are the RPO of this project; 7 days of retention are FSBP RDS.11; 90 days between restore tests are
    a quarter; 30 days are the longest deletion window of KMS.
    """

    rpo: timedelta = timedelta(hours=24)
    min_retention: timedelta = timedelta(days=7)  # of a database's automated backups
    min_backup: timedelta = timedelta(days=7)  # of recovery points and snapshots
    min_dump: timedelta = timedelta(days=30)
    state_keep: timedelta = timedelta(days=90)  # of superseded versions of the Terraform state
    drill: timedelta = timedelta(days=90)  # between two restore tests
    key_window: timedelta = timedelta(days=30)  # in which the deletion of a key can be taken back
    disposable: bool = False  # an environment that may be deleted at any time, with its data
    sources: tuple[tuple[str, str], ...] = ()


# Parameter, the variables that may hold it (the first that does counts), and its unit. `a.b` is attribute b of variable a.
FROM: tuple[tuple[str, tuple[str, ...], timedelta], ...] = (
    ("rpo", ("objectives.rpo_hours", "rpo_hours"), timedelta(hours=1)),
    ("min_retention", ("policy.min_retention_days", "min_retention_days"), timedelta(days=1)),
    ("min_backup", ("policy.min_backup_days", "min_backup_days"), timedelta(days=1)),
    ("min_dump", ("policy.min_dump_days", "min_dump_days"), timedelta(days=1)),
    ("state_keep", ("policy.state_keep_days", "state_keep_days"), timedelta(days=1)),
    ("drill", ("policy.drill_days", "drill_days"), timedelta(days=1)),
    ("key_window", ("policy.key_window_days", "key_window_days"), timedelta(days=1)),
)
# A longer one of these lets more pass; of all others a shorter one does.
_LAXER_WHEN_LONGER = ("rpo", "drill")
DISPOSABLE = ("policy.disposable", "disposable")


def of(variables: Mapping[str, Any]) -> Parameters:
    """Return the measures for a plan with these variables. Raises ScanNotValid where one of them is of another kind."""
    found: dict[str, timedelta] = {}
    sources: list[tuple[str, str]] = []
    for parameter, places, unit in FROM:
        place = next((place for place in places if _at(variables, place) is not None), None)
        if place is not None:
            found[parameter] = _length(_at(variables, place), place, unit)
        sources.append((parameter, "default" if place is None else f"var.{place}"))
    place = next((place for place in DISPOSABLE if _at(variables, place) is not None), None)
    disposable = place is not None and _yes(_at(variables, place), place)
    sources.append(("disposable", "default" if place is None else f"var.{place}"))
    return Parameters(**found, disposable=disposable, sources=tuple(sources))


def laxer(found: Parameters) -> Iterator[str]:
    """Yield each measure that asks for less than its default: a change that lowers it makes what it measures look good."""
    defaults = Parameters()
    if found.disposable:
        yield f"nothing is asked to be kept from deletion: {dict(found.sources).get('disposable', 'it')} says that all may go"
    for parameter, source in found.sources:
        if parameter == "disposable":
            continue
        value, default = getattr(found, parameter), getattr(defaults, parameter)
        if value > default if parameter in _LAXER_WHEN_LONGER else value < default:
            yield (
                f"{parameter} is measured by {words(value)} ({source}), which asks for less than the default of"
                f" {words(default)}"
            )


def _at(variables: Mapping[str, Any], place: str) -> Any:
    name, _, attribute = place.partition(".")
    value = variables.get(name)
    if not attribute:
        return value
    return value.get(attribute) if isinstance(value, Mapping) else None


def _yes(value: Any, place: str) -> bool:
    if value in (True, False, "true", "false"):  # a variable without a type is a text where the command line gives it
        return value in (True, "true")
    raise ScanNotValid(f"var.{place} of the plan is neither true nor false, so nobody knows what may be deleted")


def _length(value: Any, place: str, unit: timedelta) -> timedelta:
    try:
        number = float(value)
        length = unit * number
    except (TypeError, ValueError, OverflowError):
        raise ScanNotValid(f"var.{place} of the plan is no number, so nothing can be measured by it") from None
    if length <= timedelta():
        raise ScanNotValid(f"var.{place} of the plan is {value}; it must be above 0")
    return length
