"""Every command of the README is run, in its order, in an applied checkout."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.rehearsal import ROOT, Rehearsal, passed

README = (ROOT / "README.md").read_text()
# What runs elsewhere: CI calls the last two itself, the fixture the first, test_destroy the second, test_make_scan the third.
ELSEWHERE = {"make apply", "make destroy", "make scan", "make test", "make lint"}


def commands() -> list[str]:
    """Return the lines of the README's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_every_path_in_the_readme_exists() -> None:
    paths = re.findall(r"\]\(([^)#]+)\)", README)

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))

    assert {name.split()[1] for name in ELSEWHERE} <= targets


@pytest.mark.usefixtures("saved")
def test_every_command_of_the_readme_works(saved: Rehearsal) -> None:
    shown = [line for line in commands() if line not in ELSEWHERE]
    script = "set -euo pipefail\n" + "\n".join(f"echo {shlex.quote('$ ' + line)}; {line}" for line in shown)

    done = saved.run("bash", "-c", script)

    passed(saved.lifeboat("local", "up"))
    passed(done)
    assert all(f"$ {line}" in done.stdout for line in shown)
    assert "The first note" in done.stdout
    assert "nothing was changed" in done.stdout
    assert "RTO 0:0" in done.stdout


def test_what_the_readme_leaves_to_others_is_run_by_them() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    destroy = (ROOT / "tests" / "commands" / "test_destroy.py").read_text()
    fixture = Path(ROOT / "tests" / "fixtures.py").read_text()

    assert "make test" in ci
    assert "make lint" in ci
    assert '"make", "destroy"' in destroy
    assert '"make", "scan"' in (ROOT / "tests" / "long" / "test_make_scan.py").read_text()
    assert '"make", "apply"' in fixture
