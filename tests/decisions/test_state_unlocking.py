"""Whether a lock may go: by whether its holder lives, by its age, and by the jobs that run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.decisions import state_unlocking
from lifeboat.decisions.state_observation import LockSeen
from lifeboat.decisions.state_unlocking import Sure
from lifeboat.gitlab_model import Job, JobId, Pipeline, PipelineId
from lifeboat.state_model import Holding, Life, LockPlace, StateLock

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LONGEST = timedelta(hours=2)  # that an apply may take


def seen(life: Life, age: timedelta | None) -> LockSeen:
    lock = StateLock(place=LockPlace.TABLE, lock_id="lock-1", created=None if age is None else NOW - age)
    return LockSeen(lock=lock, holding=Holding(life=life, why="as it is"))


def job(number: int, started: datetime | None) -> Job:
    pipeline = Pipeline(
        id=PipelineId(1), ref="main", sha="abc", source="push", status="running", web_url="u", created_at=NOW
    )
    return Job(
        id=JobId(number),
        name="plan",
        status="running",
        pipeline=pipeline,
        created_at=NOW,
        web_url="u",
        started_at=started,
    )


@pytest.mark.parametrize(
    ("life", "age", "sure", "goes"),
    [
        (Life.GONE, timedelta(0), frozenset(), True),
        (Life.GONE, None, frozenset(), True),
        (Life.LIVES, timedelta(days=9), frozenset(Sure), False),
        (Life.UNKNOWN, LONGEST - SECOND, frozenset(), False),
        (Life.UNKNOWN, -LONGEST, frozenset(), False),
        (Life.UNKNOWN, LONGEST, frozenset(), True),
        (Life.UNKNOWN, timedelta(minutes=11), frozenset({Sure.WITHOUT_GITLAB}), False),
        (Life.UNKNOWN, None, frozenset(), False),
        (Life.UNKNOWN, None, frozenset({Sure.WITHOUT_GITLAB}), False),
        (Life.UNKNOWN, None, frozenset({Sure.HOLDER_IS_DEAD}), True),
        (Life.UNKNOWN, SECOND, frozenset({Sure.HOLDER_IS_DEAD}), True),
    ],
)
def test_a_lock_goes_only_where_nothing_speaks_for_a_living_holder(
    life: Life, age: timedelta | None, sure: frozenset[Sure], goes: bool
) -> None:
    assert (state_unlocking.refusal(seen(life, age), NOW, sure, LONGEST) is None) == goes


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (timedelta(minutes=114), "6m"),
        # Who waits as long as told has waited long enough.
        (timedelta(minutes=114, seconds=1), "6m"),
        (timedelta(minutes=1), "119m"),
        (timedelta(seconds=1), "2h"),
        (-timedelta(minutes=1), "3h"),
    ],
)
def test_a_lock_that_an_apply_may_hold_is_refused_with_how_long_to_wait(age: timedelta, wait: str) -> None:
    why, instead = state_unlocking.refusal(seen(Life.UNKNOWN, age), NOW, frozenset(), LONGEST) or ("", "")

    assert why.startswith("whether its holder lives cannot be told (as it is), and it was taken ")
    assert instead.startswith(
        f"wait {wait}, then run the same command again; where that is surely dead: lifeboat state unlock"
    )


def test_only_of_a_holder_that_may_live_elsewhere_gitlab_is_asked() -> None:
    asked = [state_unlocking.asks_gitlab(seen(life, SECOND), frozenset()) for life in Life]

    assert dict(zip(Life, asked, strict=True)) == {Life.LIVES: False, Life.GONE: False, Life.UNKNOWN: True}
    assert not state_unlocking.asks_gitlab(seen(Life.UNKNOWN, SECOND), frozenset({Sure.WITHOUT_GITLAB}))


def test_a_job_is_suspect_unless_it_surely_began_after_the_lock_was_taken() -> None:
    lock = seen(Life.UNKNOWN, timedelta(hours=1)).lock
    taken = NOW - timedelta(hours=1)
    jobs = [
        job(1, taken - timedelta(hours=9)),
        job(2, taken + timedelta(minutes=1)),
        job(3, taken + timedelta(minutes=1) + SECOND),
        job(4, None),
    ]

    found = state_unlocking.suspects(jobs, lock)
    of_unknown_age = state_unlocking.suspects(jobs, replace(lock, created=None))

    assert [one.id for one in found] == [1, 2, 4]
    assert of_unknown_age == jobs
