"""A password that stands in the code is one, by whatever way it comes to the database; how it is told shows nothing of it."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.rule import Finding, Severity, Verdict

from tests.policies.plans import PlanFile, known

_SECRET = "hunter2-canary"


def _document(**configuration: Any) -> dict[str, Any]:
    values = {"identifier": "app", "password": known(_SECRET, "var.password")}
    document = PlanFile().add("aws_db_instance.this", values).document()
    document["configuration"]["root_module"] |= configuration
    return document


def _found(document: dict[str, Any]) -> list[Finding]:
    return [one for one in judging.scanned(reading.from_document(document)).findings if one.rule == "LB_SEC_1"]


@pytest.mark.parametrize(
    "configuration",
    [
        {"variables": {"password": {"default": _SECRET}}},
        {"variables": {"database": {"default": {"users": [{"password": _SECRET}]}}}},
        {"module_calls": {"database": {"expressions": {"password": {"constant_value": _SECRET}}, "module": {}}}},
        {"module_calls": {"database": {"module": {"variables": {"password": {"default": _SECRET}}}}}},
    ],
    ids=["a default", "a part of one", "an argument of a module", "a module's own default"],
)
def test_a_password_that_stands_in_the_code_is_grave(configuration: dict[str, Any]) -> None:
    (found,) = _found(_document(**configuration))

    assert (found.severity, found.found) == (
        Severity.HIGH,
        "the database's password stands in the configuration",
    )
    assert _SECRET not in repr(found)


def test_a_password_that_is_given_to_the_plan_is_told() -> None:
    (found,) = _found(_document(variables={"password": {"default": "another"}, "size": {"default": 3}}))

    assert found.severity is Severity.MEDIUM


def test_a_password_of_which_the_configuration_says_nothing_is_one() -> None:
    document = _document()
    (written,) = document["configuration"]["root_module"]["resources"]
    del written["expressions"]["password"]

    ended = {one.rule.id: one.verdict for one in judging.scanned(reading.from_document(document)).outcomes}

    assert ended["LB_SEC_1"] is Verdict.FINDINGS
