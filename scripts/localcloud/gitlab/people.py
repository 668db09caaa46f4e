"""Users, their tokens and what a token lets them do; seeded at the first start, written down in gitlab-tokens.json."""

from __future__ import annotations

import json
import os
import secrets
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.gitlab.records import ADMIN, DEVELOPER, GUEST, MAINTAINER, OWNER, REPORTER, Record, Records
from localcloud.gitlab.requests import (
    DATE,
    LIST,
    NUMBER,
    TEXT,
    ApiError,
    Request,
    answer,
    error,
    forbidden,
    invalid,
    message,
    moment,
    needed,
    not_found,
    nothing,
    page,
    unauthorized,
)
from localcloud.gitlab.routes import route

if TYPE_CHECKING:
    from localcloud.operations import Answer

TOKENS_FILE = "gitlab-tokens.json"
# app/models/personal_access_token.rb: a token lives a year at most
TOKEN_LIFE = timedelta(days=365)
SEEDED = {
    "administrator": ADMIN,
    "owner": OWNER,
    "maintainer": MAINTAINER,
    "second-maintainer": MAINTAINER,
    "developer": DEVELOPER,
    "reporter": REPORTER,
    "guest": GUEST,
    "outsider": 0,
}
# lib/gitlab/auth.rb, ALL_SCOPES, as far as a token of a project may have them
SCOPES = ("api", "read_api", "read_repository", "write_repository", "create_runner", "manage_runner", "self_rotate")


def seed(records: Records) -> dict[str, str]:
    """Make the users with one token each; return the tokens by user."""
    records.store["members"] = {}
    made = {}
    for name, role in SEEDED.items():
        user = add_user(records, name, role)
        made[name] = new_token(records, user, name=f"{name}'s token", scopes=["api"])[1]
    return made


def add_user(records: Records, name: str, role: int) -> Record:
    """Add a user with a role in the group, and so in its project."""
    user = records.add("users", username=name, name=name.replace("-", " ").title(), admin=role == ADMIN, bot=False)
    if 0 < role < ADMIN:
        records.store["members"][user["id"]] = role
    return user


def new_token(
    records: Records, user: Record, *, name: str, scopes: list[str], expires_at: date | None = None
) -> tuple[Record, str]:
    """Add a token; return its record and the secret."""
    secret = f"glpat-{secrets.token_urlsafe(15)}"
    record = records.add(
        "tokens",
        name=name,
        secret=secret,
        user_id=user["id"],
        scopes=scopes,
        revoked=False,
        created_at=records.now(),
        last_used_at=None,
        expires_at=expires_at or (records.now() + TOKEN_LIFE).date(),
    )
    return record, secret


def write_tokens(directory: Path, document: dict[str, Any]) -> None:
    """Write the tokens for the operator of this cloud alone: mode 0600 from the start."""
    fresh = directory / f".{TOKENS_FILE}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / TOKENS_FILE)


# -- who asks ----------------------------------------------------------------------------------------------------------


def identify(records: Records, headers: dict[str, str], given: dict[str, Any]) -> tuple[Record | None, Record | None]:
    """Return user and token of a request; 401 for a token that is wrong, expired or revoked (lib/api/api_guard.rb)."""
    secret = headers.get("private-token") or given.pop("private_token", None)
    bearer = headers.get("authorization", "")
    if not secret and bearer.lower().startswith("bearer "):
        secret = bearer[7:].strip()
    if not secret:
        if "job-token" in headers or "job_token" in given:
            # Facts 1.4: GitLab authorises CI_JOB_TOKEN for neither variables, traces, lists of jobs nor plays.
            raise unauthorized()
        return None, None
    found = (t for t in records.table("tokens").values() if secrets.compare_digest(t["secret"], str(secret)))
    token = next(found, None)
    if token is None:
        raise unauthorized()
    if token["revoked"]:
        raise _invalid_token("Token was revoked. You have to re-authorize from the user.")
    if token["expires_at"] <= records.now().date():
        raise _invalid_token("Token is expired. You can either do re-authorization or token refresh.")
    token["last_used_at"] = records.now()
    return records.table("users")[token["user_id"]], token


def _invalid_token(reason: str) -> ApiError:
    return ApiError(401, {"error": "invalid_token", "error_description": reason})


def check_scope(token: Record | None, method: str) -> None:
    """Refuse what the token's scopes do not cover (lib/api/api_guard.rb, InsufficientScopeError)."""
    if token is None or "api" in token["scopes"]:
        return
    if "read_api" in token["scopes"] and method in ("GET", "HEAD"):
        return
    needed_scopes = "api read_api" if method in ("GET", "HEAD") else "api"
    raise ApiError(
        403,
        {
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": needed_scopes,
        },
    )


# -- showing -----------------------------------------------------------------------------------------------------------


def shown_user(request: Request, user: Record) -> Record:
    """Return a user as lib/api/entities/user_basic.rb does."""
    return {
        "id": user["id"],
        "username": user["username"],
        "public_email": "",
        "name": user["name"],
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{request.base.removesuffix('/api/v4')}/{user['username']}",
    }


def shown_token(records: Records, token: Record) -> Record:
    """Return a token as lib/api/entities/personal_access_token.rb does; the secret is never shown again."""
    expired = token["expires_at"] <= records.now().date()
    return {
        "id": token["id"],
        "name": token["name"],
        "revoked": token["revoked"],
        "created_at": moment(token["created_at"]),
        "description": None,
        "scopes": token["scopes"],
        "user_id": token["user_id"],
        "last_used_at": moment(token["last_used_at"]),
        "active": not token["revoked"] and not expired,
        "expires_at": token["expires_at"].isoformat(),
    }


# -- endpoints ---------------------------------------------------------------------------------------------------------


@route("GET", "user", "GetCurrentUser")
def current_user(request: Request) -> Answer:
    """GET /user."""
    user = request.caller
    shown = shown_user(request, user) | {"bot": user["bot"], "email": f"{user['username']}@example.com"}
    return answer(shown | ({"is_admin": True} if user["admin"] else {}))


@route("GET", "users/:user_id", "GetUser")
def one_user(request: Request) -> Answer:
    """GET /users/:id."""
    user = request.records.table("users").get(request.number("user_id"))
    if user is None:
        raise not_found("User")
    return answer(shown_user(request, user))


@route("GET", "personal_access_tokens/:token_id", "GetPersonalAccessToken")
def one_token(request: Request) -> Answer:
    """GET /personal_access_tokens/self, or one's own by id (doc/api/personal_access_tokens.md)."""
    return answer(shown_token(request.records, _own_token(request)))


@route("DELETE", "personal_access_tokens/:token_id", "RevokePersonalAccessToken")
def revoke_token(request: Request) -> Answer:
    """DELETE /personal_access_tokens/self, or one's own by id."""
    _own_token(request)["revoked"] = True
    return nothing()


def _own_token(request: Request) -> Record:
    caller = request.caller
    if request.names["token_id"] == "self":
        assert request.token is not None
        return request.token
    token = request.records.table("tokens").get(request.number("token_id"))
    if token is None or token["user_id"] != caller["id"]:
        raise unauthorized()
    return token


@route("POST", "projects/:id/access_tokens", "CreateProjectAccessToken")
def create_access_token(request: Request) -> Answer:
    """POST /projects/:id/access_tokens: a bot user with a role of its own (doc/api/project_access_tokens.md)."""
    records, caller = request.records, request.caller
    taken = request.declared(
        name=needed(TEXT), scopes=needed(LIST), access_level=NUMBER, expires_at=needed(DATE), description=TEXT
    )
    role = taken.get("access_level", MAINTAINER)
    if records.role(caller) < MAINTAINER or role > records.role(caller):
        raise forbidden()
    if role not in (GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER):
        raise error(400, "access_level does not have a valid value")
    unknown = [scope for scope in taken["scopes"] if scope not in SCOPES]
    if unknown or not taken["scopes"]:
        raise error(400, "scopes does not have a valid value")
    today = records.now().date()
    if not today < taken["expires_at"] <= today + TOKEN_LIFE:
        raise invalid(expires_at=[f"must be after today and at most {TOKEN_LIFE.days} days ahead"])
    number = len(records.table("users")) + 1
    bot = records.add("users", username=f"project_1_bot_{number}", name=taken["name"], admin=False, bot=True)
    records.store["members"][bot["id"]] = role
    token, secret = new_token(
        records, bot, name=taken["name"], scopes=list(taken["scopes"]), expires_at=taken["expires_at"]
    )
    return answer(shown_token(records, token) | {"access_level": role, "token": secret}, 201)


def _members(request: Request) -> list[Record]:
    users = request.records.table("users")
    return [
        shown_user(request, users[number]) | {"access_level": role, "expires_at": None}
        for number, role in request.records.store["members"].items()
    ]


@route("GET", "projects/:id/members/all", "ListMembers")
@route("GET", "projects/:id/members", "ListMembers")
def members(request: Request) -> Answer:
    """GET /projects/:id/members/all."""
    return page(request, _members(request))


@route("GET", "projects/:id/members/all/:user_id", "GetMember")
@route("GET", "projects/:id/members/:user_id", "GetMember")
def member(request: Request) -> Answer:
    """GET /projects/:id/members/all/:user_id."""
    number = request.number("user_id")
    found = [m for m in _members(request) if m["id"] == number]
    if not found:
        raise not_found()
    return answer(found[0])


@route("PUT", "application/settings", "UpdateSettings")
@route("GET", "application/settings", "GetSettings")
def application_settings(request: Request) -> Answer:
    """GET and PUT /application/settings: limits, which an administrator alone may see or set (doc/api/settings.md)."""
    if not request.caller["admin"]:
        raise forbidden()
    settings = request.records.settings
    known = {name: value for name, value in settings.items() if name.startswith(("throttle_", "job_play_"))}
    if request.method == "PUT":
        asked = {name: value for name, value in request.given.items() if name in known}
        if not asked:
            raise error(400, "at least one parameter must be provided")
        for name, value in asked.items():
            settings[name] = _setting(name, value, known[name])
            known[name] = settings[name]
    return answer({"id": 1, **known})


def _setting(name: str, value: Any, now: Any) -> Any:
    if isinstance(now, bool):
        return str(value).lower() in ("true", "1")
    if not str(value).isdigit():
        raise message(400, {name: ["is not a number"]})
    return int(value)
