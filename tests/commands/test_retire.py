"""What keeps a generation from being retired is told before anything is changed: against databases of the local cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lifeboat.commands import retire
from lifeboat.errors import Refused
from lifeboat.model import EventKind

from tests.conftest import RunningCloud
from tests.gitlab_sites import RECOVERY
from tests.plain_sites import PlainSite, Told, plain_site


@pytest.fixture(scope="module")
def plain(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainSite]:
    """A stack of two generations, of which the second one serves, and their databases."""
    made = plain_site(cloud, tmp_path_factory.mktemp("retired"))
    names = {generation: f"{made.application}-{generation}" for generation in ("g1", "g2")}
    resource = {
        "type": "aws_db_instance",
        "mode": "managed",
        "module": "module.database",
        "instances": [{"index_key": key, "attributes": {"identifier": name}} for key, name in names.items()],
    }
    document = json.loads(json.dumps(RECOVERY))
    document["database"] |= {"identifier": names["g2"], "active_generation": "g2", "generations": ["g1", "g2"]}
    outputs = {"recovery": {"value": document, "type": "dynamic"}}
    state = {"version": 4, "serial": 2, "lineage": "l", "outputs": outputs, "resources": [resource]}
    made.put("stack.tfstate", json.dumps(state).encode())
    rds = cloud.client("rds")
    for name in names.values():
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="app_admin",
            MasterUserPassword="not-4-anybody",
            BackupRetentionPeriod=1,
        )
    for name in names.values():
        rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1})
    yield made
    for name in names.values():
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def refused(plain: PlainSite) -> Refused:
    with pytest.raises(Refused) as found:
        retire.preview(plain.site(), "g1")
    return found.value


def taken(plain: PlainSite, of: str, name: str) -> None:
    rds: Any = plain.cloud.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=f"{plain.application}-{of}", DBSnapshotIdentifier=name)
    rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier=name, WaiterConfig={"Delay": 1})


def test_a_snapshot_that_an_earlier_attempt_took_is_in_nobodys_way(plain: PlainSite) -> None:
    name = f"{plain.application}-g1-retired"
    taken(plain, "g1", name)

    found = retire.preview(plain.site(), "g1")

    plain.cloud.client("rds").delete_db_snapshot(DBSnapshotIdentifier=name)
    assert (found.identifier, found.snapshot) == (f"{plain.application}-g1", name)
    assert found.final == f"{plain.application}-g1-final"


def test_a_snapshot_of_an_attempt_long_ago_is_taken_anew(plain: PlainSite) -> None:
    rds, name, told = plain.cloud.client("rds"), f"{plain.application}-g1-retired", Told()
    taken(plain, "g1", name)
    before = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]
    at = f"{before['SnapshotCreateTime']:%Y-%m-%d %H:%M}Z"
    soon = retire.preview(plain.site(), "g1")
    later = replace(soon, now=soon.now + timedelta(days=3))

    retire.take_snapshot(plain.site(), told, soon)
    kept = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]
    retire.take_snapshot(plain.site(), told, later)
    after = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]

    rds.delete_db_snapshot(DBSnapshotIdentifier=name)
    assert kept["SnapshotCreateTime"] == before["SnapshotCreateTime"]
    assert after["SnapshotCreateTime"] > before["SnapshotCreateTime"]
    assert after["Status"] == "available"
    assert told.lines[:2] == [
        f"an attempt that was cut off took the snapshot {name} of {at}",
        f"deleted the snapshot {name} of {at}, which an attempt that was cut off took: a new one takes its place",
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "it is gone from AWS already, so no snapshot is taken of it any more"),
        ("deleting", "RDS deletes it already, so no snapshot is taken of it but"),
    ],
)
def test_of_an_instance_that_is_gone_no_snapshot_is_promised(plain: PlainSite, status: str | None, words: str) -> None:
    found = replace(retire.preview(plain.site(), "g1"), status=status)

    (line,) = retire.lines(found)

    assert words in line
    assert "is taken first" in retire.lines(replace(found, status="available"))[1]


@pytest.mark.parametrize(("of", "ending"), [("g1", "final"), ("g2", "final"), ("g2", "retired")])
def test_a_snapshot_whose_name_its_own_would_have_is_told_before_anything_is_taken(
    plain: PlainSite, of: str, ending: str
) -> None:
    name = f"{plain.application}-g1-{ending}"
    taken(plain, of, name)

    found = refused(plain)

    plain.cloud.client("rds").delete_db_snapshot(DBSnapshotIdentifier=name)
    assert f"the snapshot {name} of " in found.summary
    assert f"has the name that one of {plain.application}-g1 would have" in found.summary
    assert f"aws rds copy-db-snapshot --source-db-snapshot-identifier {name}" in found.hint
    assert found.hint.endswith("then lifeboat retire g1 -e x")


def test_one_that_is_stopped_is_started_first(plain: PlainSite) -> None:
    rds, name = plain.cloud.client("rds"), f"{plain.application}-g1"
    rds.stop_db_instance(DBInstanceIdentifier=name)

    found = refused(plain)

    rds.start_db_instance(DBInstanceIdentifier=name)
    assert found.summary.startswith(f"{name} is stop")
    assert found.hint == f"aws rds start-db-instance --db-instance-identifier {name}; then lifeboat retire g1 -e x"


def test_none_goes_while_a_recovery_is_open_which_may_still_have_to_come_back_to_it(plain: PlainSite) -> None:
    run, adopted = "20260301T030000Z-recover-aaaaaa", (EventKind.INTENT, "adopt", {})
    plain.run(run, adopted)

    found = refused(plain)

    plain.run(run, adopted, (EventKind.ENDED, "", {}))
    assert found.summary == (
        f"the recovery {run} was cut off and is not finished: until then g1 may be what the application has to come back to"
    )
    assert found.hint == f"lifeboat resume {run} goes on with it; lifeboat abort {run} gives it up"
    assert retire.preview(plain.site(), "g1").generation == "g1"
