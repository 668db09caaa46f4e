"""`lifeboat status` over a real local cloud: every accident of the table is red with its reason, and nothing was before."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.evidence_model import Outcome

from tests import command_line
from tests.backup_sites import BackupSite
from tests.conftest import RunningCloud
from tests.evidence_runs import drill
from tests.gitlab_sites import DR_REGION, REGION
from tests.status.breakages import BREAKAGES, Breakage, Where
from tests.status.healthy import MANIFEST
from tests.status.scene import Place, scene

HOUR = timedelta(hours=1)
# What nobody makes here: a host that beats, images, drills and their evidence, root 1's own state.
NOT_HERE = (
    "database.heartbeat",
    "database.secret",
    "database.proof",
    "image.",
    "volume.snapshot",
    "drills.",
    "runs.leaks",
    "runs.drift",
)


@pytest.fixture(scope="module")
def made(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> tuple[BackupSite, Place]:
    site, place = scene(cloud, tmp_path_factory.mktemp("project"))
    for age in (50, 26, 3):
        site.put_dump(timedelta(hours=age), "3-passed", chance=f"{age:06x}")
    site.run("status", "--publish")
    cloud.control("save", name="healthy")
    state = cloud.client("s3").get_object(Bucket=place.names.state, Key="stack.tfstate")["Body"].read()
    return site, replace(place, more={"state": state})


@pytest.fixture
def place(made: tuple[BackupSite, Place]) -> Iterator[Place]:
    """The environment as it was made; afterwards it is that again."""
    site, found = made
    yield found
    site.cloud.control("faults", clear=True)
    site.cloud.control("load", name="healthy")


@pytest.fixture
def site(place: Place, made: tuple[BackupSite, Place]) -> BackupSite:
    return made[0]


def verdicts(place: Place, check: str) -> list[dict[str, Any]]:
    return [one for one in place.status()["verdicts"] if one["check"] == check]


def amiss(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (f"{one['check']} {one['subject']}".rstrip(), one["colour"], one["is"])
        for one in document["verdicts"]
        if one["colour"] != "green" and not one["check"].startswith(NOT_HERE)
    ]


def test_nothing_is_amiss_before_anything_happens(place: Place) -> None:
    document = place.status()

    found = [one for one in amiss(document) if not one[0].startswith("state.sound")]
    assert found == []
    assert document["checks"]["whole"]


@pytest.mark.parametrize(
    "breakage", [one for one in BREAKAGES if one.where is not Where.ON_A_STACK], ids=lambda one: one.what
)
def test_an_accident_is_told_by_its_check_with_its_reason(place: Place, breakage: Breakage) -> None:
    breakage.happen(place)

    found = [one for one in verdicts(place, breakage.check) if one["colour"] == breakage.colour]

    assert any(breakage.words in one["is"] for one in found), verdicts(place, breakage.check)
    assert all(one["should_be"] and one["next"] for one in found)


# -- dumps -------------------------------------------------------------------------------------------------------------


def test_a_dump_that_failed_its_verification_is_red(site: BackupSite, place: Place) -> None:
    dump = site.put_dump(HOUR, "3-failed")

    (found,) = verdicts(place, "dumps.verification")

    assert found["colour"] == "red"
    assert dump in found["is"]


def test_a_dump_without_rows_is_red(site: BackupSite, place: Place) -> None:
    emptied = tuple(replace(table, rows=0) for table in MANIFEST.contents.tables)
    site.put_dump(HOUR, contents=replace(MANIFEST.contents, tables=emptied))

    (found,) = verdicts(place, "dumps.content")

    assert found["colour"] == "red"
    assert "is empty" in found["is"]


def test_a_dump_of_another_database_does_not_count(site: BackupSite, place: Place) -> None:
    for region in (REGION, DR_REGION):
        s3 = site.cloud.client("s3", region)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=site.bucket(region)):
            for entry in page.get("Versions", []):
                s3.delete_object(Bucket=site.bucket(region), Key=entry["Key"], VersionId=entry["VersionId"])
        s3.put_object(
            Bucket=site.bucket(region), Key="dumps/x/postgres/20991129T031500Z-3f9a1c/manifest.json", Body=b"{}"
        )

    found = verdicts(place, "dumps.age")

    assert [one["colour"] for one in found] == ["red", "red"]
    assert all("newer ones of the database postgres" in one["is"] for one in found)


def test_a_damaged_manifest_is_red_and_not_unknown(site: BackupSite, place: Place) -> None:
    dump = site.put_dump(HOUR)
    site.cloud.client("s3").put_object(Bucket=site.bucket(), Key=f"dumps/x/app/{dump}/manifest.json", Body=b"{")

    (found,) = verdicts(place, "dumps.content")

    assert found["colour"] == "red"
    assert "is not what this lifeboat writes" in found["is"]


def test_a_newest_dump_whose_manifest_was_deleted_is_red_however_whole_the_one_before_it_is(
    site: BackupSite, place: Place
) -> None:
    site.put_dump(2 * HOUR)
    dump = site.put_dump(HOUR)
    site.cloud.client("s3").delete_object(Bucket=site.bucket(), Key=f"dumps/x/app/{dump}/manifest.json")

    (found,) = verdicts(place, "dumps.content")

    assert found["colour"] == "red"
    assert f"{dump}: its manifest was deleted" in found["is"]


# -- drills ------------------------------------------------------------------------------------------------------------


def keep(site: BackupSite, **changes: Any) -> str:
    """Keep the evidence of a drill of everything that has just ended, changed, and return the key that it lies under."""
    store, now = site.plain.site().evidence(site.bucket()), datetime.now(UTC)
    link = store.append(replace(drill(1, scope="full"), **{"ended": now, **changes}))
    assert link.unsealed == ""
    keys = [
        one["Key"]
        for one in site.cloud.client("s3").list_objects_v2(Bucket=site.bucket(), Prefix="evidence/")["Contents"]
    ]
    return str(sorted(keys)[-1])


def of_full(place: Place) -> dict[str, tuple[str, str]]:
    found = place.status()["verdicts"]
    return {
        one["check"]: (one["colour"], one["is"])
        for one in found
        if one["check"].startswith("drills.") and one["subject"] in ("full", "")
    }


def test_a_drill_that_went_well_is_green_and_its_evidence_whole(site: BackupSite, place: Place) -> None:
    keep(site)

    found = of_full(place)

    assert {check: colour for check, (colour, _) in found.items()} == {
        "drills.age": "green",
        "drills.passed": "green",
        "drills.cut-off": "green",
        "drills.rto": "green",
        "drills.rpo": "green",
        "drills.evidence": "green",
    }


def test_a_last_drill_that_failed_is_red_however_good_the_one_before_was(site: BackupSite, place: Place) -> None:
    keep(site, ended=datetime.now(UTC) - HOUR)
    keep(site, outcome=Outcome.UNSOUND, why="orders lacks 3 rows")

    found = of_full(place)

    assert found["drills.passed"][0] == "red"
    assert "orders lacks 3 rows" in found["drills.passed"][1]
    assert found["drills.age"][0] == "green"


def test_a_drill_that_took_too_long_is_red(site: BackupSite, place: Place) -> None:
    rto = drill(1).rto
    assert rto is not None
    keep(site, rto=replace(rto, seconds=5 * 3600.0, met=False), outcome=Outcome.MISSED)

    found = of_full(place)

    assert found["drills.rto"] == ("red", "the last drill of everything took 5h")
    assert found["drills.passed"][0] == "green"


def test_a_drill_of_long_ago_is_red(site: BackupSite, place: Place) -> None:
    keep(site, ended=datetime.now(UTC) - timedelta(days=93))

    assert of_full(place)["drills.age"] == ("red", "the last drill that went well was 93d ago")


@pytest.mark.parametrize("what", ["changed", "taken away"])
def test_evidence_that_was_tampered_with_is_red(site: BackupSite, place: Place, what: str) -> None:
    keep(site)
    key = keep(site)
    s3 = site.cloud.client("s3")
    if what == "changed":
        body = s3.get_object(Bucket=site.bucket(), Key=key)["Body"].read()
        s3.put_object(Bucket=site.bucket(), Key=key, Body=body[:-1] + b" ")
    else:
        s3.delete_object(Bucket=site.bucket(), Key=key)

    found = of_full(place)

    assert found["drills.evidence"][0] == "red"
    assert "2" in found["drills.evidence"][1]


# -- the whole -----------------------------------------------------------------------------------------------------------


def test_a_region_that_does_not_answer_hides_nothing_of_the_other(site: BackupSite, place: Place) -> None:
    refused = {"code": "AccessDenied", "status": 403, "times": 99, "first": 1}
    site.cloud.control("faults", add={"service": "rds", "operation": "DescribeDBSnapshots", **refused})

    document = place.status()

    colours = {f"{one['check']} {one['subject']}": one["colour"] for one in document["verdicts"]}
    assert colours[f"database.window {REGION}"] == "green"
    assert colours[f"database.snapshot {REGION}"] == "unknown"
    said = next(one for one in document["verdicts"] if one["check"] == "database.snapshot")
    assert "rds:DescribeDBSnapshots must be allowed" in said["should_be"]


def test_without_a_state_the_copies_are_still_found_and_nothing_is_called_gone(site: BackupSite, place: Place) -> None:
    site.plain.delete("stack.tfstate")

    document = place.status()

    colours = {one["check"]: one["colour"] for one in document["verdicts"]}
    assert colours["alarms.present"] == colours["keys.enabled"] == colours["database.window"] == "unknown"
    assert colours["environment.account"] == "green"
    kinds = {row["kind"] for row in document["copies"] if row["count"]}
    assert {"point-in-time window", "snapshot", "dump", "AWS Backup point"} <= kinds
    assert document["gate"] in (8, 11)


def test_the_gate_ends_with_what_the_document_says(site: BackupSite, place: Place) -> None:
    document = place.status()

    site.run("status", "--gate", status=document["gate"])


def test_what_is_published_is_what_the_alarm_watches(site: BackupSite, place: Place) -> None:
    site.run("status", "--publish")

    alarm = site.cloud.client("cloudwatch").describe_alarms(AlarmNames=[place.names.alarm])["MetricAlarms"][0]
    assert alarm["StateValue"] == "OK"
    (measured,) = verdicts(place, "alarms.measured")
    assert measured["colour"] == "green"


def test_nothing_is_changed_by_looking(site: BackupSite, place: Place) -> None:
    before = site.cloud.client("s3").list_object_versions(Bucket=place.names.state)["Versions"]

    place.status()

    assert site.cloud.client("s3").list_object_versions(Bucket=place.names.state)["Versions"] == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--watch",), "--watch needs a terminal"),
        (("--watch", "--gate"), "--watch shows the table and nothing else"),
        (("--watch", "--every", "soon"), "is no length of time"),
        (("-o", "xml"), "Invalid value"),
    ],
)
def test_wrong_options_are_told_before_anything_is_looked_at(
    site: BackupSite, arguments: tuple[str, ...], says: str
) -> None:
    ended = site.run("status", *arguments, status=2)

    assert says in " ".join(ended.stderr.split())
    assert ended.stdout == ""


def test_an_environment_that_is_not_there_is_told(tmp_path: Path, site: BackupSite) -> None:
    done = command_line.run(site.plain.root, "status", "-e", "nowhere")

    assert done.returncode == 2


def test_a_lock_that_somebody_left_is_red(site: BackupSite, place: Place) -> None:
    here = f"{getpass.getuser()}@{socket.gethostname()}"
    lock = {
        "ID": "11111111-2222-3333-4444-555555555555",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": here,
        "Version": "1.11.4",
        "Created": datetime.now(UTC).isoformat(),
        "Path": f"{place.names.state}/stack.tfstate",
    }
    site.cloud.client("dynamodb").put_item(
        TableName=place.names.table,
        Item={"LockID": {"S": f"{place.names.state}/stack.tfstate"}, "Info": {"S": json.dumps(lock)}},
    )

    found = next(one for one in verdicts(place, "state.sound") if one["subject"] == "stack lock in the table")

    assert found["colour"] == "red"
    assert "locked by" in found["is"]
