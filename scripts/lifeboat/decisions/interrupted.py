"""What an interrupted apply left and what may be done about it: locks, digests, half-made resources."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.model import Address, Progress, StateMark, StateVersion, state_address
from lifeboat.state_model import StateLock

# Clocks of one machine agree; the margin covers Terraform starting a moment before that was written down.
_MARGIN = timedelta(seconds=5)
# A Terraform locks the state first of all. What was locked later was locked by somebody else, by hand perhaps.
_LOCKED_WITHIN = timedelta(minutes=3)


def is_ours(lock: StateLock, *, user: str, host: str, starts: Iterable[datetime]) -> bool:
    """Return whether a lock was taken by one of the Terraforms that a run of this user on this host started then."""
    if lock.created is None or lock.who != f"{user}@{host}":
        return False
    return any(start - _MARGIN <= lock.created <= start + _LOCKED_WITHIN for start in starts)


@dataclass(frozen=True, kw_only=True)
class DigestRepair:
    """The digest to write instead of the stale one, or why that must not be done."""

    write: str | None
    why: str


def digest_repair(versions: Sequence[StateVersion], digest: str | None) -> DigestRepair:
    """Decide what to do when the newest state and the digest disagree (versions newest first).

    Safe only when the newest version is the direct successor (same lineage, serial + 1) of the one that the digest
    names: then a kill fell between the two writes. Anything else needs a person.
    """
    if not versions:
        return DigestRepair(write=None, why="there is no state version at all")
    newest = versions[0]
    if newest.serial is None:
        return DigestRepair(write=None, why="the newest version is not a Terraform state")
    if newest.md5 == digest:
        return DigestRepair(write=None, why="state and digest agree")
    if digest is None:
        if len(versions) == 1:
            return DigestRepair(write=newest.md5, why="the first state was written and its digest was not")
        return DigestRepair(write=None, why="the digest is missing although several states were written")
    before = next((v for v in versions[1:] if v.md5 == digest), None)
    if before is None or before.serial is None:
        return DigestRepair(write=None, why="the digest belongs to none of the newest versions")
    if before.lineage != newest.lineage:
        return DigestRepair(write=None, why="the newest version has another lineage")
    if newest.serial != before.serial + 1:
        return DigestRepair(write=None, why=f"serial {newest.serial} does not follow {before.serial}")
    return DigestRepair(write=newest.md5, why=f"serial {newest.serial} was written and its digest was not")


def doubt(found: StateMark | None, known: StateMark | None, versions: Iterable[StateVersion]) -> str | None:
    """Return why a state whose digest is lost must not be given a new one unseen; None where nothing speaks against it.

    `known` is what was last found sound, `versions` are the newest of its object. A digest is there to tell an
    older state from the newest: where it is lost, lineage and serial are what is left to tell it by.
    """
    if found is None:
        return "it is not a Terraform state"
    if known == found:
        return None
    newer = [(v.serial, v.version_id) for v in versions if v.serial is not None and v.serial > found.serial]
    if newer:
        serial, version = max(newer)
        return f"its serial is {found.serial}, and version {version} of it has {serial}"
    if known is None:
        return None
    if found.lineage != known.lineage:
        return f"its lineage is {found.lineage}, and {known.lineage} was known last"
    if found.serial < known.serial:
        return f"its serial is {found.serial}, and {known.serial} was known last"
    if found.serial == known.serial:
        return f"it is not the state of serial {known.serial} that was known last"
    return None


def unfinished(progress: Iterable[Progress]) -> set[Address]:
    """Return what a cut-off apply had begun and not reported as done."""
    progress = list(progress)
    return {p.address for p in progress} - {p.address for p in progress if p.kind == "done"}


def untainted(state: bytes, addresses: Collection[Address]) -> bytes | None:
    """Return the state with these resources trusted again and the serial raised; None when none of them is tainted.

    Terraform taints what it was creating when it was interrupted. Such a thing exists and is usually whole: replacing
    it would destroy a database that just needed one more minute. The next plan reads it and mends what is unfinished.
    What was tainted for another reason stays so.
    """
    document = json.loads(state)
    changed = False
    for resource in document.get("resources", []):
        for instance in resource["instances"]:
            if instance.get("status") == "tainted" and state_address(resource, instance) in addresses:
                del instance["status"]
                changed = True
    if not changed:
        return None
    document["serial"] += 1
    return json.dumps(document, indent=2).encode()
