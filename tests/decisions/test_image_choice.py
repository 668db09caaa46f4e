"""Machine images: which is chosen and why not the others, how new ones are marked, and what may never be pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import images
from lifeboat.decisions.images import Keeping
from lifeboat.model import (
    BakeSource,
    ContainerImage,
    EncryptionKey,
    Image,
    ImageId,
    ImageUse,
    InstanceId,
    Owner,
    Snapshot,
    SnapshotId,
    Tag,
    WantedImage,
    WantedSnapshot,
)

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
HERE, DR = "eu-west-1", "eu-central-1"
OWNER = Owner(account_id="123456789012", application="app-test", environment="test")
OURS = {"application": "app-test", "environment": "test", "managed-by": "lifeboat"}
BAKED = {**OURS, "lifeboat:source-instance": "i-1"}
WANTED = WantedImage(owner=OWNER, region=HERE, now=NOW, architecture="x86_64")
KEY = EncryptionKey(arn="arn:key/1", state="Enabled")


def snapshot(number: int, **more: Any) -> Snapshot:
    """Return a snapshot of ours, `number` days old."""
    known = {
        "id": SnapshotId(f"snap-{number}"),
        "region": HERE,
        "owner_id": OWNER.account_id,
        "state": "completed",
        "progress": 100,
        "started_at": NOW - timedelta(days=number),
        "volume_id": "vol-1",
        "size_gb": 20,
        "tags": OURS,
        "key": KEY,
    }
    return Snapshot(**(known | more))


def image(number: int, **more: Any) -> Image:
    """Return a usable image that was baked `number` days ago, of the snapshot of that number."""
    known = {
        "id": ImageId(f"ami-{number}"),
        "region": HERE,
        "name": f"app-test-{number}",
        "owner_id": OWNER.account_id,
        "state": "available",
        "architecture": "x86_64",
        "root_device_type": "ebs",
        "root_device_name": "/dev/xvda",
        "made_at": NOW - timedelta(days=number),
        "tags": BAKED,
        "snapshot_ids": (SnapshotId(f"snap-{number}"),),
        "snapshots": (snapshot(number, region=more.get("region", HERE)),),
    }
    return Image(**(known | more))


def locked(number: int, state: str) -> tuple[Snapshot, ...]:
    return (snapshot(number, key=EncryptionKey(arn="arn:key/2", state=state)),)


# -- choosing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unfit", "why_not"),
    [
        (image(1, state="pending"), "it is pending"),
        (image(1, state="failed", state_reason="Client.X: y"), "it is failed (Client.X: y)"),
        (image(1, state="disabled"), "it is disabled"),
        (image(1, architecture="arm64"), "it is for arm64, and the instance is x86_64"),
        (image(1, root_device_type="instance-store"), "its root device is instance-store, not ebs"),
        (image(1, snapshots=locked(1, "Disabled")), "its key arn:key/2 is disabled"),
        (image(1, snapshots=locked(1, "PendingDeletion")), "its key arn:key/2 is pending deletion"),
        (image(1, snapshots=locked(1, "missing")), "its key arn:key/2 is missing"),
        (
            image(1, snapshots=locked(1, "not to be seen (AccessDeniedException)")),
            "its key arn:key/2 is not to be seen (AccessDeniedException)",
        ),
        (image(1, snapshots=()), "its snapshot snap-1 does not exist"),
        (image(1, region=DR), "it is in eu-central-1, not in eu-west-1"),
        (image(1, owner_id="999999999999", snapshots=()), "it is not ours: it belongs to account 999999999999"),
        (
            image(1, tags={"application": "payroll"}),
            "it is not ours: its tag application is payroll and its tag environment is missing",
        ),
        (image(1, deprecated_at=NOW - timedelta(days=3)), "it is deprecated since 2026-02-26"),
    ],
)
def test_an_unfit_image_is_rejected_with_its_reason_and_an_older_one_chosen(unfit: Image, why_not: str) -> None:
    choice = images.choose([image(2), unfit], WANTED)

    assert choice.chosen == image(2)
    assert choice.why == "the newest of 1 usable in eu-west-1"
    assert [(judged.what, judged.why) for judged in choice.rejected] == [(unfit, why_not)]


def test_every_reason_against_an_image_is_told() -> None:
    worst = image(40, state="disabled", architecture="arm64", snapshots=locked(40, "Disabled"))

    choice = images.choose([worst], replace(WANTED, max_age=timedelta(days=31)))

    assert choice.chosen is None
    assert choice.why == "none of 1 images can be used in eu-west-1"
    assert choice.rejected[0].why == (
        "it is disabled; it is for arm64, and the instance is x86_64; its key arn:key/2 is disabled;"
        " its content is 40d old, more than 31d"
    )


def test_the_newest_content_wins_not_the_newest_image() -> None:
    of_an_old_snapshot = image(1, tags={**OURS, "lifeboat:taken-at": "2026-01-01T00:00:00Z"})

    choice = images.choose([of_an_old_snapshot, image(2)], WANTED)

    assert choice.chosen == image(2)
    assert choice.rejected[0].why == "its content is not newer than that of ami-2"


@pytest.mark.parametrize("stamp", ["2027-01-01T00:00:00Z", "2026-01-01T00:00:00", "yesterday", ""])
def test_a_stamp_that_is_in_the_future_or_no_time_counts_for_nothing(stamp: str) -> None:
    stamped = image(5, tags={**BAKED, "lifeboat:taken-at": stamp})

    assert stamped.taken_at == stamped.made_at


def test_no_image_at_all_is_said_by_name() -> None:
    choice = images.choose([], WANTED)

    assert (choice.chosen, choice.why, choice.rejected) == (
        None,
        "there is no image of app-test (test) in eu-west-1",
        (),
    )


def test_an_image_asked_for_is_that_one_although_a_newer_one_is_there() -> None:
    choice = images.choose([image(1), image(9)], replace(WANTED, image=ImageId("ami-9")))

    assert (choice.chosen, choice.why) == (image(9), "it was asked for")
    assert [judged.why for judged in choice.rejected] == ["ami-9 was asked for"]


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ([image(1)], "there is no image ami-9 in eu-west-1"),
        ([image(1), image(9, state="pending")], "ami-9 cannot be used: it is pending"),
        ([image(1), image(9, region=DR)], "ami-9 cannot be used: it is in eu-central-1, not in eu-west-1"),
        (
            [image(1), image(9, region=DR, state="failed"), image(9, state="pending")],
            "ami-9 cannot be used: it is pending",
        ),
    ],
)
def test_an_image_asked_for_is_that_one_or_none(there: list[Image], why: str) -> None:
    choice = images.choose(there, replace(WANTED, image=ImageId("ami-9")))

    assert (choice.chosen, choice.why) == (None, why)
    assert len(choice.rejected) == len(there)


def test_an_image_of_others_needs_to_be_accepted_by_its_id_and_nothing_else_is_forgiven() -> None:
    foreign = image(3, owner_id="999999999999", tags={}, snapshots=())
    ask = replace(WANTED, image=foreign.id)

    refused = images.choose([foreign], ask)
    accepted = images.choose([foreign], replace(ask, accepted=frozenset([foreign.id])))
    unfit = images.choose([replace(foreign, architecture="arm64")], replace(ask, accepted=frozenset([foreign.id])))

    assert refused.why == "ami-3 cannot be used: it is not ours: it belongs to account 999999999999"
    assert accepted.chosen == foreign
    assert accepted.remarks == (
        "no recovery or drill has proven yet that ami-3 boots",
        "ami-3 is not ours and was accepted: it is not ours: it belongs to account 999999999999",
    )
    assert images.choose([foreign], replace(ask, accepted=frozenset([ImageId("ami-4")]))).chosen is None
    assert unfit.why == "ami-3 cannot be used: it is for arm64, and the instance is x86_64"


def test_a_deprecated_image_is_taken_when_it_is_named_and_that_is_remarked() -> None:
    old = image(
        100, deprecated_at=NOW - timedelta(days=5), tags={**BAKED, "lifeboat:proven-at": "2025-12-24T00:00:00Z"}
    )

    choice = images.choose([old], replace(WANTED, image=old.id))

    assert choice.chosen == old
    assert choice.remarks == ("ami-100 is deprecated since 2026-02-24",)


def test_an_unknown_architecture_rejects_none() -> None:
    choice = images.choose([image(1, architecture="arm64")], replace(WANTED, architecture=None))

    assert choice.chosen is not None


# -- snapshots -------------------------------------------------------------------------------------------------------

WANTED_SNAPSHOT = WantedSnapshot(owner=OWNER, region=HERE)


@pytest.mark.parametrize(
    ("unfit", "why_not"),
    [
        (snapshot(1, state="pending"), "it is pending"),
        (snapshot(1, region=DR), "it is in eu-central-1, not in eu-west-1"),
        (snapshot(1, owner_id="999999999999"), "it is not ours: it belongs to account 999999999999"),
        (snapshot(1, tags={}), "it is not ours: its tag application is missing and its tag environment is missing"),
        (snapshot(1, key=EncryptionKey(arn="k", state="Disabled")), "its key k is disabled"),
    ],
)
def test_an_unfit_snapshot_is_rejected_with_its_reason(unfit: Snapshot, why_not: str) -> None:
    newest = images.choose_snapshot([unfit, snapshot(2)], WANTED_SNAPSHOT)
    named = images.choose_snapshot([unfit, snapshot(2)], replace(WANTED_SNAPSHOT, snapshot=unfit.id))

    assert (newest.chosen, [judged.why for judged in newest.rejected]) == (snapshot(2), [why_not])
    assert (named.chosen, named.why) == (None, f"snap-1 cannot be used: {why_not}")


def test_a_snapshot_that_is_not_there_is_named() -> None:
    missing = images.choose_snapshot([snapshot(1)], replace(WANTED_SNAPSHOT, snapshot=SnapshotId("snap-9")))
    none = images.choose_snapshot([], WANTED_SNAPSHOT)

    assert missing.why == "there is no snapshot snap-9 in eu-west-1"
    assert none.why == "none of 0 snapshots in eu-west-1 can be used"


# -- the list --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "copied_from", "said"),
    [
        (BAKED, None, "baked"),
        ({**OURS, Tag.DLM_POLICY: "policy-1", Tag.DLM_SCHEDULE: "monthly"}, None, "DLM monthly"),
        ({**OURS, Tag.DLM_POLICY: "policy-1", Tag.DLM_SCHEDULE: "monthly"}, ImageId("ami-7"), "DLM monthly, copied"),
        ({**OURS, Tag.AWS_BACKUP: "arn"}, None, "AWS Backup"),
        ({**OURS, Tag.AWS_BACKUP: "arn"}, ImageId("ami-7"), "AWS Backup, copied"),
        (BAKED, ImageId("ami-7"), "copied"),
        ({**OURS, Tag.SOURCE_SNAPSHOT: "snap-1"}, None, "from-snapshot"),
        (OURS, None, "made elsewhere"),
    ],
)
def test_an_image_says_where_it_comes_from(tags: Mapping[str, str], copied_from: ImageId | None, said: str) -> None:
    assert images.source(image(1, tags=tags, copied_from=copied_from)) == said


def test_a_copy_stands_in_the_row_of_its_original_with_its_own_reason() -> None:
    copy = image(11, region=DR, made_at=NOW, copied_from=ImageId("ami-2"), snapshots=locked(11, "Disabled"))

    rows = images.rows([copy, image(1), image(2)], WANTED)

    assert [(row.image.id, row.why_not) for row in rows] == [("ami-1", None), ("ami-2", None)]
    assert [[(c.what.id, c.why) for c in row.copies] for row in rows] == [
        [],
        [("ami-11", "its key arn:key/2 is disabled")],
    ]


def test_a_copy_whose_original_is_gone_has_a_row_of_its_own() -> None:
    rows = images.rows([image(11, region=DR, copied_from=ImageId("ami-2"))], WANTED)

    assert [(row.image.id, row.source, row.why_not) for row in rows] == [("ami-11", "copied", None)]


# -- making one ------------------------------------------------------------------------------------------------------


def test_a_bake_is_named_after_its_time_and_says_what_it_holds() -> None:
    bake = BakeSource(
        owner=OWNER,
        region=HERE,
        instance=InstanceId("i-1"),
        now=NOW,
        image_tag=ContainerImage("app:1"),
        git_sha="abc",
        state_serial=0,
    )

    order = images.baking(bake)

    assert (order.name, order.region) == ("app-test-test-20260301T030000Z", HERE)
    assert order.tags == {
        **OURS,
        "lifeboat:source-instance": "i-1",
        "lifeboat:image-tag": "app:1",
        "lifeboat:git-sha": "abc",
        "lifeboat:state-serial": "0",
        "lifeboat:taken-at": "2026-03-01T03:00:00Z",
    }
    assert order.snapshot_tags == {**order.tags, "lifeboat:image-name": order.name}


def test_what_is_not_known_of_a_bake_is_not_claimed() -> None:
    order = images.baking(BakeSource(owner=OWNER, region=HERE, instance=InstanceId("i-1"), now=NOW))

    assert set(order.tags) == {*OURS, "lifeboat:source-instance", "lifeboat:taken-at"}


def test_a_copy_keeps_name_and_tags_but_not_what_is_true_of_the_original_only() -> None:
    tags = {**BAKED, "lifeboat:proven-at": "2026-02-28T00:00:00Z", Tag.DLM_POLICY: "policy-1", "dlm:managed": "true"}

    order = images.copying(image(2, tags=tags), OWNER, DR)

    assert (order.name, order.region) == ("app-test-2", DR)
    assert order.tags == {**BAKED, "lifeboat:copied-from": "ami-2", "lifeboat:taken-at": "2026-02-27T03:00:00Z"}


def test_an_image_of_a_snapshot_is_as_old_as_that_and_does_not_own_it() -> None:
    order = images.registering(snapshot(9), OWNER)

    assert order.name == "app-test-test-snap-9"
    assert order.tags == {**OURS, "lifeboat:source-snapshot": "snap-9", "lifeboat:taken-at": "2026-02-20T03:00:00Z"}
    assert order.snapshot_tags == {}


def test_only_a_pending_image_of_that_instance_is_under_way() -> None:
    others = [image(1), image(2, state="pending", tags={**OURS, "lifeboat:source-instance": "i-2"})]
    pending = image(3, state="pending")

    assert images.under_way(others, InstanceId("i-1")) is None
    assert images.under_way([*others, pending], InstanceId("i-1")) == pending


def test_a_copy_that_failed_is_no_copy() -> None:
    failed = image(11, region=DR, copied_from=ImageId("ami-2"), state="failed")
    pending = image(12, region=DR, copied_from=ImageId("ami-2"), state="pending")

    assert images.copy_in([failed], image(2), DR) is None
    assert images.copy_in([failed, pending], image(2), DR) == pending
    assert images.copy_in([failed, pending], image(2), HERE) is None


# -- pruning ---------------------------------------------------------------------------------------------------------

KEEPING = Keeping(newest=1, now=NOW, owner=OWNER)
PROVEN = {**BAKED, "lifeboat:proven-at": "2026-02-01T00:00:00Z"}


def use(number: int) -> ImageUse:
    return ImageUse(image=ImageId(f"ami-{number}"), by="environments/test.tfvars")


@pytest.mark.parametrize(
    ("stays", "why"),
    [
        (image(7, tags={**OURS, Tag.DLM_POLICY: "policy-1"}), "DLM keeps and expires it (policy policy-1)"),
        (image(7, tags={**OURS, Tag.AWS_BACKUP: "arn"}), "AWS Backup keeps and expires it"),
        (image(7, tags=OURS), "lifeboat did not make it"),
        (image(7, owner_id="999999999999"), "it is not ours: it belongs to account 999999999999"),
        (image(7, state="pending"), "it is pending, which may change"),
        (image(7, state="disabled"), "it is disabled, which may change"),
        (image(7, snapshots=locked(7, "Disabled")), "its key arn:key/2 is disabled, which may change"),
        (image(7, tags=PROVEN), "the newest in eu-west-1 that is proven to boot"),
        (image(7, region=DR), "one of the newest 1 in eu-central-1"),
    ],
)
def test_an_old_image_stays_with_its_reason(stays: Image, why: str) -> None:
    pruning = images.prunable([image(1), stays, image(9)], [], [], KEEPING)

    assert {judged.what.id: judged.why for judged in pruning.kept} == {
        "ami-1": "one of the newest 1 in eu-west-1",
        "ami-7": why,
    }
    assert [(judged.what.id, judged.why) for judged in pruning.removed] == [
        ("ami-9", "1 newer in eu-west-1 can be used")
    ]


def test_what_is_used_stays_whatever_its_state() -> None:
    pruning = images.prunable([image(1), image(8, state="failed"), image(9)], [], [use(8), use(9)], KEEPING)

    assert [judged.why for judged in pruning.kept[1:]] == ["used by environments/test.tfvars"] * 2
    assert pruning.removed == ()


def test_failed_images_go_and_never_push_the_last_good_one_out() -> None:
    failed = [image(number, state="failed", state_reason="Client.X: y", snapshots=()) for number in (1, 2, 3)]

    pruning = images.prunable([*failed, image(9)], [], [], KEEPING)

    assert [judged.what.id for judged in pruning.kept] == ["ami-9"]
    assert {judged.why for judged in pruning.removed} == {"it never became available: failed (Client.X: y)"}


def test_only_snapshots_that_were_made_for_a_removed_image_go_with_it() -> None:
    def named(number: int, name: str, **more: Any) -> Snapshot:
        return snapshot(number, tags={**OURS, "lifeboat:image-name": name}, **more)

    listed = [
        named(1, "app-test-1"),
        named(9, "app-test-9"),
        named(10, "app-test-10"),  # its image is gone, but one that stays is made of it
        named(11, "app-test-11"),
        named(12, "app-test-12", started_at=NOW - timedelta(minutes=30)),
        named(13, "app-test-13", owner_id="999999999999"),
        named(14, "app-test-9", region=DR),
        snapshot(15),
    ]
    kept = image(2, tags={**OURS, Tag.SOURCE_SNAPSHOT: "snap-10"}, snapshot_ids=(SnapshotId("snap-10"),))
    there = [image(1), kept, image(9)]

    pruning = images.prunable(there, listed, [use(2)], KEEPING)

    assert [judged.what.id for judged in pruning.removed] == ["ami-9"]
    assert [(judged.what.id, judged.what.region, judged.why) for judged in pruning.snapshots] == [
        ("snap-9", HERE, "made for ami-9"),
        ("snap-11", HERE, "left behind: its image app-test-11 is gone"),
        ("snap-14", DR, "left behind: its image app-test-9 is gone"),
    ]


def test_the_snapshot_of_a_bake_under_way_stays_although_its_image_does_not_name_it_yet() -> None:
    begun = image(3, state="pending", snapshot_ids=(), snapshots=())
    taken = snapshot(3, tags={**OURS, "lifeboat:image-name": begun.name})

    assert images.prunable([begun], [taken], [], KEEPING).snapshots == ()


# -- laws ------------------------------------------------------------------------------------------------------------

_STATES = st.sampled_from(["available", "available", "available", "pending", "failed", "disabled"])
_KEYS = st.sampled_from([None, KEY, EncryptionKey(arn="arn:key/2", state="Disabled")])
_TAGS = st.sampled_from(
    [BAKED, PROVEN, OURS, {}, {**OURS, Tag.DLM_POLICY: "p"}, {**OURS, Tag.SOURCE_SNAPSHOT: "snap-1"}]
)


@st.composite
def _some_images(draw: st.DrawFn) -> list[Image]:
    made: list[Image] = []
    for number in range(draw(st.integers(0, 9))):
        region = draw(st.sampled_from([HERE, HERE, DR]))
        age = timedelta(days=draw(st.integers(0, 6)))
        made.append(
            image(
                number,
                region=region,
                state=draw(_STATES),
                architecture=draw(st.sampled_from(["x86_64", "x86_64", "arm64"])),
                owner_id=draw(st.sampled_from([OWNER.account_id, OWNER.account_id, "999999999999"])),
                made_at=NOW - age,
                tags=draw(_TAGS),
                snapshots=(snapshot(number, region=region, key=draw(_KEYS)),),
                deprecated_at=draw(st.sampled_from([None, None, NOW - timedelta(days=1), NOW + timedelta(days=1)])),
                copied_from=draw(st.none() | st.integers(0, 9).map(lambda n: ImageId(f"ami-{n}"))),
            )
        )
    return made


def _ids(found: Sequence[Image]) -> list[str]:
    return sorted(found_image.id for found_image in found)


_WANTED = st.builds(
    lambda number, age, accepted: replace(
        WANTED,
        image=None if number is None else ImageId(f"ami-{number}"),
        max_age=age,
        accepted=frozenset(ImageId(f"ami-{n}") for n in accepted),
    ),
    st.none() | st.integers(0, 10),
    st.none() | st.integers(1, 6).map(lambda days: timedelta(days=days)),
    st.frozensets(st.integers(0, 9), max_size=2),
)


@given(_some_images(), _WANTED)
def test_chosen_and_rejected_are_what_was_given_and_each_has_a_reason(
    given_images: list[Image], want: WantedImage
) -> None:
    choice = images.choose(given_images, want)

    rejected = [judged.what for judged in choice.rejected]
    chosen = [] if choice.chosen is None else [choice.chosen]
    assert _ids([*chosen, *rejected]) == _ids(given_images)
    assert all(judged.why for judged in choice.rejected)
    assert choice.why
    assert choice.chosen not in rejected


@given(_some_images(), _WANTED)
def test_the_chosen_one_is_usable_is_the_one_asked_for_and_is_the_newest(
    given_images: list[Image], want: WantedImage
) -> None:
    choice = images.choose(given_images, want)

    usable = [i for i in given_images if images.unusable(i, want) is None and want.image in (None, i.id)]
    if choice.chosen is None:
        assert usable == []
    else:
        assert choice.chosen in usable
        assert choice.chosen.taken_at == max(i.taken_at for i in usable)


@given(_some_images(), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order(given_images: list[Image], random: Any) -> None:
    shuffled = list(given_images)
    random.shuffle(shuffled)

    assert images.choose(shuffled, WANTED) == images.choose(given_images, WANTED)


@given(_some_images())
def test_every_image_is_listed_once_as_a_row_or_as_a_copy(given_images: list[Image]) -> None:
    rows = images.rows(given_images, WANTED)

    assert _ids([*(row.image for row in rows), *(c.what for row in rows for c in row.copies)]) == _ids(given_images)


_USES = st.frozensets(st.integers(0, 9), max_size=3).map(lambda numbers: [use(number) for number in sorted(numbers)])


@given(_some_images(), _USES, st.integers(1, 4))
def test_kept_and_removed_are_what_was_given_and_each_has_a_reason(
    given_images: list[Image], uses: list[ImageUse], keep: int
) -> None:
    pruning = images.prunable(given_images, [], uses, replace(KEEPING, newest=keep))

    assert _ids([judged.what for judged in (*pruning.kept, *pruning.removed)]) == _ids(given_images)
    assert all(judged.why for judged in (*pruning.kept, *pruning.removed))


@given(_some_images(), _USES, st.integers(1, 4))
def test_pruning_never_touches_what_is_used_foreign_newest_or_newest_proven(
    given_images: list[Image], uses: list[ImageUse], keep: int
) -> None:
    pruning = images.prunable(given_images, [], uses, replace(KEEPING, newest=keep))

    removed = [judged.what for judged in pruning.removed]
    assert {i.id for i in removed} & {u.image for u in uses} == set()
    assert all(i.owner_id == OWNER.account_id and i.tags.get("application") == "app-test" for i in removed)
    for region in (HERE, DR):
        fit = replace(WANTED, region=region, architecture=None)
        usable = [i for i in given_images if images.unusable(replace(i, deprecated_at=None), fit) is None]
        for gone in (i for i in usable if i in removed):
            assert len([i for i in usable if i not in removed and i.taken_at >= gone.taken_at]) >= keep
        proven = [i for i in given_images if i.region == region and i.proven_at and i.state != "failed"]
        if proven:
            best = max(i.taken_at for i in proven)
            assert any(i.taken_at == best for i in proven if i not in removed)


@given(_some_images(), _USES, st.integers(1, 4))
def test_pruning_again_removes_nothing_more(given_images: list[Image], uses: list[ImageUse], keep: int) -> None:
    keeping = replace(KEEPING, newest=keep)
    first = images.prunable(given_images, [], uses, keeping)

    again = images.prunable([judged.what for judged in first.kept], [], uses, keeping)

    assert again.removed == ()


@given(_some_images(), _USES, st.integers(1, 4))
def test_no_snapshot_of_an_image_that_stays_goes(given_images: list[Image], uses: list[ImageUse], keep: int) -> None:
    marked = [
        replace(s, tags={**OURS, "lifeboat:image-name": i.name}, started_at=NOW - timedelta(days=2))
        for i in given_images
        for s in i.snapshots
    ]

    pruning = images.prunable(given_images, marked, uses, replace(KEEPING, newest=keep))

    needed = {name for judged in pruning.kept for name in judged.what.snapshot_ids}
    going = {judged.what.id for judged in pruning.snapshots}
    assert going & needed == set()
    assert going == {name for judged in pruning.removed for name in judged.what.snapshot_ids}
