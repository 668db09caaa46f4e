"""Which of several variables of one key a job gets: the exact environment before the longest wildcard before all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lifeboat.gitlab_model import Target, Variable


def covers(scope: str, environment: str) -> bool:
    """Return whether jobs of an environment get variables of a scope; `*` stands for any characters."""
    return re.fullmatch(".*".join(re.escape(part) for part in scope.split("*")), environment, re.DOTALL) is not None


def _closeness(scope: str, environment: str) -> tuple[bool, int]:
    # app/models/concerns/has_environment_scope.rb: exact, then by the length of the scope, * last
    return scope == environment, 0 if scope == "*" else len(scope)


def collisions(targets: Iterable[Target], current: Iterable[Variable], environment: str) -> tuple[str, ...]:
    """Return what to say of other scopes that have a wanted key too, and which of them the environment's jobs get."""
    current = list(current)
    told = []
    for target in targets:
        others = [v.name for v in current if v.name.key == target.name.key and v.name != target.name]
        if not others:
            continue
        scopes = sorted(other.scope for other in others)
        told.append(f"{target.name}: also in scope {', '.join(scopes)}; {_winner(target, scopes, environment)}")
    return tuple(told)


def _winner(target: Target, scopes: Iterable[str], environment: str) -> str:
    matching = [scope for scope in (target.name.scope, *scopes) if covers(scope, environment)]
    if not matching:
        return f"jobs of {environment} get none of them"
    best = max(matching, key=lambda scope: _closeness(scope, environment))
    if best == target.name.scope:
        return f"jobs of {environment} get this one"
    return f"jobs of {environment} get the one of scope {best} instead"
