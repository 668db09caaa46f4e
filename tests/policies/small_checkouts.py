"""A checkout whose two roots need no provider, planned by real Terraform; its checkov is a program that says what it is told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.decisions.policy.registry import RULES

from tests import command_line
from tests.rehearsal import CLEAN

CANARY = "hunter2-canary"
_VARIABLES = (
    *("name", "environment", "account_id", "region", "dr_region", "teardown", "s3_use_path_style"),
    *("provider_max_retries", "lock_mode", "offline"),
)
# No provider, so that a plan takes no time. The password is in it in clear text: as a variable, and as a value.
_STACK = """
variable "password" {
  type      = string
  sensitive = true
}

resource "terraform_data" "app" {
  input = { password = var.password, note = nonsensitive(var.password) }
}

check "backups" {
  assert {
    condition     = length(var.password) < 8
    error_message = "Backups are kept for too short a time; ${nonsensitive(var.password)} was tried."
  }
}
"""
_STATE = """
resource "terraform_data" "state" {
  input = "kept for 90 days"
}
"""
_TOML = """
[application]
name = "app-x"
account_id = "123456789012"
region = "eu-west-1"
dr_region = "eu-central-1"
[state]
bucket = "app-x-tfstate-123456789012-eu-west-1"
replica_bucket = "app-x-tfstate-123456789012-eu-central-1"
lock_table = "app-x-tflock"
"""
# What our rules say of the stack's plan, they say inside checkov too.
_FAILING = {
    "rule": "LB_TF_1",
    "address": "check.backups",
    "file": "stack.json",
    "lines": [1, 1],
    "found": "the check fails",
    "wanted": "a check that passes",
    "source": "plan",
}
# It answers what lies beside it: the whole run, or that of each root; and notes of which mode the plan is that it was given.
_CHECKOV = """#!/bin/sh
question=$(cat)
root=$(printf '%s' "$question" | sed -E 's/.*"root": "([^"]*)".*/\\1/')
plan=$(printf '%s' "$question" | sed -E 's/.*"plan": "([^"]*)".*/\\1/')
stat -c '%a' "$plan" "$(dirname "$plan")" > '{folder}/seen'-"$(basename "$root")"
{first}
cat '{folder}/answer'-"$(basename "$root")".json
"""


@dataclass(frozen=True, kw_only=True)
class Small:
    """One such checkout, of the environment x."""

    root: Path

    def scan(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run `lifeboat scan -e x …`."""
        return command_line.run(self.root, "scan", "-e", "x", *options, env=CLEAN)

    @property
    def reports(self) -> Path:
        """Where its reports go."""
        return self.root / ".lifeboat" / "scan" / "x"

    def report(self) -> Any:
        """Return the report in JSON."""
        return json.loads((self.reports / "scan.json").read_text())

    def waive(self, text: str) -> None:
        """Write the environment's waivers."""
        (self.root / "environments" / "x.waivers.toml").write_text(text)

    def edit(self, root: str, old: str, new: str) -> None:
        """Change the configuration of a root."""
        path = self.root / "terraform" / root / "main.tf"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def checkov(self, stack: Mapping[str, Any] | None = None, *, first: str = "") -> None:
        """Install a checkov that looks at everything and finds the check that fails, but for what is said of the stack."""
        folder = self.root / ".venv-scan" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        for root, over in (("stack", {"findings": [_FAILING], **(stack or {})}), ("state", {})):
            answer = {
                "findings": [],
                "skipped": [],
                "evaluated": {**{rule.id: 1 for rule in RULES}, "CKV_AWS_16": 1},
                "abstained": {},
                "resource_types": ["terraform_data"],
                "problems": [],
                "checkov_version": "3.3.30",
                **over,
            }
            (folder / f"answer-{root}.json").write_text(json.dumps(answer))
        program = folder / "python"
        program.write_text(_CHECKOV.format(folder=folder, first=first))
        program.chmod(0o755)

    def left_behind(self) -> list[str]:
        """Return which files of the checkout's own working folder hold the password."""
        files = [path for path in (self.root / ".lifeboat").rglob("*") if path.is_file() and not path.is_symlink()]
        return [str(path) for path in files if CANARY.encode() in path.read_bytes()]


def small(folder: Path) -> Small:
    """Make one in a folder."""
    declared = "".join(f'variable "{name}" {{\n  default = ""\n}}\n' for name in _VARIABLES)
    for root, text in (("stack", _STACK), ("state", _STATE)):
        place = folder / "terraform" / root
        place.mkdir(parents=True)
        (place / "variables.tf").write_text(declared)
        (place / "main.tf").write_text(text)
        (place / ".terraform.lock.hcl").write_text("")
    (folder / "modules").mkdir()
    policies = folder / "terraform" / "policies"
    policies.mkdir()
    (policies / "builtin.toml").write_text(
        '[CKV_AWS_16]\nasked = true\ntypes = ["aws_db_instance"]\nseverity = "high"\nwhy = "A copy is as secret as its source."\n'
    )
    (folder / "environments").mkdir()
    (folder / "environments" / "x.toml").write_text(_TOML)
    (folder / "environments" / "x.tfvars").write_text(f'password = "{CANARY}"\n')
    return Small(root=folder)
