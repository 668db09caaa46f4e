"""Environments, their protection, and deployments with their approvals: what Premium adds to deploying."""

from __future__ import annotations

from typing import Any

from localcloud.gitlab import shown
from localcloud.gitlab.records import ADMIN, DEVELOPER, MAINTAINER, REPORTER, Record, Records
from localcloud.gitlab.requests import (
    LIST,
    NUMBER,
    TEXT,
    Request,
    answer,
    bad_request,
    error,
    forbidden,
    message,
    needed,
    not_found,
    nothing,
    one_of,
    page,
)
from localcloud.gitlab.routes import route
from localcloud.operations import Answer

STATUSES = ("created", "running", "success", "failed", "canceled", "skipped", "blocked")


def _at_least(request: Request, role: int) -> None:
    if request.records.role(request.caller) < role:
        raise forbidden()


# -- environments ------------------------------------------------------------------------------------------------------


@route("GET", "projects/:id/environments", "ListEnvironments")
def list_environments(request: Request) -> Answer:
    """GET /projects/:id/environments."""
    _at_least(request, REPORTER)
    taken = request.declared(name=TEXT, search=TEXT, states=TEXT)
    found = [
        e
        for e in request.records.table("environments").values()
        if taken.get("name", e["name"]) == e["name"] and taken.get("search", "") in e["name"]
    ]
    return page(request, [shown.environment(request, e) | {"last_deployment": None} for e in found])


@route("GET", "projects/:id/environments/:environment_id", "GetEnvironment")
def get_environment(request: Request) -> Answer:
    """GET /projects/:id/environments/:environment_id."""
    _at_least(request, REPORTER)
    found = request.records.table("environments").get(request.number("environment_id"))
    if found is None:
        raise not_found()
    return answer(shown.environment(request, found))


# -- protection --------------------------------------------------------------------------------------------------------


def _premium(request: Request) -> None:
    """Protected environments are not there at all in the free edition, so their paths are unknown."""
    if request.records.settings["edition"] != "premium":
        raise error(404, "404 Not Found")


def may_deploy(records: Records, user: Record, environment: str | None) -> bool:
    """Return whether a user may deploy to an environment; to an unprotected one every Developer may."""
    guard = records.guard(environment)
    if guard is None or user["admin"]:
        return True
    return any(_covers(records, level, user) for level in guard["deploy_access_levels"])


def _covers(records: Records, level: Record, user: Record) -> bool:
    if level.get("user_id"):
        return bool(level["user_id"] == user["id"])
    role = records.role(user)
    return bool(level.get("access_level")) and role >= level["access_level"]


def _levels(request: Request, given: list[Any], parameter: str) -> list[Record]:
    made = []
    for number, one in enumerate(given, 1):
        if not isinstance(one, dict):
            raise error(400, f"{parameter} is invalid")
        level = {name: int(one[name]) for name in ("access_level", "user_id") if one.get(name)}
        # ee/app/models/protected_environments/deploy_access_level.rb, ALLOWED_ACCESS_LEVELS
        if len(level) != 1 or level.get("access_level", ADMIN) not in (DEVELOPER, MAINTAINER, ADMIN):
            raise message(422, {f"{parameter}.access_level": ["is not included in the list"]})
        user = request.records.table("users").get(level.get("user_id", 0))
        if "user_id" in level and (user is None or request.records.role(user) == 0):
            raise message(422, {f"{parameter}.user": ["must have access to the project"]})
        made.append({"id": number, **level, "required_approvals": int(one.get("required_approvals") or 1)})
    return made


def _shown_guard(guard: Record) -> Record:
    rules = [{**shown.access_level(r), "required_approvals": r["required_approvals"]} for r in guard["approval_rules"]]
    return {
        "name": guard["name"],
        "deploy_access_levels": [shown.access_level(level) for level in guard["deploy_access_levels"]],
        "required_approval_count": guard["required_approval_count"],
        "approval_rules": rules,
    }


def _guard(request: Request) -> Record:
    _premium(request)
    _at_least(request, MAINTAINER)
    guard = request.records.guard(request.names["name"])
    if guard is None:
        raise not_found()
    return guard


@route("GET", "projects/:id/protected_environments", "ListProtectedEnvironments")
def list_guards(request: Request) -> Answer:
    """GET /projects/:id/protected_environments."""
    _premium(request)
    _at_least(request, MAINTAINER)
    return page(request, [_shown_guard(g) for g in request.records.table("protected_environments").values()])


@route("GET", "projects/:id/protected_environments/:name", "GetProtectedEnvironment")
def get_guard(request: Request) -> Answer:
    """GET /projects/:id/protected_environments/:name."""
    return answer(_shown_guard(_guard(request)))


@route("POST", "projects/:id/protected_environments", "ProtectEnvironment")
def protect(request: Request) -> Answer:
    """POST /projects/:id/protected_environments: who may deploy, and how many must approve."""
    _premium(request)
    _at_least(request, MAINTAINER)
    taken = request.declared(
        name=needed(TEXT), deploy_access_levels=needed(LIST), required_approval_count=NUMBER, approval_rules=LIST
    )
    if request.records.guard(taken["name"]) is not None:
        raise message(409, f"Protected environment '{taken['name']}' already exists")
    rules = _levels(request, taken.get("approval_rules", []), "approval_rules")
    wanted = sum(rule["required_approvals"] for rule in rules) or taken.get("required_approval_count", 0)
    guard = request.records.add(
        "protected_environments",
        name=taken["name"],
        deploy_access_levels=_levels(request, taken["deploy_access_levels"], "deploy_access_levels"),
        approval_rules=rules,
        required_approval_count=wanted,
    )
    return answer(_shown_guard(guard), 201)


@route("DELETE", "projects/:id/protected_environments/:name", "UnprotectEnvironment")
def unprotect(request: Request) -> Answer:
    """DELETE /projects/:id/protected_environments/:name."""
    guard = _guard(request)
    del request.records.table("protected_environments")[guard["id"]]
    return nothing()


# -- deployments -------------------------------------------------------------------------------------------------------


@route("GET", "projects/:id/deployments", "ListDeployments")
def list_deployments(request: Request) -> Answer:
    """GET /projects/:id/deployments: oldest first unless asked otherwise."""
    _at_least(request, REPORTER)
    taken = request.declared(
        environment=TEXT,
        status=one_of(*STATUSES),
        order_by=one_of("id", "iid", "created_at", "updated_at", "finished_at", "ref"),
        sort=one_of("asc", "desc"),
    )
    records = request.records
    found = [
        d
        for d in records.table("deployments").values()
        if taken.get("status", d["status"]) == d["status"]
        and taken.get("environment") in (None, records.table("environments")[d["environment_id"]]["name"])
    ]
    key = {"iid": "id"}.get(taken.get("order_by", "id"), taken.get("order_by", "id"))
    found.sort(key=lambda d: (str(d[key]) if key != "id" else "", d["id"]), reverse=taken.get("sort") == "desc")
    return page(request, [shown.deployment(request, d) for d in found])


def _deployment(request: Request) -> Record:
    found = request.records.table("deployments").get(request.number("deployment_id"))
    if found is None:
        raise not_found()
    return found


@route("GET", "projects/:id/deployments/:deployment_id", "GetDeployment")
def get_deployment(request: Request) -> Answer:
    """GET /projects/:id/deployments/:deployment_id."""
    _at_least(request, REPORTER)
    return answer(shown.deployment(request, _deployment(request)))


@route("POST", "projects/:id/deployments/:deployment_id/approval", "ApproveDeployment")
def approve(request: Request) -> Answer:
    """POST …/approval: ee/app/services/deployments/approval_service.rb; the job must still be run by hand afterwards."""
    _premium(request)
    _at_least(request, REPORTER)
    taken = request.declared(status=needed(one_of("approved", "rejected")), comment=TEXT, represented_as=TEXT)
    records, caller, deployment = request.records, request.caller, _deployment(request)
    environment = records.table("environments")[deployment["environment_id"]]["name"]
    guard = records.guard(environment)
    if guard is None:
        raise bad_request("This environment is not protected.")
    if deployment["status"] != "blocked":
        raise bad_request("This deployment is not waiting for approvals.")
    approvers = guard["approval_rules"] or guard["deploy_access_levels"]
    if not caller["admin"] and not any(_covers(records, rule, caller) for rule in approvers):
        raise bad_request("You don't have permission to approve this deployment. Contact the project or group owner.")
    own = deployment["user_id"] == caller["id"] and not records.project["allow_pipeline_trigger_approve_deployment"]
    if own and taken["status"] == "approved":
        raise bad_request(
            "You cannot approve your own deployment. "
            "This configuration can be adjusted in the protected environment settings."
        )
    given = {
        "user_id": caller["id"],
        "status": taken["status"],
        "comment": taken.get("comment"),
        "created_at": records.now(),
    }
    deployment["approvals"] = [a for a in deployment["approvals"] if a["user_id"] != caller["id"]] + [given]
    granted = sum(1 for a in deployment["approvals"] if a["status"] == "approved")
    if taken["status"] == "rejected":
        request.gitlab.processing.finish(records.table("jobs")[deployment["job_id"]], "failed", "deployment_rejected")
    elif granted >= guard["required_approval_count"]:
        deployment["status"] = "created"
    return answer(shown.approval(request, given), 201)
