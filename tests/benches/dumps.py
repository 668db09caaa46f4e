"""Dumps and restores of a real PostgreSQL beside the tools that everybody has, in one run: `make bench`, or this module alone.

LIFEBOAT_BENCH_GB: sizes of the database in GB, for fewer than "0.25 0.5 1 2"; LIFEBOAT_BENCH_ROUNDS: how often each is measured.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from tests.benches import database, measuring, sink
from tests.benches.database import DATABASE
from tests.benches.measuring import Figures, Meters, Work
from tests.benches.projects import project
from tests.benches.sink import Sink
from tests.gitlab_sites import DUMP_BUCKET, RECOVERY, REGION, STATE_BUCKET
from tests.rehearsal import CLEAN, ROOT
from tests.restores.servers import PASSWORD, RdsServer

SIZES = "0.25 0.5 1 2"
ROUNDS = "3"
_TARGET = "restored"
_SERVER_STAGES = ("sequences and statistics", "comparing with the manifest")


def main() -> int:
    """Measure at every size that is asked for, and print tables."""
    rounds = int(os.environ.get("LIFEBOAT_BENCH_ROUNDS", ROUNDS))
    for size in os.environ.get("LIFEBOAT_BENCH_GB", SIZES).split():
        with prepared(float(size)) as place:
            for part in (_dumps, _proofs, _restores):
                for line in (*part(place, size, rounds), ""):
                    print(line, flush=True)
    return 0


@contextmanager
def prepared(gigabytes: float) -> Iterator[Place]:
    """Give a place with a database of so many GB."""
    with ExitStack() as stack:
        # Not in memory, where the tests' files are: the server has to write to a disk, and what fills one is to be seen.
        disk = stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeboat-bench-", dir="/var/tmp"))
        folder = Path(disk)
        folder.chmod(0o755)
        server = stack.enter_context(database.filled(gigabytes, folder))
        bucket = stack.enter_context(sink.running())
        env = stack.enter_context(server.master(DATABASE).program_env())
        place = Place(server=server, sink=bucket, folder=folder, pg=env)
        place.write()
        yield place


@dataclass(frozen=True, kw_only=True)
class Place:
    """A server with data, a sink, a folder on a disk, and the variables by which PostgreSQL's programs reach the server."""

    server: RdsServer
    sink: Sink
    folder: Path
    pg: Mapping[str, str]

    @property
    def meters(self) -> Meters:
        """What is read before and after each run."""
        return Meters(server=lambda: database.server_seconds(self.server), sink=self.sink.seconds, folder=self.folder)

    @property
    def env(self) -> dict[str, str]:
        """The variables of every command."""
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": REGION}
        path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}"
        return {**CLEAN, **keys, **self.pg, "PATH": path, "AWS_EC2_METADATA_DISABLED": "true"}

    def write(self) -> None:
        """Make the project folder of lifeboat, and put its state and the password into the sink."""
        project(self.folder, self.sink.url)
        cluster = self.server.cluster
        where = {"address": cluster.address, "port": cluster.port, "name": DATABASE}
        document = {**RECOVERY, "database": {**RECOVERY["database"], **where}}
        outputs = {"recovery": {"value": document, "type": "dynamic"}}
        state = {"version": 4, "serial": 1, "lineage": "l", "outputs": outputs, "resources": []}
        self.sink.put(f"{STATE_BUCKET}/stack.tfstate", json.dumps(state).encode())
        self.sink.put("-/secrets/app-x/password", json.dumps({"username": "app", "password": PASSWORD}).encode())

    def shell(self, name: str, script: str) -> Work:
        """Return a way that is a shell script."""
        argv = ["bash", "-c", f"set -euo pipefail; {script}"]
        return Work(name=name, argv=argv, env=self.env, cwd=self.folder, before=self.settle)

    def lifeboat(self, name: str, *words: str) -> Work:
        """Return a way that is a command of lifeboat."""
        argv = ["lifeboat", *words, "-e", "x"]
        env = {name: value for name, value in self.env.items() if not name.startswith("PG")}
        return Work(name=name, argv=argv, env=env, cwd=self.folder, before=self.settle)

    @property
    def upload(self) -> str:
        """The AWS command line's copy, at the sink."""
        return f"aws --endpoint-url {self.sink.url} s3 cp --quiet"

    def settle(self) -> None:
        """Let the server write what it owes the disk before it is measured."""
        with self.server.admin() as connection:
            connection.execute("CHECKPOINT")


# -- dumps -------------------------------------------------------------------------------------------------------------


def _dumps(place: Place, size: str, rounds: int) -> list[str]:
    place.sink.drop_bodies()
    pg_dump = database.program("pg_dump")
    taken: dict[str, list[int]] = {}
    file = "{temporary}/plain.sql"
    works = [
        place.shell(
            "pg_dump > file, aws s3 cp, rm",
            f"{pg_dump} > {file}; {place.upload} {file} s3://{DUMP_BUCKET}/plain.sql; rm {file}",
        ),
        place.shell("pg_dump | aws s3 cp -", f"{pg_dump} | {place.upload} - s3://{DUMP_BUCKET}/plain.sql"),
        place.shell(
            "pg_dump -Fd -j2, upload",
            f"{pg_dump} -Fd -j2 -f {{temporary}}/d; {place.upload} --recursive {{temporary}}/d s3://{DUMP_BUCKET}/d",
        ),
        place.lifeboat("lifeboat dump --jobs 1", "dump", "--jobs", "1"),
        place.lifeboat("lifeboat dump --jobs 2", "dump", "--jobs", "2"),
        place.shell("limit: two COPY TO STDOUT > /dev/null", _two_copies(place)),
    ]
    measuring.measured(works[-1], place.meters)  # the cache is warm for all of them
    for work in works:
        before = place.sink.taken()
        measuring.measured(work, place.meters)
        taken[work.name] = [place.sink.taken() - before]
    found = measuring.interleaved(works, place.meters, rounds)
    plain = taken[works[0].name][0]
    stored = ", ".join(f"{name} {sizes[0] / 1e6:,.0f}" for name, sizes in taken.items())
    title = f"dump of {size} GB ({plain / 1e6:,.0f} MB as a plain dump), medians of {rounds} interleaved rounds"
    return [*measuring.table(title, found), f"MB stored: {stored}"]


def _two_copies(place: Place) -> str:
    """Return a script that reads all rows over two connections, the events over one of them."""
    psql = f"{database.program('psql')} -qXAt"
    rest = "".join(f"COPY {table} TO STDOUT;" for table in _tables(place) if table != "audit.events")
    return f"{psql} -c 'COPY audit.events TO STDOUT' >/dev/null & {psql} -c {shlex.quote(rest)} >/dev/null; wait"


def _tables(place: Place) -> list[str]:
    with place.server.admin(DATABASE) as connection:
        rows = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'audit') ORDER BY 1"
        )
        return [row[0] for row in rows]


# -- proofs ------------------------------------------------------------------------------------------------------------


def _proofs(place: Place, size: str, rounds: int) -> list[str]:
    """Return how fast a dump's bytes are read: its digests, archives, and the rows of each table."""
    place.sink.keep_bodies()
    before = place.sink.taken()
    measuring.measured(place.lifeboat("ours", "dump", "--jobs", "2"), place.meters)
    stored = (place.sink.taken() - before) / 1e6
    pg_dump, pg_restore = map(database.program, ("pg_dump", "pg_restore"))
    archive = place.folder / "uncompressed"
    measuring.measured(place.shell("uncompressed", f"{pg_dump} -Fc -Z0 -f {archive}"), place.meters)
    works = [
        place.lifeboat("lifeboat verify latest --level 1", "verify", "latest", "--level", "1"),
        place.lifeboat("lifeboat verify latest --level 2", "verify", "latest", "--level", "2"),
        place.shell("limit: pg_restore < archive on the disk | wc -l", f"{pg_restore} -f - < {archive} | wc -l"),
    ]
    found = measuring.interleaved(works, place.meters, rounds)
    size_of_archive = archive.stat().st_size / 1e6
    archive.unlink()
    listed, read, limit = found.values()
    # What a command costs that reads a listing alone is not the reading of bytes.
    ours = statistics.median(two.client - one.client for one, two in zip(listed, read, strict=True))
    theirs = statistics.median(run.client for run in limit)
    title = f"proof of a dump of {size} GB, medians of {rounds} interleaved rounds"
    rates = (
        f"{stored:,.0f} MB stored, {size_of_archive:,.0f} MB of archive; MB of archive for each CPU second:"
        f" level 2 beyond level 1 {size_of_archive / ours:,.0f}, limit {size_of_archive / theirs:,.0f};"
        f" MB stored for each: {stored / ours:,.0f}, {stored / theirs:,.0f}"
    )
    return [*measuring.table(title, found), rates]


# -- restores ----------------------------------------------------------------------------------------------------------


def _restores(place: Place, size: str, rounds: int) -> list[str]:
    place.sink.keep_bodies()
    pg_dump, pg_restore, psql = map(database.program, ("pg_dump", "pg_restore", "psql"))
    archive = place.folder / "archive"
    for work in (
        place.shell("plain", f"{pg_dump} | {place.upload} - s3://{DUMP_BUCKET}/plain.sql"),
        place.shell("directory", f"{pg_dump} -Fd -j2 -f {archive}"),
        place.lifeboat("ours", "dump", "--jobs", "2"),
    ):
        measuring.measured(work, place.meters)
    into = f"-d {_TARGET}"
    # Who is no superuser may not comment on an extension: the one error of psql and pg_restore that is none.
    works = [
        place.shell(
            "aws s3 cp, psql <",
            f"{place.upload} s3://{DUMP_BUCKET}/plain.sql {{temporary}}/f; {psql} -qX {into} -f {{temporary}}/f >/dev/null",
        ),
        place.shell("pg_restore -j2 from the disk", f"{pg_restore} --no-owner --no-comments -j2 {into} {archive}"),
        *(
            place.lifeboat(
                f"lifeboat restore --jobs {jobs}",
                "restore",
                "latest",
                "--to",
                _TARGET,
                "--yes",
                "-o",
                "json",
                *("--jobs", jobs),
            )
            for jobs in ("1", "2")
        ),
        place.shell("limit: COPY FROM files, two at a time", _from_files(place, archive)),
    ]
    works = [_beside(place, work) for work in works]
    found = measuring.interleaved(works, place.meters, rounds)
    lines = measuring.table(f"restore of {size} GB, medians of {rounds} interleaved rounds", found)
    return [*lines, *(_stages(name, runs) for name, runs in found.items() if name.startswith("lifeboat"))]


def _beside(place: Place, work: Work) -> Work:
    """Return a way with an empty database made before it, and dropped after it."""

    def before() -> None:
        place.server.new_database(_TARGET)
        place.settle()

    def after() -> None:
        with place.server.admin() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(_TARGET)))

    return Work(name=work.name, argv=work.argv, env=work.env, cwd=work.cwd, before=before, after=after)


def _stages(name: str, runs: Sequence[Figures]) -> str:
    """Return what of a restore is not in the other ways: statistics and the comparison of every row with the manifest."""
    taken = [json.loads(run.said[run.said.index("{") :])["seconds"] for run in runs]
    middle = {stage: statistics.median(one[stage] for one in taken) for stage in taken[0]}
    rest = statistics.median(
        run.wall - sum(one[stage] for stage in _SERVER_STAGES) for run, one in zip(runs, taken, strict=True)
    )
    said = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in middle.items())
    return f"{name}: {said}; without the last two {rest:.1f} s"


def _from_files(place: Place, archive: Path) -> str:
    """Return a script by which the server reads files of its own over two connections, then builds what is on the rows."""
    files = place.server.cluster.folder / "data" / "bench"
    files.mkdir(exist_ok=True)
    files.chmod(0o777)
    copies: dict[str, str] = {}
    with place.server.admin(DATABASE) as connection:
        for number, table in enumerate(_tables(place)):
            (columns,) = connection.execute(
                "SELECT string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
                (table,),
            ).fetchone() or ("",)
            where = f"{table} ({columns})"
            connection.execute(f"COPY {where} TO '{files}/{number}'".encode())
            copies[table] = f"COPY {where} FROM '{files}/{number}';"
    pg_restore = f"{database.program('pg_restore')} --no-owner --no-comments -d {_TARGET}"
    with place.server.admin() as connection:
        socket = connection.info.host
    psql = f"{database.program('psql')} -qX -h {socket} -U rdsadmin -d {_TARGET}"
    rest = "".join(order for table, order in copies.items() if table != "audit.events")
    data = f"{psql} -c {shlex.quote(copies['audit.events'])} & {psql} -c {shlex.quote(rest)}; wait"
    return f"{pg_restore} --section=pre-data {archive}; {data}; {pg_restore} --section=post-data -j2 {archive}"


if __name__ == "__main__":
    sys.exit(main())
