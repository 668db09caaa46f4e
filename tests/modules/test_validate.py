"""Both roots, and with them every module, are valid and take the committed lock file as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.modules.terraform_runs import Terraform
from tests.rehearsal import ROOT


@pytest.mark.parametrize("root", ["state", "stack"])
def test_a_root_is_valid_with_the_committed_lock_file(terraform: Terraform, tmp_path: Path, root: str) -> None:
    for name in ("terraform", "modules"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    folder = tmp_path / "terraform" / root

    prepared = terraform.run("init", "-backend=false", "-lockfile=readonly", "-no-color", cwd=folder)
    valid = terraform.run("validate", "-no-color", cwd=folder)

    assert prepared.returncode == 0, prepared.stderr
    assert valid.returncode == 0, valid.stderr
    assert "Success! The configuration is valid." in valid.stdout


def test_every_module_is_part_of_the_stack_or_of_the_state_root() -> None:
    used = "".join(path.read_text() for path in (ROOT / "terraform").glob("*/*.tf"))

    assert [m.name for m in (ROOT / "modules").iterdir() if f'"../../modules/{m.name}"' not in used] == []
