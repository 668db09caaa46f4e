"""Drills on the applied stack: everything comes back in isolation, nothing of it is left, and production is as it was."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lifeboat.model import RunId

from tests.database_recoveries import address, beat
from tests.drilled import BUCKET, left, production, site
from tests.rehearsal import Rehearsal, passed

SECONDS = 120.0


# -- what there is -----------------------------------------------------------------------------------------------------


def journal(stack: Rehearsal) -> Path:
    """Return the journal of the newest drill of this checkout."""
    return sorted((stack.root / ".lifeboat/local/journals").glob("*-drill-*"))[-1] / "journal.jsonl"


def lines(stack: Rehearsal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal(stack).read_text().splitlines()]


def drilling_until(stack: Rehearsal, happened: Callable[[list[dict[str, Any]]], bool]) -> subprocess.Popen[str]:
    """Start a drill of the database and return it as soon as its journal says that something happened."""
    folder, until = stack.root / ".lifeboat/local/journals", time.monotonic() + SECONDS
    before = set(folder.glob("*-drill-*"))
    drilling = stack.start("lifeboat", "drill", "database")
    while time.monotonic() < until and drilling.poll() is None:
        for fresh in set(folder.glob("*-drill-*")) - before:
            path = fresh / "journal.jsonl"
            whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
            if whole and happened([json.loads(line) for line in whole.splitlines()]):
                return drilling
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def has_made(found: list[dict[str, Any]]) -> bool:
    return any(one["kind"] == "result" and one["step"] == "restore" for one in found)


# -- drills that come back ---------------------------------------------------------------------------------------------


def test_a_full_drill_comes_back_in_time_and_leaves_production_as_it_was(stack: Rehearsal) -> None:
    passed(stack.lifeboat("ami", "bake"))
    beat(stack)  # the host's first is a minute away from the start
    before = production(stack)
    began = time.monotonic()

    done = passed(stack.lifeboat("drill", "full", "-o", "json"))

    took = time.monotonic() - began
    found, events = json.loads(done.stdout), lines(stack)
    made = [one["data"]["made"] for one in events if "made" in one["data"]]
    gone = [one["data"]["gone"] for one in events if "gone" in one["data"]]
    assert [one["type"] for one in made] == ["rds:db", "secretsmanager:secret", "ec2:instance"]
    assert gone == made[::-1]
    assert left(stack) == []
    assert production(stack) == before
    assert took < 300
    assert (found["objectives_met"], found["exit_status"]) == (True, 0)
    assert found["facts"]["canary"] == "came back"
    assert found["facts"]["application"].startswith("HTTP 200 on i-")
    assert found["facts"]["compared with"].startswith("app-local-g1")
    assert found["rpo_seconds"] < 60
    assert found["price_unknown"] == []
    bundle = json.loads(passed(stack.lifeboat("report", found["run"], "-o", "json")).stdout)["bundle"]
    assert (bundle["kind"], bundle["scope"], bundle["outcome"]) == ("drill", "full", "met")
    assert [(one["type"], one["gone_at"] is not None) for one in bundle["made"]] == [
        (one["type"], True) for one in made
    ]
    sessions = [one["text"] for one in events if one["step"] == "sessions" and one["kind"] == "note"]
    assert sessions == [
        f"the application works on {made[0]['id']}, and nothing of the drill on app-local-g1",
    ]
    # The image says so to whoever chooses next.
    image = next(one["data"]["image"] for one in events if "image" in one["data"])
    (tagged,) = stack.client("ec2").describe_images(ImageIds=[image])["Images"]
    assert "lifeboat:proven-at" in {tag["Key"] for tag in tagged["Tags"]}


def test_a_drill_from_a_dump_compares_every_row_and_expects_no_canary(stack: Rehearsal) -> None:
    passed(stack.lifeboat("dump"))

    found = json.loads(passed(stack.lifeboat("drill", "database", "--from", "latest-dump", "-o", "json")).stdout)

    assert "was made before this drill" in found["facts"]["canary"]
    assert "dump of app" in found["facts"]["copy"]
    assert left(stack) == []


# -- drills that find something ----------------------------------------------------------------------------------------

WRONG = '\n[[dumps.probes]]\nname = "notes"\nsql = "SELECT count(*) FROM notes"\nminimum = 1000000\n'


def test_a_wrong_answer_of_what_was_restored_fails_the_drill_and_nothing_is_left(stack: Rehearsal) -> None:
    path = stack.root / "environments/local.toml"
    path.write_text(path.read_text() + WRONG)

    failed = stack.lifeboat("drill", "database")

    assert failed.returncode == 11, failed.stderr
    assert (
        "the drill failed, and all that it made is gone again: what was restored is not what it should be"
        in " ".join(failed.stderr.split())
    )
    assert "probe notes" in failed.stderr
    assert "resume" not in failed.stderr
    assert left(stack) == []


def test_a_snapshot_of_an_emptied_table_fails_the_drill_where_only_a_restore_can_tell(stack: Rehearsal) -> None:
    rds, name = stack.client("rds"), "app-local-g1-emptied"
    with psycopg.connect(address(stack), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT * FROM notes")
        connection.execute("TRUNCATE notes")
        rds.create_db_snapshot(DBInstanceIdentifier="app-local-g1", DBSnapshotIdentifier=name)
        rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier=name, WaiterConfig={"Delay": 1})
        connection.execute("INSERT INTO notes OVERRIDING SYSTEM VALUE SELECT * FROM kept")

    failed = stack.lifeboat("drill", "database", "--from", name)

    said = " ".join(failed.stderr.split())
    tags = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]["TagList"]
    assert failed.returncode == 11, failed.stderr
    assert "notes" in said
    assert "lifeboat:proven-at" not in {tag["Key"] for tag in tags}
    assert left(stack) == []


# -- whose turn it is --------------------------------------------------------------------------------------------------


def test_two_at_once_and_one_beside_a_recovery_are_locked_out(stack: Rehearsal) -> None:
    before, here = production(stack), site(stack)

    with here.drill_lease(RunId("20260301T000000Z-drill-full-aaaaaa")).held():
        second = stack.lifeboat("drill", "database")
        swept = stack.lifeboat("sweep")
    with here.lease(RunId("20260301T000000Z-recover-aaaaaa")).held():
        beside = stack.lifeboat("drill", "database")

    assert (second.returncode, swept.returncode, beside.returncode) == (5, 5, 5)
    assert "20260301T000000Z-recover-aaaaaa" in beside.stderr
    assert "goes first" in beside.stderr
    assert left(stack) == []
    assert production(stack) == before


def test_a_recovery_that_begins_meanwhile_goes_first(stack: Rehearsal) -> None:
    here = site(stack)
    drilling = drilling_until(stack, has_made)

    with here.lease(RunId("20260301T000000Z-recover-aaaaaa")).held() as held:
        said, _ = drilling.communicate(timeout=SECONDS)
        held.require()

    assert drilling.returncode == 5, said
    assert "goes first" in said
    assert left(stack) == []


# -- cut off -----------------------------------------------------------------------------------------------------------


def test_an_interrupted_drill_takes_away_what_it_made(stack: Rehearsal) -> None:
    drilling = drilling_until(stack, has_made)

    os.killpg(drilling.pid, signal.SIGINT)
    said, _ = drilling.communicate(timeout=SECONDS)

    assert drilling.returncode == 130, said
    assert left(stack) == []


def test_a_sweep_with_credentials_that_have_expired_ends_with_12_whatever_it_asks_first(stack: Rehearsal) -> None:
    stack.control(
        "faults", add={"service": "sts", "operation": ".*", "code": "ExpiredToken", "status": 400, "times": 100}
    )

    swept = stack.lifeboat("sweep", "--yes")
    stack.control("faults", clear=True)

    assert swept.returncode == 12, swept.stderr
    assert "nobody can tell what drills left" in swept.stderr
    assert passed(stack.lifeboat("sweep")).stdout == "drills left nothing\n"


# -- wrong inputs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["drill", "database", "--max-cost", "0.0001"], 3, "and --max-cost allows 0.0001 USD"),
        (["drill", "database", "--max-cost", "-1"], 2, "--max-cost"),
        (["drill", "database", "--from", "no-such-copy"], 6, "no-such-copy"),
        (["drill", "database", "--from", "../../x"], 2, "lifeboat plan-recovery lists them"),
        (["drill", "everything"], 2, "everything"),
        (["drill", "full", "-e", "nowhere"], 2, "nowhere"),
    ],
)
def test_what_cannot_be_drilled_is_refused_and_nothing_is_made(
    stack: Rehearsal, arguments: list[str], status: int, says: str
) -> None:
    done = stack.lifeboat(*arguments)

    assert done.returncode == status, done.stderr
    assert says in " ".join(done.stderr.split())
    assert "run: " not in done.stderr
    assert left(stack) == []


def test_a_probe_that_cannot_be_read_is_told_before_anything_is_written(stack: Rehearsal) -> None:
    path = stack.root / "environments/local.toml"
    path.write_text(path.read_text() + '\n[[dumps.probes]]\nname = "typo"\nsql = "selec 1"\nexpect = 1\n')

    done = stack.lifeboat("drill", "database")

    assert done.returncode == 2, done.stderr
    assert 'environments/local.toml asks of a restored copy: probe typo: syntax error at or near "selec"' in " ".join(
        done.stderr.split()
    )
    assert "run: " not in done.stderr
    assert left(stack) == []


def test_a_probe_file_with_an_error_is_told_before_anything_is_made(stack: Rehearsal) -> None:
    path = stack.root / "environments/local.toml"
    path.write_text(path.read_text() + '\n[[dumps.probes]]\nname = "notes"\nexpect = "1"\n')

    done = stack.lifeboat("drill", "database")

    assert done.returncode == 2, done.stderr
    assert "sql" in done.stderr
    assert left(stack) == []


def test_without_a_network_for_drills_there_is_none(stack: Rehearsal) -> None:
    s3 = stack.client("s3")
    state = json.loads(s3.get_object(Bucket=BUCKET, Key="stack.tfstate")["Body"].read())
    state["outputs"]["recovery"]["value"]["drill"] = None
    body = json.dumps(state).encode()
    s3.put_object(Bucket=BUCKET, Key="stack.tfstate", Body=body)
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    stack.client("dynamodb").put_item(
        TableName="app-local-tflock",
        Item={"LockID": {"S": f"{BUCKET}/stack.tfstate-md5"}, "Digest": {"S": digest}},
    )

    done = stack.lifeboat("drill", "database")

    assert done.returncode == 3, done.stderr
    assert "local has no network that nothing leads out of" in " ".join(done.stderr.split())
    assert "drill = { enabled = true }" in " ".join(done.stderr.split())
    assert left(stack) == []


def test_a_drill_says_what_is_under_way_while_it_runs(stack: Rehearsal) -> None:
    """The second reader: `runs` shows a drill that is under way as open, and a sweep does not touch it."""
    beat(stack)
    drilling = drilling_until(stack, has_made)
    seen: list[Any] = []
    reading = threading.Thread(target=lambda: seen.append(stack.lifeboat("runs", "-n", "1", "-o", "json")))
    reading.start()

    reading.join(SECONDS)
    said, _ = drilling.communicate(timeout=SECONDS)

    assert drilling.returncode == 0, said
    row = json.loads(passed(seen[0]).stdout)[0]
    assert "-drill-database-" in row["run"]
    assert left(stack) == []
