"""Following a job that was played: its log as it grows, its status, the limits on both; and taking one back that waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from lifeboat.clients.gitlab import GitLab
from lifeboat.clients.gitlab_api import Patience
from lifeboat.clients.gitlab_pipelines import GitLabPipelines
from lifeboat.decisions import job_logs, jobs
from lifeboat.errors import (
    Failed,
    GitLabUnreachable,
    IntegrityFailure,
    JobNotBegun,
    LifeboatError,
    StoppedPartWay,
    Unreachable,
)
from lifeboat.gitlab_model import ENDED, WAITING, Job, Played

FIRST_POLL_SECONDS = 1.0
LONGEST_POLL_SECONDS = 10.0
_SLOWER = 1.3
# A GitLab that restarts is back within minutes, and the job goes on meanwhile.
UNREACHABLE_SECONDS = 300.0
LOOK_FOR_RUNNERS_SECONDS = 15.0


def withdrawn(pipelines: GitLabPipelines, played: Played) -> str:
    """Cancel a job that has not begun; return what it may still do, nothing when it will not run."""
    try:
        listed = [job for job in pipelines.jobs(played.pipeline) if job.name == played.name]
        for job in listed:
            if job.status in (*WAITING, "created"):
                pipelines.cancel(job.id)
        left = [job for job in pipelines.jobs(played.pipeline) if job.name == played.name]
    except LifeboatError as problem:
        return (
            f"{played.name} (job {played.job}) may still run, and then replaces what is deployed now:"
            f" cancel it at {played.web_url} ({problem.summary})"
        )
    runs = [job for job in left if job.status not in (*ENDED, "manual")]
    return "; ".join(
        f"{job.name} (job {job.id}) is {job.status}, and replaces what is deployed now: look at {job.web_url}"
        for job in runs
    )


class Following:
    """Follows one job to its end."""

    def __init__(
        self, gitlab: GitLab, pipelines: GitLabPipelines, patience: Patience, clock: Callable[[], float]
    ) -> None:
        self._gitlab = gitlab
        self._pipelines = pipelines
        self._patience = patience
        self._clock = clock
        self._shown = 0
        self._silent_since: float | None = None
        self._looked_for_runners = False

    def to_the_end(self, job: Job, start_within: timedelta, end_within: timedelta) -> Job:
        """Return the job when it has succeeded, telling its log; raises when it ended otherwise or a limit passed."""
        begun = self._clock()
        wait = FIRST_POLL_SECONDS
        while True:
            # The status first: a log that is read after the end is whole.
            job = self._looked_at(job, begun + end_within.total_seconds())
            if job.status in ENDED:
                return self._judged(job)
            passed = self._clock() - begun
            if job.status in WAITING and job.started_at is None:
                self._look_for_runners(job, passed, start_within)
            if passed > end_within.total_seconds():
                raise StoppedPartWay(
                    f"{job.name} (job {job.id}) is {job.status} after {end_within.total_seconds() / 60:.0f} min and goes on",
                    hint=f"watch it at {job.web_url}",
                )
            self._patience.sleep(wait)
            wait = min(LONGEST_POLL_SECONDS, wait * _SLOWER)

    def _looked_at(self, job: Job, deadline: float) -> Job:
        """Return the job as it is now and tell what its log says more; as it was, where GitLab is silent for a while."""
        try:
            found = self._pipelines.job(job.id)
            if found is None:
                raise IntegrityFailure(f"{job.name} (job {job.id}) is not there any more", hint=job.pipeline.web_url)
            if found.started_at is not None:
                log = self._pipelines.log(job.id)
                self._show(
                    job_logs.rest(log, self._shown) if found.status in ENDED else job_logs.fresh(log, self._shown)
                )
        except Unreachable as problem:
            now = self._clock()
            if self._silent_since is None:
                self._silent_since = now
                self._patience.tell(f"{problem.summary}; the job goes on, so asking again")
            if now - self._silent_since > UNREACHABLE_SECONDS or now > deadline:
                raise
            return job
        self._silent_since = None
        return found

    def _show(self, fresh: job_logs.Fresh) -> None:
        self._shown = fresh.shown
        for line in fresh.lines:
            self._patience.tell(f"  | {line}")

    def _look_for_runners(self, job: Job, passed: float, start_within: timedelta) -> None:
        """Say, soon, when no runner takes the job; raise when none has taken it in time."""
        late = passed > start_within.total_seconds()
        if not late and (self._looked_for_runners or passed < LOOK_FOR_RUNNERS_SECONDS):
            return
        self._looked_for_runners = True
        runners = self._gitlab.runners()
        nobody = runners is not None and not jobs.able(runners, job)
        why = jobs.no_runner(runners or [], job) if nobody else f"it is {job.status}"
        if not late:
            if nobody:
                self._patience.tell(f"{job.name} (job {job.id}): {why}")
            return
        summary = f"{job.name} (job {job.id}) did not begin within {start_within.total_seconds() / 60:.0f} min: {why}"
        hint = f"it is still waiting, and begins as soon as a runner takes it: {job.web_url}"
        raise GitLabUnreachable(summary, hint=hint) if nobody else JobNotBegun(summary, hint=hint)

    def _judged(self, job: Job) -> Job:
        if job.status != "success":
            raise Failed(jobs.ending(job), hint=f"read its log at {job.web_url}")
        return job
