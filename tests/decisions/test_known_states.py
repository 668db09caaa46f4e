"""What is remembered of a state outside it counts before what stands there, whatever that is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import known_states
from lifeboat.decisions.known_states import Amiss, Purpose, Stood
from lifeboat.model import StateMark
from lifeboat.state_model import KnownState, Memory, StateRoot, VersionId

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def mark(serial: int, lineage: str = "a", md5: str = "") -> StateMark:
    return StateMark(serial=serial, lineage=lineage, md5=md5 or f"{lineage}{serial}")


def there(serial: int, lineage: str = "a", md5: str = "") -> KnownState:
    return KnownState(mark=mark(serial, lineage, md5), at=AT, by="eva@laptop", run="r", account="1")


MARKS = st.builds(mark, st.integers(0, 4), st.sampled_from("ab"), st.sampled_from(["", "x"]))
KNOWN = st.builds(KnownState, mark=MARKS, at=st.just(AT), by=st.just("e"), run=st.just("r"), account=st.just("1"))
SOUGHT = st.one_of(st.none(), MARKS)


# -- which memory counts, and what contradicts it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "counts", "said"),
    [
        (Memory(), None, "nothing is remembered of it"),
        (Memory(here=mark(3)), mark(3), "this machine remembers serial 3 of lineage a"),
        (
            Memory(there=there(4)),
            mark(4),
            "the other region remembers serial 4 of lineage a, written down at 2026-03-01 03:00:00Z by eva@laptop (run r)",
        ),
        # What this machine found sound and could not write down there.
        (Memory(here=mark(5), there=there(4)), mark(5), "this machine remembers serial 5 of lineage a"),
        # Somebody agreed to another lineage on another machine.
        (
            Memory(here=mark(9, "b"), there=there(4)),
            mark(4),
            "the other region remembers serial 4 of lineage a, written down at 2026-03-01 03:00:00Z by eva@laptop (run r)",
        ),
    ],
)
def test_the_other_regions_lineage_counts_and_the_higher_serial_of_it(
    memory: Memory, counts: StateMark | None, said: str
) -> None:
    assert (known_states.counting(memory), known_states.remembers(memory)) == (counts, said)


@pytest.mark.parametrize(
    ("top", "memory", "amiss"),
    [
        (None, Memory(), None),
        (mark(1), Memory(), None),
        (None, Memory(here=mark(3)), Amiss.GONE),
        (None, Memory(there=there(3)), Amiss.GONE),
        (mark(3), Memory(here=mark(3)), None),
        (mark(4), Memory(here=mark(3), there=there(3)), None),
        (mark(2), Memory(there=there(3)), Amiss.BEHIND),
        (mark(3), Memory(here=mark(4), there=there(3)), Amiss.BEHIND),
        (mark(3, md5="x"), Memory(there=there(3)), Amiss.ANOTHER),
        (mark(9, "b"), Memory(there=there(3)), Amiss.FOREIGN),
        (mark(9, "b"), Memory(here=mark(3)), Amiss.FOREIGN),
        (mark(3), Memory(here=mark(9, "b"), there=there(3)), None),
    ],
)
def test_a_state_that_is_gone_foreign_or_older_contradicts_what_is_remembered(
    top: StateMark | None, memory: Memory, amiss: Amiss | None
) -> None:
    assert known_states.amiss(top, memory) is amiss


@given(top=SOUGHT, here=SOUGHT, known=st.one_of(st.none(), KNOWN))
def test_what_passes_is_the_state_that_counts_or_one_that_goes_on_from_it(
    top: StateMark | None, here: StateMark | None, known: KnownState | None
) -> None:
    counts = known_states.counting(Memory(here=here, there=known))

    if counts is not None and known_states.amiss(top, Memory(here=here, there=known)) is None:
        assert top is not None
        assert top == counts or (top.lineage == counts.lineage and top.serial > counts.serial)


# -- what is said --------------------------------------------------------------------------------------------------------

GONE = Stood(
    env="x",
    root=StateRoot.STACK,
    url="s3://b/k",
    top=None,
    how="the state s3://b/k is gone",
    bucket=True,
    forget="rm -f known",
)
BACK = {
    "versions": (replace(GONE, versions=True, copies=True), "lifeboat state restore --latest-good -e x"),
    "copies": (replace(GONE, copies=True), "lifeboat state restore --from-replica -e x"),
    "nothing": (GONE, "lifeboat state rebuild -e x"),
    "of root 1": (
        replace(GONE, root=StateRoot.BACKEND, versions=True),
        "lifeboat state restore --latest-good --root state -e x",
    ),
    "nothing of root 1": (
        replace(GONE, root=StateRoot.BACKEND),
        "lifeboat apply -e x finds what root 1 made by its names, and asks before it begins a new state of it",
    ),
    "no bucket": (
        replace(GONE, bucket=False, copies=True),
        "lifeboat state doctor -e x names what makes the bucket again, empty, and what puts the state into it",
    ),
}


@pytest.mark.parametrize(("stood", "command"), BACK.values(), ids=BACK)
def test_a_state_that_is_gone_is_told_with_what_is_remembered_and_the_command_that_brings_it_back(
    stood: Stood, command: str
) -> None:
    memory = Memory(there=there(7))

    comes_of = (
        "a plan would make everything a second time"
        if stood.root is StateRoot.STACK
        else "a plan would take all that root 1 made for new"
    )
    assert known_states.refusal(stood, memory, Amiss.GONE) == (
        f"the state s3://b/k is gone, and {known_states.remembers(memory)}: {comes_of}",
        command,
    )


@pytest.mark.parametrize(
    ("stood", "comes_of"),
    [
        (replace(GONE, damaged=True, digest=True), "Terraform cannot read it, and plans nothing"),
        (replace(GONE, digest=True), "Terraform plans nothing while the digest of what is gone is left"),
        (GONE, "a plan would make everything a second time"),
    ],
    ids=["damaged", "with its digest", "without"],
)
def test_that_a_plan_would_make_everything_anew_is_said_only_where_terraform_would(stood: Stood, comes_of: str) -> None:
    told = [
        known_states.refusal(stood, Memory(there=there(7)), Amiss.GONE),
        known_states.left_over(stood, Purpose.RECOVER),
    ]

    assert all(summary.endswith(f": {comes_of}") for summary, _ in told)


def test_both_lineages_and_both_serials_are_named_and_what_makes_this_machine_forget() -> None:
    memory, known = Memory(here=mark(7)), "this machine remembers serial 7 of lineage a"
    tops = {
        Amiss.FOREIGN: mark(9, "b"),
        Amiss.BEHIND: mark(3),
        Amiss.ANOTHER: mark(7, md5="x"),
        Amiss.FORKED: mark(8),
    }
    stood = replace(GONE, kept=VersionId("v7"), other=VersionId("v7x"))

    said = {amiss: known_states.refusal(replace(stood, top=top), memory, amiss) for amiss, top in tops.items()}

    restore, forget = "lifeboat state restore", "; where this machine remembers the wrong one: rm -f known"
    assert said == {
        Amiss.FOREIGN: (
            f"the state s3://b/k has serial 9 of lineage b, and {known}: it is not the state of x",
            f"{restore} --latest-good -e x puts our own on top again; where the other lineage is the right one:"
            f" lifeboat state list -e x, then {restore} VERSION --allow-lineage -e x{forget}",
        ),
        Amiss.BEHIND: (
            f"the state s3://b/k has serial 3 of lineage a, and {known}: it is an older one, which does not know what was"
            " made since",
            f"{restore} --latest-good -e x{forget}",
        ),
        Amiss.ANOTHER: (
            f"the state s3://b/k has serial 7 of lineage a, and {known}: that serial was written twice, and this is not the"
            " state that was found sound",
            f"{restore} v7 -e x{forget}",
        ),
        Amiss.FORKED: (
            f"the state s3://b/k has serial 8 of lineage a, and {known}: it does not go on from that: version v7x was"
            " written by somebody who did not know what came before",
            f"{restore} v7 -e x{forget}",
        ),
    }


@pytest.mark.parametrize(
    ("copy", "command"),
    [
        (VersionId("v7"), "lifeboat state restore v7 --from-replica -e x"),
        (None, "lifeboat state doctor -e x; lifeboat state list -e x shows every version"),
    ],
)
def test_a_remembered_state_that_is_no_version_any_more_is_looked_for_in_the_other_region(
    copy: VersionId | None, command: str
) -> None:
    stood = replace(GONE, top=mark(8), other=VersionId("v7x"), copy=copy)

    assert known_states.refusal(stood, Memory(there=there(7)), Amiss.FORKED)[1] == command


def test_a_first_apply_of_what_is_remembered_is_refused_in_words() -> None:
    gone, sound = replace(GONE, versions=True), replace(GONE, top=mark(7))

    said = [known_states.refused_first(stood, Memory(there=there(7))) for stood in (gone, sound)]

    assert {summary for summary, _ in said} == {
        f"x was applied before: {known_states.remembers(Memory(there=there(7)))}"
    }
    assert [hint for _, hint in said] == ["lifeboat state restore --latest-good -e x", "lifeboat apply -e x"]


@pytest.mark.parametrize(
    ("purpose", "offered"), [(Purpose.APPLY, True), (Purpose.PLAN, True), (Purpose.RECOVER, False)]
)
def test_a_first_apply_is_offered_only_to_who_applies(purpose: Purpose, offered: bool) -> None:
    summary, hint = known_states.left_over(replace(GONE, versions=True, traces=True), purpose)

    assert summary == "the state s3://b/k is gone: a plan would make everything a second time"
    assert hint.startswith("lifeboat state restore --latest-good -e x")
    assert ("lifeboat apply --first-apply -e x" in hint) is offered


@pytest.mark.parametrize(
    ("let_pass", "serial", "lineage", "said"),
    [
        (mark(7), 7, "a", None),
        (mark(7), 8, "a", None),  # what a killed apply left was saved in between, by this one
        (mark(7), 0, "", "serial 7 of lineage a stood there, and the plan was made with no state at all"),
        (mark(7), 6, "a", "serial 7 of lineage a stood there, and the plan was made of serial 6 of lineage a"),
        (mark(7), 9, "b", "serial 7 of lineage a stood there, and the plan was made of serial 9 of lineage b"),
        (None, 0, "", None),
        (None, 3, "a", None),
    ],
)
def test_a_plan_is_of_the_state_that_was_let_pass_or_of_one_after_it(
    let_pass: StateMark | None, serial: int, lineage: str, said: str | None
) -> None:
    assert known_states.planned_from_another(let_pass, serial, lineage) == said


# -- what is written down --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "kept", "agreed"),
    [
        (None, None, None),
        (there(6), None, None),
        (there(8), "serial 8 is remembered there, and 7 is older", "serial 8 is remembered there, and 7 is older"),
        (
            there(7, md5="x"),
            "another state of serial 7 is remembered there",
            "another state of serial 7 is remembered there",
        ),
        (
            there(3, "b"),
            "lineage b is remembered there, and another one, a, only takes its place when somebody agreed to it",
            None,
        ),
    ],
)
def test_a_serial_never_goes_back_and_another_lineage_is_agreed_to(
    found: KnownState | None, kept: str | None, agreed: str | None
) -> None:
    assert known_states.forbidden(found, mark(7)) == kept
    assert known_states.forbidden_if_agreed(found, mark(7)) == agreed


@given(st.lists(MARKS, max_size=12))
def test_whatever_is_to_be_written_down_the_serial_of_the_lineage_only_grows(marks: list[StateMark]) -> None:
    kept: list[StateMark] = []
    for one in marks:
        last = there(kept[-1].serial, kept[-1].lineage, kept[-1].md5) if kept else None
        if (last is None or last.mark != one) and known_states.forbidden(last, one) is None:
            kept.append(one)

    assert len({one.lineage for one in kept}) <= 1
    assert [one.serial for one in kept] == sorted({one.serial for one in kept})
