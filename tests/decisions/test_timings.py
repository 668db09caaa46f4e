"""The measured recovery time and its parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions.timings import BEFORE, INTERRUPTED, Answering, answered, expected, measured, seen_within
from lifeboat.model import Event, EventKind

FAILED = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
RTO = timedelta(hours=4)
ANSWERING = Answering(step="answers", confirmed_by="sessions")


def lines(*told: tuple[float, EventKind, str]) -> list[Event]:
    """Return events at so many seconds after the failure."""
    return [
        Event(seq=seq, at=FAILED + timedelta(seconds=seconds), kind=kind, step=step)
        for seq, (seconds, kind, step) in enumerate(told, start=1)
    ]


UNBROKEN = lines(
    (60, EventKind.BEGUN, ""),
    (61, EventKind.HOLDS, "preflight"),
    (63, EventKind.DOING, "instance"),
    (64, EventKind.INTENT, "instance"),
    (120, EventKind.RESULT, "instance"),
    (121, EventKind.DONE, "instance"),
    (150, EventKind.DONE, "answers"),
    (170, EventKind.HOLDS, "plan"),
    (171, EventKind.ENDED, ""),
)


def test_the_clock_stops_when_the_application_answers_and_each_second_has_its_part() -> None:
    timing = measured(UNBROKEN, failed_at=FAILED, rto=RTO, answering=ANSWERING)

    assert (timing.took.total_seconds(), timing.met) == (150, True)
    assert [(part.name, part.took.total_seconds()) for part in timing.parts] == [
        (BEFORE, 60),
        ("preflight", 1),
        ("instance", 60),
        ("answers", 29),
    ]


def test_the_time_between_a_kill_and_the_next_attempt_counts_and_is_named() -> None:
    events = lines(
        (0, EventKind.BEGUN, ""),
        (5, EventKind.DOING, "instance"),
        (605, EventKind.BEGUN, ""),
        (615, EventKind.DONE, "instance"),
        (620, EventKind.DONE, "answers"),
    )

    timing = measured(events, failed_at=FAILED, rto=RTO, answering=ANSWERING)

    assert {part.name: part.took.total_seconds() for part in timing.parts} == {
        "instance": 15,
        INTERRUPTED: 600,
        "answers": 5,
    }


def test_an_objective_is_missed_by_a_second_and_met_to_the_second() -> None:
    at = {
        rto: measured(UNBROKEN, failed_at=FAILED, rto=timedelta(seconds=rto), answering=ANSWERING) for rto in (149, 150)
    }

    assert (at[149].met, at[150].met) == (False, True)


def test_an_application_that_does_not_answer_meets_no_objective() -> None:
    timing = measured(UNBROKEN[:6], failed_at=FAILED, rto=RTO, answering=ANSWERING)

    assert (timing.answered_at, timing.met, timing.took.total_seconds()) == (None, False, 121)


K = EventKind
ASKED_OLD = ((60, K.BEGUN, ""), (100, K.DONE, "answers"), (110, K.DOING, "sessions"), (120, K.STOPPED, "sessions"))


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        # The old database answered: what the application does counts from the attempt in which it was found on the new one.
        (ASKED_OLD, None),
        ((*ASKED_OLD, (7200, K.BEGUN, ""), (7210, K.HOLDS, "answers"), (7220, K.DONE, "sessions")), 7210),
        # It was killed before anybody had asked the databases.
        (
            (
                *ASKED_OLD[:2],
                (7200, K.BEGUN, ""),
                (7210, K.HOLDS, "answers"),
                (7215, K.DOING, "sessions"),
                (7220, K.DONE, "sessions"),
            ),
            7210,
        ),
        # It was found to work on the new one, and a later step stopped: it answered all the while.
        (
            (
                *ASKED_OLD[:2],
                (110, K.DONE, "sessions"),
                (120, K.STOPPED, "copies"),
                (7200, K.BEGUN, ""),
                (7210, K.HOLDS, "answers"),
                (7220, K.HOLDS, "sessions"),
            ),
            100,
        ),
        # It was away again in between.
        (
            (
                *ASKED_OLD[:2],
                (110, K.DONE, "sessions"),
                (7200, K.BEGUN, ""),
                (7210, K.DOING, "answers"),
                (7230, K.DONE, "answers"),
                (7240, K.HOLDS, "sessions"),
            ),
            7230,
        ),
        # Of the instance alone no database is asked.
        (
            (
                (60, K.BEGUN, ""),
                (100, K.DONE, "answers"),
                (110, K.STOPPED, "plan"),
                (7200, K.BEGUN, ""),
                (7210, K.HOLDS, "answers"),
            ),
            100,
        ),
    ],
)
def test_an_answer_counts_from_the_attempt_that_knows_which_database_it_came_from(
    told: tuple[tuple[float, EventKind, str], ...], seconds: float | None
) -> None:
    events = lines(*told)

    timing = measured(events, failed_at=FAILED, rto=timedelta(hours=1), answering=ANSWERING)

    at = None if seconds is None else FAILED + timedelta(seconds=seconds)
    assert answered(events, ANSWERING) == timing.answered_at == at
    assert timing.met is (seconds == 100)
    assert sum((part.took for part in timing.parts), timedelta(0)) == timing.took


def test_a_failure_declared_after_the_beginning_costs_nothing_negative() -> None:
    timing = measured(UNBROKEN, failed_at=FAILED + timedelta(seconds=62), rto=RTO, answering=ANSWERING)

    assert timing.took.total_seconds() == 88
    assert all(part.took > timedelta(0) for part in timing.parts)


KINDS = st.sampled_from([kind for kind in EventKind if kind is not EventKind.ENDED])


@given(
    gaps=st.lists(st.tuples(st.floats(0, 1000), KINDS, st.sampled_from(["a", "b", "answers"])), min_size=1, max_size=30)
)
def test_the_parts_always_add_up_to_the_whole(gaps: list[tuple[float, EventKind, str]]) -> None:
    at, told = 0.0, []
    for gap, kind, step in gaps:
        at += gap
        told.append((at, kind, "" if kind is EventKind.BEGUN else step))

    timing = measured(lines(*told), failed_at=FAILED, rto=RTO, answering=ANSWERING)

    assert sum((part.took for part in timing.parts), timedelta(0)) == timing.took
    assert timing.met == (timing.answered_at is not None and timing.took <= RTO)


@pytest.mark.parametrize(("runs", "seconds"), [((UNBROKEN,), 60.0), ((UNBROKEN, UNBROKEN[:4]), 60.0), ((), None)])
def test_the_expected_time_of_a_step_is_the_median_of_the_runs_that_did_it(
    runs: tuple[list[Event], ...], seconds: float | None
) -> None:
    found = expected(runs)

    assert found.get("instance") == (None if seconds is None else timedelta(seconds=seconds))
    assert "preflight" not in found  # it only held


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        (UNBROKEN, None),
        (lines((4, EventKind.INTENT, "instance"), (90, EventKind.RESULT, "instance")), None),
        (
            lines(
                (4, EventKind.INTENT, "instance"),
                (90, EventKind.BEGUN, ""),
                (91, EventKind.HOLDS, "preflight"),
                (94, EventKind.HOLDS, "instance"),
                (99, EventKind.HOLDS, "instance"),
            ),
            (FAILED + timedelta(seconds=4), timedelta(seconds=90)),
        ),
        (lines((4, EventKind.HOLDS, "instance")), None),
    ],
)
def test_what_was_cut_off_and_found_made_took_at_most_the_time_between(
    told: list[Event], seen: tuple[datetime, timedelta] | None
) -> None:
    assert seen_within(told, "instance") == seen
