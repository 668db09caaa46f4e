"""Whether a scan really scanned: every reason why it cannot vouch for what it looked at. None of them is green."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from lifeboat.checkov_model import CheckovRun
from lifeboat.decisions.policy import canary, waivers
from lifeboat.decisions.policy.built_in import BuiltIn, asked
from lifeboat.decisions.policy.counts import counted
from lifeboat.decisions.policy.registry import BY_ID, RULES
from lifeboat.decisions.policy.reported import Looked, block_of, whole_address
from lifeboat.decisions.policy.rule import AnyRule, Severity
from lifeboat.decisions.policy.waivers import Waiver

# What checkov puts where a comment gives no reason (checkov/common/comment/enum.py).
_NO_REASON = ("", "no comment provided")
# It asks what a plan changes, which every plan does.
_OF_ANY_PLAN = "LB_TF_2"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a scan is judged by: all that was seen of each root, checkov's own checks that were wanted, and the waivers."""

    looked: tuple[Looked, ...]
    today: date
    waivers: tuple[Waiver, ...] = ()
    built_in: tuple[BuiltIn, ...] = ()
    rules: tuple[AnyRule, ...] = RULES

    @property
    def with_checkov(self) -> bool:
        """Whether checkov was asked about every root."""
        return all(one.run is not None for one in self.looked)


def reasons(evidence: Evidence) -> tuple[str, ...]:
    """Return why the scan is not valid, each reason once; nothing where it vouches for all that it looked at."""
    return tuple(dict.fromkeys(_reasons(evidence)))


def _reasons(evidence: Evidence) -> Iterator[str]:
    if not evidence.looked:
        yield "nothing was looked at"
    elif not any(
        outcome.judged for one in evidence.looked for outcome in one.scan.outcomes if outcome.rule.id != _OF_ANY_PLAN
    ):
        yield "the plan holds nothing that a rule is about, so nothing was judged: is it the plan that was meant?"
    yield from canary.silent(evidence.rules)
    if evidence.looked and evidence.with_checkov and not asked(evidence.built_in):
        yield "terraform/policies/builtin.toml asks for none of checkov's own checks"
    for one in evidence.looked:
        named = f"{one.root}: " if one.root else ""
        for reason in (*one.scan.not_valid, *_unasked(one, evidence.rules), *_of_checkov(one, evidence.built_in)):
            yield f"{named}{reason}"
    known: dict[str, Severity] = {rule.id: rule.severity for rule in BY_ID.values()}
    known |= {check.id: check.severity for check in evidence.built_in}
    # Where checkov is not asked, a waiver of one of its checks is about nothing that could be known.
    judged = [one for one in evidence.waivers if one.rule in known or evidence.with_checkov or not _foreign(one.rule)]
    yield from waivers.problems(judged, rules=known, looked=evidence.looked, today=evidence.today)


def _foreign(rule: str) -> bool:
    return rule.startswith("CKV")


def _unasked(looked: Looked, rules: Sequence[AnyRule]) -> Iterator[str]:
    ended = {outcome.rule.id for outcome in looked.scan.outcomes}
    for rule in rules:
        if rule.id not in ended:
            yield f"{rule.id} was not asked"


def _of_checkov(looked: Looked, built_in: Sequence[BuiltIn]) -> Iterator[str]:
    if looked.run is None:
        return
    run = looked.run
    yield from (f"checkov: {problem}" for problem in run.problems)
    if not run.resource_types:
        yield "checkov found no resource at all"
    for kind in sorted(set(looked.scan.plan.by_type) - run.resource_types):
        yield f"checkov saw no {kind}, of which the plan has {len(looked.scan.plan.by_type[kind])}"
    yield from _of_built_in(looked, run, built_in)
    for outcome in looked.scan.outcomes:
        if outcome.rule.id not in run.evaluated:
            yield f"checkov did not have {outcome.rule.id} among its checks: the pack was not loaded whole"
        elif outcome.judged and not run.evaluated[outcome.rule.id]:
            yield f"{outcome.rule.id} is about {counted(len(outcome.judged), 'resource')} of the plan, and checkov asked it of none"
    for skip in run.skipped:
        if skip.reason.strip().lower() in _NO_REASON:
            yield (
                f"the comment in {skip.file}:{skip.line} keeps {skip.rule} from {skip.address} without a reason:"
                f" # checkov:skip={skip.rule}:REASON"
            )
    yield from _disagreements(looked, run)


def _of_built_in(looked: Looked, run: CheckovRun, built_in: Sequence[BuiltIn]) -> Iterator[str]:
    """Yield which of checkov's own checks looked at nothing; one that cannot tell of a resource has looked at it."""
    for check in built_in:
        if not check.asked:
            continue
        about = [one for kind in check.types for one in looked.scan.plan.by_type.get(kind, ())]
        if check.id not in run.evaluated:
            if not any(check.id in problem for problem in run.problems):
                yield f"checkov does not know {check.id}, which terraform/policies/builtin.toml asks for"
        elif about and not run.evaluated[check.id] and not run.abstained.get(check.id):
            yield f"{check.id} is about {counted(len(about), 'resource')} of the plan, and checkov asked it of none"


def _disagreements(looked: Looked, run: CheckovRun) -> Iterator[str]:
    """Yield where the same rule says one thing of the plan here and another inside checkov."""
    ours = {(str(one.rule), block_of(one.address)) for one in looked.scan.findings}
    theirs = {(one.rule, block_of(one.address)) for one in run.findings if one.source == "plan" and one.rule in BY_ID}
    for rule, address in sorted(ours ^ theirs):
        inside, here = ("inside checkov", "here") if (rule, address) in theirs else ("here", "inside checkov")
        yield f"{rule} fails on {whole_address(looked.root, address)} {inside}, and not {here}: the two disagree"
