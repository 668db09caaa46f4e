"""A run's journal: a file on this machine, line for line the same as objects in the state bucket that cannot be replaced."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import IntegrityFailure, Locked, NothingFits, Unreachable
from lifeboat.model import Event, EventKind, RunId

_PREFIX = "runs/"
_ENDED = "ended"
_IS_RUN = re.compile(r"\d{8}T\d{6}")  # other things of the environment lie below the prefix too
_NO_BUCKET = {"NoSuchBucket", "404"}
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line that does not count yet, and how many bytes the file had before it."""

    event: Event
    before: int


class Journal:
    """The journal of one run, append-only, in both places.

    Each line is an object of its own, written only if there is none yet: who goes on with a run that somebody else has
    taken over finds the line written already, and stops.
    """

    def __init__(self, *, run: RunId, path: Path, bucket: JournalBucket, now: Callable[[], datetime]) -> None:
        self._run = run
        self._path = path
        self._bucket = bucket
        self._now = now
        self._events: list[Event] = []
        self._unsure: _Line | None = None  # nobody knows whether it got to the bucket
        self._cut_off: _Line | None = None  # an interrupt came while it was written
        self._lock = threading.Lock()

    @property
    def run(self) -> RunId:
        """The run that it is the journal of."""
        return self._run

    @property
    def events(self) -> Sequence[Event]:
        """What was written, oldest first."""
        return tuple(self._events)

    def write(self, kind: EventKind, *, step: str = "", text: str = "", **data: Any) -> Event:
        """Append one line, durable in both places when this returns.

        Raises Locked when the run is somebody else's now, Unreachable when the bucket does not answer: then the line
        does not count, here either. Interrupted on its way, it is written by the next one, before that.
        """
        with self._lock:
            self._settle()
            event = Event(seq=len(self._events) + 1, at=self._now(), kind=kind, step=step, text=text, data=data)
            line = _Line(event=event, before=self._path.stat().st_size if self._path.exists() else 0)
            self._cut_off = line
            try:
                self._write(line)
            except Exception:
                self._cut_off = None
                raise
            self._events.append(event)
            self._cut_off = None
            return event

    def end(self, text: str, **data: Any) -> None:
        """Write the last line of a run that owes nothing after it, and mark it as ended; raises as `write` does."""
        self.write(EventKind.ENDED, text=text, **data)
        self.mark_ended()

    def mark_ended(self) -> None:
        """Mark the run as ended. One that writes evidence is marked after that: till then it is found among the unended."""
        self._bucket.mark_ended(self._run)

    def _write(self, line: _Line) -> None:
        _append(self._path, [line.event])
        try:
            self._bucket.put(self._run, line.event)
        except Unreachable:
            os.truncate(self._path, line.before)
            self._unsure = line
            raise

    def _settle(self) -> None:
        """Let an earlier line count that is ours: one whose answer was lost if it got to the bucket, one cut off in any case.

        That one is written once more, since what was sent of it may get there at any time, and would take the next one's place.
        """
        if self._unsure is not None:
            if self._bucket.line(self._run, self._unsure.event.seq) == self._unsure.event:
                self._count(self._unsure)
            self._unsure = None
        if self._cut_off is not None:
            if self._cut_off.event.seq > len(self._events):
                self._bucket.put(self._run, self._cut_off.event)
            self._count(self._cut_off)
            self._cut_off = None

    def _count(self, line: _Line) -> None:
        """Let a line of the bucket count here; an interrupt leaves nothing that doing it once more does not mend."""
        if line.event.seq > len(self._events):
            if self._path.exists():
                os.truncate(self._path, line.before)
            _append(self._path, [line.event])
            self._events.append(line.event)

    def open(self) -> None:
        """Read what earlier attempts wrote, wherever they ran; what only this machine knows is given to the bucket.

        Raises NothingFits when there is no such run. Where both have a line and disagree, the bucket's counts: a line
        that did not get there was not acted upon.
        """
        here, there = _read(self._path), self._bucket.events(self._run)
        if not here and not there:
            raise NothingFits(f"there is no run {self._run}", hint="lifeboat runs lists them")
        if here[: len(there)] != there:
            if self._path.exists():
                self._path.rename(self._path.with_name(f"{self._path.name}.forked-{self._now():%Y%m%dT%H%M%S}"))
            here = []
        if len(here) < len(there):
            _append(self._path, there[len(here) :])
        for event in here[len(there) :]:
            self._bucket.put(self._run, event)
        self._events = list(there) + here[len(there) :]


class JournalBucket:
    """The journals of all runs of one environment, in its state bucket."""

    def __init__(self, *, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._name = bucket

    def put(self, run: RunId, event: Event) -> None:
        """Write one line unless it is there; raises Locked when another one is."""
        key, body = _key(run, event.seq), json.dumps(document(event)).encode()
        with translated(f"write the journal s3://{self._name}/{key}"):
            try:
                self._s3.put_object(
                    Bucket=self._name, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
            except ClientError as error:
                if sdk.code(error) not in _TAKEN:
                    raise
                found = self._s3.get_object(Bucket=self._name, Key=key)["Body"].read()
                # The same line: the answer to an earlier try was lost.
                if found != body:
                    raise Locked(
                        f"somebody else goes on with the run {run} (line {event.seq} of its journal is theirs)",
                        hint=f"lifeboat logs {run} shows what they do",
                    ) from error

    def line(self, run: RunId, seq: int) -> Event | None:
        """Return one line; None where there is none yet."""
        with translated(f"read the journal of {run} in {self._name}"):
            answer = sdk.unless_absent(
                ("NoSuchKey", "404"), lambda: self._s3.get_object(Bucket=self._name, Key=_key(run, seq))
            )
            return None if answer is None else parsed(json.loads(answer["Body"].read()))

    def first_written(self, run: RunId) -> tuple[datetime, datetime] | None:
        """Return when the first line of a run was written, as it says itself and by S3's clock, to the second; None without one."""
        prefix = f"{_PREFIX}{run}/"
        with translated(f"look for the journal s3://{self._name}/{prefix}"):
            # Of a key that is not there S3 says 403 to who may list with a prefix only: so it is looked for by listing.
            listed = sdk.unless_absent(
                ("NoSuchBucket",),
                lambda: list(sdk.s3_items(self._s3, "list_objects_v2", "Contents", bucket=self._name, prefix=prefix)),
            )
        written = [entry["LastModified"] for entry in listed or () if entry["Key"] == _key(run, 1)]
        line = self.line(run, 1) if written else None
        return None if line is None else (line.at, written[0].astimezone(UTC))

    def events(self, run: RunId) -> list[Event]:
        """Return the lines of a run, oldest first; raises IntegrityFailure when one is missing or damaged."""
        with translated(f"read the journal of {run} in {self._name}"):
            prefix = f"{_PREFIX}{run}/"
            listed = sdk.s3_items(self._s3, "list_objects_v2", "Contents", bucket=self._name, prefix=prefix)
            keys = sorted(entry["Key"] for entry in listed if entry["Key"].endswith(".json"))
            bodies = [self._s3.get_object(Bucket=self._name, Key=key)["Body"].read() for key in keys]
        found: list[Event] = []
        for key, body in zip(keys, bodies, strict=True):
            try:
                found.append(parsed(json.loads(body)))
            except (ValueError, KeyError, TypeError) as error:
                said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
                raise self._unreadable(run, f"is damaged, or of a newer lifeboat: {key}: {said}") from error
        if [event.seq for event in found] != list(range(1, len(found) + 1)):
            raise self._unreadable(run, "lacks lines")
        return found

    def _unreadable(self, run: RunId, why: str) -> IntegrityFailure:
        return IntegrityFailure(
            f"the journal of {run} in {self._name} {why}",
            hint="read it with the newest lifeboat; else, when nobody is at it and you have seen to what it did:"
            f" lifeboat abort {run} --unreadable sets it aside",
        )

    def runs(self) -> list[RunId]:
        """Return the runs that have a journal, oldest first."""
        with self._listing():
            found = [entry["Prefix"] for entry in self._listed("CommonPrefixes", Delimiter="/")]
        names = (prefix.removeprefix(_PREFIX).rstrip("/") for prefix in found)
        return sorted(RunId(name) for name in names if _IS_RUN.match(name))

    def unended(self) -> list[RunId]:
        """Return the runs whose end is not marked, oldest first; their journals tell whether they ended all the same."""
        with self._listing():
            keys = [entry["Key"] for entry in self._listed("Contents")]
        parts = [key.removeprefix(_PREFIX).partition("/") for key in keys]
        ended = {run for run, _, name in parts if name == _ENDED}
        return sorted({RunId(run) for run, _, _ in parts if _IS_RUN.match(run) and run not in ended})

    def mark_ended(self, run: RunId, **facts: str) -> None:
        """Mark a run as ended, so that nobody has to read its journal to know; facts say what the journal cannot."""
        with translated(f"mark the end of {run} in {self._name}"):
            self._s3.put_object(Bucket=self._name, Key=f"{_PREFIX}{run}/{_ENDED}", Body=json.dumps(facts).encode())

    @contextmanager
    def _listing(self) -> Iterator[None]:
        with translated(f"list the runs in {self._name}"):
            try:
                yield
            except ClientError as error:
                if sdk.code(error) not in _NO_BUCKET:
                    raise
                raise NothingFits(
                    f"there is no state bucket {self._name}, so no run was ever written down",
                    hint="lifeboat apply makes it",
                ) from None

    def _listed(self, kind: str, **asked: str) -> Iterator[Any]:
        return sdk.s3_items(self._s3, "list_objects_v2", kind, bucket=self._name, prefix=_PREFIX, **asked)


def document(event: Event) -> dict[str, Any]:
    """Return a line as it is written; times are RFC 3339 in UTC."""
    return {
        "seq": event.seq,
        "at": event.at.astimezone(UTC).isoformat(),
        "kind": event.kind.value,
        "step": event.step,
        "text": event.text,
        "data": dict(event.data),
    }


def parsed(found: dict[str, Any]) -> Event:
    """Return the line that `document` made this of; raises ValueError, KeyError or TypeError when it did not."""
    return Event(
        seq=int(found["seq"]),
        at=datetime.fromisoformat(found["at"]),
        kind=EventKind(found["kind"]),
        step=str(found["step"]),
        text=str(found["text"]),
        data=dict(found["data"]),
    )


def _key(run: RunId, seq: int) -> str:
    return f"{_PREFIX}{run}/{seq:06}.json"


def _append(path: Path, events: Iterable[Event]) -> None:
    """Add lines to a file, durable when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as file:
        for event in events:
            file.write(json.dumps(document(event)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> list[Event]:
    """Return the whole lines of a file, as far as they follow each other; one that a kill cut off was never acted upon."""
    found: list[Event] = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                event = parsed(json.loads(line))
            except (ValueError, KeyError, TypeError):
                break
            if event.seq != len(found) + 1:
                break
            found.append(event)
    return found
