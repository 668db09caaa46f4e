"""A site whose state can be made sick: states of both roots, their copies, digest, and a thing that the state knows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifeboat.clients import known_state
from lifeboat.model import StateMark
from lifeboat.site import Site
from lifeboat.state_model import LockMode

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
    """A plain site with versioned buckets in both regions, as an apply leaves them, until something is done to it."""

    plain: PlainSite
    mode: LockMode
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

    def site(self) -> Site:
        return self.plain.site()

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
        s3 = self.cloud.client("s3")
        made = str(s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)["VersionId"])
        if copied:
            self.cloud.client("s3", DR_REGION).put_object(Bucket=self.replica, Key=key, Body=body, **more)
        return made

    def digest(self) -> str | None:
        key = {"LockID": {"S": f"{self.bucket}/{STACK}-md5"}}
        item = self.cloud.client("dynamodb").get_item(TableName=self.plain.table, Key=key).get("Item")
        return None if item is None else str(item["Digest"]["S"])

    def put_digest(self, digest: str) -> None:
        if self.mode != "lockfile":
            item = {"LockID": {"S": f"{self.bucket}/{STACK}-md5"}, "Digest": {"S": digest}}
            self.cloud.client("dynamodb").put_item(TableName=self.plain.table, Item=item)

    def delete_digest(self) -> None:
        if self.mode != "lockfile":
            key = {"LockID": {"S": f"{self.bucket}/{STACK}-md5"}}
            self.cloud.client("dynamodb").delete_item(TableName=self.plain.table, Key=key)

    def save(self, body: bytes) -> str:
        """Put a version as Terraform does: with its digest, and remembered by this machine afterwards."""
        version = self.put(body)
        self.put_digest(md5(body))
        document = json.loads(body)
        work = self.site().project.work
        work.mkdir(parents=True, exist_ok=True)
        mark = StateMark(serial=document["serial"], lineage=document["lineage"], md5=md5(body))
        known_state.remember(work, mark)
        return version

    def lock(self, where: LockMode | None = None, **fields: str) -> str:
        """Put somebody's lock where the mode has it, and return its id."""
        where = where or self.mode
        text = json.dumps({**LOCK, "Path": f"{self.bucket}/{STACK}", **fields})
        if where != "lockfile":
            item = {"LockID": {"S": f"{self.bucket}/{STACK}"}, "Info": {"S": text}}
            self.cloud.client("dynamodb").put_item(TableName=self.plain.table, Item=item)
        if where != "dynamodb":
            self.cloud.client("s3").put_object(Bucket=self.bucket, Key=f"{STACK}.tflock", Body=text.encode())
        return str({**LOCK, **fields}["ID"])

    def delete(self, key: str = STACK, bucket: str | None = None) -> None:
        self.cloud.client("s3").delete_object(Bucket=bucket or self.bucket, Key=key)

    def purge(self, region: str = REGION) -> None:
        """Delete every version of everything in a bucket."""
        s3, bucket = self.cloud.client("s3", region), self.bucket if region == REGION else self.replica
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])


def sick_site(cloud: RunningCloud, folder: Path, mode: LockMode) -> SickSite:
    """Make the site with serials 1 to 3 of the stack and one of root 1: sound, until something is done to it."""
    plain = plain_site(cloud, folder)
    for root in ("state", "stack"):
        (folder / "terraform" / root).mkdir(parents=True)
    settings = folder / "environments" / "x.toml"
    settings.write_text(settings.read_text().replace("lock_table =", f'lock_mode = "{mode}"\nlock_table ='))
    made = SickSite(plain=plain, mode=mode, address="")
    s3 = cloud.client("s3", DR_REGION)
    s3.create_bucket(Bucket=made.replica, CreateBucketConfiguration={"LocationConstraint": DR_REGION})
    made.purge()
    for region, bucket in ((REGION, made.bucket), (DR_REGION, made.replica)):
        enabled = {"Status": "Enabled"}
        cloud.client("s3", region).put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    tags = [{"Key": "application", "Value": plain.application}, {"Key": "environment", "Value": "x"}]
    specification = [{"ResourceType": "elastic-ip", "Tags": tags}]
    address = cloud.client("ec2").allocate_address(Domain="vpc", TagSpecifications=specification)["AllocationId"]
    made = replace(made, address=address)
    body = made.state(1, lineage="root-1", addresses=(made.bucket, made.replica))
    made.put(body, BACKEND)
    made.site().root_state_file.parent.mkdir(parents=True, exist_ok=True)
    made.site().root_state_file.write_bytes(body)
    for serial in (1, 2, 3):
        made.save(made.state(serial))
    return made
