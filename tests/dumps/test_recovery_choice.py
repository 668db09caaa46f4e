"""What a recovery says where not everything could be looked at, and what it learns from the restores of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifeboat import views_database
from lifeboat.commands.plan_recovery import Planned
from lifeboat.database_model import (
    LATEST_DUMP,
    PointKind,
    PointList,
    RecoveryPoint,
    RecoveryPointId,
    RestoreRate,
    Served,
    Unseen,
    WantedCopy,
)
from lifeboat.decisions import database_choice
from lifeboat.dumps.points import Found
from lifeboat.dumps.recovery_choice import Candidates, Looked, cut_off, learnt
from lifeboat.errors import NothingFits, Unreachable
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


WINDOWS = Unseen(
    what="point-in-time windows", region="eu-west-1", call="rds:DescribeDBInstanceAutomatedBackups", why="AccessDenied"
)
DUMPS = Unseen(what="dumps", region="eu-central-1", call="s3:ListBucketVersions", why="no answer")
SNAPSHOT = RecoveryPoint(
    id=RecoveryPointId("rds:app-g1-daily"),
    kind=PointKind.AUTOMATED_SNAPSHOT,
    database="app-g1",
    region="eu-west-1",
    taken_at=BEGAN - timedelta(hours=9),
    status="available",
    size=20 * 1024**3,
    source="app-g1",
    key=None,
)


def candidates(*points: RecoveryPoint, unseen: tuple[Unseen, ...] = (), named: str | None = None) -> Candidates:
    wanted = WantedCopy(
        serving="app-g1",
        served=(),
        database="app",
        region="eu-west-1",
        key=None,
        failed_at=BEGAN,
        named=None if named is None else RecoveryPointId(named),
    )
    listed = PointList(points=points, unseen=unseen, now=BEGAN)
    return Candidates(found=Found(list=listed, remarks=(), damaged=False), wanted=wanted, rate=RestoreRate())


@pytest.mark.parametrize(
    ("named", "unseen", "error"),
    [
        (None, (), NothingFits),
        (None, (WINDOWS,), Unreachable),
        (None, (DUMPS,), Unreachable),
        ("rds:app-g1-daily", (), NothingFits),
        ("rds:app-g1-daily", (WINDOWS,), Unreachable),
        # It cannot be there.
        ("rds:app-g1-daily", (DUMPS,), NothingFits),
        (LATEST_DUMP, (WINDOWS,), NothingFits),
        (LATEST_DUMP, (DUMPS,), Unreachable),
    ],
)
def test_where_a_place_could_not_be_looked_at_nobody_says_that_there_is_no_copy(
    named: str | None, unseen: tuple[Unseen, ...], error: type[Exception]
) -> None:
    every = candidates(unseen=unseen, named=named)

    with pytest.raises(error):
        every.required(every.choosing(), env="x")


def test_damage_in_one_region_leaves_the_copy_in_the_other_one() -> None:
    here = replace(SNAPSHOT, kind=PointKind.DUMP, id=RecoveryPointId("20260301T030000Z-3f9a1c"), database="app")
    there = replace(here, region="eu-central-1")
    served = (Served(instance="app-g1", since=BEGAN - timedelta(days=9)),)
    every = candidates(here, there)
    every = replace(every, wanted=replace(every.wanted, served=served))

    damaged = every.told(here, Looked(damage="a file is missing")).choosing()
    part = every.told(here, Looked(unfit=("a part",))).choosing()

    assert damaged.choice.chosen is not None
    assert damaged.choice.chosen.point == there
    assert [why for _, why in damaged.others] == ["a file is missing"]
    assert part.choice.chosen is None
    assert [why for _, why in part.others] == ["a part", "a part"]


def test_the_plan_says_what_it_has_not_seen_and_that_a_better_copy_may_be_there() -> None:
    every = candidates(SNAPSHOT, unseen=(WINDOWS, DUMPS))
    made = every.choosing()
    one = database_choice.candidate(SNAPSHOT, every.wanted, every.rate)

    found = views_database.planned_document(
        Planned(choosing=made, wanted=every.wanted, candidates=(one,), unseen=every.found.list.unseen)
    )

    assert found["chosen"]["id"] == "rds:app-g1-daily"
    assert [copy["why_not"] for copy in found["copies"]] == [None]
    assert found["unseen"] == [
        {
            "what": "point-in-time windows",
            "region": "eu-west-1",
            "call": "rds:DescribeDBInstanceAutomatedBackups",
            "why": "AccessDenied",
            "may_hold_a_better_one": True,
        },
        {
            "what": "dumps",
            "region": "eu-central-1",
            "call": "s3:ListBucketVersions",
            "why": "no answer",
            "may_hold_a_better_one": False,
        },
    ]


def test_a_restore_that_was_cut_off_is_told_with_the_longest_that_it_can_have_taken() -> None:
    journalled = journal(
        (0, EventKind.NOTE, "copy", {"copy_kind": "point-in-time window"}),
        (10, EventKind.INTENT, "restore", {}),
        (400, EventKind.HOLDS, "restore", {}),
    )
    of_dump = journal(
        (0, EventKind.NOTE, "copy", {"copy_kind": "dump"}),
        (10, EventKind.INTENT, "restore", {}),
        (400, EventKind.HOLDS, "restore", {}),
    )

    assert cut_off([of_dump, journalled]) == (
        "the recovery that ordered the last restore, at 2026-03-01 12:00:10Z, was cut off before its end was seen: it took at"
        " most 6m"
    )
    assert cut_off([of_dump]) == ""


def test_what_cannot_be_restored_is_not_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    every = candidates(SNAPSHOT)
    made = every.choosing()
    one = database_choice.candidate(SNAPSHOT, every.wanted, every.rate)
    planned = Planned(choosing=made, wanted=every.wanted, candidates=(one,), unseen=(), refusal="the key is disabled")

    views_database.planned(planned)

    printed = " ".join(capsys.readouterr().out.split())
    assert "restores rds:app-g1-daily" not in printed
    assert "nothing can be restored as it stands: the key is disabled" in printed
