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


@pytest.mark.parametrize(
    ("status", "broken"),
    [
        ("failed", True),
        ("restore-error", True),
        ("storage-full", True),
        ("incompatible-restore", True),
        ("incompatible-parameters", True),
        ("inaccessible-encryption-credentials", True),
        ("inaccessible-encryption-credentials-recoverable", False),  # it comes back once the key is
        ("creating", False),
        ("deleting", False),  # told apart: somebody has ordered that
        ("stopped", False),
        ("available", False),
    ],
)
def test_of_a_restored_database_nothing_comes_any_more_only_in_some_states(status: str, broken: bool) -> None:
    assert databases.is_broken(status) is broken
