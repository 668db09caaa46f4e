"""Records kept before they are changed: in the folder and in the bucket, appended only, read from either."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from lifeboat.clients.switches import Switches
from lifeboat.errors import Failed, IntegrityFailure, Unreachable
from lifeboat.model import NameRecord, Switch, ZoneId

from tests.conftest import RunningCloud

AT = datetime(2026, 3, 1, 3, 0, 0, 123456, tzinfo=UTC)
OLD = NameRecord(
    zone=ZoneId("Z1"), name="app.test", kind="A", ttl=timedelta(seconds=60), values=("10.0.0.1", "10.0.0.2")
)
NEW = replace(OLD, values=("10.0.0.3",))
SWITCH = Switch(at=AT, who="ops@laptop", why="switch", before=OLD, after=NEW)


@pytest.fixture
def s3(cloud: RunningCloud) -> Any:
    return cloud.client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"state-{uuid4()}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@pytest.fixture
def switches(tmp_path: Path, s3: Any, bucket: str) -> Switches:
    return Switches(folder=tmp_path / "dns", s3=s3, bucket=bucket)


def keys(s3: Any, bucket: str) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_a_switch_is_kept_in_both_places_and_read_from_either(
    tmp_path: Path, s3: Any, bucket: str, switches: Switches
) -> None:
    switches.save(SWITCH)

    line = json.loads((tmp_path / "dns" / "switches.jsonl").read_text())
    kept = json.loads(s3.get_object(Bucket=bucket, Key="runs/dns/20260301T030000.123456Z.json")["Body"].read())
    elsewhere = Switches(folder=tmp_path / "other laptop", s3=s3, bucket=bucket)
    assert line == kept
    assert line == {
        "at": "2026-03-01T03:00:00.123456+00:00",
        "who": "ops@laptop",
        "why": "switch",
        "before": {
            "zone": "Z1",
            "name": "app.test",
            "type": "A",
            "ttl_seconds": 60,
            "values": ["10.0.0.1", "10.0.0.2"],
        },
        "after": {"zone": "Z1", "name": "app.test", "type": "A", "ttl_seconds": 60, "values": ["10.0.0.3"]},
    }
    assert switches.newest("app.test") == elsewhere.newest("app.test") == SWITCH
    assert (tmp_path / "dns" / "switches.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_newest_switch_of_the_name_counts_and_no_revert(switches: Switches) -> None:
    later = replace(SWITCH, at=AT + timedelta(days=1), before=NEW, after=OLD)
    for one in (
        later,
        SWITCH,
        replace(SWITCH, at=AT + timedelta(days=2), why="revert"),
        replace(SWITCH, at=AT + timedelta(days=3), after=replace(NEW, name="other.test")),
    ):
        switches.save(one)

    assert switches.newest("app.test") == later


def test_what_only_this_machine_or_only_the_bucket_knows_counts_too(
    tmp_path: Path, s3: Any, bucket: str, switches: Switches
) -> None:
    later = replace(SWITCH, at=AT + timedelta(hours=1))
    switches.save(SWITCH)
    Switches(folder=tmp_path / "other laptop", s3=s3, bucket=bucket).save(later)
    from_bucket = switches.newest("app.test")
    for key in keys(s3, bucket):
        s3.delete_object(Bucket=bucket, Key=key)

    assert from_bucket == later
    assert switches.newest("app.test") == SWITCH


def test_without_any_switch_there_is_none(switches: Switches) -> None:
    assert switches.newest("app.test") is None


def test_a_record_that_was_not_there_is_kept_as_such(switches: Switches) -> None:
    made = replace(SWITCH, before=None)

    switches.save(made)

    assert switches.newest("app.test") == made


def test_nothing_in_the_bucket_is_overwritten(s3: Any, bucket: str, switches: Switches) -> None:
    switches.save(SWITCH)

    switches.save(SWITCH)  # the same again, as after a lost answer
    with pytest.raises(Failed, match="holds another switch of the same moment"):
        switches.save(replace(SWITCH, who="somebody@else"))

    assert len(keys(s3, bucket)) == 1
    assert json.loads(s3.get_object(Bucket=bucket, Key=keys(s3, bucket)[0])["Body"].read())["who"] == "ops@laptop"


def test_a_lost_answer_of_the_bucket_is_no_failure(tmp_path: Path, cloud: RunningCloud, bucket: str) -> None:
    retrying = boto3.client(
        "s3",
        region_name="eu-west-1",
        endpoint_url=cloud.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "max_attempts": 3}, s3={"addressing_style": "path"}),
    )
    cloud.control("faults", add={"service": "s3", "operation": "PutObject", "when": "after", "status": 500})

    Switches(folder=tmp_path, s3=retrying, bucket=bucket).save(SWITCH)
    cloud.control("faults", clear=True)

    assert keys(retrying, bucket) == ["runs/dns/20260301T030000.123456Z.json"]


def test_a_bucket_that_cannot_be_written_or_read_stops_everything(
    tmp_path: Path, cloud: RunningCloud, bucket: str, switches: Switches
) -> None:
    cloud.control("faults", add={"service": "s3", "operation": "PutObject", "code": "AccessDenied", "status": 403})
    cloud.control("faults", add={"service": "s3", "operation": "ListObjectsV2", "code": "AccessDenied", "status": 403})

    with pytest.raises(Unreachable, match=f"cannot save the record to s3://{bucket}/runs/dns/.*AccessDenied"):
        switches.save(SWITCH)
    with pytest.raises(Unreachable, match=f"cannot list s3://{bucket}/runs/dns/: AccessDenied"):
        switches.newest("app.test")

    cloud.control("faults", clear=True)
    assert (tmp_path / "dns/switches.jsonl").read_text().count("\n") == 1  # here it is kept all the same
    assert switches.newest("app.test") == SWITCH


@pytest.mark.parametrize("cut", [1, 17, 100, 250])
def test_a_line_that_a_crash_cut_off_hides_no_other(
    tmp_path: Path, s3: Any, bucket: str, switches: Switches, cut: int
) -> None:
    s3.create_bucket(Bucket=f"{bucket}-empty", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    only_here = Switches(folder=tmp_path / "dns", s3=s3, bucket=f"{bucket}-empty")
    later = replace(SWITCH, at=AT + timedelta(seconds=1))
    switches.save(SWITCH)
    whole = switches.path.read_bytes()
    switches.path.write_bytes(whole + whole[:cut])

    before = only_here.newest("app.test")
    switches.save(later)

    assert before == SWITCH
    assert only_here.newest("app.test") == later
    assert switches.path.read_bytes().startswith(whole + whole[:cut] + b"\n")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"at": "yesterday"}', b'{"at": "2026-03-01T03:00:00+00:00"}'])
def test_what_the_bucket_holds_and_is_no_switch_is_named(s3: Any, bucket: str, switches: Switches, body: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="runs/dns/20990101T000000.000000Z.json", Body=body)

    with pytest.raises(IntegrityFailure, match=f"^s3://{bucket}/runs/dns/20990101T000000.000000Z.json is not "):
        switches.newest("app.test")
