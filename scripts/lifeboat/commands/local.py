"""`lifeboat local …`: start, stop, save, load, tick and reach the local cloud of an environment."""

from __future__ import annotations

import shlex
from collections import deque
from pathlib import Path
from typing import Any

from lifeboat.clients import known_state, root_base, run_files
from lifeboat.clients.local_cloud import LocalCloud
from lifeboat.errors import LifeboatError, NothingFits, Unreachable, WrongConfiguration
from lifeboat.model import Recovery, RunId
from lifeboat.site import Site
from lifeboat.stack import database_access, outputs, rehearsal
from lifeboat.views import Teller

# What lies here under live/ is copies of hosts, logs included; nothing runs on them.
_COPIES = ("snapshots", "volumes")
_STACKS = ("APP_URL", "DATABASE_URL", "DUMP_BUCKET")
# What would point the tools elsewhere, or change what they do, in a shell that takes over our variables.
_LED_ASTRAY = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ROLE_ARN"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "TF_CLI_ARGS", "TF_CLI_ARGS_init", "TF_WORKSPACE"),
    *_STACKS,
)
# All that take variables from files. One that applies a saved plan takes them too, and refuses any that changed since.
_TAKE_FILES = ("plan", "apply", "destroy", "refresh", "import", "console")
# Terraform itself would say that the backend changed, and to migrate: that would put the stack's state beside root 1.
_ROOT_1_IS_NOT_FOR_HANDS = """\
terraform() {{
  if [ "$TF_DATA_DIR" = {data} ] && (
    case "$1" in -chdir=*) cd "${{1#-chdir=}}" ;; esac && [ "$(pwd -P)" = {root} ]
  ) 2>/dev/null; then
    echo "error: terraform/state is applied by lifeboat alone, which keeps its state; here it would be the stack's" >&2
    echo "  next: lifeboat plan -e {env} (or apply), which works on both roots" >&2
    return 2
  fi
  command terraform "$@"
}}"""


def cloud_of(site: Site) -> LocalCloud:
    """Return the environment's local cloud; raises when it lives on AWS itself."""
    cloud = site.local_cloud()
    if cloud is None:
        raise WrongConfiguration(
            f"environment {site.project.env} has no [local_cloud]: it lives on AWS itself",
            hint="lifeboat local up -e local",
        )
    return cloud


def up(site: Site, tell: Teller) -> str:
    """Start the local cloud, going on from where it was; raises IntegrityFailure when that was damaged, with it running."""
    cloud = cloud_of(site)
    with run_files.alone(site.project.work, "local up"):
        lost = rehearsal.begin(site, tell, but=RunId(""))
    if lost is not None:
        raise lost
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
        known_state.forget(site.project.work)
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
        done = cloud.ask(verb, **asked)
        if verb == "load":
            known_state.forget(site.project.work)
            root_base.forget(site.root_state_file)
        return done


def saves(site: Site) -> list[str]:
    """Return the names of all saves; they are files, so the local cloud need not run."""
    folder = cloud_of(site).directory / "saves"
    return sorted(path.parent.name for path in folder.glob("*/cloud.state") if not path.parent.name.startswith("."))


def logs(site: Site, *, newest: int) -> list[str]:
    """Return the newest lines of the local cloud's log and of every program's on its hosts and databases."""
    directory = cloud_of(site).directory
    running = [path for path in (directory / "live").glob("*") if path.name not in _COPIES]
    found = sorted([*(directory / "logs").glob("*.log"), *(log for path in running for log in path.glob("**/*.log"))])
    if not found:
        raise NothingFits(f"there are no logs in {directory}", hint="lifeboat local up")
    lines: list[str] = []
    for path in found:
        lines.append(f"==> {path.relative_to(directory)} <==")
        lines.extend(_tail(path, newest))
    return lines


def environment(site: Site, tell: Teller) -> dict[str, str]:
    """Return what plain aws, psql, curl, terraform and GitLab's clients need to reach the running local cloud, by name.

    The database password is read from its secret at this moment; it is in no file. Where the stack's state or that
    secret cannot be read, what it would tell is left out with a warning: the rest is what it takes to look for it.
    """
    cloud = cloud_of(site)
    if cloud.health() is None:
        raise Unreachable(f"no local cloud answers on {cloud.url}", hint="lifeboat local up")
    store = site.stack_store()
    terraform = site.terraform_env()
    files = shlex.join(f"-var-file={path}" for path in site.project.var_files)
    variables = {key: value for key, value in site.aws_env().items() if value}
    variables |= _of_the_stack(site, tell)
    variables |= _of_gitlab(site, tell)
    variables |= {
        "STATE_BUCKET": store.bucket,
        "STATE_KEY": store.key,
        "LOCK_TABLE": store.table,
        "CHECKPOINT_DISABLE": "1",
        "TF_DATA_DIR": str(site.project.work / "terraform" / "stack"),
        **dict.fromkeys((f"TF_CLI_ARGS_{name}" for name in _TAKE_FILES), files),
    }
    if "TF_CLI_CONFIG_FILE" in terraform:
        variables["TF_CLI_CONFIG_FILE"] = terraform["TF_CLI_CONFIG_FILE"]
    variables |= {f"TF_VAR_{key}": value for key, value in site.variables(teardown=False).items()}
    return variables


def exports(site: Site, variables: dict[str, str]) -> list[str]:
    """Return shell lines that set the variables, unset those that would point elsewhere, and keep hands off root 1."""
    lines = [f"export {key}={shlex.quote(value)}" for key, value in variables.items()]
    unset = f"unset {' '.join(name for name in _LED_ASTRAY if name not in variables)}"
    root, data = site.project.state_root.resolve(), variables["TF_DATA_DIR"]
    guard = _ROOT_1_IS_NOT_FOR_HANDS.format(root=shlex.quote(str(root)), data=shlex.quote(data), env=site.project.env)
    return [*lines, unset, guard]


def _of_the_stack(site: Site, tell: Teller) -> dict[str, str]:
    try:
        recovery = outputs.recovery(site.stack_store())
    except LifeboatError as error:
        tell.warn(f"{', '.join(_STACKS)} are not set: {error.summary}")
        return {}
    known = {"APP_URL": recovery.app.url, **_public_name(site, recovery), "DUMP_BUCKET": recovery.dumps.bucket}
    try:
        return {**known, "DATABASE_URL": database_access.database_url(site, recovery).reveal()}
    except LifeboatError as error:
        tell.warn(f"DATABASE_URL is not set: {error.summary}")
        return known


def _public_name(site: Site, recovery: Recovery) -> dict[str, str]:
    resolver = site.project.environment.dns.resolver
    if recovery.app.dns_name is None or resolver is None:
        return {}
    named = recovery.app.url.replace(recovery.app.address, recovery.app.dns_name)
    return {"APP_NAME_URL": named, "NAME_SERVER": resolver}


def _of_gitlab(site: Site, tell: Teller) -> dict[str, str]:
    """Return what reaches this environment's GitLab; the token is that of its file, since a variable is there already."""
    settings = site.project.environment.gitlab
    if settings is None:
        return {}
    variables = {"GITLAB_URL": settings.url, "GITLAB_PROJECT": settings.project}
    if settings.token_file is None:
        return variables
    try:
        return {**variables, "GITLAB_TOKEN": site.gitlab_token().reveal()}
    except LifeboatError as error:
        tell.warn(f"GITLAB_TOKEN is not set: {error.summary}")
        return variables


def _tail(path: Path, newest: int) -> list[str]:
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=newest)]
