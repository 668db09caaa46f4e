"""Bucket policies with their conditions: moto ignores conditions, so that any conditional Deny would deny everything.

Loopback is taken for TLS, since nothing here speaks it: `aws:SecureTransport` is true. That a plain-HTTP request is
refused therefore cannot be shown locally.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

from moto.s3.models import FakeBucket

from localcloud.cloud import Cloud
from localcloud.front import INTERNAL_KEY, answered
from localcloud.operations import Answer, Call, Refused, around

# The IAM action of an operation where it is not "s3:" and the operation's name.
ACTIONS = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}
# Which of them act on a version when the request names one.
VERSIONED = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}
# What of s3:PutObject creates an object; the rest takes no condition (S3 user guide, "Enforce conditional writes").
CREATES = {
    "PutObject": True,
    "CopyObject": True,
    "CompleteMultipartUpload": True,
    "CreateMultipartUpload": False,
    "UploadPart": False,
    "UploadPartCopy": False,
}

Match = Callable[[str, str], bool]
OPERATORS: dict[str, Match] = {
    "Bool": lambda have, want: have.lower() == want.lower(),
    "StringEquals": lambda have, want: have == want,
    "StringEqualsIgnoreCase": lambda have, want: have.lower() == want.lower(),
    "StringLike": fnmatchcase,
    "ArnEquals": fnmatchcase,
    "ArnLike": fnmatchcase,
    "NumericEquals": lambda have, want: float(have) == float(want),
    "NumericLessThan": lambda have, want: float(have) < float(want),
    "NumericLessThanEquals": lambda have, want: float(have) <= float(want),
    "NumericGreaterThan": lambda have, want: float(have) > float(want),
    "NumericGreaterThanEquals": lambda have, want: float(have) >= float(want),
}


def install(cloud: Cloud) -> None:
    """Leave the judging of bucket policies to us."""
    from moto.iam.access_control import PermissionResult

    del cloud
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL


@around("s3", "*")
def obey_the_bucket_policy(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse what a Deny statement of the bucket's policy denies to this caller."""
    bucket = str(call.params.get("Bucket", ""))
    statements = _denials(call, bucket)
    if not statements or _caller_key(call) == INTERNAL_KEY:
        return proceed()
    context = _context(call)
    if call.operation == "DeleteObjects":
        return _delete_objects(call, bucket, statements, context, proceed)
    action = _action(call.operation, versioned="VersionId" in call.params)
    resource = f"arn:aws:s3:::{bucket}" + (f"/{call.params['Key']}" if "Key" in call.params else "")
    if denied(statements, action, resource, context):
        raise _access_denied(action, resource)
    return proceed()


def denied(statements: Iterable[Mapping[str, Any]], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Return whether one of the Deny statements covers an action on a resource for what is known of the request."""
    return any(
        _names(statement, "Action", action, ignore_case=True)
        and _names(statement, "Resource", resource)
        and _principal(statement.get("Principal"), context["aws:PrincipalArn"])
        and all(
            _condition(operator, key, wanted, context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
        for statement in statements
    )


def _denials(call: Call, bucket: str) -> list[Mapping[str, Any]]:
    found = call.cloud.moto("s3", "aws").buckets.get(bucket)
    if found is None or found.policy is None:
        return []
    statements = json.loads(found.policy)["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    return [statement for statement in listed if statement["Effect"] == "Deny"]


def _action(operation: str, *, versioned: bool) -> str:
    name = ACTIONS.get(operation, operation)
    return "s3:" + (VERSIONED.get(name, name) if versioned else name)


def _names(statement: Mapping[str, Any], element: str, value: str, *, ignore_case: bool = False) -> bool:
    negated = f"Not{element}" in statement
    patterns = _listed(statement[f"Not{element}" if negated else element])
    if ignore_case:
        value, patterns = value.lower(), [pattern.lower() for pattern in patterns]
    return any(fnmatchcase(value, pattern) for pattern in patterns) != negated


def _principal(principal: Any, arn: str) -> bool:
    if principal == "*":
        return True
    account = arn.split(":")[4]
    known = {"*", arn, account, f"arn:aws:iam::{account}:root"}
    return any(name in known for name in _listed((principal or {}).get("AWS", [])))


def _condition(operator: str, key: str, wanted: Any, context: Mapping[str, str]) -> bool:
    have = context.get(key.lower(), context.get(key))
    if operator == "Null":
        return (have is None) == (str(_listed(wanted)[0]).lower() == "true")
    name, if_exists, _ = operator.partition("IfExists")
    negated = "Not" in name
    match = OPERATORS.get(name.replace("Not", ""))
    if match is None:
        raise Refused("LocalCloudNotImplemented", f"The local cloud does not judge the condition operator {operator}.")
    if have is None:
        # AWS: a missing key fails a positive operator and satisfies a negated one; ...IfExists is satisfied.
        return negated or bool(if_exists)
    return any(match(have, str(value)) for value in _listed(wanted)) != negated


def _context(call: Call) -> dict[str, str]:
    headers = call.headers
    context = {"aws:securetransport": "true", "s3:tlsversion": "1.2", "aws:PrincipalArn": _principal_arn(call)}
    context["aws:principalarn"] = context["aws:PrincipalArn"]
    for header in (
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-acl",
        "x-amz-storage-class",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
        "x-amz-bypass-governance-retention",
        "x-amz-content-sha256",
        "if-none-match",
    ):
        if header in headers:
            context[f"s3:{header}"] = headers[header]
    if call.operation in CREATES:
        context["s3:objectcreationoperation"] = str(CREATES[call.operation]).lower()
    prefix = parse_qs(call.query).get("prefix")
    if prefix:
        context["s3:prefix"] = prefix[0]
    return context


def _caller_key(call: Call) -> str:
    credential = call.headers.get("authorization", "").partition("Credential=")[2]
    return credential.split("/", 1)[0]


def _principal_arn(call: Call) -> str:
    """Return the role of a session, else the user that moto's STS calls everybody else."""
    key = _caller_key(call)
    role = call.cloud.moto("sts", "aws").get_assumed_role_from_access_key(key)
    if role is not None:
        return str(role.role_arn)
    return f"arn:aws:iam::{call.account_id}:user/moto"


def _delete_objects(
    call: Call,
    bucket: str,
    statements: list[Mapping[str, Any]],
    context: Mapping[str, str],
    proceed: Callable[[], Answer],
) -> Answer:
    refused: list[dict[str, Any]] = []
    allowed: list[dict[str, Any]] = []
    for entry in call.params["Delete"]["Objects"]:
        action = _action("DeleteObject", versioned="VersionId" in entry)
        bad = denied(statements, action, f"arn:aws:s3:::{bucket}/{entry['Key']}", context)
        (refused if bad else allowed).append(entry)
    if not refused:
        return proceed()
    done: dict[str, Any] = {}
    if allowed:
        client = call.cloud.client("s3", call.region)
        bypass = call.headers.get("x-amz-bypass-governance-retention", "") == "true"
        done = client.delete_objects(Bucket=bucket, Delete={"Objects": allowed}, BypassGovernanceRetention=bypass)
    errors = [{**entry, "Code": "AccessDenied", "Message": "Access Denied"} for entry in refused]
    return answered(call, {"Deleted": done.get("Deleted", []), "Errors": [*done.get("Errors", []), *errors]})


def _access_denied(action: str, resource: str) -> Refused:
    text = f"not authorized to perform: {action} on {resource} with an explicit deny in a resource-based policy"
    return Refused("AccessDenied", text, 403)


def _listed(value: Any) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list | tuple | set) else [str(value)]
