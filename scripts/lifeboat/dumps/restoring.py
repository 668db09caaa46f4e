"""One dump into one empty database: streamed, in the order that needs no superuser, and compared at the end."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lifeboat.clients import dump_reading, dump_server, restore_target
from lifeboat.clients.dump_server import DumpServer
from lifeboat.clients.postgres import Postgres
from lifeboat.clients.private_folders import private_folder
from lifeboat.clients.restore_programs import Into, Part, ProgramFailed, RestorePrograms
from lifeboat.database_model import SCHEMA_FILE, Contents, DumpFile, Manifest, Server, TableName
from lifeboat.decisions import archives, client_versions, comparisons, index_memory, restore_errors, selections
from lifeboat.decisions.archives import Item, LeftOut, Rights
from lifeboat.decisions.comparisons import Compared
from lifeboat.dumps.contents import contents
from lifeboat.errors import Failed, IntegrityFailure, LifeboatError

_FOLDERS = "lifeboat-restore-"
_TOLD_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A dump to read: its manifest, and how to open a file of it as a stream of its stored bytes."""

    manifest: Manifest
    opened: Callable[[DumpFile], AbstractContextManager[Iterator[bytes]]]

    @property
    def schema(self) -> DumpFile:
        """Return the archive of everything but the data; raises IntegrityFailure where there is none."""
        for file in self.manifest.files:
            if file.name == SCHEMA_FILE:
                return file
        raise IntegrityFailure(f"dump {self.manifest.id} has no {SCHEMA_FILE}")

    @property
    def shards(self) -> tuple[DumpFile, ...]:
        """Return the archives of data, the largest first, so that no large one is begun last."""
        found = [f for f in self.manifest.files if f.name.startswith("data-") and f.name.endswith(".dump.zst")]
        return tuple(sorted(found, key=lambda file: (-file.raw_size, file.name)))

    @contextmanager
    def content(self, file: DumpFile, passed: Callable[[int], None] = lambda _: None) -> Iterator[Iterator[memoryview]]:
        """Give the decompressed content of a file, checked against the manifest as it passes."""
        with self.opened(file) as stored:
            yield dump_reading.slices(stored, file, passed)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The empty database, by the role that restores into it; `owner`: to whom everything will belong, else to that role."""

    postgres: Postgres
    rights: Rights
    jobs: int
    owner: str | None = None
    grants: bool = False


@dataclass(frozen=True, kw_only=True)
class Tellers:
    """Who hears of each stage (`say`), of what to look at (`warn`), and of stored bytes: done, all, seconds until then."""

    say: Callable[[str], None]
    tell: Callable[[int, int, float], None]
    warn: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came of a restore: what is there now, what differs from the manifest, what was left out, where the time went."""

    contents: Contents
    compared: Compared
    left_out: tuple[LeftOut, ...]
    advanced: tuple[TableName, ...]
    stages: tuple[tuple[str, float], ...]


class Passing:
    """The stored bytes that have passed of all that have to, told a few times a second from whichever thread."""

    def __init__(self, total: int, tell: Callable[[int, int, float], None]) -> None:
        self._total, self._tell = total, tell
        self._done, self._begun, self._last = 0, time.monotonic(), 0.0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> None:
        """Count bytes, and tell how many of all have passed within how many seconds."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._last >= _TOLD_SECONDS or self._done >= self._total:
                self._last = now
                self._tell(self._done, self._total, now - self._begun)


class _Stages:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self.taken = say, list[tuple[str, float]]()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._say(name)
        begun = time.monotonic()
        yield
        self.taken.append((name, time.monotonic() - begun))


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One restore under way: of what, where to, by which programs, who hears of its stages, and of the bytes that pass."""

    copy: Copy
    target: Target
    programs: RestorePrograms
    stages: _Stages
    passed: Passing


def holes(programs: RestorePrograms) -> list[str]:
    """Return in a line the known holes of the programs to restore with; nothing where they have none."""
    return client_versions.holes("pg_restore", programs.version) if programs.version else []


def restore(copy: Copy, target: Target, programs: RestorePrograms, tellers: Tellers) -> Restored:
    """Restore a dump into an empty database and compare it with its manifest.

    Raises IntegrityFailure where the dump is at fault, Failed with what to do where the server or the role is. What was
    restored until then stays.
    """
    stages = _Stages(tellers.say)
    passed = Passing(copy.schema.size + sum(file.size for file in copy.shards), tellers.tell)
    if copy.manifest.selection.tables:
        _make_schemas(copy.manifest, target)
    left_out = _filled(_Work(copy=copy, target=target, programs=programs, stages=stages, passed=passed))
    with stages("sequences and statistics"), target.postgres.connection(application="lifeboat restore") as connection:
        advanced, descending = restore_target.advance_sequences(connection, copy.manifest.contents.sequences)
        restore_target.analyze(connection)
    with stages("comparing with the manifest"), DumpServer(target.postgres).readers(target.jobs) as readers:
        selection = selections.by_name(copy.manifest.selection, copy.manifest.contents)
        found = contents(readers[0], selection, beside=readers[1:])
        wanted = _comparable(copy.manifest, dump_server.server(readers[0]))
    return Restored(
        contents=found,
        compared=comparisons.compared(wanted, found, descending=descending),
        left_out=left_out,
        advanced=tuple(advanced),
        stages=tuple(stages.taken),
    )


def _filled(work: _Work) -> tuple[LeftOut, ...]:
    """Restore what is in the archives, in the order that needs no superuser; return what was left out of it."""
    target, programs, stages, name = work.target, work.programs, work.stages, work.copy.schema.name
    with (
        private_folder(_FOLDERS) as folder,  # for the schema alone, which -j has to seek in
        target.postgres.program_env() as env,
        _sessions(target.postgres, programs) as application,
    ):
        archive, items = folder / "schema.dump", folder / "items"
        into = Into(
            env={**env, "PGAPPNAME": application},
            database=target.postgres.address.database,
            jobs=target.jobs,
            role=target.owner,
            grants=target.grants,
        )
        with stages("reading the schema"), explained(name):
            _written(work.copy, archive, work.passed)
            chosen = archives.choose(archives.items(programs.listing(archive)), target.rights)
        items.write_text(chosen.list_file)
        with stages("tables, types and functions"), explained(name):
            programs.restore_part(into, Part(section="pre-data", archive=archive, items=items))
        with stages("data"):
            _data(work, into)
        building = replace(into, env={**into.env, "PGOPTIONS": _index_options(target)})
        with stages("indexes, keys and triggers"), explained(name):
            programs.restore_part(building, Part(section="post-data", archive=archive, items=items))
    return chosen.left_out


def _index_options(target: Target) -> str:
    """Return the server's settings for sessions that build indexes."""
    with target.postgres.connection(application="lifeboat restore") as connection:
        allowed, shared = restore_target.memory(connection)
    size = index_memory.each(allowed=allowed, shared_buffers=shared, jobs=target.jobs)
    return f"-c maintenance_work_mem={size // 1024}kB"


def _comparable(manifest: Manifest, server: Server) -> Contents:
    """Return what a restored database is compared with.

    Of a part of a database pg_dump takes no extensions; each major version writes definitions in its own way.
    """
    found = manifest.contents if manifest.selection.whole else replace(manifest.contents, extensions=())
    return found if server.major == manifest.server.major else replace(found, schema=())


def _make_schemas(manifest: Manifest, target: Target) -> None:
    """Make the schemas of tables that were dumped by their names: pg_dump leaves those out then."""
    contents = manifest.contents
    names = {content.table.schema for content in contents.tables} | {s.sequence.schema for s in contents.sequences}
    with target.postgres.connection(application="lifeboat restore") as connection:
        restore_target.create_schemas(connection, sorted(names), target.owner)


@contextmanager
def _sessions(postgres: Postgres, programs: RestorePrograms) -> Iterator[str]:
    """Give the name of the programs' sessions; where anything goes wrong, they are ended on the server as well."""
    application = f"lifeboat restore {secrets.token_hex(6)}"
    try:
        yield application
    except BaseException:
        programs.end()
        with suppress(LifeboatError, OSError), postgres.connection(application="lifeboat restore") as connection:
            restore_target.end_sessions(connection, application)
        raise


def schema_items(copy: Copy, programs: RestorePrograms) -> list[Item]:
    """Return the items of a dump's schema, read from the bucket."""
    with private_folder(_FOLDERS) as folder:
        archive = folder / "schema.dump"
        _written(copy, archive, lambda _: None)
        with explained(copy.schema.name):
            return archives.items(programs.listing(archive))


def _written(copy: Copy, archive: Path, passed: Callable[[int], None]) -> None:
    with (
        copy.content(copy.schema, passed) as content,
        os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
    ):
        for piece in content:
            file.write(piece)


def _data(work: _Work, into: Into) -> None:
    """Restore all shards, some at a time; the first that fails ends the others, and is what is raised."""

    def one(file: DumpFile) -> None:
        with work.copy.content(file, work.passed) as content, explained(file.name):
            work.programs.restore_data(into, content)

    with ThreadPoolExecutor(into.jobs, thread_name_prefix="shard") as pool:
        waiting: list[Future[None]] = [pool.submit(one, file) for file in work.copy.shards]
        try:
            done, _ = wait(waiting, return_when=FIRST_EXCEPTION)
            for future in done:
                if future.exception() is not None:
                    work.programs.end()
                future.result()
        except BaseException:
            work.programs.end()
            raise


class FaultHere(Failed):
    """This machine, or the server restored into, is at fault: nothing is known about the copy."""


@contextmanager
def explained(archive: str) -> Iterator[None]:
    """Turn a program's failure into an error that says what to do: the archive's fault, this machine's, or neither's."""
    try:
        yield
    except ProgramFailed as error:
        here = restore_errors.fault_here(error.status, error.printed)
        if here is not None:
            hint = restore_errors.explained(error.printed).hint
            raise FaultHere(f"{archive}: {error.summary}: {here}", hint=hint) from error
        said = restore_errors.explained(error.printed)
        kind = IntegrityFailure if said.damaged else Failed
        raise kind(f"{archive}: {error.summary}: {said.summary}", hint=said.hint) from error
