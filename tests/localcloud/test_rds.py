"""RDS instances as real PostgreSQL: what they keep, what they give back, and what they refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud
from tests.localcloud.inboxes import open_inbox

PASSWORD = "Canary-Pass+1"
NEW: dict[str, Any] = {
    "DBInstanceClass": "db.t4g.small",
    "Engine": "postgres",
    "EngineVersion": "15",
    "AllocatedStorage": 20,
    "StorageType": "gp3",
    "MasterUsername": "app_admin",
    "DBName": "app",
}
SECOND = timedelta(seconds=1)


def create(cloud: RunningCloud, name: str, **other: Any) -> dict[str, Any]:
    asked = NEW | {"MasterUserPassword": PASSWORD} | other
    if asked.get("ManageMasterUserPassword"):
        del asked["MasterUserPassword"]
    cloud.client("rds").create_db_instance(DBInstanceIdentifier=name, **asked)
    return instance(cloud, name)


PASSING = ("creating", "modifying", "backing-up")


def status(cloud: RunningCloud, name: str) -> str:
    found = cloud.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return str(found["DBInstanceStatus"])


def instance(cloud: RunningCloud, name: str, region: str = "eu-west-1") -> dict[str, Any]:
    """Return an instance once nothing is being made, changed or backed up of it any more."""
    rds, found = cloud.client("rds", region), dict[str, Any]()

    def rests() -> bool:
        found.update(rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0])
        return found["DBInstanceStatus"] not in PASSING

    wait_until(rests)
    return found


def connect(shape: dict[str, Any], *, password: str = PASSWORD, **other: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=shape["Endpoint"]["Address"],
        port=shape["Endpoint"]["Port"],
        user=shape["MasterUsername"],
        password=password,
        **{"dbname": shape["DBName"], "sslmode": "require", "autocommit": True, "connect_timeout": 5} | other,
    )


def run(shape: dict[str, Any], statement: str, **other: Any) -> list[Any]:
    with connect(shape, **other) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def refusal(call: Callable[..., Any], **asked: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**asked)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def a_point_in_time() -> datetime:
    """Return a whole second that lies between what was done before and what is done after."""
    time.sleep(1.05)
    point = datetime.now(UTC).replace(microsecond=0)
    time.sleep(1.05)
    return point


def wait_until(true: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def shop(cloud: RunningCloud) -> dict[str, Any]:
    """An instance that tests read and back up, and leave as it is."""
    shape = create(cloud, "shop", BackupRetentionPeriod=7, Tags=[{"Key": "team", "Value": "shop"}])
    run(shape, "CREATE TABLE goods AS SELECT generate_series(1, 500) AS number")
    wait_until(lambda: "LatestRestorableTime" in instance(cloud, "shop"))  # its window opens within a second
    return shape


@pytest.fixture
def passing(cloud: RunningCloud) -> Iterator[Callable[..., dict[str, Any]]]:
    """Make instances that are gone after the test."""
    made: list[str] = []

    def make(name: str, **other: Any) -> dict[str, Any]:
        made.append(name)
        return create(cloud, name, **other)

    yield make
    rds = cloud.client("rds")
    for name in made:
        try:
            rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        except rds.exceptions.DBInstanceNotFoundFault:
            continue


# -- recovery ----------------------------------------------------------------------------------------------------------


def test_a_dropped_table_comes_back_as_it_was_at_the_noted_second(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    source = passing("dropped", BackupRetentionPeriod=7)
    run(source, "CREATE TABLE orders (number int)")
    rds.create_db_snapshot(DBInstanceIdentifier="dropped", DBSnapshotIdentifier="before-orders")
    run(source, "INSERT INTO orders SELECT generate_series(1, 1000)")
    point = a_point_in_time()
    run(source, "INSERT INTO orders VALUES (1001)")
    run(source, "DROP TABLE orders")
    wait_until(lambda: instance(cloud, "dropped")["LatestRestorableTime"] >= point)

    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier="dropped", TargetDBInstanceIdentifier="recovered", RestoreTime=point
    )
    recovered = instance(cloud, "recovered")

    assert recovered["Endpoint"]["Address"] != source["Endpoint"]["Address"]
    assert run(recovered, "SELECT count(*), min(number), max(number) FROM orders") == [(1000, 1, 1000)]
    run(recovered, "INSERT INTO orders VALUES (2000)")
    assert run(source, "SELECT to_regclass('orders')") == [(None,)]
    rds.delete_db_instance(DBInstanceIdentifier="dropped", SkipFinalSnapshot=True)
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="from-snapshot", DBSnapshotIdentifier="before-orders")
    assert run(instance(cloud, "from-snapshot"), "SELECT count(*) FROM orders") == [(0,)]
    for name in ("recovered", "from-snapshot"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def test_each_second_gives_the_rows_of_that_second(cloud: RunningCloud, passing: Callable[..., dict[str, Any]]) -> None:
    rds = cloud.client("rds")
    source = passing("seconds", BackupRetentionPeriod=1)
    run(source, "CREATE TABLE ticks (number int)")
    points = []
    for number in range(3):
        points.append(a_point_in_time())
        run(source, f"INSERT INTO ticks VALUES ({number})")

    counts = []
    for number, point in enumerate(points):
        name = f"second-{number}"
        rds.restore_db_instance_to_point_in_time(
            SourceDbiResourceId=source["DbiResourceId"], TargetDBInstanceIdentifier=name, RestoreTime=point
        )
        counts.append(run(instance(cloud, name), "SELECT count(*) FROM ticks")[0][0])
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)

    assert counts == [0, 1, 2]


def test_times_outside_the_window_and_sources_without_backups_are_refused(
    cloud: RunningCloud, shop: dict[str, Any], passing: Callable[..., dict[str, Any]]
) -> None:
    restore = cloud.client("rds").restore_db_instance_to_point_in_time
    passing("unbacked", BackupRetentionPeriod=0)
    target = {"SourceDBInstanceIdentifier": "shop", "TargetDBInstanceIdentifier": "never"}
    future, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(days=3)

    assert refusal(restore, **target, RestoreTime=future)[0] == "InvalidParameterValue"
    code, text = refusal(restore, **target, RestoreTime=past)
    assert (code, "cannot be restored to a time earlier than" in text) == ("InvalidParameterValue", True)
    assert refusal(restore, **target)[0] == "InvalidParameterCombination"
    assert (
        refusal(restore, **target, RestoreTime=past, UseLatestRestorableTime=True)[0] == "InvalidParameterCombination"
    )
    assert (
        refusal(
            restore,
            SourceDBInstanceIdentifier="unbacked",
            TargetDBInstanceIdentifier="never",
            UseLatestRestorableTime=True,
        )[0]
        == "PointInTimeRestoreNotEnabled"
    )
    assert refusal(
        restore, SourceDBInstanceIdentifier="nobody", TargetDBInstanceIdentifier="never", UseLatestRestorableTime=True
    ) == ("DBInstanceNotFound", "DBInstance nobody not found.")
    assert (
        refusal(
            restore, SourceDBInstanceIdentifier="shop", TargetDBInstanceIdentifier="shop", UseLatestRestorableTime=True
        )[0]
        == "DBInstanceAlreadyExists"
    )
    assert "LatestRestorableTime" not in instance(cloud, "unbacked")


def test_a_deleted_instance_is_restored_from_its_retained_backups(cloud: RunningCloud) -> None:
    rds = cloud.client("rds")
    source = create(cloud, "gone", BackupRetentionPeriod=3)
    run(source, "CREATE TABLE kept AS SELECT 42 AS answer")
    rds.delete_db_instance(DBInstanceIdentifier="gone", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    retained = rds.describe_db_instance_automated_backups(DbiResourceId=source["DbiResourceId"])[
        "DBInstanceAutomatedBackups"
    ]

    rds.restore_db_instance_to_point_in_time(
        SourceDbiResourceId=source["DbiResourceId"], TargetDBInstanceIdentifier="again", UseLatestRestorableTime=True
    )

    assert [backup["Status"] for backup in retained] == ["retained"]
    assert run(instance(cloud, "again"), "SELECT answer FROM kept") == [(42,)]
    rds.delete_db_instance(DBInstanceIdentifier="again", SkipFinalSnapshot=True)
    rds.delete_db_instance_automated_backup(DbiResourceId=source["DbiResourceId"])
    assert (
        refusal(
            rds.restore_db_instance_to_point_in_time,
            SourceDbiResourceId=source["DbiResourceId"],
            TargetDBInstanceIdentifier="again",
            UseLatestRestorableTime=True,
        )[0]
        == "DBInstanceAutomatedBackupNotFound"
    )
    assert not rds.describe_db_snapshots(DBInstanceIdentifier="gone")["DBSnapshots"]


def test_backups_replicated_to_another_region_restore_there_after_the_source_is_gone(cloud: RunningCloud) -> None:
    here, there = cloud.client("rds"), cloud.client("rds", "eu-central-1")
    key = cloud.client("kms", "eu-central-1").create_key()["KeyMetadata"]["Arn"]
    source = create(cloud, "travels", BackupRetentionPeriod=7, StorageEncrypted=True)
    arn = source["DBInstanceArn"]
    start = there.start_db_instance_automated_backups_replication

    assert refusal(start, SourceDBInstanceArn=arn)[0] == "InvalidParameterCombination"
    assert refusal(start, SourceDBInstanceArn=arn, KmsKeyId="alias/none")[0] == "KMSKeyNotAccessibleFault"
    assert refusal(here.start_db_instance_automated_backups_replication, SourceDBInstanceArn=arn)[0] == (
        "InvalidParameterValue"
    )
    copy = start(SourceDBInstanceArn=arn, KmsKeyId=key, BackupRetentionPeriod=3)["DBInstanceAutomatedBackup"]
    assert refusal(start, SourceDBInstanceArn=arn, KmsKeyId=key)[0] == "InvalidDBInstanceAutomatedBackupState"
    run(source, "CREATE TABLE kept AS SELECT generate_series(1, 7) AS number")
    time.sleep(1.1)
    listed = instance(cloud, "travels")["DBInstanceAutomatedBackupsReplications"]
    assert listed == [{"DBInstanceAutomatedBackupsArn": copy["DBInstanceAutomatedBackupsArn"]}]
    here.delete_db_instance(DBInstanceIdentifier="travels", SkipFinalSnapshot=True)
    there.restore_db_instance_to_point_in_time(
        SourceDBInstanceAutomatedBackupsArn=copy["DBInstanceAutomatedBackupsArn"],
        TargetDBInstanceIdentifier="arrived",
        UseLatestRestorableTime=True,
    )
    arrived = instance(cloud, "arrived", "eu-central-1")

    assert run(arrived, "SELECT count(*) FROM kept") == [(7,)]
    assert (arrived["StorageEncrypted"], arrived["KmsKeyId"]) == (True, key)
    left = there.describe_db_instance_automated_backups(
        DBInstanceAutomatedBackupsArn=copy["DBInstanceAutomatedBackupsArn"]
    )
    assert [backup["Status"] for backup in left["DBInstanceAutomatedBackups"]] == ["retained"]
    there.delete_db_instance(DBInstanceIdentifier="arrived", SkipFinalSnapshot=True)


def test_a_restore_resets_what_aws_resets_and_keeps_encryption(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    source = passing(
        "settings",
        BackupRetentionPeriod=9,
        CopyTagsToSnapshot=True,
        EnablePerformanceInsights=True,
        StorageEncrypted=True,
        KmsKeyId=key,
        Tags=[{"Key": "team", "Value": "shop"}],
    )
    rds.modify_db_instance(DBInstanceIdentifier="settings", DeletionProtection=True)
    taken = rds.create_db_snapshot(DBInstanceIdentifier="settings", DBSnapshotIdentifier="settings-1")["DBSnapshot"]
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="reset", DBSnapshotIdentifier="settings-1")
    rds.modify_db_instance(DBInstanceIdentifier="settings", DeletionProtection=False)
    restored = instance(cloud, "reset")

    assert taken["TagList"] == [{"Key": "team", "Value": "shop"}]
    assert (restored["StorageEncrypted"], restored["KmsKeyId"]) == (True, key)
    assert restored["BackupRetentionPeriod"] == 9
    assert restored["DbiResourceId"] != source["DbiResourceId"]
    reset = ("TagList", "DeletionProtection", "CopyTagsToSnapshot", "PerformanceInsightsEnabled", "MonitoringInterval")
    assert [restored[key] for key in reset] == [[], False, False, False, 0]
    rds.delete_db_instance(DBInstanceIdentifier="reset", SkipFinalSnapshot=True)
    cloud.client("kms").disable_key(KeyId=key.rsplit("/", 1)[1])
    unusable = refusal(
        rds.restore_db_instance_from_db_snapshot, DBInstanceIdentifier="reset", DBSnapshotIdentifier="settings-1"
    )
    assert unusable[0] == "KMSKeyNotAccessibleFault"


# -- connections -------------------------------------------------------------------------------------------------------


def test_the_master_user_may_do_what_rds_allows_and_no_more(shop: dict[str, Any]) -> None:
    assert run(shop, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user") == [
        (False, True, True)
    ]
    assert run(shop, "SELECT pg_has_role('rds_superuser', 'member'), pg_has_role('pg_monitor', 'member')") == [
        (True, True)
    ]
    assert run(shop, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    with pytest.raises(psycopg.OperationalError, match="no encryption|pg_hba.conf rejects"):
        connect(shop, sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(shop, password="wrong-password")
    with pytest.raises(psycopg.OperationalError, match="rdsadmin"):
        connect(shop | {"MasterUsername": "rdsadmin"})
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(shop, "ALTER SYSTEM SET work_mem = '1GB'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(shop, "COPY goods TO PROGRAM 'cat'")


def test_the_server_certificate_is_signed_by_the_clouds_authority(
    cloud: RunningCloud, shop: dict[str, Any], passing: Callable[..., dict[str, Any]]
) -> None:
    authority = cloud.directory / "live" / "databases" / "rds-ca.pem"

    assert run(shop, "SELECT 1", sslmode="verify-full", sslrootcert=str(authority)) == [(1,)]


def test_a_managed_password_lives_in_secrets_manager_and_rotates(cloud: RunningCloud) -> None:
    rds, secrets = cloud.client("rds"), cloud.client("secretsmanager")
    shape = create(cloud, "managed", ManageMasterUserPassword=True)
    arn = shape["MasterUserSecret"]["SecretArn"]

    def password() -> str:
        return str(json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])["password"])

    first = password()
    assert run(shape, "SELECT 1", password=first) == [(1,)]
    described = secrets.describe_secret(SecretId=arn)
    assert (described["OwningService"], described["Name"][:7]) == ("rds", "rds!db-")
    secrets.rotate_secret(SecretId=arn)
    second = password()
    assert (second != first, run(shape, "SELECT 1", password=second)) == (True, [(1,)])
    with pytest.raises(psycopg.OperationalError):
        connect(shape, password=first)
    rds.modify_db_instance(DBInstanceIdentifier="managed", RotateMasterUserPassword=True, ApplyImmediately=True)
    assert run(shape, "SELECT 1", password=password()) == [(1,)]
    instance(cloud, "managed")
    assert refusal(secrets.put_secret_value, SecretId=arn, SecretString="{}")[0] == "InvalidRequestException"
    assert refusal(secrets.delete_secret, SecretId=arn)[0] == "InvalidRequestException"
    assert (
        refusal(rds.modify_db_instance, DBInstanceIdentifier="managed", MasterUserPassword="another-one-1")[0]
        == "InvalidParameterCombination"
    )
    rds.create_db_snapshot(DBInstanceIdentifier="managed", DBSnapshotIdentifier="managed-1")
    rds.delete_db_instance(DBInstanceIdentifier="managed", SkipFinalSnapshot=True)
    assert refusal(secrets.describe_secret, SecretId=arn)[0] == "ResourceNotFoundException"

    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="managed", DBSnapshotIdentifier="managed-1", ManageMasterUserPassword=True
    )
    shape = instance(cloud, "managed")
    arn = shape["MasterUserSecret"]["SecretArn"]
    assert run(shape, "SELECT 1", password=password()) == [(1,)]
    rds.delete_db_instance(DBInstanceIdentifier="managed", SkipFinalSnapshot=True)


def test_a_new_password_replaces_the_old_one_and_no_password_is_written_down(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    shape = passing("newpass")
    cloud.client("rds").modify_db_instance(
        DBInstanceIdentifier="newpass", MasterUserPassword="Canary-Pass+2", ApplyImmediately=True
    )

    assert run(shape, "SELECT 1", password="Canary-Pass+2") == [(1,)]
    with pytest.raises(psycopg.OperationalError):
        connect(shape)
    logs = b"".join(path.read_bytes() for path in (cloud.directory / "logs").iterdir())
    assert b"Canary-Pass" not in logs
    assert b"SCRAM-SHA-256$" not in logs


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"EngineVersion": "15.99"}, "InvalidParameterCombination", "Cannot find version 15.99 for postgres"),
        ({"EngineVersion": "9.6"}, "InvalidParameterCombination", "Cannot find version 9.6 for postgres"),
        ({"DBInstanceClass": "db.t9.huge"}, "InvalidParameterCombination", "RDS does not support creating"),
        ({"DBInstanceClass": "t3.micro"}, "InvalidParameterValue", "Invalid DB Instance class"),
        ({"AllocatedStorage": 5}, "InvalidParameterValue", "Invalid storage size"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue", "Must be between 0 and 35"),
        (
            {"PreferredBackupWindow": "03:00-04:00", "PreferredMaintenanceWindow": "sun:03:30-sun:04:30"},
            "InvalidParameterValue",
            "must not overlap",
        ),
        (
            {"PreferredBackupWindow": "23:30-00:30", "PreferredMaintenanceWindow": "mon:00:00-mon:00:30"},
            "InvalidParameterValue",
            "must not overlap",
        ),
        ({"PreferredBackupWindow": "03:00-03:10"}, "InvalidParameterValue", "at least 30 minutes"),
        ({"PreferredBackupWindow": "3am"}, "InvalidParameterValue", "Invalid backup window format"),
        ({"PreferredMaintenanceWindow": "sonntag"}, "InvalidParameterValue", "Invalid maintenance window format"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue", "shorter than 8"),
        ({"MasterUserPassword": "with/slash@at"}, "InvalidParameterValue", "Only printable ASCII"),
        ({"MasterUsername": "rdsadmin"}, "InvalidParameterValue", "reserved word"),
        ({"DBInstanceIdentifier": "two--dashes"}, "InvalidParameterValue", "not a valid identifier"),
        ({"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault", "nowhere"),
        ({"DBParameterGroupName": "nothing"}, "DBParameterGroupNotFound", "nothing"),
        ({"VpcSecurityGroupIds": ["sg-0"]}, "InvalidParameterValue", "sg-0"),
        ({"StorageEncrypted": True, "KmsKeyId": "alias/none"}, "KMSKeyNotAccessibleFault", "alias/none"),
        ({"MonitoringInterval": 60}, "InvalidParameterCombination", "MonitoringRoleARN"),
        ({"DBInstanceIdentifier": "shop"}, "DBInstanceAlreadyExists", "already exists"),
    ],
)
def test_an_instance_that_rds_would_not_make_is_refused(
    cloud: RunningCloud, shop: dict[str, Any], wrong: dict[str, Any], code: str, words: str
) -> None:
    asked = NEW | {"DBInstanceIdentifier": "never", "MasterUserPassword": PASSWORD} | wrong

    said = refusal(cloud.client("rds").create_db_instance, **asked)

    assert said[0] == code
    assert words in said[1]
    assert refusal(cloud.client("rds").describe_db_instances, DBInstanceIdentifier="never")[0] == "DBInstanceNotFound"


def test_deleting_obeys_protection_and_wants_exactly_one_word_on_the_final_snapshot(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    shape = passing("guarded", DeletionProtection=True, CopyTagsToSnapshot=True, Tags=[{"Key": "a", "Value": "b"}])
    run(shape, "CREATE TABLE last AS SELECT 1 AS word")
    delete = rds.delete_db_instance

    assert refusal(delete, DBInstanceIdentifier="guarded", SkipFinalSnapshot=True) == (
        "InvalidParameterCombination",
        "Cannot delete protected DB Instance, please disable deletion protection and try again.",
    )
    rds.modify_db_instance(DBInstanceIdentifier="guarded", DeletionProtection=False)
    assert refusal(delete, DBInstanceIdentifier="guarded")[0] == "InvalidParameterCombination"
    both = {"SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "last-word"}
    assert refusal(delete, DBInstanceIdentifier="guarded", **both)[0] == "InvalidParameterCombination"
    delete(DBInstanceIdentifier="guarded", FinalDBSnapshotIdentifier="last-word")
    left = rds.describe_db_snapshots(DBInstanceIdentifier="guarded")["DBSnapshots"]
    assert [(s["DBSnapshotIdentifier"], s["SnapshotType"], s["TagList"]) for s in left] == [
        ("last-word", "manual", [{"Key": "a", "Value": "b"}])
    ]
    with pytest.raises(psycopg.OperationalError):
        connect(shape)


# -- snapshots ---------------------------------------------------------------------------------------------------------


def test_an_automated_snapshot_exists_from_the_start_and_cannot_be_deleted_by_hand(
    cloud: RunningCloud, shop: dict[str, Any]
) -> None:
    rds = cloud.client("rds")
    automated = rds.describe_db_snapshots(DBInstanceIdentifier="shop", SnapshotType="automated")["DBSnapshots"]

    assert len(automated) == 1
    assert automated[0]["DBSnapshotIdentifier"].startswith("rds:shop-2")
    said = refusal(rds.delete_db_snapshot, DBSnapshotIdentifier=automated[0]["DBSnapshotIdentifier"])
    assert said[0] == "InvalidDBSnapshotState"
    assert refusal(rds.delete_db_snapshot, DBSnapshotIdentifier="none")[0] == "DBSnapshotNotFound"
    assert (
        refusal(rds.create_db_snapshot, DBInstanceIdentifier="shop", DBSnapshotIdentifier="awsbackup:job-1")[0]
        == "InvalidParameterValue"
    )


def test_daily_ticks_take_snapshots_of_unique_names_and_retention_prunes_the_oldest(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    shape = passing("daily", BackupRetentionPeriod=2)
    run(shape, "CREATE TABLE days AS SELECT 1 AS day")

    def names() -> set[str]:
        found = rds.describe_db_snapshots(DBInstanceIdentifier="daily", SnapshotType="automated")["DBSnapshots"]
        return {s["DBSnapshotIdentifier"] for s in found}

    seen = [names()]
    for _ in range(3):
        cloud.control("tick", schedule="daily")
        seen.append(names())

    assert [len(each) for each in seen] == [1, 2, 2, 2]
    assert len(set.union(*seen)) == 4
    assert not seen[0] & seen[3]
    time.sleep(1.1)
    window = rds.describe_db_instance_automated_backups(DBInstanceIdentifier="daily")["DBInstanceAutomatedBackups"][0]
    before = window["RestoreWindow"]["EarliestTime"] - SECOND
    asked = {"SourceDBInstanceIdentifier": "daily", "TargetDBInstanceIdentifier": "pruned"}
    restore = rds.restore_db_instance_to_point_in_time
    assert refusal(restore, **asked, RestoreTime=before)[0] == "InvalidParameterValue"
    wait_until(lambda: instance(cloud, "daily")["LatestRestorableTime"] >= before + SECOND)
    restore(**asked, RestoreTime=before + SECOND)
    assert run(instance(cloud, "pruned"), "SELECT day FROM days") == [(1,)]
    rds.delete_db_instance(DBInstanceIdentifier="pruned", SkipFinalSnapshot=True)


def test_snapshots_are_copied_within_and_between_regions(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    here, there = cloud.client("rds"), cloud.client("rds", "eu-central-1")
    key = cloud.client("kms", "eu-central-1").create_key()["KeyMetadata"]["Arn"]
    shape = passing("copied", StorageEncrypted=True)
    run(shape, "CREATE TABLE pages AS SELECT generate_series(1, 3) AS number")
    source = here.create_db_snapshot(DBInstanceIdentifier="copied", DBSnapshotIdentifier="original")["DBSnapshot"]
    copy: dict[str, Any] = {
        "SourceDBSnapshotIdentifier": source["DBSnapshotArn"],
        "TargetDBSnapshotIdentifier": "abroad",
        "SourceRegion": "eu-west-1",
    }

    assert refusal(there.copy_db_snapshot, **copy)[0] == "InvalidParameterCombination"
    assert refusal(there.copy_db_snapshot, **copy, KmsKeyId=shape["KmsKeyId"])[0] == "KMSKeyNotAccessibleFault"
    there.copy_db_snapshot(**copy, KmsKeyId=key)
    here.copy_db_snapshot(SourceDBSnapshotIdentifier="original", TargetDBSnapshotIdentifier="beside")
    here.delete_db_snapshot(DBSnapshotIdentifier="original")
    abroad = there.describe_db_snapshots(DBSnapshotIdentifier="abroad")["DBSnapshots"][0]
    there.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="abroad", DBSnapshotIdentifier="abroad")

    assert (abroad["KmsKeyId"], abroad["SourceRegion"], abroad["Status"]) == (key, "eu-west-1", "available")
    assert run(instance(cloud, "abroad", "eu-central-1"), "SELECT count(*) FROM pages") == [(3,)]
    there.delete_db_instance(DBInstanceIdentifier="abroad", SkipFinalSnapshot=True)
    assert (
        refusal(there.restore_db_instance_from_db_snapshot, DBInstanceIdentifier="x", DBSnapshotIdentifier="beside")[0]
        == "DBSnapshotNotFound"
    )


def test_a_snapshot_is_shared_with_named_accounts_only_within_limits(cloud: RunningCloud, shop: dict[str, Any]) -> None:
    rds = cloud.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier="shared")
    change = {"DBSnapshotIdentifier": "shared", "AttributeName": "restore"}

    rds.modify_db_snapshot_attribute(**change, ValuesToAdd=["111111111111", "222222222222"])
    rds.modify_db_snapshot_attribute(**change, ValuesToRemove=["111111111111"])

    attributes = rds.describe_db_snapshot_attributes(DBSnapshotIdentifier="shared")["DBSnapshotAttributesResult"]
    assert attributes["DBSnapshotAttributes"] == [{"AttributeName": "restore", "AttributeValues": ["222222222222"]}]
    many = [f"{number:012d}" for number in range(21)]
    assert refusal(rds.modify_db_snapshot_attribute, **change, ValuesToAdd=many)[0] == "SharedSnapshotQuotaExceeded"
    rds.delete_db_snapshot(DBSnapshotIdentifier="shared")


# -- listings ----------------------------------------------------------------------------------------------------------


def test_listings_come_in_pages_and_wrong_limits_are_refused(cloud: RunningCloud, shop: dict[str, Any]) -> None:
    rds = cloud.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier="page-00")
    for number in range(1, 22):
        rds.copy_db_snapshot(SourceDBSnapshotIdentifier="page-00", TargetDBSnapshotIdentifier=f"page-{number:02d}")

    pages = list(
        rds.get_paginator("describe_db_snapshots").paginate(
            SnapshotType="manual", DBInstanceIdentifier="shop", PaginationConfig={"PageSize": 20}
        )
    )

    names = [s["DBSnapshotIdentifier"] for page in pages for s in page["DBSnapshots"]]
    assert names == [f"page-{number:02d}" for number in range(22)]
    assert [len(page["DBSnapshots"]) for page in pages] == [20, 2]
    for listing in (
        rds.describe_db_snapshots,
        rds.describe_db_instances,
        rds.describe_db_instance_automated_backups,
        rds.describe_events,
    ):
        for wrong in (19, 101):
            assert refusal(listing, MaxRecords=wrong)[0] == "InvalidParameterValue"
    for name in names:
        rds.delete_db_snapshot(DBSnapshotIdentifier=name)


def test_instances_are_found_by_resource_id_and_unknown_filters_are_refused(
    cloud: RunningCloud, shop: dict[str, Any]
) -> None:
    rds = cloud.client("rds")

    def found(name: str, value: str) -> list[str]:
        answer = rds.describe_db_instances(Filters=[{"Name": name, "Values": [value]}])
        return [shape["DBInstanceIdentifier"] for shape in answer["DBInstances"]]

    assert found("dbi-resource-id", shop["DbiResourceId"]) == ["shop"]
    assert found("dbi-resource-id", "db-NONE") == []
    assert refusal(rds.describe_db_instances, Filters=[{"Name": "colour", "Values": ["red"]}]) == (
        "InvalidParameterValue",
        "Unrecognized filter name: colour",
    )


def test_what_is_on_offer_is_what_this_machine_runs(cloud: RunningCloud, shop: dict[str, Any]) -> None:
    rds = cloud.client("rds")
    versions = rds.describe_db_engine_versions(Engine="postgres", EngineVersion="15")["DBEngineVersions"]
    (running,) = run(shop, "SHOW server_version")[0]

    assert [version["EngineVersion"] for version in versions] == [shop["EngineVersion"]]
    assert running.startswith(shop["EngineVersion"])
    assert refusal(rds.describe_db_engine_versions, Engine="postgres", EngineVersion="12.1")[0] == (
        "InvalidParameterCombination"
    )
    options = rds.describe_orderable_db_instance_options(Engine="postgres", DBInstanceClass="db.t4g.small")
    assert {option["StorageType"] for option in options["OrderableDBInstanceOptions"]} >= {"gp2", "gp3"}


# -- changes -----------------------------------------------------------------------------------------------------------


def test_changes_wait_for_the_maintenance_window_unless_told_otherwise(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    passing("changed", BackupRetentionPeriod=1)
    modify = rds.modify_db_instance
    modify(DBInstanceIdentifier="changed", DBInstanceClass="db.t4g.medium", BackupRetentionPeriod=5)
    waiting = instance(cloud, "changed")
    modify(DBInstanceIdentifier="changed", ApplyImmediately=True)
    done = instance(cloud, "changed")

    assert (waiting["DBInstanceClass"], waiting["PendingModifiedValues"]) == (
        "db.t4g.small",
        {"DBInstanceClass": "db.t4g.medium"},
    )
    assert (waiting["BackupRetentionPeriod"], done["DBInstanceClass"], done["PendingModifiedValues"]) == (
        5,
        "db.t4g.medium",
        {},
    )
    asked: dict[str, Any] = {"DBInstanceIdentifier": "changed"}
    assert refusal(modify, **asked, BackupRetentionPeriod=36)[0] == "InvalidParameterValue"
    assert refusal(modify, **asked, AllocatedStorage=10)[0] == "InvalidParameterCombination"
    window = done["PreferredMaintenanceWindow"][4:9]
    overlapping = f"{window}-{(int(window[:2]) + 2) % 24:02d}{window[2:]}"
    assert refusal(modify, **asked, PreferredBackupWindow=overlapping)[0] == "InvalidParameterValue"
    assert refusal(modify, DBInstanceIdentifier="nobody")[0] == "DBInstanceNotFound"


def test_a_stopped_instance_answers_nobody_and_comes_back_with_its_rows(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    shape = passing("paused")
    run(shape, "CREATE TABLE kept AS SELECT 1 AS one")
    rds.stop_db_instance(DBInstanceIdentifier="paused")

    assert instance(cloud, "paused")["DBInstanceStatus"] == "stopped"
    with pytest.raises(psycopg.OperationalError):
        connect(shape)
    assert refusal(rds.stop_db_instance, DBInstanceIdentifier="paused")[0] == "InvalidDBInstanceState"
    assert refusal(rds.reboot_db_instance, DBInstanceIdentifier="paused")[0] == "InvalidDBInstanceState"
    rds.start_db_instance(DBInstanceIdentifier="paused")
    assert run(shape, "SELECT one FROM kept") == [(1,)]
    assert refusal(rds.start_db_instance, DBInstanceIdentifier="paused")[0] == "InvalidDBInstanceState"
    rds.reboot_db_instance(DBInstanceIdentifier="paused")
    assert run(shape, "SELECT one FROM kept") == [(1,)]


def test_an_instance_that_is_made_changed_or_backed_up_takes_no_change_and_can_be_deleted_all_the_same(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    busy = ("InvalidDBInstanceState", "Database instance is not in available state.")
    unprotect = {"DBInstanceIdentifier": "made", "DeletionProtection": False, "ApplyImmediately": True}
    passing("busy", BackupRetentionPeriod=0)
    rds.create_db_snapshot(DBInstanceIdentifier="busy", DBSnapshotIdentifier="busy-1")
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="made", DBSnapshotIdentifier="busy-1", BackupRetentionPeriod=0, DeletionProtection=True
    )

    assert refusal(rds.modify_db_instance, **unprotect) == busy
    made = rds.describe_db_instances(DBInstanceIdentifier="made")["DBInstances"][0]
    assert (made["DBInstanceStatus"], "Endpoint" in made) == ("creating", False)
    wait_until(lambda: status(cloud, "made") == "available")
    rds.modify_db_instance(**unprotect)
    assert refusal(rds.modify_db_instance, **unprotect) == busy
    assert refusal(rds.reboot_db_instance, DBInstanceIdentifier="made")[0] == "InvalidDBInstanceState"
    final = refusal(rds.delete_db_instance, DBInstanceIdentifier="made", FinalDBSnapshotIdentifier="too-soon")
    assert final[0] == "InvalidDBInstanceState"
    assert status(cloud, "made") == "modifying"
    wait_until(lambda: status(cloud, "made") == "available")

    rds.modify_db_instance(DBInstanceIdentifier="made", BackupRetentionPeriod=1, ApplyImmediately=True)
    assert status(cloud, "made") == "modifying"
    time.sleep(1)  # a status that was seen goes, and the next one stays until it is seen
    assert refusal(rds.modify_db_instance, **unprotect) == busy
    assert status(cloud, "made") == "backing-up"
    rds.delete_db_instance(DBInstanceIdentifier="made", SkipFinalSnapshot=True)
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="made", DBSnapshotIdentifier="busy-1")
    rds.delete_db_instance(DBInstanceIdentifier="made", SkipFinalSnapshot=True)

    assert refusal(rds.describe_db_instances, DBInstanceIdentifier="made")[0] == "DBInstanceNotFound"
    rds.stop_db_instance(DBInstanceIdentifier="busy")
    assert refusal(rds.modify_db_instance, DBInstanceIdentifier="busy", DeletionProtection=True) == busy


def test_one_that_could_not_be_restored_keeps_its_protection_for_ever(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    source = passing("source", BackupRetentionPeriod=0)
    rds.create_db_snapshot(DBInstanceIdentifier="source", DBSnapshotIdentifier="source-1")
    arn = source["DBInstanceArn"].replace(":db:source", ":snapshot:source-1")
    restore = {"DBInstanceIdentifier": "stuck", "DBSnapshotIdentifier": "source-1"}

    def broken(**asked: Any) -> str:
        rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "localcloud:break", "Value": "next-restore"}])
        rds.restore_db_instance_from_db_snapshot(**restore, **asked)
        return str(instance(cloud, "stuck")["DBInstanceStatus"])

    assert broken() == "incompatible-restore"
    rds.delete_db_instance(DBInstanceIdentifier="stuck", SkipFinalSnapshot=True)
    assert broken(DeletionProtection=True) == "incompatible-restore"
    change = {"DBInstanceIdentifier": "stuck", "DeletionProtection": False, "ApplyImmediately": True}

    assert refusal(rds.modify_db_instance, **change)[0] == "InvalidDBInstanceState"
    assert refusal(rds.delete_db_instance, DBInstanceIdentifier="stuck", SkipFinalSnapshot=True)[0] == (
        "InvalidParameterCombination"
    )


def test_parameters_reach_the_server_and_wrong_ones_are_refused(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    rds.create_db_parameter_group(DBParameterGroupName="tuned", DBParameterGroupFamily="postgres15", Description="t")
    shape = passing("tuned", DBParameterGroupName="tuned")

    def change(name: str, value: str, method: str = "immediate") -> dict[str, Any]:
        parameter = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
        return {"DBParameterGroupName": "tuned", "Parameters": [parameter]}

    rds.modify_db_parameter_group(**change("log_min_duration_statement", "1234"))
    wait_until(lambda: run(shape, "SHOW log_min_duration_statement") == [("1234ms",)])
    rds.modify_db_parameter_group(**change("track_commit_timestamp", "1", "pending-reboot"))
    assert run(shape, "SHOW track_commit_timestamp") == [("off",)]
    assert instance(cloud, "tuned")["DBParameterGroups"][0]["ParameterApplyStatus"] == "pending-reboot"
    rds.reboot_db_instance(DBInstanceIdentifier="tuned")
    assert run(shape, "SHOW track_commit_timestamp") == [("on",)]
    rds.modify_db_parameter_group(**change("rds.force_ssl", "0"))
    wait_until(lambda: _plain(shape))
    listed = rds.describe_db_parameters(DBParameterGroupName="tuned", Source="user")["Parameters"]
    assert {p["ParameterName"]: p["ParameterValue"] for p in listed} == {
        "log_min_duration_statement": "1234",
        "track_commit_timestamp": "1",
        "rds.force_ssl": "0",
    }
    modify = rds.modify_db_parameter_group
    assert refusal(modify, **change("work_mem", "much"))[0] == "InvalidParameterValue"
    assert refusal(modify, **change("max_connections", "0"))[0] == "InvalidParameterCombination"
    assert refusal(modify, **change("max_connections", "0", "pending-reboot"))[0] == "InvalidParameterValue"
    assert refusal(modify, **change("archive_command", "rm"))[0] == "InvalidParameterValue"
    assert refusal(modify, **change("no_such_thing", "1"))[0] == "InvalidParameterValue"
    assert refusal(rds.delete_db_parameter_group, DBParameterGroupName="tuned")[0] == "InvalidDBParameterGroupState"


def _plain(shape: dict[str, Any]) -> bool:
    try:
        return run(shape, "SELECT 1", sslmode="disable") == [(1,)]
    except psycopg.OperationalError:
        return False


def test_tags_are_kept_and_found_through_the_tagging_api(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds, tagging = cloud.client("rds"), cloud.client("resourcegroupstaggingapi")
    arn = passing("tagged", Tags=[{"Key": "a", "Value": "1"}])["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "b", "Value": "2"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["a"])

    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "b", "Value": "2"}]
    assert instance(cloud, "tagged")["TagList"] == [{"Key": "b", "Value": "2"}]
    found = tagging.get_resources(TagFilters=[{"Key": "b", "Values": ["2"]}], ResourceTypeFilters=["rds:db"])
    assert [resource["ResourceARN"] for resource in found["ResourceTagMappingList"]] == [arn]
    assert refusal(rds.list_tags_for_resource, ResourceName=arn + "x")[0] == "DBInstanceNotFound"
    assert (
        refusal(rds.create_db_instance_read_replica, DBInstanceIdentifier="r", SourceDBInstanceIdentifier="tagged")[0]
        == "LocalCloudNotImplemented"
    )


# -- failures and events -----------------------------------------------------------------------------------------------


def test_failure_states_are_true_and_leave_only_what_aws_leaves(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    shape = passing("broken", BackupRetentionPeriod=1)
    run(shape, "CREATE TABLE kept AS SELECT 1 AS one")
    arn = shape["DBInstanceArn"]

    def break_it(how: str, resource: str = arn) -> None:
        rds.add_tags_to_resource(ResourceName=resource, Tags=[{"Key": "localcloud:break", "Value": how}])

    break_it("crash")
    with pytest.raises(psycopg.OperationalError):
        connect(shape)
    rds.reboot_db_instance(DBInstanceIdentifier="broken")
    assert run(shape, "SELECT one FROM kept") == [(1,)]

    break_it("storage-full")
    assert instance(cloud, "broken")["DBInstanceStatus"] == "storage-full"
    rds.modify_db_instance(DBInstanceIdentifier="broken", AllocatedStorage=30, ApplyImmediately=True)
    assert run(shape, "SELECT one FROM kept") == [(1,)]

    rds.create_db_snapshot(DBInstanceIdentifier="broken", DBSnapshotIdentifier="cursed")
    break_it("next-restore", arn.replace(":db:broken", ":snapshot:cursed"))
    restore = {"DBInstanceIdentifier": "misborn", "DBSnapshotIdentifier": "cursed"}
    rds.restore_db_instance_from_db_snapshot(**restore)
    assert instance(cloud, "misborn")["DBInstanceStatus"] == "incompatible-restore"
    rds.delete_db_instance(DBInstanceIdentifier="misborn", SkipFinalSnapshot=True)
    rds.restore_db_instance_from_db_snapshot(**restore)
    assert run(instance(cloud, "misborn"), "SELECT one FROM kept") == [(1,)]
    rds.delete_db_instance(DBInstanceIdentifier="misborn", SkipFinalSnapshot=True)

    break_it("failed")
    final = refusal(rds.delete_db_instance, DBInstanceIdentifier="broken", FinalDBSnapshotIdentifier="too-late")
    assert final[0] == "InvalidDBInstanceState"
    taking = refusal(rds.create_db_snapshot, DBInstanceIdentifier="broken", DBSnapshotIdentifier="too-late")
    assert taking[0] == "InvalidDBInstanceState"
    assert refusal(rds.reboot_db_instance, DBInstanceIdentifier="broken")[0] == "InvalidDBInstanceState"
    with pytest.raises(ClientError, match="use one of: failed, incompatible-restore"):
        break_it("bored")
    assert instance(cloud, "broken")["TagList"] == []
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier="broken", TargetDBInstanceIdentifier="misborn", UseLatestRestorableTime=True
    )
    assert run(instance(cloud, "misborn"), "SELECT one FROM kept") == [(1,)]
    rds.delete_db_instance(DBInstanceIdentifier="misborn", SkipFinalSnapshot=True)


def test_a_damaged_snapshot_is_found_out_only_by_restoring_it(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds = cloud.client("rds")
    passing("damaged", BackupRetentionPeriod=0)
    rds.create_db_snapshot(DBInstanceIdentifier="damaged", DBSnapshotIdentifier="damaged-1")
    files = cloud.directory / "live" / "databases"
    newest = max(files.glob("snap-*"), key=lambda folder: folder.stat().st_mtime_ns)
    (newest / "base" / "global" / "pg_control").unlink()

    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="unlucky", DBSnapshotIdentifier="damaged-1")

    assert rds.describe_db_snapshots(DBSnapshotIdentifier="damaged-1")["DBSnapshots"][0]["Status"] == "available"
    assert instance(cloud, "unlucky")["DBInstanceStatus"] == "incompatible-restore"
    assert refusal(rds.reboot_db_instance, DBInstanceIdentifier="unlucky")[0] == "InvalidDBInstanceState"
    rds.delete_db_instance(DBInstanceIdentifier="unlucky", SkipFinalSnapshot=True)


def test_events_are_listed_and_delivered_to_the_topics_that_want_them(
    cloud: RunningCloud, passing: Callable[..., dict[str, Any]]
) -> None:
    rds, sns, sqs = cloud.client("rds"), cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = open_inbox(cloud, "inbox")
    address = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=address, Attributes={"RawMessageDelivery": "true"})
    subscription: dict[str, Any] = {
        "SubscriptionName": "watch",
        "SnsTopicArn": topic,
        "SourceType": "db-instance",
        "EventCategories": ["backup", "deletion"],
    }
    subscribe = rds.create_event_subscription
    assert refusal(subscribe, **subscription | {"EventCategories": ["gossip"]})[0] == "SubscriptionCategoryNotFound"
    assert refusal(subscribe, **subscription | {"SnsTopicArn": topic + "x"})[0] == "SNSTopicArnNotFound"
    subscribe(**subscription)
    passing("eventful", BackupRetentionPeriod=1)
    rds.delete_db_instance(DBInstanceIdentifier="eventful", SkipFinalSnapshot=True)

    received = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        received += [json.loads(message["Body"])["Event Message"] for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    listed = rds.describe_events(SourceIdentifier="eventful", SourceType="db-instance")["Events"]

    assert received == ["Backing up DB instance", "Finished DB instance backup", "DB instance deleted"]
    assert [event["EventCategories"] for event in listed] == [["backup"], ["backup"], ["creation"], ["deletion"]]
    rds.modify_event_subscription(SubscriptionName="watch", Enabled=False)
    passing("quiet", BackupRetentionPeriod=1)
    assert not sqs.receive_message(QueueUrl=queue).get("Messages")
    rds.delete_event_subscription(SubscriptionName="watch")


# -- life of the cloud -------------------------------------------------------------------------------------------------


def test_a_load_brings_a_dropped_table_back_and_a_restart_or_kill_loses_nothing() -> None:
    with open_folder() as directory:
        own = start_cloud(directory / "cloud")
        try:
            shape = create(own, "saved", BackupRetentionPeriod=1)
            run(shape, "CREATE TABLE kept AS SELECT generate_series(1, 10) AS number")

            own.control("save", name="good")
            run(shape, "DROP TABLE kept")
            own.control("load", name="good")
            assert run(shape, "SELECT count(*) FROM kept") == [(10,)]

            stop_cloud(own)
            with pytest.raises(psycopg.OperationalError):
                connect(shape)
            own = start_cloud(own.directory, own.port)
            assert run(shape, "SELECT count(*) FROM kept") == [(10,)]

            with connect(shape) as idle:  # a session keeps the orphaned server up, as the application's would
                idle.execute("INSERT INTO kept VALUES (11)")
                own.process.kill()
                own.process.wait()
                own = start_cloud(own.directory, own.port)
                assert run(shape, "SELECT count(*) FROM kept") == [(11,)]
            own.client("rds").restore_db_instance_to_point_in_time(
                SourceDBInstanceIdentifier="saved",
                TargetDBInstanceIdentifier="after-kill",
                UseLatestRestorableTime=True,
            )
            assert run(instance(own, "after-kill"), "SELECT count(*) FROM kept") == [(11,)]
        finally:
            stop_cloud(own)
