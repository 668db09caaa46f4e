"""What an export holds, and what putting one back changes."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import variable_changes, variable_exports
from lifeboat.decisions.variable_exports import Own, Reach
from lifeboat.gitlab_model import Doing, Export, Variable, VariableName
from lifeboat.model import Secret

from tests.decisions.test_variable_changes import applied, as_set, states

EMPTY = Export(environment="production", project="p", taken_at=datetime(2025, 3, 1, tzinfo=UTC), variables=())
OWN = Own(environment="production", asked=frozenset())


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


def asking(*names: tuple[str, str]) -> Own:
    return Own(environment="production", asked=frozenset(VariableName(key=key, scope=scope) for key, scope in names))


def test_what_the_file_asks_for_is_in_an_export_whatever_its_scope() -> None:
    current = [variable("A", "production/eu"), variable("B", "production/eu")]

    done = variable_exports.exported(EMPTY, current, asking(("A", "production/eu")))

    assert [str(v.name) for v in done.variables] == ["A (production/eu)"]


def test_what_the_file_asks_for_is_left_to_a_sync() -> None:
    export = variable_exports.exported(EMPTY, [variable("EC2_INSTANCE_ID", value="i-0dead"), variable("OWN")], OWN)
    now = [variable("EC2_INSTANCE_ID", value="i-0alive")]

    done = variable_exports.put_back(export, now, asking(("EC2_INSTANCE_ID", "production")), Reach.OWN)

    assert [str(change.name) for change in done.plan.writes] == ["OWN (production)"]
    assert done.plan.warnings == (
        "left to a sync, which writes them from their own source: EC2_INSTANCE_ID (production)",
    )
    assert done.shared == ()


def test_one_variable_that_the_file_writes_for_all_does_not_make_all_of_them_its_own() -> None:
    export = variable_exports.exported(EMPTY, [variable("MINE", "*"), variable("THEIRS", "*")], OWN)

    done = variable_exports.put_back(export, [], asking(("MINE", "*")), Reach.OWN)

    assert done.plan.writes == ()
    assert [str(name) for name in done.shared] == ["THEIRS (*)"]


@given(before=states(st.booleans()), after=states(st.booleans()))
def test_putting_back_gives_what_was_exported_and_leaves_everything_else(
    before: list[Variable], after: list[Variable]
) -> None:
    export = variable_exports.exported(EMPTY, before, OWN)

    done = variable_exports.put_back(export, after, OWN, Reach.SHARED)

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
    assert not variable_exports.put_back(export, result.values(), OWN, Reach.SHARED).plan.differs


@given(before=states(st.just(False)), after=states(st.just(False)))
def test_own_and_shared_variables_together_are_all_that_differ(before: list[Variable], after: list[Variable]) -> None:
    export = variable_exports.exported(EMPTY, before, OWN)

    own = variable_exports.put_back(export, after, OWN, Reach.OWN)
    every = variable_exports.put_back(export, after, OWN, Reach.SHARED)

    assert {c.name for c in own.plan.writes} | set(own.shared) == {c.name for c in every.plan.writes}
    assert {c.name.scope for c in own.plan.writes} <= {"production"}
    assert variable_changes.missed(own.plan.changes, applied(after, own.plan.writes)) == ()
