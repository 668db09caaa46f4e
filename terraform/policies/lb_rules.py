"""Every rule of the registry as a check of checkov, on a configuration and on the JSON of a plan.

A rule that cannot judge answers UNKNOWN, which checkov counts for nothing: a configuration does not hold what a plan does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lb_checkout  # noqa: F401 (before what it finds)
from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck
from lb_configuration import Roots
from lifeboat.decisions.policy import foreseen_judging, judging, reading
from lifeboat.decisions.policy.foreseen import foreseen
from lifeboat.decisions.policy.foreseen_judging import Judged
from lifeboat.decisions.policy.planned import Planned
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.reported import block_of
from lifeboat.decisions.policy.rule import AnyRule, Finding, Outcome, PlanRule, Verdict

_ABOUT_EVERYTHING = ("*",)  # a rule on a plan as a whole, which may point to any resource of it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a rule says of one resource that checkov asks it about."""

    result: CheckResult
    findings: tuple[Finding, ...] = ()
    abstains: str = ""


_NOTHING = Answer(result=CheckResult.UNKNOWN)


class Judgement:
    """What the rules say of one plan, or of one root of a configuration, by rule and by address."""

    def __init__(self, plan: Planned, judged: Iterable[Judged]) -> None:
        self.plan = plan
        self._addresses = frozenset(str(one.address) for one in plan.resources)
        self._blocks = frozenset(_bare(address) for address in self._addresses)
        self._whole: dict[str, list[Judged]] = defaultdict(list)
        self._by_address: dict[tuple[str, str], list[Judged]] = defaultdict(list)
        self._by_block: dict[tuple[str, str], list[Judged]] = defaultdict(list)
        for one in judged:
            if one.address is None:
                self._whole[one.rule.id].append(one)
            else:
                self._by_address[one.rule.id, str(one.address)].append(one)
                self._by_block[one.rule.id, _bare(one.address)].append(one)

    def answer(self, rule: AnyRule, address: str) -> Answer:
        """Return what a rule says of a resource. Where checkov knows no keys, it asks about every instance of a block."""
        if isinstance(rule, PlanRule):
            return self._of_whole(rule, address)
        exactly = self._by_address.get((rule.id, address))
        return _together(exactly or self._by_block.get((rule.id, _bare(address)), []))

    def _of_whole(self, rule: PlanRule, address: str) -> Answer:
        """Return what a rule on the whole says here: of this resource, or at the one that stands for the whole."""
        found = _together(self._whole[rule.id])
        is_anchor = self._is(address, self._anchor(rule))
        here = tuple(
            one
            for one in found.findings
            if self._is(address, one.address) or (is_anchor and _bare(one.address) not in self._blocks)
        )
        if here:
            return Answer(result=CheckResult.FAILED, findings=here)
        return found if is_anchor and found.result is not CheckResult.FAILED else _NOTHING

    def _anchor(self, rule: PlanRule) -> str:
        fitting = [one.address for kind in rule.types for one in self.plan.by_type.get(kind, ())]
        return next(iter([*fitting, *(one.address for one in self.plan.resources[:1])]), "")

    def _is(self, asked: str, address: str) -> bool:
        return asked == address or (asked not in self._addresses and _bare(asked) == _bare(address))


@dataclass(kw_only=True)
class Memory:
    """What was judged of the graph that checkov asks about, and the answers: the process that runs checkov reads them."""

    graph: Any = None
    roots: Roots | None = None
    judgements: dict[Path, Judgement] = field(default_factory=dict)
    answers: dict[tuple[str, str, str], Answer] = field(default_factory=dict)  # rule, address, file as checkov names it


MEMORY = Memory()


class RuleCheck(BaseResourceCheck):
    """One rule, asked by checkov about each resource."""

    def __init__(self, rule: AnyRule) -> None:
        super().__init__(
            name=rule.title,
            id=str(rule.id),
            categories=[CheckCategories.BACKUP_AND_RECOVERY],
            supported_resources=_ABOUT_EVERYTHING if isinstance(rule, PlanRule) else rule.types,
        )
        self.rule = rule

    def scan_entity_conf(self, conf: dict[str, Any], entity_type: str) -> CheckResult:
        """Return what the rule says of a resource, as checkov gives it."""
        self.entity_type = entity_type
        address, file = str(conf.get("__address__", "")), self.entity_path.partition(":")[0]
        answer = _answer(self.graph, self.rule, address, file)
        MEMORY.answers[str(self.rule.id), address, file] = answer
        self.details = [f"{one.found} (wanted: {one.wanted})" for one in answer.findings]
        return answer.result

    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        """Return what the rule says of a resource of the type that was asked about last."""
        return self.scan_entity_conf(conf, self.entity_type)


def _answer(graph: Any, rule: AnyRule, address: str, file: str) -> Answer:
    if MEMORY.graph is not graph:
        MEMORY.graph, MEMORY.roots, MEMORY.judgements = graph, None, {}
    if file.endswith(".json"):
        places = {Path(node["file_path_"]) for _, node in graph.nodes() if node["file_path_"].endswith(".json")}
        answers = [_judgement_of_plan(place).answer(rule, address) for place in places if place.name == Path(file).name]
    else:
        MEMORY.roots = MEMORY.roots or Roots(graph)
        folders = MEMORY.roots.of(address, Path(file).name)
        answers = [_judgement_of_root(MEMORY.roots, folder).answer(rule, address) for folder in folders]
    # Where roots are alike and nobody can tell which is asked about, only what is so in all of them is so.
    agreed = answers[:1] if len({one.result for one in answers}) == 1 else []
    return agreed[0] if agreed else _NOTHING


def _judgement_of_plan(place: Path) -> Judgement:
    if place not in MEMORY.judgements:
        plan = reading.read(place.read_bytes())
        outcomes = judging.scanned(plan).outcomes
        MEMORY.judgements[place] = Judgement(plan, (one for outcome in outcomes for one in _judged(outcome)))
    return MEMORY.judgements[place]


def _judgement_of_root(roots: Roots, folder: Path) -> Judgement:
    if folder not in MEMORY.judgements:
        found = foreseen(roots.module(folder), roots.values(folder))
        MEMORY.judgements[folder] = Judgement(found.plan, foreseen_judging.judged(found))
    return MEMORY.judgements[folder]


def _judged(outcome: Outcome) -> list[Judged]:
    """Return what came of a rule on a plan, resource by resource."""
    rule = outcome.rule
    if isinstance(rule, PlanRule):
        why = "; ".join(one.why for one in outcome.unjudged)
        return [Judged(rule=rule, address=None, verdict=outcome.verdict, findings=outcome.findings, why=why)]
    unjudged = {one.address: one.why for one in outcome.unjudged}
    found = []
    for address in dict.fromkeys([*outcome.judged, *unjudged]):
        findings = tuple(one for one in outcome.findings if one.address == address)
        verdict = Verdict.FINDINGS if findings else Verdict.UNDECIDED if address in unjudged else Verdict.CLEAN
        found.append(
            Judged(rule=rule, address=address, verdict=verdict, findings=findings, why=unjudged.get(address, ""))
        )
    return found


def _together(judged: list[Judged]) -> Answer:
    findings = tuple(finding for one in judged for finding in one.findings)
    if findings:
        return Answer(result=CheckResult.FAILED, findings=findings)
    undecided = [one.why for one in judged if one.verdict is Verdict.UNDECIDED]
    if undecided:
        return Answer(result=CheckResult.UNKNOWN, abstains=undecided[0])
    is_clean = any(one.verdict is Verdict.CLEAN for one in judged)
    return Answer(result=CheckResult.PASSED) if is_clean else _NOTHING


def _bare(address: str | None) -> str:
    return block_of(address or "")


CHECKS = tuple(RuleCheck(rule) for rule in RULES)
