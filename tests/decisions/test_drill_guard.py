"""What a drill may touch, and what a sweep may remove: only what bears the mark, whatever it is called."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from lifeboat.decisions import drill_guard
from lifeboat.decisions.drill_guard import Deed, Touch
from lifeboat.drill_model import Drill, DrillScope, Thing
from lifeboat.errors import Refused
from lifeboat.model import Action, Address, Change, Plan, RunId

RUN = "20261129T181348Z-drill-database-e2c1b1"
DRILL = Drill(
    run=RunId(RUN),
    scope=DrillScope.FULL,
    application="app-x",
    expires=datetime(2026, 11, 30, 18, 13, 48, tzinfo=UTC),
)
OURS = DRILL.tags
OTHERS = {**OURS, "lifeboat:drill": "20261128T000000Z-drill-full-000000"}
DATABASE = Thing(kind="rds:db", id="app-x-drill-e2c1b1", region="eu-west-1")
SERVING = Thing(kind="rds:db", id="app-x-g1", region="eu-west-1")
SECRET = Thing(kind="secretsmanager:secret", id="app-x-drill-e2c1b1/database", region="eu-west-1")
COPY = Thing(kind="s3:object", id=f"s3://app-x-tfstate/runs/{RUN}/drill.tfstate", region="eu-west-1")
STATE = Thing(kind="s3:object", id="s3://app-x-tfstate/stack.tfstate", region="eu-west-1")


def test_all_that_a_drill_makes_says_which_run_of_which_application_and_until_when() -> None:
    assert {
        "lifeboat:drill": RUN,
        "lifeboat:expires": "2026-11-30T18:13:48Z",
        "lifeboat:drill-of": "app-x",
        "lifeboat:run": RUN,
    } == OURS


@pytest.mark.parametrize(
    ("deed", "thing", "tags"),
    [
        (Deed.MAKE, DATABASE, None),
        (Deed.MAKE, DATABASE, OURS),  # ordered once more, since the first answer was lost
        (Deed.MAKE, SECRET, None),
        (Deed.MAKE, COPY, None),
        (Deed.CHANGE, DATABASE, OURS),
        (Deed.DELETE, DATABASE, OURS),
        (Deed.PROVE, Thing(kind="copy", id="snapshot-1", region="eu-west-1"), None),
        (Deed.CANARY, SERVING, None),
    ],
)
def test_a_drill_makes_and_changes_what_is_its_own(deed: Deed, thing: Thing, tags: dict[str, str] | None) -> None:
    assert drill_guard.refusal(Touch(deed=deed, thing=thing, tags=tags), DRILL) is None


@pytest.mark.parametrize(
    ("deed", "thing", "tags", "why"),
    [
        (Deed.CHANGE, SERVING, {"application": "app-x"}, "is not called as what the drill"),
        (Deed.DELETE, SERVING, {}, "is not called as what the drill"),
        (Deed.MAKE, SERVING, None, "is not called as what the drill"),
        (Deed.MAKE, STATE, None, "is not called as what the drill"),
        # Called so, and all the same somebody else's.
        (Deed.MAKE, DATABASE, {"application": "app-x"}, "bears no mark of a drill"),
        (Deed.CHANGE, DATABASE, {}, "bears no mark of a drill"),
        (Deed.DELETE, DATABASE, OTHERS, "is marked as 20261128T000000Z-drill-full-000000's"),
        (Deed.CHANGE, DATABASE, None, "is not there, so nobody knows whose it would be"),
        # A name that only begins like the drill's.
        (Deed.MAKE, Thing(kind="rds:db", id="app-x-drill-e2c1b12", region="eu-west-1"), None, "is not called"),
    ],
)
def test_a_drill_touches_nothing_else(deed: Deed, thing: Thing, tags: dict[str, str] | None, why: str) -> None:
    refused = drill_guard.refusal(Touch(deed=deed, thing=thing, tags=tags), DRILL)

    assert refused is not None
    assert why in refused


@pytest.mark.parametrize(
    ("step", "about", "deed", "thing"),
    [
        ("restore", {"identifier": DATABASE.id}, Deed.MAKE, DATABASE),
        ("password", {"identifier": DATABASE.id}, Deed.CHANGE, DATABASE),
        ("fill", {"identifier": SERVING.id}, Deed.CHANGE, SERVING),
        ("noted", {"proves": "snapshot-1"}, Deed.PROVE, Thing(kind="copy", id="snapshot-1", region="eu-west-1")),
        (
            "secret",
            {"deed": "make", "type": SECRET.kind, "id": SECRET.id, "region": "eu-west-1"},
            Deed.MAKE,
            SECRET,
        ),
    ],
)
def test_what_is_written_down_about_an_effect_tells_what_it_touches(
    step: str, about: dict[str, Any], deed: Deed, thing: Thing
) -> None:
    assert drill_guard.touched(step, about, region="eu-west-1") == Touch(deed=deed, thing=thing)


def test_an_effect_that_does_not_say_what_it_touches_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        drill_guard.require(drill_guard.touched("retention", {"plan": "1 to add"}, region="eu-west-1"), DRILL)

    assert refused.value.summary == "a drill must not do this: an effect does not say what it touches"
    assert refused.value.hint == (
        f"lifeboat logs {RUN} shows what the drill did before; nothing of production was changed"
    )


@pytest.mark.parametrize(
    ("thing", "tags", "why"),
    [
        (DATABASE, OURS, None),
        (DATABASE, OTHERS, None),  # of another drill of the application
        (DATABASE, {"lifeboat:drill": RUN}, None),  # of a version that does not say of which application
        (DATABASE, {}, "it bears no mark of a drill: somebody else made it, or took the mark off"),
        (
            DATABASE,
            {"application": "app-x"},
            "it bears no mark of a drill: somebody else made it, or took the mark off",
        ),
        (SERVING, {"lifeboat:drill": RUN}, "it is of a drill of nobody knows what, not of app-x"),
        (DATABASE, {**OURS, "lifeboat:drill-of": "app-y"}, "it is of a drill of app-y, not of app-x"),
    ],
)
def test_a_sweep_removes_what_bears_the_mark_of_this_application(
    thing: Thing, tags: dict[str, str], why: str | None
) -> None:
    assert drill_guard.removable(thing, tags, application="app-x") == why


def test_a_plan_that_would_change_anything_is_refused_by_address() -> None:
    change = Change(address=Address("aws_eip.this"), resource_type="aws_eip", action=Action.UPDATE)
    drill_guard.require_no_change(Plan(changes=()), DRILL)

    with pytest.raises(Refused) as refused:
        drill_guard.require_no_change(Plan(changes=(change,)), DRILL)

    assert refused.value.summary.endswith("so nothing is carried out:\n  update aws_eip.this")
