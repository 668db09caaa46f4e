"""The programs that must be on this machine, with their versions, and what git says of a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

_SERVER_PROGRAMS = ("initdb", "postgres", "pg_basebackup", "pg_archivecleanup")
# Where Debian, Red Hat and the PostgreSQL packages put server programs, which are seldom on PATH.
_SERVER_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin")


def postgres_folder(named: str | None) -> Path | None:
    """Return the folder that holds the newest PostgreSQL server programs; None when some are missing.

    `named` (the variable PG_BIN) names the only folder to look in.
    """
    if named:
        return _complete([Path(named)])
    on_path = shutil.which("initdb")
    folders = [p for pattern in _SERVER_FOLDERS for p in Path("/").glob(pattern)]
    folders.sort(key=lambda p: [int(n) for n in re.findall(r"\d+", str(p))], reverse=True)
    if on_path is not None:
        folders.insert(0, Path(on_path).resolve().parent)
    return _complete(folders)


def _complete(folders: list[Path]) -> Path | None:
    return next((f for f in folders if all((f / name).exists() for name in _SERVER_PROGRAMS)), None)


def bare_environment() -> dict[str, str]:
    """Return what a program needs to say its version, and none of the passwords and tokens of the caller's shell."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR") if key in os.environ}


def version(*argv: str) -> str | None:
    """Return the first number with dots that a program prints of itself; None when there is no such program."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=30, check=False, env=bare_environment())
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"\d+(\.\d+)+", done.stdout + done.stderr)
    return None if found is None else found.group().decode()


def git_sha(folder: Path) -> str | None:
    """Return the commit that a folder is checked out at, "-dirty" when files differ from it; None where git knows none."""
    try:
        asked = [("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")]
        sha, changes = (
            subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True
            ).stdout.strip()
            for arguments in asked
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{sha}-dirty" if changes else sha
