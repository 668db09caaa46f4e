"""Which of the things that can happen to a recovery are tried together."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.faults import report
from tests.faults.recoveries import (
    APART,
    CALLED_AGAIN,
    ERRORS,
    KILLS,
    Recorded,
    every,
    grouped,
    of_record,
    place_of,
    sample,
    shard_of,
)
from tests.rehearsal import ROOT


def test_each_point_is_tried_once_and_together_only_what_is_made_again_calls_apart() -> None:
    calls = of_record()
    points = every(calls, [*ERRORS, *KILLS], 0)

    groups = grouped(points, calls)

    assert sorted(map(str, points)) == sorted(str(point) for group in groups for point in group)
    assert len(groups) < len(points)
    for group in groups:
        assert len({point.happens for point in group}) == 1
        assert len(group) == 1 or group[0].happens in CALLED_AGAIN
        places = [place_of(point, calls) for point in group]
        assert all(later - earlier >= APART for earlier, later in pairwise(places))


def test_a_point_is_at_the_same_call_where_a_lease_is_renewed_once_more() -> None:
    calls = of_record()
    renewed = [*calls[:20], Recorded("dynamodb:UpdateItem", True), *calls[20:]]

    before, after = (set(every(record, KILLS, 0)) for record in (calls, renewed))

    assert {point.operation for point in after - before} == {"UpdateItem"}
    unmoved = [point for point in before if point.operation != "UpdateItem"]
    assert len(unmoved) > 100
    assert all(calls[place_of(point, calls)] == renewed[place_of(point, renewed)] for point in unmoved)


def test_every_point_is_some_shards_and_they_share_them_evenly() -> None:
    points = every(of_record(), [*ERRORS, *KILLS], 0)

    shares = Counter(shard_of(point, 2) for point in points)

    assert sorted(shares) == [0, 1]
    assert min(shares.values()) > 0.4 * len(points)


def test_a_sample_is_of_two_orders_one_of_them_beside_a_terraform_that_is_killed() -> None:
    calls = of_record()

    alone, beside = sample(calls)

    hit = [calls[place_of(point, calls)] for point in (alone, beside)]
    assert [call.beside_terraform for call in hit] == [False, True]
    assert "everything" in alone.happens
    assert "terraform" in beside.happens
    assert {call.name.partition(":")[0] for call in hit}.isdisjoint({"s3", "dynamodb", "sts"})


def test_what_was_measured_is_printed_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    measured = sorted((ROOT / "docs" / "measured").glob("recovery-faults-*.jsonl"))

    ended = [report.main(path) for path in measured]

    assert ended == [0] * len(measured) != []
    assert "kill everything after" in capsys.readouterr().out
