"""What environments/<env>.toml says of GitLab: where it is, whose token is used, and which variables are kept there."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from lifeboat.gitlab_model import Masking, VariableType
from lifeboat.settings import form

_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for what is no number
    except ValueError:
        raise ValueError("write an address such as https://gitlab.example.com") from None
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("write the address alone: https://gitlab.example.com, with no user, query or fragment")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(parts.hostname):
        raise ValueError(
            "the token would travel unencrypted: write https:// (http is for this machine's loopback alone)"
        )
    if parts.scheme not in ("http", "https"):
        raise ValueError("write an address that begins with https://")
    return url.rstrip("/")


def _protected(value: object) -> object:
    if value != "leave" and not isinstance(value, bool):
        raise ValueError('write true, false or "leave"')
    return value


Url = Annotated[str, AfterValidator(_https)]
ProjectPath = Annotated[
    str,
    form(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+",
        "write the project with its groups, such as group/app",
    ),
]
# GitLab takes digits first and 255 characters; a shell, which the jobs are run by, takes no digit first.
Key = Annotated[
    str, form(r"[A-Za-z_][A-Za-z0-9_]{0,254}", "write letters, digits and underscores, no digit first, at most 255")
]
# lib/gitlab/regex.rb, environment_scope_regex
Scope = Annotated[
    str, form(r"[A-Za-z0-9_/${}. *-]{1,255}", "write 1 to 255 letters, digits, spaces and any of _ / $ { } . * -")
]
OutputPath = Annotated[
    str, form(r"[a-z0-9_]+(\.[a-z0-9_]+)*", "write where it stands in the stack's output, such as app.url")
]
# A secret's name or ARN (Secrets Manager, CreateSecret), or where in the stack's output one of them stands.
SecretId = Annotated[
    str,
    form(
        r"output:[a-z0-9_]+(\.[a-z0-9_]+)*|arn:[!-~]+|[A-Za-z0-9/_+=.@!-]+",
        "write a secret's name or ARN, or output: and where one stands in the stack's output",
    ),
]
InputName = Annotated[
    str, form(r"[A-Za-z_][A-Za-z0-9_-]*", "write letters, digits, underscores and hyphens, no digit or hyphen first")
]
Protected = Annotated[bool | Literal["leave"], BeforeValidator(_protected)]
SOURCES = ("output", "file", "secret", "composed")
# GitLab allows 255 characters, of which the marker of who keeps the variable takes some.
LONGEST_DESCRIPTION = 180


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VariableMapping(_Table):
    """One variable: its key, the one place that its value comes from, and how GitLab shall treat it."""

    key: Key
    output: OutputPath | None = None
    file: str | None = None
    secret: SecretId | None = None
    secret_key: str | None = None
    composed: Literal["database_url"] | None = None
    scope: Scope | None = None
    masked: Masking = Masking.AUTO
    hidden: StrictBool = False
    protected: Protected = "leave"
    raw: StrictBool = True
    type: VariableType = "env_var"
    description: Annotated[str, StringConstraints(max_length=LONGEST_DESCRIPTION)] | None = None
    pointer: StrictBool = False

    @model_validator(mode="after")
    def _one_source(self) -> VariableMapping:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            said = f"it says {' and '.join(given)}" if given else "it says none"
            raise ValueError(f"{self.key} needs exactly one of {', '.join(SOURCES)}; {said}")
        if self.secret_key is not None and self.secret is None:
            raise ValueError(f"{self.key}: secret_key goes with secret alone")
        return self

    @model_validator(mode="after")
    def _what_is_hidden_is_masked(self) -> VariableMapping:
        if self.hidden and self.masked is Masking.NEVER:
            raise ValueError(f'{self.key}: GitLab masks what it hides; leave out masked = "never"')
        return self

    @property
    def source(self) -> str:
        """Where the value comes from, in words."""
        if self.secret is not None:
            return f"secret {self.secret}" + ("" if self.secret_key is None else f", key {self.secret_key}")
        name = next(name for name in SOURCES if getattr(self, name) is not None)
        return f"{name} {getattr(self, name)}"


class GitLabSettings(_Table):
    """Where GitLab is, what lifeboat may do there, and the variables that it keeps there for this environment."""

    url: Url
    project: ProjectPath
    environment: Scope | None = None
    default_branch: Annotated[str, form(r"[!-~]{1,255}", "write a branch's name, without spaces")] = "main"
    deploy_job: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "deploy_application"
    rollback_job: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "rollback_application"
    # What pipelines that lifeboat starts are given (spec:inputs), and the inputs that take an image.
    inputs: dict[InputName, str] = {}
    image_input: InputName = "image"
    rollback_image_input: InputName = "rollback_image"
    token_env: (
        Annotated[str, form(r"[A-Z][A-Z0-9_]*", "write the name of an environment variable, such as GITLAB_TOKEN")]
        | None
    ) = None
    token_file: str | None = None
    token_entry: (
        Annotated[str, form(r"[^.]+(\.[^.]+)*", "write where it stands in the file, such as tokens.gitlab")] | None
    ) = None
    request_seconds: Annotated[int, Field(strict=True, ge=1, le=120)] = 20
    start_minutes: Annotated[float, Field(strict=True, gt=0, le=600)] = 10
    job_minutes: Annotated[float, Field(strict=True, gt=0, le=600)] = 60
    variables: tuple[VariableMapping, ...] = ()

    @model_validator(mode="after")
    def _one_token(self) -> GitLabSettings:
        if (self.token_env is None) == (self.token_file is None):
            raise ValueError('name where the token is: token_env = "GITLAB_TOKEN", or token_file = "…", not both')
        if self.token_entry is not None and self.token_file is None:
            raise ValueError("token_entry goes with token_file alone")
        return self

    @model_validator(mode="after")
    def _each_variable_once(self) -> GitLabSettings:
        seen = Counter((v.key, v.scope or "") for v in self.variables)
        twice = [f"{key} ({scope})" if scope else key for (key, scope), count in seen.items() if count > 1]
        if twice:
            raise ValueError(f"variables: more than one entry for {', '.join(twice)}")
        return self
