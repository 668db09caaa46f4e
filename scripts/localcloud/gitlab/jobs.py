"""Jobs: looking at them, playing, retrying, cancelling, their log and their files (lib/api/ci/jobs.rb)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from localcloud.gitlab import creation, shown, variables
from localcloud.gitlab.environments import may_deploy
from localcloud.gitlab.pipelines import at_least
from localcloud.gitlab.processing import archived, outdated, playable, retryable
from localcloud.gitlab.projects import may_set_pipeline_variables
from localcloud.gitlab.records import DEVELOPER, MAINTAINER, REPORTER, STATUSES, Record
from localcloud.gitlab.requests import (
    FLAG,
    LIST,
    TEXT,
    Request,
    answer,
    bad_request,
    error,
    forbidden,
    message,
    moment,
    not_found,
    one_of,
    page,
    uncounted_page,
)
from localcloud.gitlab.routes import route
from localcloud.operations import Answer


def _job(request: Request) -> Record:
    found = request.records.table("jobs").get(request.number("job_id"))
    if found is None:
        raise not_found()
    return found


def _scope(request: Request) -> list[str]:
    given = request.given.get("scope")
    wanted = [given] if isinstance(given, str) else request.declared(scope=LIST).get("scope", [])
    if [status for status in wanted if status not in STATUSES]:
        raise error(400, "scope does not have a valid value")
    return wanted


@route("GET", "projects/:id/jobs", "ListJobs")
def list_jobs(request: Request) -> Answer:
    """GET /projects/:id/jobs: the newest first, not counted."""
    at_least(request, REPORTER)
    wanted = _scope(request)
    found = [j for j in reversed(request.records.table("jobs").values()) if not wanted or j["status"] in wanted]
    return uncounted_page(request, [shown.job(request, j) for j in found])


@route("GET", "projects/:id/pipelines/:pipeline_id/jobs", "ListPipelineJobs")
def list_pipeline_jobs(request: Request) -> Answer:
    """GET …/pipelines/:pipeline_id/jobs: the newest try of each; all tries with include_retried."""
    at_least(request, REPORTER)
    number = request.number("pipeline_id")
    if number not in request.records.table("pipelines"):
        raise not_found()
    wanted, all_tries = _scope(request), request.declared(include_retried=FLAG).get("include_retried", False)
    found = [
        j
        for j in reversed(request.records.table("jobs").values())
        if j["pipeline_id"] == number and (all_tries or not j["retried"]) and (not wanted or j["status"] in wanted)
    ]
    return page(request, [shown.job(request, j) for j in found])


@route("GET", "projects/:id/pipelines/:pipeline_id/bridges", "ListPipelineBridges")
def list_bridges(request: Request) -> Answer:
    """GET …/bridges: there are none, since `trigger` is refused."""
    at_least(request, REPORTER)
    return page(request, [])


@route("GET", "projects/:id/jobs/:job_id", "GetJob")
def get_job(request: Request) -> Answer:
    """GET /projects/:id/jobs/:job_id."""
    at_least(request, REPORTER)
    return answer(shown.job(request, _job(request)))


@route("GET", "projects/:id/jobs/:job_id/trace", "GetJobTrace")
def trace(request: Request) -> Answer:
    """GET …/trace: the whole log as text each time; empty before the job has begun."""
    at_least(request, REPORTER)
    job = _job(request)
    path = request.gitlab.runner.trace_of(job["id"])
    body = path.read_bytes() if path.is_file() else b""
    headers = [("Content-Type", "text/plain"), ("Content-Disposition", f'infile; filename="{job["id"]}.log"')]
    return Answer(200, headers, body)


# -- orders ------------------------------------------------------------------------------------------------------------


def _may_write(request: Request, job: Record) -> None:
    """app/policies/ci/build_policy.rb: Developers, on protected refs who may update them, and who may deploy."""
    records, caller = request.records, request.caller
    at_least(request, DEVELOPER)
    if not records.may_update(caller, records.pipeline_of(job)["ref"]):
        raise forbidden()
    if not may_deploy(records, caller, job["environment"]):
        raise forbidden()


def _refuse_stale(request: Request, job: Record) -> None:
    """Refuse archived and outdated jobs, whose abilities newer GitLabs take away, so that they answer 403.

    app/policies/concerns/ci/processable_policy.rb, app/policies/ci/deployable_policy.rb; knobs.py chooses.
    """
    if not archived(request.records, job) and not outdated(request.records, job):
        return
    if request.records.settings["refusal_of_stale_jobs"] == "forbidden":
        raise forbidden()
    # Facts 2 and 8.11: "Unplayable Job" has four causes, archived and outdated among them.
    raise bad_request("Unplayable Job")


@route("POST", "projects/:id/jobs/:job_id/play", "PlayJob")
def play(request: Request) -> Answer:
    """POST …/play: 200 with the job asked for, also when a new try of it was made instead."""
    at_least(request, REPORTER)
    pairs = variables.given_pairs(request, "job_variables_attributes")
    job, records = _job(request), request.records
    _may_write(request, job)
    _refuse_stale(request, job)
    if not playable(records, job):
        raise bad_request("Unplayable Job")
    request.gitlab.limits.count_play(request.caller)
    if pairs and not may_set_pipeline_variables(request):
        raise forbidden()  # app/services/ci/play_build_service.rb, check_access!
    if job["status"] == "manual":
        job.update(user_id=request.caller["id"], job_variables=pairs or job["job_variables"])
        request.gitlab.processing.enqueue(job)
    else:
        # play_build_service.rb: an ended job cannot be enqueued, so it is retried, without the variables just given;
        # the endpoint then presents the old one.
        _retried(request, job)
    request.gitlab.processing.settle()
    return answer(shown.job(request, job))


@route("POST", "projects/:id/jobs/:job_id/retry", "RetryJob")
def retry(request: Request) -> Answer:
    """POST …/retry: 201 with the new job."""
    job = _job(request)
    _may_write(request, job)
    # An outdated deployment may still be retried once it has completed: a rollback, unless the project forbids it.
    if outdated(request.records, job):
        raise forbidden()
    if not retryable(request.records, job):
        raise forbidden("Job is not retryable")
    made = _retried(request, job)
    request.gitlab.processing.settle()
    return answer(shown.job(request, made), 201)


def _retried(request: Request, job: Record) -> Record:
    made = creation.clone(request.records, job, request.caller)
    made["enqueue_at_once"] = True  # app/services/ci/retry_job_service.rb, enqueue_if_actionable
    return made


@route("POST", "projects/:id/jobs/:job_id/cancel", "CancelJob")
def cancel(request: Request) -> Answer:
    """POST …/cancel: 201, also for a job that has ended already and stays as it is."""
    job = _job(request)
    _may_write(request, job)
    if request.declared(force=FLAG).get("force"):
        at_least(request, MAINTAINER)
    request.gitlab.processing.cancel(job)
    request.gitlab.processing.settle()
    return answer(shown.job(request, job), 201)


# -- files -------------------------------------------------------------------------------------------------------------


def _files(request: Request) -> tuple[Path, Record]:
    at_least(request, REPORTER)
    job = _job(request)
    if not job["kept_files"]:
        raise not_found()
    return request.gitlab.runner.artifacts_of(job["id"]), job


@route("GET", "projects/:id/jobs/:job_id/artifacts", "DownloadArtifacts")
def artifacts(request: Request) -> Answer:
    """GET …/artifacts: all files as a ZIP archive."""
    folder, job = _files(request)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in job["kept_files"]:
            archive.write(folder / name, name)
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Disposition", 'attachment; filename="artifacts.zip"'),
    ]
    return Answer(200, headers, buffer.getvalue())


@route("GET", "projects/:id/jobs/:job_id/artifacts/*path", "DownloadArtifact")
def artifact(request: Request) -> Answer:
    """GET …/artifacts/*path: one file."""
    folder, job = _files(request)
    if request.names["path"] not in job["kept_files"]:
        raise not_found()
    return Answer(200, [("Content-Type", "application/octet-stream")], (folder / request.names["path"]).read_bytes())


# -- runners -----------------------------------------------------------------------------------------------------------


def _shown_details(request: Request, runner: Record) -> Record:
    """lib/api/entities/ci/runner_details.rb."""
    return shown.shown_runner(request, runner) | {
        "tag_list": runner["tags"],
        "run_untagged": runner["run_untagged"],
        "locked": False,
        "access_level": "not_protected",
        "maximum_timeout": None,
        "contacted_at": moment(request.records.now()) if runner["online"] else None,
        "projects": [],
        "groups": [],
    }


@route("GET", "projects/:id/runners", "ListRunners")
def list_runners(request: Request) -> Answer:
    """GET /projects/:id/runners, by status, tags and whether they are paused (doc/api/runners.md)."""
    at_least(request, MAINTAINER)
    taken = request.declared(
        status=one_of("online", "offline", "stale", "never_contacted"),
        paused=FLAG,
        tag_list=LIST,
        type=one_of("instance_type", "group_type", "project_type"),
        scope=TEXT,
    )
    found = [
        runner
        for runner in request.records.table("runners").values()
        if taken.get("status") in (None, shown.runner_status(request, runner))
        and taken.get("paused") in (None, runner["paused"])
        and taken.get("type") in (None, "project_type")
        and set(taken.get("tag_list", [])) <= set(runner["tags"])
    ]
    return page(request, [shown.shown_runner(request, runner) for runner in found])


@route("GET", "runners/:runner_id", "GetRunner")
@route("PUT", "runners/:runner_id", "UpdateRunner")
def runner(request: Request) -> Answer:
    """GET and PUT /runners/:id: pausing it, and its tags."""
    at_least(request, MAINTAINER)
    found = request.records.table("runners").get(request.number("runner_id"))
    if found is None:
        raise not_found("Runner")
    if request.method == "PUT":
        taken = request.declared(paused=FLAG, active=FLAG, tag_list=LIST, run_untagged=FLAG, description=TEXT)
        if "active" in taken:
            taken["paused"] = not taken.pop("active")
        if "tag_list" in taken:
            taken["tags"] = taken.pop("tag_list")
        changed = found | taken
        if not changed["tags"] and not changed["run_untagged"]:
            # app/models/ci/runner.rb, tag_constraints
            raise message(400, {"tags_list": ["can not be empty when runner is not allowed to pick untagged jobs"]})
        found.update(changed)
    return answer(_shown_details(request, found))
