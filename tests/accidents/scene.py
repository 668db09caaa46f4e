"""An applied environment whose state accidents happen to: what lies in its buckets and its table, and what must be again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from lifeboat import config
from lifeboat.clients import state_store
from lifeboat.model import state_address
from lifeboat.site import Site
from lifeboat.state_model import LockMode, StateRoot

from tests.rehearsal import Rehearsal

Items = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Sound:
    """What must be again after an accident: the id of everything by root and address, and how many of each kind exist."""

    ids: Mapping[str, str]
    counted: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One applied environment and its local cloud. `change` lets the next apply change something and make nothing anew."""

    rehearsal: Rehearsal
    env: str
    change: Callable[[], None]
    counted: Callable[[], Mapping[str, int]]

    @property
    def site(self) -> Site:
        """Return the environment as its files say now."""
        return Site(config.load(self.rehearsal.root, self.env), self.rehearsal.env())

    @property
    def mode(self) -> LockMode:
        return self.site.project.environment.state.lock_mode

    @property
    def bucket(self) -> str:
        return self.site.project.environment.state.bucket

    @property
    def replica(self) -> str:
        return self.site.project.environment.state.replica_bucket

    @property
    def table(self) -> str:
        return self.site.project.environment.state.lock_table

    def key(self, root: StateRoot = StateRoot.STACK) -> str:
        state = self.site.project.environment.state
        return state.key if root is StateRoot.STACK else state.root_key

    def client(self, service: str, *, dr: bool = False) -> Any:
        application = self.site.project.environment.application
        return self.rehearsal.client(service, application.dr_region if dr else application.region)

    # -- the object --------------------------------------------------------------------------------------------------

    def versions(self, root: StateRoot = StateRoot.STACK) -> dict[str, bytes]:
        """Return every version of a state by its id, newest first."""
        s3, key, found = self.client("s3"), self.key(root), {}
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key):
            for entry in page.get("Versions", []):
                if entry["Key"] == key:
                    version = entry["VersionId"]
                    body = s3.get_object(Bucket=self.bucket, Key=key, VersionId=version)["Body"].read()
                    found[str(version)] = bytes(body)
        return found

    def top(self, root: StateRoot = StateRoot.STACK) -> bytes:
        return bytes(self.client("s3").get_object(Bucket=self.bucket, Key=self.key(root))["Body"].read())

    def put(self, body: bytes) -> None:
        """Put a state of the stack on top, and nothing else: no digest."""
        self.client("s3").put_object(Bucket=self.bucket, Key=self.key(), Body=body)

    def delete(self, key: str) -> None:
        self.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def standing(self) -> list[str]:
        """Return the keys of all that stands in the bucket."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def older(self, *, by: int = 1) -> tuple[str, bytes]:
        """Return a version that knows fewer things than the newest, with its id; `by`: serials before it, at least."""
        top = self.top()
        known, serial = len(state_store.recorded(top)), json.loads(top)["serial"]
        return next(
            (version, body)
            for version, body in self.versions().items()
            if 0 < len(state_store.recorded(body)) < known and json.loads(body)["serial"] <= serial - by
        )

    def purge(self, *, dr: bool = False) -> None:
        """Delete every version of everything in a bucket, which only the break-glass role may."""
        s3, bucket = self._unrefused(dr=dr), self.replica if dr else self.bucket
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])

    def delete_bucket(self) -> None:
        """Delete the bucket, with everything in it."""
        self.purge()
        self._unrefused(dr=False).delete_bucket(Bucket=self.bucket)

    def _unrefused(self, *, dr: bool) -> Any:
        keys = self.site.as_break_glass()
        return boto3.client(
            "s3",
            region_name=self.client("s3", dr=dr).meta.region_name,
            endpoint_url=f"http://127.0.0.1:{self.rehearsal.port}",
            **{name.lower(): value for name, value in keys.items()},
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    # -- the table ---------------------------------------------------------------------------------------------------

    @property
    def _digest_key(self) -> dict[str, Any]:
        return {"LockID": {"S": f"{self.bucket}/{self.key()}-md5"}}

    def put_digest(self, digest: str) -> None:
        self.client("dynamodb").put_item(TableName=self.table, Item={**self._digest_key, "Digest": {"S": digest}})

    def delete_digest(self) -> None:
        self.client("dynamodb").delete_item(TableName=self.table, Key=self._digest_key)

    def delete_table(self) -> None:
        dynamodb = self.client("dynamodb")
        dynamodb.update_table(TableName=self.table, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=self.table)

    # -- Terraform ---------------------------------------------------------------------------------------------------

    def terraform(self, *arguments: str, root: StateRoot = StateRoot.STACK) -> tuple[list[str], dict[str, str]]:
        """Return the words and the variables of a plain Terraform on a root, as a shell of the operator's has them."""
        site, stack = self.site, root is StateRoot.STACK
        folder = site.project.stack_root if stack else site.project.state_root
        variables = {**site.variables(teardown=False), **({} if stack else {"lock_mode": self.mode})}
        env = {
            **site.terraform_env(),
            **{f"TF_VAR_{name}": value for name, value in variables.items()},
            "TF_DATA_DIR": str(site.project.work / "terraform" / root.value),
            "CHECKPOINT_DISABLE": "1",
        }
        inputs = (
            [f"-var-file={path}" for path in site.project.var_files] if stack else [f"-state={site.root_state_file}"]
        )
        taken = [*inputs, "-input=false", "-no-color"] if arguments[0] in ("plan", "apply") else []
        return ["terraform", f"-chdir={folder}", arguments[0], *taken, *arguments[1:]], env

    # -- what must be again ------------------------------------------------------------------------------------------

    def sound(self) -> Sound:
        """Return what exists now, as both states know it and as AWS does."""
        ids = {f"{root.value} {address}": id_ for root in StateRoot for address, id_ in self._ids(root).items()}
        return Sound(ids=ids, counted=self.counted())

    def _ids(self, root: StateRoot) -> dict[str, str]:
        try:
            return _ids(self.top(root))
        except self.client("s3").exceptions.NoSuchKey:
            return {}  # so that what is missing is told, and how it came to that

    def cut_off_from_the_bucket(self) -> None:
        """Let no call to the bucket be answered any more, as in an outage of its region."""
        path, code = f"/{self.bucket}(/.*)?", "ServiceUnavailable"
        self.faults(service="s3", operation=".*", path=path, times=100_000, code=code, status=503)

    def faults(self, **rule: Any) -> None:
        """Let a call fail from now on; without a rule none does any more."""
        if rule:
            self.rehearsal.control("faults", add=rule)
        else:
            self.rehearsal.control("faults", clear=True)


def _ids(body: bytes) -> dict[str, str]:
    """Return which thing each resource of a state is, by its address.

    What the provider calls an attachment of a policy is made up when it is made or imported: what is attached to what counts.
    """
    found = dict(state_store.recorded(body))
    for resource in json.loads(body)["resources"]:
        if resource["type"] == "aws_iam_role_policy_attachment":
            for instance in resource["instances"]:
                attributes = instance["attributes"]
                found[state_address(resource, instance)] = f"{attributes['policy_arn']} of {attributes['role']}"
    return {str(address): id_ for address, id_ in found.items()}
