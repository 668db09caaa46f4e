"""`lifeboat snapshot …` against a local cloud: real data, taken once, copied under the other key, pruned with care."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.backup_sites import BackupSite, backup_site
from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION, REGION


@pytest.fixture(scope="module")
def made(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> BackupSite:
    return backup_site(cloud, tmp_path_factory.mktemp("project"))


@pytest.fixture
def site(made: BackupSite) -> Iterator[BackupSite]:
    """The site, without manual snapshots at the start and the end of each test."""
    yield made
    made.cloud.control("faults", clear=True)
    made.empty()


def snapshots(site: BackupSite, region: str = REGION) -> dict[str, dict[str, Any]]:
    found = site.cloud.client("rds", region).describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    return {one["DBSnapshotIdentifier"]: one for one in found}


def tags_of(one: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in one["TagList"]}


def taken(site: BackupSite, name: str, **tags: str) -> str:
    """Take a snapshot as lifeboat tags it, under a name of its own: two of one second would have one name."""
    ours = {"application": site.plain.application, "environment": "x", "managed-by": "lifeboat"}
    tags = {**ours, "lifeboat:source-database": site.instance, **tags}
    site.cloud.client("rds").create_db_snapshot(
        DBInstanceIdentifier=site.instance,
        DBSnapshotIdentifier=name,
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return name


def grow_old(site: BackupSite) -> None:
    """Wait until every snapshot is more than a second old."""
    newest = max(one["SnapshotCreateTime"] for one in snapshots(site).values())
    while datetime.now(UTC) <= newest + timedelta(seconds=1):
        time.sleep(0.05)


# -- taking ------------------------------------------------------------------------------------------------------------


def test_a_snapshot_says_what_it_was_taken_before_and_waits_until_it_is_available(site: BackupSite) -> None:
    done = json.loads(site.run("snapshot", "create", "--before", "migration 42", "-o", "json").stdout)

    found = snapshots(site)[done["id"]]
    assert (done["region"], done["snapshot"]["status"], found["DBInstanceIdentifier"]) == (
        REGION,
        "available",
        site.instance,
    )
    assert tags_of(found) == {
        "application": site.plain.application,
        "environment": "x",
        "managed-by": "lifeboat",
        "lifeboat:source-database": site.instance,
        "lifeboat:before": "migration 42",
        "lifeboat:state-serial": "9",
    }
    assert done["id"] in site.run("snapshot", "list").stdout


def test_one_whose_answer_was_lost_is_not_taken_twice(site: BackupSite) -> None:
    lost = {"service": "rds", "operation": "CreateDBSnapshot", "when": "after"}
    site.cloud.control("faults", add=lost)

    name = site.run("snapshot", "create", "--no-wait").stdout.strip()

    assert list(snapshots(site)) == [name]


def test_a_name_that_somebody_else_took_is_not_taken_for_ours(site: BackupSite) -> None:
    automated = site.listed("--kind", "automated")["points"][0]["id"]
    taken(site, automated.removeprefix("rds:") + "-kept", team="others")

    done = site.run("keep", automated, "--why", "audit", "--yes", status=3)

    assert "is taken in eu-west-1 by a snapshot that is not the one ordered" in done.stderr


def test_a_database_that_is_not_available_is_refused_and_one_that_is_gone_is_told(site: BackupSite) -> None:
    rds = site.cloud.client("rds")
    rds.stop_db_instance(DBInstanceIdentifier=site.instance)
    stopped = site.run("snapshot", "create", status=3)
    rds.start_db_instance(DBInstanceIdentifier=site.instance)

    assert f"the database {site.instance} is stopped" in stopped.stderr
    assert snapshots(site) == {}


def test_one_that_becomes_busy_the_moment_after_the_look_is_refused_too(site: BackupSite) -> None:
    busy = {"code": "InvalidDBInstanceState", "status": 400}
    site.cloud.control("faults", add={"service": "rds", "operation": "CreateDBSnapshot", **busy})

    refused = site.run("snapshot", "create", status=3)

    assert f"RDS takes no snapshot of {site.instance} now" in refused.stderr
    assert "wait until it is available, then run the same command again" in refused.stderr
    assert snapshots(site) == {}


def test_a_list_without_any_is_no_word_where_the_stack_does_not_tell_where_they_lie(site: BackupSite) -> None:
    key, s3 = "stack.tfstate", site.cloud.client("s3")
    body = s3.get_object(Bucket=site.plain.bucket, Key=key)["Body"].read()
    site.plain.delete(key)

    nothing = site.run("snapshot", "list", status=11)
    copies = site.run("backups", "--kind", "manual", status=11)
    name = taken(site, "by-hand")
    found = site.run("snapshot", "list")
    site.plain.put(key, body)

    for unknown in (nothing, copies):
        assert "nobody knows whether there are copies: none was found, looked where the names say" in unknown.stderr
    assert name in found.stdout
    assert "looked where the names say that copies lie" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("create", "--before", "drop #42; now"), 2, "cannot be a tag"),
        (("create", "--within", "soon"), 2, "'soon' is no length of time"),
        (("copy", "app-nowhere"), 6, "there is no snapshot app-nowhere in eu-west-1"),
        (("prune", "--keep", "0"), 2, "Invalid value for '--keep'"),
    ],
)
def test_wrong_input_is_refused_with_its_reason_before_anything_changes(
    site: BackupSite, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = site.run("snapshot", *arguments, status=status)

    assert words in done.stderr
    assert snapshots(site) == {}


# -- copying -----------------------------------------------------------------------------------------------------------


def test_a_copy_is_under_the_key_of_the_other_region_with_its_tags_and_is_made_once(site: BackupSite) -> None:
    name = taken(site, f"{site.instance}-first", **{"lifeboat:before": "migration 42", "lifeboat:keep": "audit"})

    first = site.run("snapshot", "copy", name)
    again = site.run("snapshot", "copy", "latest")
    back = site.run("snapshot", "copy", f"arn:aws:rds:{DR_REGION}:123456789012:snapshot:{name}")

    copy = snapshots(site, DR_REGION)[first.stdout.strip()]
    alias = f"alias/{site.plain.application}-database"
    key = site.cloud.client("kms", DR_REGION).describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
    assert (copy["KmsKeyId"], copy["Encrypted"]) == (key, True)
    original = snapshots(site)[name]
    expected = {k: v for k, v in tags_of(original).items() if k != "lifeboat:keep"}
    assert tags_of(copy) == {**expected, "lifeboat:copied-from": original["DBSnapshotArn"]}
    assert again.stdout == first.stdout
    assert f"{name} in {DR_REGION} is a copy of {name} already, or its original" in again.stderr
    assert len(snapshots(site, DR_REGION)) == 1
    assert back.stdout.strip() == name
    assert f"{name} in {REGION} is a copy of {name} already, or its original" in back.stderr


def test_a_disabled_key_there_is_told_and_nothing_is_copied(site: BackupSite) -> None:
    name = taken(site, f"{site.instance}-first")
    alias, kms = f"alias/{site.plain.application}-database", site.cloud.client("kms", DR_REGION)
    key = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)

    done = site.run("snapshot", "copy", name, status=8)
    kms.enable_key(KeyId=key)

    assert "KMSKeyNotAccessibleFault" in done.stderr
    assert snapshots(site, DR_REGION) == {}


# -- pruning -----------------------------------------------------------------------------------------------------------


def test_pruning_shows_asks_and_deletes_only_what_nothing_needs(site: BackupSite) -> None:
    old = taken(site, f"{site.instance}-old")
    kept = taken(site, f"{site.instance}-kept", **{"lifeboat:keep": "audit"})
    proven = taken(site, f"{site.instance}-proven", **{"lifeboat:proven-at": "2026-01-02T03:04:05Z"})
    used = taken(site, f"{site.instance}-used")
    newest = taken(site, f"{site.instance}-newest")
    others = f"{site.instance}-by-hand"
    site.cloud.client("rds").create_db_snapshot(DBInstanceIdentifier=site.instance, DBSnapshotIdentifier=others)
    run = site.plain.run("20261101T000000Z-recover-1a2b3c")
    line = {"seq": 2, "at": "2026-11-01T00:00:02+00:00", "kind": "intent", "step": "s", "text": ""}
    site.plain.put(f"runs/{run}/000002.json", json.dumps({**line, "data": {"from": {"snapshot": used}}}).encode())

    young = site.run("snapshot", "prune", "--keep", "1", "--yes")
    grow_old(site)
    asked = site.run("snapshot", "prune", "--keep", "1", "--older-than", "1s", status=7)
    there = set(snapshots(site))
    done = json.loads(site.run("snapshot", "prune", "--keep", "1", "--older-than", "1s", "--yes", "-o", "json").stdout)
    for seq in (1, 2):
        site.plain.delete(f"runs/{run}/{seq:06}.json")

    assert "0 snapshots deleted" in young.stdout
    assert f"delete {old} in {REGION}" in asked.stderr
    assert there == {old, kept, proven, used, newest, others}
    assert {row["id"]: row["why"] for row in done["kept"]} == {
        kept: "it is kept: audit",
        proven: f"the newest in {REGION} that is proven",
        used: f"used by the run {run}, which has not ended",
        newest: f"one of the newest 1 in {REGION}",
        others: "lifeboat did not make it",
    }
    assert [row["id"] for row in done["removed"]] == [old]
    assert set(snapshots(site)) == {kept, proven, used, newest, others}


def test_where_a_region_cannot_be_looked_at_nothing_is_pruned(site: BackupSite) -> None:
    taken(site, f"{site.instance}-old")
    refused = {"code": "AccessDenied", "status": 403, "service": "rds", "operation": "DescribeDBSnapshots"}
    site.cloud.control("faults", add=refused)

    site.run("snapshot", "prune", "--older-than", "1s", "--yes", status=8)

    assert list(snapshots(site)) == [f"{site.instance}-old"]


def test_a_deletion_that_is_refused_names_the_role_that_may(site: BackupSite) -> None:
    taken(site, f"{site.instance}-old")
    taken(site, f"{site.instance}-new")
    denied = {"code": "AccessDenied", "status": 403, "service": "rds", "operation": "DeleteDBSnapshot"}
    site.cloud.control("faults", add=denied)
    grow_old(site)

    done = site.run("snapshot", "prune", "--keep", "1", "--older-than", "1s", "--yes", status=8)

    assert f"only the role {site.plain.application}-break-glass may delete copies" in done.stderr
