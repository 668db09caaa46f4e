"""What a restore of Terraform's state has yet to write, and what would be known no more once it is written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lifeboat.decisions import state_history
from lifeboat.model import Address, RunId, StateMark
from lifeboat.state_model import REBUILDING, RESTORING, OwnedThing, StateDiff, StateEntry, StateFacts


@dataclass(frozen=True, kw_only=True)
class Verb:
    """What writes a state over: its command, the name in its runs (20261128T032535Z-state-restore-1a2b3c), its lock's operation."""

    command: str
    run: str
    lock: str

    @property
    def noun(self) -> str:
        """Return what one such work is called."""
        return self.command.removeprefix("state ")


RESTORE = Verb(command="state restore", run="state-restore", lock=RESTORING)
REBUILD = Verb(command="state rebuild", run="state-rebuild", lock=REBUILDING)
VERBS = (RESTORE, REBUILD)


# -- a state with another serial ---------------------------------------------------------------------------------------


def with_serial(body: bytes, serial: int) -> bytes:
    """Return the state with this serial and every other byte as it was: order, spaces and escapes count as content.

    Raises ValueError where it is not one JSON object with exactly one serial, a whole number.
    """
    text = body.decode("utf-8")
    at, end = _serial(text)
    return f"{text[:at]}{serial}{text[end:]}".encode()


def _serial(text: str) -> tuple[int, int]:
    """Return where the number of the document's own serial begins and ends; one deeper inside is not looked at."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    decoder, found = json.JSONDecoder(), list[tuple[int, int]]()
    at = _behind(text, 0, "{")
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        begin = _behind(text, at, ":")
        value, end = decoder.raw_decode(text, begin)
        if key == "serial":
            if type(value) is not int:
                raise ValueError("its serial is no whole number")
            found.append((begin, end))
        at = _behind(text, end, ",")
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} serials instead of one")
    return found[0]


def _behind(text: str, at: int, sign: str) -> int:
    """Return where the next thing begins: behind blanks, this sign where it stands there, and the blanks after it."""
    match = re.compile(rf"[ \t\n\r]*{re.escape(sign)}?[ \t\n\r]*").match(text, at)
    return at if match is None else match.end()


def same_content(one: bytes, other: bytes) -> bool:
    """Return whether two states say the same, whatever their serials; what is no state says nothing."""
    try:
        return with_serial(one, 0) == with_serial(other, 0)
    except ValueError:
        return False


def md5(body: bytes) -> str:
    """Return the digest that Terraform's S3 backend keeps of a state."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


# -- what has to be written --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FreeLock:
    """Take away Terraform's lock that a dead restore or rebuild of this machine left, wherever it lies."""

    lock_id: str


@dataclass(frozen=True, kw_only=True)
class PutState:
    """Write the state on top of what was looked at; no version goes away for it."""

    serial: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class PutDigest:
    """Write the digest of the state, provided it still is `instead_of` (None: there is none)."""

    digest: str
    instead_of: str | None


Write = FreeLock | PutState | PutDigest


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was looked at: the chosen version, what stands on top, whose serials are taken, the digest, ids of locks left over.

    `on_top` is None where nothing stands there, or a delete marker. `rivals` are the marks of everything that was ever
    seen of this state, on top or not. `keeps_digest` is false too where there is no table to keep it in.
    """

    chosen: bytes = field(repr=False)
    on_top: bytes | None = field(repr=False)
    rivals: tuple[StateMark, ...] = ()
    keeps_digest: bool
    digest: str | None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """The state that is to stand on top, and the writes still missing, in the order in which they are safe."""

    body: bytes = field(repr=False)
    serial: int
    writes: tuple[Write, ...]

    @property
    def writes_state(self) -> bool:
        """Whether another state comes on top."""
        return any(isinstance(write, PutState) for write in self.writes)


def plan(seen: Seen) -> Restoring:
    """Return what is still to be written so that the chosen version stands on top under the highest serial of all.

    The object goes before its digest: cut off in between, every Terraform refuses to read the state, and the next plan is
    the digest alone. The other way round, a lost object write would leave a digest that no version has. What stands on
    top already is not written once more, so the second of two equal restores has nothing to do.
    """
    body = _standing(seen)
    writes: list[Write] = [FreeLock(lock_id=lock_id) for lock_id in seen.left]
    if body is None:
        body = with_serial(seen.chosen, _highest(seen) + 1)
        writes.append(PutState(serial=_number(body), digest=md5(body)))
    if seen.keeps_digest and seen.digest != md5(body):
        writes.append(PutDigest(digest=md5(body), instead_of=seen.digest))
    return Restoring(body=body, serial=_number(body), writes=tuple(writes))


def _standing(seen: Seen) -> bytes | None:
    """Return what stands on top where it is the chosen content under a serial that no other content has or exceeds."""
    if seen.on_top is None or not same_content(seen.on_top, seen.chosen):
        return None
    others = [mark.serial for mark in seen.rivals if mark.md5 != md5(seen.on_top)]
    return seen.on_top if _number(seen.on_top) > max(others, default=-1) else None


def _highest(seen: Seen) -> int:
    return max([_number(seen.chosen), *(mark.serial for mark in seen.rivals)])


def _number(body: bytes) -> int:
    text = body.decode("utf-8")
    at, end = _serial(text)
    return int(text[at:end])


def words(write: Write, place: str) -> str:
    """Return one write in words, for the preview and the journal; `place` is the object: s3://bucket/key."""
    match write:
        case FreeLock(lock_id=lock_id):
            return f"remove the lock {lock_id}, which an interrupted restore or rebuild of the state left"
        case PutState(serial=serial):
            return f"write serial {serial} on top of {place}; every version below it stays"
        case PutDigest(digest=digest, instead_of=None):
            return f"write the digest {digest}, which is missing"
        case PutDigest(digest=digest, instead_of=before):
            return f"write the digest {digest} instead of {before or 'an empty one'}"


# -- what would be known no more ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Vanishing:
    """A resource that some state of ours, or AWS, has and the restored one would not: Terraform would make it once more."""

    address: Address
    id: str
    known_to: str


def vanishing(changes: Sequence[tuple[str, StateDiff]]) -> tuple[Vanishing, ...]:
    """Return what the chosen state would not know, given what changes from each state that counts to the chosen one.

    The same address with another id is another thing: the one that a replacement made would be nobody's. Each is told by
    the first state that has it.
    """
    found: dict[tuple[Address, str], Vanishing] = {}
    for known_to, change in changes:
        gone = [(view.address, view.id) for view in change.removed]
        for address, id_ in [*gone, *((one.address, one.old_id) for one in change.replaced)]:
            found.setdefault((address, id_), Vanishing(address=address, id=id_, known_to=known_to))
    return tuple(found[key] for key in sorted(found))


@dataclass(frozen=True, kw_only=True)
class Appearing:
    """A resource that the restored state has and no state that counts: it was destroyed since, or left to others."""

    address: Address
    id: str


def appearing(changes: Sequence[tuple[str, StateDiff]]) -> tuple[Appearing, ...]:
    """Return what the chosen state alone knows, given what changes from each state that counts to the chosen one."""
    added = [{(view.address, view.id) for view in change.added} for _, change in changes]
    alone = set.intersection(*added) if added else set()
    return tuple(Appearing(address=address, id=id_) for address, id_ in sorted(alone))


def unknown_elsewhere(found: Iterable[Vanishing], elsewhere: Mapping[Address, str]) -> tuple[Vanishing, ...]:
    """Return what vanishes and is not known to the other root's state either: its ids by address.

    Where that state was put over this one, all that is on top is still known where it belongs.
    """
    return tuple(one for one in found if elsewhere.get(one.address) != one.id)


def that_count(
    entries: Sequence[StateEntry], lineages: Iterable[str], known: StateMark | None
) -> tuple[StateEntry, ...]:
    """Return the versions whose resources a restore must not lose: what stands on top, and each lineage's highest serial.

    What stands on top says nothing new where it is a copy of an older version, under a lower serial than the highest:
    an old version put over the key knows things that Terraform has destroyed since. Of a serial that was written twice
    both count, and where the history leaves the state that is remembered (`known`), the last that went on from it.
    """
    top = next((entry for entry in entries if entry.latest and entry.facts is not None), None)
    newest = [one for lineage in lineages for one in ahead(entries, lineage, -1)]
    left = None if known is None else state_history.fork(entries, known)
    counted = [] if top is None or _is_old_copy(top, entries) else [top]
    for entry in [*newest, *([] if left is None or left.kept is None else [left.kept])]:
        if entry.md5 not in {one.md5 for one in counted}:
            counted.append(entry)
    return tuple(counted)


def _is_old_copy(top: StateEntry, entries: Sequence[StateEntry]) -> bool:
    earlier = {entry.md5 for entry in entries if not entry.latest and entry.facts is not None}
    return top.facts is not None and top.md5 in earlier and top.facts.serial < highest(entries, top.facts.lineage)


def highest(entries: Sequence[StateEntry], lineage: str) -> int:
    """Return the highest serial of a lineage; -1 where there is none."""
    return max((entry.facts.serial for entry in entries if entry.facts and entry.facts.lineage == lineage), default=-1)


def ahead(entries: Sequence[StateEntry], lineage: str, serial: int) -> tuple[StateEntry, ...]:
    """Return the versions of a lineage that have its highest serial, of each content the newest, where it is beyond this one."""
    most = highest(entries, lineage)
    if most <= serial:
        return ()
    newest: dict[str | None, StateEntry] = {}
    for entry in entries:
        if entry.facts is not None and (entry.facts.lineage, entry.facts.serial) == (lineage, most):
            newest.setdefault(entry.md5, entry)
    return tuple(newest.values())


def blind(entries: Sequence[StateEntry], chosen: StateEntry, remembered: Iterable[StateMark]) -> bool:
    """Return whether Terraform may have written something after the chosen version that no version here tells.

    One that cannot be read, a state that is remembered and is no version here though older ones are, a bucket with nothing
    readable: then only AWS can tell what was made since.
    """
    lost = any(e.facts is None and not e.marker and e.written_at >= chosen.written_at for e in entries)
    readable = [entry.facts for entry in entries if entry.facts is not None]
    contents = {entry.md5 for entry in entries}
    unknown = [mark for mark in remembered if mark.md5 not in contents]
    return lost or not readable or any(_passed(mark, readable) for mark in unknown)


def _passed(mark: StateMark, readable: Sequence[StateFacts]) -> bool:
    """Return whether a state without a version was there after, or beside, one that has: it did not leave by its age."""
    older = any(facts.lineage == mark.lineage and facts.serial <= mark.serial for facts in readable)
    return older or all(facts.serial < mark.serial for facts in readable)


def strangers(things: Sequence[OwnedThing], recorded: frozenset[str]) -> tuple[Vanishing, ...]:
    """Return what bears our tags in AWS and would be in no state, by the type of resource that it is."""
    return tuple(
        Vanishing(address=Address(thing.kind), id=thing.name, known_to=f"AWS in {thing.region}")
        for thing in things
        if not thing.ids & recorded
    )


def is_of(run: RunId, verbs: Iterable[Verb]) -> bool:
    """Return whether a run is the work of one of these verbs."""
    return run.partition("-")[2].startswith(tuple(f"{verb.run}-" for verb in verbs))
