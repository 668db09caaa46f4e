"""The nouns of a rule: what it is about, what it finds, and how it ended for a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NewType

from lifeboat.decisions.policy.controls import Control
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.planned import Planned, Resource
from lifeboat.model import Address

RuleId = NewType("RuleId", str)  # LB_RDS_1


class Severity(IntEnum):
    """How much a finding costs on the day of a disaster. HIGH and above fail a scan."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Standing(StrEnum):
    """Whether the environment of a plan stands, so that its plan should tell everything, or is to be built by it."""

    BUILT = "built"
    TO_BUILD = "to be built"


class Verdict(StrEnum):
    """How a rule ended. Only CLEAN is good: what could not be judged is not good, and what is absent is not there."""

    FINDINGS = "findings"
    CLEAN = "clean"
    ABSENT = "absent"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a rule found wrong with one resource. `change` and `severity` only where they are not the rule's own.

    The texts are printed and reported: they never hold a value that may be secret.
    """

    found: str
    wanted: str
    change: str = ""
    severity: Severity | None = None
    address: Address | None = None  # of another resource than the one that was judged


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a rule is asked about: one resource, in its plan, measured by these parameters."""

    resource: Resource
    plan: Planned
    parameters: Parameters


@dataclass(frozen=True, kw_only=True)
class PlanCase:
    """What a rule on a plan as a whole is asked about."""

    plan: Planned
    parameters: Parameters


def _every(_case: Case) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule about each resource of some types. `among` says which of them it is about; both may raise Undecided.

    `why` is one sentence on what happens without it; `change` is what to do about a finding.
    """

    id: RuleId
    severity: Severity
    title: str
    why: str
    change: str
    types: tuple[str, ...]
    judge: Callable[[Case], Iterable[Fault]]
    controls: tuple[Control, ...]
    among: Callable[[Case], bool] = _every


@dataclass(frozen=True, kw_only=True)
class PlanRule:
    """A rule about a plan as a whole. `present` says which resources or changes it is about: none of them, nothing to judge."""

    id: RuleId
    severity: Severity
    title: str
    why: str
    change: str
    types: tuple[str, ...]
    judge: Callable[[PlanCase], Iterable[Fault]]
    controls: tuple[Control, ...]
    present: Callable[[PlanCase], Sequence[Address]]


AnyRule = Rule | PlanRule


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault of one resource, with all that a report says of it."""

    rule: RuleId
    severity: Severity
    address: Address
    found: str
    wanted: str
    why: str
    change: str
    controls: tuple[Control, ...]


@dataclass(frozen=True, kw_only=True)
class Unjudged:
    """What a rule could not judge, and why; `awaited` where the apply will tell."""

    address: Address
    why: str
    awaited: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one rule ended: the resources that it was asked about, what it found, and what it could not tell."""

    rule: AnyRule
    judged: tuple[Address, ...]
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]

    @property
    def verdict(self) -> Verdict:
        """How the rule ended; a finding outweighs what could not be judged beside it."""
        if self.findings:
            return Verdict.FINDINGS
        if self.unjudged:
            return Verdict.UNDECIDED
        return Verdict.CLEAN if self.judged else Verdict.ABSENT


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Every rule's outcome for one plan, and why the scan cannot vouch for it (empty: it can).

    `put_off` is what only the first apply of an environment can tell; the next scan judges it.
    """

    plan: Planned
    parameters: Parameters
    outcomes: tuple[Outcome, ...]
    not_valid: tuple[str, ...]
    put_off: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, the gravest first."""
        found = [finding for outcome in self.outcomes for finding in outcome.findings]
        return tuple(sorted(found, key=lambda one: (-one.severity, one.rule, one.address)))

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The findings that fail a scan."""
        return tuple(finding for finding in self.findings if finding.severity >= Severity.HIGH)
