"""One database dumped: all programs and the content's fingerprints in one snapshot, then all objects, then the manifest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from lifeboat.clients.dump_server import Connection, DumpServer, HeldSnapshot
from lifeboat.clients.dump_store import DumpStore
from lifeboat.clients.dump_uploads import Uploads
from lifeboat.clients.postgres import Postgres
from lifeboat.database_model import (
    GLOBALS_FILE,
    SCHEMA_FILE,
    ClientPrograms,
    Contents,
    DumpFile,
    DumpId,
    Manifest,
    Relation,
    Selection,
)
from lifeboat.decisions import dump_programs, selections, shards
from lifeboat.decisions.dump_programs import Snapshot
from lifeboat.dumps import contents
from lifeboat.dumps.streaming import Planned, Stream
from lifeboat.errors import LifeboatError, Locked, Refused, Unreachable, WrongConfiguration
from lifeboat.model import Teller

_LOOK_SECONDS = 0.5
# pg_dump waits for its locks under either; of the others it has none.
_LOCK_TIMED_OUT = ("due to lock timeout", "due to statement timeout")
_MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a dump is made with: the database, PostgreSQL's programs, the bucket."""

    postgres: Postgres
    programs: ClientPrograms
    store: DumpStore
    uploads: Uploads


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What the manifest says of where a dump comes from, as far as it is known."""

    lifeboat_version: str
    git_sha: str | None
    image_tag: str | None
    state_serial: int | None


@dataclass(frozen=True, kw_only=True)
class Order:
    """One dump that is wanted. `jobs`: pg_dumps that read rows side by side; None: as many as its size asks for."""

    id: DumpId
    begun_at: datetime
    database: str
    selection: Selection
    jobs: int | None
    cores: int
    lock_seconds: int
    origin: Origin


def chosen(order: Order, found: Sequence[Relation]) -> tuple[Relation, ...]:
    """Return what an order takes of a database; raises where that is nothing, or the role is not shown all rows of it."""
    taken = selections.chosen(found, order.selection)
    if taken.unmatched:
        patterns = ", ".join(taken.unmatched)
        raise WrongConfiguration(
            f"nothing in the database {order.database} matches {patterns}",
            hint="a name with capitals needs double quotes: --table '\"Orders\"'",
        )
    filtered = [str(relation.name) for relation in taken.of_kind("rp") if relation.filtered]
    if filtered:
        raise Refused(
            f"row security hides rows of {_named(filtered)} from the role that dumps: they would be missing",
            hint=f"ALTER TABLE {filtered[0]} NO FORCE ROW LEVEL SECURITY, by the table's owner where that is who dumps; else ALTER"
            " ROLE … BYPASSRLS, by a superuser (on RDS there is none); then run the same command again",
        )
    return taken.relations


def dump(tools: Tools, order: Order, tell: Teller, flagged: Callable[[Manifest], tuple[str, ...]]) -> Manifest:
    """Dump a database and return its manifest, which is then in the bucket; on any error nothing is left of it, or that is named.

    `flagged` says what is suspicious about a dump before its manifest is written. An error says which part failed.
    """
    server = DumpServer(tools.postgres)
    with (
        server.snapshot(partial(chosen, order), lock_seconds=order.lock_seconds) as held,
        tools.postgres.program_env() as env,
    ):
        if held.standby:
            tell.say(f"{order.database}: the server is a standby; its snapshot is of log position {held.lsn}")
        work = _Work(tools=tools, order=order, held=held, env=env)
        try:
            manifest = work.committed(work.done(tell, server), flagged)
        except BaseException as error:
            _cleaned(work, tell, error)
            raise
        work.close()
    return manifest


def plan(order: Order, programs: ClientPrograms, held: HeldSnapshot) -> list[Planned]:
    """Return the files that a dump consists of, and the program that makes each."""
    snapshot = Snapshot(id=held.id, lock_seconds=order.lock_seconds, encoding=held.server.encoding)
    # Rows that go into the partitions of one table stay together, in the first shard: an archive names that table alone.
    tables = [relation for relation in held.relations if relation.kind == "r" and relation.through is None]
    jobs = order.jobs or shards.default_jobs(sum(table.size for table in tables), order.cores)
    named = shards.shards(tables, jobs)
    taken = dump_programs.chosen_by_name(order.selection, held.relations)
    pg_dump = str(Path(programs.folder) / "pg_dump")
    archive = partial(Planned, begins=b"PGDMP")
    elsewhere = [name for names in named for name in names]
    return [
        archive(file=SCHEMA_FILE, argv=[pg_dump, *dump_programs.schema(snapshot, taken)]),
        archive(file=dump_programs.data_file(0), argv=[pg_dump, *dump_programs.rest(snapshot, taken, elsewhere)]),
        *(
            archive(
                file=dump_programs.data_file(number),
                argv=[pg_dump, *dump_programs.shard(snapshot, names)],
                tables=names,
            )
            for number, names in enumerate(named, start=1)
        ),
        Planned(
            file=GLOBALS_FILE,
            argv=[
                str(Path(programs.folder) / "pg_dumpall"),
                *dump_programs.globals_only(order.database, snapshot.encoding),
            ],
            begins=b"--",
        ),
    ]


@dataclass(kw_only=True)
class _Work:
    """What runs for one dump, and what it has begun."""

    tools: Tools
    order: Order
    held: HeldSnapshot
    env: Mapping[str, str]
    streams: list[Stream] = field(default_factory=list)
    compared: int = 0
    then: str = ""  # what to do about what is left
    _readers: list[Connection] = field(default_factory=list)
    _pool: ThreadPoolExecutor | None = None
    _beginning: Future[None] | None = None
    _taken: Future[Contents] | None = None
    _ending: Future[Manifest] | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def done(self, tell: Teller, server: DumpServer) -> Contents:
        """Run all programs and take the content's fingerprints beside them; return these when everything went well."""
        planned = plan(self.order, self.tools.programs, self.held)
        self._pool = ThreadPoolExecutor(len(planned) + 1, thread_name_prefix="dump")
        # Not in this thread, which Ctrl-C stops anywhere: what was begun would not be known.
        self._beginning = self._pool.submit(self._begin, planned)
        self._beginning.result()
        readers = sum(one.file.startswith("data-") for one in planned)
        taken: Future[Contents] = self._pool.submit(self._contents, server, readers)
        running: dict[Future[None], Stream] = {self._pool.submit(stream.run): stream for stream in self.streams}
        self._taken = taken
        self._wait([taken, *running], tell)
        for future, stream in running.items():
            if future.done() and (error := future.exception()) is not None:
                raise self._cause(error, stream)
        return taken.result()

    def committed(self, found: Contents, flagged: Callable[[Manifest], tuple[str, ...]]) -> Manifest:
        """Make objects of all uploads, then a dump of them; return its manifest."""

        def ended() -> Manifest:
            files = [stream.complete() for stream in self.streams]
            manifest = self._manifest(files, found)
            manifest = replace(manifest, flags=flagged(manifest))
            self.tools.store.commit(manifest)
            return manifest

        assert self._pool is not None
        # An order that Ctrl-C breaks off may be carried out after we have cleaned up: a manifest without its files.
        self._ending = self._pool.submit(ended)
        return self._ending.result()

    def _manifest(self, files: Sequence[DumpFile], found: Contents) -> Manifest:
        order, held, place = self.order, self.held, self.tools.store.place
        return Manifest(
            id=order.id,
            application=place.application,
            environment=place.environment,
            database=order.database,
            begun_at=order.begun_at,
            snapshot_at=held.at,
            ended_at=datetime.now(UTC),
            lsn=held.lsn,
            standby=held.standby,
            server=held.server,
            client_version=self.tools.programs.version_text,
            lifeboat_version=order.origin.lifeboat_version,
            git_sha=order.origin.git_sha,
            image_tag=order.origin.image_tag,
            state_serial=order.origin.state_serial,
            selection=order.selection,
            files=tuple(files),
            contents=found,
        )

    def _begin(self, planned: Sequence[Planned]) -> None:
        for one in planned:
            if not self._stopped.is_set():
                upload = self.tools.uploads.begin(f"{self.folder}{one.file}")
                self.streams.append(Stream(one, self.env, upload))

    @property
    def folder(self) -> str:
        """What the keys of the dump begin with."""
        return self.tools.store.folder(self.order.database, self.order.id)

    def _contents(self, server: DumpServer, readers: int) -> Contents:
        def count(_: object) -> None:
            self.compared += 1

        with ExitStack() as stack:
            for _ in range(readers):
                self._readers.append(stack.enter_context(server.within(self.held)))
            first, *others = self._readers
            return contents.contents(first, self.order.selection, count, others)

    def _wait(self, futures: Sequence[Future[Any]], tell: Teller) -> None:
        began = time.monotonic()
        tables = sum(relation.kind == "r" for relation in self.held.relations)
        with tell.waiting() as show:
            while True:
                ended, open_ = wait(futures, _LOOK_SECONDS, FIRST_EXCEPTION)
                if not open_ or any(future.exception() is not None for future in ended):
                    return
                size = sum(stream.raw_size for stream in self.streams)
                rate = size / 1e6 / max(time.monotonic() - began, 0.001)
                show(
                    f"{self.order.database}: {size / 1e6:.0f} MB read, {rate:.0f} MB/s,"
                    f" fingerprints of {self.compared} of {tables} tables"
                )

    def _cause(self, error: BaseException, stream: Stream) -> BaseException:
        """Return what made a program fail, where that is something that the server tells better than the program."""
        if any(words in stream.program.words for words in _LOCK_TIMED_OUT):
            who = "; ".join(self.held.blockers()) or "who was in the way has let go by now"
            return Locked(
                f"{stream.what} waited {self.order.lock_seconds} s for a lock: {who}",
                hint="run it again when that has ended; [dumps] lock_seconds says how long to wait",
            )
        if isinstance(error, LifeboatError) and stream.program.words and not self.held.answers():
            return Unreachable(f"{self.tools.postgres.where} went away while it was dumped: {error}")
        return error

    def clean(self) -> list[str]:
        """Stop everything and give up all uploads; return what is left because it could not be reached."""
        self._stopped.set()
        orders: list[Future[Any]] = [future for future in (self._beginning, self._ending) if future is not None]
        wait(orders)
        for stream in self.streams:
            stream.program.stop()
        while self._taken is not None and not self._taken.done() and not self._taken.cancel():
            for reader in list(self._readers):
                _cancel(reader)
            wait([self._taken], _LOOK_SECONDS)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        for stream in self.streams:
            stream.program.close()
        if self.complete:
            return []
        left = [problem for stream in self.streams if (problem := _problem(stream.upload.abort))]
        # Of an upload whose beginning was not answered we have no id.
        unanswered = _problem(self._abort_open)
        if unanswered and not left:
            left = [unanswered]
        if any(stream.upload.completing for stream in self.streams):
            try:
                hidden = self.tools.store.discard(self.folder)
                left += [f"{name} stays as a hidden version until its lock ends" for name in hidden]
            except LifeboatError as error:
                left.append(error.summary)
                self.then = error.hint
        return left

    @property
    def complete(self) -> bool:
        """Whether it became a dump, whatever happened since."""
        return self._ending is not None and self._ending.done() and self._ending.exception() is None

    def _abort_open(self) -> None:
        for upload in self.tools.uploads.open(self.folder):
            self.tools.uploads.abort(upload)

    def close(self) -> None:
        """Let go of what has ended well."""
        for stream in self.streams:
            stream.program.close()
        if self._pool is not None:
            self._pool.shutdown()


def _cleaned(work: _Work, tell: Teller, error: BaseException) -> None:
    """Clean up after an error, to the end whatever is typed meanwhile, and tell with the error what is left."""
    left: list[str] = []
    thread = threading.Thread(target=lambda: left.extend(work.clean()))
    thread.start()
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt:
            tell.warn("still stopping pg_dump and taking back what was uploaded")
    if work.complete:
        tell.say(f"{work.order.id} of {work.order.database} was complete by then, and stays")
    if not left:
        if isinstance(error, KeyboardInterrupt) and not work.complete:
            tell.warn(f"interrupted: nothing is left of {work.order.id} of {work.order.database}")
        return
    text = "left behind: " + "; ".join(left)
    if isinstance(error, LifeboatError):
        error.summary = f"{error.summary}\n{text}"
        error.hint = "; ".join(filter(None, (error.hint, work.then)))
    else:
        tell.warn(text)


def _problem(order: Callable[[], None]) -> str:
    """Give an order to take an upload back, and return what is left of it; nothing where it went well."""
    try:
        order()
    except LifeboatError as error:
        return f"{error.summary} (the bucket's lifecycle aborts it in the end)"
    return ""


def _cancel(connection: Connection) -> None:
    with suppress(psycopg.Error, OSError):
        connection.cancel_safe(timeout=5)


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
