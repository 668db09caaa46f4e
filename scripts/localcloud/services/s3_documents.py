"""Bucket documents that moto renders anew and thereby changes: handed back exactly as they were put."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.s3.models import S3Backend

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around

# Which document each operation puts, gets or deletes.
PUT = {
    "PutBucketLifecycleConfiguration": "lifecycle",
    "PutBucketReplication": "replication",
    "PutBucketNotificationConfiguration": "notification",
    "PutObjectLockConfiguration": "object-lock",
}
GET = {
    "GetBucketLifecycleConfiguration": "lifecycle",
    "GetBucketReplication": "replication",
    "GetBucketNotificationConfiguration": "notification",
    "GetObjectLockConfiguration": "object-lock",
}
DELETE = {"DeleteBucketLifecycle": "lifecycle", "DeleteBucketReplication": "replication"}
MINIMUM_SIZE = "x-amz-transition-default-minimum-object-size"
DEFAULT_MINIMUM_SIZE = "all_storage_classes_128K"


def install(cloud: Cloud) -> None:
    """Let Object Lock be configured on a bucket that holds objects, as AWS does since November 2023."""
    del cloud
    original = S3Backend.put_object_lock_configuration

    def put_object_lock_configuration(self: Any, bucket_name: str, *arguments: Any, **named: Any) -> None:
        bucket = self.get_bucket(bucket_name)
        keys, bucket.keys = bucket.keys, type(bucket.keys)()
        try:
            original(self, bucket_name, *arguments, **named)
        finally:
            bucket.keys = keys

    S3Backend.put_object_lock_configuration = put_object_lock_configuration


@around("s3", *PUT)
def keep_the_document(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Remember what was put, once moto took it."""
    if PUT[call.operation] == "lifecycle" and not call.params.get("LifecycleConfiguration", {}).get("Rules"):
        raise Refused("MalformedXML", "The XML you provided was not well-formed or did not validate")
    answer = proceed()
    if answer.status < 300:
        headers = {}
        if PUT[call.operation] == "lifecycle":
            headers[MINIMUM_SIZE] = call.headers.get(MINIMUM_SIZE, DEFAULT_MINIMUM_SIZE)
            answer.headers.append((MINIMUM_SIZE, headers[MINIMUM_SIZE]))
        _documents(call)[(call.params["Bucket"], PUT[call.operation])] = (call.body, headers)
    return answer


@around("s3", *GET)
def hand_back_the_document(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Answer with what was put, as long as moto still has a document of that kind."""
    answer = proceed()
    kept = _documents(call).get((call.params["Bucket"], GET[call.operation]))
    if answer.status < 300 and kept is not None:
        answer.body = kept[0]
        answer.headers = [("Content-Type", "application/xml"), *kept[1].items()]
    return answer


@around("s3", *DELETE)
def forget_the_document(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Forget a document that was deleted."""
    answer = proceed()
    if answer.status < 300:
        _documents(call).pop((call.params["Bucket"], DELETE[call.operation]), None)
    return answer


@around("s3", "DeleteBucket")
def forget_the_bucket(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Forget the documents of a deleted bucket: a new one of that name starts without."""
    answer = proceed()
    if answer.status < 300:
        documents = _documents(call)
        for key in [key for key in documents if key[0] == call.params["Bucket"]]:
            del documents[key]
    return answer


def _documents(call: Call) -> dict[Any, Any]:
    return call.cloud.store("s3-documents")
