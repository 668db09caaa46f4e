"""The nouns of evidence: what one run proved, and the chain that every bundle of it is a link of.

What is stored is these as JSON; docs/evidence.schema.json is written from them (`make docs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict

FORMAT: Literal["lifeboat-evidence-1"] = "lifeboat-evidence-1"
NOTHING_BEFORE = "0" * 64  # what the first link names as the one before

_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="null", allow_inf_nan=False)


class Kind(StrEnum):
    """What a run was for."""

    RECOVER = "recover"
    DRILL = "drill"


class Outcome(StrEnum):
    """How a run ended."""

    MET = "met"  # done, and every objective that was measured is met
    MISSED = "missed"  # done, and an objective was missed, or nobody knows
    UNSOUND = "unsound"  # done, and something is wrong with what was restored
    LEFT_OVER = "left-over"  # done, and something that had to go is still there
    STOPPED = "stopped"  # part-way; it can be gone on with
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    GIVEN_UP = "given-up"


# A copy was restored and answered in these, whether in time or not.
RESTORED = frozenset({Outcome.MET, Outcome.MISSED, Outcome.LEFT_OVER})


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Who began an attempt at the run, when, and on which machine."""

    __pydantic_config__ = _STRICT

    at: datetime
    user: str
    host: str
    machine: str = ""


@dataclass(frozen=True, kw_only=True)
class StepTaken:
    """One step in one attempt (counted from 1): when it was at work, how it ended, and why where that is not plain.

    `outcome` is done, holds (nothing was missing), left-open, stopped, or cut-off where its end was never written down.
    """

    __pydantic_config__ = _STRICT

    name: str
    title: str
    attempt: int
    began: datetime
    ended: datetime
    seconds: float
    outcome: Literal["done", "holds", "left-open", "stopped", "cut-off"]
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class TimeSpent:
    """A share of the recovery time, in seconds: all shares add up to the whole."""

    __pydantic_config__ = _STRICT

    name: str
    title: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One objective and what was measured against it, in seconds; None: nobody knows, which is not met. `how` it is known."""

    __pydantic_config__ = _STRICT

    seconds: float | None
    objective_seconds: float
    met: bool
    how: str


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A copy that was not taken, and why."""

    __pydantic_config__ = _STRICT

    id: str
    why: str


@dataclass(frozen=True, kw_only=True)
class ChosenCopy:
    """The copy that was restored, of which asset, why this one, why not the others, and where nobody could look."""

    __pydantic_config__ = _STRICT

    asset: Literal["database", "instance", "state"]
    id: str
    kind: str
    why: str
    region: str = ""
    as_of: datetime | None = None
    rejected: tuple[Rejected, ...] = ()
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the restored data was found to hold: tables, questions asked and wrong answers, rows that are missing.

    `not_compared` says with what it could not be compared, and why.
    """

    __pydantic_config__ = _STRICT

    tables: int | None = None
    with_rows: int | None = None
    data_until: datetime | None = None
    known_by: str = ""
    probes: tuple[str, ...] = ()
    probe_findings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    compared_with: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    works_on: str = ""
    works_on_why: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanMade:
    """A plan of Terraform's: the SHA-256 of the saved file ("" where it was not noted), and what it was to change."""

    __pydantic_config__ = _STRICT

    at: datetime
    step: str
    sha256: str
    headline: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Made:
    """Something that the run made, and when it was seen to be gone again; None: it stays, or nobody saw it go."""

    __pydantic_config__ = _STRICT

    type: str
    id: str
    region: str
    made_at: datetime
    gone_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class LeftStep:
    """A step that could not be done, and why."""

    __pydantic_config__ = _STRICT

    name: str
    title: str
    why: str


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """One line of the run's journal, as it was written."""

    __pydantic_config__ = _STRICT

    seq: int
    at: datetime
    kind: str
    step: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One run's evidence. Times are UTC, lengths are seconds.

    `scope` is what was brought back: instance, database, full or state; `changed` whether any side effect was begun. `rpo` and
    `rto` are None where the run was not to measure them. A drill's `made` must all be gone. `events` is the whole journal;
    `journal_sha256` is of its lines.
    """

    __pydantic_config__ = _STRICT

    kind: Kind
    run: str
    scope: str
    application: str
    environment: str
    account: str
    region: str
    began: datetime
    ended: datetime
    outcome: Outcome
    exit_status: int
    why: str
    changed: bool
    who: tuple[Attempt, ...]
    versions: Mapping[str, str] = field(hash=False)
    failed_at: datetime | None
    failed_why: str
    rto: Measured | None
    rpo: Measured | None
    time_spent: tuple[TimeSpent, ...]
    steps: tuple[StepTaken, ...]
    copies: tuple[ChosenCopy, ...]
    proof: Proof | None
    plans: tuple[PlanMade, ...]
    left_open: tuple[LeftStep, ...]
    accepted_risks: tuple[str, ...]
    made: tuple[Made, ...]
    journal_sha256: str
    events: tuple[JournalLine, ...]

    @property
    def left_over(self) -> tuple[Made, ...]:
        """What a drill made and nobody saw go."""
        return tuple(one for one in self.made if one.gone_at is None) if self.kind is Kind.DRILL else ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """What is stored: a bundle, its number in the chain, and the SHA-256 of the stored bytes of the one before.

    The digest of a document is not in it: it is `sha256sum` of its bytes, which the next document and the other region name.
    """

    __pydantic_config__ = _STRICT

    format: Literal["lifeboat-evidence-1"] = FORMAT
    number: int
    previous: str
    bundle: Bundle


# -- the chain ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Link:
    """A bundle's place in the chain, counted from 1; both digests are SHA-256 in hex, of the stored bytes.

    `unsealed` says why the other region does not know of it ("" where it does): until then nobody can tell from there
    whether it was changed or taken away.
    """

    number: int
    previous: str
    sha256: str
    unsealed: str = ""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One stored object of the chain; `bundle` is None where it is `damaged`, which says how.

    `number` is that of its name, `claims` the one that it says itself.
    """

    number: int
    sha256: str
    previous: str
    claims: int
    run: str
    bundle: Bundle | None
    damaged: str = ""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the other region knows of a link: its digest, or how that note is damaged."""

    number: int
    sha256: str
    run: str
    damaged: str = ""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """All links as they are stored, by number, what the other region knows of them, and what could not be looked at.

    Of what was taken away the number is known as long as a version of it, or the mark of its deletion, is kept.
    """

    stored: Mapping[int, Stored] = field(hash=False)
    heads: Mapping[int, Head] = field(hash=False)
    unseen: tuple[str, ...] = ()
    gone: frozenset[int] = frozenset()
    heads_gone: frozenset[int] = frozenset()


class Wrong(StrEnum):
    """What is wrong with a link."""

    CHANGED = "changed"
    MISSING = "missing"
    CUT_OFF = "cut-off"  # the end of the chain is gone
    DISAGREES = "disagrees"  # the other region knows something else of it
    UNSEALED = "unsealed"  # the other region does not know of it: nobody can tell
    UNSEEN = "unseen"  # nobody could look


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with the chain, or could not be seen; `number` is None where it is about all of it."""

    number: int | None
    wrong: Wrong
    text: str
