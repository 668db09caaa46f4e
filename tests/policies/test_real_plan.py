"""A plan that Terraform itself made: the rules read it as they read those of the other tests."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.rule import Scan, Severity, Standing, Verdict
from lifeboat.decisions.policy.wholeness import Wholeness, wholeness

from tests.modules.conftest import terraform as terraform  # noqa: PLC0414 (a fixture)
from tests.modules.test_stack_plan import Stack
from tests.modules.test_stack_plan import stack as stack  # noqa: PLC0414 (a fixture)
from tests.policies.plans import PlanFile, later
from tests.policies.seeded import STACK, Defect


@pytest.fixture(scope="module")
def production(stack: Stack) -> dict[str, Any]:
    """The plan of production, as for its first apply."""
    return stack.planned("production")


@pytest.fixture(scope="module")
def judged(production: dict[str, Any]) -> Scan:
    """What the rules say of it."""
    return judging.scanned(reading.from_document(production), standing=Standing.TO_BUILD)


def test_production_has_no_grave_finding(judged: Scan) -> None:
    assert [(one.rule, one.address, one.found) for one in judged.failing] == []
    assert judged.not_valid == ()


def test_what_the_first_apply_will_tell_is_the_policies_of_the_dumps_and_a_key_behind_a_dynamic_block(
    judged: Scan,
) -> None:
    assert {one.split(" on ")[0] for one in judged.put_off} == {"LB_DUMP_2", "LB_ENC_1"}


def test_what_is_left_is_known(judged: Scan) -> None:
    # A restored application host would start and write to the database in service: only the database's restores are tested.
    assert [(one.rule, one.severity, one.found) for one in judged.findings] == [
        ("LB_TEST_1", Severity.MEDIUM, "EC2 is backed up, and no restore of it is ever tested")
    ]


def test_each_rule_is_about_something_but_for_the_state_that_is_another_root_s(judged: Scan) -> None:
    absent = {one.rule.id for one in judged.outcomes if one.verdict is Verdict.ABSENT}

    assert absent == {"LB_COV_2", "LB_STATE_1", "LB_STATE_2", "LB_STATE_3", "LB_STATE_4", "LB_SNAP_1"}


@pytest.mark.parametrize("defect", STACK, ids=lambda defect: defect.id)
def test_a_defect_is_found_by_the_rules_that_should_and_by_no_other(
    production: dict[str, Any], judged: Scan, defect: Defect
) -> None:
    plan = copy.deepcopy(production)
    defect.seed(plan)

    scan = judging.scanned(reading.from_document(plan), standing=Standing.TO_BUILD)

    known = {(one.rule, one.address, one.found) for one in judged.findings}
    found = [one for one in scan.findings if (one.rule, one.address, one.found) not in known]
    assert {one.rule for one in found} == defect.rules
    assert scan.not_valid == ()
    assert "hunter2-canary" not in repr(scan.findings)


def test_a_whole_plan_that_does_not_say_so_is_taken_for_no_part(production: dict[str, Any]) -> None:
    older = {key: value for key, value in production.items() if key != "complete"}

    assert wholeness(production) is Wholeness.WHOLE
    assert wholeness(older) is Wholeness.UNTOLD


def _shape(document: Any) -> Any:
    """Return which parts a document has, without what stands in them."""
    if isinstance(document, Mapping):
        return {key: _shape(value) for key, value in document.items()}
    return [_shape(document[0])] if isinstance(document, list) and document else type(document).__name__


def test_the_plans_of_the_other_tests_have_the_shape_of_this_one(production: dict[str, Any]) -> None:
    built = PlanFile().add("aws_sns_topic.primary", {"name": "app-production-alarms"})
    built.add("aws_sns_topic_policy.primary", {"arn": later("aws_sns_topic.primary.arn")})
    built.check("var", "var.x", "pass")
    document = json.loads(built.text())

    assert document.keys() <= production.keys() | {"timestamp"}
    for part in ("resource_changes", "checks"):
        assert document[part][0].keys() <= production[part][0].keys(), part
    real, ours = (
        next(one for one in plan["resource_changes"] if one["type"] == "aws_sns_topic_policy")
        for plan in (production, document)
    )
    assert ours["change"]["after_unknown"].items() <= real["change"]["after_unknown"].items()
    written = production["configuration"]["root_module"]["module_calls"]["backup_alarms"]["module"]["resources"]
    real_block = next(one for one in written if one["address"] == "aws_sns_topic_policy.primary")
    our_block = next(
        one for one in document["configuration"]["root_module"]["resources"] if one["type"] == "aws_sns_topic_policy"
    )
    assert our_block.keys() <= real_block.keys()
    assert our_block["expressions"]["arn"] == real_block["expressions"]["arn"]
    assert _shape(document["checks"][0]["address"]).keys() <= _shape(production["checks"][0]["address"]).keys()
