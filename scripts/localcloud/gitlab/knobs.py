"""What tests and drills may turn that the API of a real GitLab does not offer: POST /_localcloud/gitlab."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from localcloud.gitlab.ci_yaml import CiError
from localcloud.gitlab.creation import Wanted, create
from localcloud.gitlab.records import SETTINGS

if TYPE_CHECKING:
    from localcloud.gitlab.server import GitLab

CHOICES = {"edition": ("premium", "free"), "refusal_of_stale_jobs": ("unplayable", "forbidden")}


def turn(gitlab: GitLab, asked: dict[str, Any]) -> dict[str, Any]:
    """Turn the knobs asked for and return how all of them stand; ValueError says what is wrong.

    `runner` is online or offline; `archive` is a pipeline's id; `expire` is the name of a user whose tokens expire
    now; `push` is a branch that somebody pushes to, which starts a pipeline; `schedule` are the variables of a pipeline schedule of
    the default branch whose time has come; `settings` changes limits, `version`,
    `edition`, or what an archived or outdated job answers to its play.
    """
    unknown = sorted(set(asked) - {"runner", "archive", "expire", "push", "schedule", "settings"})
    if unknown:
        raise ValueError(f"no such knob: {', '.join(unknown)}")
    records = gitlab.records
    if "runner" in asked:
        if asked["runner"] not in ("online", "offline"):
            raise ValueError(f"runner is {asked['runner']!r}; write online or offline")
        for runner in records.table("runners").values():
            runner["online"] = asked["runner"] == "online"
    if "archive" in asked:
        old = records.table("pipelines").get(int(asked["archive"]))
        if old is None:
            raise ValueError(f"there is no pipeline {asked['archive']}")
        old["archived"] = True
    if "expire" in asked:
        users = {user["id"] for user in records.table("users").values() if user["username"] == asked["expire"]}
        if not users:
            raise ValueError(f"there is no user {asked['expire']}")
        for token in records.table("tokens").values():
            if token["user_id"] in users:
                token["expires_at"] = records.now().date() - timedelta(days=1)
    for name, value in dict(asked.get("settings", {})).items():
        _set(gitlab, name, value)
    pipeline = _push(gitlab, str(asked["push"])) if "push" in asked else None
    if "schedule" in asked:
        pipeline = _fire(gitlab, {str(key): str(value) for key, value in dict(asked["schedule"]).items()})
    gitlab.runner.take()
    return {
        "pipeline": pipeline,
        "runners": {
            r["description"]: "online" if r["online"] else "offline" for r in records.table("runners").values()
        },
        "archived": [p["id"] for p in records.table("pipelines").values() if p["archived"]],
        "settings": records.settings,
    }


def _push(gitlab: GitLab, branch: str) -> int:
    """Start the pipeline of a push by the owner; return its id."""
    records = gitlab.records
    if records.branch(branch) is None:
        raise ValueError(f"there is no branch {branch}")
    return _start(gitlab, branch, "push", [])


def _fire(gitlab: GitLab, variables: dict[str, str]) -> int:
    """Start the pipeline of a schedule of the owner's; return its id."""
    found = [{"key": key, "value": value, "variable_type": "env_var"} for key, value in variables.items()]
    return _start(gitlab, "main", "schedule", found)


def _start(gitlab: GitLab, branch: str, source: str, variables: list[dict[str, Any]]) -> int:
    records = gitlab.records
    owner = next(user for user in records.table("users").values() if user["username"] == "owner")
    wanted = Wanted(ref=branch, user=owner, source=source, variables=variables, inputs={})
    try:
        made = create(records, gitlab.repository, wanted, gitlab.base)
    except CiError as wrong:
        raise ValueError(f"the {source} starts no pipeline: {wrong}") from wrong
    gitlab.prepare_soon(made)
    return int(made["id"])


def _set(gitlab: GitLab, name: str, value: Any) -> None:
    if name not in SETTINGS:
        raise ValueError(f"no such setting: {name}; there are {', '.join(SETTINGS)}")
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(f"{name} is {value!r}; write one of: {', '.join(CHOICES[name])}")
    if not isinstance(value, type(SETTINGS[name])):
        raise ValueError(f"{name} must be a {type(SETTINGS[name]).__name__}")
    gitlab.records.settings[name] = value
