"""Who holds a state's lock: what this machine's processes tell, and what the runs of this checkout wrote down."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from lifeboat.clients import machines, run_files, state_locks
from lifeboat.clients.run_files import Unfinished
from lifeboat.decisions import interrupted
from lifeboat.decisions.state_observation import LockSeen
from lifeboat.site import Site
from lifeboat.state_model import LockedState, StateLock


def seen(site: Site, lock: StateLock, state: LockedState, dead: Collection[Unfinished] | None = None) -> LockSeen:
    """Return a lock with whether its holder lives, as far as it can be told from here.

    `dead` are the runs of which one may have left it; None for those of this checkout that were cut off.
    """
    runs = run_files.cut_off(site.project.work) if dead is None else dead
    own = {lock.lock_id} if any(_took(run, lock) for run in runs) else set()
    return LockSeen(lock=lock, holding=state_locks.holding(lock, state, own))


def _took(run: Unfinished, lock: StateLock) -> bool:
    """Return whether a Terraform took it which a run started that never ended, surely on this machine.

    The Terraform of one that ended was waited for.
    """
    return _was_here(run.machine, lock.created) and interrupted.is_ours(
        lock, user=run.user, host=run.host, starts=run.terraform_starts
    )


def _was_here(machine: str, created: datetime | None) -> bool:
    """Return whether a run was of this machine, booted since or not; where it did not write that down, nobody knows."""
    if machine == machines.machine():
        return True
    return created is not None and machines.booted_since(machine, created)
