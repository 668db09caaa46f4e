"""How far a stream of stored bytes is, in words."""

from __future__ import annotations

import pytest
from lifeboat import views_restores
from lifeboat.dumps.restoring import Passing


@pytest.mark.parametrize(
    ("done", "total", "seconds", "words"),
    [
        (0, 334_000_000, 0.0, "0.0 of 334.0 MB (0%), 0.0 MB/s"),
        (83_500_000, 334_000_000, 10.0, "83.5 of 334.0 MB (25%), 8.3 MB/s, 30s left"),
        (83_500_000, 334_000_000, 1000.0, "83.5 of 334.0 MB (25%), 0.1 MB/s, 50m left"),
        (334_000_000, 334_000_000, 40.0, "334.0 of 334.0 MB (100%), 8.3 MB/s"),
        (333_900_000, 334_000_000, 40.0, "333.9 of 334.0 MB (99%), 8.3 MB/s, 0s left"),
        # So few bytes say how long the first answer took.
        (1_200, 2_500, 10.0, "1.2 of 2.5 kB (48%), 0.1 kB/s"),
        (2_500, 2_500, 2.0, "2.5 of 2.5 kB (100%), 1.2 kB/s"),
        (0, 0, 1.0, "0.0 of 0.0 kB (100%), 0.0 kB/s"),
    ],
)
def test_what_is_done_how_fast_and_when_it_ends(done: int, total: int, seconds: float, words: str) -> None:
    assert views_restores.passing(done, total, seconds) == words


def test_the_first_and_the_last_bytes_are_told_and_not_each_chunk() -> None:
    told: list[tuple[int, int]] = []
    passed = Passing(1000, lambda done, total, _: told.append((done, total)))

    for _ in range(1000):
        passed(1)

    assert told[0] == (1, 1000)
    assert told[-1] == (1000, 1000)
    assert len(told) < 500
