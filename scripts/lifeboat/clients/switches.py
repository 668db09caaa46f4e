"""Records as they were before lifeboat changed them: in this environment's folder, and in the state bucket."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import Failed, IntegrityFailure
from lifeboat.model import NameRecord, Switch, ZoneId

PREFIX = "runs/dns/"


class Switches:
    """The switches of one environment, append-only in both places; what is in either counts."""

    def __init__(self, *, folder: Path, s3: Any, bucket: str) -> None:
        self.path = folder / "switches.jsonl"
        self._s3 = s3
        self._bucket = bucket

    def save(self, switch: Switch) -> None:
        """Keep a switch that is about to be made; returns once it is on this machine's disk and in the bucket."""
        document = _written(switch)
        self._append(json.dumps(document))
        key = f"{PREFIX}{switch.at:%Y%m%dT%H%M%S.%f}Z.json"
        where, body = f"s3://{self._bucket}/{key}", json.dumps(document, indent=2).encode()
        with translated(f"save the record to {where}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
            except ClientError as error:
                if error.response["Error"].get("Code") != "PreconditionFailed":
                    raise
                # Ours, sent again after its answer got lost, or somebody else's.
                if self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read() != body:
                    raise Failed(f"{where} holds another switch of the same moment", hint="run it again") from error

    def newest(self, name: str) -> Switch | None:
        """Return the last switch of a name that was no revert; None when there never was one."""
        found = [switch for switch in (self._newest_here(name), self._newest_in_bucket(name)) if switch is not None]
        return max(found, key=lambda switch: switch.at, default=None)

    # -- here ------------------------------------------------------------------------------------------------------------

    def _append(self, line: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab+") as file:
            # A line that a crash cut off stays as it is, and alone.
            if file.seek(0, os.SEEK_END) and os.pread(descriptor, 1, file.tell() - 1) != b"\n":
                file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(descriptor)

    def _newest_here(self, name: str) -> Switch | None:
        if not self.path.exists():
            return None
        lines = self.path.read_bytes().splitlines()
        for line in reversed(lines):
            try:
                switch = _read(json.loads(line), str(self.path))
            except ValueError:
                continue  # cut off: the change that it was written for was never sent
            if _counts(switch, name):
                return switch
        return None

    # -- in the bucket ---------------------------------------------------------------------------------------------------

    def _newest_in_bucket(self, name: str) -> Switch | None:
        for key in sorted(self._keys(), reverse=True):
            where = f"s3://{self._bucket}/{key}"
            with translated(f"read {where}"):
                body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            try:
                switch = _read(json.loads(body), where)
            except ValueError as error:
                raise IntegrityFailure(f"{where} is not JSON") from error
            if _counts(switch, name):
                return switch
        return None

    def _keys(self) -> Iterator[str]:
        with translated(f"list s3://{self._bucket}/{PREFIX}"):
            for entry in sdk.s3_items(self._s3, "list_objects_v2", "Contents", bucket=self._bucket, prefix=PREFIX):
                yield entry["Key"]


def _counts(switch: Switch, name: str) -> bool:
    one = switch.after or switch.before
    return switch.why == "switch" and one is not None and one.name == name


def _written(switch: Switch) -> dict[str, Any]:
    return {
        "at": switch.at.isoformat(),
        "who": switch.who,
        "why": switch.why,
        "before": _record_document(switch.before),
        "after": _record_document(switch.after),
    }


def _record_document(record: NameRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "zone": record.zone,
        "name": record.name,
        "type": record.kind,
        "ttl_seconds": int(record.ttl.total_seconds()),
        "values": list(record.values),
    }


def _read(document: Any, where: str) -> Switch:
    try:
        return Switch(
            at=datetime.fromisoformat(document["at"]),
            who=document["who"],
            why=document["why"],
            before=_record(document["before"]),
            after=_record(document["after"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityFailure(f"{where} is not a switch that this lifeboat wrote: {error!r}") from error


def _record(document: dict[str, Any] | None) -> NameRecord | None:
    if document is None:
        return None
    return NameRecord(
        zone=ZoneId(document["zone"]),
        name=document["name"],
        kind=document["type"],
        ttl=timedelta(seconds=document["ttl_seconds"]),
        values=tuple(document["values"]),
    )
