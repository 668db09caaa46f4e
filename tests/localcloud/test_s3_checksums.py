"""Checksums of uploads: what arrives damaged is refused, what arrives whole can be proven so."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from localcloud.services.s3_checksums import digest

from tests.conftest import RunningCloud

BODY = b"one dump, which must arrive whole\n" * 50
PLAIN = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}


def b64(found: bytes) -> str:
    return base64.b64encode(found).decode()


@pytest.fixture
def bucket(cloud: RunningCloud) -> str:
    name = f"checked-{uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def tampering(s3: Any, operation: str, change: Callable[[Any], None]) -> Any:
    """Return the client with the signed request changed on its way."""
    s3.meta.events.register(f"before-send.s3.{operation}", lambda request, **_: change(request))
    return s3


def keys(cloud: RunningCloud, bucket: str) -> list[str]:
    return [found["Key"] for found in cloud.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("CRC32", "cbf43926"), ("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")],
)
def test_checksums_are_those_of_their_standards(algorithm: str, expected: str) -> None:
    assert digest(b"123456789", algorithm).hex() == expected  # the check values of the CRC catalogue


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ContentMD5", b64(hashlib.md5(b"other", usedforsecurity=False).digest())),
        ("ChecksumSHA256", b64(hashlib.sha256(b"other").digest())),
        ("ChecksumSHA1", b64(hashlib.sha1(b"other", usedforsecurity=False).digest())),
        ("ChecksumCRC32", b64(zlib.crc32(b"other").to_bytes(4, "big"))),
        ("ChecksumCRC32C", b64(digest(b"other", "CRC32C"))),
        ("ChecksumCRC64NVME", b64(digest(b"other", "CRC64NVME"))),
        ("ChecksumSHA512", b64(hashlib.sha512(b"other").digest())),
        ("ChecksumMD5", b64(digest(b"other", "MD5"))),
    ],
)
def test_an_upload_that_is_not_what_its_checksum_says_is_refused(
    cloud: RunningCloud, bucket: str, name: str, value: str
) -> None:
    with pytest.raises(ClientError) as refusal:
        cloud.client("s3", **PLAIN).put_object(Bucket=bucket, Key="a", Body=BODY, **{name: value})

    assert refusal.value.response["Error"]["Code"] == "BadDigest"
    assert keys(cloud, bucket) == []


def test_a_md5_that_is_none_is_refused_with_a_code_of_its_own(cloud: RunningCloud, bucket: str) -> None:
    with pytest.raises(ClientError) as refusal:
        cloud.client("s3", **PLAIN).put_object(Bucket=bucket, Key="a", Body=BODY, ContentMD5="bm90IG9uZQ==")

    assert refusal.value.response["Error"]["Code"] == "InvalidDigest"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"])
def test_an_upload_with_its_true_checksum_is_taken_and_shows_it(
    cloud: RunningCloud, bucket: str, algorithm: str
) -> None:
    s3, given = cloud.client("s3", **PLAIN), {f"Checksum{algorithm}": b64(digest(BODY, algorithm))}

    s3.put_object(Bucket=bucket, Key="a", Body=BODY, **given)

    shown = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert {name: value for name, value in shown.items() if name in given} == given


def test_a_checksum_that_cannot_be_computed_here_is_let_through(cloud: RunningCloud, bucket: str) -> None:
    s3 = cloud.client("s3", **PLAIN)

    s3.put_object(Bucket=bucket, Key="a", Body=BODY, ChecksumXXHASH64=b64(b"8 bytes."))

    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == BODY


def test_the_checksum_that_was_given_comes_back_when_asked_for(cloud: RunningCloud, bucket: str) -> None:
    s3, value = cloud.client("s3"), b64(hashlib.sha256(BODY).digest())
    s3.put_object(Bucket=bucket, Key="a", Body=BODY, ChecksumSHA256=value)

    shown = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")

    assert (shown["ChecksumSHA256"], shown["ChecksumType"]) == (value, "FULL_OBJECT")
    assert "ChecksumSHA256" not in s3.head_object(Bucket=bucket, Key="a")
    assert s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")["ChecksumSHA256"] == value


def trailer(body: bytes, checksum: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(body), body, b64(checksum).encode())


@pytest.mark.parametrize("damage", [b"other", None])
def test_a_checksum_that_trails_the_body_is_verified(cloud: RunningCloud, bucket: str, damage: bytes | None) -> None:
    framed = trailer(BODY, zlib.crc32(damage or BODY).to_bytes(4, "big"))

    def frame(request: Any) -> None:
        request.body = framed
        for name in ("Content-MD5", "Content-Length", "x-amz-content-sha256"):
            request.headers.pop(name, None)
        for name, value in {
            "content-encoding": "aws-chunked",
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": str(len(BODY)),
            "Content-Length": str(len(framed)),
        }.items():
            request.headers[name] = value

    s3 = tampering(cloud.client("s3", **PLAIN), "PutObject", frame)

    if damage is None:
        s3.put_object(Bucket=bucket, Key="a", Body=BODY)
        shown = cloud.client("s3").get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
        assert shown["Body"].read() == BODY
        assert shown["ChecksumCRC32"] == b64(zlib.crc32(BODY).to_bytes(4, "big"))
        assert "ContentEncoding" not in shown
    else:
        with pytest.raises(ClientError) as refusal:
            s3.put_object(Bucket=bucket, Key="a", Body=BODY)
        assert refusal.value.response["Error"]["Code"] == "BadDigest"
        assert keys(cloud, bucket) == []


def test_a_body_that_was_changed_on_its_way_is_refused(cloud: RunningCloud, bucket: str) -> None:
    def flip(request: Any) -> None:
        body = request.body if isinstance(request.body, bytes) else request.body.read()
        request.body = body[:-1] + b"?"

    s3 = tampering(cloud.client("s3"), "PutObject", flip)

    with pytest.raises(ClientError):
        s3.put_object(Bucket=bucket, Key="a", Body=BODY)

    assert keys(cloud, bucket) == []


def test_a_damaged_part_is_refused_and_whole_parts_make_the_object(cloud: RunningCloud, bucket: str) -> None:
    s3, parts = cloud.client("s3"), [b"a" * 5 * 1024 * 1024, b"the rest"]
    asked: dict[str, Any] = {"Bucket": bucket, "Key": "a"}
    upload = s3.create_multipart_upload(**asked, ChecksumAlgorithm="SHA256")["UploadId"]
    with pytest.raises(ClientError, match="BadDigest"):
        s3.upload_part(
            **asked, UploadId=upload, PartNumber=1, Body=parts[0], ChecksumSHA256=b64(hashlib.sha256(b"x").digest())
        )
    sent = [
        s3.upload_part(**asked, UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256")
        for number, part in enumerate(parts, 1)
    ]
    listed = [
        {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
        for number, part in enumerate(sent, 1)
    ]
    swapped = listed[1] | {"ChecksumSHA256": listed[0]["ChecksumSHA256"]}

    with pytest.raises(ClientError, match="InvalidPart"):
        s3.complete_multipart_upload(**asked, UploadId=upload, MultipartUpload={"Parts": [listed[0], swapped]})
    s3.complete_multipart_upload(**asked, UploadId=upload, MultipartUpload={"Parts": listed})

    whole = b64(hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest())
    shown = s3.head_object(**asked, ChecksumMode="ENABLED")
    assert (shown["ChecksumSHA256"], shown["ChecksumType"]) == (f"{whole}-2", "COMPOSITE")
    assert s3.get_object(**asked)["Body"].read() == b"".join(parts)


def test_a_file_goes_up_and_down_as_the_transfer_manager_sends_it(
    cloud: RunningCloud, bucket: str, tmp_path: Any
) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    here.write_bytes(b"0123456789abcdef" * 1024 * 1024)
    s3 = cloud.client("s3")

    s3.upload_file(str(here), bucket, "a")
    s3.download_file(bucket, "a", str(back))

    assert back.read_bytes() == here.read_bytes()
