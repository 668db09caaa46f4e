"""The geometry of the charts: what is drawn lies inside, in proportion, and says what was measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import evidence_overview
from lifeboat.decisions.evidence import Ended
from lifeboat.evidence_formats import charts, words
from lifeboat.evidence_model import Bundle, Kind

from tests.evidence_runs import AT, BEGUN, FULL, HOLDS, STOPPED, WHO, bundle, chain, chained, drill


def overview(*bundles: Bundle) -> tuple[evidence_overview.Entry, ...]:
    return evidence_overview.entries(chain(*chained(*bundles)).stored.values())


def test_a_step_is_drawn_where_it_was_at_work_and_as_long() -> None:
    [found] = charts.waterfalls(bundle())

    restore, instance = (next(bar for bar in found.bars if bar.title.startswith(t)) for t in ("Restore", "Launch"))
    per_second = (found.right - found.left) / 135
    assert restore.x == pytest.approx(found.left + 17 * per_second, abs=0.01)
    assert restore.width == pytest.approx(54 * per_second, abs=0.01)
    assert (restore.took, instance.took) == ("54 s", "1 min 9 s")
    # They ran side by side.
    assert restore.x < instance.x < restore.x + restore.width
    assert found.answered == pytest.approx(found.left + 131 * per_second, abs=0.01)
    assert [tick.text for tick in found.ticks] == ["0 s", "30 s", "1 min", "1 min 30 s", "2 min"]


def test_each_attempt_has_a_chart_of_its_own() -> None:
    again = (
        (300, BEGUN, "", "", {**WHO, "host": "bastion"}),
        (301, HOLDS, "failure", "", {}),
        (302, STOPPED, "x", "no", {}),
    )

    found = charts.waterfalls(bundle(*FULL[:18], *again, error=Ended(exit_status=4, why="no")))

    assert [(one.attempt, one.who.split(",")[0], one.answered) for one in found] == [
        (1, "zoë@laptop", None),
        (2, "zoë@bastion", None),
    ]


def test_the_shares_are_those_of_the_recovery_time() -> None:
    shares = charts.shares(bundle())

    assert sum(one.seconds for one in shares) == 371
    assert shares[0] == charts.Share(title="before the recovery was started", seconds=240, colour=0, small=False)


def test_recovery_times_are_drawn_against_their_target_and_what_never_answered_is_no_time() -> None:
    stopped = bundle(*FULL[:14], error=Ended(exit_status=4, why="no"), run="20260302T000000Z-recover-b")
    series = evidence_overview.series(overview(bundle(), drill(1), drill(2, minutes=300), stopped))

    of_drills, of_recoveries = charts.trends(series, current=2)

    assert [(dot.kind, dot.current) for dot in of_drills.dots] == [("met", True), ("missed", False)]
    assert of_drills.dots[1].y < of_drills.target_y < of_drills.dots[0].y  # above is more
    assert (of_drills.target_text, of_drills.last, of_drills.last_met) == ("target 4 h", "5 h", False)
    # By when they ended, and not by their numbers; no line leads from what never answered.
    assert [dot.kind for dot in of_recoveries.dots] == ["none", "met"]
    assert (of_recoveries.line, of_recoveries.last) == ("", "6 min 11 s")


def test_a_run_counts_once_by_its_newest_evidence_and_one_that_changed_nothing_not_at_all() -> None:
    stopped = bundle(*FULL[:14], error=Ended(exit_status=4, why="no"))
    refused = bundle(*FULL[:8], error=Ended(exit_status=3, why="no"), run="20260302T000000Z-recover-b")

    [series] = evidence_overview.series(overview(stopped, bundle(), refused))

    assert [(one.number, one.seconds) for one in series.timed] == [(2, 371.0)]


@given(st.lists(st.floats(0.01, 5e6), min_size=1, max_size=30), st.floats(1, 1e6))
def test_whatever_was_measured_lies_inside_the_chart(seconds: list[float], objective: float) -> None:
    timed = tuple(
        evidence_overview.Timed(
            at=AT + timedelta(days=number),
            run=f"r{number}",
            number=number,
            seconds=one,
            objective_seconds=objective,
            met=one <= objective,
        )
        for number, one in enumerate(seconds)
    )

    [found] = charts.trends([evidence_overview.Series(kind=Kind.DRILL, scope="full", timed=timed)])

    inside = [
        found.left <= dot.x <= found.right and found.top - 0.01 <= dot.y <= found.bottom + 0.01 for dot in found.dots
    ]
    assert all(inside)
    assert found.top - 0.01 <= found.target_y <= found.bottom + 0.01
    # More time is never drawn below less.
    by_time = sorted(zip(seconds, found.dots, strict=True), key=lambda pair: pair[0])
    assert [dot.y for _, dot in by_time] == sorted((dot.y for _, dot in by_time), reverse=True)


def test_each_kind_of_copy_has_an_age_of_proof_or_says_that_it_was_never_restored() -> None:
    entries = overview(drill(1))
    now = entries[0].bundle.ended + timedelta(days=91) if entries[0].bundle is not None else AT

    found = charts.ages(evidence_overview.proofs(entries, now=now))

    assert {bar.name: (bar.level, bar.text) for bar in found.bars} == {
        "database: dump": ("never", "never restored"),
        "database: automated snapshot": ("old", "91 d ago"),
        "database: manual snapshot": ("never", "never restored"),
        "database: AWS Backup point": ("never", "never restored"),
        "database: point-in-time window": ("never", "never restored"),
        "instance: image": ("never", "never restored"),
        "state: state version": ("never", "never restored"),
    }
    fresh = charts.ages(evidence_overview.proofs(entries, now=now - timedelta(days=1)))
    assert [bar.level for bar in fresh.bars if bar.name == "database: automated snapshot"] == ["fresh"]


def test_only_what_was_restored_to_the_end_is_proven() -> None:
    failed = bundle(error=Ended(exit_status=4, why="stopped"))
    unsound = replace(bundle(), outcome=bundle(error=Ended(exit_status=11, why="rows")).outcome)

    ages = evidence_overview.proofs(overview(failed, unsound), now=AT)

    assert {one.at for one in ages} == {None}


@pytest.mark.parametrize(
    ("seconds", "used", "over"),
    [(3600, 25.0, False), (14400, 100.0, False), (14401, 100.0, True), (None, 100.0, True), (1, 1.0, False)],
)
def test_a_gauge_is_full_where_the_objective_is_used_up_or_nobody_knows(
    seconds: float | None, used: float, over: bool
) -> None:
    assert charts.gauge(seconds, 14400) == charts.Gauge(used=used, over=over)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (0.25, "250 ms"),
        (59.6, "1 min"),
        (371, "6 min 11 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (90061, "1 d 1 h"),
    ],
)
def test_a_length_is_said_in_its_two_largest_units(seconds: float | None, said: str) -> None:
    assert words.length(seconds) == said
