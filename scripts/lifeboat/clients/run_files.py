"""The lock and the runs of one environment on this machine, in .lifeboat/<env>/."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from lifeboat.clients import machines, private_files
from lifeboat.errors import Locked, Refused
from lifeboat.model import Holder, RunId

# In the environment of each Terraform of a recovery, so that it can be found from another checkout too.
RUN_MARK = "LIFEBOAT_RUN"
NEEDED_BYTES = 1 << 30  # one applied local stack with a few snapshots takes about 0.6 GB
KEPT_RUNS = 30
_LONGEST_PLAN_SECONDS = 86_400.0
_SETTLE_SECONDS = 1.0  # from taking the lock to having written down who did


@dataclass(frozen=True, kw_only=True)
class Run:
    """One command that changes the environment: its folder holds saved plans, event files and run.json."""

    run: RunId
    folder: Path
    lock_descriptor: int

    def note(self, **facts: Any) -> None:
        """Add facts to run.json, durable before anything that follows."""
        path = self.folder / "run.json"
        document = {**(json.loads(path.read_text()) if path.exists() else {}), **facts}
        _write(path, document)

    def note_terraform(self, pid: int) -> None:
        """Add a Terraform that was just started, so that it can be told from its orphans."""
        path = self.folder / "run.json"
        started = json.loads(path.read_text()).get("terraform", [])
        self.note(terraform=[*started, {"pid": pid, "at": time.time()}])

    def known_as(self, run: RunId) -> None:
        """Write down by which journal others know this run: the id that is told to whoever finds the environment held."""
        self.note(known_as=run)
        holder = self.folder.parent.parent / "holder.json"
        _write(holder, {**json.loads(holder.read_text()), "known_as": run})


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A run that began and never said that it ended. `machine` is "" where it was not written down.

    `known_as` is the run as its journal is called; None where it has none, or had none yet.
    """

    run: RunId
    folder: Path
    started: datetime
    host: str
    user: str
    machine: str = ""
    terraform_starts: tuple[datetime, ...] = ()
    command: str = ""
    known_as: RunId | None = None

    @property
    def told(self) -> str:
        """How it is told: by the id that `lifeboat logs` knows, else by what it was and when."""
        return self.known_as or f"{self.command} of {self.started.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def require_space(folder: Path, *, needed: int = NEEDED_BYTES) -> None:
    """Refuse to begin where the disk cannot hold what a run writes."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise Refused(
            f"the disk that holds {folder} has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB are needed",
            hint=f"free some space (lifeboat local down && rm -r {folder}/cloud/saves drops old saves), then run it again",
        )


@contextmanager
def held(work: Path, command: str, *, patience: timedelta, tell: Callable[[str], None]) -> Iterator[Run]:
    """Hold this environment and give a new run; raises Locked naming the holder and since when.

    A holder that is dead while its Terraform still works (killed with -9) is waited for, up to `patience`.
    """
    work.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, work, patience=patience, tell=tell)
        remove_left_plans(work.parent)
        now = datetime.now(UTC)
        run = RunId(f"{now:%Y%m%dT%H%M%S.%f}Z-{command}")
        folder = work / "runs" / run
        folder.mkdir(parents=True, mode=0o700)
        facts = _holder_facts(run, command)
        _write(work / "holder.json", facts)
        handle = Run(run=run, folder=folder, lock_descriptor=descriptor)
        handle.note(**facts)
        yield handle
        _prune(work / "runs")
    finally:
        os.close(descriptor)


@contextmanager
def ending(run: Run, cut_off: Callable[[], bool]) -> Iterator[None]:
    """Write down how a run ended; one whose Terraform was `cut_off` has not, so that the next run repairs it."""
    try:
        yield
    except BaseException as error:
        if not cut_off():
            mark_ended(run.folder, f"failed: {type(error).__name__}")
        raise
    mark_ended(run.folder, "done")


@contextmanager
def plan_folder(work: Path) -> Iterator[Path]:
    """Give a folder of its own to a command that only plans; what such commands left that were killed is removed."""
    work.mkdir(parents=True, exist_ok=True)
    remove_left_plans(work.parent)
    with tempfile.TemporaryDirectory(dir=work, prefix=f"plan-{os.getpid()}-{socket.gethostname()}-") as folder:
        yield Path(folder)


def remove_left_plans(works: Path) -> None:
    """Remove what commands left that only planned and were killed, as far as can be told from here, of every environment.

    A saved plan holds every secret, and its environment may not be planned again for a long time.
    """
    for folder in works.glob("*/plan-*"):
        pid = folder.name.split("-")[1]
        with suppress(FileNotFoundError):
            began = folder.stat().st_mtime
            if f"-{socket.gethostname()}-" in folder.name:
                left = not (pid.isdecimal() and _same_process(int(pid), began))
            else:  # a container, or another machine that shares this folder
                left = time.time() - began > _LONGEST_PLAN_SECONDS
            if left:
                shutil.rmtree(folder, ignore_errors=True)


def user_name() -> str:
    """Return who we are as Terraform writes it into its lock: by the user id, whatever the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@contextmanager
def alone(work: Path, command: str) -> Iterator[None]:
    """Hold this environment for something short that is no run; raises Locked naming the holder."""
    work.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, work, patience=timedelta(0), tell=lambda _: None)
        _write(work / "holder.json", _holder_facts(RunId(command), command))
        yield
    finally:
        os.close(descriptor)


def _holder_facts(run: RunId, command: str) -> dict[str, Any]:
    return {
        "run": run,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": user_name(),
        "machine": machines.machine(),
        "command": command,
        "since": datetime.now(UTC).isoformat(),
    }


def holder(work: Path) -> Holder | None:
    """Return who wrote itself down as holder last."""
    try:
        facts = json.loads((work / "holder.json").read_text())
        return Holder(
            run=RunId(facts["run"]),
            pid=int(facts["pid"]),
            host=facts["host"],
            user=facts["user"],
            command=facts["command"],
            since=datetime.fromisoformat(facts["since"]),
            known_as=facts.get("known_as"),
        )
    except (FileNotFoundError, ValueError, KeyError):
        return None


def at_work(work: Path) -> Holder | None:
    """Return who holds this environment on this machine just now; nothing is held, or waited for, to see that."""
    who = holder(work)
    if who is None or who.host != socket.gethostname() or not _runs(who):
        return None
    # What it holds by tells it from one that has ended, and whose process works on at something else.
    descriptor = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return who
    finally:
        os.close(descriptor)
    return None


def unfinished(work: Path, *, but: RunId) -> list[Unfinished]:
    """Return the runs that never ended, oldest first; call it while holding the environment as run `but`."""
    found: list[Unfinished] = []
    for path in sorted((work / "runs").glob("*/run.json")):
        facts = json.loads(path.read_text())
        if facts["run"] != but and "ended" not in facts:
            found.append(
                Unfinished(
                    run=RunId(facts["run"]),
                    folder=path.parent,
                    started=datetime.fromisoformat(facts["since"]),
                    host=facts["host"],
                    user=facts["user"],
                    machine=facts.get("machine", ""),
                    terraform_starts=tuple(
                        datetime.fromtimestamp(entry["at"], UTC) for entry in facts.get("terraform", [])
                    ),
                    command=facts["command"],
                    known_as=facts.get("known_as"),
                )
            )
    return found


def cut_off(work: Path) -> list[Unfinished]:
    """Return the runs of this machine that never ended and whose process is gone, oldest first; nothing is held for it."""
    who = holder(work)
    at_work = who.run if who is not None and _runs(who) else RunId("")
    return unfinished(work, but=at_work)


def mark_ended(folder: Path, how: str) -> None:
    """Write down that a run is over, so that it is not repaired again."""
    path = folder / "run.json"
    _write(path, {**json.loads(path.read_text()), "ended": datetime.now(UTC).isoformat(), "how": how})


def _lock(descriptor: int, work: Path, *, patience: timedelta, tell: Callable[[str], None]) -> None:
    deadline = time.monotonic() + patience.total_seconds()
    told = ended_orphans = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _settled_holder(work)
            if who is None or _runs(who):
                raise _locked(who, work) from None
            works = _terraform_works(work / "runs" / who.run)
            if not works:
                # Its providers keep the lock for a moment after that; looked at twice, it is no orphan's.
                _end_orphans(work)
                if ended_orphans and time.monotonic() > deadline:
                    raise _locked(None, work) from None
                ended_orphans = True
            elif time.monotonic() > deadline:
                raise _orphaned(who) from None
            elif not told:
                tell(f"{who.command} was killed; waiting for its Terraform to finish")
                told = True
            time.sleep(0.5)
        else:
            return


def _settled_holder(work: Path) -> Holder | None:
    """Return who holds the environment; who took it this moment has the time to write itself down."""
    who = holder(work)
    if who is not None and _runs(who):
        return who
    time.sleep(_SETTLE_SECONDS)
    return holder(work)


def terraforms_of(run: RunId) -> list[int]:
    """Return the processes on this machine that are Terraforms, or their providers, of a run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUN_MARK) == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def _terraform_works(folder: Path) -> bool:
    """Return whether a Terraform that a run started still lives."""
    try:
        started = json.loads((folder / "run.json").read_text()).get("terraform", [])
    except FileNotFoundError:
        return False
    return any(_same_process(entry["pid"], entry["at"]) for entry in started)


def _end_orphans(work: Path) -> None:
    """End the providers of a Terraform that is dead: they inherited the lock and would keep it for ever."""
    for process in psutil.process_iter(["cmdline"]):
        program = (process.info["cmdline"] or [""])[0]
        if program.startswith(f"{work}{os.sep}") and "terraform-provider-" in program:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _same_process(pid: int, at: float) -> bool:
    try:
        process = psutil.Process(pid)
        # A process that is younger got the number of one that is gone.
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= at + 1)
    except psutil.NoSuchProcess:
        return False


def _locked(who: Holder | None, work: Path) -> Locked:
    if who is None:
        return Locked(
            f"another lifeboat holds this environment ({work / 'lock'})", hint="wait for it, then run it again"
        )
    age = datetime.now(UTC) - who.since
    shown = "" if who.known_as is None else f" (lifeboat logs {who.known_as} shows how far it is)"
    return Locked(
        f"{who.user}@{who.host} (process {who.pid}) has held this environment for {age.total_seconds():.0f} s:"
        f" {_what(who)}",
        hint=f"wait until it is done{shown}, then run it again",
    )


def _what(who: Holder) -> str:
    return who.command if who.known_as is None else f"{who.command}, run {who.known_as}"


def _orphaned(who: Holder) -> Locked:
    return Locked(
        f"{_what(who)} (process {who.pid}) was killed, and its Terraform still works",
        hint="wait until that has finished, then run it again",
    )


def _runs(who: Holder) -> bool:
    if who.host != socket.gethostname():
        return True
    return _same_process(who.pid, who.since.timestamp())


def _write(path: Path, document: dict[str, Any]) -> None:
    private_files.write(path, json.dumps(document).encode())


def _prune(runs: Path) -> None:
    ended = [p.parent for p in sorted(runs.glob("*/run.json")) if "ended" in json.loads(p.read_text())]
    for folder in ended[:-KEPT_RUNS]:
        shutil.rmtree(folder, ignore_errors=True)
