"""AWS Backup over days: what a compliance lock and a lifecycle do when the clock has moved."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from localcloud.cloud import Cloud
from localcloud.operations import HANDLERS, Call, Refused
from localcloud.services import (
    backup_jobs,  # the import registers every operation it needs
    backup_testing,
)
from localcloud.services.backup import table
from localcloud.services.backup_points import add_point
from localcloud.services.backup_sources import Taken

REGION = "eu-west-1"


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """A cloud that serves nobody, with one vault, whose clock the test moves."""
    cloud = Cloud(directory=tmp_path, endpoint="http://127.0.0.1:9", network="127.9")
    table(cloud, REGION, "vaults")["kept"] = {
        "BackupVaultName": "kept",
        "BackupVaultArn": f"arn:aws:backup:{REGION}:123456789012:backup-vault:kept",
        "EncryptionKeyArn": f"arn:aws:kms:{REGION}:123456789012:key/none",
        "CreationDate": cloud.now(),
        "Locked": False,
    }
    return cloud


def ask(cloud: Cloud, operation: str, **params: Any) -> dict[str, Any]:
    call = Call(
        cloud=cloud,
        service="backup",
        operation=operation,
        region=REGION,
        account_id=cloud.account_id,
        method="PUT",
        path="/",
        query="",
        headers={},
        body=b"",
        environ={},
    )
    return HANDLERS[("backup", operation)](call, **params) or {}


def pass_days(cloud: Cloud, days: float) -> None:
    cloud.remembered.clock_offset += timedelta(days=days)


def taken(cloud: Cloud, days: int) -> str:
    arn = f"arn:aws:backup:{REGION}:123456789012:recovery-point:bucket-{days}"
    job = {
        "ResourceArn": "arn:aws:s3:::bucket",
        "ResourceType": "S3",
        "IamRoleArn": "arn:aws:iam::123456789012:role/backup",
        "CreationDate": cloud.now(),
        "RecoveryPointLifecycle": {"DeleteAfterDays": days},
    }
    vault = table(cloud, REGION, "vaults")["kept"]
    add_point(cloud, REGION, vault, job, Taken(arn=arn, size_bytes=1), tags={})
    return arn


def test_a_compliance_lock_is_there_for_good_after_its_grace_time(cloud: Cloud) -> None:
    lock = {"BackupVaultName": "kept", "MinRetentionDays": 7, "ChangeableForDays": 3}
    ask(cloud, "PutBackupVaultLockConfiguration", **lock)
    pass_days(cloud, 2.9)
    ask(cloud, "PutBackupVaultLockConfiguration", **lock)  # within the grace time; it starts again
    pass_days(cloud, 3.1)

    for operation, params in (
        ("DeleteBackupVaultLockConfiguration", {"BackupVaultName": "kept"}),
        ("PutBackupVaultLockConfiguration", {"BackupVaultName": "kept", "MinRetentionDays": 1}),
    ):
        with pytest.raises(Refused, match="InvalidRequestException: Vault Lock configuration is immutable"):
            ask(cloud, operation, **params)
    assert ask(cloud, "DescribeBackupVault", BackupVaultName="kept")["Locked"] is True


def test_a_governance_lock_stays_changeable(cloud: Cloud) -> None:
    ask(cloud, "PutBackupVaultLockConfiguration", BackupVaultName="kept", MinRetentionDays=7)
    pass_days(cloud, 400)

    ask(cloud, "DeleteBackupVaultLockConfiguration", BackupVaultName="kept")

    assert ask(cloud, "DescribeBackupVault", BackupVaultName="kept")["Locked"] is False


def test_points_past_their_lifecycle_go_even_from_a_locked_vault_and_no_others(cloud: Cloud) -> None:
    week, month = taken(cloud, 7), taken(cloud, 30)
    ask(cloud, "PutBackupVaultLockConfiguration", BackupVaultName="kept", MinRetentionDays=7)
    pass_days(cloud, 6.9)
    early = backup_jobs.run_due(cloud, "daily", cloud.now())
    pass_days(cloud, 0.2)

    late = backup_jobs.run_due(cloud, "daily", cloud.now())

    assert early == []
    assert late == [f"AWS Backup: recovery point {week} deleted, past its lifecycle"]
    assert list(table(cloud, REGION, "recovery_points")) == [month]


def test_the_window_of_a_restore_test_ends_by_the_clock_or_with_the_tick_that_stands_for_its_end(cloud: Cloud) -> None:
    def restored(name: str, hours: int) -> None:
        until = cloud.now() + timedelta(hours=hours)
        job = {"ResourceType": "none", "CreatedResourceArn": name, "ValidationStatus": "VALIDATING"}
        table(cloud, REGION, "restores")[name] = {**job, "_validate_until": until}

    def left() -> list[str]:
        jobs = table(cloud, REGION, "restores")
        return [name for name in jobs if jobs[name]["ValidationStatus"] == "VALIDATING"]

    for name, hours in {"hours": 4, "day": 24, "week": 168}.items():
        restored(name, hours)
    pass_days(cloud, 3.9 / 24)
    early = backup_testing.end_windows(cloud, REGION, cloud.now()), left()
    pass_days(cloud, 0.2 / 24)
    backup_testing.end_windows(cloud, REGION, cloud.now())
    clock = left()
    backup_testing.run_due(cloud, "daily", cloud.now())
    daily = left()
    backup_testing.run_due(cloud, "monthly", cloud.now())

    assert early == ([], ["hours", "day", "week"])
    assert (clock, daily, left()) == (["day", "week"], ["week"], [])
