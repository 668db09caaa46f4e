"""A small stack of real resources in both regions of a local cloud, applied once by a real Terraform with its S3 backend."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lifeboat import config
from lifeboat.clients.terraform import Terraform
from lifeboat.site import Site

from tests.backup_sites import BackupSite, Ended
from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION, REGION
from tests.plain_sites import PlainSite, plain_site

CANARY = "Canary-Pass+1"
KEY, ROOT_KEY = "stack.tfstate", "state.tfstate"
_ROOT = Path(__file__).parent.parent
_VARIABLES = (
    *("name", "environment", "account_id", "region", "dr_region", "teardown"),
    *("s3_use_path_style", "provider_max_retries", "lock_mode"),
)
_PROVIDERS = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region            = var.region
  s3_use_path_style = var.s3_use_path_style
  default_tags {
    tags = { application = var.name, environment = var.environment }
  }
}
provider "aws" {
  alias             = "dr"
  region            = var.dr_region
  s3_use_path_style = var.s3_use_path_style
  default_tags {
    tags = { application = var.name, environment = var.environment }
  }
}
"""
_STACK = """
terraform {
  backend "s3" {}
}
resource "aws_s3_bucket" "data" {
  bucket        = "${var.name}-data"
  force_destroy = true
}
resource "aws_s3_bucket_versioning" "data" {
  bucket = aws_s3_bucket.data.id
  versioning_configuration {
    status = "Enabled"
  }
}
resource "aws_sqs_queue" "jobs" {
  provider = aws.dr
  name     = "${var.name}-jobs"
}
resource "aws_eip" "app" {
  for_each = toset(["a=b"])
  domain   = "vpc"
  tags     = { Name = "${var.name}-app" }
}
resource "aws_iam_role" "app" {
  name = "${var.name}-app"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}
resource "aws_iam_role_policy" "app" {
  name   = "own"
  role   = aws_iam_role.app.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "s3:GetObject", Resource = "${aws_s3_bucket.data.arn}/*" }]
  })
}
resource "aws_secretsmanager_secret" "app" {
  name                    = "${var.name}/app"
  recovery_window_in_days = 7
}
resource "aws_secretsmanager_secret_version" "app" {
  secret_id     = aws_secretsmanager_secret.app.id
  secret_string = "CANARY"
}
output "recovery" {
  value = { environment = var.environment, address = aws_eip.app["a=b"].public_ip }
}
output "password" {
  value     = aws_secretsmanager_secret_version.app.secret_string
  sensitive = true
}
""".replace("CANARY", CANARY)
_BACKEND = """
resource "aws_s3_bucket" "state" {
  bucket        = "${var.name}-tfstate-${var.account_id}-${var.region}"
  force_destroy = false
}
"""


def ids(body: bytes) -> dict[str, str]:
    """Return what each resource of a state is, by its address."""
    return {
        f"{one['type']}.{one['name']}": str(instance["attributes"]["id"])
        for one in json.loads(body)["resources"]
        if one["mode"] == "managed"
        for instance in one["instances"]
    }


@dataclass(frozen=True, kw_only=True)
class RebuiltSite:
    """A project with both roots, both applied; `body` is the state of the stack that the apply wrote."""

    plain: PlainSite
    body: bytes

    @property
    def cloud(self) -> RunningCloud:
        return self.plain.cloud

    @property
    def replica(self) -> str:
        return f"{self.plain.application}-tfstate-{ACCOUNT}-{DR_REGION}"

    @property
    def site(self) -> Site:
        return _site(self.plain)

    def rebuild(self, *arguments: str, status: int = 0) -> Ended:
        """Run `lifeboat state rebuild …` here, and see that it never prints what is secret."""
        return self.run("state", "rebuild", *arguments, status=status)

    def run(self, *arguments: str, status: int = 0) -> Ended:
        ended = BackupSite(plain=self.plain).run(*arguments, status=status)
        assert CANARY not in ended.stdout + ended.stderr
        return ended

    def top(self, key: str = KEY) -> bytes:
        return bytes(self.cloud.client("s3").get_object(Bucket=self.plain.bucket, Key=key)["Body"].read())

    def forget(self, key: str = KEY) -> None:
        """Delete every version of a state in both regions, the digest, and what this machine remembers."""
        for region, bucket in ((REGION, self.plain.bucket), (DR_REGION, self.replica)):
            s3 = self.cloud.client("s3", region)
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
                for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    s3.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])
        digest = {"LockID": {"S": f"{self.plain.bucket}/{key}-md5"}}
        self.cloud.client("dynamodb").delete_item(TableName=self.plain.table, Key=digest)
        shutil.rmtree(self.site.project.work, ignore_errors=True)

    def secrets_left(self) -> list[str]:
        """Return the files of the project, its configuration apart, that have the password in them."""
        work = self.site.project.work
        files = [path for path in work.rglob("*") if path.is_file() and not path.is_symlink()]
        return [str(path) for path in files if "providers" not in path.parts and CANARY.encode() in path.read_bytes()]


def _site(plain: PlainSite) -> Site:
    return Site(config.load(plain.root, "x"), dict(os.environ))


def rebuilt_site(cloud: RunningCloud, folder: Path) -> RebuiltSite:
    """Make the site, and apply both roots."""
    plain = plain_site(cloud, folder)
    s3 = cloud.client("s3")
    s3.delete_object(Bucket=plain.bucket, Key=KEY)  # what plain_site puts there
    tags = [{"Key": "application", "Value": plain.application}, {"Key": "environment", "Value": "x"}]
    s3.put_bucket_tagging(Bucket=plain.bucket, Tagging={"TagSet": tags})
    replica = f"{plain.application}-tfstate-{ACCOUNT}-{DR_REGION}"
    where = {"LocationConstraint": DR_REGION}
    cloud.client("s3", DR_REGION).create_bucket(Bucket=replica, CreateBucketConfiguration=where)
    for region, bucket in ((REGION, plain.bucket), (DR_REGION, replica)):
        cloud.client("s3", region).put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    (folder / "modules").mkdir()
    for name, text in (("stack", _STACK), ("state", _BACKEND)):
        root = folder / "terraform" / name
        root.mkdir(parents=True)
        (root / "variables.tf").write_text("".join(f'variable "{one}" {{ default = "" }}\n' for one in _VARIABLES))
        (root / "main.tf").write_text(_PROVIDERS + text)
        shutil.copy(_ROOT / "terraform" / "stack" / ".terraform.lock.hcl", root)
    site = _site(plain)
    site.project.work.mkdir(parents=True, exist_ok=True)
    backend, stack = site.state_terraform(), site.stack_terraform()
    backend.init(None)
    # What the first apply does with a bucket that is there.
    adopted = backend.root / "adopted.tf"
    adopted.write_text(f'import {{\n  to = aws_s3_bucket.state\n  id = "{plain.bucket}"\n}}\n')
    _apply(site, backend)
    adopted.unlink()
    s3.put_object(Bucket=plain.bucket, Key=ROOT_KEY, Body=site.root_state_file.read_bytes())
    stack.init(site.backend())
    _apply(site, stack)
    body = s3.get_object(Bucket=plain.bucket, Key=KEY)["Body"].read()
    return RebuiltSite(plain=plain, body=bytes(body))


def _apply(site: Site, terraform: Terraform) -> None:
    saved = site.project.work / "first.plan"
    terraform.plan(out=saved, events=site.project.work / "first.jsonl", seconds=400).planned()
    applied = terraform.apply(saved, events=site.project.work / "apply.jsonl", seconds=400, parallelism=5)
    assert applied.finish() == 0, applied.failure()
