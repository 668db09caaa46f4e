"""A GitLab project's pipelines, jobs, logs and deployments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.clients.gitlab_api import GitLabApi, Order, plain
from lifeboat.errors import GitLabRefused, LifeboatError, RoleMissing
from lifeboat.gitlab_model import Deployment, DeploymentId, Job, JobId, Pipeline, PipelineId, Role

PIPELINES_LOOKED_AT = 30
DEPLOYMENTS_LOOKED_AT = 100
_UNPLAYABLE = "Unplayable Job"  # older GitLabs put it into another sentence


class GitLabPipelines:
    """The pipelines of one project."""

    def __init__(self, api: GitLabApi) -> None:
        self._api = api

    def now(self) -> datetime:
        """Return GitLab's time: what a job's own times are to be compared with."""
        return self._api.clock()

    def newest(self, ref: str) -> list[Pipeline]:
        """Return the newest pipelines of a ref, newest first; those that are part of another are not among them."""
        order = Order(what=f"list the pipelines of {ref}", path="pipelines")
        asked = {"ref": ref, "order_by": "id", "sort": "desc", "per_page": PIPELINES_LOOKED_AT}
        return self._api.newest(order, _pipeline, **asked)

    def start(self, ref: str, inputs: Mapping[str, str]) -> Pipeline:
        """Start a pipeline of a ref with inputs, which need no right to set variables."""
        order = Order(what=f"start a pipeline of {ref}", path="pipeline", role=Role.DEVELOPER)
        return self._api.post(order, _pipeline, {"ref": ref, **({"inputs": dict(inputs)} if inputs else {})})

    def jobs(self, pipeline: PipelineId) -> list[Job]:
        """Return the newest try of each job of a pipeline."""
        order = Order(what=f"list the jobs of pipeline {pipeline}", path=f"pipelines/{pipeline}/jobs")
        return self._api.every(order, _job)

    def job(self, job: JobId) -> Job | None:
        """Return one job; None when it is not there any more."""
        return self._api.one(Order(what=f"look at job {job}", path=f"jobs/{job}"), _job)

    def working(self) -> list[Job]:
        """Return the project's jobs that run now, those included that were cancelled and have not ended yet."""
        order = Order(what="list the jobs that run", path="jobs")
        running = self._api.every(order, _job, scope="running")
        # GitLabs before 17 refuse "canceling" in the question, and the newest jobs are those that are cancelled.
        canceling = [job for job in self._api.newest(order, _job) if job.status == "canceling"]
        return [*running, *canceling]

    def log(self, job: JobId) -> bytes:
        """Return a job's whole log so far; GitLab gives no part of one."""
        return self._api.text(Order(what=f"read the log of job {job}", path=f"jobs/{job}/trace"))

    def play(self, job: JobId) -> LifeboatError | None:
        """Play a job; return why GitLab will not, None when it did. Its answer carries the id of the old try."""
        return self._ordered(Order(what=f"play job {job}", path=f"jobs/{job}/play", role=Role.DEVELOPER))

    def retry(self, job: JobId) -> LifeboatError | None:
        """Run an ended job again; return why GitLab will not, None when it did."""
        return self._ordered(Order(what=f"retry job {job}", path=f"jobs/{job}/retry", role=Role.DEVELOPER))

    def cancel(self, job: JobId) -> None:
        """Cancel a job; one that has ended stays as it is, and one that runs goes on until its runner has ended it."""
        order = Order(what=f"cancel job {job}", path=f"jobs/{job}/cancel", role=Role.DEVELOPER)
        self._api.post(order, lambda record: int(record["id"]), {})

    def deployments(self, environment: str) -> list[Deployment]:
        """Return the newest deployments to an environment, newest first."""
        order = Order(what=f"list the deployments to {environment}", path="deployments")
        asked = {"environment": environment, "order_by": "id", "sort": "desc", "per_page": DEPLOYMENTS_LOOKED_AT}
        return self._api.newest(order, _deployment, **asked)

    def _ordered(self, order: Order) -> LifeboatError | None:
        try:
            self._api.post(order, lambda record: int(record["id"]), {})
        except GitLabRefused as refusal:
            if refusal.status == 400 and _UNPLAYABLE in refusal.body:
                return refusal
            raise
        except RoleMissing as refusal:
            return refusal  # newer GitLabs answer 403 where older ones say that a job is unplayable
        return None


def _pipeline(record: dict[str, Any]) -> Pipeline:
    return Pipeline(
        id=PipelineId(int(record["id"])),
        ref=plain(record["ref"]),
        sha=plain(record["sha"]),
        source=plain(record.get("source") or ""),
        status=plain(record["status"]),
        web_url=plain(record["web_url"]),
        created_at=_required_time(record["created_at"]),
    )


def _job(record: dict[str, Any]) -> Job:
    return Job(
        id=JobId(int(record["id"])),
        name=plain(record["name"]),
        status=plain(record["status"]),
        pipeline=_pipeline(record["pipeline"]),
        created_at=_required_time(record["created_at"]),
        web_url=plain(record["web_url"]),
        stage=plain(record.get("stage") or ""),
        started_at=_time(record.get("started_at")),
        finished_at=_time(record.get("finished_at")),
        queued=_span(record.get("queued_duration")),
        ran=_span(record.get("duration")),
        failure_reason=plain(record.get("failure_reason") or ""),
        tags=tuple(plain(tag) for tag in record.get("tag_list") or []),
        archived=bool(record.get("archived", False)),
    )


def _deployment(record: dict[str, Any]) -> Deployment:
    job = record.get("deployable")
    return Deployment(
        id=DeploymentId(int(record["id"])),
        environment=plain(record["environment"]["name"]),
        status=plain(record["status"]),
        job=None if job is None else JobId(int(job["id"])),
        sha=plain(record["sha"]),
        missing_approvals=int(record.get("pending_approval_count") or 0),
    )


def _time(text: Any) -> datetime | None:
    return None if text is None else _required_time(text)


def _required_time(text: Any) -> datetime:
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def _span(seconds: Any) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=float(seconds))
