"""Verifying where the bucket does not play along: nothing is called good or bad that was not looked at, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lifeboat.commands import verify as verify_command
from lifeboat.commands.verify import Which
from lifeboat.database_model import Verdict
from lifeboat.decisions.samples import Share
from lifeboat.dumps import verifying
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth
from lifeboat.errors import IntegrityFailure, Refused, Unreachable, WrongConfiguration
from lifeboat.site import Site

from tests.conftest import RunningCloud
from tests.dump_buckets import Bucket, dump_bucket
from tests.plain_sites import plain_site

QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
LISTED = Depth(level=1)


@pytest.fixture
def bucket(cloud: RunningCloud) -> Iterator[Bucket]:
    yield from dump_bucket(cloud)


def test_a_dump_that_was_completed_between_two_pages_of_a_listing_is_not_called_bad(bucket: Bucket) -> None:
    entry = bucket.whole()
    early = replace(entry, files={name: f for name, f in entry.files.items() if name != "data-00.dump.zst"})

    done = verifying.verify(bucket.store, early, LISTED, QUIET)

    assert done.proof is not None
    assert (done.proof.verdict, done.proof.findings) == (Verdict.PASSED, ())


def test_a_wrong_pg_bin_is_one_error_before_any_copy_is_read(cloud: RunningCloud, tmp_path: Path) -> None:
    site = replace_env(plain_site(cloud, tmp_path).site(), {"PG_BIN": "/nowhere"})

    with pytest.raises(WrongConfiguration, match="PG_BIN names /nowhere, where no pg_restore is that works"):
        verify_command.depth(site, Depth(level=2))
    assert verify_command.depth(site, LISTED).level == 1
    assert verify_command.depth(replace_env(site, {"A": "b"}), Depth(level=3)).env == {"A": "b"}


def replace_env(site: Site, env: dict[str, str]) -> Site:
    return Site(site.project, env)


def test_a_file_that_is_gone_is_found_at_level_1(bucket: Bucket) -> None:
    entry = bucket.whole()
    bucket.s3.delete_object(Bucket=bucket.store.bucket, Key=f"{entry.prefix}data-00.dump.zst")

    done = verifying.verify(bucket.store, bucket.entry(), LISTED, QUIET)

    assert done.proof is not None
    assert done.proof.findings == ("data-00.dump.zst is missing",)


def test_a_newest_dump_without_its_manifest_is_not_passed_over_for_the_one_before_it(
    bucket: Bucket, cloud: RunningCloud, tmp_path: Path
) -> None:
    site = plain_site(cloud, tmp_path).site()
    older, whole, newest = (bucket.dump(number).id for number in range(3))
    which = Which(wanted=None, every=True, share=None, database="app", now=datetime.now(UTC))
    latest, share = replace(which, every=False), replace(which, every=False, share=Share(part=1, whole=7))
    before = [entry.id for entry in verify_command.chosen(site, bucket.store, which)]
    for dump in (older, newest):
        bucket.s3.delete_object(Bucket=bucket.store.bucket, Key=f"dumps/x/app/{dump}/manifest.json")

    looked_at = verify_command.chosen(site, bucket.store, which)
    shared = verify_command.chosen(site, bucket.store, share)
    with pytest.raises(IntegrityFailure, match=f"{newest}: its manifest was deleted"):
        verify_command.chosen(site, bucket.store, latest)
    done = verifying.verify(bucket.store, looked_at[-1], LISTED, QUIET)

    assert before == [older, whole, newest]
    assert [entry.id for entry in looked_at] == [entry.id for entry in shared] == [whole, newest]
    assert done.proof is not None
    assert done.proof.verdict is Verdict.FAILED
    assert "its manifest was deleted" in done.proof.findings[0]


def test_a_dump_of_a_newer_lifeboat_is_neither_good_nor_bad(bucket: Bucket) -> None:
    entry = bucket.whole()
    key = f"{entry.prefix}manifest.json"
    body = bucket.s3.get_object(Bucket=bucket.store.bucket, Key=key)["Body"].read()
    bucket.put(key, body.replace(b'"format": 1', b'"format": 2'))

    done = verifying.verify(bucket.store, bucket.entry(), LISTED, QUIET)

    assert (done.proof, bucket.entry().proofs) == (None, ())
    assert done.unable is not None
    assert "is of a newer lifeboat: its format is 2" in done.unable.summary


def test_a_file_of_the_same_size_that_is_another_version_is_told_at_level_1_and_neither_good_nor_bad(
    bucket: Bucket,
) -> None:
    entry = bucket.whole()
    bucket.put(f"{entry.prefix}data-00.dump.zst", b"data-00.dump.zst"[::-1])

    done = verifying.verify(bucket.store, bucket.entry(), LISTED, QUIET)

    assert done.proof is None
    assert bucket.entry().proofs == ()
    with pytest.raises(Refused) as raised:
        verify_command.require_sound([done])
    assert raised.value.summary.splitlines()[1:] == [
        f"  {entry.id}: level 1 cannot tell: other versions than the manifest's lie here, of the same size, which their SHA-256"
        " has to tell: data-00.dump.zst; lifeboat verify --level 2 reads them"
    ]


def test_a_copy_that_cannot_be_read_keeps_no_other_from_being_looked_at(bucket: Bucket) -> None:
    entries = [bucket.whole(number) for number in (1, 2)]
    bucket.fail("GetObject", code="KMS.DisabledException", status=400)

    done = [verifying.one_of_several(bucket.store, entry, LISTED, QUIET) for entry in entries]

    assert [None if one.proof is None else one.proof.verdict for one in done] == [None, Verdict.PASSED]
    with pytest.raises(Unreachable) as raised:
        verify_command.require_sound(done)
    assert raised.value.summary.startswith(f"1 of 2 copies could not be read:\n  {entries[0].id}: cannot read s3://")
    assert "KMS.DisabledException" in raised.value.summary


def test_a_bucket_that_does_not_answer_ends_it(bucket: Bucket) -> None:
    entry = bucket.whole()
    bucket.fail("GetObject|ListObjectVersions", code="AccessDenied", status=403, times=100)

    with pytest.raises(Unreachable, match="cannot list s3://"):
        verifying.one_of_several(bucket.store, entry, LISTED, QUIET)


def test_what_was_found_is_told_where_it_cannot_be_written_down(bucket: Bucket) -> None:
    entry = bucket.whole()
    bucket.s3.delete_object(Bucket=bucket.store.bucket, Key=f"{entry.prefix}data-00.dump.zst")
    bucket.fail("PutObject", code="AccessDenied", status=403, times=100)

    with pytest.raises(Unreachable) as raised:
        verifying.verify(bucket.store, bucket.entry(), LISTED, QUIET)

    assert raised.value.summary.endswith(
        f"\nnot written down is what level 1 found in {entry.id}:\n  data-00.dump.zst is missing"
    )
