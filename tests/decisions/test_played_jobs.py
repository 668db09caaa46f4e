"""What a recovery's journal says of the job that it has played."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from lifeboat.decisions import played_jobs
from lifeboat.gitlab_model import JobId, PipelineId, Played
from lifeboat.model import Event, EventKind

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
SINCE = played_jobs.begun(NOON, "i-1")
ELSEWHERE = played_jobs.begun(NOON, "i-0")
JOB = {"deploy_job": 7, "deploy_name": "deploy_application", "deploy_pipeline": 3, "deploy_url": "https://g/7"}
STOPPED = {"error": "stopped watching deploy_application"}
FAILED = {"error": "its script ended with an error", "deploy_ended": True}
PLAYED = Played(name="deploy_application", job=JobId(7), pipeline=PipelineId(3), web_url="https://g/7")


def journal(*written: dict[str, Any]) -> list[Event]:
    return [
        Event(
            seq=number, at=NOON, kind=EventKind.RESULT if "error" in data else EventKind.NOTE, step="deploy", data=data
        )
        for number, data in enumerate(written, 1)
    ]


@pytest.mark.parametrize(
    ("written", "since", "last"),
    [
        ([], None, None),
        ([SINCE], NOON, None),
        ([SINCE, JOB], NOON, PLAYED),
        ([SINCE, JOB, STOPPED], NOON, PLAYED),
        ([ELSEWHERE, JOB], None, PLAYED),
        ([ELSEWHERE, JOB, SINCE], NOON, PLAYED),
        ([{"deploy_since": NOON.isoformat()}, JOB], NOON, PLAYED),
        ([SINCE, JOB, FAILED], None, None),
        ([SINCE, JOB, FAILED, SINCE], NOON, None),
        ([SINCE, JOB, FAILED, SINCE, {**JOB, "deploy_job": 6}, JOB], NOON, PLAYED),
    ],
    ids=[
        "nothing",
        "about to play",
        "playing",
        "not watched any more",
        "for another instance",
        "and then ours",
        "without its instance",
        "failed",
        "again",
        "tried again",
    ],
)
def test_a_play_is_over_when_its_job_has_ended_and_not_when_nobody_watches_it(
    written: list[dict[str, Any]], since: datetime | None, last: Played | None
) -> None:
    events = journal(*written)

    assert (played_jobs.since(events, "i-1"), played_jobs.last(events)) == (since, last)
