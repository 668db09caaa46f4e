"""The programs that must be on this machine, with their versions, and what git says of a checkout."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from lifeboat.errors import Unreachable
from lifeboat.model import FoundVersion

ANSWER_SECONDS = 30.0
_LONGEST_LINE = 200
_SERVER_PROGRAMS = ("initdb", "postgres", "pg_basebackup", "pg_archivecleanup")
# Where Debian, Red Hat and the PostgreSQL packages put server programs, which are seldom on PATH.
_SERVER_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a program printed; `problem` says why that is none, with the program's path."""

    text: str = ""
    problem: str = ""


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


def answer(*argv: str, seconds: float = ANSWER_SECONDS, more: Mapping[str, str] | None = None) -> Answer:
    """Ask a program something short, such as its version, within `seconds` and with `more` environment variables."""
    path = shutil.which(argv[0])
    if path is None:
        return Answer(problem="not on PATH")
    env = {**bare_environment(), **(more or {})}
    try:
        # In a group of its own: of a shim that hangs, what it started is ended too.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        return Answer(problem=f"{path} cannot be run: {error.strerror}")
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return Answer(problem=f"{path} did not answer within {seconds:g} s")
            raise
    text = (out + err).decode(errors="replace")
    if process.returncode != 0:
        said = first_line((err + out).decode(errors="replace"))
        return Answer(problem=f"{path} ended with status {process.returncode}: {said}")
    return Answer(text=text)


def end_children() -> None:
    """End at once what this process started and still waits for, with all that this started in its turn.

    What leads a group ends with it in one call, so nothing that it starts meanwhile is left to hold its pipes.
    """
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


def first_line(text: str) -> str:
    """Return the first line that says something, without what would colour or move a terminal."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = ("".join(c for c in line if c.isprintable()).strip() for line in plain.splitlines())
    return next((line[:_LONGEST_LINE] for line in lines if line), "it said nothing")


def version(*argv: str) -> FoundVersion:
    """Return the first number with dots that a program prints of itself."""
    said = answer(*argv)
    if said.problem:
        return FoundVersion(words=said.problem)
    found = re.search(r"\d+(\.\d+)+", said.text)
    if found is None:
        return FoundVersion(words=f"{shutil.which(argv[0])} does not say its version: {first_line(said.text)}")
    return FoundVersion(numbers=tuple(int(n) for n in found.group().split(".")), words=found.group())


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


def tracked(path: Path) -> bool:
    """Return whether git has a version of a file, there or not; True where git cannot say."""
    asked = ["git", "-C", str(path.parent), "ls-files", "--", path.name]
    try:
        return bool(subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip())
    except (OSError, subprocess.SubprocessError):
        return True


def uncommitted(path: Path) -> bool:
    """Return whether git lacks a file as it is here. Raises Unreachable where git cannot say."""
    asked = ["git", "-C", str(path.parent), "status", "--porcelain", "--ignored", "--", path.name]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unreachable(f"git cannot say whether {path.name} is committed: {error}") from error
    return bool(said.strip())
