"""A site whose stack is a state object, whose database is a real server, and whose buckets are the local cloud's."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeboat import config, views
from lifeboat.clients.dump_store import DumpStore
from lifeboat.commands import dump as dump_command
from lifeboat.commands.dump import Wanted
from lifeboat.database_model import DumpId, Manifest, Selection
from lifeboat.site import Site
from lifeboat.stack import outputs

from tests import command_line
from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud
from tests.gitlab_sites import DUMP_BUCKET, RECOVERY, REGION, STATE_BUCKET, settings_of
from tests.restores.servers import PASSWORD, RdsServer

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GITLAB_", "PG"))}


@dataclass(frozen=True, kw_only=True)
class DumpSite:
    """A project folder, its cloud and its database server; what was told while it was used."""

    cloud: RunningCloud
    rds: RdsServer
    root: Path
    told: list[str] = field(default_factory=list)

    def site(self) -> Site:
        """Return the site as its file says now."""
        return Site(config.load(self.root, "x"), CLEAN)

    def write(self, more: str = "") -> None:
        """Write the environment's file."""
        text = f"{settings_of(self.cloud.endpoint)}{more}\n"
        (self.root / "environments" / "x.toml").write_text(text)

    def output(self, database: str) -> None:
        """Write the stack's state: its database is one of the server."""
        document = json.loads(json.dumps(RECOVERY))
        cluster = self.rds.cluster
        document["database"] |= {"address": cluster.address, "port": cluster.port, "name": database}
        outputs_ = {"recovery": {"value": document, "type": "dynamic"}}
        state = {"version": 4, "serial": 1, "lineage": "l", "outputs": outputs_, "resources": []}
        self.s3.put_object(Bucket=STATE_BUCKET, Key="stack.tfstate", Body=json.dumps(state).encode())

    @property
    def s3(self) -> Any:
        return self.cloud.client("s3")

    @property
    def store(self) -> DumpStore:
        site = self.site()
        return site.dump_store(outputs.recovery(site.stack_store()))

    def dump(self, *databases: str, tables: tuple[str, ...] = (), accepting: bool = False) -> list[Manifest]:
        """Dump databases, as `lifeboat dump` does."""
        wanted = Wanted(databases=databases, selection=Selection(tables=tables), jobs=2, accepting=accepting)
        done = dump_command.run(self.site(), views.Teller(), wanted)
        found = [outcome.manifest for outcome in done if outcome.manifest is not None]
        assert len(found) == len(databases), [outcome.problem for outcome in done]
        return found

    def key(self, manifest: Manifest, name: str) -> str:
        return f"{self.store.folder(manifest.database, DumpId(manifest.id))}{name}"

    def lifeboat(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `lifeboat …` without a terminal."""
        return subprocess.run(
            ["lifeboat", *arguments, "-e", "x"],
            cwd=self.root,
            env={**CLEAN, "TMPDIR": tempfile.gettempdir()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `lifeboat …` in this process."""
        return command_line.run(self.root, *arguments, "-e", "x", env={**CLEAN, "TMPDIR": tempfile.gettempdir()})


@contextmanager
def dump_site(rds: RdsServer) -> Iterator[DumpSite]:
    """Make the project folder, its buckets and its secret, on a cloud of their own."""
    with open_folder() as folder:
        cloud = start_cloud(folder / "cloud")
        root = folder / "project"
        for name in ("environments", "terraform"):
            (root / name).mkdir(parents=True)
        (root / "environments" / "x.tfvars").write_text("")
        made = DumpSite(cloud=cloud, rds=rds, root=root)
        for bucket in (STATE_BUCKET, DUMP_BUCKET):
            made.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            made.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        secret = json.dumps({"username": "app", "password": PASSWORD})
        cloud.client("secretsmanager").create_secret(Name="app-x/password", SecretString=secret)
        made.write()
        yield made
        stop_cloud(cloud)
