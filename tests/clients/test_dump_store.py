"""The dumps of a bucket: listed by their versions, read whole, marked and proven, and never taken for another's."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lifeboat.clients.dump_store import DumpStore, ManifestForm, OtherBucket, proven_identity
from lifeboat.clients.dump_uploads import Uploads, part_size
from lifeboat.database_model import LONGEST_DUMP, DumpEntry, Proof, Verdict, dump_id
from lifeboat.decisions import manifests
from lifeboat.errors import Failed, IntegrityFailure, LifeboatError, NothingFits, Refused, Unreachable

from tests.conftest import RunningCloud
from tests.dump_buckets import Bucket, dump_bucket
from tests.dump_manifests import BEGUN, manifest

MB = 1024 * 1024
LOOKED = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def bucket(cloud: RunningCloud) -> Iterator[Bucket]:
    yield from dump_bucket(cloud)


@pytest.fixture
def other(cloud: RunningCloud) -> Iterator[Bucket]:
    yield from dump_bucket(cloud)


def test_a_dump_is_listed_with_the_versions_of_its_files(bucket: Bucket) -> None:
    made = bucket.dump(flags=())
    newer = bucket.put(f"dumps/x/app/{made.id}/data-00.dump.zst", b"newer")

    entry = bucket.entry()
    assert (entry.id, entry.database, entry.begun_at, entry.complete) == (made.id, "app", BEGUN, True)
    assert sorted(entry.files) == ["data-00.dump.zst", "manifest.json"]
    file = entry.files["data-00.dump.zst"]
    assert (file.version_id, file.size, file.etag) == (
        newer,
        5,
        hashlib.md5(b"newer", usedforsecurity=False).hexdigest(),
    )
    assert bucket.store.manifest(entry) == made


def test_dumps_are_listed_oldest_first_and_of_one_database_if_asked(bucket: Bucket) -> None:
    odd = "Größe a/b+%25"
    for number, database in ((3, "app"), (1, odd), (2, "app")):
        bucket.dump(number, database)
    bucket.put("dumps/x/app/latest/file")
    bucket.put("dumps/x/app/20261129T031500Z-3f9a1c")
    bucket.put("dumps/y/app/20261129T031500Z-3f9a1c/manifest.json")

    assert [(e.begun_at.hour, e.database) for e in bucket.store.entries()] == [(4, odd), (5, "app"), (6, "app")]
    assert [entry.database for entry in bucket.store.entries(odd)] == [odd]
    assert bucket.store.entries("ap") == []
    assert bucket.store.manifest(bucket.store.entries(odd)[0]).database == odd


def test_a_folder_without_a_manifest_is_no_dump_and_says_whether_it_was_one(bucket: Bucket) -> None:
    made = bucket.dump()
    bucket.s3.delete_object(Bucket=bucket.store.bucket, Key=f"dumps/x/app/{made.id}/manifest.json")

    deleted = bucket.entry()
    bucket.put(f"dumps/x/app/{made.id}/data.dump")
    for version in bucket.s3.list_object_versions(Bucket=bucket.store.bucket)["Versions"]:
        if version["Key"].endswith("manifest.json"):
            bucket.s3.delete_object(
                Bucket=bucket.store.bucket,
                Key=version["Key"],
                VersionId=version["VersionId"],
                BypassGovernanceRetention=True,
            )
    never = bucket.entry()

    assert (deleted.complete, never.complete) == (False, False)
    with pytest.raises(NothingFits, match="its manifest was deleted: version .* is still there"):
        bucket.store.manifest(deleted)
    with pytest.raises(NothingFits, match="never became a dump"):
        bucket.store.manifest(never)


@pytest.mark.parametrize(
    "other", [{"database": "other"}, {"environment": "y"}, {"application": "app-y"}, {"id": dump_id(BEGUN, "ffffff")}]
)
def test_a_manifest_of_another_place_is_not_taken(bucket: Bucket, other: dict[str, Any]) -> None:
    made = manifest(**other)
    bucket.put(f"dumps/x/app/{manifest().id}/manifest.json", manifests.written(made))

    with pytest.raises(IntegrityFailure, match="is of another place"):
        bucket.store.manifest(bucket.entry())


def test_a_manifest_that_is_none_is_told(bucket: Bucket) -> None:
    bucket.put(f"dumps/x/app/{manifest().id}/manifest.json", b'{"format": 9}')

    with pytest.raises(IntegrityFailure, match="its format is 9"):
        bucket.store.manifest(bucket.entry())


def test_a_manifest_is_written_once(bucket: Bucket) -> None:
    made = bucket.dump()

    bucket.store.commit(made)  # the same again: the answer was lost
    with pytest.raises(Refused, match="is there already"):
        bucket.store.commit(replace(made, lsn="0/2"))
    assert bucket.store.manifest(bucket.entry()) == made


def test_proofs_and_the_mark_of_a_kept_dump_are_read_from_the_listing(bucket: Bucket) -> None:
    bucket.dump()
    first = Proof(level=3, at=LOOKED, verdict=Verdict.PASSED, took=timedelta(seconds=9), remarks=("older locale",))
    second = Proof(level=2, at=LOOKED + timedelta(days=1), verdict=Verdict.FAILED, findings=("cut", "short"))

    for proof in (first, second):
        bucket.store.prove(bucket.entry(), proof)
    bucket.store.keep(bucket.entry(), "before the migration")
    bucket.store.keep(bucket.entry(), "again")

    entry = bucket.entry()
    assert sorted((p.level, p.verdict) for p in entry.proofs) == [(2, Verdict.FAILED), (3, Verdict.PASSED)]
    read = {proof.level: bucket.store.proof(entry, proof) for proof in entry.proofs}
    assert (read[3].took, read[3].remarks) == (first.took, first.remarks)
    assert read[2].findings == second.findings
    assert (entry.proven, entry.kept) == (None, True)
    assert sorted(entry.files) == ["data-00.dump.zst", "manifest.json"]
    kept = json.loads(bucket.s3.get_object(Bucket=bucket.store.bucket, Key=f"{entry.prefix}kept.json")["Body"].read())
    assert kept["why"] == "before the migration"

    bucket.store.release(entry)

    assert not bucket.entry().kept


def test_all_who_look_in_the_same_second_write_down_what_they_found(bucket: Bucket) -> None:
    bucket.dump()
    entry, looked = bucket.entry(), Proof(level=2, at=LOOKED, verdict=Verdict.FAILED)
    found = [replace(looked, findings=(f"finding {number}",)) for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda proof: bucket.store.prove(entry, proof), found))
    bucket.store.prove(entry, found[0])

    proofs = [bucket.store.proof(entry, proof) for proof in bucket.entry().proofs]
    assert {proof.findings for proof in proofs} == {proof.findings for proof in found}
    assert len(proofs) in (4, 5)  # the last one is another's answer that was lost, or one more


def proved(bucket: Bucket, entry: DumpEntry, **other: Any) -> DumpEntry:
    """Write a proof of level 3 beside a dump, and return the dump as it is listed then."""
    bucket.store.prove(entry, Proof(**{"level": 3, "at": LOOKED, "verdict": Verdict.PASSED, **other}))
    return bucket.entry()


def test_a_proof_is_of_the_manifest_that_was_looked_at_and_of_none_that_is_written_over_it(bucket: Bucket) -> None:
    made = bucket.dump()
    digest = bucket.store.read(bucket.entry())[1]
    sound = proved(bucket, bucket.entry(), manifest_sha256=digest)
    assert sound.proven is not None
    body = bucket.s3.get_object(Bucket=bucket.store.bucket, Key=f"{sound.prefix}{sound.proven.file}")["Body"].read()

    bucket.put(f"dumps/x/app/{made.id}/manifest.json", manifests.written(replace(made, lsn="0/2")))

    assert json.loads(body)["of"] == {
        "bucket": bucket.store.bucket,
        "manifest_version": sound.files["manifest.json"].version_id,
        "manifest_sha256": hashlib.sha256(manifests.written(made)).hexdigest(),
    }
    assert bucket.entry().proven is None
    late = proved(bucket, sound, at=LOOKED + timedelta(seconds=1))
    assert late.proven is None, (
        "who looked at the old one, and writes when the new one is there, has not looked at that"
    )


def test_a_failure_stands_when_a_manifest_is_written_over(bucket: Bucket) -> None:
    made = bucket.dump()
    proved(bucket, bucket.entry(), verdict=Verdict.FAILED)

    bucket.put(f"dumps/x/app/{made.id}/manifest.json", manifests.written(replace(made, lsn="0/2")))

    assert bucket.entry().failure is not None


def test_what_passed_in_one_bucket_says_nothing_of_the_copy_in_another(bucket: Bucket, other: Bucket) -> None:
    bucket.dump()
    passed = proved(bucket, bucket.entry())

    replicated(bucket, other, passed)
    unseen = other.entry()
    replicated(bucket, other, proved(bucket, passed, level=1, verdict=Verdict.FAILED))
    doubted = other.entry()

    assert passed.proven is not None
    assert (unseen.complete, unseen.proven, unseen.failure) == (True, None, None)
    assert doubted.failure is not None, "what is wrong there may be wrong here"


def test_a_failure_of_the_other_regions_copy_is_known_as_such(bucket: Bucket) -> None:
    bucket.dump()
    place = bucket.store.place
    identity = proven_identity("the-other", bucket.entry().files["manifest.json"].version_id)
    gone = proven_identity("the-other", "")
    for number, name in enumerate((f"3-failed-{identity}-listing", f"2-failed-{gone}", f"2-passed-{identity}")):
        bucket.put(f"{bucket.entry().prefix}proofs/2026112{number}T050000Z-{name}.json")
    proved(bucket, bucket.entry(), level=2)
    pair = replace(place, other=OtherBucket(bucket="the-other", region="eu-central-1"))
    known = DumpStore(s3=bucket.s3, place=pair, form=ManifestForm(read=manifests.read, written=manifests.written))

    (found,) = known.entries()

    assert [(p.level, p.verdict, p.region) for p in found.proofs] == [(2, Verdict.PASSED, "eu-west-1")]
    assert sorted((p.level, p.by_listing, p.region) for p in found.elsewhere) == [
        (2, False, "eu-central-1"),
        (3, True, "eu-central-1"),
    ]
    assert (found.failure, found.failed_elsewhere) == (None, None)
    assert bucket.entry().failure is not None, "who does not know the other bucket takes no failure for another's"


def replicated(bucket: Bucket, other: Bucket, entry: DumpEntry) -> None:
    """Copy the objects of a dump as S3's replication does."""
    found = bucket.s3.list_objects_v2(Bucket=bucket.store.bucket, Prefix=entry.prefix)["Contents"]
    for key in [one["Key"] for one in found]:
        other.put(key, bucket.s3.get_object(Bucket=bucket.store.bucket, Key=key)["Body"].read())


def test_proofs_are_ordered_by_when_s3_stored_them_and_not_by_the_clock_of_who_looked(bucket: Bucket) -> None:
    bucket.dump()
    ahead = datetime.now(UTC) + timedelta(days=400)
    proved(bucket, bucket.entry(), at=ahead)
    time.sleep(1.1)  # S3 tells whole seconds

    entry = proved(bucket, bucket.entry(), level=2, at=LOOKED, verdict=Verdict.FAILED)

    assert [proof.verdict for proof in entry.proofs] == [Verdict.PASSED, Verdict.FAILED]
    assert all(proof.at < ahead - timedelta(days=1) for proof in entry.proofs)
    assert (entry.proven, entry.failure) == (None, entry.proofs[1])


def test_what_a_proof_is_short_of_and_the_recovery_it_comes_from_are_read_from_the_listing(bucket: Bucket) -> None:
    bucket.dump()
    proved(bucket, bucket.entry(), rows_only=True)

    entry = proved(bucket, bucket.entry(), level=2, run="20261129T031500Z-recover-3f9a1c")

    assert sorted((p.level, p.rows_only, p.run) for p in entry.proofs) == [
        (2, False, "20261129T031500Z-recover-3f9a1c"),
        (3, True, ""),
    ]


def test_a_proof_of_a_part_of_a_database_is_read_as_that_from_the_listing(bucket: Bucket) -> None:
    bucket.dump()

    entry = proved(bucket, bucket.entry(), level=2, part=True)

    assert [(p.level, p.part, p.verdict) for p in entry.proofs] == [(2, True, Verdict.PASSED)]


def test_where_nothing_may_be_written_over_a_dump_its_proof_and_its_mark_are_and_no_second_manifest(
    bucket: Bucket,
) -> None:
    # The statement of modules/dump-bucket, whose own test says that it is there.
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": [f"arn:aws:s3:::{bucket.store.bucket}/dumps/*"],
        "Condition": {
            "ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::123456789012:role/app-x-break-glass"]},
            "Bool": {"s3:ObjectCreationOperation": "true"},
            "Null": {"s3:if-none-match": "true"},
        },
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
    bucket.s3.put_bucket_policy(Bucket=bucket.store.bucket, Policy=policy)
    made = manifest()
    folder = bucket.store.folder(made.database, made.id)
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    upload = uploads.begin(f"{folder}data-00.dump.zst")
    upload.write(b"rows")
    upload.flush()
    upload.complete()
    uploads.close()
    bucket.store.commit(made)
    entry = proved(bucket, bucket.entry())
    for why in ("once", "again"):
        bucket.store.keep(entry, why)
        bucket.store.release(entry)

    with pytest.raises(ClientError, match="explicit deny"):
        bucket.put(f"{folder}manifest.json", manifests.written(replace(made, lsn="0/2")))
    with pytest.raises(ClientError, match="explicit deny"):
        bucket.s3.copy_object(
            Bucket=bucket.store.bucket,
            Key=f"{folder}manifest.json",
            CopySource=f"{bucket.store.bucket}/{folder}data-00.dump.zst",
        )
    bucket.put("gitlab/x/export.json")

    assert bucket.store.manifest(bucket.entry()) == made
    assert bucket.entry().proven == entry.proven


def test_a_transfer_that_breaks_off_goes_on_where_it_broke(bucket: Bucket) -> None:
    made = bucket.dump()
    body = bytes(range(256)) * 20_000
    bucket.put(f"dumps/x/app/{made.id}/data-00.dump.zst", body)
    entry = bucket.entry()
    bucket.put(f"dumps/x/app/{made.id}/data-00.dump.zst", b"another version")
    bucket.fail("GetObject", when="cut", times=2)

    with bucket.store.opened(entry, "data-00.dump.zst") as chunks:
        assert b"".join(chunks) == body


def test_what_cannot_be_read_is_told(bucket: Bucket) -> None:
    bucket.dump()
    bucket.fail("GetObject", code="AccessDenied", status=403, times=100)

    with pytest.raises(NothingFits), bucket.store.opened(bucket.entry(), "nothing"):
        pass
    with (
        pytest.raises(Unreachable, match="AccessDenied"),
        bucket.store.opened(bucket.entry(), "manifest.json") as chunks,
    ):
        next(chunks)


def test_what_a_failed_dump_completed_is_deleted_version_by_version(bucket: Bucket) -> None:
    made = bucket.dump()
    bucket.dump(1)

    assert bucket.store.discard(bucket.store.folder("app", made.id)) == []

    assert bucket.entry().id != made.id
    found = bucket.s3.list_object_versions(Bucket=bucket.store.bucket)
    assert (len(found["Versions"]), found.get("DeleteMarkers", [])) == (2, [])


def test_a_stream_of_several_parts_becomes_one_object_when_it_is_told(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    body = b"0123456789abcdef" * (1024 * 1024 + 1)  # two parts, and 16 bytes of a third
    upload = uploads.begin("dumps/x/app/20261129T031500Z-3f9a1c/data-00.dump.zst")
    for start in range(0, len(body), 3_000_000):
        upload.write(body[start : start + 3_000_000])
    upload.flush()
    assert bucket.store.entries() == []

    stored = upload.complete()
    uploads.close()

    assert (stored.size, stored.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert stored.parts_sha256.endswith("-3")
    assert bucket.s3.get_object(Bucket=bucket.store.bucket, Key=stored.key)["Body"].read() == body
    assert bucket.entry().files["data-00.dump.zst"].version_id == stored.version_id


def test_parts_grow_so_that_no_object_is_too_long_for_them() -> None:
    sizes = [part_size(number) for number in range(1, 10_001)]

    assert (sizes[0], sizes[999], sizes[1000]) == (8 * MB, 8 * MB, 16 * MB)
    assert max(sizes) <= 5 * 1024 * 1024 * MB // 1024
    assert sum(sizes) >= 5 * 1024 * 1024 * MB


def test_an_object_that_is_there_is_not_replaced(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    bucket.put("dumps/there", b"first")
    upload = uploads.begin("dumps/there")
    upload.write(b"second")
    upload.flush()

    with pytest.raises(Refused, match="is there already"):
        upload.complete()
    upload.abort()
    uploads.close()

    assert uploads.open("") == []
    assert bucket.s3.get_object(Bucket=bucket.store.bucket, Key="dumps/there")["Body"].read() == b"first"


def test_an_object_whose_completion_was_not_answered_is_found_by_who_may_only_list(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    upload = uploads.begin("dumps/x/app/20261129T031500Z-3f9a1c/data-00.dump.zst")
    upload.write(b"rows")
    upload.flush()
    bucket.fail("CompleteMultipartUpload", when="after", code="NoSuchUpload", status=404)
    bucket.fail("GetObject|HeadObject", code="AccessDenied", status=403, times=100)

    stored = upload.complete()
    uploads.close()

    file = bucket.entry().files["data-00.dump.zst"]
    assert (stored.version_id, stored.etag, stored.size) == (file.version_id, file.etag, 4)


def test_an_object_whose_completion_was_not_answered_is_not_called_good_where_nobody_may_look(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    upload = uploads.begin("dumps/x")
    upload.write(b"rows")
    upload.flush()
    bucket.fail("CompleteMultipartUpload", when="after", code="NoSuchUpload", status=404)
    bucket.fail("ListObjectVersions|GetObject|HeadObject", code="AccessDenied", status=403, times=100)

    with pytest.raises(Unreachable, match=r"cannot complete s3://.*/dumps/x: AccessDenied"):
        upload.complete()
    uploads.close()


def test_an_upload_that_somebody_gave_up_is_not_taken_for_one_that_was_completed(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    upload = uploads.begin("dumps/x")
    upload.write(b"rows")
    upload.flush()
    bucket.fail("CompleteMultipartUpload", code="NoSuchUpload", status=404)
    bucket.put("dumps/xy", b"rows")

    with pytest.raises(Failed, match="knows the upload to .*/dumps/x no more"):
        upload.complete()
    uploads.close()


def test_an_object_that_an_unanswered_completion_made_is_not_called_somebody_elses(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    upload = uploads.begin("dumps/x/app/20261129T031500Z-3f9a1c/data-00.dump.zst")
    upload.write(b"rows")
    upload.flush()
    bucket.fail("CompleteMultipartUpload", when="after", code="PreconditionFailed", status=412)

    stored = upload.complete()
    uploads.close()

    file = bucket.entry().files["data-00.dump.zst"]
    assert (stored.version_id, stored.etag, stored.size) == (file.version_id, file.etag, 4)


def test_an_upload_of_a_dump_that_may_still_run_is_not_left_behind(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    began = {timedelta(): "aaaaaa", LONGEST_DUMP: "bbbbbb", LONGEST_DUMP + timedelta(days=1): "cccccc"}
    for age, chance in began.items():
        uploads.begin(f"dumps/x/app/{dump_id(BEGUN - age, chance)}/data-00.dump.zst")

    found = uploads.left("dumps/", BEGUN)

    uploads.close()
    assert [left.key.split("/")[3][-6:] for left in found] == ["cccccc"]


def test_a_refused_part_is_told_and_nothing_stays(bucket: Bucket) -> None:
    uploads = Uploads(s3=bucket.s3, bucket=bucket.store.bucket)
    bucket.fail("UploadPart", code="AccessDenied", status=403, times=100)
    upload = uploads.begin("dumps/x")
    upload.write(b"x")

    with pytest.raises(LifeboatError, match=r"cannot upload part 1 of s3://.*/dumps/x: AccessDenied"):
        upload.flush()
    upload.abort()
    upload.abort()
    uploads.close()

    assert uploads.open("") == []
