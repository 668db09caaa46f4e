"""Evidence in real buckets: a number is written once, its digest into the other region too, and what was done to it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import boto3
import pytest
from lifeboat.clients.evidence_store import EvidencePlace, EvidenceStore, Writing
from lifeboat.decisions import evidence_chain
from lifeboat.errors import NothingFits, Unreachable
from lifeboat.evidence_model import NOTHING_BEFORE, Wrong

from tests.conftest import RunningCloud
from tests.evidence_runs import bundle, drill
from tests.gitlab_sites import DR_REGION
from tests.loopback_servers import http, saying

NAME = "app-x"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A bucket with Object Lock, one in the other region, and what a forger with all rights does to them."""

    cloud: RunningCloud
    place: EvidencePlace
    s3: Any = None  # instead of the cloud's
    head_s3: Any = None

    def store(self) -> EvidenceStore:
        return EvidenceStore(
            s3=self.s3 or self.cloud.client("s3"),
            head_s3=self.head_s3 or self.cloud.client("s3", DR_REGION),
            place=self.place,
            writing=Writing(written=evidence_chain.linked, read=evidence_chain.stored),
        )

    def wrong(self) -> list[tuple[int | None, Wrong]]:
        return [(finding.number, finding.wrong) for finding in evidence_chain.verified(self.store().chain())]

    def write_over(self, number: int, body: bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=self.place.bucket, Key=self.place.key(number), Body=body)

    def take_away(self, number: int) -> None:
        self.cloud.client("s3").delete_object(Bucket=self.place.bucket, Key=self.place.key(number))

    def forget(self, number: int) -> None:
        s3 = self.cloud.client("s3", DR_REGION)
        s3.delete_object(Bucket=self.place.head_bucket, Key=self.place.head_key(number))

    def refuse(self, operation: str, path: str) -> None:
        rule = {"service": "s3", "operation": operation, "path": path}
        self.cloud.control("faults", add={**rule, "code": "AccessDenied", "status": 403, "times": 1000})


@pytest.fixture
def kept(cloud: RunningCloud) -> Iterator[Kept]:
    unique = uuid4().hex[:8]
    made = Kept(
        cloud=cloud,
        place=EvidencePlace(name=NAME, bucket=f"dumps-{unique}", head_bucket=f"states-{unique}"),
    )
    cloud.client("s3").create_bucket(
        Bucket=made.place.bucket,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectLockEnabledForBucket=True,
    )
    cloud.client("s3").put_object_lock_configuration(
        Bucket=made.place.bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 35}},
        },
    )
    cloud.client("s3", DR_REGION).create_bucket(
        Bucket=made.place.head_bucket, CreateBucketConfiguration={"LocationConstraint": DR_REGION}
    )
    yield made
    cloud.control("faults", clear=True)


def test_bundles_are_linked_in_order_and_read_back_newest_first(kept: Kept) -> None:
    bundles = [bundle(), drill(1), drill(2)]

    links = [kept.store().append(one) for one in bundles]

    assert [(link.number, link.previous, link.unsealed) for link in links] == [
        (1, NOTHING_BEFORE, ""),
        (2, links[0].sha256, ""),
        (3, links[1].sha256, ""),
    ]
    assert kept.wrong() == []
    assert [one.bundle for one in kept.store().bundles(newest=2)] == [drill(2), drill(1)]
    assert evidence_chain.digest(kept.store().body(2)) == links[1].sha256
    heads = kept.cloud.client("s3", DR_REGION).list_objects_v2(Bucket=kept.place.head_bucket)["Contents"]
    assert [head["Key"] for head in heads] == [f"app-x/evidence/head-00000{n}.json" for n in (1, 2, 3)]
    locked = kept.cloud.client("s3").head_object(Bucket=kept.place.bucket, Key="evidence/app-x/000001.json")
    assert locked["ObjectLockMode"] == "GOVERNANCE"


def test_writers_at_the_same_moment_get_a_number_each_and_the_chain_holds(kept: Kept) -> None:
    def append(number: int) -> tuple[int, str]:
        link = kept.store().append(drill(number))
        return link.number, link.unsealed

    with ThreadPoolExecutor(max_workers=6) as pool:
        links = list(pool.map(append, range(1, 7)))

    assert sorted(links) == [(number, "") for number in range(1, 7)]
    assert kept.wrong() == []
    runs = {one.bundle.run for one in kept.store().bundles() if one.bundle is not None}
    assert runs == {drill(number).run for number in range(1, 7)}


# -- what is done to them ----------------------------------------------------------------------------------------------


def test_what_was_done_to_a_stored_bundle_is_found_by_its_number(kept: Kept) -> None:
    for one in (bundle(), drill(1), drill(2)):
        kept.store().append(one)
    body = kept.store().body(2)

    kept.write_over(2, body.replace(b'"outcome": "met"', b'"outcome": "nat"'))
    changed = kept.wrong()
    kept.write_over(2, body)
    again = kept.wrong()
    kept.take_away(2)
    gone = kept.wrong()
    kept.write_over(2, body)
    kept.take_away(3)
    cut_off = kept.wrong()

    assert (changed, again) == ([(2, Wrong.CHANGED)], [])
    assert (gone, cut_off) == ([(2, Wrong.MISSING)], [(3, Wrong.CUT_OFF)])


def test_an_end_that_is_cut_off_with_its_digest_is_found_and_its_number_not_used_again(kept: Kept) -> None:
    kept.cloud.client("s3", DR_REGION).put_bucket_versioning(
        Bucket=kept.place.head_bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    for one in (bundle(), drill(1), drill(2)):
        kept.store().append(one)

    for number in (3, 2):
        kept.take_away(number)
        kept.forget(number)
    cut_off = kept.wrong()
    after = kept.store().append(drill(3))
    kept.take_away(1)
    kept.forget(1)
    kept.take_away(4)
    kept.forget(4)

    assert cut_off == [(2, Wrong.CUT_OFF), (3, Wrong.CUT_OFF)]
    assert after.number == 4
    assert kept.wrong() == [(number, Wrong.CUT_OFF) for number in (1, 2, 3, 4)]


def test_a_digest_that_was_taken_away_is_told_from_one_that_was_never_written(kept: Kept) -> None:
    kept.cloud.client("s3", DR_REGION).put_bucket_versioning(
        Bucket=kept.place.head_bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    kept.store().append(bundle())

    kept.forget(1)

    assert kept.wrong() == [(1, Wrong.DISAGREES)]


def test_what_comes_after_an_end_that_was_cut_off_does_not_take_its_place(kept: Kept) -> None:
    links = [kept.store().append(one) for one in (bundle(), drill(1))]
    kept.take_away(2)

    after = kept.store().append(drill(2))

    assert (after.number, after.previous) == (3, links[1].sha256)
    assert kept.wrong() == [(2, Wrong.MISSING)]


def test_a_change_of_the_last_bundle_is_not_sealed_by_the_next_one(kept: Kept) -> None:
    for one in (bundle(), drill(1)):
        kept.store().append(one)
    kept.write_over(2, evidence_chain.linked(2, NOTHING_BEFORE, drill(9)))

    kept.store().append(drill(2))

    assert kept.wrong() == [(2, Wrong.CHANGED)]


def test_a_forged_head_is_found(kept: Kept) -> None:
    for one in (bundle(), drill(1)):
        kept.store().append(one)
    forged = json.dumps({"number": 1, "sha256": "c" * 64, "run": "x"}).encode()
    key = kept.place.head_key(1)

    kept.cloud.client("s3", DR_REGION).put_object(Bucket=kept.place.head_bucket, Key=key, Body=forged)

    assert kept.wrong() == [(1, Wrong.DISAGREES)]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_what_the_other_region_could_not_be_told_is_said_and_told_by_the_next_run(kept: Kept) -> None:
    kept.refuse("PutObject", f"/{kept.place.head_bucket}/.*")
    first = kept.store().append(bundle())
    unsealed = kept.wrong()
    kept.cloud.control("faults", clear=True)

    second = kept.store().append(drill(1))

    assert first.unsealed.startswith(
        f"cannot write s3://{kept.place.head_bucket}/app-x/evidence/head-000001.json: AccessDenied"
    )
    assert unsealed == [(1, Wrong.UNSEALED)]
    assert (second.number, second.unsealed, kept.wrong()) == (2, "", [])


def test_where_nobody_may_list_the_other_region_the_chain_is_not_called_whole(kept: Kept) -> None:
    kept.store().append(bundle())
    kept.refuse("ListObject.*", f"/{kept.place.head_bucket}.*")

    link, wrong = kept.store().append(drill(1)), kept.wrong()

    assert (link.number, link.unsealed) == (2, "")
    assert wrong == [(None, Wrong.UNSEEN)]


def test_a_bucket_that_takes_nothing_is_no_evidence_and_says_so(kept: Kept) -> None:
    kept.refuse("PutObject", f"/{kept.place.bucket}/.*")

    with pytest.raises(
        Unreachable, match="cannot write the evidence s3://dumps-.*/evidence/app-x/000001.json: AccessDenied"
    ):
        kept.store().append(bundle())

    kept.cloud.control("faults", clear=True)
    assert kept.wrong() == []


def test_where_bundles_cannot_be_read_nothing_is_said_of_them(kept: Kept) -> None:
    kept.store().append(bundle())
    kept.refuse("GetObject", f"/{kept.place.bucket}/.*")

    with pytest.raises(Unreachable, match="cannot read the evidence"):
        kept.store().chain()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "the answer is cut off"),
        ("<ListVersionsResult></ListVersionsResult>", "the answer is cut off"),
        (
            "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
            "there are more, and S3 does not say where",
        ),
    ],
)
def test_a_listing_that_is_cut_off_is_no_shorter_chain_in_either_region(kept: Kept, answer: str, why: str) -> None:
    link = kept.store().append(bundle())
    with saying(http(answer.encode())) as port:
        cut_off = boto3.client(
            "s3",
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        here, there = replace(kept, s3=cut_off), replace(kept, head_s3=cut_off)
        with pytest.raises(Unreachable) as raised:
            here.store().chain()
        with pytest.raises(Unreachable):
            here.store().append(bundle())
        unseen = there.store().chain()

    url = f"s3://{kept.place.bucket}/{kept.place.prefix}"
    assert raised.value.summary == f"cannot list the versions of {url}: {why}"
    assert (list(unseen.stored), len(unseen.unseen)) == ([link.number], 1)
    assert why in unseen.unseen[0]
    assert [finding.wrong for finding in evidence_chain.verified(unseen)] == [Wrong.UNSEEN]


def test_without_a_bucket_there_is_no_evidence_and_never_was(cloud: RunningCloud) -> None:
    place = EvidencePlace(name=NAME, bucket="dumps-none", head_bucket="states-none")

    with pytest.raises(NothingFits, match="there is no bucket dumps-none, so no evidence was ever written"):
        Kept(cloud=cloud, place=place).store().chain()
