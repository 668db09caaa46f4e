"""Restores of RDS against the local cloud: what is ordered twice, whose a name is, an instance made empty for a dump."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from lifeboat.clients.database_restores import DatabaseRestores
from lifeboat.clients.database_snapshots import DatabaseSnapshots
from lifeboat.database_model import (
    InstanceSettings,
    PointKind,
    RecoveryPoint,
    RecoveryPointId,
    RestoreOrder,
    SnapshotProgress,
)
from lifeboat.errors import Failed

from tests.conftest import RunningCloud

SETTINGS = InstanceSettings(
    asked={"DBInstanceClass": "db.t4g.small", "CopyTagsToSnapshot": True},
    modified={"PreferredMaintenanceWindow": "sun:00:30-sun:01:30"},
    created={
        "Engine": "postgres",
        "EngineVersion": "15",
        "DBName": "app",
        "MasterUsername": "app_admin",
        "AllocatedStorage": 20,
        "StorageEncrypted": True,
    },
    tags={"application": "app"},
    password_key=None,
    retention=7,
)


@pytest.fixture(scope="module")
def rds(cloud: RunningCloud) -> Any:
    """RDS with a database of the application, and one of another whose name begins alike."""
    rds = cloud.client("rds")
    for name in ("app-g1", "app2-g1"):
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            Engine="postgres",
            DBInstanceClass="db.t4g.small",
            AllocatedStorage=20,
            DBName="app",
            MasterUsername="app_admin",
            MasterUserPassword="not-4-anybody",
            BackupRetentionPeriod=7,
        )
    deadline = time.monotonic() + 60
    while "LatestRestorableTime" not in rds.describe_db_instances(DBInstanceIdentifier="app-g1")["DBInstances"][0]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return rds


@pytest.fixture
def restores(rds: Any) -> DatabaseRestores:
    return DatabaseRestores(rds, region="eu-west-1", application="app")


def point(rds: Any, kind: PointKind) -> RecoveryPoint:
    listed = DatabaseSnapshots(client=lambda *_: rds, application="app")
    every = [*listed.windows("eu-west-1"), *listed.snapshots("eu-west-1")]
    return next(found for found in every if found.kind is kind and found.database == "app-g1")


def order(found: RecoveryPoint, name: str, run: str) -> RestoreOrder:
    return RestoreOrder(point=found, to=None, identifier=name, settings=SETTINGS, run=run)


def test_the_names_that_are_taken_are_those_of_this_application_and_of_what_its_instances_left(
    restores: DatabaseRestores,
) -> None:
    found = restores.names()

    assert "app-g1" in found
    assert all(name.startswith("app-g") for name in found)
    assert restores.created_at("app-g1") is not None
    assert restores.created_at("app-g9") is None


def test_an_order_whose_answer_was_lost_is_the_same_order_and_another_runs_is_not(
    rds: Any, restores: DatabaseRestores
) -> None:
    found = point(rds, PointKind.POINT_IN_TIME)
    restores.restore(order(found, "app-g2", "run-1"))

    restores.restore(order(found, "app-g2", "run-1"))
    with pytest.raises(Failed, match="there is a database app-g2 that this run did not make"):
        restores.restore(order(found, "app-g2", "run-2"))

    made = restores.instance("app-g2")
    assert made is not None
    assert (made.usable, made.tags["lifeboat:run"], made.tags["application"], made.retention) == (
        True,
        "run-1",
        "app",
        0,
    )
    assert rds.describe_db_instances(DBInstanceIdentifier="app-g2")["DBInstances"][0]["DeletionProtection"]


def test_a_snapshot_is_restored_and_its_password_managed_and_its_backups_turned_on(
    rds: Any,
    restores: DatabaseRestores,
) -> None:
    restores.restore(order(point(rds, PointKind.AUTOMATED_SNAPSHOT), "app-g3", "run-1"))
    restores.manage_password("app-g3", None, SETTINGS.modified)
    restores.keep_backups("app-g3", 7)

    made = restores.instance("app-g3")

    assert made is not None
    assert (made.password_secret_arn is not None, made.secret_status, made.retention) == (True, "active", 7)


def test_for_a_dump_an_empty_instance_is_made_once_whose_password_nobody_ever_knew(
    rds: Any, restores: DatabaseRestores
) -> None:
    dump = RecoveryPoint(
        id=RecoveryPointId("20261129T031500Z-3f9a1c"),
        kind=PointKind.DUMP,
        database="app",
        region="eu-west-1",
        taken_at=datetime(2026, 11, 29, 3, 15, tzinfo=UTC),
        status="available",
        size=1000,
        source="s3://dumps/x/app/20261129T031500Z-3f9a1c/",
        key=None,
    )
    restores.restore(order(dump, "app-g6", "run-1"))

    restores.restore(order(dump, "app-g6", "run-1"))
    with pytest.raises(Failed, match="there is a database app-g6 that this run did not make"):
        restores.restore(order(dump, "app-g6", "run-2"))

    made = restores.instance("app-g6")
    (shape,) = rds.describe_db_instances(DBInstanceIdentifier="app-g6")["DBInstances"]
    assert made is not None
    assert (made.tags["lifeboat:run"], made.retention, made.secret_status) == ("run-1", 0, "active")
    assert (shape["DBName"], shape["MasterUsername"], shape["StorageEncrypted"]) == ("app", "app_admin", True)
    assert (shape["DeletionProtection"], shape["PreferredMaintenanceWindow"]) == (True, "sun:00:30-sun:01:30")


def test_what_rds_refuses_is_told_in_its_words(rds: Any, restores: DatabaseRestores) -> None:
    found = point(rds, PointKind.POINT_IN_TIME)
    early = RestoreOrder(
        point=found,
        to=found.earliest and found.earliest.replace(year=2020),
        identifier="app-g4",
        settings=SETTINGS,
        run="r",
    )

    with pytest.raises(Failed, match="RDS does not restore ab-.*cannot be restored to a time earlier than"):
        restores.restore(early)

    assert restores.instance("app-g4") is None


def test_one_that_is_gone_is_restored_from_what_it_left_and_nothing_is_deleted_twice(
    rds: Any, restores: DatabaseRestores
) -> None:
    rds.delete_db_instance(DBInstanceIdentifier="app-g1", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    left = point(rds, PointKind.POINT_IN_TIME)

    restores.restore(order(left, "app-g5", "run-1"))
    restores.unprotect("app-g5")
    restores.delete("app-g5")
    restores.delete("app-g5")

    assert left.flags == ("its instance is gone",)
    assert restores.created_at("app-g1") is not None
    assert restores.instance("app-g5") is None


def test_a_snapshot_is_taken_once(restores: DatabaseRestores) -> None:
    assert restores.snapshot_progress("app-g2-retired") is None

    restores.take_snapshot("app-g2", "app-g2-retired", {"application": "app"})
    restores.take_snapshot("app-g2", "app-g2-retired", {"application": "app"})

    assert restores.snapshot_progress("app-g2-retired") == SnapshotProgress(status="available", percent=100)
