"""DB snapshots: real base backups that outlive their instance, copied within and between regions."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import Any

from localcloud.cloud import Cloud
from localcloud.front import INTERNAL_KEY
from localcloud.operations import Call, Refused, operation
from localcloud.services import rds_records as records
from localcloud.services import rds_rules as rules
from localcloud.services.rds_events import happened
from localcloud.services.rds_records import Record
from localcloud.trees import copy_tree, link_tree

COPIED_FROM_INSTANCE = (
    "DBInstanceIdentifier", "Engine", "AllocatedStorage", "AvailabilityZone", "InstanceCreateTime", "MasterUsername",
    "EngineVersion", "LicenseModel", "Iops", "StorageThroughput", "StorageType", "KmsKeyId", "DbiResourceId",
    "IAMDatabaseAuthenticationEnabled", "BackupRetentionPeriod", "PreferredBackupWindow",
)  # fmt: skip
SHARED_ACCOUNTS = 20


def take(cloud: Cloud, region: str, instance: Record, name: str, *, kind: str, tags: list[dict[str, str]]) -> Record:
    """Back up an instance's cluster and return the snapshot, available; kind is manual, automated or awsbackup."""
    if name in records.snapshots(cloud, region):
        raise Refused(
            "DBSnapshotAlreadyExists",
            f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.",
        )
    shape = instance["shape"]
    if shape["DBInstanceStatus"] not in ("available", "stopped", "backing-up", "deleting", "creating"):
        raise Refused(
            "InvalidDBInstanceState",
            f"Cannot create a snapshot because the database instance {shape['DBInstanceIdentifier']} is not currently "
            "in the available state.",
        )
    if shape["StorageEncrypted"]:
        records.usable_key(cloud, region, shape["KmsKeyId"])
    started = cloud.now()
    folder = records.new_resource_id().replace("db-", "snap-")
    cluster = records.cluster_of(cloud, region, instance)
    target = records.folder(cloud, folder) / "base"
    cloud.user.own(target.parent)
    if records.servers(cloud).is_running(cluster):
        restorable_from = records.servers(cloud).base_backup(cluster, target)
    else:
        copy_tree(cluster.data, target)
        restorable_from = records.real_now()
    record: Record = {
        "folder": folder,
        "restorable_from": restorable_from,
        "instance": dict(shape),
        "port": instance["port"],
        "restore": [],
        "shape": {
            **{key: shape.get(key) for key in COPIED_FROM_INSTANCE},
            "DBSnapshotIdentifier": name,
            "DBSnapshotArn": records.arn(cloud, region, "snapshot", name),
            "SnapshotCreateTime": started,
            "OriginalSnapshotCreateTime": started,
            "SnapshotDatabaseTime": started,
            "Status": "available",
            "Port": instance["port"],
            "VpcId": instance.get("vpc_id"),
            "SnapshotType": kind,
            "OptionGroupName": f"default:postgres-{rules.major()}",
            "PercentProgress": 100,
            "Encrypted": shape["StorageEncrypted"],
            "TagList": tags,
            "SnapshotTarget": "region",
            "Timezone": None,
            "ProcessorFeatures": [],
            "DedicatedLogVolume": False,
        },
    }
    records.snapshots(cloud, region)[name] = record
    happened(cloud, region, "automated snapshot created" if kind == "automated" else "manual snapshot created", name)
    return record


def take_automated(cloud: Cloud, region: str, instance: Record) -> Record:
    """Take the day's automated snapshot; its name is that of AWS, by the minute, and never taken twice."""
    identifier = instance["shape"]["DBInstanceIdentifier"]
    moment = cloud.now().replace(second=0, microsecond=0)
    last = instance.get("automated_at")
    if last is not None and moment <= last:
        moment = last + timedelta(minutes=1)
    # Another instance of this name may have left one behind.
    while (name := f"rds:{identifier}-{moment:%Y-%m-%d-%H-%M}") in records.snapshots(cloud, region):
        moment += timedelta(minutes=1)
    happened(cloud, region, "backing up", identifier)
    tags = list(instance["shape"]["TagList"]) if instance["shape"]["CopyTagsToSnapshot"] else []
    record = take(cloud, region, instance, name, kind="automated", tags=tags)
    instance["automated_at"] = moment
    happened(cloud, region, "backed up", identifier)
    return record


def remove(cloud: Cloud, region: str, name: str) -> Record:
    """Forget a snapshot and delete its files."""
    record = records.snapshots(cloud, region).pop(name)
    shutil.rmtree(records.folder(cloud, record["folder"]), ignore_errors=True)
    return record


def shown(record: Record, **other: Any) -> Record:
    """Return a snapshot as the API shows it."""
    return records.without_nones(record["shape"] | other)


# -- operations ------------------------------------------------------------------------------------------------------


@operation("rds", "CreateDBSnapshot")
def _create(call: Call, **asked: Any) -> dict[str, Any]:
    instance = records.instance(call.cloud, call.region, asked["DBInstanceIdentifier"])
    name = asked["DBSnapshotIdentifier"]
    kind = "manual"
    if name.startswith("awsbackup:") and f"Credential={INTERNAL_KEY}/" in call.headers.get("authorization", ""):
        kind = "awsbackup"
    else:
        name = rules.snapshot_name(name, "DBSnapshotIdentifier")
    tags = records.tags_of(asked)
    if not tags and instance["shape"]["CopyTagsToSnapshot"]:
        tags = list(instance["shape"]["TagList"])
    with records.CHANGING:
        record = take(call.cloud, call.region, instance, name, kind=kind, tags=tags)
    return {"DBSnapshot": shown(record, Status="creating", PercentProgress=0)}


@operation("rds", "DeleteDBSnapshot")
def _delete(call: Call, **asked: Any) -> dict[str, Any]:
    with records.CHANGING:
        record = records.snapshot(call.cloud, call.region, asked["DBSnapshotIdentifier"])
        name = record["shape"]["DBSnapshotIdentifier"]
        internal = f"Credential={INTERNAL_KEY}/" in call.headers.get("authorization", "")
        if record["shape"]["SnapshotType"] == "automated" or (
            record["shape"]["SnapshotType"] == "awsbackup" and not internal
        ):
            raise Refused(
                "InvalidDBSnapshotState",
                f"Cannot delete {name} because it is {record['shape']['SnapshotType']} and not a manual snapshot.",
            )
        remove(call.cloud, call.region, name)
    happened(call.cloud, call.region, "snapshot deleted", name)
    return {"DBSnapshot": shown(record, Status="deleted")}


@operation("rds", "DescribeDBSnapshots")
def _describe(call: Call, **asked: Any) -> dict[str, Any]:
    kind = asked.get("SnapshotType")
    if kind not in (None, "automated", "manual", "shared", "public", "awsbackup"):
        raise Refused("InvalidParameterValue", f"Invalid snapshot type: {kind}")
    found = list(records.snapshots(call.cloud, call.region).values())
    if asked.get("DBSnapshotIdentifier"):
        found = [records.snapshot(call.cloud, call.region, asked["DBSnapshotIdentifier"])]
    conditions = {
        "DBInstanceIdentifier": (asked.get("DBInstanceIdentifier") or "").lower() or None,
        "DbiResourceId": asked.get("DbiResourceId"),
        "SnapshotType": kind,
    }
    found = [r for r in found if all(v is None or r["shape"][k] == v for k, v in conditions.items())]
    if kind is None and not asked.get("DBSnapshotIdentifier"):
        found = [r for r in found if r["shape"]["SnapshotType"] in ("manual", "automated")]
    found = records.filtered(
        found,
        asked.get("Filters"),
        {
            "db-instance-id": lambda r: [r["shape"]["DBInstanceIdentifier"], r["instance"]["DBInstanceArn"]],
            "db-snapshot-id": lambda r: [r["shape"]["DBSnapshotIdentifier"]],
            "dbi-resource-id": lambda r: [r["shape"]["DbiResourceId"]],
            "snapshot-type": lambda r: [r["shape"]["SnapshotType"]],
            "engine": lambda r: [r["shape"]["Engine"]],
        },
    )
    page, marker = records.page(
        found,
        limit=asked.get("MaxRecords"),
        marker=asked.get("Marker"),
        name=lambda r: r["shape"]["DBSnapshotIdentifier"],
    )
    return records.without_nones({"DBSnapshots": [shown(record) for record in page], "Marker": marker})


@operation("rds", "CopyDBSnapshot")
def _copy(call: Call, **asked: Any) -> dict[str, Any]:
    cloud = call.cloud
    asked_source = asked["SourceDBSnapshotIdentifier"]
    source_region = records.region_in(asked_source, asked.get("SourceRegion") or call.region)
    if source_region != call.region and not asked_source.startswith("arn:"):
        raise Refused(
            "InvalidParameterValue", "SourceDBSnapshotIdentifier must be an ARN when the copy is from another region."
        )
    name = asked["TargetDBSnapshotIdentifier"]
    kind = "manual"
    if name.startswith("awsbackup:") and f"Credential={INTERNAL_KEY}/" in call.headers.get("authorization", ""):
        kind = "awsbackup"
    else:
        name = rules.snapshot_name(name, "TargetDBSnapshotIdentifier")
    with records.CHANGING:
        source = records.snapshot(cloud, source_region, asked_source)
        shape = source["shape"]
        if shape["Status"] != "available":
            raise Refused("InvalidDBSnapshotState", f"The snapshot {asked_source} is not available.")
        if name in records.snapshots(cloud, call.region):
            raise Refused("DBSnapshotAlreadyExists", f"A snapshot with the identifier {name} already exists.")
        key = _key_of_copy(call, source_region, shape, asked.get("KmsKeyId"))
        folder = records.new_resource_id().replace("db-", "snap-")
        target = records.folder(cloud, folder)
        cloud.user.own(target)
        link_tree(records.folder(cloud, source["folder"]) / "base", target / "base")
        tags = records.tags_of(asked)
        if not tags and asked.get("CopyTags"):
            tags = list(shape["TagList"])
        record: Record = {
            **source,
            "folder": folder,
            "restore": [],
            "shape": {
                **shape,
                "DBSnapshotIdentifier": name,
                "DBSnapshotArn": records.arn(cloud, call.region, "snapshot", name),
                "SnapshotCreateTime": cloud.now(),
                "SnapshotType": kind,
                "Encrypted": key is not None,
                "KmsKeyId": key,
                "TagList": tags,
                "SourceDBSnapshotIdentifier": shape["DBSnapshotArn"],
                "SourceRegion": source_region,
            },
        }
        records.snapshots(cloud, call.region)[name] = record
    happened(cloud, call.region, "manual snapshot created", name)
    return {"DBSnapshot": shown(record, Status="creating", PercentProgress=0)}


def _key_of_copy(call: Call, source_region: str, shape: Record, asked: str | None) -> str | None:
    if not shape["Encrypted"]:
        return records.usable_key(call.cloud, call.region, asked) if asked else None
    records.usable_key(call.cloud, source_region, shape["KmsKeyId"])
    if asked is None and source_region != call.region:
        raise Refused(
            "InvalidParameterCombination",
            "You must specify a KMS key of the destination region to copy an encrypted snapshot from another region.",
        )
    return records.usable_key(call.cloud, call.region, asked or shape["KmsKeyId"])


@operation("rds", "DescribeDBSnapshotAttributes")
def _describe_attributes(call: Call, **asked: Any) -> dict[str, Any]:
    return _attributes(records.snapshot(call.cloud, call.region, asked["DBSnapshotIdentifier"]))


@operation("rds", "ModifyDBSnapshotAttribute")
def _modify_attribute(call: Call, **asked: Any) -> dict[str, Any]:
    record = records.snapshot(call.cloud, call.region, asked["DBSnapshotIdentifier"])
    if record["shape"]["SnapshotType"] != "manual":
        raise Refused("InvalidDBSnapshotState", "Only manual snapshots can be shared.")
    if asked["AttributeName"] != "restore":
        raise Refused("InvalidParameterValue", f"Invalid snapshot attribute {asked['AttributeName']}")
    adding, removing = asked.get("ValuesToAdd") or [], asked.get("ValuesToRemove") or []
    if record["shape"]["Encrypted"] and "all" in adding:
        raise Refused("InvalidParameterValue", "Encrypted snapshots cannot be made public.")
    wanted = list(dict.fromkeys(v for v in [*record["restore"], *adding] if v not in removing))
    if len(wanted) > SHARED_ACCOUNTS:
        raise Refused("SharedSnapshotQuotaExceeded", "You have exceeded the maximum number of shared accounts.")
    record["restore"] = wanted
    return _attributes(record)


def _attributes(record: Record) -> dict[str, Any]:
    return {
        "DBSnapshotAttributesResult": {
            "DBSnapshotIdentifier": record["shape"]["DBSnapshotIdentifier"],
            "DBSnapshotAttributes": [{"AttributeName": "restore", "AttributeValues": record["restore"]}],
        }
    }
