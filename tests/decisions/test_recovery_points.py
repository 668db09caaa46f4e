"""Recovery points in one list: in order, with what is to be known of each, and found again by id or ARN."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.database_model import (
    DumpEntry,
    DumpId,
    PointKind,
    Proof,
    RecoveryPoint,
    RecoveryPointId,
    StoredFile,
    Unseen,
    Verdict,
)
from lifeboat.decisions import recovery_points as decisions
from lifeboat.decisions.recovery_points import DumpPlace
from lifeboat.errors import Unreachable
from lifeboat.model import EncryptionKey

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
KEY = "arn:aws:kms:eu-west-1:1:key/1234"
HERE, DR = "eu-west-1", "eu-central-1"


def point(name: str, age: timedelta, **other: object) -> RecoveryPoint:
    made = RecoveryPoint(
        id=RecoveryPointId(name),
        kind=PointKind.MANUAL_SNAPSHOT,
        database="app-x-g1",
        region=HERE,
        taken_at=NOW - age,
        status="available",
        size=20 * 1024**3,
        source="app-x-g1",
        key=KEY,
    )
    return replace(made, **other)  # type: ignore[arg-type]


def entry(name: str, *files: str, proofs: tuple[Proof, ...] = ()) -> DumpEntry:
    begun = NOW - timedelta(hours=5)
    stored = {f: StoredFile(name=f, size=100, etag="e", version_id="v", stored_at=begun) for f in files}
    return DumpEntry(
        database="app", id=DumpId(name), begun_at=begun, prefix=f"dumps/x/app/{name}/", files=stored, proofs=proofs
    )


def test_the_list_is_newest_first_whatever_the_kind_and_keeps_what_could_not_be_seen() -> None:
    given = [point("b", timedelta(days=2)), point("a", timedelta(days=2)), point("c", timedelta(days=1))]
    unseen = Unseen(what="snapshots", region=DR, call="rds:DescribeDBSnapshots", why="AccessDenied")

    found = decisions.listed(given, [unseen], NOW)

    assert [one.id for one in found.points] == ["c", "a", "b"]
    assert found.unseen == (unseen,)


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        (point("a", timedelta(0)), ()),
        (point("a", timedelta(0), status="creating"), ("it is creating",)),
        (point("a", -timedelta(days=1)), ("dated in the future",)),
        (point("a", timedelta(0), key=None), ("not encrypted",)),
        (point("a", timedelta(0), key=None, flags=("continuous",)), ("continuous", "not encrypted")),
    ],
)
def test_what_is_to_be_known_of_a_copy_is_a_flag(given: RecoveryPoint, flags: tuple[str, ...]) -> None:
    assert decisions.listed([given], [], NOW).points[0].flags == flags


def test_a_dump_without_a_manifest_is_incomplete_and_a_failed_proof_is_told() -> None:
    failed = Proof(level=2, at=NOW, verdict=Verdict.FAILED)
    place = DumpPlace(bucket="dumps", region=HERE, key="k")

    whole, part = decisions.of_dumps(
        [entry("20261129T070000Z-aaaaaa", "manifest.json", "schema.dump.zst", proofs=(failed,)), entry("b", "x")],
        place,
        NOW,
    )

    assert (whole.status, whole.size, whole.proven) == ("available", 100, None)
    assert whole.flags == ("its last verification (level 2) failed",)
    assert whole.doubts == ("its verification of 2026-11-29 12:00Z at level 2 failed",)
    assert whole.source == "s3://dumps/dumps/x/app/20261129T070000Z-aaaaaa/"
    assert (part.status, part.restorable) == ("incomplete", False)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("Enabled", None),
        ("Disabled", "disabled"),
        ("PendingDeletion", "to be deleted"),
        ("missing", "missing"),
    ],
)
def test_a_copy_under_a_key_that_cannot_be_used_says_so_and_a_dump_is_not_to_be_taken(
    state: str, words: str | None
) -> None:
    copies = [
        point("a", timedelta(0)),
        point("b", timedelta(0), kind=PointKind.DUMP),
        point("c", timedelta(0), key=None),
    ]
    keys = {one: EncryptionKey(arn=one[1], state=state) for one in decisions.keys_of(copies)}

    found = decisions.under_keys(copies, keys)

    assert list(keys) == [(HERE, KEY)]
    if words is None:
        assert found == copies
        decisions.require_readable(found)
        return
    assert [one.flags for one in found] == [(f"its key is {words}",), (f"its key is {words}",), ()]
    assert [one.unfit for one in found] == [(), (f"its key {KEY} is {words}: nothing can be read of it",), ()]
    with pytest.raises(Unreachable) as raised:
        decisions.require_readable(found)
    assert raised.value.summary == (
        "2 copies cannot be read or restored, for their keys cannot be used:\n"
        f"  the key {KEY} in {HERE} is {words}: 2 of them"
    )
    assert f"--key-id {KEY} --region {HERE}" in raised.value.hint


def test_a_key_that_nobody_could_look_at_is_not_called_good_or_bad() -> None:
    copies = [point("a", timedelta(0))]

    assert decisions.under_keys(copies, {(HERE, KEY): None}) == copies


def test_a_dump_whose_copy_is_late_says_so_on_the_side_where_it_is() -> None:
    def dump(name: str, age: timedelta, region: str) -> RecoveryPoint:
        return point(name, age, kind=PointKind.DUMP, region=region, database="app")

    old, lost = timedelta(days=1), "no copy in the other region"
    here = [dump("a", old, HERE), dump("b", old, HERE), dump("new", timedelta(minutes=5), HERE)]
    there = [dump("a", old, DR), dump("c", old, DR)]

    found = decisions.with_copies(here, there, NOW)

    assert {(one.id, one.region): one.flags for one in found} == {
        ("a", HERE): (),
        ("b", HERE): (lost,),
        ("new", HERE): (),
        ("a", DR): (),
        ("c", DR): (lost,),
    }


def test_a_copy_is_named_by_its_id_or_its_arn_in_every_region() -> None:
    arn = "arn:aws:rds:eu-west-1:1:snapshot:a"
    given = [point("a", timedelta(0), arn=arn), point("a", timedelta(0), region=DR), point("b", timedelta(0))]

    assert [one.region for one in decisions.named(given, "a")] == [HERE, DR]
    assert [one.region for one in decisions.named(given, arn)] == [HERE]
    assert decisions.named(given, "ab") == []


SNAPSHOT = "arn:aws:rds:eu-west-1:123456789012:snapshot:"


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        ("20261129T031500Z-3f9a1c", {PointKind.DUMP}),
        ("20261329T031500Z-3f9a1c", set(PointKind) - {PointKind.DUMP, PointKind.POINT_IN_TIME}),
        ("ab-ntyi6vb3jqvm4", {PointKind.POINT_IN_TIME}),
        ("arn:aws:rds:eu-west-1:123456789012:auto-backup:ab-ntyi6vb3jqvm4", {PointKind.POINT_IN_TIME}),
        ("rds:app-x-g1-2026-11-29-03-00", {PointKind.AUTOMATED_SNAPSHOT}),
        (f"{SNAPSHOT}rds:app-x-g1-2026-11-29-03-00", {PointKind.AUTOMATED_SNAPSHOT}),
        (f"{SNAPSHOT}awsbackup:job-1", {PointKind.BACKUP_POINT}),
        ("awsbackup:job-1", {PointKind.BACKUP_POINT}),
        ("continuous:db-abc-1", {PointKind.BACKUP_POINT}),
        ("app-x-g1-final", set(PointKind) - {PointKind.DUMP, PointKind.POINT_IN_TIME}),
    ],
)
def test_the_form_of_an_id_tells_what_it_can_be(wanted: str, kinds: set[PointKind]) -> None:
    assert decisions.kinds_of(wanted) == kinds


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (20 * 1024**3, "20 GiB"),
        (5 * 1024**5, "5.0 PiB"),
        (5000 * 1024**5, "5000 PiB"),
    ],
)
def test_sizes_are_humane(size: int | None, text: str) -> None:
    assert decisions.humane(size) == text
