"""Whether a database can serve, by what RDS says of it, and how its content is told."""

from __future__ import annotations

from lifeboat.model import EncryptionKey

# RDS user guide, "Viewing Amazon RDS DB instance status": in none of these does it take connections, and it leaves none of
# them by itself. Others, such as modifying, backing-up or rebooting, it serves in or leaves within minutes.
_DEAD = ("failed", "stopped", "stopping", "deleting", "restore-error", "storage-full")
_DEAD_SINCE = ("inaccessible-encryption-credentials", "incompatible-")
# Of one that is restored: it never becomes usable by itself, and nobody has stopped it.
_BROKEN = ("failed", "restore-error", "inaccessible-encryption-credentials", "storage-full")


def is_broken(status: str) -> bool:
    """Return whether a restored database will not come to take connections."""
    return status in _BROKEN or status.startswith("incompatible-")


def why_dead(identifier: str, status: str | None) -> str | None:
    """Return why no application can be served from a database; None where it can, or will by itself."""
    if status is None:
        return f"the database {identifier} does not exist"
    if status in _DEAD or status.startswith(_DEAD_SINCE):
        return f"the database {identifier} is {status}"
    return None


def locked(key: EncryptionKey, region: str) -> tuple[str, str] | None:
    """Return why nothing can be restored or made under a key, and the command that mends it; None where it is enabled.

    RDS refuses with KMSKeyNotAccessibleFault, an empty instance for a dump too: it gets the same key. A key that waits for
    its deletion is disabled once that is cancelled (KMS API reference, CancelKeyDeletion).
    """
    state = key_state(key)
    if state is None:
        return None
    return f"the key {key.arn}, under which a database is restored, is {state}", mend(key, region)


def key_state(key: EncryptionKey) -> str | None:
    """Return in a word or two why nothing can be read or made under a key; None where it is enabled."""
    words = {"Enabled": None, "Disabled": "disabled", "PendingDeletion": "to be deleted"}
    return words.get(key.state, key.state)


def mend(key: EncryptionKey, region: str) -> str:
    """Return the command that makes a key of a region usable again, or says what became of it."""
    named = f"--key-id {key.arn} --region {region}"
    enable = f"aws kms enable-key {named}"
    mends = {
        "Disabled": enable,
        "PendingDeletion": f"aws kms cancel-key-deletion {named}, then {enable}",
    }
    return mends.get(key.state, f"aws kms describe-key {named} says what became of it")


def content(tables: int, with_rows: int, heartbeats: int) -> str:
    """Return how many tables a database has and how many of them hold rows, those of the heartbeat told apart."""
    every = tables + heartbeats
    if not heartbeats:
        return f"{every} tables, {with_rows} with rows"
    return f"{every} tables, the heartbeat's among them; of the other {tables}, {with_rows} with rows"
