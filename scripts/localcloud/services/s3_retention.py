"""Object Lock where moto lets go of it: shortened retention, default retention of uploads in parts, wrong requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.s3.models import S3Backend

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, operation
from localcloud.services import s3_objects as objects
from localcloud.services.s3_requests import passed

_WRITTEN = "%Y-%m-%dT%H:%M:%SZ"
_MODE, _UNTIL, _HOLD = (f"x-amz-object-lock-{name}" for name in ("mode", "retain-until-date", "legal-hold"))


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


def _moment(value: datetime | str) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _locked_bucket(call: Call) -> Any:
    found = objects.bucket(call.cloud, call.params["Bucket"])
    if not found.object_lock_enabled:
        raise Refused("InvalidRequest", "Bucket is missing Object Lock Configuration")
    return found


def _in_the_future(call: Call, until: datetime) -> None:
    if until <= call.cloud.now():
        raise Refused("InvalidArgument", "The retain until date must be in the future!")


@operation("s3", "GetObjectRetention")
def get_retention(call: Call, **asked: Any) -> dict[str, Any]:
    """Return how long a version is locked, by its own or by the bucket's default retention."""
    found = objects.existing(call.cloud, asked["Bucket"], asked["Key"], asked.get("VersionId"))
    _locked_bucket(call)
    if not found.lock_mode:
        text = "The specified object does not have a ObjectLock configuration"
        raise Refused("NoSuchObjectLockConfiguration", text, 404)
    return {"Retention": {"Mode": found.lock_mode, "RetainUntilDate": _moment(found.lock_until)}}


@operation("s3", "PutObjectRetention")
def put_retention(call: Call, **asked: Any) -> dict[str, Any]:
    """Set how long a version is locked; what is locked in compliance mode is never unlocked sooner."""
    _locked_bucket(call)
    found = objects.existing(call.cloud, asked["Bucket"], asked["Key"], asked.get("VersionId"))
    wanted = asked.get("Retention") or {}
    mode, until = wanted.get("Mode"), wanted.get("RetainUntilDate")
    if (mode is None) != (until is None) or mode not in (None, "GOVERNANCE", "COMPLIANCE"):
        text = "The XML you provided was not well-formed or did not validate against our published schema"
        raise Refused("MalformedXML", text)
    if until is not None:
        _in_the_future(call, _moment(until))
    if found.lock_mode and _moment(found.lock_until) > call.cloud.now():
        weaker = mode != found.lock_mode or _moment(until or found.lock_until) < _moment(found.lock_until)
        bypass = call.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
        if weaker and (found.lock_mode == "COMPLIANCE" or not bypass):
            raise Refused("AccessDenied", "Access Denied because object protected by object lock.", 403)
    found.lock_mode = mode
    found.lock_until = _moment(until).astimezone(UTC).strftime(_WRITTEN) if until else None
    return {}


@passed("PutObject", "CopyObject", "CreateMultipartUpload")
def check_lock_headers(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse lock headers that contradict each other or the bucket."""
    mode, until = call.headers.get(_MODE), call.headers.get(_UNTIL)
    if mode or until or call.headers.get(_HOLD):
        _locked_bucket(call)
    if bool(mode) != bool(until):
        raise Refused("InvalidArgument", f"{_UNTIL} and {_MODE} must both be supplied")
    if until:
        _in_the_future(call, _moment(until))
    return proceed()


@passed("PutObject", "UploadPart")
def require_a_checksum(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse an upload to a locked place that carries no checksum: what cannot be replaced must arrive whole."""
    bucket = objects.bucket(call.cloud, call.params["Bucket"])
    carried = any(
        name == "content-md5" or name.startswith("x-amz-checksum-") or name == "x-amz-trailer" for name in call.headers
    )
    if (bucket.has_default_lock or _MODE in call.headers) and not carried:
        what = "Put Object" if call.operation == "PutObject" else "Put Part"
        text = f"Content-MD5 OR x-amz-checksum- HTTP header is required for {what} requests with Object Lock parameters"
        raise Refused("InvalidRequest", text)
    return proceed()


@passed("CreateMultipartUpload")
def keep_the_lock(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Keep the lock that an upload in parts asks for until it is put together."""
    bucket = objects.bucket(call.cloud, call.params["Bucket"])
    before = set(bucket.multiparts)
    answer = proceed()
    for upload_id in set(bucket.multiparts) - before:
        if f"<UploadId>{upload_id}</UploadId>".encode() in answer.body:
            bucket.multiparts[upload_id].lock = {
                name: call.headers[name] for name in (_MODE, _UNTIL, _HOLD) if name in call.headers
            }
    return answer


@passed("CompleteMultipartUpload")
def lock_what_came_in_parts(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Lock an object that came in parts as one that came at once would be."""
    bucket = objects.bucket(call.cloud, call.params["Bucket"])
    upload = bucket.multiparts.get(call.params["UploadId"])
    answer = proceed()
    if upload is not None and answer.status == 200:  # without one, the request was sent again after it had succeeded
        asked = getattr(upload, "lock", {})
        made = objects.version(call.cloud, call.params["Bucket"], call.params["Key"], answer.header("x-amz-version-id"))
        if made is not None and not objects.is_marker(made):
            made.lock_legal_status = asked.get(_HOLD)
            made.lock_mode, made.lock_until = asked.get(_MODE), asked.get(_UNTIL)
            if bucket.has_default_lock and not asked:
                made.lock_mode, made.lock_until = bucket.default_lock_mode, bucket.default_retention()
    return answer


@passed("PutObjectLockConfiguration")
def check_default_retention(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse a default retention without versioning or without a length."""
    if objects.bucket(call.cloud, call.params["Bucket"]).versioning_status != "Enabled":
        text = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        raise Refused("InvalidBucketState", text, 409)
    default = call.params.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
    if default is not None:
        lengths = [default[unit] for unit in ("Days", "Years") if default.get(unit) is not None]
        if len(lengths) != 1 or "Mode" not in default:
            text = "The XML you provided was not well-formed or did not validate against our published schema"
            raise Refused("MalformedXML", text)
        if lengths[0] <= 0:
            raise Refused("InvalidArgument", "Default retention period must be a positive integer value.")
    return proceed()


@passed("PutBucketVersioning")
def keep_versioning(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to suspend versioning where objects are locked or replicated."""
    if call.params["VersioningConfiguration"].get("Status") == "Suspended":
        bucket = objects.bucket(call.cloud, call.params["Bucket"])
        if bucket.object_lock_enabled:
            text = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            raise Refused("InvalidBucketState", text, 409)
        if (call.params["Bucket"], "replication") in call.cloud.store("s3-documents"):
            text = "A replication configuration is present on this bucket, so the versioning state cannot be changed."
            raise Refused("InvalidBucketState", text, 409)
    return proceed()
