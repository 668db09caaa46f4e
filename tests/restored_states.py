"""Two tiny roots of `terraform_data` alone, applied for real once, and their states put into buckets of a local cloud."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lifeboat.state_model import LockMode

from tests import guarded_buckets
from tests.backup_sites import BackupSite, Ended
from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION, REGION
from tests.plain_sites import PlainSite, plain_site

CANARY = "Canary-Pass+1"
MODES: tuple[LockMode, ...] = ("both", "dynamodb", "lockfile")
KEY, ROOT_KEY = "stack.tfstate", "state.tfstate"
_VARIABLES = (
    *("name", "environment", "account_id", "region", "dr_region", "teardown"),
    *("s3_use_path_style", "provider_max_retries", "lock_mode"),
)
# What was made one apply after the other.
_MADE = (
    'resource "terraform_data" "one" { input = "1" }\n',
    'resource "terraform_data" "two" { input = "2" }\n',
    f'resource "terraform_data" "three" {{ input = sensitive("{CANARY}") }}\n',
)


def md5(body: bytes) -> str:
    """Return what Terraform writes into the table as the digest of a state."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def serial(body: bytes) -> int:
    """Return a state's serial."""
    return int(json.loads(body)["serial"])


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The states of the stack after each apply, oldest first, that of root 1, and the configuration of both."""

    bodies: tuple[bytes, ...] = field(repr=False)
    root: bytes = field(repr=False)
    terraform: Path

    @property
    def newest(self) -> bytes:
        return self.bodies[-1]


def applied(folder: Path) -> Applied:
    """Apply both roots with their states in files, the stack once for each of its resources."""
    variables = "".join(f'variable "{name}" {{ default = "" }}\n' for name in _VARIABLES)
    roots = folder / "terraform"
    for name, made in (("state", _MADE[:1]), ("stack", _MADE)):
        (roots / name).mkdir(parents=True)
        (roots / name / "variables.tf").write_text(variables)
        (roots / name / ".terraform.lock.hcl").write_text("")
        for number, text in enumerate(made):
            (roots / name / f"{number}.tf").write_text(text)
    stack, bodies = folder / "apply" / "stack", []
    shutil.copytree(roots / "stack", stack)
    for number in range(len(_MADE)):
        (stack / f"{number}.tf").rename(stack / f"{number}.left")
    for number in range(len(_MADE)):
        (stack / f"{number}.left").rename(stack / f"{number}.tf")
        bodies.append(_apply(stack))
    root = folder / "apply" / "state"
    shutil.copytree(roots / "state", root)
    (roots / "stack" / "backend.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    return Applied(bodies=tuple(bodies), root=_apply(root), terraform=roots)


def _apply(root: Path) -> bytes:
    env = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    for words in (["init"], ["apply", "-auto-approve"]):
        command = ["terraform", f"-chdir={root}", *words, "-input=false", "-no-color"]
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
    return (root / "terraform.tfstate").read_bytes()


@dataclass(frozen=True, kw_only=True)
class StateSite:
    """A project whose stack was applied three times: buckets in both regions, a lock table, and a digest where one is kept."""

    plain: PlainSite
    applied: Applied
    mode: LockMode

    @property
    def cloud(self) -> RunningCloud:
        return self.plain.cloud

    @property
    def bucket(self) -> str:
        return self.plain.bucket

    @property
    def replica(self) -> str:
        return f"{self.plain.application}-tfstate-{ACCOUNT}-{DR_REGION}"

    @property
    def keeps_digest(self) -> bool:
        return self.mode != "lockfile"

    def restore(self, *arguments: str, status: int = 0) -> Ended:
        """Run `lifeboat state restore …` here, and see that it never prints what is secret."""
        return self.run("state", "restore", *arguments, status=status)

    def run(self, *arguments: str, status: int = 0) -> Ended:
        """Run `lifeboat …` in this process."""
        ended = BackupSite(plain=self.plain).run(*arguments, status=status)
        assert CANARY not in ended.stdout + ended.stderr
        return ended

    # -- what stands where -------------------------------------------------------------------------------------------

    def put(self, body: bytes, key: str = KEY) -> str:
        """Put a version on top without lifeboat, and return its id."""
        return str(self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)["VersionId"])

    def put_digest(self, digest: str) -> None:
        item = {"LockID": {"S": f"{self.bucket}/{KEY}-md5"}, "Digest": {"S": digest}}
        self.cloud.client("dynamodb").put_item(TableName=self.plain.table, Item=item)

    def delete_digest(self) -> None:
        self.cloud.client("dynamodb").delete_item(TableName=self.plain.table, Key=self._digest_key)

    @property
    def _digest_key(self) -> dict[str, Any]:
        return {"LockID": {"S": f"{self.bucket}/{KEY}-md5"}}

    def digest(self) -> str | None:
        found = self.cloud.client("dynamodb").get_item(TableName=self.plain.table, Key=self._digest_key)
        return found["Item"]["Digest"]["S"] if "Item" in found else None

    def top(self, key: str = KEY) -> bytes:
        return bytes(self.cloud.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def versions(self, key: str = KEY) -> dict[str, bytes]:
        """Return every version by its id, newest first."""
        s3 = self.cloud.client("s3")
        listed = s3.list_object_versions(Bucket=self.bucket, Prefix=key).get("Versions", [])
        return {
            found["VersionId"]: s3.get_object(Bucket=self.bucket, Key=key, VersionId=found["VersionId"])["Body"].read()
            for found in listed
            if found["Key"] == key
        }

    def locks(self) -> list[str]:
        """Return where Terraform's lock lies."""
        key = {"LockID": {"S": f"{self.bucket}/{KEY}"}}
        item = self.cloud.client("dynamodb").get_item(TableName=self.plain.table, Key=key)
        listed = self.cloud.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=f"{KEY}.tflock")
        return [*(["table"] if "Item" in item else []), *(["file"] if listed["KeyCount"] else [])]

    def lock(self, info: dict[str, str]) -> None:
        """Lock the state as Terraform does in this mode."""
        text = json.dumps(info)
        if self.mode != "lockfile":
            item = {"LockID": {"S": f"{self.bucket}/{KEY}"}, "Info": {"S": text}}
            self.cloud.client("dynamodb").put_item(TableName=self.plain.table, Item=item)
        if self.mode != "dynamodb":
            self.put(text.encode(), f"{KEY}.tflock")

    # -- the other region --------------------------------------------------------------------------------------------

    def replicate(self, *bodies: bytes) -> None:
        """Put these states, or all that were applied, into the bucket of the other region."""
        for body in bodies or self.applied.bodies:
            self.cloud.client("s3", DR_REGION).put_object(Bucket=self.replica, Key=KEY, Body=body)

    def forget_everything(self) -> None:
        """Delete every version of the stack's state, and its digest."""
        self._empty(KEY)
        self.delete_digest()

    def delete_bucket(self) -> None:
        """Take the bucket of the first region away with all that is in it."""
        self._empty("")
        self.cloud.client("s3").delete_bucket(Bucket=self.bucket)

    def _empty(self, prefix: str) -> None:
        s3 = self.cloud.client("s3")
        listed = s3.list_object_versions(Bucket=self.bucket, Prefix=prefix)
        for found in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=self.bucket, Key=found["Key"], VersionId=found["VersionId"])

    # -- journals ----------------------------------------------------------------------------------------------------

    def runs(self) -> list[str]:
        """Return the runs that have a journal in the bucket, oldest first."""
        return sorted({key.split("/")[1] for key in self._journals() if key.count("/") == 2})

    def unended(self) -> list[str]:
        """Return the runs whose end is not marked."""
        keys = self._journals()
        return [run for run in self.runs() if f"runs/{run}/ended" not in keys]

    def kinds(self, run: str) -> list[str]:
        """Return of which kind each line of a run's journal is."""
        lines = sorted(key for key in self._journals() if key.startswith(f"runs/{run}/") and key.endswith(".json"))
        bodies = [self.top(key) for key in lines]
        assert not any(CANARY.encode() in body for body in bodies)
        return [str(json.loads(body)["kind"]) for body in bodies]

    def _journals(self) -> list[str]:
        listed = self.cloud.client("s3").list_objects_v2(Bucket=self.bucket, Prefix="runs/")
        return [found["Key"] for found in listed.get("Contents", [])]

    # -- the lock table ----------------------------------------------------------------------------------------------

    def delete_table(self) -> None:
        self.cloud.client("dynamodb").delete_table(TableName=self.plain.table)

    def make_table(self) -> None:
        self.cloud.client("dynamodb").create_table(
            TableName=self.plain.table,
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def require_restored(self, before: dict[str, bytes], wanted: bytes) -> None:
        """See that a content stands on top under the highest serial, with its digest, unlocked, and nothing is gone."""
        now, top = self.versions(), self.top()
        assert {version: now.get(version) for version in before} == before
        assert {**json.loads(top), "serial": 0} == {**json.loads(wanted), "serial": 0}
        readable = [body for body in before.values() if body.startswith(b"{") and body.rstrip().endswith(b"}")]
        others = [serial(body) for body in readable if body != top]
        assert serial(top) > max(others, default=-1)
        assert self.digest() == md5(top) or not self.keeps_digest
        assert self.locks() == []


def state_site(cloud: RunningCloud, folder: Path, made: Applied, mode: LockMode) -> StateSite:
    """Make the site: an application of its own, with the states that were applied once."""
    plain = plain_site(cloud, folder)
    settings = folder / "environments" / "x.toml"
    settings.write_text(settings.read_text().replace("[endpoint]", f'lock_mode = "{mode}"\n[endpoint]'))
    shutil.copytree(made.terraform, folder / "terraform")
    site = StateSite(plain=plain, applied=made, mode=mode)
    s3 = cloud.client("s3")
    s3.delete_object(Bucket=site.bucket, Key=KEY)  # what plain_site puts there
    cloud.client("s3", DR_REGION).create_bucket(
        Bucket=site.replica, CreateBucketConfiguration={"LocationConstraint": DR_REGION}
    )
    for region, bucket in ((REGION, site.bucket), (DR_REGION, site.replica)):
        cloud.client("s3", region).put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        guarded_buckets.guard(cloud.client("s3", region), bucket)
    guarded_buckets.copy(s3, site.bucket, site.replica)
    for body in made.bodies:
        site.put(body)
    site.put(made.root, ROOT_KEY)
    if site.keeps_digest:
        site.put_digest(md5(made.newest))
    return site


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Applied:
    """A small stack that was applied, once for the tests of a file."""
    return applied(tmp_path_factory.mktemp("applied"))


@pytest.fixture
def new_site(cloud: RunningCloud, tmp_path: Path, made: Applied) -> Iterator[Callable[[LockMode], StateSite]]:
    """A site with the history of that stack, new each time, in the lock mode that is asked for."""

    def new(mode: LockMode) -> StateSite:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return state_site(cloud, folder, made, mode)

    yield new
    cloud.control("faults", clear=True)
