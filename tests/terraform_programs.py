"""Programs that are called terraform, work in a folder for as long as a test lasts, and do nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lifeboat.clients import terraform_processes

from tests.localcloud.machines import until


class Start(Protocol):
    """How one is started: in a folder, initialised as `data` says (None: not at all); its number is returned.

    `variable` names a data folder of another name, by its environment variable; `env` is all the environment that it has.
    """

    def __call__(self, folder: Path, data: object, *arguments: str, variable: str = "", **env: str) -> int: ...


@contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Give how to start one; all that were started end with the block."""
    program = folder / "terraform"
    folder.mkdir()
    # A script would be called by its interpreter's name; of tail's arguments all but the last are files that are not there.
    shutil.copy(shutil.which("tail") or "", program)
    started: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, data: object, *arguments: str, variable: str = "", **env: str) -> int:
        place = folder / (variable or ".terraform")
        place.mkdir(parents=True)
        if data is not None:
            (place / "terraform.tfstate").write_text(data if isinstance(data, str) else json.dumps(data))
        env |= {"TF_DATA_DIR": str(place)} if variable else {}
        argv = [program, "-f", "/dev/null", "--", *arguments]
        started.append(subprocess.Popen(argv, cwd=folder, env=env, stderr=subprocess.DEVNULL))
        pid = started[-1].pid
        until(lambda: any(found.pid == pid for found in terraform_processes.running()), 20)
        return pid

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
