"""The Terraforms that run on this machine, and which state each of them works on, whoever started them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

# Also terraform-1.11 and terraform_1.11.4_x5, as several are kept side by side; not its providers, nor terraform-ls.
_TERRAFORM = re.compile(r"terraform([-_]?v?\d[\w.-]*)?(\.exe)?")


@dataclass(frozen=True, kw_only=True)
class TerraformProcess:
    """A Terraform at work: where, since when, and its state as bucket/key; None where this cannot be found out.

    It is "" where it works on no state in S3. One that is `initialising` locks a state only to move it. `endpoint` is what
    plays AWS for it, as its environment variables say; "" where they do not.
    """

    pid: int
    folder: str
    began: datetime
    state: str | None
    initialising: bool = False
    endpoint: str = ""


def running() -> list[TerraformProcess]:
    """Return the Terraforms of this machine, their providers left out."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if _TERRAFORM.fullmatch(process.name()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(_looked_at(process))
    return found


def _looked_at(process: psutil.Process) -> TerraformProcess:
    began = datetime.fromtimestamp(process.create_time(), UTC)
    try:
        folder, arguments, env = Path(process.cwd()), process.cmdline(), process.environ()
    except (psutil.AccessDenied, OSError):
        return TerraformProcess(pid=process.pid, folder="a folder that may not be seen", began=began, state=None)
    chosen = next((a.removeprefix("-chdir=") for a in arguments if a.startswith("-chdir=")), "")
    root = folder / chosen
    data = root / env.get("TF_DATA_DIR", ".terraform")
    return TerraformProcess(
        pid=process.pid,
        folder=str(root),
        began=began,
        state=_state(data, arguments),
        initialising="init" in arguments,
        endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL", ""),
    )


def _state(data: Path, arguments: list[str]) -> str | None:
    """Return the state that a data folder was initialised for."""
    try:
        document: Any = json.loads((data / "terraform.tfstate").read_bytes())
        backend = document.get("backend") or {}
        settings = backend.get("config") or {}
        return f"{settings.get('bucket')}/{settings.get('key')}" if backend.get("type") == "s3" else ""
    except FileNotFoundError:
        return _initialising(arguments)
    except (OSError, ValueError, AttributeError):
        return None


def _initialising(arguments: list[str]) -> str | None:
    """Return the state of a Terraform without such a file: it has no backend, or its init has not written the file yet."""
    if "init" not in arguments or "-backend=false" in arguments:
        return ""
    prefix = "-backend-config="
    given = dict(a.removeprefix(prefix).partition("=")[::2] for a in arguments if a.startswith(prefix))
    return f"{given['bucket']}/{given['key']}" if {"bucket", "key"} <= given.keys() else None
