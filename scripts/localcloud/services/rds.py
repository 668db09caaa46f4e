"""RDS instances: each one a real PostgreSQL cluster on its own loopback address."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Call, Refused, operation
from localcloud.postgres import ServerFailed
from localcloud.schedules import on_tick
from localcloud.services import rds_backups, rds_catalogue, rds_passwords, rds_snapshots
from localcloud.services import rds_records as records
from localcloud.services import rds_rules as rules
from localcloud.services.rds_events import happened
from localcloud.services.rds_records import Record

LOG = logging.getLogger("localcloud.rds")

# "Database instance is not in available state" is what ModifyDBInstance says in every other one (seen while RDS makes,
# modifies or backs up: hashicorp/terraform-provider-aws#31594, cloud-custodian/cloud-custodian#178); a full one may be
# given more storage (#3708 of the same provider). A stopped one has to be started first.
MODIFIABLE = ("available", "storage-full")
# In which a last snapshot can be taken (hashicorp/terraform-provider-aws#46687; RDS user guide, "Deleting a DB instance").
# Without one an instance can be deleted in any state, also while it is made.
TAKEN_FROM = ("available", "stopped")
# Changes that wait for the maintenance window unless ApplyImmediately is given, and where they show.
DEFERRED = (
    "AllocatedStorage", "DBInstanceClass", "EngineVersion", "MultiAZ", "Iops", "StorageType", "StorageThroughput",
    "CACertificateIdentifier",
)  # fmt: skip
AT_ONCE = (
    "PreferredBackupWindow", "PreferredMaintenanceWindow", "AutoMinorVersionUpgrade", "CopyTagsToSnapshot",
    "MonitoringInterval", "MonitoringRoleArn", "PubliclyAccessible", "DeletionProtection", "MaxAllocatedStorage",
    "DatabaseInsightsMode", "NetworkType", "PromotionTier",
)  # fmt: skip
# What a restored instance has from its source; AWS gives it everything else anew (tags, protection, groups …).
KEPT_BY_RESTORE = (
    "AllocatedStorage", "DBInstanceClass", "StorageType", "Iops", "StorageThroughput", "BackupRetentionPeriod",
    "PreferredBackupWindow", "PreferredMaintenanceWindow", "AutoMinorVersionUpgrade",
)  # fmt: skip
MONITORING_SECONDS = (0, 1, 5, 10, 15, 30, 60)


# -- making a record -------------------------------------------------------------------------------------------------


def described(cloud: Cloud, region: str, asked: dict[str, Any], *, source: Record | None) -> Record:
    """Return the record of an instance to be made; refuse what RDS would refuse, before anything is done.

    `source` is the shape of the instance that a restore starts from.
    """
    asked = {**{key: (source or {}).get(key) for key in KEPT_BY_RESTORE}, **asked}
    name = rules.instance_name(asked["DBInstanceIdentifier"])
    if name in records.instances(cloud, region):
        raise Refused("DBInstanceAlreadyExists", "DB instance already exists")
    version = rules.engine(asked)
    kind = asked.get("StorageType") or ("io1" if asked.get("Iops") else "gp2")
    size = asked.get("AllocatedStorage")
    if size is None:
        raise Refused("InvalidParameterValue", "The parameter AllocatedStorage must be provided.")
    if not asked.get("DBInstanceClass"):
        raise Refused("InvalidParameterValue", "The parameter DBInstanceClass must be provided and must not be blank.")
    rules.storage(kind, size)
    if source is not None and size < source["AllocatedStorage"]:
        raise Refused("InvalidParameterValue", "The allocated storage cannot be smaller than the source's.")
    port = asked.get("Port") or 5432
    if not 1150 <= port <= 65535:
        raise Refused("InvalidParameterValue", f"Invalid database port number: {port}. Must be between 1150 and 65535")
    retention = asked.get("BackupRetentionPeriod")
    retention = rules.retention(1 if retention is None else retention)
    maintenance = asked.get("PreferredMaintenanceWindow")
    if source is not None and asked.get("PreferredBackupWindow") != source.get("PreferredBackupWindow"):
        maintenance = None
    backup_window, maintenance = rules.windows(asked.get("PreferredBackupWindow"), maintenance)
    _monitoring(asked.get("MonitoringInterval") or 0, asked.get("MonitoringRoleArn"))
    group = asked.get("DBParameterGroupName") or f"default.{rules.family()}"
    _parameter_group(cloud, region, group)
    subnet_group = asked.get("DBSubnetGroupName") or "default"
    vpc_id, zone = _network(cloud, region, subnet_group)
    encrypted = bool(source["StorageEncrypted"] if source else asked.get("StorageEncrypted"))
    key = None
    if encrypted:
        key = records.usable_key(cloud, region, source["KmsKeyId"] if source else asked.get("KmsKeyId"))
    elif asked.get("KmsKeyId"):
        raise Refused("InvalidParameterCombination", "KmsKeyId requires StorageEncrypted.")
    insights = bool(asked.get("EnablePerformanceInsights"))
    insights_days = asked.get("PerformanceInsightsRetentionPeriod") or 7
    if insights:
        rules.insights(insights_days)
    resource_id = records.new_resource_id()
    gp3 = kind == "gp3"
    shape: Record = {
        "DBInstanceIdentifier": name,
        "DBInstanceClass": asked["DBInstanceClass"],
        "Engine": rules.ENGINE,
        "EngineVersion": version,
        "DBInstanceStatus": "creating",
        "MasterUsername": asked.get("MasterUsername"),
        "DBName": asked.get("DBName"),
        "AllocatedStorage": size,
        "InstanceCreateTime": cloud.now(),
        "PreferredBackupWindow": backup_window,
        "BackupRetentionPeriod": retention,
        "PreferredMaintenanceWindow": maintenance,
        "DBSecurityGroups": [],
        "VpcSecurityGroups": _security_groups(cloud, region, asked.get("VpcSecurityGroupIds"), vpc_id),
        "DBParameterGroups": [{"DBParameterGroupName": group, "ParameterApplyStatus": "in-sync"}],
        "OptionGroupMemberships": [{"OptionGroupName": f"default:postgres-{rules.major()}", "Status": "in-sync"}],
        "AvailabilityZone": asked.get("AvailabilityZone") or zone,
        "PendingModifiedValues": {},
        "MultiAZ": bool(asked.get("MultiAZ")),
        "AutoMinorVersionUpgrade": asked.get("AutoMinorVersionUpgrade") is not False,
        "ReadReplicaDBInstanceIdentifiers": [],
        "LicenseModel": rules.LICENSE,
        "Iops": asked.get("Iops") or (3000 if gp3 else None),
        "StorageThroughput": asked.get("StorageThroughput") or (125 if gp3 else None),
        "StorageType": kind,
        "PubliclyAccessible": bool(asked.get("PubliclyAccessible")),
        "DbInstancePort": 0,
        "StorageEncrypted": encrypted,
        "KmsKeyId": key,
        "DbiResourceId": resource_id,
        "CACertificateIdentifier": asked.get("CACertificateIdentifier") or "rds-ca-rsa2048-g1",
        "CertificateDetails": {
            "CAIdentifier": asked.get("CACertificateIdentifier") or "rds-ca-rsa2048-g1",
            "ValidTill": cloud.now() + timedelta(days=365),
        },
        "DomainMemberships": [],
        "CopyTagsToSnapshot": bool(asked.get("CopyTagsToSnapshot")),
        "MonitoringInterval": asked.get("MonitoringInterval") or 0,
        "MonitoringRoleArn": asked.get("MonitoringRoleArn"),
        "DBInstanceArn": records.arn(cloud, region, "db", name),
        "IAMDatabaseAuthenticationEnabled": bool(asked.get("EnableIAMDatabaseAuthentication")),
        "DatabaseInsightsMode": asked.get("DatabaseInsightsMode") or "standard",
        "PerformanceInsightsEnabled": insights,
        "PerformanceInsightsKMSKeyId": records.usable_key(cloud, region, asked.get("PerformanceInsightsKMSKeyId"))
        if insights
        else None,
        "PerformanceInsightsRetentionPeriod": insights_days if insights else None,
        "EnabledCloudwatchLogsExports": list(asked.get("EnableCloudwatchLogsExports") or []),
        "DeletionProtection": bool(asked.get("DeletionProtection")),
        "AssociatedRoles": [],
        "MaxAllocatedStorage": asked.get("MaxAllocatedStorage"),
        "TagList": records.tags_of(asked),
        "CustomerOwnedIpEnabled": False,
        "NetworkType": asked.get("NetworkType") or "IPV4",
        "ActivityStreamStatus": "stopped",
        "BackupTarget": "region",
        "MultiTenant": False,
        "DedicatedLogVolume": False,
        "IsStorageConfigUpgradeAvailable": False,
        "EngineLifecycleSupport": asked.get("EngineLifecycleSupport") or "open-source-rds-extended-support",
    }
    return {
        "shape": shape,
        "address": cloud.new_address("database"),
        "port": port,
        "subnet_group": subnet_group.lower(),
        "vpc_id": vpc_id,
        "backup_arn": rds_backups.new_arn(cloud, region),
        "archived_until": None,
    }


def _monitoring(seconds: int, role: str | None) -> None:
    if seconds not in MONITORING_SECONDS:
        raise Refused(
            "InvalidParameterValue", f"Invalid monitoring interval: {seconds}. Use one of 0, 1, 5, 10, 15, 30, 60"
        )
    if seconds and not role:
        raise Refused(
            "InvalidParameterCombination",
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.",
        )


def _parameter_group(cloud: Cloud, region: str, name: str) -> None:
    if name == f"default.{rules.family()}":
        return
    found = cloud.moto("rds", region).db_parameter_groups.get(name)
    if found is None:
        raise Refused("DBParameterGroupNotFound", f"DBParameterGroup not found: {name}", 404)
    if found.family != rules.family():
        raise Refused(
            "InvalidParameterCombination",
            f"The parameter group {name} with DBParameterGroupFamily {found.family} can't be used for this instance. "
            f"Please use a parameter group with DBParameterGroupFamily {rules.family()}",
        )


def _network(cloud: Cloud, region: str, subnet_group: str) -> tuple[str, str]:
    """Return VPC and availability zone of a subnet group; DBSubnetGroupNotFoundFault."""
    shape = _subnet_group(cloud, region, subnet_group)
    return shape["VpcId"], shape["Subnets"][0]["SubnetAvailabilityZone"]["Name"]


def _subnet_group(cloud: Cloud, region: str, name: str) -> Record:
    found = cloud.moto("rds", region).subnet_groups.get(name)
    if found is not None:
        return {
            "DBSubnetGroupName": found.name,
            "DBSubnetGroupDescription": found.description,
            "VpcId": found.vpc_id,
            "SubnetGroupStatus": "Complete",
            "Subnets": found.subnets,
            "DBSubnetGroupArn": found.arn,
        }
    vpc = cloud.moto("ec2", region).get_default_vpc()
    if name != "default" or vpc is None:
        raise Refused("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
    subnets = cloud.moto("ec2", region).describe_subnets(filters={"vpc-id": [vpc.id]})
    return {
        "DBSubnetGroupName": "default",
        "DBSubnetGroupDescription": "default",
        "VpcId": vpc.id,
        "SubnetGroupStatus": "Complete",
        "Subnets": [
            {
                "SubnetIdentifier": subnet.id,
                "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
                "SubnetStatus": "Active",
            }
            for subnet in subnets
        ],
    }


def _security_groups(cloud: Cloud, region: str, asked: list[str] | None, vpc_id: str) -> list[dict[str, str]]:
    backend = cloud.moto("ec2", region)
    if not asked:
        default = backend.get_default_security_group(vpc_id)
        asked = [default.id] if default is not None else []
    for group in asked:
        found = backend.get_security_group_from_id(group)
        if found is None:
            raise Refused("InvalidParameterValue", f"Invalid security group , groupId= {group}, groupName=.")
        if found.vpc_id != vpc_id:
            raise Refused(
                "InvalidParameterCombination",
                "The DB instance and EC2 security group are in different VPCs. The DB instance is in "
                f"{vpc_id} and the EC2 security group is in {found.vpc_id}",
            )
    return [{"VpcSecurityGroupId": group, "Status": "active"} for group in asked]


# -- showing it ------------------------------------------------------------------------------------------------------


def shown(cloud: Cloud, region: str, record: Record, **other: Any) -> Record:
    """Return an instance as the API shows it."""
    shape = record["shape"] | {"DBInstanceStatus": records.status(record)}
    if shape["DBInstanceStatus"] != "creating":
        shape["Endpoint"] = {"Address": record["address"], "Port": record["port"], "HostedZoneId": "Z29XKXDKYMONMX"}
    if shape["BackupRetentionPeriod"] > 0:
        shape["LatestRestorableTime"] = rds_backups.of_instance(cloud, region, record).latest
    shape["DBSubnetGroup"] = _subnet_group(cloud, region, record["subnet_group"])
    shape["DBInstanceAutomatedBackupsReplications"] = rds_backups.replications(cloud, region, shape["DbiResourceId"])
    return records.without_nones(shape | other)


# -- bringing it up --------------------------------------------------------------------------------------------------


def finish(cloud: Cloud, region: str, record: Record) -> None:
    """Enter a started instance into the records, take its first automated snapshot, and let it be available in a moment."""
    shape = record["shape"]
    records.instances(cloud, region)[shape["DBInstanceIdentifier"]] = record
    backed_up = shape["BackupRetentionPeriod"] > 0
    if backed_up:
        rds_snapshots.take_automated(cloud, region, record)
        rds_backups.refresh(cloud, region, record)
    shape["DBInstanceStatus"] = "available"
    records.pass_through(record, "creating", *(["backing-up"] if backed_up else []))


def abandon(cloud: Cloud, region: str, record: Record) -> None:
    """Take away what an instance that could not be made has left."""
    shape = record["shape"]
    records.instances(cloud, region).pop(shape["DBInstanceIdentifier"], None)
    rds_passwords.delete(cloud, region, shape)
    records.servers(cloud).remove(records.cluster_of(cloud, region, record))
    shutil.rmtree(records.folder(cloud, shape["DbiResourceId"]), ignore_errors=True)


@operation("rds", "CreateDBInstance")
def _create(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    if asked.get("DBClusterIdentifier"):
        raise Refused("LocalCloudNotImplemented", "The local cloud has no DB clusters.")
    managed = bool(asked.get("ManageMasterUserPassword"))
    password = asked.get("MasterUserPassword")
    user = rules.master_name(asked.get("MasterUsername"))
    database = rules.database_name(asked.get("DBName"))
    if managed and password is not None:
        raise Refused(
            "InvalidParameterCombination",
            "MasterUserPassword can not be specified when ManageMasterUserPassword is set.",
        )
    if managed:
        password = rds_passwords.new_password()
    if password is None:
        raise Refused(
            "InvalidParameterValue", "The parameter MasterUserPassword must be provided and must not be blank."
        )
    if not managed:
        rules.password(password)
    with records.CHANGING:
        record = described(cloud, region, asked, source=None)
        cluster = records.cluster_of(cloud, region, record)
        servers = records.servers(cloud)
        try:
            servers.make(cluster)
            servers.start(cluster)
            servers.create_master(cluster, user=user, password=password, database=database)
            if managed:
                rds_passwords.create(
                    cloud, region, record["shape"], key=asked.get("MasterUserSecretKmsKeyId"), password=password
                )
            finish(cloud, region, record)
        except BaseException:
            abandon(cloud, region, record)
            raise
    happened(cloud, region, "created", record["shape"]["DBInstanceIdentifier"])
    return {"DBInstance": shown(cloud, region, record)}


@operation("rds", "DescribeDBInstances")
def _describe(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    found = list(records.instances(cloud, region).values())
    if asked.get("DBInstanceIdentifier"):
        found = [records.instance(cloud, region, asked["DBInstanceIdentifier"])]
    found = records.filtered(
        found,
        asked.get("Filters"),
        {
            "db-instance-id": lambda r: [r["shape"]["DBInstanceIdentifier"], r["shape"]["DBInstanceArn"]],
            "dbi-resource-id": lambda r: [r["shape"]["DbiResourceId"]],
            "engine": lambda r: [r["shape"]["Engine"]],
            "db-cluster-id": lambda _: [],
            "domain": lambda _: [],
        },
    )
    page, marker = records.page(
        found,
        limit=asked.get("MaxRecords"),
        marker=asked.get("Marker"),
        name=lambda r: r["shape"]["DBInstanceIdentifier"],
    )
    for record in page:
        rds_backups.refresh_if_old(cloud, region, record)
    told = [shown(cloud, region, record) for record in page]
    for record in page:
        records.seen(record)
    return records.without_nones({"DBInstances": told, "Marker": marker})


# -- changing it -----------------------------------------------------------------------------------------------------


@operation("rds", "ModifyDBInstance")
def _modify(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    now = bool(asked.get("ApplyImmediately"))
    with records.CHANGING:
        record = records.instance(cloud, region, asked["DBInstanceIdentifier"])
        shape = record["shape"]
        _may_modify(record)
        _check_changes(cloud, region, shape, asked)
        _change_password(cloud, region, record, asked)
        for key in AT_ONCE:
            if asked.get(key) is not None:
                shape[key] = asked[key]
        shape["PreferredMaintenanceWindow"] = shape["PreferredMaintenanceWindow"].lower()
        if asked.get("VpcSecurityGroupIds"):
            shape["VpcSecurityGroups"] = _security_groups(cloud, region, asked["VpcSecurityGroupIds"], record["vpc_id"])
        if asked.get("EnableIAMDatabaseAuthentication") is not None:
            shape["IAMDatabaseAuthenticationEnabled"] = asked["EnableIAMDatabaseAuthentication"]
        _change_insights(cloud, region, shape, asked)
        _change_logs(shape, asked.get("CloudwatchLogsExportConfiguration") or {})
        group = asked.get("DBParameterGroupName")
        if group and group != shape["DBParameterGroups"][0]["DBParameterGroupName"]:
            shape["DBParameterGroups"] = [{"DBParameterGroupName": group, "ParameterApplyStatus": "pending-reboot"}]
        for key in DEFERRED:
            if (
                asked.get(key) is not None
                and asked[key] != shape.get(key)
                and not (key == "EngineVersion" and asked[key] == rules.major())
            ):
                shape["PendingModifiedValues"][key] = asked[key]
        retention = asked.get("BackupRetentionPeriod")
        if retention is not None and retention != shape["BackupRetentionPeriod"]:
            if retention > 0 and shape["BackupRetentionPeriod"] > 0:
                shape["BackupRetentionPeriod"] = retention
                rds_backups.prune(cloud, region, record)
            else:
                shape["PendingModifiedValues"]["BackupRetentionPeriod"] = retention
        if asked.get("NewDBInstanceIdentifier"):
            shape["PendingModifiedValues"]["DBInstanceIdentifier"] = rules.instance_name(
                asked["NewDBInstanceIdentifier"]
            )
        port = asked.get("DBPortNumber")
        if port and port != record["port"]:
            # AWS restarts for a new port whether or not ApplyImmediately is given.
            _restart(cloud, region, record, port=port)
        if now:
            before = shape["BackupRetentionPeriod"]
            apply_pending(cloud, region, record)
            first_backup = before == 0 < shape["BackupRetentionPeriod"]
            records.pass_through(record, "modifying", *(["backing-up"] if first_backup else []))
        answer = shown(cloud, region, record)
    return {"DBInstance": answer}


def _may_modify(record: Record) -> None:
    if records.status(record) not in MODIFIABLE:
        raise Refused("InvalidDBInstanceState", "Database instance is not in available state.")


def _check_changes(cloud: Cloud, region: str, shape: Record, asked: dict[str, Any]) -> None:
    rules.instance_class(asked.get("DBInstanceClass"))
    if asked.get("EngineVersion"):
        rules.engine({"EngineVersion": asked["EngineVersion"]})
    size = asked.get("AllocatedStorage")
    if size is not None and size < shape["AllocatedStorage"]:
        raise Refused("InvalidParameterCombination", "The allocated storage can't be reduced.")
    if size is not None or asked.get("StorageType"):
        rules.storage(asked.get("StorageType") or shape["StorageType"], size or shape["AllocatedStorage"])
    if asked.get("BackupRetentionPeriod") is not None:
        rules.retention(asked["BackupRetentionPeriod"])
    rules.windows(
        asked.get("PreferredBackupWindow") or shape["PreferredBackupWindow"],
        asked.get("PreferredMaintenanceWindow") or shape["PreferredMaintenanceWindow"],
    )
    if asked.get("MonitoringInterval") is not None:
        _monitoring(asked["MonitoringInterval"], asked.get("MonitoringRoleArn") or shape.get("MonitoringRoleArn"))
    if asked.get("DBParameterGroupName"):
        _parameter_group(cloud, region, asked["DBParameterGroupName"])
    if asked.get("MasterUserPassword") is not None:
        rules.password(asked["MasterUserPassword"])
    new_name = asked.get("NewDBInstanceIdentifier")
    if new_name and rules.instance_name(new_name) in records.instances(cloud, region):
        raise Refused("DBInstanceAlreadyExists", "DB instance already exists")


def _change_password(cloud: Cloud, region: str, record: Record, asked: dict[str, Any]) -> None:
    shape = record["shape"]
    managed = "MasterUserSecret" in shape
    wanted, password = asked.get("ManageMasterUserPassword"), asked.get("MasterUserPassword")
    stays_managed = wanted is not False and (managed or wanted)
    if password is not None and stays_managed:
        raise Refused(
            "InvalidParameterCombination",
            "You can't specify MasterUserPassword for an instance with ManageMasterUserPassword enabled.",
        )
    if asked.get("RotateMasterUserPassword"):
        if not managed:
            raise Refused("InvalidParameterCombination", "The master user password is not managed by RDS.")
        if not asked.get("ApplyImmediately"):
            raise Refused("InvalidParameterCombination", "RotateMasterUserPassword requires ApplyImmediately.")
        rds_passwords.rotate(cloud, region, record)
        return
    if wanted is False and managed and password is None:
        raise Refused(
            "InvalidParameterCombination", "MasterUserPassword is required when ManageMasterUserPassword is turned off."
        )
    if wanted and not managed:
        password = rds_passwords.new_password()
    if password is None:
        return
    if shape["DBInstanceStatus"] != "available":
        raise Refused("InvalidDBInstanceState", "Database instance is not in available state.")
    cluster = records.cluster_of(cloud, region, record)
    records.servers(cloud).set_password(cluster, user=shape["MasterUsername"], password=password)
    if wanted and not managed:
        rds_passwords.create(cloud, region, shape, key=asked.get("MasterUserSecretKmsKeyId"), password=password)
    elif managed:
        rds_passwords.delete(cloud, region, shape)
    happened(cloud, region, "password reset", shape["DBInstanceIdentifier"])


def _change_insights(cloud: Cloud, region: str, shape: Record, asked: dict[str, Any]) -> None:
    if asked.get("EnablePerformanceInsights") is not None:
        shape["PerformanceInsightsEnabled"] = asked["EnablePerformanceInsights"]
    if not shape["PerformanceInsightsEnabled"]:
        shape["PerformanceInsightsKMSKeyId"] = shape["PerformanceInsightsRetentionPeriod"] = None
        return
    days = asked.get("PerformanceInsightsRetentionPeriod") or shape["PerformanceInsightsRetentionPeriod"] or 7
    rules.insights(days)
    shape["PerformanceInsightsRetentionPeriod"] = days
    shape["PerformanceInsightsKMSKeyId"] = shape["PerformanceInsightsKMSKeyId"] or records.usable_key(
        cloud, region, asked.get("PerformanceInsightsKMSKeyId")
    )


def _change_logs(shape: Record, asked: dict[str, Any]) -> None:
    kept = [kind for kind in shape["EnabledCloudwatchLogsExports"] if kind not in (asked.get("DisableLogTypes") or [])]
    kept += [kind for kind in asked.get("EnableLogTypes") or [] if kind not in kept]
    shape["EnabledCloudwatchLogsExports"] = kept


def apply_pending(cloud: Cloud, region: str, record: Record) -> None:
    """Do what waits for the maintenance window."""
    shape = record["shape"]
    pending, shape["PendingModifiedValues"] = shape["PendingModifiedValues"], {}
    new_name = pending.pop("DBInstanceIdentifier", None)
    retention = pending.pop("BackupRetentionPeriod", None)
    if pending:
        happened(cloud, region, "modified", shape["DBInstanceIdentifier"])
    pending.pop("EngineVersion", None)
    grows = pending.get("AllocatedStorage", 0) > shape["AllocatedStorage"]
    shape.update(pending)
    if grows and shape["DBInstanceStatus"] == "storage-full":
        records.servers(cloud).start(records.cluster_of(cloud, region, record))
        shape["DBInstanceStatus"] = "available"
    if retention is not None:
        shape["BackupRetentionPeriod"] = retention
        cluster = records.cluster_of(cloud, region, record)
        records.servers(cloud).reload(cluster)
        record["archived_until"] = None
        if retention == 0:
            rds_backups.forget_automated(cloud, region, shape["DbiResourceId"])
        elif shape["DBInstanceStatus"] == "available":
            rds_snapshots.take_automated(cloud, region, record)
            rds_backups.refresh(cloud, region, record)
    if new_name:
        store = records.instances(cloud, region)
        store[new_name] = store.pop(shape["DBInstanceIdentifier"])
        shape["DBInstanceIdentifier"] = new_name
        shape["DBInstanceArn"] = records.arn(cloud, region, "db", new_name)


def _restart(cloud: Cloud, region: str, record: Record, *, port: int | None = None) -> None:
    servers = records.servers(cloud)
    servers.stop(records.cluster_of(cloud, region, record))
    if port is not None:
        record["port"] = port
    servers.start(records.cluster_of(cloud, region, record))
    for membership in record["shape"]["DBParameterGroups"]:
        membership["ParameterApplyStatus"] = "in-sync"


def _only_when(record: Record, *statuses: str) -> None:
    if records.status(record) not in statuses:
        raise Refused(
            "InvalidDBInstanceState",
            f"Instance {record['shape']['DBInstanceIdentifier']} is not in {' or '.join(statuses)} state.",
        )


@operation("rds", "RebootDBInstance")
def _reboot(call: Call, **asked: Any) -> dict[str, Any]:
    with records.CHANGING:
        record = records.instance(call.cloud, call.region, asked["DBInstanceIdentifier"])
        _only_when(record, "available")
        if asked.get("ForceFailover") and not record["shape"]["MultiAZ"]:
            raise Refused(
                "InvalidParameterCombination", "ForceFailover cannot be specified since the instance is not Multi-AZ."
            )
        _restart(call.cloud, call.region, record)
    happened(call.cloud, call.region, "restarted", record["shape"]["DBInstanceIdentifier"])
    return {"DBInstance": shown(call.cloud, call.region, record, DBInstanceStatus="rebooting")}


@operation("rds", "StopDBInstance")
def _stop(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    with records.CHANGING:
        record = records.instance(cloud, region, asked["DBInstanceIdentifier"])
        _only_when(record, "available")
        if asked.get("DBSnapshotIdentifier"):
            name = rules.snapshot_name(asked["DBSnapshotIdentifier"], "DBSnapshotIdentifier")
            rds_snapshots.take(cloud, region, record, name, kind="manual", tags=[])
        rds_backups.refresh(cloud, region, record)
        records.servers(cloud).stop(records.cluster_of(cloud, region, record))
        record["shape"]["DBInstanceStatus"] = "stopped"
    happened(cloud, region, "stopped", record["shape"]["DBInstanceIdentifier"])
    return {"DBInstance": shown(cloud, region, record, DBInstanceStatus="stopping")}


@operation("rds", "StartDBInstance")
def _start(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    with records.CHANGING:
        record = records.instance(cloud, region, asked["DBInstanceIdentifier"])
        shape = record["shape"]
        _only_when(record, "stopped", "inaccessible-encryption-credentials")
        if shape["StorageEncrypted"]:
            records.usable_key(cloud, region, shape["KmsKeyId"])
        records.servers(cloud).start(records.cluster_of(cloud, region, record))
        shape["DBInstanceStatus"] = "available"
        for membership in shape["DBParameterGroups"]:
            membership["ParameterApplyStatus"] = "in-sync"
    happened(cloud, region, "started", shape["DBInstanceIdentifier"])
    return {"DBInstance": shown(cloud, region, record, DBInstanceStatus="starting")}


@operation("rds", "DeleteDBInstance")
def _delete(call: Call, **asked: Any) -> dict[str, Any]:
    cloud, region = call.cloud, call.region
    with records.CHANGING:
        record = records.instance(cloud, region, asked["DBInstanceIdentifier"])
        shape = record["shape"]
        name = shape["DBInstanceIdentifier"]
        final, skipped = asked.get("FinalDBSnapshotIdentifier"), bool(asked.get("SkipFinalSnapshot"))
        if shape["DeletionProtection"]:
            raise Refused(
                "InvalidParameterCombination",
                "Cannot delete protected DB Instance, please disable deletion protection and try again.",
            )
        if final and skipped:
            raise Refused(
                "InvalidParameterCombination",
                "FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot.",
            )
        if not final and not skipped:
            raise Refused(
                "InvalidParameterCombination",
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
            )
        if final and records.status(record) not in TAKEN_FROM:
            raise Refused(
                "InvalidDBInstanceState",
                f"Cannot create a snapshot because the database instance {name} is not currently in the available state.",
            )
        if final:
            final = rules.snapshot_name(final, "FinalDBSnapshotIdentifier")
            tags = list(shape["TagList"]) if shape["CopyTagsToSnapshot"] else []
            rds_snapshots.take(cloud, region, record, final, kind="manual", tags=tags)
        rds_backups.refresh(cloud, region, record)
        rds_backups.end_copies(cloud, region, shape["DbiResourceId"])
        answer = shown(cloud, region, record, DBInstanceStatus="deleting")
        records.servers(cloud).remove(records.cluster_of(cloud, region, record))
        del records.instances(cloud, region)[name]
        rds_passwords.delete(cloud, region, shape)
        if asked.get("DeleteAutomatedBackups") is False and shape["BackupRetentionPeriod"] > 0:
            rds_backups.retain(cloud, region, record)
        else:
            rds_backups.forget_automated(cloud, region, shape["DbiResourceId"])
            shutil.rmtree(records.folder(cloud, shape["DbiResourceId"]), ignore_errors=True)
    happened(cloud, region, "deleted", name)
    return {"DBInstance": answer}


@operation(
    "rds",
    "CreateDBInstanceReadReplica",
    "PromoteReadReplica",
    "CreateBlueGreenDeployment",
    "StartExportTask",
    "AddRoleToDBInstance",
    "DescribeDBLogFiles",
    "SwitchoverBlueGreenDeployment",
)
def _not_built(call: Call, **_asked: Any) -> dict[str, Any]:
    # moto answers these from instances of its own, which nobody could connect to.
    raise Refused("LocalCloudNotImplemented", f"The local cloud does not implement rds:{call.operation}.")


# -- life ------------------------------------------------------------------------------------------------------------


def start_all(cloud: Cloud) -> None:
    """Start the servers of all instances that were serving; one that does not come up has failed."""
    serving = [
        (region, record)
        for region in records.regions(cloud)
        for record in records.instances(cloud, region).values()
        if record["shape"]["DBInstanceStatus"] == "available"
    ]

    def start(found: tuple[str, Record]) -> None:
        region, record = found
        try:
            records.servers(cloud).start(records.cluster_of(cloud, region, record))
            record["shape"]["DBInstanceStatus"] = "available"
        except (ServerFailed, OSError):
            LOG.exception("%s did not start", record["shape"]["DBInstanceIdentifier"])
            record["shape"]["DBInstanceStatus"] = "failed"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, serving))


@on_tick
def _maintenance(cloud: Cloud, schedule: str, _now: datetime) -> list[str]:
    lines = []
    for region in records.regions(cloud) if schedule == "daily" else []:
        for name, record in sorted(records.instances(cloud, region).items()):
            if record["shape"]["PendingModifiedValues"] and record["shape"]["DBInstanceStatus"] == "available":
                with cloud.gate.working(), records.CHANGING:
                    apply_pending(cloud, region, record)
                lines.append(f"rds {region}: applied the pending changes of {name}")
    return lines


def install(cloud: Cloud) -> None:
    """Start and stop the servers with the cloud, and join the services that see instances through moto."""
    rds_catalogue.join_tagging_api(cloud)
    cloud.written_once += ["databases/*/base", "databases/ab-*/snap-*", "databases/*/wal/[!.]*"]
    cloud.on_start(start_all)
    cloud.on_start(rds_backups.start_shipping)
    cloud.on_end(lambda _: records.servers(cloud).stop_all())
    cloud.on_end(rds_backups.stop_shipping)
