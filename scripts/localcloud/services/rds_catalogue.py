"""What RDS has on offer, parameter and option groups, subnet groups in use, and tags."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.rds.models import RDSBackend

from localcloud.cloud import Cloud
from localcloud.front import answered
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.postgres import programs
from localcloud.services import rds_disasters
from localcloud.services import rds_records as records
from localcloud.services import rds_rules as rules
from localcloud.services.rds_records import Record

FORCE_SSL = {
    "ParameterName": "rds.force_ssl", "Description": "Force SSL connections.", "ApplyType": "dynamic",
    "DataType": "boolean", "AllowedValues": "0,1", "IsModifiable": True, "Source": "system", "ParameterValue": "1",
    "ApplyMethod": "pending-reboot",
}  # fmt: skip
TYPES = {"bool": "boolean", "integer": "integer", "real": "float", "enum": "string", "string": "string"}


# -- versions and classes --------------------------------------------------------------------------------------------


@operation("rds", "DescribeDBEngineVersions")
def _engine_versions(call: Call, **asked: Any) -> dict[str, Any]:
    wanted = asked.get("EngineVersion")
    matches = (
        asked.get("Engine") in (None, rules.ENGINE)
        and wanted in (None, rules.version(), rules.major())
        and asked.get("DBParameterGroupFamily") in (None, rules.family())
    )
    if not matches and wanted is not None:
        raise Refused("InvalidParameterCombination", f"Cannot find version {wanted} for {asked.get('Engine')}")
    shape = {
        "Engine": rules.ENGINE,
        "MajorEngineVersion": rules.major(),
        "EngineVersion": rules.version(),
        "DBParameterGroupFamily": rules.family(),
        "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": f"PostgreSQL {rules.version()}",
        "ValidUpgradeTarget": [],
        "ExportableLogTypes": ["postgresql", "upgrade"],
        "SupportsLogExportsToCloudwatchLogs": True,
        "SupportsReadReplica": True,
        "SupportedFeatureNames": ["Lambda", "s3Export", "s3Import"],
        "Status": "available",
        "SupportsParallelQuery": False,
        "SupportsGlobalDatabases": False,
        "SupportsBabelfish": False,
        "SupportsCertificateRotationWithoutRestart": True,
        "SupportedCACertificateIdentifiers": ["rds-ca-rsa2048-g1", "rds-ca-ecc384-g1", "rds-ca-rsa4096-g1"],
        "TagList": [],
    }
    page, marker = records.page(
        [shape] if matches else [],
        limit=asked.get("MaxRecords"),
        marker=asked.get("Marker"),
        name=lambda found: str(found["EngineVersion"]),
    )
    return records.without_nones({"DBEngineVersions": page, "Marker": marker})


@operation("rds", "DescribeOrderableDBInstanceOptions")
def _orderable(call: Call, **asked: Any) -> dict[str, Any]:
    if asked.get("Engine") != rules.ENGINE:
        raise Refused(
            "LocalCloudNotImplemented",
            f"The local cloud runs only the engine {rules.ENGINE}, not {asked.get('Engine')}.",
        )
    options = [
        _option(call.region, name, kind)
        for name in rules.classes()
        for kind in rules.STORAGE
        if asked.get("DBInstanceClass") in (None, name)
        and asked.get("EngineVersion") in (None, rules.version(), rules.major())
        and asked.get("LicenseModel") in (None, rules.LICENSE)
    ]
    page, marker = records.page(
        options,
        limit=asked.get("MaxRecords"),
        marker=asked.get("Marker"),
        name=lambda option: f"{option['DBInstanceClass']} {option['StorageType']}",
    )
    return records.without_nones({"OrderableDBInstanceOptions": page, "Marker": marker})


def _option(region: str, name: str, kind: str) -> Record:
    least, most = rules.STORAGE[kind]
    provisioned = kind in ("io1", "io2", "gp3")
    return {
        "Engine": rules.ENGINE,
        "EngineVersion": rules.version(),
        "DBInstanceClass": name,
        "LicenseModel": rules.LICENSE,
        "AvailabilityZones": [{"Name": f"{region}{zone}"} for zone in "abc"],
        "MultiAZCapable": True,
        "ReadReplicaCapable": True,
        "Vpc": True,
        "SupportsStorageEncryption": True,
        "StorageType": kind,
        "SupportsIops": provisioned,
        "SupportsStorageThroughput": kind == "gp3",
        "SupportsEnhancedMonitoring": True,
        "SupportsIAMDatabaseAuthentication": True,
        "SupportsPerformanceInsights": True,
        "MinStorageSize": least,
        "MaxStorageSize": most,
        "SupportedEngineModes": ["provisioned"],
        "SupportsStorageAutoscaling": True,
        "SupportsKerberosAuthentication": True,
        "SupportedNetworkTypes": ["IPV4", "DUAL"],
        "SupportsClusters": False,
        "OutpostCapable": False,
        "SupportsGlobalDatabases": False,
    }


# -- parameter groups ------------------------------------------------------------------------------------------------


@cache
def _engine_parameters() -> dict[str, Record]:
    """Return PostgreSQL's own parameters by name, as `postgres --describe-config` lists them."""
    said = subprocess.run(
        [programs().path("postgres"), "--describe-config"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, Record] = {"rds.force_ssl": dict(FORCE_SSL)}
    for line in said.splitlines():
        name, context, _group, kind, default, least, most, description, *_ = line.split("\t") + [""] * 8
        static = context in ("postmaster", "internal")
        found[name] = records.without_nones(
            {
                "ParameterName": name,
                "ParameterValue": default or None,
                "Description": description,
                "Source": "engine-default",
                "ApplyType": "static" if static else "dynamic",
                "DataType": TYPES.get(kind.lower(), "string"),
                "AllowedValues": f"{least}-{most}" if least and most else None,
                "IsModifiable": context != "internal" and not records.OURS.match(name),
                "ApplyMethod": "pending-reboot",
            }
        )
    return found


def _group(call: Call, name: str) -> Any:
    found = call.cloud.moto("rds", call.region).db_parameter_groups.get(name)
    if found is None:
        raise Refused("DBParameterGroupNotFound", f"DBParameterGroup {name} not found.", 404)
    return found


@operation("rds", "DescribeDBParameters")
def _parameters(call: Call, **asked: Any) -> dict[str, Any]:
    name = asked["DBParameterGroupName"]
    set_by_user: dict[str, Record] = {}
    if name != f"default.{rules.family()}":
        set_by_user = _group(call, name).parameters
    known = _engine_parameters()
    everything = {
        **known,
        **{
            key: {
                **known.get(key, {}),
                **values,
                "Source": "user",
                "ApplyMethod": values.get("ApplyMethod", "immediate"),
            }
            for key, values in set_by_user.items()
        },
    }
    found = [p for p in everything.values() if asked.get("Source") in (None, p["Source"])]
    found = records.filtered(found, asked.get("Filters"), {"parameter-name": lambda p: [p["ParameterName"]]})
    page, marker = records.page(
        found,
        limit=asked.get("MaxRecords"),
        marker=asked.get("Marker"),
        name=lambda p: str(p["ParameterName"]),
    )
    return records.without_nones({"Parameters": page, "Marker": marker})


@operation("rds", "ModifyDBParameterGroup")
def _modify_parameters(call: Call, **asked: Any) -> dict[str, Any]:
    name = asked["DBParameterGroupName"]
    if name.startswith("default."):
        raise Refused("InvalidParameterValue", f"The parameter group {name} is a default group and cannot be modified.")
    group = _group(call, name)
    changes = asked.get("Parameters") or []
    for change in changes:
        _check_parameter(call.cloud, change)
    group.update_parameters(changes)
    _apply_group(call.cloud, call.region, name, changes)
    return {"DBParameterGroupName": group.name}


def _check_parameter(cloud: Cloud, change: Record) -> None:
    name, value = change["ParameterName"], change.get("ParameterValue")
    known = _engine_parameters().get(name)
    if known is None and not name.startswith("rds."):
        # Settings of libraries, such as pg_stat_statements.track, are not in PostgreSQL's own list.
        if "." not in name:
            raise Refused("InvalidParameterValue", f"Could not find parameter with name: {name}")
        return
    if known is not None and not known["IsModifiable"]:
        raise Refused("InvalidParameterValue", f"The parameter {name} cannot be modified.")
    if known is not None and known["ApplyType"] == "static" and change.get("ApplyMethod") == "immediate":
        raise Refused("InvalidParameterCombination", f"cannot use immediate apply method for static parameter {name}")
    if name == "rds.force_ssl" and value not in (None, "0", "1"):
        raise Refused("InvalidParameterValue", f"Invalid parameter value: {value} for: {name} allowed values are: 0,1")
    if known is not None and value is not None and "{" not in value and not name.startswith("rds."):
        wrong = records.servers(cloud).check_setting(name, value)
        if wrong:
            raise Refused("InvalidParameterValue", f"Invalid parameter value: {value} for: {name}: {wrong}")


@operation("rds", "ResetDBParameterGroup")
def _reset_parameters(call: Call, **asked: Any) -> dict[str, Any]:
    group = _group(call, asked["DBParameterGroupName"])
    changes = asked.get("Parameters") or []
    names = list(group.parameters) if asked.get("ResetAllParameters") else [c["ParameterName"] for c in changes]
    for name in names:
        group.parameters.pop(name, None)
    _apply_group(call.cloud, call.region, group.name, changes)
    return {"DBParameterGroupName": group.name}


def _apply_group(cloud: Cloud, region: str, name: str, changes: list[Record]) -> None:
    waits = any(change.get("ApplyMethod") == "pending-reboot" for change in changes)
    for record in records.instances(cloud, region).values():
        membership = record["shape"]["DBParameterGroups"][0]
        if membership["DBParameterGroupName"] != name:
            continue
        if waits:
            membership["ParameterApplyStatus"] = "pending-reboot"
        cluster = records.cluster_of(cloud, region, record)
        if records.servers(cloud).is_running(cluster):
            records.servers(cloud).reload(cluster)


@around("rds", "DeleteDBParameterGroup")
def _keep_used_parameter_group(call: Call, proceed: Any) -> Answer:
    name = call.params["DBParameterGroupName"]
    for record in records.instances(call.cloud, call.region).values():
        if record["shape"]["DBParameterGroups"][0]["DBParameterGroupName"] == name:
            raise Refused(
                "InvalidDBParameterGroupState",
                f"One or more database instances are still members of this parameter group {name}, so the group cannot "
                "be deleted",
            )
    answer: Answer = proceed()
    return answer


# -- subnet groups ---------------------------------------------------------------------------------------------------


@around("rds", "DeleteDBSubnetGroup")
def _keep_used_subnet_group(call: Call, proceed: Any) -> Answer:
    name = call.params["DBSubnetGroupName"]
    for record in records.instances(call.cloud, call.region).values():
        if record["subnet_group"] == name:
            identifier = record["shape"]["DBInstanceIdentifier"]
            raise Refused(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{name}' because at least one database instance: {identifier} is "
                "still using it.",
            )
    answer: Answer = proceed()
    return answer


@around("rds", "ModifyDBSubnetGroup")
def _modified_subnet_group_stays(call: Call, proceed: Any) -> Answer:
    # moto 5.2.5 takes the group out of its list to change it and forgets to put it back.
    groups = call.cloud.moto("rds", call.region).subnet_groups
    before = groups.get(call.params["DBSubnetGroupName"])
    if before is None:
        raise Refused("DBSubnetGroupNotFoundFault", f"Subnet group {call.params['DBSubnetGroupName']} not found.", 404)
    answer: Answer = proceed()
    groups[before.name] = before
    return answer


# -- tags ------------------------------------------------------------------------------------------------------------


def _tagged(cloud: Cloud, region: str) -> Iterator[tuple[str, str, list[dict[str, str]]]]:
    for record in records.instances(cloud, region).values():
        yield "rds:db", record["shape"]["DBInstanceArn"], record["shape"]["TagList"]
    for record in records.snapshots(cloud, region).values():
        yield "rds:snapshot", record["shape"]["DBSnapshotArn"], record["shape"]["TagList"]
    for arn, record in records.backups(cloud, region).items():
        yield "rds:auto-backup", arn, record["tags"]


def _own_tags(cloud: Cloud, region: str, arn: str) -> list[dict[str, str]] | None:
    """Return the (changeable) tags of a resource of ours; None when the ARN is moto's business."""
    parts = arn.split(":", 6)
    if len(parts) < 7 or parts[5] not in ("db", "snapshot", "auto-backup"):
        return None
    for _, found, tags in _tagged(cloud, region):
        if found == arn:
            return tags
    for record in records.instances(cloud, region).values():
        if record["backup_arn"] == arn:
            own: list[dict[str, str]] = record.setdefault("backup_tags", [])
            return own
    if parts[5] == "db":
        raise Refused("DBInstanceNotFound", f"DBInstance {parts[6]} not found.", 404)
    if parts[5] == "snapshot":
        raise Refused("DBSnapshotNotFound", f"DBSnapshot {parts[6]} not found.", 404)
    raise Refused("DBInstanceAutomatedBackupNotFound", f"DBInstanceAutomatedBackup {parts[6]} not found.", 404)


@around("rds", "ListTagsForResource", "AddTagsToResource", "RemoveTagsFromResource")
def _tags(call: Call, proceed: Any) -> Answer:
    tags = _own_tags(call.cloud, call.region, call.params["ResourceName"])
    if tags is None:
        answer: Answer = proceed()
        return answer
    if call.operation == "ListTagsForResource":
        return answered(call, {"TagList": tags})
    if call.operation == "AddTagsToResource":
        added = records.tags_of(call.params)
        for tag in added:
            if tag["Key"] == rds_disasters.TAG:
                rds_disasters.break_resource(call.cloud, call.region, call.params["ResourceName"], tag["Value"])
        _merge(tags, [tag for tag in added if tag["Key"] != rds_disasters.TAG])
    else:
        removed = set(call.params.get("TagKeys") or [])
        tags[:] = [tag for tag in tags if tag["Key"] not in removed]
    return answered(call, {})


def _merge(tags: list[dict[str, str]], added: list[dict[str, str]]) -> None:
    new = {tag["Key"] for tag in added}
    for tag in added:
        if tag["Key"].lower().startswith("aws:"):
            raise Refused("InvalidParameterValue", "Tag keys starting with aws: are reserved for system use.")
    merged = [tag for tag in tags if tag["Key"] not in new] + added
    if len(merged) > 50:
        raise Refused("InvalidParameterValue", "A resource may not have more than 50 tags.")
    tags[:] = merged


def join_tagging_api(cloud: Cloud) -> None:
    """Let the Resource Groups Tagging API see and change the tags of instances and snapshots."""
    plain_iter, plain_tag = RDSBackend.iter_tagged_resources, RDSBackend.tag_resource
    plain_untag = RDSBackend.untag_resource

    def iter_tagged_resources(self: Any) -> Iterator[TaggedResource]:
        yield from plain_iter(self)
        for kind, arn, tags in _tagged(cloud, self.region_name):
            yield TaggedResource(arn=arn, tags={t["Key"]: t["Value"] for t in tags}, resource_type=kind)

    def tag_resource(self: Any, arn: str, tags: dict[str, str]) -> None:
        own = _own_tags(cloud, self.region_name, arn)
        if own is None:
            plain_tag(self, arn, tags)
        else:
            _merge(own, [{"Key": key, "Value": value} for key, value in tags.items()])

    def untag_resource(self: Any, arn: str, tag_keys: list[str]) -> None:
        own = _own_tags(cloud, self.region_name, arn)
        if own is None:
            plain_untag(self, arn, tag_keys)
        else:
            own[:] = [tag for tag in own if tag["Key"] not in tag_keys]

    RDSBackend.iter_tagged_resources = iter_tagged_resources
    RDSBackend.tag_resource = tag_resource
    RDSBackend.untag_resource = untag_resource
