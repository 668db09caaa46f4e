"""Terraform run on a copy of a module, so that nothing it writes lands among the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# The longest, 36 runs, took 35 s on two busy cores.
DEADLINE_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """One Terraform program with its own settings and a folder for copies."""

    program: str
    settings: Path
    folder: Path

    def copy_of(self, module: Path) -> Path:
        """Return a private copy of the module without what earlier runs left in it."""
        copy = self.folder / module.name
        left_behind = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")
        return Path(shutil.copytree(module, copy, ignore=left_behind))

    def run(
        self, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one Terraform command in `cwd`; the caller judges its exit status."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
        return subprocess.run(
            [self.program, *arguments],
            cwd=cwd,
            env={
                **kept,
                "AWS_EC2_METADATA_DISABLED": "true",
                "CHECKPOINT_DISABLE": "1",
                "TF_CLI_CONFIG_FILE": str(self.settings),
                "TF_DATA_DIR": str(self.folder / "data" / cwd.name),
                "TF_INPUT": "0",
                "TF_IN_AUTOMATION": "1",
                **(environment or {}),
            },
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )


@contextmanager
def one_provider(program: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Start one provider that every run of `terraform test` attaches to, and give what the runs' environment needs.

    Only for tests whose providers are all mocked: Terraform then asks the provider for its schemas and nothing else,
    so that two configurations of it cannot get mixed up, and 30 runs start it once instead of 60 times.
    """
    said = folder / "provider.out"
    with said.open("wb") as output:
        process = subprocess.Popen([program, "-debug"], stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := re.search(r"(TF_REATTACH_PROVIDERS)='(.+)'", said.read_text(encoding="utf-8"))):
            assert process.poll() is None, said.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, said.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield {found[1]: found[2]}
    finally:
        process.terminate()
        process.wait(60)
