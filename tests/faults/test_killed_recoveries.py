"""A recovery that is killed at any call that changes something is finished from another checkout, as if nothing happened.

The calls are not picked by hand: an unbroken recovery is recorded first. By default three of them are tried, far apart;
LIFEBOAT_RECOVERY_KILLS=all tries every one, before and after it is carried out, for each victim. LIFEBOAT_SHARD=1/3
takes every third; LIFEBOAT_KILL_REPORT names a file that gets a line for each.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed

KILLS = os.environ.get("LIFEBOAT_RECOVERY_KILLS", "3")
SHARD, SHARDS = (int(part) for part in os.environ.get("LIFEBOAT_SHARD", "1/1").split("/"))
REPORT = os.environ.get("LIFEBOAT_KILL_REPORT")
READING = "Describe|List|Get|Head|Search|Lookup|BatchGet|Query|Scan|Validate|Test|Select|Lint"
CHANGING = rf"(?!{READING}).+"
IMAGE_FILE = "environments/local.recovery.tfvars.json"


@dataclass(frozen=True)
class Point:
    """One kill: at which changing call (counted from 1), before or after it is carried out, and whom."""

    number: int
    when: str
    who: str


@dataclass(frozen=True)
class Outcome:
    """What came of a kill: the call that it hit, how the killed process and the resumed one ended, and what is wrong."""

    point: Point
    hit: str
    killed: int | None
    resumed: int
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
    passed(saved.lifeboat("local", "save", "broken"))
    with open_folder() as folder:
        other = checkout(folder / "other")
        shutil.copytree(saved.root / "environments", other.root / "environments", dirs_exist_ok=True)
        made = Rehearsal(root=other.root, port=saved.port)
        cloud = saved.root / ".lifeboat" / "local" / "cloud"
        made.edit("environments/local.toml", r"^directory = .*$", f'directory = "{cloud}"')
        made.edit("environments/local.toml", r"^token_file .*$", f'token_file = "{cloud}/gitlab-tokens.json"')
        yield Scene(first=saved, other=made, image=image)
    passed(saved.lifeboat("local", "load", "applied"))


def test_a_killed_recovery_is_finished_from_another_checkout(scene: Scene) -> None:
    calls = recorded(scene)
    points = chosen(calls)

    outcomes = [tried(scene, point) for point in points]

    for outcome in outcomes:
        print(described(outcome))
    assert len(calls) > 30
    assert [described(outcome) for outcome in outcomes if outcome.wrong] == []
    assert outcomes


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


def chosen(calls: list[str]) -> list[Point]:
    """Return the kills to try: all of this shard, or some that are far apart and differ in victim and moment."""
    everyone = [
        Point(number, when, who)
        for number in range(1, len(calls) + 1)
        for when in ("before", "after")
        for who in ("everything", "head", "terraform")
    ]
    if KILLS == "all":
        return everyone[SHARD - 1 :: SHARDS]
    # The launch itself, and the others spread over the whole.
    launch = next(n for n, call in enumerate(calls, start=1) if call == "ec2:RunInstances")
    spread = [Point(1 + number * len(calls) // int(KILLS), "before", "head") for number in range(1, int(KILLS))]
    return [Point(launch, "after", "everything"), *spread]


def tried(scene: Scene, point: Point) -> Outcome:
    """Kill one recovery and resume it elsewhere."""
    reset(scene)
    process = scene.first.start("lifeboat", "recover")
    rule = {
        **{"service": "*", "operation": CHANGING, "when": point.when, "first": point.number},
        **{"kill": process.pid, "who": point.who},
    }
    control(scene, "faults", add=rule)
    process.communicate(timeout=400)
    found = control(scene, "faults")["faults"][0]
    control(scene, "faults", clear=True)
    runs = json.loads(passed(scene.other.lifeboat("runs", "-o", "json")).stdout)
    # Killed before anything was changed there is nothing to resume: the operator starts again.
    verb = "resume" if runs and runs[0]["state"] == "open" else "recover"
    resumed = scene.other.lifeboat(verb) if not runs or runs[0]["state"] != "ended" else None
    by = scene.other if resumed is not None else scene.first
    wrong = wrong_with(scene, by)
    if resumed is not None and resumed.returncode != 0:
        wrong.append(f"{verb} ended with {resumed.returncode}: {resumed.stderr[-1500:]}")
    outcome = Outcome(
        point=point,
        hit=found["hit"],
        killed=process.returncode,
        resumed=0 if resumed is None else resumed.returncode,
        wrong=tuple(wrong),
    )
    if REPORT:
        with Path(REPORT).open("a") as file:
            file.write(json.dumps({**asdict(outcome), "at": time.time()}) + "\n")
    return outcome


def reset(scene: Scene) -> None:
    """Go back to the dead instance, with nothing of an earlier recovery on any machine."""
    passed(scene.first.lifeboat("local", "up"))
    passed(scene.first.lifeboat("local", "load", "broken"))
    for rehearsal in (scene.first, scene.other):
        (rehearsal.root / IMAGE_FILE).unlink(missing_ok=True)
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
    point = outcome.point
    state = "ok" if not outcome.wrong else f"WRONG: {'; '.join(outcome.wrong)}"
    return (
        f"{point.number:>3} {point.when:<6} {point.who:<10} {outcome.hit[:90]:<90} killed {outcome.killed},"
        f" resumed {outcome.resumed}: {state}"
    )
