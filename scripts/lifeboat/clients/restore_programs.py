"""pg_restore and pg_amcheck of one major version: fed through pipes, listened to, and ended with us."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from types import TracebackType

from lifeboat.clients import confinement, programs
from lifeboat.clients.confinement import Limits
from lifeboat.errors import LifeboatError, WrongConfiguration

_FOLDERS = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin", "/opt/homebrew/opt/postgresql@{major}/bin")
_PIPE_BYTES = 1024 * 1024
_READ_BYTES = 256 * 1024
_KEPT_BYTES = 64 * 1024  # of what a program prints on stderr: its first errors say what is wrong
_END_SECONDS = 10.0
# What reads an archive without restoring it needs little; one with a huge table of contents ends at this.
READER_LIMITS = Limits(memory=2 * 1024**3, file_size=0)


class ProgramFailed(LifeboatError):
    """A program ended with an error; `status` is negative for a signal, `printed` the beginning of what it said."""

    def __init__(self, summary: str, *, printed: str, status: int = 1) -> None:
        super().__init__(summary)
        self.printed = printed
        self.status = status


def folder(major: int, env: Mapping[str, str]) -> Path:
    """Return the folder with pg_restore of exactly this major version; raises WrongConfiguration where there is none.

    PG_BIN of the caller's environment names the only one to look in. A newer one sends settings that the server does not
    know (transaction_timeout, from 17 on), an older one does not read the archive.
    """
    named = require_named(env)
    if named is not None:
        if named.major == major:
            return named.folder
        raise WrongConfiguration(
            f"PG_BIN names {named.folder}, whose pg_restore is of version {named.major}: of a dump of PostgreSQL {major} no"
            " other version than that will do",
            hint=f"name the folder of PostgreSQL {major}'s programs in PG_BIN, or unset it",
        )
    on_path = shutil.which("pg_restore", path=env.get("PATH"))
    candidates = [
        *(Path(pattern.format(major=major)) for pattern in _FOLDERS),
        *([Path(on_path).resolve().parent, Path(on_path).parent] if on_path else []),
    ]
    for candidate in candidates:
        if (candidate / "pg_restore").exists():
            found = programs.version(str(candidate / "pg_restore"), "--version")
            if found.numbers is not None and found.numbers[0] == major:
                return candidate
    raise WrongConfiguration(
        f"there is no pg_restore {major} on this machine, and no other version will do",
        hint=f"apt-get install postgresql-client-{major}",
    )


@dataclass(frozen=True, kw_only=True)
class Named:
    """The folder that PG_BIN names, and the major version of pg_restore in it."""

    folder: Path
    major: int


def require_named(env: Mapping[str, str]) -> Named | None:
    """Return what PG_BIN names, None where it is not set; raises WrongConfiguration where no pg_restore is there."""
    named = env.get("PG_BIN")
    if not named:
        return None
    program = Path(named) / "pg_restore"
    found = programs.version(str(program), "--version")
    if found.numbers is None:
        why = found.words if program.exists() else "there is no such file"
        raise WrongConfiguration(
            f"PG_BIN names {named}, where no pg_restore is that works: {why}",
            hint="name the folder of PostgreSQL's programs in PG_BIN, or unset it",
        )
    return Named(folder=Path(named), major=found.numbers[0])


@dataclass(frozen=True, kw_only=True)
class Into:
    """Where pg_restore restores to: how it signs in (PG* variables), the database, and whose everything becomes."""

    env: Mapping[str, str]
    database: str
    jobs: int = 1  # tables and indexes at a time
    role: str | None = None
    grants: bool = False

    @property
    def options(self) -> list[str]:
        """Return the options that all of its runs have in common."""
        return [
            *(
                "--exit-on-error",
                "--no-owner",
                "--no-tablespaces",
                "--no-password",
                f"--dbname={_conninfo(self.database)}",
            ),
            *([] if self.grants else ["--no-acl"]),
            *([] if self.role is None else [f"--role={self.role}"]),
        ]


def _conninfo(database: str) -> str:
    # A name with "=" in it, or one that begins as a URI does, would be read as a whole connection string. Without the empty
    # password pg_restore would sign its workers in, and itself once more at the end, with the one that it began with
    # (pg_backup_db.c, savedPassword), however old that is by then: so each connection reads the file.
    quoted = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}' password=''"


@dataclass(kw_only=True)
class _Run:
    process: subprocess.Popen[bytes]
    printed: deque[bytes] = field(default_factory=deque)
    kept: int = 0


class RestorePrograms:
    """The programs of one folder; leaving the `with` ends those that still run, whatever happened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = False

    @property
    def version(self) -> tuple[int, ...]:
        """What pg_restore says of its version; nothing where it does not say it."""
        return programs.version(str(self._folder / "pg_restore"), "--version").numbers or ()

    def __enter__(self) -> RestorePrograms:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End every program that still runs, and let no further one begin."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    # -- what an archive is ----------------------------------------------------------------------------------------

    def listing(self, archive: Path) -> str:
        """Return the table of contents of an archive in a file, as text."""
        said: list[bytes] = []
        with archive.open("rb") as opened:
            self._run(self._reader("--list"), given=opened, hear=said.append)
        return b"".join(said).decode(errors="replace")

    def parse(self, content: Iterable[bytes | memoryview], hear: Callable[[bytes], object]) -> None:
        """Let pg_restore read a whole archive and write its SQL to `hear`, nowhere else; raises ProgramFailed."""
        self._run(self._reader("--file=-"), given=content, hear=hear)

    def _reader(self, *options: str) -> list[str]:
        return confinement.confined([str(self._folder / "pg_restore"), "--exit-on-error", *options], READER_LIMITS)

    # -- restoring -------------------------------------------------------------------------------------------------

    def restore_part(self, into: Into, part: Part) -> None:
        """Restore one section of an archive in a file, in their order those items that `part` lists."""
        argv = [
            *(*self._restorer(into), f"--section={part.section}"),
            *(f"--use-list={part.items}", f"--jobs={into.jobs}", str(part.archive)),
        ]
        self._run(argv, env=into.env)

    def restore_data(self, into: Into, content: Iterable[bytes | memoryview]) -> None:
        """Restore an archive of data that streams in."""
        self._run([*self._restorer(into), "--section=data"], env=into.env, given=content)

    def _restorer(self, into: Into) -> list[str]:
        return [*confinement.ended_with_us(), str(self._folder / "pg_restore"), *into.options]

    def check_indexes(self, into: Into) -> None:
        """Compare every B-tree index with its table, and every table's pages with what they have to be (pg_amcheck)."""
        argv = [
            *(
                *confinement.ended_with_us(),
                str(self._folder / "pg_amcheck"),
                "--no-password",
                f"--jobs={into.jobs}",
                "--heapallindexed",
                "--parent-check",
            ),
            *("--maintenance-db", into.database, into.database),
        ]
        self._run(argv, env=into.env)

    # -- running ---------------------------------------------------------------------------------------------------

    def _run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        given: Iterable[bytes | memoryview] | BufferedReader | None = None,
        hear: Callable[[bytes], object] | None = None,
    ) -> None:
        """Run a program to its end; raises ProgramFailed, or what came of the feed where that is why it failed."""
        feed = None if isinstance(given, BufferedReader) else given
        stdin = given.fileno() if isinstance(given, BufferedReader) else subprocess.DEVNULL
        with self._started(
            argv, {**programs.bare_environment(), **(env or {})}, stdin if feed is None else subprocess.PIPE
        ) as run:
            broken: list[BaseException] = []
            threads = [threading.Thread(target=_keep, args=(run,), daemon=True)]
            if feed is not None:
                threads.append(threading.Thread(target=_feed, args=(run.process, feed, broken), daemon=True))
            for thread in threads:
                thread.start()
            heard = b""
            assert run.process.stdout is not None
            while piece := os.read(run.process.stdout.fileno(), _READ_BYTES):
                if hear is None:
                    heard = (heard + piece)[:_KEPT_BYTES]
                else:
                    hear(piece)
            status = run.process.wait()
            for thread in threads:
                thread.join()
            if broken:
                raise broken[0]
            if status != 0:
                printed = (b"".join(run.printed) or heard).decode(errors="replace")
                name = next(Path(word).name for word in argv if word.startswith(str(self._folder)))
                raise ProgramFailed(f"{name} ended with status {status}", printed=printed, status=status)

    @contextmanager
    def _started(self, argv: Sequence[str], env: Mapping[str, str], stdin: int) -> Iterator[_Run]:
        with self._lock:
            if self._ended:
                raise ProgramFailed("another part failed first", printed="")
            process = subprocess.Popen(
                argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, start_new_session=True
            )
            self._running.add(process)
        try:
            yield _Run(process=process)
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with suppress(OSError, ValueError):
                        stream.close()
            with self._lock:
                self._running.discard(process)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of the schema's archive: where it lies, and the list of its items that are restored."""

    section: str
    archive: Path
    items: Path


def _feed(process: subprocess.Popen[bytes], content: Iterable[bytes | memoryview], broken: list[BaseException]) -> None:
    """Write all of `content` to a program; where that itself fails, the program must not take what it has for the whole."""
    pipe = process.stdin
    assert pipe is not None
    with suppress(OSError):  # a limit of the system (fs.pipe-max-size) only makes it slower
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    with contextlib.closing(_generator(content)) as pieces:
        try:
            for piece in pieces:
                try:
                    pipe.write(piece)
                except (BrokenPipeError, ValueError):
                    break  # it ended early, and its status says why
            with suppress(BrokenPipeError):
                pipe.close()
            # One that had enough has not seen what is wrong with the rest.
            if process.wait() == 0:
                deque(pieces, maxlen=0)
        except BaseException as error:  # noqa: BLE001  (raised again by who waits for the program)
            broken.append(error)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _generator(content: Iterable[bytes | memoryview]) -> Generator[bytes | memoryview, None, None]:
    yield from content


def _keep(run: _Run) -> None:
    assert run.process.stderr is not None
    while piece := os.read(run.process.stderr.fileno(), _READ_BYTES):
        if run.kept < _KEPT_BYTES:
            run.printed.append(piece[: _KEPT_BYTES - run.kept])
            run.kept += len(piece)
