"""Which calls of a trace a role's policies do not name: the local cloud itself lets every credential do everything.

Only actions are compared, and conditions only in so far as a statement counts for nothing when it is for resources that
bear the mark of a drill. Resources are left out: AWS alone knows which one a call touches.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
}
# What everybody may do, and what another role does meanwhile: the job of the pipeline takes one of its own.
WITHOUT_PERMISSION = {"sts:GetCallerIdentity", "sts:AssumeRole"}


def actions(trace: Iterable[dict[str, Any]]) -> set[str]:
    """Return the IAM actions of what lifeboat and its Terraform sent."""
    called = set()
    for line in trace:
        if line["service"] != "gitlab" and line["agent"] in ("boto3", "terraform"):
            name = f"{SERVICES.get(line['service'], line['service'])}:{line['operation']}"
            called.add(OPERATIONS.get(name, name))
    return called - WITHOUT_PERMISSION


def refused(called: Iterable[str], iam: Any, role: str) -> list[str]:
    """Return the actions that none of the role's policies allows."""
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    allowed = [pattern for document in documents for pattern in _allowed(document)]
    return sorted(action for action in called if not any(_matches(action, pattern) for pattern in allowed))


def _allowed(document: dict[str, Any]) -> list[str]:
    patterns = []
    for statement in document["Statement"]:
        of_a_run = statement.get("Condition", {}).get("Null", {}).get("aws:ResourceTag/lifeboat:run") == "false"
        if statement["Effect"] == "Allow" and not of_a_run:
            found = statement["Action"]
            patterns += [found] if isinstance(found, str) else found
    return patterns


def _matches(action: str, pattern: str) -> bool:
    # IAM compares actions without regard to case, and knows * and ? alone.
    return fnmatchcase(action.lower(), pattern.lower().replace("[", "[[]"))
