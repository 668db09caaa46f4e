"""Checksums of S3 uploads: computed, compared with what the client says, kept, and handed back.

Those of the XXHASH family are let through unverified and not kept: Python has no such function.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused
from localcloud.services import s3_objects as objects
from localcloud.services.s3_requests import passed

LENGTHS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32, "SHA512": 64, "MD5": 16}
_HEADER = re.compile(r"x-amz-checksum-(crc32|crc32c|crc64nvme|sha1|sha256|sha512|md5)")
_UNVERIFIED = re.compile(r"x-amz-checksum-xxhash\w+")


def _table(polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ polynomial if value & 1 else value >> 1
        table.append(value)
    return table


# Both are reflected, start with all ones and end inverted (RFC 3720; NVM Express NVM Command Set 1.0, section 5.2.1.3.4).
_CRC32C = _table(0x82F63B78)
_CRC64NVME = _table(0x9A6C9329AC4BC9B5)


def _crc(body: bytes, table: list[int], ones: int) -> int:
    value = ones
    for byte in body:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ ones


def digest(body: bytes, algorithm: str) -> bytes:
    """Return the checksum of bytes by one of the algorithms in LENGTHS."""
    if algorithm == "CRC32":
        return binascii.crc32(body).to_bytes(4, "big")
    if algorithm == "CRC32C":
        return _crc(body, _CRC32C, 2**32 - 1).to_bytes(4, "big")
    if algorithm == "CRC64NVME":
        return _crc(body, _CRC64NVME, 2**64 - 1).to_bytes(8, "big")
    return hashlib.new(algorithm.lower(), body, usedforsecurity=False).digest()


def install(cloud: Cloud) -> None:
    """Let moto compute the two checksums that it takes for CRC32 without optional packages."""
    import moto.s3.models
    import moto.s3.responses

    del cloud

    def computed(body: bytes, algorithm: str, encode_base64: bool = True) -> bytes:
        found = digest(body, algorithm.upper())
        return base64.b64encode(found) if encode_base64 else found

    moto.s3.models.compute_checksum = computed
    moto.s3.responses.compute_checksum = computed


# -- reading what the client sent --------------------------------------------------------------------------------------


def unframed(call: Call) -> tuple[bytes, dict[str, str]]:
    """Return the body without its aws-chunked framing, and the trailers after it."""
    framed = call.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    if not framed and "aws-chunked" not in call.headers.get("content-encoding", ""):
        return call.body, {}
    body, position = bytearray(), 0
    while True:
        end = call.body.find(b"\r\n", position)
        try:
            size = int(call.body[position:end].split(b";", 1)[0], 16)
        except ValueError as error:
            raise _incomplete() from error
        position = end + 2
        if size == 0:
            break
        chunk = call.body[position : position + size]
        if len(chunk) != size or call.body[position + size : position + size + 2] != b"\r\n":
            raise _incomplete()
        body += chunk
        position += size + 2
    declared = call.headers.get("x-amz-decoded-content-length")
    if declared is not None and int(declared) != len(body):
        raise _incomplete()
    lines = call.body[position:].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return bytes(body), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _incomplete() -> Refused:
    return Refused("IncompleteBody", "The request body terminated unexpectedly")


def _claimed(call: Call, trailers: dict[str, str]) -> tuple[str, str] | None:
    """Return the algorithm and value of the one checksum that the client sent; None when it sent none."""
    announced = [name.strip().lower() for name in call.headers.get("x-amz-trailer", "").split(",") if name.strip()]
    if any(name not in trailers for name in announced):
        raise Refused("MalformedTrailerError", "The request contained trailing data that was not well-formed")
    sent = {**{k: v for k, v in call.headers.items() if _HEADER.fullmatch(k)}, **{k: trailers[k] for k in announced}}
    found = [(match.group(1).upper(), value) for name, value in sent.items() if (match := _HEADER.fullmatch(name))]
    if len(found) > 1:
        raise Refused(
            "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    return found[0] if found else None


def _decoded(value: str, length: int, refusal: Refused) -> bytes:
    try:
        found = base64.b64decode(value, validate=True)
    except ValueError as error:
        raise refusal from error
    if len(found) != length:
        raise refusal
    return found


@passed("*")
def verify(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse a body that is not what its headers or trailers say."""
    body, trailers = unframed(call)
    md5 = call.headers.get("content-md5")
    if md5 is not None:
        wanted = _decoded(md5, 16, Refused("InvalidDigest", "The Content-MD5 you specified was invalid."))
        if wanted != hashlib.md5(body, usedforsecurity=False).digest():
            raise Refused("BadDigest", "The Content-MD5 you specified did not match what we received.")
    signed = call.headers.get("x-amz-content-sha256", "")
    if re.fullmatch(r"[0-9a-f]{64}", signed) and signed != hashlib.sha256(body).hexdigest():
        text = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Refused("XAmzContentSHA256Mismatch", text)
    if call.operation == "CompleteMultipartUpload":  # its checksum is of the object, not of the body
        return proceed()
    claim = _claimed(call, trailers)
    if claim is not None:
        algorithm, value = claim
        name = f"x-amz-checksum-{algorithm.lower()}"
        wanted = _decoded(value, LENGTHS[algorithm], Refused("InvalidRequest", f"Value for {name} header is invalid."))
        if wanted != digest(body, algorithm):
            raise Refused("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
    elif (
        body
        and call.headers.get("x-amz-sdk-checksum-algorithm")
        and not any(_UNVERIFIED.fullmatch(name) for name in [*call.headers, *trailers])
    ):
        text = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers"
        raise Refused("InvalidRequest", f"{text} were found.")
    if call.operation in ("PutObject", "UploadPart"):
        _make_plain(call, body, claim)
    return proceed()


def _make_plain(call: Call, body: bytes, claim: tuple[str, str] | None) -> None:
    """Turn the request into one without framing, whose checksum stands in a header: moto guesses at the others."""
    call.body = body
    for name in ("x-amz-trailer", "x-amz-decoded-content-length", "transfer-encoding", "x-amz-sdk-checksum-algorithm"):
        call.headers.pop(name, None)
        call.environ.pop("HTTP_" + name.upper().replace("-", "_"), None)
    kept = [part.strip() for part in call.headers.get("content-encoding", "").split(",")]
    encoding = ",".join(part for part in kept if part and part != "aws-chunked")
    new = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD", "content-encoding": encoding}
    if claim is not None:
        new["x-amz-sdk-checksum-algorithm"] = claim[0]
        new[f"x-amz-checksum-{claim[0].lower()}"] = claim[1]
    for name, value in new.items():
        if value:
            call.headers[name] = call.environ["HTTP_" + name.upper().replace("-", "_")] = value
        else:
            call.headers.pop(name, None)
            call.environ.pop("HTTP_" + name.upper().replace("-", "_"), None)
    call.headers["content-length"] = call.environ["CONTENT_LENGTH"] = str(len(body))


# -- keeping and handing back ------------------------------------------------------------------------------------------


@passed("PutObject")
def note_the_type(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Note that the checksum of an object put at once is that of the whole."""
    answer = proceed()
    if answer.status == 200:
        made = objects.version(call.cloud, call.params["Bucket"], call.params["Key"], answer.header("x-amz-version-id"))
        if made is not None and made.checksum_algorithm:
            made.checksum_type = "FULL_OBJECT"
            answer.headers.append(("x-amz-checksum-type", "FULL_OBJECT"))
    return answer


@passed("UploadPart")
def keep_part_checksum(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse a part with another kind of checksum than its upload; keep that of the part."""
    upload = _upload(call)
    wanted = upload.metadata.get("x-amz-checksum-algorithm") if upload else None
    claim = _claimed(call, unframed(call)[1])
    if wanted and (claim is None or claim[0] != wanted.upper()):
        have = claim[0].lower() if claim else "null"
        text = f"expected checksum Type: {wanted.lower()}, actual checksum Type: {have}"
        raise Refused("InvalidRequest", f"Checksum Type mismatch occurred, {text}")
    answer = proceed()
    if answer.status == 200 and claim is not None and upload is not None:
        part = upload.parts[int(call.params["PartNumber"])]
        part.checksum_algorithm, part.checksum_value = claim
    return answer


def _upload(call: Call) -> Any:
    return objects.bucket(call.cloud, call.params["Bucket"]).multiparts.get(call.params["UploadId"])


@passed("CompleteMultipartUpload")
def compare_part_checksums(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to put parts together whose checksums are not those of the parts uploaded."""
    upload = _upload(call)
    algorithm = (upload.metadata.get("x-amz-checksum-algorithm") or "").upper() if upload else ""
    composite = algorithm and (upload.metadata.get("x-amz-checksum-type") or _default_type(algorithm)) == "COMPOSITE"
    for listed in call.params.get("MultipartUpload", {}).get("Parts", []) if upload else []:
        part = upload.parts.get(listed["PartNumber"])
        given = next((listed[f"Checksum{name}"] for name in LENGTHS if f"Checksum{name}" in listed), None)
        if composite and given is None:
            raise Refused(
                "InvalidRequest",
                f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {listed['PartNumber']} in the request.",
            )
        if part is not None and given is not None and given != part.checksum_value:
            raise Refused(
                "InvalidPart",
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the "
                "specified entity tag may not match the part's entity tag.",
            )
    if upload is not None and algorithm and not composite:
        _compare_whole(call, upload, algorithm)
    return proceed()


def _compare_whole(call: Call, upload: Any, algorithm: str) -> None:
    given = call.headers.get(f"x-amz-checksum-{algorithm.lower()}")
    numbers = [part["PartNumber"] for part in call.params["MultipartUpload"]["Parts"]]
    if given is None or any(number not in upload.parts for number in numbers):
        return
    whole = b"".join(upload.parts[number].value for number in numbers)
    if given != base64.b64encode(digest(whole, algorithm)).decode():
        raise Refused("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")


def _default_type(algorithm: str) -> str:
    return "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"


@passed("HeadObject", "GetObject")
def show_the_checksum(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Hand back the checksum of the whole object when the client asks for it."""
    answer = proceed()
    if answer.status != 200 or call.headers.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        return answer
    shown = objects.version(call.cloud, call.params["Bucket"], call.params["Key"], call.params.get("VersionId"))
    answer.headers = [(k, v) for k, v in answer.headers if not k.lower().startswith("x-amz-checksum-")]
    if shown is not None and shown.checksum_algorithm and shown.checksum_value:
        kind = shown.checksum_type or "FULL_OBJECT"
        parts = f"-{shown.checksum_parts}" if kind == "COMPOSITE" else ""
        answer.headers += [
            (f"x-amz-checksum-{shown.checksum_algorithm.lower()}", f"{shown.checksum_value}{parts}"),
            ("x-amz-checksum-type", kind),
        ]
    return answer
