"""Four looks at a copy, each deeper: its listing, its bytes, a restore on a scratch server, the operator's questions."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg.pq import DiagnosticField

from lifeboat.clients import restore_programs, scratch_server
from lifeboat.clients.dump_store import DumpStore
from lifeboat.clients.postgres import Postgres, own_path, said
from lifeboat.clients.redaction import redacted
from lifeboat.clients.restore_programs import Into, ProgramFailed, RestorePrograms
from lifeboat.clients.scratch_server import PROBER, RESTORER, Room, ScratchServer
from lifeboat.database_model import GLOBALS_FILE, DumpEntry, DumpFile, Probe, Proof, TableName, Verdict
from lifeboat.decisions import comparisons, extensions, probes, restore_errors, role_names, stored_files
from lifeboat.decisions.archive_rows import RowCounter
from lifeboat.decisions.archives import Item, Rights
from lifeboat.dumps import choosing, restoring
from lifeboat.dumps.choosing import copy_of
from lifeboat.dumps.restoring import Copy, FaultHere, Passing, Target, Tellers
from lifeboat.errors import (
    Failed,
    IntegrityFailure,
    LifeboatError,
    NewerFormat,
    NothingFits,
    RoleMissing,
    Unreachable,
    WrongConfiguration,
)

_PROBE_SECONDS = 60
_SYNTAX_ERROR = b"42601"
_MARGIN = 1024**3
# Measured: 1.31 times the raw bytes on the disk with all indexes; a copy with many of them may take thrice as much.
_DISK_PER_RAW = 4
_INDEX_CHECK_JOBS = 2
_DISK_FULL = (
    "No space left on device"  # as the C library has it, under which PostgreSQL's programs and servers run here
)
_MOST_GLOBALS = 16 * 1024**2  # bytes of pg_dumpall's output that are looked into: more than 100,000 roles
_EXTENSION = re.compile(
    r'^CREATE EXTENSION IF NOT EXISTS (?P<name>"(?:[^"]|"")+"|\w+) WITH SCHEMA (?P<schema>"(?:[^"]|"")+"|\w+);$',
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How deep to look, the questions of level 4 and the file that they stand in, and how long one restore may take.

    `env` are the caller's variables: PG_BIN among them names the folder of PostgreSQL's programs.
    """

    level: int
    probes: tuple[Probe, ...] = ()
    asked_in: str = ""
    within: timedelta = timedelta(hours=2)
    env: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)  # secrets are among them


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of one copy: its proof, or why it could not be looked at so deep here, which says nothing about it."""

    entry: DumpEntry
    proof: Proof | None
    unable: LifeboatError | None = None
    remarks: tuple[str, ...] = ()


class _Writes(LifeboatError):
    """A question that would change what it asks."""


class NotHere(LifeboatError):
    """This machine cannot restore the copy, whatever the copy is worth: nothing is known about it."""

    exit_status = 3


def verify(store: DumpStore, entry: DumpEntry, depth: Depth, tellers: Tellers) -> Verified:
    """Look at a copy and put the proof beside it, of a failure as well.

    Raises Unreachable where the bucket does not answer, WrongConfiguration where PostgreSQL cannot read a question: that
    says nothing about the copy.
    """
    begun = time.monotonic()
    try:
        seen = _seen(store, entry, depth, tellers)
    except NotHere as error:
        return Verified(entry=entry, proof=None, unable=error)
    proof = Proof(
        level=depth.level,
        at=datetime.now(UTC),
        verdict=Verdict.FAILED if seen.findings else Verdict.PASSED,
        findings=tuple(restore_errors.plain(finding) for finding in seen.findings),
        took=timedelta(seconds=round(time.monotonic() - begun, 3)),
        remarks=tuple(restore_errors.plain(remark) for remark in seen.remarks),
        manifest_sha256=seen.manifest_sha256,
        rows_only=seen.rows_only,
        part=seen.part,
        by_listing=seen.by_listing,
        region=store.place.region,
    )
    try:
        store.prove(entry, proof)
    except LifeboatError as error:
        told = "\n".join(f"  {finding}" for finding in proof.findings) or "  nothing wrong"
        error.summary = f"{error.summary}\nnot written down is what level {depth.level} found in {entry.id}:\n{told}"
        raise
    return Verified(entry=entry, proof=proof, remarks=proof.remarks)


def one_of_several(store: DumpStore, entry: DumpEntry, depth: Depth, tellers: Tellers) -> Verified:
    """Verify a copy; that it cannot be read, since its key is gone say, keeps no other one from being looked at.

    Raises Unreachable where the bucket itself does not answer.
    """
    try:
        return verify(store, entry, depth, tellers)
    except (Unreachable, scratch_server.NoScratchServer) as error:
        store.again(entry)
        return Verified(entry=entry, proof=None, unable=error)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What is wrong with a copy, what else to know, which manifest it is of, and whether definitions were left out.

    `by_listing`: no byte of it had to be read for it. `part`: it is of a part of a database.
    """

    findings: Sequence[str]
    remarks: Sequence[str] = ()
    manifest_sha256: str = ""
    rows_only: bool = False
    by_listing: bool = False
    part: bool = False


def _seen(store: DumpStore, entry: DumpEntry, depth: Depth, tellers: Tellers) -> _Seen:
    """Look at a copy; no deeper than where something was found."""
    try:
        manifest, digest = store.read(entry)
    except NewerFormat as error:
        raise NotHere(error.summary, hint=error.hint) from error
    except IntegrityFailure as error:
        return _Seen(findings=[error.summary])
    except NothingFits as error:
        return _Seen(findings=[error.summary], by_listing=True)
    listed, part = choosing.compared(store, entry, manifest), not manifest.selection.whole
    if listed.findings:
        return _Seen(findings=listed.findings, manifest_sha256=digest, by_listing=True, part=part)
    remarks = stored_files.remarks(listed)
    if depth.level == 1:
        if remarks:
            raise NotHere(f"level 1 cannot tell: {remarks[0]}", hint="lifeboat verify --level 2 reads them")
        return _Seen(findings=[], manifest_sha256=digest, part=part)
    copy = copy_of(store, entry, manifest)
    if depth.level == 2:
        findings = read_whole(copy, depth, tellers)
        return _Seen(findings=findings, remarks=remarks, manifest_sha256=digest, part=part)
    findings, more = restored_on_scratch(copy, depth, tellers)
    return _Seen(
        findings=findings,
        remarks=[*remarks, *more],
        manifest_sha256=digest,
        rows_only=comparisons.NO_DEFINITIONS in more or part,
        part=part,
    )


# -- level 2 ---------------------------------------------------------------------------------------------------------


def read_whole(copy: Copy, depth: Depth, tellers: Tellers) -> list[str]:
    """Read every byte, and let pg_restore read every archive to its end; return what is wrong."""
    passed = Passing(sum(file.size for file in copy.manifest.files), tellers.tell)
    findings: list[str] = []
    rows: dict[TableName, int] = {}
    with RestorePrograms(_clients(copy, depth)) as programs:
        for file in copy.manifest.files:
            tellers.say(f"reading {file.name}")
            try:
                for table, count in _read(copy, file, programs, passed).items():
                    if table in rows:
                        findings.append(f"table {table} is in two archives")
                    rows[table] = count
            except IntegrityFailure as error:
                findings.append(error.summary)
            except NotHere:
                if not findings:
                    raise
                return findings  # what is wrong with another file is so, whatever failed here after it
    # Where an archive cannot be read, that its tables are not there is no second finding.
    return findings or comparisons.rows_differ(copy.manifest.contents, rows)


def _read(
    copy: Copy, file: DumpFile, programs: RestorePrograms, passed: Callable[[int], None]
) -> Mapping[TableName, int]:
    """Read one file to its end; return the rows of each table that an archive of data holds."""
    counter = RowCounter()
    with copy.content(file, passed) as content:
        if not file.name.endswith(".dump.zst"):
            for _ in content:
                pass
            return {}
        is_data = file.name.startswith("data-")
        try:
            programs.parse(content, counter.feed if is_data else lambda _: None)
        except ProgramFailed as error:
            _require_no_fault_here(error)
            raise IntegrityFailure(
                f"{file.name}: pg_restore cannot read it: {restore_errors.explained(error.printed).summary}"
            ) from error
    if counter.open_table is not None:
        raise IntegrityFailure(f"{file.name}: the rows of {counter.open_table} do not end")
    return counter.rows


def _require_no_fault_here(error: ProgramFailed) -> None:
    """Raise NotHere where this machine made a program fail, and the copy had no part in it."""
    here = restore_errors.fault_here(error.status, error.printed)
    if here is not None:
        raise _not_here(f"{error.summary}: {here}") from error


def _not_here(summary: str) -> NotHere:
    if _DISK_FULL in summary:
        # Not the watch's limit, which is a finding: something else filled the disk, or it was too small.
        return NotHere(
            f"the disk of this machine is full, which says nothing about the copy: {summary}",
            hint="make room, or name a larger disk: TMPDIR=/… before the same command",
        )
    return NotHere(
        f"this machine failed, which says nothing about the copy: {summary}",
        hint="see to its memory and to PostgreSQL's programs, or run the same command on another one",
    )


def _clients(copy: Copy, depth: Depth) -> Path:
    """Return the folder of the client programs that read a copy; raises NotHere where this machine has none of its version."""
    try:
        return restore_programs.folder(copy.manifest.server.major, depth.env)
    except WrongConfiguration as error:
        raise NotHere(f"{error.summary}; {error.hint}") from error


# -- levels 3 and 4 --------------------------------------------------------------------------------------------------


def restored_on_scratch(copy: Copy, depth: Depth, tellers: Tellers) -> tuple[list[str], list[str]]:
    """Restore a copy on a scratch server, compare it, check its indexes, ask the probes; return findings and remarks.

    Raises NotHere where this machine lacks what the copy needs, Unreachable where the bucket does not answer,
    WrongConfiguration before anything is restored where the server cannot read a probe.
    """
    manifest = copy.manifest
    clients = _clients(copy, depth)
    try:
        servers = scratch_server.folder_of_servers(manifest.server.major, clients)
    except WrongConfiguration as error:
        raise NotHere(f"{error.summary}; {error.hint}") from error
    raw = sum(file.raw_size for file in manifest.files)
    room = Room(disk=_DISK_PER_RAW * raw + _MARGIN, seconds=depth.within.total_seconds())
    bucket = _Bucket(copy)
    tellers.say("starting a scratch server")
    try:
        with RestorePrograms(clients) as programs, scratch_server.running(servers, room) as scratch:
            remarks = [scratch_server.network_remark(), *scratch.create_database(manifest.server)]
            findings = _scratch_findings(_Scratch(bucket.copy, scratch, programs, tellers), depth, remarks)
            return findings, [remark for remark in remarks if remark]
    except IntegrityFailure as error:
        return [error.summary], []
    except ProgramFailed as error:
        _require_no_fault_here(error)
        return [f"{error.summary}: {restore_errors.explained(error.printed).summary}"], []
    except (Unreachable, Failed, RoleMissing) as error:
        if error in bucket.failures or isinstance(error, scratch_server.NoScratchServer):
            raise
        # The server that went away is our own, and its memory and its disk are this machine's.
        if isinstance(error, Unreachable | FaultHere) or _DISK_FULL in error.summary:
            raise _not_here(error.summary) from error
        return [f"it cannot be restored: {error.summary}"], []


class _Bucket:
    """A copy whose bucket's own failures are remembered: that it does not answer is no finding about the copy."""

    def __init__(self, copy: Copy) -> None:
        self.failures: list[LifeboatError] = []
        self.copy = Copy(manifest=copy.manifest, opened=lambda file: self._opened(copy, file))

    def _opened(self, copy: Copy, file: DumpFile) -> AbstractContextManager[Iterator[bytes]]:
        @contextmanager
        def opened() -> Iterator[Iterator[bytes]]:
            with copy.opened(file) as chunks:
                yield self._watched(chunks)

        return opened()

    def _watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from chunks
        except Unreachable as error:
            self.failures.append(error)
            raise


class _Scratch(NamedTuple):
    """A copy, the server that it is restored on, by which programs, and who hears of it."""

    copy: Copy
    server: ScratchServer
    programs: RestorePrograms
    tellers: Tellers


def _scratch_findings(here: _Scratch, depth: Depth, remarks: list[str]) -> list[str]:
    copy, scratch, programs, tellers = here
    if depth.level == 4:
        require_readable(scratch.as_role(PROBER), depth.probes, depth.asked_in)
    there = _extensions(copy, scratch, programs)
    scratch.create_roles(_roles(copy))
    target = Target(postgres=scratch.as_role(RESTORER), rights=Rights(superuser=False, schemas_there=there), jobs=2)
    done = restoring.restore(copy, target, programs, tellers)
    remarks += [f"left out: {left.item}: {left.why}" for left in done.left_out]
    remarks += done.compared.remarks
    findings = list(done.compared.findings)
    tellers.say("checking indexes")
    scratch.allow_index_checks()
    findings += _index_findings(scratch, programs)
    if depth.level == 4:
        tellers.say("asking the probes")
        findings += ask(scratch.as_role(PROBER), depth.probes, depth.asked_in)
    scratch.require_room()
    return findings


def _extensions(copy: Copy, scratch: ScratchServer, programs: RestorePrograms) -> frozenset[str]:
    """Create the harmless extensions that only a superuser may create; return the schemas that came with them."""
    items = restoring.schema_items(copy, programs)
    names = {_name(item) for item in items if item.kind == "EXTENSION"}
    if copy.manifest.selection.whole:
        names |= {extension.name for extension in copy.manifest.contents.extensions}
    wanted = extensions.wanted(names, scratch.offered_extensions())
    if wanted.missing:
        raise NotHere(f"the scratch server has no extension {', '.join(wanted.missing)}; install it on this machine")
    if wanted.denied:
        raise NotHere(
            f"the extension {', '.join(wanted.denied)} reaches out of the server, so a scratch server does not get it;"
            " restore the copy beside the database to prove it: lifeboat restore"
        )
    schemas = _extension_schemas(copy, programs) if wanted.beforehand else {}
    scratch.create_extensions([(name, schemas.get(name, "public")) for name in wanted.beforehand])
    return frozenset(schemas.get(name, "public") for name in wanted.beforehand) - {"public", "pg_catalog"}


def _roles(copy: Copy) -> list[str]:
    """Return the names of the roles that there were where a copy was taken."""
    for file in copy.manifest.files:
        if file.name == GLOBALS_FILE:
            with copy.content(file) as content:
                written = bytearray()
                for piece in content:  # to its end, which shows whether it is whole
                    written += piece[: _MOST_GLOBALS - len(written)]
            return role_names.named(written.decode(errors="replace"))
    return []


def _name(item: Item) -> str:
    return item.rest.removeprefix("- ").strip()


def _extension_schemas(copy: Copy, programs: RestorePrograms) -> dict[str, str]:
    """Return in which schema an archive creates each extension."""
    with tempfile.TemporaryFile() as text:
        with copy.content(copy.schema) as content, restoring.explained(copy.schema.name):
            programs.parse(content, text.write)
        text.seek(0)
        found = _EXTENSION.finditer(text.read().decode(errors="replace"))
    return {_unquoted(match["name"]): _unquoted(match["schema"]) for match in found}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _index_findings(scratch: ScratchServer, programs: RestorePrograms) -> list[str]:
    postgres = scratch.as_role(RESTORER)
    with postgres.program_env() as env:
        try:
            programs.check_indexes(Into(env=env, database=postgres.address.database, jobs=_INDEX_CHECK_JOBS))
        except ProgramFailed as error:
            _require_no_fault_here(error)
            return [f"pg_amcheck: {restore_errors.explained(error.printed).summary}"]
    return []


def ask(postgres: Postgres, questions: Sequence[Probe], file: str = "") -> list[str]:
    """Ask each question in a transaction that can change nothing; return what is wrong with the answers.

    Where the questions' file is named, one that would change something raises WrongConfiguration: it says nothing of a copy.
    """
    findings = []
    for probe in questions:
        try:
            answer = _answer(postgres, probe)
        except _Writes as error:
            if file:
                raise WrongConfiguration(
                    f"what {file} asks of a restored copy would change it: {error.summary}",
                    hint=f"mend the sql of that [[dumps.probes]] in {file}; it says nothing of any copy",
                ) from error
            findings.append(error.summary)
            continue
        except IntegrityFailure as error:
            findings.append(error.summary)
            continue
        wrong = probes.finding(probe, answer)
        if wrong is not None:
            findings.append(wrong)
    return findings


def require_readable(postgres: Postgres, questions: Sequence[Probe], file: str) -> None:
    """Raise WrongConfiguration where a server cannot read a question of this file, whatever its database holds."""
    unread = unreadable(postgres, questions)
    if unread:
        raise WrongConfiguration(
            f"PostgreSQL cannot read what {file} asks of a restored copy:\n"
            + "\n".join(f"  {line}" for line in unread),
            hint=f"mend the sql of that [[dumps.probes]] in {file}; it says nothing of any copy",
        )


def unreadable(postgres: Postgres, questions: Sequence[Probe]) -> list[str]:
    """Return which questions the server cannot read, whatever its database holds, and what it says; none of them is run.

    In a transaction that has failed PostgreSQL reads a statement and goes no further: it looks up no table and no column
    (exec_parse_message in postgres.c). That there are several statements is an error there too, of no place in the text.
    """
    if not questions:
        return []
    found = []
    with postgres.connection(application="lifeboat verify") as connection:
        with suppress(psycopg.errors.DivisionByZero):
            connection.execute("BEGIN READ ONLY")
            connection.execute("SELECT 1 / 0")
        for probe in questions:
            read = connection.pgconn.prepare(b"", probe.sql.encode())
            if read.error_field(DiagnosticField.SQLSTATE) != _SYNTAX_ERROR:
                continue
            if read.error_field(DiagnosticField.STATEMENT_POSITION) is not None:
                words = read.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
                found.append(f"probe {probe.name}: {redacted(words.decode(errors='replace'))}")
    return found


def _answer(postgres: Postgres, probe: Probe) -> str | None:
    """Return the one value that a probe gives, as PostgreSQL writes it."""
    with postgres.connection(application="lifeboat verify") as connection:
        try:
            connection.execute("BEGIN READ ONLY")
            connection.execute(f"SET LOCAL statement_timeout = '{_PROBE_SECONDS}s'".encode())
            with own_path(connection):
                result = connection.execute(probe.sql.encode()).pgresult
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise  # no answer of the server: it is gone
            if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                raise _Writes(f"probe {probe.name}: {said(error)}") from error
            raise IntegrityFailure(f"probe {probe.name}: {said(error)}") from error
        if result is None or result.ntuples != 1 or result.nfields != 1:
            shape = "nothing" if result is None else f"{result.ntuples} rows of {result.nfields} columns"
            raise IntegrityFailure(f"probe {probe.name}: it gives {shape}, not one value")
        value = result.get_value(0, 0)
    return None if value is None else value.decode(errors="replace")
