"""Checks of what a state hangs on: its buckets, its lock table, and what locks it."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.decisions import state_mending
from lifeboat.decisions import state_verdicts as verdicts
from lifeboat.decisions.durations import said
from lifeboat.decisions.state_observation import LockSeen, Look, Observation, RootSeen
from lifeboat.decisions.state_verdicts import Finding, Outcome
from lifeboat.state_model import REBUILDING, RESTORING, AtWork, Life, LockPlace, StateEntry, StateLock, origin_words

_WRITING = {RESTORING: "restore", REBUILDING: "rebuild"}


def at_work(seen: Observation) -> Outcome:
    """Does somebody change the environment just now?"""
    if hidden := verdicts.unseen(seen.at_work):
        return hidden
    if seen.at_work.found is None:
        return verdicts.good("nobody changes the environment just now")
    return verdicts.notice(
        f"{_works(seen, seen.at_work.found)}; what it has not written yet is missing, and no accident",
        "nothing to do until it has ended",
        state_mending.AGAIN,
    )


def _works(seen: Observation, work: AtWork) -> str:
    where = "another machine" if work.elsewhere else "this machine"
    article = "an" if work.what[:1] in "aeiou" else "a"
    return f"{article} {work.what} of {where} runs since {work.since:%H:%M:%S}Z, for {said(seen.now - work.since)} ({work.who})"


def awaited(seen: Observation, finding: Finding) -> Finding:
    """Return what is missing while somebody is at work that makes it: it is waited for, and nothing is repaired."""
    if seen.at_work.found is None:
        return finding
    return verdicts.notice(
        f"{finding.found}; {_works(seen, seen.at_work.found)}, and may not have come to it",
        "that run ended; then it is looked at anew",
        state_mending.AGAIN,
    )


def bucket(seen: Observation) -> Outcome:
    """Is the bucket there, and does it answer?"""
    if hidden := verdicts.unseen(seen.bucket):
        return hidden
    place = seen.roots[0].place
    if seen.bucket.found is not None:
        return verdicts.good(f"{place.bucket} in {place.region} answers")
    # What cannot be seen may be there: then it is no first apply.
    signs = [look for root in seen.roots for look in (root.copies, root.remembered, root.known)]
    if hidden := verdicts.unseen(*signs, seen.recorded, *(kind.things for kind in seen.kinds)):
        return hidden
    found = f"there is no bucket {place.bucket} in {place.region}"
    copied = [root for root in seen.roots if state_mending.sound_copy(seen, root) is not None]
    if copied:
        # What is restored into an empty bucket leaves something to change, and a status other than 0 would end the line:
        # the doctor names one restore after the other.
        return verdicts.critical(
            f"{found}, and {seen.replica_name} has copies of what was in it",
            "the bucket, with the state in it: an apply would make everything a second time",
            " && ".join([*_bucket_made(seen), state_mending.AGAIN]),
        )
    if any(root.remembered.found or root.known.found or root.damaged_memory for root in seen.roots) or seen.strangers:
        return verdicts.critical(
            f"{found}, nor a copy in {seen.replica_name}",
            "the bucket, with the state in it: an apply would make everything a second time",
            " && ".join([*_bucket_made(seen), state_mending.rebuild(seen.roots[-1])]),
        )
    return verdicts.notice(f"{found}; nothing here says that anything was ever applied", "the bucket", "lifeboat apply")


def _bucket_made(seen: Observation) -> list[str]:
    """Return what makes the bucket and no more: an apply would go on to the stack, with no state of it."""
    place = seen.roots[0].place
    where = "" if place.region == "us-east-1" else f" --create-bucket-configuration LocationConstraint={place.region}"
    return [
        f"{seen.shell}aws s3api create-bucket --bucket {place.bucket} --region {place.region}{where}",
        state_mending.versioned(place.bucket),
    ]


def table(seen: Observation) -> Outcome:
    """Is the lock table there, and active?"""
    if hidden := verdicts.unseen(seen.table):
        return hidden
    if seen.table.found in ("ACTIVE", "UPDATING"):
        return verdicts.good(f"{seen.table_name} is {str(seen.table.found).lower()}")
    needed = seen.mode != "lockfile"
    why = "Terraform cannot lock the state" if needed else "lifeboat cannot keep two operators apart"
    how = "not there" if seen.table.found is None else seen.table.found.lower()
    make = verdicts.critical if needed else verdicts.warning
    return make(f"the lock table {seen.table_name} is {how}: {why}", "the table, active", "lifeboat apply")


def runs(seen: Observation) -> Outcome:
    """Was a run of this machine cut off, and not repaired yet?"""
    if hidden := verdicts.unseen(seen.cut_off):
        return hidden
    if not seen.cut_off.found:
        return verdicts.good("no run of this machine was cut off")
    return verdicts.warning(
        f"cut off on this machine, and not repaired: {', '.join(seen.cut_off.found)}",
        "every run ended",
        "lifeboat apply",
    )


# -- locks ----------------------------------------------------------------------------------------------------------


def item(seen: Observation, root: RootSeen) -> Outcome:
    """Does somebody hold the lock in the table, and do they live?"""
    return _lock(seen, root, root.item, LockPlace.TABLE)


def file(seen: Observation, root: RootSeen) -> Outcome:
    """Does somebody hold the lock file, and do they live?"""
    return _lock(seen, root, root.file, LockPlace.FILE)


def _lock(seen: Observation, root: RootSeen, look: Look[LockSeen], place: LockPlace) -> Outcome:
    if hidden := verdicts.unseen(look):
        return hidden
    if look.found is None:
        if place is LockPlace.TABLE and seen.table.found is None and not seen.table.unseen:
            return verdicts.moot("there is no lock table")
        if place is LockPlace.FILE and seen.bucket.found is None and not seen.bucket.unseen:
            return verdicts.moot("there is no bucket")
        return verdicts.good(f"nothing locks the state in its {place}")
    lock, holding = look.found.lock, look.found.holding
    if not lock.lock_id:
        return verdicts.critical(
            f"what lies in the {place} is not what Terraform writes, and it can neither take nor remove such a lock",
            "a lock of Terraform's, or none",
            _remove_by_hand(seen, root, place),
        )
    age = "since nobody knows when" if lock.created is None else f"for {said(seen.now - lock.created)}"
    told = f"locked by {lock.who or 'nobody known'} {age} ({lock.operation}, lock {lock.lock_id}): {holding.why}"
    unlock = state_mending.unlock(root, lock.lock_id)
    if holding.life is Life.LIVES:
        return verdicts.notice(f"{told}, and lives", "nothing to do until it has ended", state_mending.AGAIN)
    if lock.operation in _WRITING:
        return _interrupted(seen, root, look.found, told)
    if not _looked_at(seen, place):
        return verdicts.notice(
            f"{told}; the lock mode {seen.mode} does not look there", f"nothing in the {place}", unlock
        )
    make = verdicts.critical if holding.life is Life.GONE else verdicts.warning
    return make(told, "no lock whose holder is gone: until then Terraform refuses to work", unlock)


def _looked_at(seen: Observation, place: LockPlace) -> bool:
    """Return whether Terraform heeds a lock there in the mode that is set."""
    return seen.mode == "both" or (seen.mode == "dynamodb") == (place is LockPlace.TABLE)


def _remove_by_hand(seen: Observation, root: RootSeen, place: LockPlace) -> str:
    where = root.place
    if place is LockPlace.FILE:
        return f"{seen.shell}aws s3api delete-object --bucket {where.bucket} --key {where.key}.tflock"
    key = f'{{"LockID": {{"S": "{where.bucket}/{where.key}"}}}}'
    return f"{seen.shell}aws dynamodb delete-item --table-name {seen.table_name} --key '{key}'"


def _interrupted(seen: Observation, root: RootSeen, held: LockSeen, told: str) -> Outcome:
    """Say how far a restore or rebuild came that was stopped: nothing written, no digest yet, or everything."""
    lock, top = held.lock, root.top
    work = _WRITING[lock.operation]
    gone = held.holding.life is Life.GONE
    before = f"a {work} was interrupted{'' if gone else ', or is under way elsewhere'}: the state is {told}"
    make = verdicts.critical if gone else verdicts.warning
    unlock = state_mending.unlock(root, lock.lock_id)
    if root.entries.unseen or (root.place.keeps_digest and root.digest.unseen):
        return make(f"{before}; how far it came could not be seen", "no lock whose holder is gone", unlock)
    if top is None or top.made_of is None or not _wrote(lock, top):
        return make(
            f"{before}; it has written nothing, and the state is what it was before",
            f"no lock whose holder is gone; {work} again where that is still wanted",
            unlock,
        )
    serial = "" if top.facts is None else f", serial {top.facts.serial}"
    written = f"it has written version {top.version_id}{serial}, made of {origin_words(top.made_of)}"
    if not root.place.keeps_digest or root.digest.found == top.md5:
        rest = " and its digest" if root.place.keeps_digest else ""
        return make(f"{before}; {written}{rest}: nothing but the lock is left", "no lock whose holder is gone", unlock)
    return make(
        f"{before}; {written}, and not its digest, which is {root.digest_words}",
        "the digest of the version on top, and no lock",
        f"{unlock} && {state_mending.restore(root, top.version_id)}",
    )


def _wrote(lock: StateLock, top: StateEntry) -> bool:
    """Return whether what is on top was written by who took this lock. S3 tells whole seconds, cut off."""
    return top.made_of is not None and (lock.created is None or top.written_at >= lock.created - timedelta(seconds=1))
