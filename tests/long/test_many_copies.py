"""Ten thousand dumps and ten thousand snapshots: listed to the last page, the bad ones too, in little time and memory."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.gitlab_sites import ACCOUNT, DR_REGION, RECOVERY, REGION
from tests.listing_server import FILE_SIZE, Copies, listing_server
from tests.rehearsal import CLEAN, ROOT

NAME = "app-many"
CPU_SECONDS, MEMORY_BYTES = 60, 300 * 1024**2
STATUS_CPU_SECONDS = 10
COUNT = 10_000


def copies() -> Copies:
    """Return what the server tells of: the bad ones stand on late pages, and the last page is not full."""
    bucket = f"{NAME}-dumps-{ACCOUNT}"
    recovery = {
        **RECOVERY,
        "application": NAME,
        "database": {**RECOVERY["database"], "identifier": f"{NAME}-g1"},
        "dumps": {"bucket": f"{bucket}-{REGION}", "prefix": "dumps/", "replica_bucket": f"{bucket}-{DR_REGION}"},
        "vaults": {"primary": f"{NAME}-backups", "dr": f"{NAME}-backups-dr"},
    }
    outputs = {"recovery": {"value": recovery, "type": "dynamic"}}
    return Copies(
        application=NAME,
        state={"version": 4, "serial": 1, "lineage": "l", "outputs": outputs, "resources": []},
        dumps=COUNT,
        snapshots=COUNT,
        points=COUNT // 4 + 1,
        failed_dump=9_876,
        altered_dump=9_871,
        unfinished_dump=9_998,
        failed_snapshot=9_999,
        partial_point=2_500,
    )


def checkout(folder: Path, url: str) -> Path:
    """Make a project folder for an application at a URL."""
    (folder / "environments").mkdir()
    (folder / "terraform").mkdir()
    (folder / "environments" / "x.tfvars").write_text("")
    (folder / "environments" / "x.toml").write_text(f"""
[application]
name = "{NAME}"
account_id = "{ACCOUNT}"
region = "{REGION}"
dr_region = "{DR_REGION}"
[state]
bucket = "{NAME}-tfstate-{ACCOUNT}-{REGION}"
replica_bucket = "{NAME}-tfstate-{ACCOUNT}-{DR_REGION}"
lock_table = "{NAME}-tflock"
[endpoint]
url = "{url}"
""")
    return folder


def measured(folder: Path, *arguments: str) -> tuple[int, str, float, int]:
    """Run `lifeboat …` and return its status, what it printed, and what it took: CPU in seconds, memory in bytes."""
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}"
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            ["lifeboat", *arguments, "-e", "x"], cwd=folder, env={**CLEAN, "PATH": path}, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = (folder / "out").read_text()
    return process.returncode, text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


@pytest.mark.parametrize("output", ["json", "table"])
def test_all_are_listed_and_the_bad_ones_found_on_late_pages(tmp_path: Path, output: str) -> None:
    told = copies()

    with listing_server(told) as url:
        status, text, seconds, memory = measured(checkout(tmp_path, url), "backups", "-o", output)

    print(f"{output}: {seconds:.1f} s of CPU, {memory / 1024**2:.0f} MB")
    assert status == 0, text[-2000:]
    assert (seconds < CPU_SECONDS, memory < MEMORY_BYTES) == (True, True), (seconds, memory)
    assert told.asked["DescribeDBSnapshots"] == COUNT // 100 + 1
    assert told.asked["DescribeDBSnapshots of AWS Backup"] == -(-told.points // 100)
    if output == "json":
        _all_there(json.loads(text)["points"], told)
    else:
        lines = text.splitlines()
        assert len(lines) == 1 + 2 * COUNT + COUNT + told.points + 1
        assert any(line.startswith(told.dump(told.failed_dump)) and "(level 2) failed" in line for line in lines)


def _all_there(points: list[dict[str, Any]], told: Copies) -> None:
    ids = {(point["id"], point["region"]) for point in points}
    assert ids == {
        *((told.dump(number), region) for number in range(COUNT) for region in (REGION, DR_REGION)),
        *((told.snapshot(number), REGION) for number in range(COUNT)),
        *((told.point(number), REGION) for number in range(told.points)),
    }
    bad = {(point["id"], point["region"]): point["flags"] for point in points if point["flags"]}
    assert bad == {
        (told.dump(told.failed_dump), REGION): ["its last verification (level 2) failed"],
        (told.dump(told.failed_dump), DR_REGION): [
            f"the copy in {REGION} failed a verification (level 2), and this one passed none as deep"
        ],
        **{(told.dump(told.unfinished_dump), r): ["it is incomplete"] for r in (REGION, DR_REGION)},
        (told.snapshot(told.failed_snapshot), REGION): ["it is failed"],
        (told.point(told.partial_point), REGION): ["it is partial"],
    }


def test_each_of_them_is_looked_at_and_the_one_that_was_altered_is_found(tmp_path: Path) -> None:
    told = copies()

    with listing_server(told) as url:
        status, text, seconds, memory = measured(
            checkout(tmp_path, url), "verify", "--all", "--level", "1", "-o", "json"
        )

    print(f"level 1 of {COUNT:,}: {seconds:.1f} s of CPU, {memory / 1024**2:.0f} MB")
    assert status == 11, text[-2000:]
    assert (seconds < CPU_SECONDS, memory < MEMORY_BYTES) == (True, True), (seconds, memory)
    found = json.loads(text[text.index("[") : text.rindex("]") + 1])
    looked_at = [told.dump(number) for number in range(COUNT) if number != told.unfinished_dump]
    assert [one["dump"] for one in found] == looked_at
    altered = told.dump(told.altered_dump)
    assert {one["dump"]: one["findings"] for one in found if one["verdict"] != "passed"} == {
        altered: [f"data-01.dump.zst is not what was stored: size {FILE_SIZE + 1}, {FILE_SIZE} in the manifest"]
    }
    assert sorted((path.split("/")[-3], "-1-failed-" in path) for path in told.proofs) == [
        (dump, dump == altered) for dump in looked_at
    ]


def test_a_status_over_ten_thousand_of_them_takes_seconds_and_counts_none_of_the_bad_ones(tmp_path: Path) -> None:
    told = replace(
        copies(),
        dumps=2_500,  # in each region
        snapshots=4_000,
        points=1_000,
        failed_dump=2_490,
        unfinished_dump=2_498,
        failed_snapshot=3_999,
        partial_point=999,
    )

    with listing_server(told) as url:
        status, text, seconds, memory = measured(checkout(tmp_path, url), "status", "-o", "json")

    print(f"status: {seconds:.1f} s of CPU, {memory / 1024**2:.0f} MB")
    assert status == 0, text[-2000:]
    assert (seconds < STATUS_CPU_SECONDS, memory < MEMORY_BYTES) == (True, True), (seconds, memory)
    document = json.loads(text[text.index("{") :])
    counts = {(row["kind"], row["region"]): row["count"] for row in document["copies"]}
    # One failed, of which the copy is doubted too, and one never became a dump.
    assert counts["dump", REGION] == counts["dump", DR_REGION] == told.dumps - 2
    assert counts["snapshot", REGION] == told.snapshots - 1
    assert counts["AWS Backup point", REGION] == told.points - 1
    assert document["checks"]["whole"]
    # What this server does not answer is unknown, and not green.
    assert {one["colour"] for one in document["verdicts"] if one["check"] == "alarms.heard"} == {"unknown"}
