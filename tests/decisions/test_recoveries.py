"""What a recovery launched, and the command that asks for it once more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifeboat.decisions.recoveries import (
    INSTANCE,
    Recorded,
    again,
    chosen,
    failure,
    image_before,
    is_adopting,
    is_filled,
    is_older,
    is_ours,
    is_proven,
    launched,
    left_over,
    ordered_anew,
    replaces_instance,
    started_anew,
    with_image,
    wrote_generations,
)
from lifeboat.model import (
    Action,
    Address,
    Change,
    CountedFrom,
    Event,
    EventKind,
    Failure,
    ImageId,
    Instance,
    InstanceId,
    Plan,
    RunId,
)

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def recorded(run: str, *events: tuple[EventKind, str, dict[str, Any]]) -> Recorded:
    begun = (EventKind.BEGUN, "", {"host": "laptop"})
    lines = [Event(seq=n, at=NOW, kind=k, step=s, text="", data=d) for n, (k, s, d) in enumerate((begun, *events), 1)]
    return Recorded(run=RunId(run), events=lines)


UNSAID = "nobody said when it failed, and "


@pytest.mark.parametrize(
    ("asked", "answer", "seen", "counted"),
    [
        (timedelta(hours=1), "HTTP 200 at /health", None, ("the operator said so", CountedFrom.DECLARED)),
        (
            None,
            "HTTP 200 at /health",
            timedelta(0),
            (f"{UNSAID}its health check answers: HTTP 200 at /health", CountedFrom.START),
        ),
        (
            None,
            "",
            timedelta(minutes=14),
            (f"{UNSAID}its health check has not answered to lifeboat since", CountedFrom.LAST_SEEN),
        ),
        (
            None,
            "",
            timedelta(minutes=16),
            (f"{UNSAID}lifeboat did not see it well in the last 15 minutes", CountedFrom.START),
        ),
    ],
    ids=["said", "health answers", "seen lately", "seen long ago"],
)
def test_the_time_away_begins_with_the_failure_or_says_from_what_it_is_counted_instead(
    asked: timedelta | None, answer: str, seen: timedelta | None, counted: tuple[str, CountedFrom]
) -> None:
    said, saw = (None if ago is None else NOW - ago for ago in (asked, seen))
    why, counted_from = counted
    at = {CountedFrom.DECLARED: said, CountedFrom.LAST_SEEN: saw, CountedFrom.START: NOW}[counted_from]

    found = failure(said, now=NOW, answer=answer, last_good=saw)

    assert at is not None
    assert found == Failure(at=at, why=why, counted_from=counted_from)


AMI = ImageId("ami-1")
IMAGE = (EventKind.NOTE, "image", {"image": "ami-1"})
APPLIED = (EventKind.INTENT, "instance", {})
DEPLOYED = (EventKind.NOTE, "deploy", {"deployed_to": "i-1"})
ADOPTS = (EventKind.INTENT, "adopt", {})
ENDED = (EventKind.ENDED, "", {})


def test_the_newest_that_launched_counts_not_one_that_found_nothing_to_do() -> None:
    found = launched(
        iter([recorded("3", IMAGE), recorded("2", IMAGE, APPLIED, ENDED), recorded("1", APPLIED)]), running=AMI
    )

    assert found is not None
    assert (found.run, found.image, found.host) == ("2", "ami-1", "laptop")


def test_one_that_was_cut_off_after_its_launch_counts() -> None:
    found = launched(iter([recorded("1", IMAGE, APPLIED)]), running=AMI)

    assert found is not None
    assert found.run == "1"


def test_without_any_launch_there_is_none() -> None:
    assert launched(iter([recorded("2", IMAGE, ENDED), recorded("1")]), running=AMI) is None


def test_one_whose_image_does_not_run_hides_none_before_it() -> None:
    given_up = recorded("2", (EventKind.NOTE, "image", {"image": "ami-2"}), APPLIED, ENDED)

    found = launched(iter([given_up, recorded("1", IMAGE, APPLIED, ENDED)]), running=AMI)

    assert found is not None
    assert (found.run, found.image) == ("1", AMI)


def test_what_the_file_named_before_a_recovery_or_an_older_one_chose_is_older_and_nothing_else() -> None:
    wrote = (EventKind.INTENT, "file", {"image": "ami-1", "before": '{"ami_id": "ami-0"}'})
    older = (EventKind.NOTE, "image", {"image": "ami-00"})
    newer = recorded("3", (EventKind.NOTE, "image", {"image": "ami-3"}), ENDED)
    newest = iter([newer, recorded("2", IMAGE, wrote, APPLIED, ENDED), recorded("1", older, APPLIED, ENDED)])

    found = launched(newest, running=AMI)

    assert found is not None
    left = list(newest)
    assert [one.run for one in left] == ["1"]
    judged = {image: is_older(ImageId(image), found, left) for image in ("ami-0", "ami-00", "ami-1", "ami-3", "ami-9")}
    assert judged == {"ami-0": True, "ami-00": True, "ami-1": False, "ami-3": False, "ami-9": False}


def test_what_is_given_up_gives_the_file_back_what_it_named_before() -> None:
    wrote = (EventKind.INTENT, "file", {"image": "ami-2", "before": '{"ami_id": "ami-1"}'})
    again_ = (EventKind.INTENT, "file", {"image": "ami-2", "before": '{"ami_id": "ami-2"}'})

    assert image_before(recorded("1", IMAGE, wrote, again_).events) == AMI
    assert image_before(recorded("1", IMAGE).events) is None
    assert json.loads(with_image('{"ami_id": "ami-2", "generation": "g2"}', AMI) or "") == {
        "ami_id": AMI,
        "generation": "g2",
    }
    assert json.loads(with_image('{"ami_id": "ami-2", "generation": "g2"}', None) or "") == {"generation": "g2"}
    assert with_image('{"ami_id": "ami-2"}', None) is None


def test_the_image_that_was_decided_on_last_is_the_one() -> None:
    later = (EventKind.NOTE, "image", {"image": "ami-2"})

    assert chosen(recorded("1", IMAGE, later, APPLIED).events) == "ami-2"
    assert chosen(recorded("1", APPLIED).events) is None


def change(address: str, action: Action) -> Change:
    return Change(address=Address(address), resource_type=address.split(".")[-2], action=action)


def test_only_what_takes_the_instance_away_replaces_it() -> None:
    changes = {action: Plan(changes=(change(INSTANCE, action),)) for action in Action}

    assert {action for action, plan in changes.items() if replaces_instance(plan)} == {Action.DELETE, Action.REPLACE}
    assert not replaces_instance(Plan(changes=(change("module.network.aws_vpc.this", Action.REPLACE),)))


def test_what_was_wished_for_is_wished_for_again() -> None:
    asked = {"--ami": "ami-1", "--accept-foreign-image": "", "--failed-at": "2026-03-01T03:00:00Z", "--max-age": None}

    new = again(asked, ["--allow 'a'"], run=None, env="production")
    same = again(asked, ["--allow 'a'"], run=RunId("r1"), env="production")

    assert new == (
        "lifeboat recover -e production --ami ami-1 --accept-foreign-image --failed-at 2026-03-01T03:00:00Z --allow 'a'"
    )
    assert same == "lifeboat resume r1 -e production --allow 'a'"


def test_only_what_this_recovery_launched_and_no_state_knows_is_left_over() -> None:
    def instance(name: str, *, image: str = "ami-1", minutes: int = 1) -> Instance:
        return Instance(
            id=InstanceId(name),
            state="running",
            image=ImageId(image),
            kind="t3.micro",
            launched_at=NOW + timedelta(minutes=minutes),
        )

    alive = [instance("mine"), instance("known"), instance("other", image="ami-2"), instance("older", minutes=-1)]

    found = left_over(alive, recorded={InstanceId("known")}, image=ImageId("ami-1"), since=NOW)

    assert [one.id for one in found] == ["mine"]


ORDERED = ("restore", EventKind.INTENT, {"identifier": "app-g2"})
FILLED = ("fill", EventKind.NOTE, {"filled": "app-g2"})
CUT_OFF = ("fill", EventKind.INTENT, {"identifier": "app-g2"})


@pytest.mark.parametrize(
    ("lines", "filled"),
    [
        ([], False),
        ([ORDERED, CUT_OFF], False),
        ([ORDERED, CUT_OFF, FILLED], True),
        # It was gone and was made anew: what was filled is not this one.
        ([ORDERED, FILLED, ORDERED], False),
        ([ORDERED, FILLED, ORDERED, CUT_OFF, FILLED], True),
    ],
)
def test_a_dump_counts_for_the_instance_that_it_was_restored_into(
    lines: list[tuple[str, EventKind, dict[str, str]]], filled: bool
) -> None:
    events = [
        Event(seq=number, at=datetime(2026, 3, 1, tzinfo=UTC), kind=kind, step=step, data=data)
        for number, (step, kind, data) in enumerate(lines, start=1)
    ]

    assert is_filled(events) == filled


ORDER = (EventKind.INTENT, "restore", {})
SEEN = (EventKind.DONE, "restore", {})
PROVEN = (EventKind.NOTE, "proof", {"tables": 3})


@pytest.mark.parametrize(
    ("lines", "ours", "proven"),
    [
        ([], False, False),
        ([ORDER], False, False),
        ([ORDER, SEEN], True, False),
        ([ORDER, (EventKind.HOLDS, "restore", {}), PROVEN], True, True),
        ([ORDER, SEEN, PROVEN, ORDER], False, False),
        ([ORDER, SEEN, PROVEN, ORDER, SEEN], True, False),
        ([ORDER, SEEN, PROVEN, ORDER, SEEN, PROVEN], True, True),
    ],
)
def test_an_instance_that_is_made_anew_keeps_nothing_of_what_was_found_of_the_one_before(
    lines: list[tuple[EventKind, str, dict[str, Any]]], ours: bool, proven: bool
) -> None:
    events = recorded("1", *lines).events

    assert (is_ours(events), is_proven(events)) == (ours, proven)


@pytest.mark.parametrize(
    ("lines", "adopting"),
    [
        ([], False),
        ([(EventKind.INTENT, "adopt", {})], True),
        ([(EventKind.INTENT, "adopt", {}), (EventKind.STOPPED, "adopt", {})], True),
        ([(EventKind.INTENT, "adopt", {}), (EventKind.RESULT, "adopt", {"error": "x"})], True),
        ([(EventKind.INTENT, "adopt", {}), (EventKind.RESULT, "adopt", {"serial": 9})], False),
        ([(EventKind.RESULT, "adopt", {"serial": 9}), (EventKind.INTENT, "adopt", {})], True),
        ([(EventKind.INTENT, "copies", {})], False),
    ],
)
def test_an_adoption_of_which_nobody_knows_that_it_got_through_may_have_led_the_application(
    lines: list[tuple[EventKind, str, dict[str, Any]]], adopting: bool
) -> None:
    assert is_adopting(recorded("1", *lines).events) is adopting


@pytest.mark.parametrize(
    ("lines", "started"),
    [
        ([], False),
        ([DEPLOYED], False),
        ([DEPLOYED, ADOPTS], False),
        ([ADOPTS, DEPLOYED], True),
        ([ADOPTS, (EventKind.NOTE, "deploy", {"deployed_to": "i-other"})], False),
        ([ADOPTS, DEPLOYED, ADOPTS], False),
        ([DEPLOYED, ADOPTS, (EventKind.NOTE, "restart", {"restarted_for": "app-g2"})], True),
        ([DEPLOYED, ADOPTS, (EventKind.NOTE, "restart", {"restarted_for": "app-g3"})], False),
    ],
)
def test_what_was_deployed_before_the_adoption_works_on_the_old_database(
    lines: list[tuple[EventKind, str, dict[str, Any]]], started: bool
) -> None:
    found = started_anew(recorded("1", *lines).events, database="app-g2", instance="i-1")

    assert (found is not None) is started


def test_an_application_counts_as_started_from_its_order_on_for_it_has_connected_by_the_end() -> None:
    def at(seconds: int, kind: EventKind, step: str, **data: Any) -> Event:
        return Event(seq=seconds, at=NOW + timedelta(seconds=seconds), kind=kind, step=step, text="", data=data)

    events = [
        at(1, EventKind.INTENT, "restart"),
        at(2, EventKind.INTENT, "adopt"),
        at(3, EventKind.INTENT, "variables"),
        at(4, EventKind.INTENT, "restart"),
        at(5, EventKind.INTENT, "restart"),
        at(9, EventKind.NOTE, "restart", restarted_for="app-g2"),
    ]

    found = [ordered_anew(some, database="app-g2", instance="i-1") for some in (events, events[:5], events[5:])]

    assert found == [NOW + timedelta(seconds=4), None, NOW + timedelta(seconds=9)]


def test_the_machines_whose_files_a_recovery_wrote_are_known_the_last_one_last() -> None:
    write = (EventKind.INTENT, "database-file", {"generation": "g2"})
    other = (EventKind.BEGUN, "", {"host": "desktop"})

    assert wrote_generations(recorded("1", (EventKind.NOTE, "copy", {"generation": "g2"})).events) == []
    assert wrote_generations(recorded("1", write, other, write).events) == ["laptop", "desktop"]
    assert wrote_generations(recorded("1", write, other, write, recorded_on("laptop"), write).events) == [
        "desktop",
        "laptop",
    ]


def recorded_on(host: str) -> tuple[EventKind, str, dict[str, Any]]:
    return EventKind.BEGUN, "", {"host": host}
