"""Restores: a new instance from a snapshot, or from base backup and archived WAL at a whole second."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.postgres import Cluster, ServerFailed
from localcloud.services import rds, rds_backups, rds_passwords
from localcloud.services import rds_records as records
from localcloud.services.rds_backups import Restorable
from localcloud.services.rds_events import happened
from localcloud.services.rds_records import Record

LOG = logging.getLogger("localcloud.rds")


def _restore(
    cloud: Cloud, region: str, asked: dict[str, Any], source: Record, fill: Callable[[Cluster], None] | None
) -> Record:
    """Make an instance whose cluster `fill` makes and starts (None: it fails); source is the shape it starts from."""
    record = rds.described(cloud, region, asked, source=source)
    shape = record["shape"]
    shape["MasterUsername"] = source["MasterUsername"]
    shape["DBName"] = source["DBName"]
    if fill is None:
        return _misborn(cloud, region, record)
    cluster = records.cluster_of(cloud, region, record)
    try:
        fill(cluster)
        if asked.get("ManageMasterUserPassword"):
            password = rds_passwords.new_password()
            records.servers(cloud).set_password(cluster, user=shape["MasterUsername"], password=password)
            key = asked.get("MasterUserSecretKmsKeyId")
            rds_passwords.create(cloud, region, shape, key=key, password=password)
        rds.finish(cloud, region, record)
    except ServerFailed:
        # AWS has answered long before it finds that a backup is damaged: the instance then shows it.
        LOG.exception("%s could not be restored", shape["DBInstanceIdentifier"])
        rds.abandon(cloud, region, record)
        return _misborn(cloud, region, record)
    except BaseException:
        rds.abandon(cloud, region, record)
        raise
    return record


def _misborn(cloud: Cloud, region: str, record: Record) -> Record:
    name = record["shape"]["DBInstanceIdentifier"]
    record["shape"]["DBInstanceStatus"] = "incompatible-restore"
    records.pass_through(record, "creating")
    records.instances(cloud, region)[name] = record
    happened(cloud, region, "incompatible restore", name)
    return record


@operation("rds", "RestoreDBInstanceFromDBSnapshot")
def _from_snapshot(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    if asked.get("DBClusterSnapshotIdentifier"):
        raise Refused("LocalCloudNotImplemented", "The local cloud has no DB clusters.")
    if not asked.get("DBSnapshotIdentifier"):
        raise Refused("InvalidParameterValue", "The parameter DBSnapshotIdentifier must be provided.")
    if asked.get("DBName"):
        raise Refused("InvalidParameterValue", "DBName can not be given when a PostgreSQL snapshot is restored.")
    with records.CHANGING:
        if records.region_in(asked["DBSnapshotIdentifier"], region) != region:
            raise Refused("InvalidParameterValue", "The snapshot is in another region; copy it here first.")
        snapshot = records.snapshot(cloud, region, asked["DBSnapshotIdentifier"])
        if snapshot["shape"]["Status"] != "available":
            raise Refused(
                "InvalidDBSnapshotState",
                f"The snapshot {asked['DBSnapshotIdentifier']} is not available but {snapshot['shape']['Status']}.",
            )
        # A copy may be encrypted with another key than its source, or at all.
        encryption = {
            "StorageEncrypted": snapshot["shape"]["Encrypted"],
            "KmsKeyId": snapshot["shape"]["KmsKeyId"],
        }
        source = snapshot["instance"] | encryption
        asked.setdefault("Port", snapshot["port"])

        def fill(cluster: Cluster) -> None:
            records.servers(cloud).copy(records.folder(cloud, snapshot["folder"]) / "base", cluster)
            records.servers(cloud).start(cluster)

        broken = snapshot.pop("break_restore", False)
        record = _restore(cloud, region, asked, source, None if broken else fill)
    name = record["shape"]["DBInstanceIdentifier"]
    if record["shape"]["DBInstanceStatus"] == "available":
        happened(cloud, region, "restored from snapshot", name, snapshot["shape"]["DBSnapshotIdentifier"])
    return {"DBInstance": rds.shown(cloud, region, record)}


@operation("rds", "RestoreDBInstanceToPointInTime")
def _to_point_in_time(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    wanted, latest = asked.get("RestoreTime"), bool(asked.get("UseLatestRestorableTime"))
    if (wanted is None) == (not latest):
        raise Refused(
            "InvalidParameterCombination", "Specify either RestoreTime or UseLatestRestorableTime, and not both."
        )
    asked["DBInstanceIdentifier"] = asked["TargetDBInstanceIdentifier"]
    with records.CHANGING:
        source = _source(cloud, region, asked)
        shape = dict(source.shape)
        arn = asked.get("SourceDBInstanceAutomatedBackupsArn")
        if arn in records.backups(cloud, region):
            shape["KmsKeyId"] = records.backups(cloud, region)[arn].get("key") or shape["KmsKeyId"]
        if shape["BackupRetentionPeriod"] == 0:
            raise Refused(
                "PointInTimeRestoreNotEnabled",
                f"Automated backups of {shape['DBInstanceIdentifier']} are off.",
            )
        until = _until(source, wanted)
        base = max((b for b in source.bases if b[1] <= until), key=lambda b: b[1])[0]
        asked.setdefault("Port", source.port)

        def fill(cluster: Cluster) -> None:
            records.servers(cloud).recover(cluster, base=base, wal=source.wal, until=until if wanted else None)

        record = _restore(cloud, region, asked, shape, None if source.broken else fill)
    name = record["shape"]["DBInstanceIdentifier"]
    if record["shape"]["DBInstanceStatus"] == "available":
        happened(cloud, region, "restored", name, shape["DBInstanceIdentifier"], name)
    return {"DBInstance": rds.shown(cloud, region, record)}


def _source(cloud: Cloud, region: str, asked: dict[str, Any]) -> Restorable:
    """Return what the request names as its source: an instance, live or deleted, or an automated backup."""
    named = [
        asked.get(key)
        for key in ("SourceDBInstanceIdentifier", "SourceDbiResourceId", "SourceDBInstanceAutomatedBackupsArn")
    ]
    if sum(value is not None for value in named) != 1:
        raise Refused(
            "InvalidParameterCombination",
            "Specify exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId and "
            "SourceDBInstanceAutomatedBackupsArn.",
        )
    identifier, resource_id, arn = named
    if identifier is not None:
        record = records.instance(cloud, region, identifier)
        return _live(cloud, region, record)
    for record in records.instances(cloud, region).values():
        if record["shape"]["DbiResourceId"] == resource_id or record["backup_arn"] == arn:
            return _live(cloud, region, record)
    for found, backup in records.backups(cloud, region).items():
        if found == arn or (
            resource_id is not None and backup["shape"]["DbiResourceId"] == resource_id and backup["kind"] == "retained"
        ):
            return rds_backups.of_backup(cloud, region, backup)
    raise Refused(
        "DBInstanceAutomatedBackupNotFound", f"No automated backup of {resource_id or arn} exists in {region}.", 404
    )


def _live(cloud: Cloud, region: str, record: Record) -> Restorable:
    rds_backups.refresh(cloud, region, record)
    return replace(rds_backups.of_instance(cloud, region, record), broken=record.pop("break_restore", False))


def _until(source: Restorable, wanted: datetime | None) -> datetime:
    """Return the time to restore to, a whole second when one is asked for; refuse one outside the window."""
    name = source.shape["DBInstanceIdentifier"]
    earliest, latest = source.earliest, source.latest
    if wanted is None:
        if source.until is None or not any(moment <= source.until for _, moment in source.bases):
            raise Refused("InvalidRestoreFault", f"{name} has no restorable time yet.")
        return source.until
    if earliest is None or latest is None:
        raise Refused("InvalidParameterValue", f"{name} cannot be restored to a point in time yet: try again later.")
    until = records.whole_second(wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC))
    if until > latest:
        raise Refused(
            "InvalidParameterValue",
            f"The specified instance cannot be restored to a time later than {latest:%Y-%m-%dT%H:%M:%SZ} because "
            f"{name} has no later restorable time.",
        )
    if until < earliest:
        raise Refused(
            "InvalidParameterValue",
            f"The specified instance cannot be restored to a time earlier than {earliest:%Y-%m-%dT%H:%M:%SZ} because "
            f"{name} has no earlier automated backup.",
        )
    return until
