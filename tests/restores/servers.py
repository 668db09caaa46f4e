"""A PostgreSQL server as RDS gives it, for tests of dumps: TLS, a master that is no superuser, and dumps made with stock tools."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import zstandard
from lifeboat.clients import dump_server
from lifeboat.clients.postgres import Postgres, ServerAddress, own_path
from lifeboat.database_model import DumpFile, Manifest, Selection, TableName, dump_id
from lifeboat.decisions import fingerprints
from lifeboat.dumps.contents import contents
from lifeboat.dumps.restoring import Copy
from lifeboat.model import Secret
from localcloud.cloud import Cloud
from localcloud.postgres import Cluster, Servers, programs
from psycopg import sql

from tests.conftest import free_port, own_network

PASSWORD = "correct horse"
BIN = Path(programs().folder)
BEGUN = datetime(2026, 11, 29, 3, 15, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class RdsServer:
    """A running server, its administrator's way in, and its master's."""

    cluster: Cluster
    servers: Servers

    def master(self, database: str) -> Postgres:
        """Return a database as the master role sees it, over TLS."""
        address = ServerAddress(
            host=self.cluster.address,
            port=self.cluster.port,
            database=database,
            user="app",
            sign_in="password",
            ca_file=None,
            region="eu-west-1",
        )
        return Postgres(address=address, password=lambda: Secret(PASSWORD))

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """Give a connection of the superuser, through the server's own socket."""
        with self.servers.connection(self.cluster, database) as connection:
            yield connection

    def new_database(self, name: str) -> Postgres:
        """Make an empty database that belongs to the master."""
        with self.admin() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            order = sql.SQL("CREATE DATABASE {} OWNER app TEMPLATE template0 STRATEGY file_copy")
            connection.execute(order.format(sql.Identifier(name)))
        return self.master(name)


@contextmanager
def rds_server(
    settings: Mapping[str, str] | None = None, *, below: Path | None = None, segment_megabytes: int | None = None
) -> Iterator[RdsServer]:
    """Start a server with a master role `app`, its files below a folder; its WAL is in small segments unless told otherwise."""
    # Not below pytest's folder: PostgreSQL's account must be able to pass.
    directory = Path(tempfile.mkdtemp(prefix="lifeboat-", dir=below))
    directory.chmod(0o755)
    (directory / "logs").mkdir()
    cloud = Cloud(directory=directory, endpoint="http://127.0.0.1:1", network=own_network(free_port()))
    servers = Servers(cloud)
    try:
        folder = cloud.folder("databases", "source")
        cloud.user.own(folder)
        cluster = Cluster(
            name="source",
            folder=folder,
            address=cloud.new_address("database"),
            port=5432,
            settings=settings or {},
            archiving=False,
        )
        servers.make(cluster)
        if segment_megabytes is not None:
            argv = [str(BIN / "pg_resetwal"), f"--wal-segsize={segment_megabytes}", "-D", str(cluster.data)]
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, cwd="/", **cloud.user.arguments())
        servers.start(cluster)
        servers.create_master(cluster, user="app", password=PASSWORD, database=None)
        yield RdsServer(cluster=cluster, servers=servers)
    finally:
        servers.stop_all()
        cloud.processes.stop_all()
        shutil.rmtree(directory)


@contextmanager
def session(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in which names mean what the role means by them, as applications have it."""
    with postgres.connection(application="test") as connection, own_path(connection):
        yield connection


def pg_dump(postgres: Postgres, *options: str) -> bytes:
    """Return what stock pg_dump writes of a database."""
    with postgres.program_env() as env:
        return subprocess.run(
            [BIN / "pg_dump", *options], env={**os.environ, **env}, check=True, capture_output=True
        ).stdout


def schema_text(postgres: Postgres) -> str:
    """Return the whole schema as pg_dump writes it, without the two lines of chance (\\restrict) and owners' names."""
    text = pg_dump(postgres, "--schema-only", "--no-owner").decode()
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict ")))


def compressed(raw: bytes) -> bytes:
    """Return bytes as one zstd frame with a checksum."""
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(raw)


def dump_file(name: str, raw: bytes, stored: bytes, tables: Sequence[TableName] = ()) -> DumpFile:
    """Return what a manifest says of a file."""
    return DumpFile(
        name=name,
        version_id=hashlib.md5(stored).hexdigest(),  # noqa: S324
        etag=hashlib.md5(stored).hexdigest(),  # noqa: S324
        crc64nvme="",
        size=len(stored),
        sha256=hashlib.sha256(stored).hexdigest(),
        raw_size=len(raw),
        raw_sha256=hashlib.sha256(raw).hexdigest(),
        tables=tuple(tables),
    )


@dataclass(frozen=True, kw_only=True)
class StockDump:
    """A dump in memory: its manifest, and the stored bytes of its files by their names."""

    manifest: Manifest
    files: dict[str, bytes]

    def copy(self) -> Copy:
        """Return it as what a restore reads."""

        @contextmanager
        def opened(file: DumpFile) -> Iterator[Iterator[bytes]]:
            body = self.files[file.name]
            yield (body[at : at + 65536] for at in range(0, len(body), 65536))

        return Copy(manifest=self.manifest, opened=opened)

    def with_raw(self, name: str, raw: bytes) -> StockDump:
        """Return a dump whose file holds other bytes, its manifest in agreement with them."""
        stored = compressed(raw)
        files = tuple(dump_file(name, raw, stored) if f.name == name else f for f in self.manifest.files)
        return StockDump(manifest=replace(self.manifest, files=files), files={**self.files, name: stored})


def stock_dump(postgres: Postgres, *shards: TableName) -> StockDump:
    """Dump a quiet database with stock tools: the schema, a catch-all, and a shard for each table that is named."""
    without = [f"--exclude-table-data={fingerprints.quoted_name(table)}" for table in shards]
    archives = {
        "schema.dump.zst": pg_dump(postgres, "-Fc", "-Z0", "--section=pre-data", "--section=post-data"),
        "data-00.dump.zst": pg_dump(postgres, "-Fc", "-Z0", "--section=data", *without),
    }
    named: dict[str, tuple[TableName, ...]] = {}
    for number, table in enumerate(shards, 1):
        name = f"data-{number:02}.dump.zst"
        archives[name] = pg_dump(postgres, "-Fc", "-Z0", "--section=data", f"--table={fingerprints.quoted_name(table)}")
        named[name] = (table,)
    stored = {name: compressed(raw) for name, raw in archives.items()}
    with postgres.connection(application="test") as connection:
        found, server = contents(connection, Selection()), dump_server.server(connection)
    return StockDump(
        manifest=Manifest(
            id=dump_id(BEGUN, "3f9a1c"),
            application="app-local",
            environment="local",
            database=postgres.address.database,
            begun_at=BEGUN,
            snapshot_at=BEGUN,
            ended_at=BEGUN,
            lsn="0/0",
            standby=False,
            server=server,
            client_version=programs().version,
            lifeboat_version="0.1.0",
            git_sha=None,
            image_tag=None,
            state_serial=None,
            selection=Selection(),
            files=tuple(dump_file(n, archives[n], stored[n], named.get(n, ())) for n in archives),
            contents=found,
        ),
        files=stored,
    )
