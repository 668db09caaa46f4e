"""A site whose stack is a state object and whose GitLab is local: what a sync or a deploy needs, and no more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeboat import config
from lifeboat.clients.gitlab_api import Patience
from lifeboat.site import Site

from tests.conftest import RunningCloud
from tests.localcloud.gitlab_places import LocalGitLab, Place
from tests.localcloud.machines import until

ACCOUNT, REGION, DR_REGION = "123456789012", "eu-west-1", "eu-central-1"
STATE_BUCKET = f"app-x-tfstate-{ACCOUNT}-{REGION}"
DUMP_BUCKET = f"app-x-dumps-{ACCOUNT}-{REGION}"
PASSWORD = 'Canary/+"pass&word'
RECOVERY: dict[str, Any] = {
    "application": "app-x",
    "environment": "x",
    "account_id": ACCOUNT,
    "region": REGION,
    "dr_region": DR_REGION,
    "objectives": {"rpo_hours": 24, "rto_hours": 4},
    "app": {
        "url": "http://10.0.0.7:8080",
        "address": "10.0.0.7",
        "instance_id": "i-0123456789abcdef0",
        "ami_id": "ami-1",
        "security_group_id": "sg-1",
        "dns_name": None,
    },
    "database": {
        "identifier": "app-x-g1",
        "generations": ["g1"],
        "active_generation": "g1",
        "address": "10.0.0.9",
        "port": 5432,
        "name": "app",
        "username": "app",
        "password_secret_arn": "app-x/password",
        "retention_days": 14,
        "backup_window": "03:00-04:00",
        "maintenance_window": "sun:00:30-sun:01:30",
    },
    "secrets": {"name": "app-x/database", "arn": "arn:aws:secretsmanager:eu-west-1:1:secret:app-x/database"},
    "dumps": {"bucket": DUMP_BUCKET, "prefix": "dumps/", "replica_bucket": "other"},
    "vaults": {"primary": "v", "dr": "v"},
    "dlm_policy_ids": [],
    "backup_plan_ids": [],
    "topic_arn": "t",
    "protection": [],
}
VARIABLES = """
[[gitlab.variables]]
key = "DATABASE_URL"
composed = "database_url"
[[gitlab.variables]]
key = "APP_URL"
output = "app.url"
masked = "never"
description = "Where the application answers"
[[gitlab.variables]]
key = "EC2_INSTANCE_IP"
output = "app.address"
masked = "never"
pointer = true
[[gitlab.variables]]
key = "DB_PORT"
output = "database.port"
"""


def settings_of(url: str) -> str:
    """Return what the file of an environment says at least, of an application at a URL."""
    return f"""
[application]
name = "app-x"
account_id = "{ACCOUNT}"
region = "{REGION}"
dr_region = "{DR_REGION}"
[state]
bucket = "{STATE_BUCKET}"
replica_bucket = "app-x-tfstate-{ACCOUNT}-{DR_REGION}"
lock_table = "app-x-tflock"
[endpoint]
url = "{url}"
"""


@dataclass(frozen=True, kw_only=True)
class GitLabSite:
    """A project folder for a local GitLab, and the lines that were told while it was used."""

    local: LocalGitLab
    root: Path
    told: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    @property
    def cloud(self) -> RunningCloud:
        return self.local.cloud

    @property
    def patience(self) -> Patience:
        """Return patience that tells into a list and does not really sleep."""
        return Patience(tell=self.told.append, sleep=self.slept.append)

    def site(self, **env: str) -> Site:
        """Return the site as its file says now."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GITLAB_"))}
        return Site(config.load(self.root, "x"), {**clean, **env})

    def write(self, variables: str = VARIABLES, settings: str = "") -> None:
        """Write the environment's file."""
        text = f"""{settings_of(self.cloud.endpoint)}[gitlab]
url = "{self.local.document["url"]}"
project = "{self.local.document["project"]}"
{settings or self.token("maintainer")}
{variables}
"""
        (self.root / "environments" / "x.toml").write_text(text)

    def token(self, who: str) -> str:
        """Return the settings that use somebody's token."""
        return f'token_file = "{self.cloud.directory}/gitlab-tokens.json"\ntoken_entry = "tokens.{who}"'

    def output(self, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
        """Write the stack's state with its output, changed."""
        document = json.loads(json.dumps(RECOVERY))
        change(document)
        state = {
            "version": 4,
            "serial": 1,
            "lineage": "l",
            "outputs": {"recovery": {"value": document, "type": "dynamic"}},
            "resources": [],
        }
        self.put_state(json.dumps(state).encode())

    def put_state(self, body: bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=STATE_BUCKET, Key="stack.tfstate", Body=body)

    # -- GitLab --------------------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        return self.local.place()

    def variables(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the project's variables as the API shows them."""
        found = self.place.project.variables.list(get_all=True)
        return {(v.key, v.environment_scope): dict(v.attributes) | {"project_id": 0} for v in found}

    def value(self, key: str, scope: str = "x") -> Any:
        return self.variables()[key, scope]["value"]

    def clean(self) -> None:
        """Delete all variables and faults."""
        self.cloud.control("faults", clear=True)
        variables = self.place.project.variables
        for key, scope in self.variables():
            variables.delete(key, filter={"environment_scope": scope})
        self.told.clear()
        self.slept.clear()

    def fail(self, operation: str = ".*", **rule: Any) -> None:
        """Ask for a fault in the requests to GitLab."""
        self.cloud.control("faults", add={"service": "gitlab", "operation": operation, "code": "Fault", **rule})

    def hit(self) -> str:
        """Return what the only fault has hit; nothing before it has."""
        (rule,) = self.cloud.control("faults")["faults"]
        return str(rule["hit"])

    @contextmanager
    def traced(self) -> Iterator[list[str]]:
        """Give the names of the requests that GitLab gets meanwhile; filled at the end."""
        path = self.cloud.directory / "logs" / "trace.jsonl"
        start = path.stat().st_size if path.exists() else 0
        names: list[str] = []
        yield names
        lines = path.read_bytes()[start:].decode().splitlines()
        names += [r["operation"] for line in lines if (r := json.loads(line))["service"] == "gitlab"]


def gitlab_site(local: LocalGitLab, folder: Path) -> GitLabSite:
    """Make the project folder, its buckets, its lock table and its secret."""
    for name in ("environments", "terraform"):
        (folder / name).mkdir(parents=True)
    (folder / "environments" / "x.tfvars").write_text("")
    made = GitLabSite(local=local, root=folder)
    s3 = local.cloud.client("s3")
    for bucket in (STATE_BUCKET, DUMP_BUCKET):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    local.cloud.client("dynamodb").create_table(
        TableName="app-x-tflock",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    secret = json.dumps({"username": "app", "password": PASSWORD})
    local.cloud.client("secretsmanager").create_secret(Name="app-x/password", SecretString=secret)
    made.write()
    made.output()
    return made


def forget_pipelines(lab: GitLabSite) -> None:
    """End and delete all pipelines of the project."""
    owner = lab.local.project("owner")
    for pipeline in owner.pipelines.list(get_all=True):
        for job in pipeline.jobs.list(get_all=True):
            if job.status in ("running", "pending", "waiting_for_resource"):
                owner.jobs.get(job.id, lazy=True).cancel()
        until(lambda found=pipeline: owner.pipelines.get(found.id).status not in ("running", "canceling"), 60)  # type: ignore[misc]
        pipeline.delete()
