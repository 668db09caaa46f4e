"""What the last plan or apply found of the stack, written down in the state bucket for whoever asks next."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import IntegrityFailure
from lifeboat.status_model import PlanRecord

_KEY = "runs/last-plan.json"  # below runs/, where every role that may plan may write


class PlanRecords:
    """The record of one environment; the newest counts."""

    def __init__(self, *, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def newest(self) -> PlanRecord | None:
        """Return the record; None where there is none. Raises IntegrityFailure where it is not what we write."""
        with translated(f"read s3://{self._bucket}/{_KEY}"):
            answer = sdk.unless_absent(
                ("NoSuchKey", "404"), partial(self._s3.get_object, Bucket=self._bucket, Key=_KEY)
            )
            body = None if answer is None else answer["Body"].read()
        if body is None:
            return None
        try:
            found = json.loads(body)
            return PlanRecord(
                at=datetime.fromisoformat(found["at"]).astimezone(UTC),
                by=str(found["by"]),
                changes=int(found["changes"]),
                summary=str(found["summary"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityFailure(f"s3://{self._bucket}/{_KEY} is not what this lifeboat writes: {error}") from error

    def write(self, record: PlanRecord) -> None:
        """Write the record in place of the one before; where there is no bucket yet there is nothing to drift from."""
        body = {
            "at": record.at.isoformat(),
            "by": record.by,
            "changes": record.changes,
            "summary": record.summary,
        }
        with translated(f"write down what the {record.by} found in s3://{self._bucket}/{_KEY}"):
            sdk.unless_absent(
                ("NoSuchBucket",),
                lambda: self._s3.put_object(
                    Bucket=self._bucket, Key=_KEY, Body=json.dumps(body).encode(), ContentType="application/json"
                ),
            )
