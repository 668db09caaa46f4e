"""A dump restored into an empty database: every row, every sequence, the same schema."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import psycopg
import pytest
from lifeboat.clients.postgres import Postgres
from lifeboat.clients.restore_programs import RestorePrograms
from lifeboat.database_model import DumpFile, TableName
from lifeboat.decisions.archives import Rights
from lifeboat.decisions.comparisons import Compared
from lifeboat.dumps.restoring import Copy, Restored, Target, Tellers, restore
from lifeboat.model import Secret

from tests.restores.servers import BIN, RdsServer, StockDump, schema_text, session, stock_dump

NO_SUPERUSER = Rights(superuser=False)


def restored(dump: StockDump, rds: RdsServer, name: str, **target: object) -> Restored:
    postgres = rds.new_database(name)
    with RestorePrograms(BIN) as programs:
        return restore(
            dump.copy(),
            Target(postgres=postgres, rights=NO_SUPERUSER, jobs=2, **target),  # type: ignore[arg-type]
            programs,
            Tellers(say=lambda _: None, tell=lambda *_: None),
        )


def test_everything_comes_back_and_the_schema_is_the_same(rds: RdsServer, everything_dump: StockDump) -> None:
    done = restored(everything_dump, rds, "copy")

    assert done.compared == Compared(findings=(), remarks=())
    assert done.contents.tables == everything_dump.manifest.contents.tables
    assert len(done.contents.tables) >= 40
    assert done.contents.large_objects.count == 21
    assert schema_text(rds.master("copy")) == schema_text(rds.master("everything"))
    with session(rds.master("copy")) as connection:
        made = connection.execute(
            """
            INSERT INTO public.accounts (mail) VALUES ('new@example.org') RETURNING id, nextval('public.counting_down'),
            nextval('public.never_called'), (SELECT count(*) FROM public.per_state), (SELECT count(*) FROM pg_stats
            WHERE schemaname = 'public')
            """
        ).fetchone()
        assert made is not None
        assert made[:4] == (1000 + 7 * 300, 90, 77, 3)
        assert made[4] > 20, "ANALYZE has run"
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has not been populated"):
            connection.execute("SELECT * FROM public.not_filled")


# -- tokens that end ---------------------------------------------------------------------------------------------------

_SECONDS = 60.0
GATE = 4711  # the advisory lock that an index waits for while it is built


@dataclass
class Tokens:
    """What a role signs in with: one token at a time, of which the last one is good."""

    rds: RdsServer
    asked: int = 0
    made: list[str] = field(default_factory=lambda: ["token0"])

    def password(self) -> Secret:
        self.asked += 1
        return Secret(self.made[-1])

    def expire(self) -> None:
        """Let the token end that is good now, and wait until the one after it has been written down."""
        self.made.append(f"token{len(self.made)}")
        with self.rds.admin() as connection:
            connection.execute(f"ALTER ROLE tokens PASSWORD '{self.made[-1]}'".encode())
        # Who asks for the next one but one has written the next one.
        before, deadline = self.asked, time.monotonic() + _SECONDS
        while self.asked < before + 2:
            assert time.monotonic() < deadline, "nobody asks for a token while programs run"
            time.sleep(0.02)


@pytest.fixture
def tokens(rds: RdsServer) -> Iterator[Tokens]:
    with rds.admin() as connection:
        connection.execute("CREATE ROLE tokens LOGIN PASSWORD 'token0'")
    yield Tokens(rds)
    with rds.admin() as connection:
        connection.execute("DROP DATABASE IF EXISTS tokens WITH (FORCE)")
        connection.execute("DROP ROLE tokens")


def by_token(rds: RdsServer, tokens: Tokens) -> Postgres:
    """Return an empty database of the role's own, as the role signs in to it."""
    with rds.admin() as connection:
        connection.execute("CREATE DATABASE tokens OWNER tokens TEMPLATE template0")
    address = replace(rds.master("tokens").address, user="tokens")
    return Postgres(address=address, password=tokens.password, renewed=0.05)


def restored_by_token(copy: Copy, postgres: Postgres, jobs: int) -> Restored:
    target = Target(postgres=postgres, rights=NO_SUPERUSER, jobs=jobs)
    with RestorePrograms(BIN) as programs:
        return restore(copy, target, programs, Tellers(say=lambda _: None, tell=lambda *_: None))


def test_each_shard_signs_in_with_a_token_that_is_good_then(rds: RdsServer, tokens: Tokens) -> None:
    source = rds.new_database("shards")
    with session(source) as connection:
        for name in ("a", "b", "c"):
            connection.execute(f"CREATE TABLE {name} AS SELECT n FROM generate_series(1, 100) AS n".encode())
    dump = stock_dump(source, TableName(schema="public", name="a"), TableName(schema="public", name="b"))
    stored = dump.copy()

    @contextmanager
    def opened(file: DumpFile) -> Iterator[Iterator[bytes]]:
        tokens.expire()
        with stored.opened(file) as chunks:
            yield chunks

    # One after the other: else one of them ends the token that another is just signing in with.
    done = restored_by_token(Copy(manifest=dump.manifest, opened=opened), by_token(rds, tokens), jobs=1)

    assert len(tokens.made) == 1 + len(dump.files)
    assert done.compared == Compared(findings=(), remarks=())


def test_indexes_that_are_built_for_longer_than_a_token_lasts_are_all_there(rds: RdsServer, tokens: Tokens) -> None:
    source = rds.new_database("gated")
    with session(source) as connection:
        connection.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 3) AS n")
        connection.execute(
            "CREATE FUNCTION gated(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared({GATE}); RETURN n; END $$".encode()
        )
        connection.execute("CREATE INDEX one ON t (public.gated(n))")
        connection.execute("CREATE INDEX two ON t (public.gated(n + 1))")
    dump = stock_dump(source)
    postgres = by_token(rds, tokens)
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def end_a_token_meanwhile() -> None:
        deadline = time.monotonic() + _SECONDS
        while not gate.execute(waiting).fetchall() and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            tokens.expire()
        finally:
            gate.execute("SELECT pg_advisory_unlock_all()")

    with rds.admin("tokens") as gate:
        gate.execute(f"SELECT pg_advisory_lock({GATE})".encode())
        meanwhile = threading.Thread(target=end_a_token_meanwhile)
        meanwhile.start()
        done = restored_by_token(dump.copy(), postgres, jobs=2)
        meanwhile.join()

    assert tokens.made == ["token0", "token1"]
    assert done.compared == Compared(findings=(), remarks=())
