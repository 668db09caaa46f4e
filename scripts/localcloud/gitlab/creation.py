"""Making a pipeline from the repository's .gitlab-ci.yml: rules decide which jobs it gets, then jobs and deployments."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from localcloud.gitlab import ci_file, ci_rules, job_variables
from localcloud.gitlab.ci_file import CiFile, CiJob
from localcloud.gitlab.ci_values import Rule
from localcloud.gitlab.ci_yaml import CiError
from localcloud.gitlab.job_variables import of_the_file
from localcloud.gitlab.records import Record, Records
from localcloud.gitlab.repository import Commit, Repository

NO_JOBS = (
    "Pipeline will not run for the selected trigger. "
    "The rules configuration prevented any jobs from being added to the pipeline."
)
# lib/gitlab/ci/pipeline/chain/limit/… and app/models/environment.rb
TIERS = {"production": "production", "prod": "production", "live": "production", "staging": "staging"}
TIERS |= {"development": "development", "dev": "development", "test": "testing", "qa": "testing"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Who wants which pipeline."""

    ref: str
    user: Record
    source: str
    variables: list[Record]
    inputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A job that the rules let in, and what they say of it."""

    job: CiJob
    stage_idx: int
    when: str
    allow_failure: bool
    variables: dict[str, Any]


def configuration(repository: Repository | None, inputs: Mapping[str, Any]) -> CiFile:
    """Return the repository's configuration; CiError when there is none that can be used."""
    text = repository.ci_text() if repository is not None else None
    if text is None:
        # lib/gitlab/ci/pipeline/chain/config/content.rb
        raise CiError("Missing CI config file")
    return ci_file.read(text, inputs)


def create(records: Records, repository: Repository | None, wanted: Wanted, base: str) -> Record:
    """Return a new pipeline whose jobs are all `created`, without deployments; CiError when it would have none."""
    file = configuration(repository, wanted.inputs)
    assert repository is not None
    pipeline = _unsaved(records, wanted, repository.head())
    chosen = simulated(records, pipeline, file, base)
    name = file.workflow_name
    if name:
        of_file = of_the_file(asdict(file)["variables"])
        pipeline["name"] = _expanded(name, job_variables.for_rules(records, pipeline, base, of_file))
    pipeline = records.add("pipelines", **{key: value for key, value in pipeline.items() if key != "id"})
    pipeline["iid"] = pipeline["id"]
    for one in sorted(chosen, key=lambda c: c.stage_idx):
        _add_job(records, pipeline, one, base)
    return pipeline


def simulated(records: Records, pipeline: Record, file: CiFile, base: str) -> list[Chosen]:
    """Return the jobs that a pipeline would get; CiError when it would have none."""
    of_file = asdict(file)["variables"]
    of_workflow: dict[str, Any] = {}
    if file.workflow is not None:
        rule = _first(file.workflow, job_variables.for_rules(records, pipeline, base, of_the_file(of_file)))
        if rule is None or rule.when == "never":
            raise CiError("Pipeline filtered out by workflow rules.")
        of_workflow = asdict(rule)["variables"]
    chosen = []
    for job in file.jobs.values():
        own = of_file | of_workflow | asdict(job)["variables"]
        place = Chosen(
            job=job, stage_idx=file.stages.index(job.stage), when=job.when, allow_failure=False, variables=own
        )
        one = _ruled(place, job_variables.for_rules(records, pipeline, base, of_the_file(own)))
        if one is not None:
            chosen.append(one)
    if not chosen:
        raise CiError(NO_JOBS)
    names = {one.job.name for one in chosen}
    wrong = [
        f"'{one.job.name}' job needs '{need.job}' job, but '{need.job}' does not exist in the pipeline. This might be "
        "because of the only, except, or rules keywords. To need a job that sometimes does not exist in the pipeline, "
        "use needs:optional."
        for one in chosen
        for need in one.job.needs or []
        if need.job not in names and not need.optional
    ]
    if wrong:
        raise CiError(*wrong)
    return chosen


def _unsaved(records: Records, wanted: Wanted, commit: Commit) -> Record:
    return {
        "id": records.store.setdefault("counters", {}).get("pipelines", 0) + 1,
        "name": None,
        "ref": wanted.ref,
        "sha": commit.sha,
        "commit": asdict(commit),
        "source": wanted.source,
        "status": "created",
        "protected": records.protection(wanted.ref) is not None,
        "user_id": wanted.user["id"],
        "variables": wanted.variables,
        "archived": False,
        "prepared": False,
        "created_at": records.now(),
        "updated_at": records.now(),
        "started_at": None,
        "finished_at": None,
    }


def dry_pipeline(records: Records, repository: Repository, user: Record, ref: str) -> Record:
    """Return a pipeline that is not kept, to simulate with."""
    wanted = Wanted(ref=ref, user=user, source="push", variables=[], inputs={})
    return _unsaved(records, wanted, repository.head())


def _first(rules: list[Rule], seen: dict[str, str]) -> Rule | None:
    return next((r for r in rules if r.condition is None or ci_rules.holds(r.condition, seen)), None)


def _ruled(place: Chosen, seen: dict[str, str]) -> Chosen | None:
    """Apply a job's rules; `when: manual` may fail by default in a job, but not in a rule (doc/ci/yaml, allow_failure)."""
    job = place.job
    if job.rules is None:
        allowed = job.when == "manual" if job.allow_failure is None else job.allow_failure
        return None if job.when == "never" else replace(place, allow_failure=allowed)
    rule = _first(job.rules, seen)
    when = None if rule is None else rule.when or job.when
    if rule is None or when is None or when == "never":
        return None
    allowed = next((a for a in (rule.allow_failure, job.allow_failure) if a is not None), False)
    return replace(place, when=when, allow_failure=allowed, variables=place.variables | asdict(rule)["variables"])


def _expanded(text: str, seen: dict[str, str]) -> str:
    return job_variables.replaced(text, lambda name: seen.get(name, ""))


def _add_job(records: Records, pipeline: Record, one: Chosen, base: str) -> Record:
    job, kept = one.job, asdict(one.job)
    seen = job_variables.for_rules(records, pipeline, base, of_the_file(one.variables))
    seen |= {"CI_JOB_NAME": job.name, "CI_JOB_STAGE": job.stage}
    environment = _expanded(job.environment["name"], seen) if job.environment else None
    if environment is not None and records.environment(environment) is None:
        given = job.environment["tier"] if job.environment else None
        tier = given or TIERS.get(environment.split("/")[0].lower(), "other")
        records.add("environments", name=environment, tier=tier, created_at=records.now())
    timeout = job.timeout or records.project["build_timeout"]
    return add_job(
        records,
        {
            "pipeline_id": pipeline["id"],
            "name": job.name,
            "stage": job.stage,
            "stage_idx": one.stage_idx,
            "when": one.when,
            "allow_failure": one.allow_failure,
            "exit_codes": job.exit_codes,
            "needs": kept["needs"],
            "dependencies": job.dependencies,
            "before_script": job.before_script,
            "script": job.script,
            "after_script": job.after_script,
            "environment": environment,
            "environment_action": job.environment["action"] if job.environment else None,
            "resource_group": _expanded(job.resource_group, seen) if job.resource_group else None,
            "artifacts": job.artifacts,
            "timeout": timeout,
            "tags": job.tags,
            "variables": one.variables,
            "id_tokens": job.id_tokens,
            "image": job.image,
            "user_id": pipeline["user_id"],
            "job_variables": [],
        },
    )


def add_job(records: Records, definition: Record) -> Record:
    """Add a job from what defines it, `created`, with no deployment yet."""
    job = records.add(
        "jobs",
        **definition,
        status="created",
        retried=False,
        enqueue_at_once=False,
        failure_reason=None,
        exit_code=None,
        runner_id=None,
        token=f"glcbt-{secrets.token_urlsafe(15)}",
        created_at=records.now(),
        queued_at=None,
        started_at=None,
        finished_at=None,
        deployment_id=None,
        kept_files=[],
    )
    group = job["resource_group"]
    groups = records.table("resource_groups").values()
    if group and not any(g["key"] == group for g in groups):
        records.add("resource_groups", key=group, process_mode="unordered", holder=None, created_at=records.now())
    return job


def add_deployment(records: Records, job: Record) -> None:
    """Add the deployment that a job will make: app/services/deployments/create_for_job_service.rb."""
    if not job["environment"] or job["environment_action"] != "start":
        return
    environment = records.environment(job["environment"])
    pipeline = records.pipeline_of(job)
    assert environment is not None
    deployment = records.add(
        "deployments",
        status="created",
        environment_id=environment["id"],
        job_id=job["id"],
        ref=pipeline["ref"],
        sha=pipeline["sha"],
        user_id=job["user_id"],
        approvals=[],
        created_at=records.now(),
        updated_at=records.now(),
        finished_at=None,
    )
    job["deployment_id"] = deployment["id"]


DEFINITION = (
    *("pipeline_id", "name", "stage", "stage_idx", "when", "allow_failure", "exit_codes", "needs", "dependencies"),
    *("before_script", "script", "after_script", "environment", "environment_action", "resource_group", "artifacts"),
    *("timeout", "tags", "variables", "id_tokens", "image", "job_variables"),
)


def clone(records: Records, job: Record, user: Record) -> Record:
    """Return a new try of a job; its job variables come along (app/models/ci/build.rb, clone_accessors)."""
    job["retried"] = True
    made = add_job(records, {name: job[name] for name in DEFINITION} | {"user_id": user["id"]})
    add_deployment(records, made)
    return made
