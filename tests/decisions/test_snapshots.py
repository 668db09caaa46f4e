"""Manual snapshots: named so that they are made once, chosen, copied with what is true of them, and pruned with care."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.database_model import PointKind, Proof, RecoveryPoint, RecoveryPointId, Verdict
from lifeboat.decisions import snapshots
from lifeboat.decisions.snapshots import SnapshotKeeping, SnapshotSource
from lifeboat.model import Owner

NOW = datetime(2026, 11, 29, 3, 15, tzinfo=UTC)
HERE, DR = "eu-west-1", "eu-central-1"
OWNER = Owner(account_id="123456789012", application="app-x", environment="x")
OURS = {"application": "app-x", "environment": "x", "managed-by": "lifeboat"}
MADE = {**OURS, "lifeboat:source-database": "app-x-g1"}
KEEPING = SnapshotKeeping(newest=1, age=timedelta(days=30), now=NOW, owner=OWNER, used={})


def point(name: str, age: timedelta = timedelta(days=60), **other: object) -> RecoveryPoint:
    made = RecoveryPoint(
        id=RecoveryPointId(name),
        kind=PointKind.MANUAL_SNAPSHOT,
        database="app-x-g1",
        region=HERE,
        taken_at=NOW - age,
        status="available",
        size=None,
        source="app-x-g1",
        key="k",
        arn=f"arn:aws:rds:eu-west-1:123456789012:snapshot:{name}",
        tags=MADE,
    )
    return replace(made, **other)  # type: ignore[arg-type]


def test_an_order_says_what_it_is_taken_before_and_is_named_by_instance_and_second() -> None:
    source = SnapshotSource(
        owner=OWNER, region=HERE, instance="app-x-g2", now=NOW, before="migration 42", state_serial=7
    )

    order = snapshots.taking(source)

    assert order.name == "app-x-g2-20261129-031500"
    assert order.tags == {
        **OURS,
        "lifeboat:source-database": "app-x-g2",
        "lifeboat:before": "migration 42",
        "lifeboat:state-serial": "7",
    }


@pytest.mark.parametrize("text", ["", "   ", "drop table; --", "a" * 257, "naïve\n", "#42"])
def test_a_text_that_rds_takes_for_no_tag_is_told(text: str) -> None:
    assert "cannot be a tag" in str(snapshots.wrong_text(text))


@pytest.mark.parametrize("text", ["migration 42", "before: v1.2/3 + k=v @ Ünicode_-"])
def test_a_text_that_rds_takes_is_taken(text: str) -> None:
    assert snapshots.wrong_text(text) is None


@pytest.mark.parametrize(
    ("instance", "tags", "expected"),
    [
        ("app-x-g1", {}, True),
        ("app-x-g12", {}, True),
        ("app-x-g0", {}, False),
        ("app-x-g1-copy", {}, False),
        ("app-xy-g1", {}, False),
        ("renamed", {"application": "app-x", "environment": "x"}, True),
        ("renamed", {"application": "app-x", "environment": "y"}, False),
    ],
)
def test_a_snapshot_is_ours_by_its_instance_or_its_tags(instance: str, tags: dict[str, str], expected: bool) -> None:
    assert snapshots.is_ours(instance, tags, OWNER) is expected


def test_one_that_is_being_taken_for_the_same_change_is_under_way() -> None:
    order = snapshots.taking(SnapshotSource(owner=OWNER, region=HERE, instance="app-x-g1", now=NOW, before="m 42"))
    tags = {**MADE, "lifeboat:before": "m 42"}
    going = point("a", status="creating", tags=tags)
    others = [
        point("done", tags=tags),
        point("other-change", status="creating", tags={**MADE, "lifeboat:before": "m 43"}),
        point("by-hand", status="creating", tags={**OURS, "lifeboat:before": "m 42"}),
        point("elsewhere", status="creating", tags=tags, region=DR),
    ]

    assert snapshots.under_way([*others, going], order, "app-x-g1") == going
    assert snapshots.under_way(others, order, "app-x-g1") is None


def test_the_newest_available_snapshot_is_chosen_and_the_others_say_why_not() -> None:
    old, new = point("old", timedelta(days=2)), point("new", timedelta(days=1), kind=PointKind.AUTOMATED_SNAPSHOT)
    making = point("making", timedelta(0), status="creating")

    choice = snapshots.choose([old, new, making], None, HERE)

    assert choice.chosen == new
    assert [(one.what.id, one.why) for one in choice.rejected] == [
        ("making", "it is creating"),
        ("old", "it is not newer than new"),
    ]


def test_a_newer_snapshot_of_what_serves_no_more_is_not_chosen_unless_it_is_named() -> None:
    served = point("app-x-g1-final", timedelta(hours=1))
    serves = point("app-x-g2-daily", timedelta(days=1), source="app-x-g2")

    choice = snapshots.choose([served, serves], None, HERE, "app-x-g2")
    named = snapshots.choose([served, serves], served.id, HERE)

    assert (choice.chosen, choice.why) == (serves, "the newest of 1 of app-x-g2 in eu-west-1")
    assert [one.why for one in choice.rejected] == ["it is of app-x-g1, not of app-x-g2"]
    assert named.chosen == served


def test_the_last_instance_is_that_of_the_highest_generation() -> None:
    points = [point("a", source="app-x-g10"), point("b", source="app-x-g9"), point("c", source="other")]

    assert snapshots.last_instance(points, OWNER) == "app-x-g10"
    assert snapshots.last_instance(points[2:], OWNER) is None


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("making", "making cannot be copied: it is creating"),
        ("nowhere", "there is no snapshot nowhere in eu-west-1"),
        (None, "no snapshot in eu-west-1 can be copied"),
    ],
)
def test_what_cannot_be_copied_is_told(wanted: str | None, why: str) -> None:
    asked = None if wanted is None else RecoveryPointId(wanted)

    choice = snapshots.choose([point("making", status="creating")], asked, HERE)

    assert (choice.chosen, choice.why) == (None, why)


def test_a_copy_has_the_tags_that_are_true_of_it() -> None:
    tags = {**MADE, "lifeboat:keep": "w", "lifeboat:proven-at": "t", "lifeboat:run": "r", "aws:x": "y", "team": "shop"}
    original = point("rds:app-x-g1-2026-11-29-03-00", tags=tags)

    copy, kept = snapshots.copying(original, OWNER, DR), snapshots.keeping_copy(original, OWNER, "merger")

    assert (copy.name, copy.region) == ("app-x-g1-2026-11-29-03-00", DR)
    assert copy.tags == {**MADE, "team": "shop", "lifeboat:copied-from": original.arn}
    assert (kept.name, kept.region) == ("app-x-g1-2026-11-29-03-00-kept", HERE)
    assert kept.tags == {**copy.tags, "lifeboat:keep": "merger"}


def test_a_copy_and_its_original_are_found_in_either_direction() -> None:
    original = point("a")
    copy = point("b", arn="arn:copy", tags={**MADE, "lifeboat:copied-from": str(original.arn)}, region=DR)

    assert snapshots.copy_in([point("c"), copy], original) == copy
    assert snapshots.copy_in([point("c"), original], copy) == original
    assert snapshots.copy_in([replace(copy, status="failed")], original) is None
    assert snapshots.copy_in([point("a", arn="arn:other")], original) is None


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (point("old"), None),
        (point("old", status="failed"), None),
        (point("old", tags={**OURS, "lifeboat:copied-from": "a"}), None),
        (point("old", tags=OURS), "lifeboat did not make it"),
        (point("old", tags={**MADE, "environment": "y"}), "lifeboat did not make it"),
        (point("old", source="app-x-g2"), "lifeboat did not make it"),
        (point("old", kept=True, tags={**MADE, "lifeboat:keep": "audit"}), "it is kept: audit"),
        (point("used"), "used by the run r"),
        (point("old", tags={**MADE, "lifeboat:run": "d"}), "the drill d takes it away"),
        (point("old", status="creating"), "it is creating, which may change"),
        (point("young", timedelta(days=29)), "it is 29d old, not yet 30d"),
        (
            point("old", proven=Proof(level=3, at=NOW, verdict=Verdict.PASSED)),
            "the newest in eu-west-1 that is proven",
        ),
    ],
)
def test_what_goes_and_what_stays_of_old_snapshots(one: RecoveryPoint, why: str | None) -> None:
    newest = point("newest", timedelta(days=20))
    automated = point("rds:auto", timedelta(days=90), kind=PointKind.AUTOMATED_SNAPSHOT)

    found = snapshots.prunable([newest, one, automated], replace(KEEPING, used={"used": "the run r"}))

    said = {judged.what.id: judged.why for judged in found.kept if judged.what.id != "newest"}
    assert said == ({} if why is None else {one.id: why})
    assert [judged.what.id for judged in found.removed] == ([one.id] if why is None else [])


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 90),
            st.sampled_from([HERE, DR]),
            st.sampled_from(["available", "creating", "failed"]),
            st.sampled_from([MADE, OURS]),
            st.booleans(),
        ),
        max_size=20,
    ),
    st.integers(1, 3),
)
def test_pruning_keeps_the_newest_usable_ones_of_each_region_and_judges_each_once(
    facts: list[tuple[int, str, str, dict[str, str], bool]], newest: int
) -> None:
    given_points = [
        point(f"s{number}", timedelta(days=days), region=region, status=status, tags=tags, kept=kept)
        for number, (days, region, status, tags, kept) in enumerate(facts)
    ]

    found = snapshots.prunable(given_points, replace(KEEPING, newest=newest, age=timedelta(days=1)))

    judged = [one.what.id for one in (*found.kept, *found.removed)]
    assert sorted(judged) == sorted(one.id for one in given_points)
    gone = {one.what.id for one in found.removed}
    for region in (HERE, DR):
        usable = [p for p in given_points if p.region == region and p.status == "available" and p.tags == MADE]
        best = sorted(usable, key=lambda p: (p.taken_at, p.region, p.id), reverse=True)[:newest]
        assert not gone & {p.id for p in best}
    assert not any(p.kept or p.tags == OURS or p.status == "creating" for p in given_points if p.id in gone)
