"""What a dump's verifications say together: a deeper failure stands until something as deep has passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.database_model import DumpEntry, DumpFacts, Proof, RetentionPolicy, StoredFile, Verdict, dump_id
from lifeboat.decisions import recovery_points, retention
from lifeboat.decisions.recovery_points import DumpPlace

BEGUN = datetime(2026, 11, 29, 3, 15, tzinfo=UTC)
PLACE = DumpPlace(bucket="dumps", region="eu-west-1", key=None)


def dump(*looks: tuple[int, Verdict]) -> DumpEntry:
    """Return a dump that was looked at an hour apart."""
    return DumpEntry(
        database="app",
        id=dump_id(BEGUN, "3f9a1c"),
        begun_at=BEGUN,
        prefix="dumps/x/app/20261129T031500Z-3f9a1c/",
        files={},
        proofs=tuple(
            Proof(level=level, at=BEGUN + timedelta(hours=hour), verdict=verdict)
            for hour, (level, verdict) in enumerate(looks, 1)
        ),
    )


P, F = Verdict.PASSED, Verdict.FAILED


@pytest.mark.parametrize(
    ("entry", "proven", "failed"),
    [
        (dump(), None, None),
        (dump((2, P), (3, P), (1, P)), 3, None),
        (dump((3, P), (1, F)), None, 1),
        (dump((3, F), (2, P)), None, 3),
        (dump((3, F), (1, F), (2, P)), None, 3),
        (dump((2, F), (3, P)), 3, None),
        (dump((2, F), (1, P), (2, P)), 2, None),
    ],
)
def test_a_failure_stands_until_a_look_as_deep_has_passed(
    entry: DumpEntry, proven: int | None, failed: int | None
) -> None:
    (point,) = recovery_points.of_dumps([entry], PLACE, BEGUN + timedelta(days=1))

    assert (None if entry.proven is None else entry.proven.level) == proven
    assert (None if entry.failure is None else entry.failure.level) == failed
    assert retention.is_verified(DumpFacts(entry=entry), RetentionPolicy()) == ((proven or 0) >= 2)
    assert point.proven == entry.proven
    assert point.flags == (() if failed is None else (f"its last verification (level {failed}) failed",))


def two(here: DumpEntry, *failed: Proof) -> DumpEntry:
    return replace(here, elsewhere=failed)


def there(level: int, *, by_listing: bool = False) -> Proof:
    """Return a failure of the copy in the other region, later than any look at this one."""
    at = BEGUN + timedelta(hours=9)
    return Proof(level=level, at=at, verdict=F, by_listing=by_listing, region="eu-central-1")


@pytest.mark.parametrize(
    ("entry", "proven", "told"),
    [
        # A file that is missing there is nothing that this copy could lack with it.
        (two(dump(), there(3, by_listing=True)), None, None),
        (two(dump((2, P)), there(3, by_listing=True)), 2, None),
        # What a restore found is in the bytes, which are the same.
        (two(dump(), there(3)), None, 3),
        (two(dump((2, P)), there(3)), 2, 3),
        (two(dump((3, P)), there(3)), 3, None),
        (two(dump((2, P)), there(2)), 2, None),
    ],
)
def test_a_copy_is_judged_by_its_own_proofs_and_told_what_its_bytes_failed_elsewhere(
    entry: DumpEntry, proven: int | None, told: int | None
) -> None:
    (point,) = recovery_points.of_dumps([entry], PLACE, BEGUN + timedelta(days=1))

    flag = f"the copy in eu-central-1 failed a verification (level {told}), and this one passed none as deep"
    assert entry.failure is None
    assert (None if point.proven is None else point.proven.level) == proven
    assert point.flags == point.doubts == (() if told is None else (flag,))


@pytest.mark.parametrize(
    ("here", "other", "verified"),
    [
        (dump((3, F)), dump((2, P)), True),
        (dump((2, P)), dump((3, F)), True),
        (dump(), dump((2, F)), False),
        (dump((2, F)), dump(), False),
        (dump(), dump(), False),
    ],
)
def test_a_dump_is_verified_where_one_of_its_copies_is(here: DumpEntry, other: DumpEntry, *, verified: bool) -> None:
    (found,) = retention.merged([here], [replace(other, kept=True)])

    assert retention.is_verified(DumpFacts(entry=found), RetentionPolicy()) is verified
    assert (found.failure is None) is (verified or (here.failure, other.failure) == (None, None))
    assert found.kept


@pytest.mark.parametrize("whole", ["here", "there", "both"])
def test_a_dump_has_the_files_of_the_copy_that_is_whole(whole: str) -> None:
    one = dump((3, P))
    files = {"manifest.json": StoredFile(name="manifest.json", size=1, etag="e", version_id="v", stored_at=BEGUN)}
    here = replace(one, files=files if whole != "there" else {}, prefix="here/")
    there = replace(one, files=files if whole != "here" else {}, prefix="there/")

    (found,) = retention.merged([here], [there])

    assert (found.complete, found.prefix) == (True, "there/" if whole == "there" else "here/")


def test_a_dump_of_one_bucket_only_is_listed_once_too() -> None:
    one, another = dump(), replace(dump(), database="other")

    assert retention.merged([one], [another]) == [one, another]
