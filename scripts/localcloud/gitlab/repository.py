"""The repository that pipelines run from: a folder on this machine, as it is now, and its commit when git knows it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localcloud.processes import OsUser

CI_FILE = ".gitlab-ci.yml"
LEFT_OUT = {".git", ".venv", ".lifeboat", ".terraform", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The commit that a pipeline is of."""

    sha: str
    title: str
    author: str
    at: datetime


class Repository:
    """One checkout. Every branch of the project has its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ci_text(self) -> str | None:
        """Return the text of .gitlab-ci.yml; None when there is none."""
        path = self.folder / CI_FILE
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    def head(self) -> Commit:
        """Return the checked-out commit; without git, one made up from the content of .gitlab-ci.yml."""
        shown = self._git("show", "--no-patch", "--format=%H%n%s%n%an%n%ct", "HEAD")
        if shown is not None:
            sha, title, author, seconds = (shown.decode(errors="replace").rstrip("\n") + "\n\n\n").split("\n")[:4]
            return Commit(sha=sha, title=title, author=author, at=datetime.fromtimestamp(int(seconds or 0), UTC))
        digest = hashlib.sha1((self.ci_text() or "").encode()).hexdigest()
        return Commit(sha=digest, title="The folder as it is", author="localcloud", at=datetime.now(UTC))

    def files(self) -> list[Path]:
        """Return what a job gets, relative to the folder: tracked and new files, but nothing that git ignores."""
        listed = self._git("ls-files", "--cached", "--others", "--exclude-standard", "-z")
        if listed is None:
            return sorted(_walked(self.folder))
        named = {Path(os.fsdecode(name)) for name in listed.split(b"\0") if name}
        return sorted(path for path in named if not LEFT_OUT & set(path.parts))

    def copy(self, target: Path, user: OsUser) -> None:
        """Copy the files to a new folder that belongs to the account jobs run as; symbolic links stay links."""
        target.mkdir(parents=True)
        user.own(target)
        for path in self.files():
            source = self.folder / path
            if not source.is_symlink() and not source.is_file():
                continue  # deleted in the working tree, or a submodule
            for folder in reversed(path.parents[:-1]):
                made = target / folder
                if not made.exists():
                    made.mkdir()
                    user.own(made)
            shutil.copy2(source, target / path, follow_symlinks=False)
            if user.name is not None:
                os.chown(target / path, user.uid, user.gid, follow_symlinks=False)

    def _git(self, *words: str) -> bytes | None:
        if not (self.folder / ".git").exists():
            return None
        # The folder may belong to somebody else than this process; it is only read.
        ended = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", str(self.folder), *words],
            capture_output=True,
            check=False,
            env={k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        )
        return ended.stdout if ended.returncode == 0 else None


def _walked(root: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        found += [(Path(folder) / name).relative_to(root) for name in (*names, *linked)]
    return found
