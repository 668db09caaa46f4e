"""Which state a Terraform of this machine works on, told by its data folder; and what that says of a lock's holder."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from lifeboat.clients import state_locks, terraform_processes
from lifeboat.state_model import Life, LockedState, LockPlace, StateLock

from tests.localcloud.machines import until
from tests.terraform_programs import Start, starting

OWN = frozenset({"lock-1"})  # as a run of this machine wrote down
STATE = LockedState(bucket="a-bucket-of-this-test", key="stack.tfstate", table="t", mode="both")
BACKEND = {"backend": {"type": "s3", "config": {"bucket": STATE.bucket, "key": STATE.key, "secret_key": None}}}
OTHER = {"backend": {"type": "s3", "config": {"bucket": STATE.bucket, "key": "other.tfstate"}}}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path / "bin") as start:
        yield start


@pytest.mark.parametrize(
    ("data", "variable", "state"),
    [
        (BACKEND, "", STATE.path),
        (BACKEND, "elsewhere", STATE.path),
        (OTHER, "", "a-bucket-of-this-test/other.tfstate"),
        ({"backend": {"type": "local", "config": {}}}, "", ""),
        ({}, "", ""),
        (None, "", ""),
        ("half writ", "", None),
        ("[]", "", None),
    ],
)
def test_the_state_of_a_terraform_is_that_of_its_data_folder(
    start: Start, tmp_path: Path, data: object, variable: str, state: str | None
) -> None:
    pid = start(tmp_path / "root", data, variable=variable)

    found = next(one for one in terraform_processes.running() if one.pid == pid)

    assert (found.state, found.folder) == (state, str(tmp_path / "root"))


@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        (("init", "-backend-config=bucket=b", "-backend-config=key=k=1"), "b/k=1"),
        (("init", "-backend-config=bucket=b"), None),
        (("init",), None),
        (("init", "-backend=false"), ""),
        (("validate",), ""),
    ],
)
def test_the_state_of_an_init_is_what_it_was_told(
    start: Start, tmp_path: Path, arguments: tuple[str, ...], state: str | None
) -> None:
    pid = start(tmp_path / "root", None, *arguments)

    found = next(one for one in terraform_processes.running() if one.pid == pid)

    assert found.state == state


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("terraform-1.11", True),
        ("terraform_1.11.4", True),
        ("terraform-ls", False),  # an editor's, for as long as that is open
        ("terraform-provider-aws_v5.100.0_x5", False),
        ("terraformer", False),
    ],
)
def test_a_terraform_is_told_by_its_name(tmp_path: Path, name: str, counts: bool) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("tail") or "", program)
    process = subprocess.Popen([program, "-f", "/dev/null"])
    try:
        until(lambda: psutil.Process(process.pid).name().startswith(name[:15]), 20)
        assert (process.pid in {found.pid for found in terraform_processes.running()}) == counts
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("data", "taken", "life"),
    [
        (BACKEND, timedelta(minutes=1), Life.LIVES),
        (BACKEND, -timedelta(minutes=1), Life.GONE),
        ("half writ", timedelta(minutes=1), Life.UNKNOWN),
        (OTHER, timedelta(minutes=1), Life.GONE),
    ],
    ids=["works on it", "began after the lock", "on nobody knows what", "on another state"],
)
def test_a_lock_of_this_machine_is_held_by_a_terraform_that_works_on_that_state(
    start: Start, tmp_path: Path, data: object, taken: timedelta, life: Life
) -> None:
    pid = start(tmp_path / "root", data)
    lock = StateLock(
        place=LockPlace.TABLE,
        lock_id="lock-1",
        who=f"eva@{socket.gethostname()}",
        operation="OperationTypeApply",
        created=datetime.now(UTC) + taken,
    )

    found = state_locks.holding(lock, STATE, OWN)

    assert found.life is life
    assert (f"process {pid} in {tmp_path / 'root'}" in found.why) == (life is not Life.GONE)


@pytest.mark.parametrize(
    ("operation", "life"),
    [("OperationTypeApply", Life.GONE), ("migration destination state", Life.UNKNOWN), ("", Life.UNKNOWN)],
)
def test_an_init_holds_no_lock_of_another_command(start: Start, tmp_path: Path, operation: str, life: Life) -> None:
    start(tmp_path / "root", None, "init")
    lock = StateLock(
        place=LockPlace.TABLE,
        lock_id="lock-1",
        who=f"eva@{socket.gethostname()}",
        operation=operation,
        created=datetime.now(UTC) + timedelta(minutes=1),
    )

    assert state_locks.holding(lock, STATE, OWN).life is life


@pytest.mark.parametrize(
    ("theirs", "ours", "life"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4567"}, "http://127.0.0.1:4566", Life.GONE),
        ({"AWS_ENDPOINT_URL": "http://localhost:4566/"}, "http://127.0.0.1:4566", Life.LIVES),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:4567"},
            "http://127.0.0.1:4566",
            Life.GONE,
        ),
        ({}, "http://127.0.0.1:4566", Life.LIVES),
        ({"AWS_ENDPOINT_URL": "no url:x"}, "http://127.0.0.1:4566", Life.LIVES),
        ({"AWS_ENDPOINT_URL_S3": "https://vpce-1.s3.eu-west-1.vpce.amazonaws.com"}, "", Life.LIVES),
    ],
    ids=["another cloud", "another name", "S3 elsewhere", "not said", "no URL", "AWS through an endpoint"],
)
def test_a_terraform_of_another_local_cloud_holds_no_lock_of_ours(
    start: Start, tmp_path: Path, theirs: dict[str, str], ours: str, life: Life
) -> None:
    start(tmp_path / "root", BACKEND, **theirs)
    lock = StateLock(
        place=LockPlace.TABLE,
        lock_id="lock-1",
        who=f"eva@{socket.gethostname()}",
        operation="OperationTypeApply",
        created=datetime.now(UTC) + timedelta(minutes=1),
    )

    assert state_locks.holding(lock, replace(STATE, endpoint=ours), OWN).life is life


def test_that_no_process_is_seen_says_nothing_of_a_lock_that_another_machine_of_this_name_may_hold() -> None:
    lock = StateLock(
        place=LockPlace.TABLE,
        lock_id="lock-1",
        who=f"eva@{socket.gethostname()}",
        operation="OperationTypeApply",
        created=datetime.now(UTC),
    )

    elsewhere, here = state_locks.holding(lock, STATE), state_locks.holding(lock, STATE, OWN)

    assert (elsewhere.life, here.life) == (Life.UNKNOWN, Life.GONE)
    assert elsewhere.why == (
        f"it is of {socket.gethostname()}: no Terraform is seen here that works on this state, and another machine or a"
        " container may be called so too"
    )
