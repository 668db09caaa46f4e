"""Who may do what: roles that a service assumes, what they allow, and what a resource policy denies a caller."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Call, Refused

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)")


def access_key(call: Call) -> str:
    """Return the access key that a request is signed with, or nothing."""
    match = _CREDENTIAL.search(call.headers.get("authorization", ""))
    return match.group(1) if match else ""


def is_own(call: Call) -> bool:
    """Return whether the cloud itself sent the request, on behalf of one of its services."""
    return access_key(call) == "localcloud"


def caller(call: Call) -> str:
    """Return the ARN of who sent a request; for an assumed role it is the role's, as aws:PrincipalArn is."""
    arn = str(call.cloud.moto("sts", "aws").get_caller_identity(access_key(call), call.region)[1])
    match = re.fullmatch(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/.*", arn)
    return f"arn:aws:iam::{match.group(1)}:role/{match.group(2)}" if match else arn


# -- roles -------------------------------------------------------------------------------------------------------------


def assumable(cloud: Cloud, role_arn: str, service: str) -> bool:
    """Return whether a role exists and trusts a service such as backup.amazonaws.com."""
    role = _role(cloud, role_arn)
    if role is None:
        return False
    return any(
        statement["Effect"] == "Allow"
        and _matches_any(statement, "Action", "sts:AssumeRole")
        and service in _principals(statement, "Service")
        for statement in statements(role.assume_role_policy_document)
    )


def role_allows(cloud: Cloud, role_arn: str, action: str) -> bool:
    """Return whether a role's policies name an action; resources and conditions of allows are not weighed."""
    role = _role(cloud, role_arn)
    if role is None:
        return False
    documents = [*role.policies.values(), *(_current(policy) for policy in role.managed_policies.values())]
    allowed = False
    for statement in (found for document in documents for found in statements(document)):
        if not _matches_any(statement, "Action", action):
            continue
        if statement["Effect"] == "Deny" and "Condition" not in statement:
            return False
        allowed = allowed or statement["Effect"] == "Allow"
    return allowed


def role_allows_on(cloud: Cloud, role_arn: str, action: str, resource: str, values: dict[str, str]) -> bool:
    """Return whether a role's policies allow an action on a resource; `values` are condition keys in lower case."""
    role = _role(cloud, role_arn)
    if role is None:
        return False
    documents = [*role.policies.values(), *(_current(policy) for policy in role.managed_policies.values())]
    allowed = False
    for statement in (found for document in documents for found in statements(document)):
        if not _matches_any(statement, "Action", action) or not _matches_any(statement, "Resource", resource):
            continue
        if not _conditions_hold(statement, values):
            continue
        if statement["Effect"] == "Deny":
            return False
        allowed = True
    return allowed


def _role(cloud: Cloud, role_arn: str) -> Any:
    roles = cloud.moto("iam", "aws").roles.values()
    return next((role for role in roles if role.arn == role_arn), None)


def _current(policy: Any) -> str:
    return str(next(version.document for version in policy.versions if version.is_default))


# -- resource policies -------------------------------------------------------------------------------------------------


def statements(document: str | dict[str, Any]) -> list[dict[str, Any]]:
    """Return the statements of a policy document; raises ValueError when it is none."""
    parsed = json.loads(document) if isinstance(document, str) else document
    if not isinstance(parsed, dict) or "Statement" not in parsed:
        raise ValueError("a policy needs Statement")
    found = parsed["Statement"]
    found = found if isinstance(found, list) else [found]
    for statement in found:
        if statement.get("Effect") not in ("Allow", "Deny") or not {"Action", "NotAction"} & statement.keys():
            raise ValueError("each statement needs Effect (Allow or Deny) and Action")
    return found


def checked_resource_policy(document: str) -> None:
    """Raise ValueError for a document that is no resource policy or has a condition that is not evaluated here."""
    for statement in statements(document):
        if not {"Principal", "NotPrincipal"} & statement.keys():
            raise ValueError("each statement of a resource policy needs Principal")
        unknown = statement.get("Condition", {}).keys() - _CONDITIONS.keys()
        if unknown:
            raise ValueError(f"the local cloud does not evaluate the condition {', '.join(sorted(unknown))}")


def denied(document: str, action: str, principal: str) -> bool:
    """Return whether a resource policy explicitly denies a caller (an ARN) an action."""
    values = {"aws:principalarn": principal, "aws:principalaccount": principal.split(":")[4]}
    return any(
        statement["Effect"] == "Deny"
        and _matches_any(statement, "Action", action)
        and _names_principal(statement, principal)
        and _conditions_hold(statement, values)
        for statement in statements(document)
    )


def service_may(document: str, action: str, service: str, values: dict[str, str]) -> bool:
    """Return whether a resource policy lets a service act; `values` are condition keys in lower case."""
    return any(
        statement["Effect"] == "Allow"
        and _matches_any(statement, "Action", action)
        and (service in _principals(statement, "Service") or "*" in _principals(statement, "AWS"))
        and _conditions_hold(statement, values)
        for statement in statements(document)
    )


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _matches_any(statement: dict[str, Any], element: str, action: str) -> bool:
    negated = f"Not{element}" in statement
    patterns = _listed(statement[f"Not{element}" if negated else element])
    return negated != any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def _principals(statement: dict[str, Any], kind: str) -> list[str]:
    principal = statement.get("Principal", {})
    if principal == "*":
        return ["*"]
    return _listed(principal[kind]) if kind in principal else []


def _names_principal(statement: dict[str, Any], arn: str) -> bool:
    if "NotPrincipal" in statement:
        turned = {**statement, "Principal": statement["NotPrincipal"]}
        del turned["NotPrincipal"]
        return not _names_principal(turned, arn)
    account = arn.split(":")[4]
    return bool({"*", arn, account, f"arn:aws:iam::{account}:root"} & set(_principals(statement, "AWS")))


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern)


def _equal(value: str, wanted: str) -> bool:
    return value == wanted


def _truth(value: str, wanted: str) -> bool:
    return value.lower() == wanted.lower()


# Operator → (comparison, negated). A negated operator holds when the key is absent, the others do not.
_CONDITIONS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_truth, False),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_like, False),
    "ArnLike": (_like, False),
    "ArnNotEquals": (_like, True),
    "ArnNotLike": (_like, True),
    "Bool": (_truth, False),
}


def _conditions_hold(statement: dict[str, Any], values: dict[str, str]) -> bool:
    for operator, wanted in statement.get("Condition", {}).items():
        if operator not in _CONDITIONS:
            raise Refused("LocalCloudNotImplemented", f"The local cloud does not evaluate the condition {operator}.")
        compare, negated = _CONDITIONS[operator]
        for key, patterns in wanted.items():
            value = values.get(key.lower())
            matched = value is not None and any(compare(value, pattern) for pattern in _listed(patterns))
            if matched == negated:
                return False
    return True
