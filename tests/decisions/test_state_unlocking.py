"""Whether a lock may go: by whether its holder lives, by its age, and by the jobs that run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.decisions import state_unlocking
from lifeboat.decisions.state_observation import LockSeen
from lifeboat.decisions.state_unlocking import YOUNG, Sure
from lifeboat.gitlab_model import Job, JobId, Pipeline, PipelineId
from lifeboat.state_model import Holding, Life, LockPlace, StateLock

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


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
        (Life.UNKNOWN, YOUNG - SECOND, frozenset(), False),
        (Life.UNKNOWN, -YOUNG, frozenset(), False),
        (Life.UNKNOWN, YOUNG, frozenset(), True),
        (Life.UNKNOWN, None, frozenset(), False),
        (Life.UNKNOWN, None, frozenset({Sure.WITHOUT_GITLAB}), False),
        (Life.UNKNOWN, None, frozenset({Sure.HOLDER_IS_DEAD}), True),
        (Life.UNKNOWN, SECOND, frozenset({Sure.HOLDER_IS_DEAD}), True),
    ],
)
def test_a_lock_goes_only_where_nothing_speaks_for_a_living_holder(
    life: Life, age: timedelta | None, sure: frozenset[Sure], goes: bool
) -> None:
    assert (state_unlocking.refusal(seen(life, age), NOW, sure) is None) == goes


def test_a_young_lock_is_refused_with_how_long_to_wait() -> None:
    why, instead = state_unlocking.refusal(seen(Life.UNKNOWN, timedelta(minutes=4)), NOW, frozenset()) or ("", "")

    assert why == "whether its holder lives cannot be told (as it is), and it was taken 4m ago"
    assert instead.startswith(
        "wait 6m, then run the same command again; where that is surely dead: lifeboat state unlock"
    )


def test_who_waits_as_long_as_told_has_waited_long_enough() -> None:
    _, instead = state_unlocking.refusal(seen(Life.UNKNOWN, timedelta(minutes=4, seconds=1)), NOW, frozenset()) or (
        "",
        "",
    )

    assert instead.startswith("wait 6m, ")


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
