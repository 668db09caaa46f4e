"""What was seen of a state and of all that it hangs on; what could not be seen is kept apart from what is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from lifeboat.decisions import known_states, state_history
from lifeboat.decisions.state_history import Fork
from lifeboat.model import StateMark
from lifeboat.state_model import (
    AtWork,
    CopyRule,
    Holding,
    KnownState,
    Life,
    LockMode,
    Memory,
    OwnedThing,
    StateEntry,
    StateFacts,
    StateHistory,
    StateLock,
    StatePlace,
    StateRoot,
    Whose,
)

_Found_co = TypeVar("_Found_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Look(Generic[_Found_co]):
    """What a look came to: what is there, None where surely nothing is, or why nothing could be seen (`unseen`)."""

    found: _Found_co | None = None
    unseen: str = ""


@dataclass(frozen=True, kw_only=True)
class LockSeen:
    """A lock, and whether its holder lives."""

    lock: StateLock
    holding: Holding


@dataclass(frozen=True, kw_only=True)
class LeftState:
    """A state that Terraform could not save and left in a root; `push` is the shell command that makes it the state.

    `facts` is None where it is no state, and `damage` then says why.
    """

    path: str
    push: str
    facts: StateFacts | None = None
    damage: str = ""


def serial_words(entry: StateEntry) -> str:
    """Return the serial of a version, or what is wrong with it, to stand behind its id."""
    return f" ({entry.damage or 'unreadable'})" if entry.facts is None else f" (serial {entry.facts.serial})"


@dataclass(frozen=True, kw_only=True)
class RootSeen:
    """One root's state. `entries` and `copies` (in the other region's bucket) are None where there is no such bucket.

    `remembered` is what this machine last found sound; of root 1, its working copy. `known` is what is written down of it in
    the other region, None where there is no such bucket either, or what is written down there is damaged: then
    `damaged_memory` says where and how. `terraform` is how the operator's shell calls Terraform on
    this root, up to its subcommand.
    """

    place: StatePlace
    terraform: str
    entries: Look[tuple[StateEntry, ...]]
    copies: Look[tuple[StateEntry, ...]]
    digest: Look[str]
    item: Look[LockSeen]
    file: Look[LockSeen]
    remembered: Look[StateMark]
    known: Look[KnownState]
    left: Look[LeftState]
    damaged_memory: str = ""

    @property
    def root(self) -> StateRoot:
        """Return whose state it is."""
        return self.place.root

    @property
    def history(self) -> StateHistory:
        """Return the entries that are there as a history; none where they could not be seen."""
        return StateHistory(
            root=self.place.root,
            bucket=self.place.bucket,
            key=self.place.key,
            region=self.place.region,
            entries=self.entries.found or (),
            keeps_digest=self.place.keeps_digest,
            digest=self.digest.found,
        )

    @property
    def top(self) -> StateEntry | None:
        """Return what stands on top: a version, or a delete marker."""
        return self.history.current

    @property
    def state(self) -> StateFacts | None:
        """Return what the present state says of itself; None where there is none that can be read."""
        return None if self.top is None else self.top.facts

    @property
    def of_digest(self) -> StateEntry | None:
        """Return the version that the digest is of; None where it is of none."""
        of = (entry for entry in self.history.entries if entry.md5 is not None and entry.md5 == self.digest.found)
        return next(of, None)

    @property
    def digest_words(self) -> str:
        """Return which version the digest is of, for a sentence."""
        entry = self.of_digest
        return "that of no version" if entry is None else f"that of version {entry.version_id}{serial_words(entry)}"

    @property
    def fork(self) -> Fork | None:
        """Return where the history leaves the state that is remembered."""
        known = known_states.counting(self.memory)
        return None if known is None else state_history.fork(self.history.entries, known)

    @property
    def worker(self) -> LockSeen | None:
        """Return a lock whose holder lives: what is changed now may not be whole yet."""
        locks = (look.found for look in (self.item, self.file) if look.found is not None)
        return next((lock for lock in locks if lock.holding.life is Life.LIVES), None)

    @property
    def memory(self) -> Memory:
        """Return what is remembered, as far as it could be seen."""
        return Memory(here=self.remembered.found, there=self.known.found, unseen=self.known.unseen)

    def whose(self, env: str) -> Whose:
        """Return what a state of this root is held against."""
        known = known_states.counting(self.memory)
        return Whose(environment=env, lineage=None if known is None else known.lineage, known=known)


@dataclass(frozen=True, kw_only=True)
class KindSeen:
    """What bears our tags of one kind, in both regions."""

    kind: str
    things: Look[tuple[OwnedThing, ...]]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that was looked at. Of the buckets it is their versioning, in S3's word; of the table its status.

    `terraform` is the version here; `cut_off` are runs of this machine that never ended and whose process is gone;
    `recorded` are the ids of all that the states of both roots know. `shell` is what stands before `aws` in the operator's.
    `at_work` is who changes the environment just now. `rules` are those by which S3 copies the bucket, under `replica_key` and
    by `replicator`, an ARN of a role; `denied` and `replica_denied` are what each bucket's policy keeps everybody from, and whom
    it leaves out of that, by the patterns of their ARNs.
    """

    env: str
    now: datetime
    mode: LockMode
    table_name: str
    replica_name: str
    replica_region: str
    shell: str
    bucket: Look[str]
    replica_bucket: Look[str]
    table: Look[str]
    terraform: Look[tuple[int, ...]]
    at_work: Look[AtWork]
    rules: Look[tuple[CopyRule, ...]]
    replica_key: Look[str]
    replicator: str
    denied: Look[Mapping[str, frozenset[str]]]
    replica_denied: Look[Mapping[str, frozenset[str]]]
    as_break_glass: Callable[[str], str]
    cut_off: Look[tuple[str, ...]]  # as each is told
    roots: tuple[RootSeen, ...]
    kinds: tuple[KindSeen, ...]
    recorded: Look[frozenset[str]]

    @property
    def strangers(self) -> list[OwnedThing]:
        """Return what bears our tags and is in no state."""
        recorded = self.recorded.found or frozenset()
        return [thing for kind in self.kinds for thing in kind.things.found or () if not thing.ids & recorded]
