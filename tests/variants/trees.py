"""Both roots with their modules in a folder of their own, where defects are edited in and planned offline for production."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.rule import Finding, Scan, Standing

from tests.modules.terraform_runs import Terraform
from tests.rehearsal import ROOT
from tests.variants.edits import Variant

# Nobody listens on the discard port: a call that should not be made fails at once instead of going out.
_NOBODY = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "dummy",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}
_IDENTITY = {
    "name": "app-production",
    "environment": "production",
    "account_id": "123456789012",
    "region": "eu-west-1",
    "dr_region": "eu-central-1",
    "offline": "true",
}
_LEFT_BEHIND = shutil.ignore_patterns(".terraform", "*.tfstate*", "tests", "examples", "*.recovery.tfvars.json")


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A copy of everything that the plans of production are made from, initialised."""

    folder: Path
    terraform: Terraform

    @contextmanager
    def having(self, variant: Variant) -> Iterator[None]:
        """Have a defect in the tree for a while."""
        put_back = variant.apply(self.folder)
        try:
            yield
        finally:
            put_back()

    def digest(self, root: str) -> str:
        """Return what tells one content of the files of a root from another."""
        found = hashlib.sha256(root.encode())
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in (".tf", ".tfvars", ".tftpl", ".sh", ".hcl") and ".terraform" not in path.parts:
                found.update(str(path.relative_to(self.folder)).encode() + path.read_bytes())
        return found.hexdigest()

    def planned(self, root: str) -> dict[str, Any]:
        """Return the plan of a root, as Terraform describes it to programs. Raises AssertionError with why there is none."""
        folder = self.folder / "terraform" / root
        files = [f"-var-file={self.folder / 'environments' / 'production.tfvars'}"] if root == "stack" else []
        given = [f"-var={name}={value}" for name, value in _IDENTITY.items()]
        for arguments in (
            ("plan", "-no-color", "-refresh=false", "-out=plan", *files, *given),
            ("show", "-json", "plan"),
        ):
            done = self.terraform.run(*arguments, cwd=folder, environment=_NOBODY)
            assert done.returncode == 0, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


def tree(terraform: Terraform, folder: Path, *roots: str) -> Tree:
    """Return a tree in a folder, with these of its roots initialised."""
    for name in ("environments", "modules", *(f"terraform/{root}" for root in roots)):
        shutil.copytree(ROOT / name, folder / name, ignore=_LEFT_BEHIND)
    for root in roots:
        place = folder / "terraform" / root
        if root == "stack":
            (place / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n', encoding="utf-8")
        done = terraform.run("init", "-no-color", "-lockfile=readonly", cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
    return Tree(folder=folder, terraform=terraform)


def judged(document: dict[str, Any]) -> Scan:
    """Return what the rules say of a plan for a first apply."""
    return judging.scanned(reading.from_document(document), standing=Standing.TO_BUILD)


def new_in(scan: Scan, good: Scan) -> list[Finding]:
    """Return what is found in one plan and not in another."""
    known = {(one.rule, one.address, one.found) for one in good.findings}
    return [one for one in scan.findings if (one.rule, one.address, one.found) not in known]
