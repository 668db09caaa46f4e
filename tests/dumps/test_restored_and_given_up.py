"""What a recovery orders of RDS while that makes, changes or backs up the instance, and how it takes away what it made."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifeboat.clients.waiting import WallClock
from lifeboat.database_model import PointKind, RestoredInstance
from lifeboat.errors import ChoiceGone, StoppedPartWay
from lifeboat.model import EventKind
from lifeboat.runbooks import database_given_up, next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Turn

from tests.dump_sites import DumpSite
from tests.restored_sites import carried_out, recovering
from tests.step_runs import Held


@pytest.fixture
def secret(site: DumpSite) -> Iterator[str]:
    """The application's secret, which leads to the serving database."""
    secrets, recovery = site.cloud.client("secretsmanager"), site.recovery()
    text = json.dumps({"host": recovery.database.address})
    yield str(secrets.create_secret(Name=recovery.secrets.name, SecretString=text)["Name"])
    secrets.delete_secret(SecretId=recovery.secrets.name, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def snapshot(site: DumpSite, secret: str) -> Iterator[dict[str, Any]]:
    """A snapshot of the serving database."""
    rds, name = site.cloud.client("rds"), f"{site.plain.application}-by-hand"
    taken: dict[str, Any] = rds.create_db_snapshot(
        DBInstanceIdentifier=site.plain.application, DBSnapshotIdentifier=name
    )["DBSnapshot"]
    yield taken
    found = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    for one in found:
        rds.delete_db_snapshot(DBSnapshotIdentifier=one["DBSnapshotIdentifier"])


def decided(site: DumpSite, snapshot: dict[str, Any], generation: str) -> Recovering:
    """Return a recovery that has decided on a snapshot, for an instance of its own."""
    c = recovering(site, snapshot["DBSnapshotIdentifier"])
    c.journal.write(
        EventKind.NOTE,
        step="copy",
        copy=snapshot["DBSnapshotIdentifier"],
        copy_arn=snapshot["DBSnapshotArn"],
        copy_kind=PointKind.MANUAL_SNAPSHOT.value,
        copy_region=site.recovery().region,
        source=site.plain.application,
        size=20 * 2**30,
        copy_to=None,
        as_of=datetime.now(UTC).isoformat(),
        generation=generation,
        identifier=f"{site.plain.application}-{generation}",
        old_generation="g1",
        old_identifier=site.plain.application,
    )
    return c


def made(c: Recovering) -> RestoredInstance:
    found = next_generation.instance(c)
    assert found is not None
    return found


def worked(c: Recovering) -> list[bool]:
    """Return of each order that the recovery gave whether it was taken."""
    return ["error" not in event.data for event in c.journal.events if event.kind is EventKind.RESULT]


def turn(c: Recovering) -> Turn:
    return Turn("abort", limit=timedelta(minutes=2), journal=c.journal, clock=WallClock(), fence=Held())


def test_changes_wait_until_rds_takes_them_and_what_is_proven_is_protected(
    site: DumpSite, snapshot: dict[str, Any]
) -> None:
    c = decided(site, snapshot, "g11")
    rds = site.cloud.client("rds")
    assert carried_out(c, "restore", "password", "proof") == ["done", "done", "done"]
    while not made(c).changeable:
        time.sleep(0.1)
    unprotected = made(c)
    # As RDS is after the change before: here somebody else's, so that it is sure to be met.
    rds.modify_db_instance(DBInstanceIdentifier=unprotected.identifier, AllocatedStorage=30, ApplyImmediately=True)

    ended = carried_out(c, "retention")

    kept = made(c)
    assert ended == ["done"]
    assert (unprotected.protected, unprotected.retention) == (False, 0)
    assert (kept.protected, kept.retention) == (True, 7)
    assert carried_out(c, "retention") == ["holds"]
    assert database_given_up.given_up(c, turn(c)) == [
        f"{kept.identifier}, which this recovery restored and Terraform does not know, is being deleted"
    ]
    assert next_generation.instance(c) is None


def test_a_change_that_is_refused_the_moment_after_the_look_is_ordered_again(
    site: DumpSite, snapshot: dict[str, Any]
) -> None:
    c = decided(site, snapshot, "g12")
    assert carried_out(c, "restore") == ["done"]
    busy = {"service": "rds", "code": "InvalidDBInstanceState", "status": 400}
    site.cloud.control("faults", add={**busy, "operation": "ModifyDBInstance", "times": 2})

    ended = carried_out(c, "password", "retention")

    assert ended == ["done", "done"]
    assert worked(c) == [True, False, False, True, True]
    site.cloud.control("faults", add={**busy, "operation": "DeleteDBInstance"})
    database_given_up.given_up(c, turn(c))
    assert worked(c)[5:] == [True, False, True]
    assert next_generation.instance(c) is None


def test_one_that_is_still_made_is_taken_away_at_once(site: DumpSite, snapshot: dict[str, Any]) -> None:
    c = decided(site, snapshot, "g13")
    site.cloud.client("rds").restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=c.fact("identifier"),
        DBSnapshotIdentifier=snapshot["DBSnapshotIdentifier"],
        BackupRetentionPeriod=7,
        Tags=[{"Key": "lifeboat:run", "Value": c.journal.run}],
    )
    status = made(c).status

    database_given_up.given_up(c, turn(c))

    assert status == "creating"
    assert next_generation.instance(c) is None


def test_one_that_could_not_be_restored_is_taken_away_too(site: DumpSite, snapshot: dict[str, Any]) -> None:
    c = decided(site, snapshot, "g14")
    site.cloud.client("rds").add_tags_to_resource(
        ResourceName=snapshot["DBSnapshotArn"], Tags=[{"Key": "localcloud:break", "Value": "next-restore"}]
    )
    with pytest.raises(ChoiceGone, match=r"-g14 is incompatible-restore: .*-by-hand cannot be restored") as told:
        carried_out(c, "restore")

    database_given_up.given_up(c, turn(c))

    assert told.value.hint.startswith(
        f"lifeboat abort {c.journal.run} -e x, lifeboat plan-recovery -e x, then lifeboat"
    )
    assert next_generation.instance(c) is None


def test_one_that_is_protected_and_broken_by_now_is_taken_away_by_hand(
    site: DumpSite, snapshot: dict[str, Any]
) -> None:
    c = decided(site, snapshot, "g16")
    assert carried_out(c, "restore", "password", "proof", "retention") == ["done"] * 4
    rds, name = site.cloud.client("rds"), made(c).identifier
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    broken = [{"Key": "localcloud:break", "Value": "failed"}]
    rds.add_tags_to_resource(ResourceName=found["DBInstanceArn"], Tags=broken)

    with pytest.raises(StoppedPartWay) as stopped:
        database_given_up.given_up(c, turn(c))

    assert stopped.value.summary == f"{name} is failed: RDS takes no snapshot of it, and may lift no protection from it"
    assert f"aws rds modify-db-instance --db-instance-identifier {name} --no-deletion-protection" in stopped.value.hint
    assert stopped.value.hint.endswith(f"then lifeboat abort {c.journal.run} -e x ends the run")
    assert made(c).protected


def test_a_copy_that_has_gone_since_it_was_chosen_ends_the_recovery_and_not_only_the_attempt(
    site: DumpSite, snapshot: dict[str, Any]
) -> None:
    c = decided(site, snapshot, "g15")
    site.cloud.client("rds").delete_db_snapshot(DBSnapshotIdentifier=snapshot["DBSnapshotIdentifier"])

    with pytest.raises(ChoiceGone, match="-by-hand cannot be restored from any more: DBSnapshotNotFound") as told:
        carried_out(c, "restore")

    assert told.value.hint.startswith(f"lifeboat abort {c.journal.run} -e x")
    assert next_generation.instance(c) is None
