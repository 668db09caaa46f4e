"""Events that are made up: the rule takes them, its message shows the test, and what cannot be made up is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifeboat.alarm_model import Ringer, Rule, Sort, Target
from lifeboat.decisions.synthetic_events import event
from lifeboat.errors import NothingFits
from localcloud.services.events import flattened
from moto.events.models import EventPattern

TEXT = "TEST run-0001, nothing happened"
EventPattern._flatten_dict = staticmethod(flattened)


def rule(pattern: Any, *targets: Target) -> Rule:
    ringer = Ringer(sort=Sort.RULE, region="eu-west-1", name="app-r")
    text = pattern if isinstance(pattern, str) else json.dumps({"source": ["aws.x", "lifeboat.test"], **pattern})
    return Rule(ringer=ringer, about="", enabled=True, pattern=text, targets=targets)


def made(pattern: dict[str, Any], *paths: str) -> dict[str, Any]:
    """Make an event up, see that the rule would take it, and return its detail."""
    target = Target(arn="arn:aws:sns:eu-west-1:1:t", paths=paths or None)
    one = rule(pattern, target)
    found = event(one, [target], TEXT)
    detail: dict[str, Any] = json.loads(found.detail)
    whole = {"source": "lifeboat.test", "detail-type": found.detail_type, "detail": detail, "account": "1"}
    matcher = EventPattern.load(one.pattern)
    assert matcher.matches_event({**whole, "resources": list(found.resources)})
    return detail


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (["FAILED", "ABORTED"], "FAILED"),
        ([3], 3),
        ([{"prefix": "a"}, "b"], "b"),
        ([{"prefix": "arn:"}], f"arn:{TEXT}"),
        ([{"anything-but": ["x", "y"]}], TEXT),
        ([{"anything-but": [0, 4]}], 5),
        ([{"anything-but": 0}], 1),
        ([{"exists": True}], TEXT),
        ([{"numeric": [">", 0, "<", 5]}], 2.5),
        ([{"numeric": [">=", 7]}], 8.0),
        ([{"numeric": ["=", 7]}], 7.0),
        ([{"numeric": ["<", 7]}], 6.0),
    ],
)
def test_each_condition_of_a_pattern_gets_a_value_that_it_takes(wanted: list[Any], value: Any) -> None:
    detail = made({"detail": {"state": wanted}})

    assert detail == {"state": value, "lifeboat.test": TEXT}


def test_what_must_not_exist_is_left_out() -> None:
    assert made({"detail": {"state": [{"exists": False}], "kind": ["a"]}}) == {"kind": "a", "lifeboat.test": TEXT}


def test_the_first_alternative_holds_beside_what_stands_with_it() -> None:
    detail = made(
        {"detail": {"status": ["STOPPED"], "$or": [{"why": ["a"]}, {"inner": {"code": [1]}}]}}, "$.detail.task"
    )

    assert detail == {"status": "STOPPED", "why": "a", "task": TEXT}


def test_the_text_stands_where_the_message_ends_and_a_mark_wherever_else_it_shows_something() -> None:
    detail = made(
        {"detail-type": ["A", "B"], "detail": {"name": ["Do"], "request": {"key": ["k"]}}},
        "$.region", "$.detail.user.arn", "$.detail.name", "$.detail.request.key", "$.detail.parts[0].code", "$.detail.why",
    )  # fmt: skip

    assert detail == {
        "name": "Do", "request": {"key": "k"}, "user": {"arn": "test"}, "parts": [{"code": "test"}], "why": TEXT,
    }  # fmt: skip


def test_two_targets_each_show_the_text() -> None:
    first, second = (Target(arn="arn:aws:sns:eu-west-1:1:t", paths=(f"$.detail.{name}", "$.detail.c")) for name in "ab")

    found = event(rule({"detail": {"s": ["x"]}}, first, second), [first, second], TEXT)

    assert json.loads(found.detail) == {"s": "x", "c": TEXT, "a": TEXT, "b": TEXT}


def test_a_resource_that_a_pattern_names_is_the_resource_of_the_event() -> None:
    target = Target(arn="arn:aws:sns:eu-west-1:1:t")

    found = event(rule({"resources": ["arn:aws:rds:eu-west-1:1:db:a"]}, target), [target], TEXT)

    assert (found.resources, found.detail_type) == (("arn:aws:rds:eu-west-1:1:db:a",), "lifeboat test")


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (rule("{", Target(arn="t")), "its pattern is not JSON"),
        (rule({"source": ["aws.kms"]}, Target(arn="t")), "does not take events of lifeboat.test, only of aws.kms"),
        (rule({"source": [{"prefix": "aws."}]}, Target(arn="t")), 'only of {"prefix": "aws."}'),
        (rule({"detail": {"a": []}}, Target(arn="t")), "an empty list"),
        (rule({"detail": {"a": [{"cidr": "10.0.0.0/8"}]}}, Target(arn="t")), 'the condition {"cidr": "10.0.0.0/8"}'),
        (rule({"detail": {"a": [{"anything-but": {"prefix": "x"}}]}}, Target(arn="t")), "the condition"),
        (rule({"detail": {"a": ["b"]}}, Target(arn="t", constant=True)), "the same whatever happened"),
        (rule({"detail": {"a": ["b"]}}, Target(arn="t", paths=("$.detail.a", "$.region"))), "no test can be told apart"),
        (rule({"detail": {"a": ["b"]}}, Target(arn="t", paths=("$.detail.a.deeper",))), "no test can be told apart"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_made_up_is_told_with_the_reason(one: Rule, says: str) -> None:
    with pytest.raises(NothingFits) as refused:
        event(one, one.targets, TEXT)

    assert says in refused.value.summary
