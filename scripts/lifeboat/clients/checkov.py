"""checkov, run once in the scan tools' own virtual environment: its findings, its skips, and whether it really looked."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from lifeboat.checkov_model import Asked, CheckovFinding, CheckovRun, CheckovSkip
from lifeboat.clients.programs import bare_environment, first_line
from lifeboat.errors import Failed, WrongConfiguration

LONGEST_SECONDS = 600.0
_INSTALL = "make scan-tools"
# No question about newer versions, no file dropped because a busy machine parses slowly, no parse error passed over; and
# what would send the configuration to its maker is not handed on.
_ENVIRONMENT = {
    "CKV_SKIP_PACKAGE_UPDATE_CHECK": "True",
    "BC_SKIP_MAPPING": "TRUE",
    "CKV_PARSE_ERROR_FAIL": "true",
    "HCL_PARSE_TIMEOUT_SEC": "60",
    "LOG_LEVEL": "ERROR",
    "PYTHONUTF8": "1",
}


class Checkov:
    """The scan tools of a checkout: the Python of `.venv-scan`, and the rules in `terraform/policies`."""

    def __init__(self, *, python: Path, policies: Path) -> None:
        self._python = python
        self._policies = policies

    def run(self, asked: Asked) -> CheckovRun:
        """Return what checkov says of a root, and everything that went wrong with it among its `problems`.

        Raises WrongConfiguration where the scan tools are not installed or there is no such root or file, Failed where
        checkov did not end within ten minutes or answered nothing that can be read.
        """
        self._require(asked)
        question = {
            "root": str(asked.root.resolve()),
            "var_files": [str(path.resolve()) for path in asked.var_files],
            "built_in": list(asked.built_in),
            "plan": None if asked.plan is None else str(asked.plan.resolve()),
        }
        try:
            ended = subprocess.run(
                [str(self._python), str(self._policies / "process" / "lb_scan.py")],
                input=json.dumps(question).encode(),
                capture_output=True,
                env={**bare_environment(), **_ENVIRONMENT},
                timeout=LONGEST_SECONDS,
                check=False,
                start_new_session=True,  # ended as a group: see programs.end_children
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"checkov did not end within {LONGEST_SECONDS:g} s", hint="lifeboat scan --native") from None
        except OSError as error:
            raise WrongConfiguration(f"{self._python} cannot be run: {error.strerror}", hint=_INSTALL) from None
        if ended.returncode != 0:
            said = first_line(_last_line(ended.stderr))
            raise Failed(f"checkov ended with status {ended.returncode}: {said}", hint=_INSTALL)
        return _read(ended.stdout)

    def _require(self, asked: Asked) -> None:
        if not os.access(self._python, os.X_OK):
            raise WrongConfiguration(f"the scan tools are not installed: there is no {self._python}", hint=_INSTALL)
        for path in (asked.root, *asked.var_files, *([] if asked.plan is None else [asked.plan])):
            if not path.exists():
                raise WrongConfiguration(f"there is no {path} to scan", hint="lifeboat scan --help")


def _last_line(said: bytes) -> str:
    """Return the last line of what was said: of a traceback the error itself, which names no value of a plan."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _read(text: bytes) -> CheckovRun:
    try:
        answer: Any = json.loads(text)
        return CheckovRun(
            findings=tuple(
                CheckovFinding(**{**one, "lines": (int(one["lines"][0]), int(one["lines"][1]))})
                for one in answer["findings"]
            ),
            skipped=tuple(CheckovSkip(**one) for one in answer["skipped"]),
            evaluated=answer["evaluated"],
            abstained=answer["abstained"],
            resource_types=frozenset(answer["resource_types"]),
            problems=tuple(answer["problems"]),
            checkov_version=answer["checkov_version"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(
            f"what checkov's process answered cannot be read ({type(error).__name__})", hint="make scan-tools"
        ) from None
