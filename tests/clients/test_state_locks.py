"""Terraform's own lock, taken by us: real Terraform is kept out by it, and we by Terraform's, in each lock mode."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients import state_locks
from lifeboat.clients.state_locks import StateLocks
from lifeboat.errors import Locked, Unreachable
from lifeboat.state_model import RESTORING, Life, LockedState, LockingProcess, LockMode, LockPlace, StateLock

from tests.conftest import RunningCloud
from tests.localcloud.machines import until
from tests.modules.terraform_runs import Terraform

MODES: tuple[LockMode, ...] = ("dynamodb", "lockfile", "both")
PLACES = {
    "dynamodb": {LockPlace.TABLE},
    "lockfile": {LockPlace.FILE},
    "both": {LockPlace.TABLE, LockPlace.FILE},
}
# As Terraform 1.11.4 writes one.
TERRAFORMS = {
    "ID": "1c5a4f5e-7b8a-7a4d-9d1a-0e3f4b5c6d7e",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "eva@laptop",
    "Version": "1.11.4",
    "Created": "2026-03-01T03:00:00.123456789Z",
    "Path": "bucket/stack.tfstate",
}


def locks_of(cloud: RunningCloud, mode: LockMode = "both", **config: Any) -> StateLocks:
    """Return the lock of a state of its own."""
    name = f"locks-{uuid4().hex[:8]}"
    s3, dynamodb = cloud.client("s3", **config), cloud.client("dynamodb", **config)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    state = LockedState(bucket=name, key="stack.tfstate", table=name, mode=mode)
    return StateLocks(s3=s3, dynamodb=dynamodb, state=state)


def texts(cloud: RunningCloud, locks: StateLocks) -> dict[LockPlace, str]:
    """Return what lies in each place, as it is."""
    state, found = locks.state, {}
    item = cloud.client("dynamodb").get_item(TableName=state.table, Key={"LockID": {"S": state.path}}).get("Item")
    if item is not None:
        found[LockPlace.TABLE] = item["Info"]["S"]
    s3 = cloud.client("s3")
    if s3.list_objects_v2(Bucket=state.bucket, Prefix=f"{state.key}.tflock").get("Contents"):
        body = s3.get_object(Bucket=state.bucket, Key=f"{state.key}.tflock")["Body"].read()
        found[LockPlace.FILE] = body.decode()
    return found


def put(cloud: RunningCloud, locks: StateLocks, *places: LockPlace, text: str = json.dumps(TERRAFORMS)) -> None:
    """Put somebody's lock into places."""
    state = locks.state
    if LockPlace.TABLE in places:
        item = {"LockID": {"S": state.path}, "Info": {"S": text}}
        cloud.client("dynamodb").put_item(TableName=state.table, Item=item)
    if LockPlace.FILE in places:
        cloud.client("s3").put_object(Bucket=state.bucket, Key=f"{state.key}.tflock", Body=text.encode())


@contextmanager
def fault(cloud: RunningCloud, **rule: Any) -> Iterator[None]:
    cloud.control("faults", add={"code": "InternalServerError", **rule})
    try:
        yield
    finally:
        cloud.control("faults", clear=True)


# -- with real Terraform ---------------------------------------------------------------------------------------------

ROOT = """
terraform {
  backend "s3" {}
}
resource "terraform_data" "one" {
  provisioner "local-exec" {
    command = "sleep 600"
  }
}
"""


@pytest.fixture
def root(cloud: RunningCloud, tmp_path: Path) -> Callable[[StateLocks], tuple[Terraform, Path, dict[str, str]]]:
    """Return how to make a root of nothing but terraform_data, whose state is locked as told, and to initialise it."""

    def make(locks: StateLocks) -> tuple[Terraform, Path, dict[str, str]]:
        program = shutil.which("terraform")
        assert program
        settings, folder = tmp_path / "terraform.rc", tmp_path / "root"
        settings.write_text("")
        folder.mkdir()
        (folder / "main.tf").write_text(ROOT)
        state = locks.state
        backend = {"bucket": state.bucket, "key": state.key, "region": "eu-west-1", "use_path_style": "true"}
        if state.mode != "lockfile":
            backend["dynamodb_table"] = state.table
        if state.mode != "dynamodb":
            backend["use_lockfile"] = "true"
        environment = {
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        terraform = Terraform(program=program, settings=settings, folder=tmp_path)
        options = [f"-backend-config={key}={value}" for key, value in backend.items()]
        done = terraform.run("init", "-no-color", *options, cwd=folder, environment=environment)
        assert done.returncode == 0, done.stderr
        return terraform, folder, environment

    return make


@contextmanager
def applying(terraform: Terraform, folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start an apply that takes long, in a process group of its own, which is killed at the end."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
    process = subprocess.Popen(
        [terraform.program, "apply", "-auto-approve", "-input=false"],
        cwd=folder,
        env={**kept, **environment, "TF_DATA_DIR": str(terraform.folder / "data" / folder.name)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("mode", MODES)
def test_terraform_takes_our_lock_for_one_of_its_own_and_we_take_terraforms(
    cloud: RunningCloud, root: Callable[[StateLocks], tuple[Terraform, Path, dict[str, str]]], mode: LockMode
) -> None:
    locks = locks_of(cloud, mode)
    terraform, folder, environment = root(locks)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return terraform.run(*arguments, cwd=folder, environment=environment)

    # Ours keeps Terraform out, which shows who we are, and gives way to its force-unlock.
    with locks.taken(RESTORING) as lock_id:
        ours = texts(cloud, locks)
        refused = run("plan", "-no-color")
    freed = run("plan", "-no-color")
    with locks.taken(RESTORING) as broken:
        unlocked = run("force-unlock", "-no-color", "-force", broken)
    after = texts(cloud, locks)

    assert refused.returncode == 1
    assert "Error acquiring the state lock" in refused.stderr
    assert f"ID:        {lock_id}" in refused.stderr
    assert f"Path:      {locks.state.path}" in refused.stderr
    assert f"Operation: {RESTORING}" in refused.stderr
    assert (freed.returncode, freed.stderr) == (0, "")
    assert "1 to add" in freed.stdout
    assert (unlocked.returncode, after) == (0, {})

    # Terraform's keeps us out while it works, and when it was killed; removed, it lets both of us in again.
    with applying(terraform, folder, environment):
        until(lambda: set(texts(cloud, locks)) == PLACES[mode], 60)
        theirs, found = texts(cloud, locks), locks.locks()
        another = replace(locks.state, key="another.tfstate")
        alive = [state_locks.holding(lock, locks.state) for lock in found]
        own = {lock.lock_id for lock in found}
        elsewhere = [state_locks.holding(lock, another, own) for lock in found]
        with pytest.raises(Locked) as held, locks.taken(RESTORING):
            raise AssertionError("two of us hold it")
    killed = [state_locks.holding(lock, locks.state, own) for lock in found]
    of_its_name = [state_locks.holding(lock, locks.state) for lock in found]
    left = run("plan", "-no-color")
    removed = locks.unlock(found[0].lock_id)
    at_last = run("plan", "-no-color")

    # Ours is written as theirs is, to the letter, in each place that the mode has.
    assert set(ours) == set(theirs) == PLACES[mode]
    assert len(set(ours.values())) == len(set(theirs.values())) == 1
    ours_text, theirs_text = next(iter(ours.values())), next(iter(theirs.values()))
    assert list(json.loads(ours_text)) == list(json.loads(theirs_text)) == list(TERRAFORMS)
    assert json.dumps(json.loads(ours_text), separators=(",", ":")) == ours_text
    assert json.dumps(json.loads(theirs_text), separators=(",", ":")) == theirs_text
    assert json.loads(ours_text)["Path"] == json.loads(theirs_text)["Path"] == locks.state.path
    assert json.loads(ours_text)["Who"] == json.loads(theirs_text)["Who"]
    assert [lock.operation for lock in found] == ["OperationTypeApply"] * len(PLACES[mode])
    assert f"({found[0].operation}, lock {found[0].lock_id})" in held.value.summary
    assert held.value.hint.endswith(f"lifeboat state unlock {found[0].lock_id}")
    assert {holding.life for holding in alive} == {Life.LIVES}
    assert {holding.life for holding in elsewhere} == {Life.GONE}, elsewhere
    assert {holding.life for holding in killed} == {Life.GONE}, killed
    assert {holding.life for holding in of_its_name} == {Life.UNKNOWN}, of_its_name
    assert left.returncode == 1
    assert set(removed) == PLACES[mode]
    assert (at_last.returncode, at_last.stderr) == (0, "")


# -- without -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_lock_of_somebody_else_is_neither_taken_nor_touched(cloud: RunningCloud, mode: LockMode) -> None:
    for place in PLACES[mode]:
        locks = locks_of(cloud, mode)
        put(cloud, locks, place)
        before = texts(cloud, locks)

        with pytest.raises(Locked) as refused, locks.taken(RESTORING):
            raise AssertionError("two of us hold it")

        assert re.search(r"by eva@laptop for \d+ s \(OperationTypeApply, lock 1c5a", refused.value.summary)

        assert texts(cloud, locks) == before


def test_where_the_lock_may_not_be_taken_in_both_places_it_is_taken_in_neither(cloud: RunningCloud) -> None:
    locks = locks_of(cloud)

    refused = fault(cloud, service="dynamodb", operation="PutItem", code="AccessDeniedException", status=400)
    with refused, pytest.raises(Unreachable, match="AccessDenied"), locks.taken(RESTORING):
        raise AssertionError("half of it is held")

    assert texts(cloud, locks) == {}


@pytest.mark.parametrize("tries", [0, 3], ids=["tried once", "tried again"])
@pytest.mark.parametrize(("service", "operation"), [("dynamodb", "PutItem"), ("s3", "PutObject")])
def test_a_lock_whose_answer_was_lost_is_known_for_ours_by_its_id(
    cloud: RunningCloud, service: str, operation: str, tries: int
) -> None:
    locks = locks_of(cloud)
    patient = {"retries": {"total_max_attempts": tries + 1, "mode": "standard"}}
    own = StateLocks(s3=_tried(cloud, "s3", patient), dynamodb=_tried(cloud, "dynamodb", patient), state=locks.state)

    with fault(cloud, service=service, operation=operation, when="after", status=500), own.taken(RESTORING) as lock_id:
        held = [lock.lock_id for lock in locks.locks()]

    assert held == [lock_id, lock_id]
    assert texts(cloud, locks) == {}


def _tried(cloud: RunningCloud, service: str, config: dict[str, Any]) -> Any:
    import boto3  # noqa: PLC0415  (the fixture's own clients try once)
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        service,
        region_name="eu-west-1",
        endpoint_url=cloud.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}, **config),
    )


def test_what_went_wrong_inside_comes_out_and_the_lock_is_given_back(cloud: RunningCloud) -> None:
    locks = locks_of(cloud)

    with pytest.raises(ZeroDivisionError), locks.taken(RESTORING):
        raise ZeroDivisionError

    assert texts(cloud, locks) == {}


def test_a_lock_that_cannot_be_given_back_is_told_with_the_command_that_removes_it(cloud: RunningCloud) -> None:
    locks = locks_of(cloud)

    broken = fault(cloud, service="dynamodb", operation="DeleteItem", status=500, times=9)
    with broken, pytest.raises(Unreachable) as told, locks.taken(RESTORING) as lock_id:
        pass

    assert told.value.hint == f"lifeboat state unlock {lock_id}"
    assert set(texts(cloud, locks)) == {LockPlace.TABLE}


@pytest.mark.parametrize("place", list(LockPlace))
def test_a_lock_that_was_taken_from_us_is_noticed_and_only_what_bears_our_id_is_given_back(
    cloud: RunningCloud, place: LockPlace
) -> None:
    locks = locks_of(cloud)

    with locks.taken(RESTORING) as lock_id:
        locks.require(lock_id)
        put(cloud, locks, place)
        with pytest.raises(Locked) as noticed:
            locks.require(lock_id)

    assert noticed.value.summary.endswith(f"was removed from the {place}")
    assert texts(cloud, locks) == {place: json.dumps(TERRAFORMS)}


KILLED = """
import boto3, json, os, signal, sys
from botocore.config import Config
from lifeboat.clients.state_locks import StateLocks
from lifeboat.state_model import LockedState
url, bucket = sys.argv[1:]
keys = dict(region_name="eu-west-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test")
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}), **keys)
state = LockedState(bucket=bucket, key="stack.tfstate", table=bucket, mode="both")
with StateLocks(s3=s3, dynamodb=boto3.client("dynamodb", **keys), state=state).taken("lifeboat-restore") as lock_id:
    print(lock_id, os.getpid(), flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lock_of_a_killed_lifeboat_stays_and_says_whether_its_process_lives(cloud: RunningCloud) -> None:
    locks = locks_of(cloud)
    child = subprocess.Popen(
        [sys.executable, "-c", dedent(KILLED), cloud.endpoint, locks.state.bucket],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None

    lock_id, pid = child.stdout.readline().split()
    living = [state_locks.holding(lock, locks.state) for lock in locks.locks()]
    child.stdin.write("\n")
    child.stdin.close()
    child.wait(60)
    left = locks.locks()
    dead = [state_locks.holding(lock, locks.state) for lock in left]
    of_others = locks.unlock("another-id")
    removed = locks.unlock(lock_id)

    assert child.returncode == -signal.SIGKILL
    assert [(lock.lock_id, lock.operation) for lock in left] == [(lock_id, RESTORING)] * 2
    assert [(h.life, h.why) for h in living] == [(Life.LIVES, f"its process {pid} works on this machine")] * 2
    assert [(h.life, h.why) for h in dead] == [(Life.GONE, f"its process {pid} of this machine is gone")] * 2
    assert (of_others, set(removed)) == ([], set(LockPlace))
    assert locks.locks() == []


def test_of_another_machines_holder_nothing_is_known() -> None:
    lock = StateLock(place=LockPlace.TABLE, lock_id="1", who="eva@laptop-of-eva", created=datetime.now(UTC))
    process = LockingProcess(machine="laptop-of-eva id boot pid:[1]", pid=os.getpid(), began=0.0)

    state = LockedState(bucket="b", key="k", table="t", mode="both")

    of_terraform = state_locks.holding(lock, state)
    of_lifeboat = state_locks.holding(replace(lock, process=process), state)
    of_nobody = state_locks.holding(replace(lock, who=""), state)

    assert [holding.life for holding in (of_terraform, of_lifeboat, of_nobody)] == [Life.UNKNOWN] * 3


@pytest.mark.parametrize(
    ("nanoseconds", "written"),
    [
        (1_772_334_000_123_456_789, "2026-03-01T03:00:00.123456789Z"),
        (1_772_334_000_120_000_000, "2026-03-01T03:00:00.12Z"),
        (1_772_334_000_000_000_001, "2026-03-01T03:00:00.000000001Z"),
        (1_772_334_000_000_000_000, "2026-03-01T03:00:00Z"),
    ],
)
def test_an_instant_is_written_as_go_writes_it(nanoseconds: int, written: str) -> None:
    assert state_locks.created(nanoseconds) == written


@pytest.mark.parametrize("text", ["", "not json", "[]", "null", '{"ID": 7}'])
def test_what_terraform_did_not_write_is_a_lock_without_an_id_and_is_never_removed(
    cloud: RunningCloud, text: str
) -> None:
    locks = locks_of(cloud)
    put(cloud, locks, *LockPlace, text=text)

    found, removed = locks.locks(), locks.unlock("")

    assert [(lock.place, lock.lock_id) for lock in found] == [(LockPlace.TABLE, ""), (LockPlace.FILE, "")]
    assert removed == []
    with pytest.raises(Locked, match="that Terraform did not write"), locks.taken(RESTORING):
        raise AssertionError("two of us hold it")


def test_what_a_lock_says_moves_no_cursor() -> None:
    text = json.dumps({**TERRAFORMS, "Who": "eva\x1b[2J@laptop"})

    assert state_locks.parsed(text, LockPlace.FILE).who == "eva [2J@laptop"


@pytest.mark.parametrize(("service", "operation"), [("dynamodb", "GetItem"), ("s3", "GetObject")])
def test_a_lock_that_may_not_be_looked_at_is_not_no_lock(cloud: RunningCloud, service: str, operation: str) -> None:
    locks = locks_of(cloud)

    refused = fault(cloud, service=service, operation=operation, code="AccessDenied", status=403)
    with refused, pytest.raises(Unreachable, match="AccessDenied"):
        locks.locks()


def test_a_lock_file_that_s3_did_not_decide_about_is_not_called_removed(cloud: RunningCloud) -> None:
    locks = locks_of(cloud, "lockfile")
    put(cloud, locks, LockPlace.FILE)

    undecided = fault(cloud, service="s3", operation="DeleteObject", code="ConditionalRequestConflict", status=409)
    with undecided, pytest.raises(Unreachable, match="ConditionalRequestConflict"):
        locks.unlock(TERRAFORMS["ID"])
    left = set(texts(cloud, locks))

    assert (left, locks.unlock(TERRAFORMS["ID"]), texts(cloud, locks)) == ({LockPlace.FILE}, [LockPlace.FILE], {})


def test_without_a_table_there_is_no_lock_in_it_and_none_is_taken(cloud: RunningCloud) -> None:
    locks = locks_of(cloud)
    cloud.client("dynamodb").delete_table(TableName=locks.state.table)

    found = locks.locks()
    with pytest.raises(Unreachable, match="ResourceNotFound"), locks.taken(RESTORING):
        raise AssertionError("half of it is held")

    assert (found, texts_of_file(cloud, locks)) == ([], 0)


def texts_of_file(cloud: RunningCloud, locks: StateLocks) -> int:
    listed = cloud.client("s3").list_objects_v2(Bucket=locks.state.bucket, Prefix=f"{locks.state.key}.tflock")
    return int(listed["KeyCount"])
