"""A PostgreSQL server for one restore that is not trusted: own account, no network, limits, gone at the end."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from lifeboat.clients import confinement, private_files, private_folders, programs
from lifeboat.clients.confinement import Limits
from lifeboat.clients.postgres import Postgres, ServerAddress
from lifeboat.database_model import Server
from lifeboat.errors import Failed, IntegrityFailure, LifeboatError, Unreachable, WrongConfiguration
from lifeboat.model import Secret

ADMIN, RESTORER, PROBER = "lifeboat_admin", "lifeboat_restore", "lifeboat_probe"
DATABASE = "scratch"
_PREFIX = "lifeboat-scratch-"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.25
_LONGEST_SOCKET_FOLDER = 80  # of 107 bytes that a socket's path may have
_PROCESS_MEMORY = 3 * 1024**3
_MARGIN = 1024**3
_NEUTRAL_LOCALE = "C.UTF-8"

# Nothing of it outlives the comparison, so nothing is written for a crash; nothing listens, archives or replicates.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "archive_mode": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "25",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "max_parallel_workers": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "max_prepared_transactions": "0",
    "password_encryption": "scram-sha-256",
    # Large objects belong to whoever restored them; the comparison and the probes read all.
    "lo_compat_privileges": "on",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}
# Only these two roles come in, and each with its own password: not even our own account, nor that of the server.
_HBA = f"local all {ADMIN} scram-sha-256\nlocal all {RESTORER},{PROBER} scram-sha-256\nlocal all all reject\n"


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a restore may take at most: bytes of disk, and seconds from start to end."""

    disk: int
    seconds: float


@dataclass(kw_only=True)
class Watch:
    """Whether the limits hold; `broken` says which one did not, and that the server was stopped for it."""

    broken: str | None = None
    _end: threading.Event = field(default_factory=threading.Event)


class NoScratchServer(Failed):
    """There can be no scratch server here, for want of disk or of anything else: it says nothing about a copy."""


class ScratchServer:
    """A running server. Roles: its owner may do anything to its one database, and nothing to the server or the machine."""

    def __init__(
        self, *, folder: Path, passwords: dict[str, Secret], watch: Watch, process: subprocess.Popen[bytes]
    ) -> None:
        self._folder, self._passwords, self._watch = folder, passwords, watch
        self.process = process

    def as_role(self, role: str, database: str = DATABASE) -> Postgres:
        """Return the server as one of its roles sees it."""
        address = ServerAddress(
            host=str(self._folder), port=5432, database=database, user=role, sign_in="password", ca_file=None, region=""
        )
        return Postgres(address=address, password=lambda: self._passwords[role])

    @property
    def folder(self) -> Path:
        """The folder of all that it writes."""
        return self._folder

    def require_room(self) -> None:
        """Raise IntegrityFailure where it was stopped because a limit was reached."""
        if self._watch.broken is not None:
            raise IntegrityFailure(self._watch.broken)

    def create_database(self, like: Server) -> list[str]:
        """Create the empty database with a recorded encoding and locale; return what had to be different, in words."""
        remarks: list[str] = []
        with self.as_role(ADMIN, "postgres").connection(application="lifeboat verify") as connection:
            for role, rights in ((RESTORER, "BYPASSRLS"), (PROBER, "BYPASSRLS IN ROLE pg_read_all_data")):
                connection.execute(
                    sql.SQL(
                        "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {} "
                        + rights  # one of two constants
                    ).format(sql.Identifier(role), sql.Literal(self._passwords[role].reveal()))
                )
            connection.execute(
                sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(PROBER))
            )
            connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
            try:
                connection.execute(_create(like.encoding, like.collation, like.character_type))
            except psycopg.Error:
                remarks.append(
                    f"the locale {like.collation} is not on this machine: the scratch database has {_NEUTRAL_LOCALE}"
                )
                connection.execute(_create(like.encoding, _NEUTRAL_LOCALE, _NEUTRAL_LOCALE))
        return remarks

    def create_roles(self, names: Sequence[str]) -> None:
        """Make roles that nobody can sign in as and that have nothing, but those that are there: policies name them."""
        with self.as_role(ADMIN).connection(application="lifeboat verify") as connection:
            there = {row[0] for row in connection.execute("SELECT rolname::text FROM pg_roles")}
            for name in names:
                if name not in there:
                    connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))

    def create_extensions(self, wanted: Sequence[tuple[str, str]]) -> None:
        """Create extensions (name, schema) that only a superuser may create, before anything of the archive is there."""
        with self.as_role(ADMIN).connection(application="lifeboat verify") as connection:
            for name, schema in wanted:
                if schema not in ("public", "pg_catalog"):
                    connection.execute(
                        sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(
                            sql.Identifier(schema), sql.Identifier(RESTORER)
                        )
                    )
                connection.execute(
                    sql.SQL("CREATE EXTENSION {} SCHEMA {}").format(sql.Identifier(name), sql.Identifier(schema))
                )

    def allow_index_checks(self) -> None:
        """Install amcheck, in a schema that nobody can have prepared, for the role that owns the data."""
        schema = f"lifeboat_amcheck_{secrets.token_hex(6)}"
        with self.as_role(ADMIN).connection(application="lifeboat verify") as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            connection.execute(sql.SQL("CREATE EXTENSION amcheck SCHEMA {}").format(sql.Identifier(schema)))
            for right in ("USAGE ON SCHEMA", "EXECUTE ON ALL FUNCTIONS IN SCHEMA"):
                connection.execute(
                    sql.SQL("GRANT " + right + " {} TO {}").format(sql.Identifier(schema), sql.Identifier(RESTORER))
                )

    def offered_extensions(self) -> dict[str, bool]:
        """Return the extensions that the server offers, and whether a database's owner may create each."""
        with self.as_role(ADMIN, "postgres").connection(application="lifeboat verify") as connection:
            rows = connection.execute(
                "SELECT name, bool_or(trusted) FROM pg_available_extension_versions GROUP BY name"
            )
            return dict(rows.fetchall())


def _create(encoding: str, collation: str, character_type: str) -> sql.Composed:
    return sql.SQL(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {} STRATEGY wal_log"
    ).format(
        sql.Identifier(DATABASE),
        sql.Identifier(RESTORER),
        sql.Literal(encoding),
        sql.Literal(collation),
        sql.Literal(character_type),
    )


def network_remark() -> str:
    """Return what is to be said of the server's network; nothing where it is in one of its own, which is empty."""
    if confinement.no_network():
        return ""
    return (
        "the scratch server listens on no network, but could not be put into one of its own (run as root to have that)"
    )


@contextmanager
def running(server_folder: Path, room: Room) -> Iterator[ScratchServer]:
    """Give a new server of the programs in a folder; it is stopped and removed at the end, also on Ctrl-C and SIGTERM.

    Raises NoScratchServer where there can be none; IntegrityFailure instead of whatever went wrong within where that came of
    a limit: what fills the disk or the time is a finding about the copy.
    """
    where = _place(room)
    # Servers end with a lifeboat that is killed, and their files stay.
    private_folders.sweep(where, _PREFIX, owners=(os.geteuid(), confinement.account().uid))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))  # 0700
    lock = private_folders.locked(folder)
    watch = Watch()
    process: subprocess.Popen[bytes] | None = None
    watcher: threading.Thread | None = None
    try:
        confinement.give(folder)
        passwords = {role: Secret(secrets.token_urlsafe(24)) for role in (ADMIN, RESTORER, PROBER)}
        _make(server_folder, folder, passwords[ADMIN])
        process = _start(server_folder, folder, room)
        made = ScratchServer(folder=folder, passwords=passwords, watch=watch, process=process)
        _wait(made, folder)
        watcher = threading.Thread(target=_watched, args=(folder, room, watch, process), daemon=True)
        watcher.start()
        try:
            yield made
        except LifeboatError as error:
            # That the server went away is not the reason but what came of it.
            if watch.broken is not None:
                raise IntegrityFailure(watch.broken) from error
            raise
    finally:
        watch._end.set()
        _remove(folder, process, watcher)
        os.close(lock)


def _place(room: Room) -> Path:
    """Return a folder for temporary files that the server's account can pass, with room enough."""
    there = Path(tempfile.gettempdir())
    passable = os.geteuid() != 0 or all(p.stat().st_mode & stat.S_IXOTH for p in (there, *there.parents))
    place = there if passable and len(str(there)) < _LONGEST_SOCKET_FOLDER - len(_PREFIX) - 8 else Path("/tmp")  # noqa: S108
    free = shutil.disk_usage(place).free
    if free < min(room.disk // 2, room.disk - _MARGIN // 2):
        raise NoScratchServer(
            f"{place} has {free / 1e9:.1f} GB free; restoring this copy may take {room.disk / 1e9:.1f} GB",
            hint="make room there, or name a larger disk: TMPDIR=/… before the same command",
        )
    return place


def _make(server_folder: Path, folder: Path, password: Secret) -> None:
    """Make the cluster; its password is in a file of the private folder until initdb has read it, and on no command line."""
    password_file = folder / "password"
    private_files.write(password_file, password.reveal().encode() + b"\n")
    confinement.give(password_file)
    argv = [
        *(str(server_folder / "initdb"), "-D", str(folder / "data"), "-U", ADMIN, "--auth=scram-sha-256"),
        *(
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            f"--locale={_NEUTRAL_LOCALE}",
            "--no-sync",
            "--no-instructions",
        ),
    ]
    limits = Limits(memory=_PROCESS_MEMORY, file_size=_MARGIN)
    done = subprocess.run(
        confinement.confined(argv, limits),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_environment(),
        cwd=folder,
        timeout=_START_SECONDS,
        check=False,
    )
    password_file.unlink()
    if done.returncode != 0:
        raise NoScratchServer(
            f"cannot make a scratch server: {programs.first_line(done.stderr.decode(errors='replace'))}"
        )
    (folder / "data" / "pg_hba.conf").write_text(_HBA)


def _start(server_folder: Path, folder: Path, room: Room) -> subprocess.Popen[bytes]:
    settings = {**_SETTINGS, "unix_socket_directories": str(folder), "temp_file_limit": f"{room.disk // 1024}kB"}
    argv = [str(server_folder / "postgres"), "-D", str(folder / "data")]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    limits = Limits(memory=_PROCESS_MEMORY, file_size=max(room.disk, _MARGIN))
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            confinement.confined(argv, limits),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            cwd=folder,
            start_new_session=True,
        )


def _environment() -> dict[str, str]:
    return {**programs.bare_environment(), "HOME": "/nonexistent", "LC_ALL": _NEUTRAL_LOCALE}


def _wait(made: ScratchServer, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(Unreachable), made.as_role(ADMIN, "postgres").connection(application="lifeboat verify"):
            return
        if made.process.poll() is not None or time.monotonic() > deadline:
            log = (folder / "log").read_text(errors="replace")
            raise NoScratchServer(f"a scratch server does not start: {programs.first_line(log)}")
        time.sleep(0.05)


def _watched(folder: Path, room: Room, watch: Watch, process: subprocess.Popen[bytes]) -> None:
    """Stop the server as soon as it takes more than its room."""
    deadline = time.monotonic() + room.seconds
    while not watch._end.wait(_LOOK_SECONDS):
        if _size(folder) > room.disk:
            watch.broken = f"it fills the disk: more than {room.disk / 1e9:.1f} GB when restored, so it was stopped"
        elif time.monotonic() > deadline:
            watch.broken = f"it does not end: more than {room.seconds:.0f} s, so it was stopped"
        if watch.broken is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGQUIT)
            return


def _size(folder: Path) -> int:
    """Return the bytes that a folder's files take on the disk."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118  (thousands of files, often)
    return total


def _remove(folder: Path, process: subprocess.Popen[bytes] | None, watcher: threading.Thread | None) -> None:
    if watcher is not None:
        watcher.join()
    if process is not None:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                process.wait(_STOP_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
    shutil.rmtree(folder, ignore_errors=True)


def folder_of_servers(major: int, client_folder: Path) -> Path:
    """Return the folder with initdb and postgres of a major version; raises WrongConfiguration where there is none."""
    for candidate in [client_folder, Path(f"/usr/lib/postgresql/{major}/bin")]:
        if all((candidate / name).exists() for name in ("initdb", "postgres")):
            found = programs.version(str(candidate / "postgres"), "--version")
            if found.numbers is not None and found.numbers[0] == major:
                return candidate
    raise WrongConfiguration(
        f"PostgreSQL {major}'s server programs are not on this machine, so no copy of it can be restored here",
        hint=f"apt-get install postgresql-{major}",
    )
