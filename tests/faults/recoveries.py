"""Recoveries that something happens to at one call that changes something, and how they end.

The calls are not picked by hand: an unbroken recovery is recorded first. LIFEBOAT_RECOVERY_FAULTS=all tries every one in
every way, else a few that are far apart. LIFEBOAT_SHARD=1/3 takes every third; LIFEBOAT_FAULT_REPORT names a file that
gets a line for each.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from lifeboat.errors import EXIT_STATUSES

from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed

ALL = os.environ.get("LIFEBOAT_RECOVERY_FAULTS") == "all"
SHARD, SHARDS = (int(part) for part in os.environ.get("LIFEBOAT_SHARD", "1/1").split("/"))
REPORT = os.environ.get("LIFEBOAT_FAULT_REPORT")
READING = "Describe|List|Get|Head|Search|Lookup|BatchGet|Query|Scan|Validate|Test|Select|Lint"
CHANGING = rf"(?!{READING}).+"
IMAGE_FILE = "environments/local.recovery.tfvars.json"


@dataclass(frozen=True)
class Point:
    """One thing that happens, at which changing call (counted from 1): a kill, a lost answer, a refusal."""

    number: int
    happens: str

    def rule(self, pid: int) -> dict[str, Any]:
        """Return the rule that makes it happen to the recovery that runs as this process."""
        when = {"service": "*", "operation": CHANGING, "first": self.number}
        return {**when, **HAPPENINGS[self.happens], **({"kill": pid} if "kill" in self.happens else {})}


KILLS = {
    f"kill {who} {when}": {"when": when, "who": who, "status": 503}
    for when in ("before", "after")
    for who in ("everything", "head", "terraform")
}
ERRORS = {
    "lost answer": {"when": "after", "status": 500},
    "cut answer": {"when": "cut"},
    "unavailable": {"when": "before", "status": 503, "code": "ServiceUnavailable"},
    "throttled": {"when": "before", "status": 429, "code": "ThrottlingException"},
    "expired token": {"when": "before", "status": 400, "code": "ExpiredToken"},
}
HAPPENINGS: dict[str, dict[str, Any]] = {**KILLS, **ERRORS}


@dataclass(frozen=True)
class Outcome:
    """What came of it: the call that it hit, how the recovery and its resumption ended, in seconds, and what is wrong."""

    point: Point
    hit: str
    ended: int | None
    resumed: int | None
    seconds: float
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """The checkout that is killed, another one that resumes, and the image to recover from, saved as `broken`."""

    first: Rehearsal
    other: Rehearsal
    image: str


@pytest.fixture(scope="module")
def scene(saved: Rehearsal) -> Iterator[Scene]:
    image = passed(saved.lifeboat("ami", "bake", "--no-reboot")).stdout.strip()
    passed(saved.lifeboat("local", "break", "instance"))
    passed(saved.lifeboat("local", "save", "broken", "--replace"))
    with open_folder() as folder:
        other = checkout(folder / "other")
        shutil.copytree(saved.root / "environments", other.root / "environments", dirs_exist_ok=True)
        made = Rehearsal(root=other.root, port=saved.port)
        cloud = saved.root / ".lifeboat" / "local" / "cloud"
        made.edit("environments/local.toml", r"^directory = .*$", f'directory = "{cloud}"')
        made.edit("environments/local.toml", r"^token_file .*$", f'token_file = "{cloud}/gitlab-tokens.json"')
        yield Scene(first=saved, other=made, image=image)
    passed(saved.lifeboat("local", "load", "applied"))


def recorded(scene: Scene) -> list[str]:
    """Return the changing calls of an unbroken recovery, in order, and see that it ends well."""
    reset(scene)
    trace = scene.first.root / ".lifeboat" / "local" / "cloud" / "logs" / "trace.jsonl"
    begin = trace.stat().st_size
    passed(scene.first.lifeboat("recover"))
    assert wrong_with(scene, scene.first) == []
    with trace.open() as file:
        file.seek(begin)
        lines = [json.loads(line) for line in file]
    skipped = tuple(READING.split("|"))
    return [f"{line['service']}:{line['operation']}" for line in lines if not line["operation"].startswith(skipped)]


def every(calls: list[str], happenings: Iterable[str]) -> list[Point]:
    """Return all points of this shard: each thing at each call."""
    points = [Point(number, happens) for number in range(1, len(calls) + 1) for happens in happenings]
    return points[SHARD - 1 :: SHARDS]


def tried(scene: Scene, point: Point) -> Outcome:
    """Let it happen to one recovery, and resume it from the other checkout where it did not end."""
    reset(scene)
    began = time.monotonic()
    process = scene.first.start("lifeboat", "recover")
    control(scene, "faults", add=point.rule(process.pid))
    printed, _ = process.communicate(timeout=900)
    found = control(scene, "faults")["faults"][0]
    control(scene, "faults", clear=True)
    wrong: list[str] = []
    if "Traceback" in printed:
        wrong.append(f"a traceback: {printed[-1500:]}")
    if process.returncode not in (*EXIT_STATUSES, -9):
        wrong.append(f"it ended with {process.returncode}")
    resumed, by = None, scene.first
    if process.returncode != 0:
        runs = json.loads(passed(scene.other.lifeboat("runs", "-o", "json")).stdout)
        # Stopped before anything was changed there is nothing to resume: the operator starts again.
        verb = "resume" if runs and runs[0]["state"] == "open" else "recover"
        done = scene.other.lifeboat(verb)
        resumed, by = done.returncode, scene.other
        if resumed != 0:
            wrong.append(f"{verb} ended with {resumed}: {done.stderr[-1500:]}")
    outcome = Outcome(
        point=point,
        hit=found["hit"],
        ended=process.returncode,
        resumed=resumed,
        seconds=round(time.monotonic() - began, 1),
        wrong=(*wrong, *wrong_with(scene, by)),
    )
    if REPORT:
        with Path(REPORT).open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
    return outcome


def reset(scene: Scene) -> None:
    """Go back to the dead instance, with nothing of an earlier recovery on any machine."""
    passed(scene.first.lifeboat("local", "up"))
    passed(scene.first.lifeboat("local", "load", "broken"))
    for rehearsal in (scene.first, scene.other):
        (rehearsal.root / IMAGE_FILE).unlink(missing_ok=True)
        (rehearsal.root / "terraform" / "stack" / "errored.tfstate").unlink(missing_ok=True)
        work = rehearsal.root / ".lifeboat" / "local"
        for name in ("runs", "journals"):
            shutil.rmtree(work / name, ignore_errors=True)
        for name in ("holder.json", "last-good.json"):
            (work / name).unlink(missing_ok=True)


def wrong_with(scene: Scene, by: Rehearsal) -> list[str]:
    """Return what is not as an unbroken recovery leaves it."""
    ec2, env = by.client("ec2"), by.exported()
    tagged = {"Name": "tag:application", "Values": ["app-local"]}
    alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    pages = ec2.describe_instances(Filters=[tagged, alive])["Reservations"]
    instances = [instance for page in pages for instance in page["Instances"]]
    if len(instances) != 1:
        return [f"{len(instances)} instances are alive: {[(i['InstanceId'], i['State']['Name']) for i in instances]}"]
    only, wrong = instances[0], []
    if (only["State"]["Name"], only["ImageId"]) != ("running", scene.image):
        wrong.append(f"{only['InstanceId']} is {only['State']['Name']} from {only['ImageId']}")
    addresses = [a.get("InstanceId") for a in ec2.describe_addresses()["Addresses"]]
    if addresses != [only["InstanceId"]]:
        wrong.append(f"the address leads to {addresses}")
    text = (by.root / IMAGE_FILE).read_text() if (by.root / IMAGE_FILE).exists() else "{}"
    if json.loads(text) != {"ami_id": scene.image}:
        wrong.append(f"the recovery file holds {text}")
    wrong += [f"{key} is {value}" for key, value in variables(env).items() if value not in (only["InstanceId"], None)]
    if variables(env).get("EC2_INSTANCE_ID") != only["InstanceId"]:
        wrong.append("GitLab does not know the instance")
    with suppress(OSError), urllib.request.urlopen(env["APP_URL"], timeout=10) as answer:
        if not json.load(answer)["notes"]:
            wrong.append("the application answers without rows")
        return wrong + locks_and_digest(by, env)
    return [*wrong, "the application does not answer"]


def variables(env: dict[str, str]) -> dict[str, str | None]:
    url = f"{env['GITLAB_URL']}/api/v4/projects/1/variables/EC2_INSTANCE_ID?filter[environment_scope]=local"
    request = urllib.request.Request(url, headers={"PRIVATE-TOKEN": env["GITLAB_TOKEN"]})
    with suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
        return {"EC2_INSTANCE_ID": json.load(answer)["value"]}
    return {}


def locks_and_digest(by: Rehearsal, env: dict[str, str]) -> list[str]:
    s3, table = by.client("s3"), by.client("dynamodb")
    wrong = []
    place = f"{env['STATE_BUCKET']}/{env['STATE_KEY']}"
    items = {item["LockID"]["S"]: item for item in table.scan(TableName=env["LOCK_TABLE"])["Items"]}
    if place in items:
        wrong.append("the state is locked in the table")
    objects = s3.list_objects_v2(Bucket=env["STATE_BUCKET"], Prefix=env["STATE_KEY"])["Contents"]
    if [entry["Key"] for entry in objects] != [env["STATE_KEY"]]:
        wrong.append("the state is locked by a file")
    body = s3.get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    if items[f"{place}-md5"]["Digest"]["S"] != hashlib.md5(body, usedforsecurity=False).hexdigest():
        wrong.append("state and digest disagree")
    return wrong


def control(scene: Scene, verb: str, **asked: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{scene.first.port}/_localcloud/{verb}", json.dumps(asked).encode(), {"X-Localcloud": "1"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def described(outcome: Outcome) -> str:
    """Return an outcome in a line."""
    state = "ok" if not outcome.wrong else f"WRONG: {'; '.join(outcome.wrong)}"
    point, resumed = outcome.point, "" if outcome.resumed is None else f", resumed {outcome.resumed}"
    where = f"{point.number:>3} {point.happens:<24} {outcome.hit[:80]:<80}"
    return f"{where} ended {outcome.ended}{resumed}, {outcome.seconds:.0f} s: {state}"
