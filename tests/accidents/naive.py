"""What plain Terraform makes of an accident: a plan, and another one once what its own message says was done."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lifeboat.state_model import StateRoot

from tests.accidents.scene import Scene
from tests.rehearsal import passed

PLAN_SECONDS = 300
_PLAN = re.compile(r"Plan: (?:\d+ to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy")
_DIGEST = re.compile(r"Calculated checksum:[ \t]*([0-9a-f]*)")
_LOCK = re.compile(r"\bID:\s+([0-9a-f-]{36})")


class Ends(StrEnum):
    """Where plain Terraform ends."""

    GOES_ON = "goes on"  # makes and destroys nothing that it should not
    REFUSES = "refuses"
    MAKES_AGAIN = "makes again"  # or destroys: what exists is not in the state that it goes by


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a plan ended: its status, the essence of what it said, and how much it would make and destroy."""

    status: int
    says: str
    adds: int = 0
    destroys: int = 0

    @property
    def ends(self) -> Ends:
        if self.status not in (0, 2):
            return Ends.REFUSES
        return Ends.MAKES_AGAIN if self.adds or self.destroys else Ends.GOES_ON


def plan(scene: Scene, root: StateRoot = StateRoot.STACK) -> tuple[Answer, str]:
    """Plan a root with plain Terraform, and return its answer and all that it printed."""
    argv, env = scene.terraform("plan", "-detailed-exitcode", root=root)
    done = scene.rehearsal.run(*argv, seconds=PLAN_SECONDS, **env)
    printed = done.stdout + done.stderr
    return answer(done.returncode, printed), printed


def plan_of_a_file(scene: Scene, state: Path, folder: Path) -> Answer:
    """Plan the stack with plain Terraform by a state in a file, in a copy of the root that knows no bucket."""
    project = scene.site.project
    copy = folder / "terraform" / "stack"
    shutil.copytree(project.stack_root, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    (copy / "own_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    (folder / "modules").symlink_to(project.root / "modules")
    argv, env = scene.terraform("plan", f"-state={state}", "-detailed-exitcode")
    env["TF_DATA_DIR"] = str(folder / "data")
    words = [f"-chdir={copy}" if word.startswith("-chdir=") else word for word in argv]
    passed(scene.rehearsal.run("terraform", f"-chdir={copy}", "init", "-no-color", **env))
    done = scene.rehearsal.run(*words, seconds=PLAN_SECONDS, **env)
    return answer(done.returncode, done.stdout + done.stderr)


def answer(status: int, printed: str) -> Answer:
    """Return what a plan came to."""
    found = _PLAN.search(printed)
    if status == 1 or found is None:
        return Answer(status=status, says=_error(printed) if status == 1 else "no changes")
    adds, _, destroys = (int(number) for number in found.groups())
    return Answer(status=status, says=found.group(), adds=adds, destroys=destroys)


def _error(printed: str) -> str:
    """Return the first sentence of the first error, or how it begins."""
    return in_one_line(printed.partition("Error: ")[2]).partition(". ")[0][:120]


def in_one_line(printed: str) -> str:
    """Return what Terraform printed without the ends of lines and the bars that it draws beside errors."""
    return " ".join(" ".join(line.strip(" │╷╵") for line in printed.splitlines()).split())


def advised(scene: Scene, printed: str) -> str | None:
    """Do what Terraform's message says and people do, and return it in words; None where it says nothing of the kind."""
    digest, lock = _DIGEST.search(printed), _LOCK.search(printed)
    if digest is not None and digest.group(1):
        scene.put_digest(digest.group(1))
        return "write the calculated checksum into the table"
    if digest is not None:
        scene.delete_digest()
        return "delete the digest, since the calculated checksum is empty"
    if lock is not None:
        argv, env = scene.terraform("force-unlock", "-force", lock.group(1))
        passed(scene.rehearsal.run(*argv, **env))
        return "terraform force-unlock"
    return None
