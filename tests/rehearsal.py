"""A checkout of its own with a local cloud of its own, driven through the real command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests import command_line
from tests.conftest import free_port, own_network

ROOT = Path(__file__).parent.parent
APPLY_SECONDS = 900
# Nothing of the caller's shell may reach the programs under test.
CLEAN = {
    key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_")) or key == "TF_PLUGIN_MIRROR"
}


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """One checkout: its folder, and the port and network of its local cloud."""

    root: Path
    port: int
    _exported: dict[tuple[Path, ...], dict[str, str]] = field(default_factory=dict, compare=False, repr=False)

    def run(self, *argv: str, seconds: float = APPLY_SECONDS, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout and return what it printed; never raises for its status."""
        return subprocess.run(
            argv, cwd=self.root, env=self.env(**env), capture_output=True, text=True, timeout=seconds, check=False
        )

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            argv,
            cwd=self.root,
            env=self.env(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def lifeboat(self, *arguments: str, seconds: float = APPLY_SECONDS, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `lifeboat …` without a terminal."""
        return self.run("lifeboat", *arguments, seconds=seconds, **env)

    def ask(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `lifeboat …` in this process: for what asks, is refused, or works through boto3 alone."""
        return command_line.run(self.root, *arguments, env=self.env(**env))

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment variables of a newcomer's shell with the virtual environment on PATH."""
        path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}"
        return {**CLEAN, "PATH": path, **more}

    def exported(self) -> dict[str, str]:
        """Return what `lifeboat local env` exports: places, names and files of inputs; asked once for the same files."""
        files = tuple(sorted((self.root / "environments").glob("*.tfvars*")))
        if files not in self._exported:
            found = json.loads(passed(self.ask("local", "env", "-o", "json")).stdout)
            if "APP_URL" not in found:
                return dict(found)  # the stack could not be read
            self._exported[files] = found
        return dict(self._exported[files])

    def client(self, service: str, region: str = "eu-west-1") -> Any:
        """Return a boto3 client of the local cloud."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def control(self, verb: str, **asked: Any) -> dict[str, Any]:
        """Send one request to the local cloud's control port, as `lifeboat local` does, without its start-up time."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_localcloud/{verb}", json.dumps(asked).encode(), {"X-Localcloud": "1"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            document: dict[str, Any] = json.load(answer)
        return document

    def load(self, name: str) -> None:
        """Go back to a save, on a local cloud that runs again if it did not."""
        try:
            self.control("load", name=name)
        except OSError:
            passed(self.lifeboat("local", "up"))
            self.control("load", name=name)
        # As `lifeboat local load` does: this machine knows states that are newer than those of the save.
        (self.root / ".lifeboat" / "local" / "known-state.json").unlink(missing_ok=True)
        (self.root / ".lifeboat" / "local" / "state-root.base.json").unlink(missing_ok=True)

    def edit(self, name: str, pattern: str, replacement: str) -> None:
        """Change a file of the checkout; fails when the pattern is not in it."""
        path = self.root / name
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
        assert count, f"{pattern!r} is not in {name}"
        path.write_text(text)


def checkout(folder: Path) -> Rehearsal:
    """Make a checkout in `folder`: everything an operator uses, on a port and network of its own."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    ignore = shutil.ignore_patterns(".terraform", "*.tfstate*", "lifeboat_adopt.tf.json", "*.recovery.tfvars.json")
    for name in ("environments", "terraform", "modules", "scripts/ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("Dockerfile", "Makefile", "pyproject.toml", "requirements-dev.lock", ".gitlab-ci.yml"):
        shutil.copy(ROOT / name, folder / name)
        os.utime(folder / name, (0, 0))  # older than what is installed: the tests run in this virtual environment
    (folder / ".venv").symlink_to(ROOT / ".venv")
    made = Rehearsal(root=folder, port=port)
    made.edit("environments/local.toml", r"127\.0\.0\.1:4566", f"127.0.0.1:{port}")
    made.edit("environments/local.toml", r"^network +=.*$", f'network = "{own_network(port)}"')
    made.edit("environments/local.toml", r"^resolver +=.*$", f'resolver = "{own_network(port)}.192.53:{port}"')
    return made


def another(folder: Path, first: Rehearsal) -> Rehearsal:
    """Make another checkout of the environment of a first one, on its local cloud, with the files that it has now."""
    made = checkout(folder)
    shutil.copytree(first.root / "environments", made.root / "environments", dirs_exist_ok=True)
    found = Rehearsal(root=made.root, port=first.port)
    cloud = first.root / ".lifeboat" / "local" / "cloud"
    found.edit("environments/local.toml", r"^directory = .*$", f'directory = "{cloud}"')
    found.edit("environments/local.toml", r"^token_file .*$", f'token_file = "{cloud}/gitlab-tokens.json"')
    found.edit("environments/local.toml", r"^ca_file = .*$", f'ca_file = "{cloud}/live/databases/rds-ca.pem"')
    return found


def passed(done: subprocess.CompletedProcess[str], status: int = 0) -> subprocess.CompletedProcess[str]:
    """Fail with everything a command printed unless it ended with `status`."""
    assert done.returncode == status, f"{done.args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
