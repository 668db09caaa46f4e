"""Which of several variables of one name a job gets: by environment scope, exact before wildcard before all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Variable = dict[str, Any]


def matches(scope: str, environment: str | None) -> bool:
    """Return whether a scope covers an environment; a job without one gets what has the scope * alone.

    `*` stands for any characters, and is the only wildcard (doc/ci/environments, "Limit the environment scope").
    """
    if scope == "*":
        return True
    if environment is None:
        return False
    return re.fullmatch(".*".join(re.escape(part) for part in scope.split("*")), environment, re.DOTALL) is not None


def rank(scope: str, environment: str | None) -> tuple[int, int]:
    """Return how closely a matching scope fits: the exact one, then the longest (app/models/concerns/has_environment_scope.rb)."""
    return (int(scope == environment and "*" not in scope), len(scope) if scope != "*" else 0)


def for_environment(variables: Iterable[Variable], environment: str | None) -> dict[str, Variable]:
    """Return the variable of each key that a job in this environment sees."""
    chosen: dict[str, Variable] = {}
    for variable in sorted(variables, key=lambda v: int(v["id"])):
        scope = variable["environment_scope"]
        if not matches(scope, environment):
            continue
        before = chosen.get(variable["key"])
        if before is None or rank(scope, environment) > rank(before["environment_scope"], environment):
            chosen[variable["key"]] = variable
    return chosen
