"""Streams of unknown length to S3: in parts, each checked by S3, and no object before it is asked for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import BoundedSemaphore, Lock
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.database_model import LONGEST_DUMP, StoredUpload, dump_begun_at
from lifeboat.errors import Failed, IntegrityFailure, Refused

# Measured: 8 MiB and four of them in flight are at the plateau; larger ones only cost memory.
_PART = 8 * 1024 * 1024
_GROWS_EVERY = 1000
_IN_FLIGHT = 4
_EXISTS, _CONFLICT = "PreconditionFailed", "ConditionalRequestConflict"
_GONE = {"NoSuchUpload", "404"}
# By the clock of whoever sweeps, and the dump's id is by that of whoever made it.
LEFT_AFTER = LONGEST_DUMP + timedelta(hours=6)


@dataclass(frozen=True, kw_only=True)
class LeftUpload:
    """An upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str


class Uploads:
    """Uploads to one bucket that share their parts in flight, so that memory does not grow with their number."""

    def __init__(self, *, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket
        self._senders = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="upload")
        self._places = BoundedSemaphore(_IN_FLIGHT)
        self._spare: list[bytearray] = []
        self._taking = Lock()

    def begin(self, key: str) -> Upload:
        """Begin an upload; nothing is to be seen of it in the bucket's objects before it is completed."""
        with translated(f"begin an upload to s3://{self.bucket}/{key}"):
            answer = self._s3.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType="application/zstd", ChecksumAlgorithm="SHA256"
            )
        return Upload(uploads=self, key=key, upload_id=str(answer["UploadId"]))

    def close(self) -> None:
        """End the threads that send; parts that are on their way are waited for."""
        self._senders.shutdown(wait=True, cancel_futures=True)

    def open(self, prefix: str) -> list[LeftUpload]:
        """Return the uploads below a prefix that were neither completed nor aborted."""
        with translated(f"list the uploads to s3://{self.bucket}/{prefix}"):
            found = sdk.s3_items(self._s3, "list_multipart_uploads", "Uploads", bucket=self.bucket, prefix=prefix)
            return [LeftUpload(key=str(entry["Key"]), upload_id=str(entry["UploadId"])) for entry in found]

    def left(self, prefix: str, now: datetime) -> list[LeftUpload]:
        """Return the open uploads of dumps below a prefix that were begun longer ago than a dump takes.

        Told by the id in the key: S3's own time of an upload is not to be relied on everywhere.
        """
        return [upload for upload in self.open(prefix) if _begun_before(upload.key, now - LEFT_AFTER)]

    def abort(self, left: LeftUpload) -> None:
        """Abort an upload, and with it all of its parts; one that is gone already is fine."""
        with translated(f"abort the upload {left.upload_id} to s3://{self.bucket}/{left.key}"):
            sdk.unless_absent(
                _GONE,
                lambda: self._s3.abort_multipart_upload(Bucket=self.bucket, Key=left.key, UploadId=left.upload_id),
            )

    def send(self, work: Callable[[], _Part]) -> Future[_Part]:
        """Run `work` in one of the threads; waits while all places in flight are taken."""
        self._places.acquire()
        try:
            future = self._senders.submit(work)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return future

    def memory(self, size: int) -> bytearray:
        """Return memory for a part, to be given back: what malloc frees of that size it keeps (measured 264 MB, not 171)."""
        with self._taking:
            found = next((number for number, spare in enumerate(self._spare) if len(spare) == size), None)
            if found is not None:
                return self._spare.pop(found)
            if self._spare:  # parts have grown
                self._spare.pop()
        return bytearray(size)

    def give_back(self, memory: bytearray) -> None:
        """Take memory back that `memory` gave."""
        with self._taking:
            self._spare.append(memory)

    def put_part(self, upload: LeftUpload, number: int, body: bytearray | bytes) -> _Part:
        """Send one part, which S3 refuses when its SHA-256 is another than ours."""
        with translated(f"upload part {number} of s3://{self.bucket}/{upload.key}"):
            digest = hashlib.sha256(body).digest()
            answer = self._s3.upload_part(
                Bucket=self.bucket,
                Key=upload.key,
                UploadId=upload.upload_id,
                PartNumber=number,
                Body=body,
                ChecksumSHA256=base64.b64encode(digest).decode(),
            )
        return _Part(number=number, etag=str(answer["ETag"]), digest=digest)

    def complete(self, upload: LeftUpload, parts: list[_Part], size: int) -> dict[str, Any]:
        """Make an object of the parts, unless there is one of that key; raises Refused where there is.

        Where the answer to an earlier try was lost, returns what the bucket's listing says of the object: raises Unreachable
        where nobody may look, Failed where S3 knows neither the upload nor one object of this size.
        """
        listed = [
            {"PartNumber": p.number, "ETag": p.etag, "ChecksumSHA256": base64.b64encode(p.digest).decode()}
            for p in parts
        ]
        with translated(f"complete s3://{self.bucket}/{upload.key}"):
            try:
                answer: dict[str, Any] = self._s3.complete_multipart_upload(
                    Bucket=self.bucket,
                    Key=upload.key,
                    UploadId=upload.upload_id,
                    MultipartUpload={"Parts": listed},
                    MpuObjectSize=size,
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if sdk.code(error) not in (*_GONE, _EXISTS, _CONFLICT):
                    raise
                # The answer to an earlier try was lost: it may have been done, and then our own object is in our way.
                found = self._completed(upload.key, size)
                if found is None and sdk.code(error) in _GONE:
                    raise Failed(
                        f"S3 knows the upload to s3://{self.bucket}/{upload.key} no more, and the bucket has no object of"
                        f" its {size} bytes",
                        hint="run the same command again",
                    ) from None
                if found is None:
                    raise Refused(
                        f"s3://{self.bucket}/{upload.key} is there already", hint="run the same command again"
                    ) from None
                answer = found
        return answer

    def _completed(self, key: str, size: int) -> dict[str, Any] | None:
        """Return what the bucket's listing says of a key that only one upload was ever begun for; None of anything else.

        The key has the dump's own chance in it, and the size is ours: that another wrote just this is not to be feared, and
        whoever reads it compares its SHA-256.
        """
        # Not HeadObject: who dumps may list versions and read none of them (modules/dump-bucket, writer_policy_json).
        found = sdk.s3_items(self._s3, "list_object_versions", "Versions", bucket=self.bucket, prefix=key)
        there = [version for version in found if version["Key"] == key]
        if [(version["IsLatest"], int(version["Size"])) for version in there] != [(True, size)]:
            return None
        return {"ETag": there[0]["ETag"], "VersionId": there[0]["VersionId"]}


@dataclass(frozen=True, kw_only=True)
class _Part:
    number: int
    etag: str
    digest: bytes


class Upload:
    """One stream on its way: written to by one thread, completed or aborted once all is known."""

    def __init__(self, *, uploads: Uploads, key: str, upload_id: str) -> None:
        self._uploads = uploads
        self.place = LeftUpload(key=key, upload_id=upload_id)
        self._part: bytearray | None = None
        self._filled = 0  # bytes of it
        self._sent: list[Future[_Part]] = []
        self._digest = hashlib.sha256()
        self.size = 0
        self.completing = False  # an object may be there from then on

    def write(self, data: bytes) -> None:
        """Take more bytes; raises Unreachable as soon as S3 refused a part of those before."""
        self._digest.update(data)
        self.size += len(data)
        rest = memoryview(data)
        while rest:
            if self._part is None:
                self._part, self._filled = self._uploads.memory(part_size(len(self._sent) + 1)), 0
            taken = min(len(rest), len(self._part) - self._filled)
            self._part[self._filled : self._filled + taken] = rest[:taken]
            self._filled += taken
            rest = rest[taken:]
            if self._filled == len(self._part):
                self._send(self._part)

    def flush(self) -> None:
        """Send the rest and wait until S3 has all parts."""
        if self._part is not None:
            self._send(self._part)
        for future in self._sent:
            future.result()

    def _send(self, part: bytearray) -> None:
        self._part = None
        for future in self._sent[-2 * _IN_FLIGHT :]:
            if future.done():
                future.result()
        number, filled = len(self._sent) + 1, self._filled

        def put() -> _Part:
            try:
                # A bytearray is sent as it is; bytes and files go by 16 KiB at a time, each a turn of the interpreter.
                return self._uploads.put_part(self.place, number, part if filled == len(part) else part[:filled])
            finally:
                self._uploads.give_back(part)

        self._sent.append(self._uploads.send(put))

    def complete(self) -> StoredUpload:
        """Make the object. To be called when everything that belongs together is known to be good."""
        parts = [future.result() for future in self._sent]
        self.completing = True
        answer = self._uploads.complete(self.place, parts, self.size)
        whole = base64.b64encode(hashlib.sha256(b"".join(part.digest for part in parts)).digest()).decode()
        expected = f"{whole}-{len(parts)}"
        told = answer.get("ChecksumSHA256")
        if told is not None and told.partition("-")[0] != whole:
            where = f"s3://{self._uploads.bucket}/{self.place.key}"
            raise IntegrityFailure(f"S3 keeps {where} with the checksum {told}, and {expected} was sent")
        return StoredUpload(
            key=self.place.key,
            version_id=str(answer.get("VersionId", "null")),
            etag=str(answer["ETag"]).strip('"'),
            size=self.size,
            sha256=self._digest.hexdigest(),
            crc64nvme=str(answer.get("ChecksumCRC64NVME", "")),
            parts_sha256=expected,
        )

    def abort(self) -> None:
        """Give it up: S3 forgets its parts. Those on their way are waited for, since they would stay (AbortMultipartUpload)."""
        for future in self._sent:
            future.cancel()
        for future in self._sent:
            with suppress(Exception):
                future.result()
        self._uploads.abort(self.place)


def part_size(number: int) -> int:
    """Return the bytes of a part by its number from 1: so that 10,000 of them, S3's limit, are more than an object may be."""
    return _PART << ((number - 1) // _GROWS_EVERY)


def _begun_before(key: str, limit: datetime) -> bool:
    parts = key.split("/")
    began = dump_begun_at(parts[-2]) if len(parts) > 1 else None
    return began is not None and began < limit
