"""The nouns of alarms: what rings, whom it tells, who listens, and what came of ringing it on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from lifeboat.model import RunId

# Events that are made up come from this source: AWS keeps those that begin with "aws." for its services.
TEST_SOURCE = "lifeboat.test"


class Sort(StrEnum):
    """What kind of thing rings."""

    ALARM = "alarm"
    RULE = "event rule"
    DATABASE_EVENTS = "RDS event subscription"
    VAULT_EVENTS = "vault notifications"


@dataclass(frozen=True, kw_only=True, order=True)
class Ringer:
    """Something that rings, by what AWS finds it by."""

    sort: Sort
    region: str
    name: str

    @property
    def words(self) -> str:
        """Return what a person calls it."""
        return f"{self.sort.value} {self.name} in {self.region}"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm of CloudWatch, of a metric or of other alarms: how it stands and whom it tells when it rings."""

    ringer: Ringer
    about: str
    state: str  # OK, ALARM or INSUFFICIENT_DATA
    acts: bool  # its actions are enabled
    tells: tuple[str, ...]  # ARNs of what its ALARM state calls
    back: tuple[str, ...] = ()  # and of what its other states call
    settings: Mapping[str, object] = field(hash=False, default_factory=dict)  # by Terraform's names


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom an event rule tells, and what of the event: `constant` is the same text whatever happened.

    `paths` are those of the values that its message takes, in the order in which they stand in it; None: all of the event.
    """

    arn: str
    constant: bool = False
    paths: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of EventBridge; `pattern` is the JSON text of the events that it takes."""

    ringer: Ringer
    about: str
    enabled: bool
    pattern: str
    targets: tuple[Target, ...]
    settings: Mapping[str, object] = field(hash=False, default_factory=dict)  # by Terraform's names


@dataclass(frozen=True, kw_only=True)
class News:
    """What something tells of: kinds of events, of what kind of source, and of which of them alone.

    An RDS event subscription that names no category, no kind of source, or no source tells of all.
    """

    events: tuple[str, ...]
    source_type: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Notifier:
    """Something that only AWS itself can ring: its topic, what it tells of, and why it is silent ("": it is not)."""

    ringer: Ringer
    topic: str
    tells_of: News
    silent: str = ""


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """Who hears a topic; `wants` is the JSON text of its filter, empty without one, and `of_body` where it looks."""

    protocol: str
    endpoint: str
    confirmed: bool
    wants: str = ""
    of_body: bool = False


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic: who may publish to it, as JSON text, and who hears it."""

    arn: str
    policy: str
    subscribers: tuple[Subscriber, ...]


@dataclass(frozen=True, kw_only=True)
class Built:
    """An alarm or a rule as Terraform's state has it: the type of its resource, and its attributes."""

    kind: str
    settings: Mapping[str, object] = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Everything that rings for one application, and the topics that it all goes to; None: there is no such topic.

    `built_to_tell_of` is what Terraform made each notifier tell of, and `built_as` how it set each alarm and rule; `shell`
    makes of a command what an operator types to reach this environment with it.
    """

    alarms: tuple[Alarm, ...]
    rules: tuple[Rule, ...]
    notifiers: tuple[Notifier, ...]
    topics: Mapping[str, Topic | None] = field(hash=False)
    built_to_tell_of: Mapping[Ringer, News] = field(hash=False, default_factory=dict)
    built_as: Mapping[Ringer, Built] = field(hash=False, default_factory=dict)
    shell: Callable[[str], str] = str

    @property
    def to_ring(self) -> tuple[Alarm | Rule, ...]:
        """Return what can be rung from outside."""
        found: list[Alarm | Rule] = [*self.alarms]
        return (*found, *self.rules)


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event that is made up for a rule; `detail` is JSON text."""

    detail_type: str
    detail: str
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sending:
    """One thing that is rung on purpose: the token that its message bears, and the topics that have to bring it.

    An alarm is set to ALARM, for a rule its event is put; `before` is an alarm's state, to be set again.
    """

    ringer: Ringer
    token: str
    topics: tuple[str, ...]
    event: Event | None = None
    before: str = ""

    @property
    def text(self) -> str:
        """Return what people read who get its message."""
        return f"TEST {self.token}, nothing happened"

    @property
    def mark(self) -> str:
        """Return what its message is known by: of an alarm the whole text, since messages of its other states have the token."""
        return self.text if self.event is None else self.token


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one thing: after how long its message arrived, or why it did not.

    `unsure`: it could not be rung, or must not be, so nobody knows whether it would have arrived.
    """

    ringer: Ringer
    page: str
    took: timedelta | None = None
    why: str = ""
    unsure: bool = False

    @property
    def good(self) -> bool:
        """Whether its message arrived."""
        return not self.why


@dataclass(frozen=True, kw_only=True)
class AlarmReport:
    """A whole test: of what was rung, of what cannot be rung from outside, and of each topic why no person hears it."""

    run: RunId
    rung: tuple[Outcome, ...]
    checked: tuple[Outcome, ...]
    topics: tuple[tuple[str, str], ...]
    left: tuple[str, ...] = ()

    @property
    def arrived(self) -> int:
        """How many messages arrived."""
        return sum(outcome.good for outcome in self.rung)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the list: what rings, how it stands, whom it tells, and why nobody would hear it ("": somebody would)."""

    ringer: Ringer
    state: str
    tells: tuple[str, ...]
    page: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One message that came out of a topic."""

    topic: str
    text: str
