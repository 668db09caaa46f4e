"""Files that jobs leave for later ones: which are kept, from whom a job gets them, and variables in dotenv reports."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcloud.gitlab.records import Record, Records
from localcloud.processes import OsUser

# doc/ci/yaml/artifacts_reports.md, artifacts:reports:dotenv: 5 KiB and 20 variables
DOTENV_BYTES, DOTENV_VARIABLES = 5 * 1024, 20
_DOTENV = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was kept of a job."""

    files: list[str]
    dotenv: dict[str, str]
    missing: list[str]


def sources(records: Records, job: Record) -> list[Record]:
    """Return the jobs whose files a job gets: those it needs, else those of all earlier stages, less `dependencies`."""
    jobs = records.jobs_of(records.pipeline_of(job))
    if job["needs"] is not None:
        names = {need["job"] for need in job["needs"] if need["artifacts"]}
        found = [j for j in jobs if j["name"] in names]
    else:
        found = [j for j in jobs if j["stage_idx"] < job["stage_idx"]]
    if job["dependencies"] is not None:
        found = [j for j in found if j["name"] in job["dependencies"]]
    return found


def bring(folder: Path, names: Iterable[str], workspace: Path, user: OsUser) -> None:
    """Copy kept files into a job's workspace."""
    for name in names:
        target = workspace / name
        for parent in reversed(target.relative_to(workspace).parents[:-1]):
            if not (workspace / parent).exists():
                (workspace / parent).mkdir()
                user.own(workspace / parent)
        target.unlink(missing_ok=True)
        shutil.copy2(folder / name, target)
        user.own(target)


def keep(wanted: Record, workspace: Path, target: Path) -> Kept:
    """Copy the files that a job's `artifacts` name; none from outside of the workspace."""
    patterns = [*wanted["paths"], *(path for paths in wanted["reports"].values() for path in paths)]
    chosen: dict[str, Path] = {}
    missing = []
    for pattern in patterns:
        found = _matching(workspace, pattern)
        missing += [] if found else [pattern]
        chosen |= found
    for pattern in wanted["exclude"]:
        chosen = {name: path for name, path in chosen.items() if not fnmatch.fnmatchcase(name, pattern)}
    shutil.rmtree(target, ignore_errors=True)
    for name, path in chosen.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / name)
    dotenv: dict[str, str] = {}
    for pattern in wanted["reports"].get("dotenv", []):
        for path in _matching(workspace, pattern).values():
            dotenv |= _dotenv(path)
    return Kept(files=sorted(chosen), dotenv=dotenv, missing=missing)


def _matching(workspace: Path, pattern: str) -> dict[str, Path]:
    root = workspace.resolve()
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        return {}
    found: dict[str, Path] = {}
    for path in sorted(workspace.glob(pattern.rstrip("/"))):
        inside = [path] if not path.is_dir() else [Path(f) / n for f, _, names in os.walk(path) for n in names]
        for file in inside:
            if file.is_file() and file.resolve().is_relative_to(root):
                found[str(file.relative_to(workspace))] = file
    return found


def _dotenv(path: Path) -> dict[str, str]:
    if path.stat().st_size > DOTENV_BYTES:
        return {}
    found = [match for line in path.read_text(errors="replace").splitlines() if (match := _DOTENV.fullmatch(line))]
    return {match[1]: match[2] for match in found[:DOTENV_VARIABLES]}
