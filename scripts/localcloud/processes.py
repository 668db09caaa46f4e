"""The programs that the local cloud runs (PostgreSQL servers, host scripts, containers), and their end with it."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class OsUser:
    """The operating-system account that programs run under; None where we are not root and stay who we are."""

    name: str | None
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give a folder or file (not what is in it) to this account."""
        if self.name is not None:
            os.chown(path, self.uid, self.gid)

    def arguments(self) -> dict[str, object]:
        """Return the keywords with which subprocess starts a program as this account."""
        if self.name is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def unprivileged_user() -> OsUser:
    """Return `postgres` (else `nobody`) when we are root, since postgres refuses to run as root; else ourselves."""
    if os.geteuid() != 0:
        return OsUser(name=None, uid=os.getuid(), gid=os.getgid())
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return OsUser(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise RuntimeError("neither an account named postgres nor nobody exists")


class Processes:
    """Everything we started, so that it can be paused together and never outlives us."""

    def __init__(self) -> None:
        # PR_SET_PDEATHSIG fires when the thread that spawned ends, so one long-lived thread spawns them all.
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(
        self,
        argv: Sequence[str],
        *,
        user: OsUser,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, its output appended to `log`; it gets SIGTERM when we end."""

        def spawn() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=dict(env),
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509  (one prctl, which takes no lock)
                    **user.arguments(),
                )

        process = self._spawner.submit(spawn).result()
        self._running = {pid: p for pid, p in self._running.items() if p.poll() is None}
        self._running[process.pid] = process
        return process

    def stop(self, process: subprocess.Popen[bytes], *, with_signal: int = signal.SIGTERM, seconds: float = 15) -> None:
        """End a program and its descendants; those that ignore the signal are killed after `seconds`."""
        family = _family(process.pid)
        with suppress(ProcessLookupError):
            process.send_signal(with_signal)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        self._running.pop(process.pid, None)

    def pause(self) -> None:
        """Freeze every program and descendant, so that a copy of their files is what a power cut would leave.

        A PostgreSQL backend is the leader of a session of its own, hence the walk instead of a group signal.
        """
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let frozen programs go on."""
        self._signal_all(signal.SIGCONT)

    def stop_all(self) -> None:
        """End everything we started, gently first."""
        alive = [p for p in self._running.values() if p.poll() is None]
        for process in alive:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown
        for process in alive:
            self.stop(process, with_signal=signal.SIGTERM, seconds=10)

    def _signal_all(self, number: int) -> None:
        for process in list(self._running.values()):
            for member in _family(process.pid):
                with suppress(psutil.NoSuchProcess):
                    member.send_signal(number)


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    return []
