"""The steps that bring a database back from a dump, against RDS and S3 of the local cloud; Terraform comes after them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.database_model import LATEST_DUMP, Proof, Verdict
from lifeboat.decisions import manifests
from lifeboat.errors import ApprovalMissing, ChoiceGone, Refused
from lifeboat.model import EventKind, RecoveryRequest, RunId, Scope
from lifeboat.runbooks import database_proof, database_restore, next_generation, recover_database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Runner, Step

from tests.dump_sites import DumpSite
from tests.plain_sites import Told
from tests.restores.servers import session

RECORDED = {
    "identifier": "g1",
    "instance_class": "db.t4g.micro",
    "storage_type": "gp3",
    "engine": "postgres",
    "engine_version": "15",
    "db_name": "app",
    "username": "app_admin",
    "allocated_storage": 20,
    "maintenance_window": "sun:00:30-sun:01:30",
    "backup_window": "03:00-04:00",
    "backup_retention_period": 7,
    "tags_all": {"application": "app"},
}
STEPS: tuple[Step[Recovering], ...] = (
    recover_database.CHOICE,
    *database_restore.RESTORING,
    database_proof.NOTED,
)


@dataclass
class Held:
    """A lease that nobody takes."""

    def require(self) -> None:
        pass


@dataclass
class Seen:
    """A watcher that remembers how steps ended."""

    ended: list[str] = field(default_factory=list)

    def step_begins(self, number: int, total: int, title: str) -> None:
        pass

    def step_ends(self, number: int, total: int, outcome: str) -> None:
        self.ended.append(outcome)


def nobody(lines: Sequence[str]) -> None:
    raise ApprovalMissing("\n".join(lines))


def recovering(site: DumpSite, copy: str) -> Recovering:
    """Return a recovery that has begun, of a stack whose state knows the serving instance."""
    resource = {
        "type": "aws_db_instance",
        "mode": "managed",
        "module": "module.database",
        "instances": [{"index_key": "g1", "attributes": RECORDED}],
    }
    outputs = {"recovery": {"value": site.database, "type": "dynamic"}}
    state = {"version": 4, "serial": 8, "lineage": "l", "outputs": outputs, "resources": [resource]}
    site.plain.put("stack.tfstate", json.dumps(state).encode())
    here = site.site()
    journal: Journal = here.journal(RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-recover-{uuid4().hex[:6]}"))
    journal.write(EventKind.BEGUN, text="attempt 1", user="eva", host="laptop", machine="laptop", request={})
    journal.write(EventKind.NOTE, step="failure", failed_at=datetime.now(UTC).isoformat())
    return Recovering(
        site=here,
        tell=Told(),
        journal=journal,
        request=RecoveryRequest(scope=Scope.DATABASE, copy=copy),
        now=WallClock().now,
        agree=nobody,
    )


def carried_out(c: Recovering, *names: str) -> list[str]:
    """Carry out steps, all where none is named, and return how each ended."""
    seen = Seen()
    runner = Runner(journal=c.journal, clock=WallClock(), fence=Held(), watcher=seen)
    runner.run([step for step in STEPS if not names or step.name in names], c)
    return seen.ended


def in_it(c: Recovering, *statements: str, database: str = "app") -> list[Any]:
    """Run statements in the new database and return the rows of the last one."""
    found = next_generation.instance(c)
    assert found is not None
    there = c.site.new_postgres(next_generation.stack_with(c, found)).of(database)
    rows: list[Any] = []
    with session(there) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


@pytest.mark.parametrize(
    ("left", "database"),
    [
        ("CREATE TABLE filler (n int); INSERT INTO filler VALUES (-1)", "app"),
        ("DROP DATABASE app", "postgres"),
    ],
    ids=["half of it", "no database"],
)
def test_whatever_an_attempt_has_left_the_dump_is_restored_from_the_beginning(
    site: DumpSite, left: str, database: str
) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password")
    in_it(c, *left.split("; "), database=database)

    ended = carried_out(c)

    rows = in_it(c, "SELECT (SELECT count(*) FROM filler), (SELECT count(*) FROM sales.orders), min(n) FROM filler")
    assert ended == ["holds", "holds", "holds", "done", "done", "done", "done"]
    assert carried_out(c) == ["holds"] * 7
    assert rows == [(5000, 2000, 1)]
    assert made.manifest is not None
    assert c.fact("data_until") == made.manifest.snapshot_at.isoformat()
    (entry,) = c.site.dump_store(c.recovery).entries("app")
    assert [(proof.level, proof.verdict.value, proof.run) for proof in entry.proofs] == [(2, "passed", c.journal.run)]


def test_a_recovery_by_a_dump_that_failed_a_look_ends_and_outweighs_nothing(site: DumpSite) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password", "fill", "proof", "retention")
    store = c.site.dump_store(c.recovery)
    (entry,) = store.entries("app")
    failed = Proof(level=3, at=datetime.now(UTC), verdict=Verdict.FAILED, findings=("pg_amcheck: an index",))
    store.prove(entry, failed)

    ended = carried_out(c, "noted")

    (entry,) = store.entries("app")
    assert ended == ["done"]
    assert carried_out(c, "noted") == ["holds"]
    assert entry.failure is not None
    assert (entry.failure.level, entry.proven) == (3, None)


def test_nothing_is_noted_on_a_manifest_that_was_written_over_since(site: DumpSite) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password", "fill", "proof", "retention")
    assert made.manifest is not None
    body = manifests.written(replace(made.manifest, lsn="0/0"))
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=f"dumps/x/app/{made.id}/manifest.json", Body=body)

    ended = carried_out(c, "noted")

    (entry,) = c.site.dump_store(c.recovery).entries("app")
    assert ended == [
        f"left open: the manifest of {made.id} was written over since it was restored: nothing is noted on it"
    ]
    assert entry.proofs == ()


def test_an_instance_that_does_not_bear_the_mark_of_the_run_is_not_emptied(site: DumpSite) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password")
    in_it(c, "CREATE TABLE somebodys AS SELECT 1 AS n")
    rds = site.cloud.client("rds")
    arn = rds.describe_db_instances(DBInstanceIdentifier=c.fact("identifier"))["DBInstances"][0]["DBInstanceArn"]
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["lifeboat:run"])

    with pytest.raises(ChoiceGone, match="does not bear the mark of this recovery, so nothing in it is emptied"):
        carried_out(c, "fill")

    assert in_it(c, "SELECT n FROM somebodys") == [(1,)]


def test_the_newest_dump_waits_for_agreement_where_a_newer_one_may_lie_in_a_bucket_that_nobody_could_look_at(
    site: DumpSite,
) -> None:
    (made,) = site.dump()
    c = recovering(site, LATEST_DUMP)

    with pytest.raises(ApprovalMissing, match=f"restore {made.id} although .* dumps in eu-central-1"):
        carried_out(c, "copy")

    assert c.fact("copy") is None


def test_a_part_of_a_database_is_no_database_to_come_back_to(site: DumpSite) -> None:
    (made,) = site.dump(tables=("filler",))
    c = recovering(site, made.id)

    with pytest.raises(Refused, match="it holds a part of the database only"):
        carried_out(c, "copy")

    assert c.fact("copy") is None
