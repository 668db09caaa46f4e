"""Values that remember whether anybody asked for one that is lost: an answer that rests on one is no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Name = TypeVar("Name", bound=str)


@dataclass(kw_only=True)
class Watch:
    """What was asked for and is not known, since `forget`."""

    asked: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Begin anew."""
        self.asked.clear()

    def note(self, what: str) -> None:
        """Remember that something was asked for that is not known."""
        self.asked.append(what)


class Watched(dict[str, Any]):
    """A mapping some of whose values are lost: whoever reads one of these is noted. Going through the names tells nothing."""

    def __init__(self, values: Mapping[str, Any], *, lost: Iterable[str], note: Callable[[str], None]) -> None:
        super().__init__(values)
        self._lost = frozenset(lost)
        self._note = note

    def __getitem__(self, name: str) -> Any:
        self._seen(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, and note it where it is lost."""
        self._seen(name)
        return super().get(name, default)

    def items(self) -> Any:
        """Return everything, and note whatever of it is lost."""
        for name in sorted(self._lost):
            self._seen(name)
        return super().items()

    def values(self) -> Any:
        """Return every value, and note whatever of it is lost."""
        for name in sorted(self._lost):
            self._seen(name)
        return super().values()

    def _seen(self, name: str) -> None:
        if name in self._lost:
            self._note(name)


class Written(Watched):
    """What a configuration writes. Whether a value that it does not write is there all the same is the provider's to say."""

    def __contains__(self, name: object) -> bool:
        found = super().__contains__(name)
        if name in self._lost or not found:
            self._note(str(name))
        return found


class Kinds(dict[Name, Any], Generic[Name]):
    """Resources by what they are looked up by: whoever looks up some of which nobody knows how many there are is noted."""

    def __init__(
        self, values: Mapping[Name, Any], *, doubtful: Callable[[Name], bool], note: Callable[[str], None]
    ) -> None:
        super().__init__(values)
        self._doubtful = doubtful
        self._note = note

    def __getitem__(self, name: Name) -> Any:
        self._seen(name)
        return super().__getitem__(name)

    def get(self, name: Name, default: Any = None) -> Any:
        """Return the resources of a name, and note it where it is not known how many they are."""
        self._seen(name)
        return super().get(name, default)

    def _seen(self, name: Name) -> None:
        if self._doubtful(name):
            self._note(name)
