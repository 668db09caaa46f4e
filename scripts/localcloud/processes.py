"""The programs that the local cloud runs (PostgreSQL servers, host scripts, containers), and their end with it."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
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
        self._frozen: set[psutil.Process] | None = None  # None while nothing is paused
        self._condition = threading.Condition()

    def start(
        self,
        argv: Sequence[str],
        *,
        user: OsUser,
        env: Mapping[str, str],
        cwd: Path,
        log: Path | int,
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, its output appended to `log`; it gets SIGTERM when we end.

        `log` may also be an open file descriptor. While all are paused it waits for the end of the pause.
        """

        def spawn() -> subprocess.Popen[bytes]:
            with log.open("ab") if isinstance(log, Path) else nullcontext(log) as output:
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

        with self._condition:
            self._condition.wait_for(lambda: self._frozen is None)
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
        with self._condition:
            # `start` may have dropped the ended one already, and a newer program may have its process id.
            if self._running.get(process.pid) is process:
                del self._running[process.pid]

    def pause(self) -> None:
        """Freeze every program and descendant, so that a copy of their files is what a power cut would leave.

        A PostgreSQL backend is the leader of a session of its own, hence the walk instead of a group signal.
        """
        with self._condition:
            frozen = self._frozen = set()
        # A program may fork between the walk and its signal; the next walk sees that child. A stopped one cannot fork.
        while fresh := {member for process in self._ours() for member in _family(process.pid)} - frozen:
            for member in fresh:
                with suppress(psutil.NoSuchProcess):
                    member.suspend()
            frozen |= fresh

    def resume(self) -> None:
        """Let frozen programs go on."""
        with self._condition:
            frozen, self._frozen = self._frozen or set(), None
            self._condition.notify_all()
        for member in frozen:
            with suppress(psutil.NoSuchProcess):
                member.resume()

    def stop_all(self) -> None:
        """End everything we started, gently first."""
        alive = [p for p in self._ours() if p.poll() is None]
        for process in alive:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown
        for process in alive:
            self.stop(process, with_signal=signal.SIGTERM, seconds=10)

    def _ours(self) -> list[subprocess.Popen[bytes]]:
        with self._condition:
            return list(self._running.values())


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    return []
