"""What the last plan found: written down in the state bucket, read back, and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from lifeboat.clients.plan_records import PlanRecords
from lifeboat.errors import IntegrityFailure, Unreachable
from lifeboat.status_model import PlanRecord

from tests.conftest import RunningCloud

RECORD = PlanRecord(at=datetime(2026, 11, 29, 12, tzinfo=UTC), by="plan", changes=2, summary="2 to change")


@pytest.fixture
def bucket(cloud: RunningCloud) -> str:
    name = f"state-{uuid4().hex}"
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def test_the_newest_counts(cloud: RunningCloud, bucket: str) -> None:
    records = PlanRecords(s3=cloud.client("s3"), bucket=bucket)
    assert records.newest() is None

    records.write(PlanRecord(at=RECORD.at, by="apply", changes=0, summary="no changes"))
    records.write(RECORD)

    assert records.newest() == RECORD


def test_what_we_did_not_write_is_no_record(cloud: RunningCloud, bucket: str) -> None:
    records = PlanRecords(s3=cloud.client("s3"), bucket=bucket)
    cloud.client("s3").put_object(Bucket=bucket, Key="runs/last-plan.json", Body=b'{"at": "yesterday"}')

    with pytest.raises(IntegrityFailure, match=r"runs/last-plan\.json is not what this lifeboat writes"):
        records.newest()


def test_where_there_is_no_bucket_nothing_is_written_and_nobody_calls_that_no_drift(cloud: RunningCloud) -> None:
    records = PlanRecords(s3=cloud.client("s3"), bucket="none-of-that-name")

    records.write(RECORD)

    with pytest.raises(Unreachable, match="NoSuchBucket"):
        records.newest()


def test_who_may_not_write_is_told(cloud: RunningCloud, bucket: str) -> None:
    rule = {"code": "AccessDenied", "status": 403, "times": 1, "first": 1}
    cloud.control("faults", add={"service": "s3", "operation": "PutObject", **rule})

    with pytest.raises(Unreachable, match="cannot write down what the plan found"):
        PlanRecords(s3=cloud.client("s3"), bucket=bucket).write(RECORD)

    cloud.control("faults", clear=True)
