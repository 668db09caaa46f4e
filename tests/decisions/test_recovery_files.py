"""A recovery file beside Terraform's state: what it says, and what it must say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import recovery_files
from lifeboat.decisions.recovery_files import InState


def state(
    *recorded: str, active: str, copied: set[str] | None = None, unprotected: frozenset[str] = frozenset()
) -> InState:
    return InState(
        recorded=recorded, copied=set(recorded) if copied is None else copied, unprotected=unprotected, active=active
    )


def text(active: str, **generations: dict[str, Any]) -> str:
    return json.dumps({"active_generation": active, "database_generations": generations})


NOT_COPIED = {"restored": True, "dr_copy": False}


@pytest.mark.parametrize(
    ("held", "known", "wanted"),
    [
        (None, state("g1", active="g1"), None),
        (text("g1", g1={}), state("g1", active="g1"), None),
        (None, state("g1", "g2", active="g2"), text("g2", g1={}, g2={"restored": True})),
        # The copy that the state has is no exception any more, and one that it has not stays one.
        (text("g2", g1={}, g2=NOT_COPIED), state("g1", "g2", active="g2"), text("g2", g1={}, g2={"restored": True})),
        (
            text("g2", g1={}, g2=NOT_COPIED),
            state("g1", "g2", active="g2", copied={"g1"}),
            text("g2", g1={}, g2=NOT_COPIED),
        ),
        # A retirement that was cut off before its apply has lifted no protection, one after it has.
        (
            text("g2", g1={"retiring": True}, g2={}),
            state("g1", "g2", active="g2"),
            text("g2", g1={}, g2={"restored": True}),
        ),
        (
            text("g2", g1={"retiring": True}, g2={"restored": True}),
            state("g1", "g2", active="g2", unprotected=frozenset({"g1"})),
            text("g2", g1={"retiring": True}, g2={"restored": True}),
        ),
        (
            text("g9", g9={}, g10={"restored": True}),
            state("g10", active="g10"),
            text("g10", g10={"restored": True}),
        ),
    ],
)
def test_the_file_is_written_as_the_state_says(held: str | None, known: InState, wanted: str | None) -> None:
    found = recovery_files.agreeing(held, known)

    assert (None if found is None else json.loads(found)) == (None if wanted is None else json.loads(wanted))


def test_what_it_says_of_the_instance_stays() -> None:
    held = json.dumps({"ami_id": "ami-1", **json.loads(text("g1", g1={}))})

    assert json.loads(recovery_files.agreeing(held, state("g1", active="g1")) or "") == {"ami_id": "ami-1"}


OPTIONS = st.fixed_dictionaries(
    {}, optional={"restored": st.just(True), "dr_copy": st.booleans(), "retiring": st.booleans()}
)
NAMES = st.sampled_from(["g1", "g2", "g3", "g10"])


@given(st.none() | st.tuples(NAMES, st.dictionaries(NAMES, OPTIONS)), st.sets(NAMES, min_size=1), st.data())
def test_a_file_that_is_written_agrees_and_takes_no_copy_and_no_protection_away(
    held: tuple[str, dict[str, Any]] | None, recorded: set[str], data: st.DataObject
) -> None:
    some = st.sets(st.sampled_from(sorted(recorded)))
    copied, unprotected = data.draw(some), data.draw(some)
    active = data.draw(st.sampled_from(sorted(recorded)))
    known = InState(recorded=recorded, copied=copied, unprotected=unprotected, active=active)

    wanted = recovery_files.agreeing(None if held is None else text(held[0], **held[1]), known)

    assert not recovery_files.differs(wanted, known)
    assert recovery_files.agreeing(wanted, known) == wanted
    document = json.loads(wanted or text("g1", g1={}))
    assert document["active_generation"] == active
    assert document["database_generations"].keys() == recorded
    for name, said in document["database_generations"].items():
        assert said.get("dr_copy", True) or name not in copied
        assert not said.get("retiring", False) or name in unprotected - {active}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "g1 (serves)"),
        (
            text("g2", g1={"retiring": True}, g2=NOT_COPIED),
            "g1 (being retired), g2 (serves, backups not copied to the other region)",
        ),
    ],
)
def test_it_is_told_in_words(held: str | None, said: str) -> None:
    assert recovery_files.said(held) == said
