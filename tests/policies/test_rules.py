"""Each rule on a good plan, a bad one, and the nearest ones on both sides of its thresholds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from lifeboat.decisions.policy import reading
from lifeboat.decisions.policy.backup_plans import VAULTS
from lifeboat.decisions.policy.coverage import BACKUP_TYPES
from lifeboat.decisions.policy.databases import DATABASES
from lifeboat.decisions.policy.exposure import SHARED
from lifeboat.decisions.policy.judging import outcome
from lifeboat.decisions.policy.keys import HOLDERS, KEYS
from lifeboat.decisions.policy.parameters import of
from lifeboat.decisions.policy.protection import POLICIES
from lifeboat.decisions.policy.registry import BY_ID, RULES
from lifeboat.decisions.policy.rule import AnyRule, Severity, Verdict

from tests.policies.cases import CASES
from tests.policies.cases.case import RuleCase
from tests.policies.plans import outcome as verdicts


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_rule_says_of_a_plan_what_is_so(case: RuleCase) -> None:
    plan = reading.read(case.plan.text())

    ended = outcome(BY_ID[case.rule], plan, of(plan.variables))

    said = [one.found for one in ended.findings] or [one.why for one in ended.unjudged]
    assert (ended.verdict, tuple(said)) == (case.verdict, case.found)


def test_each_rule_has_good_plans_and_bad_ones_of_more_than_one_kind() -> None:
    seen = Counter((case.rule, case.verdict) for case in CASES)

    missing = [
        (rule.id, verdict.value)
        for rule in RULES
        for verdict in (Verdict.CLEAN, Verdict.FINDINGS)
        if seen[rule.id, verdict] < 2
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
        "LB_RDS": 7,
        "LB_COV": 3,
        "LB_PLAN": 5,
        "LB_DLM": 2,
        "LB_VAULT": 3,
        "LB_TEST": 2,
        "LB_STATE": 4,
        "LB_DUMP": 3,
        "LB_ALARM": 5,
        "LB_ENC": 2,
        "LB_SNAP": 1,
        "LB_SEC": 1,
        "LB_REC": 2,
        "LB_TF": 2,
    }


def test_a_rule_is_about_types_that_the_provider_has() -> None:
    # Written by `terraform providers schema -json` of provider 5.100.0: the names of its resources.
    there = set((Path(__file__).parent / "schemas" / "aws_5.100.0.txt").read_text(encoding="utf-8").split())

    named = {kind for rule in RULES for kind in rule.types}

    assert named - there == set()


def test_a_plan_may_lose_nothing_that_another_rule_knows_to_hold_or_make_copies() -> None:
    refused = set(BY_ID["LB_TF_2"].types)

    known = {*BACKUP_TYPES, *KEYS, *HOLDERS, *SHARED, *POLICIES, *VAULTS, *DATABASES}

    # Instances are replaced in every recovery.
    assert known - refused == {"aws_instance"}


def test_what_lies_in_another_part_of_a_bucket_and_an_alarm_that_waits_a_little_fail_no_scan() -> None:
    cases = {case.id: case for case in CASES}

    severities = {
        one.severity
        for name in (
            "LB_STATE_3: another part of the bucket",
            "LB_DUMP_1: another part of the bucket",
            "LB_ALARM_2: an hour more of it",
        )
        for one in verdicts(cases[name].plan, cases[name].rule).findings
    }

    assert severities == {Severity.MEDIUM}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_says_why_and_what_to_change_in_whole_sentences(rule: AnyRule) -> None:

    assert rule.why.endswith(".")
    assert rule.why.count(". ") == 0
    assert rule.change.endswith(".")
    assert rule.controls
    assert rule.severity in Severity
