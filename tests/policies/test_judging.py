"""How rules end: what was found is kept, what could not be judged is told, and nothing secret is."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity, Verdict
from lifeboat.model import Address

from tests.policies.plans import PlanFile


def _rule(judge: object) -> Rule:
    return Rule(
        id=RuleId("LB_TEST_9"),
        severity=Severity.HIGH,
        title="t",
        why="w.",
        change="c.",
        types=("aws_vpc",),
        judge=judge,  # type: ignore[arg-type]
        controls=(),
    )


def _scan(judge: object, *names: str) -> judging.Scan:
    plan = PlanFile()
    for name in names:
        plan.add(f"aws_vpc.{name}")
    return judging.scanned(reading.read(plan.text()), [_rule(judge)])


@pytest.mark.parametrize(
    "error", [AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, RecursionError]
)
def test_a_rule_that_fails_makes_the_scan_not_valid_and_says_nothing_of_values(error: type[Exception]) -> None:
    def judge(_: Case) -> Iterable[Fault]:
        raise error("hunter2")

    scan = _scan(judge, "a")

    assert scan.outcomes[0].verdict is Verdict.UNDECIDED
    assert scan.not_valid == (
        f"LB_TEST_9 on aws_vpc.a: the rule failed with {error.__name__}: this is a defect of lifeboat",
    )


def test_what_was_found_before_a_rule_fails_is_kept() -> None:
    def judge(case: Case) -> Iterable[Fault]:
        yield Fault(found=case.resource.name, wanted="x")
        raise ValueError("later")

    scan = _scan(judge, "a", "b")

    assert [one.found for one in scan.findings] == ["a", "b"]
    assert len(scan.not_valid) == 2
    assert scan.outcomes[0].verdict is Verdict.FINDINGS


def test_findings_come_by_severity_then_rule_then_address() -> None:
    def judge(case: Case) -> Iterable[Fault]:
        grave = {"a": Severity.LOW, "b": Severity.CRITICAL}.get(case.resource.name)
        yield Fault(found=case.resource.name, wanted="x", severity=grave)

    scan = _scan(judge, "d", "a", "b", "c")

    assert [one.found for one in scan.findings] == ["b", "c", "d", "a"]
    assert [one.found for one in scan.failing] == ["b", "c", "d"]


def test_a_finding_says_all_that_its_rule_says() -> None:
    def judge(_: Case) -> Iterable[Fault]:
        yield Fault(found="f", wanted="w", change="other", address=Address("elsewhere"))

    found = _scan(judge, "a").findings[0]

    assert (found.address, found.why, found.change, found.severity) == ("elsewhere", "w.", "other", Severity.HIGH)


def test_a_scan_of_a_plan_without_anything_to_protect_is_valid_and_says_so() -> None:
    scan = judging.scanned(reading.read(PlanFile().add("aws_vpc.this").text()))

    judged = [one.rule.id for one in scan.outcomes if one.verdict is not Verdict.ABSENT]
    assert judged == ["LB_TF_2"]
    assert scan.not_valid == ()
