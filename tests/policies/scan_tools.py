"""The scan tools of this checkout, for tests. They must be there: a test of them that is skipped has not looked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "terraform" / "policies"
BIN = ROOT / ".venv-scan" / "bin"
ANSWERS = Path(__file__).with_name("in_checkov") / "answers.py"
LOST = ANSWERS.with_name("lost.py")
SECONDS = 500.0
ENVIRONMENT = {
    "CKV_SKIP_PACKAGE_UPDATE_CHECK": "True",
    "BC_SKIP_MAPPING": "TRUE",
    "LOG_LEVEL": "ERROR",
    "HCL_PARSE_TIMEOUT_SEC": "60",
}


def run(program: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of the scan tools' virtual environment."""
    assert (BIN / program).exists(), "the scan tools are not installed: make scan-tools"
    return subprocess.run(
        [str(BIN / program), *arguments],
        input=given,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
