"""The tests of one stack, or of one file's cloud, run on one worker: otherwise each worker builds its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ON_THE_STACK

ROOT = Path(__file__).parent.parent


def test_a_worker_knows_the_group_of_each_test() -> None:
    # xdist writes the group behind the test's id, which is how its scheduler keeps a group together.
    probe = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder", "-v"),
            *("-p", "no:cacheprovider", "tests/localcloud/test_cron.py"),
        ],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_XDIST", "PYTEST_ADDOPTS"))},
        capture_output=True,
        text=True,
        check=False,
    )

    ran = [line for line in probe.stdout.splitlines() if " PASSED " in line]
    assert probe.returncode == 0, probe.stdout
    assert len(ran) > 10
    assert len({line.split()[0] for line in ran}) == 1
    assert all(line.rstrip().endswith("@test_cron") for line in ran)


def test_the_fixture_that_marks_a_test_of_the_stack_exists() -> None:
    assert f"def {ON_THE_STACK}(" in (ROOT / "tests" / "fixtures.py").read_text()
