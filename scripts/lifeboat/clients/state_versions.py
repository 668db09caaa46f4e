"""The versions and delete markers of one state object in S3, listed to the end and read a few at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk, state_bodies
from lifeboat.clients.known_versions import KnownVersions
from lifeboat.clients.quick_objects import Listed, QuickObjects
from lifeboat.clients.sdk import translated
from lifeboat.errors import NothingFits, Unreachable, WrongConfiguration
from lifeboat.state_model import (
    KnownVersion,
    StateEntry,
    StateFacts,
    StateHistory,
    StatePlace,
    StateRoot,
    VersionId,
    origin_words,
    too_large,
)

_AT_ONCE = 16  # as many as a client has connections
_FIRST_BYTE = "bytes=0-0"
_READINGS = 3  # of a version whose transfer breaks off
# What S3 says of one version alone: its key is disabled or gone, or it lies in an archive.
_ITS_OWN_FAULT = ("KMS.", "InvalidObjectState")
_NO_VERSION = {"NoSuchVersion", "NoSuchKey", "404"}
# An id that S3 never gave; one of a delete marker, which cannot be read.
_NO_CONTENT = {*_NO_VERSION, "InvalidArgument", "MethodNotAllowed", "405"}
BY, RUN, FROM = "lifeboat-by", "lifeboat-run", "lifeboat-from"  # metadata of what lifeboat itself wrote


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How versions are read: what makes facts of a body or raises ValueError, and where this machine remembers them.

    `quick` reads them where it can.
    """

    facts: Callable[[bytes], StateFacts]
    known: KnownVersions
    quick: QuickObjects | None = None


class StateVersions:
    """One state object's history. `digest` is what Terraform keeps of it."""

    def __init__(
        self,
        *,
        s3: Any,
        place: StatePlace,
        reading: Reading,
        digest: Callable[[], str | None],
    ) -> None:
        self._s3 = s3
        self.place = place
        self._reading = reading
        self._digest = digest
        self._parsing = threading.Lock()

    # -- looking -----------------------------------------------------------------------------------------------------

    def listed(self) -> list[StateEntry]:
        """Return all entries, newest first, as a listing shows them: nothing is read of any version.

        Raises NothingFits where there is no bucket, Unreachable where it may not be listed or the listing is cut off.
        """
        with self._listing():
            found = list(self._entries())
        # In one second S3 tells versions and markers apart from each other only by which is the latest.
        return sorted(found, key=lambda entry: (entry.latest, entry.written_at, entry.marker), reverse=True)

    def _entries(self) -> Iterator[StateEntry]:
        listing = sdk.s3_pages(self._s3, "list_object_versions", bucket=self.place.bucket, prefix=self.place.key)
        for page in listing:
            for version in page.get("Versions", []):
                if version["Key"] == self.place.key:  # the prefix is also that of the lock file
                    yield _entry(version, size=int(version["Size"]))
            for marker in page.get("DeleteMarkers", []):
                if marker["Key"] == self.place.key:
                    yield replace(_entry(marker, size=None), marker=True)

    def below_top(self) -> StateEntry | None:
        """Return the version that was on top before the latest, with what it says of itself; no other one is read."""
        older = [entry for entry in self.listed() if not entry.latest and not entry.marker]
        return self._with_facts(self._reading.known.read(self.place), older[0]) if older else None

    def history(self, tell: Callable[[str], None] = lambda _: None) -> StateHistory:
        """Return all entries with what each version says of itself, and the digest; how far it is is told.

        A version that is no state, or whose key is gone, has its damage said; what may not be read raises Unreachable.
        """
        entries = self.listed()
        digest = self._kept_digest() if self.place.keeps_digest else None
        return StateHistory(
            root=self.place.root,
            bucket=self.place.bucket,
            key=self.place.key,
            region=self.place.region,
            entries=self._all_read(entries, tell),
            keeps_digest=self.place.keeps_digest,
            digest=digest,
        )

    def entries(self, tell: Callable[[str], None] = lambda _: None) -> tuple[StateEntry, ...]:
        """Return the same entries without the digest; raises as `history` does."""
        return self._all_read(self.listed(), tell)

    def _all_read(self, entries: Sequence[StateEntry], tell: Callable[[str], None]) -> tuple[StateEntry, ...]:
        known = self._reading.known.read(self.place)
        found: list[StateEntry] = []
        # A body is reduced to its facts where it is read, so that as many are in memory as connections are open.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                for entry in pool.map(partial(self._with_facts, known), entries):
                    found.append(entry)
                    tell(f"read {len(found)} of {len(entries)} versions of {self.place.url}")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self._reading.known.remember(self.place, found)
        return tuple(found)

    def _kept_digest(self) -> str | None:
        try:
            return self._digest()
        except Unreachable as error:
            copy = f"lifeboat state list{options(replace(self.place, replica=True))}"
            raise Unreachable(
                error.summary,
                hint=error.hint
                or f"where permissions refuse it: take a role that has dynamodb:GetItem on the lock table; {copy} needs none",
            ) from error

    def _with_facts(self, known: Mapping[VersionId, KnownVersion], entry: StateEntry) -> StateEntry:
        if entry.marker:
            return entry
        if damage := too_large(entry.size or 0):
            return replace(entry, damage=damage)
        # What stands on top is held against the digest, so no memory of it counts.
        remembered = None if entry.latest else known.get(entry.version_id)
        with translated(f"read version {entry.version_id} of {self.place.url}", hint=self._may("s3:GetObjectVersion")):
            try:
                if remembered is not None:
                    # That it can still be read is seen each time: its key may be gone by now, or the permission.
                    got = self._quickly(entry, only=1) or self._got(entry.version_id, Range=_FIRST_BYTE)
                    if got.etag == remembered.etag:
                        return replace(
                            entry,
                            by=got.by,
                            made_of=got.made_of,
                            md5=remembered.md5,
                            facts=remembered.facts,
                            etag=got.etag,
                        )
                got = self._quickly(entry) or self._got(entry.version_id)
            except ClientError as error:
                if sdk.code(error) in _NO_VERSION:
                    return replace(entry, damage="it went away while it was listed")
                if sdk.code(error).startswith(_ITS_OWN_FAULT):
                    return replace(entry, damage=f"S3 does not give it: {sdk.code(error)}")
                raise
        found = replace(
            entry,
            by=got.by,
            made_of=got.made_of,
            md5=hashlib.md5(got.body, usedforsecurity=False).hexdigest(),
            etag=got.etag,
        )
        try:
            with self._parsing:  # what is parsed takes ten times the memory of its text, so one at a time
                return replace(found, facts=self._reading.facts(got.body))
        except ValueError as error:
            return replace(found, damage=str(error))

    def body(self, version_id: VersionId) -> bytes:
        """Return the content of a version; raises NothingFits where there is no such version, or it is a delete marker.

        Raises IntegrityFailure where it is too large to be a state.
        """
        what = f"read version {version_id} of {self.place.url}"
        with translated(what, hint=self._may("s3:GetObjectVersion")), self._in_a_bucket():
            try:
                return self._got(version_id).body
            except ClientError as error:
                if sdk.code(error) not in _NO_CONTENT:
                    raise
                raise NothingFits(
                    f"there is no version {version_id} of {self.place.url}",
                    hint=f"lifeboat state list{options(self.place)} lists them all",
                ) from None

    def _quickly(self, entry: StateEntry, only: int | None = None) -> _Got | None:
        quick = self._reading.quick
        if quick is None or entry.size is None:
            return None
        listed = Listed(key=self.place.key, version_id=entry.version_id, size=entry.size, etag=entry.etag)
        found = quick.read(listed, only=only)
        return None if found is None else _got(found.body, found.etag, found.metadata)

    def _got(self, version_id: VersionId, **asked: str) -> _Got:
        for reading in range(_READINGS):
            try:
                answer = self._s3.get_object(
                    Bucket=self.place.bucket, Key=self.place.key, VersionId=version_id, **asked
                )
                body = state_bodies.read(answer, f"version {version_id} of {self.place.url}")
                return _got(body, answer.get("ETag"), answer.get("Metadata", {}))
            except sdk.NO_ANSWER:
                if reading == _READINGS - 1:
                    raise
        raise AssertionError("the last reading returns or raises")

    # -- what to do next -----------------------------------------------------------------------------------------------

    def _may(self, action: str) -> str:
        return f"where permissions refuse it: take a role that has {action} on {self.place.bucket}"

    @contextmanager
    def _listing(self) -> Iterator[None]:
        what = f"list the versions of {self.place.url}"
        with translated(what, hint=self._may("s3:ListBucketVersions")), self._in_a_bucket():
            yield

    @contextmanager
    def _in_a_bucket(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if sdk.code(error) != "NoSuchBucket":
                raise
            raise NothingFits(
                f"there is no state bucket {self.place.bucket} in {self.place.region}: it is gone, or nothing was ever applied."
                " The doctor looks into both regions, and says which",
                hint="lifeboat state doctor",
            ) from None


@dataclass(frozen=True, kw_only=True)
class _Got:
    """A version's content and ETag, and who wrote it and of which version it was made, as far as it says so."""

    body: bytes
    etag: str | None
    by: str | None
    made_of: VersionId | None


def _got(body: bytes, etag: str | None, metadata: Mapping[str, str]) -> _Got:
    said = {name.lower(): value for name, value in metadata.items()}  # what stands between may write headers otherwise
    return _Got(body=body, etag=etag, by=_written_by(said), made_of=VersionId(said.get(FROM, "")) or None)


def _entry(found: dict[str, Any], size: int | None) -> StateEntry:
    return StateEntry(
        version_id=VersionId(found["VersionId"]),
        written_at=found["LastModified"].astimezone(UTC),
        latest=bool(found["IsLatest"]),
        size=size,
        etag=found.get("ETag"),
    )


def _written_by(said: Mapping[str, str]) -> str | None:
    if BY not in said:
        return None
    parts = (
        said[BY],
        f"run {said[RUN]}" if RUN in said else "",
        f"of {origin_words(VersionId(said[FROM]))}" if FROM in said else "",
    )
    return ", ".join(filter(None, parts))


def options(place: StatePlace) -> str:
    """Return the options by which the commands about a state mean this one."""
    root = "" if place.root is StateRoot.STACK else f" --root {place.root.value}"
    return f"{root} --replica" if place.replica else root


def local_file(path: Path) -> bytes:
    """Return the content of a state file on this machine; raises WrongConfiguration where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongConfiguration(
            f"cannot read {path}: {error.strerror or error}", hint=f"ls -l {path.parent} shows what is there"
        ) from error
