"""Whether a lock of the state may be removed: never while its holder lives, or may."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from lifeboat.decisions.durations import said
from lifeboat.decisions.state_observation import LockSeen
from lifeboat.gitlab_model import Job
from lifeboat.state_model import Life, StateLock

# GitLab's clock and that of the runner that took the lock.
_CLOCK_MARGIN = timedelta(minutes=1)


class Sure(StrEnum):
    """What the operator answers for, instead of a check."""

    HOLDER_IS_DEAD = "--holder-is-dead"
    WITHOUT_GITLAB = "--without-gitlab"


def refusal(seen: LockSeen, now: datetime, sure: frozenset[Sure], longest: timedelta) -> tuple[str, str] | None:
    """Return why a lock must not be removed now and what to do instead; None where nothing here speaks against it.

    `longest` is how long an apply may take: of an unknown holder, only a lock that is older is nobody's.
    """
    lock, holding = seen.lock, seen.holding
    if holding.life is Life.LIVES:
        return f"its holder lives: {holding.why}", "wait until that has ended, or end it there; then look again"
    if holding.life is Life.GONE or Sure.HOLDER_IS_DEAD in sure:
        return None
    claim = f"where that is surely dead: lifeboat state unlock {lock.lock_id} {Sure.HOLDER_IS_DEAD}"
    if lock.created is None:
        return f"whether its holder lives cannot be told ({holding.why}), nor how old it is", claim
    left = longest - (now - lock.created)
    if left > timedelta(0):
        return (
            f"whether its holder lives cannot be told ({holding.why}), and it was taken {said(now - lock.created)} ago",
            f"wait {said(_whole(left))}, then run the same command again; {claim}",
        )
    return None


def _whole(length: timedelta) -> timedelta:
    """Return a length that is no shorter, in the whole hours or minutes that are said of it."""
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    unit = minute if -(-length // minute) * minute < 2 * hour else hour
    return -(-length // unit) * unit


def asks_gitlab(seen: LockSeen, sure: frozenset[Sure]) -> bool:
    """Return whether a job of the project may hold the lock: what is surely gone from this machine is none."""
    return seen.holding.life is Life.UNKNOWN and Sure.WITHOUT_GITLAB not in sure


def suspects(jobs: Iterable[Job], lock: StateLock) -> list[Job]:
    """Return the jobs that may hold a lock: those that run and had begun when it was taken.

    A runner's name in a lock names no job, so each of them may.
    """
    return [
        job
        for job in jobs
        if lock.created is None or job.started_at is None or job.started_at <= lock.created + _CLOCK_MARGIN
    ]
