"""Whether a database can serve."""

from __future__ import annotations

import pytest
from lifeboat.decisions import databases


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("available", None),
        ("backing-up", None),
        ("modifying", None),
        ("storage-optimization", None),
        ("failed", "the database app-g1 is failed"),
        ("stopped", "the database app-g1 is stopped"),
        ("storage-full", "the database app-g1 is storage-full"),
        ("incompatible-network", "the database app-g1 is incompatible-network"),
        (
            "inaccessible-encryption-credentials-recoverable",
            "the database app-g1 is inaccessible-encryption-credentials-recoverable",
        ),
        (None, "the database app-g1 does not exist"),
    ],
)
def test_a_database_that_will_not_serve_by_itself_is_dead(status: str | None, why: str | None) -> None:
    assert databases.why_dead("app-g1", status) == why
