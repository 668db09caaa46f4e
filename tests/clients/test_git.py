"""The commit that a checkout is at."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lifeboat.clients.programs import git_sha


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("1")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return tmp_path


def test_a_clean_checkout_is_at_its_commit(repository: Path) -> None:
    (repository / "untracked").write_text("")

    assert git_sha(repository) == git(repository, "rev-parse", "HEAD")


def test_a_changed_file_makes_it_dirty(repository: Path) -> None:
    (repository / "a").write_text("2")

    assert git_sha(repository) == f"{git(repository, 'rev-parse', 'HEAD')}-dirty"


def test_a_folder_that_is_no_checkout_has_none(tmp_path: Path) -> None:
    assert git_sha(tmp_path) is None


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    assert git_sha(tmp_path) is None


def test_without_git_there_is_none(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))

    assert git_sha(repository) is None
