"""A site with copies of a database of every kind, made by boto3 in a local cloud: no stack is applied for it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lifeboat.clients.dump_store import proven_identity
from lifeboat.database_model import (
    Contents,
    DumpId,
    Extension,
    LargeObjects,
    Manifest,
    Selection,
    SequenceValue,
    Server,
    TableContent,
    TableName,
)
from lifeboat.decisions import manifests

from tests import command_line
from tests.conftest import RunningCloud
from tests.dump_manifests import proof_body
from tests.gitlab_sites import ACCOUNT, DR_REGION, RECOVERY, REGION
from tests.plain_sites import PlainSite, plain_site

RETENTION = """
[dumps.retention]
daily = 1
weekly = 0
monthly = 0
yearly = 0
minimum_verified = 1
verified_level = 2
"""


def manifest(dump: DumpId, begun: datetime, application: str, **other: Any) -> Manifest:
    """Return a manifest as `lifeboat dump` writes one, of a table with three rows."""
    table = TableName(schema="public", name="orders")
    facts: dict[str, Any] = {
        "id": dump,
        "application": application,
        "environment": "x",
        "database": "app",
        "begun_at": begun,
        "snapshot_at": begun + timedelta(seconds=1),
        "ended_at": begun + timedelta(minutes=2),
        "lsn": "0/1A2B3C4",
        "standby": False,
        "server": Server(
            version="15.18",
            version_number=150018,
            encoding="UTF8",
            collation="C",
            character_type="C",
            collation_version="",
            owner="app_admin",
        ),
        "client_version": "pg_dump (PostgreSQL) 15.18",
        "lifeboat_version": "0.1.0",
        "git_sha": "abc",
        "image_tag": "app:1",
        "state_serial": 7,
        "selection": Selection(),
        "files": (),
        "contents": Contents(
            tables=(TableContent(table=table, rows=3, fingerprint="f00d"),),
            sequences=(SequenceValue(sequence=table, last_value=3, is_called=True),),
            large_objects=LargeObjects(count=0, fingerprint="0"),
            extensions=(Extension(name="plpgsql", version="1.0"),),
        ),
    }
    return Manifest(**{**facts, **other})


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command printed."""

    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class BackupSite:
    """A plain site with buckets of dumps, vaults and keys in both regions, and where its files are."""

    plain: PlainSite

    @property
    def cloud(self) -> RunningCloud:
        return self.plain.cloud

    @property
    def instance(self) -> str:
        return f"{self.plain.application}-g1"

    def bucket(self, region: str = REGION) -> str:
        return f"{self.plain.application}-dumps-{ACCOUNT}-{region}"

    def vault(self, region: str = REGION) -> str:
        return f"{self.plain.application}-backups" + ("" if region == REGION else "-dr")

    def run(self, *arguments: str, status: int = 0) -> Ended:
        """Run `lifeboat …` for the site without a terminal and fail unless it ends with `status`."""
        done = command_line.run(self.plain.root, *arguments, "-e", "x")
        assert done.returncode == status, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Ended(stdout=done.stdout, stderr=done.stderr)

    def listed(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Return what `lifeboat backups` prints as JSON."""
        document: dict[str, Any] = json.loads(self.run("backups", *arguments, "-o", "json", status=status).stdout)
        return document

    def put_dump(self, age: timedelta, *proofs: str, regions: Sequence[str] = (REGION, DR_REGION), **other: Any) -> str:
        """Put a dump of this age into buckets, with proofs such as "2-passed", and return its id."""
        begun = datetime.now(UTC).replace(microsecond=0) - age
        chance = other.pop("chance", "3f9a1c")
        dump = DumpId(f"{begun:%Y%m%dT%H%M%SZ}-{chance}")
        body = manifests.written(manifest(dump, begun, self.plain.application, **other))
        folder = f"dumps/x/app/{dump}/"
        for region in regions:
            s3 = self.cloud.client("s3", region)
            s3.put_object(Bucket=self.bucket(region), Key=f"{folder}schema.dump.zst", Body=b"schema")
            version = s3.put_object(Bucket=self.bucket(region), Key=f"{folder}manifest.json", Body=body)["VersionId"]
            identity = proven_identity(self.bucket(region), version)
            for number, proof in enumerate(proofs):
                at = begun + timedelta(minutes=10 + number)
                s3.put_object(
                    Bucket=self.bucket(region),
                    Key=f"{folder}proofs/{at:%Y%m%dT%H%M%SZ}-{proof}-{identity}.json",
                    Body=json.dumps(proof_body(f"finding of {proof}")).encode(),
                )
        return str(dump)

    def tags(self, dump: str, region: str = REGION) -> dict[str, dict[str, str]]:
        """Return the tags of every object of a dump, by its name below the dump."""
        s3, bucket, prefix = self.cloud.client("s3", region), self.bucket(region), f"dumps/x/app/{dump}/"
        found = {}
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            tags = s3.get_object_tagging(Bucket=bucket, Key=entry["Key"])["TagSet"]
            found[entry["Key"].removeprefix(prefix)] = {tag["Key"]: tag["Value"] for tag in tags}
        return found

    def empty(self) -> None:
        """Delete every dump and every manual snapshot."""
        for region in (REGION, DR_REGION):
            s3, bucket = self.cloud.client("s3", region), self.bucket(region)
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
            rds = self.cloud.client("rds", region)
            for found in rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]:
                rds.delete_db_snapshot(DBSnapshotIdentifier=found["DBSnapshotIdentifier"])


def backup_site(cloud: RunningCloud, folder: Path) -> BackupSite:
    """Make the site: an encrypted database instance with automated backups that are copied, buckets, vaults and keys."""
    made = BackupSite(plain=plain_site(cloud, folder))
    (folder / "terraform").mkdir()
    settings = folder / "environments" / "x.toml"
    settings.write_text(settings.read_text() + RETENTION)
    keys = {}
    for region in (REGION, DR_REGION):
        kms = cloud.client("kms", region)
        keys[region] = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName=f"alias/{made.plain.application}-database", TargetKeyId=keys[region])
        s3 = cloud.client("s3", region)
        s3.create_bucket(Bucket=made.bucket(region), CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_bucket_versioning(Bucket=made.bucket(region), VersioningConfiguration={"Status": "Enabled"})
        encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": keys[region]}
        rules = [{"ApplyServerSideEncryptionByDefault": encryption}]
        s3.put_bucket_encryption(Bucket=made.bucket(region), ServerSideEncryptionConfiguration={"Rules": rules})
        cloud.client("backup", region).create_backup_vault(BackupVaultName=made.vault(region))
    rds = cloud.client("rds")
    instance = rds.create_db_instance(
        DBInstanceIdentifier=made.instance,
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        EngineVersion="15",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword="Canary-Pass+1",
        DBName="app",
        StorageEncrypted=True,
        KmsKeyId=keys[REGION],
        BackupRetentionPeriod=7,
        Tags=[{"Key": k, "Value": v} for k, v in _our_tags(made).items()],
    )["DBInstance"]
    cloud.client("rds", DR_REGION).start_db_instance_automated_backups_replication(
        SourceDBInstanceArn=instance["DBInstanceArn"], KmsKeyId=keys[DR_REGION], BackupRetentionPeriod=7
    )
    while "LatestRestorableTime" not in rds.describe_db_instances(DBInstanceIdentifier=made.instance)["DBInstances"][0]:
        time.sleep(0.05)  # the window opens within a second
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=made.instance, WaiterConfig={"Delay": 1})
    document = {
        **RECOVERY,
        "application": made.plain.application,
        "database": {**RECOVERY["database"], "identifier": made.instance},
        "dumps": {"bucket": made.bucket(), "prefix": "dumps/", "replica_bucket": made.bucket(DR_REGION)},
        "vaults": {"primary": made.vault(), "dr": made.vault(DR_REGION)},
    }
    outputs = {"recovery": {"value": document, "type": "dynamic"}}
    state = {"version": 4, "serial": 9, "lineage": "l", "outputs": outputs, "resources": []}
    made.plain.put("stack.tfstate", json.dumps(state).encode())
    return made


def _our_tags(site: BackupSite) -> dict[str, str]:
    return {"application": site.plain.application, "environment": "x", "managed-by": "lifeboat"}
