"""The nouns of GitLab: variables and what is done to them, jobs, pipelines, deployments, and what protects them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Literal, NewType

from lifeboat.model import Secret

JobId = NewType("JobId", int)
PipelineId = NewType("PipelineId", int)
DeploymentId = NewType("DeploymentId", int)
VariableType = Literal["env_var", "file"]


class Role(IntEnum):
    """What a member may do, as GitLab numbers it; a role in between counts as the one below."""

    NOBODY = 0
    GUEST = 10
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


# -- variables ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class VariableName:
    """What identifies a variable: GitLab knows the same key once for each environment scope."""

    key: str
    scope: str

    def __str__(self) -> str:
        return f"{self.key} ({self.scope})"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A CI/CD variable; `value` is None where GitLab hides it, and then nobody can read it back."""

    name: VariableName
    value: Secret | None
    variable_type: VariableType = "env_var"
    protected: bool = False
    masked: bool = False
    hidden: bool = False
    raw: bool = False
    description: str = ""


# What can be written to a variable that exists, in the order in which changes are told.
ATTRIBUTES = ("value", "variable_type", "masked", "raw", "protected", "description")


class Masking(StrEnum):
    """Whether a value must be masked in job logs."""

    AUTO = "auto"
    REQUIRE = "require"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an environment's file asks of one variable; `protected` and `description` are None where it does not say.

    `source` says in words where the value comes from; `sensitive` that it must not be seen in a job's log.
    """

    name: VariableName
    source: str
    masked: Masking = Masking.AUTO
    hidden: bool = False
    protected: bool | None = None
    raw: bool = True
    variable_type: VariableType = "env_var"
    description: str | None = None
    pointer: bool = False
    sensitive: bool = False


@dataclass(frozen=True, kw_only=True)
class Target:
    """What one variable shall be: its value and those attributes that somebody decided; the others stay as they are."""

    name: VariableName
    value: Secret
    attributes: Mapping[str, str | bool] = field(default_factory=dict, hash=False)
    hidden: bool = False
    pointer: bool = False
    notes: tuple[str, ...] = ()


class Doing(StrEnum):
    """What is done to a variable. A hidden one cannot be compared, so it is written again."""

    CREATE = "create"
    UPDATE = "update"
    REWRITE = "rewrite"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class VariableChange:
    """One variable before and after, and the attributes that are written; `pointer` when it is written after the others."""

    name: VariableName
    doing: Doing
    before: Variable | None
    after: Variable | None
    attributes: tuple[str, ...] = ()
    pointer: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SyncPlan:
    """All changes in the order of writing, and what else there is to know before they are made."""

    changes: tuple[VariableChange, ...]
    warnings: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[VariableChange, ...]:
        """The changes that write something."""
        return tuple(change for change in self.changes if change.doing is not Doing.KEEP)

    @property
    def differs(self) -> bool:
        """Whether GitLab surely has something else than is wanted; hidden values, which nobody can compare, do not count."""
        return any(change.doing is not Doing.REWRITE for change in self.writes)


@dataclass(frozen=True, kw_only=True)
class Export:
    """The variables of one environment as they were; `hidden` are those that GitLab does not give away."""

    environment: str
    project: str
    taken_at: datetime
    variables: tuple[Variable, ...]
    hidden: tuple[VariableName, ...] = ()


# -- projects and tokens -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ProjectFacts:
    """What a project says of itself to our token; None is what GitLab does not tell it."""

    path: str
    web_url: str
    group: str | None
    default_branch: str
    role: Role | None
    override_role: str | None
    forward_deployment: bool | None
    rollback_allowed: bool | None


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """What GitLab says of our token; `expires_on` is None for one without end."""

    name: str
    scopes: tuple[str, ...]
    expires_on: date | None


@dataclass(frozen=True, kw_only=True)
class RunnerFacts:
    """One runner that the project can use; `tags` are None where the token may not see them, or nobody looked."""

    description: str
    online: bool
    paused: bool
    tags: tuple[str, ...] | None
    run_untagged: bool = False


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A protected environment: who may deploy to it, in words, and how many must approve first."""

    environment: str
    deployers: tuple[str, ...]
    approvals: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A pipeline schedule with the keys that it gives a value of its own."""

    description: str
    ref: str
    active: bool
    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Lint:
    """What GitLab thinks of the pipeline's configuration; `jobs` by name, with the environment each deploys to."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    jobs: Mapping[str, str | None] = field(default_factory=dict, hash=False)


# -- pipelines and jobs ------------------------------------------------------------------------------------------------

ENDED = ("success", "failed", "canceled", "skipped")
WAITING = ("pending", "waiting_for_resource", "preparing", "waiting_for_callback", "scheduled")


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """One pipeline of a ref."""

    id: PipelineId
    ref: str
    sha: str
    source: str
    status: str
    web_url: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Job:
    """One try of a job; `archived` means that GitLab will not run it again."""

    id: JobId
    name: str
    status: str
    pipeline: Pipeline
    created_at: datetime
    web_url: str
    stage: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    queued: timedelta | None = None
    ran: timedelta | None = None
    failure_reason: str = ""
    tags: tuple[str, ...] = ()
    archived: bool = False


@dataclass(frozen=True, kw_only=True)
class Played:
    """A try of a job that was ordered, as far as it takes to find it again."""

    name: str
    job: JobId
    pipeline: PipelineId
    web_url: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment of an environment by a job; `missing_approvals` is how many persons it still waits for."""

    id: DeploymentId
    environment: str
    status: str
    job: JobId | None
    sha: str
    missing_approvals: int = 0
