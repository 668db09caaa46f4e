"""Which job a recovery has played and whether that is over, from what it wrote down; so that nothing is deployed twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lifeboat.gitlab_model import Job, JobId, PipelineId, Played
from lifeboat.model import Event

# What is written down under these names: GitLab's time before the first play, each try, and that the last one is over.
SINCE, JOB, ENDED = "deploy_since", "deploy_job", "deploy_ended"
_TO = "deploy_to"


def noted(job: Job) -> dict[str, Any]:
    """Return what is written down of a try before it may run."""
    return {JOB: job.id, "deploy_name": job.name, "deploy_pipeline": job.pipeline.id, "deploy_url": job.web_url}


def begun(at: datetime, instance: str) -> dict[str, Any]:
    """Return what is written down before the job may be played for an instance the first time."""
    return {SINCE: at.isoformat(), _TO: instance}


def since(events: Iterable[Event], instance: str) -> datetime | None:
    """Return when, by GitLab's clock, the job may first have been played for an instance; None when it surely was not since
    the last end. What was deployed to an instance that is gone says nothing of the one that took its place.

    A play that nobody watches any more, since somebody stopped lifeboat or GitLab was away, is not over by that.
    """
    found = None
    for event in events:
        if SINCE in event.data:
            ours = event.data.get(_TO, instance) == instance
            found = datetime.fromisoformat(event.data[SINCE]) if ours else None
        elif ENDED in event.data:
            found = None
    return found


def last(events: Iterable[Event]) -> Played | None:
    """Return the try that may still run; None when none was begun since the last end."""
    found = None
    for event in events:
        if JOB in event.data:
            data = event.data
            found = Played(
                name=str(data["deploy_name"]),
                job=JobId(data[JOB]),
                pipeline=PipelineId(data["deploy_pipeline"]),
                web_url=str(data["deploy_url"]),
            )
        elif ENDED in event.data:
            found = None
    return found
