"""What restore tests of AWS Backup prove, and snapshots that are waited for: answers that the local cloud never gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from lifeboat.clients import backup_points
from lifeboat.clients.backup_points import BackupPoints
from lifeboat.clients.database_snapshots import DatabaseSnapshots
from lifeboat.clients.waiting import Patience
from lifeboat.database_model import PointKind, RecoveryPoint, RecoveryPointId, Verdict
from lifeboat.errors import Failed, LifeboatError, StoppedPartWay

AT = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
NAME = RecoveryPointId("app-x-g1-20261129-031500")


@contextmanager
def answering(service: str, *answers: tuple[str, dict[str, Any] | str]) -> Iterator[Any]:
    """Give a client of boto3 that answers these calls in order; a text is the code of an error."""
    client = boto3.client(  # type: ignore[call-overload]
        service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stubber:
        for operation, answer in answers:
            if isinstance(answer, str):
                stubber.add_client_error(operation, answer)
            else:
                stubber.add_response(operation, answer)
        yield client


def job(arn: str, hours: int, status: str = "COMPLETED", checked: str | None = None) -> dict[str, Any]:
    found = {
        "RecoveryPointArn": arn,
        "Status": status,
        "CreationDate": AT,
        "CompletionDate": AT + timedelta(hours=hours),
    }
    return found if checked is None else {**found, "ValidationStatus": checked}


def point(arn: str) -> RecoveryPoint:
    return RecoveryPoint(
        id=RecoveryPointId("p"),
        kind=PointKind.BACKUP_POINT,
        database="db",
        region="eu-west-1",
        taken_at=AT,
        status="completed",
        size=1,
        source="arn:aws:rds:eu-west-1:1:db:app-x-g1",
        key="k",
        arn=arn,
    )


def test_the_last_checked_restore_of_a_point_counts_and_an_unchecked_one_proves_nothing() -> None:
    pages = [
        {"RestoreJobs": [job("a", 2, checked="FAILED"), job("b", 2, checked="SUCCESSFUL")], "NextToken": "2"},
        {
            "RestoreJobs": [
                job("a", 1, checked="SUCCESSFUL"),
                job("b", 1, status="FAILED"),
                job("c", 1),
                job("d", 1, checked="TIMED_OUT"),
                job("e", 1, status="RUNNING"),
            ]
        },
    ]

    with answering("backup", *(("list_restore_jobs", page) for page in pages)) as client:
        proofs = BackupPoints(lambda _service, _region: client).proofs("eu-west-1")

    a, b, c, d = (backup_points.proven(point(arn), proofs) for arn in "abcd")
    assert sorted(proofs) == ["a", "b"]
    assert (a.proven, a.flags) == (None, ("its last restore test failed (2026-11-28)",))
    assert b.proven is not None
    assert (b.proven.level, b.proven.verdict, b.proven.at) == (1, Verdict.PASSED, AT + timedelta(hours=2))
    assert b.proven.looked == "restored by AWS Backup and validated"
    assert (c, d) == (point("c"), point("d"))


def snapshot(arn: str, **changed: Any) -> dict[str, Any]:
    return {
        "DBSnapshotIdentifier": arn.partition(":snapshot:")[2],
        "DBInstanceIdentifier": "app-x-g1",
        "SnapshotType": "awsbackup",
        "Status": "available",
        "SnapshotCreateTime": AT - timedelta(hours=1),
        "SnapshotDatabaseTime": AT - timedelta(hours=7),
        "InstanceCreateTime": AT - timedelta(days=3),
        "DBSnapshotArn": arn,
        **changed,
    }


def test_the_moment_of_a_point_is_that_of_its_content_and_not_when_it_was_made_or_copied() -> None:
    of_rds, lost = (f"arn:aws:rds:eu-west-1:1:snapshot:awsbackup:{name}" for name in ("copyjob-1", "job-2"))
    with Stubber(
        boto3.client("rds", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    ) as stub:
        pages = [{"DBSnapshots": [], "Marker": "2"}, {"DBSnapshots": [snapshot(of_rds)]}]
        for page, marker in zip(pages, ({}, {"Marker": "2"}), strict=True):
            stub.add_response("describe_db_snapshots", page, {"SnapshotType": "awsbackup", "MaxRecords": 100, **marker})
        taken = DatabaseSnapshots(client=lambda *_: stub.client, application="app-x").moments_of_aws_backup("eu-west-1")

    copied, other, elsewhere = (backup_points.as_of(point(arn), taken) for arn in (of_rds, "arn:of:a:volume", lost))
    assert (copied.taken_at, copied.instance_made_at) == (AT - timedelta(hours=7), AT - timedelta(days=3))
    assert other == point("arn:of:a:volume")
    assert (elsewhere.taken_at, elsewhere.flags) == (
        AT,
        ("what is in it may be older: RDS does not tell its moment",),
    )


def described(status: str) -> dict[str, Any]:
    return {
        "DBSnapshots": [
            {
                "DBSnapshotIdentifier": NAME,
                "DBInstanceIdentifier": "app-x-g1",
                "SnapshotType": "manual",
                "Status": status,
                "PercentProgress": 40,
                "DBSnapshotArn": f"arn:aws:rds:eu-west-1:1:snapshot:{NAME}",
            }
        ]
    }


@pytest.mark.parametrize(
    ("answers", "kind", "words"),
    [
        ([described("creating"), described("failed")], Failed, f"the snapshot {NAME} in eu-west-1 is failed"),
        ([described("creating"), "DBSnapshotNotFound"], Failed, f"the snapshot {NAME} in eu-west-1 is gone"),
        (["DBSnapshotNotFound", described("creating"), described("creating")], StoppedPartWay, "is still creating"),
    ],
)
def test_a_snapshot_that_never_becomes_available_is_told(
    answers: list[dict[str, Any] | str], kind: type[LifeboatError], words: str
) -> None:
    told: list[str] = []
    passed = [0.0]  # each pause takes a second, so that three questions fit
    patience = Patience(
        seconds=1.5, tell=told.append, sleep=lambda _: passed.append(passed[-1] + 1), clock=lambda: passed[-1]
    )

    with answering("rds", *(("describe_db_snapshots", answer) for answer in answers)) as client:
        snapshots = DatabaseSnapshots(client=lambda _service, _region: client, application="app-x")
        with pytest.raises(kind) as ended:
            snapshots.available(NAME, "eu-west-1", patience)

    assert words in ended.value.summary
    assert ended.value.hint
    assert told[0].startswith(f"{NAME} in eu-west-1: ")
