"""Recoveries that something happens to at one call that changes something, and how they end.

The calls are not picked by hand: an unbroken recovery is recorded. LIFEBOAT_RECOVERY_FAULTS=all records one anew, into
the file CALLS (of the database's: DATABASE_CALLS), and tries every call in every way; else a few are tried that are far
apart. LIFEBOAT_SHARDS says among how many stacks they are divided; LIFEBOAT_FAULT_REPORT names a file that gets a line for
each, and what stands in it already is not tried again.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import time
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from lifeboat.clients.journal import JournalBucket
from lifeboat.errors import EXIT_STATUSES
from lifeboat.stack.repair import ADOPTION_FILE

from tests import database_recoveries
from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, another, passed

ALL = os.environ.get("LIFEBOAT_RECOVERY_FAULTS") == "all"
SHARDS = [int(shard) for shard in range(int(os.environ.get("LIFEBOAT_SHARDS", "1")))]
REPORT = os.environ.get("LIFEBOAT_FAULT_REPORT")
READING = "Describe|List|Get|Head|Search|Lookup|BatchGet|Query|Scan|Validate|Test|Select|Lint|GET|HEAD"
# A Terraform that lives sends something at least this often.
TERRAFORM_PAUSE_SECONDS = 6
CHANGING = rf"(?!{READING}).+"
CALLS = Path(__file__).with_name("recovery_calls.txt")
DATABASE_CALLS = Path(__file__).with_name("database_recovery_calls.txt")
IMAGE_FILE = "environments/local.recovery.tfvars.json"
BEFORE, AFTER = "written before", "written after"  # the moment that the database is brought back to


@dataclass(frozen=True)
class Recorded:
    """A changing call of an unbroken recovery, and whether a Terraform lived by then."""

    name: str
    beside_terraform: bool

    @property
    def operation(self) -> str:
        """What is asked of the service, `PutObject`."""
        return self.name.partition(":")[2]


@dataclass(frozen=True)
class Point:
    """One thing that happens, at which call of an operation (counted from 1): a kill, a lost answer, a refusal.

    Counted among all calls, the same number would be another call in the next run: leases are renewed by the clock. An
    outage is at a call of any operation, CHANGING.
    """

    number: int
    happens: str
    operation: str

    def rule(self, pid: int) -> dict[str, Any]:
        """Return the rule that makes it happen to the recovery that runs as this process."""
        when = {"service": "*", "operation": self.operation, "first": self.number}
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
    # All that would change anything is refused from here on, until somebody goes on with it.
    "outage": {"when": "before", "status": 503, "code": "ServiceUnavailable", "times": 100_000},
}
HAPPENINGS: dict[str, dict[str, Any]] = {**KILLS, **ERRORS}
# Whoever made the call makes it again, and mostly the recovery goes on: it can happen to several calls of one recovery.
CALLED_AGAIN = {"unavailable", "throttled", "lost answer"}
APART = 6  # calls between two of them, so that the one is over before the next


@dataclass(frozen=True)
class Outcome:
    """What came of it: the call that it hit, how the recovery and its resumption ended, in seconds, and what is wrong."""

    point: Point
    by: str
    hit: str
    ended: int | None
    resumed: int | None
    seconds: float
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """The checkout that is killed, another one that resumes, and the save of the disaster that both go back to.

    `image` is what the instance is recovered from, `to` the moment that the database comes back to.
    """

    first: Rehearsal
    other: Rehearsal
    save: str
    image: str = ""
    to: str = ""


@pytest.fixture(scope="module")
def scene(saved: Rehearsal) -> Iterator[Scene]:
    image = passed(saved.lifeboat("ami", "bake", "--no-reboot")).stdout.strip()
    passed(saved.lifeboat("local", "break", "instance"))
    passed(saved.lifeboat("local", "save", "broken", "--replace"))
    with open_folder() as folder:
        yield Scene(first=saved, other=another(folder / "other", saved), save="broken", image=image)
    passed(saved.lifeboat("local", "load", "applied"))


@pytest.fixture(scope="module")
def damaged(saved: Rehearsal) -> Iterator[Scene]:
    """A table that was dropped, with a row from before the moment that is gone back to and one from after it."""
    database_recoveries.write(saved, BEFORE)
    moment = database_recoveries.next_second()
    database_recoveries.write(saved, AFTER)
    database_recoveries.drop(saved)
    database_recoveries.wait_for_window(saved, moment)
    passed(saved.lifeboat("local", "save", "damaged", "--replace"))
    with open_folder() as folder:
        other = another(folder / "other", saved)
        yield Scene(first=saved, other=other, save="damaged", to=database_recoveries.written(moment))
    passed(saved.lifeboat("local", "load", "applied"))


def recorded(scene: Scene, by: Program | None = None) -> list[Recorded]:
    """Return the changing calls of an unbroken recovery, in order, and see that it ends well."""
    by = by or Lifeboat(scene)
    reset(scene)
    trace = scene.first.root / ".lifeboat" / "local" / "cloud" / "logs" / "trace.jsonl"
    begin = trace.stat().st_size
    printed, _ = (process := by.start()).communicate(timeout=900)
    assert process.returncode == 0, printed
    assert by.wrong(scene.first) == []
    with trace.open() as file:
        file.seek(begin)
        lines = [json.loads(line) for line in file]
    terraform = [line["at"] for line in lines if line["agent"] == "terraform"]

    def lives(at: float) -> bool:
        before = max((t for t in terraform if t <= at), default=0.0)
        after = min((t for t in terraform if t >= at), default=float("inf"))
        return after - before <= TERRAFORM_PAUSE_SECONDS

    skipped = tuple(READING.split("|"))
    changing = [line for line in lines if not line["operation"].startswith(skipped)]
    return [Recorded(f"{line['service']}:{line['operation']}", lives(line["at"])) for line in changing]


def of_record(calls: Path = CALLS) -> list[Recorded]:
    """Return the calls of the unbroken recovery that was recorded last."""
    found = [line.rsplit(" ", 1) for line in calls.read_text().splitlines()]
    return [Recorded(name, where == "beside-terraform") for name, where in found]


def keep(calls: Iterable[Recorded], path: Path = CALLS) -> None:
    """Keep a record for those who only try a few."""
    where = {True: "beside-terraform", False: "alone"}
    path.write_text("".join(f"{call.name} {where[call.beside_terraform]}\n" for call in calls))


def every(calls: Sequence[Recorded], happenings: Iterable[str], shard: int) -> list[Point]:
    """Return all points of a shard: each thing at each call; where no Terraform lives, kills are the same.

    They are shuffled, the same way each time, so that the first hour of many has something of everything. Each shard records
    calls of its own, and one may have a renewal of a lease more: by what it is a point is one shard's, not by its place.
    """
    points = [
        Point(place, happens, CHANGING) if happens == "outage" else Point(number, happens, operation)
        for place, (operation, number) in enumerate(ordinals(calls), start=1)
        for happens in happenings
        if calls[place - 1].beside_terraform or happens not in KILLS or "everything" in happens
    ]
    random.Random("every call").shuffle(points)  # noqa: S311  (an order, no keys)
    return [point for point in points if shard_of(point, len(SHARDS)) == shard]


def ordinals(calls: Sequence[Recorded]) -> list[tuple[str, int]]:
    """Return for each call its operation, and the how-manieth call of it that it is."""
    counted: Counter[str] = Counter()
    found = []
    for call in calls:
        counted[call.operation] += 1
        found.append((call.operation, counted[call.operation]))
    return found


def place_of(point: Point, calls: Sequence[Recorded]) -> int:
    """Return the place of a point's call in the record, counted from 0."""
    return point.number - 1 if point.operation == CHANGING else ordinals(calls).index((point.operation, point.number))


def shard_of(point: Point, shards: int) -> int:
    """Return which of so many shards tries a point, whatever others there are."""
    return zlib.crc32(f"{point.operation} {point.number} {point.happens}".encode()) % shards


def sample(calls: Sequence[Recorded]) -> list[Point]:
    """Return two kills that are unlike: one while lifeboat works alone, and one of the Terraform that works for it."""
    kills = every(calls, KILLS, 0)
    return [
        next(
            point for point in kills if not calls[place_of(point, calls)].beside_terraform and _is_order(point, calls)
        ),
        next(point for point in kills if "terraform" in point.happens and _is_order(point, calls)),
    ]


def _is_order(point: Point, calls: Sequence[Recorded]) -> bool:
    """Whether it hits something that is ordered of a service, and no line of the journal, lock or lease."""
    return calls[place_of(point, calls)].name.partition(":")[0] not in ("s3", "dynamodb", "sts")


def resembles_another(point: Point, calls: Sequence[Recorded]) -> bool:
    """Whether it shows much what another one does: lifeboat and Terraform are killed one by one too, answers are lost."""
    together = "everything" in point.happens and calls[place_of(point, calls)].beside_terraform
    return together or point.happens in ("cut answer", "outage")


def grouped(points: Iterable[Point], calls: Sequence[Recorded]) -> list[list[Point]]:
    """Return points that can happen to one recovery: all of one kind that is CALLED_AGAIN, each APART from the next."""
    places = {point: place_of(point, calls) for point in points}
    groups: list[list[Point]] = []
    for point in sorted(places, key=places.__getitem__):
        fits = [
            group
            for group in groups
            if group[-1].happens == point.happens in CALLED_AGAIN and places[group[-1]] + APART <= places[point]
        ]
        if fits:
            fits[0].append(point)
        else:
            groups.append([point])
    return groups


class Program(Protocol):
    """What brings the application back, and can be tried again where it was cut off."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    def start(self) -> subprocess.Popen[str]:
        """Start it in the first checkout."""

    def again(self, point: Point) -> tuple[Rehearsal, subprocess.CompletedProcess[str]]:
        """Go on after it did not end well, and return where."""

    def wrong(self, by: Rehearsal) -> list[str]:
        """Return what is not as an unbroken run leaves it."""


@dataclass(frozen=True)
class Lifeboat:
    """`lifeboat recover`, gone on with by `lifeboat resume` in another checkout."""

    scene: Scene
    name: str = "lifeboat"

    def start(self) -> subprocess.Popen[str]:
        return self.scene.first.start("lifeboat", "recover")

    def again(self, point: Point) -> tuple[Rehearsal, subprocess.CompletedProcess[str]]:
        return gone_on_with(self.scene, point, "recover")

    def wrong(self, by: Rehearsal) -> list[str]:
        return wrong_with(self.scene, by) + wrong_outside_the_stack(self.scene, by)


@dataclass(frozen=True)
class OfTheDatabase:
    """`lifeboat recover --scope database`, gone on with by `lifeboat resume` in another checkout."""

    scene: Scene
    name: str = "lifeboat, the database"

    @property
    def asked(self) -> tuple[str, ...]:
        """What is typed after `lifeboat`."""
        return ("recover", "--scope", "database", "--to", self.scene.to)

    def start(self) -> subprocess.Popen[str]:
        return self.scene.first.start("lifeboat", *self.asked)

    def again(self, point: Point) -> tuple[Rehearsal, subprocess.CompletedProcess[str]]:
        return gone_on_with(self.scene, point, *self.asked)

    def wrong(self, by: Rehearsal) -> list[str]:
        return wrong_with_database(by) + locks_and_digest(by, by.exported())


def gone_on_with(scene: Scene, point: Point, *asked: str) -> tuple[Rehearsal, subprocess.CompletedProcess[str]]:
    """Go on as an operator does, and return where; stopped before anything was changed there is nothing to resume."""
    # After an outage the machine is still there, with what it wrote down and could not send.
    where = scene.first if point.happens == "outage" else scene.other
    runs = json.loads(passed(where.lifeboat("runs", "-o", "json")).stdout)
    return where, where.lifeboat(*(["resume"] if runs and runs[0]["state"] == "open" else asked))


@dataclass(frozen=True)
class PlainTerraform:
    """`terraform apply` against the recovery image, typed again where it did not end well."""

    scene: Scene
    name: str = "terraform apply"

    def start(self) -> subprocess.Popen[str]:
        (self.scene.first.root / IMAGE_FILE).write_text(json.dumps({"ami_id": self.scene.image}))
        argv, env = self._order()
        return self.scene.first.start(*argv, **env)

    def again(self, point: Point) -> tuple[Rehearsal, subprocess.CompletedProcess[str]]:
        argv, env = self._order()
        return self.scene.first, self.scene.first.run(*argv, **env)

    def wrong(self, by: Rehearsal) -> list[str]:
        return wrong_with(self.scene, by)

    def _order(self) -> tuple[list[str], dict[str, str]]:
        root = self.scene.first.root
        files = [f"-var-file={root / 'environments' / 'local.tfvars'}", f"-var-file={root / IMAGE_FILE}"]
        folder = f"-chdir={root / 'terraform' / 'stack'}"
        return ["terraform", folder, "apply", "-auto-approve", "-input=false", *files], self.scene.first.exported()


def tried(scene: Scene, points: Sequence[Point], by: Program | None = None) -> list[Outcome]:
    """Let it happen to one recovery, and go on with it where it did not end; an outcome for each point."""
    by = by or Lifeboat(scene)
    reset(scene)
    began = time.monotonic()
    process = by.start()
    made_again: Counter[str] = Counter()
    for point in points:
        # Each call that was made again is one call more of its operation than were recorded.
        later = replace(point, number=point.number + made_again[point.operation])
        control(scene, "faults", add=later.rule(process.pid))
        made_again[point.operation] += 1
    printed, _ = process.communicate(timeout=900)
    found = control(scene, "faults")["faults"]
    control(scene, "faults", clear=True)
    wrong: list[str] = []
    if "Traceback" in printed:
        wrong.append(f"a traceback: {printed[-1500:]}")
    if process.returncode not in (*EXIT_STATUSES, -9):
        wrong.append(f"it ended with {process.returncode}")
    resumed, where = None, scene.first
    if process.returncode != 0:
        where, done = by.again(points[0])
        resumed = done.returncode
        if resumed != 0:
            wrong.append(f"{' '.join(done.args[:2])} ended with {resumed}: {done.stderr[-1500:]}")
    wrong += by.wrong(where)
    return [
        Outcome(
            point=point,
            by=by.name,
            hit=rule["hit"],
            ended=process.returncode,
            resumed=resumed,
            seconds=round(time.monotonic() - began, 1),
            wrong=tuple(wrong),
        )
        for point, rule in zip(points, found, strict=True)
    ]


def together(
    scene: Scene, points: list[Point], calls: list[Recorded], by: Program | None = None
) -> dict[Point, Outcome]:
    """Let several things happen to one recovery; what hit no call is tried with others, in the end singly."""
    by = by or Lifeboat(scene)
    known, singly = reported(by.name), set[Point]()
    while groups := [g for g in grouped((p for p in points if p not in {*known, *singly}), calls) if len(g) > 1]:
        group = groups[0]
        for outcome in tried(scene, group, by):
            if outcome.wrong or outcome.hit:
                report(known.setdefault(outcome.point, outcome))
        if group[0] not in known:
            singly.add(group[0])
    return known


def all_of(
    scene: Scene, points: list[Point], by: Program | None = None, known: dict[Point, Outcome] | None = None
) -> list[Outcome]:
    """Try them one after the other, but for those that are known by now, and show what came of each."""
    by = by or Lifeboat(scene)
    known, outcomes = reported(by.name) if known is None else known, []
    for point in points:
        if point not in known:
            report(known.setdefault(point, *tried(scene, [point], by)))
        outcomes.append(known[point])
        print(described(outcomes[-1]))
    # Leases are renewed by the clock, so that a run has a call more or less than the one that was recorded.
    assert sum(not outcome.hit for outcome in outcomes) <= len(outcomes) // 20
    return outcomes


def report(outcome: Outcome) -> None:
    """Add an outcome to the report, where one is kept."""
    if REPORT:
        with Path(REPORT).open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")


def reported(by: str) -> dict[Point, Outcome]:
    """Return what came of earlier tries by a program, as far as it stands in the report."""
    if not REPORT or not Path(REPORT).exists():
        return {}
    documents = [json.loads(line) for line in Path(REPORT).read_text().splitlines()]
    outcomes = [
        Outcome(**{**document, "point": Point(**document["point"]), "wrong": tuple(document["wrong"])})
        for document in documents
        if document["by"] == by
    ]
    return {outcome.point: outcome for outcome in outcomes}


def reset(scene: Scene) -> None:
    """Go back to the disaster, with nothing of an earlier recovery on any machine."""
    scene.first.load(scene.save)
    for rehearsal in (scene.first, scene.other):
        (rehearsal.root / IMAGE_FILE).unlink(missing_ok=True)
        for name in ("errored.tfstate", ADOPTION_FILE):
            (rehearsal.root / "terraform" / "stack" / name).unlink(missing_ok=True)
        work = rehearsal.root / ".lifeboat" / "local"
        for name in ("runs", "journals"):
            shutil.rmtree(work / name, ignore_errors=True)
        for name in ("holder.json", "last-good.json", "known-state.json"):
            (work / name).unlink(missing_ok=True)


def wrong_with(scene: Scene, by: Rehearsal) -> list[str]:
    """Return what of the stack is not as an unbroken recovery leaves it."""
    ec2, env = by.client("ec2"), by.exported()
    instances = alive(by)
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
    return wrong + locks_and_digest(by, env)


def wrong_outside_the_stack(scene: Scene, by: Rehearsal) -> list[str]:
    """Return what of GitLab and of the application is not as an unbroken recovery leaves it."""
    env = by.exported()
    launched = [i["InstanceId"] for i in alive(by) if i["ImageId"] == scene.image]
    wrong = []
    if [variables(env).get("EC2_INSTANCE_ID")] != launched:
        wrong.append(f"GitLab says {variables(env)}, {launched} is there")
    if deployed_to(by)[-1:] != launched:
        wrong.append("the application was deployed to another instance, or to none")
    with suppress(OSError), urllib.request.urlopen(env["APP_URL"], timeout=10) as answer:
        return wrong if json.load(answer)["notes"] else [*wrong, "the application answers without rows"]
    return [*wrong, "the application does not answer"]


def wrong_with_database(by: Rehearsal) -> list[str]:
    """Return what of the database, and of the application on it, is not as an unbroken recovery leaves it."""
    found, wrong = database_recoveries.databases(by), []
    if sorted(found) != ["app-local-g1", "app-local-g2"]:
        return [f"there are the databases {sorted(found)}"]
    new = found["app-local-g2"]
    kept = (new["DBInstanceStatus"], new["DeletionProtection"], new["BackupRetentionPeriod"])
    if kept != ("available", True, found["app-local-g1"]["BackupRetentionPeriod"]):
        wrong.append(f"status, protection and retention of app-local-g2 are {kept}")
    if "lifeboat:run" in [tag["Key"] for tag in new["TagList"]]:
        wrong.append("app-local-g2 is still marked as a run's")
    text = (by.root / IMAGE_FILE).read_text() if (by.root / IMAGE_FILE).exists() else "{}"
    if json.loads(text) != {"active_generation": "g2", "database_generations": {"g1": {}, "g2": {"restored": True}}}:
        wrong.append(f"the recovery file holds {text}")
    states = [run["state"] for run in database_recoveries.runs(by)]
    if "open" in states or "ended" not in states:
        wrong.append(f"the runs are {states}")
    return wrong + wrong_with_rows(by, new["Endpoint"]["Address"])


def wrong_with_rows(by: Rehearsal, address: str) -> list[str]:
    """Return whether the application does not answer from a database with the rows until the moment, and no later one."""
    try:
        page = database_recoveries.told(by)
    except OSError as error:
        return [f"the application does not answer: {error}"]
    texts = [note["text"] for note in page["notes"]]
    wrong = [] if page["database_generation"] == address else [f"it works on {page['database_generation']}"]
    return wrong if BEFORE in texts and AFTER not in texts else [*wrong, f"it has the rows {texts}"]


def deployed_to(by: Rehearsal) -> list[str]:
    """Return the instances that the runs deployed to, oldest first: one that ends well leaves the next nothing to do."""
    bucket = JournalBucket(s3=by.client("s3"), bucket=by.exported()["STATE_BUCKET"])
    events = [event for run in bucket.runs() for event in bucket.events(run)]
    return [event.data["deployed_to"] for event in events if "deployed_to" in event.data]


def alive(by: Rehearsal) -> list[dict[str, Any]]:
    """Return the application's instances that are not terminated."""
    tagged = {"Name": "tag:application", "Values": ["app-local"]}
    states = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    pages = by.client("ec2").describe_instances(Filters=[tagged, states])["Reservations"]
    return [instance for page in pages for instance in page["Instances"]]


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
    return f"{outcome.by}: {where} ended {outcome.ended}{resumed}, {outcome.seconds:.0f} s: {state}"
