"""Memory for building indexes: a share of the server's, within limits."""

from __future__ import annotations

import pytest
from lifeboat.decisions import index_memory

MIB = 1024**2


@pytest.mark.parametrize(
    ("allowed", "shared_buffers", "jobs", "each"),
    [
        (64 * MIB, 512 * MIB, 2, 128 * MIB),
        (64 * MIB, 512 * MIB, 4, 64 * MIB),
        (64 * MIB, 16 * MIB, 4, 64 * MIB),
        (64 * MIB, 64 * 1024 * MIB, 4, 1024 * MIB),
        (2048 * MIB, 512 * MIB, 1, 2048 * MIB),
    ],
)
def test_all_jobs_together_take_half_of_the_shared_buffers_at_most(
    allowed: int, shared_buffers: int, jobs: int, each: int
) -> None:
    assert index_memory.each(allowed=allowed, shared_buffers=shared_buffers, jobs=jobs) == each
