"""More of what a recovery says of rows that are not in the restored database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lifeboat.clients.journal import Journal
from lifeboat.errors import ApprovalMissing, StoppedPartWay
from lifeboat.model import EventKind, RunId
from lifeboat.runbooks import database_losses, database_proof, recover_database

from tests.dump_sites import DumpSite
from tests.dumps.conftest import made as made  # noqa: PLC0414 (a fixture)
from tests.dumps.conftest import site as site  # noqa: PLC0414 (a fixture)
from tests.dumps.test_what_is_lost import EVERY_TABLE, Agreeing, did, filled, flag, gone
from tests.plain_sites import Told
from tests.restored_sites import carried_out, in_it, recovering


def test_a_copy_without_a_row_in_any_table_is_a_copy_of_nothing_unless_that_was_known(site: DumpSite) -> None:
    (made,) = site.dump()
    c = filled(site, made.id)
    in_it(c, EVERY_TABLE, "CREATE TABLE lifeboat_heartbeat AS SELECT now() AS beat_at")

    with pytest.raises(StoppedPartWay, match="holds 4 tables and no row in any: .* is a copy of nothing") as refused:
        did(c, database_proof.PROOF)

    assert f"--from {made.id} --accept-flagged" in refused.value.hint
    known = replace(c, request=replace(c.request, accept_flagged=True))
    assert did(known, database_proof.PROOF) == ["done"]
    assert (c.fact("tables"), c.fact("with_rows")) == (4, 0)


def test_a_dump_is_compared_neither_with_itself_nor_with_one_that_is_flagged_for_what_it_lacks(site: DumpSite) -> None:
    site.run("CREATE TABLE lost AS SELECT 1 AS id")
    (older,) = site.dump()
    site.run("TRUNCATE lost")
    (flagged,), (made,) = site.dump(), site.dump()
    flag(site, flagged)
    c = filled(site, made.id)
    gone(site)

    with pytest.raises(StoppedPartWay, match=f"public.lost holds no row, and dump {older.id} has rows of it"):
        did(c, database_losses.COMPARED)

    site.run("DROP TABLE lost")


def test_where_there_is_nothing_but_the_dump_that_was_restored_it_is_compared_with_nothing(site: DumpSite) -> None:
    (made,) = site.dump()
    c = filled(site, made.id)
    gone(site)

    assert did(c, database_losses.COMPARED) == ["done"]

    assert (c.fact("compared_with"), c.fact("missing")) == ([], [])


def test_a_dump_whose_manifest_cannot_be_read_is_named_and_an_older_one_tells_what_there_was(site: DumpSite) -> None:
    (older,), (unread,), (newer,) = site.dump(), site.dump(), site.dump()
    c = filled(site, newer.id)
    in_it(c, "TRUNCATE filler")
    key = f"dumps/x/app/{unread.id}/manifest.json"
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=key, Body=b"{}")

    with pytest.raises(StoppedPartWay, match=f"filler holds no row, and {site.plain.application} and dump {older.id}"):
        did(c, database_losses.COMPARED)

    agreed = replace(c, agree=Agreeing())
    assert did(agreed, database_losses.COMPARED) == ["done"]
    assert c.fact("compared_with") == [site.plain.application, f"dump {older.id}"]
    assert [line.partition(": ")[0] for line in c.fact("not_compared")] == [f"dump {unread.id}"]
    assert isinstance(c.tell, Told)
    assert f"not compared with {c.fact('not_compared')[0]}" in c.tell.lines


def test_a_copy_is_not_noted_where_nobody_knows_what_the_newest_dump_held(site: DumpSite) -> None:
    (made,) = site.dump()
    (unread,) = site.dump()
    c = filled(site, made.id)
    decided = datetime.now(UTC)
    c.journal.write(EventKind.NOTE, step="copy", as_of=decided.isoformat())
    key = f"dumps/x/app/{unread.id}/manifest.json"
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=key, Body=b"{}")

    ended = did(c, database_losses.COMPARED, database_proof.NOTED)

    assert ended == ["done", "holds"]
    assert c.fact("missing") == []
    assert all(entry.proofs == () for entry in site.site().dump_store(site.recovery()).entries("app"))


def test_the_environments_probes_are_asked_of_the_restored_database_and_a_wrong_answer_waits_for_agreement(
    site: DumpSite,
) -> None:
    (made,) = site.dump()
    c = filled(site, made.id)
    right = '[[dumps.probes]]\nname = "rows"\nsql = "SELECT count(*) FROM filler"\nexpect = 5000\n'
    wrong = '[[dumps.probes]]\nname = "orders"\nsql = "SELECT count(*) FROM sales.orders"\nminimum = 3000\n'
    site.settings(right + wrong)
    probed, agreeing = replace(c, site=site.site()), Agreeing()

    assert did(probed, database_proof.PROOF) == ["done"]
    with pytest.raises(StoppedPartWay, match="although probe orders: 2000; at least 3000 was expected"):
        did(probed, database_losses.COMPARED)

    agreed = replace(probed, agree=agreeing)
    assert did(agreed, database_losses.COMPARED, database_proof.NOTED) == ["done", "holds"]
    found = recover_database.report(agreed)
    assert found is not None
    assert (found.probed, found.probe_findings, found.missing) == (
        ("rows", "orders"),
        ("probe orders: 2000; at least 3000 was expected",),
        (),
    )


def test_a_copy_from_after_the_declared_failure_waits_for_agreement(site: DumpSite) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    declared = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    c.journal.write(EventKind.NOTE, step="failure", failed_at=declared.isoformat())
    # RDS has nothing of this database: of its own accord a recovery takes the newest dump, of the one bucket that there is.
    unnamed = replace(c, request=replace(c.request, copy=None, failed_at=declared))

    with pytest.raises(ApprovalMissing) as refused:
        carried_out(unnamed, "copy")

    assert f"after the failure at {declared:%Y-%m-%d %H:%M:%S}Z: whatever broke the data then is in it" in str(
        refused.value
    )
    assert f"--to {declared:%Y-%m-%dT%H:%M:%SZ}" in str(refused.value)
    assert unnamed.fact("copy") is None
    # A preview, in which nothing is written down yet, tells what would be asked.
    nothing = Journal(run=RunId("preview"), path=Path(), bucket=site.site().journals(), now=unnamed.now)
    asked = recover_database.asks(replace(unnamed, journal=nothing))
    assert asked == str(refused.value).splitlines()
    assert recover_database.asks(replace(unnamed, request=replace(unnamed.request, copy="no-such-copy"))) == []
    carried_out(replace(unnamed, agree=Agreeing()), "copy")
    assert unnamed.fact("copy") == made.id
    assert recover_database.asks(unnamed) == []
