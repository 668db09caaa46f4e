"""The nouns of `lifeboat status`: what was looked at, what each check says of it, and the one answer of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from lifeboat.alarm_model import Notifier, Subscriber
from lifeboat.alarm_model import Topic as TopicSettings
from lifeboat.database_model import Manifest, RecoveryPoint, Unseen
from lifeboat.errors import NotSeen
from lifeboat.model import EncryptionKey, Image, Owner, Recovery, RunId, Snapshot

_Found_co = TypeVar("_Found_co", covariant=True)


# -- what was looked at ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Seen(Generic[_Found_co]):
    """What one look came to: an answer (None: surely there is no such thing), or what kept us from looking (`unseen`)."""

    found: _Found_co | None = None
    unseen: Unseen | None = None

    @property
    def value(self) -> _Found_co | None:
        """Return the answer. Raises NotSeen where nobody could look: that is no answer."""
        if self.unseen is not None:
            raise NotSeen(self.unseen.why, call=self.unseen.call)
        return self.found


def nobody(what: str) -> Seen[Any]:
    """Return what is known of a thing that no look was made at: nothing."""
    return Seen(unseen=Unseen(what=what, region="", call="", why=f"nothing looked at {what}"))


_NOBODY: Seen[Any] = nobody("it")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as Terraform's state has it: what was built, and so what must be there."""

    kind: str  # aws_kms_key
    module: str  # module.database, empty in the root
    name: str
    key: str  # of for_each, empty without one
    attributes: Mapping[str, Any] = field(hash=False)

    @property
    def label(self) -> str:
        """Return what tells it from others of its kind, in a word: database.dr, or alarms.state-stale."""
        module = self.module.removeprefix("module.").partition("[")[0].replace("_", "-")
        return ".".join(filter(None, [module, self.key or self.name]))

    @property
    def region(self) -> str:
        """Return the region of its ARN; empty where it has none."""
        parts = str(self.attributes.get("arn") or "").split(":")
        return parts[3] if len(parts) > 5 else ""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What Terraform built: its output for lifeboat, and all resources that the state knows."""

    recovery: Recovery
    resources: tuple[Resource, ...]

    def of_kind(self, kind: str) -> list[Resource]:
        """Return the resources of a kind, in the order of their labels."""
        return sorted((one for one in self.resources if one.kind == kind), key=lambda one: (one.label, one.region))


@dataclass(frozen=True, kw_only=True)
class InstanceSeen:
    """The serving database instance as RDS shows it; `retention` in days."""

    identifier: str
    status: str
    retention: int
    protected: bool
    usable: bool


@dataclass(frozen=True, kw_only=True)
class NewestDump:
    """The newest dump of the application's database that is complete, or was, and the stored bytes of those before it.

    `manifest` None: it cannot be read, or is no more there, and `damage` says why. The sizes begin with the newest.
    """

    point: RecoveryPoint
    manifest: Manifest | None
    damage: str = ""
    sizes_before: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Beat:
    """When the database was last written to, and how that is known; `stopped`: its heartbeat is not what tells it."""

    at: datetime | None
    known_by: str
    stopped: bool
    refused: bool = False  # the database answers, and the application's secret does not open it


@dataclass(frozen=True, kw_only=True)
class LifecyclePolicy:
    """A policy of Data Lifecycle Manager: its state, what AWS says of that, and the tags that choose what it copies."""

    id: str
    state: str
    message: str
    target_tags: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class BackupSelection:
    """What a selection of AWS Backup takes: ARNs (or "*"), those it leaves out, and the tags that a thing must have."""

    name: str
    resources: tuple[str, ...]
    excluded: tuple[str, ...]
    tags: Mapping[str, str] = field(hash=False)

    def takes(self, arn: str, tags: Mapping[str, str]) -> bool:
        """Return whether a resource with these tags is backed up by it."""
        named = any(one in ("*", arn) for one in self.resources) and arn not in self.excluded
        return named and self.tags.items() <= tags.items()


@dataclass(frozen=True, kw_only=True)
class VaultLock:
    """Whether a vault is locked, and for how many days at least and at most a recovery point stays in it."""

    locked: bool
    min_days: int | None
    max_days: int | None


@dataclass(frozen=True, kw_only=True)
class ReplicationRule:
    """A rule by which S3 copies objects of a bucket; the destination is a bucket's ARN."""

    id: str
    enabled: bool
    destination: str


@dataclass(frozen=True, kw_only=True)
class BucketSeen:
    """A bucket as S3 shows it. `lock_days` None: no lock by default. `copied` is S3's word for its newest object's copy."""

    versioning: str
    lock_days: int | None
    rules: tuple[ReplicationRule, ...]
    newest_key: str = ""
    copied: str = ""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm of CloudWatch: what it does, how it stands and since when, and what it watches.

    `page` is the page of docs/runbooks that its description names, empty where it names none. `settings` are by the names of
    Terraform's attributes.
    """

    name: str
    enabled: bool
    actions: tuple[str, ...]
    state: str
    reason: str
    since: datetime | None
    namespace: str
    metric: str
    dimensions: Mapping[str, str] = field(hash=False)
    page: str = ""
    settings: Mapping[str, object] = field(hash=False, default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EventRule:
    """A rule of EventBridge, and the ARNs that it tells; `settings` are by the names of Terraform's attributes."""

    name: str
    enabled: bool
    targets: tuple[str, ...]
    settings: Mapping[str, object] = field(hash=False, default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One metric that a status comes to, in the unit that CloudWatch knows: Seconds, Bytes, Count."""

    name: str
    dimensions: Mapping[str, str] = field(hash=False)
    value: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class Topic:
    """Who listens to a topic, those that did not confirm it too."""

    arn: str
    subscribers: tuple[Subscriber, ...]


@dataclass(frozen=True, kw_only=True)
class NotifierSeen:
    """What AWS itself rings, and the topic that it tells; None where there is none."""

    notifier: Notifier
    topic: TopicSettings | None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule of EventBridge Scheduler: its state in AWS's word, when it runs, and whom it calls.

    `settings` are by the names of Terraform's attributes.
    """

    name: str
    state: str
    expression: str
    target: str
    settings: Mapping[str, object] = field(hash=False, default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RecoveryFile:
    """The recovery file of this checkout: whether there is one, what git says of it, and how it differs from the state."""

    exists: bool
    uncommitted: bool
    disagrees: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """What the last plan or apply found of the stack: how many changes, after an apply none."""

    at: datetime
    by: str
    changes: int
    summary: str


@dataclass(frozen=True, kw_only=True)
class StateCheck:
    """One check of `lifeboat state doctor` as it came out; `finding` empty where nothing is amiss."""

    name: str
    says: str
    finding: str = ""
    wanted: str = ""
    command: str = ""
    unseen: bool = False


@dataclass(frozen=True, kw_only=True)
class DrillRecord:
    """The evidence of one drill: of what, when it ended, whether all came back, and the times that it measured.

    `missed`: what it measured, or could not measure, does not meet an objective; `why` says which. `cut_off`: it was ended
    from outside, and had found nothing amiss until then. `copies` are those of the database that it restored: the kind, in
    the words of recovery points, and the region.
    """

    scope: str  # database, instance, full or state
    run: str
    ended: datetime
    passed: bool
    why: str = ""
    rto: timedelta | None = None
    rto_objective: timedelta | None = None
    rpo: timedelta | None = None
    rpo_objective: timedelta | None = None
    missed: bool = False
    cut_off: bool = False
    copies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LeftBehind:
    """Something that a drill made and did not take away."""

    kind: str
    id: str
    region: str
    run: str


Points = tuple[RecoveryPoint, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that was looked at for one status. What no look was made at is unseen, like what could not be looked at.

    Mappings are by region, or by the name, id or ARN of the thing. `skew` is how far this machine's clock is ahead of AWS's,
    in both regions the primary one's. `metrics` are the newest data points, by the name of the alarm that watches them.
    """

    now: datetime
    stack: Seen[Stack]
    account: Seen[str] = _NOBODY
    skew: Seen[timedelta] = _NOBODY
    instance: Seen[InstanceSeen] = _NOBODY
    beat: Seen[Beat] = _NOBODY
    windows: Mapping[str, Seen[Points]] = field(default_factory=dict, hash=False)
    snapshots: Mapping[str, Seen[Points]] = field(default_factory=dict, hash=False)
    dumps: Mapping[str, Seen[Points]] = field(default_factory=dict, hash=False)
    vaults: Mapping[str, Seen[Points]] = field(default_factory=dict, hash=False)
    newest_dump: Seen[NewestDump] = _NOBODY
    volumes: Mapping[str, Seen[tuple[Snapshot, ...]]] = field(default_factory=dict, hash=False)
    images: Mapping[str, Seen[tuple[Image, ...]]] = field(default_factory=dict, hash=False)
    machine_tags: Seen[Mapping[str, str]] = _NOBODY
    architecture: Seen[str] = _NOBODY
    keys: Mapping[str, Seen[EncryptionKey]] = field(default_factory=dict, hash=False)
    policies: Mapping[str, Seen[LifecyclePolicy]] = field(default_factory=dict, hash=False)
    selections: Mapping[str, Seen[tuple[BackupSelection, ...]]] = field(default_factory=dict, hash=False)
    locks: Mapping[str, Seen[VaultLock]] = field(default_factory=dict, hash=False)
    buckets: Mapping[str, Seen[BucketSeen]] = field(default_factory=dict, hash=False)
    table_recovery: Seen[str] = _NOBODY
    schedules: Mapping[str, Seen[Schedule]] = field(default_factory=dict, hash=False)
    alarms: Seen[Mapping[str, Alarm]] = _NOBODY
    rules: Mapping[str, Seen[Mapping[str, EventRule]]] = field(default_factory=dict, hash=False)
    topics: Mapping[str, Seen[Topic]] = field(default_factory=dict, hash=False)
    notifiers: Mapping[str, Seen[NotifierSeen]] = field(default_factory=dict, hash=False)
    metrics: Seen[Mapping[str, datetime]] = _NOBODY
    state: Mapping[str, StateCheck] = field(default_factory=dict, hash=False)
    open_runs: Seen[tuple[RunId, ...]] = _NOBODY
    recovery_file: Seen[RecoveryFile] = _NOBODY
    last_plan: Seen[PlanRecord] = _NOBODY
    drills: Seen[tuple[DrillRecord, ...]] = _NOBODY
    evidence: Seen[tuple[str, ...]] = _NOBODY
    leaks: Seen[tuple[LeftBehind, ...]] = _NOBODY


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How old and how large things may be, and where they are, as environments/<env>.toml says ([status], [dumps]).

    `databases` are those that are dumped beside the application's.
    `before_aws` is what stands before `aws` in the operator's shell.
    """

    late: timedelta
    proof: timedelta
    image: timedelta
    image_proof: timedelta
    drill: timedelta
    plan: timedelta
    beat: timedelta
    skew: timedelta
    metric: timedelta
    shrink_percent: float
    proof_level: int
    application: str
    environment: str
    account_id: str
    region: str
    dr_region: str
    databases: tuple[str, ...] = ()
    before_aws: str = ""

    @property
    def owner(self) -> Owner:
        """Return whose images are ours."""
        return Owner(account_id=self.account_id, application=self.application, environment=self.environment)


# -- what the checks say -----------------------------------------------------------------------------------------------


class Asset(StrEnum):
    """What a check is about, in the order of the report."""

    ENVIRONMENT = "environment"
    DATABASE = "database"
    DUMPS = "dumps"
    VOLUME = "instance volume"
    IMAGE = "image"
    VAULTS = "vaults"
    KEYS = "keys"
    STATE = "state"
    ALARMS = "alarms"
    RUNS = "runs"
    DRILLS = "drills"


class Weight(StrEnum):
    """What it means that a check is red, and so the exit status of the gate (decisions/status/gate.py)."""

    INTEGRITY = "integrity"  # what there is, is not what it says
    LEAK = "leak"  # something is left that costs money
    PROTECTION = "protection"  # something does not work that has to
    OBJECTIVE = "objective"  # it works, and is too old or too slow


class Colour(StrEnum):
    """How a check came out: green only by what was seen."""

    GREEN = "green"
    RED = "red"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One check of one thing: how it came out, what is, what should be, why that matters, and what to type."""

    check: str
    subject: str
    asset: Asset
    weight: Weight
    colour: Colour
    says: str
    wanted: str = ""
    why: str = ""
    command: str = ""

    @property
    def name(self) -> str:
        """Return the check and what it was made of, as one writes it: dumps.age eu-west-1."""
        return f"{self.check} {self.subject}".rstrip()


class CopyKind(StrEnum):
    """The kinds of copies, one row of the table each."""

    WINDOW = "point-in-time window"
    SNAPSHOT = "snapshot"
    VAULT = "AWS Backup point"
    DUMP = "dump"
    VOLUME_SNAPSHOT = "volume snapshot"
    IMAGE = "machine image"


@dataclass(frozen=True, kw_only=True)
class CopyRow:
    """One kind of copy of one asset in one region. `newest` None: there is none, or `unseen` says why nobody knows.

    `sizes` in bytes, oldest first, those of the newest ones. `verified` is the deepest level that the newest passed, and
    `restored_at` when one of this kind was last restored for real.
    """

    asset: Asset
    kind: CopyKind
    region: str
    newest: datetime | None
    limit: timedelta | None
    count: int
    sizes: tuple[int, ...] = ()
    verified: int | None = None
    verified_at: datetime | None = None
    restored_at: datetime | None = None
    unseen: str = ""


@dataclass(frozen=True, kw_only=True)
class DrillRow:
    """The last drill of a scope, however it came out, and the last that went well, of which the times are. None: there was none."""

    scope: str
    record: DrillRecord | None
    good: DrillRecord | None = None
    unseen: str = ""


@dataclass(frozen=True, kw_only=True)
class Status:
    """The whole answer: every verdict in the order of the checks, the table of copies and of drills.

    `expected` is how many verdicts there must be: what the configuration and the stack ask for, not what answered.
    """

    environment: str
    application: str
    now: datetime
    rpo: timedelta | None
    rto: timedelta | None
    expected: int
    verdicts: tuple[Verdict, ...]
    copies: tuple[CopyRow, ...]
    drills: tuple[DrillRow, ...]

    def of(self, colour: Colour) -> list[Verdict]:
        """Return the verdicts of a colour."""
        return [verdict for verdict in self.verdicts if verdict.colour is colour]

    @property
    def executed(self) -> int:
        """Return how many checks saw what they had to see."""
        return sum(verdict.colour is not Colour.UNKNOWN for verdict in self.verdicts)

    @property
    def whole(self) -> bool:
        """Whether every check that there must be gave its verdict, once."""
        return self.expected == len(self.verdicts) == len({verdict.name for verdict in self.verdicts})
