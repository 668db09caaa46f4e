"""The scheduled dump on the local cloud: the schedule runs the image, which dumps with its own role; and the heartbeat."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg

from tests.localcloud.machines import until
from tests.rehearsal import Rehearsal, passed

WHO = """
import os, pathlib
from lifeboat import config
from lifeboat.site import Site
site = Site(config.load(pathlib.Path("."), "local"), os.environ)
print(site.client("sts", "eu-west-1").get_caller_identity()["Arn"])
"""
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


def who_a_task_is(stack: Rehearsal) -> str:
    """Run our image with the job's roles and network, and return whom AWS takes lifeboat for in it."""
    ecs, job = stack.client("ecs"), stack.client("scheduler").get_schedule(Name="app-local-dump")["Target"]
    known = ecs.describe_task_definition(taskDefinition="app-local-dump")["taskDefinition"]
    container = known["containerDefinitions"][0] | {"entryPoint": ["python", "-c", WHO], "command": []}
    copied = ("cpu", "memory", "networkMode", "requiresCompatibilities", "taskRoleArn", "executionRoleArn", "volumes")
    ecs.register_task_definition(
        family="who", containerDefinitions=[container], **{name: known[name] for name in copied}
    )
    network = job["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"]
    vpc = {"subnets": network["Subnets"], "securityGroups": network["SecurityGroups"]}
    (task,) = ecs.run_task(
        cluster="app-local-dump", taskDefinition="who", networkConfiguration={"awsvpcConfiguration": vpc}
    )["tasks"]

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = ecs.describe_tasks(cluster="app-local-dump", tasks=[task["taskArn"]])["tasks"][0]
        return found

    until(lambda: shown()["lastStatus"] == "STOPPED", 60)
    return output(stack, task["taskArn"])[-1]


def output(stack: Rehearsal, task: str) -> list[str]:
    stream = f"dump/lifeboat/{task.rpartition('/')[2]}"
    events = stack.client("logs").get_log_events(logGroupName="/lifeboat/app-local-dump", logStreamName=stream)[
        "events"
    ]
    return [event["message"] for event in events]


def test_a_daily_tick_dumps_the_database_and_the_host_beats(stack: Rehearsal) -> None:
    before = manifests(stack)

    done = passed(stack.ask("local", "tick", "daily"))

    fired = FIRED.search(done.stdout.replace("\n", ""))
    assert fired is not None, done.stdout
    (key,) = set(manifests(stack)) - set(before)
    body = stack.client("s3").get_object(Bucket=stack.exported()["DUMP_BUCKET"], Key=key)["Body"].read()
    manifest = json.loads(body)
    assert (manifest["environment"], manifest["database"], manifest["image_tag"]) == ("local", "app", "app:1")
    rows = {found["table"]["name"]: found["rows"] for found in manifest["contents"]["tables"]}
    assert rows["notes"] == 3
    # Its output is in the log under the task's id, and its work is its role's.
    assert any("s3://" in line for line in output(stack, fired[1]))
    assert who_a_task_is(stack).startswith("arn:aws:sts::123456789012:assumed-role/app-local-dump/")
    until(lambda: beats(stack) >= 1, 90)
