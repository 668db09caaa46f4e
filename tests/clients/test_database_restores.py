"""Restores of RDS against the local cloud: what is ordered twice, whose a name is, an instance made empty for a dump."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
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
    RestoredInstance,
    RestoreOrder,
    SnapshotProgress,
)
from lifeboat.errors import Failed, LifeboatError, NothingFits, NotYet, Unreachable

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


def rested(restores: DatabaseRestores, name: str) -> RestoredInstance:
    """Return an instance once RDS takes a change of it."""
    deadline = time.monotonic() + 60
    while (found := restores.instance(name)) is None or not found.changeable:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture
def refusals(cloud: RunningCloud) -> Iterator[Callable[[str, str], None]]:
    """Let the next order of a kind be refused with a code; such refusals end with the test."""

    def refuse(operation: str, code: str) -> None:
        cloud.control("faults", add={"service": "rds", "operation": operation, "code": code, "status": 400})

    yield refuse
    cloud.control("faults", clear=True)


def point(rds: Any, kind: PointKind) -> RecoveryPoint:
    listed = DatabaseSnapshots(client=lambda *_: rds, application="app")
    every = [*listed.windows("eu-west-1"), *listed.snapshots("eu-west-1")]
    return next(found for found in every if found.kind is kind and found.database == "app-g1")


def order(found: RecoveryPoint, name: str, run: str) -> RestoreOrder:
    to = found.taken_at.replace(microsecond=0) if found.kind is PointKind.POINT_IN_TIME else None
    return RestoreOrder(point=found, to=to, identifier=name, settings=SETTINGS, run=run)


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

    made = rested(restores, "app-g2")
    assert (made.usable, made.tags["lifeboat:run"], made.tags["application"]) == (True, "run-1", "app")
    assert (made.retention, made.protected) == (0, False)


def test_a_snapshot_is_restored_and_its_password_managed_and_its_backups_turned_on(
    rds: Any,
    restores: DatabaseRestores,
) -> None:
    restores.restore(order(point(rds, PointKind.AUTOMATED_SNAPSHOT), "app-g3", "run-1"))
    rested(restores, "app-g3")
    restores.manage_password("app-g3", None, SETTINGS.modified)
    rested(restores, "app-g3")
    restores.keep("app-g3", 7)

    made = rested(restores, "app-g3")

    assert (made.password_secret_arn is not None, made.secret_status) == (True, "active")
    assert (made.retention, made.protected) == (7, True)


def test_one_that_rds_still_makes_or_changes_takes_no_change_yet_and_is_deleted_all_the_same(
    rds: Any, restores: DatabaseRestores
) -> None:
    restores.restore(order(point(rds, PointKind.POINT_IN_TIME), "app-g7", "run-1"))
    with pytest.raises(NotYet, match="the database app-g7 takes no order now: Database instance is not in available"):
        restores.manage_password("app-g7", None, SETTINGS.modified)
    making = restores.instance("app-g7")
    rested(restores, "app-g7")
    restores.manage_password("app-g7", None, SETTINGS.modified)
    with pytest.raises(NotYet):
        restores.keep("app-g7", 7)
    changing = restores.instance("app-g7")

    restores.delete("app-g7")

    assert making is not None
    assert changing is not None
    assert [(one.status, one.changeable) for one in (making, changing)] == [("creating", False), ("modifying", False)]
    assert restores.instance("app-g7") is None


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

    made = rested(restores, "app-g6")
    (shape,) = rds.describe_db_instances(DBInstanceIdentifier="app-g6")["DBInstances"]
    assert (made.tags["lifeboat:run"], made.retention, made.secret_status) == ("run-1", 0, "active")
    assert (shape["DBName"], shape["MasterUsername"], shape["StorageEncrypted"]) == ("app", "app_admin", True)
    assert (shape["DeletionProtection"], shape["PreferredMaintenanceWindow"]) == (False, "sun:00:30-sun:01:30")


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


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("DBSnapshotNotFound", NothingFits),
        ("DBSnapshotNotFoundFault", NothingFits),
        ("InvalidDBSnapshotState", NothingFits),
        ("InstanceQuotaExceeded", Failed),
        ("StorageQuotaExceeded", Failed),
        ("KMSKeyNotAccessibleFault", Failed),
        ("InsufficientDBInstanceCapacity", Failed),
        ("InvalidVPCNetworkStateFault", Failed),
        ("DBSubnetGroupNotFoundFault", Failed),
        ("VpcEncryptionControlViolationException", Failed),
        ("InvalidParameterCombination", Failed),
        ("InvalidRestoreFault", Failed),
        ("AccessDenied", Failed),
        ("ServiceUnavailable", Unreachable),
    ],
)
def test_a_copy_that_is_gone_a_refusal_and_what_may_pass_are_told_apart(
    rds: Any, restores: DatabaseRestores, refusals: Callable[[str, str], None], code: str, error: type[LifeboatError]
) -> None:
    found = point(rds, PointKind.AUTOMATED_SNAPSHOT)
    refusals("RestoreDBInstanceFromDBSnapshot", code)

    with pytest.raises(LifeboatError, match=code) as told:
        restores.restore(order(found, "app-g8", "run-1"))

    assert type(told.value) is error
    assert restores.instance("app-g8") is None


def test_a_window_whose_backups_were_turned_off_or_are_gone_is_gone(
    rds: Any, restores: DatabaseRestores, refusals: Callable[[str, str], None]
) -> None:
    found = point(rds, PointKind.POINT_IN_TIME)
    refusals("RestoreDBInstanceToPointInTime", "PointInTimeRestoreNotEnabled")

    with pytest.raises(NothingFits, match="ab-.* cannot be restored from any more: PointInTimeRestoreNotEnabled"):
        restores.restore(order(found, "app-g8", "run-1"))
    with pytest.raises(NothingFits, match="the automated backups ab-none of app-g1 are gone"):
        restores.restore(order(replace(found, id=RecoveryPointId("ab-none")), "app-g8", "run-1"))


def test_one_that_is_gone_is_restored_from_what_it_left_and_nothing_is_deleted_twice(
    rds: Any, restores: DatabaseRestores
) -> None:
    rds.delete_db_instance(DBInstanceIdentifier="app-g1", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    left = point(rds, PointKind.POINT_IN_TIME)

    restores.restore(order(left, "app-g5", "run-1"))
    rested(restores, "app-g5")
    restores.keep("app-g5", 0)
    rested(restores, "app-g5")
    with pytest.raises(Unreachable, match="Cannot delete protected DB Instance"):
        restores.delete("app-g5")
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


def test_while_rds_is_busy_with_an_instance_it_takes_no_snapshot_yet(
    cloud: RunningCloud, restores: DatabaseRestores
) -> None:
    busy = {"service": "rds", "operation": "CreateDBSnapshot", "code": "InvalidDBInstanceState", "status": 400}
    cloud.control("faults", add=busy)

    with pytest.raises(NotYet, match="the database app-g2 takes no order now"):
        restores.take_snapshot("app-g2", "app-g2-later", {})

    assert restores.snapshot_progress("app-g2-later") is None
