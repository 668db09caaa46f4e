"""What a recovery says of rows that are not in the restored database, against RDS and S3 of the local cloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lifeboat.database_model import DumpOutcome
from lifeboat.decisions import manifests
from lifeboat.errors import StoppedPartWay
from lifeboat.model import EventKind
from lifeboat.runbooks import database_losses, database_proof, recover_database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step

from tests import step_runs
from tests.conftest import RunningCloud, free_port
from tests.dump_sites import DumpSite, dump_site
from tests.restored_sites import carried_out, in_it, recovering

EVERY_TABLE = 'TRUNCATE filler, sales.orders, parts, "Größen ""x"".y"'


@dataclass
class Agreeing:
    """Somebody who agrees to everything and remembers to what."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, lines: Sequence[str]) -> None:
        self.lines += lines


def did(c: Recovering, *steps: Step[Recovering]) -> list[str]:
    """Carry out steps and return how each ended."""
    return step_runs.carried_out(c, steps)


def filled(site: DumpSite, copy: str) -> Recovering:
    """Return a recovery whose dump is in the new instance."""
    c = recovering(site, copy)
    carried_out(c, "copy", "restore", "password", "fill")
    return c


def gone(site: DumpSite) -> None:
    """Let the state name a serving database that RDS does not know."""
    state = json.loads(site.site().stack_store().body() or b"")
    state["outputs"]["recovery"]["value"]["database"]["identifier"] += "-gone"
    site.plain.put("stack.tfstate", json.dumps(state).encode())


def flag(site: DumpSite, made: DumpOutcome) -> None:
    """Write a dump's manifest anew, with a flag."""
    assert made.manifest is not None
    body = manifests.written(replace(made.manifest, flags=("half of its rows are gone",)))
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=f"dumps/x/app/{made.id}/manifest.json", Body=body)


def test_tables_that_lost_their_rows_wait_for_agreement_and_the_copy_does_not_count_as_proven(site: DumpSite) -> None:
    site.run("CREATE TABLE late AS SELECT 1 AS n")
    (before,), (made,) = site.dump(), site.dump()
    site.run("CREATE TABLE later AS SELECT 1 AS n")
    c = filled(site, made.id)
    in_it(c, "TRUNCATE late")

    with pytest.raises(StoppedPartWay) as refused:
        did(c, database_losses.COMPARED)

    old, new = site.plain.application, c.fact("identifier")
    lost = [
        f"public.late holds no row, and {old} and dump {before.id} have rows of it",
        f"public.later is not there, and {old} has rows of it",
    ]
    assert all(f"let {new} serve, although {line}" in refused.value.summary for line in lost)
    assert f"lifeboat resume {c.journal.run}" in refused.value.hint
    agreeing = Agreeing()
    agreed = replace(c, agree=agreeing)
    assert did(agreed, database_proof.PROOF, database_losses.COMPARED, database_proof.NOTED) == [
        "done",
        "done",
        "holds",
    ]
    assert agreeing.lines == [f"let {new} serve, although {line}" for line in lost]
    assert did(agreed, database_losses.COMPARED) == ["holds"]
    assert all(entry.proofs == () for entry in site.site().dump_store(site.recovery()).entries("app"))
    found = recover_database.report(agreed)
    assert found is not None
    assert found.missing == tuple(lost)
    site.run("DROP TABLE late, later")


def test_where_the_old_database_is_away_the_newest_dump_from_before_tells_what_there_was(site: DumpSite) -> None:
    (older,), (made,) = site.dump(), site.dump()
    c = filled(site, made.id)
    in_it(c, "TRUNCATE filler")
    dead = json.loads(json.dumps(site.database))
    dead["database"]["port"] = free_port()
    state = json.loads(site.site().stack_store().body() or b"")
    state["outputs"]["recovery"]["value"] = dead
    site.plain.put("stack.tfstate", json.dumps(state).encode())

    with pytest.raises(StoppedPartWay, match=f"public.filler holds no row, and dump {older.id} has rows of it"):
        did(c, database_losses.COMPARED)

    in_it(c, "INSERT INTO filler VALUES (1)")
    assert did(c, database_proof.PROOF, database_losses.COMPARED, database_proof.NOTED) == ["done", "done", "holds"]
    found = recover_database.report(c)
    assert found is not None
    assert (found.compared_with, found.missing) == ((f"dump {older.id}",), ())
    assert "Connection refused" in found.not_compared[0]
    # Half a comparison proves nothing of the copy.
    assert all(entry.proofs == () for entry in site.site().dump_store(site.recovery()).entries("app"))


@pytest.mark.parametrize(
    ("beats_after", "lost_seconds"),
    [(600, 1500), (-600, 900)],
    ids=["after the failure", "before the failure"],
)
def test_what_was_written_to_the_old_database_after_the_failure_is_lost_too(
    cloud: RunningCloud, tmp_path: Path, beats_after: int, lost_seconds: int
) -> None:
    site = dump_site(cloud, tmp_path)
    failed_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    beat, data_until = failed_at + timedelta(seconds=beats_after), failed_at - timedelta(seconds=900)
    site.run(
        "CREATE TABLE lifeboat_heartbeat (beat_at timestamptz)", f"INSERT INTO lifeboat_heartbeat VALUES ('{beat}')"
    )
    rds = cloud.client("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier=site.plain.application, ManageMasterUserPassword=True, ApplyImmediately=True
    )
    c = recovering(site, "any")
    c.journal.write(EventKind.NOTE, step="failure", failed_at=failed_at.isoformat())
    decided = {
        "identifier": "app-g2",
        "old_identifier": site.plain.application,
        "old_generation": "g1",
        "generation": "g2",
    }
    c.journal.write(EventKind.NOTE, step="copy", copy="any", why_copy="it was asked for", **decided)
    proof = {"tables": 1, "with_rows": 1, "data_until": data_until.isoformat(), "known_by": "x", "rpo_seconds": 900.0}
    c.journal.write(EventKind.NOTE, step="proof", **proof)

    ended = did(c, database_losses.LEFT_BEHIND)

    found = recover_database.report(c)
    assert ended == ["done"]
    assert found is not None
    assert (found.before_until, found.rpo) == (beat, timedelta(seconds=lost_seconds))
    assert did(c, database_losses.LEFT_BEHIND) == ["holds"]


def test_an_old_database_that_is_gone_leaves_the_loss_as_it_was_known(site: DumpSite) -> None:
    c = recovering(site, "any")
    decided = {"identifier": "app-g2", "old_identifier": "app-g1", "old_generation": "g1", "generation": "g2"}
    c.journal.write(EventKind.NOTE, step="copy", copy="any", why_copy="it was asked for", **decided)
    proof = {"tables": 1, "with_rows": 1, "data_until": None, "known_by": "nothing", "rpo_seconds": None}
    c.journal.write(EventKind.NOTE, step="proof", **proof)
    c.journal.write(EventKind.NOTE, step="fill", filled="app-g2", left_out=["PUBLICATION news: not brought back"])

    assert did(c, database_losses.LEFT_BEHIND) == ["done"]

    found = recover_database.report(c)
    assert found is not None
    assert (found.before_until, found.rpo, found.met) == (None, None, False)
    assert (found.before_known_by, found.left_out) == ("it is gone", ("PUBLICATION news: not brought back",))
