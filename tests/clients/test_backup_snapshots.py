"""What AWS Backup left of a database that is gone, against the local cloud: RDS tells of it only where it is asked for."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import boto3
from lifeboat.clients.database_restores import DatabaseRestores
from lifeboat.clients.database_snapshots import DatabaseSnapshots
from localcloud.front import INTERNAL_KEY

from tests.backup_sites import backup_site
from tests.conftest import RunningCloud
from tests.database_recoveries import LATELY


def test_a_name_that_only_a_snapshot_of_aws_backup_bears_is_taken_and_its_moment_is_known(cloud: RunningCloud) -> None:
    rds = cloud.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="app-g4",
        Engine="postgres",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword="not-4-anybody",
    )
    of_aws_backup = boto3.client(
        "rds",
        region_name="eu-west-1",
        endpoint_url=cloud.endpoint,
        aws_access_key_id=INTERNAL_KEY,
        aws_secret_access_key="x",
    )
    taken = of_aws_backup.create_db_snapshot(DBInstanceIdentifier="app-g4", DBSnapshotIdentifier="awsbackup:job-1")
    rds.delete_db_instance(DBInstanceIdentifier="app-g4", SkipFinalSnapshot=True, DeleteAutomatedBackups=True)

    names = DatabaseRestores(rds, region="eu-west-1", application="app").names()
    snapshots = DatabaseSnapshots(client=lambda *_: rds, application="app")

    ((arn, found),) = snapshots.moments_of_aws_backup("eu-west-1").items()
    assert names == {"app-g4"}
    assert snapshots.snapshots("eu-west-1") == []
    assert arn == taken["DBSnapshot"]["DBSnapshotArn"]
    assert found.instance_made_at is not None
    assert found.instance_made_at <= found.taken_at


def test_a_point_in_the_vault_is_listed_with_the_moment_that_rds_knows(cloud: RunningCloud, tmp_path: Path) -> None:
    site = backup_site(cloud, tmp_path)
    trust = {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam, backup, rds = cloud.client("iam"), cloud.client("backup"), cloud.client("rds")
    role = iam.create_role(
        RoleName="backup", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    policy = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"
    iam.attach_role_policy(RoleName="backup", PolicyArn=policy)
    arn = rds.describe_db_instances(DBInstanceIdentifier=site.instance)["DBInstances"][0]["DBInstanceArn"]

    job = backup.start_backup_job(BackupVaultName=site.vault(), ResourceArn=arn, IamRoleArn=role)["BackupJobId"]
    deadline = time.monotonic() + LATELY
    while backup.describe_backup_job(BackupJobId=job)["State"] != "COMPLETED":
        assert time.monotonic() < deadline
        time.sleep(0.1)

    (point,) = backup.list_recovery_points_by_backup_vault(BackupVaultName=site.vault())["RecoveryPoints"]
    (snapshot,) = [
        one
        for one in rds.describe_db_snapshots(SnapshotType="awsbackup")["DBSnapshots"]
        if one["DBSnapshotArn"] == point["RecoveryPointArn"]
    ]
    (listed,) = [one for one in site.listed()["points"] if one["kind"] == "AWS Backup point"]
    assert datetime.fromisoformat(listed["taken_at"]) == snapshot["SnapshotDatabaseTime"] != point["CreationDate"]
