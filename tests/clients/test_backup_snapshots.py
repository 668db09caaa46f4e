"""What AWS Backup left of a database that is gone, against the local cloud: RDS tells of it only where it is asked for."""

from __future__ import annotations

import boto3
from lifeboat.clients.database_restores import DatabaseRestores
from lifeboat.clients.database_snapshots import DatabaseSnapshots
from localcloud.front import INTERNAL_KEY

from tests.conftest import RunningCloud


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
