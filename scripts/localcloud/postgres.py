"""Real PostgreSQL clusters behind database endpoints: made, started, backed up, recovered to a second."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql

from localcloud.cloud import Cloud
from localcloud.trees import copy_tree

ADMIN = "rdsadmin"
PROGRAM_NAMES = ("initdb", "postgres", "pg_basebackup", "pg_archivecleanup")
START_SECONDS = 60.0
RECOVERY_SECONDS = 300.0
ARCHIVE_SECONDS = 20.0
# Seconds after which a half-full WAL segment is archived; a segment is 1 MB so that this stays cheap.
ARCHIVE_TIMEOUT = 60
SEGMENT_MB = 1

# What RDS's rds_superuser may do without being a superuser.
MASTER_GRANTS = ("pg_monitor", "pg_signal_backend", "pg_checkpoint")


class ProgramsMissing(Exception):
    """PostgreSQL's server programs are not installed; the text says which and what to install."""


class ServerFailed(Exception):
    """A PostgreSQL program ended with an error; the text is the end of its output."""


class TargetNotReached(Exception):
    """The archived WAL ends before the wanted time."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """Where PostgreSQL's server programs are, and their version ("15.18")."""

    folder: Path
    version: str

    def path(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.folder / name)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One database cluster: its files below `folder`, where it listens, and what its owner set."""

    name: str
    folder: Path
    address: str
    port: int
    settings: Mapping[str, str]
    archiving: bool = True

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def wal(self) -> Path:
        """The folder that full WAL segments are archived to."""
        return self.folder / "wal"


@cache
def programs() -> Programs:
    """Return the server programs on PATH, else the newest below /usr/lib/postgresql, else raise ProgramsMissing."""
    folders = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True)
    return programs_in([*folders, *packaged])


def programs_in(folders: Iterable[Path]) -> Programs:
    """Return the programs of the first folder that has them all; ProgramsMissing says what to install."""
    for folder in folders:
        if all((folder / name).exists() for name in PROGRAM_NAMES):
            said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
            found = re.search(r"(\d+\.\d+)", said)
            if found:
                return Programs(folder=folder, version=found.group(1))
    raise ProgramsMissing(
        f"no folder on PATH nor below /usr/lib/postgresql holds {', '.join(PROGRAM_NAMES)}; "
        "install PostgreSQL's server programs (Debian: apt-get install postgresql-15)"
    )


class Servers:
    """The clusters of one cloud and the servers that run on them."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.RLock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    # -- life ------------------------------------------------------------------------------------------------------

    def make(self, cluster: Cluster) -> None:
        """Make a new, empty cluster whose only role is the administrator's."""
        self._folders(cluster)
        self._run(
            [
                *(programs().path("initdb"), "-D", str(cluster.data), "-U", ADMIN, "-A", "trust", "-E", "UTF8"),
                *("--locale=C.UTF-8", f"--wal-segsize={SEGMENT_MB}", "--no-sync", "--no-instructions", "-k"),
            ]
        )

    def copy(self, base: Path, cluster: Cluster) -> None:
        """Fill a new cluster's data folder from a base backup or a stopped cluster's folder."""
        self._folders(cluster)
        cluster.data.rmdir()
        copy_tree(base, cluster.data)

    def start(
        self, cluster: Cluster, *, extra: Mapping[str, str] | None = None, seconds: float = START_SECONDS
    ) -> None:
        """Start a server and wait until it takes connections; ServerFailed carries what it printed."""
        with self._lock:
            if self.is_running(cluster):
                return
            self._end_leftover(cluster)
            self._configure(cluster, extra or {})
            log = self._log(cluster)
            begin = log.stat().st_size if log.exists() else 0
            process = self._cloud.processes.start(
                [programs().path("postgres"), "-D", str(cluster.data)],
                user=self._cloud.user,
                env=_ENVIRONMENT,
                cwd=cluster.data,
                log=log,
            )
            self._running[cluster.name] = process
        deadline = time.monotonic() + seconds
        while True:
            if process.poll() is not None:
                raise ServerFailed(log.read_bytes()[begin:].decode(errors="replace")[-2000:])
            with suppress(psycopg.OperationalError), self.connection(cluster):
                return
            if time.monotonic() > deadline:
                self.kill(cluster)
                raise ServerFailed(f"{cluster.name} took no connection within {seconds:.0f} s")
            time.sleep(0.03)

    def stop(self, cluster: Cluster) -> None:
        """Stop a server cleanly, ending its connections; nothing happens when it does not run."""
        self._end(cluster, signal.SIGINT)

    def kill(self, cluster: Cluster) -> None:
        """End a server as a power cut would."""
        self._end(cluster, signal.SIGQUIT)

    def is_running(self, cluster: Cluster) -> bool:
        """Return whether the server's process lives."""
        process = self._running.get(cluster.name)
        return process is not None and process.poll() is None

    def stop_all(self) -> None:
        """Stop every server cleanly, all at once, and delete the folders of their sockets."""
        with self._lock:
            ending, self._running = list(self._running.values()), {}
        for process in ending:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        for process in ending:
            self._cloud.processes.stop(process, with_signal=signal.SIGINT)
        shutil.rmtree(self._socket_root(), ignore_errors=True)

    def reload(self, cluster: Cluster) -> None:
        """Write the configuration anew and let a running server read it; some settings wait for a restart."""
        self._configure(cluster, {})
        with self._lock:
            process = self._running.get(cluster.name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGHUP)

    def remove(self, cluster: Cluster) -> None:
        """Stop the server and delete its data; the archived WAL stays."""
        self.kill(cluster)
        shutil.rmtree(cluster.data, ignore_errors=True)

    @contextmanager
    def connection(self, cluster: Cluster, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """Connect as the administrator through the private socket."""
        with psycopg.connect(
            host=str(self._socket(cluster)),
            port=cluster.port,
            user=ADMIN,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
            application_name="rdsadmin",
        ) as connection:
            yield connection

    # -- who may come in -------------------------------------------------------------------------------------------

    def create_master(self, cluster: Cluster, *, user: str, password: str, database: str | None) -> None:
        """Create the master role as RDS does (no superuser, member of rds_superuser) and its first database."""
        name = sql.Identifier(user)
        with self.connection(cluster) as connection:
            _keep_quiet(connection)
            connection.execute("CREATE ROLE rds_superuser NOLOGIN")
            for grant in MASTER_GRANTS:
                connection.execute(sql.SQL("GRANT {} TO rds_superuser WITH ADMIN OPTION").format(sql.Identifier(grant)))
            verifier = _verifier(connection, user, password)
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {} IN ROLE rds_superuser").format(
                    name, sql.Literal(verifier)
                )
            )
            connection.execute(sql.SQL("GRANT rds_superuser TO {} WITH ADMIN OPTION").format(name))
            for owned in ("postgres", "template1"):
                connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(owned), name))
            connection.execute("CREATE DATABASE rdsadmin STRATEGY = file_copy")
            connection.execute("REVOKE CONNECT ON DATABASE rdsadmin FROM public")
            if database and database != "postgres":
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY = file_copy").format(sql.Identifier(database), name)
                )

    def set_password(self, cluster: Cluster, *, user: str, password: str) -> None:
        """Change a role's password; the server only ever sees its SCRAM verifier."""
        with self.connection(cluster) as connection:
            _keep_quiet(connection)
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(user), sql.Literal(_verifier(connection, user, password))
                )
            )

    # -- backups -----------------------------------------------------------------------------------------------------

    def base_backup(self, cluster: Cluster, target: Path) -> datetime:
        """Copy a running cluster, with the WAL it needs, to `target`; return from when on (UTC) it can be recovered."""
        self._own(target.parent)
        shutil.rmtree(target, ignore_errors=True)
        self._run(
            [
                *(programs().path("pg_basebackup"), "-h", str(self._socket(cluster)), "-p", str(cluster.port)),
                *("-U", ADMIN, "-w", "-D", str(target), "-F", "p", "-c", "fast", "-X", "stream", "--no-sync"),
            ]
        )
        return datetime.now(UTC)

    def archived_until(self, cluster: Cluster) -> datetime:
        """Archive everything written so far; return the time (UTC) up to which the archive is complete."""
        with self.connection(cluster) as connection:
            now, segment = _one(connection, "SELECT clock_timestamp(), pg_walfile_name(pg_switch_wal())")
            deadline = time.monotonic() + ARCHIVE_SECONDS
            while not (cluster.wal / segment).exists():
                (last,) = _one(connection, "SELECT last_archived_wal FROM pg_stat_archiver")
                if last is not None and last[:24] > segment:
                    break
                if time.monotonic() > deadline:
                    raise ServerFailed(f"{cluster.name}: WAL segment {segment} was not archived")
                time.sleep(0.01)
        moment: datetime = now
        return moment.astimezone(UTC)

    def recover(self, cluster: Cluster, *, base: Path, wal: Path, until: datetime | None) -> None:
        """Build a new cluster from a base backup and archived WAL, up to and including `until` (None: all of it).

        Nothing that is archived after the call begins is replayed.
        """
        self.copy(base, cluster)
        replay = cluster.folder / "replay"
        shutil.rmtree(replay, ignore_errors=True)
        replay.mkdir(mode=0o755)
        for segment in sorted(wal.iterdir()):
            if not segment.name.startswith("."):
                _link_or_copy(segment, replay / segment.name)
        self._own(cluster.data / "recovery.signal", file=True)
        restore = {
            "restore_command": f"cp {_in_command(replay)}/%f %p",
            "recovery_target_action": "promote",
            "hot_standby": "off",
        }
        # PostgreSQL manual 20.5.6: the target is inclusive, every commit at or before it is there.
        target = {"recovery_target_time": f"{until:%Y-%m-%d %H:%M:%S.%f}+00"} if until else {}
        try:
            self.start(cluster, extra=restore | target, seconds=RECOVERY_SECONDS)
        except ServerFailed as failure:
            if "before configured recovery target was reached" not in str(failure):
                raise
            # No commit later than the target: all of the archive is the state of that time.
            self.start(cluster, extra=restore, seconds=RECOVERY_SECONDS)
        self.reload(cluster)
        shutil.rmtree(replay, ignore_errors=True)

    def prune_archive(self, wal: Path, oldest_base: Path) -> None:
        """Delete archived WAL that the oldest base backup kept does not need."""
        label = oldest_base / "backup_label"
        found = re.search(r"START WAL LOCATION: .*\(file ([0-9A-F]{24})\)", label.read_text())
        if found:
            self._run([programs().path("pg_archivecleanup"), str(wal), found.group(1)])

    def check_setting(self, name: str, value: str) -> str | None:
        """Return why the server would refuse a setting, or None."""
        said = self._execute([programs().path("postgres"), "-C", name, "-c", f"{name}={value}", "-D", "/nonexistent"])
        wrong = [line for line in said.stderr.splitlines() if "invalid value" in line or "outside the valid" in line]
        unknown = [line for line in said.stderr.splitlines() if "unrecognized configuration parameter" in line]
        requires = [line for line in said.stderr.splitlines() if "requires a" in line]
        lines = wrong or unknown or requires
        return lines[0].split("FATAL:")[-1].split("LOG:")[-1].strip() if lines else None

    # -- within ------------------------------------------------------------------------------------------------------

    def _end(self, cluster: Cluster, with_signal: int) -> None:
        with self._lock:
            process = self._running.pop(cluster.name, None)
        if process is not None:
            self._cloud.processes.stop(process, with_signal=with_signal)

    def _end_leftover(self, cluster: Cluster) -> None:
        """End a server that outlived an earlier local cloud: two of them on one folder would destroy it."""
        lock = cluster.data / "postmaster.pid"
        if lock.exists():
            with suppress(psutil.NoSuchProcess, ValueError, IndexError):
                old = psutil.Process(int(lock.read_text().splitlines()[0]))
                if str(cluster.data) in old.cmdline():
                    family = [old, *old.children(recursive=True)]
                    for member in family:
                        with suppress(psutil.NoSuchProcess):
                            member.kill()
                    psutil.wait_procs(family, timeout=10)
            lock.unlink(missing_ok=True)
        socket = self._socket(cluster)
        for name in (f".s.PGSQL.{cluster.port}", f".s.PGSQL.{cluster.port}.lock"):
            (socket / name).unlink(missing_ok=True)

    def _folders(self, cluster: Cluster) -> None:
        self._check_passable(cluster.folder)
        shutil.rmtree(cluster.data, ignore_errors=True)
        for folder in (cluster.data, cluster.wal):
            self._own(folder)

    def _check_passable(self, path: Path) -> None:
        user = self._cloud.user
        for folder in path.parents if user.name is not None else ():
            found = folder.stat()
            bit = 0o100 if found.st_uid == user.uid else 0o010 if found.st_gid == user.gid else 0o001
            if not found.st_mode & bit:
                raise ServerFailed(
                    f"PostgreSQL runs as {user.name}, which may not pass {folder}: keep the local cloud's files "
                    f"elsewhere or run chmod o+x {folder}"
                )

    def _own(self, path: Path, *, file: bool = False) -> None:
        if file:
            path.touch(mode=0o600)
        else:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._cloud.user.own(path)

    def _socket_root(self) -> Path:
        # A socket's path may have 107 bytes at most, so they cannot be among the cloud's own files.
        number = sha256(str(self._cloud.live).encode()).hexdigest()[:10]
        return Path("/tmp") / f"localcloud-{os.geteuid()}-{number}"  # noqa: S108

    def _socket(self, cluster: Cluster) -> Path:
        """Return the socket's folder, which only the server's account and root may enter."""
        root = self._socket_root()
        with suppress(FileExistsError):
            root.mkdir(mode=0o711)
        found = root.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ServerFailed(f"{root} belongs to somebody else; remove it")
        folder = root / cluster.name
        if not folder.exists():
            self._own(folder)
        return folder

    def _log(self, cluster: Cluster) -> Path:
        return self._cloud.logs / f"postgres-{cluster.name}.log"

    def _configure(self, cluster: Cluster, extra: Mapping[str, str]) -> None:
        certificate, key = self._certificate(cluster)
        settings = {
            **_DEFAULTS,
            **cluster.settings,
            "listen_addresses": cluster.address,
            "port": str(cluster.port),
            "unix_socket_directories": str(self._socket(cluster)),
            "archive_command": _archive_command(cluster.wal) if cluster.archiving else "true",
            "ssl_cert_file": str(certificate),
            "ssl_key_file": str(key),
            **extra,
        }
        lines = "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())
        forced = cluster.settings.get("rds.force_ssl", "1") in ("1", "on", "true")
        access = (
            f"local all {ADMIN} trust\nlocal replication {ADMIN} trust\nhost all {ADMIN} all reject\n"
            + ("hostnossl all all all reject\n" if forced else "")
            + "host all all all scram-sha-256\n"
        )
        # What ALTER SYSTEM left in a copied cluster is not ours.
        for name, content in (("postgresql.conf", lines), ("pg_hba.conf", access), ("postgresql.auto.conf", "")):
            path = cluster.data / name
            path.write_text(content)
            self._cloud.user.own(path)

    def _certificate(self, cluster: Cluster) -> tuple[Path, Path]:
        """Return certificate and key of the server, signed by the cloud's own authority (databases/rds-ca.pem)."""
        folder = cluster.folder / "tls"
        certificate, key = folder / f"{cluster.address}.pem", folder / f"{cluster.address}.key"
        if not key.exists():
            self._own(folder)
            _write_certificate(self._cloud.folder("databases"), cluster.address, certificate, key)
            for path in (certificate, key):
                path.chmod(0o600)
                self._cloud.user.own(path)
        return certificate, key

    def _run(self, argv: list[str]) -> None:
        ended = self._execute(argv)
        if ended.returncode != 0:
            raise ServerFailed(f"{Path(argv[0]).name} ended with status {ended.returncode}: {ended.stderr[-2000:]}")

    def _execute(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_ENVIRONMENT,
            **self._cloud.user.arguments(),
        )


_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

_DEFAULTS = {
    "max_connections": "100",
    "shared_buffers": "16MB",
    # A crash of the machine may cost the rehearsal's data; a crash of the server does not.
    "fsync": "off",
    "wal_level": "replica",
    "archive_mode": "on",
    "archive_timeout": str(ARCHIVE_TIMEOUT),
    "min_wal_size": f"{5 * SEGMENT_MB}MB",
    "max_wal_size": f"{64 * SEGMENT_MB}MB",
    "max_wal_senders": "10",
    "unix_socket_permissions": "0700",
    "ssl": "on",
    "ssl_min_protocol_version": "TLSv1.2",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "logging_collector": "off",
}


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
        found = source.stat()
        with suppress(PermissionError):
            os.chown(target, found.st_uid, found.st_gid)


def _one(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(query.encode()).fetchone() or ()
    return row


def _keep_quiet(connection: psycopg.Connection[Any]) -> None:
    # Not even the verifier of a password belongs in the server's log.
    for setting in ("log_min_error_statement = panic", "log_statement = none", "log_min_duration_statement = -1"):
        connection.execute(f"SET {setting}".encode())


def _verifier(connection: psycopg.Connection[Any], user: str, password: str) -> str:
    return connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _in_command(path: Path) -> str:
    # archive_command and restore_command read % as the start of a placeholder.
    return shlex.quote(str(path)).replace("%", "%%")


def _archive_command(wal: Path) -> str:
    folder = _in_command(wal)
    # A crash between the rename and PostgreSQL's own note makes it archive the same segment again.
    return f"cmp -s %p {folder}/%f || (cp %p {folder}/.%f.part && mv {folder}/.%f.part {folder}/%f)"


def _write_certificate(authority_folder: Path, address: str, certificate: Path, key: Path) -> None:
    authority_path, authority_key_path = authority_folder / "rds-ca.pem", authority_folder / ".rds-ca.key"
    begins, ends = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=3650)
    if not authority_path.exists():
        authority_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localcloud RDS authority")])
        authority = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(authority_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        _write_private(authority_key_path, _pem_of_key(authority_key))
        authority_path.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    authority = x509.load_pem_x509_certificate(authority_path.read_bytes())
    signer = serialization.load_pem_private_key(authority_key_path.read_bytes(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    own_key = ec.generate_private_key(ec.SECP256R1())
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)]))
        .issuer_name(authority.subject)
        .public_key(own_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    _write_private(key, _pem_of_key(own_key))


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
