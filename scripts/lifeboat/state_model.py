"""The nouns of Terraform's state as an object with a history: versions, delete markers, what each says, what is amiss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NewType

from lifeboat.model import Address, Choice, RunId, StateMark

VersionId = NewType("VersionId", str)
LockMode = Literal["both", "dynamodb", "lockfile"]
RESTORING = "lifeboat-restore"  # the operation of the lock that a restore takes
REBUILDING = "lifeboat-rebuild"  # and a rebuild
# What stands where a restored version names the one that it is made of: a rebuild makes it of what exists.
REBUILT = VersionId("what-exists-in-aws")
AttributePath = tuple[str | int, ...]  # ("ingress", 0, "from_port")


# Bytes. A state of ours has half a megabyte for its 191 resources, so this would be one of more than 20,000. What is larger
# is nothing that a Terraform of this project wrote; to be read, it would take its size from memory, and ten times that to be
# parsed.
LARGEST_STATE = 64 * 2**20


def too_large(size: int) -> str:
    """Return why something of this size (bytes) is not read; "" where it is."""
    if size <= LARGEST_STATE:
        return ""
    return f"too large to be a state of ours, so not read: {size / 2**20:.0f} MiB, and {LARGEST_STATE // 2**20} at most are"


def origin_words(made_of: VersionId) -> str:
    """Return what a version is made of, in words."""
    return "what exists in AWS" if made_of == REBUILT else f"version {made_of}"


class StateRoot(StrEnum):
    """Whose state it is: root 1, which makes the backend, or the stack, which lies in it."""

    BACKEND = "state"
    STACK = "stack"


@dataclass(frozen=True, kw_only=True)
class StateFacts:
    """What a state says of itself. `environment` is None where no output says whose it is; `resources` counts instances."""

    serial: int
    lineage: str
    terraform_version: str
    resources: int
    environment: str | None


@dataclass(frozen=True, kw_only=True)
class StateEntry:
    """One entry of a state object's history: a version, or a delete marker (`marker`), which has neither size nor facts.

    `facts` is None where the version is no state, and `damage` then says why. `size` is in bytes. `md5` is what the
    digest of this version would be. `by` says who wrote it, where that is known; `made_of` is the version that lifeboat
    made it of, in a restore. `etag` is S3's own.
    """

    version_id: VersionId
    written_at: datetime
    latest: bool
    marker: bool = False
    size: int | None = None
    md5: str | None = None
    facts: StateFacts | None = None
    damage: str | None = None
    by: str | None = None
    made_of: VersionId | None = None
    etag: str | None = None


@dataclass(frozen=True, kw_only=True)
class KnownVersion:
    """A version that was read whole once, and is a state: its ETag, what its digest would be, and what it says of itself."""

    etag: str
    md5: str
    facts: StateFacts


@dataclass(frozen=True, kw_only=True)
class LockedState:
    """What is locked and how: the state `bucket/key`, by an item of `table`, by a file beside it, or by both (`mode`).

    `endpoint` is the URL of what plays AWS there; "" is AWS itself.
    """

    bucket: str
    key: str
    table: str
    mode: LockMode
    endpoint: str = ""

    @property
    def path(self) -> str:
        """Return what Terraform calls it: the Path of its lock and the LockID of the item."""
        return f"{self.bucket}/{self.key}"


class LockPlace(StrEnum):
    """Where a lock lies: an item in the table, or a file beside the state."""

    TABLE = "lock table"
    FILE = "lock file"


@dataclass(frozen=True, kw_only=True)
class LockingProcess:
    """The process that a lock says it is of: on which machine, its number, and when it began (seconds since 1970)."""

    machine: str
    pid: int
    began: float


@dataclass(frozen=True, kw_only=True)
class StateLock:
    """One lock as it lies in one place. `process` is told by lifeboat's own alone; Terraform tells only user and host.

    `lock_id` is "" where what lies there is not what Terraform writes: it locks the state all the same.
    """

    place: LockPlace
    lock_id: str
    who: str = ""
    operation: str = ""
    created: datetime | None = None
    process: LockingProcess | None = None

    @property
    def host(self) -> str:
        """Return the machine of its holder, as far as it was written down."""
        return self.who.rpartition("@")[2]


@dataclass(frozen=True, kw_only=True)
class OwnedThing:
    """Something in AWS that bears the environment's tags. `ids` are all the names that a state may know it by.

    `about` is what a person tells it from its likes by: when it was made, whether it works, what it belongs to.
    """

    kind: str  # of Terraform: aws_instance
    region: str
    name: str
    ids: frozenset[str]
    about: str = field(default="", compare=False)


class Life(StrEnum):
    """Whether who holds a lock still works."""

    LIVES = "lives"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Whether the holder of a lock lives, and how that is known."""

    life: Life
    why: str


@dataclass(frozen=True, kw_only=True)
class StateHistory:
    """All entries of one state object, newest first, and the digest that Terraform would hold it against.

    `keeps_digest` is false where the state is locked by a file alone: then `digest` is None and means nothing.
    """

    root: StateRoot
    bucket: str
    key: str
    region: str
    entries: tuple[StateEntry, ...]
    keeps_digest: bool
    digest: str | None

    @property
    def current(self) -> StateEntry | None:
        """What stands on top: a version, or a delete marker; None where there never was an object."""
        return next((entry for entry in self.entries if entry.latest), None)


@dataclass(frozen=True, kw_only=True)
class StatePlace:
    """Where one state object lies: in the bucket that Terraform writes to, or in its copy in the other region."""

    root: StateRoot
    bucket: str
    key: str
    region: str
    keeps_digest: bool
    replica: bool

    @property
    def url(self) -> str:
        """The object, as people write it."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, kw_only=True)
class StateWarning:
    """What is amiss with a history, and the command that goes on."""

    what: str
    next: str


@dataclass(frozen=True, kw_only=True)
class RunSpan:
    """From when to when a recorded run worked, and whose it was (None: to be read in its journal).

    `ended` is None where it was killed, or works still; `last` is its last sign of life.
    """

    run: RunId
    begun: datetime
    last: datetime
    ended: datetime | None
    by: str | None


@dataclass(frozen=True, kw_only=True)
class CopyRule:
    """A rule by which S3 copies what is written to a bucket: what it covers, and to which bucket.

    `encrypted` is that it copies objects under a key of KMS, as all of ours are; `by_tags` that it takes those with tags alone.
    """

    enabled: bool
    destination: str
    prefix: str
    by_tags: bool
    encrypted: bool


@dataclass(frozen=True, kw_only=True)
class AtWork:
    """Who changes the environment just now, at what and since when, on this machine or on another one (`elsewhere`)."""

    who: str
    what: str
    since: datetime
    elsewhere: bool


# -- what is remembered of a state outside it ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class KnownState:
    """A state that was found sound, as it is written down in the other region: which one, when, by whom, in which run.

    `account` is the AWS account whose state it is.
    """

    mark: StateMark
    at: datetime
    by: str
    run: str
    account: str


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is remembered of a state: by this machine, and in the other region; None: nothing.

    `unseen` says why the other region does not tell: then `there` means nothing. `damaged` is that it was asked, and what is
    written down there is damaged.
    """

    here: StateMark | None = None
    there: KnownState | None = None
    unseen: str = ""
    damaged: bool = False


# -- what a state is held against, and which version is wanted -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Whose:
    """Of which environment a state must be, and of which lineage (None: nobody remembers).

    `known` is the state that is remembered, from which its history must go on. `unseen` says what of the memory could not
    be asked: then a lineage may be remembered all the same.
    """

    environment: str
    lineage: str | None
    known: StateMark | None = None
    unseen: str = ""


@dataclass(frozen=True, kw_only=True)
class OneVersion:
    """The version of this id, whatever stands before and after it."""

    version_id: VersionId


@dataclass(frozen=True, kw_only=True)
class LatestGood:
    """The newest version that is sound."""


@dataclass(frozen=True, kw_only=True)
class AtTime:
    """The newest sound version that was written by then."""

    at: datetime


@dataclass(frozen=True, kw_only=True)
class BeforeRun:
    """The newest sound version that was written before a run began.

    `began` is by S3's clock, as what is written of a version; by that of the machine it ran on where `by_name` says why.
    """

    run: RunId
    began: datetime
    by_name: str = ""


WantedVersion = OneVersion | LatestGood | AtTime | BeforeRun
StateChoice = Choice[StateEntry]


# -- what is in a state ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ResourceView:
    """One instance of a managed resource in a state; `module` is empty for the root, `deposed` the key of what is left.

    `id` is fit to be shown. `attributes` are not, as they are: `sensitive` are the paths in them that the state marks.
    `status` is tainted for what the next apply replaces, else empty.
    """

    address: Address
    module: str
    kind: str
    id: str
    deposed: str | None
    status: str
    attributes: Mapping[str, object] = field(repr=False, hash=False)
    sensitive: frozenset[AttributePath] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class StateOutput:
    """One output of a root; `value` is JSON, fit to be shown."""

    name: str
    sensitive: bool
    value: str


@dataclass(frozen=True, kw_only=True)
class AttributeChange:
    """One attribute before and after, as JSON fit to be shown; None where there was or is none."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, kw_only=True)
class ResourceChange:
    """What became of a resource that both states have; its id changed where it was replaced."""

    address: Address
    old_id: str
    new_id: str
    changes: tuple[AttributeChange, ...]


@dataclass(frozen=True, kw_only=True)
class Move:
    """A resource that is the same and has another address."""

    old: Address
    new: Address
    id: str


@dataclass(frozen=True, kw_only=True)
class StateDiff:
    """What one state has that another has not; addresses in order."""

    added: tuple[ResourceView, ...]
    removed: tuple[ResourceView, ...]
    moved: tuple[Move, ...]
    replaced: tuple[ResourceChange, ...]
    changed: tuple[ResourceChange, ...]
    outputs: tuple[AttributeChange, ...]
    lineages: tuple[str, str]

    @property
    def same(self) -> bool:
        """Whether both say the same of the world, whatever their serials are."""
        found = (self.added, self.removed, self.moved, self.replaced, self.changed, self.outputs)
        return not any(found) and len(set(self.lineages)) == 1


# -- a state written over ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StateTop:
    """What a read without a version gets: that version, its body, and the ETag that a write over it is conditional on."""

    version_id: VersionId
    etag: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class StateOrigin:
    """Who writes a version of a state, for which run, and of which version it is made: kept as the version's metadata."""

    by: str
    run: str
    made_of: VersionId
