"""One state object written over, and only while what stands on top is still what was looked at."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk, state_bodies
from lifeboat.clients.sdk import translated
from lifeboat.errors import Refused, TooLarge
from lifeboat.state_model import StateOrigin, StateTop, VersionId

_NOTHING = {"NoSuchKey", "404"}
# What S3 answers where the condition does not hold, where it cannot tell because somebody else writes, and where an
# If-Match finds no object any more (PutObject, "Conditional writes").
_NOT_AS_SEEN = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "404", "412"}


class StateWriting:
    """The top of one state object. Nothing here removes anything: a write puts one more version on top."""

    def __init__(self, *, s3: Any, bucket: str, key: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = key

    @property
    def place(self) -> str:
        """Where the object is."""
        return f"s3://{self._bucket}/{self._key}"

    def top(self) -> StateTop | None:
        """Return what stands on top; None where a delete marker does, or nothing. Raises Unreachable without a bucket.

        What is too large to be a state is not read: it is told as empty, which is none either.
        """
        with translated(f"read the state {self.place}"):
            answer = sdk.unless_absent(_NOTHING, lambda: self._s3.get_object(Bucket=self._bucket, Key=self._key))
            if answer is None:
                return None
            # A bucket without versioning answers without a version.
            version = VersionId(str(answer.get("VersionId", "null")))
            try:
                body = state_bodies.read(answer, self.place)
            except TooLarge:
                body = b""
            return StateTop(version_id=version, etag=str(answer["ETag"]), body=body)

    def write(self, body: bytes, over: StateTop | None, origin: StateOrigin) -> None:
        """Put a version on top of what was looked at, encrypted as the bucket says.

        Raises Refused, with nothing written, where somebody else wrote or deleted since. A write whose answer was lost is
        told by its run from somebody else's.
        """
        condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over.etag}
        with translated(f"write the state {self.place}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=self._key,
                    Body=body,
                    ContentType="application/json",
                    Metadata=_metadata(origin),
                    **condition,
                )
            except ClientError as error:
                if sdk.code(error) not in _NOT_AS_SEEN:
                    raise
                if self._is_written(body, origin):
                    return
                raise Refused(
                    f"somebody has written or deleted the state {self.place} since it was looked at; it was not written",
                    hint="lifeboat state list shows what stands there now; then run the same command again",
                ) from error

    def _is_written(self, body: bytes, origin: StateOrigin) -> bool:
        answer = sdk.unless_absent(_NOTHING, lambda: self._s3.get_object(Bucket=self._bucket, Key=self._key))
        if answer is None or answer.get("Metadata") != _metadata(origin):
            return False
        return bool(answer["Body"].read() == body)


def _metadata(origin: StateOrigin) -> dict[str, str]:
    # S3 takes ASCII alone, and user names need not be.
    facts = {"lifeboat-by": origin.by, "lifeboat-run": origin.run, "lifeboat-from": origin.made_of}
    return {name: value.encode("ascii", "replace").decode() for name, value in facts.items()}
