"""Checks of what a state is held against: its digest, its copy in the other region, and what exists in AWS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from lifeboat.decisions import state_documents, state_mending
from lifeboat.decisions import state_verdicts as verdicts
from lifeboat.decisions.durations import said
from lifeboat.decisions.state_observation import KindSeen, Observation, RootSeen, serial_words
from lifeboat.decisions.state_verdicts import Outcome
from lifeboat.state_model import REBUILT, OwnedThing, StateEntry, StateRoot

# S3 promises 15 minutes at most where that is paid for (Replication Time Control), and copies most within seconds.
REPLICATES_WITHIN = timedelta(minutes=15)
_DIGEST = re.compile(r"[0-9a-f]{32}")
_IDS = ("id", "identifier", "bucket", "arn", "allocation_id")
_NAMED = 5  # of the things that a finding is about


def digest(seen: Observation, root: RootSeen) -> Outcome:
    """Is the digest that of what stands on top?"""
    if not root.place.keeps_digest:
        why = (
            "Terraform keeps none in the lock mode lockfile"
            if root.root is StateRoot.STACK
            else "of root 1 none is kept"
        )
        return verdicts.moot(why)
    if hidden := verdicts.unseen(root.digest, root.entries, seen.table):
        return hidden
    if seen.table.found is None:
        return verdicts.moot("there is no lock table that it could be in")
    top, digest = root.top, root.digest.found
    if top is None or top.marker:
        return verdicts.moot("there is no state object" + (f"; it is {root.digest_words}" if digest else ""))
    if top.md5 is None:
        return verdicts.moot(
            f"what stands on top was not read, so nobody knows of what it would be the digest: {top.damage}"
        )
    if digest == top.md5:
        return verdicts.good(f"it is that of version {top.version_id}, on top")
    if digest is None or not _DIGEST.fullmatch(digest):
        how = "missing" if digest is None else "empty" if not digest else "no MD5"
        return verdicts.warning(
            f"the digest is {how}, so Terraform takes whatever stands on top for the newest state",
            f"{top.md5}, of version {top.version_id}",
            _settle(seen, root, top),
        )
    if root.worker is not None:
        return verdicts.notice(
            f"the digest is {root.digest_words}, and not of version {top.version_id} on top; the state is just worked on:"
            f" {root.worker.holding.why}",
            "the digest of what is on top, once that has ended",
            state_mending.AGAIN,
        )
    begin = f"the digest is {root.digest_words}, and version {top.version_id}{serial_words(top)} is on top"
    return verdicts.critical(
        f"{begin}: {_how_it_came(root, top)}; every Terraform command fails",
        "the digest of what is on top",
        _settle(seen, root, top),
    )


def _follows(root: RootSeen, top: StateEntry) -> bool:
    """Return whether what is on top is the direct successor of what the digest is of."""
    before = root.of_digest
    if before is None or before.facts is None or top.facts is None:
        return False
    return top.facts.lineage == before.facts.lineage and top.facts.serial == before.facts.serial + 1


def _how_it_came(root: RootSeen, top: StateEntry) -> str:
    before = root.of_digest
    if top.made_of is not None:
        work = "a rebuild" if top.made_of == REBUILT else f"a restore of version {top.made_of}"
        return f"{work} was stopped before it wrote the digest"
    if _follows(root, top):
        return "a Terraform wrote the state and not its digest"
    known = None if before is None else before.facts
    if known is not None and top.facts is not None and top.facts.serial <= known.serial:
        return "an older state was put over it by hand"
    return "one of the two was written by something else than Terraform"


def _settle(seen: Observation, root: RootSeen, top: StateEntry) -> str:
    """Return the command after which state and digest agree, with the right state on top."""
    best = state_mending.sound(seen, root)
    if best is None or best.version_id != top.version_id:
        return state_mending.mend(seen, root)
    if top.made_of is None and seen.cut_off.found and _follows(root, top):
        return "lifeboat apply"  # it repairs this, and takes over what the run had begun
    return state_mending.restore(root, top.version_id)


def replica(seen: Observation, root: RootSeen) -> Outcome:
    """Does the other region have the state, or how far is it behind?"""
    if hidden := verdicts.unseen(root.copies, root.entries):
        return hidden
    if root.copies.found is None:
        return verdicts.moot("there is no replica bucket")
    copies = [entry for entry in root.copies.found if not entry.marker]
    top = root.top
    if top is None or top.marker:
        newest = f"the newest copy is version {copies[0].version_id}{serial_words(copies[0])}" if copies else "no copy"
        return verdicts.moot(f"there is no state object to be copied; {newest}")
    if top.md5 is None:
        return verdicts.moot(f"what stands on top was not read, so it cannot be found there: {top.damage}")
    known = {entry.md5 for entry in copies if entry.md5 is not None}
    if top.md5 in known:
        return verdicts.good(f"version {top.version_id}{serial_words(top)} is there")
    ahead = _ahead(root, copies)
    if ahead is not None:
        return verdicts.critical(
            f"the other region has a newer state: version {ahead.version_id}{serial_words(ahead)}, and here version"
            f" {top.version_id}{serial_words(top)} is on top",
            "the newest state here",
            state_mending.from_replica(root),
        )
    return _behind(seen, root, known)


def _ahead(root: RootSeen, copies: list[StateEntry]) -> StateEntry | None:
    """Return a copy of a state that this bucket has no more, and that is newer than the present one."""
    state, here = root.state, {entry.md5 for entry in root.history.entries}
    return next(
        (
            copy
            for copy in copies
            if state is not None
            and copy.facts is not None
            and copy.md5 not in here
            and copy.facts.lineage == state.lineage
            and copy.facts.serial > state.serial
        ),
        None,
    )


def _behind(seen: Observation, root: RootSeen, known: set[str]) -> Outcome:
    missing: list[StateEntry] = []
    for entry in root.history.entries:
        if not entry.marker:
            if entry.md5 in known:
                break
            missing.append(entry)
    newest = next((entry for entry in root.history.entries if not entry.marker and entry.md5 in known), None)
    lag = seen.now - missing[-1].written_at
    serials = ""
    if newest is not None and newest.facts is not None and root.state is not None:
        serials = f", serial {newest.facts.serial} there and {root.state.serial} here"
    many = f"{len(missing)} version{'' if len(missing) == 1 else 's'}"
    behind = f"the copy is {many} behind{serials}, for {lag.total_seconds():.0f} s"
    if lag <= REPLICATES_WITHIN:
        return verdicts.good(f"{behind}: S3 takes up to {said(REPLICATES_WITHIN)}")
    # S3 never copies what was there before: an apply mends the rule alone, and writes no version where nothing changes.
    here, there = f"s3://{root.place.bucket}/{root.place.key}", f"s3://{seen.replica_name}/{root.place.key}"
    copied = f"aws s3 cp {here} {there} --source-region {root.place.region} --region {seen.replica_region}"
    return verdicts.warning(
        behind,
        f"each version there within {said(REPLICATES_WITHIN)}; where its rule is gone, lifeboat apply makes it again",
        f"{seen.shell}{copied}",
    )


def recorded(body: bytes | None) -> frozenset[str]:
    """Return all that a state may know its managed resources by: ids, names of databases and buckets, ARNs.

    What is no state knows nothing, whatever it is: that it is none, another check says.
    """
    try:
        known = list(state_documents.managed_attributes(body or b""))
    except ValueError:
        return frozenset()
    return frozenset(value for one in known for name in _IDS if isinstance(value := one.get(name), str))


def things(seen: Observation, kind: KindSeen) -> Outcome:
    """Is everything of a kind that bears our tags in a state?"""
    if hidden := verdicts.unseen(kind.things, seen.recorded, *(root.entries for root in seen.roots)):
        return hidden
    found, recorded = kind.things.found or (), seen.recorded.found or frozenset()
    lost = [root.place.url for root in seen.roots if root.state is None]
    if lost:
        exist = f"; {_names(found)} bear our tags" if found else ""
        return verdicts.moot(f"there is no state to hold it against in {' and '.join(lost)}{exist}")
    strange = [thing for thing in found if not thing.ids & recorded]
    if not strange:
        return verdicts.good(f"{len(found)} bear our tags, and all are in a state")
    return verdicts.warning(
        f"{len(strange)} of {len(found)} that bear our tags are in no state: {_names(strange)}",
        "each in a state, or gone: what a state does not know, Terraform makes a second time",
        _known_again(seen, strange[0]),
    )


def _names(things: Sequence[OwnedThing]) -> str:
    names = ", ".join(f"{thing.name} in {thing.region}" for thing in things[:_NAMED])
    return f"{names} and {len(things) - _NAMED} more" if len(things) > _NAMED else names


def _known_again(seen: Observation, thing: OwnedThing) -> str:
    """Return the command after which a state may know a thing that exists."""
    for root in seen.roots:
        best = state_mending.sound(seen, root)
        if best is not None and not best.latest:
            return state_mending.restore(root, best.version_id)
    if seen.cut_off.found:
        return "lifeboat apply"  # it adopts what a run that was cut off had made
    return f"{seen.roots[-1].terraform} import ADDRESS {thing.name}"
