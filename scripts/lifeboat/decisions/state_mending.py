"""The command that puts a state right: which version of which bucket, or what exists in AWS."""

from __future__ import annotations

from dataclasses import replace

from lifeboat.decisions import known_states, state_choice
from lifeboat.decisions.state_observation import Look, Observation, RootSeen
from lifeboat.state_model import LatestGood, StateEntry, StateRoot, VersionId

LIST = "lifeboat state list"
AGAIN = "lifeboat state doctor"


def versioned(bucket: str) -> str:
    """Return what enables the versioning of a bucket."""
    return f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"


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
    # What an apply makes anew must be gone altogether: it refuses to while a version or a copy is left, readable or not.
    gone = not (root.entries.found or root.copies.found)
    if root.root is StateRoot.BACKEND and (gone or root.remembered.found):
        return _by_an_apply(seen)
    return rebuild(root)


def _by_an_apply(seen: Observation) -> str:
    """Return the command that brings root 1's state back where no version is left: an apply.

    It has the working copy, or finds what root 1 made by its names. It goes on to the stack, whose state must be there before,
    where there ever was one: else it would make everything once more.
    """
    stack = next((one for one in seen.roots if one.root is StateRoot.STACK), None)
    if stack is None or any(look.unseen for look in looks_for_signs(seen, stack)):
        return AGAIN
    best = sound(seen, stack)
    ready = best is not None and best.latest
    never = not stack.entries.found and not signs(seen, stack)
    return "lifeboat apply" if ready or never else mend(seen, stack)


def looks_for_signs(seen: Observation, root: RootSeen) -> list[Look[object]]:
    """Return the looks that tell whether there ever was a state."""
    looks: list[Look[object]] = [root.remembered, root.known, root.copies]
    if root.place.keeps_digest:
        looks.append(root.digest)
    if root.root is StateRoot.STACK:
        looks += [seen.recorded, *(kind.things for kind in seen.kinds)]
    return looks


def signs(seen: Observation, root: RootSeen) -> list[str]:
    """Return what says that there was a state of which no version is left; nothing where there never was one."""
    here, there = root.remembered.found, root.known.found
    return [
        *([] if here is None else [f"this machine last knew serial {here.serial}"]),
        *([] if there is None else [f"serial {there.mark.serial} was {known_states.noted(there)}"]),
        *(["the other region remembers one"] if root.damaged_memory else []),
        *([f"{seen.replica_name} has copies of it"] if root.copies.found else []),
        *(["there is a digest of it"] if root.digest.found else []),
        *(["things exist that bear our tags"] if root.root is StateRoot.STACK and seen.strangers else []),
    ]


def rebuild(root: RootSeen) -> str:
    """Return the command that makes a state anew of what exists."""
    return f"lifeboat state rebuild{options(root)}"
