"""The nouns of Terraform's state as an object with a history: versions, delete markers, what each says, what is amiss."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, NewType

VersionId = NewType("VersionId", str)
LockMode = Literal["both", "dynamodb", "lockfile"]


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
    digest of this version would be. `by` says who wrote it, where that is known.
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


@dataclass(frozen=True, kw_only=True)
class LockedState:
    """What is locked and how: the state `bucket/key`, by an item of `table`, by a file beside it, or by both (`mode`)."""

    bucket: str
    key: str
    table: str
    mode: LockMode

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
