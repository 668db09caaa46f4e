"""What tests of a database's recovery ask and do: rows of the application, instances, snapshots, runs, moments."""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.rehearsal import Rehearsal, passed

RECOVERY_FILE = "environments/local.recovery.tfvars.json"
LATELY = 90.0  # seconds until a window reaches a moment: RDS uploads the log every five minutes, the local cloud sooner


def told(stack: Rehearsal) -> dict[str, Any]:
    """Return the application's page."""
    with urllib.request.urlopen(stack.exported()["APP_URL"], timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def texts(stack: Rehearsal) -> list[str]:
    return [note["text"] for note in told(stack)["notes"]]


def wait_until_it_answers(stack: Rehearsal) -> None:
    """Wait for the application: a cloud that was just loaded starts it anew."""
    deadline = time.monotonic() + LATELY
    while True:
        try:
            told(stack)
        except OSError:  # which every error of urllib and of a connection is
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return


def write(stack: Rehearsal, text: str) -> None:
    wait_until_it_answers(stack)
    asked = urllib.request.Request(
        f"{stack.exported()['APP_URL']}/notes",
        json.dumps({"text": text}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=10):
        pass


def drop(stack: Rehearsal) -> None:
    """Drop the application's table, as a wrong migration would."""
    with psycopg.connect(address(stack), autocommit=True) as connection:
        connection.execute("DROP TABLE notes")


def beat(stack: Rehearsal) -> datetime:
    """Write a row of the heartbeat, as the application's host does once a minute, and return its time."""
    with psycopg.connect(address(stack), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS lifeboat_heartbeat (beat_at timestamptz PRIMARY KEY)")
        row = connection.execute(
            "INSERT INTO lifeboat_heartbeat VALUES (clock_timestamp()) RETURNING beat_at"
        ).fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


def address(stack: Rehearsal) -> str:
    found: str = json.loads(passed(stack.ask("local", "env", "-o", "json")).stdout)["DATABASE_URL"]
    return found


def databases(stack: Rehearsal) -> dict[str, dict[str, Any]]:
    found = stack.client("rds").describe_db_instances()["DBInstances"]
    return {one["DBInstanceIdentifier"]: one for one in found}


def snapshots(stack: Rehearsal) -> dict[str, str]:
    found = stack.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    return {one["DBSnapshotIdentifier"]: one["Status"] for one in found}


def runs(stack: Rehearsal) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(passed(stack.ask("runs", "-o", "json")).stdout)
    return found


def fact(events: list[dict[str, Any]], name: str) -> Any:
    """Return what a run noted last under a name."""
    return next(event["data"][name] for event in reversed(events) if name in event["data"])


def at(events: list[dict[str, Any]], step: str, *kinds: str) -> datetime:
    """Return when a step of a run first came to a line of one of these kinds."""
    return next(datetime.fromisoformat(one["at"]) for one in events if one["step"] == step and one["kind"] in kinds)


def measured(events: list[dict[str, Any]]) -> tuple[timedelta, timedelta]:
    """Return the recovery time and the loss that the lines of a run amount to."""
    failed_at, until, left = (
        datetime.fromisoformat(fact(events, name)) for name in ("failed_at", "data_until", "before_until")
    )
    return at(events, "answers", "holds", "done") - failed_at, max(failed_at, left) - until


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def next_second() -> datetime:
    """Return a moment that lies wholly after everything before this call and before everything after it."""
    time.sleep(1.1)
    moment = datetime.now(UTC).replace(microsecond=0)
    time.sleep(1.1)
    return moment


def wait_for_window(stack: Rehearsal, moment: datetime) -> None:
    """Wait until the serving database can be restored to a moment."""
    deadline = time.monotonic() + LATELY
    while databases(stack)["app-local-g1"]["LatestRestorableTime"] < moment:
        assert time.monotonic() < deadline
        time.sleep(1)
