"""The table of endpoints: method, path, the name that traces and faults know it by, and who answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.gitlab.requests import error

if TYPE_CHECKING:
    from localcloud.gitlab.requests import Request
    from localcloud.operations import Answer

    Endpoint = Callable[[Request], Answer]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One endpoint; `:name` in the pattern takes one part of the path, `*name` all that are left."""

    method: str
    pattern: tuple[str, ...]
    name: str
    endpoint: Endpoint

    def names(self, segments: list[str]) -> dict[str, str] | None:
        """Return what the path says for the names of the pattern; None when it does not match."""
        if self.pattern and self.pattern[-1].startswith("*") and len(segments) >= len(self.pattern):
            rest = len(self.pattern) - 1
            segments = [*segments[:rest], "/".join(segments[rest:])]
        if len(segments) != len(self.pattern):
            return None
        found = {}
        for wanted, part in zip(self.pattern, segments, strict=True):
            if wanted[0] in ":*":
                found[wanted[1:]] = part
            elif wanted != part:
                return None
        return found


ROUTES: list[Route] = []


def route(method: str, pattern: str, name: str) -> Callable[[Endpoint], Endpoint]:
    """Register an endpoint below /api/v4/."""

    def register(endpoint: Endpoint) -> Endpoint:
        ROUTES.append(Route(method=method, pattern=tuple(pattern.split("/")), name=name, endpoint=endpoint))
        return endpoint

    return register


def find(method: str, segments: list[str]) -> tuple[Route, dict[str, str]]:
    """Return the endpoint of a request, words before names; 404 and 405 as Grape answers them."""
    method = "GET" if method == "HEAD" else method
    matching = [(r, names) for r in ROUTES if (names := r.names(segments)) is not None]
    here = [(r, names) for r, names in matching if r.method == method]
    if not here:
        raise error(405, "405 Not Allowed") if matching else error(404, "404 Not Found")
    return min(here, key=lambda found: sum(part[0] in ":*" for part in found[0].pattern))
