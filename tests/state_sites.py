"""A site whose state has a history, made by boto3 in a local cloud: versions, delete markers, a digest, a replica."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.backup_sites import BackupSite, Ended
from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION
from tests.plain_sites import PlainSite, plain_site

CANARY = "Canary-Pass+1/in=clear"
LINEAGE = "11111111-2222-3333-4444-555555555555"
FOREIGN = "99999999-8888-7777-6666-000000000000"
KEY = "stack.tfstate"


def resource(kind: str, name: str, *instances: Mapping[str, Any], **other: Any) -> dict[str, Any]:
    """Return a managed resource as it stands in a state; each instance by its attributes, or with what else it has."""
    written = [
        dict(one) if "attributes" in one else {"schema_version": 0, "attributes": dict(one)} for one in instances
    ]
    return {"mode": "managed", "type": kind, "name": name, "provider": "p", "instances": written, **other}


def state(
    serial: int, resources: Sequence[Mapping[str, Any]] = (), lineage: str = LINEAGE, **outputs: Mapping[str, Any]
) -> bytes:
    """Return a state as Terraform 1.11 writes it."""
    document = {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": serial,
        "lineage": lineage,
        "outputs": outputs,
        "resources": list(resources),
        "check_results": None,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def md5(body: bytes) -> str:
    """Return the digest that Terraform keeps of a state."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, kw_only=True)
class StateSite:
    """A plain site with versioned state buckets in both regions, and nothing in them."""

    plain: PlainSite

    @property
    def cloud(self) -> RunningCloud:
        return self.plain.cloud

    @property
    def bucket(self) -> str:
        return self.plain.bucket

    @property
    def replica(self) -> str:
        return f"{self.plain.application}-tfstate-{ACCOUNT}-{DR_REGION}"

    def run(self, *arguments: str, status: int = 0) -> Ended:
        """Run `lifeboat …` for the site in this process and fail unless it ends with `status`."""
        return BackupSite(plain=self.plain).run(*arguments, status=status)

    def json(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Return what a verb prints as JSON."""
        document: dict[str, Any] = json.loads(self.run(*arguments, "-o", "json", status=status).stdout)
        return document

    def put(self, body: bytes, key: str = KEY, **metadata: str) -> str:
        """Write a version and return its id."""
        made = self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)
        return str(made["VersionId"])

    def put_copy(self, body: bytes, key: str = KEY) -> str:
        """Write a version into the bucket of the other region and return its id."""
        s3 = self.cloud.client("s3", DR_REGION)
        return str(s3.put_object(Bucket=self.replica, Key=key, Body=body)["VersionId"])

    def delete(self, key: str = KEY) -> str:
        """Put a delete marker on top and return its id."""
        return str(self.cloud.client("s3").delete_object(Bucket=self.bucket, Key=key)["VersionId"])

    def write_digest(self, digest: str, key: str = KEY) -> None:
        """Let the lock table hold this digest."""
        item = {"LockID": {"S": f"{self.bucket}/{key}-md5"}, "Digest": {"S": digest}}
        self.cloud.client("dynamodb").put_item(TableName=self.plain.table, Item=item)

    def delete_digest(self, key: str = KEY) -> None:
        """Let the lock table hold none."""
        item = {"LockID": {"S": f"{self.bucket}/{key}-md5"}}
        self.cloud.client("dynamodb").delete_item(TableName=self.plain.table, Key=item)

    def lock_by(self, mode: str) -> None:
        """Set the lock mode of the environment."""
        path = self.plain.root / "environments" / "x.toml"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("lock_mode")]
        lines.insert(lines.index("[state]") + 1, f'lock_mode = "{mode}"')
        path.write_text("\n".join(lines) + "\n")

    def refuse(self, service: str, operation: str, **rule: Any) -> None:
        """Let a call be refused as a policy would."""
        fault = {"service": service, "operation": operation, "code": "AccessDenied", "status": 403, **rule}
        self.cloud.control("faults", add=fault)

    def empty(self) -> None:
        """Forget the history, the digest and the faults, and lock by both again."""
        self.cloud.control("faults", clear=True)
        for region, bucket in (("eu-west-1", self.bucket), (DR_REGION, self.replica)):
            s3 = self.cloud.client("s3", region)
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
        self.delete_digest()
        self.lock_by("both")


def state_site(cloud: RunningCloud, folder: Path) -> StateSite:
    """Make the site."""
    made = StateSite(plain=plain_site(cloud, folder))
    (folder / "terraform").mkdir()
    s3 = cloud.client("s3", DR_REGION)
    s3.create_bucket(Bucket=made.replica, CreateBucketConfiguration={"LocationConstraint": DR_REGION})
    s3.put_bucket_versioning(Bucket=made.replica, VersioningConfiguration={"Status": "Enabled"})
    cloud.client("s3").delete_object(Bucket=made.bucket, Key=KEY)  # written before the bucket was versioned
    cloud.client("s3").put_bucket_versioning(Bucket=made.bucket, VersioningConfiguration={"Status": "Enabled"})
    return made
