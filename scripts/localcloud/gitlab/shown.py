"""Pipelines, jobs, deployments and environments as the API shows them (lib/api/entities)."""

from __future__ import annotations

from datetime import datetime

from localcloud.gitlab.job_variables import slug
from localcloud.gitlab.people import shown_user
from localcloud.gitlab.processing import archived
from localcloud.gitlab.records import ROLE_NAMES, Record
from localcloud.gitlab.requests import Request, moment


def _url(request: Request, place: str) -> str:
    return f"{request.base.removesuffix('/api/v4')}/{request.records.project['path']}/-/{place}"


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else round((end - begin).total_seconds(), 6)


def commit(pipeline: Record) -> Record:
    """lib/api/entities/commit.rb."""
    made = pipeline["commit"]
    return {
        "id": pipeline["sha"],
        "short_id": pipeline["sha"][:8],
        "created_at": moment(made["at"]),
        "parent_ids": [],
        "title": made["title"],
        "message": made["title"],
        "author_name": made["author"],
        "author_email": "nobody@example.com",
        "authored_date": moment(made["at"]),
        "committed_date": moment(made["at"]),
    }


def pipeline_basic(request: Request, pipeline: Record) -> Record:
    """lib/api/entities/ci/pipeline_basic.rb."""
    return {
        "id": pipeline["id"],
        "iid": pipeline["id"],
        "project_id": request.records.project["id"],
        "sha": pipeline["sha"],
        "ref": pipeline["ref"],
        "status": pipeline["status"],
        "source": pipeline["source"],
        "created_at": moment(pipeline["created_at"]),
        "updated_at": moment(pipeline["updated_at"]),
        "web_url": _url(request, f"pipelines/{pipeline['id']}"),
        "name": pipeline["name"],
    }


def pipeline_whole(request: Request, pipeline: Record) -> Record:
    """lib/api/entities/ci/pipeline.rb."""
    duration = _seconds(pipeline["started_at"], pipeline["finished_at"])
    warned = any(j["allow_failure"] and j["status"] == "failed" for j in request.records.jobs_of(pipeline))
    label = "passed with warnings" if pipeline["status"] == "success" and warned else pipeline["status"]
    return pipeline_basic(request, pipeline) | {
        "before_sha": "0" * 40,
        "tag": False,
        "yaml_errors": None,
        "user": shown_user(request, request.records.table("users")[pipeline["user_id"]]),
        "started_at": moment(pipeline["started_at"]),
        "finished_at": moment(pipeline["finished_at"]),
        "committed_at": moment(pipeline["commit"]["at"]),
        "duration": None if duration is None else round(duration),
        "queued_duration": _seconds(pipeline["created_at"], pipeline["started_at"]),
        "coverage": None,
        "archived": pipeline["archived"],
        "detailed_status": {"group": pipeline["status"], "label": label, "text": label, "has_details": True},
    }


def job(request: Request, record: Record) -> Record:
    """lib/api/entities/ci/job.rb."""
    records = request.records
    pipeline = records.pipeline_of(record)
    runner = records.table("runners").get(record["runner_id"] or 0)
    now = records.now()
    shown = {
        "id": record["id"],
        "status": record["status"],
        "stage": record["stage"],
        "name": record["name"],
        "ref": pipeline["ref"],
        "tag": False,
        "coverage": None,
        "allow_failure": record["allow_failure"],
        "created_at": moment(record["created_at"]),
        "started_at": moment(record["started_at"]),
        "finished_at": moment(record["finished_at"]),
        "erased_at": None,
        "duration": _seconds(record["started_at"], record["finished_at"] or now),
        "queued_duration": _seconds(record["queued_at"], record["started_at"] or record["finished_at"] or now),
        "user": shown_user(request, records.table("users")[record["user_id"]]),
        "commit": commit(pipeline),
        "pipeline": pipeline_basic(request, pipeline),
        "web_url": _url(request, f"jobs/{record['id']}"),
        "project": {"ci_job_token_scope_enabled": False},
        "artifacts": [{"file_type": "archive", "filename": "artifacts.zip"}] if record["kept_files"] else [],
        "runner": None if runner is None else shown_runner(request, runner),
        "runner_manager": None,
        "artifacts_expire_at": None,
        "archived": archived(records, record),
        "tag_list": record["tags"],
    }
    # job_basic.rb shows the reason of failed jobs alone
    return shown | ({"failure_reason": record["failure_reason"]} if record["status"] == "failed" else {})


def runner_status(request: Request, runner: Record) -> str:
    """Return what lib/api/entities/ci/runner.rb shows; a paused runner still says whether it is online."""
    return "online" if runner["online"] else "offline"


def shown_runner(request: Request, runner: Record) -> Record:
    """lib/api/entities/ci/runner.rb."""
    return {
        "id": runner["id"],
        "description": runner["description"],
        "ip_address": "127.0.0.1",
        "active": not runner["paused"],
        "paused": runner["paused"],
        "is_shared": False,
        "runner_type": "project_type",
        "name": "gitlab-runner",
        "online": runner["online"],
        "status": runner_status(request, runner),
    }


def environment_basic(environment: Record) -> Record:
    """lib/api/entities/environment_basic.rb."""
    return {
        "id": environment["id"],
        "name": environment["name"],
        "slug": slug(environment["name"])[:24],
        "external_url": None,
        "created_at": moment(environment["created_at"]),
        "updated_at": moment(environment["created_at"]),
    }


def environment(request: Request, record: Record) -> Record:
    """lib/api/entities/environment.rb."""
    last = request.records.last_deployment(record["id"])
    return environment_basic(record) | {
        "tier": record["tier"],
        "state": "available",
        "last_deployment": None if last is None else deployment(request, last),
    }


def approval(request: Request, given: Record) -> Record:
    """ee/lib/api/entities/deployments/approval.rb."""
    return {
        "user": shown_user(request, request.records.table("users")[given["user_id"]]),
        "status": given["status"],
        "created_at": moment(given["created_at"]),
        "comment": given["comment"],
    }


def deployment(request: Request, record: Record) -> Record:
    """lib/api/entities/deployment_extended.rb, with the approvals of Premium."""
    records = request.records
    of = records.table("environments")[record["environment_id"]]
    guard = records.guard(of["name"])
    granted = sum(1 for a in record["approvals"] if a["status"] == "approved")
    wanted = guard["required_approval_count"] if guard else 0
    rules = (guard or {}).get("approval_rules") or []
    return {
        "id": record["id"],
        "iid": record["id"],
        "ref": record["ref"],
        "sha": record["sha"],
        "created_at": moment(record["created_at"]),
        "updated_at": moment(record["updated_at"]),
        "finished_at": moment(record["finished_at"]),
        "status": record["status"],
        "user": shown_user(request, records.table("users")[record["user_id"]]),
        "environment": environment_basic(of),
        "deployable": job(request, records.table("jobs")[record["job_id"]]),
        "pending_approval_count": max(0, wanted - granted) if record["status"] == "blocked" else 0,
        "approvals": [approval(request, given) for given in record["approvals"]],
        "approval_summary": {
            "rules": [
                {
                    **access_level(rule),
                    "required_approvals": rule["required_approvals"],
                    "deployment_approvals": [approval(request, given) for given in record["approvals"]],
                }
                for rule in rules
            ]
        },
    }


def access_level(level: Record) -> Record:
    """ee/lib/api/entities/protected_environments: a role or one user."""
    role = level.get("access_level")
    return {
        "id": level["id"],
        "access_level": role,
        "access_level_description": ROLE_NAMES.get(role or 0, "User"),
        "user_id": level.get("user_id"),
        "group_id": None,
        "group_inheritance_type": 0,
    }
