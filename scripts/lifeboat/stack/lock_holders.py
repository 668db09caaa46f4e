"""Who holds a state's lock: what this machine's processes tell, and what the runs of this checkout wrote down."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lifeboat.clients import machines, run_files, state_locks
from lifeboat.decisions import interrupted
from lifeboat.decisions.state_observation import LockSeen
from lifeboat.model import RemoteLock
from lifeboat.site import Site
from lifeboat.state_model import LockedState, StateLock


def seen(site: Site, lock: StateLock, state: LockedState) -> LockSeen:
    """Return a lock with whether its holder lives, as far as it can be told from here."""
    return LockSeen(lock=lock, holding=state_locks.holding(lock, state, _own(site, [lock])))


def _own(site: Site, locks: Iterable[StateLock]) -> frozenset[str]:
    """Return the ids of those that a Terraform took which a run of this checkout started, surely on this machine.

    Only runs that never ended count: the Terraform of one that ended was waited for.
    """
    runs = run_files.cut_off(site.project.work)
    return frozenset(
        lock.lock_id
        for lock in locks
        for run in runs
        if _was_here(run.machine, lock.created)
        and interrupted.is_ours(
            RemoteLock(lock_id=lock.lock_id, who=lock.who, operation=lock.operation, created=lock.created),
            user=run.user,
            host=run.host,
            starts=run.terraform_starts,
        )
    )


def _was_here(machine: str, created: datetime | None) -> bool:
    """Return whether a run was of this machine, booted since or not; where it did not write that down, nobody knows."""
    if machine == machines.machine():
        return True
    return created is not None and machines.booted_since(machine, created)
