"""Which state of each root was found sound last, written down in the other region, where nothing of the state reaches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import Unreachable
from lifeboat.model import StateMark
from lifeboat.state_model import KnownState, StateRoot

PREFIX = "known-states/"
_NO_BUCKET = {"NoSuchBucket", "404"}
_GONE = {"NoSuchKey", "404"}
# What S3 answers where the condition does not hold, and where it cannot tell because somebody else writes just now.
_NOT_AS_SEEN = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What is written down, and the ETag that a write over it is conditional on; `state` is None where it is `damaged`."""

    etag: str
    state: KnownState | None
    damaged: str = ""


class StateMemory:
    """One environment's memory, an object for each root in the bucket of the other region; no version of it ever goes."""

    def __init__(self, *, s3: Any, bucket: str, env: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._env = env

    def place(self, root: StateRoot) -> str:
        """Return where it is written down, as people write it."""
        return f"s3://{self._bucket}/{self._key(root)}"

    def _key(self, root: StateRoot) -> str:
        return f"{PREFIX}{self._env}/{root.value}.json"

    def read(self, root: StateRoot) -> Written | None:
        """Return what is written down of a root's state; None where surely nothing is, or where there is no bucket.

        Raises Unreachable where that cannot be known.
        """
        what, key = f"read what is known of the state, {self.place(root)}", self._key(root)
        with translated(what, hint=f"where permissions refuse it: take a role that may read {self.place(root)}"):
            # Of a key that is not there S3 says 403 to who may list with a prefix only: so it is looked for by listing.
            listed = sdk.unless_absent(
                _NO_BUCKET, lambda: self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
            )
            if listed is None:
                return None
            if "KeyCount" not in listed:  # botocore takes an answer that is cut off for an empty one
                raise Unreachable(f"cannot {what}: the answer is cut off")
            if key not in (entry["Key"] for entry in listed.get("Contents", [])):
                return None
            answer = sdk.unless_absent(_GONE, lambda: self._s3.get_object(Bucket=self._bucket, Key=key))
            return None if answer is None else _written(answer["ETag"], answer["Body"].read())

    def write(self, root: StateRoot, state: KnownState, over: Written | None) -> bool:
        """Write a state down in place of what was read (None: nothing); return False where somebody else wrote since.

        Raises Unreachable where nobody knows whether it was written.
        """
        condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over.etag}
        body = json.dumps(_document(state), indent=2).encode()
        with translated(f"write down what is known of the state, {self.place(root)}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=self._key(root),
                    Body=body,
                    ContentType="application/json",
                    **condition,
                )
            except ClientError as error:
                if sdk.code(error) not in _NOT_AS_SEEN:
                    raise
                return False
        return True


def _document(state: KnownState) -> dict[str, Any]:
    return {
        "lineage": state.mark.lineage,
        "serial": state.mark.serial,
        "md5": state.mark.md5,
        "written_at": state.at.astimezone(UTC).isoformat(timespec="seconds"),
        "by": state.by,
        "run": state.run,
        "account": state.account,
    }


def _written(etag: str, body: bytes) -> Written:
    try:
        found = json.loads(body)
        mark = StateMark(serial=int(found["serial"]), lineage=str(found["lineage"]), md5=str(found["md5"]))
        at = datetime.fromisoformat(found["written_at"]).astimezone(UTC)
        state = KnownState(mark=mark, at=at, by=str(found["by"]), run=str(found["run"]), account=str(found["account"]))
    except (ValueError, KeyError, TypeError) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        return Written(etag=etag, state=None, damaged=said)
    return Written(etag=etag, state=state)
