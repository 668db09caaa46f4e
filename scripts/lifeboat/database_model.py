"""The nouns of the database's copies: dumps and what is in them, proofs, and recovery points of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

DumpId = NewType("DumpId", str)  # 20261129T031500Z-3f9a1c: when it was begun in UTC, and chance
RecoveryPointId = NewType("RecoveryPointId", str)  # what `lifeboat backups` prints first in a row


# -- what is in a database -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, order=True)
class TableName:
    """A table, sequence or view by its schema and name, neither of them quoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class TableContent:
    """The rows of a table and the fingerprint of their content, whatever their order."""

    table: TableName
    rows: int
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class SequenceValue:
    """Where a sequence stands: not of the snapshot, so that a copy may be ahead of it, and never behind."""

    sequence: TableName
    last_value: int
    is_called: bool


@dataclass(frozen=True, kw_only=True)
class LargeObjects:
    """How many large objects there are, and the fingerprint of their ids and content."""

    count: int
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Extension:
    """An extension that is installed, and its version."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that is compared between a database and its copy."""

    tables: tuple[TableContent, ...]
    sequences: tuple[SequenceValue, ...]
    large_objects: LargeObjects
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which part of a database is dumped, as patterns of pg_dump's --schema and --table; empty: all of it."""

    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.schemas and not self.tables


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server and the database on it: versions, encoding, locale and owner, which a copy is made again with."""

    version: str
    version_number: int  # server_version_num: 150018 is 15.18
    encoding: str
    collation: str
    character_type: str
    collation_version: str
    owner: str

    @property
    def major(self) -> int:
        """Return the major version."""
        return self.version_number // 10_000


# -- dumps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DumpFile:
    """One file of a dump as it was stored: what S3 said of it, and what passed through on the way.

    `etag` and `version_id` are S3's; `crc64nvme` is S3's checksum of the whole object, base64. Sizes in bytes, digests
    SHA-256 in hex, of the stored bytes and of those before compression.
    """

    name: str
    version_id: str
    etag: str
    crc64nvme: str
    size: int
    sha256: str
    raw_size: int
    raw_sha256: str
    tables: tuple[TableName, ...] = ()  # those that a shard names; the first shard holds what no other one does


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a dump is, written last: without it there is no dump.

    `snapshot_at` is the moment that the content is of; `lsn` the write-ahead log's position then. `flags` say what is
    suspicious about it against the dumps before. Where something is not known, None.
    """

    id: DumpId
    application: str
    environment: str
    database: str
    begun_at: datetime
    snapshot_at: datetime
    ended_at: datetime
    lsn: str
    standby: bool
    server: Server
    client_version: str
    lifeboat_version: str
    git_sha: str | None
    image_tag: str | None
    state_serial: int | None
    selection: Selection
    files: tuple[DumpFile, ...]
    contents: Contents
    flags: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Return the stored bytes of all its files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file below a dump as a listing of the bucket shows it: the newest version that is not deleted."""

    name: str
    size: int
    etag: str
    version_id: str
    stored_at: datetime


class Verdict(StrEnum):
    """What came of a verification."""

    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One verification of a copy: how deep it looked (1 to 4), when, and what it found wrong."""

    level: int
    at: datetime
    verdict: Verdict
    findings: tuple[str, ...] = ()
    took: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class DumpEntry:
    """A dump's folder as a listing shows it. `complete`: its manifest is there, else it never became a dump."""

    database: str
    id: DumpId
    begun_at: datetime
    prefix: str  # of its keys, with the last slash
    files: Mapping[str, StoredFile] = field(hash=False)
    proofs: tuple[Proof, ...] = ()  # oldest first; a listing does not tell their findings
    kept: bool = False

    @property
    def complete(self) -> bool:
        """Whether it became a dump."""
        return "manifest.json" in self.files

    @property
    def size(self) -> int:
        """Return the stored bytes of its files."""
        return sum(file.size for file in self.files.values())

    @property
    def proven(self) -> Proof | None:
        """Return the deepest verification that it passed, of two the newer one; None where a later one failed."""
        last_failure = max((p.at for p in self.proofs if p.verdict is Verdict.FAILED), default=None)
        passed = [
            p for p in self.proofs if p.verdict is Verdict.PASSED and (last_failure is None or p.at > last_failure)
        ]
        return max(passed, key=lambda proof: (proof.level, proof.at), default=None)


# -- recovery points of every kind -------------------------------------------------------------------------------------


class PointKind(StrEnum):
    """What kind of copy a recovery point is."""

    DUMP = "dump"
    AUTOMATED_SNAPSHOT = "automated snapshot"
    MANUAL_SNAPSHOT = "manual snapshot"
    BACKUP_POINT = "AWS Backup point"
    POINT_IN_TIME = "point-in-time window"


@dataclass(frozen=True, kw_only=True)
class RecoveryPoint:
    """One copy of the database that it can be restored from, in one region.

    `taken_at` is the moment of its content; of a point-in-time window the latest one, and `earliest` the first. `key` is
    the ARN of what encrypts it, None where nothing does. `status` is AWS's word: only "available" or "completed" can be
    restored from. `source` names the instance, database or copy that it came from.
    """

    id: RecoveryPointId
    kind: PointKind
    database: str
    region: str
    taken_at: datetime
    status: str
    size: int | None  # bytes, as far as AWS tells
    source: str
    key: str | None
    proven: Proof | None = None
    earliest: datetime | None = None
    expires_at: datetime | None = None
    kept: bool = False
    flags: tuple[str, ...] = ()


# -- the database recovered --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WantedCopy:
    """What a recovery of the database asks for: a moment (None: the latest), or one copy by its id.

    `serving` is the instance that the application uses or used, `region` and `key` where a new one must be and what must
    encrypt it. `serving_since` is when that instance was made: from then on an older generation's copies are stale.
    `failed_at` is when the data was last good; what was written between a copy and it is lost.
    """

    serving: str
    serving_since: datetime | None
    region: str
    key: str | None
    failed_at: datetime
    to: datetime | None = None
    named: RecoveryPointId | None = None


@dataclass(frozen=True, kw_only=True)
class RestoreRate:
    """What restores of this environment took: a median of whole restores, and bytes a second; None: none was measured."""

    whole: timedelta | None = None
    bytes_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class CopyCandidate:
    """A copy, the moment of it that would be restored, what is lost with it, and how long it takes, as far as known."""

    point: RecoveryPoint
    to: datetime
    loss: timedelta
    takes: timedelta | None
    takes_why: str
    needs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """What a new generation must be like: Terraform's record of the serving one, so that a plan finds nothing to change.

    `asked` are parameters of RDS's restore calls, `modified` those that only ModifyDBInstance takes. `retention` in days.
    """

    asked: Mapping[str, object] = field(hash=False)
    modified: Mapping[str, object] = field(hash=False)
    tags: Mapping[str, str] = field(hash=False)
    password_key: str | None
    retention: int


@dataclass(frozen=True, kw_only=True)
class RestoreOrder:
    """One restore: the copy, the moment of it, the name of the new instance and what that is like; `run` marks it."""

    point: RecoveryPoint
    to: datetime | None  # None: the latest moment of a window; a snapshot has one moment only
    identifier: str
    settings: InstanceSettings
    run: str


@dataclass(frozen=True, kw_only=True)
class RestoredInstance:
    """An instance as RDS shows it: its status, what marks it, the secret of its password and its retention in days."""

    identifier: str
    status: str
    address: str | None
    port: int | None
    tags: Mapping[str, str] = field(hash=False)
    password_secret_arn: str | None
    secret_status: str | None
    retention: int
    size: int  # bytes of storage
    modifying: bool  # whether changes are still to be made

    @property
    def usable(self) -> bool:
        """Whether it takes connections: a backup that is being made of it is no reason to wait."""
        return self.status in (
            "available",
            "backing-up",
            "modifying",
            "configuring-enhanced-monitoring",
            "storage-optimization",
        )


@dataclass(frozen=True, kw_only=True)
class DataProof:
    """What a restored database holds: tables, those with rows, and until when it has data and by what that is known."""

    tables: int
    with_rows: int
    until: datetime | None
    known_by: str
