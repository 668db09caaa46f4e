"""A whole scan: what was looked at, what was found, what is accepted, and why it is not valid where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lifeboat.decisions.policy import overlooked, parameters, reported, validity, waivers
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.reported import Looked, Reported, whole_address
from lifeboat.decisions.policy.rule import AnyRule, Verdict
from lifeboat.decisions.policy.validity import Evidence
from lifeboat.model import Address

_GRAVEST = (Verdict.FINDINGS, Verdict.UNDECIDED, Verdict.CLEAN, Verdict.ABSENT)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a scan is of, in words: the environment, and what its plan was made against."""

    name: str
    ground: str
    warning: str = ""  # what whoever reads a good end of it must know first
    again: str = "lifeboat scan"  # the command that asks for the same once more, and takes options


@dataclass(frozen=True, kw_only=True)
class PutOff:
    """What only the first apply can tell: the next scan judges it."""

    rule: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a rule ended over all roots: nothing about what is there only where no root has any of it."""

    rule: AnyRule
    verdict: Verdict
    judged: tuple[str, ...]
    unjudged: tuple[tuple[str, str], ...]  # address and why


@dataclass(frozen=True, kw_only=True)
class Report:
    """One scan, from which every report is written."""

    subject: Subject
    looked: tuple[Looked, ...]
    found: tuple[Reported, ...]
    not_valid: tuple[str, ...]
    put_off: tuple[PutOff, ...]
    remarks: tuple[str, ...]
    checkov: str  # its version; empty where it was not asked

    @property
    def failing(self) -> tuple[Reported, ...]:
        """The findings that fail the scan."""
        return tuple(one for one in self.found if one.fails)

    @property
    def accepted(self) -> tuple[Reported, ...]:
        """The findings that somebody accepted."""
        return tuple(one for one in self.found if one.waived is not None)

    @property
    def resources(self) -> int:
        """How many resources were looked at."""
        return sum(len(one.scan.plan.resources) for one in self.looked)

    @property
    def parameters(self) -> Parameters:
        """What was measured by, in the root that has objectives; they are the stack's, which comes last."""
        return self.looked[-1].scan.parameters

    @property
    def terraform_version(self) -> str:
        """The version that made the plans."""
        return self.looked[-1].scan.plan.terraform_version

    @property
    def awaited(self) -> bool:
        """Whether the first apply would tell something that makes this scan not valid."""
        return any(
            unjudged.awaited
            and any(reason.startswith(f"{ended.rule.id} on {unjudged.address}: ") for reason in reasons)
            for each in self.looked
            for reasons in [each.scan.not_valid]
            for ended in each.scan.outcomes
            for unjudged in ended.unjudged
        )

    @property
    def rules(self) -> tuple[Ended, ...]:
        """How each rule ended, in the order of the rules."""
        return tuple(self._ended(index) for index in range(len(self.looked[0].scan.outcomes)))

    def _ended(self, index: int) -> Ended:
        outcomes = [(each.root, each.scan.outcomes[index]) for each in self.looked]
        verdicts = {outcome.verdict for _, outcome in outcomes}
        return Ended(
            rule=outcomes[0][1].rule,
            verdict=next(verdict for verdict in _GRAVEST if verdict in verdicts),
            judged=tuple(whole_address(root, one) for root, outcome in outcomes for one in outcome.judged),
            unjudged=tuple(
                (whole_address(root, Address(one.address)), one.why)
                for root, outcome in outcomes
                for one in outcome.unjudged
            ),
        )


def of(evidence: Evidence, subject: Subject) -> Report:
    """Return the report of all that was seen."""
    found = reported.merged(evidence.looked, evidence.built_in)
    not_valid = validity.reasons(evidence)
    # Of one that does not hold in the first place it is said that it does not.
    sound = tuple(one for one in evidence.waivers if not any(text.startswith(f"{one.words} ") for text in not_valid))
    versions = {one.run.checkov_version for one in evidence.looked if one.run is not None}
    return Report(
        subject=subject,
        looked=evidence.looked,
        found=waivers.applied(found, evidence.waivers, evidence.today),
        not_valid=not_valid,
        put_off=tuple(_put_off(one.root, text) for one in evidence.looked for text in one.scan.put_off),
        remarks=tuple(dict.fromkeys(_remarks(replace(evidence, waivers=sound), found))),
        checkov=", ".join(sorted(versions)),
    )


def _remarks(evidence: Evidence, found: Sequence[Reported]) -> Iterator[str]:
    for one in evidence.looked:
        yield from parameters.laxer(one.scan.parameters)
    yield from waivers.unused(found, evidence.waivers)
    yield from reported.idle_comments(evidence.looked)
    for one in evidence.looked:
        if one.scan.plan.untold:
            yield _untold(one)
        yield from overlooked.remarks(one.scan.plan)


def _untold(looked: Looked) -> str:
    version = looked.scan.plan.terraform_version
    return (
        f"Terraform {version} does not say whether a plan is whole: of one made with -target, the rest was not judged"
    )


def _put_off(root: str, text: str) -> PutOff:
    return PutOff(rule=text.partition(" ")[0], text=f"{root}: {text}" if root else text)
