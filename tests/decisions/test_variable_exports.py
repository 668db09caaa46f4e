"""What an export holds, and what putting one back changes."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import variable_changes, variable_exports
from lifeboat.gitlab_model import Doing, Export, Variable, VariableName
from lifeboat.model import Secret

from tests.decisions.test_variable_changes import applied, as_set, states

EMPTY = Export(environment="production", project="p", taken_at=datetime(2025, 3, 1, tzinfo=UTC), variables=())
OWN = {"production"}


def variable(key: str, scope: str = "production", value: str | None = "some-value") -> Variable:
    secret = None if value is None else Secret(value)
    return Variable(name=VariableName(key=key, scope=scope), value=secret, hidden=value is None, masked=value is None)


def test_an_export_holds_what_jobs_of_the_environment_can_see_in_order() -> None:
    current = [
        variable("B", "*"),
        variable("A", "prod*"),
        variable("C", "staging"),
        variable("A"),
        variable("SECRET", value=None),
        variable("HIDDEN_ELSEWHERE", "staging", value=None),
    ]

    done = variable_exports.exported(EMPTY, current, OWN)

    assert [str(v.name) for v in done.variables] == ["A (prod*)", "A (production)", "B (*)"]
    assert [str(name) for name in done.hidden] == ["SECRET (production)"]


def test_a_scope_that_the_file_writes_to_counts_as_its_own() -> None:
    done = variable_exports.exported(EMPTY, [variable("A", "production/eu")], {"production", "production/eu"})

    assert [str(v.name) for v in done.variables] == ["A (production/eu)"]


@given(before=states(st.booleans()), after=states(st.booleans()))
def test_putting_back_gives_what_was_exported_and_leaves_everything_else(
    before: list[Variable], after: list[Variable]
) -> None:
    export = variable_exports.exported(EMPTY, before, OWN)

    done = variable_exports.put_back(export, after, None, ())

    result = as_set(applied(after, done.plan.writes))
    exported = {v.name for v in export.variables}
    assert {n: v for n, v in result.items() if n not in exported} == {
        n: v for n, v in as_set(after).items() if n not in exported
    }
    for wanted in export.variables:
        found = result[wanted.name]
        assert found == wanted or found.hidden
    assert done.shared == ()
    assert not any(change.doing is Doing.DELETE for change in done.plan.changes)
    assert not variable_exports.put_back(export, result.values(), None, ()).plan.differs


@given(before=states(st.just(False)), after=states(st.just(False)))
def test_own_and_shared_variables_together_are_all_that_differ(before: list[Variable], after: list[Variable]) -> None:
    export = variable_exports.exported(EMPTY, before, OWN)

    own = variable_exports.put_back(export, after, OWN, ())
    every = variable_exports.put_back(export, after, None, ())

    assert {c.name for c in own.plan.writes} | set(own.shared) == {c.name for c in every.plan.writes}
    assert {c.name.scope for c in own.plan.writes} <= OWN
    assert variable_changes.missed(own.plan.changes, applied(after, own.plan.writes)) == ()
