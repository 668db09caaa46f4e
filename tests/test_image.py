"""The image of the dump job: what can be known of it without a Docker engine."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import runtime_lock
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def instructions(word: str) -> list[str]:
    text = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return [line.removeprefix(f"{word} ").strip() for line in text.splitlines() if line.startswith(f"{word} ")]


def installed(*more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/runtime_lock.py", *more], cwd=ROOT, capture_output=True, text=True, check=False
    )


def pinned(lock: str) -> set[str]:
    return {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}


def needed(names: list[str]) -> set[str]:
    """Return what is installed here for these requirements, themselves included, by the packages' own metadata."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        for line in importlib.metadata.requires(name) or []:
            child = Requirement(line)
            wanted = [""] if not requirement.extras else [*requirement.extras, ""]
            applies = child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in wanted)
            if applies and (re.sub(r"[-_.]+", "-", child.name).lower() not in found or child.extras):
                waiting.append(child)
        found.add(name)
    return found


def test_everything_that_is_copied_is_there() -> None:
    sources = [name for line in instructions("COPY") for name in line.split()[:-1]]

    assert "scripts/lifeboat" in sources
    assert [name for name in sources if not (ROOT / name).exists()] == []


def test_it_runs_the_command_as_a_user_of_its_own_and_writes_where_the_task_has_a_volume() -> None:
    module = (ROOT / "modules/dump-job/main.tf").read_text(encoding="utf-8")
    scratch = re.search(r'_scratch = "(.+)"', module)

    assert scratch is not None
    assert instructions("ENTRYPOINT") == ['["lifeboat"]']
    assert instructions("USER") == ["lifeboat"]
    assert instructions("VOLUME") == [f'["{scratch[1]}"]']
    assert scratch[1].startswith(f"{instructions('WORKDIR')[0]}/")


def test_its_versions_are_those_of_the_project() -> None:
    (python,) = instructions("FROM")
    database = (ROOT / "modules/database/variables.tf").read_text(encoding="utf-8")
    server = re.search(r'engine_version\s+= optional\(string, "(\d+)"\)', database)

    assert server is not None
    assert f"POSTGRESQL_MAJOR={server[1]}" in instructions("ARG")
    assert re.fullmatch(r"python:3\.\d+-slim", python)
    assert PROJECT["requires-python"] == f">={python.removeprefix('python:').removesuffix('-slim')}"


def test_what_it_installs_is_pinned_with_hashes_and_is_all_that_the_program_needs() -> None:
    lock = installed()

    assert lock.returncode == 0, lock.stderr
    blocks = re.split(r"^(?=\S+==)", lock.stdout, flags=re.MULTILINE)[1:]
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert needed(PROJECT["dependencies"]) - pinned(lock.stdout) == set()
    assert {"moto", "pytest", "mypy", "checkov"} & pinned(lock.stdout) == set()
    assert pinned(installed("hatchling").stdout) - pinned(lock.stdout) >= {"hatchling"}


def test_a_lock_that_lacks_a_package_is_said_so() -> None:
    lock = "boto3==1.0 \\\n    --hash=sha256:aa\n    # via lifeboat (pyproject.toml)\n"

    with pytest.raises(SystemExit, match="the lock does not pin psycopg: make it again"):
        runtime_lock.runtime(lock, ["boto3", "psycopg[binary]>=3.2"])


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_tag_that_is_built_is_the_one_that_runs(environment: str) -> None:
    text = (ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8").split("\n---\n", 1)[1]
    job = yaml.safe_load(text)["build_image"]
    image = re.search(r'image = "(\S+/lifeboat):(\S+)"', (ROOT / f"environments/{environment}.tfvars").read_text())

    assert image is not None
    assert image[2] == job["variables"]["LIFEBOAT_TAG"]
