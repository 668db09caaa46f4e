"""Recoveries of the database without Terraform: the steps up to an instance that could be adopted, in the local cloud."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.model import EventKind, RecoveryRequest, RunId, Scope
from lifeboat.runbooks import database_proof, database_restore, next_generation, recover_database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step

from tests import step_runs
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
    with session(there) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows
