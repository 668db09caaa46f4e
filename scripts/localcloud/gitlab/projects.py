"""The project, its group, its branches and their protection, and the version of this GitLab."""

from __future__ import annotations

from localcloud.gitlab.records import DEVELOPER, MAINTAINER, OWNER, REPORTER, Record
from localcloud.gitlab.requests import (
    FLAG,
    NUMBER,
    TEXT,
    Request,
    answer,
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

# app/models/project_ci_cd_setting.rb, pipeline_variables_minimum_override_role
OVERRIDE_ROLES = ("no_one_allowed", "developer", "maintainer", "owner")
LEVELS = {"developer": DEVELOPER, "maintainer": MAINTAINER, "owner": OWNER}
SETTINGS = {
    "description": TEXT,
    "default_branch": TEXT,
    "build_timeout": NUMBER,
    "ci_pipeline_variables_minimum_override_role": one_of(*OVERRIDE_ROLES),
    "ci_forward_deployment_enabled": FLAG,
    "ci_forward_deployment_rollback_allowed": FLAG,
    "allow_pipeline_trigger_approve_deployment": FLAG,
}


def new_project(path: str) -> Record:
    """Return the project as it is at the first start; its settings are those of a self-managed GitLab."""
    return {
        "id": 1,
        "path": path,
        "description": None,
        "default_branch": "main",
        "build_timeout": 3600,
        "ci_pipeline_variables_minimum_override_role": "maintainer",
        "ci_forward_deployment_enabled": True,
        "ci_forward_deployment_rollback_allowed": True,
        "allow_pipeline_trigger_approve_deployment": False,
    }


def may_set_pipeline_variables(request: Request) -> bool:
    """Return whether the caller may pass variables to a pipeline or a job (doc/ci/variables, "Restrict pipeline variables")."""
    wanted = request.records.project["ci_pipeline_variables_minimum_override_role"]
    return wanted in LEVELS and request.records.role(request.caller) >= LEVELS[wanted]


def _web_url(request: Request) -> str:
    return f"{request.base.removesuffix('/api/v4')}/{request.records.project['path']}"


def shown_project(request: Request) -> Record:
    """Return the project as lib/api/entities/project.rb does, as far as a client of pipelines needs it."""
    project, group = request.records.project, request.records.group
    name = project["path"].rsplit("/", 1)[-1]
    shown = {
        "id": project["id"],
        "description": project["description"],
        "name": name,
        "name_with_namespace": f"{group['name']} / {name}",
        "path": name,
        "path_with_namespace": project["path"],
        "created_at": project["created_at"],
        "default_branch": project["default_branch"],
        "web_url": _web_url(request),
        "namespace": {"id": group["id"], "name": group["name"], "path": group["path"], "kind": "group"},
        "visibility": "private",
        "archived": False,
        "empty_repo": False,
        "jobs_enabled": True,
        "builds_access_level": "enabled",
    }
    if request.user is not None:
        role = request.records.role(request.user)
        own = {"access_level": role, "notification_level": 3}
        shown["permissions"] = {
            "project_access": own if request.user["bot"] else None,
            "group_access": None if request.user["bot"] else own,
        }
        if role >= DEVELOPER:
            shown |= {name: project[name] for name in SETTINGS if name != "description"}
            shown["restrict_user_defined_variables"] = (
                project["ci_pipeline_variables_minimum_override_role"] != "developer"
            )
    return shown


@route("GET", "version", "GetVersion")
@route("GET", "metadata", "GetMetadata")
def version(request: Request) -> Answer:
    """GET /version."""
    _ = request.caller
    number = request.records.settings["version"]
    return answer({"version": number, "revision": "localcloud", "enterprise": number.endswith("-ee")})


@route("GET", "projects", "ListProjects")
def list_projects(request: Request) -> Answer:
    """GET /projects: those that the caller sees."""
    seen = request.user is not None and request.records.role(request.user) > 0
    return page(request, [shown_project(request)] if seen else [])


@route("GET", "projects/:id", "GetProject")
def get_project(request: Request) -> Answer:
    """GET /projects/:id, by number or by path."""
    return answer(shown_project(request))


@route("PUT", "projects/:id", "UpdateProject")
def update_project(request: Request) -> Answer:
    """PUT /projects/:id; doc/api/projects.md: Maintainers, and Owners for the two strictest override roles."""
    records, role = request.records, request.records.role(request.caller)
    if role < MAINTAINER:
        raise forbidden()
    taken = request.declared(**SETTINGS)
    if not taken:
        raise error(400, f"{', '.join(SETTINGS)} are missing, at least one parameter must be provided")
    if "default_branch" in taken and records.branch(taken["default_branch"]) is None:
        raise message(400, {"base": ["Could not set the default branch"]})
    strict = {"owner", "no_one_allowed"}
    before = records.project["ci_pipeline_variables_minimum_override_role"]
    after = taken.get("ci_pipeline_variables_minimum_override_role", before)
    if before != after and {before, after} & strict and role < OWNER:
        raise forbidden()
    records.project.update(taken)
    return answer(shown_project(request))


@route("GET", "groups/:id", "GetGroup")
def get_group(request: Request) -> Answer:
    """GET /groups/:id."""
    group = request.records.group
    return answer(
        {"id": group["id"], "name": group["name"], "path": group["path"], "full_path": group["path"], "parent_id": None}
    )


# -- branches ----------------------------------------------------------------------------------------------------------


def _shown_branch(request: Request, branch: Record) -> Record:
    records = request.records
    return {
        "name": branch["name"],
        "protected": records.protection(branch["name"]) is not None,
        "default": branch["name"] == records.project["default_branch"],
        "can_push": request.user is not None and records.may_update(request.user, branch["name"]),
    }


def _at_least(request: Request, role: int) -> None:
    if request.records.role(request.caller) < role:
        raise forbidden()


@route("GET", "projects/:id/repository/branches", "ListBranches")
def list_branches(request: Request) -> Answer:
    """GET /projects/:id/repository/branches."""
    _at_least(request, REPORTER)
    return page(request, [_shown_branch(request, b) for b in request.records.table("branches").values()])


@route("GET", "projects/:id/repository/branches/:branch", "GetBranch")
def get_branch(request: Request) -> Answer:
    """GET /projects/:id/repository/branches/:branch."""
    _at_least(request, REPORTER)
    branch = request.records.branch(request.names["branch"])
    if branch is None:
        raise not_found("Branch")
    return answer(_shown_branch(request, branch))


@route("POST", "projects/:id/repository/branches", "CreateBranch")
def create_branch(request: Request) -> Answer:
    """POST /projects/:id/repository/branches; every branch here has the content of the repository's folder."""
    _at_least(request, DEVELOPER)
    taken = request.declared(branch=needed(TEXT), ref=needed(TEXT))
    if request.records.branch(taken["ref"]) is None:
        raise message(400, f"Invalid reference name: {taken['ref']}")
    if request.records.branch(taken["branch"]) is not None:
        raise message(400, "Branch already exists")
    return answer(_shown_branch(request, request.records.add("branches", name=taken["branch"])), 201)


def _shown_rule(rule: Record) -> Record:
    names = {0: "No one", DEVELOPER: "Developers + Maintainers", MAINTAINER: "Maintainers"}

    def level(value: int) -> list[Record]:
        return [{"id": rule["id"], "access_level": value, "access_level_description": names.get(value, str(value))}]

    return {
        "id": rule["id"],
        "name": rule["name"],
        "push_access_levels": level(rule["push_access_level"]),
        "merge_access_levels": level(rule["merge_access_level"]),
        "allow_force_push": False,
        "code_owner_approval_required": False,
    }


def _rule(request: Request) -> Record:
    rules = request.records.table("protected_branches").values()
    found = next((rule for rule in rules if rule["name"] == request.names["name"]), None)
    if found is None:
        raise not_found()
    return found


@route("GET", "projects/:id/protected_branches", "ListProtectedBranches")
def list_protected(request: Request) -> Answer:
    """GET /projects/:id/protected_branches."""
    _at_least(request, DEVELOPER)
    return page(request, [_shown_rule(rule) for rule in request.records.table("protected_branches").values()])


@route("GET", "projects/:id/protected_branches/:name", "GetProtectedBranch")
def get_protected(request: Request) -> Answer:
    """GET /projects/:id/protected_branches/:name."""
    _at_least(request, DEVELOPER)
    return answer(_shown_rule(_rule(request)))


@route("POST", "projects/:id/protected_branches", "ProtectBranch")
def protect(request: Request) -> Answer:
    """POST /projects/:id/protected_branches: Maintainers by default (lib/api/protected_branches.rb)."""
    _at_least(request, MAINTAINER)
    taken = request.declared(name=needed(TEXT), push_access_level=NUMBER, merge_access_level=NUMBER)
    rules = request.records.table("protected_branches").values()
    if any(rule["name"] == taken["name"] for rule in rules):
        raise message(409, f"Protected branch '{taken['name']}' already exists")
    levels = {"push_access_level": MAINTAINER, "merge_access_level": MAINTAINER}
    return answer(_shown_rule(request.records.add("protected_branches", **levels | taken)), 201)


@route("DELETE", "projects/:id/protected_branches/:name", "UnprotectBranch")
def unprotect(request: Request) -> Answer:
    """DELETE /projects/:id/protected_branches/:name."""
    _at_least(request, MAINTAINER)
    rule = _rule(request)
    del request.records.table("protected_branches")[rule["id"]]
    return nothing()
