"""Options of an environment's inputs that no variable has: Terraform leaves them out of an object without a word."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class UnknownOption:
    """An option that is written and not taken, by the way to it: database.backup, retention_dayz."""

    place: str
    name: str
    nearest: str  # empty where none is near

    @property
    def words(self) -> str:
        """Return what is wrong with it."""
        meant = f"; was {self.nearest} meant?" if self.nearest else ""
        return f"{self.place} has no option {self.name}{meant}"


def unknown(written: Mapping[str, Any], taken: Mapping[str, Any]) -> tuple[UnknownOption, ...]:
    """Return the options that are in the values as they are written and not in those that the variables took.

    A map keeps whatever key it is given, and an object the ones of its type alone.
    """
    return tuple(
        found for name, value in written.items() if name in taken for found in _in_value(name, value, [taken[name]])
    )


def _in_value(place: str, written: Any, taken: Sequence[Any]) -> Iterator[UnknownOption]:
    if isinstance(written, Mapping):
        objects = [one for one in taken if isinstance(one, Mapping)]
        known = {name for one in objects for name in one}
        for name, value in written.items() if objects else ():
            if name not in known:
                near = difflib.get_close_matches(name, sorted(known), n=1)
                yield UnknownOption(place=place, name=name, nearest=near[0] if near else "")
            else:
                yield from _in_value(f"{place}.{name}", value, [one[name] for one in objects if name in one])
    elif isinstance(written, list):
        # A set has no order: what stands in it is compared with everything that stands in it.
        elements = [element for one in taken if isinstance(one, list) for element in one]
        for number, element in enumerate(written):
            yield from _in_value(f"{place}[{number}]", element, elements)
