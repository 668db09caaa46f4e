"""Which variables a pipeline's rules and a job's script see, which of them win, and `$` in their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.gitlab import scopes
from localcloud.gitlab.records import Record, Records

_USE = re.compile(r"\$\$|\$(?P<plain>[A-Za-z_]\w*)|\$\{(?P<braced>[A-Za-z_]\w*)\}")
# The project path in the names of environments: lib/gitlab/slug/environment.rb
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class JobVariable:
    """One variable as a runner gets it; raw ones keep their `$`."""

    value: str
    raw: bool = False
    masked: bool = False
    file: bool = False


Variables = dict[str, JobVariable]


def fixed(values: Mapping[str, str | None]) -> Variables:
    """Return variables that GitLab sets itself; what is None does not exist."""
    return {name: JobVariable(value=value, raw=True) for name, value in values.items() if value is not None}


def of_the_file(values: Mapping[str, Any]) -> Variables:
    """Return variables of .gitlab-ci.yml."""
    return {name: JobVariable(value=given["value"], raw=not given["expand"]) for name, given in values.items()}


def of_the_user(pairs: list[Record]) -> Variables:
    """Return variables given with a pipeline or with the play of a job."""
    return {p["key"]: JobVariable(value=p["value"], file=p["variable_type"] == "file") for p in pairs}


def of_the_settings(records: Records, pipeline: Record, environment: str | None) -> Variables:
    """Return the variables of group and project, the project's on top; the protected ones for protected refs alone."""
    chosen: Variables = {}
    for table in ("group_variables", "variables"):
        seen = [v for v in records.table(table).values() if pipeline["protected"] or not v["protected"]]
        for key, variable in scopes.for_environment(seen, environment).items():
            chosen[key] = JobVariable(
                value=variable["value"],
                raw=variable["raw"],
                masked=variable["masked"],
                file=variable["variable_type"] == "file",
            )
    return chosen


def of_the_pipeline(records: Records, pipeline: Record, base: str) -> Variables:
    """Return what GitLab says of the pipeline (doc/ci/variables/predefined_variables.md)."""
    project, group = records.project, records.group
    url = base.removesuffix("/api/v4")
    host = url.split("//", 1)[-1].split("/", 1)[0]
    commit = pipeline["commit"]
    return fixed(
        {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": base,
            "CI_SERVER": "yes",
            "CI_SERVER_URL": url,
            "CI_SERVER_HOST": host.split(":")[0],
            "CI_SERVER_PORT": host.partition(":")[2] or "80",
            "CI_SERVER_PROTOCOL": "http",
            "CI_SERVER_NAME": "GitLab",
            "CI_SERVER_VERSION": records.settings["version"],
            "CI_PROJECT_ID": str(project["id"]),
            "CI_PROJECT_NAME": project["path"].rsplit("/", 1)[-1],
            "CI_PROJECT_PATH": project["path"],
            "CI_PROJECT_PATH_SLUG": slug(project["path"]),
            "CI_PROJECT_NAMESPACE": group["path"],
            "CI_PROJECT_NAMESPACE_ID": str(group["id"]),
            "CI_PROJECT_URL": f"{url}/{project['path']}",
            "CI_PROJECT_VISIBILITY": "private",
            "CI_DEFAULT_BRANCH": project["default_branch"],
            "CI_CONFIG_PATH": ".gitlab-ci.yml",
            "CI_PIPELINE_ID": str(pipeline["id"]),
            "CI_PIPELINE_IID": str(pipeline["id"]),
            "CI_PIPELINE_SOURCE": pipeline["source"],
            "CI_PIPELINE_CREATED_AT": pipeline["created_at"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "CI_PIPELINE_URL": f"{url}/{project['path']}/-/pipelines/{pipeline['id']}",
            "CI_PIPELINE_NAME": pipeline["name"],
            "CI_COMMIT_SHA": pipeline["sha"],
            "CI_COMMIT_SHORT_SHA": pipeline["sha"][:8],
            "CI_COMMIT_BEFORE_SHA": "0" * 40,
            "CI_COMMIT_REF_NAME": pipeline["ref"],
            "CI_COMMIT_REF_SLUG": slug(pipeline["ref"]),
            "CI_COMMIT_REF_PROTECTED": str(pipeline["protected"]).lower(),
            "CI_COMMIT_BRANCH": pipeline["ref"],
            "CI_COMMIT_TITLE": commit["title"],
            "CI_COMMIT_MESSAGE": commit["title"],
            "CI_COMMIT_AUTHOR": commit["author"],
            "CI_COMMIT_TIMESTAMP": commit["at"].isoformat(),
        }
    )


def of_the_job(records: Records, job: Record, base: str) -> Variables:
    """Return what GitLab says of the job and its environment."""
    environment = records.environment(job["environment"]) if job["environment"] else None
    user = records.table("users")[job["user_id"]]
    return fixed(
        {
            "CI_JOB_ID": str(job["id"]),
            "CI_JOB_NAME": job["name"],
            "CI_JOB_NAME_SLUG": slug(job["name"]),
            "CI_JOB_STAGE": job["stage"],
            "CI_JOB_MANUAL": "true" if job["when"] == "manual" else None,
            "CI_JOB_TIMEOUT": str(job["timeout"]),
            "CI_JOB_URL": f"{base.removesuffix('/api/v4')}/{records.project['path']}/-/jobs/{job['id']}",
            "GITLAB_USER_ID": str(user["id"]),
            "GITLAB_USER_LOGIN": user["username"],
            "GITLAB_USER_NAME": user["name"],
            "GITLAB_USER_EMAIL": f"{user['username']}@example.com",
        }
    ) | ({} if environment is None else _of_the_environment(environment, job["environment_action"]))


def _of_the_environment(environment: Record, action: str) -> Variables:
    return fixed(
        {
            "CI_ENVIRONMENT_ID": str(environment["id"]),
            "CI_ENVIRONMENT_NAME": environment["name"],
            "CI_ENVIRONMENT_SLUG": slug(environment["name"])[:24],
            "CI_ENVIRONMENT_ACTION": action,
            "CI_ENVIRONMENT_TIER": environment["tier"],
        }
    )


def for_rules(records: Records, pipeline: Record, base: str, of_file: Variables) -> dict[str, str]:
    """Return what `rules:if` and the names of environments see: no environment yet, so unscoped variables alone."""
    return expanded(
        of_the_pipeline(records, pipeline, base)
        | of_file
        | of_the_settings(records, pipeline, None)
        | of_the_user(pipeline["variables"])
    )


def for_job(records: Records, job: Record, base: str, dotenv: Mapping[str, str]) -> Variables:
    """Return what a job's script sees, read when the job starts (doc/ci/variables, "CI/CD variable precedence").

    Lowest first: what GitLab sets, the file, dotenv reports, group, project, the pipeline's, the manual job's.
    """
    pipeline = records.pipeline_of(job)
    return (
        of_the_pipeline(records, pipeline, base)
        | of_the_job(records, job, base)
        | of_the_file(job["variables"])
        | {name: JobVariable(value=value, raw=True) for name, value in dotenv.items()}
        | of_the_settings(records, pipeline, job["environment"])
        | of_the_user(pipeline["variables"])
        | of_the_user(job["job_variables"])
    )


def expanded(variables: Variables) -> dict[str, str]:
    """Return the values with `$NAME` and `${NAME}` replaced in those that are not raw; `$$` is a `$`, unknown is empty."""
    done: dict[str, str] = {}

    def value(name: str, seen: tuple[str, ...]) -> str:
        if name in done:
            return done[name]
        if name not in variables or name in seen:
            return ""
        variable = variables[name]
        if variable.raw:
            done[name] = variable.value
        else:
            done[name] = replaced(variable.value, lambda inner: value(inner, (*seen, name)))
        return done[name]

    return {name: value(name, ()) for name in variables}


def replaced(text: str, look_up: Any) -> str:
    """Return a text with its uses of variables replaced."""

    def one(found: re.Match[str]) -> str:
        name = found["plain"] or found["braced"]
        return str(look_up(name)) if name else "$"

    return _USE.sub(one, text)


def slug(text: str) -> str:
    """Return a text in the letters of a host name (lib/gitlab/utils.rb, slugify)."""
    return _NOT_SLUG.sub("-", text.lower()).strip("-")[:63]
