"""PostgreSQL's client programs as processes: found, started with their output in a pipe, watched, stopped."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lifeboat.clients import confinement, programs
from lifeboat.clients.redaction import redacted
from lifeboat.database_model import ClientPrograms

# Where Debian, Red Hat and Homebrew put the programs of one major version.
_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/libexec/postgresql*",
)
_PIPE_BYTES = 1024 * 1024  # as much as anybody may have (/proc/sys/fs/pipe-max-size)
# pg_dump writes 4 KiB at a time. Who takes each as it comes is woken a quarter of a million times a GB, and so is pg_dump.
_WORTH_BYTES = 128 * 1024
_PAUSE_SECONDS = 0.002  # at 300 MB/s still no full pipe
_STDERR_LINES = 12
_STOP_SECONDS = 5.0


def found(named: str | None, path: str) -> list[ClientPrograms]:
    """Return the folders that hold pg_dump and pg_dumpall, those of `path` (as in PATH) first.

    `named` (the variable PG_BIN) names the only folder to look in. Debian's pg_dump on PATH is passed over: it is a script
    that chooses a version by rules of its own.
    """
    if named:
        folders = [Path(named)]
    else:
        packaged = [folder for pattern in _FOLDERS for folder in sorted(Path("/").glob(pattern), reverse=True)]
        folders = [*(Path(part) for part in path.split(os.pathsep) if part), *packaged]
    listed: dict[Path, ClientPrograms] = {}
    for folder in folders:
        dump = folder / "pg_dump"
        if not dump.exists() or not (folder / "pg_dumpall").exists() or dump.resolve().name == "pg_wrapper":
            continue
        if dump.resolve() not in listed:
            version = programs.version(str(dump), "--version")
            if version.numbers:
                listed[dump.resolve()] = ClientPrograms(folder=str(folder), version=tuple(version.numbers))
    return list(listed.values())


class RunningProgram:
    """One program whose output is read as it comes; its last words are kept. It ends with the thread that starts it."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        # In a group of its own: Ctrl-C on the terminal is for us, and we stop it in our order.
        self._process = subprocess.Popen(
            [*confinement.ended_with_us(), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**programs.bare_environment(), "LC_ALL": "C", **env},
            start_new_session=True,
            bufsize=0,
        )
        self.name = Path(argv[0]).name
        self._words: deque[str] = deque(maxlen=_STDERR_LINES)
        if self._process.stdout is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):
                fcntl.fcntl(self._process.stdout.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with suppress(OSError, ValueError):
            for line in self._process.stderr:
                self._words.append(line.decode(errors="replace").rstrip()[:500])

    def chunks(self) -> Generator[memoryview]:
        """Yield the output as it comes; each piece is valid until the next one is asked for."""
        assert self._process.stdout is not None
        buffer = memoryview(bytearray(_PIPE_BYTES))
        while True:
            count = os.readv(self._process.stdout.fileno(), [buffer])
            if count == 0:
                return
            yield buffer[:count]
            if count < _WORTH_BYTES:
                time.sleep(_PAUSE_SECONDS)

    def ended(self) -> int:
        """Wait for the program's end and return its status; negative for a signal."""
        status = self._process.wait()
        self._listener.join(_STOP_SECONDS)
        return status

    @property
    def words(self) -> str:
        """The last lines that it wrote to stderr, without what looks like a secret."""
        return redacted("\n".join(list(self._words)))

    def stop(self) -> None:
        """End it and what it started: politely, then for good."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return  # its number may be another's by now
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)

    def close(self) -> None:
        """Let go of its pipes, once it has ended."""
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
