"""A list that does not come to its end is no list: what may stand on a later page makes a check unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import command_line
from tests.gitlab_sites import DR_REGION, REGION
from tests.listing_server import Copies, listing_server
from tests.long.test_many_copies import checkout, copies

FEW = replace(
    copies(),
    dumps=400,
    snapshots=250,
    points=1_200,
    failed_dump=390,
    unfinished_dump=395,
    failed_snapshot=249,
    partial_point=1_199,
)


def said(folder: Path, told: Copies) -> dict[str, Any]:
    with listing_server(told) as url:
        done = command_line.run(checkout(folder, url), "status", "-o", "json", "-e", "x")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize(
    ("refused", "check", "row", "call"),
    [
        ("DescribeDBSnapshots", f"database.snapshot {REGION}", ("snapshot", REGION), "rds:DescribeDBSnapshots"),
        ("versions", f"dumps.age {REGION}", ("dump", REGION), "s3:ListBucketVersions"),
        ("versions", f"dumps.age {DR_REGION}", ("dump", DR_REGION), "s3:ListBucketVersions"),
        ("versions", "dumps.size", ("dump", REGION), "s3:ListBucketVersions"),
        ("vault", f"database.vault {REGION}", ("AWS Backup point", REGION), "backup:ListRecoveryPointsByBackupVault"),
    ],
)
def test_a_page_that_is_not_answered_makes_its_checks_unknown(
    tmp_path: Path, refused: str, check: str, row: tuple[str, str], call: str
) -> None:
    document = said(tmp_path, replace(FEW, refused=refused))

    found = next(one for one in document["verdicts"] if f"{one['check']} {one['subject']}".rstrip() == check)
    assert found["colour"] == "unknown"
    assert f"{call} must be allowed" in found["should_be"]
    copy = next(one for one in document["copies"] if (one["kind"], one["region"]) == row)
    assert copy["count"] is None
    assert copy["newest"] is None
    assert document["gate"] in (8, 11)


def test_all_pages_are_read_where_all_are_answered(tmp_path: Path) -> None:
    document = said(tmp_path, FEW)

    counts = {(row["kind"], row["region"]): row["count"] for row in document["copies"]}
    assert counts["dump", REGION] == FEW.dumps - 2
    assert counts["snapshot", REGION] == FEW.snapshots - 1
    assert counts["AWS Backup point", REGION] == FEW.points - 1
