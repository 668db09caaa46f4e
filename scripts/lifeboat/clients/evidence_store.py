"""The evidence of runs: a chain of objects in the dump bucket, its digests in the other region, none ever written over."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import LifeboatError, Locked, NothingFits, Unreachable
from lifeboat.evidence_model import NOTHING_BEFORE, Bundle, Chain, Head, Link, Stored

# S3 answers the second of two writers at the same moment with 409, and one after it with 412.
_EXISTS = {"PreconditionFailed", "ConditionalRequestConflict"}
_NO_BUCKET = {"NoSuchBucket", "404"}
_ATTEMPTS = 20  # each lost to another writer, whose bundle has then its place
_SIDE_BY_SIDE = 8
_NUMBER = re.compile(r"(\d{6,})\.json")


@dataclass(frozen=True, kw_only=True)
class EvidencePlace:
    """Whose evidence it is, the bucket that it lies in and the one in the other region that knows its digests."""

    name: str
    bucket: str
    head_bucket: str

    @property
    def prefix(self) -> str:
        """What the keys of all bundles begin with."""
        return f"evidence/{self.name}/"

    @property
    def head_prefix(self) -> str:
        """What the keys of all heads begin with."""
        return f"{self.name}/evidence/head-"

    def key(self, number: int) -> str:
        """Return the key of a bundle."""
        return f"{self.prefix}{number:06}.json"

    def head_key(self, number: int) -> str:
        """Return the key of what the other region knows of it."""
        return f"{self.head_prefix}{number:06}.json"


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    """Which numbers are there, and which were: of these a version is kept, or the mark of its deletion."""

    there: frozenset[int]
    gone: frozenset[int]

    @property
    def ever(self) -> frozenset[int]:
        """All that were used."""
        return self.there | self.gone


_NONE = _Numbers(there=frozenset(), gone=frozenset())


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How a bundle becomes bytes, and bytes what is stored: `read` never raises, it says how they are damaged."""

    written: Callable[[int, str, Bundle], bytes]
    read: Callable[[int, bytes], Stored]


class EvidenceStore:
    """The evidence of one application in one environment."""

    def __init__(self, *, s3: Any, head_s3: Any, place: EvidencePlace, writing: Writing) -> None:
        self._s3 = s3
        self._head_s3 = head_s3
        self.place = place
        self._writing = writing

    # -- writing -------------------------------------------------------------------------------------------------------

    def append(self, bundle: Bundle) -> Link:
        """Write a bundle as the next link, and its digest into the other region; return its place.

        Nothing is written over: who loses the number to another writer takes the next one. Raises Unreachable where the
        bucket does not take it. That the other region does not is told in the link (`unsealed`).
        """
        sealed, unseen = self._sealed_numbers()
        for _ in range(_ATTEMPTS):
            numbers = self._numbers()
            number = max(numbers.ever | sealed.ever, default=0) + 1
            before = self._before(number - 1, numbers.there, sealed.there)
            body = self._writing.written(number, before, bundle)
            if self._put(number, body):
                digest = hashlib.sha256(body).hexdigest()
                why = "" if unseen else self._seal_before(number - 1, numbers.there, sealed.ever)
                why = self._seal(Head(number=number, sha256=digest, run=bundle.run)) or why
                return Link(number=number, previous=before, sha256=digest, unsealed=why)
        raise Locked(
            f"others wrote evidence {_ATTEMPTS} times while the evidence of {bundle.run} was to be written",
            hint="lifeboat report --all lists what is there",
        )

    def _put(self, number: int, body: bytes) -> bool:
        """Write a link unless there is one of that number; return whether it is ours."""
        key = self.place.key(number)
        with translated(f"write the evidence s3://{self.place.bucket}/{key}"):
            return _put_new(self._s3, self.place.bucket, key, body)

    def _before(self, number: int, numbers: Collection[int], sealed: Collection[int]) -> str:
        """Return the digest that the next link names: what the other region knows counts, whatever lies here by now."""
        if number in sealed:
            try:
                head = self._head(number)
            except Unreachable:
                head = Head(number=number, sha256="", run="", damaged="not read")
            if not head.damaged:
                return head.sha256
        return hashlib.sha256(self.body(number)).hexdigest() if number in numbers else NOTHING_BEFORE

    def _seal_before(self, number: int, numbers: Collection[int], sealed: Collection[int]) -> str:
        """Tell the other region of the last link where whoever wrote that could not; return why that failed."""
        if number in sealed or number not in numbers:
            return ""
        found = self._stored(number)
        return self._seal(Head(number=number, sha256=found.sha256, run=found.run))

    def _seal(self, head: Head) -> str:
        """Write what the other region shall know; return why it does not know it, or ""."""
        key = self.place.head_key(head.number)
        body = json.dumps({"number": head.number, "sha256": head.sha256, "run": head.run}).encode()
        try:
            with translated(f"write s3://{self.place.head_bucket}/{key}"):
                ours = _put_new(self._head_s3, self.place.head_bucket, key, body)
        except Unreachable as error:
            return error.summary
        return "" if ours else f"s3://{self.place.head_bucket}/{key} says something else of it"

    def _sealed_numbers(self) -> tuple[_Numbers, str]:
        """Return which links the other region knows of, and why that could not be seen."""
        try:
            return self._listed(self._head_s3, self.place.head_bucket, self.place.head_prefix), ""
        except LifeboatError as error:
            return _NONE, error.summary

    # -- reading -------------------------------------------------------------------------------------------------------

    def chain(self) -> Chain:
        """Return every link, what the other region knows of each, and what could not be looked at.

        Of the bundles the journals are left out: those of years are more than fits into memory. Raises Unreachable where the
        bundles themselves cannot be read, NothingFits where there is no such bucket.
        """
        found = self._numbers()
        numbers = sorted(found.there)
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            stored = dict(zip(numbers, pool.map(self._without_journal, numbers), strict=True))
        sealed, unseen = self._sealed_numbers()
        heads, unread = self._known_heads(sorted(sealed.there))
        return Chain(
            stored=stored,
            heads=heads,
            unseen=tuple(filter(None, [unseen, unread])),
            gone=found.gone,
            heads_gone=sealed.gone,
        )

    def bundles(self, newest: int | None = None) -> list[Stored]:
        """Return the newest bundles, newest first; damaged ones too. None: all."""
        return list(islice(self.newest_first(), newest))

    def newest_first(self) -> Iterator[Stored]:
        """Yield every bundle, newest first, damaged ones too; read as far as somebody looks."""
        numbers = sorted(self._numbers().there, reverse=True)
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            for first in range(0, len(numbers), _SIDE_BY_SIDE):
                yield from pool.map(self._stored, numbers[first : first + _SIDE_BY_SIDE])

    def link(self, number: int) -> Chain:
        """Return one link, the one after it, and what the other region knows of both: enough to judge it alone."""
        sealed, unseen = self._sealed_numbers()
        numbers = sorted(self._numbers().there & {number, number + 1})
        stored = {one: self._stored(one) for one in numbers}
        try:
            heads = {one: self._head(one) for one in numbers if one in sealed.there}
        except LifeboatError as error:
            return Chain(stored=stored, heads={}, unseen=(error.summary,))
        return Chain(stored=stored, heads=heads, unseen=(unseen,) if unseen else (), heads_gone=sealed.gone)

    def gone(self, above: int) -> dict[int, str]:
        """Return the numbers above one of bundles that were there and are not, each with the run that it was of.

        That is what the other region knows; "" where it does not, or may not be asked.
        """
        own, (sealed, _) = self._numbers(), self._sealed_numbers()
        numbers = sorted(one for one in (own.gone | sealed.ever) - own.there if one > above)
        heads, _ = self._known_heads([one for one in numbers if one in sealed.there])
        return {one: heads[one].run if one in heads else "" for one in numbers}

    def body(self, number: int) -> bytes:
        """Return the stored bytes of a bundle."""
        key = self.place.key(number)
        with translated(f"read the evidence s3://{self.place.bucket}/{key}"):
            return bytes(self._s3.get_object(Bucket=self.place.bucket, Key=key)["Body"].read())

    def _numbers(self) -> _Numbers:
        return self._listed(self._s3, self.place.bucket, self.place.prefix)

    def _without_journal(self, number: int) -> Stored:
        return without_journal(self._stored(number))

    def _stored(self, number: int) -> Stored:
        return self._writing.read(number, self.body(number))

    def _known_heads(self, numbers: list[int]) -> tuple[dict[int, Head], str]:
        """Return what the other region knows of these links, and why that could not be seen."""
        try:
            with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
                return dict(zip(numbers, pool.map(self._head, numbers), strict=True)), ""
        except LifeboatError as error:
            return {}, error.summary

    def _head(self, number: int) -> Head:
        key = self.place.head_key(number)
        with translated(f"read s3://{self.place.head_bucket}/{key}"):
            body = self._head_s3.get_object(Bucket=self.place.head_bucket, Key=key)["Body"].read()
        try:
            found = json.loads(body)
            head = Head(number=int(found["number"]), sha256=str(found["sha256"]), run=str(found["run"]))
        except (ValueError, KeyError, TypeError) as error:
            said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            return Head(number=number, sha256="", run="", damaged=said)
        if head.number != number:
            return Head(number=number, sha256="", run="", damaged=f"it is of number {head.number}")
        return head

    def _listed(self, s3: Any, bucket: str, prefix: str) -> _Numbers:
        """Return the numbers below a prefix, by all versions: a listing of objects says nothing of one that was deleted.

        One that is cut off is none: a chain that looks shorter than it is would look whole.
        """
        there, ever = set[str](), set[str]()
        url = f"s3://{bucket}/{prefix}"
        with translated(f"list the versions in {url}"):
            try:
                for page in sdk.s3_pages(s3, "list_object_versions", bucket=bucket, prefix=prefix):
                    versions = page.get("Versions", [])
                    ever.update(str(one["Key"]) for one in [*versions, *page.get("DeleteMarkers", [])])
                    there.update(str(one["Key"]) for one in versions if one["IsLatest"])
            except ClientError as error:
                if sdk.code(error) not in _NO_BUCKET:
                    raise
                raise NothingFits(
                    f"there is no bucket {bucket}, so no evidence was ever written", hint="lifeboat apply makes it"
                ) from None
        return _Numbers(there=_numbered(there, prefix), gone=_numbered(ever - there, prefix))


def _numbered(keys: Iterable[str], prefix: str) -> frozenset[int]:
    found = (_NUMBER.fullmatch(key.removeprefix(prefix)) for key in keys)
    return frozenset(int(one[1]) for one in found if one is not None)


def without_journal(found: Stored) -> Stored:
    """Return what is stored without the lines of the run's journal."""
    return found if found.bundle is None else replace(found, bundle=replace(found.bundle, events=()))


def _put_new(s3: Any, bucket: str, key: str, body: bytes) -> bool:
    """Write an object unless there is one; return whether what is there is this, also where an earlier answer was lost."""
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType="application/json",
            ChecksumAlgorithm="SHA256",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if sdk.code(error) not in _EXISTS:
            raise
        found = sdk.unless_absent(("NoSuchKey", "404"), lambda: s3.get_object(Bucket=bucket, Key=key))
        return found is not None and bool(found["Body"].read() == body)
    return True
