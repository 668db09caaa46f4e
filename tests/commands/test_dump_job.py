"""The scheduled dump on the local cloud: the schedule runs the image, which dumps with its own role; and the heartbeat."""

from __future__ import annotations

import json
import re

import psycopg

from tests.localcloud.machines import until
from tests.rehearsal import Rehearsal, passed

FIRED = re.compile(r"schedule default/app-local-dump: task (arn:\S+) ended with exit code 0")


def manifests(stack: Rehearsal) -> list[str]:
    bucket = stack.exported()["DUMP_BUCKET"]
    found = stack.client("s3").list_objects_v2(Bucket=bucket, Prefix="dumps/").get("Contents", [])
    return [entry["Key"] for entry in found if entry["Key"].endswith("/manifest.json")]


def beats(stack: Rehearsal) -> int:
    with psycopg.connect(stack.exported()["DATABASE_URL"]) as connection:
        if connection.execute("select to_regclass('lifeboat_heartbeat')").fetchone() == (None,):
            return 0
        row = connection.execute("select count(*) from lifeboat_heartbeat").fetchone()
    return row[0] if row else 0


def test_a_daily_tick_dumps_the_database_and_the_host_beats(stack: Rehearsal) -> None:
    before = manifests(stack)

    fired = FIRED.search(passed(stack.lifeboat("local", "tick", "daily")).stdout.replace("\n", ""))

    assert fired is not None
    (key,) = set(manifests(stack)) - set(before)
    body = stack.client("s3").get_object(Bucket=stack.exported()["DUMP_BUCKET"], Key=key)["Body"].read()
    manifest = json.loads(body)
    assert (manifest["environment"], manifest["database"], manifest["image_tag"]) == ("local", "app", "app:1")
    rows = {found["table"]["name"]: found["rows"] for found in manifest["contents"]["tables"]}
    assert rows["notes"] == 3
    # Its output is in the log under the task's id, and its work is its role's.
    stream = f"dump/lifeboat/{fired[1].rpartition('/')[2]}"
    events = stack.client("logs").get_log_events(logGroupName="/lifeboat/app-local-dump", logStreamName=stream)["events"]
    assert any("s3://" in event["message"] for event in events)
    until(lambda: beats(stack) >= 1, 90)
