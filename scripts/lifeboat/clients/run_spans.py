"""From when to when recorded runs worked: by the journals in the state bucket, and by what runs wrote down on this machine."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.model import RunId
from lifeboat.state_model import RunSpan

_PREFIX = "runs/"
_LINE = re.compile(r"runs/(\d{8}T\d{6}[^/]*)/(\d{6}\.json|ended)")
_FIRST = "000001.json"
UNKNOWN = "somebody"


@dataclass
class _Span:
    begun: datetime
    last: datetime
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class RunSpans:
    """The runs of one environment, as far as a state bucket and the folder of this machine know them."""

    s3: Any = field(repr=False)
    bucket: str
    work: Path

    def all(self) -> list[RunSpan]:
        """Return every run that either knows; of what both know, what this machine wrote down.

        Raises Unreachable where the bucket may not be listed: some runs are not known then.
        """
        found = {span.run: span for span in self._of_journals()}
        return list({**found, **{span.run: span for span in self.of_this_machine()}}.values())

    def of_this_machine(self) -> list[RunSpan]:
        """Return the runs that this machine still has a folder of."""
        found = []
        for path in sorted((self.work / "runs").glob("*/run.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):  # one that is damaged names nobody
                found.append(_of_this_machine(json.loads(path.read_text())))
        return found

    def _of_journals(self) -> list[RunSpan]:
        """Return the runs with a journal by when its lines were written: none of them has to be read for that."""
        spans: dict[str, _Span] = {}
        hint = f"where permissions refuse it: take a role that has s3:ListBucket on {self.bucket}"
        with translated(f"list the runs in {self.bucket}", hint=hint):
            for entry in sdk.s3_items(self.s3, "list_objects_v2", "Contents", bucket=self.bucket, prefix=_PREFIX):
                line = _LINE.fullmatch(entry["Key"])
                if line is not None:
                    at = entry["LastModified"].astimezone(UTC)
                    span = spans.setdefault(line[1], _Span(begun=at, last=at))
                    span.begun, span.last = min(span.begun, at), max(span.last, at)
                    span.ended = span.ended or line[2] == "ended"
        return [
            RunSpan(run=RunId(run), begun=span.begun, last=span.last, ended=span.last if span.ended else None, by=None)
            for run, span in spans.items()
        ]

    def who(self, run: RunId) -> str:
        """Return who began a run, as the first line of its journal says; raises Unreachable where it may not be read."""
        with translated(f"read the journal of {run} in {self.bucket}"):
            try:
                answer = self.s3.get_object(Bucket=self.bucket, Key=f"{_PREFIX}{run}/{_FIRST}")
                data = json.loads(answer["Body"].read())["data"]
                return f"{data['user']}@{data['host']}"
            except (ValueError, KeyError, TypeError):
                return UNKNOWN
            except ClientError as error:
                if sdk.code(error) != "NoSuchKey":
                    raise
                return UNKNOWN


def _of_this_machine(facts: dict[str, Any]) -> RunSpan:
    begun = datetime.fromisoformat(facts["since"])
    ended = datetime.fromisoformat(facts["ended"]) if "ended" in facts else None
    starts = [datetime.fromtimestamp(entry["at"], UTC) for entry in facts.get("terraform", [])]
    return RunSpan(
        run=RunId(facts["run"]),
        begun=begun,
        last=ended or max([begun, *starts]),
        ended=ended,
        by=f"{facts['user']}@{facts['host']}",
    )
