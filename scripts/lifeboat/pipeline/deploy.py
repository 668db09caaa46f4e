"""`lifeboat gitlab deploy` and `rollback`: play a job of the pipeline once, follow its log, and judge by its own end."""

from __future__ import annotations

import shlex
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
    JobNotBegun,
    LifeboatError,
    NothingFits,
    Refused,
    RoleMissing,
    StoppedPartWay,
    Unreachable,
)
from lifeboat.gitlab_model import ENDED, Job, JobId, Pipeline, VariableName
from lifeboat.pipeline.following import Following
from lifeboat.site import Site
from lifeboat.stack import holding

TRIES = 3
_POLL_SECONDS = 2.0


class Pipelines(StrEnum):
    """Which pipeline the job may be taken from; of those that exist, only one that was pushed."""

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
    with holding.alone(site, patience.tell, f"gitlab {task.job}") as held:
        # Whoever waited for an approval with the lid closed plays nothing in the middle of somebody's recovery.
        return play_and_follow(site, task, patience, lambda _: held.require())


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
    play = _Play(site, task, patience)
    if play.ours() is not None:
        return
    found = play.existing()
    waits = [d for d in site.gitlab_pipelines(patience).deployments(environment) if found and d.job == found.id]
    guard = client.guard(environment)
    # What is made anew has a deployment of its own, which waits for its own approvals: an ended job's next try too.
    anew = found is None or found.status in (*ENDED, "created")
    if any(d.status == "blocked" for d in waits) or (anew and guard is not None and guard.approvals):
        where = "" if found is None else f" ({found.web_url})"
        raise ApprovalMissing(
            f"a deployment to {environment} must be approved in GitLab first{where}",
            hint=f"have it approved, or lift the protection of {environment} in GitLab, then run the same command again",
        )


def play_and_follow(site: Site, task: Task, patience: Patience, note: Callable[[Job], None] = lambda _: None) -> Job:
    """Play the job once with today's variables, follow its log, and return it when it has succeeded.

    Call it holding the environment. `note` is given each try of the job before it may run. Raises Failed with GitLab's
    reason when it ended otherwise, StoppedPartWay with its address when a limit passed while it goes on (JobNotBegun:
    while it waits), ApprovalMissing, Refused or NothingFits when it cannot be played.
    """
    play = _Play(site, task, patience, note)
    try:
        return play.to_the_end()
    except KeyboardInterrupt:
        where = f"; what was played goes on: {play.played.web_url}" if play.played else "; nothing was played"
        raise Interrupted(f"stopped watching {task.job}{where}") from None


class _Unusable(Exception):
    """The job of this pipeline will never run; the text says why."""


class _Play:
    """One job on its way from a pipeline to its end."""

    def __init__(
        self, site: Site, task: Task, patience: Patience, note: Callable[[Job], None] = lambda _: None
    ) -> None:
        self.task = task
        self.played: Job | None = None
        self._site = site
        self._patience = patience
        self._note = note
        self._clock = time.monotonic
        self._gitlab = site.gitlab(patience)
        self._pipelines = site.gitlab_pipelines(patience)
        self._environment = site.gitlab_environment
        self._told = ""
        self._unexplained = 0

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
        found = self.ours() or (None if self.task.pipelines is Pipelines.NEW else self._found())
        if found is not None:
            try:
                return self._brought_to_run(found)
            except _Unusable as reason:
                if self.task.pipelines is Pipelines.EXISTING:
                    raise Refused(
                        f"{found.name} (job {found.id}) cannot be played: {reason}",
                        hint=f"take a new pipeline: {self._in_new()}; {found.web_url}",
                    ) from None
                self._tell(f"{found.name} (job {found.id}) cannot be played: {reason}")
        made = self._in_new_pipeline()
        try:
            return self._brought_to_run(made)
        except _Unusable as reason:
            raise Refused(f"{made.name} (job {made.id}) cannot be played: {reason}", hint=made.web_url) from None

    def ours(self) -> Job | None:
        """Return the job that this run has played before it was cut off, in whichever pipeline.

        A pipeline that was not pushed may be somebody's, with a bad image: it counts only if it was made since.
        """
        since = self.task.since
        if since is None:
            return None
        for pipeline in self._pipelines.newest(self.task.ref):
            found = jobs.named(self._pipelines.jobs(pipeline.id), self.task.job).job
            if found is None or not jobs.is_ours(found, since) or found.id not in self._deployed():
                continue
            if jobs.has_the_files_defaults(pipeline) or pipeline.created_at >= since:
                return found
            if found.status not in ENDED:
                self._tell(
                    f"{found.name} (job {found.id}) of a pipeline that somebody else started is {found.status}, and will"
                    f" replace what is deployed now: cancel it at {found.web_url}"
                )
        return None

    def existing(self) -> Job | None:
        """Return the job that would be taken from a pipeline that exists; None when one has to be started."""
        return None if self.task.pipelines is Pipelines.NEW else self._found()

    def _found(self) -> Job | None:
        """Return the job in the newest pushed pipeline of the ref that has it for this environment."""
        given: list[str] = []
        elsewhere: list[str] = []
        listed = self._pipelines.newest(self.task.ref)
        deployed = self._deployed()
        for pipeline in listed:
            if not jobs.has_the_files_defaults(pipeline):
                given.append(str(pipeline.id))
                continue
            found = self._named(pipeline)
            if found is None:
                continue
            # Without this environment it would deploy elsewhere, or see none of the variables scoped to it. One that is
            # `created` may not have its deployment yet; it is waited for rather than passed over for an older one.
            if found.id in deployed or found.status == "created":
                return found
            elsewhere.append(str(pipeline.id))
        if self.task.pipelines is Pipelines.EITHER:
            return None
        seen = f"{len(listed)} looked at" if listed else "there are none"
        other = f"; in {', '.join(elsewhere[:3])} it is not for that environment" if elsewhere else ""
        fixed = f"; {', '.join(given[:3])} may have inputs of its own, so it is not repeated" if given else ""
        raise NothingFits(
            f"no pushed pipeline of {self.task.ref} has a job {self.task.job} for the environment {self._environment}"
            f" ({seen}{other}{fixed})",
            hint=f"start one: {self._in_new()}",
        )

    def _deployed(self) -> set[JobId | None]:
        """Return the jobs that have a deployment to our environment: the API tells a job's environment nowhere else."""
        return {deployment.job for deployment in self._pipelines.deployments(self._environment)}

    def _is_placed(self, job: Job) -> bool:
        """Return whether a job is for our environment; waits until GitLab has prepared its pipeline and shows it."""
        deadline = self._clock() + self.task.start_within.total_seconds()
        looks = 1
        while job.id not in self._deployed():
            if job.status != "created" and looks >= TRIES:
                return False
            looks += job.status != "created"
            self._wait(job, "GitLab does not show yet which environment it is for", deadline)
            job = self._newest_try(job)
        return True

    def _named(self, pipeline: Pipeline) -> Job | None:
        found = jobs.named(self._pipelines.jobs(pipeline.id), self.task.job)
        if found.candidates:
            raise NothingFits(
                f"pipeline {pipeline.id} has several jobs {self.task.job}: {', '.join(found.candidates)}",
                hint=f"name one of them in [gitlab]; {pipeline.web_url}",
            )
        return found.job

    def _in_new_pipeline(self) -> Job:
        """Return the job of a pipeline that is started once, also when the answer is lost."""
        listed = self._pipelines.newest(self.task.ref)
        seen = {p.id for p in listed if self.task.since is None or p.created_at < self.task.since}
        for attempt in range(1, TRIES + 1):
            for pipeline in listed:
                found = self._named(pipeline) if pipeline.id not in seen and pipeline.source == "api" else None
                # Somebody else may have started one meanwhile, for another environment.
                if found is not None and self._is_placed(found):
                    return found
                seen.add(pipeline.id)
            try:
                return self._job_of(self._pipelines.start(self.task.ref, self.task.inputs))
            except Unreachable:
                if attempt == TRIES:
                    raise
                listed = self._pipelines.newest(self.task.ref)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _job_of(self, pipeline: Pipeline) -> Job:
        self._tell(f"pipeline {pipeline.id} of {self.task.ref} started: {pipeline.web_url}")
        found = self._named(pipeline)
        if found is None:
            raise NothingFits(
                f"the new pipeline {pipeline.id} of {self.task.ref} has no job {self.task.job}",
                hint=f"look at its rules in .gitlab-ci.yml; {pipeline.web_url}",
            )
        return found

    # -- playing -------------------------------------------------------------------------------------------------------

    def _brought_to_run(self, job: Job) -> Job:
        """Return the try of the job that runs, or will, or has run for us; raises _Unusable when it never can."""
        deadline = self._clock() + self.task.start_within.total_seconds()
        # What runs already may take as long as a job may.
        patient = self._clock() + self.task.end_within.total_seconds()
        lost, ordered, placed = 0, False, False
        taken: Job | None = None  # in this state by GitLab's own answer: ordered once more it would be deployed twice
        while True:
            listed = self._pipelines.jobs(job.pipeline.id)
            job = next((other for other in listed if other.name == job.name), job)
            if not placed and job.status != "created":
                placed = self._is_placed(job)
                if not placed:
                    raise _Unusable(f"it is not for the environment {self._environment}")
            step = jobs.next_step(job, listed, self.task.since)
            if step.step is Step.FOLLOW:
                self._tell(f"{job.name} (job {job.id}): {step.why}")
                return self._begun(job)
            # A try that was ordered is `created` until GitLab has made up its mind about it.
            if step.step is Step.REFUSE and not (ordered and job.status == "created"):
                raise _Unusable(step.why)
            if step.step in (Step.WAIT, Step.REFUSE):
                self._wait(job, step.why, patient if job.status in ("running", "canceling") else deadline)
                continue
            if taken is not None and (taken.id, taken.status) == (job.id, job.status):
                self._wait(job, "GitLab took the order and shows nothing of it yet", deadline)
                continue
            self._tell(f"{job.name} (job {job.id}): {step.why}")
            self.played = job
            self._note(job)
            try:
                said = self._pipelines.play(job.id) if step.step is Step.PLAY else self._pipelines.retry(job.id)
                taken = job if said is None else taken
            except Unreachable as problem:
                lost += 1
                if lost == TRIES:
                    raise
                self._tell(f"{problem.summary}; looking whether it was done")
                said = None
            if said is not None:
                self._refused(job, said, patient)
                continue
            ordered = True
            newer = self._newer_try(job)
            if newer is not None and jobs.has_begun(newer):
                return self._begun(newer)

    def _begun(self, job: Job) -> Job:
        """Note a try that may run from now on, once, and return it."""
        if self.played is None or self.played.id != job.id:
            self._note(job)
        self.played = job
        return job

    def _newer_try(self, job: Job) -> Job | None:
        """Return what became of an order: the answer to a play carries the id of the old try. None when nothing has yet."""
        for _ in range(TRIES):
            newest = self._newest_try(job)
            if newest.id != job.id or newest.status != job.status:
                return newest
            self._patience.sleep(_POLL_SECONDS)
        return None

    def _newest_try(self, job: Job) -> Job:
        listed = self._pipelines.jobs(job.pipeline.id)
        return max((other for other in listed if other.name == job.name), key=lambda other: other.id, default=job)

    def _refused(self, job: Job, said: LifeboatError, deadline: float) -> None:
        """Raise why GitLab will not play a job; returns when that has passed, or can be waited for."""
        reason = jobs.unplayable(job, self._pipelines.deployments(self._environment), self._gitlab.project())
        if reason.cause in (Cause.OUTDATED, Cause.ARCHIVED):
            raise _Unusable(reason.why)
        if reason.cause is Cause.APPROVAL:
            if self.task.approval is Approval.REFUSE:
                raise ApprovalMissing(
                    f"{job.name} (job {job.id}) may not be played yet: {reason.why}",
                    hint=f"have it approved, then {self._going_on(job)}; or wait: {self._command()} --wait-approval",
                )
            self._wait(job, reason.why, deadline)
        elif reason.cause is Cause.EARLY:
            self._wait(job, reason.why, deadline)
        elif isinstance(said, RoleMissing):
            raise self._not_allowed(said)
        elif self._unexplained < TRIES:
            # What it was refused for may have passed before we asked why, as when somebody has just approved it.
            self._unexplained += 1
            self._wait(job, reason.why, deadline)
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
            kind = StoppedPartWay if job.status in ("running", "canceling") else JobNotBegun
            raise kind(f"{job.name} (job {job.id}) was not played in time: {why}", hint=self._going_on(job))
        self._tell(f"{job.name} (job {job.id}): {why}")
        self._patience.sleep(_POLL_SECONDS)

    def _tell(self, text: str) -> None:
        """Tell something, once for as long as it stays the same."""
        if text != self._told:
            self._told = text
            self._patience.tell(text)

    # -- the next command ----------------------------------------------------------------------------------------------

    def _command(self) -> str:
        """Return the command that asks for this task once more."""
        settings = self._site.gitlab_settings
        back = self.task.job == settings.rollback_job
        image = self.task.inputs.get(settings.rollback_image_input if back else settings.image_input)
        words = ["lifeboat", "gitlab", "rollback" if back else "deploy", "-e", self._site.project.env]
        if self.task.ref != settings.default_branch:
            words += ["--ref", self.task.ref]
        if image is not None:
            words += ["--image", image]
        return shlex.join(words)

    def _in_new(self) -> str:
        """Return the command that starts a pipeline; with an image it does so anyway."""
        command = self._command()
        return command if " --image " in command else f"{command} --new-pipeline"

    def _going_on(self, job: Job) -> str:
        """Return how a job is gone on with: of a pipeline that was not pushed no command takes it again."""
        if not jobs.has_the_files_defaults(job.pipeline):
            return f"play it at {job.web_url}"
        return f"{self._command()} goes on from there ({job.web_url})"
