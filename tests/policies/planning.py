"""Roots planned offline with the real Terraform and provider, as JSON: nobody is asked, and every way out is closed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.modules.terraform_runs import Terraform

# Nobody listens on the discard port: a call that should not be made fails at once instead of going out.
_NOBODY = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "dummy",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}
_OFFLINE = """\
provider "aws" {
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}
"""
_ALIAS = (
    'provider "aws" {{\n  alias = "{}"\n  skip_credentials_validation = true\n  skip_requesting_account_id = true\n}}\n'
)


@dataclass(frozen=True, kw_only=True)
class Root:
    """A copy of a root in a folder of its own."""

    folder: Path
    terraform: Terraform

    def planned(self) -> dict[str, Any]:
        """Return its plan, as Terraform describes it to programs."""
        for arguments in (("init", "-no-color"), ("plan", "-no-color", "-out=plan")):
            done = self.terraform.run(*arguments, cwd=self.folder, environment=_NOBODY)
            assert done.returncode == 0, done.stdout + done.stderr
        shown = self.terraform.run("show", "-json", "plan", cwd=self.folder)
        assert shown.returncode == 0, shown.stderr
        document: dict[str, Any] = json.loads(shown.stdout)
        return document


def offline(root: Path, terraform: Terraform, *aliases: str) -> Root:
    """Return a copy of a root whose provider, with these aliases, asks nobody who it is."""
    folder = Path(shutil.copytree(root, terraform.folder / f"foreign-{root.name}"))
    text = _OFFLINE + "".join(_ALIAS.format(alias) for alias in aliases)
    (folder / "offline_override.tf").write_text(text, encoding="utf-8")
    return Root(folder=folder, terraform=terraform)
