"""A state's history listed, and two states compared, by the commands as people type them: `make bench`, or this module alone.

LIFEBOAT_BENCH_VERSIONS: how many versions are listed, "100 1000"; LIFEBOAT_BENCH_ROUNDS: how often each way is measured.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from tests.benches import history, measuring, plain_reads
from tests.benches.large_states import resources
from tests.benches.measuring import Meters, Work
from tests.benches.projects import project
from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud
from tests.gitlab_sites import STATE_BUCKET
from tests.rehearsal import CLEAN, ROOT
from tests.state_sites import KEY, state, state_site

VERSIONS = "100 1000"
ROUNDS = "3"
_COMPARED = 2000


def main() -> int:
    """Measure both, and print a table of each."""
    rounds = int(os.environ.get("LIFEBOAT_BENCH_ROUNDS", ROUNDS))
    for count in map(int, os.environ.get("LIFEBOAT_BENCH_VERSIONS", VERSIONS).split()):
        with history.running(count) as served, open_folder() as folder:
            title = f"{count} versions of Terraform's state, each of {history.RESOURCES} resources"
            meters = Meters(server=served.seconds, sink=lambda: 0.0, folder=folder)
            _print(title, _listings(served.url, count, folder), meters, rounds)
    with _cloud() as cloud, open_folder() as folder:
        meters = Meters(server=lambda: _seconds(cloud), sink=lambda: 0.0, folder=folder)
        _print("two states", [_comparing(cloud, folder / "two")], meters, rounds)
    return 0


def _print(title: str, works: Sequence[Work], meters: Meters, rounds: int) -> None:
    for line in (*measuring.table(title, measuring.interleaved(works, meters, rounds)), ""):
        print(line, flush=True)


@contextmanager
def _cloud() -> Iterator[RunningCloud]:
    with open_folder() as directory:
        running = start_cloud(directory / "cloud")
        try:
            yield running
        finally:
            stop_cloud(running)


def _seconds(cloud: RunningCloud) -> float:
    times = psutil.Process(cloud.process.pid).cpu_times()
    return times.user + times.system


def _listings(url: str, count: int, folder: Path) -> list[Work]:
    """Return a listing on a machine that never read a version, the same once more, and the floor of the first."""
    project(folder, url)
    python = ROOT / ".venv" / "bin" / "python"
    floor = [str(python), "-m", plain_reads.__name__, url, STATE_BUCKET, KEY]
    known = folder / ".lifeboat" / "x" / "known-versions"
    first = _lifeboat(f"state list, {count} versions, first", folder, "state", "list")
    return [
        replace(first, before=lambda: shutil.rmtree(known, ignore_errors=True)),
        _lifeboat(f"state list, {count} versions, again", folder, "state", "list"),
        Work(name=f"limit: boto3 reads {count} versions", argv=floor, env=_env(), cwd=ROOT),
    ]


def _comparing(cloud: RunningCloud, folder: Path) -> Work:
    folder.mkdir()
    site = state_site(cloud, folder)
    old = site.put(state(1, resources(_COMPARED, 1)))
    new = site.put(state(2, resources(_COMPARED, 2)))
    name = f"state diff, two states of {_COMPARED} resources"
    command = f"lifeboat state diff {old} {new} -e x; test $? = 20"
    return Work(name=name, argv=["bash", "-c", command], env=_env(), cwd=folder)


def _lifeboat(name: str, folder: Path, *words: str) -> Work:
    return Work(name=name, argv=["lifeboat", *words, "-e", "x"], env=_env(), cwd=folder)


def _env() -> dict[str, str]:
    return {
        **CLEAN,
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


if __name__ == "__main__":
    sys.exit(main())
