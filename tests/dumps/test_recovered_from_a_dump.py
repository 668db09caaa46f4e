"""The steps that bring a database back from a dump, against RDS and S3 of the local cloud; Terraform comes after them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.database_model import LATEST_DUMP
from lifeboat.decisions import manifests
from lifeboat.errors import ApprovalMissing, ChoiceGone, Refused
from lifeboat.model import EventKind, RecoveryRequest, RunId, Scope
from lifeboat.runbooks import database_proof, database_restore, next_generation, recover_database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step

from tests import step_runs
from tests.dump_sites import DumpSite
from tests.plain_sites import Told

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
        agree=step_runs.nobody,
    )


def carried_out(c: Recovering, *names: str) -> list[str]:
    """Carry out steps, all where none is named, and return how each ended."""
    return step_runs.carried_out(c, [step for step in STEPS if not names or step.name in names])


def in_it(c: Recovering, *statements: str, database: str = "app") -> list[Any]:
    """Run statements in the new database and return the rows of the last one."""
    found = next_generation.instance(c)
    assert found is not None
    there = c.site.new_postgres(next_generation.stack_with(c, found)).of(database)
    rows: list[Any] = []
    with there.connection(application="test") as connection:
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
    assert [(proof.level, proof.verdict.value) for proof in entry.proofs] == [(3, "passed")]


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


def test_the_newest_dump_is_the_newest_that_is_not_flagged(site: DumpSite) -> None:
    (good,), (newer,) = site.dump(), site.dump()
    assert newer.manifest is not None
    flagged = replace(newer.manifest, flags=("half of its tables are gone",))
    key = f"dumps/x/app/{newer.id}/manifest.json"
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=key, Body=manifests.written(flagged))
    c = recovering(site, LATEST_DUMP)

    with pytest.raises(ApprovalMissing, match=f"restore {good.id} although"):
        carried_out(c, "copy")
    with pytest.raises(Refused, match="flagged when it was taken: half of its tables are gone"):
        carried_out(recovering(site, newer.id), "copy")


def test_a_part_of_a_database_is_no_database_to_come_back_to(site: DumpSite) -> None:
    (made,) = site.dump(tables=("filler",))
    c = recovering(site, made.id)

    with pytest.raises(Refused, match="it holds a part of the database only"):
        carried_out(c, "copy")

    assert c.fact("copy") is None
