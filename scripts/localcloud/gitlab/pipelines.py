"""Pipelines: listing, making, cancelling, and the check of a configuration (lib/api/ci/pipelines.rb, lib/api/lint.rb)."""

from __future__ import annotations

from typing import Any

from localcloud.gitlab import ci_file, creation, shown, variables
from localcloud.gitlab.ci_yaml import CiError
from localcloud.gitlab.processing import retryable
from localcloud.gitlab.projects import may_set_pipeline_variables
from localcloud.gitlab.records import COMPLETED, DEVELOPER, MAINTAINER, REPORTER, STATUSES, Record
from localcloud.gitlab.requests import (
    FLAG,
    HASH,
    NUMBER,
    TEXT,
    Declared,
    Request,
    answer,
    forbidden,
    invalid,
    message,
    moment,
    needed,
    not_found,
    nothing,
    one_of,
    page,
)
from localcloud.gitlab.routes import route
from localcloud.operations import Answer

SOURCES = ("push", "web", "trigger", "schedule", "api", "external", "pipeline", "chat", "parent_pipeline")
ORDERS = ("id", "status", "ref", "updated_at", "user_id")


def at_least(request: Request, role: int) -> None:
    """Refuse who has less than a role in the project."""
    if request.records.role(request.caller) < role:
        raise forbidden()


def _pipeline(request: Request) -> Record:
    found = request.records.table("pipelines").get(request.number("pipeline_id"))
    if found is None:
        raise not_found()
    return found


@route("GET", "projects/:id/pipelines", "ListPipelines")
def list_pipelines(request: Request) -> Answer:
    """GET /projects/:id/pipelines: the newest first."""
    at_least(request, REPORTER)
    taken = request.declared(
        scope=one_of("running", "pending", "finished", "branches", "tags"),
        status=one_of(*STATUSES),
        ref=TEXT,
        sha=TEXT,
        source=one_of(*SOURCES),
        username=TEXT,
        name=TEXT,
        order_by=one_of(*ORDERS),
        sort=one_of("asc", "desc"),
    )
    users = request.records.table("users")

    def wanted(pipeline: Record) -> bool:
        same = all(taken.get(name, pipeline[name]) == pipeline[name] for name in ("status", "ref", "sha", "source"))
        scope = taken.get("scope")
        in_scope = scope in (None, "branches", pipeline["status"]) or (
            scope == "finished" and pipeline["status"] in COMPLETED
        )
        by = taken.get("username") in (None, users[pipeline["user_id"]]["username"])
        return same and in_scope and by and taken.get("name") in (None, pipeline["name"])

    key = taken.get("order_by", "id")
    found = sorted(
        (p for p in request.records.table("pipelines").values() if wanted(p)),
        key=lambda p: (str(p[key]) if key != "id" else "", p["id"]),
        reverse=taken.get("sort", "desc") == "desc",
    )
    return page(request, [shown.pipeline_basic(request, p) for p in found])


@route("GET", "projects/:id/pipelines/latest", "GetLatestPipeline")
def latest(request: Request) -> Answer:
    """GET /projects/:id/pipelines/latest: the newest of the ref's newest commit."""
    at_least(request, REPORTER)
    ref = request.declared(ref=TEXT).get("ref") or request.records.project["default_branch"]
    found = [p for p in request.records.table("pipelines").values() if p["ref"] == ref]
    if not found:
        raise not_found("Pipeline")
    return answer(shown.pipeline_whole(request, found[-1]))


@route("GET", "projects/:id/pipelines/:pipeline_id", "GetPipeline")
def get_pipeline(request: Request) -> Answer:
    """GET /projects/:id/pipelines/:pipeline_id."""
    at_least(request, REPORTER)
    return answer(shown.pipeline_whole(request, _pipeline(request)))


@route("POST", "projects/:id/pipeline", "CreatePipeline")
def create_pipeline(request: Request) -> Answer:
    """POST /projects/:id/pipeline: with variables as far as the override role allows, with inputs always."""
    caller, records = request.caller, request.records
    taken = request.declared(ref=needed(TEXT), inputs=HASH, variables=Declared(kind="list"))
    at_least(request, DEVELOPER)
    pairs = variables.given_pairs(request, "variables")
    # lib/gitlab/ci/pipeline/chain: first the ref and who may run it, then its variables, then its configuration
    if records.branch(taken["ref"]) is None:
        raise invalid(base=["Reference not found"])
    if not records.may_update(caller, taken["ref"]):
        raise invalid(
            base=[
                f"You do not have sufficient permission to run a pipeline on '{taken['ref']}'. "
                "Please select a different branch or contact your administrator for assistance."
            ]
        )
    if pairs and not may_set_pipeline_variables(request):
        raise invalid(base=["Insufficient permissions to set pipeline variables"])
    repeated = sorted({p["key"] for p in pairs if sum(1 for q in pairs if q["key"] == p["key"]) > 1})
    if repeated:
        raise invalid(base=[f"Duplicate variable name{'s' if repeated[1:] else ''}: {', '.join(repeated)}"])
    wanted = creation.Wanted(
        ref=taken["ref"], user=caller, source="api", variables=pairs, inputs=taken.get("inputs") or {}
    )
    try:
        made = creation.create(records, request.gitlab.repository, wanted, request.base)
    except CiError as wrong:
        raise invalid(base=wrong.reasons) from wrong
    request.gitlab.prepare_soon(made)
    return answer(shown.pipeline_whole(request, made), 201)


@route("GET", "projects/:id/pipelines/:pipeline_id/variables", "ListPipelineVariables")
def pipeline_variables(request: Request) -> Answer:
    """GET …/variables of a pipeline: its own; to see them one must be its maker or a Maintainer."""
    pipeline = _pipeline(request)
    if request.records.role(request.caller) < MAINTAINER and pipeline["user_id"] != request.caller["id"]:
        raise forbidden()
    return answer([{**pair, "raw": False} for pair in pipeline["variables"]])


@route("DELETE", "projects/:id/pipelines/:pipeline_id", "DeletePipeline")
def delete_pipeline(request: Request) -> Answer:
    """DELETE /projects/:id/pipelines/:pipeline_id, with its jobs; for Owners."""
    pipeline = _pipeline(request)
    if request.records.role(request.caller) < 50:
        raise forbidden()
    jobs = request.records.table("jobs")
    if any(j["status"] in ("running", "canceling") for j in request.records.jobs_of(pipeline)):
        raise message(409, "409 Conflict: the local GitLab deletes no pipeline that runs")
    gone = {j["id"] for j in jobs.values() if j["pipeline_id"] == pipeline["id"]}
    deployments = request.records.table("deployments")
    for number in [d["id"] for d in deployments.values() if d["job_id"] in gone]:
        del deployments[number]
    for number in gone:
        del jobs[number]
        request.gitlab.runner.forget(number)
    del request.records.table("pipelines")[pipeline["id"]]
    return nothing()


@route("POST", "projects/:id/pipelines/:pipeline_id/cancel", "CancelPipeline")
def cancel_pipeline(request: Request) -> Answer:
    """POST …/cancel: every job that can be; manual ones stay (has_status.rb, CANCELABLE_STATUSES)."""
    pipeline = _pipeline(request)
    _may_write(request, pipeline)
    request.gitlab.prepare(pipeline)
    for job in request.records.jobs_of(pipeline):
        if job["status"] != "manual":
            request.gitlab.processing.cancel(job)
    request.gitlab.processing.settle()
    return answer(shown.pipeline_whole(request, pipeline))


@route("POST", "projects/:id/pipelines/:pipeline_id/retry", "RetryPipeline")
def retry_pipeline(request: Request) -> Answer:
    """POST …/retry: the failed and canceled jobs again."""
    pipeline = _pipeline(request)
    _may_write(request, pipeline)
    records = request.records
    for job in records.jobs_of(pipeline):
        if job["status"] in ("failed", "canceled") and retryable(records, job):
            creation.clone(records, job, request.caller)["enqueue_at_once"] = job["when"] == "manual"
    request.gitlab.processing.settle()
    return answer(shown.pipeline_whole(request, pipeline), 201)


def _may_write(request: Request, pipeline: Record) -> None:
    at_least(request, DEVELOPER)
    if not request.records.may_update(request.caller, pipeline["ref"]):
        raise forbidden()


# -- lint --------------------------------------------------------------------------------------------------------------


@route("GET", "projects/:id/ci/lint", "LintProject")
@route("POST", "projects/:id/ci/lint", "LintContent")
def lint(request: Request) -> Answer:
    """GET and POST /projects/:id/ci/lint: the repository's configuration, or the one in the request."""
    at_least(request, REPORTER if request.method == "GET" else DEVELOPER)
    content = needed(TEXT) if request.method == "POST" else TEXT
    taken = request.declared(content=content, dry_run=FLAG, include_jobs=FLAG, ref=TEXT, dry_run_ref=TEXT)
    repository = request.gitlab.repository
    text = taken.get("content") if request.method == "POST" else None if repository is None else repository.ci_text()
    if text is None:
        raise not_found("Repository")
    reasons: list[str] = []
    warnings: list[str] = []
    jobs: list[dict[str, Any]] = []
    try:
        file = ci_file.read(text)
        warnings, jobs = file.warnings, [_linted(job) for job in file.jobs.values()]
        if taken.get("dry_run") and repository is not None:
            ref = taken.get("dry_run_ref") or taken.get("ref") or request.records.project["default_branch"]
            pipeline = creation.dry_pipeline(request.records, repository, request.caller, ref)
            names = {c.job.name for c in creation.simulated(request.records, pipeline, file, request.base)}
            jobs = [job for job in jobs if job["name"] in names]
    except CiError as wrong:
        reasons, jobs = wrong.reasons, []
    found = {"valid": not reasons, "errors": reasons, "warnings": warnings, "merged_yaml": text, "includes": []}
    return answer(found | ({"jobs": jobs} if taken.get("include_jobs") else {}))


def _linted(job: ci_file.CiJob) -> dict[str, Any]:
    """lib/api/entities/ci/lint/result/job.rb."""
    return {
        "name": job.name,
        "stage": job.stage,
        "before_script": job.before_script,
        "script": job.script,
        "after_script": job.after_script,
        "tag_list": job.tags,
        "only": None,
        "except": None,
        "environment": job.environment["name"] if job.environment else None,
        "when": job.when,
        "allow_failure": job.when == "manual" if job.allow_failure is None else job.allow_failure,
        "needs": None if job.needs is None else [{"name": need.job} for need in job.needs],
    }


# -- resource groups ---------------------------------------------------------------------------------------------------

MODES = ("unordered", "oldest_first", "newest_first", "newest_ready_first")


@route("GET", "projects/:id/resource_groups", "ListResourceGroups")
def resource_groups(request: Request) -> Answer:
    """GET /projects/:id/resource_groups."""
    at_least(request, DEVELOPER)
    return page(request, [_shown_group(request, g) for g in request.records.table("resource_groups").values()])


@route("GET", "projects/:id/resource_groups/:key", "GetResourceGroup")
@route("PUT", "projects/:id/resource_groups/:key", "UpdateResourceGroup")
def resource_group(request: Request) -> Answer:
    """GET and PUT /projects/:id/resource_groups/:key; one exists once a pipeline has used it."""
    at_least(request, DEVELOPER)
    groups = request.records.table("resource_groups").values()
    found = next((g for g in groups if g["key"] == request.names["key"]), None)
    if found is None:
        raise not_found("Resource Group")
    if request.method == "PUT":
        found.update(request.declared(process_mode=one_of(*MODES)))
    return answer(_shown_group(request, found))


def _shown_group(request: Request, group: Record) -> Record:
    made = moment(group["created_at"])
    return {
        "id": group["id"],
        "key": group["key"],
        "process_mode": group["process_mode"],
        "created_at": made,
        "updated_at": made,
    }


@route("GET", "projects/:id/resource_groups/:key/upcoming_jobs", "ListUpcomingJobs")
def upcoming(request: Request) -> Answer:
    """GET …/upcoming_jobs: those that wait for the resource."""
    at_least(request, DEVELOPER)
    request.declared(page=NUMBER)
    for group in request.records.table("resource_groups").values():
        if group["key"] == request.names["key"]:
            return page(request, [shown.job(request, j) for j in request.gitlab.processing.waiting(group)])
    raise not_found("Resource Group")
