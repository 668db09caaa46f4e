"""Whom a bucket's policy leaves out of what it keeps everybody from: judged by its effect, not by the names of statements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifeboat.decisions.policy.planned import Undecided
from lifeboat.decisions.state_guard_checks import denied

BUCKET = "app-tfstate"
BREAK_GLASS = "arn:aws:iam::123456789012:role/app-break-glass"
EACH = "s3:DeleteObjectVersion"


def statement(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": [EACH],
        "Resource": [f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": [BREAK_GLASS]}},
    }
    return {name: value for name, value in {**given, **more}.items() if value is not None}


def left_out(*statements: dict[str, Any]) -> frozenset[str] | None:
    return denied(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), BUCKET).get(EACH)


def but(*names: str, operator: str = "ArnNotLike", key: str = "aws:PrincipalArn") -> dict[str, Any]:
    return {operator: {key: list(names)}}


@pytest.mark.parametrize(
    ("more", "who"),
    [
        ({}, {BREAK_GLASS}),
        ({"Principal": {"AWS": "*"}}, {BREAK_GLASS}),
        ({"Action": "s3:*"}, {BREAK_GLASS}),
        ({"Action": "S3:deleteobjectversion"}, {BREAK_GLASS}),
        ({"Resource": "*"}, {BREAK_GLASS}),
        ({"Resource": f"arn:aws:s3:::{BUCKET}*"}, {BREAK_GLASS}),
        ({"Condition": None}, set()),
        ({"Condition": but(BREAK_GLASS, "arn:aws:iam::1:user/eva")}, {BREAK_GLASS, "arn:aws:iam::1:user/eva"}),
        ({"Condition": but("arn:aws:iam::*:role/break-glass-*")}, {"arn:aws:iam::*:role/break-glass-*"}),
        ({"Condition": but(BREAK_GLASS, operator="StringNotEquals", key="aws:principalarn")}, {BREAK_GLASS}),
    ],
)
def test_all_but_those_that_it_names_are_denied(more: dict[str, Any], who: set[str]) -> None:
    assert left_out(statement(**more)) == who


@pytest.mark.parametrize(
    "more",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": BREAK_GLASS}},
        {"Principal": None, "NotPrincipal": {"AWS": BREAK_GLASS}},
        {"Action": "s3:DeleteObject"},
        {"Action": None, "NotAction": "s3:GetObject"},
        {"Resource": f"arn:aws:s3:::{BUCKET}"},
        {"Resource": f"arn:aws:s3:::{BUCKET}/other/*"},
        {"Resource": "arn:aws:s3:::another/*"},
        {"Condition": but("*")},
        {"Condition": but(BREAK_GLASS, "arn:aws:iam::*:*")},
        {"Condition": but("arn:aws:iam::123456789012:role/*")},
        {"Condition": but(BREAK_GLASS, "arn:aws:iam::123456789012:user/*")},
        {"Condition": but(BREAK_GLASS, key="aws:SourceArn")},
        {"Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"Condition": {**but(BREAK_GLASS), "Bool": {"aws:SecureTransport": "false"}}},
        {"Condition": {"ArnLike": {"aws:PrincipalArn": BREAK_GLASS}}},
    ],
    ids=lambda more: json.dumps(more)[:60],
)
def test_what_denies_it_only_to_some_of_some_or_under_a_condition_keeps_nobody_from_it(more: dict[str, Any]) -> None:
    assert left_out(statement(**more)) is None


def test_of_two_statements_each_denies_so_only_whom_both_leave_out_may() -> None:
    other = statement(Condition=but(BREAK_GLASS, "arn:aws:iam::1:user/eva"))
    pattern = statement(Condition=but("arn:aws:iam::*:role/*-break-glass"))

    assert left_out(statement(), other) == {BREAK_GLASS}
    assert left_out(statement(), pattern) == {BREAK_GLASS}
    assert left_out(statement(), statement(Condition=None)) == set()


def test_of_users_of_any_name_a_disposable_environment_leaves_out_who_may_change_its_protection() -> None:
    names = [BREAK_GLASS, "arn:aws:iam::123456789012:user/*"]
    one = statement(Action="s3:PutBucketVersioning", Resource=f"arn:aws:s3:::{BUCKET}", Condition=but(*names))

    assert denied(json.dumps({"Statement": [one]}), BUCKET) == {"s3:PutBucketVersioning": set(names)}


def test_what_is_done_to_the_bucket_is_denied_by_a_statement_of_the_bucket() -> None:
    policy = json.dumps({"Statement": statement(Action="s3:Put*", Resource=f"arn:aws:s3:::{BUCKET}")})

    assert set(denied(policy, BUCKET)) == {
        "s3:PutBucketVersioning",
        "s3:PutBucketPolicy",
        "s3:PutReplicationConfiguration",
    }


def test_without_a_policy_nothing_is_denied_and_what_is_none_is_not_judged() -> None:
    assert denied(None, BUCKET) == {}
    with pytest.raises(Undecided):
        denied("[]", BUCKET)
