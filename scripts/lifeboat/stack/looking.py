"""Looks at what there is, side by side: each comes to an answer of its own, or to why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from lifeboat.database_model import Unseen
from lifeboat.errors import LifeboatError
from lifeboat.status_model import Seen

_Found = TypeVar("_Found")
# What reading an answer raises that is not as the service's own description says.
_NOT_UNDERSTOOD = (AttributeError, LookupError, TypeError, ValueError, OSError)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is looked at, in which region, by which call as IAM names it: that is also the permission that it needs."""

    what: str
    region: str
    call: str


def look(place: Place, ask: Callable[[], _Found | None]) -> Seen[_Found]:
    """Return what a look came to. Raises nothing of what can go wrong outside: one look never hides the others."""
    try:
        return Seen(found=ask())
    except LifeboatError as error:
        return unseen(place, error.summary)
    except _NOT_UNDERSTOOD as error:
        return unseen(place, f"the answer about {place.what} was not understood: {type(error).__name__}: {error}")


def unseen(place: Place, why: str) -> Seen[_Found]:
    """Return that nobody could look."""
    return Seen(unseen=Unseen(what=place.what, region=place.region, call=place.call, why=why))


@dataclass(frozen=True, kw_only=True)
class Looks:
    """Looks that are made side by side in a pool."""

    pool: ThreadPoolExecutor

    def at(self, place: Place, ask: Callable[[], _Found | None]) -> Future[Seen[_Found]]:
        """Begin a look."""
        return self.pool.submit(look, place, ask)

    def each(
        self, subjects: Iterable[str], place: Callable[[str], Place], ask: Callable[[str], _Found | None]
    ) -> dict[str, Future[Seen[_Found]]]:
        """Begin one look for each subject."""
        return {subject: self.pool.submit(look, place(subject), _bound(ask, subject)) for subject in subjects}


def results(looks: Mapping[str, Future[Seen[_Found]]]) -> Mapping[str, Seen[_Found]]:
    """Wait for looks, and return what they came to."""
    return {subject: future.result() for subject, future in looks.items()}


def _bound(ask: Callable[[str], _Found | None], subject: str) -> Callable[[], _Found | None]:
    return lambda: ask(subject)
