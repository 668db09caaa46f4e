"""How a pipeline moves: which jobs may start, wait, are skipped or blocked, and the status of the whole."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.gitlab.records import COMPLETED, Record, Records

# app/services/ci/process_build_service.rb: with which status of what came before a job goes on
GOES_ON = {
    "on_success": ("success", "skipped"),
    "manual": ("success", "skipped"),
    "on_failure": ("failed",),
    "always": ("success", "failed", "skipped"),
}
CANCELABLE = ("created", "waiting_for_resource", "preparing", "pending", "scheduled", "manual")


def composite(jobs: Iterable[Record]) -> str | None:
    """Return the status of several jobs together: lib/gitlab/ci/status/composite.rb; None for no jobs."""
    seen = {_weighed(job) for job in jobs}
    if not seen:
        return None

    def only(*statuses: str) -> bool:
        return seen <= set(statuses)

    if only("skipped", "ignored"):
        return "skipped"
    if only("success", "skipped", "warned", "ignored"):
        return "success"
    if only("created", "warned", "ignored"):
        return "created"
    if only("preparing", "warned", "ignored"):
        return "preparing"
    if only("canceled", "success", "skipped", "warned", "ignored"):
        return "canceled"
    if only("pending", "created", "skipped", "warned", "ignored"):
        return "pending"
    if seen & {"running", "pending"}:
        return "running"
    order = ("canceling", "waiting_for_resource", "manual", "scheduled", "preparing")
    found = next((status for status in order if status in seen), None)
    return found or ("running" if "created" in seen else "failed")


def _weighed(job: Record) -> str:
    if job["allow_failure"] and job["status"] in ("failed", "canceled"):
        return "warned"
    if job["allow_failure"] and job["status"] == "manual":
        return "ignored"
    return str(job["status"])


class Processing:
    """Moves the jobs of all pipelines as far as they can go without a runner."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def settle(self) -> None:
        """Do everything that follows from the last change."""
        prepared = [p for p in self.records.table("pipelines").values() if self.records.is_prepared(p)]
        for pipeline in prepared:
            while self._step(pipeline):
                pass
        self._give_resources()
        for pipeline in prepared:
            self._update(pipeline)

    # -- one pipeline ------------------------------------------------------------------------------------------------

    def _step(self, pipeline: Record) -> bool:
        jobs = self.records.jobs_of(pipeline)
        for job in jobs:
            if job["status"] == "created":
                before = self._before(job, jobs)
                if before in COMPLETED:
                    self._process(job, before)
                    return True
        return False

    def _before(self, job: Record, jobs: list[Record]) -> str:
        """Return the status of what a job waits for: the jobs it needs, or all earlier stages."""
        if job["needs"] is None:
            return composite([j for j in jobs if j["stage_idx"] < job["stage_idx"]]) or "success"
        names = {need["job"] for need in job["needs"]}
        needed = [j for j in jobs if j["name"] in names]
        if any(_weighed(j) in ("skipped", "ignored") for j in needed):
            return "skipped"  # composite.rb, @dag: one that does not run at all
        if any(j["status"] not in COMPLETED for j in needed):
            return "pending"
        return composite(needed) or "success"

    def _process(self, job: Record, before: str) -> None:
        allowed = GOES_ON[job["when"]]
        if job["needs"] is not None and job["when"] in ("on_success", "manual"):
            allowed = ("success",)
        if before not in allowed:
            self.finish(job, "skipped")
        elif (deployment := self._unapproved(job)) is not None:
            # ee/app/services/ee/ci/process_build_service.rb: blocked until approved, then played by hand
            deployment["status"] = "blocked"
            job["status"] = "manual"
        elif job["when"] == "manual" and not job["enqueue_at_once"]:
            job["status"] = "manual"
        else:
            self.enqueue(job)

    def _unapproved(self, job: Record) -> Record | None:
        """Return the deployment of a job when it lacks approvals."""
        deployment, guard = self.records.deployment_of(job), self.records.guard(job["environment"])
        if deployment is None or guard is None:
            return None
        granted = [a for a in deployment["approvals"] if a["status"] == "approved"]
        return deployment if len(granted) < guard["required_approval_count"] else None

    def enqueue(self, job: Record) -> None:
        """Let a job wait for its resource or for a runner; later jobs that were skipped get another chance."""
        job["queued_at"] = self.records.now()
        job["status"] = "waiting_for_resource" if job["resource_group"] else "pending"
        self._sync(job)
        self._reset_skipped(job)

    def _reset_skipped(self, job: Record) -> None:
        """app/services/reset_skipped_jobs_service.rb: what was skipped because of this job is `created` again."""
        jobs = self.records.jobs_of(self.records.pipeline_of(job))
        again = {job["name"]}
        for _ in jobs:
            more = {
                j["name"]
                for j in jobs
                if j["status"] == "skipped"
                and (
                    j["stage_idx"] > job["stage_idx"]
                    if j["needs"] is None
                    else any(need["job"] in again for need in j["needs"])
                )
            }
            if more <= again:
                break
            again |= more
        for j in jobs:
            if j["name"] in again and j["status"] == "skipped":
                j.update(status="created", finished_at=None)
                self._sync(j)

    def finish(self, job: Record, status: str, reason: str | None = None) -> None:
        """End a job."""
        job.update(status=status, failure_reason=reason, finished_at=self.records.now())
        self._sync(job)
        for group in self.records.table("resource_groups").values():
            if group["holder"] == job["id"]:
                group["holder"] = None

    def cancel(self, job: Record) -> None:
        """Cancel a job; one that runs is `canceling` until the runner has ended it (app/models/commit_status.rb)."""
        if job["status"] == "running":
            job["status"] = "canceling"
        elif job["status"] in CANCELABLE:
            self.finish(job, "canceled")

    def _sync(self, job: Record) -> None:
        """Give the deployment the status of its job (app/models/deployment.rb, sync_status_with)."""
        deployment = self.records.deployment_of(job)
        if deployment is None:
            return
        status = job["status"]
        if status in ("success", "failed", "canceled", "skipped", "running"):
            deployment["status"] = status
        elif deployment["status"] in ("skipped", "blocked"):
            deployment["status"] = "created"
        deployment["updated_at"] = self.records.now()
        if status in COMPLETED:
            deployment["finished_at"] = self.records.now()

    def running(self, job: Record, runner_id: int) -> None:
        """Note that a runner took a job."""
        job.update(status="running", runner_id=runner_id, started_at=self.records.now())
        self._sync(job)

    def _update(self, pipeline: Record) -> None:
        status = composite(self.records.jobs_of(pipeline)) or "skipped"
        if status == pipeline["status"]:
            return
        now = self.records.now()
        pipeline.update(status=status, updated_at=now)
        if status == "running" and pipeline["started_at"] is None:
            pipeline["started_at"] = now
        pipeline["finished_at"] = now if status in COMPLETED else None

    # -- resource groups ---------------------------------------------------------------------------------------------

    def waiting(self, group: Record) -> list[Record]:
        """Return the jobs that wait for a resource, in the order of its process mode (doc/ci/resource_groups)."""
        jobs = [
            job
            for job in self.records.table("jobs").values()
            if job["resource_group"] == group["key"] and job["status"] == "waiting_for_resource"
        ]
        newest_first = group["process_mode"] in ("newest_first", "newest_ready_first")
        return sorted(jobs, key=lambda j: (j["pipeline_id"], j["id"]), reverse=newest_first)

    def _give_resources(self) -> None:
        for group in self.records.table("resource_groups").values():
            waiting = self.waiting(group)
            if group["holder"] is None and waiting:
                group["holder"] = waiting[0]["id"]
                waiting[0]["status"] = "pending"


# -- what a job's state allows -----------------------------------------------------------------------------------------


def archived(records: Records, job: Record) -> bool:
    """Return whether a job is too old to be run again (doc/administration/settings/continuous_integration, archive)."""
    return bool(records.pipeline_of(job)["archived"])


def retryable(records: Records, job: Record) -> bool:
    """app/models/ci/processable.rb, retryable?."""
    if job["retried"] or archived(records, job) or job["failure_reason"] == "deployment_rejected":
        return False
    return job["status"] in ("success", "failed", "canceled", "canceling")


def playable(records: Records, job: Record) -> bool:
    """app/models/ci/build.rb, playable?, and ee/app/models/concerns/ee/ci/deployable.rb for approvals."""
    if archived(records, job):
        return False
    if job["status"] == "manual":
        deployment = records.deployment_of(job)
        return deployment is None or deployment["status"] != "blocked"
    return job["when"] == "manual" and retryable(records, job)


def outdated(records: Records, job: Record) -> bool:
    """Return whether a newer deployment of another commit has been made (app/models/concerns/ci/deployable.rb).

    With rollbacks allowed, which is the default, it holds for jobs that never completed.
    """
    deployment, project = records.deployment_of(job), records.project
    if deployment is None or not project["ci_forward_deployment_enabled"]:
        return False
    if project["ci_forward_deployment_rollback_allowed"] and job["status"] in COMPLETED:
        return False
    last = records.last_deployment(deployment["environment_id"])
    return last is not None and deployment["id"] < last["id"] and deployment["sha"] != last["sha"]
