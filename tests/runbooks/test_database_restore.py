"""The wait for a restored database, which ends where nothing comes of it any more; and what is noted on its copy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.waiting import WallClock
from lifeboat.errors import ChoiceGone
from lifeboat.model import EventKind, RecoveryRequest, RunId, Scope
from lifeboat.runbooks import database_proof, database_restore
from lifeboat.runbooks.recovering import Recovering

from tests import step_runs
from tests.gitlab_sites import RECOVERY, REGION
from tests.plain_sites import PlainSite, Told, plain_site
from tests.restored_sites import RECORDED
from tests.runbooks.conftest import Quick

RUN = "20260301T030000Z-recover-aaaaaa"
RESTORE = database_restore.RESTORING[0]


@pytest.fixture
def plain(quick: Quick, tmp_path: Path) -> PlainSite:
    """A site with a snapshot of g1, and a run that has chosen it."""
    made = plain_site(quick, tmp_path)
    resource = {
        "type": "aws_db_instance",
        "mode": "managed",
        "module": "module.database",
        "instances": [{"index_key": "g1", "attributes": RECORDED}],
    }
    outputs = {"recovery": {"value": {**RECOVERY, "application": made.application}, "type": "dynamic"}}
    state = {"version": 4, "serial": 8, "lineage": "l", "outputs": outputs, "resources": [resource]}
    made.put("stack.tfstate", json.dumps(state).encode())
    rds = quick.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier=f"{made.application}-g1",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword="a-password",
    )
    rds.create_db_snapshot(
        DBInstanceIdentifier=f"{made.application}-g1", DBSnapshotIdentifier=f"{made.application}-g1-copy"
    )
    return made


def recovering(plain: PlainSite, then: Callable[[], None] = lambda: None) -> Recovering:
    copy = f"{plain.application}-g1-copy"
    chosen = {
        "copy": copy,
        "copy_kind": "manual snapshot",
        "copy_to": None,
        "source": f"{plain.application}-g1",
        "size": 1,
        "as_of": "2026-03-01T02:00:00+00:00",
        "generation": "g2",
        "identifier": f"{plain.application}-g2",
    }
    plain.run(RUN, (EventKind.NOTE, "copy", chosen))
    site = plain.site()
    journal = site.journal(RunId(RUN))
    journal.open()
    return Recovering(
        site=site,
        tell=Told(then=then),
        journal=journal,
        request=RecoveryRequest(scope=Scope.DATABASE),
        now=WallClock().now,
        agree=step_runs.nobody,
    )


def orders(c: Recovering) -> int:
    return sum(event.kind is EventKind.INTENT for event in c.journal.events)


def test_one_that_is_being_deleted_is_not_waited_for(quick: Quick, plain: PlainSite) -> None:
    name = f"{plain.application}-g2"
    c = recovering(plain)
    assert step_runs.carried_out(c, [RESTORE]) == ["done"]
    quick.becomes(name, "deleting")

    with pytest.raises(ChoiceGone) as gone:
        step_runs.carried_out(c, [RESTORE])

    assert gone.value.summary == f"{name} is being deleted: this recovery was being given up"
    assert gone.value.hint == f"lifeboat abort {RUN} -e x, then recover anew"


def test_one_that_vanished_is_ordered_anew_and_what_was_found_of_it_counts_no_more(
    quick: Quick, plain: PlainSite
) -> None:
    name = f"{plain.application}-g2"
    c = recovering(plain)
    step_runs.carried_out(c, [RESTORE])
    quick.vanishes(name)

    ended = step_runs.carried_out(c, [RESTORE])

    tags = quick.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["TagList"]
    assert (ended, orders(c)) == (["done"], 2)
    assert {"Key": "lifeboat:run", "Value": RUN} in tags


def test_one_that_vanishes_while_it_is_waited_for_is_ordered_anew(quick: Quick, plain: PlainSite) -> None:
    name = f"{plain.application}-g2"
    left = ["creating"]

    def then() -> None:
        """Let it be on its way when it is first looked at, and gone the next time."""
        if left:
            quick.becomes(name, left.pop())
        elif orders(c) == 1:
            there = quick.client("rds").describe_db_instances()["DBInstances"]
            if name in [one["DBInstanceIdentifier"] for one in there]:
                quick.vanishes(name)

    c = recovering(plain, then)

    ended = step_runs.carried_out(c, [RESTORE], step_runs.Hurried())

    assert (ended, orders(c)) == (["done"], 2)


SOUND = {"tables": 3, "with_rows": 2, "missing": [], "compared_with": ["app-g1"], "not_compared": []}


@pytest.mark.parametrize(
    ("seen", "level", "looked"),
    [
        ({}, 1, "restored, rows seen"),
        ({"probes": ["orders"], "probe_findings": []}, 2, "restored, rows seen, probes passed"),
    ],
)
def test_a_snapshot_is_told_what_was_looked_at_which_is_less_than_a_verification_that_compares_every_row(
    plain: PlainSite, seen: dict[str, Any], level: int, looked: str
) -> None:
    c = recovering(plain)
    c.journal.write(EventKind.NOTE, step="proof", **SOUND, **seen)

    ended = step_runs.carried_out(c, [database_proof.NOTED])

    found = c.site.database_snapshots().snapshot(f"{plain.application}-g1-copy", REGION)
    assert ended == ["done"]
    assert found is not None
    assert found.proven is not None
    assert (found.proven.level, found.proven.looked) == (level, looked)
    assert step_runs.carried_out(c, [database_proof.NOTED]) == ["holds"]


@pytest.mark.parametrize(
    "seen",
    [
        {"missing": ["public.orders holds no row, and app-g1 has rows of it"]},
        {"not_compared": ["app-g1: no answer"]},
        {"compared_with": []},
        {"with_rows": 0},
        {"probes": ["orders"], "probe_findings": ["probe orders: 0; at least 1 was expected"]},
    ],
    ids=["rows missing", "half compared", "not compared", "empty", "probe failed"],
)
def test_a_snapshot_in_which_something_was_wrong_or_not_seen_is_told_nothing(
    plain: PlainSite, seen: dict[str, Any]
) -> None:
    c = recovering(plain)
    c.journal.write(EventKind.NOTE, step="proof", **{**SOUND, **seen})

    ended = step_runs.carried_out(c, [database_proof.NOTED])

    found = c.site.database_snapshots().snapshot(f"{plain.application}-g1-copy", REGION)
    assert ended == ["holds"]
    assert found is not None
    assert found.proven is None
