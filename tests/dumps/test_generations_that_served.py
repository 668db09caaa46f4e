"""Of which generation a copy for a moment is taken, told by the journals in the bucket, against RDS of the local cloud."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.model import EventKind

from tests.backup_sites import BackupSite, backup_site
from tests.conftest import RunningCloud
from tests.database_recoveries import LATELY, written

RUN = "20260301T030000Z-recover-1f9a3c"


@pytest.fixture(scope="module")
def site(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> BackupSite:
    return backup_site(cloud, tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def nothing_was_recovered(site: BackupSite) -> Iterator[None]:
    yield
    s3 = site.cloud.client("s3")
    for entry in s3.list_objects_v2(Bucket=site.plain.bucket, Prefix="runs/").get("Contents", []):
        s3.delete_object(Bucket=site.plain.bucket, Key=entry["Key"])


def serve_from(site: BackupSite, generation: str) -> str:
    """Let the state say that a generation serves, whatever there is of it, and return its instance's name."""
    name = f"{site.plain.application}-{generation}"
    document = json.loads(site.plain.site().stack_store().body() or b"")
    database = document["outputs"]["recovery"]["value"]["database"]
    database.update(identifier=name, active_generation=generation)
    key = site.cloud.client("rds").describe_db_instances()["DBInstances"][0]["KmsKeyId"]
    document["resources"] = [
        {
            "type": "aws_db_instance",
            "mode": "managed",
            "module": "module.database",
            "instances": [{"index_key": generation, "attributes": {"kms_key_id": key}}],
        }
    ]
    site.plain.put("stack.tfstate", json.dumps(document).encode())
    return name


def window_end(site: BackupSite) -> datetime:
    """Return the last whole second of the window of the first generation; one that has none yet is waited for."""
    deadline = time.monotonic() + LATELY
    while True:
        (found,) = [
            one["RestoreWindow"]
            for one in site.cloud.client("rds").describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
            if one["DBInstanceIdentifier"] == site.instance
        ]
        end: datetime = found["LatestTime"].replace(microsecond=0)
        if end >= found["EarliestTime"]:
            return end
        assert time.monotonic() < deadline
        time.sleep(0.5)


def switched(site: BackupSite, new: str, old: str, *more: tuple[EventKind, str, dict[str, Any]]) -> None:
    names = {"identifier": new, "old_identifier": old}
    site.plain.run(RUN, (EventKind.NOTE, "copy", names), (EventKind.INTENT, "adopt", {}), *more)


def asked(site: BackupSite, to: datetime, *more: str, status: int = 0) -> tuple[dict[str, Any], str]:
    """Return what is planned for a moment, and what is said beside it."""
    ended = site.run("plan-recovery", "--to", written(to), *more, "-o", "json", status=status)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found, ended.stderr


def test_the_first_generation_needs_no_journal(site: BackupSite) -> None:
    name = serve_from(site, "g1")

    found, _ = asked(site, window_end(site))

    assert (found["chosen"]["database"], found["chosen"]["kind"]) == (name, "point-in-time window")


def test_where_the_serving_one_is_gone_the_window_of_the_one_before_is_taken_by_its_id_only(site: BackupSite) -> None:
    new, to = serve_from(site, "g2"), window_end(site)

    found, words = asked(site, to, status=6)

    assert found["chosen"] is None
    assert f"nobody knows whether {site.instance} served at {written(to)}; --from takes it" in words
    (window,) = [one["id"] for one in found["copies"] if one["region"] == "eu-west-1" and one["id"].startswith("ab-")]
    named, _ = asked(site, to, "--from", window)
    assert named["chosen"]["id"] == window
    restarted = (EventKind.NOTE, "restart", {"restarted_for": new})
    switched(site, new, site.instance, (EventKind.RESULT, "adopt", {"database": new}), restarted)
    _, words = asked(site, to, status=6)
    assert f"it is of {site.instance}, and {new} served at {written(to)}; --from takes it" in words
    asked_at = datetime.now(UTC)
    late = json.loads(site.run("plan-recovery", "--from", window, "-o", "json").stdout)["chosen"]
    assert late["warning"].startswith(f"{site.instance} has not served since 20")
    assert late["warning"].endswith(f"what was written to the generation that took over, {new} last, is not in it")
    since = datetime.fromisoformat(late["warning"].split("since ")[1][:20])
    # What is printed is cut to the second.
    assert timedelta(seconds=late["loss_seconds"]) >= asked_at - since - timedelta(seconds=1)


def test_a_journal_that_nobody_can_read_may_be_that_of_a_switch(site: BackupSite, tmp_path: Path) -> None:
    new, to = serve_from(site, "g2"), window_end(site)
    rds = site.cloud.client("rds")
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=site.instance, TargetDBInstanceIdentifier=new, UseLatestRestorableTime=True
    )
    since = rds.describe_db_instances(DBInstanceIdentifier=new)["DBInstances"][0]["InstanceCreateTime"]
    site.plain.put(f"runs/{RUN}/000001.json", b"{")

    _, damaged = asked(site, to, status=6)
    site.plain.delete(f"runs/{RUN}/000001.json")
    known, _ = asked(site, to)

    assert to < since
    assert f"nobody knows whether {site.instance} served at {written(to)}; --from takes it" in damaged
    assert known["chosen"]["database"] == site.instance
    rds.delete_db_instance(DBInstanceIdentifier=new, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)
