"""Whose a history is, what is amiss with it, which run wrote which version, which version to go back to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import state_choice
from lifeboat.decisions.state_choice import choose
from lifeboat.decisions.state_history import (
    Fork,
    astray,
    backwards,
    fork,
    lineage,
    may_fork,
    signed,
    warnings,
    writers,
)
from lifeboat.model import RunId, StateMark
from lifeboat.state_model import (
    AtTime,
    BeforeRun,
    LatestGood,
    OneVersion,
    RunSpan,
    StateEntry,
    StateFacts,
    StateHistory,
    StateRoot,
    VersionId,
    WantedVersion,
    Whose,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OURS = Whose(environment="x", lineage=None)


def facts(serial: int, line: str = "ours", resources: int = 3, environment: str | None = "x") -> StateFacts:
    return StateFacts(
        serial=serial, lineage=line, terraform_version="1.11.4", resources=resources, environment=environment
    )


def entry(minute: int, what: StateFacts | str | None) -> StateEntry:
    """Return an entry that was written at a minute after noon: facts, None for a delete marker, a text for damage."""
    return StateEntry(
        version_id=VersionId(f"v{minute}"),
        written_at=NOON + timedelta(minutes=minute),
        latest=False,
        marker=what is None,
        size=None if what is None else 100,
        md5=None if what is None else f"md5-{minute}",
        facts=what if isinstance(what, StateFacts) else None,
        damage=what if isinstance(what, str) else None,
    )


def history(*oldest_first: StateFacts | str | None, digest: str | None = "", keeps: bool = True) -> StateHistory:
    """Return a history with the digest of the latest version, unless another one is said."""
    entries = [entry(minute, what) for minute, what in enumerate(oldest_first)]
    entries[-1:] = [replace(one, latest=True) for one in entries[-1:]]
    top = entries[-1].md5 if entries else None
    return StateHistory(
        root=StateRoot.STACK,
        bucket="b",
        key="k",
        region="r",
        entries=tuple(reversed(entries)),
        keeps_digest=keeps,
        digest=(top if digest == "" else digest) if keeps else None,
    )


# -- whose it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "remembered", "wanted"),
    [
        ([], None, None),
        (["cut", None], None, None),
        ([facts(1), facts(2), facts(1, "other")], None, "ours"),
        ([facts(1), facts(1, "other"), facts(2, "other")], None, "other"),
        ([facts(1), facts(1, "other")], None, "ours"),
        ([facts(1, "other"), facts(1)], None, "other"),
        ([facts(1), facts(2)], "known", "known"),
    ],
)
def test_the_lineage_is_the_remembered_one_else_that_of_most_versions(
    found: list[StateFacts | str | None], remembered: str | None, wanted: str | None
) -> None:
    assert lineage(history(*found).entries, Whose(environment="x", lineage=remembered)) == wanted


def test_each_lineage_counts_its_own_serials() -> None:
    found = history(facts(5), facts(1, "other"), facts(3), facts(2, "other"), "cut", facts(4), facts(6), facts(6))

    assert backwards(found.entries) == {"v2": 5, "v5": 5}


# -- whether it goes on from what is remembered --------------------------------------------------------------------------

KNOWN = StateMark(serial=9, lineage="ours", md5="md5-1")  # of the second version


@pytest.mark.parametrize(
    ("below", "may"),
    [
        (None, False),
        (facts(7), False),
        (facts(8), True),
        (facts(9), True),
        (facts(2, line="theirs"), True),
        ("not JSON", True),
    ],
)
def test_what_lies_below_the_remembered_state_tells_whether_the_history_has_to_be_read(
    below: StateFacts | str | None, *, may: bool
) -> None:
    known = StateMark(serial=8, lineage="ours", md5="m")

    assert may_fork(None if below is None else entry(1, below), known) is may


@pytest.mark.parametrize(
    ("serials", "kept", "other", "not_on_the_line"),
    [
        ([8, 9], None, None, []),
        ([8, 9, 10, 11], None, None, []),
        ([8, 9, 9], "v1", "v2", ["v2"]),  # written twice
        ([8, 9, 8, 9, 10], "v1", "v2", ["v2", "v3", "v4"]),  # an old one was put back, and gone on from
        ([8, 9, 10, 9, 10, 11], "v2", "v3", ["v3", "v4", "v5"]),
        ([9, 9], None, None, []),  # the other one of that serial was there before
    ],
)
def test_where_a_history_leaves_the_remembered_state_nothing_after_goes_on_from_it(
    serials: list[int], kept: str | None, other: str | None, not_on_the_line: list[str]
) -> None:
    entries = history(*map(facts, serials)).entries
    by_id = {entry.version_id: entry for entry in entries}

    found = fork(entries, KNOWN)

    wanted = None if other is None else Fork(kept=by_id[VersionId(str(kept))], other=by_id[VersionId(other)])
    assert found == wanted
    assert sorted(astray(entries, KNOWN)) == not_on_the_line
    if kept is not None:
        assert chosen(history(*map(facts, serials)), LatestGood(), replace(OURS, known=KNOWN))[0] == kept


def test_what_was_restored_of_the_right_line_is_on_it_again_and_nothing_else() -> None:
    entries = list(history(*map(facts, [8, 9, 8, 9, 10, 11, 12])).entries)
    right, wrong = (
        [replace(entries[0], version_id=VersionId("v7")), replace(entries[1], made_of=VersionId(made_of)), *entries[2:]]
        for made_of in ("v1", "v4")
    )

    assert (fork(right, KNOWN), sorted(astray(right, KNOWN))) == (None, ["v2", "v3", "v4"])
    assert fork(wrong, KNOWN) == Fork(kept=entries[5], other=entries[4])


@pytest.mark.parametrize(
    ("serials", "other"),
    [
        ([10, 11], None),  # it left by its age, with all before it
        ([7, 8], None),  # older ones alone: the state is behind, which is seen without its history
        ([8, 9, 10], "v1"),  # somebody went on from 8
    ],
)
def test_a_remembered_state_that_is_no_version_was_left_where_older_ones_are_there(
    serials: list[int], other: str | None
) -> None:
    entries = history(*map(facts, serials)).entries

    found = fork(entries, replace(KNOWN, md5="gone"))

    assert (None if found is None else (found.kept, found.other.version_id)) == (other and (None, other))


# -- what is amiss -----------------------------------------------------------------------------------------------------


def said(found: StateHistory, whose: Whose = OURS) -> list[str]:
    return [warning.what for warning in warnings(found, whose)]


def test_nothing_is_amiss_with_a_sound_history() -> None:
    assert said(history(facts(1), facts(2))) == []
    assert said(history(facts(1), None, facts(2), keeps=False)) == []


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (
            history(facts(1), None, digest="md5-0"),
            [
                "the state was deleted at 2026-03-01 12:01:00Z: a delete marker is the latest",
                "the digest is not that of the latest version, so every Terraform command is refused: it is of version v0",
            ],
        ),
        (
            history(facts(1), None, digest=None),
            ["the state was deleted at 2026-03-01 12:01:00Z: a delete marker is the latest"],
        ),
        (history(facts(1), "it is empty"), ["the latest version is no state that can be read: it is empty"]),
        (
            history(facts(1), facts(2), digest="else"),
            [
                "the digest is not that of the latest version, so every Terraform command is refused: it is of no version"
                " that is left"
            ],
        ),
        (
            history(facts(1), facts(2), digest=None),
            ["there is no digest, so Terraform takes whatever stands there"],
        ),
        (
            history(facts(1), facts(2), facts(1, "other")),
            ["version v2 is not this environment's: of another lineage (other, not ours)"],
        ),
        (
            history(facts(1), facts(2), facts(3, environment="y")),
            ["version v2 is not this environment's: of environment y"],
        ),
        (
            history(*(facts(9 - n) for n in range(6)), facts(9)),
            ["serials go backwards: 5 versions (v5, v4, v3 and 2 more) are behind one before (serial 4 after 9)"],
        ),
    ],
)
def test_what_is_amiss_is_said(found: StateHistory, wanted: list[str]) -> None:
    assert said(found) == wanted
    assert {warning.next for warning in warnings(found, OURS)} == {"lifeboat state doctor"}


def test_without_a_latest_entry_that_is_said() -> None:
    found = history(facts(1))
    torn = replace(found, entries=tuple(replace(one, latest=False) for one in found.entries))

    assert said(torn) == ["nothing stands on top: the state has older versions and no latest one"]


# -- who wrote it ------------------------------------------------------------------------------------------------------


def span(run: str, begun: int, ended: int | None, last: int | None = None, by: str | None = None) -> RunSpan:
    def at(minute: int) -> datetime:
        return NOON + timedelta(minutes=minute)

    return RunSpan(
        run=RunId(run),
        begun=at(begun),
        last=at(last if last is not None else ended if ended is not None else begun),
        ended=None if ended is None else at(ended),
        by=by,
    )


def test_a_version_is_of_the_run_in_whose_time_it_was_written() -> None:
    entries = history(*(facts(n) for n in range(8))).entries
    spans = [span("b", 3, 6), span("a", 1, 4), span("late", 100, 101)]

    found = writers(entries, spans, timedelta(hours=2))

    assert {version: one.run for version, one in found.items()} == {
        "v1": "a",
        "v2": "a",
        "v3": "b",
        "v4": "b",
        "v5": "b",
        "v6": "b",
    }


def test_a_run_that_never_ended_wrote_until_the_next_began_or_an_apply_is_over() -> None:
    entries = history(*(facts(n) for n in range(10))).entries

    until_next = writers(entries, [span("a", 1, None), span("b", 3, 3)], timedelta(hours=2))
    for_long = writers(entries, [span("a", 1, None, last=2)], timedelta(minutes=3))

    assert {version: one.run for version, one in until_next.items()} == {"v1": "a", "v2": "a", "v3": "b"}
    assert sorted(for_long) == ["v1", "v2", "v3", "v4", "v5"]


def test_the_second_in_which_a_run_began_is_its_own() -> None:
    at = NOON + timedelta(seconds=10)
    one = replace(entry(0, facts(1)), written_at=at)
    begun = replace(span("a", 0, 5), begun=at + timedelta(milliseconds=700))
    later = replace(begun, begun=at + timedelta(seconds=1))

    assert sorted(writers([one], [begun], timedelta(hours=1))) == ["v0"]
    assert writers([one], [later], timedelta(hours=1)) == {}


def test_who_says_himself_what_he_wrote_is_believed_and_others_are_asked_for() -> None:
    entries = history(facts(1), facts(2), facts(3), facts(4)).entries
    entries = tuple(replace(one, by="eva@laptop, run r") if one.version_id == "v0" else one for one in entries)
    spans = [span("a", 0, 1), span("b", 2, None, by="ops@ci")]
    asked: list[str] = []

    def who(run: RunId) -> str:
        asked.append(run)
        return "ann@desk"

    found = signed(entries, writers(entries, spans, timedelta(seconds=30)), who)

    assert [one.by for one in found] == [
        None,
        "unknown; ops@ci, run b, was begun and has not ended",
        "probably ann@desk, run a",
        "eva@laptop, run r",
    ]
    assert asked == ["a"]


def test_what_is_no_state_was_written_by_no_run() -> None:
    entries = tuple(replace(one, facts=None, damage="not JSON") for one in history(facts(1)).entries)

    assert writers(entries, [span("a", 0, None)], timedelta(hours=1)) == {}


# -- which one to go back to -------------------------------------------------------------------------------------------


def chosen(found: StateHistory, wanted: WantedVersion, whose: Whose = OURS) -> tuple[str | None, dict[str, str]]:
    choice = choose(found, wanted, whose)
    reasons = {str(judged.what.version_id): judged.why for judged in choice.rejected}
    return (None if choice.chosen is None else str(choice.chosen.version_id)), reasons


def test_the_latest_good_version_is_the_newest_sound_one_with_a_reason_for_each_other() -> None:
    found = history(
        facts(1),
        facts(2),
        facts(7),
        None,
        "not JSON: cut off at byte 9",
        facts(3),
        facts(1, "other"),
        facts(8, environment="y"),
    )

    assert chosen(found, LatestGood()) == (
        "v2",
        {
            "v7": "of environment y",
            "v6": "of another lineage (other, not ours)",
            "v5": "its serial 3 is lower than 7, which was written before it",
            "v4": "cannot be read: not JSON: cut off at byte 9",
            "v3": "a delete marker: it has no content",
            "v1": "older than v2",
            "v0": "older than v2",
        },
    )
    assert choose(found, LatestGood(), OURS).why == "the newest sound version of all"


def test_what_another_environment_put_there_makes_no_version_of_ours_an_old_one() -> None:
    found = history(facts(7), facts(50, environment="y"), facts(8))

    assert chosen(found, LatestGood())[0] == "v2"


def test_a_version_that_is_named_may_stand_behind_others_but_not_be_unfit() -> None:
    found = history(facts(7), facts(3), facts(1, "other"), None, "cut", facts(8))

    assert chosen(found, OneVersion(version_id=VersionId("v1")))[0] == "v1"
    assert chosen(found, OneVersion(version_id=VersionId("v1")))[1]["v5"] == "not the version that was asked for"
    for unfit, why in (
        ("v2", "of another lineage (other, not ours)"),
        ("v3", "a delete marker: it has no content"),
        ("v4", "cannot be read: cut"),
    ):
        version, reasons = chosen(found, OneVersion(version_id=VersionId(unfit)))
        assert (version, reasons[unfit]) == (None, why)
    absent = choose(found, OneVersion(version_id=VersionId("v99")), OURS)
    assert (absent.chosen, absent.why) == (None, "version v99 is not there, or not fit")


def test_at_a_time_only_what_was_written_by_then_counts() -> None:
    found = history(facts(1), facts(2), facts(3))

    version, reasons = chosen(found, AtTime(at=NOON + timedelta(minutes=1)))

    assert (version, reasons) == ("v1", {"v2": "written after 2026-03-01 12:01:00Z", "v0": "older than v1"})
    early = choose(found, AtTime(at=NOON - timedelta(seconds=1)), OURS)
    assert (early.chosen, early.why) == (None, "no version written by 2026-03-01 11:59:59Z is sound")


def test_before_a_run_the_second_in_which_it_began_is_too_late() -> None:
    found = history(facts(1), facts(2), facts(3))
    began = NOON + timedelta(minutes=1, milliseconds=400)

    version, reasons = chosen(found, BeforeRun(run=RunId("r"), began=began))

    assert (version, reasons) == (
        "v0",
        {"v2": "written after r began", "v1": "written in the second in which r began"},
    )
    clear = BeforeRun(run=RunId("r"), began=NOON + timedelta(minutes=1, seconds=1))
    assert chosen(found, clear)[0] == "v1"
    assert choose(found, clear, OURS).why == "the newest sound version written before r began at 2026-03-01 12:01:01Z"


def test_of_a_run_whose_journal_is_lost_it_is_said_by_which_clock_it_began() -> None:
    found = history(facts(1), facts(2))
    began = NOON + timedelta(minutes=1)

    by_name = choose(found, BeforeRun(run=RunId("r"), began=began, by_name="it is lost"), OURS)

    assert by_name.remarks == (
        "when r began its name alone says, by the clock of the machine that it ran on: it is lost",
    )
    assert choose(found, BeforeRun(run=RunId("r"), began=began), OURS).remarks == ()


def test_when_a_run_began_is_corrected_by_how_wrong_the_clock_of_its_machine_was() -> None:
    run, minute = RunId("r"), timedelta(minutes=1)
    ahead = NOON + 20 * minute  # as the machine tells it, that is 20 minutes ahead and wrote its first line after 3

    assert state_choice.before(run, ahead, (ahead + 3 * minute, NOON + 3 * minute)) == BeforeRun(run=run, began=NOON)
    assert state_choice.before(run, NOON, None).by_name == "its journal is not in the bucket"
    again = state_choice.before(run, NOON, (NOON, NOON + timedelta(days=2)))
    assert (again.began, again.by_name) == (NOON, "its journal was put there at 2026-03-03 12:00:00Z")


def test_the_remembered_lineage_decides_against_most_versions() -> None:
    found = history(facts(5), facts(1, "other"), facts(2, "other"))
    known = Whose(environment="x", lineage="ours")

    assert chosen(found, LatestGood(), known)[0] == "v0"
    assert chosen(found, LatestGood())[0] == "v2"
    assert chosen(found, LatestGood(), Whose(environment="x", lineage="gone"))[0] is None


def test_what_is_to_be_known_of_a_choice_is_said() -> None:
    counted = choose(history(facts(5), facts(6), facts(1, "other")), LatestGood(), OURS)
    empty = choose(history(facts(5), facts(6, resources=0)), LatestGood(), OURS)
    twice = choose(history(facts(6), facts(6)), LatestGood(), OURS)
    nothing = choose(history("cut"), LatestGood(), OURS)

    assert counted.remarks == (
        "nothing here remembers the lineage of x; 2 are in the history, and the one of most versions was taken for it",
    )
    assert empty.remarks == ("it has no resources, and another version has 3",)
    assert twice.remarks == ("serial 6 was written more than once, with other content: v0",)
    assert (nothing.chosen, nothing.why, nothing.remarks) == (None, "no version is sound", ())


anything = st.one_of(
    st.none(),
    st.just("cut"),
    st.builds(
        facts,
        st.integers(0, 6),
        st.sampled_from(["ours", "other"]),
        st.integers(0, 2),
        st.sampled_from([None, "x", "y"]),
    ),
)
wishes = st.one_of(
    st.just(LatestGood()),
    st.integers(0, 9).map(lambda n: OneVersion(version_id=VersionId(f"v{n}"))),
    st.integers(-1, 9).map(lambda n: AtTime(at=NOON + timedelta(minutes=n))),
    st.integers(-1, 9).map(lambda n: BeforeRun(run=RunId("r"), began=NOON + timedelta(minutes=n))),
)


@given(st.lists(anything, max_size=8), wishes, st.sampled_from([None, "ours", "other", "gone"]))
def test_of_any_history_all_entries_are_chosen_or_rejected_and_no_unfit_one_is_chosen(
    found: list[StateFacts | str | None], wanted: WantedVersion, remembered: str | None
) -> None:
    past, whose = history(*found), Whose(environment="x", lineage=remembered)

    choice = choose(past, wanted, whose)

    rejected = [judged.what for judged in choice.rejected]
    kept = [] if choice.chosen is None else [choice.chosen]
    assert sorted(one.version_id for one in [*kept, *rejected]) == sorted(one.version_id for one in past.entries)
    assert [one for one in past.entries if one in rejected] == rejected
    assert all(judged.why for judged in choice.rejected)
    for one in kept:
        assert one.facts is not None
        assert one.facts.lineage == lineage(past.entries, whose)
        assert one.facts.environment in (None, "x")
        if isinstance(wanted, AtTime):
            assert one.written_at <= wanted.at
        if isinstance(wanted, BeforeRun):
            assert one.written_at < wanted.began
        if isinstance(wanted, LatestGood):
            before = [
                other.facts.serial
                for other in past.entries
                if other.facts is not None
                and other.facts.lineage == one.facts.lineage
                and other.facts.environment in (None, "x")
                and other.written_at < one.written_at
            ]
            assert one.facts.serial >= max(before, default=0)
