"""When which generation of the database served, from journals and from when instances were made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.database_model import Served
from lifeboat.decisions import service_times
from lifeboat.decisions.service_times import served
from lifeboat.model import Event, EventKind

EVER = datetime.min.replace(tzinfo=UTC)
DAY_0 = datetime(2026, 3, 1, tzinfo=UTC)
Line = tuple[float, EventKind, str, dict[str, Any]]


def at(hours: float) -> datetime:
    return DAY_0 + timedelta(hours=hours)


def journal(*lines: Line) -> Sequence[Event]:
    """Return the lines of a journal as (hours since the beginning, kind, step, data)."""
    return [
        Event(seq=n, at=at(hours), kind=kind, step=step, text="", data=data)
        for n, (hours, kind, step, data) in enumerate(lines, start=1)
    ]


def chosen(hours: float, new: int, old: int) -> list[Line]:
    names = {"identifier": f"app-g{new}", "old_identifier": f"app-g{old}"}
    return [(hours, EventKind.BEGUN, "", {}), (hours, EventKind.NOTE, "copy", names)]


def adopted(hours: float, new: int, old: int) -> list[Line]:
    """Return the lines of a recovery that begins its adoption an hour after its own begin, and ends it another hour later."""
    return [
        *chosen(hours, new, old),
        (hours + 1, EventKind.INTENT, "adopt", {}),
        (hours + 2, EventKind.RESULT, "adopt", {"database": f"app-g{new}"}),
    ]


def recovered(hours: float, new: int, old: int) -> Sequence[Event]:
    """Return the journal of a whole recovery: its switch begins one hour after its own begin, and takes two."""
    started = {"restarted_for": f"app-g{new}"}
    return journal(*adopted(hours, new, old), (hours + 3, EventKind.NOTE, "restart", started))


@pytest.mark.parametrize(
    ("serving", "made", "recoveries", "expected"),
    [
        # The first generation needs neither journals nor anything that is left of it.
        ("app-g1", {}, [], [("app-g1", EVER, None)]),
        ("app-g1", {"app-g1": at(-9), "other-g7": at(1), "app-g1-old": at(1)}, [], [("app-g1", EVER, None)]),
        ("somebodys", {"app-g1": at(-9), "somebodys": at(1)}, [], [("somebodys", EVER, None)]),
        # Made long before it serves: what counts is the switch, and of the time that it takes nobody knows.
        (
            "app-g2",
            {"app-g1": at(-9), "app-g2": at(0.5)},
            [recovered(0, 2, 1)],
            [("app-g1", EVER, at(1)), ("app-g2", at(3), None)],
        ),
        # Instance and backups of the serving one are gone: the journal knows.
        ("app-g2", {"app-g1": at(-9)}, [recovered(0, 2, 1)], [("app-g1", EVER, at(1)), ("app-g2", at(3), None)]),
        (
            "app-g3",
            {},
            [recovered(10, 3, 2), recovered(0, 2, 1)],
            [("app-g1", EVER, at(1)), ("app-g2", at(3), at(11)), ("app-g3", at(13), None)],
        ),
        # No journal at all: from when it was made on; with nothing left of it, nobody knows.
        ("app-g2", {"app-g2": at(0)}, [], [("app-g1", EVER, at(0)), ("app-g2", at(0), None)]),
        ("app-g2", {"app-g1": at(-9)}, [], []),
        ("app-g3", {"app-g3": at(0)}, [], [("app-g3", at(0), None)]),
        # The journal of g2 is gone, and g3's says that it served; or that of a generation in between is, and nothing is left.
        (
            "app-g3",
            {"app-g2": at(0)},
            [recovered(10, 3, 2)],
            [("app-g1", EVER, at(0)), ("app-g2", at(0), at(11)), ("app-g3", at(13), None)],
        ),
        ("app-g3", {"app-g1": at(-9)}, [recovered(10, 3, 2)], [("app-g3", at(13), None)]),
        # Restored and given up before anything was adopted: it never served, however long a copy of it stays.
        (
            "app-g1",
            {"app-g2": at(0)},
            [journal(*chosen(0, 2, 1), (1, EventKind.ENDED, "", {}))],
            [("app-g1", EVER, None)],
        ),
        # Somebody else's: whether it ever served, nobody knows.
        ("app-g1", {"app-g2": at(0)}, [], [("app-g1", EVER, at(0))]),
        # Given up in the middle of the adoption, which is refused where the secret leads to the new one.
        (
            "app-g1",
            {},
            [journal(*chosen(0, 2, 1), (1, EventKind.INTENT, "adopt", {}), (5, EventKind.ENDED, "", {}))],
            [("app-g1", EVER, at(1)), ("app-g1", at(5), None)],
        ),
        (
            "app-g1",
            {},
            [
                journal(
                    *chosen(0, 2, 1), (1, EventKind.INTENT, "adopt", {}), (2, EventKind.RESULT, "adopt", {"error": "x"})
                )
            ],
            [("app-g1", EVER, at(1))],
        ),
        # Cut off before the application was started anew: it may go on with the old one.
        ("app-g2", {}, [journal(*adopted(0, 2, 1))], [("app-g1", EVER, at(1))]),
        (
            "app-g2",
            {},
            [journal(*adopted(0, 2, 1), (4, EventKind.DONE, "answers", {}))],
            [("app-g1", EVER, at(1)), ("app-g2", at(4), None)],
        ),
        # Cut off before the result was written down; the next attempt found it adopted.
        (
            "app-g2",
            {},
            [
                journal(
                    *chosen(0, 2, 1),
                    (1, EventKind.INTENT, "adopt", {}),
                    (6, EventKind.HOLDS, "adopt", {}),
                    (7, EventKind.NOTE, "restart", {"restarted_for": "app-g2"}),
                )
            ],
            [("app-g1", EVER, at(1)), ("app-g2", at(7), None)],
        ),
        # Somebody set the serving generation back by hand: since when, nobody knows.
        ("app-g1", {}, [recovered(0, 2, 1)], [("app-g1", EVER, at(1))]),
        # The name came back after nothing was left of the first that bore it.
        (
            "app-g2",
            {},
            [recovered(20, 2, 3), recovered(10, 3, 2), recovered(0, 2, 1)],
            [
                ("app-g1", EVER, at(1)),
                ("app-g2", at(3), at(11)),
                ("app-g3", at(13), at(21)),
                ("app-g2", at(23), None),
            ],
        ),
    ],
)
def test_who_served_when_is_told_by_the_journals_and_else_by_when_an_instance_was_made(
    serving: str,
    made: dict[str, datetime],
    recoveries: list[Sequence[Event]],
    expected: list[tuple[str, datetime, datetime | None]],
) -> None:
    found = served(serving, made, recoveries)

    assert [(one.instance, one.since, one.until) for one in found] == expected


@pytest.mark.parametrize(
    ("recoveries", "to", "enough"),
    [
        ([], None, False),
        ([recovered(10, 3, 2)], None, True),
        ([recovered(10, 3, 2)], at(12), True),
        ([recovered(10, 3, 2)], at(5), False),
        ([recovered(10, 3, 2), recovered(0, 2, 1)], at(5), True),
        ([journal(*adopted(10, 3, 2))], None, False),
        ([journal(*chosen(10, 3, 2))], None, False),
        (
            [journal(*chosen(10, 3, 2), (11, EventKind.INTENT, "adopt", {}), (12, EventKind.ENDED, "", {}))],
            None,
            False,
        ),
    ],
)
def test_no_older_journal_is_read_than_that_of_the_switch_before_the_moment(
    recoveries: list[Sequence[Event]], to: datetime | None, enough: bool
) -> None:
    assert service_times.settled(recoveries, to) is enough


# Each recovery switches from the generation before; at some its journal is gone, or it is cut off.
PASTS = st.lists(st.tuples(st.integers(4, 50), st.sampled_from(["whole", "gone", "cut off"])), max_size=5)


@given(past=PASTS, left=st.sets(st.integers(1, 6)), hour=st.integers(-5, 300))
def test_whatever_is_known_no_time_is_that_of_two_and_none_contradicts_what_really_was(
    past: list[tuple[int, str]], left: set[int], hour: int
) -> None:
    begun: list[float] = [float("-inf")]
    recoveries: list[Sequence[Event]] = []
    made = {"app-g1": at(-100)}
    hours = 0.0
    for number, (wait, what) in enumerate(past, start=2):
        hours += wait
        begun.append(hours)
        made[f"app-g{number}"] = at(hours + 0.5)
        if what == "whole":
            recoveries.append(recovered(hours, number, number - 1))
        elif what == "cut off":
            recoveries.append(journal(*adopted(hours, number, number - 1)))
    really = sum(one + 1 <= hour for one in begun)

    found = served(f"app-g{len(begun)}", {k: v for k, v in made.items() if int(k[5:]) in left}, recoveries[::-1])

    assert all(one.since < (one.until or at(10_000)) for one in found)
    assert all(before.until is not None and before.until <= after.since for before, after in pairwise(found))
    then = service_times.at(at(hour), found)
    # From when an instance was made until it serves there are hours that only a journal knows of.
    guessed = any(abs(hour - one) <= 3 for one in begun[1:])
    assert then is None or guessed or then.instance == f"app-g{really}"
    assert then is None or [one for one in found if one.holds(at(hour))] == [then]
    last = service_times.now(found)
    assert last is None or last == Served(instance=f"app-g{len(begun)}", since=last.since)
