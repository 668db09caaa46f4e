"""One stack for all tests, applied once by the real command, and gone back to before each test that changes it."""

from __future__ import annotations

import shutil
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


_AS_APPLIED = pytest.StashKey[Rehearsal]()


@pytest.fixture(scope="session")
def saved(first_apply: FirstApply, pytestconfig: pytest.Config) -> Rehearsal:
    """The applied checkout, with its whole cloud saved as `applied`."""
    passed(first_apply.done)
    passed(first_apply.rehearsal.lifeboat("local", "save", "applied"))
    shutil.copytree(first_apply.rehearsal.root / "environments", first_apply.rehearsal.root / "applied")
    pytestconfig.stash[_AS_APPLIED] = first_apply.rehearsal
    return first_apply.rehearsal


@pytest.fixture(scope="module", autouse=True)
def found_as_applied(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave to the next file on this worker the stack and its files as they were applied, whatever a file did to them."""
    yield
    rehearsal = request.config.stash.get(_AS_APPLIED, None)
    used = any("first_apply" in getattr(i, "fixturenames", ()) for i in request.session.items if i.path == request.path)
    if rehearsal is not None and used and (rehearsal.root / ".lifeboat/local/cloud/saves/applied").exists():
        _restore(rehearsal)


def _restore(rehearsal: Rehearsal) -> None:
    shutil.rmtree(rehearsal.root / "environments")
    shutil.copytree(rehearsal.root / "applied", rehearsal.root / "environments")
    (rehearsal.root / "terraform" / "stack" / "errored.tfstate").unlink(missing_ok=True)
    rehearsal.load("applied")


@pytest.fixture
def stack(saved: Rehearsal) -> Iterator[Rehearsal]:
    """The applied stack, for a test that changes it: afterwards the save is loaded again."""
    yield saved
    _restore(saved)
