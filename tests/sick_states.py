"""A site whose state can be made sick: states of both roots, their copies, digest, and a thing that the state knows."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from lifeboat.clients import known_state, run_files
from lifeboat.model import StateMark
from lifeboat.site import Site
from lifeboat.stack import known_states
from lifeboat.state_model import LockMode, StateRoot

from tests import guarded_buckets
from tests.backup_sites import BackupSite, Ended
from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION, RECOVERY, REGION
from tests.plain_sites import PlainSite, plain_site

CANARY = "Canary-In-State+1"
STACK, BACKEND = "stack.tfstate", "state.tfstate"
LOCK = {
    "ID": "1c5a4f5e-7b8a-7a4d-9d1a-0e3f4b5c6d7e",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "eva@laptop-of-eva",
    "Version": "1.11.4",
    "Created": "2026-03-01T03:00:00.123456789Z",
    "Path": "",
}


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, kw_only=True)
class SickSite:
    """A plain site with versioned buckets in both regions, as an apply leaves them, until something is done to it.

    Its clients are made once: that is most of the work of a command that asks so little.
    """

    plain: PlainSite
    mode: LockMode
    site: Site
    address: str

    @property
    def cloud(self) -> RunningCloud:
        return self.plain.cloud

    @property
    def bucket(self) -> str:
        return self.plain.bucket

    @property
    def replica(self) -> str:
        return self.plain.bucket.replace(REGION, DR_REGION)

    def run(self, *arguments: str, status: int = 0) -> Ended:
        """Run `lifeboat …` for the site without a terminal."""
        return BackupSite(plain=self.plain).run(*arguments, status=status)

    # -- what is in the buckets and the table ----------------------------------------------------------------------

    def state(self, serial: int, *, lineage: str = "ours", addresses: tuple[str, ...] | None = None) -> bytes:
        """Return a state with a password in it, and an elastic address for each id."""
        known = (self.address,) if addresses is None else addresses
        instances = [
            {"index_key": number, "attributes": {"id": address, "password": CANARY}, "sensitive_attributes": []}
            for number, address in enumerate(known)
        ]
        outputs = {
            "recovery": {"value": {**RECOVERY, "application": self.plain.application}, "type": "dynamic"},
            "password": {"value": CANARY, "type": "string", "sensitive": True},
        }
        resource = {"mode": "managed", "type": "aws_eip", "name": "app", "provider": "p", "instances": instances}
        document = {
            "version": 4,
            "terraform_version": "1.11.4",
            "serial": serial,
            "lineage": lineage,
            "outputs": outputs,
            "resources": [resource],
        }
        return json.dumps(document, indent=2).encode()

    def put(self, body: bytes, key: str = STACK, *, copied: bool = True, **more: Any) -> str:
        """Put a version, and its copy beside it as S3 would, and return its id."""
        s3 = self.site.client("s3", REGION)
        made = str(s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)["VersionId"])
        if copied:
            self.site.client("s3", DR_REGION).put_object(Bucket=self.replica, Key=key, Body=body, **more)
        return made

    def digest(self) -> str | None:
        key = {"LockID": {"S": f"{self.bucket}/{STACK}-md5"}}
        item = self.site.client("dynamodb", REGION).get_item(TableName=self.plain.table, Key=key).get("Item")
        return None if item is None else str(item["Digest"]["S"])

    def put_digest(self, digest: str) -> None:
        if self.mode != "lockfile":
            item = {"LockID": {"S": f"{self.bucket}/{STACK}-md5"}, "Digest": {"S": digest}}
            self.site.client("dynamodb", REGION).put_item(TableName=self.plain.table, Item=item)

    def delete_digest(self) -> None:
        if self.mode != "lockfile":
            key = {"LockID": {"S": f"{self.bucket}/{STACK}-md5"}}
            self.site.client("dynamodb", REGION).delete_item(TableName=self.plain.table, Key=key)

    def save(self, body: bytes) -> str:
        """Put a version as Terraform does: with its digest, and remembered afterwards by this machine and the other region."""
        version = self.put(body)
        self.put_digest(md5(body))
        document = json.loads(body)
        mark = StateMark(serial=document["serial"], lineage=document["lineage"], md5=md5(body))
        known_state.remember(self.site.project.work, mark)
        assert known_states.keep(self.site, StateRoot.STACK, body, "r") is None
        return version

    def lock(self, where: LockMode | None = None, **fields: str) -> str:
        """Put somebody's lock where the mode has it, and return its id."""
        where = where or self.mode
        text = json.dumps({**LOCK, "Path": f"{self.bucket}/{STACK}", **fields})
        if where != "lockfile":
            item = {"LockID": {"S": f"{self.bucket}/{STACK}"}, "Info": {"S": text}}
            self.site.client("dynamodb", REGION).put_item(TableName=self.plain.table, Item=item)
        if where != "dynamodb":
            self.site.client("s3", REGION).put_object(Bucket=self.bucket, Key=f"{STACK}.tflock", Body=text.encode())
        return str({**LOCK, **fields}["ID"])

    def delete(self, key: str = STACK, bucket: str | None = None) -> None:
        self.site.client("s3", REGION).delete_object(Bucket=bucket or self.bucket, Key=key)

    def purge(self, region: str = REGION) -> None:
        """Delete every version of everything in a bucket."""
        s3, bucket = self.site.client("s3", region), self.bucket if region == REGION else self.replica
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])

    def reset(self) -> None:
        """Make it sound again: serials 1 to 3 of the stack and one of root 1, and nothing else."""
        for region, bucket in ((REGION, self.bucket), (DR_REGION, self.replica)):
            s3 = self.site.client("s3", region)
            try:
                self.purge(region)
            except ClientError:
                s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            guarded_buckets.guard(s3, bucket)
        guarded_buckets.copy(self.site.client("s3", REGION), self.bucket, self.replica)
        self._empty_table()
        ec2 = self.site.client("ec2", REGION)
        for network in ec2.describe_vpcs(Filters=[{"Name": "tag:application", "Values": [self.plain.application]}])[
            "Vpcs"
        ]:
            ec2.delete_vpc(VpcId=network["VpcId"])
        shutil.rmtree(self.plain.root / "terraform")
        for root in ("state", "stack"):
            (self.plain.root / "terraform" / root).mkdir(parents=True)
        shutil.rmtree(self.site.project.work, ignore_errors=True)
        self.site.project.work.mkdir(parents=True)
        body = self.state(1, lineage="root-1", addresses=(self.bucket, self.replica))
        self.put(body, BACKEND)
        self.site.root_state_file.write_bytes(body)
        assert known_states.keep(self.site, StateRoot.BACKEND, body, "r") is None
        for serial in (1, 2, 3):
            self.save(self.state(serial))

    def _empty_table(self) -> None:
        dynamodb, name = self.site.client("dynamodb", REGION), self.plain.table
        try:
            items = dynamodb.scan(TableName=name)["Items"]
        except ClientError:
            items = []
            dynamodb.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        for item in items:
            dynamodb.delete_item(TableName=name, Key={"LockID": item["LockID"]})


def cut_off(work: Path, machine: str, started: datetime) -> Path:
    """Write down an apply that started a Terraform then and never ended, and return its folder."""
    folder = work / "runs" / "20260301T030000.000000Z-apply"
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "run": folder.name,
        "pid": 1,
        "host": socket.gethostname(),
        "user": run_files.user_name(),
        "machine": machine,
        "command": "apply",
        "since": started.isoformat(),
        "terraform": [{"pid": 1, "at": started.timestamp()}],
    }
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def sick_site(cloud: RunningCloud, folder: Path, mode: LockMode) -> SickSite:
    """Make the site; to be reset before its first use."""
    plain = plain_site(cloud, folder)
    (folder / "terraform").mkdir()
    settings = folder / "environments" / "x.toml"
    settings.write_text(settings.read_text().replace("lock_table =", f'lock_mode = "{mode}"\nlock_table ='))
    site = plain.site()
    tags = [{"Key": "application", "Value": plain.application}, {"Key": "environment", "Value": "x"}]
    specification = [{"ResourceType": "elastic-ip", "Tags": tags}]
    made = site.client("ec2", REGION).allocate_address(Domain="vpc", TagSpecifications=specification)
    return SickSite(plain=plain, mode=mode, site=site, address=made["AllocationId"])
