"""Small objects of S3 without boto3: what is answered is right, and whatever goes wrong is no answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import botocore.session
import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import UnauthorizedSSOTokenError
from lifeboat.clients.quick_objects import Door, QuickObjects, may_be_asked

from tests.conftest import RunningCloud, free_port

BODY = b'{"serial": 7, "of": "a manifest"}'
# As the folder of a database whose name has such signs: S3 is told of the percent signs, not of what they would stand for.
KEY = "dumps/x/caf%C3%A9%20%2F1/20260101T000000Z-3f9a1c/manifest.json"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A bucket of its own with versions, by boto3 and without it."""

    cloud: RunningCloud
    bucket: str
    door: Door
    s3: Any

    def put(self, body: bytes = BODY, key: str = KEY, **more: Any) -> str:
        """Write an object by boto3 and return its version."""
        return str(self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)["VersionId"])

    def quick(self, **changed: Any) -> QuickObjects:
        """Return the bucket's small objects."""
        return QuickObjects(bucket=self.bucket, door=replace(self.door, **changed))

    def body(self, key: str = KEY) -> bytes:
        """Return what boto3 reads."""
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())


@pytest.fixture
def shelf(cloud: RunningCloud) -> Iterator[Shelf]:
    s3, bucket = cloud.client("s3"), f"quick-{uuid4().hex[:8]}"
    s3.create_bucket(
        Bucket=bucket,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectLockEnabledForBucket=True,
    )
    door = Door(url=cloud.endpoint, region="eu-west-1", session=botocore.session.Session(), keys=("test", "test"))
    yield Shelf(cloud=cloud, bucket=bucket, door=door, s3=s3)
    cloud.control("faults", clear=True)


def test_each_version_is_read_with_its_etag_and_what_its_writer_said(shelf: Shelf) -> None:
    old = shelf.put(Metadata={"lifeboat-by": "state restore"})
    new = shelf.put(b"{}")
    quick = shelf.quick()

    before, after = quick.read(KEY, old, size=len(BODY)), quick.read(KEY, new, size=2)

    assert before is not None
    assert after is not None
    assert (before.body, after.body) == (BODY, b"{}")
    assert before.etag == shelf.s3.head_object(Bucket=shelf.bucket, Key=KEY, VersionId=old)["ETag"]
    assert dict(before.metadata)["lifeboat-by"] == "state restore"
    assert "lifeboat-by" not in after.metadata


def test_the_first_byte_alone_can_be_asked_for(shelf: Shelf) -> None:
    version = shelf.put(Metadata={"lifeboat-run": "20260101T000000Z-recover"})

    found = shelf.quick().read(KEY, version, size=len(BODY), only=1)

    assert found is not None
    assert found.body == BODY[:1]
    assert found.metadata["lifeboat-run"] == "20260101T000000Z-recover"


def test_an_object_is_created_once_with_a_checksum_as_json(shelf: Shelf) -> None:
    quick = shelf.quick()

    first, second = quick.created(KEY, BODY), quick.created(KEY, b"another")

    assert (first, second) == (True, False)
    assert shelf.body() == BODY
    head = shelf.s3.head_object(Bucket=shelf.bucket, Key=KEY, ChecksumMode="ENABLED")
    assert head["ContentType"] == "application/json"
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(BODY).digest()).decode()


def test_of_many_that_create_the_same_object_at_once_one_is_told_so(shelf: Shelf) -> None:
    quick = shelf.quick()
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda number: quick.created(KEY, b"%d" % number), range(8)))

    assert told.count(True) == 1
    assert shelf.body() == b"%d" % told.index(True)


@pytest.mark.parametrize(
    "rule",
    [
        {"code": "AccessDenied", "status": 403},
        {"code": "SlowDown", "status": 503},
        {"code": "InternalError", "status": 500},
        {"when": "cut"},
        {"when": "after", "code": "InternalError", "status": 500},
        {"status": 200, "held": True},
    ],
    ids=["denied", "too fast", "broken", "cut off", "answer lost", "no answer"],
)
def test_what_s3_does_not_answer_whole_is_no_answer(shelf: Shelf, rule: Mapping[str, Any]) -> None:
    version = shelf.put()
    quick = shelf.quick(read_seconds=2)
    shelf.cloud.control("faults", add={"service": "s3", "operation": "(Get|Put)Object", "times": 100, **rule})

    found, made = quick.read(KEY, version, size=len(BODY)), quick.created("other.json", b"{}")

    assert (found, made) == (None, False)


def test_after_no_answer_s3_is_left_to_boto3_and_after_a_refusal_it_is_not(shelf: Shelf) -> None:
    version = shelf.put()
    refused, broken = shelf.quick(), shelf.quick()
    for quick, code, status in ((refused, "AccessDenied", 403), (broken, "SlowDown", 503)):
        shelf.cloud.control("faults", add={"service": "s3", "operation": "GetObject", "code": code, "status": status})
        assert quick.read(KEY, version, size=len(BODY)) is None
        shelf.cloud.control("faults", clear=True)

    later = refused.read(KEY, version, size=len(BODY))

    assert later is not None
    assert broken.read(KEY, version, size=len(BODY)) is None
    assert not broken.created("other.json", b"{}")
    assert shelf.s3.list_objects_v2(Bucket=shelf.bucket)["KeyCount"] == 1


@pytest.mark.parametrize(
    ("key", "version", "size"),
    [(KEY, "no-such-version", len(BODY)), ("none.json", None, len(BODY)), (KEY, None, len(BODY) + 1), (KEY, None, 3)],
    ids=["another version", "another key", "shorter than listed", "longer than listed"],
)
def test_what_is_not_as_it_was_listed_is_no_answer(shelf: Shelf, key: str, version: str | None, size: int) -> None:
    there = shelf.put()

    assert shelf.quick().read(key, version or there, size=size) is None


def test_a_door_behind_which_nobody_is_gives_no_answer(shelf: Shelf) -> None:
    quick = shelf.quick(url=f"http://127.0.0.1:{free_port()}")

    assert quick.read(KEY, "v", size=1) is None
    assert not quick.created(KEY, BODY)


class Nobody:
    """Signs nobody in."""

    def load_credentials(self) -> None:
        """Return no credentials."""
        return


class Expired:
    """Credentials of somebody whose sign-in is over."""

    def load_credentials(self) -> Expired:
        """Return these."""
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Raise what a session does whose token went out of date."""
        raise UnauthorizedSSOTokenError


@pytest.mark.parametrize("provider", [Nobody(), Expired()])
def test_who_is_not_signed_in_gets_no_answer(shelf: Shelf, provider: object) -> None:
    session = botocore.session.Session()
    session.register_component("credential_provider", provider)
    version = shelf.put()

    assert shelf.quick(keys=None, session=session).read(KEY, version, size=len(BODY)) is None


def test_a_session_that_is_signed_in_is_asked_for_its_keys(shelf: Shelf) -> None:
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    version = shelf.put()

    found = shelf.quick(keys=None, session=session).read(KEY, version, size=len(BODY))

    assert found is not None
    assert found.body == BODY


@pytest.mark.parametrize(
    ("env", "bundle", "may"),
    [
        ({}, None, True),
        ({"HTTPS_PROXY": ""}, None, True),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None, False),
        ({"http_proxy": "http://proxy:3128"}, None, False),
        ({"ALL_PROXY": "socks5://proxy"}, None, False),
        ({}, "/etc/ssl/own.pem", False),
    ],
)
def test_a_proxy_and_certificates_of_ones_own_are_left_to_boto3(
    env: Mapping[str, str], bundle: str | None, may: bool
) -> None:
    session = botocore.session.Session(session_vars={"ca_bundle": (None, None, bundle, None)})

    assert may_be_asked(env, session) is may
