"""The nouns of the database's copies: dumps and what is in them, proofs, and recovery points of every kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NewType

from lifeboat.errors import LifeboatError
from lifeboat.model import EncryptionKey, Judged

# Of which a dump consists, beside a file for the rows of each shard; the manifest makes it one.
MANIFEST_FILE, SCHEMA_FILE, GLOBALS_FILE = "manifest.json", "schema.dump.zst", "globals.sql.zst"
DUMP_ID = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{6}")
# From its beginning to its manifest no dump takes longer: one whose manifest came later is dated wrongly, and what is still
# open after it was cut off.
LONGEST_DUMP = timedelta(days=2)

DumpId = NewType("DumpId", str)  # 20261129T031500Z-3f9a1c: when it was begun in UTC, and chance
RecoveryPointId = NewType("RecoveryPointId", str)  # what `lifeboat backups` prints first in a row
LATEST_DUMP = RecoveryPointId("latest-dump")  # for a recovery: the newest dump that nothing speaks against


def dump_id(begun_at: datetime, chance: str) -> DumpId:
    """Return the id of a dump begun at a time; `chance` is six hex digits."""
    return DumpId(f"{begun_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{chance}")


def dump_begun_at(text: str) -> datetime | None:
    """Return when the dump of an id was begun, in UTC; None where the text is no dump's id."""
    found = DUMP_ID.fullmatch(text)
    return None if found is None else stamp_time(found[1])


def stamp_time(stamp: str) -> datetime | None:
    """Return the time that a stamp such as 20261129T031500Z means; None where it is none."""
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


# -- what is in a database -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, order=True)
class TableName:
    """A table, sequence or view by its schema and name, neither of them quoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table, and the function that writes the values of its type, quoted and with its schema.

    `base` is the type that a domain is of in the end, quoted and with its schema; empty where the type is no domain.
    """

    name: str
    output: str
    base: str = ""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table or sequence as the server's catalogue has it.

    `kind` is pg_class.relkind: r table, p partitioned table, S sequence, m materialized view, v view, f foreign table.
    `visible`: found without its schema by the role that asks. `filtered`: row security hides rows of it from that role.
    `owner` is the table that a sequence belongs to, `extension` the extension that made it. `through` is the table, of which
    this is a partition, that pg_dump loads its rows through, since they may belong to another partition when restored.
    """

    oid: int
    name: TableName
    kind: str
    size: int  # bytes of its rows, without its indexes; 0 where they were not measured
    visible: bool
    filtered: bool
    unlogged: bool
    columns: tuple[Column, ...]
    owner: TableName | None = None
    extension: str | None = None
    through: TableName | None = None


# Its host writes it (modules/app-instance), whatever became of the application's own rows: it proves none of them.
HEARTBEAT_TABLE = "lifeboat_heartbeat"


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of a database, each with whether it, or a partition of it, holds rows; the heartbeat's own is left out.

    `partitions` are not among them; `divided` are those that have some.
    """

    holds_rows: Mapping[TableName, bool] = field(hash=False)
    partitions: frozenset[TableName] = frozenset()
    divided: frozenset[TableName] = frozenset()


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
class SchemaContent:
    """How many things of a kind ("indexes") a schema has, and the fingerprint of their definitions."""

    kind: str
    count: int
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that is compared between a database and its copy; `schema` empty: its definitions are not known."""

    tables: tuple[TableContent, ...]
    sequences: tuple[SequenceValue, ...]
    large_objects: LargeObjects
    extensions: tuple[Extension, ...]
    schema: tuple[SchemaContent, ...] = ()


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

    `etag` and `version_id` are S3's; `crc64nvme` is S3's checksum of the whole object, base64, empty where S3 keeps none.
    `parts_sha256` is the one that it keeps of an upload whose parts were checked by SHA-256: base64 of the SHA-256 of
    their SHA-256s, a hyphen, their number (HeadObject tells it). Sizes in bytes, digests SHA-256 in hex, of the stored
    bytes and of those before compression.
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
    parts_sha256: str = ""


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


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """One verification of a copy: how deep it looked (1 to 4), when, what it found wrong, and what it did not compare.

    Of one that lies in a bucket, `at` is when S3 stored it: the clock of whoever looked is nobody's evidence. `run` is the
    recovery that restored the copy, empty where only the copy was looked at. `manifest_sha256`, in hex, says which manifest
    it is of; empty where that could not be read. `rows_only`: how tables, indexes and the rest are defined was not compared.
    `part`: it is of a dump of a part of a database, and says nothing of the rest.
    `by_listing`: it failed by what a listing of its bucket shows, which says nothing of a copy in another one. `region` is
    where the copy lies that was looked at, empty where the proof does not tell. `looked` says in words what was looked at,
    where that is not what a verification of the level looks at. `file` is where it lies below the dump.
    """

    level: int
    at: datetime
    verdict: Verdict
    findings: tuple[str, ...] = ()
    took: timedelta | None = None
    remarks: tuple[str, ...] = ()
    run: str = ""
    manifest_sha256: str = ""
    rows_only: bool = False
    part: bool = False
    by_listing: bool = False
    region: str = ""
    looked: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DumpEntry:
    """A dump's folder as a listing shows it. `complete`: its manifest is there, else it never became a dump, or it was deleted.

    `proofs` speak of this copy and no other: what passed is of the very manifest that lies here; what failed before that was
    written over, or is of no copy that is known, still speaks against it. `elsewhere` is what failed in the copy of the
    other region: the proofs of one bucket are copied to the other.
    """

    database: str
    id: DumpId
    begun_at: datetime
    prefix: str  # of its keys, with the last slash
    files: Mapping[str, StoredFile] = field(hash=False)
    proofs: tuple[Proof, ...] = ()  # oldest first; a listing does not tell their findings
    elsewhere: tuple[Proof, ...] = ()  # oldest first
    kept: bool = False
    deleted: StoredFile | None = None  # the newest version of a manifest that somebody deleted

    @property
    def complete(self) -> bool:
        """Whether it became a dump, and still is one."""
        return MANIFEST_FILE in self.files

    @property
    def why_incomplete(self) -> str:
        """Return why it is no dump; empty where it is one."""
        if self.complete:
            return ""
        if self.deleted is None:
            return "it has no manifest: it never became a dump"
        return (
            f"its manifest was deleted: version {self.deleted.version_id}, of {self.deleted.stored_at:%Y-%m-%d %H:%M:%S}Z, is"
            " still there"
        )

    @property
    def size(self) -> int:
        """Return the stored bytes of its files, without its manifest: as many as that says."""
        return sum(file.size for name, file in self.files.items() if name != MANIFEST_FILE)

    @property
    def failure(self) -> Proof | None:
        """Return the newest verification that failed and that no later one, at least as deep, has outweighed."""
        passed = [proof for proof in self.proofs if proof.verdict is Verdict.PASSED]
        standing = [
            failed
            for failed in self.proofs
            if failed.verdict is Verdict.FAILED
            and not any(proof.at > failed.at and proof.level >= failed.level for proof in passed)
        ]
        return max(standing, key=lambda proof: proof.at, default=None)

    @property
    def failed_elsewhere(self) -> Proof | None:
        """Return the newest failure of the other region's copy that may be one of this copy too, whose bytes are the same.

        None where this one has passed a look as deep, and of what only the other bucket's listing shows.
        """
        proven = self.proven
        standing = [
            failed
            for failed in self.elsewhere
            if not failed.by_listing and (proven is None or proven.level < failed.level)
        ]
        return max(standing, key=lambda proof: proof.at, default=None)

    @property
    def proven(self) -> Proof | None:
        """Return the deepest verification that it passed since the last failed one, of two the newer one.

        None where a failure stands: a look that is less deep says nothing about what a deeper one found.
        """
        if self.failure is not None:
            return None
        last_failure = max((p.at for p in self.proofs if p.verdict is Verdict.FAILED), default=None)
        passed = [
            p for p in self.proofs if p.verdict is Verdict.PASSED and (last_failure is None or p.at > last_failure)
        ]
        return max(passed, key=lambda proof: (proof.level, proof.at), default=None)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question to a restored copy in SQL that gives one value, and what the answer has to be.

    `expect` is the value as text, with `tolerance_percent` around it where it is a number; else there are bounds.
    """

    name: str
    sql: str
    expect: str | None = None
    tolerance_percent: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class DumpOutcome:
    """What came of dumping one database: a dump, or why there is none; `problem` also says what is wrong with a dump."""

    database: str
    id: DumpId
    manifest: Manifest | None
    problem: LifeboatError | None
    took: timedelta


@dataclass(frozen=True, kw_only=True)
class ClientPrograms:
    """A folder with pg_dump and pg_dumpall, and their version: (15, 18)."""

    folder: str
    version: tuple[int, ...]

    @property
    def version_text(self) -> str:
        """The version as it is written: 15.18."""
        return ".".join(str(number) for number in self.version)


@dataclass(frozen=True, kw_only=True)
class StoredUpload:
    """What S3 says of an upload that was completed, and what went up: bytes, SHA-256 in hex."""

    key: str
    version_id: str
    etag: str
    size: int
    sha256: str
    crc64nvme: str
    parts_sha256: str


# -- recovery points of every kind -------------------------------------------------------------------------------------


class PointKind(StrEnum):
    """What kind of copy a recovery point is."""

    DUMP = "dump"
    AUTOMATED_SNAPSHOT = "automated snapshot"
    MANUAL_SNAPSHOT = "manual snapshot"
    BACKUP_POINT = "AWS Backup point"
    POINT_IN_TIME = "point-in-time window"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryPoint:
    """One copy of the database that it can be restored from, in one region.

    `database` is the instance that it is of; of a dump the database in it. `taken_at` is the moment of its content; of a
    point-in-time window the latest one, and `earliest` the first. `key` is the ARN of what encrypts it, None where nothing
    does. `status` is AWS's word: only "available" or "completed" can be restored from. `source` names the instance,
    database or copy that it came from. `doubts` are checks that it failed; `unfit` is why it can never be all of the
    application's database. `locked` is its key where that cannot be used. `instance_made_at` is when the instance that it is
    of was made, where AWS tells.
    """

    id: RecoveryPointId
    kind: PointKind
    database: str
    region: str
    taken_at: datetime
    status: str
    size: int | None  # bytes, as far as AWS tells: of snapshots and windows the storage that was allocated
    source: str
    key: str | None
    proven: Proof | None = None
    earliest: datetime | None = None
    expires_at: datetime | None = None
    kept: bool = False
    flags: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    arn: str | None = None  # AWS's own name for it, where it has one
    instance_made_at: datetime | None = None
    locked: EncryptionKey | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    @property
    def restorable(self) -> bool:
        """Whether its status lets it be restored from."""
        return self.status in ("available", "completed")


@dataclass(frozen=True, kw_only=True)
class SnapshotMoment:
    """The moment that a snapshot's content is of, and when the instance that it is of was made, where RDS tells."""

    taken_at: datetime
    instance_made_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What nobody could look at, so that copies may be missing from a list: the call, what it needs, and what came of it."""

    what: str
    region: str
    call: str  # as IAM writes it: rds:DescribeDBSnapshots; it is also the permission that it needs
    why: str


@dataclass(frozen=True, kw_only=True)
class PointList:
    """Every recovery point that was found, newest first, and what could not be looked at. Both together are the answer."""

    points: tuple[RecoveryPoint, ...]
    unseen: tuple[Unseen, ...]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class DumpDescription:
    """What is known of a dump beside the list: its manifest (None, and why not), its proofs, what it is tagged with."""

    manifest: Manifest | None
    problem: str
    proofs: tuple[Proof, ...]
    keep_as: str | None


@dataclass(frozen=True, kw_only=True)
class Described:
    """Every copy of this id, and what is known of it where it is a dump."""

    copies: tuple[RecoveryPoint, ...]
    dump: DumpDescription | None


# -- how long dumps are kept -------------------------------------------------------------------------------------------


class KeepAs(StrEnum):
    """What a dump's objects are tagged with; the rules of the bucket expire each by its own count of days.

    No rule acts on HELD: while lifeboat is not run, nothing that must never go is at the mercy of a rule.
    """

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    HELD = "held"
    EXPIRE = "expire"


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """Of how many days, weeks, months and years that have dumps the last one is kept, of each database.

    `minimum_verified`: the newest so many that passed a verification of `verified_level` or deeper never expire.
    """

    daily: int = 14
    weekly: int = 8
    monthly: int = 12
    yearly: int = 2
    minimum_verified: int = 2
    verified_level: int = 2


@dataclass(frozen=True, kw_only=True)
class ExpiryRule:
    """A rule of a bucket that expires objects: those below a prefix that have all of these tags, after so many days."""

    name: str
    prefix: str
    tags: Mapping[str, str] = field(hash=False)
    days: int


@dataclass(frozen=True, kw_only=True)
class DumpFacts:
    """A dump and what a listing does not tell: `partial`, that its manifest names a selection; `unreadable`, why not.

    `used_by` says what a run that has not ended, or a drill, wants it for.
    """

    entry: DumpEntry
    partial: bool = False
    suspicious: tuple[str, ...] = ()  # the flags of its manifest that nobody has accepted
    unreadable: str = ""
    used_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of one dump, and every reason for it."""

    entry: DumpEntry
    keep_as: KeepAs
    reasons: tuple[str, ...]

    @property
    def expires(self) -> bool:
        """Whether it goes."""
        return self.keep_as is KeepAs.EXPIRE


# -- manual snapshots --------------------------------------------------------------------------------------------------


class SnapshotTag(StrEnum):
    """The tags of a database snapshot, beside those that it has in common with machine images (model.Tag)."""

    BEFORE = "lifeboat:before"  # the risky change that it was taken before
    SOURCE = "lifeboat:source-database"  # the instance; only lifeboat marks a snapshot so
    KEEP = "lifeboat:keep"  # why it is kept for ever
    PROVEN_BY = "lifeboat:proven-by"  # what was looked at when it was restored (Restored)
    RUN = "lifeboat:run"  # a drill made it and takes it away again


class Restored(StrEnum):
    """What was looked at in what RDS restored from a copy: neither is a comparison of every row, nor of any index."""

    ROWS = "rows"  # each table was asked for a row, and none lacks rows that it has elsewhere
    PROBES = "probes"  # besides, the environment's own questions had their answers

    @property
    def words(self) -> str:
        """What a list of copies says of it."""
        return "restored, rows seen" if self is Restored.ROWS else "restored, rows seen, probes passed"

    @property
    def level(self) -> int:
        """How much that counts beside verifications of dumps: less than a comparison of fingerprints and indexes, which is 3."""
        return 1 if self is Restored.ROWS else 2


@dataclass(frozen=True, kw_only=True)
class SnapshotOrder:
    """A snapshot to be made: its name, which is taken once in a region, and its tags."""

    name: RecoveryPointId
    region: str
    tags: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class SnapshotPruning:
    """Which snapshots stay and which go, each with the reason."""

    kept: tuple[Judged[RecoveryPoint], ...]
    removed: tuple[Judged[RecoveryPoint], ...]


# -- the database recovered --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Served:
    """A time in which the application surely used one instance: from `since` on, until `until` (None: it still does).

    Between the ends of two generations lies the switch from one to the other: of that nobody knows which was written to.
    """

    instance: str
    since: datetime
    until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Return whether a moment lies in it."""
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True, kw_only=True)
class WantedCopy:
    """What a recovery of the database asks for: a moment (None: the latest), or one copy by its id (LATEST_DUMP too).

    `serving` is the instance that the application uses or used, `database` what is in it, `region` and `key` where a new
    one must be and what must encrypt it. `served` is when which generation was that instance, as far as anybody knows: a
    copy of another time than its generation's own holds what the application never saw. `failed_at` is when the data was
    last good; what was written between a copy and it is lost. `accepted`: doubts about the copy that is named are known to
    who asks.
    """

    serving: str
    served: tuple[Served, ...]
    database: str
    region: str
    key: str | None
    failed_at: datetime
    to: datetime | None = None
    named: RecoveryPointId | None = None
    accepted: bool = False


@dataclass(frozen=True, kw_only=True)
class RestoreRate:
    """What restores of this environment took: a median of whole restores, and bytes a second; None: none was measured.

    `of_dumps` is the same of dumps, in stored bytes, the making of the empty instance included. `cut_off` says why one that
    was made was not measured, where none was.
    """

    whole: timedelta | None = None
    bytes_per_second: float | None = None
    of_dumps: float | None = None
    cut_off: str = ""


@dataclass(frozen=True, kw_only=True)
class CopyCandidate:
    """A copy, the moment of it that would be restored, what is lost with it, and how long it takes, as far as known.

    `loss` None: nobody knows how much. `after` is how long that moment is after the failure: nothing is lost then, and what
    was done until that moment is in it. `warning` says of a copy of a generation that did not serve then that it did not.
    """

    point: RecoveryPoint
    to: datetime
    loss: timedelta | None
    after: timedelta
    takes: timedelta | None
    takes_why: str
    needs: tuple[str, ...]
    warning: str = ""


@dataclass(frozen=True, kw_only=True)
class ClientSession:
    """Somebody who is connected to a database: as whom, from where, by what it calls itself, since when, as far as it tells.

    `since` is by the clock of this machine: the server tells for how long.
    """

    user: str
    address: str | None
    program: str
    since: datetime | None


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """What a new generation must be like: Terraform's record of the serving one, so that a plan finds nothing to change.

    `asked` are parameters of RDS's restore calls, `modified` those that none of them takes, `created` what a copy says by
    itself and an empty instance has to be told. `retention` in days.
    """

    asked: Mapping[str, object] = field(hash=False)
    modified: Mapping[str, object] = field(hash=False)
    created: Mapping[str, object] = field(hash=False)
    tags: Mapping[str, str] = field(hash=False)
    password_key: str | None
    retention: int


@dataclass(frozen=True, kw_only=True)
class RestoreOrder:
    """One restore: the copy, the moment of it, the name of the new instance and what that is like; `run` marks it.

    From a dump RDS restores nothing: the instance is made empty.
    """

    point: RecoveryPoint
    to: datetime | None  # the whole second of a window; None of a copy that has one moment only
    identifier: str
    settings: InstanceSettings
    run: str


@dataclass(frozen=True, kw_only=True)
class RestoredInstance:
    """An instance as RDS shows it: its status, what marks it, the secret of its password and its retention in days.

    `protected`: from being deleted.
    """

    identifier: str
    status: str
    address: str | None
    port: int | None
    tags: Mapping[str, str] = field(hash=False)
    password_secret_arn: str | None
    secret_status: str | None
    retention: int
    size: int  # bytes of storage
    protected: bool

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

    @property
    def changeable(self) -> bool:
        """Whether RDS takes a change: it refuses one while it makes, changes or backs up the instance."""
        return self.status in ("available", "storage-optimization")


@dataclass(frozen=True, kw_only=True)
class SnapshotProgress:
    """A snapshot that is being made, or is: RDS's status, and how much of it is made, in per cent."""

    status: str
    percent: int

    @property
    def made(self) -> bool:
        """Whether it can be restored from."""
        return self.status == "available"


@dataclass(frozen=True, kw_only=True)
class DataProof:
    """What a restored database holds: tables, those with rows, and until when it has data and by what that is known.

    The heartbeat's own are not among them, since they are no data of anybody; `heartbeats` is how many of these there are.
    """

    tables: int
    with_rows: int
    until: datetime | None
    known_by: str
    heartbeats: int = 0
