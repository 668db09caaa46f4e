"""Policies of vaults and buckets, read for what they deny to everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import reduce
from typing import Any

from lifeboat.decisions.policy.planned import Undecided

# A denial that only leaves named principals out is still one for everybody else.
_LEAVES_OUT = frozenset(
    f"{prefix}{operator}{suffix}"
    for prefix in ("", "ForAnyValue:", "ForAllValues:")
    for operator in ("ArnNotLike", "ArnNotEquals", "StringNotEquals", "StringNotLike")
    for suffix in ("", "IfExists")
)
# Who, of those inside the account: a denial to other accounts or organisations denies nobody inside.
_WHO = ("aws:principalarn", "aws:userid", "aws:username")
_PARTS = ("s3:getobject", "s3:putobject", "s3:listbucket")
_NO_NAME = "\0"  # in the place of an object's name; only a pattern that means all objects matches it


def denies_plain_text(policy: str, bucket: str | None) -> bool:
    """Return whether everybody is denied everything in a bucket that does not come over TLS.

    Raises Undecided for what is no policy, and where only what a statement leaves out is written (NotAction, NotResource).
    """
    denials = [one for one in _statements(policy) if _denies_everybody(one) and _requires_tls(one)]
    if all(any(_is_denied(one, action, bucket) for one in denials) for action in _PARTS):
        return True
    if any("NotAction" in one or "NotResource" in one for one in denials):
        raise Undecided("its policy says by NotAction or NotResource what it denies without TLS")
    return False


def denies(policy: str, action: str) -> bool:
    """Return whether an action is denied to all but named principals. Raises Undecided for what is no policy."""
    return any(
        _denies_everybody(statement)
        and any(fnmatchcase(action.lower(), pattern) for pattern in _listed(statement, "Action"))
        and "*" in _listed(statement, "Resource")  # a recovery point may have an ARN of RDS or EC2
        and all(_leaves_out_few(operator, keys) for operator, keys in _conditions(statement).items())
        for statement in _statements(policy)
    )


def left_out(policy: str, action: str, bucket: str) -> frozenset[str] | None:
    """Return whom a bucket's policy leaves out where it denies an action to everybody: patterns of their ARNs.

    None where it does not: not in this bucket, or not to those of any name. Raises Undecided for what is no policy.
    """
    denials = [one for one in _statements(policy) if _denies_everybody(one) and _covers(one, action, bucket)]
    found = [who for who in (_left_out(one, "object" in action.lower()) for one in denials) if who is not None]
    return reduce(_both, found) if found else None


def _both(some: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    """Return whom both leave out: of a name and a pattern that it fits the name."""
    return frozenset(
        {one for one in some if any(fnmatchcase(one, other) for other in others)}
        | {one for one in others if any(fnmatchcase(one, other) for other in some)}
    )


def _left_out(statement: Mapping[str, Any], of_objects: bool) -> frozenset[str] | None:
    conditions = _conditions(statement)
    keys = {key.lower() for keys in conditions.values() for key in keys}
    if "NotPrincipal" in statement or not (set(conditions) <= _LEAVES_OUT and keys <= {"aws:principalarn"}):
        return None
    names = [str(name) for keys in conditions.values() for listed in keys.values() for name in _texts(listed)]
    return None if any(_is_anybody(name, of_objects) for name in names) else frozenset(names)


def _is_anybody(pattern: str, of_objects: bool) -> bool:
    """Return whether a pattern of an ARN is that of roles of every name, of one account or of all; of objects, of users too.

    Users may change how a disposable environment is protected, and remove no version there either (modules/state-backend).
    """
    name = pattern.split(":", 5)[-1]
    return any(fnmatchcase(f"{kind}/{_NO_NAME}", name) for kind in ("role", *(["user"] if of_objects else [])))


def _covers(statement: Mapping[str, Any], action: str, bucket: str) -> bool:
    """Return whether a statement is of an action, and of the whole bucket: its objects for what is done to an object."""
    of = f"arn:aws:s3:::{bucket}" + (f"/{_NO_NAME}" if "object" in action.lower() else "")
    listed = any(fnmatchcase(action.lower(), pattern) for pattern in _listed(statement, "Action"))
    return listed and any(fnmatchcase(of, str(pattern)) for pattern in _texts(statement.get("Resource", [])))


def _leaves_out_few(operator: str, keys: Mapping[str, Any]) -> bool:
    """Return whether a condition leaves only principals out that it names: not those of every name."""
    values = [str(one) for value in keys.values() for one in (value if isinstance(value, list) else [value])]
    return (
        operator in _LEAVES_OUT
        and all(key.lower() in _WHO for key in keys)
        and not any(set(value.partition("/")[2] or value) <= {"*", "?", "/", ":"} for value in values)
        and not any(value.startswith("arn:") and value.endswith(":*") for value in values)
    )


def _is_denied(statement: Mapping[str, Any], action: str, bucket: str | None) -> bool:
    if not any(fnmatchcase(action, pattern) for pattern in _listed(statement, "Action")):
        return False
    resource = "" if action == "s3:listbucket" else f"/{_NO_NAME}"
    patterns = [str(one) for one in _texts(statement.get("Resource", []))]
    return any(
        pattern == "*"
        or (pattern.split(":", 5)[2:3] == ["s3"] and (bucket is None or _matches(pattern, f"{bucket}{resource}")))
        for pattern in patterns
    )


def _matches(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern.split(":", 5)[-1])


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


def _listed(statement: Mapping[str, Any], name: str) -> list[str]:
    return [str(one).lower() for one in _texts(statement.get(name, []))]


def _texts(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _requires_tls(statement: Mapping[str, Any]) -> bool:
    conditions = _conditions(statement)
    # A request without the key, which no AWS service makes, is denied by the second as well.
    asked = conditions.get("Bool") or conditions.get("BoolIfExists") or {}
    keys = {key.lower(): value for key, value in asked.items()}
    found = keys.get("aws:securetransport")
    values = found if isinstance(found, list) else [found]
    return len(conditions) == 1 and len(keys) == 1 and {str(value).lower() for value in values} == {"false"}


def _conditions(statement: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = statement.get("Condition")
    return {str(key): value for key, value in found.items()} if isinstance(found, Mapping) else {}
