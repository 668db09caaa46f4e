"""CI/CD variables of the project and of its group: lib/api/ci/variables.rb and lib/api/ci/group_variables.rb."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from localcloud.gitlab import masking
from localcloud.gitlab.records import MAINTAINER, OWNER, Record
from localcloud.gitlab.requests import (
    FLAG,
    HASH,
    TEXT,
    ApiError,
    Declared,
    Request,
    answer,
    error,
    forbidden,
    invalid,
    message,
    needed,
    not_found,
    nothing,
    one_of,
    page,
)
from localcloud.gitlab.routes import route
from localcloud.operations import Answer

KEY = re.compile(r"[a-zA-Z0-9_]+\Z")  # app/models/concerns/ci/has_variable.rb
SCOPE = re.compile(r"[a-zA-Z0-9_/${}. *-]+\Z")  # lib/gitlab/regex.rb, environment_scope_regex
LONGEST = 255
ATTRIBUTES: dict[str, Declared] = {
    "value": TEXT,
    "protected": FLAG,
    "masked": FLAG,
    "raw": FLAG,
    "variable_type": one_of("env_var", "file"),
    "description": TEXT,
    "environment_scope": TEXT,
}


@dataclass(frozen=True, kw_only=True)
class Owned:
    """Whose variables an endpoint is about."""

    table: str
    noun: str  # as it stands in a 404: lib/api/ci/variables.rb and group_variables.rb
    limit: str
    limited: str


PROJECT = Owned(table="variables", noun="Variable", limit="project_ci_variables", limited="project")
GROUP = Owned(table="group_variables", noun="GroupVariable", limit="group_ci_variables", limited="group")


def _owned(request: Request) -> Owned:
    """Check the role, which is asked before anything else: Maintainer of a project, Owner of a group."""
    caller = request.caller
    if request.segments[0] == "projects":
        if request.records.role(caller) < MAINTAINER:
            raise forbidden()
        return PROJECT
    # Facts 1.1: even a Maintainer of the group gets 403 (spec/requests/api/ci/group_variables_spec.rb).
    if request.records.group_role(caller) < OWNER:
        raise forbidden()
    return GROUP


def _scoped(request: Request, owned: Owned) -> bool:
    """Return whether scopes are honoured: for groups in Premium alone; else the parameters are not even declared."""
    return owned is PROJECT or request.records.settings["edition"] == "premium"


def _find(request: Request, owned: Owned) -> Record:
    """Return the variable that key and filter name: lib/api/helpers/variables_helpers.rb."""
    variables = request.records.table(owned.table).values()
    found = [v for v in variables if v["key"] == request.names["key"]]
    scope = request.declared(filter=HASH).get("filter", {}).get("environment_scope")
    # lib's ci/variables_finder.rb: an empty filter is no filter; one that is given is compared letter by letter.
    if scope and _scoped(request, owned):
        found = [v for v in found if v["environment_scope"] == scope]
    if not found:
        raise not_found(owned.noun)
    if len(found) > 1:
        raise message(
            409, "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
        )
    return found[0]


def shown(variable: Record) -> Record:
    """Return a variable as lib/api/entities/ci/variable.rb does: the value of a hidden one is null, always."""
    return {
        "variable_type": variable["variable_type"],
        "key": variable["key"],
        "value": None if variable["hidden"] else variable["value"],
        "hidden": variable["hidden"],
        "protected": variable["protected"],
        "masked": variable["masked"],
        "raw": variable["raw"],
        "environment_scope": variable["environment_scope"],
        "description": variable["description"],
    }


# -- rules -------------------------------------------------------------------------------------------------------------


def _mistakes(request: Request, owned: Owned, variable: Record, others: list[Record]) -> dict[str, list[str]]:
    """Return what app/models/ci/variable.rb and its concerns have against a variable."""
    wrong: dict[str, list[str]] = {}
    key, scope = variable["key"], variable["environment_scope"]
    if not key:
        wrong.setdefault("key", []).append("can't be blank")
    if any(v["key"] == key and v["environment_scope"] == scope for v in others):
        wrong.setdefault("key", []).append(f"({key}) has already been taken")
    if len(key) > LONGEST:
        wrong.setdefault("key", []).append(f"is too long (maximum is {LONGEST} characters)")
    if not KEY.match(key):
        wrong.setdefault("key", []).append("can contain only letters, digits and '_'.")
    if variable["masked"] and not masking.can_be_masked(variable):
        wrong["value"] = ["is invalid"]
    if len(variable["description"] or "") > LONGEST:
        wrong["description"] = [f"is too long (maximum is {LONGEST} characters)"]
    if not SCOPE.match(scope):
        wrong["environment_scope"] = [
            "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', '*' and spaces"
        ]
    elif len(scope) > LONGEST:
        wrong["environment_scope"] = [f"is too long (maximum is {LONGEST} characters)"]
    maximum = request.records.settings[owned.limit]
    if "id" not in variable and len(others) >= maximum:
        wrong["base"] = [f"Maximum number of {owned.limited} ci variables ({maximum}) exceeded"]
    return wrong


def _declared(request: Request, owned: Owned) -> dict[str, Declared]:
    known = dict(ATTRIBUTES)
    if not _scoped(request, owned):
        del known["environment_scope"]
    return known


def _hides(request: Request) -> bool:
    """Return whether this GitLab knows masked_and_hidden: since 17.4; older ones drop the parameter silently."""
    major, minor = request.records.settings["version"].split(".")[:2]
    return (int(major), int(minor)) >= (17, 4)


# -- endpoints ---------------------------------------------------------------------------------------------------------


@route("GET", "projects/:id/variables", "ListVariables")
@route("GET", "groups/:id/variables", "ListGroupVariables")
def list_variables(request: Request) -> Answer:
    """GET …/variables; `filter` is no parameter of a list."""
    owned = _owned(request)
    return page(request, [shown(v) for v in request.records.table(owned.table).values()])


@route("GET", "projects/:id/variables/:key", "GetVariable")
@route("GET", "groups/:id/variables/:key", "GetGroupVariable")
def get_variable(request: Request) -> Answer:
    """GET …/variables/:key."""
    return answer(shown(_find(request, _owned(request))))


@route("POST", "projects/:id/variables", "CreateVariable")
@route("POST", "groups/:id/variables", "CreateGroupVariable")
def create_variable(request: Request) -> Answer:
    """POST …/variables; `masked_and_hidden` exists here alone."""
    owned = _owned(request)
    known = _declared(request, owned) | {"key": needed(TEXT), "value": needed(TEXT)}
    if _hides(request):
        known["masked_and_hidden"] = FLAG
    taken = request.declared(**dict(sorted(known.items(), key=lambda item: (item[0] != "key", item[0] != "value"))))
    hidden = taken.pop("masked_and_hidden", False)
    variable = {**_defaults(), **taken, "key": taken["key"].strip(), "hidden": hidden}
    if hidden:
        variable["masked"] = True
    others = list(request.records.table(owned.table).values())
    wrong = _mistakes(request, owned, variable, others)
    if wrong:
        raise invalid(**wrong)
    return answer(shown(request.records.add(owned.table, **variable)), 201)


def _defaults() -> dict[str, Any]:
    # Facts 1.2: the API's default stays raw=false and unmasked, whatever the page in the browser preselects.
    return {
        "variable_type": "env_var",
        "protected": False,
        "masked": False,
        "raw": False,
        "environment_scope": "*",
        "description": None,
    }


@route("PUT", "projects/:id/variables/:key", "UpdateVariable")
@route("PUT", "groups/:id/variables/:key", "UpdateGroupVariable")
def update_variable(request: Request) -> Answer:
    """PUT …/variables/:key: absent attributes stay, `key` in the body is ignored, a new scope moves the variable."""
    owned = _owned(request)
    taken = request.declared(**_declared(request, owned))
    variable = _find(request, owned)
    if variable["hidden"] and taken.get("masked") is False:
        # app/models/concerns/ci/hidable_variable.rb
        raise invalid(base=["The visibility setting cannot be changed for masked and hidden variables."])
    changed = variable | taken
    others = [v for v in request.records.table(owned.table).values() if v is not variable]
    wrong = _mistakes(request, owned, changed, others)
    if wrong:
        raise invalid(**wrong)
    variable.update(changed)
    return answer(shown(variable))


@route("DELETE", "projects/:id/variables/:key", "DeleteVariable")
@route("DELETE", "groups/:id/variables/:key", "DeleteGroupVariable")
def delete_variable(request: Request) -> Answer:
    """DELETE …/variables/:key."""
    owned = _owned(request)
    variable = _find(request, owned)
    del request.records.table(owned.table)[variable["id"]]
    return nothing()


def given_pairs(request: Request, name: str) -> list[Record]:
    """Return the key/value pairs of a list parameter; Grape names what is missing by its place in the list."""
    pairs = request.declared(**{name: Declared(kind="list")}).get(name) or []
    wrong = []
    for number, pair in enumerate(pairs):
        if not isinstance(pair, dict):
            raise error(400, f"{name} is invalid")
        wrong += [f"{name}[{number}][{part}] is missing" for part in ("key", "value") if part not in pair]
    if wrong:
        raise ApiError(400, {"error": ", ".join(wrong)})
    return [
        {"key": str(p["key"]), "value": str(p["value"]), "variable_type": str(p.get("variable_type", "env_var"))}
        for p in pairs
    ]
