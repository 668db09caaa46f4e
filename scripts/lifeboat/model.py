"""The nouns: environments, the stack's `recovery` output, plans, protections, locks and what a run left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Literal, NewType, NoReturn, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lifeboat.errors import LifeboatError

Address = NewType("Address", str)  # of a Terraform resource: module.database.aws_db_instance.this["g1"]
RunId = NewType("RunId", str)
ImageId = NewType("ImageId", str)  # of a machine image: ami-0123456789abcdef0
SnapshotId = NewType("SnapshotId", str)
InstanceId = NewType("InstanceId", str)
ContainerImage = NewType("ContainerImage", str)  # registry.example.com/app:1

_Thing = TypeVar("_Thing")
ZoneId = NewType("ZoneId", str)  # of a Route 53 hosted zone


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
    # What checks it is built when an output is first read: a third of what this file costs every command at its start.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Objectives(_Output):
    """How much may be lost and how long it may take."""

    rpo_hours: float
    rto_hours: float


class App(_Output):
    """Where the application answers and on what it runs."""

    url: str
    address: str
    instance_id: str
    instance_type: str = ""
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


class DrillGroups(_Output):
    """The security groups of a drill's database and of its instance."""

    database: str
    instance: str


class DrillNetwork(_Output):
    """The network that drills restore into; without `instance_profile` no instance can be asked anything in it.

    `client_cidrs` are the ranges that drills ask the restored database from.
    """

    subnet_group: str
    subnet_ids: list[str]
    security_groups: DrillGroups
    instance_profile: str | None = None
    client_cidrs: list[str] = []


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
    image_copies_key_arn: str | None = None
    roles: dict[str, str] = Field(default_factory=dict)
    drill: DrillNetwork | None = None
    protection: list[Protection]


# -- choices -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Judged(Generic[_Thing]):
    """One thing that a decision looked at, and why it decided so."""

    what: _Thing
    why: str


@dataclass(frozen=True, kw_only=True)
class Choice(Generic[_Thing]):
    """What was chosen (None: nothing fits), why, what to know about it, and why not each of the others, newest first."""

    chosen: _Thing | None
    why: str
    rejected: tuple[Judged[_Thing], ...]
    remarks: tuple[str, ...] = ()


# -- machine images ----------------------------------------------------------------------------------------------------


class Tag(StrEnum):
    """The tags that machine images and their snapshots bear."""

    APPLICATION = "application"
    ENVIRONMENT = "environment"
    MANAGED_BY = "managed-by"
    IMAGE_TAG = "lifeboat:image-tag"  # the container image that ran on the host
    GIT_SHA = "lifeboat:git-sha"
    STATE_SERIAL = "lifeboat:state-serial"
    SOURCE_INSTANCE = "lifeboat:source-instance"
    SOURCE_SNAPSHOT = "lifeboat:source-snapshot"
    COPIED_FROM = "lifeboat:copied-from"
    TAKEN_AT = "lifeboat:taken-at"
    PROVEN_AT = "lifeboat:proven-at"
    IMAGE_NAME = "lifeboat:image-name"  # on a snapshot: the image that it was made for and goes with
    DLM_POLICY = "aws:dlm:lifecycle-policy-id"
    DLM_SCHEDULE = "aws:dlm:lifecycle-schedule-name"
    AWS_BACKUP = "aws:backup:source-resource"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose images and snapshots are ours: this account's, tagged with this application and environment."""

    account_id: str
    application: str
    environment: str


@dataclass(frozen=True, kw_only=True)
class EncryptionKey:
    """A KMS key and the state that it is in: "Enabled", "Disabled", "PendingDeletion" …

    "missing" where there is none, "not to be seen" with AWS's code in brackets where we may not look.
    """

    arn: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What RegisterImage must be told about the machine that a root volume belongs to."""

    architecture: str
    root_device_name: str
    boot_mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot of a volume; `progress` in percent, `key` None when it is not encrypted."""

    id: SnapshotId
    region: str
    owner_id: str
    state: str
    progress: int
    started_at: datetime
    volume_id: str
    size_gb: int
    tags: Mapping[str, str] = field(hash=False)
    key: EncryptionKey | None = None


@dataclass(frozen=True, kw_only=True)
class Image:
    """A machine image in one region. `snapshots` are those that exist of `snapshot_ids`, and that we may see."""

    id: ImageId
    region: str
    name: str
    owner_id: str
    state: str
    architecture: str
    root_device_type: str
    root_device_name: str
    made_at: datetime
    tags: Mapping[str, str] = field(hash=False)
    snapshot_ids: tuple[SnapshotId, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    state_reason: str = ""
    boot_mode: str | None = None
    deprecated_at: datetime | None = None
    copied_from: ImageId | None = None

    @property
    def taken_at(self) -> datetime:
        """Return when its content was taken, never after it was made: of a copy, or of an old snapshot, it is older."""
        return min(moment(self.tags.get(Tag.TAKEN_AT)) or self.made_at, self.made_at)

    @property
    def never_available(self) -> bool:
        """Whether it is in a state that it never becomes available from (EC2 API reference, Image)."""
        return self.state in ("failed", "error", "invalid", "deregistered")

    @property
    def proven_at(self) -> datetime | None:
        """Return when a host last booted from it and its application answered."""
        return moment(self.tags.get(Tag.PROVEN_AT))

    @property
    def machine(self) -> Machine:
        """Return the machine that it boots on."""
        return Machine(architecture=self.architecture, root_device_name=self.root_device_name, boot_mode=self.boot_mode)


@dataclass(frozen=True, kw_only=True)
class WantedImage:
    """Which image is wanted, and for what: `image` None is the newest. None elsewhere: anything will do.

    `accepted` are images of others, or without our tags, that the operator agreed to.
    """

    owner: Owner
    region: str
    now: datetime
    image: ImageId | None = None
    architecture: str | None = None
    max_age: timedelta | None = None
    accepted: frozenset[ImageId] = frozenset()


@dataclass(frozen=True, kw_only=True)
class WantedSnapshot:
    """Which snapshot is wanted: `snapshot` None is the newest."""

    owner: Owner
    region: str
    snapshot: SnapshotId | None = None


@dataclass(frozen=True, kw_only=True)
class ImageUse:
    """Something that would miss an image: an instance, a launch template, a file of the environment."""

    image: ImageId
    by: str


@dataclass(frozen=True, kw_only=True)
class BakeSource:
    """What an image is baked of. Where something is not known, None, and the image has no such tag."""

    owner: Owner
    region: str
    instance: InstanceId
    now: datetime
    image_tag: ContainerImage | None = None
    git_sha: str | None = None
    state_serial: int | None = None


@dataclass(frozen=True, kw_only=True)
class ImageOrder:
    """An image to be made: its name in its region, by which it is found again, and the tags of it and its snapshots."""

    name: str
    region: str
    description: str
    tags: Mapping[str, str] = field(hash=False)
    snapshot_tags: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One image as `ami list` shows it, with its copies in other regions; `why_not` None means that it can be used."""

    image: Image
    source: str
    age: timedelta
    why_not: str | None
    copies: tuple[Judged[Image], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Which images stay and which go, each with the reason, and the snapshots that go with those."""

    kept: tuple[Judged[Image], ...]
    removed: tuple[Judged[Image], ...]
    snapshots: tuple[Judged[Snapshot], ...]


def moment(text: str | None) -> datetime | None:
    """Return the UTC time that an RFC 3339 text names; None when it names none, or lacks its zone."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)


# -- the application on its host ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An EC2 instance; `image` is None where EC2 has forgotten it."""

    id: InstanceId
    state: str
    image: ImageId | None
    kind: str
    launched_at: datetime
    address: str | None = None  # its public one


@dataclass(frozen=True, kw_only=True)
class Room:
    """What one more instance needs, what runs already and what the account allows, in vCPUs."""

    needed: int
    used: int
    limit: int

    @property
    def enough(self) -> bool:
        """Whether one more fits."""
        return self.used + self.needed <= self.limit


@dataclass(frozen=True, kw_only=True)
class HostStanding:
    """Whether an instance can be worked with: its state in EC2 ("missing": there is none), and its agent's in SSM."""

    instance: InstanceId
    state: str
    agent: str
    machine: Machine | None = None


@dataclass(frozen=True, kw_only=True)
class HostScript:
    """Shell for a host with its arguments ($1 …). By its `token` an order whose answer was lost is found again."""

    name: str
    text: str
    arguments: tuple[str, ...] = ()
    token: str


@dataclass(frozen=True, kw_only=True)
class HostCommand:
    """One sending of a script to a host, under SSM's own id."""

    id: str
    script: str


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What a host says of its application: what runs, what its settings name, and what ran before; None: nothing."""

    running: ContainerImage | None
    configured: ContainerImage | None
    previous: ContainerImage | None


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


# After these, what was there before is gone.
LOSING = (Action.DELETE, Action.REPLACE)


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


# Who is asked for agreement to these lines; raises ApprovalMissing when nobody agrees.
Agree = Callable[[Sequence[str]], None]


class Teller(Protocol):
    """Who is told of progress while something works."""

    def say(self, text: str) -> None:
        """Tell one thing that happened."""

    def warn(self, text: str) -> None:
        """Tell one thing to look at."""

    def resources(self, done: int, total: int, slowest: str) -> None:
        """Tell how many resources are done and which one takes longest."""

    def resources_end(self) -> None:
        """Tell that no more resources follow."""

    def waiting(self) -> AbstractContextManager[Callable[[str], None]]:
        """Give what shows how far a wait is, for as long as it lasts."""


# -- recoveries ----------------------------------------------------------------------------------------------------------


class Scope(StrEnum):
    """What a recovery brings back."""

    INSTANCE = "instance"
    DATABASE = "database"
    FULL = "full"


@dataclass(frozen=True, kw_only=True)
class AcceptedRisk:
    """A rule whose findings may pass in one run, and why: whoever reads the report later has to know."""

    rule: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RecoveryRequest:
    """What an operator asks of a recovery: `image` None is the newest usable one, `failed_at` None the time of asking.

    `allowed` are addresses off the path of what is recovered that the plan may touch all the same; `accepted` images of
    others. `without_gitlab` holds for one attempt: the next one finishes what it leaves open there. Of the database, `to`
    is the moment that it comes back to (None: the latest), `copy` the id of the copy that it comes from, and
    `accept_flagged` says that doubts about that copy are known. `risks` are rules whose findings do not stop it.
    """

    scope: Scope = Scope.INSTANCE
    to: datetime | None = None
    copy: str | None = None
    image: ImageId | None = None
    failed_at: datetime | None = None
    allowed: tuple[str, ...] = ()
    accepted: frozenset[ImageId] = frozenset()
    max_age: timedelta | None = None
    without_gitlab: bool = False
    accept_flagged: bool = False
    risks: tuple[AcceptedRisk, ...] = ()


# -- journals --------------------------------------------------------------------------------------------------------


class EventKind(StrEnum):
    """What a line of a journal tells of."""

    BEGUN = "begun"  # an attempt at the run
    NOTE = "note"  # something learnt or decided
    HOLDS = "holds"  # a step had nothing to do
    DOING = "doing"  # a step found a gap and begins to close it
    INTENT = "intent"  # a side effect is about to happen
    RESULT = "result"  # what came of it
    DONE = "done"  # a step's gap is closed
    LEFT_OPEN = "left-open"  # a step could not be done and did not stop the run
    STOPPED = "stopped"  # a step stopped the run
    ENDED = "ended"  # the run is over; nothing can follow


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of a journal; `seq` counts from 1 without gaps."""

    seq: int
    at: datetime
    kind: EventKind
    step: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A share of a recovery's time: a step by its name, or what was between steps."""

    name: str
    took: timedelta


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The measured recovery time; `answered_at` is None while the application does not answer."""

    failed_at: datetime
    answered_at: datetime | None
    took: timedelta
    objective: timedelta
    met: bool
    parts: tuple[Part, ...]


# -- steps and what came of them ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What is still missing, in words."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """What a preview found of one step: its gap, or why it could not be looked at."""

    name: str
    title: str
    gap: Gap | None
    problem: LifeboatError | None = None
    stops: bool = True  # whether that problem would end the run, or leave the step open


@dataclass(frozen=True, kw_only=True)
class LeftOpen:
    """A step that could not be done and did not stop the run."""

    name: str
    title: str
    why: str


class RunState(StrEnum):
    """How a run stands, as far as its journal tells; whether anybody is at it, the lease tells."""

    ENDED = "ended"
    OPEN = "open"  # something was changed, and the end was not reached
    IDLE = "nothing was changed"
    UNREADABLE = "unreadable"  # nobody can tell from its journal


class WorksOn(StrEnum):
    """Which database the application was seen to work on after a recovery."""

    NEW = "new"
    NEW_AT_LEAST = "new-at-least"  # the old one, which is still there, could not be asked
    BOTH = "both"
    OLD = "old"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class DatabaseReport:
    """What came of the database: the new generation and its copy, until when it has data and how that is known.

    `rpo` is the time between that and the declared failure, or the last word that was written to the old one where that is
    later (`before_until`), None where nobody knows. `missing` says which rows it lacks that are, or were, elsewhere, in
    what it was compared with (`compared_with`); with what it could not be, and why, says `not_compared`. `probed` are
    the questions of the environment's file that it was asked, `probe_findings` the wrong answers. `left_out` is what of a
    dump no restore brings back. `retire` takes the old one away. `works_on_why` is how it is known on which one the
    application works. `heartbeats` are tables of the heartbeat, which `tables` and `with_rows` leave out.
    """

    generation: str
    identifier: str
    copy: str
    why: str
    to: datetime | None
    until: datetime | None
    known_by: str
    rpo: timedelta | None
    objective: timedelta
    tables: int
    with_rows: int
    before: str
    retire: str
    before_until: datetime | None = None
    before_known_by: str = ""
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    compared_with: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    probed: tuple[str, ...] = ()
    probe_findings: tuple[str, ...] = ()
    works_on: WorksOn = WorksOn.UNKNOWN
    works_on_why: str = "nobody has asked the databases yet"
    heartbeats: int = 0

    @property
    def met(self) -> bool:
        """Whether no more was lost than the objective allows; what nobody knows is not met."""
        return self.rpo is not None and self.rpo <= self.objective

    @property
    def unsound(self) -> tuple[str, ...]:
        """What is wrong with it, in words, whoever has agreed that it serves all the same; empty where nothing is."""
        both = f"something of the application is still connected to {self.before}: {self.works_on_why}"
        return (*self.missing, *self.probe_findings, *((both,) if self.works_on is WorksOn.BOTH else ()))


class CountedFrom(StrEnum):
    """From which moment the time away is counted: that of the failure, where somebody said it, else what is known."""

    DECLARED = "declared"
    LAST_SEEN = "last-seen"
    START = "start"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """When the application failed as far as the recovery's clock goes, and why that is taken for it."""

    at: datetime
    why: str
    counted_from: CountedFrom


@dataclass(frozen=True, kw_only=True)
class RecoveryReport:
    """What came of a recovery: how long it took, from which image, and what is still open."""

    run: RunId
    timing: Timing
    left_open: tuple[LeftOpen, ...]
    remarks: tuple[str, ...]
    facts: dict[str, Any]
    address: str
    url: str
    public_name: str | None
    to_commit: str  # the command that tells every other checkout of the image; empty where the files name it
    scope: Scope = Scope.INSTANCE
    database: DatabaseReport | None = None
    accepted: tuple[str, ...] = ()  # findings that were let pass, and why, in words

    @property
    def met(self) -> bool:
        """Whether both objectives were met, as far as anything of them was recovered."""
        return self.timing.met and (self.database is None or self.database.met)

    @property
    def address_moved(self) -> bool:
        """Whether the application has another address than before."""
        return bool(self.facts.get("old_address")) and self.facts["old_address"] != self.address


@dataclass(frozen=True, kw_only=True)
class RecoveryPreview:
    """What a recovery would do now; `expected` is how long each step took in past recoveries.

    `asks` is what it would ask agreement to, which --yes gives; `forbidden` why the rules would refuse its plan, and what
    to type.
    """

    steps: list[Previewed]
    expected: dict[str, timedelta]
    plan: Plan | None
    refused: list[tuple[Change, str]]
    remarks: list[str]
    asks: list[str]
    forbidden: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run: its state, when it began and by whom, and at which step it is, or stopped; why it cannot be read."""

    run: RunId
    state: RunState
    began: datetime | None
    who: str
    step: str
    text: str


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
class StateMark:
    """Which state of all that Terraform ever wrote it is: the serial grows within a lineage, and may be forged."""

    serial: int
    lineage: str
    md5: str


@dataclass(frozen=True, kw_only=True)
class DeleteMarker:
    """What S3 puts over the versions of an object that was deleted."""

    version_id: str
    written_at: datetime


def has_journal(run: RunId) -> bool:
    """Return whether `lifeboat logs` may know a run, by its name: 20261128T032535Z-recover-1a2b3c.

    What only holds an environment, and what is a mere folder of this machine, is named with parts of a second.
    """
    return run[15:17] == "Z-"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds this environment on this machine; `known_as` is the run as its journal is called, None where it has none."""

    run: RunId
    pid: int
    host: str
    user: str
    command: str
    since: datetime
    known_as: RunId | None = None


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


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Something that exists and could be a resource that the configuration names.

    `tagged` is whether AWS can tag it at all; `owner` are its tags that say whose it is, `ours` whether they are this
    environment's. `status` is given while AWS still works at it.
    """

    import_id: str
    tagged: bool
    ours: bool = False
    owner: Mapping[str, str] = field(hash=False)
    status: str | None = None


# -- the public name ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The addresses of a name, how long they may be kept, and who said so; `cached` when that may be as old as the TTL."""

    name: str
    addresses: tuple[str, ...]
    ttl: timedelta
    server: str
    cached: bool = False


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A public hosted zone; `absence_ttl` is how long clients remember that a name in it does not exist."""

    zone: ZoneId
    name: str
    servers: tuple[str, ...]
    absence_ttl: timedelta


@dataclass(frozen=True, kw_only=True)
class NameRecord:
    """A record set: `name` without a last dot, `values` in order so that equal means equal.

    `special` says what it is when it is more than values with a TTL.
    """

    zone: ZoneId
    name: str
    kind: str
    ttl: timedelta
    values: tuple[str, ...]
    special: str = ""


def content(record: NameRecord | None) -> str:
    """Return what a record set says, in words."""
    if record is None:
        return "no record"
    return f"{record.kind} {record.special or ', '.join(record.values)} (TTL {record.ttl.total_seconds():.0f} s)"


@dataclass(frozen=True, kw_only=True)
class ManagedRecord:
    """A record set that Terraform keeps as its state says: the next apply puts it back to that."""

    address: Address
    record: NameRecord


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A change of a record, as it was saved before it was made; `before` is None where there was no record."""

    at: datetime
    who: str
    why: Literal["switch", "revert"]
    before: NameRecord | None
    after: NameRecord | None


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where the application is asked for its health; `name` is the host that is asked for, None for the bare address."""

    scheme: Literal["http", "https"]
    port: int
    path: str
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Health:
    """What the application answered at one address: `status` is None when it did not, and `says` tells what or why.

    `instance_id` and `image` are what the answer says of itself; None where it does not say.
    """

    address: str
    status: int | None
    says: str
    instance_id: str | None = None
    image: str | None = None


@dataclass(frozen=True, kw_only=True)
class PublicAnswer:
    """What a client of the public name meets: the health at each address, or why the name led nowhere."""

    name: str
    resolved: Resolved | None
    healths: tuple[Health, ...]
    problem: str = ""


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
class FoundVersion:
    """A program's version: `numbers` is None where it is not known, and `words` say why, else the version in full."""

    numbers: tuple[int, ...] | None = None
    words: str


@dataclass(frozen=True, kw_only=True)
class Prerequisite:
    """One thing that must be there: what was found, what is wanted, and the command that fixes it."""

    name: str
    found: str
    wanted: str
    good: bool
    fix: str = ""
