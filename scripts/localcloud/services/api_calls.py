"""Management calls as EventBridge sees them: "AWS API Call via CloudTrail", for those that change something.

In AWS a trail that records management events must exist; here the events always come. The file's name makes it the
first that is imported, so that its watches are the outermost and see refusals of all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from moto.core.utils import get_service_model

from localcloud.front import READING
from localcloud.operations import Answer, Call, Refused, around

WATCHED = ("backup", "dlm", "kms", "s3")
# CloudTrail names some operations otherwise.
NAMES = {
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
# Management calls of KMS that only use a key; CloudTrail marks them read-only.
_USES = ("Encrypt", "Decrypt", "ReEncrypt", "Generate", "Sign", "Verify")
_LIKE_BUCKETS = ("PublicAccessBlock", "ObjectLockConfiguration")


def _changes_something(service: str, operation: str) -> bool:
    if READING.match(operation) or operation.startswith(_USES):
        return False
    return service != "s3" or "Bucket" in operation or operation.endswith(_LIKE_BUCKETS)


def _tell(call: Call, proceed: Callable[[], Answer]) -> Answer:
    try:
        answer = proceed()
    except Refused as refusal:
        _emit(call, refusal.code, refusal.text)
        raise
    _emit(call, None if answer.status < 400 else _code(answer), None)
    return answer


def _code(answer: Answer) -> str:
    code = answer.header("x-amzn-errortype")
    if code is None and answer.body.startswith(b"{"):
        code = str(json.loads(answer.body).get("__type", "")).rsplit("#", 1)[-1]
    if not code:
        code = answer.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()
    return code or "InternalFailure"


def _emit(call: Call, code: str | None, text: str | None) -> None:
    from localcloud.services import backup_access, events

    arn = backup_access.caller(call).replace(":sts:", ":iam:")  # moto's own user is none of STS's
    role = ":role/" in arn
    name = NAMES.get(call.operation, call.operation)
    detail: dict[str, Any] = {
        "eventVersion": "1.10",
        "userIdentity": {
            "type": "AssumedRole" if role else "IAMUser",
            "arn": arn,
            "accountId": call.account_id,
            "userName": arn.rsplit("/", 1)[-1],
        },
        "eventTime": call.cloud.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": name,
        "awsRegion": call.region,
        "sourceIPAddress": call.environ.get("REMOTE_ADDR", ""),
        "userAgent": call.headers.get("user-agent", ""),
        "requestParameters": {_parameter(call, key): value for key, value in call.params.items()},
        "requestID": str(uuid4()),
        "eventID": str(uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "eventCategory": "Management",
    }
    if code is not None:
        detail |= {"errorCode": code, "errorMessage": text or ""}
    events.emit(call.cloud, call.region, f"aws.{call.service}", "AWS API Call via CloudTrail", detail, [])


def _parameter(call: Call, member: str) -> str:
    if call.service == "s3" and member == "Bucket":
        return "bucketName"
    return member[0].lower() + member[1:]


for _service in WATCHED:
    _names = get_service_model(_service).operation_names
    around(_service, *(name for name in _names if _changes_something(_service, name)))(_tell)
