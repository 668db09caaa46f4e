"""The sink of `make bench` is S3 enough: what goes in by parts comes out whole, and what is not kept is counted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from lifeboat.clients.dump_uploads import Uploads

from tests.benches import sink
from tests.benches.sink import Sink

BODY = random.Random(2).randbytes(9 * 1024 * 1024)  # noqa: S311  (two parts)


@pytest.fixture(scope="module")
def running() -> Iterator[Sink]:
    with sink.running() as found:
        yield found


@pytest.fixture
def s3(running: Sink) -> Any:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return boto3.client("s3", region_name="eu-west-1", endpoint_url=running.url, **keys)


def upload(s3: Any, key: str) -> str:
    """Upload the body as a dump's stream is, and return the object's ETag."""
    uploads = Uploads(s3=s3, bucket="b")
    made = uploads.begin(key)
    for at in range(0, len(BODY), 100_000):
        made.write(BODY[at : at + 100_000])
    made.flush()
    stored = made.complete()
    uploads.close()
    return stored.etag


def test_what_is_kept_comes_out_as_it_went_in(running: Sink, s3: Any) -> None:
    running.keep_bodies()

    etag = upload(s3, "x/a")

    assert s3.get_object(Bucket="b", Key="x/a")["Body"].read() == BODY
    assert s3.get_object(Bucket="b", Key="x/a", Range="bytes=8388600-8388619")["Body"].read() == BODY[8388600:8388620]
    (listed,) = s3.list_object_versions(Bucket="b", Prefix="x/")["Versions"]
    assert (listed["Key"], listed["Size"], listed["ETag"]) == ("x/a", len(BODY), f'"{etag}"')


def test_what_is_not_kept_is_counted_all_the_same(running: Sink, s3: Any) -> None:
    running.drop_bodies()
    before = running.taken()

    upload(s3, "y/b")
    s3.put_object(Bucket="b", Key="y/manifest.json", Body=b"{}")

    assert running.taken() - before >= len(BODY)
    assert s3.get_object(Bucket="b", Key="y/manifest.json")["Body"].read() == b"{}"
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="b", Key="y/b")
