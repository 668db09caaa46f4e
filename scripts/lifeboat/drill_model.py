"""The nouns of drills: what is drilled, what a drill makes and how that is marked, what a drill left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from lifeboat.model import LeftOpen, RunId, Timing


class DrillScope(StrEnum):
    """What a drill brings back, in isolation."""

    DATABASE = "database"
    INSTANCE = "instance"
    FULL = "full"
    STATE = "state"


class DrillTag(StrEnum):
    """What everything bears that a drill makes, from the call on that makes it."""

    DRILL = "lifeboat:drill"  # the run
    EXPIRES = "lifeboat:expires"  # RFC 3339: whoever finds it later may take it away without asking anybody
    OF = "lifeboat:drill-of"  # the application, by its name; `application` itself would make it one of production's
    RUN = "lifeboat:run"  # what roles are allowed to clear away by (modules/recovery-roles)


class ThingKind(StrEnum):
    """What kind of thing was made, as it stands in the ledger."""

    DATABASE = "rds:db"
    INSTANCE = "ec2:instance"
    VOLUME = "ec2:volume"
    SECRET = "secretsmanager:secret"  # noqa: S105  (the name of a kind)
    STATE_COPY = "s3:object"
    QUEUE = "sqs:queue"


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing that a drill makes, by what it is found by again: its name, of an S3 object s3://BUCKET/KEY.

    An instance has no name before it is made, so it is found by its tag Name. `kind` is a ThingKind, or what another
    version of lifeboat calls it.
    """

    kind: str
    id: str
    region: str

    @property
    def words(self) -> str:
        """Return what a person calls it."""
        return f"{self.kind} {self.id} in {self.region}"


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One drill: its run, what it drills, of which application, and when whatever is left of it may go."""

    run: RunId
    scope: DrillScope
    application: str
    expires: datetime

    @property
    def name(self) -> str:
        """Return what the names of all that it makes begin with: app-production-drill-1f9a3c."""
        return f"{prefix(self.application)}{self.run.rpartition('-')[2]}"

    @property
    def tags(self) -> dict[str, str]:
        """Return what all that it makes bears."""
        return {
            DrillTag.DRILL.value: self.run,
            DrillTag.EXPIRES.value: f"{self.expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            DrillTag.OF.value: self.application,
            DrillTag.RUN.value: self.run,
        }

    def thing(self, kind: ThingKind, region: str, *, suffix: str = "") -> Thing:
        """Return the thing of a kind that this drill makes in a region."""
        return Thing(kind=kind.value, id=f"{self.name}{suffix}", region=region)


def prefix(application: str) -> str:
    """Return what the names of all that drills of an application make begin with."""
    return f"{application}-drill-"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A thing that exists: what it bears, and how it is, in words. `going` where it is being deleted already."""

    thing: Thing
    tags: Mapping[str, str] = field(hash=False)
    about: str = ""
    going: bool = False


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A thing that a drill left: which run made it, when it may go, and by what it was found ("ledger", "tag" or both).

    `why_not` says why nobody may remove it; None where `lifeboat sweep` does.
    """

    thing: Thing
    run: RunId
    expires: datetime | None
    found_by: str
    about: str = ""
    why_not: str | None = None


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route of a table that leads to somewhere else than the network itself: to which range or list, and by what."""

    table: str
    to: str
    by: str


@dataclass(frozen=True, kw_only=True)
class LetOut:
    """A rule of a security group that lets something out; `stays` where it leads to a group of the same network."""

    group: str
    rule: str
    to: str
    stays: bool


@dataclass(frozen=True, kw_only=True)
class NetworkSeen:
    """What could lead out of the network of drills, as it is now."""

    routes: tuple[Route, ...]
    gateways: tuple[str, ...]
    lets_out: tuple[LetOut, ...]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one thing costs an hour by AWS's list; None: no price of it is known here."""

    what: str
    usd_an_hour: float | None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a drill is expected to cost: the things, for how long, and where the prices are from."""

    prices: tuple[Price, ...]
    lasts: timedelta
    source: str

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return what nobody here knows the price of."""
        return tuple(price.what for price in self.prices if price.usd_an_hour is None)

    @property
    def usd(self) -> float:
        """Return the sum of all prices that are known, in USD; RDS and EC2 bill ten minutes and one minute at least."""
        hours = max(self.lasts, timedelta(minutes=10)).total_seconds() / 3600
        return sum(price.usd_an_hour * hours for price in self.prices if price.usd_an_hour is not None)


@dataclass(frozen=True, kw_only=True)
class DrillRequest:
    """What an operator asks of a drill: `copy` None is the one that a recovery would choose, `max_cost` in USD."""

    scope: DrillScope
    copy: str | None = None
    max_cost: float | None = None


@dataclass(frozen=True, kw_only=True)
class DrillReport:
    """What came of a drill: how long it took, what it lost, what it saw, and what it made and took away again.

    `rpo` is None where nobody knows, or where no data was restored.
    """

    run: RunId
    scope: DrillScope
    timing: Timing
    rpo: timedelta | None
    rpo_objective: timedelta
    facts: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    left_open: tuple[LeftOpen, ...]
    estimate: Estimate
    made: tuple[Thing, ...]
    evidence: str = ""  # which link of the chain holds its evidence
    exit_status: int = 0  # as its evidence says, and `why` where that is not 0
    why: str = ""

    @property
    def objectives_met(self) -> bool:
        """Whether time and loss were within their objectives, however it ended; a loss that nobody knows was not."""
        knows = self.scope in (DrillScope.INSTANCE, DrillScope.STATE) or self.rpo is not None
        return self.timing.met and knows and (self.rpo is None or self.rpo <= self.rpo_objective)
