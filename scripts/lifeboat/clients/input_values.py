"""The values of an environment's inputs, read by Terraform itself: as they are written, and as the variables take them."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.clients import programs

_SECONDS = 60.0
_VARIABLE = re.compile(r'^variable\s+"([^"]+)"', re.MULTILINE)
_ANSWER = re.compile(r'^"([A-Za-z0-9+/=]+)"\s*\Z', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Both, by variable. They hold what is secret: nothing of them may be printed but names."""

    written: Mapping[str, Any]
    taken: Mapping[str, Any]


def read(root: Path, files: Sequence[Path], given: Mapping[str, str]) -> Inputs | None:
    """Return the values of a root's var-files; None where Terraform cannot tell, which a plan then says better.

    `given` are the variables that come of no file. Needs neither provider nor state, and 0.2 s of CPU.
    """
    declared = root / "variables.tf"
    text = declared.read_text(encoding="utf-8") if declared.is_file() else ""
    names = _VARIABLE.findall(text)
    if not names:
        return None
    anything = "".join(f'variable "{name}" {{\n  type    = any\n  default = null\n}}\n' for name in names)
    written = _evaluated(anything, names, [f"-var-file={path}" for path in files])
    arguments = [*(f"-var-file={path}" for path in files), *(f"-var={key}={value}" for key, value in given.items())]
    taken = None if written is None else _evaluated(text, names, arguments)
    if written is None or taken is None:
        return None
    return Inputs(written={name: value for name, value in written.items() if value is not None}, taken=taken)


def _evaluated(declared: str, names: Sequence[str], arguments: Sequence[str]) -> dict[str, Any] | None:
    pairs = ", ".join(f"{name} = nonsensitive(var.{name})" for name in names)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "variables.tf").write_text(declared, encoding="utf-8")
        try:
            done = subprocess.run(
                ["terraform", "console", "-no-color", *arguments],
                cwd=folder,
                env={**programs.bare_environment(), "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": "/dev/null"},
                # As base64 nothing in it is written otherwise by the console, which quotes texts in its own way.
                input=f"base64encode(jsonencode({{{pairs}}}))".encode(),
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    # Before it there may be warnings, of variables that are declared elsewhere or nowhere.
    answer = _ANSWER.search(done.stdout.decode(errors="replace"))
    if done.returncode != 0 or answer is None:
        return None
    values: dict[str, Any] = json.loads(base64.b64decode(answer[1]))
    return values
