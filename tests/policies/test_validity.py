"""Silence is never green: each way in which a scan can look at less than it should is a reason, and exit status 2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lifeboat.checkov_model import CheckovFinding, CheckovSkip
from lifeboat.decisions.policy import canary, judging, reading, validity
from lifeboat.decisions.policy.built_in import BuiltIn
from lifeboat.decisions.policy.registry import BY_ID, RULES
from lifeboat.decisions.policy.rule import Rule
from lifeboat.decisions.policy.validity import Evidence

from tests.policies.evidence import ENCRYPTED, TODAY, ran, seen, wrong
from tests.policies.plans import PlanFile

SKIP = CheckovSkip(rule="LB_RDS_1", address="aws_db_instance.this", reason="", file="main.tf", line=3)


def without(counts: dict[str, int], rule: str) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name != rule}


def test_a_scan_that_looked_at_everything_is_valid() -> None:
    assert validity.reasons(seen(wrong())) == ()
    assert validity.reasons(seen(wrong(), ran(wrong()))) == ()


def test_nothing_is_no_scan() -> None:
    assert validity.reasons(Evidence(looked=(), today=TODAY)) == ("nothing was looked at",)


def test_a_plan_that_no_rule_is_about_is_no_scan() -> None:
    bare = PlanFile().add("null_resource.x")

    assert validity.reasons(seen(bare)) == (
        "the plan holds nothing that a rule is about, so nothing was judged: is it the plan that was meant?",
    )
    both = (*seen(bare).looked, *seen(wrong()).looked)
    assert validity.reasons(replace(seen(bare), looked=both)) == ()


@pytest.mark.parametrize(
    ("over", "reasons"),
    [
        ({"problems": ("parse error: main.tf",)}, ["stack: checkov: parse error: main.tf"]),
        (
            {"resource_types": frozenset()},
            [
                "stack: checkov found no resource at all",
                "stack: checkov saw no aws_db_instance, of which the plan has 1",
                "stack: checkov saw no aws_kms_key, of which the plan has 1",
            ],
        ),
        (
            {"resource_types": frozenset({"aws_kms_key"})},
            ["stack: checkov saw no aws_db_instance, of which the plan has 1"],
        ),
        (
            {"evaluated": without(dict(ran(wrong()).evaluated), "LB_ENC_2")},
            ["stack: checkov did not have LB_ENC_2 among its checks: the pack was not loaded whole"],
        ),
        (
            {"evaluated": {**ran(wrong()).evaluated, "LB_RDS_1": 0}},
            ["stack: LB_RDS_1 is about 1 resource of the plan, and checkov asked it of none"],
        ),
        (
            {"evaluated": without(dict(ran(wrong()).evaluated), "CKV_AWS_16")},
            ["stack: checkov does not know CKV_AWS_16, which terraform/policies/builtin.toml asks for"],
        ),
        (
            {"skipped": (SKIP,)},
            [
                "stack: the comment in main.tf:3 keeps LB_RDS_1 from aws_db_instance.this without a reason:"
                " # checkov:skip=LB_RDS_1:REASON"
            ],
        ),
        (
            {"skipped": (replace(SKIP, reason="No comment provided"),)},
            [
                "stack: the comment in main.tf:3 keeps LB_RDS_1 from aws_db_instance.this without a reason:"
                " # checkov:skip=LB_RDS_1:REASON"
            ],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_checkov_did_not_look_at_is_a_reason(over: dict[str, Any], reasons: list[str]) -> None:
    assert list(validity.reasons(seen(wrong(), ran(wrong(), **over)))) == reasons


_ASKED_OF_NONE = {**ran(wrong()).evaluated, "CKV_AWS_16": 0}


def test_a_check_of_checkovs_own_that_was_asked_of_nothing_is_a_reason() -> None:
    assert validity.reasons(seen(wrong(), ran(wrong(), evaluated=_ASKED_OF_NONE))) == (
        "stack: CKV_AWS_16 is about 1 resource of the plan, and checkov asked it of none",
    )


def test_a_check_of_checkovs_own_that_cannot_tell_has_looked() -> None:
    run = ran(wrong(), evaluated=_ASKED_OF_NONE, abstained={"CKV_AWS_16": 1})

    assert validity.reasons(seen(wrong(), run)) == ()


def test_a_check_of_checkovs_own_about_nothing_that_is_there_is_none() -> None:
    plan = PlanFile().add("aws_efs_file_system.this")
    run = ran(plan, evaluated={**ran(plan).evaluated, "CKV_AWS_16": 0})

    assert [reason for reason in validity.reasons(seen(plan, run)) if "CKV_AWS_16" in reason] == []


@pytest.mark.parametrize("built_in", [(), (replace(ENCRYPTED, asked=False),)])
def test_a_list_that_asks_for_none_of_checkovs_own_checks_is_a_reason(built_in: tuple[BuiltIn, ...]) -> None:
    alone = seen(wrong(), built_in=built_in)
    whole = seen(wrong(), ran(wrong()), built_in=built_in)

    assert validity.reasons(alone) == ()
    assert validity.reasons(whole) == ("terraform/policies/builtin.toml asks for none of checkov's own checks",)


def test_what_fails_inside_checkov_alone_is_a_reason() -> None:
    one = CheckovFinding(
        rule="LB_RDS_5",
        address='aws_db_instance.this["a"]',
        file="main.tf",
        lines=(1, 2),
        found="x",
        source="plan",
    )

    assert validity.reasons(seen(wrong(), ran(wrong(), one))) == (
        "stack: LB_RDS_5 fails on aws_db_instance.this inside checkov, and not here: the two disagree",
    )


def test_what_fails_here_and_passes_inside_checkov_is_a_reason() -> None:
    whole = ran(wrong())
    blind = replace(whole, findings=tuple(one for one in whole.findings if one.rule != "LB_RDS_1"))

    assert validity.reasons(seen(wrong(), blind)) == (
        "stack: LB_RDS_1 fails on aws_db_instance.this here, and not inside checkov: the two disagree",
    )


def test_a_rule_that_was_not_asked_is_a_reason() -> None:
    evidence = seen(wrong())
    looked = evidence.looked[0]
    fewer = replace(looked.scan, outcomes=looked.scan.outcomes[1:])

    assert validity.reasons(replace(evidence, looked=(replace(looked, scan=fewer),))) == (
        "stack: LB_RDS_1 was not asked",
    )


def test_what_our_own_rules_could_not_judge_is_a_reason() -> None:
    evidence = seen(wrong())
    looked = evidence.looked[0]
    cut = replace(looked.scan, not_valid=("LB_RDS_1 on aws_db_instance.this: the rule failed with KeyError",))

    assert validity.reasons(replace(evidence, looked=(replace(looked, scan=cut),))) == (
        "stack: LB_RDS_1 on aws_db_instance.this: the rule failed with KeyError",
    )


def test_every_canary_sings() -> None:
    found = {one.rule for one in judging.scanned(reading.from_document(canary.BAD)).findings}

    assert list(canary.silent()) == []
    assert set(canary.MUST_FAIL) <= found


def test_a_rule_that_finds_nothing_wrong_with_the_canary_is_a_reason() -> None:
    blind = BY_ID["LB_RDS_1"]
    assert isinstance(blind, Rule)
    rules = tuple(replace(blind, judge=lambda _: ()) if rule is blind else rule for rule in RULES)

    assert validity.reasons(seen(wrong(), rules=rules)) == (
        "LB_RDS_1 finds nothing in a plan that is wrong on purpose, so the rules do not look",
    )
