"""One stack, applied once by the real command, and gone back to before each test that changes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.rehearsal import Rehearsal, checkout, passed


@dataclass(frozen=True, kw_only=True)
class FirstApply:
    """The first apply of a fresh checkout: what it printed, and the checkout."""

    rehearsal: Rehearsal
    done: subprocess.CompletedProcess[str]


def open_to_others(path: pytest.TempPathFactory) -> None:
    """Let the account that PostgreSQL runs as pass through pytest's folders (private by default)."""
    for folder in (path.getbasetemp(), *path.getbasetemp().parents[:1]):
        folder.chmod(folder.stat().st_mode | 0o011)


@pytest.fixture(scope="session")
def first_apply(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstApply]:
    """A checkout after `make apply` without arguments, credentials or terminal."""
    open_to_others(tmp_path_factory)
    rehearsal = checkout(tmp_path_factory.mktemp("applied", numbered=False).absolute() / "checkout")
    rehearsal.root.parent.chmod(0o755)
    done = rehearsal.run("make", "apply")
    yield FirstApply(rehearsal=rehearsal, done=done)
    rehearsal.lifeboat("local", "down")


@pytest.fixture(scope="session")
def saved(first_apply: FirstApply) -> Rehearsal:
    """The applied checkout, with its whole cloud saved as `applied`."""
    passed(first_apply.done)
    passed(first_apply.rehearsal.lifeboat("local", "save", "applied"))
    return first_apply.rehearsal


@pytest.fixture
def stack(saved: Rehearsal) -> Iterator[Rehearsal]:
    """The applied stack, for a test that changes it: afterwards the save is loaded again."""
    before = {path: path.read_text() for path in (saved.root / "environments").iterdir()}
    yield saved
    for path in (saved.root / "environments").iterdir():
        if path in before:
            path.write_text(before[path])
        else:
            path.unlink()
    passed(saved.lifeboat("local", "up"))
    passed(saved.lifeboat("local", "load", "applied"))
