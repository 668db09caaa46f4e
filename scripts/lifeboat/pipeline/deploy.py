"""`lifeboat gitlab deploy` and `rollback`: play a job of the pipeline once, follow its log, and judge by its own end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from lifeboat.clients.gitlab_api import Patience
from lifeboat.decisions import jobs
from lifeboat.decisions.jobs import Cause, Step
from lifeboat.errors import (
    ApprovalMissing,
    Interrupted,
    LifeboatError,
    NothingFits,
    Refused,
    RoleMissing,
    StoppedPartWay,
    Unreachable,
)
from lifeboat.gitlab_model import Job, Pipeline, VariableName
from lifeboat.pipeline import hold
from lifeboat.pipeline.following import Following
from lifeboat.site import Site

TRIES = 3
_POLL_SECONDS = 2.0


class Pipelines(StrEnum):
    """Which pipeline the job may be taken from."""

    EXISTING = "existing"
    EITHER = "either"
    NEW = "new"


class Approval(StrEnum):
    """What to do while a deployment waits for approvals."""

    REFUSE = "refuse"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job to bring to its end: which, from where, with which limits.

    `since` (GitLab's clock, from `GitLabPipelines.now`) is when this run may first have played it; None when it surely
    has not. `inputs` are those of a pipeline that has to be started.
    """

    job: str
    ref: str
    start_within: timedelta
    end_within: timedelta
    pipelines: Pipelines = Pipelines.EXISTING
    approval: Approval = Approval.REFUSE
    inputs: Mapping[str, str] = field(default_factory=dict, hash=False)
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the operator said beyond the environment's file; `image` is data for a new pipeline."""

    ref: str | None = None
    image: str | None = None
    pipelines: Pipelines = Pipelines.EXISTING
    approval: Approval = Approval.REFUSE


def deploy_task(site: Site, wanted: Wanted) -> Task:
    """Return the task of deploying, with the limits of the environment's file."""
    settings = site.gitlab_settings
    return _task(site, settings.deploy_job, settings.image_input, wanted)


def rollback_task(site: Site, wanted: Wanted) -> Task:
    """Return the task of rolling back, with the limits of the environment's file."""
    settings = site.gitlab_settings
    return _task(site, settings.rollback_job, settings.rollback_image_input, wanted)


def _task(site: Site, job: str, image_input: str, wanted: Wanted) -> Task:
    settings = site.gitlab_settings
    image = {} if wanted.image is None else {image_input: wanted.image}
    return Task(
        job=job,
        ref=wanted.ref or settings.default_branch,
        start_within=timedelta(minutes=settings.start_minutes),
        end_within=timedelta(minutes=settings.job_minutes),
        # A pipeline's inputs are fixed when it is made, so an image takes a new one.
        pipelines=Pipelines.NEW if image else wanted.pipelines,
        approval=wanted.approval,
        inputs={**settings.inputs, **image},
    )


def run(site: Site, task: Task, patience: Patience) -> Job:
    """Play and follow, holding the environment."""
    with hold.alone(site, f"gitlab {task.job}"):
        return play_and_follow(site, task, patience)


def require_playable(site: Site, task: Task, patience: Patience) -> None:
    """Raise what would keep the job from being played, as far as it can be known before; changes nothing.

    Raises NothingFits where the pipeline's file has no such job or several, ApprovalMissing where somebody has to
    approve a deployment first.
    """
    environment, client = site.gitlab_environment, site.gitlab(patience)
    checked = client.lint(task.ref)
    if checked.errors or task.job not in checked.jobs:
        why = "; ".join(checked.errors) or f"it has: {', '.join(sorted(checked.jobs)) or 'no job'}"
        raise NothingFits(
            f"the pipeline of {task.ref} has no job {task.job} to play: {why}",
            hint=f"name the job in [gitlab] deploy_job of environments/{site.project.env}.toml;"
            f" lifeboat gitlab doctor -e {site.project.env}",
        )
    play = _Play(site, task, patience, time.monotonic)
    found = play.existing()
    waits = [d for d in site.gitlab_pipelines(patience).deployments(environment) if found and d.job == found.id]
    guard = client.guard(environment)
    if any(d.status == "blocked" for d in waits) or (found is None and guard is not None and guard.approvals):
        where = "" if found is None else f" ({found.web_url})"
        raise ApprovalMissing(
            f"a deployment to {environment} must be approved in GitLab first{where}",
            hint=f"have it approved, or lift the protection of {environment} in GitLab, then run the same command again",
        )


def play_and_follow(site: Site, task: Task, patience: Patience, clock: Callable[[], float] = time.monotonic) -> Job:
    """Play the job once with today's variables, follow its log, and return it when it has succeeded.

    Call it holding the environment. Raises Failed with GitLab's reason when it ended otherwise, StoppedPartWay with its
    address when a limit passed while it goes on, ApprovalMissing, Refused or NothingFits when it cannot be played.
    """
    play = _Play(site, task, patience, clock)
    try:
        return play.to_the_end()
    except KeyboardInterrupt:
        where = "" if play.job is None else f"; what was played goes on: {play.job.web_url}"
        raise Interrupted(f"stopped watching {task.job}{where}") from None


class _Unusable(Exception):
    """The job of this pipeline will never run; the text says why."""


class _Play:
    """One job on its way from a pipeline to its end."""

    def __init__(self, site: Site, task: Task, patience: Patience, clock: Callable[[], float]) -> None:
        self.task = task
        self.job: Job | None = None
        self._site = site
        self._patience = patience
        self._clock = clock
        self._gitlab = site.gitlab(patience)
        self._pipelines = site.gitlab_pipelines(patience)
        self._environment = site.gitlab_environment
        self._told = ""

    def to_the_end(self) -> Job:
        self._require_variables_seen()
        following = Following(self._gitlab, self._pipelines, self._patience, self._clock)
        return following.to_the_end(self._played(), self.task.start_within, self.task.end_within)

    # -- before --------------------------------------------------------------------------------------------------------

    def _require_variables_seen(self) -> None:
        """Refuse a ref whose jobs would find our variables empty."""
        if self._gitlab.is_protected(self.task.ref) is not False:
            return
        names = [
            VariableName(key=mapping.key, scope=mapping.scope or self._environment)
            for mapping in self._site.gitlab_settings.variables
        ]
        try:
            hidden_from_it = jobs.unseen(self._gitlab.variables(), names)
        except RoleMissing:
            self._tell(
                f"{self.task.ref} is not protected; whether its jobs see all variables, this token may not look up"
            )
            return
        if hidden_from_it:
            raise Refused(
                f"{self.task.ref} is not protected, so its jobs would find these empty:"
                f" {', '.join(str(name) for name in hidden_from_it)}",
                hint=f"deploy from {self._site.gitlab_settings.default_branch}, or protect {self.task.ref} in GitLab",
            )

    # -- which pipeline ------------------------------------------------------------------------------------------------

    def _played(self) -> Job:
        """Return the job, played; from a new pipeline where the existing one's will never run and that is allowed."""
        found = self._ours() or (None if self.task.pipelines is Pipelines.NEW else self._found())
        if found is not None:
            try:
                return self._brought_to_run(found)
            except _Unusable as reason:
                if self.task.pipelines is Pipelines.EXISTING:
                    raise Refused(
                        f"{found.name} (job {found.id}) cannot be played: {reason}",
                        hint=f"take a new pipeline: {self._command()} --new-pipeline; {found.web_url}",
                    ) from None
                self._tell(f"{found.name} (job {found.id}) cannot be played: {reason}")
        made = self._in_new_pipeline()
        try:
            return self._brought_to_run(made)
        except _Unusable as reason:
            raise Refused(f"{made.name} (job {made.id}) cannot be played: {reason}", hint=made.web_url) from None

    def _ours(self) -> Job | None:
        """Return the job that this run has played before it was cut off, in whichever pipeline."""
        if self.task.since is None:
            return None
        for pipeline in self._pipelines.newest(self.task.ref):
            found = jobs.named(self._pipelines.jobs(pipeline.id), self.task.job).job
            if found is not None and jobs.is_ours(found, self.task.since):
                return found
        return None

    def existing(self) -> Job | None:
        """Return the job that would be taken from a pipeline that exists; None when one has to be started."""
        return None if self.task.pipelines is Pipelines.NEW else self._found()

    def _found(self) -> Job | None:
        """Return the job in the newest pipeline of the ref that has it for this environment."""
        elsewhere: list[str] = []
        listed = self._pipelines.newest(self.task.ref)
        deployed = {deployment.job for deployment in self._pipelines.deployments(self._environment)}
        for pipeline in listed:
            found = self._named(pipeline)
            if found is None:
                continue
            # Without this environment it would deploy elsewhere, or see none of the variables scoped to it.
            if found.id in deployed:
                return found
            elsewhere.append(str(pipeline.id))
        if self.task.pipelines is Pipelines.EITHER:
            return None
        seen = f"{len(listed)} looked at" if listed else "there are none"
        other = f"; in {', '.join(elsewhere[:3])} it is not for that environment" if elsewhere else ""
        raise NothingFits(
            f"no pipeline of {self.task.ref} has a job {self.task.job} for the environment {self._environment}"
            f" ({seen}{other})",
            hint=f"start one: {self._command()} --new-pipeline",
        )

    def _named(self, pipeline: Pipeline) -> Job | None:
        found = jobs.named(self._pipelines.jobs(pipeline.id), self.task.job)
        if found.candidates:
            raise NothingFits(
                f"pipeline {pipeline.id} has several jobs {self.task.job}: {', '.join(found.candidates)}",
                hint=f"name one of them in [gitlab]; {pipeline.web_url}",
            )
        return found.job

    def _in_new_pipeline(self) -> Job:
        pipeline = self._started()
        self._tell(f"pipeline {pipeline.id} of {self.task.ref} started: {pipeline.web_url}")
        found = self._named(pipeline)
        if found is None:
            raise NothingFits(
                f"the new pipeline {pipeline.id} of {self.task.ref} has no job {self.task.job}",
                hint=f"look at its rules in .gitlab-ci.yml; {pipeline.web_url}",
            )
        return found

    def _started(self) -> Pipeline:
        """Start a pipeline once, also when the answer is lost."""
        listed = self._pipelines.newest(self.task.ref)
        before = {p.id for p in listed if self.task.since is None or p.created_at < self.task.since}
        for attempt in range(1, TRIES + 1):
            made = [p for p in listed if p.id not in before and p.source == "api"]
            if made:
                return made[0]
            try:
                return self._pipelines.start(self.task.ref, self.task.inputs)
            except Unreachable:
                if attempt == TRIES:
                    raise
                listed = self._pipelines.newest(self.task.ref)
        raise AssertionError("unreachable: the last attempt returns or raises")

    # -- playing -------------------------------------------------------------------------------------------------------

    def _brought_to_run(self, job: Job) -> Job:
        """Return the try of the job that runs, or will, or has run for us; raises _Unusable when it never can."""
        deadline = self._clock() + self.task.start_within.total_seconds()
        # What runs already may take as long as a job may.
        patient = self._clock() + self.task.end_within.total_seconds()
        lost = 0
        while True:
            self.job = job
            listed = self._pipelines.jobs(job.pipeline.id)
            job = next((other for other in listed if other.name == job.name), job)
            step = jobs.next_step(job, listed, self.task.since)
            if step.step is Step.FOLLOW:
                self._tell(f"{job.name} (job {job.id}): {step.why}")
                return job
            if step.step is Step.REFUSE:
                raise _Unusable(step.why)
            if step.step is Step.WAIT:
                self._wait(job, step.why, patient if job.status in ("running", "canceling") else deadline)
                continue
            self._tell(f"{job.name} (job {job.id}): {step.why}")
            try:
                said = self._pipelines.play(job.id) if step.step is Step.PLAY else self._pipelines.retry(job.id)
            except Unreachable as problem:
                lost += 1
                if lost == TRIES:
                    raise
                self._tell(f"{problem.summary}; looking whether it was done")
                said = None
            if said is not None:
                self._refused(job, said, patient)
                continue
            begun = self._newer_try(job)
            if begun is not None:
                return begun
            self._wait(job, "GitLab took the order and shows nothing of it yet", deadline)

    def _newer_try(self, job: Job) -> Job | None:
        """Return the try that was begun: the answer to a play carries the id of the old one. None when none was."""
        for _ in range(TRIES):
            listed = self._pipelines.jobs(job.pipeline.id)
            newest = max((other for other in listed if other.name == job.name), key=lambda other: other.id, default=job)
            if newest.id != job.id or newest.status != job.status:
                self.job = newest
                return newest
            self._patience.sleep(_POLL_SECONDS)
        return None

    def _refused(self, job: Job, said: LifeboatError, deadline: float) -> None:
        """Raise why GitLab will not play a job; returns when that has passed, or can be waited for."""
        reason = jobs.unplayable(job, self._pipelines.deployments(self._environment), self._gitlab.project())
        if reason.cause in (Cause.OUTDATED, Cause.ARCHIVED):
            raise _Unusable(reason.why)
        if reason.cause is Cause.APPROVAL:
            if self.task.approval is Approval.REFUSE:
                raise ApprovalMissing(
                    f"{job.name} (job {job.id}) may not be played yet: {reason.why}",
                    hint=f"have it approved at {job.web_url}, then {self._command()}; or wait: {self._command()} --wait-approval",
                )
            self._wait(job, reason.why, deadline)
        elif reason.cause is Cause.EARLY:
            self._wait(job, reason.why, deadline)
        elif isinstance(said, RoleMissing):
            raise self._not_allowed(said)
        else:
            raise Refused(f"GitLab will not play {job.name} (job {job.id}): {reason.why}", hint=job.web_url)

    def _not_allowed(self, said: RoleMissing) -> RoleMissing:
        """Return the refusal with who may deploy, as far as this token may see that."""
        try:
            guard = self._gitlab.guard(self._environment)
        except RoleMissing:
            guard = None
        who = (
            ""
            if guard is None
            else f"; {self._environment} is protected: {', '.join(guard.deployers)} may deploy to it"
        )
        return RoleMissing(f"{said.summary}{who}", hint="use the token of somebody who may; lifeboat gitlab doctor")

    def _wait(self, job: Job, why: str, deadline: float) -> None:
        if self._clock() > deadline:
            raise StoppedPartWay(
                f"{job.name} (job {job.id}) was not played in time: {why}",
                hint=f"{self._command()} goes on from there; {job.web_url}",
            )
        self._tell(f"{job.name} (job {job.id}): {why}")
        self._patience.sleep(_POLL_SECONDS)

    def _tell(self, text: str) -> None:
        """Tell something, once for as long as it stays the same."""
        if text != self._told:
            self._told = text
            self._patience.tell(text)

    def _command(self) -> str:
        verb = "rollback" if self.task.job == self._site.gitlab_settings.rollback_job else "deploy"
        return f"lifeboat gitlab {verb} -e {self._site.project.env}"
