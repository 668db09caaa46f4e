"""From what GitLab has to what it shall have, and back again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import variable_changes
from lifeboat.gitlab_model import ATTRIBUTES, Doing, Target, Variable, VariableChange, VariableName
from lifeboat.model import Secret

ENV = "production"
MARKED = f"managed-by: lifeboat/{ENV}"


def name(key: str = "KEY", scope: str = ENV) -> VariableName:
    return VariableName(key=key, scope=scope)


def variable(key: str = "KEY", value: str | None = "old-value", **more: object) -> Variable:
    return Variable(**{"name": name(key), "value": None if value is None else Secret(value), **more})  # type: ignore[arg-type]


def target(key: str = "KEY", value: str = "new-value", **more: object) -> Target:
    return Target(**{"name": name(key), "value": Secret(value), **more})  # type: ignore[arg-type]


# -- forward -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wanted", "doing", "attributes"),
    [
        (None, target(), Doing.CREATE, ATTRIBUTES),
        (variable(), target(), Doing.UPDATE, ("value",)),
        (variable(), target(value="old-value"), Doing.KEEP, ()),
        (variable(), target(value="old-value", attributes={"masked": True}), Doing.UPDATE, ("masked",)),
        (variable(), target(attributes={"raw": True, "protected": True}), Doing.UPDATE, ("value", "raw", "protected")),
        (variable(protected=True), target(value="old-value"), Doing.KEEP, ()),
        (variable(value=None, hidden=True, masked=True), target(), Doing.REWRITE, ("value",)),
        (
            variable(value=None, hidden=True, masked=True),
            target(attributes={"description": "x"}),
            Doing.REWRITE,
            ("value", "description"),
        ),
    ],
)
def test_only_what_differs_is_written(
    before: Variable | None, wanted: Target, doing: Doing, attributes: tuple[str, ...]
) -> None:
    plan = variable_changes.planned([wanted], [before] if before else [], ENV)

    assert [(c.doing, c.attributes) for c in plan.changes] == [(doing, attributes)]
    assert bool(plan.writes) is (doing is not Doing.KEEP)
    assert plan.differs is (doing not in (Doing.KEEP, Doing.REWRITE))


def test_a_variable_of_another_scope_is_neither_compared_nor_changed() -> None:
    other = replace(variable(), name=name(scope="staging"))

    plan = variable_changes.planned([target()], [other], ENV)

    assert [(str(c.name), c.doing) for c in plan.changes] == [("KEY (production)", Doing.CREATE)]
    assert plan.warnings == ("KEY (production): also in scope staging; jobs of production get this one",)


def test_what_is_made_hidden_is_masked_whatever_else_is_said() -> None:
    plan = variable_changes.planned([target(hidden=True, attributes={"masked": False})], [], ENV)

    assert plan.changes[0].after == variable(value="new-value", hidden=True, masked=True)


def test_pointers_come_last_and_what_cannot_be_put_back_just_before_them() -> None:
    wanted = [
        target("POINTER", pointer=True),
        target("HIDDEN"),
        target("PLAIN"),
        target("SECOND_POINTER", pointer=True),
        target("NEW"),
    ]
    current = [
        variable("HIDDEN", None, hidden=True),
        variable("PLAIN"),
        variable("GONE", description=MARKED),
        variable("GONE_UNSEEN", None, hidden=True, description=MARKED),
    ]

    plan = variable_changes.pruned(variable_changes.planned(wanted, current, ENV), current, ENV)

    assert [c.name.key for c in plan.changes] == [
        *("PLAIN", "NEW", "GONE", "HIDDEN", "GONE_UNSEEN"),
        *("POINTER", "SECOND_POINTER"),
    ]


def test_only_what_bears_the_marker_of_this_environment_is_pruned() -> None:
    current = [
        variable("OURS", description=MARKED),
        variable("WANTED", description=MARKED),
        variable("BY_HAND"),
        variable("OF_ANOTHER", description="managed-by: lifeboat/staging"),
    ]

    plan = variable_changes.pruned(variable_changes.planned([target("WANTED")], current, ENV), current, ENV)

    assert [c.name.key for c in plan.changes if c.doing is Doing.DELETE] == ["OURS"]


# -- what is there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (None, None, ""),
        (variable(), variable(), ""),
        (None, variable(), "is not there"),
        (variable(), None, "is still there"),
        (variable("KEY", "a"), variable("KEY", "b", masked=True), "has another value, masked"),
        (variable(value=None, hidden=True), variable(value="b", hidden=True), ""),
        (variable(value=None, hidden=True), variable(hidden=True, description="d"), "has another description"),
        (variable(), variable(hidden=True), "has another hidden"),
    ],
)
def test_what_is_not_as_it_was_to_be_is_named_without_its_value(
    found: Variable | None, expected: Variable | None, words: str
) -> None:
    assert variable_changes.unlike(found, expected) == words
    assert variable_changes.same(found, expected) is (words == "")


def test_what_was_missed_is_named_by_variable() -> None:
    plan = variable_changes.planned([target("A"), target("B")], [variable("B")], ENV)

    missed = variable_changes.missed(plan.changes, [variable("A", "new-value"), variable("B")])

    assert missed == ("B (production) has another value",)


# -- there and back ----------------------------------------------------------------------------------------------------

KEYS = st.sampled_from("ABCDE")
VALUES = st.sampled_from(["value-one", "value-two", "value-three"])
FLAGS = st.booleans()


@st.composite
def variables(draw: st.DrawFn, hidden: st.SearchStrategy[bool]) -> Variable:
    unseen = draw(hidden)
    return Variable(
        name=VariableName(key=draw(KEYS), scope=draw(st.sampled_from([ENV, "*", "staging"]))),
        value=None if unseen else Secret(draw(VALUES)),
        variable_type=draw(st.sampled_from(["env_var", "file"])),
        protected=draw(FLAGS),
        masked=unseen or draw(FLAGS),
        hidden=unseen,
        raw=draw(FLAGS),
        description=draw(st.sampled_from(["", "By hand", MARKED, "managed-by: lifeboat/staging"])),
    )


@st.composite
def targets(draw: st.DrawFn) -> Target:
    attributes = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "raw": FLAGS,
                "masked": st.just(True),
                "protected": FLAGS,
                "description": st.sampled_from(["d", MARKED]),
                "variable_type": st.sampled_from(["env_var", "file"]),
            },
        )
    )
    return Target(
        name=VariableName(key=draw(KEYS), scope=ENV),
        value=Secret(draw(VALUES)),
        attributes=attributes,
        pointer=draw(FLAGS),
    )


def states(hidden: st.SearchStrategy[bool]) -> st.SearchStrategy[list[Variable]]:
    return st.lists(variables(hidden), max_size=8, unique_by=lambda v: v.name)


WANTED = st.lists(targets(), max_size=5, unique_by=lambda t: t.name)


def applied(current: Iterable[Variable], changes: Iterable[VariableChange]) -> list[Variable]:
    """Return what a GitLab would have after these changes, which it makes attribute by attribute."""
    have = {v.name: v for v in current}
    for change in changes:
        if change.after is None:
            del have[change.name]
        elif change.before is None:
            assert change.name not in have
            have[change.name] = change.after
        else:
            written = {attribute: getattr(change.after, attribute) for attribute in change.attributes}
            have[change.name] = replace(have[change.name], **written)
    return [replace(v, value=None) if v.hidden else v for v in have.values()]


def as_set(current: Iterable[Variable]) -> dict[VariableName, Variable]:
    return {v.name: v for v in current}


@given(current=states(FLAGS), wanted=WANTED)
def test_after_the_changes_there_is_nothing_left_to_change(current: list[Variable], wanted: list[Target]) -> None:
    plan = variable_changes.planned(wanted, current, ENV)

    after = applied(current, plan.writes)

    assert variable_changes.missed(plan.changes, after) == ()
    again = variable_changes.planned(wanted, after, ENV)
    assert not again.differs
    assert {c.name for c in again.writes} <= {v.name for v in after if v.hidden}


@given(current=states(FLAGS), wanted=WANTED)
def test_variables_that_nobody_asked_for_stay_as_they_are(current: list[Variable], wanted: list[Target]) -> None:
    plan = variable_changes.planned(wanted, current, ENV)

    after = as_set(applied(current, plan.writes))

    asked = {t.name for t in wanted}
    assert {n: v for n, v in after.items() if n not in asked} == {v.name: v for v in current if v.name not in asked}


@given(current=states(FLAGS), wanted=WANTED)
def test_pruning_takes_away_what_bears_our_marker_and_nothing_else(
    current: list[Variable], wanted: list[Target]
) -> None:
    plan = variable_changes.pruned(variable_changes.planned(wanted, current, ENV), current, ENV)

    after = as_set(applied(current, plan.writes))

    asked = {t.name for t in wanted}
    gone = {v.name for v in current} - set(after)
    assert gone == {v.name for v in current if v.description == MARKED and v.name not in asked}
    assert variable_changes.pruned(plan, after.values(), ENV).changes == plan.changes


@given(current=states(st.just(False)), wanted=WANTED, kept=st.integers(0, 12))
def test_any_number_of_changes_taken_back_in_reverse_ends_where_it_began(
    current: list[Variable], wanted: list[Target], kept: int
) -> None:
    plan = variable_changes.pruned(variable_changes.planned(wanted, current, ENV), current, ENV)
    done = plan.writes[:kept]

    undone = [variable_changes.back(change) for change in reversed(done)]

    assert None not in undone
    assert not any(variable_changes.for_good(change) for change in done)
    assert as_set(applied(applied(current, done), [c for c in undone if c])) == as_set(current)


@given(current=states(FLAGS), wanted=WANTED)
def test_what_cannot_be_put_back_is_exactly_the_value_of_what_was_hidden(
    current: list[Variable], wanted: list[Target]
) -> None:
    plan = variable_changes.pruned(variable_changes.planned(wanted, current, ENV), current, ENV)

    for change in plan.writes:
        undo = variable_changes.back(change)

        hidden_before = change.before is not None and change.before.hidden
        assert variable_changes.for_good(change) is hidden_before
        assert undo is None or "value" not in undo.attributes or not hidden_before


@given(current=states(FLAGS), wanted=WANTED)
def test_no_plan_shows_a_value(current: list[Variable], wanted: list[Target]) -> None:
    plan = variable_changes.planned(wanted, current, ENV)

    assert "value-" not in f"{plan} {plan!r} {variable_changes.missed(plan.changes, current)}"
