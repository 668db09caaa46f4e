"""A stack's database, a real PostgreSQL as RDS has it, and a dump bucket, in a local cloud: enough for its dumps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from lifeboat import config
from lifeboat.commands import dump as dump_command
from lifeboat.commands.dump import Wanted
from lifeboat.database_model import DumpOutcome, Selection
from lifeboat.model import Recovery
from lifeboat.site import Site

from tests.conftest import RunningCloud
from tests.gitlab_sites import RECOVERY, REGION
from tests.plain_sites import PlainSite, Told, plain_site

PASSWORD = "Canary-of:the\\dump's"
POSTGRES = Path("/usr/lib/postgresql")
WAIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class DumpSite:
    """A project folder whose stack has one database and one dump bucket."""

    plain: PlainSite
    bucket: str
    database: dict[str, Any]
    told: Told
    env: dict[str, str]

    @property
    def cloud(self) -> RunningCloud:
        return self.plain.cloud

    def site(self) -> Site:
        return Site(config.load(self.plain.root, "x"), {"PATH": os.environ["PATH"], **self.env})

    def recovery(self) -> Recovery:
        return Recovery.model_validate(self.database)

    def with_programs(self, folder: Path) -> DumpSite:
        """Return the site for somebody whose PostgreSQL programs lie in a folder."""
        return replace(self, env={"PG_BIN": str(folder)})

    def connect(self, database: str | None = None) -> psycopg.Connection[Any]:
        """Connect as the master role, which is no superuser."""
        found = self.database["database"]
        return psycopg.connect(
            host=found["address"],
            port=found["port"],
            dbname=database or found["name"],
            user=found["username"],
            password=PASSWORD,
            sslmode="require",
            autocommit=True,
        )

    def run(self, *statements: str, database: str | None = None) -> list[Any]:
        """Run statements and return the rows of the last one."""
        rows: list[Any] = []
        with self.connect(database) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def dump(self, *databases: str, **wanted: Any) -> list[DumpOutcome]:
        """Dump, in this process."""
        selection = Selection(schemas=wanted.pop("schemas", ()), tables=wanted.pop("tables", ()))
        order = Wanted(databases=databases, selection=selection, **{"jobs": None, "accepting": False, **wanted})
        return dump_command.run(self.site(), self.told, order)

    def lifeboat(self, *arguments: str, within: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start the command line in the project, handed to the command `within`."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PG"))}
        return subprocess.Popen(
            [*within, sys.executable, "-c", "from lifeboat.start import main; main()", *arguments],
            cwd=self.plain.root,
            env={**env, **self.env, "TMPDIR": tempfile.gettempdir()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def settings(self, text: str) -> None:
        """Make the environment's file as it was made, with these lines at its end."""
        path = self.plain.root / "environments" / "x.toml"
        path.write_text(path.read_text().partition("# dumps\n")[0] + "# dumps\n" + text)

    def output(self, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
        """Write the stack's state with its output, changed."""
        document = json.loads(json.dumps(self.database))
        change(document)
        outputs = {"recovery": {"value": document, "type": "dynamic"}}
        state = {"version": 4, "serial": 7, "lineage": "l", "outputs": outputs, "resources": []}
        self.plain.put("stack.tfstate", json.dumps(state).encode())

    # -- the bucket ----------------------------------------------------------------------------------------------------

    def versions(self) -> list[str]:
        """Return the keys of all versions and delete markers in the dump bucket."""
        found = self.cloud.client("s3").list_object_versions(Bucket=self.bucket)
        return [entry["Key"] for kind in ("Versions", "DeleteMarkers") for entry in found.get(kind, [])]

    def uploads(self) -> list[str]:
        """Return the keys of all multipart uploads that are open."""
        found = self.cloud.client("s3").list_multipart_uploads(Bucket=self.bucket)
        return [entry["Key"] for entry in found.get("Uploads", [])]

    def body(self, key: str) -> bytes:
        body: bytes = self.cloud.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def fail(self, operation: str, **rule: Any) -> None:
        """Ask for a fault in S3 that no retry gets around, unless the rule says otherwise."""
        rule = {"code": "AccessDenied", "status": 403, "times": 1000, **rule}
        self.cloud.control("faults", add={"service": "s3", "operation": operation, **rule})

    def clean(self) -> None:
        """Empty the bucket and drop all faults and settings."""
        self.cloud.control("faults", clear=True)
        s3 = self.cloud.client("s3")
        found = s3.list_object_versions(Bucket=self.bucket)
        for entry in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            s3.delete_object(
                Bucket=self.bucket, Key=entry["Key"], VersionId=entry["VersionId"], BypassGovernanceRetention=True
            )
        for entry in s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []):
            s3.abort_multipart_upload(Bucket=self.bucket, Key=entry["Key"], UploadId=entry["UploadId"])
        self.told.lines.clear()
        self.settings("")
        self.output()


def dump_site(cloud: RunningCloud, folder: Path) -> DumpSite:
    """Make the project folder, its database with its secret, its dump bucket and its state."""
    plain = plain_site(cloud, folder)
    bucket = f"{plain.application}-dumps"
    s3 = cloud.client("s3")
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    (folder / "terraform").mkdir(exist_ok=True)
    rds = cloud.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier=plain.application,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        EngineVersion="15",
        StorageType="gp3",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword=PASSWORD,
        DBName="app",
        BackupRetentionPeriod=0,
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=plain.application, WaiterConfig={"Delay": 1})
    shape = rds.describe_db_instances(DBInstanceIdentifier=plain.application)["DBInstances"][0]
    text = json.dumps({"username": "app_admin", "password": PASSWORD})
    secret = cloud.client("secretsmanager").create_secret(Name=f"{plain.application}/db", SecretString=text)["ARN"]
    database = {
        **RECOVERY["database"],
        "identifier": plain.application,
        "address": shape["Endpoint"]["Address"],
        "port": shape["Endpoint"]["Port"],
        "name": "app",
        "username": "app_admin",
        "password_secret_arn": secret,
    }
    dumps = {"bucket": bucket, "prefix": "dumps/", "replica_bucket": f"{bucket}-copy"}
    found = {**RECOVERY, "application": plain.application, "database": database, "dumps": dumps}
    made = DumpSite(plain=plain, bucket=bucket, database=found, told=Told(), env={})
    made.output()
    return made


def real_programs() -> Path:
    """Return the folder of the newest PostgreSQL programs."""
    return max(POSTGRES.glob("*/bin"), key=lambda folder: float(folder.parent.name))


def scripted(folder: Path, pg_dump: str) -> Path:
    """Return a folder whose pg_dump is a shell script before the real one, which is "$real"; pg_dumpall is the real one.

    In the script, "hold" tells in the file `started` that it is there, and waits for the file `go`.
    """
    folder.mkdir()
    real = real_programs()
    (folder / "pg_dumpall").symlink_to(real / "pg_dumpall")
    hold = f'hold() {{ touch "{folder}/started"; while [ ! -e "{folder}/go" ]; do sleep 0.05; done; }}'
    script = f'#!/bin/sh\nreal="{real}/pg_dump"\n{hold}\n[ "$1" = --version ] && exec "$real" "$1"\n{pg_dump}\n'
    (folder / "pg_dump").write_text(script)
    (folder / "pg_dump").chmod(0o755)
    return folder


def waited_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def programs_there() -> bool:
    """Return whether PostgreSQL's programs are on this machine."""
    return shutil.which("initdb", path=str(real_programs())) is not None
