"""Automated backups: the daily snapshot, the WAL archive, the restorable window, and their copy in another region."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from localcloud.cloud import Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.postgres import ServerFailed
from localcloud.schedules import on_tick
from localcloud.services import rds_records as records
from localcloud.services import rds_rules as rules
from localcloud.services import rds_snapshots
from localcloud.services.rds_records import Record
from localcloud.trees import link_tree

LOG = logging.getLogger("localcloud.rds")
# AWS ships WAL about every 5 minutes; asking for an instance brings its archive up to date at once.
SHIPPING_SECONDS = 10.0
FRESH = timedelta(seconds=1)

FROM_INSTANCE = (
    "DBInstanceArn", "DbiResourceId", "DBInstanceIdentifier", "AllocatedStorage", "AvailabilityZone",
    "InstanceCreateTime", "MasterUsername", "Engine", "EngineVersion", "LicenseModel", "Iops", "StorageThroughput",
    "StorageType", "KmsKeyId", "IAMDatabaseAuthenticationEnabled", "PreferredBackupWindow",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Restorable:
    """Everything a point-in-time restore needs: base backups with the time each can be recovered from, and WAL."""

    shape: Record
    port: int
    vpc_id: str | None
    bases: list[tuple[Path, datetime]]
    wal: Path
    until: datetime | None
    broken: bool = False  # a rehearsal wants the next restore from it to fail

    @property
    def earliest(self) -> datetime | None:
        """The first whole second that can be restored to."""
        if not self.bases:
            return None
        first = min(moment for _, moment in self.bases)
        return records.whole_second(first + timedelta(seconds=1))

    @property
    def latest(self) -> datetime | None:
        """The last whole second that can be restored to."""
        if self.until is None or self.earliest is None:
            return None
        last = records.whole_second(self.until)
        return last if last >= self.earliest else None


def new_arn(cloud: Cloud, region: str) -> str:
    """Return the ARN of a new automated backup."""
    return records.arn(cloud, region, "auto-backup", f"ab-{uuid4().hex[:26]}")


def of_instance(cloud: Cloud, region: str, record: Record) -> Restorable:
    """Return what an instance, or the backup retained of a deleted one, can be restored from."""
    shape = record["shape"]
    taken = records.automated_snapshots(cloud, region, shape["DbiResourceId"])
    return Restorable(
        shape=shape,
        port=record["port"],
        vpc_id=record.get("vpc_id"),
        bases=[(records.folder(cloud, s["folder"]) / "base", s["restorable_from"]) for s in taken],
        wal=records.folder(cloud, shape["DbiResourceId"]) / "wal",
        until=record.get("archived_until"),
    )


def of_backup(cloud: Cloud, region: str, record: Record) -> Restorable:
    """Return what a retained or replicated automated backup can be restored from."""
    if record["kind"] == "retained":
        return of_instance(cloud, region, record)
    folder = records.folder(cloud, record["folder"])
    return Restorable(
        shape=record["shape"],
        port=record["port"],
        vpc_id=None,
        bases=[(folder / name, moment) for name, moment in record["bases"].items()],
        wal=folder / "wal",
        until=record.get("archived_until"),
    )


# -- keeping them up to date -----------------------------------------------------------------------------------------


def refresh(cloud: Cloud, region: str, record: Record) -> None:
    """Bring an instance's archive, its latest restorable time and its copies in other regions up to now."""
    if record["shape"]["BackupRetentionPeriod"] == 0:
        return
    cluster = records.cluster_of(cloud, region, record)
    if not records.servers(cloud).is_running(cluster) or not cluster.archiving:
        return
    try:
        record["archived_until"] = records.servers(cloud).archived_until(cluster)
    except (psycopg.Error, ServerFailed):
        LOG.exception("the WAL of %s could not be archived", cluster.name)
        return
    for copy in _copies(cloud, region, record["shape"]["DbiResourceId"]):
        ship(cloud, region, record, copy)


def refresh_if_old(cloud: Cloud, region: str, record: Record) -> None:
    """Do the same unless it was done a moment ago: for listings, which clients repeat."""
    last = record.get("archived_until")
    if last is None or records.real_now() - last >= FRESH:
        refresh(cloud, region, record)


def _copies(cloud: Cloud, region: str, resource_id: str) -> Iterator[Record]:
    for other in records.regions(cloud):
        for copy in list(records.backups(cloud, other).values()):
            if (
                copy["kind"] == "replicated"
                and copy["status"] == "replicating"
                and copy["source_region"] == region
                and copy["shape"]["DbiResourceId"] == resource_id
            ):
                yield copy


def ship(cloud: Cloud, region: str, record: Record, copy: Record) -> None:
    """Copy the base backups and WAL that a replicated backup has not got yet."""
    with records.CHANGING:
        source = of_instance(cloud, region, record)
        folder = records.folder(cloud, copy["folder"])
        cloud.user.own(folder)
        for base, moment in source.bases:
            name = base.parent.name
            if name not in copy["bases"]:
                link_tree(base, folder / name)
                copy["bases"][name] = moment
        wal = (
            records.folder(
                cloud,
                copy["folder"],
            )
            / "wal"
        )
        wal.mkdir(mode=0o700, exist_ok=True)
        cloud.user.own(wal)
        for segment in sorted(source.wal.iterdir()):
            if not segment.name.startswith(".") and not (wal / segment.name).exists():
                part = wal / f".{segment.name}.part"
                shutil.copy2(segment, part)
                cloud.user.own(part)
                part.rename(wal / segment.name)
        copy["archived_until"] = source.until
        oldest_first = sorted(copy["bases"], key=lambda name: copy["bases"][name])
        for name in oldest_first[: -max(1, copy["retention"])]:
            del copy["bases"][name]
            shutil.rmtree(folder / name, ignore_errors=True)
        if copy["bases"]:
            oldest = min(copy["bases"], key=lambda name: copy["bases"][name])
            records.servers(cloud).prune_archive(wal, folder / oldest)


def prune(cloud: Cloud, region: str, record: Record) -> list[str]:
    """Delete the automated snapshots beyond the retention period, and WAL that no snapshot left needs."""
    shape = record["shape"]
    taken = records.automated_snapshots(cloud, region, shape["DbiResourceId"])
    keep = shape["BackupRetentionPeriod"]
    oldest_kept = cloud.now() - timedelta(days=keep)
    gone = [s for s in taken[:-1] if s["shape"]["SnapshotCreateTime"] < oldest_kept]
    # A tick stands for a day, whatever the clock says.
    gone += [s for s in taken[: max(0, len(taken) - keep)] if s not in gone]
    for old in gone:
        rds_snapshots.remove(cloud, region, old["shape"]["DBSnapshotIdentifier"])
    left = [s for s in taken if s not in gone]
    wal = records.folder(cloud, shape["DbiResourceId"]) / "wal"
    if left and wal.exists():
        records.servers(cloud).prune_archive(wal, records.folder(cloud, left[0]["folder"]) / "base")
    return [old["shape"]["DBSnapshotIdentifier"] for old in gone]


def forget_automated(cloud: Cloud, region: str, resource_id: str) -> None:
    """Delete every automated snapshot and all archived WAL of an instance."""
    for old in records.automated_snapshots(cloud, region, resource_id):
        rds_snapshots.remove(cloud, region, old["shape"]["DBSnapshotIdentifier"])
    for segment in (records.folder(cloud, resource_id) / "wal").glob("*"):
        segment.unlink(missing_ok=True)


def ship_all(cloud: Cloud) -> None:
    """Bring the archives of all instances up to now."""
    for region in records.regions(cloud):
        for record in list(records.instances(cloud, region).values()):
            if record["shape"]["DBInstanceStatus"] == "available":
                refresh(cloud, region, record)


def start_shipping(cloud: Cloud) -> None:
    """Ship WAL in the background until the state that is now loaded ends."""
    stop = threading.Event()
    _SHIPPERS[id(cloud)] = stop

    def work() -> None:
        while not stop.wait(SHIPPING_SECONDS):
            with cloud.gate.working():
                if not stop.is_set():
                    ship_all(cloud)

    cloud.background(work, name="wal-shipping")


def stop_shipping(cloud: Cloud) -> None:
    """End the background shipping."""
    # It may be waiting for the gate that our caller holds, so it is told and not waited for.
    stop = _SHIPPERS.pop(id(cloud), None)
    if stop is not None:
        stop.set()


_SHIPPERS: dict[int, threading.Event] = {}


@on_tick
def _daily(cloud: Cloud, schedule: str, _now: datetime) -> list[str]:
    if schedule != "daily":
        return []
    lines = []
    for region in records.regions(cloud):
        for name, record in sorted(records.instances(cloud, region).items()):
            if record["shape"]["BackupRetentionPeriod"] == 0 or record["shape"]["DBInstanceStatus"] != "available":
                continue
            with cloud.gate.working(), records.CHANGING:
                taken = rds_snapshots.take_automated(cloud, region, record)
                lines.append(f"rds {region}: automated snapshot {taken['shape']['DBSnapshotIdentifier']} of {name}")
                lines += [f"rds {region}: expired {old}" for old in prune(cloud, region, record)]
                refresh(cloud, region, record)
        for arn, backup in list(records.backups(cloud, region).items()):
            ended = backup.get("ended_at")
            if ended is not None and cloud.now() > ended + timedelta(days=backup["retention"]):
                with cloud.gate.working(), records.CHANGING:
                    discard(cloud, region, arn)
                lines.append(f"rds {region}: expired {arn}")
    return lines


def retain(cloud: Cloud, region: str, record: Record) -> None:
    """Keep the automated backups of an instance that is being deleted."""
    backup = {
        **record,
        "kind": "retained",
        "status": "retained",
        "retention": record["shape"]["BackupRetentionPeriod"],
        "ended_at": cloud.now(),
        "tags": list(record["shape"]["TagList"]),
    }
    records.backups(cloud, region)[record["backup_arn"]] = backup


def end_copies(cloud: Cloud, region: str, resource_id: str) -> None:
    """Turn the replicated backups of an instance that is gone into retained ones."""
    for copy in _copies(cloud, region, resource_id):
        copy["status"] = "retained"
        copy["ended_at"] = cloud.now()


def discard(cloud: Cloud, region: str, arn: str) -> Record:
    """Delete a retained or replicated automated backup with its files."""
    backup = records.backups(cloud, region).pop(arn)
    if backup["kind"] == "retained":
        forget_automated(cloud, region, backup["shape"]["DbiResourceId"])
        shutil.rmtree(records.folder(cloud, backup["shape"]["DbiResourceId"]), ignore_errors=True)
    else:
        shutil.rmtree(records.folder(cloud, backup["folder"]), ignore_errors=True)
    return backup


# -- operations ------------------------------------------------------------------------------------------------------


def _shown(cloud: Cloud, region: str, arn: str, source: Restorable, backup: Record) -> Record:
    shape = source.shape
    return records.without_nones(
        {
            **{key: shape.get(key) for key in FROM_INSTANCE},
            "DBInstanceAutomatedBackupsArn": arn,
            "Region": records.region_in(shape["DBInstanceArn"], region),
            "Status": backup["status"],
            "Port": source.port,
            "VpcId": source.vpc_id,
            "OptionGroupName": f"default:postgres-{rules.major()}",
            "Encrypted": shape["StorageEncrypted"],
            "KmsKeyId": backup.get("key") or shape.get("KmsKeyId"),
            "BackupRetentionPeriod": backup["retention"],
            "RestoreWindow": records.without_nones({"EarliestTime": source.earliest, "LatestTime": source.latest}),
            "BackupTarget": "region",
            "TagList": backup.get("tags", []),
            "DBInstanceAutomatedBackupsReplications": replications(cloud, region, shape["DbiResourceId"])
            if backup["status"] == "active"
            else [],
            "DedicatedLogVolume": False,
        }
    )


def replications(cloud: Cloud, region: str, resource_id: str) -> list[dict[str, str]]:
    """Return the ARNs of an instance's replicated backups, as DescribeDBInstances lists them."""
    return [{"DBInstanceAutomatedBackupsArn": copy["arn"]} for copy in _copies(cloud, region, resource_id)]


@operation("rds", "DescribeDBInstanceAutomatedBackups")
def _describe(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    found = []
    for record in list(records.instances(cloud, region).values()):
        if record["shape"]["BackupRetentionPeriod"] > 0:
            refresh_if_old(cloud, region, record)
            active = {"status": "active", "retention": record["shape"]["BackupRetentionPeriod"]}
            found.append(_shown(cloud, region, record["backup_arn"], of_instance(cloud, region, record), active))
    for arn, backup in list(records.backups(cloud, region).items()):
        found.append(_shown(cloud, region, arn, of_backup(cloud, region, backup), backup))
    conditions = {
        "DbiResourceId": asked.get("DbiResourceId"),
        "DBInstanceIdentifier": asked.get("DBInstanceIdentifier"),
        "DBInstanceAutomatedBackupsArn": asked.get("DBInstanceAutomatedBackupsArn"),
    }
    found = [shape for shape in found if all(v is None or shape[k] == v for k, v in conditions.items())]
    if not found and any(value is not None for value in conditions.values()):
        wanted = next(value for value in conditions.values() if value is not None)
        raise Refused("DBInstanceAutomatedBackupNotFound", f"DBInstanceAutomatedBackup {wanted} not found.", 404)
    found = records.filtered(
        found,
        asked.get("Filters"),
        {
            "status": lambda shape: [shape["Status"]],
            "db-instance-id": lambda shape: [shape["DBInstanceIdentifier"]],
            "dbi-resource-id": lambda shape: [shape["DbiResourceId"]],
        },
    )
    page, marker = records.page(
        found,
        limit=asked.get("MaxRecords"),
        marker=asked.get("Marker"),
        name=lambda shape: f"{shape['DBInstanceIdentifier']} {shape['DBInstanceAutomatedBackupsArn']}",
    )
    return records.without_nones({"DBInstanceAutomatedBackups": page, "Marker": marker})


@operation("rds", "DeleteDBInstanceAutomatedBackup")
def _delete(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    with records.CHANGING:
        arn = asked.get("DBInstanceAutomatedBackupsArn")
        if arn is None:
            matching = [
                name
                for name, backup in records.backups(cloud, region).items()
                if backup["shape"]["DbiResourceId"] == asked.get("DbiResourceId")
            ]
            arn = matching[0] if matching else None
        live = [
            r
            for r in records.instances(cloud, region).values()
            if r["backup_arn"] == arn or (arn is None and r["shape"]["DbiResourceId"] == asked.get("DbiResourceId"))
        ]
        if live:
            raise Refused(
                "InvalidDBInstanceAutomatedBackupState",
                "The automated backup of an existing instance cannot be deleted.",
            )
        backup = records.backups(cloud, region).get(arn or "")
        if arn is None or backup is None:
            raise Refused("DBInstanceAutomatedBackupNotFound", "The automated backup was not found.", 404)
        if backup["status"] == "replicating":
            raise Refused(
                "InvalidDBInstanceAutomatedBackupState", "Stop the replication of the automated backup first."
            )
        shown = _shown(cloud, region, arn, of_backup(cloud, region, backup), backup | {"status": "deleting"})
        discard(cloud, region, arn)
    return {"DBInstanceAutomatedBackup": shown}


@operation("rds", "StartDBInstanceAutomatedBackupsReplication")
def _start_replication(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    source_arn = asked["SourceDBInstanceArn"]
    source_region = records.region_in(source_arn, region)
    if source_region == region:
        raise Refused(
            "InvalidParameterValue", "Automated backups can only be replicated to a region other than the source's."
        )
    retention = rules.retention(asked.get("BackupRetentionPeriod") or 7)
    with records.CHANGING:
        record = records.instance(cloud, source_region, source_arn)
        shape = record["shape"]
        if shape["BackupRetentionPeriod"] == 0:
            raise Refused(
                "InvalidDBInstanceState", f"Automated backups are not enabled for {shape['DBInstanceIdentifier']}."
            )
        if any(True for _ in _copies(cloud, source_region, shape["DbiResourceId"])):
            raise Refused(
                "InvalidDBInstanceAutomatedBackupState",
                f"The automated backups of {shape['DBInstanceIdentifier']} are already replicated.",
            )
        key = None
        if shape["StorageEncrypted"]:
            if not asked.get("KmsKeyId"):
                raise Refused(
                    "InvalidParameterCombination",
                    "KmsKeyId of the destination region is required when the source instance is encrypted.",
                )
            key = records.usable_key(cloud, region, asked["KmsKeyId"])
        arn = new_arn(cloud, region)
        copy: Record = {
            "arn": arn,
            "kind": "replicated",
            "status": "replicating",
            "folder": arn.rsplit(":", 1)[1],
            "source_region": source_region,
            "shape": dict(shape),
            "port": record["port"],
            "bases": {},
            "retention": retention,
            "key": key,
            "tags": records.tags_of(asked),
            "archived_until": None,
        }
        records.backups(cloud, region)[arn] = copy
        refresh(cloud, source_region, record)
    pending = copy | {"status": "pending"}
    return {"DBInstanceAutomatedBackup": _shown(cloud, region, arn, of_backup(cloud, region, copy), pending)}


@operation("rds", "StopDBInstanceAutomatedBackupsReplication")
def _stop_replication(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    source_arn = asked["SourceDBInstanceArn"]
    for arn, copy in records.backups(cloud, region).items():
        if copy["kind"] == "replicated" and copy["shape"]["DBInstanceArn"] == source_arn:
            if copy["status"] != "replicating":
                continue
            copy["status"] = "retained"
            copy["ended_at"] = cloud.now()
            return {"DBInstanceAutomatedBackup": _shown(cloud, region, arn, of_backup(cloud, region, copy), copy)}
    raise Refused("DBInstanceNotFound", f"No automated backups of {source_arn} are replicated to {region}.", 404)
