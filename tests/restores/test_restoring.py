"""A dump restored into an empty database: every row, every sequence, the same schema."""

from __future__ import annotations

import psycopg
import pytest
from lifeboat.clients.restore_programs import RestorePrograms
from lifeboat.decisions.archives import Rights
from lifeboat.decisions.comparisons import Compared
from lifeboat.dumps.restoring import Restored, Target, Tellers, restore

from tests.restores.servers import BIN, RdsServer, StockDump, schema_text, session

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
