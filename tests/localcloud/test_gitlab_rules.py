"""The pure rules of the local GitLab against their definitions: masks, scopes, conditions, statuses."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localcloud.gitlab import ci_rules, scopes
from localcloud.gitlab.job_variables import JobVariable, expanded
from localcloud.gitlab.masking import MASKED, Mask, can_be_masked
from localcloud.gitlab.processing import composite

# -- masking -----------------------------------------------------------------------------------------------------------

NARROW = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=/@:.~-"
MIXED = st.one_of(st.text(), st.text(alphabet=NARROW), st.text(alphabet=NARROW + " \n\t$"))


@given(MIXED)
def test_without_raw_a_value_is_maskable_with_eight_or_more_of_the_narrow_letters_alone(value: str) -> None:
    assert can_be_masked({"value": value, "raw": False}) == (len(value) >= 8 and set(value) <= set(NARROW))


@given(MIXED)
def test_with_raw_a_value_is_maskable_with_eight_or_more_letters_and_no_blank(value: str) -> None:
    assert can_be_masked({"value": value, "raw": True}) == (
        len(value) >= 8 and re.search(r"\s", value, re.ASCII) is None
    )


@given(MIXED)
def test_what_is_maskable_without_raw_is_so_with_it(value: str) -> None:
    assert can_be_masked({"value": value, "raw": True}) or not can_be_masked({"value": value, "raw": False})


SECRETS = st.lists(st.text(alphabet="abAB", min_size=8, max_size=12), min_size=1, max_size=3)


@given(SECRETS, st.lists(st.text(alphabet="abAB -", max_size=20)), st.data())
def test_no_secret_gets_through_however_the_output_is_cut(secrets: list[str], texts: list[str], data: Any) -> None:
    whole = "".join(text + data.draw(st.sampled_from(["", *secrets])) for text in texts).encode()
    mask, shown, at = Mask(secrets), b"", 0

    while at < len(whole):
        size = data.draw(st.integers(1, 7))
        shown += mask.hide(whole[at : at + size])
        at += size
    shown += mask.rest()

    assert [secret for secret in secrets if secret.encode() in shown] == []


@given(st.lists(st.text(alphabet="xyz \n", max_size=20)))
def test_output_without_secrets_is_shown_as_it_is(texts: list[str]) -> None:
    mask = Mask(["secret-value"])

    shown = b"".join(mask.hide(text.encode()) for text in texts) + mask.rest()

    assert shown == "".join(texts).encode()


def test_the_longer_of_two_secrets_leaves_no_end_behind() -> None:
    mask = Mask(["canary-1", "canary-1-and-more"])

    assert mask.hide(b"<canary-1-and-more> <canary-1>") + mask.rest() == b"<" + MASKED + b"> <" + MASKED + b">"


# -- scopes ------------------------------------------------------------------------------------------------------------

NAMES = st.text(alphabet="ab/-.", min_size=1, max_size=8)
SCOPES = st.text(alphabet="ab/-.*", min_size=1, max_size=8)


def matches_slowly(scope: str, name: str) -> bool:
    """Return whether a scope covers a name, by trying every way that each * can go."""
    if not scope:
        return not name
    if scope[0] == "*":
        return any(matches_slowly(scope[1:], name[cut:]) for cut in range(len(name) + 1))
    return bool(name) and name[0] == scope[0] and matches_slowly(scope[1:], name[1:])


@given(SCOPES, NAMES)
def test_a_star_stands_for_any_letters_and_nothing_else_is_special(scope: str, name: str) -> None:
    assert scopes.matches(scope, name) == matches_slowly(scope, name)


@given(SCOPES)
def test_a_job_without_environment_sees_the_star_alone(scope: str) -> None:
    assert scopes.matches(scope, None) == (scope == "*")


@given(st.lists(SCOPES, unique=True), NAMES)
def test_the_exact_scope_wins_then_the_longest_that_matches(found: list[str], name: str) -> None:
    variables = [{"id": n, "key": "K", "environment_scope": scope} for n, scope in enumerate(found)]

    chosen = scopes.for_environment(variables, name).get("K")

    fitting = [scope for scope in found if matches_slowly(scope, name)]
    if not fitting:
        assert chosen is None
    else:
        assert chosen is not None
        scope = chosen["environment_scope"]
        assert (
            scope == name
            if name in fitting
            else len(scope) == max(len(s) if s != "*" else 0 for s in fitting) or (scope == "*" and fitting == ["*"])
        )


# -- conditions --------------------------------------------------------------------------------------------------------

SEEN = {"REF": "main", "EMPTY": "", "TAG": "v1.2", "PATTERN": "/^ma/", "OTHER": "main"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$REF", True),
        ("$EMPTY", False),
        ("$UNSET", False),
        ('$REF == "main"', True),
        ("$REF == 'main'", True),
        ("$REF == $OTHER", True),
        ('$REF != "main"', False),
        ('$UNSET == ""', False),
        ("$UNSET == null", True),
        ("$EMPTY == null", False),
        ('$EMPTY == ""', True),
        ("$TAG =~ /^v\\d+/", True),
        ("$TAG =~ /^V/i", True),
        ("$TAG !~ /^x/", True),
        ("$REF =~ $PATTERN", True),
        ("$UNSET =~ /x/", False),
        ("$UNSET !~ /x/", True),
        ("$REF =~ /a\\/b|main/", True),
        ('$REF == "main" && $TAG', True),
        ("$UNSET || $TAG", True),
        ("$UNSET || $EMPTY && $TAG", False),
        ("$TAG || $UNSET && $EMPTY", True),
        ('($TAG || $UNSET) && $REF == "other"', False),
        ('  $REF=="main"  ', True),
    ],
)
def test_a_condition_means_what_gitlab_says(text: str, expected: bool) -> None:
    assert ci_rules.holds(text, SEEN) is expected


@pytest.mark.parametrize(
    "text", ["", "   ", "${REF}", "REF", "$REF ==", "== $REF", "$A $B", "($A", "$A)", "$A =~ /[/", "$A = 'x'", "!$A"]
)
def test_what_gitlab_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(ci_rules.BadExpression):
        ci_rules.parsed(text)


# -- values ------------------------------------------------------------------------------------------------------------


def test_values_use_each_other_unless_raw_and_a_circle_is_empty() -> None:
    variables = {
        "A": JobVariable(value="<$B>"),
        "B": JobVariable(value="${C}$$C"),
        "C": JobVariable(value="$A-c", raw=True),
        "LOOP": JobVariable(value="x${LOOP}y"),
        "UNKNOWN": JobVariable(value="a${NOWHERE}b$1"),
    }

    assert expanded(variables) == {"A": "<$A-c$C>", "B": "$A-c$C", "C": "$A-c", "LOOP": "xy", "UNKNOWN": "ab$1"}


# -- statuses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        (["success", "success"], "success"),
        (["success", "skipped"], "success"),
        (["skipped"], "skipped"),
        (["success", "failed"], "failed"),
        (["success", "failed?"], "success"),
        (["success", "manual?"], "success"),
        (["manual?"], "skipped"),
        (["success", "manual"], "manual"),
        (["success", "canceled"], "canceled"),
        (["failed", "canceled"], "failed"),
        (["created", "created"], "created"),
        (["success", "created"], "running"),
        (["pending", "created"], "pending"),
        (["success", "pending"], "running"),
        (["running", "failed"], "running"),
        (["success", "waiting_for_resource"], "waiting_for_resource"),
        ([], None),
    ],
)
def test_the_status_of_several_jobs(jobs: list[str], expected: str | None) -> None:
    """A question mark marks jobs that may fail."""
    assert composite([{"status": j.rstrip("?"), "allow_failure": j.endswith("?")} for j in jobs]) == expected
