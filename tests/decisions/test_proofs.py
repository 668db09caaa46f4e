"""What a dump's verifications say together: a deeper failure stands until something as deep has passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.database_model import DumpEntry, DumpFacts, Proof, RetentionPolicy, Verdict, dump_id
from lifeboat.decisions import recovery_points, retention
from lifeboat.decisions.recovery_points import DumpPlace

BEGUN = datetime(2026, 11, 29, 3, 15, tzinfo=UTC)
PLACE = DumpPlace(bucket="dumps", region="eu-west-1", key=None)


def dump(*looks: tuple[int, Verdict]) -> DumpEntry:
    """Return a dump that was looked at an hour apart."""
    return DumpEntry(
        database="app",
        id=dump_id(BEGUN, "3f9a1c"),
        begun_at=BEGUN,
        prefix="dumps/x/app/20261129T031500Z-3f9a1c/",
        files={},
        proofs=tuple(
            Proof(level=level, at=BEGUN + timedelta(hours=hour), verdict=verdict)
            for hour, (level, verdict) in enumerate(looks, 1)
        ),
    )


P, F = Verdict.PASSED, Verdict.FAILED


@pytest.mark.parametrize(
    ("entry", "proven", "failed"),
    [
        (dump(), None, None),
        (dump((2, P), (3, P), (1, P)), 3, None),
        (dump((3, P), (1, F)), None, 1),
        (dump((3, F), (2, P)), None, 3),
        (dump((3, F), (1, F), (2, P)), None, 3),
        (dump((2, F), (3, P)), 3, None),
        (dump((2, F), (1, P), (2, P)), 2, None),
    ],
)
def test_a_failure_stands_until_a_look_as_deep_has_passed(
    entry: DumpEntry, proven: int | None, failed: int | None
) -> None:
    (point,) = recovery_points.of_dumps([entry], PLACE, BEGUN + timedelta(days=1))

    assert (None if entry.proven is None else entry.proven.level) == proven
    assert (None if entry.failure is None else entry.failure.level) == failed
    assert retention.is_verified(DumpFacts(entry=entry), RetentionPolicy()) == ((proven or 0) >= 2)
    assert point.proven == entry.proven
    assert point.flags == (() if failed is None else (f"its last verification (level {failed}) failed",))
