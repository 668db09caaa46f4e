"""SSE-KMS that needs its key: objects are not written or read under one that is disabled, doomed or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused
from localcloud.services import kms
from localcloud.services import s3_objects as objects
from localcloud.services.s3_requests import passed

_ALGORITHM, _KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
AWS_MANAGED = "alias/aws/s3"


def require_key(cloud: Cloud, region: str, named: str | None) -> None:
    """Raise S3's own error when a bucket of a region cannot use a key."""
    wanted = named or AWS_MANAGED
    if kms.region_of(wanted, region) != region:
        raise Refused("KMS.NotFoundException", f"Invalid arn {kms.region_of(wanted, region)}")
    key = kms.find(cloud, region, wanted)
    if key is None:
        raise Refused("KMS.NotFoundException", f"Key '{wanted}' does not exist")
    reason = kms.why_unusable(key)
    if reason is not None:
        raise Refused(f"KMS.{reason[0]}", reason[1])


def key_of_default(bucket: Any) -> tuple[str | None, str | None]:
    """Return the algorithm and key that a bucket encrypts with when a request names none."""
    default = bucket.encryption["Rule"]["ApplyServerSideEncryptionByDefault"] if bucket.encryption else {}
    return default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")


@passed("PutObject", "CopyObject", "CreateMultipartUpload")
def need_the_key_to_write(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to write under a key that cannot be used."""
    bucket = objects.bucket(call.cloud, call.params["Bucket"])
    algorithm, key = call.headers.get(_ALGORITHM), call.headers.get(_KEY)
    if key and algorithm not in ("aws:kms", "aws:kms:dsse"):
        text = f"Server Side Encryption with AWS KMS managed key requires HTTP header {_ALGORITHM} : aws:kms"
        raise Refused("InvalidArgument", text)
    if not algorithm:
        algorithm, key = key_of_default(bucket)
    elif algorithm == "aws:kms" and not key and key_of_default(bucket)[0] == "aws:kms":
        key = key_of_default(bucket)[1]
    if (algorithm or "").startswith("aws:kms"):
        require_key(call.cloud, bucket.region_name, key)
    return proceed()


@passed("UploadPart", "CompleteMultipartUpload")
def need_the_key_for_parts(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to go on with an upload whose key cannot be used any more."""
    bucket = objects.bucket(call.cloud, call.params["Bucket"])
    upload = bucket.multiparts.get(call.params["UploadId"])
    if upload is not None:
        algorithm, key = upload.sse_encryption, upload.kms_key_id
        if not algorithm:
            algorithm, key = key_of_default(bucket)
        if (algorithm or "").startswith("aws:kms"):
            require_key(call.cloud, bucket.region_name, key)
    return proceed()


@passed("GetObject", "CopyObject", "UploadPartCopy", "SelectObjectContent")
def need_the_key_to_read(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to read what was written under a key that cannot be used."""
    name, key, version = call.params["Bucket"], call.params["Key"], call.params.get("VersionId")
    source = call.params.get("CopySource")
    if source is not None:
        name, key, version = copy_source(source)
    bucket = call.cloud.moto("s3", "aws").buckets.get(name)
    found = objects.version(call.cloud, name, key, version) if bucket is not None else None
    if found is not None and not objects.is_marker(found) and (found.encryption or "").startswith("aws:kms"):
        require_key(call.cloud, bucket.region_name, found.kms_key_id)
    return proceed()


def copy_source(source: str | dict[str, str]) -> tuple[str, str, str | None]:
    """Return bucket, key and version of x-amz-copy-source."""
    if isinstance(source, dict):
        return source["Bucket"], source["Key"], source.get("VersionId")
    path, _, query = source.partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    return bucket, key, parse_qs(query).get("versionId", [None])[0]
