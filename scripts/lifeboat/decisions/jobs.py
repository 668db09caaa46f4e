"""Which job to play, what to do with it in its present state, why GitLab will not play it, and what its end means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lifeboat.gitlab_model import (
    ENDED,
    WAITING,
    Deployment,
    Job,
    Pipeline,
    ProjectFacts,
    RunnerFacts,
    Variable,
    VariableName,
)

_UNDER_WAY = (*WAITING, "running", "canceling")

# What GitLab says of a failed job (app/models/concerns/enums/ci/commit_status.rb), in words.
_FAILURES = {
    "script_failure": "its script ended with an error",
    "api_failure": "the runner could not reach GitLab",
    "stuck_or_timeout_failure": "no runner took it in time, or it got stuck",
    "runner_system_failure": "the runner failed, not the script",
    "missing_dependency_failure": "files of an earlier job are gone",
    "runner_unsupported": "the runner is too old for it",
    "job_execution_timeout": "it ran longer than its timeout",
    "archived_failure": "its pipeline is archived",
    "unmet_prerequisites": "something it needs could not be prepared",
    "scheduler_failure": "GitLab could not hand it to a runner",
    "data_integrity_failure": "GitLab found its own data wrong",
    "forward_deployment_failure": "a newer deployment was made meanwhile, and GitLab runs no older one after it",
    "failed_outdated_deployment_job": "a newer deployment was made meanwhile, and GitLab runs no older one after it",
    "protected_environment_failure": "who played it may not deploy to this environment",
    "deployment_rejected": "somebody rejected the deployment",
    "no_matching_runner": "no runner has its tags",
    "environment_creation_failure": "its environment could not be made",
    "user_blocked": "the user who played it is blocked",
    "ci_quota_exceeded": "the quota of compute minutes is used up",
}


# -- which job ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Found:
    """The job of that name in one pipeline; without one, the names that several jobs bear instead."""

    job: Job | None
    candidates: tuple[str, ...] = ()


def named(jobs: Iterable[Job], name: str) -> Found:
    """Return the one job of a name. Several (parallel, matrix, repeated) are candidates: nobody chooses between them."""
    jobs = list(jobs)
    exact = [job for job in jobs if job.name == name]
    # Gitlab::Ci::Config::Normalizer names them "deploy 1/3" and "deploy: [eu, blue]".
    variant = re.compile(rf"{re.escape(name)}( [0-9]+/[0-9]+|: \[.*\])")
    several = [job for job in jobs if variant.fullmatch(job.name)]
    if len(exact) == 1 and not several:
        return Found(job=exact[0])
    return Found(job=None, candidates=tuple(f"{job.name} (job {job.id})" for job in (*exact, *several)))


def has_the_files_defaults(pipeline: Pipeline) -> bool:
    """Return whether a pipeline surely runs with the defaults of its file.

    All but a push may bring inputs (doc/ci/inputs), an image among them, and GitLab shows nobody which.
    """
    return pipeline.source == "push"


# -- what to do with it ------------------------------------------------------------------------------------------------


class Step(StrEnum):
    """What brings a job nearer to its end."""

    PLAY = "play"
    RETRY = "retry"
    FOLLOW = "follow"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, kw_only=True)
class Next:
    """The next step with a job, and why."""

    step: Step
    why: str


def has_begun(job: Job) -> bool:
    """Return whether a job waits for a runner, runs or has ended: one that is `manual` or `created` may never do so."""
    return job.status in (*_UNDER_WAY, *ENDED)


def is_ours(job: Job, since: datetime | None) -> bool:
    """Return whether a job began, or waits to, after this run may first have played it.

    `since` is of GitLab's clock; None when this run surely has not played it.
    """
    if since is None:
        return False
    began = job.started_at or (job.created_at if job.status in ENDED else None)
    return job.status in WAITING or (began is not None and began >= since)


def next_step(job: Job, jobs: Iterable[Job], since: datetime | None) -> Next:
    """Return what to do so that the job runs with today's variables, once: what this run has played is followed."""
    ours = is_ours(job, since)
    if job.status in WAITING:
        return Next(step=Step.FOLLOW, why="it is waiting for a runner, which reads the variables when it begins")
    if job.status == "running":
        if ours:
            return Next(step=Step.FOLLOW, why="this run has played it already")
        return Next(step=Step.WAIT, why="it runs with the variables of before; it is played again when that ends")
    if job.status in ("success", "failed", "canceled"):
        if ours:
            return Next(step=Step.FOLLOW, why="this run has played it already")
        if job.failure_reason == "deployment_rejected":
            return Next(step=Step.REFUSE, why="somebody rejected its deployment, so GitLab runs it no more")
        return Next(step=Step.RETRY, why=f"it ran before ({job.status}), so it is run again")
    if job.status == "manual":
        return Next(step=Step.PLAY, why="it is ready to be played")
    if job.status == "canceling":
        return Next(step=Step.WAIT, why="it is being canceled")
    if job.status == "skipped":
        return Next(step=Step.REFUSE, why="it was skipped, since a job before it did not succeed")
    return _before_its_turn(job, jobs)


def _before_its_turn(job: Job, jobs: Iterable[Job]) -> Next:
    others = [other for other in jobs if other.id != job.id]
    busy = [other.name for other in others if other.status in _UNDER_WAY]
    if busy:
        return Next(step=Step.WAIT, why=f"it waits for earlier jobs: {', '.join(busy)}")
    idle = [f"{other.name} ({other.status})" for other in others if other.status == "manual"]
    # GitLab prepares a pipeline after it has answered (InitialPipelineProcessWorker): until then every job is `created`,
    # and so is the pipeline. One that stops for a manual job is `manual` itself.
    if not idle or job.pipeline.status != "manual":
        return Next(step=Step.WAIT, why="GitLab has not prepared it yet")
    why = f"it waits for earlier jobs that do not run: {', '.join(idle)}; give it needs: [] to be free of them"
    return Next(step=Step.REFUSE, why=why)


def unseen(variables: Iterable[Variable], names: Iterable[VariableName]) -> tuple[VariableName, ...]:
    """Return which of these variables a job on an unprotected ref would find empty."""
    wanted = set(names)
    return tuple(v.name for v in variables if v.protected and v.name in wanted)


# -- why it cannot be played -------------------------------------------------------------------------------------------


class Cause(StrEnum):
    """Why GitLab says "Unplayable Job"."""

    EARLY = "early"
    APPROVAL = "approval"
    OUTDATED = "outdated"
    ARCHIVED = "archived"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Unplayable:
    """Why a job cannot be played, in a word to act by and in words to read."""

    cause: Cause
    why: str


def unplayable(job: Job, deployments: Iterable[Deployment], project: ProjectFacts) -> Unplayable:
    """Tell the four causes of GitLab's one answer apart (deployments: newest first)."""
    deployments = list(deployments)
    own = next((d for d in deployments if d.job == job.id), None)
    if job.archived:
        return Unplayable(cause=Cause.ARCHIVED, why=f"pipeline {job.pipeline.id} is archived, and its jobs run no more")
    if job.status == "created":
        return Unplayable(cause=Cause.EARLY, why="it waits for earlier jobs")
    if own is not None and own.status == "blocked":
        missing = f"{own.missing_approvals} more " if own.missing_approvals else ""
        persons = "approval" if own.missing_approvals == 1 else "approvals"
        why = f"deployment {own.id} to {own.environment} waits for {missing}{persons}"
        return Unplayable(cause=Cause.APPROVAL, why=why)
    newer = _newer(own, deployments)
    if own is not None and newer is not None and project.forward_deployment is not False and job.status not in ENDED:
        why = (
            f"it is of commit {own.sha[:8]}, and {newer.sha[:8]} was deployed to {own.environment} since"
            f" (deployment {newer.id}): GitLab prevents outdated deployments"
        )
        return Unplayable(cause=Cause.OUTDATED, why=why)
    return Unplayable(cause=Cause.UNKNOWN, why=f"GitLab does not say why; its status is {job.status}")


def _newer(own: Deployment | None, deployments: Iterable[Deployment]) -> Deployment | None:
    if own is None:
        return None
    done = ("success", "running")
    return next(
        (
            d
            for d in deployments
            if d.environment == own.environment and d.id > own.id and d.sha != own.sha and d.status in done
        ),
        None,
    )


# -- how it goes on and ends -------------------------------------------------------------------------------------------


def able(runners: Iterable[RunnerFacts], job: Job) -> tuple[RunnerFacts, ...]:
    """Return the runners that are online and would take the job, as far as their tags are known."""
    return tuple(runner for runner in runners if runner.online and not runner.paused and _takes(runner, job))


def _takes(runner: RunnerFacts, job: Job) -> bool:
    if runner.tags is None:
        return True
    return bool(runner.run_untagged or job.tags) and set(job.tags) <= set(runner.tags)


def no_runner(runners: Iterable[RunnerFacts], job: Job) -> str:
    """Return why no runner takes a job."""
    runners = list(runners)
    wanted = f"the tags {', '.join(job.tags)}" if job.tags else "no tags"
    offline = [r.description for r in runners if not r.online]
    paused = [r.description for r in runners if r.online and r.paused]
    seen = [
        *([f"offline: {', '.join(offline)}"] if offline else []),
        *([f"paused: {', '.join(paused)}"] if paused else []),
    ]
    return f"no runner is online that takes jobs with {wanted}" + (f" ({'; '.join(seen)})" if seen else "")


def ending(job: Job) -> str:
    """Return how a job ended, in words: the verdict is the job's, since a pipeline passes with a failed deploy in it."""
    if job.status == "failed":
        reason = _FAILURES.get(job.failure_reason, job.failure_reason or "GitLab does not say why")
        return f"{job.name} (job {job.id}) failed: {reason}"
    return f"{job.name} (job {job.id}) ended as {job.status}"
