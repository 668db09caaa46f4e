"""Whether a database can serve, by what RDS says of it."""

from __future__ import annotations

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
