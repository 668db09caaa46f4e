"""Sabotage: in a copy of the package, each check of a status in turn says that all is well, or is not made; its tests must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lifeboat.decisions.status.registry import CHECKS

from tests.rehearsal import ROOT

SUITE = "tests/status/test_checks.py"
REGISTRY = Path("decisions") / "status" / "registry.py"
# What is added to the registry of the copy, where it is too late for nothing: whoever takes the list takes this one.
SILENCED = """

from dataclasses import replace
from lifeboat.decisions.status.check import Good
CHECKS = tuple(replace(one, judge=lambda _: Good(says="all is well")) if one.id == {id!r} else one for one in CHECKS)
BY_ID = {{one.id: one for one in CHECKS}}
"""
LEFT_OUT = """

CHECKS = tuple(one for one in CHECKS if one.id != {id!r})
BY_ID = {{one.id: one for one in CHECKS}}
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, which Python takes before the one that is installed."""
    folder = tmp_path_factory.mktemp("sabotage")
    shutil.copytree(ROOT / "scripts" / "lifeboat", folder / "lifeboat", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def suite(copied: Path, added: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of the checks on the copy with something added to its registry, which is as it was afterwards."""
    registry = copied / "lifeboat" / REGISTRY
    whole = registry.read_text()
    env = {**os.environ, "PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("PYTEST_ADDOPTS", None)
    try:
        registry.write_text(whole + added)
        where = subprocess.run(
            [sys.executable, "-c", "from lifeboat.decisions.status import registry; print(registry.__file__)"],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert where.stdout.strip() == str(registry)
        argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "0", SUITE]
        return subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        registry.write_text(whole)


def test_without_sabotage_the_suite_passes_on_the_copy(copied: Path) -> None:
    done = suite(copied, "")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("sabotage", [SILENCED, LEFT_OUT], ids=["silenced", "left out"])
@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_a_check_that_is_disabled_makes_the_suite_fail(copied: Path, check: str, sabotage: str) -> None:
    done = suite(copied, sabotage.format(id=check))

    # 1 is a failed assertion; an error of the copy itself would end with 2 and prove nothing.
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout
