"""What restores of this environment took, learnt from the journals of its recoveries: those of dumps apart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.database_model import RestoreRate
from lifeboat.dumps.recovery_choice import learnt
from lifeboat.model import Event, EventKind

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def journal(*lines: tuple[int, EventKind, str, dict[str, Any]]) -> Sequence[Event]:
    """Return lines as (seconds since the beginning, kind, step, data)."""
    return [
        Event(seq=n, at=BEGAN + timedelta(seconds=at), kind=kind, step=step, text="", data=data)
        for n, (at, kind, step, data) in enumerate(lines)
    ]


def step(name: str, begins: int, ends: int) -> list[tuple[int, EventKind, str, dict[str, Any]]]:
    return [(begins, EventKind.DOING, name, {}), (ends, EventKind.DONE, name, {})]


def test_restores_of_dumps_teach_how_long_a_dump_takes_and_others_how_long_rds_does() -> None:
    of_rds = journal(
        (0, EventKind.NOTE, "copy", {"copy_kind": "point-in-time window", "size": 6000}), *step("restore", 0, 60)
    )
    of_dump = journal(
        (0, EventKind.NOTE, "copy", {"copy_kind": "dump", "size": 500}),
        *step("restore", 0, 40),
        *step("fill", 40, 50),
    )

    assert learnt([of_rds, of_dump]) == RestoreRate(whole=timedelta(seconds=60), bytes_per_second=100.0, of_dumps=10.0)


def test_where_nothing_was_restored_nothing_is_known() -> None:
    assert learnt([]) == RestoreRate()
