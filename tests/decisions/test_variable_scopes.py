"""Which of several variables of one key a job gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import variable_scopes
from lifeboat.gitlab_model import Target, Variable, VariableName
from lifeboat.model import Secret
from localcloud.gitlab import scopes


@pytest.mark.parametrize(
    ("scope", "environment", "covered"),
    [
        ("*", "production", True),
        ("production", "production", True),
        ("production", "production/eu", False),
        ("production/*", "production/eu", True),
        ("prod*", "production", True),
        ("*/eu", "production/eu", True),
        ("prod.ction", "production", False),
        ("staging", "production", False),
    ],
)
def test_a_scope_covers_an_environment_by_name_or_wildcard(scope: str, environment: str, covered: bool) -> None:
    assert variable_scopes.covers(scope, environment) is covered


@pytest.mark.parametrize(
    ("ours", "others", "words"),
    [
        ("production", ["*"], "also in scope *; jobs of production get this one"),
        ("production", ["staging", "*"], "also in scope *, staging; jobs of production get this one"),
        ("*", ["production"], "also in scope production; jobs of production get the one of scope production instead"),
        ("prod*", ["p*"], "also in scope p*; jobs of production get this one"),
        ("p*", ["prod*"], "also in scope prod*; jobs of production get the one of scope prod* instead"),
        ("staging", ["review"], "also in scope review; jobs of production get none of them"),
    ],
)
def test_another_scope_with_the_key_is_told_with_the_one_that_counts(ours: str, others: list[str], words: str) -> None:
    target = Target(name=VariableName(key="KEY", scope=ours), value=Secret("v"))
    current = [
        Variable(name=VariableName(key=key, scope=scope), value=Secret("v"))
        for key, scope in [("KEY", ours), *(("KEY", other) for other in others), ("OTHER", "*")]
    ]

    told = variable_scopes.collisions([target], current, "production")

    assert told == (f"KEY ({ours}): {words}",)


def test_a_key_in_one_scope_alone_is_not_worth_a_word() -> None:
    target = Target(name=VariableName(key="KEY", scope="production"), value=Secret("v"))
    current = [Variable(name=VariableName(key="OTHER", scope="*"), value=Secret("v"))]

    assert variable_scopes.collisions([target], current, "production") == ()


@given(found=st.lists(st.text("ab/*", min_size=1, max_size=4), min_size=1, max_size=6, unique=True))
def test_the_one_that_counts_is_the_one_that_the_server_gives_a_job(found: list[str]) -> None:
    current = [Variable(name=VariableName(key="KEY", scope=scope), value=Secret("v")) for scope in found]
    target = Target(name=current[0].name, value=Secret("v"))
    served = scopes.for_environment(
        [{"id": n, "key": "KEY", "environment_scope": scope} for n, scope in enumerate(found)], "ab"
    )

    told = "".join(variable_scopes.collisions([target], current, "ab"))

    given_one = served["KEY"]["environment_scope"] if served else None
    lengths = [len(scope) for scope in found if variable_scopes.covers(scope, "ab")]
    if len(found) == 1:
        assert told == ""
    elif given_one is None:
        assert told.endswith("jobs of ab get none of them")
    elif lengths.count(len(given_one)) == 1:  # two wildcards of one length: neither side documents which counts
        mine = given_one == target.name.scope
        assert told.endswith(
            "jobs of ab get this one" if mine else f"jobs of ab get the one of scope {given_one} instead"
        )
