"""The nouns: environments, the stack's `recovery` output, plans, protections, locks and what a run left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NewType, NoReturn

from pydantic import BaseModel, ConfigDict, Field

Address = NewType("Address", str)  # of a Terraform resource: module.database.aws_db_instance.this["g1"]
RunId = NewType("RunId", str)


class Secret:
    """A text that nothing shows: however it is printed, formatted or compared in a failed test, it says (hidden)."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one place that must send it."""
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "(hidden)"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __deepcopy__(self, _: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")


# -- the stack's output ------------------------------------------------------------------------------------------


class _Output(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Objectives(_Output):
    """How much may be lost and how long it may take."""

    rpo_hours: float
    rto_hours: float


class App(_Output):
    """Where the application answers and on what it runs."""

    url: str
    address: str
    instance_id: str
    ami_id: str
    security_group_id: str
    dns_name: str | None = None


class Database(_Output):
    """The serving database generation."""

    identifier: str
    generations: list[str]
    active_generation: str
    address: str
    port: int
    name: str
    username: str
    password_secret_arn: str
    retention_days: int
    backup_window: str
    maintenance_window: str


class Secrets(_Output):
    """The application's secret: where its database is, and which secret holds the password."""

    name: str
    arn: str


class Dumps(_Output):
    """Where dumps go."""

    bucket: str
    prefix: str
    replica_bucket: str


class Vaults(_Output):
    """The AWS Backup vaults of both regions."""

    primary: str
    dr: str


class Protection(_Output):
    """One way in which one asset is protected: a copy every so many hours, kept so many days, in these regions."""

    asset: str
    mechanism: str
    every_hours: float | None = None
    kept_days: float | None = None
    regions: list[str]


class Recovery(_Output):
    """The stack's output `recovery`: all that Python knows of what Terraform built."""

    application: str
    environment: str
    account_id: str
    region: str
    dr_region: str
    objectives: Objectives
    app: App
    database: Database
    secrets: Secrets
    dumps: Dumps
    vaults: Vaults
    dlm_policy_ids: list[str]
    backup_plan_ids: list[str]
    topic_arn: str
    roles: dict[str, str] = Field(default_factory=dict)
    protection: list[Protection]


# -- Terraform -------------------------------------------------------------------------------------------------------


class Action(StrEnum):
    """What a plan would do with one resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    IMPORT = "import"
    FORGET = "remove"
    MOVE = "move"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource of a plan."""

    address: Address
    resource_type: str
    action: Action
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What Terraform would do; `outputs_change` when only outputs would.

    `gone` are the addresses of what the state knows and AWS no longer has.
    """

    changes: tuple[Change, ...]
    outputs_change: bool = False
    gone: tuple[Address, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing at all would change."""
        return not self.changes and not self.outputs_change

    def count(self, action: Action) -> int:
        """Return how many resources get this action."""
        return sum(change.action is action for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What happened to one resource while Terraform worked."""

    address: Address
    kind: Literal["started", "running", "done", "failed"]
    action: str
    seconds: float = 0.0
    id_key: str = ""
    id_value: str = ""


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One error or warning of Terraform."""

    severity: Literal["error", "warning"]
    summary: str
    detail: str = ""
    where: str = ""


def state_address(resource: Mapping[str, Any], instance: Mapping[str, Any]) -> Address:
    """Return the address of one instance of a resource, as both stand in a state file."""
    prefix = f"{resource['module']}." if "module" in resource else ""
    key = instance.get("index_key")
    suffix = "" if key is None else f"[{json.dumps(key)}]"
    return Address(f"{prefix}{resource['type']}.{resource['name']}{suffix}")


# -- state, locks, interrupted runs ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StateVersion:
    """One version of the state object: its serial and lineage are None where it cannot be read as a state."""

    version_id: str
    md5: str
    serial: int | None
    lineage: str | None
    written_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeleteMarker:
    """What S3 puts over the versions of an object that was deleted."""

    version_id: str
    written_at: datetime


@dataclass(frozen=True, kw_only=True)
class RemoteLock:
    """Who holds Terraform's lock, as Terraform wrote it down."""

    lock_id: str
    who: str
    operation: str
    created: datetime | None


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds this environment on this machine."""

    run: RunId
    pid: int
    host: str
    user: str
    command: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class PlannedCreate:
    """A resource that a saved plan creates.

    `alias` is that of its provider: "" for the primary region, "dr" for the other. `takes` names, for attributes
    that are known only after other resources exist, the resource that the value comes from. `instead_of` is the id
    of the object that it replaces.
    """

    address: Address
    resource_type: str
    values: Mapping[str, Any] = field(hash=False)
    alias: str = ""
    takes: Mapping[str, Address] = field(default_factory=dict, hash=False)
    instead_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A resource that an interrupted apply planned to create and that the state does not know.

    `known_id` is the id that Terraform reported when it was created; None when it was not finished, or never begun.
    `alias` is that of its provider ("dr" for the other region); `parents` are the resources that attributes unknown
    in the plan take their value from; `instead_of` is the id of the object that it replaces.
    """

    address: Address
    resource_type: str
    values: Mapping[str, Any] = field(hash=False)
    known_id: str | None = None
    begun: bool = False
    alias: str = ""
    parents: Mapping[str, Wanted] = field(default_factory=dict, hash=False)
    instead_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """An existing thing that Terraform must take over instead of creating a second one."""

    address: Address
    import_id: str


# -- what the protection table says ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way in which an asset is protected, in the words of the table."""

    mechanism: str
    every: str
    kept: str
    regions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AssetRow:
    """One asset of the protection table; `rpo` is None when nothing is known to copy it on a schedule."""

    asset: str
    ways: tuple[Way, ...]
    rpo: timedelta | None
    meets: bool
    note: str = ""


# -- doctor ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Prerequisite:
    """One thing that must be there: what was found, what is wanted, and the command that fixes it."""

    name: str
    found: str
    wanted: str
    good: bool
    fix: str = ""
