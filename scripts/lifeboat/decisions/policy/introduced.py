"""What a plan brings about: findings that are there afterwards and were not before, and which of them stop whom."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lifeboat.decisions.policy import judging, parameters
from lifeboat.decisions.policy.counts import counted
from lifeboat.decisions.policy.prior import BothSides, both_sides
from lifeboat.decisions.policy.registry import BY_ID
from lifeboat.decisions.policy.reported import block_of
from lifeboat.decisions.policy.rule import Finding, PlanRule, RuleId, Scan, Severity, Unjudged
from lifeboat.errors import ScanNotValid
from lifeboat.model import AcceptedRisk

_PLACE = re.compile(r"\[\d+\]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Which checks fail tells of the world as it is that night, and a condition or validation that fails stops Terraform itself.
_NEVER_STOPS_A_RECOVERY = frozenset({"LB_TF_1"})
_Words = tuple[str, str, str]  # what makes two findings the same: rule, where, what


class Deed(StrEnum):
    """Who would carry a plan out."""

    APPLY = "apply"
    RECOVERY = "recovery"


@dataclass(frozen=True, kw_only=True)
class Introduced:
    """A finding that a plan brings about; `before` is what the same rule found there already, in other words."""

    finding: Finding
    before: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Passing:
    """One finding that would stop a plan and is let pass, with the reason that was given."""

    finding: Finding
    reason: str


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What a rule could not tell of a plan."""

    rule: RuleId
    unjudged: Unjudged


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """What the rules say of a plan: what stops it, what is let pass, what is only told, what was there, what nobody sees."""

    stopping: tuple[Introduced, ...]
    passing: tuple[Passing, ...]
    told: tuple[Introduced, ...]
    old: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]
    laxer: tuple[str, ...] = ()  # measures that ask for less than their defaults


def weighed(document: Any, deed: Deed, risks: Iterable[AcceptedRisk] = ()) -> Weighed:
    """Return what the rules say of a parsed plan. Raises ScanNotValid where it is no plan that can be judged.

    Both sides are measured by the plan's own objectives. What could not be judged before counts as not there before, but
    for a recovery: there only what is known to be new stops anything.
    """
    try:
        return _weighed(both_sides(document), deed, risks)
    except judging.CRASHES as crash:
        raise ScanNotValid(
            f"the plan could not be judged: {type(crash).__name__} while it was; this is a defect of lifeboat",
            hint="lifeboat scan --plan shows what each rule says of it",
        ) from None


def _weighed(sides: BothSides, deed: Deed, risks: Iterable[AcceptedRisk]) -> Weighed:
    reasons = {risk.rule: risk.reason for risk in risks}
    afterwards = judging.scanned(sides.after)
    new, old = _apart(sides, afterwards.findings, deed)
    grave = [one for one in new if _stops(one.finding, deed)]
    return Weighed(
        stopping=tuple(one for one in grave if one.finding.rule not in reasons),
        passing=tuple(
            Passing(finding=one.finding, reason=reasons[one.finding.rule])
            for one in grave
            if one.finding.rule in reasons
        ),
        told=tuple(one for one in new if not _stops(one.finding, deed)),
        old=tuple(old),
        unseen=tuple(
            Unseen(rule=outcome.rule.id, unjudged=one) for outcome in afterwards.outcomes for one in outcome.unjudged
        ),
        laxer=tuple(parameters.laxer(afterwards.parameters)),
    )


def _apart(sides: BothSides, findings: Iterable[Finding], deed: Deed) -> tuple[list[Introduced], list[Finding]]:
    """Return the findings that a plan brings about, and those that were there."""
    if sides.before is None:
        return [Introduced(finding=one) for one in findings], []
    earlier = judging.scanned(sides.before)
    listed = list(findings)
    places = _places_of_old_ones(sides, earlier, listed, deed)
    doubtful = {(outcome.rule.id, one.address) for outcome in earlier.outcomes for one in outcome.unjudged}
    new: list[Introduced] = []
    old: list[Finding] = []
    for place, one in enumerate(listed):
        doubt = deed is Deed.RECOVERY and (one.rule, one.address) in doubtful
        if doubt or place in places:
            old.append(one)
        else:
            said = tuple(was.found for was in earlier.findings if (was.rule, was.address) == (one.rule, one.address))
            new.append(Introduced(finding=one, before=said))
    return new, old


def _places_of_old_ones(sides: BothSides, earlier: Scan, findings: Sequence[Finding], deed: Deed) -> set[int]:
    """Return which findings were there before, by their places in the list."""
    blocks = {one.address: str(one.block) for one in sides.after.resources}
    if sides.before is not None:
        blocks |= {one.address: str(one.block) for one in sides.before.resources}
    stay = {one.address for one in sides.after.resources}

    def alike(found: Finding) -> _Words:
        return (found.rule, blocks.get(found.address, found.address), _worn(found.found))

    def of_its_kind(found: Finding) -> _Words | None:
        # A rule on the plan says once of a kind what is wrong, at the first resource of it, which may be another one now.
        on_the_plan = isinstance(BY_ID[found.rule], PlanRule) and found.address in stay
        return (found.rule, "", found.found) if on_the_plan else None

    if deed is Deed.APPLY:
        return _matched(earlier.findings, findings, (_exactly, _renumbered, of_its_kind))
    known = {key(one) for one in earlier.findings for key in (alike, of_its_kind)} - {None}
    return {place for place, one in enumerate(findings) if {alike(one), of_its_kind(one)} & known}


def _matched(
    before: Iterable[Finding], after: Sequence[Finding], keys: Iterable[Callable[[Finding], _Words | None]]
) -> set[int]:
    """Return the places of what is the same by one of the keys, the strictest first; one of before stands for one only."""
    found: set[int] = set()
    left = list(before)
    for key in keys:
        waiting: dict[_Words | None, list[Finding]] = defaultdict(list)
        for one in left:
            waiting[key(one)].append(one)
        for place, one in enumerate(after):
            words = key(one)
            if place not in found and words is not None and waiting[words]:
                waiting[words].pop()
                found.add(place)
        left = [one for those in waiting.values() for one in those]
    return found


def _exactly(found: Finding) -> _Words:
    return (found.rule, found.address, found.found)


def _renumbered(found: Finding) -> _Words:
    """Return a finding without the numbers of blocks: one that is put before another moves it, and does no harm."""
    return (found.rule, found.address, _PLACE.sub("[]", found.found))


def _worn(text: str) -> str:
    """Return a text without keys and numbers: g2 is adopted as g1 was, with what was wrong with g1."""
    return _NUMBER.sub("#", block_of(text))


def _stops(found: Finding, deed: Deed) -> bool:
    return found.severity >= Severity.HIGH and not (deed is Deed.RECOVERY and found.rule in _NEVER_STOPS_A_RECOVERY)


# -- in words ----------------------------------------------------------------------------------------------------------


def line(one: Introduced) -> str:
    """Return a finding in one line: rule, severity, where, what is and what should be."""
    was = f" (before: {'; '.join(one.before)})" if one.before else ""
    found = one.finding
    return f"{found.rule} ({found.severity.name.lower()}) {found.address}: {found.found}{was}; wanted: {found.wanted}"


def accepted(one: Passing) -> str:
    """Return a finding that is let pass, with the reason, in one line."""
    return f"{one.finding.rule} {one.finding.address}: {one.finding.found}; accepted: {one.reason}"


def warnings(found: Weighed) -> list[str]:
    """Return what is told beside what stops a plan: lax measures, new findings, what was there, and each rule unseen."""
    lines = [f"policy: {text}" for text in (*found.laxer, *map(line, found.told))]
    if found.old:
        rules = ", ".join(sorted({one.rule for one in found.old}))
        lines.append(
            f"policy: {counted(len(found.old), 'finding')} of before this change ({rules}): lifeboat scan shows all"
        )
    by_rule: dict[RuleId, list[Unjudged]] = {}
    for one in found.unseen:
        by_rule.setdefault(one.rule, []).append(one.unjudged)
    for rule, cannot in by_rule.items():
        more = f", and {len(cannot) - 1} more" if len(cannot) > 1 else ""
        lines.append(f"policy: {rule} could not be judged: {cannot[0].address}: {cannot[0].why}{more}")
    return lines


def stopped(found: Weighed) -> str:
    """Return what stops a plan, with why it matters and what to change for each rule, in lines."""
    lines = [f"  {line(one)}" for one in found.stopping]
    texts = dict.fromkeys(f"  {one.finding.rule}: {one.finding.why} {one.finding.change}" for one in found.stopping)
    return "\n".join([*lines, *texts])


def accepting(found: Weighed) -> list[AcceptedRisk]:
    """Return what would have to be accepted of what stops a plan."""
    rules = sorted({one.finding.rule for one in found.stopping})
    return [AcceptedRisk(rule=rule, reason="why it is accepted") for rule in rules]
