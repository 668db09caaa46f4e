"""A stack applied in a lock mode, gone back to before each accident, and left as it was found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lifeboat.state_model import LockMode

from tests.accidents.scene import Scene
from tests.faults.counted import existing
from tests.rehearsal import Rehearsal, passed

WORK = Path(".lifeboat/local")
ROOT_STATE = "state-root.tfstate"
# What this machine knows of the states.
KNOWN = ("known-state.json", ROOT_STATE)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stack applied in a lock mode, and how to go back to it."""

    scene: Scene
    reset: Callable[[], None]


@contextmanager
def staged(saved: Rehearsal, mode: LockMode, kept: Path) -> Iterator[Stage]:
    """Apply a stack that is saved as `applied` in this lock mode; `kept` is an empty folder for what is put back."""
    work, first = saved.root / WORK, kept / "first"
    shutil.copytree(saved.root / "environments", first)
    shutil.copy(work / ROOT_STATE, kept / f"first-{ROOT_STATE}")
    _switch(saved, mode)
    for name in KNOWN:
        shutil.copy(work / name, kept / name)
    shutil.copytree(saved.root / "environments", kept / "environments")

    def reset() -> None:
        saved.load(f"applied-{mode}")
        saved.control("faults", clear=True)
        shutil.copytree(kept / "environments", saved.root / "environments", dirs_exist_ok=True)
        for name in KNOWN:
            shutil.copy(kept / name, work / name)
        for name in ("runs", "journals"):
            shutil.rmtree(work / name, ignore_errors=True)
        for left in (saved.root / "terraform").glob("*/errored.tfstate*"):
            left.unlink()

    def change() -> None:
        saved.edit("environments/local.tfvars", r"retention_days\s*=\s*\d+", "retention_days = 21")

    yield Stage(scene=Scene(rehearsal=saved, env="local", change=change, counted=lambda: existing(saved)), reset=reset)
    reset()
    passed(saved.lifeboat("local", "load", "applied"))  # this machine then remembers no state
    shutil.copytree(first, saved.root / "environments", dirs_exist_ok=True)
    shutil.copy(kept / f"first-{ROOT_STATE}", work / ROOT_STATE)


def _switch(saved: Rehearsal, mode: LockMode) -> None:
    passed(saved.lifeboat("local", "load", "applied"))
    saved.edit("environments/local.toml", r"^lock_table .*$", f'\\g<0>\nlock_mode = "{mode}"')
    # The version before this one then knows fewer things: one to be copied back over the key by mistake.
    saved.edit("environments/local.tfvars", r"subscribers = \[", '\\g<0>"deputy@lifeboat.test", ')
    passed(saved.lifeboat("apply", "--yes"))
    passed(saved.lifeboat("local", "save", f"applied-{mode}", "--replace"))
