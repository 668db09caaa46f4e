"""A site with a state bucket, a lock table and a stack's state, of which nothing was ever applied: enough for its runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from lifeboat import config
from lifeboat.clients.journal import document
from lifeboat.model import Event, EventKind, RunId
from lifeboat.site import Site

from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION, RECOVERY, REGION

ELSEWHERE = {"user": "eva", "host": "laptop", "machine": "laptop another-boot pid:[1]"}
REQUEST = {"image": None, "failed_at": None, "allowed": [], "accepted": [], "max_age_seconds": None}


@dataclass(frozen=True, kw_only=True)
class Told:
    """Who is told of progress, and writes it down; `then` happens each time something is shown that is waited for."""

    lines: list[str] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    def say(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        yield lambda _: self.then()

    def resources(self, done: int, total: int, slowest: str) -> None:
        raise AssertionError("nothing is applied here")

    def resources_end(self) -> None:
        raise AssertionError("nothing is applied here")


@dataclass(frozen=True, kw_only=True)
class PlainSite:
    """A project folder, and an application of its own in a local cloud, with a state bucket and a lock table."""

    cloud: RunningCloud
    root: Path
    application: str

    @property
    def bucket(self) -> str:
        return f"{self.application}-tfstate-{ACCOUNT}-{REGION}"

    @property
    def table(self) -> str:
        return f"{self.application}-tflock"

    def site(self) -> Site:
        return Site(config.load(self.root, "x"), {})

    def elsewhere(self, folder: Path) -> PlainSite:
        """Return another checkout of the same environment, in an empty folder."""
        shutil.copytree(self.root / "environments", folder / "environments")
        return replace(self, root=folder)

    def put(self, key: str, body: bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.cloud.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def run(self, name: str, *lines: tuple[EventKind, str, dict[str, Any]], **begun: Any) -> RunId:
        """Write the journal of a recovery that began on another machine, unless `begun` says otherwise."""
        first = (EventKind.BEGUN, "", {**ELSEWHERE, "request": REQUEST, **begun})
        for number, (kind, step, data) in enumerate((first, *lines), start=1):
            at = datetime(2026, 3, 1, 3, 0, number, tzinfo=UTC)
            event = Event(seq=number, at=at, kind=kind, step=step, text="", data=data)
            self.put(f"runs/{name}/{number:06}.json", json.dumps(document(event)).encode())
        return RunId(name)


def plain_site(cloud: RunningCloud, folder: Path) -> PlainSite:
    """Make the project folder, the bucket, the table and the state, of an application of its own."""
    made = PlainSite(cloud=cloud, root=folder, application=f"app-{uuid4().hex[:8]}")
    (folder / "environments").mkdir()
    (folder / "environments" / "x.tfvars").write_text("")
    (folder / "environments" / "x.toml").write_text(f"""
[application]
name = "{made.application}"
account_id = "{ACCOUNT}"
region = "{REGION}"
dr_region = "{DR_REGION}"
[state]
bucket = "{made.bucket}"
replica_bucket = "{made.application}-tfstate-{ACCOUNT}-{DR_REGION}"
lock_table = "{made.table}"
[endpoint]
url = "{cloud.endpoint}"
""")
    cloud.client("s3").create_bucket(Bucket=made.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    cloud.client("dynamodb").create_table(
        TableName=made.table,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    outputs = {"recovery": {"value": RECOVERY, "type": "dynamic"}}
    state = {"version": 4, "serial": 1, "lineage": "l", "outputs": outputs, "resources": []}
    made.put("stack.tfstate", json.dumps(state).encode())
    return made
