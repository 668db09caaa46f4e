"""The command that puts a state right: which version of which bucket, or what exists in AWS."""

from __future__ import annotations

from dataclasses import replace

from lifeboat.decisions import state_choice
from lifeboat.decisions.state_observation import Observation, RootSeen
from lifeboat.state_model import LatestGood, StateEntry, StateRoot, VersionId

LIST = "lifeboat state list"
AGAIN = "lifeboat state doctor"


def options(root: RootSeen) -> str:
    """Return the option by which a command about states means this root's."""
    return "" if root.root is StateRoot.STACK else f" --root {root.root.value}"


def restore(root: RootSeen, version: VersionId) -> str:
    """Return the command that makes a version the state."""
    return f"lifeboat state restore {version}{options(root)}"


def from_replica(root: RootSeen) -> str:
    """Return the command that makes the newest copy of the other region the state."""
    return f"lifeboat state restore --from-replica{options(root)}"


def unlock(root: RootSeen, lock_id: str) -> str:
    """Return the command that removes a lock, once it has looked whether its holder lives."""
    return f"lifeboat state unlock {lock_id}{options(root)}"


def sound(seen: Observation, root: RootSeen) -> StateEntry | None:
    """Return the newest version that is fit to be the state; None where none is left."""
    return state_choice.choose(root.history, LatestGood(), root.whose(seen.env)).chosen


def sound_copy(seen: Observation, root: RootSeen) -> StateEntry | None:
    """Return the same of what the other region has."""
    copies = replace(root.history, bucket=seen.replica_name, entries=tuple(root.copies.found or ()), keeps_digest=False)
    return state_choice.choose(copies, LatestGood(), root.whose(seen.env)).chosen


def mend(seen: Observation, root: RootSeen) -> str:
    """Return the command that puts the best version that is left on top: of this bucket, of the copy, or made anew."""
    best = sound(seen, root)
    if best is not None:
        return restore(root, best.version_id)
    if sound_copy(seen, root) is not None:
        return from_replica(root)
    return _working_copy(seen) if root.root is StateRoot.BACKEND and root.remembered.found else rebuild(root)


def _working_copy(seen: Observation) -> str:
    """Return the command that brings root 1's working copy, which this machine has, into the bucket: an apply.

    It goes on to the stack, and with another state of that than its own it would make everything once more.
    """
    stack = next((one for one in seen.roots if one.root is StateRoot.STACK), None)
    if stack is None:
        return AGAIN
    best = sound(seen, stack)
    return "lifeboat apply" if best is not None and best.latest else mend(seen, stack)


def rebuild(root: RootSeen) -> str:
    """Return the command that makes a state anew of what exists."""
    return f"lifeboat state rebuild{options(root)}"
