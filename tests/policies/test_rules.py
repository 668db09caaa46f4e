"""Each rule on a good plan, a bad one, and the nearest ones on both sides of its thresholds."""

from __future__ import annotations

from collections import Counter

import pytest
from lifeboat.decisions.policy import reading
from lifeboat.decisions.policy.judging import outcome
from lifeboat.decisions.policy.parameters import of
from lifeboat.decisions.policy.registry import BY_ID, RULES
from lifeboat.decisions.policy.rule import AnyRule, Severity, Verdict

from tests.policies.cases import CASES
from tests.policies.cases.case import RuleCase


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_rule_says_of_a_plan_what_is_so(case: RuleCase) -> None:
    plan = reading.read(case.plan.text())

    ended = outcome(BY_ID[case.rule], plan, of(plan.variables))

    said = [one.found for one in ended.findings] or [one.why for one in ended.unjudged]
    assert (ended.verdict, tuple(said)) == (case.verdict, case.found)


def test_each_rule_has_a_good_plan_and_a_bad_one() -> None:
    seen = Counter((case.rule, case.verdict) for case in CASES)

    missing = [
        (rule.id, verdict.value)
        for rule in RULES
        for verdict in (Verdict.CLEAN, Verdict.FINDINGS)
        if not seen[rule.id, verdict]
    ]

    assert missing == []


def test_each_rule_has_a_plan_that_it_is_not_about() -> None:
    # LB_TF_2 is about every plan that changes anything.
    seen = {case.rule for case in CASES if case.verdict is Verdict.ABSENT}

    assert {rule.id for rule in RULES} - seen == {"LB_TF_2"}


def test_the_cases_have_names_of_their_own() -> None:
    assert [name for name, count in Counter(case.id for case in CASES).items() if count > 1] == []


def test_the_rules_are_those_of_the_table() -> None:
    counts = Counter(rule.id.rpartition("_")[0] for rule in RULES)

    assert counts == {
        "LB_RDS": 6,
        "LB_COV": 3,
        "LB_PLAN": 5,
        "LB_DLM": 2,
        "LB_VAULT": 3,
        "LB_TEST": 2,
        "LB_STATE": 4,
        "LB_DUMP": 2,
        "LB_ALARM": 4,
        "LB_ENC": 2,
        "LB_SNAP": 1,
        "LB_SEC": 1,
        "LB_REC": 2,
        "LB_TF": 2,
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_says_why_and_what_to_change_in_whole_sentences(rule: AnyRule) -> None:

    assert rule.why.endswith(".")
    assert rule.why.count(". ") == 0
    assert rule.change.endswith(".")
    assert rule.controls
    assert rule.severity in Severity
