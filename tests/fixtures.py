"""One stack for all tests, applied once by the real command, and gone back to before each test that changes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed


@dataclass(frozen=True, kw_only=True)
class FirstApply:
    """The first apply of a fresh checkout: what it printed, and the checkout."""

    rehearsal: Rehearsal
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def first_apply() -> Iterator[FirstApply]:
    """A checkout after `make apply` without arguments, credentials or terminal."""
    with open_folder() as folder:
        rehearsal = checkout(folder / "checkout")
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
    saved.load("applied")
