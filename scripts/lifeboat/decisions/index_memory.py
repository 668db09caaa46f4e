"""How much memory a restore's sessions ask the server for while they build indexes."""

from __future__ import annotations

_MOST = 1024**3


def each(*, allowed: int, shared_buffers: int, jobs: int) -> int:
    """Return how many bytes each of several sessions may take (maintenance_work_mem), where `allowed` is the server's own.

    Together half of shared_buffers, which RDS makes a quarter of the machine's memory. More than 1 GiB each is of little
    use, and less than the server allows by itself is never asked for.
    """
    return max(allowed, min(_MOST, shared_buffers // 2 // jobs))
