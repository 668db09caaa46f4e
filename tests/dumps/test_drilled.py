"""A drill of the database without Terraform: restored for real into another network, with its canary, proven, and gone again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients.canary import Canary
from lifeboat.clients.waiting import WallClock
from lifeboat.decisions import drill_ledger
from lifeboat.decisions.drills import Isolation
from lifeboat.drill_model import Drill, DrillScope
from lifeboat.errors import Failed, IntegrityFailure, StoppedPartWay
from lifeboat.model import DrillGroups, DrillNetwork, EventKind, RunId
from lifeboat.runbooks import drill_database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Runner
from lifeboat.stack import drill_effects
from lifeboat.stack.drill_effects import Guard, Removing

from tests import restored_sites, step_runs
from tests.dump_sites import DumpSite
from tests.dumps.test_latest_moment import of_a_generation
from tests.gitlab_sites import REGION
from tests.plain_sites import Told

HEARTBEAT = "CREATE TABLE IF NOT EXISTS lifeboat_heartbeat (beat_at timestamptz PRIMARY KEY)"


@pytest.fixture(scope="module")
def served(made: DumpSite) -> DumpSite:
    """The same with a database that is the application's first generation, and that RDS keeps every second of."""
    found = of_a_generation(made)
    found.run(HEARTBEAT, "CREATE TABLE orders AS SELECT n FROM generate_series(1, 2000) n")
    return found


@pytest.fixture
def site(served: DumpSite) -> DumpSite:
    """That site, with its output in the state."""
    served.output()
    return served


@pytest.fixture(scope="module")
def network(made: DumpSite) -> DrillNetwork:
    """A network beside production's, of which nothing leads out."""
    ec2 = made.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.99.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    groups = [
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("db", "app")
    ]
    made.cloud.client("rds").create_db_subnet_group(
        DBSubnetGroupName="drills", DBSubnetGroupDescription="drills", SubnetIds=subnets
    )
    return DrillNetwork(
        subnet_group="drills",
        subnet_ids=subnets,
        security_groups=DrillGroups(database=groups[0], instance=groups[1]),
    )


def recorded(site: DumpSite) -> None:
    """Let Terraform's record of the serving generation be of an instance whose storage may grow."""
    state = json.loads(site.site().stack_store().body() or b"")
    (instance,) = state["resources"][0]["instances"]
    instance["index_key"] = site.database["database"]["active_generation"]
    instance["attributes"]["max_allocated_storage"] = 100
    site.plain.put("stack.tfstate", json.dumps(state).encode())


def drilling(site: DumpSite, network: DrillNetwork, copy: str | None = None) -> Recovering:
    """Return a drill that has begun."""
    c = restored_sites.recovering(site, copy or "")
    recorded(site)
    run = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-drill-database-{uuid4().hex[:6]}")
    journal = c.site.journal(run)
    journal.write(EventKind.BEGUN, text="drill", user="eva", host="laptop", machine="laptop")
    drill = Drill(
        run=run,
        scope=DrillScope.DATABASE,
        application=c.site.project.environment.application.name,
        expires=datetime.now(UTC) + timedelta(hours=1),
    )
    c.journal, c.isolation = journal, Isolation(drill=drill, network=network)
    c.request = c.request.__class__(scope=c.request.scope, copy=copy)
    return c


def carried_out(c: Recovering, *names: str) -> list[str]:
    """Carry out steps of the drill, all where none is named, each effect guarded."""
    isolation, seen = c.isolation, step_runs.Seen()
    assert isolation is not None
    guard = Guard(drill=isolation.drill, things=c.site.drill_things(), journal=c.journal, region=REGION)
    runner = Runner(journal=c.journal, clock=WallClock(), fence=step_runs.Held(), watcher=seen, guard=guard)
    steps = [step for step in drill_database.STEPS if not names or step.name in names]
    try:
        runner.run([step for step in steps if step.name not in ("preflight", "comparison", "noted")], c)
    except StoppedPartWay as stopped:
        raise stopped.__cause__ or stopped from stopped
    return seen.ended


def taken_away(c: Recovering) -> tuple[Any, ...]:
    isolation = c.isolation
    assert isolation is not None
    how = Removing(
        things=c.site.drill_things(), clock=WallClock(), tell=Told(), noted=drill_effects.noting(c.journal), seconds=60
    )
    return drill_effects.unwind(isolation.drill, c.journal, how)


def test_the_canary_comes_back_from_another_network_and_nothing_is_left(site: DumpSite, network: DrillNetwork) -> None:
    site.run(HEARTBEAT)
    rds = site.cloud.client("rds")
    before = [one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]]
    rows = site.run("SELECT count(*) FROM orders")
    c = drilling(site, network)

    ended = carried_out(c)

    (made,) = drill_ledger.made(c.journal.events)
    (shown,) = rds.describe_db_instances(DBInstanceIdentifier=made.id)["DBInstances"]
    tags = {tag["Key"]: tag["Value"] for tag in shown["TagList"]}
    assert set(ended) <= {"done", "holds"}
    assert shown["DBSubnetGroup"]["DBSubnetGroupName"] == "drills"
    assert [group["VpcSecurityGroupId"] for group in shown["VpcSecurityGroups"]] == [network.security_groups.database]
    assert (shown["BackupRetentionPeriod"], shown["DeletionProtection"]) == (0, False)
    assert "MaxAllocatedStorage" not in shown
    assert c.isolation is not None
    assert tags == c.isolation.drill.tags
    assert c.fact("canary_back") is True
    assert c.fact("data_until") >= c.fact("canary")
    assert restored_sites.in_it(c, "SELECT count(*) FROM orders") == rows
    # Had another row been the canary, it would have to be in it.
    never = datetime.now(UTC) - timedelta(hours=1)
    c.journal.write(EventKind.NOTE, step="canary", canary=never.isoformat(), canary_back=None)
    with pytest.raises(IntegrityFailure) as lost:
        carried_out(c, "canary-back")
    assert lost.value.summary.startswith(f"the row that was committed at {never:%Y-%m-%d %H:%M:%S.%f}Z is not in what")
    assert taken_away(c) == ()
    assert [one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]] == before
    assert drill_ledger.left(c.journal.events) == ()


def test_without_a_heartbeat_there_is_no_canary_and_the_drill_says_so(site: DumpSite, network: DrillNetwork) -> None:
    site.run("DROP TABLE IF EXISTS lifeboat_heartbeat")
    c = drilling(site, network)

    ended = carried_out(c, "canary", "window", "canary-back")

    assert ended == ["done", "holds", "holds"]
    assert c.fact("canary") is None
    assert "has no heartbeat, so no canary can be written to it" in c.fact("canary_why")
    assert c.fact("no_canary") == c.fact("canary_why")
    assert any("without a canary" in remark for remark in c.remarks)
    assert drill_ledger.made(c.journal.events) == ()


def test_a_canary_is_a_row_of_its_own_that_is_found_by_its_moment(site: DumpSite) -> None:
    site.run(HEARTBEAT)
    canary: Canary = site.site().canary(site.recovery())

    first, second = canary.write(), canary.write()

    assert first < second
    assert (canary.has(first), canary.has(second)) == (True, True)
    assert canary.has(first + timedelta(microseconds=1)) is False
    site.run("DROP TABLE lifeboat_heartbeat")
    with pytest.raises(Failed, match="has no heartbeat"):
        canary.write()


def test_what_a_recovery_would_ask_about_a_copy_is_told_in_the_report_of_a_drill(
    site: DumpSite, network: DrillNetwork
) -> None:
    older, database = site.database["database"]["identifier"], site.database["database"]
    newer = {"identifier": f"{site.plain.application}-g2", "active_generation": "g2", "generations": ["g1", "g2"]}
    windows = site.cloud.client("rds").describe_db_instance_automated_backups(DBInstanceIdentifier=older)
    (window,) = [one["DBInstanceAutomatedBackupsArn"] for one in windows["DBInstanceAutomatedBackups"]]
    c = drilling(
        replace(site, database={**site.database, "database": {**database, **newer}}), network, window.split(":")[-1]
    )

    carried_out(c, "copy")

    assert c.fact("source") == older
    assert any(line.startswith(f"restored {c.fact('copy')} although {older} does not serve") for line in c.remarks)
