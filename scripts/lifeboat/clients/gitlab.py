"""A GitLab project's variables, settings, protection, runners and schedules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar
from urllib.parse import quote

from lifeboat.clients.gitlab_api import GitLabApi, Order, plain
from lifeboat.errors import GitLabRefused, NothingFits, RoleMissing, WrongConfiguration
from lifeboat.gitlab_model import (
    Guard,
    Lint,
    ProjectFacts,
    Role,
    RunnerFacts,
    Schedule,
    TokenFacts,
    Variable,
    VariableChange,
    VariableName,
)
from lifeboat.model import Secret

_Found = TypeVar("_Found")
_RUNNERS_LOOKED_AT = 50  # of those that are online: each is one more question
# What GitLab says of a variable that it does not take, in words that say what to do. Its own words are never shown:
# a body that comes back may hold what was sent.
_TAKEN = "has already been taken"
_REASONS = (
    ("is invalid", "it cannot mask the value"),
    ("can contain only letters", "it does not take the key or the scope"),
    ("is too long", "its description, key or scope is too long"),
    ("Maximum number of", "the project has as many variables as it may"),
    ("visibility setting cannot be changed", "it never shows again what it once hid"),
    ("is missing", "something that it wants is missing"),
    ("does not have a valid value", "it does not know the type"),
    ("multiple variables", "several scopes have this key"),
)


class GitLab:
    """One project of one GitLab."""

    def __init__(self, api: GitLabApi) -> None:
        self._api = api

    # -- variables -----------------------------------------------------------------------------------------------------

    def variables(self) -> list[Variable]:
        """Return all variables of the project, of every scope."""
        order = Order(what=f"list the variables of {self._api.project}", path="variables", role=Role.MAINTAINER)
        return self._api.every(order, _variable)

    def variable(self, name: VariableName) -> Variable | None:
        """Return one variable; None when GitLab has none of that key and scope."""
        return self._api.one(_order("read", name), _variable, **_filter(name))

    def create(self, variable: Variable) -> Variable | None:
        """Make a variable and return it as GitLab has it; None when somebody else made one of that key and scope."""
        body: dict[str, Any] = {
            "key": variable.name.key,
            "environment_scope": variable.name.scope,
            "value": _revealed(variable),
            "variable_type": variable.variable_type,
            "protected": variable.protected,
            "masked": variable.masked,
            "raw": variable.raw,
            "description": variable.description,
        }
        if variable.hidden:
            body["masked_and_hidden"] = True  # only here: an update drops it silently
        order = Order(what=f"create the variable {variable.name}", path="variables", role=Role.MAINTAINER)
        try:
            return self._api.post(order, _variable, body)
        except GitLabRefused as refusal:
            if _TAKEN in refusal.body:
                return None
            raise _in_our_words(order, refusal) from None

    def change(self, change: VariableChange) -> Variable | None:
        """Write the attributes of a change and return the variable as GitLab has it; None when it is not there any more."""
        if change.after is None:
            raise ValueError(f"{change.name} is to be deleted, not changed")
        after = change.after
        body = {name: _revealed(after) if name == "value" else getattr(after, name) for name in change.attributes}
        order = _order("change", change.name)
        try:
            # The scope goes into the filter, never into the body: there it would move the variable.
            return self._api.put(order, _variable, body, **_filter(change.name))
        except NothingFits:
            return None
        except GitLabRefused as refusal:
            raise _in_our_words(order, refusal) from None

    def delete(self, name: VariableName) -> None:
        """Delete one variable; one that is not there is as good."""
        try:
            self._api.delete(_order("delete", name), **_filter(name))
        except NothingFits:
            return

    def group_keys(self, group: str) -> list[VariableName] | None:
        """Return key and scope of the group's variables; None when the token may not see them."""
        path = f"/groups/{quote(group, safe='')}/variables"
        order = Order(what=f"list the variables of the group {group}", path=path, role=Role.OWNER)
        return self._if_allowed(lambda: self._api.every(order, _variable_name))

    def schedules(self) -> list[Schedule] | None:
        """Return the pipeline schedules with the keys that they set; None when the token may not see them."""
        what, path = "look at the pipeline schedules", "pipeline_schedules"

        def ask() -> list[Schedule]:
            # The list has no variables.
            numbers = self._api.every(Order(what=what, path=path, role=Role.MAINTAINER), lambda r: int(r["id"]))
            orders = [Order(what=what, path=f"{path}/{number}", role=Role.MAINTAINER) for number in numbers]
            return [found for order in orders if (found := self._api.one(order, _schedule)) is not None]

        return self._if_allowed(ask)

    # -- who and where -------------------------------------------------------------------------------------------------

    def version(self) -> str:
        """Return the version of this GitLab."""
        order = Order(what="ask GitLab for its version", path="/version")
        found = self._api.one(order, lambda record: plain(record["version"]))
        if found is None:
            raise WrongConfiguration(
                f"{self._api.url} has no GitLab API", hint="[gitlab] url is the address of GitLab's start page"
            )
        return found

    def token(self) -> TokenFacts | None:
        """Return what GitLab says of our token; None when it does not say (it is no access token)."""
        order = Order(what="look at the token", path="/personal_access_tokens/self", role=Role.GUEST)
        return self._api.one(order, _token)

    def project(self) -> ProjectFacts:
        """Return the project's settings and our role in it."""
        order = Order(what=f"look at the project {self._api.project}", path="", role=Role.GUEST)
        found = self._api.one(order, _project)
        if found is None:
            raise NothingFits(f"cannot {order.what}: it is not there")
        return found

    def is_protected(self, ref: str) -> bool | None:
        """Return whether a branch is protected; None when there is no such branch."""
        path = f"repository/branches/{quote(ref, safe='')}"
        return self._api.one(Order(what=f"look at the branch {ref}", path=path), lambda r: bool(r["protected"]))

    def guard(self, environment: str) -> Guard | None:
        """Return what protects an environment; None when nothing does, or this GitLab protects none."""
        path = f"protected_environments/{quote(environment, safe='')}"
        order = Order(what=f"look at the protection of {environment}", path=path, role=Role.MAINTAINER)
        return self._api.one(order, _guard)

    def runners(self) -> list[RunnerFacts] | None:
        """Return the runners of the project, with the tags of those that could take a job; None when it may not list them."""
        order = Order(what="look at the project's runners", path="runners", role=Role.MAINTAINER)
        listed = self._if_allowed(lambda: self._api.every(order, _listed_runner))
        if listed is None:
            return None
        usable = [number for number, runner in listed if runner.online and not runner.paused]
        looked_at = set(usable[:_RUNNERS_LOOKED_AT])
        return [(self._tagged(number) if number in looked_at else None) or runner for number, runner in listed]

    def _tagged(self, number: int) -> RunnerFacts | None:
        """Return a runner with its tags, which the list lacks; None where they are for its own owners alone to see."""
        order = Order(what=f"look at the runner {number}", path=f"/runners/{number}", role=Role.MAINTAINER)
        return self._if_allowed(lambda: self._api.one(order, _runner))

    def lint(self, ref: str) -> Lint:
        """Return what GitLab thinks of the pipeline that this ref would get."""
        order = Order(what=f"check the pipeline's configuration on {ref}", path="ci/lint")
        asked = {"dry_run": "true", "include_jobs": "true", "content_ref": ref, "dry_run_ref": ref}
        found = self._api.one(order, _lint, **asked)
        return found or Lint(errors=(f"there is no .gitlab-ci.yml on {ref}",), warnings=())

    def _if_allowed(self, ask: Callable[[], _Found]) -> _Found | None:
        """Return what `ask` returns; None when the token may not look, or there is no such thing to look at."""
        try:
            return ask()
        except (RoleMissing, NothingFits):
            return None


# -- records -----------------------------------------------------------------------------------------------------------


def _order(verb: str, name: VariableName) -> Order:
    path = f"variables/{quote(name.key, safe='')}"
    return Order(what=f"{verb} the variable {name}", path=path, role=Role.MAINTAINER)


def _filter(name: VariableName) -> dict[str, Any]:
    # Without it, GitLab takes whichever variable has the key when there is only one, of whatever scope it is.
    return {"filter": {"environment_scope": name.scope}}


def _revealed(variable: Variable) -> str:
    if variable.value is None:
        raise ValueError(f"the value of {variable.name} is not known")
    return variable.value.reveal()


def _in_our_words(order: Order, refusal: GitLabRefused) -> GitLabRefused:
    why = next((ours for theirs, ours in _REASONS if theirs in refusal.body), "in words that lifeboat does not know")
    return GitLabRefused(
        f"cannot {order.what}: GitLab answers {refusal.status}: {why}", status=refusal.status, body=refusal.body
    )


def _variable_name(record: dict[str, Any]) -> VariableName:
    return VariableName(key=str(record["key"]), scope=str(record.get("environment_scope", "*")))


def _variable(record: dict[str, Any]) -> Variable:
    value = record["value"]
    return Variable(
        name=VariableName(key=str(record["key"]), scope=str(record["environment_scope"])),
        value=None if value is None else Secret(str(value)),
        variable_type="file" if record["variable_type"] == "file" else "env_var",
        protected=bool(record["protected"]),
        masked=bool(record["masked"]),
        hidden=bool(record.get("hidden", False)),
        raw=bool(record.get("raw", False)),
        description=str(record.get("description") or ""),
    )


def _schedule(record: dict[str, Any]) -> Schedule:
    return Schedule(
        description=plain(record.get("description") or ""),
        ref=plain(record["ref"]),
        active=bool(record["active"]),
        keys=tuple(str(variable["key"]) for variable in record.get("variables", [])),
    )


def _token(record: dict[str, Any]) -> TokenFacts:
    expires = record.get("expires_at")
    return TokenFacts(
        name=plain(record["name"]),
        scopes=tuple(plain(scope) for scope in record["scopes"]),
        expires_on=None if expires is None else date.fromisoformat(str(expires)),
    )


def _project(record: dict[str, Any]) -> ProjectFacts:
    levels = [level["access_level"] for level in (record.get("permissions") or {}).values() if level]
    namespace = record["namespace"]
    group = str(namespace.get("full_path") or namespace["path"]) if namespace["kind"] == "group" else None
    return ProjectFacts(
        path=str(record["path_with_namespace"]),
        web_url=str(record["web_url"]),
        group=group,
        default_branch=str(record.get("default_branch") or ""),
        role=_role(max(levels)) if levels else None,
        override_role=record.get("ci_pipeline_variables_minimum_override_role"),
        forward_deployment=record.get("ci_forward_deployment_enabled"),
        rollback_allowed=record.get("ci_forward_deployment_rollback_allowed"),
    )


def _role(level: int) -> Role:
    return max((role for role in Role if role <= level), default=Role.NOBODY)


def _guard(record: dict[str, Any]) -> Guard:
    wanted = sum(int(rule["required_approvals"]) for rule in record.get("approval_rules") or [])
    return Guard(
        environment=str(record["name"]),
        deployers=tuple(plain(level["access_level_description"]) for level in record["deploy_access_levels"]),
        approvals=wanted or int(record.get("required_approval_count") or 0),
    )


def _listed_runner(record: dict[str, Any]) -> tuple[int, RunnerFacts]:
    return int(record["id"]), _runner({**record, "tag_list": None, "run_untagged": False})


def _runner(record: dict[str, Any]) -> RunnerFacts:
    tags = record["tag_list"]
    return RunnerFacts(
        description=plain(record.get("description") or f"runner {record['id']}"),
        online=record["status"] == "online",
        paused=bool(record["paused"]),
        tags=None if tags is None else tuple(plain(tag) for tag in tags),
        run_untagged=bool(record["run_untagged"]),
    )


def _lint(record: dict[str, Any]) -> Lint:
    return Lint(
        errors=tuple(plain(text) for text in record["errors"]),
        warnings=tuple(plain(text) for text in record["warnings"]),
        jobs={str(job["name"]): job.get("environment") for job in record.get("jobs") or []},
    )
