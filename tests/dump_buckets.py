"""A bucket of dumps in a local cloud, written to without any database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from lifeboat.clients.dump_store import DumpPlace, DumpStore, ManifestForm
from lifeboat.database_model import DumpEntry, Manifest, dump_id
from lifeboat.decisions import manifests

from tests.conftest import RunningCloud
from tests.dump_manifests import BEGUN, file, manifest

PLACE = DumpPlace(bucket="", region="eu-west-1", prefix="dumps/", application="app-x", environment="x")


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A versioned bucket of its own."""

    cloud: RunningCloud
    s3: Any
    store: DumpStore

    def put(self, key: str, body: bytes = b"x") -> str:
        return str(self.s3.put_object(Bucket=self.store.bucket, Key=key, Body=body)["VersionId"])

    def dump(self, number: int = 0, database: str = "app", **other: Any) -> Manifest:
        """Write a dump of two files, and return its manifest."""
        began = BEGUN + timedelta(hours=number)
        made = manifest(id=dump_id(began, f"{number:06x}"), begun_at=began, database=database, **other)
        self.put(f"{self.store.folder(database, made.id)}data-00.dump.zst", b"rows")
        self.store.commit(made)
        return made

    def whole(self, number: int = 0) -> DumpEntry:
        """Write a dump whose files are as its manifest says, and return it as it is listed."""
        began = BEGUN + timedelta(hours=number)
        made = manifest(id=dump_id(began, f"{number:06x}"), begun_at=began)
        folder = self.store.folder(made.database, made.id)
        for name in ("schema.dump.zst", "data-00.dump.zst"):
            self.put(f"{folder}{name}", name.encode())
        listed = next(e for e in self.store.entries() if e.id == made.id).files
        files = tuple(
            replace(file(name), version_id=f.version_id, etag=f.etag, size=f.size) for name, f in listed.items()
        )
        self.store.commit(replace(made, files=files))
        return next(e for e in self.store.entries() if e.id == made.id)

    def entry(self) -> DumpEntry:
        (found,) = self.store.entries()
        return found

    def fail(self, operation: str, **rule: Any) -> None:
        self.cloud.control("faults", add={"service": "s3", "operation": operation, **rule})


def dump_bucket(cloud: RunningCloud) -> Iterator[Bucket]:
    """Give a bucket of its own; its faults are gone at the end."""
    s3, name = cloud.client("s3"), f"dumps-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    place = replace(PLACE, bucket=name)
    yield Bucket(
        cloud=cloud,
        s3=s3,
        store=DumpStore(s3=s3, place=place, form=ManifestForm(read=manifests.read, written=manifests.written)),
    )
    cloud.control("faults", clear=True)
