"""One program measured from outside: wall, CPU of it and of the server, memory of all its processes, disk that it fills."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# A look costs a few milliseconds of a core that is measured.
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run took: seconds of wall and of CPU, bytes of memory and disk at their peak."""

    wall: float
    client: float
    server: float
    sink: float
    memory: int
    disk: int
    said: str

    @property
    def cpu(self) -> float:
        """The CPU seconds of client and server; the sink is not counted."""
        return self.client + self.server


@dataclass(frozen=True, kw_only=True)
class Work:
    """One way to do the thing: a command, its variables, and what is done before and after, which is not measured.

    `{temporary}` in the command stands for the folder whose growth is counted.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Meters:
    """Whose CPU is read before and after: the server's and the sink's."""

    server: Callable[[], float]
    sink: Callable[[], float]
    folder: Path


def measured(work: Work, meters: Meters) -> Figures:
    """Run a command to its end; raises RuntimeError with its last words where it fails."""
    work.before()
    temporary = Path(tempfile.mkdtemp(dir=meters.folder))
    argv = [word.replace("{temporary}", str(temporary)) for word in work.argv]
    env = {**work.env, "TMPDIR": str(temporary)}
    server, sink = meters.server(), meters.sink()
    with (meters.folder / "said").open("w+b") as said:
        begun = time.monotonic()
        process = subprocess.Popen(argv, cwd=work.cwd, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        look = _Looks(process.pid, temporary)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        look.end()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode != 0:
        raise RuntimeError(f"{work.name} ended with {process.returncode}:\n{text[-3000:]}")
    found = Figures(
        wall=wall,
        client=usage.ru_utime + usage.ru_stime,
        server=meters.server() - server,
        sink=meters.sink() - sink,
        memory=look.memory,
        disk=look.disk,
        said=text,
    )
    shutil.rmtree(temporary)
    work.after()
    return found


class _Looks:
    """The highest of what is seen of a process with its descendants, and of a folder, a few times a second."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._root, self._folder = psutil.Process(pid), folder
        self.memory, self.disk = 0, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            with suppress(psutil.Error):
                self.memory = max(self.memory, sum(map(_own, [self._root, *self._root.children(recursive=True)])))
            with suppress(OSError):
                files = [path for path in self._folder.rglob("*") if path.is_file()]
                self.disk = max(self.disk, sum(path.stat().st_size for path in files))

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()


def _own(process: psutil.Process) -> int:
    """Return the bytes of a process; what several share is divided among them (PSS)."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, OSError):
        return 0


def interleaved(works: Sequence[Work], meters: Meters, rounds: int) -> dict[str, list[Figures]]:
    """Run all, then all again: what disturbs the machine for a while disturbs every way alike."""
    found: dict[str, list[Figures]] = {work.name: [] for work in works}
    for _ in range(rounds):
        for work in works:
            found[work.name].append(measured(work, meters))
    return found


def table(title: str, found: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Return lines of medians; the ratios are medians of each round's ratio to the first way of the same round."""
    first = next(iter(found.values()))
    head = (
        f"{'':46}{'wall s':>8}{'x':>6}{'CPU s':>8}{'x':>6}{'client':>8}{'server':>8}{'sink':>6}{'MB':>6}{'disk MB':>9}"
    )
    lines = [title, head]
    for name, runs in found.items():
        middle = statistics.median
        ratio = middle(run.wall / base.wall for run, base in zip(runs, first, strict=True))
        work = middle(run.cpu / base.cpu for run, base in zip(runs, first, strict=True))
        lines.append(
            f"{name:46}{middle(r.wall for r in runs):8.2f}{ratio:6.2f}{middle(r.cpu for r in runs):8.2f}{work:6.2f}"
            f"{middle(r.client for r in runs):8.2f}{middle(r.server for r in runs):8.2f}{middle(r.sink for r in runs):6.2f}"
            f"{max(r.memory for r in runs) / 1e6:6.0f}{max(r.disk for r in runs) / 1e6:9.0f}"
        )
    return lines
