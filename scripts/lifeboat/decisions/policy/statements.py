"""Policies of vaults and buckets, read for what they deny to everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from lifeboat.decisions.policy.planned import Undecided

# A denial that only leaves named principals out is still one for everybody else.
_LEAVES_OUT = frozenset(
    f"{prefix}{operator}{suffix}"
    for prefix in ("", "ForAnyValue:", "ForAllValues:")
    for operator in ("ArnNotLike", "ArnNotEquals", "StringNotEquals", "StringNotLike")
    for suffix in ("", "IfExists")
)
_WHO = ("aws:principalarn", "aws:userid", "aws:principalaccount", "aws:principalorgid", "aws:username")


def denies_plain_text(policy: str) -> bool:
    """Return whether everybody is denied everything that does not come over TLS. Raises Undecided for what is no policy."""
    return any(
        _denies_everybody(statement)
        and any(fnmatchcase("s3:getobject", pattern) for pattern in _actions(statement))
        and _requires_tls(statement)
        for statement in _statements(policy)
    )


def denies(policy: str, action: str) -> bool:
    """Return whether an action is denied to all but named principals. Raises Undecided for what is no policy."""
    return any(
        _denies_everybody(statement)
        and any(fnmatchcase(action.lower(), pattern) for pattern in _actions(statement))
        and all(
            operator in _LEAVES_OUT and all(key.lower() in _WHO for key in keys)
            for operator, keys in _conditions(statement).items()
        )
        for statement in _statements(policy)
    )


def _statements(policy: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(policy)["Statement"]
    except (KeyError, TypeError, ValueError):
        raise Undecided("its policy is not one that can be read") from None
    every = found if isinstance(found, list) else [found]
    return [statement for statement in every if isinstance(statement, Mapping)]


def _denies_everybody(statement: Mapping[str, Any]) -> bool:
    if statement.get("Effect") != "Deny":
        return False
    if "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, Mapping) else principal
    return "*" in (named if isinstance(named, list) else [named])


def _actions(statement: Mapping[str, Any]) -> list[str]:
    found = statement.get("Action", [])
    return [str(one).lower() for one in (found if isinstance(found, list) else [found])]


def _requires_tls(statement: Mapping[str, Any]) -> bool:
    conditions = _conditions(statement)
    keys = {key.lower(): value for key, value in conditions.get("Bool", {}).items()}
    found = keys.get("aws:securetransport")
    values = found if isinstance(found, list) else [found]
    return len(conditions) == 1 and len(keys) == 1 and {str(value).lower() for value in values} == {"false"}


def _conditions(statement: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = statement.get("Condition")
    return {str(key): value for key, value in found.items()} if isinstance(found, Mapping) else {}
