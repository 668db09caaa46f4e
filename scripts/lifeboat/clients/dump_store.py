"""The dumps of one environment in one bucket: listed, read by version, proofs and marks put beside them."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from lifeboat.clients import run_files, sdk
from lifeboat.clients.quick_objects import Listed, QuickObjects
from lifeboat.clients.sdk import translated
from lifeboat.database_model import (
    MANIFEST_FILE,
    DumpEntry,
    DumpId,
    Manifest,
    Proof,
    StoredFile,
    Verdict,
    dump_begun_at,
)
from lifeboat.errors import CleanUpIncomplete, IntegrityFailure, NewerFormat, NothingFits, Refused, Unreachable

KEPT = "kept.json"
_VERSIONS = ("list_object_versions", "Versions")
# When it was made, its level and verdict, what it is of (_identity), what it is short of or was found by, the recovery that
# it comes from.
_PROOF = re.compile(
    r"proofs/\d{8}T\d{6}Z-([1-4])-(passed|failed)-([0-9a-f]{16})(-rows|-listing|-part)?(?:-run-([\w.-]+))?\.json"
)
# S3 answers the second of two writers at the same moment with 409, and one after it with 412.
_EXISTS = {"PreconditionFailed", "ConditionalRequestConflict"}
# What a bucket's policy, and its lock, answer to who would delete a version.
_LOCKED = {"AccessDenied", "InvalidRequest", "ObjectLocked"}
_CHUNK = 1024 * 1024
_AT_THE_SAME_TIME = 20  # looks at one dump
_READINGS = 5  # of an object whose transfer breaks off: gone on with where it broke


@dataclass(frozen=True, kw_only=True)
class OtherBucket:
    """The bucket of the other region, with the same dumps: S3 copies what comes into one of them, proofs too."""

    bucket: str
    region: str


@dataclass(frozen=True, kw_only=True)
class DumpPlace:
    """The bucket and region that dumps lie in, whose they are, and the prefix of all of them, with its last slash."""

    bucket: str
    region: str
    prefix: str
    application: str
    environment: str
    other: OtherBucket | None = None


@dataclass(frozen=True, kw_only=True)
class ManifestForm:
    """What turns bytes into a manifest (or raises ValueError, NewerFormat) and back."""

    read: Callable[[bytes], Manifest]
    written: Callable[[Manifest], bytes]


class DumpStore:
    """One environment's dumps in one bucket.

    `quick` reads and writes what of each dump is small, where it can: the manifest, a proof.
    """

    def __init__(
        self,
        *,
        s3: Any,
        place: DumpPlace,
        form: ManifestForm,
        quick: QuickObjects | None = None,
    ) -> None:
        self._s3 = s3
        self.place = place
        self._form = form
        self._quick = quick

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.place.bucket

    @property
    def prefix(self) -> str:
        """What the keys of all dumps of the environment begin with."""
        return f"{self.place.prefix}{self.place.environment}/"

    def folder(self, database: str, dump: DumpId) -> str:
        """Return what the keys of a dump begin with; a database's name may have any sign in it."""
        return f"{self.prefix}{quote(database, safe='')}/{dump}/"

    # -- looking -----------------------------------------------------------------------------------------------------

    def entries(self, database: str | None = None) -> list[DumpEntry]:
        """Return the folders of dumps, of all databases or one, oldest first; of each file what a listing tells.

        A file whose newest version is a delete marker is not there. What is no dump's is passed over.
        """
        return self._listed(self.prefix if database is None else f"{self.prefix}{quote(database, safe='')}/")

    def again(self, entry: DumpEntry) -> DumpEntry:
        """Return a dump's folder as a listing of it alone shows it now; without files where nothing is left of it."""
        return next(iter(self._listed(entry.prefix)), replace(entry, files={}, proofs=(), kept=False))

    def _listed(self, prefix: str) -> list[DumpEntry]:
        found: dict[str, dict[str, StoredFile]] = {}
        older: dict[str, list[StoredFile]] = {}
        with translated(f"list s3://{self.bucket}/{prefix}", hint="lifeboat apply, where nothing was applied yet"):
            for version in sdk.s3_items(self._s3, *_VERSIONS, bucket=self.bucket, prefix=prefix):
                parts = str(version["Key"]).removeprefix(self.prefix).split("/", 2)
                if len(parts) != 3 or dump_begun_at(parts[1]) is None:
                    continue
                folder, file = f"{self.prefix}{parts[0]}/{parts[1]}/", _stored(parts[2], version)
                if version["IsLatest"]:
                    found.setdefault(folder, {})[parts[2]] = file
                elif parts[2] == MANIFEST_FILE:
                    older.setdefault(folder, []).append(file)
        entries = [self._entry(folder, files, older.get(folder, [])) for folder, files in found.items()]
        return sorted(entries, key=lambda entry: (entry.begun_at, entry.id, entry.database))

    def _entry(self, folder: str, listed: Mapping[str, StoredFile], older: Sequence[StoredFile]) -> DumpEntry:
        database, name = folder.removeprefix(self.prefix).rstrip("/").split("/")
        began = dump_begun_at(name)
        assert began is not None
        regions = self._regions(listed)
        found = (_proof(file, regions) for file in listed.values())
        told = sorted((p for p in found if p is not None), key=lambda proof: (proof.at, proof.level))
        proofs, elsewhere = _of_this_copy(told, self.place.region)
        return DumpEntry(
            database=unquote(database),
            id=DumpId(name),
            begun_at=began,
            prefix=folder,
            files={n: f for n, f in listed.items() if "/" not in n and n != KEPT},
            proofs=proofs,
            elsewhere=elsewhere,
            kept=KEPT in listed,
            deleted=None if MANIFEST_FILE in listed else max(older, key=lambda file: file.stored_at, default=None),
        )

    def _regions(self, files: Mapping[str, StoredFile]) -> dict[str, str]:
        """Return by the identities that a proof of this dump may have where the copy lies that it is of.

        A copy has the version ids of what it was made of. One whose manifest was missing was looked at without.
        """
        here, other, manifest = self._identity(files), self.place.other, files.get(MANIFEST_FILE)
        versions = {"", *([] if manifest is None else [manifest.version_id])}
        there = {} if other is None else {proven_identity(other.bucket, one): other.region for one in versions}
        return {**there, here: self.place.region}

    def _identity(self, files: Mapping[str, StoredFile]) -> str:
        manifest = files.get(MANIFEST_FILE)
        return proven_identity(self.bucket, "" if manifest is None else manifest.version_id)

    def manifest(self, entry: DumpEntry) -> Manifest:
        """Return a dump's manifest; raises as `read` does."""
        return self.read(entry)[0]

    def read(self, entry: DumpEntry) -> tuple[Manifest, str]:
        """Return a dump's manifest, by its version, and the SHA-256 of its bytes in hex.

        Raises NothingFits where the dump has none, IntegrityFailure where it is not one that lifeboat writes, or is of
        another dump, database, environment or application than its place says; NewerFormat where a newer one wrote it.
        """
        if not entry.complete:
            raise NothingFits(
                f"{entry.id} of {entry.database}: {entry.why_incomplete}",
                hint="lifeboat backups lists what there is",
            )
        where = f"s3://{self.bucket}/{entry.prefix}{MANIFEST_FILE}"
        body = self._whole(entry, MANIFEST_FILE)
        try:
            found = self._form.read(body)
        except NewerFormat as error:
            raise NewerFormat(f"{where} is of a newer lifeboat: {error.summary}", hint=error.hint) from error
        except ValueError as error:
            raise IntegrityFailure(f"{where} is not what this lifeboat writes: {error}") from error
        told = (found.id, found.database, found.environment, found.application)
        meant = (entry.id, entry.database, self.place.environment, self.place.application)
        if told != meant:
            raise IntegrityFailure(f"{where} is of another place: it says {'/'.join(told)}, not {'/'.join(meant)}")
        return found, hashlib.sha256(body).hexdigest()

    def _whole(self, entry: DumpEntry, file: str) -> bytes:
        """Return the content of a small file of a dump; raises as `opened` does."""
        stored = entry.files.get(file)
        if stored is not None and self._quick is not None:
            key = f"{entry.prefix}{file}"
            listed = Listed(key=key, version_id=stored.version_id, size=stored.size, etag=stored.etag)
            found = self._quick.read(listed)
            if found is not None:
                return found.body
        with self.opened(entry, file) as chunks:
            return b"".join(chunks)

    @contextmanager
    def opened(self, entry: DumpEntry, file: str) -> Iterator[Iterator[bytes]]:
        """Give the bytes of a file of a dump, as they come, by the version that the listing showed.

        A transfer that breaks off goes on where it broke. Raises NothingFits where there is no such file, Unreachable
        where S3 does not give all of it.
        """
        stored = entry.files.get(file)
        if stored is None:
            raise NothingFits(f"there is no s3://{self.bucket}/{entry.prefix}{file}")
        with closing(self._chunks(f"{entry.prefix}{file}", stored)) as chunks:
            yield chunks

    def _chunks(self, key: str, stored: StoredFile) -> Generator[bytes]:
        done, failures = 0, 0
        while done < stored.size:
            try:
                with translated(f"read s3://{self.bucket}/{key}"):
                    for chunk in self._from(key, stored, done):
                        done, failures = done + len(chunk), 0
                        yield chunk
                failures += 1
            except Unreachable:
                failures += 1
                if failures >= _READINGS or done == 0:
                    raise
            if done < stored.size and failures >= _READINGS:
                raise Unreachable(f"cannot read s3://{self.bucket}/{key}: it ends at {done} of {stored.size} bytes")

    def _from(self, key: str, stored: StoredFile, start: int) -> Iterator[bytes]:
        part = {"Range": f"bytes={start}-"} if start else {}
        answer = self._s3.get_object(Bucket=self.bucket, Key=key, VersionId=stored.version_id, **part)
        with closing(answer["Body"]) as body:
            yield from body.iter_chunks(_CHUNK)

    # -- marking -----------------------------------------------------------------------------------------------------

    def commit(self, manifest: Manifest) -> str:
        """Write a dump's manifest, which makes it one, and return its key; raises Refused where there is one."""
        key = f"{self.folder(manifest.database, manifest.id)}{MANIFEST_FILE}"
        if not self._put(key, self._form.written(manifest)):
            raise Refused(f"s3://{self.bucket}/{key} is there already", hint="run the same command again")
        return key

    def prove(self, entry: DumpEntry, proof: Proof) -> None:
        """Write a verification beside the dump as it was listed; one is never written over another."""
        manifest = entry.files.get(MANIFEST_FILE)
        body = {
            "of": {
                "bucket": self.bucket,
                "manifest_version": None if manifest is None else manifest.version_id,
                "manifest_sha256": proof.manifest_sha256 or None,
            },
            "level": proof.level,
            "at": proof.at.astimezone(UTC).isoformat(),
            "verdict": proof.verdict.value,
            "findings": list(proof.findings),
            "remarks": list(proof.remarks),
            "run": proof.run or None,
            "took_seconds": None if proof.took is None else proof.took.total_seconds(),
            "by": _who(),
        }
        # Whoever looks at the same time writes one of the same name. S3's clock counts; the name's makes it one of its own.
        for later in range(_AT_THE_SAME_TIME):
            name = _proof_name(replace(proof, at=proof.at + timedelta(seconds=later)), self._identity(entry.files))
            if self._put(f"{entry.prefix}{name}", json.dumps(body, indent=1).encode()):
                return
        raise Refused(
            f"s3://{self.bucket}/{entry.prefix}{name} is there already, as are those of the seconds before it",
            hint="run the same command again",
        )

    def proof(self, entry: DumpEntry, proof: Proof) -> Proof:
        """Return a proof of a listing with its findings, its remarks and how long it took."""
        key = f"{entry.prefix}{proof.file}"
        with translated(f"read s3://{self.bucket}/{key}"):
            body = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        try:
            found = json.loads(body)
            seconds = found["took_seconds"]
            return replace(
                proof,
                findings=tuple(str(finding) for finding in found["findings"]),
                remarks=tuple(str(remark) for remark in found["remarks"]),
                took=None if seconds is None else timedelta(seconds=float(seconds)),
                manifest_sha256=str(found["of"]["manifest_sha256"] or ""),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityFailure(f"s3://{self.bucket}/{key} is not what lifeboat verify writes") from error

    def keep(self, entry: DumpEntry, why: str) -> None:
        """Mark a dump as kept for ever; one that is kept already stays as it was marked first."""
        body = {"by": _who(), "why": why, "at": datetime.now(UTC).isoformat()}
        self._put(f"{entry.prefix}{KEPT}", json.dumps(body, indent=1).encode())

    def release(self, entry: DumpEntry) -> None:
        """Take the mark of a kept dump away; its older versions stay in the bucket."""
        with translated(f"delete s3://{self.bucket}/{entry.prefix}{KEPT}"):
            self._s3.delete_object(Bucket=self.bucket, Key=f"{entry.prefix}{KEPT}")

    def discard(self, folder: str) -> list[str]:
        """Delete what a failed dump left below its folder, its manifest first; return what stays as hidden versions.

        Those the bucket's lock keeps until its time is over. Raises CleanUpIncomplete naming all that could not be hidden.
        """
        with translated(f"list s3://{self.bucket}/{folder}"):
            found = sdk.s3_items(self._s3, *_VERSIONS, bucket=self.bucket, prefix=folder)
            versions = [(str(entry["Key"]), str(entry["VersionId"])) for entry in found]
        hidden: list[str] = []
        ordered = sorted(versions, key=lambda pair: (not pair[0].endswith(f"/{MANIFEST_FILE}"), pair[0]))
        for number, (key, version) in enumerate(ordered):
            try:
                with translated(f"delete s3://{self.bucket}/{key}"):
                    if not self._deleted(key, version):
                        self._s3.delete_object(Bucket=self.bucket, Key=key)
                        hidden.append(f"s3://{self.bucket}/{key}")
            except Unreachable as error:
                # Without its files a manifest would still be taken for a dump: they stay as long as it may be there.
                raise self._left(folder, [key for key, _ in ordered[number:]], error) from error
        return hidden

    def _left(self, folder: str, keys: list[str], error: Unreachable) -> CleanUpIncomplete:
        """Return what is to be said of the files of a failed dump that could not be taken back."""
        names = ", ".join(sorted({key.removeprefix(folder) for key in keys}))
        left = f"{error.summary}; below s3://{self.bucket}/{folder} there still are {names}"
        name = folder.rstrip("/").rpartition("/")[2]
        if any(key.endswith(f"/{MANIFEST_FILE}") for key in keys):
            # It was on its way when something failed: what is there may be all of it.
            return CleanUpIncomplete(
                f"{left}: with its manifest it may be a whole dump", hint=f"lifeboat verify {name} --level 2 says"
            )
        return CleanUpIncomplete(
            f"{left}: without a manifest they are no dump, and nothing restores them",
            hint="lifeboat retention apply lets the bucket expire them once they are older than the daily dumps",
        )

    def _deleted(self, key: str, version: str) -> bool:
        """Delete one version for good; return whether the bucket lets us."""
        try:
            self._s3.delete_object(Bucket=self.bucket, Key=key, VersionId=version)
        except ClientError as error:
            if sdk.code(error) not in _LOCKED:
                raise
            return False
        return True

    def _put(self, key: str, body: bytes) -> bool:
        """Write an object unless there is one; return whether it is ours now."""
        if self._quick is not None and self._quick.created(key, body):
            return True
        with translated(f"write s3://{self.bucket}/{key}"):
            try:
                self._s3.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    # As bytes botocore would ask S3 first whether it may send them: half the time of so small an object.
                    Body=bytearray(body),
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if sdk.code(error) not in _EXISTS:
                    raise
                # The same text: the answer to an earlier try was lost.
                return bool(self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() == body)
        return True


def proven_identity(bucket: str, manifest_version: str) -> str:
    """Return what a proof is of, as its name says it: the manifest's version in a bucket, which nobody can choose.

    So it is of no manifest that is written over the one that was looked at, and of no copy in another bucket.
    """
    return hashlib.sha256(f"{bucket}\n{manifest_version}".encode()).hexdigest()[:16]


def _stored(name: str, version: Mapping[str, Any]) -> StoredFile:
    return StoredFile(
        name=name,
        size=int(version["Size"]),
        etag=str(version["ETag"]).strip('"'),
        version_id=str(version["VersionId"]),
        stored_at=version["LastModified"].astimezone(UTC),
    )


def _of_this_copy(proofs: Sequence[Proof], region: str) -> tuple[tuple[Proof, ...], tuple[Proof, ...]]:
    """Return the proofs of the copy in a region, and what failed in the other one.

    What passed somewhere else counts for nothing; what failed nobody knows where counts here.
    """
    here = (p for p in proofs if p.region == region or (p.region == "" and p.verdict is Verdict.FAILED))
    there = (p for p in proofs if p.region not in (region, "") and p.verdict is Verdict.FAILED)
    return tuple(here), tuple(there)


def _proof_name(proof: Proof, identity: str) -> str:
    # A failure by the listing is passed over where the other copy is whole, whatever it is of.
    short = "-listing" if proof.by_listing else "-part" if proof.part else "-rows" if proof.rows_only else ""
    rest = short + (f"-run-{proof.run}" if proof.run else "")
    return f"proofs/{proof.at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{proof.level}-{proof.verdict.value}-{identity}{rest}.json"


def _proof(file: StoredFile, regions: Mapping[str, str]) -> Proof | None:
    """Return the proof that a file is, with the region of the copy that its name says it is of; None where it is none."""
    found = _PROOF.fullmatch(file.name)
    if found is None:
        return None
    return Proof(
        level=int(found[1]),
        at=file.stored_at,
        verdict=Verdict(found[2]),
        rows_only=found[4] == "-rows",
        part=found[4] == "-part",
        by_listing=found[4] == "-listing",
        region=regions.get(found[3], ""),
        run=found[5] or "",
        file=file.name,
    )


def _who() -> str:
    return f"{run_files.user_name()}@{socket.gethostname()}"
