"""What the local RDS remembers of instances, snapshots and automated backups, and how it names and pages them."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from localcloud.cloud import Cloud
from localcloud.operations import Refused
from localcloud.postgres import Cluster, Servers

Record = dict[str, Any]

# Creating, deleting and restoring happen one after another, so that two requests cannot take one name.
CHANGING = threading.RLock()

# Settings of a parameter group that describe AWS's machines or would take the cluster out of our hands.
OURS = re.compile(
    r"^(archive_|listen_addresses|port$|unix_|ssl_(cert|key|ca|crl)|hba_file|data_directory|restore_|"
    r"recovery_|fsync|logging_collector|log_directory|hot_standby)"
)


@cache
def servers(cloud: Cloud) -> Servers:
    """Return the PostgreSQL servers of a cloud."""
    return Servers(cloud)


# RDS makes, changes and backs up an instance for minutes, and takes no change meanwhile. Here each lasts until somebody has
# seen it, so that it is sure to be run into, and no longer than a client would look away.
SHORTEST = timedelta(seconds=0.6)
LONGEST = timedelta(seconds=10)

# What RDS takes in tags (RDS user guide, "Tagging Amazon RDS resources").
TAG_TEXT = re.compile(r"[\w .:/=+\-@]*")


# -- the stores ------------------------------------------------------------------------------------------------------


def instances(cloud: Cloud, region: str) -> dict[str, Record]:
    """Return instances by identifier.

    {"shape": as the API shows it once it rests, "address", "port", "archived_until", "passing": see pass_through}
    """
    found: dict[str, Record] = cloud.store("rds", region).setdefault("instances", {})
    return found


def snapshots(cloud: Cloud, region: str) -> dict[str, Record]:
    """Return snapshots by identifier: {"shape", "folder", "instance": the source's shape, "restorable_from"}."""
    found: dict[str, Record] = cloud.store("rds", region).setdefault("snapshots", {})
    return found


def backups(cloud: Cloud, region: str) -> dict[str, Record]:
    """Return by ARN the automated backups that have no instance in their region: retained and replicated ones."""
    found: dict[str, Record] = cloud.store("rds", region).setdefault("backups", {})
    return found


def regions(cloud: Cloud) -> list[str]:
    """Return the regions in which RDS remembers anything."""
    return sorted(region for name, region in cloud.remembered.stores if name == "rds")


def instance(cloud: Cloud, region: str, identifier: str) -> Record:
    """Return one instance; DBInstanceNotFound when there is none."""
    name = identifier.rsplit(":", 1)[-1].lower()
    found = instances(cloud, region).get(name)
    if found is None:
        raise Refused("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    return found


def snapshot(cloud: Cloud, region: str, identifier: str) -> Record:
    """Return one snapshot by identifier or ARN; DBSnapshotNotFound when there is none."""
    found = snapshots(cloud, region).get(name_in(identifier).lower())
    if found is None:
        raise Refused("DBSnapshotNotFound", f"DBSnapshot {identifier} not found.", 404)
    return found


def automated_snapshots(cloud: Cloud, region: str, resource_id: str) -> list[Record]:
    """Return an instance's automated snapshots, oldest first."""
    found = [
        record
        for record in snapshots(cloud, region).values()
        if record["shape"]["SnapshotType"] == "automated" and record["shape"]["DbiResourceId"] == resource_id
    ]
    return sorted(found, key=lambda record: record["restorable_from"])


# -- what an instance is at this moment --------------------------------------------------------------------------------


def pass_through(record: Record, *statuses: str) -> None:
    """Let an instance be each of these for a moment, one after another, before it is what its shape says."""
    record["passing"] = (statuses, real_now(), False)


def status(record: Record) -> str:
    """Return the status of an instance at this moment."""
    statuses, _, _ = _passing(record)
    return statuses[0] if statuses else str(record["shape"]["DBInstanceStatus"])


def seen(record: Record) -> None:
    """Note that a client was told the status."""
    statuses, since, _ = _passing(record)
    record["passing"] = (statuses, since, True)


def _passing(record: Record) -> tuple[tuple[str, ...], datetime, bool]:
    """Return what is still ahead of an instance, since when it is the first of that, and whether a client knows."""
    statuses, since, known = record.get("passing", ((), real_now(), False))
    while statuses and real_now() >= (end := since + (SHORTEST if known else LONGEST)):
        statuses, since, known = statuses[1:], end, False
    return statuses, since, known


# -- names and places ------------------------------------------------------------------------------------------------


def arn(cloud: Cloud, region: str, kind: str, name: str) -> str:
    """Return the ARN of a db, snapshot, auto-backup …"""
    return f"arn:aws:rds:{region}:{cloud.account_id}:{kind}:{name}"


def name_in(identifier: str) -> str:
    """Return the name in an ARN, or the name itself ("rds:…" is the name of an automated snapshot)."""
    match = re.fullmatch(r"arn:aws[\w-]*:rds:[^:]*:\d*:[a-z-]+:(.+)", identifier)
    return match.group(1) if match else identifier


def region_in(identifier: str, default: str) -> str:
    """Return the region of an ARN, or `default` for a plain name."""
    return identifier.split(":")[3] if identifier.startswith("arn:") else default


def new_resource_id() -> str:
    """Return an id as RDS makes them: db- and 26 capital letters and digits."""
    return "db-" + base64.b32encode(uuid4().bytes).decode().rstrip("=")


def folder(cloud: Cloud, name: str) -> Path:
    """Return the folder of a cluster, snapshot or automated backup."""
    return cloud.folder("databases", name)


def cluster_of(cloud: Cloud, region: str, record: Record) -> Cluster:
    """Return the cluster behind an instance, with the settings its parameter group gives it."""
    shape = record["shape"]
    return Cluster(
        name=shape["DbiResourceId"],
        folder=folder(cloud, shape["DbiResourceId"]),
        address=record["address"],
        port=record["port"],
        settings=group_settings(cloud, region, shape["DBParameterGroups"][0]["DBParameterGroupName"]),
        archiving=shape["BackupRetentionPeriod"] > 0,
    )


def group_settings(cloud: Cloud, region: str, group: str) -> dict[str, str]:
    """Return what the user set in a parameter group and our PostgreSQL may take over."""
    found = cloud.moto("rds", region).db_parameter_groups.get(group)
    if found is None:
        return {}
    return {
        name: str(values["ParameterValue"])
        for name, values in found.parameters.items()
        if values.get("ParameterValue") is not None and not OURS.match(name) and "{" not in values["ParameterValue"]
    }


# -- time ------------------------------------------------------------------------------------------------------------


def real_now() -> datetime:
    """Return the machine's clock in UTC: PostgreSQL stamps its commits with it, so recovery times must use it."""
    return datetime.now(UTC)


def whole_second(moment: datetime) -> datetime:
    """Return the start of the second that a time lies in: RDS restores to whole seconds."""
    return moment.replace(microsecond=0)


# -- keys ------------------------------------------------------------------------------------------------------------


def usable_key(cloud: Cloud, region: str, key: str | None) -> str:
    """Return the ARN of a KMS key (None: the account's aws/rds key); KMSKeyNotAccessibleFault when unusable."""
    asked = key or "alias/aws/rds"
    unusable = Refused(
        "KMSKeyNotAccessibleFault",
        f"The specified KMS key [{asked}] does not exist, is not enabled or you do not have permissions to access it.",
    )
    if asked.startswith("arn:") and region_in(asked, region) != region:
        raise unusable
    backend = cloud.moto("kms", region)
    try:
        found = backend.describe_key(asked)
    except Exception as error:  # moto raises KeyError, ValidationException or NotFoundException by kind of name
        raise unusable from error
    if not found.enabled or found.key_state != "Enabled":
        raise unusable
    return str(found.arn)


# -- answers ---------------------------------------------------------------------------------------------------------


def page(
    items: Iterable[Record], *, limit: int | None, marker: str | None, name: Callable[[Record], str]
) -> tuple[list[Record], str | None]:
    """Return one page of `items`, ordered by `name`, and the marker of the next; refuse wrong limits and markers."""
    if limit is not None and not 20 <= limit <= 100:
        raise Refused("InvalidParameterValue", f"Invalid value {limit} for MaxRecords. Must be between 20 and 100")
    ordered = sorted(items, key=name)
    if marker:
        try:
            after = base64.urlsafe_b64decode(marker.encode()).decode()
        except ValueError as error:
            raise Refused("InvalidParameterValue", "Invalid value for Marker") from error
        ordered = [item for item in ordered if name(item) > after]
    size = limit or 100
    following = base64.urlsafe_b64encode(name(ordered[size - 1]).encode()).decode() if len(ordered) > size else None
    return ordered[:size], following


def filtered(
    items: Iterable[Record], filters: list[dict[str, Any]] | None, keys: dict[str, Callable[[Record], list[str]]]
) -> list[Record]:
    """Return the items that every filter lets through; a filter that RDS does not know is refused."""
    kept = list(items)
    for asked in filters or []:
        if asked["Name"] not in keys:
            raise Refused("InvalidParameterValue", f"Unrecognized filter name: {asked['Name']}")
        values = asked.get("Values") or []
        if not values:
            raise Refused("InvalidParameterCombination", f"The {asked['Name']} filter must have at least one value.")
        key = keys[asked["Name"]]
        kept = [item for item in kept if set(values) & set(key(item))]
    return kept


def tags_of(params: dict[str, Any]) -> list[dict[str, str]]:
    """Return the tags of a request; one with signs that RDS does not take in tags is refused."""
    tags = [{"Key": tag["Key"], "Value": tag.get("Value", "")} for tag in params.get("Tags") or []]
    for tag in tags:
        for text, most in ((tag["Key"], 128), (tag["Value"], 256)):
            if len(text) > most or not TAG_TEXT.fullmatch(text):
                raise Refused("InvalidParameterValue", f"The tag {tag['Key']} has an invalid key or value: {text}")
    return tags


def without_nones(shape: Record) -> Record:
    """Return a shape as the API shows it: members without a value are left out."""
    return {key: value for key, value in shape.items() if value is not None}
