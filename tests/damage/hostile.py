"""Dumps made to do harm: archives whose statements, names or sizes reach for what is outside of the scratch server."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.restores.servers import RdsServer, StockDump, compressed, dump_file, session, stock_dump

# Long enough for each statement; in an archive that is not compressed it can be written over in place.
_ROOM = 40_000
_COMMENT = b"COMMENT ON TABLE public.t IS '"
HARM = "what nobody may do was done"


@dataclass(kw_only=True)
class Outside:
    """What a hostile dump may try to reach: a folder that anybody may write to, and listeners of both kinds."""

    folder: Path
    port: int
    connections: list[str] = field(default_factory=list)

    @property
    def marker(self) -> str:
        """The file whose existence proves that something ran."""
        return str(self.folder / "marker")

    def reached(self) -> list[str]:
        """Return what was reached; nothing where all was kept out."""
        there = [p.name for p in self.folder.iterdir() if p.name not in ("readable", ".s.PGSQL.5432")]
        return [*there, *self.connections]


@contextmanager
def outside() -> Iterator[Outside]:
    """Make what is to be out of reach, and listen there."""
    folder = Path(tempfile.mkdtemp(prefix="lifeboat-outside-"))
    folder.chmod(0o777)
    (folder / "readable").write_text("SELECT 1;\n")
    (folder / "readable").chmod(0o666)
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(folder / ".s.PGSQL.5432"))
    (folder / ".s.PGSQL.5432").chmod(0o777)
    unix.listen()
    found = Outside(folder=folder, port=tcp.getsockname()[1])

    def listen(server: socket.socket, name: str) -> None:
        with suppress(OSError):
            while True:
                server.accept()[0].close()
                found.connections.append(name)

    for server, name in ((tcp, "tcp"), (unix, "unix")):
        threading.Thread(target=listen, args=(server, name), daemon=True).start()
    yield found
    for server in (tcp, unix):
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
    shutil.rmtree(folder)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A hostile statement, and how it shows that it did its harm.

    By the marker, or by a connection. `said`: nobody outside would notice, so the same string goes on to an error that has
    HARM in it where the statement was let through. `alone`: nothing can stand beside it in a string, so that it was refused
    has to be in the error. `then`: what sets it off where it waits for somebody else. `psql`: only psql would do it.
    """

    statement: str
    said: bool = False
    alone: bool = False
    psql: bool = False
    then: str = ""

    @property
    def telling(self) -> str:
        """The statement as it is put into an archive."""
        told = f"; DO $harm$ BEGIN RAISE EXCEPTION '{HARM}'; END $harm$"
        return self.statement + told if self.said else self.statement


def attempts(there: Outside) -> dict[str, Attempt]:
    """Return hostile statements by what each tries."""
    return {**_programs(there), **_rights(there), **_server(there), **_outside(there), **_psql(there)}


def _program(there: Outside) -> str:
    return f"COPY (SELECT 1) TO PROGRAM 'cat > {there.marker}'"


def _called(there: Outside, number: int, how: str) -> str:
    """Return a statement whose function runs a program: one that calls itself immutable may do so through one that does not."""
    return (
        f"CREATE FUNCTION public.g{number}() RETURNS text LANGUAGE plpgsql AS"
        f" $f$ BEGIN {_program(there)}; RETURN ''; END $f$;"
        f" CREATE FUNCTION public.f{number}() RETURNS text LANGUAGE plpgsql IMMUTABLE AS"
        f" $f$ BEGIN RETURN public.g{number}(); END $f$; {how}"
    )


def _programs(there: Outside) -> dict[str, Attempt]:
    """Return statements that run a program or write a file, at once or when something else is done."""
    marker, program = there.marker, _program(there)
    return {
        "copy to a program": Attempt(statement=program),
        "copy from a program": Attempt(statement=f"COPY public.t FROM PROGRAM 'touch {marker}; echo 1'"),
        "copy to a file": Attempt(statement=f"COPY public.t TO '{marker}'"),
        "copy from a file": Attempt(
            statement="CREATE TABLE public.read (l text);"
            f" COPY public.read FROM '{there.folder}/readable'; COPY public.read TO '{marker}'"
        ),
        "a program when a view is filled": Attempt(
            statement=_called(there, 1, "CREATE MATERIALIZED VIEW public.m1 AS SELECT public.f1() AS x")
        ),
        "a program when an index is made": Attempt(
            statement=_called(there, 2, "CREATE INDEX ON public.t ((public.f2() || n))")
        ),
        "a program when a constraint is checked": Attempt(
            statement=_called(there, 3, "ALTER TABLE public.t ADD CHECK (public.f3() = '' AND n > 0)")
        ),
        "a program when a column is generated": Attempt(
            statement=_called(
                there, 4, "ALTER TABLE public.t ADD g text GENERATED ALWAYS AS (public.f4() || n::text) STORED"
            )
        ),
        "a program in a trigger": Attempt(
            statement="CREATE FUNCTION public.tr() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
            f"{program}; RETURN NEW; END $f$;"
            " CREATE TRIGGER tr BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.tr();"
            " ALTER TABLE public.t ENABLE ALWAYS TRIGGER tr",
            then="INSERT INTO public.t VALUES (1)",
        ),
        "a program when a row becomes text": Attempt(
            statement="CREATE TYPE public.c AS (a int);"
            f" CREATE FUNCTION public.as_text(public.c) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN {program}; RETURN ''; END $f$;"
            " CREATE CAST (public.c AS text) WITH FUNCTION public.as_text(public.c) AS IMPLICIT;"
            " CREATE TABLE public.with_cast (c public.c); INSERT INTO public.with_cast VALUES (ROW(1))",
            then="SELECT c::text FROM public.with_cast",
        ),
        "a program instead of the comparison's functions": Attempt(
            statement="CREATE FUNCTION public.hashtextextended(text, int) RETURNS bigint"
            f" LANGUAGE plpgsql AS $f$ BEGIN {program}; RETURN 0; END $f$",
            then="SELECT public.hashtextextended('a', 0)",
        ),
        "a program instead of what every session calls first": Attempt(
            statement="CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text"
            # Quiet for everybody but who can be harmed: an error would end the restore before a superuser comes.
            f" LANGUAGE plpgsql AS $f$ BEGIN IF current_setting('is_superuser') = 'on' THEN {program}; END IF;"
            " RETURN $2; END $f$;"
            " ALTER DATABASE scratch SET search_path = public, pg_catalog",
            then="SET search_path = public, pg_catalog; SELECT set_config('statement_timeout', '0', false)",
        ),
    }


def _rights(there: Outside) -> dict[str, Attempt]:
    """Return statements that try to get somebody else's rights."""
    program = _program(there)
    return {
        "a program with the rights of its owner": Attempt(
            statement="CREATE FUNCTION public.f5() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
            f" $f$ BEGIN {program}; END $f$; ALTER FUNCTION public.f5() OWNER TO lifeboat_admin; SELECT public.f5()"
        ),
        "a role that is set by a function": Attempt(
            statement="CREATE FUNCTION public.f6() RETURNS void LANGUAGE plpgsql"
            f" SET role = lifeboat_admin AS $f$ BEGIN {program}; END $f$; SELECT public.f6()"
        ),
        "another session's authorization": Attempt(statement=f"SET SESSION AUTHORIZATION lifeboat_admin; {program}"),
        "the authorization reset": Attempt(statement=f"RESET SESSION AUTHORIZATION; RESET ROLE; {program}"),
        "a superuser made": Attempt(statement=f"CREATE ROLE evil SUPERUSER LOGIN; SET ROLE evil; {program}"),
        "oneself made a superuser": Attempt(statement=f"ALTER ROLE lifeboat_restore SUPERUSER; {program}"),
        "a right of the server's programs": Attempt(
            statement=f"GRANT pg_execute_server_program TO lifeboat_restore; {program}"
        ),
        "an event trigger": Attempt(
            statement="CREATE FUNCTION public.ev() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN "
            f"{program}; END $f$; CREATE EVENT TRIGGER ev ON ddl_command_end EXECUTE FUNCTION public.ev()",
            then="CREATE TABLE public.e (a int)",
        ),
        "a function in C": Attempt(
            statement="CREATE FUNCTION public.c(regclass) RETURNS void LANGUAGE c AS '$libdir/amcheck', 'bt_index_check'",
            said=True,
        ),
        "a function of the server's own": Attempt(
            statement="CREATE FUNCTION public.i(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all';"
            f" SELECT public.i('{there.folder}/readable')",
            said=True,
        ),
        "a language that is not trusted": Attempt(
            statement="CREATE LANGUAGE evil HANDLER plpgsql_call_handler", said=True
        ),
        "a library": Attempt(statement="LOAD '$libdir/auto_explain'", said=True),
        "a library for each session": Attempt(
            statement="ALTER DATABASE scratch SET session_preload_libraries = '/tmp/evil'", said=True
        ),
    }


def _server(there: Outside) -> dict[str, Attempt]:
    """Return statements that reach for the server itself and for the files that it can read."""
    marker, folder = there.marker, there.folder
    return {
        "the server's settings": Attempt(
            statement=f"ALTER SYSTEM SET archive_command = 'touch {marker}'",
            alone=True,
        ),
        "the server's settings read again": Attempt(statement="SELECT pg_reload_conf()", said=True),
        "a file read": Attempt(
            statement=f"CREATE TABLE public.got AS SELECT pg_read_file('{folder}/readable')", said=True
        ),
        "a folder listed": Attempt(statement="SELECT pg_ls_dir('/')", said=True),
        "the log read": Attempt(statement="SELECT pg_current_logfile()", said=True),
        "the log of its changes ended": Attempt(statement="SELECT pg_switch_wal()", said=True),
        "a large object exported": Attempt(
            statement=f"SELECT lo_from_bytea(7777, 'x'); SELECT lo_export(7777, '{marker}')"
        ),
        "a file imported": Attempt(
            statement=f"SELECT lo_import('{folder}/readable', 7778); SELECT lo_export(7778, '{marker}')"
        ),
        "a tablespace": Attempt(statement=f"CREATE TABLESPACE ts LOCATION '{folder}'", alone=True),
        "another database": Attempt(statement="CREATE DATABASE evil", alone=True),
        "files written by adminpack": Attempt(
            statement=f"CREATE EXTENSION adminpack; SELECT pg_file_write('{marker}', 'x', false)"
        ),
        "a foreign table of a program": Attempt(
            statement="CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
            f" CREATE FOREIGN TABLE public.ft (l text) SERVER files OPTIONS (program 'touch {marker}');"
            " SELECT * FROM public.ft"
        ),
    }


def _outside(there: Outside) -> dict[str, Attempt]:
    """Return statements that connect to somebody else."""
    folder, port = there.folder, there.port
    return {
        "dblink to loopback": Attempt(
            statement="CREATE EXTENSION dblink;"
            f" SELECT * FROM dblink('host=127.0.0.1 port={port}', 'SELECT 1') AS t(x int)"
        ),
        "dblink to a socket": Attempt(
            statement=f"CREATE EXTENSION dblink; SELECT * FROM dblink('host={folder}', 'SELECT 1') AS t(x int)"
        ),
        "a foreign server on loopback": Attempt(
            statement="CREATE EXTENSION postgres_fdw; CREATE SERVER l FOREIGN DATA WRAPPER postgres_fdw"
            f" OPTIONS (host '127.0.0.1', port '{port}'); CREATE USER MAPPING FOR PUBLIC SERVER l;"
            " CREATE FOREIGN TABLE public.far (x int) SERVER l; SELECT * FROM public.far"
        ),
        "a subscription": Attempt(
            statement=f"CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port={port}' PUBLICATION p"
        ),
    }


def _psql(there: Outside) -> dict[str, Attempt]:
    """Return what psql would run of a plain SQL file, and no program that reads an archive does."""
    marker = there.marker
    return {
        "psql's escape": Attempt(statement=f"\\! touch {marker}", psql=True),
        "psql's escape after a line": Attempt(
            statement=f"SELECT 1;\n\\! touch {marker}\n\\o {marker}\nSELECT 2", psql=True
        ),
        "psql's copy": Attempt(statement=f"\\copy public.t to '{marker}'", psql=True),
        "the shell in backquotes": Attempt(statement=f"\\set x `touch {marker}`", psql=True),
    }


def named(rds: RdsServer, there: Outside) -> StockDump:
    """Return a dump whose names and comments are statements, as CVE-2025-8715 had it."""
    source = rds.new_database("hostile_names")
    escape = f"x\n\\! touch {there.marker}\nCOPY (SELECT 1) TO PROGRAM 'touch {there.marker}'; --"
    with session(source) as connection:
        connection.execute('CREATE SCHEMA "s\n\\! touch /m"')
        for kind in ("TABLE {} (a int)", "VIEW {} AS SELECT 1 AS a", "SEQUENCE {}", "TYPE {} AS ENUM ('a')"):
            name = f'"{kind[:2]}{escape}"'[:60].rstrip('"') + '"'
            connection.execute(("CREATE " + kind.format(name)).encode())
        connection.execute("CREATE TABLE public.t (n text)")
        connection.execute("INSERT INTO public.t VALUES (%s), (E'\\\\.')", (escape,))
        quoted = escape.replace("'", "''")
        connection.execute(f"COMMENT ON TABLE public.t IS '{quoted}'".encode())
    return stock_dump(source)


def base(rds: RdsServer) -> StockDump:
    """Return a dump of one table whose comment is there to be written over."""
    source = rds.new_database("hostile")
    with session(source) as connection:
        connection.execute("CREATE TABLE public.t (n int)")
        connection.execute("INSERT INTO public.t SELECT generate_series(1, 10)")
        connection.execute(f"COMMENT ON TABLE public.t IS '{'A' * _ROOM}'".encode())
    return stock_dump(source)


def saying(dump: StockDump, raw: bytes, statement: str) -> StockDump:
    """Return the dump with a statement in the place of the comment; `raw` is its schema's archive."""
    start = raw.index(_COMMENT)
    end = raw.index(b"';", start) + 2
    body = (statement + ";\n--").encode()
    assert len(body) <= end - start, statement
    return dump.with_raw("schema.dump.zst", raw[:start] + body + b" " * (end - start - len(body)) + raw[end:])


def attempting(statement: str, number: int) -> str:
    """Return a statement that goes on whatever came of it, so that one restore can try many."""
    inner = statement.replace("$f$", f"$f{number}$")
    return f"DO $do{number}$ BEGIN EXECUTE $x{number}${inner}$x{number}$; EXCEPTION WHEN OTHERS THEN NULL; END $do{number}$;"


def bombs(dump: StockDump, raw: bytes) -> dict[str, StockDump]:
    """Return dumps that try to fill memory, disk or time instead of reaching out."""
    gigabytes = b"\0" * 512 * 1024 * 1024
    lying = dump_file("schema.dump.zst", b"\0" * 1024, compressed(gigabytes))
    lied = replace(dump.manifest, files=tuple(lying if f.name == lying.name else f for f in dump.manifest.files))
    count = _toc_count_at(raw)
    return {
        "zeros, and the manifest says so": dump.with_raw("schema.dump.zst", gigabytes),
        "zeros, and the manifest says less": replace(
            dump, manifest=lied, files={**dump.files, lying.name: compressed(gigabytes)}
        ),
        "a table of contents without end": dump.with_raw(
            "schema.dump.zst", raw[:count] + b"\x00\xff\xff\xff\x7f" + raw[count + 5 :]
        ),
        "plain SQL": dump.with_raw(
            "schema.dump.zst", b"--\n-- PostgreSQL database dump\n--\n\n\\! touch /m\n" + b"--\n" * 1000
        ),
        "a loop": saying(dump, raw, "DO $f$ BEGIN LOOP END LOOP; END $f$"),
        "a sleep": saying(dump, raw, "SELECT pg_sleep(100000)"),
        "memory": saying(
            dump, raw, "DO $f$ DECLARE x text[]; BEGIN LOOP x := x || repeat('x', 100000000); END LOOP; END $f$"
        ),
        "a disk": saying(
            dump,
            raw,
            "CREATE TABLE public.big AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 1000000000) AS n",
        ),
        "a log": saying(dump, raw, "DO $f$ BEGIN LOOP RAISE LOG 'x'; END LOOP; END $f$"),
    }


def _toc_count_at(raw: bytes) -> int:
    """Return where an archive of format 1.14 says how many items it has (pg_backup_archiver.c, ReadHead)."""
    at = 11 + 5 * 8  # magic, versions and sizes; then the compression and seven numbers of its date
    for _ in range(3):  # the database's name, the server's version and the client's
        at += 5 + int.from_bytes(raw[at + 1 : at + 5], "little")
    return at


def left_behind() -> list[str]:
    """Return the folders of scratch servers that are still there, below the folder for temporary files."""
    return sorted(p.name for p in Path(tempfile.gettempdir()).glob("lifeboat-scratch-*"))
