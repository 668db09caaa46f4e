"""Which calls of a trace a role's policies do not name: the local cloud itself lets every credential do everything.

Actions are compared, and where the trace tells which resource a call names (of IAM's it does) that as well. A statement for
resources that bear the mark of a drill counts for nothing, one that denies for everything counts, and reading a secret takes
its key through the service.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

# Services and operations whose actions are called otherwise (AWS's Service Authorization Reference).
SERVICES = {"service-quotas": "servicequotas"}
OPERATIONS = {
    "s3:GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
    "s3:GetBucketCors": "s3:GetBucketCORS",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
# What lies under the stack's own keys: the action on the key, and the service through which it is asked for.
UNDER_A_KEY = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt", "secretsmanager."),
    "secretsmanager:PutSecretValue": ("kms:GenerateDataKey", "secretsmanager."),
}
INLINE_CHARACTERS = 10_240  # of all inline policies of a role together, white space not counted (IAM quotas)
_ON = " on "  # between an action and the resource that a call names
# What everybody may do, and what another role does meanwhile: the job of the pipeline takes one of its own.
WITHOUT_PERMISSION = {"sts:GetCallerIdentity", "sts:AssumeRole"}


def actions(trace: Iterable[dict[str, Any]]) -> set[str]:
    """Return the IAM actions of what lifeboat and its Terraform sent: "iam:GetRole on arn:…" where the resource is told."""
    called = set()
    for line in trace:
        if line["service"] != "gitlab" and line["agent"] in ("boto3", "terraform"):
            name = f"{SERVICES.get(line['service'], line['service'])}:{line['operation']}"
            action, resource = OPERATIONS.get(name, name), line.get("resource", "")
            if action not in WITHOUT_PERMISSION:
                called.add(f"{action}{_ON}{resource}" if resource else action)
    return called


def policies(iam: Any, role: str) -> list[dict[str, Any]]:
    """Return every policy of a role, inline and attached."""
    return [*_inline(iam, role), *_attached(iam, role)]


def _inline(iam: Any, role: str) -> list[dict[str, Any]]:
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def _attached(iam: Any, role: str) -> list[dict[str, Any]]:
    documents = []
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    return documents


def allows(documents: Iterable[dict[str, Any]], action: str, resource: str, context: Mapping[str, Any]) -> bool:
    """Return whether policies allow an action on a resource: an Allow fits, and no Deny (IAM user guide, "Policy evaluation").

    `context` are the condition keys of the request: one text, or a list for those with many values (aws:TagKeys).
    """
    fitting = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if any(_matches(action, pattern) for pattern in _actions(statement))
        and any(fnmatchcase(resource, pattern) for pattern in _listed(statement.get("Resource", [])))
        and _holds(statement.get("Condition", {}), {key.lower(): value for key, value in context.items()})
    }
    return fitting == {"Allow"}


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, Any]) -> bool:
    return all(
        _fits(operator, context.get(key.lower()), _listed(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _fits(operator: str, found: Any, wanted: list[str]) -> bool:
    """Return whether one condition holds; raises KeyError for an operator that nothing here knows."""
    if operator == "Null":
        return (found is None) == (wanted == ["true"])
    many, _, comparison = operator.rpartition(":")
    compare = {
        "StringEquals": lambda value, pattern: value == pattern,
        "StringEqualsIgnoreCase": lambda value, pattern: value.lower() == pattern.lower(),
        "StringLike": fnmatchcase,
        "ArnLike": fnmatchcase,
    }[comparison]
    values = _listed(found if found is not None else [])
    held = [any(compare(value, pattern) for pattern in wanted) for value in values]
    return all(held) if many == "ForAllValues" else any(held)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def refused(called: Iterable[str], iam: Any, role: str) -> list[str]:
    """Return the calls that none of the role's policies allows."""
    inline, attached = _inline(iam, role), _attached(iam, role)
    documents = [*inline, *attached]
    size = sum(len(json.dumps(document, separators=(",", ":"))) for document in inline)
    assert size <= INLINE_CHARACTERS, f"IAM would refuse the inline policies of {role}: {size} characters"
    calls = set(called)
    missing = {call for call in calls if not _may(documents, *call.partition(_ON)[::2])}
    # AWS asks for the key in the name of whoever calls, so no call of ours shows it.
    for action, (key, service) in UNDER_A_KEY.items():
        if action in calls and not any(_allows_key(document, key, service) for document in documents):
            missing.add(f"{key} through {service}")
    return sorted(missing)


def _actions(statement: dict[str, Any]) -> list[str]:
    found = statement.get("Action", [])
    return [found] if isinstance(found, str) else list(found)


def _statements(document: dict[str, Any], effect: str) -> Iterator[dict[str, Any]]:
    for statement in document["Statement"]:
        if statement["Effect"] == effect:
            yield statement


def _may(documents: list[dict[str, Any]], action: str, resource: str) -> bool:
    """Return whether something allows an action on a resource ("": on any), and nothing denies it whatever is asked."""

    def speak_of_it(effect: str) -> list[dict[str, Any]]:
        return [
            statement
            for document in documents
            for statement in _statements(document, effect)
            if any(_matches(action, pattern) for pattern in _actions(statement))
            and (not resource or any(fnmatchcase(resource, one) for one in _listed(statement.get("Resource", []))))
        ]

    allowed = [
        one
        for one in speak_of_it("Allow")
        if one.get("Condition", {}).get("Null", {}).get("aws:ResourceTag/lifeboat:run") != "false"
    ]
    denied = [
        one
        for one in speak_of_it("Deny")
        if "Condition" not in one and (resource or one.get("Resource") in ("*", ["*"]))
    ]
    return bool(allowed) and not denied


def _allows_key(document: dict[str, Any], action: str, service: str) -> bool:
    for statement in _statements(document, "Allow"):
        conditions = statement.get("Condition", {})
        through = [
            one
            for operator in ("StringEquals", "StringLike")
            for one in _listed(conditions.get(operator, {}).get("kms:ViaService", []))
        ]
        if any(_matches(action, one) for one in _actions(statement)) and any(
            one.startswith(service) for one in through
        ):
            return True
    return False


def _matches(action: str, pattern: str) -> bool:
    # IAM compares actions without regard to case, and knows * and ? alone.
    return fnmatchcase(action.lower(), pattern.lower().replace("[", "[[]"))
