"""The runner: takes pending jobs, and gives each a thread that runs it and tells how it ended."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud import hosts
from localcloud.cloud import Cloud
from localcloud.gitlab import artifacts, id_tokens, job_variables
from localcloud.gitlab.job_run import JobRun, Outcome
from localcloud.gitlab.job_variables import JobVariable
from localcloud.gitlab.processing import outdated
from localcloud.gitlab.records import Record

if TYPE_CHECKING:
    from localcloud.gitlab.server import GitLab

LOG = logging.getLogger("localcloud.gitlab")
AT_ONCE = 4


class Runner:
    """One runner of the project, which runs a few jobs at a time on this machine."""

    def __init__(self, gitlab: GitLab, cloud: Cloud) -> None:
        self.gitlab = gitlab
        self.cloud = cloud
        self.builds = cloud.directory / "gitlab-builds"
        self._running: dict[int, JobRun] = {}
        self.life = object()  # a load of the cloud begins another one

    def trace_of(self, number: int) -> Path:
        """Return the file with a job's log."""
        return self.cloud.live / "gitlab" / "traces" / f"{number}.log"

    def artifacts_of(self, number: int) -> Path:
        """Return the folder with what a job left."""
        return self.cloud.live / "gitlab" / "artifacts" / str(number)

    def forget(self, number: int) -> None:
        """Delete a job's log and files."""
        self.trace_of(number).unlink(missing_ok=True)
        shutil.rmtree(self.artifacts_of(number), ignore_errors=True)

    # -- life --------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Fail the jobs that ran when the cloud stopped, and take what is pending. Call it holding GitLab's lock."""
        shutil.rmtree(self.builds, ignore_errors=True)
        processing, jobs = self.gitlab.processing, self.gitlab.records.table("jobs")
        for job in jobs.values():
            if job["status"] == "running":
                processing.finish(job, "failed", "runner_system_failure")
            elif job["status"] == "canceling":
                processing.finish(job, "canceled")
        for pipeline in self.gitlab.records.table("pipelines").values():
            self.gitlab.prepare(pipeline)
        self.take()

    def end(self) -> None:
        """End every job's programs; nobody hears of how they ended."""
        self.life = object()
        running, self._running = dict(self._running), {}
        threads = [threading.Thread(target=run.kill, daemon=True) for run in running.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15)

    # -- taking jobs -------------------------------------------------------------------------------------------------

    def take(self) -> None:
        """Take pending jobs, end those that were cancelled. Call it holding GitLab's lock, inside the gate."""
        records, processing = self.gitlab.records, self.gitlab.processing
        for job in sorted(records.table("jobs").values(), key=lambda j: int(j["id"])):
            if job["status"] == "canceling" and job["id"] in self._running:
                self._running[job["id"]].cancel()
            if job["status"] != "pending" or len(self._running) >= AT_ONCE:
                continue
            runner = next((r for r in records.table("runners").values() if _accepts(r, job)), None)
            if runner is None:
                continue
            if outdated(records, job):
                # app/services/ci/register_job_service.rb: dropped when a runner asks for it
                processing.finish(job, "failed", "forward_deployment_failure")
                processing.settle()
                continue
            processing.running(job, runner["id"])
            self._start(job)
        processing.settle()

    def _start(self, job: Record) -> None:
        # A job of the same id may still be ending after a load of the cloud, so each run has a folder of its own.
        folder = self.builds / f"{job['id']}-{secrets.token_hex(4)}"
        run = JobRun(cloud=self.cloud, folder=folder, trace=self.trace_of(job["id"]))
        self._running[job["id"]] = run
        life = self.life
        self.cloud.background(lambda: self._work(run, job["id"], life), name=f"job {job['id']}")

    def _work(self, run: JobRun, number: int, life: object) -> None:
        try:
            outcome = self._played(run, number, life)
        except Exception as error:
            LOG.exception("job %s failed inside the local cloud", number)
            run.say(f"ERROR: Job failed (system failure): {type(error).__name__}: {error}")
            outcome = Outcome(status="failed", reason="runner_system_failure")
        with self.cloud.gate.working(), self.gitlab.lock:
            run.close()
            if outcome is not None and life is self.life:
                self._tell(number, outcome)
        run.remove()

    def _tell(self, number: int, outcome: Outcome) -> None:
        self._running.pop(number, None)
        job = self.gitlab.records.table("jobs").get(number)
        if job is not None and job["status"] in ("running", "canceling"):
            self._ended(job, outcome)
        self.gitlab.processing.settle()
        self.take()

    def _ended(self, job: Record, outcome: Outcome) -> None:
        processing = self.gitlab.processing
        job["exit_code"] = outcome.exit_code
        if job["status"] == "canceling" or outcome.status == "canceled":
            processing.finish(job, "canceled")
            return
        if job["exit_codes"] and outcome.status == "failed":
            job["allow_failure"] = outcome.exit_code in job["exit_codes"]
        processing.finish(job, outcome.status, outcome.reason)

    # -- one job -----------------------------------------------------------------------------------------------------

    def _played(self, run: JobRun, number: int, life: object) -> Outcome | None:
        """Run a job from the copy of the repository to the files it leaves; None when the cloud ended meanwhile."""
        repository = self.gitlab.repository
        if repository is None:
            raise FileNotFoundError("this local cloud was started without --repository")
        user = hosts.of(self.cloud).user
        run.prepare(user)
        repository.copy(run.workspace, user)
        with self.cloud.gate.working(), self.gitlab.lock:
            if life is not self.life:
                return None
            job = dict(self.gitlab.records.table("jobs")[number])
            variables = self._variables(job, run)
            self._bring_artifacts(job, run)
            run.define(job, variables)
            run.start_script()
        outcome = run.wait_for_script()
        with self.cloud.gate.working():
            if life is not self.life:
                return None
            run.start_after_script(outcome)
        run.wait_for_after_script()
        with self.cloud.gate.working(), self.gitlab.lock:
            if life is not self.life:
                return None
            self._keep_artifacts(number, run, outcome)
        run.conclude(outcome)
        return outcome

    def _variables(self, job: Record, run: JobRun) -> dict[str, JobVariable]:
        base, records = self.gitlab.base, self.gitlab.records
        dotenv = {
            name: value for other in artifacts.sources(records, job) for name, value in other.get("dotenv", {}).items()
        }
        variables = job_variables.for_job(records, job, base, dotenv)
        tokens = {
            name: id_tokens.signed(records, job, audiences, base.removesuffix("/api/v4"))
            for name, audiences in job["id_tokens"].items()
        }
        own = {
            "CI_PROJECT_DIR": str(run.workspace),
            "CI_BUILDS_DIR": str(self.builds),
            "CI_RUNNER_ID": str(job["runner_id"]),
            "CI_RUNNER_DESCRIPTION": records.table("runners")[job["runner_id"]]["description"],
        }
        secret = {"CI_JOB_TOKEN": job["token"], **tokens}
        return (
            variables
            | job_variables.fixed(own)
            | {name: JobVariable(value=value, raw=True, masked=True) for name, value in secret.items()}
        )

    def _bring_artifacts(self, job: Record, run: JobRun) -> None:
        for other in artifacts.sources(self.gitlab.records, job):
            if other["kept_files"]:
                run.say(f"Downloading artifacts for {other['name']} ({other['id']})...")
                artifacts.bring(self.artifacts_of(other["id"]), other["kept_files"], run.workspace, run.user)

    def _keep_artifacts(self, number: int, run: JobRun, outcome: Outcome) -> None:
        job = self.gitlab.records.table("jobs")[number]
        wanted = job["artifacts"].get("when", "on_success")
        ended_so = {"on_success": ("success",), "on_failure": ("failed",), "always": ("success", "failed")}[wanted]
        if not job["artifacts"] or outcome.status not in ended_so:
            return
        kept = artifacts.keep(job["artifacts"], run.workspace, self.artifacts_of(number))
        job["kept_files"] = kept.files
        job["dotenv"] = kept.dotenv
        run.say(f"Uploading artifacts...\n{len(kept.files)} files found")
        for pattern in kept.missing:
            run.say(f"WARNING: {pattern}: no matching files")


def _accepts(runner: Record, job: Record) -> bool:
    """Return whether a runner may take a job: app/models/ci/runner.rb, can_pick?."""
    if not runner["online"] or runner["paused"]:
        return False
    return (runner["run_untagged"] or bool(job["tags"])) and set(job["tags"]) <= set(runner["tags"])
