"""`lifeboat local …`: start, stop, save, load, tick and reach the local cloud of an environment."""

from __future__ import annotations

import json
import shlex
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from lifeboat.clients import run_files
from lifeboat.clients.local_cloud import LocalCloud
from lifeboat.commands import apply
from lifeboat.errors import NothingFits, Unreachable, WrongConfiguration
from lifeboat.model import Recovery, RunId
from lifeboat.site import Site
from lifeboat.views import Teller


def cloud_of(site: Site) -> LocalCloud:
    """Return the environment's local cloud; raises when it lives on AWS itself."""
    cloud = site.local_cloud()
    if cloud is None:
        raise WrongConfiguration(
            f"environment {site.project.env} has no [local_cloud]: it lives on AWS itself",
            hint="lifeboat local … -e local",
        )
    return cloud


def up(site: Site, tell: Teller) -> str:
    """Start the local cloud, going on from where it was."""
    cloud = cloud_of(site)
    with run_files.alone(site.project.work, "local up"):
        apply.start_cloud(site, tell, but=RunId(""))
    return f"the local cloud listens on {cloud.url}"


def down(site: Site) -> str:
    """Stop the local cloud; its state stays on disk."""
    cloud = cloud_of(site)
    with run_files.alone(site.project.work, "local down"):
        return "stopped; its state is kept" if cloud.down() else "it did not run"


def reset(site: Site) -> str:
    """Stop the local cloud and delete all of its state."""
    cloud = cloud_of(site)
    with run_files.alone(site.project.work, "local reset"):
        cloud.down()
        cloud.forget()
    return "the local cloud is empty; lifeboat apply builds it anew"


def ask(site: Site, verb: str, **asked: Any) -> dict[str, Any]:
    """Send one request to the local cloud's control port."""
    cloud = cloud_of(site)
    if cloud.health() is None:
        raise Unreachable(f"no local cloud answers on {cloud.url}", hint="lifeboat local up")
    if verb not in ("save", "load"):
        return cloud.ask(verb, **asked)
    # Under an apply, a load would swap AWS away beneath Terraform, and a save would keep something half-made.
    with run_files.alone(site.project.work, f"local {verb}"):
        return cloud.ask(verb, **asked)


def logs(site: Site, *, newest: int) -> list[str]:
    """Return the newest lines of the local cloud's log and of every program's on its hosts and databases."""
    directory = cloud_of(site).directory
    found = sorted([*(directory / "logs").glob("*.log"), *(directory / "live").glob("**/*.log")])
    if not found:
        raise NothingFits(f"there are no logs in {directory}", hint="lifeboat local up")
    lines: list[str] = []
    for path in found:
        lines.append(f"==> {path.relative_to(directory)} <==")
        lines.extend(_tail(path, newest))
    return lines


def environment(site: Site) -> dict[str, str]:
    """Return what plain aws, psql, curl and terraform need to reach the running local cloud, by variable name.

    The database password is read from its secret at this moment; it is in no file.
    """
    cloud = cloud_of(site)
    if cloud.health() is None:
        raise Unreachable(f"no local cloud answers on {cloud.url}", hint="lifeboat local up")
    store = site.stack_store()
    if not store.bucket_exists() or store.body() is None:
        raise NothingFits("nothing is applied on this local cloud yet", hint="lifeboat apply")
    recovery, _ = apply.read_outputs(site, store)
    terraform = site.terraform_env()
    variables = {key: value for key, value in site.aws_env().items() if value}
    variables |= {
        "APP_URL": recovery.app.url,
        **_public_name(site, recovery),
        "DATABASE_URL": _database_url(site, recovery),
        "STATE_BUCKET": store.bucket,
        "STATE_KEY": store.key,
        "LOCK_TABLE": store.table,
        "DUMP_BUCKET": recovery.dumps.bucket,
        "CHECKPOINT_DISABLE": "1",
        "TF_DATA_DIR": str(site.project.work / "terraform" / "stack"),
        "TF_CLI_ARGS_plan": " ".join(f"-var-file={path}" for path in site.project.var_files),
    }
    if "TF_CLI_CONFIG_FILE" in terraform:
        variables["TF_CLI_CONFIG_FILE"] = terraform["TF_CLI_CONFIG_FILE"]
    variables |= {f"TF_VAR_{key}": value for key, value in site.variables(teardown=False).items()}
    return variables


def exports(variables: dict[str, str]) -> list[str]:
    """Return shell lines that set the variables, and unset those that would point elsewhere."""
    lines = [f"export {key}={shlex.quote(value)}" for key, value in variables.items()]
    return [*lines, "unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CA_BUNDLE"]


def _public_name(site: Site, recovery: Recovery) -> dict[str, str]:
    resolver = site.project.environment.dns.resolver
    if recovery.app.dns_name is None or resolver is None:
        return {}
    named = recovery.app.url.replace(recovery.app.address, recovery.app.dns_name)
    return {"APP_NAME_URL": named, "NAME_SERVER": resolver}


def _database_url(site: Site, recovery: Recovery) -> str:
    database = recovery.database
    secrets = site.client("secretsmanager", recovery.region)
    try:
        secret = json.loads(secrets.get_secret_value(SecretId=database.password_secret_arn)["SecretString"])
    except (ClientError, BotoCoreError) as error:
        raise Unreachable(f"cannot read the database's password secret: {error}") from error
    user, password = quote(secret["username"], safe=""), quote(secret["password"], safe="")
    return f"postgresql://{user}:{password}@{database.address}:{database.port}/{database.name}?sslmode=require"


def _tail(path: Path, newest: int) -> list[str]:
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=newest)]
