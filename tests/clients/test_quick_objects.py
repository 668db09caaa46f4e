"""Small objects of S3 without boto3: what is answered is right, and whatever goes wrong is no answer."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import botocore.session
import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError, UnauthorizedSSOTokenError
from lifeboat.clients import dump_store
from lifeboat.clients.quick_objects import Door, Found, Listed, QuickObjects, may_be_asked
from lifeboat.decisions import manifests
from lifeboat.errors import Refused

from tests.conftest import RunningCloud, free_port
from tests.dump_buckets import PLACE
from tests.dump_manifests import manifest

BODY = b'{"serial": 7, "of": "a manifest"}'
# As the folder of a database whose name has such signs: S3 is told of the percent signs, not of what they would stand for.
KEY = "dumps/x/caf%C3%A9%20%2F1/20260101T000000Z-3f9a1c/manifest.json"


@dataclass(frozen=True)
class Asking:
    """Small objects that are asked for outside of the main thread."""

    objects: QuickObjects

    def read(self, listed: Listed, **more: int) -> Found | None:
        """Read a version."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.objects.read, listed, **more).result(60)

    def created(self, key: str, body: bytes) -> bool:
        """Create an object."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.objects.created, key, body).result(60)


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

    def quick(self, **changed: Any) -> Asking:
        """Return the bucket's small objects, asked by a thread as those that ask for many are."""
        return Asking(QuickObjects(bucket=self.bucket, door=replace(self.door, **changed)))

    def listed(self, version: str, key: str = KEY) -> Listed:
        """Return a version as S3 lists it."""
        shown = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key)["Versions"]
        (one,) = [one for one in shown if (one["Key"], one["VersionId"]) == (key, version)]
        return Listed(key=key, version_id=version, size=one["Size"], etag=one["ETag"])

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

    before, after = quick.read(shelf.listed(old)), quick.read(shelf.listed(new))

    assert before is not None
    assert after is not None
    assert (before.body, after.body) == (BODY, b"{}")
    assert before.etag == shelf.s3.head_object(Bucket=shelf.bucket, Key=KEY, VersionId=old)["ETag"]
    assert before.metadata["lifeboat-by"] == "state restore"
    assert "lifeboat-by" not in after.metadata


def test_the_first_byte_alone_can_be_asked_for(shelf: Shelf) -> None:
    version = shelf.put(Metadata={"lifeboat-run": "20260101T000000Z-recover"})

    found = shelf.quick().read(shelf.listed(version), only=1)

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
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda number: quick.created(KEY, b"%d" % number), range(4)))

    assert told.count(True) == 1
    assert shelf.body() == b"%d" % told.index(True)


RULES = [
    pytest.param({"code": "AccessDenied", "status": 403}, id="denied"),
    pytest.param({"code": "SlowDown", "status": 503}, id="too fast"),
    pytest.param({"code": "InternalError", "status": 500}, id="broken"),
    pytest.param({"when": "cut"}, id="cut off"),
    pytest.param({"when": "after", "code": "InternalError", "status": 500}, id="answer lost"),
    pytest.param({"status": 200, "held": True}, id="no answer"),
]


@pytest.mark.parametrize("rule", RULES)
def test_what_s3_does_not_give_whole_is_no_answer(shelf: Shelf, rule: Mapping[str, Any]) -> None:
    listed = shelf.listed(shelf.put())
    shelf.cloud.control("faults", add={"service": "s3", "operation": "GetObject", "times": 100, **rule})

    assert shelf.quick(read_seconds=2).read(listed) is None


@pytest.mark.parametrize("rule", RULES)
def test_what_s3_may_have_written_without_saying_so_is_not_told_as_created(
    shelf: Shelf, rule: Mapping[str, Any]
) -> None:
    shelf.cloud.control("faults", add={"service": "s3", "operation": "PutObject", "times": 100, **rule})

    told = shelf.quick(read_seconds=2).created(KEY, BODY)
    shelf.cloud.control("faults", clear=True)

    # An answer that breaks off may hold all that there is to it: then it is there, and may be told so.
    assert told is False or (rule.get("when") == "cut" and shelf.body() == BODY)
    there = shelf.s3.list_objects_v2(Bucket=shelf.bucket)["KeyCount"]
    assert there == (1 if "when" in rule else 0) or "held" in rule


def test_after_no_answer_s3_is_left_to_boto3_and_after_refusals_in_a_row_too(shelf: Shelf) -> None:
    listed = shelf.listed(shelf.put())
    refused, often, broken = shelf.quick(), shelf.quick(), shelf.quick()
    for quick, code, status, times in (
        (refused, "AccessDenied", 403, 4),
        (often, "RequestTimeTooSkewed", 403, 5),
        (broken, "SlowDown", 503, 1),
    ):
        rule = {"service": "s3", "operation": "GetObject", "code": code, "status": status, "times": 100}
        shelf.cloud.control("faults", add=rule)
        assert [quick.read(listed) for _ in range(times)] == [None] * times
        shelf.cloud.control("faults", clear=True)

    assert refused.read(listed) is not None
    assert (often.read(listed), broken.read(listed)) == (None, None)
    assert not broken.created("other.json", b"{}")
    assert shelf.s3.list_objects_v2(Bucket=shelf.bucket)["KeyCount"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"version_id": "no-such-version"},
        {"key": "none.json"},
        {"key": f"/{KEY}"},
        {"key": f"{KEY}/"},
        {"key": KEY.replace("/", "//", 1)},
        {"size": len(BODY) + 1},
        {"size": 3},
        {"size": 0},
        {"size": 9 * 1024**2},
        {"etag": '"0"'},
    ],
    ids=str,
)
def test_what_is_not_as_it_was_listed_is_no_answer(shelf: Shelf, changed: dict[str, Any]) -> None:
    assert shelf.quick().read(replace(shelf.listed(shelf.put()), **changed)) is None


@pytest.mark.parametrize("key", ["/lead.json", "trail.json/", "two//slashes.json"])
def test_no_other_key_is_written_than_the_one_that_is_named(shelf: Shelf, key: str) -> None:
    assert not shelf.quick().created(key, BODY)
    assert shelf.s3.list_objects_v2(Bucket=shelf.bucket)["KeyCount"] == 0


def test_a_door_behind_which_nobody_is_gives_no_answer(shelf: Shelf) -> None:
    listed, nowhere = shelf.listed(shelf.put()), f"http://127.0.0.1:{free_port()}"

    assert shelf.quick(url=nowhere).read(listed) is None
    assert not shelf.quick(url=nowhere).created("other.json", BODY)


def test_the_main_thread_which_could_not_be_interrupted_gets_none(shelf: Shelf) -> None:
    quick = shelf.quick()

    assert quick.objects.read(shelf.listed(shelf.put())) is None
    assert not quick.objects.created("other.json", BODY)


def test_a_process_that_was_forked_since_gets_none_and_the_other_one_goes_on(shelf: Shelf) -> None:
    quick, listed = shelf.quick(), shelf.listed(shelf.put())
    assert quick.read(listed) is not None

    child = os.fork()
    if child == 0:
        os._exit(0 if quick.read(listed) is None else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert quick.read(listed) is not None


class Nobody:
    """Signs nobody in."""

    def load_credentials(self) -> None:
        """Return no credentials."""
        return


class Expired:
    """Credentials of somebody whose sign-in is over."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def load_credentials(self) -> Expired:
        """Return these."""
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Raise what a session does whose token went out of date."""
        raise self._error


EXPIRED = ClientError({"Error": {"Code": "ExpiredToken", "Message": "it expired"}}, "AssumeRole")


@pytest.mark.parametrize(
    "provider", [Nobody(), Expired(UnauthorizedSSOTokenError()), Expired(EXPIRED), Expired(RuntimeError("expired"))]
)
def test_who_is_not_signed_in_gets_no_answer(shelf: Shelf, provider: object) -> None:
    session = botocore.session.Session()
    session.register_component("credential_provider", provider)
    listed = shelf.listed(shelf.put())

    assert shelf.quick(keys=None, session=session).read(listed) is None


def test_a_session_that_is_signed_in_is_asked_for_its_keys_each_time(shelf: Shelf) -> None:
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    listed = shelf.listed(shelf.put())
    quick = shelf.quick(keys=None, session=session)

    first = quick.read(listed)
    session.set_credentials("test", "test", "another-token")
    second = quick.read(listed)

    assert first is not None
    assert first == second


def test_neither_keys_nor_tokens_are_in_what_is_printed_of_it(shelf: Shelf) -> None:
    printed = repr(replace(shelf.door, keys=("AKCANARY", "Canary-of-a-secret")))

    assert "anary" not in printed


@pytest.mark.parametrize(
    ("env", "bundle", "may"),
    [
        ({}, None, True),
        ({"HTTPS_PROXY": ""}, None, True),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None, False),
        ({"http_proxy": "http://proxy:3128"}, None, False),
        ({"ALL_PROXY": "socks5://proxy"}, None, False),
        ({}, "/etc/ssl/own.pem", False),
        ({"REQUESTS_CA_BUNDLE": "/etc/ssl/own.pem"}, None, False),
        ({"AWS_PROFILE": "production", "AWS_REGION": "eu-west-1"}, None, True),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, None, False),
        ({"AWS_SKIP_SIGNATURE": "true"}, None, False),
        ({"AWS_SERVER_SIDE_ENCRYPTION": "AES256"}, None, False),
        ({"AWS_WHATEVER_COMES_NEXT": "1"}, None, False),
    ],
)
def test_what_boto3_alone_sees_to_is_left_to_it(env: Mapping[str, str], bundle: str | None, may: bool) -> None:
    session = botocore.session.Session(session_vars={"ca_bundle": (None, None, bundle, None)})
    door = Door(url="https://s3.eu-west-1.amazonaws.com", region="eu-west-1", session=session)

    assert may_be_asked(door, env) is may
    assert may_be_asked(replace(door, url="http://127.0.0.1:4566"), env) is (may or "own.pem" in f"{env}{bundle}")


def test_the_token_of_the_shell_is_not_sent_with_keys_that_have_none(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = shelf.listed(shelf.put())
    monkeypatch.setenv("AWS_SESSION_TOKEN", "Canary-of-a-token")

    assert shelf.quick().read(listed) is None


def test_a_proof_whose_answer_was_lost_is_written_once_and_one_that_stands_there_is_refused(shelf: Shelf) -> None:
    place = replace(PLACE, bucket=shelf.bucket)
    form = dump_store.ManifestForm(read=manifests.read, written=manifests.written)
    store = dump_store.DumpStore(s3=shelf.s3, place=place, form=form, quick=shelf.quick().objects)
    made = manifest(application=place.application, environment=place.environment)
    lost = {"service": "s3", "operation": "PutObject", "when": "after", "status": 500}

    def committed() -> str:
        return store.commit(made)

    with ThreadPoolExecutor(1) as pool:
        shelf.cloud.control("faults", add=lost)
        key = pool.submit(committed).result(60)
        shelf.cloud.control("faults", clear=True)
        (entry,) = store.entries()
        read = pool.submit(store.manifest, entry).result(60)
        other = pool.submit(lambda: store.commit(replace(made, git_sha="another")))

        assert isinstance(other.exception(60), Refused)
    assert read == made
    assert len(shelf.s3.list_object_versions(Bucket=shelf.bucket, Prefix=key)["Versions"]) == 1
