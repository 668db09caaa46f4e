"""What every test may use: free ports and loopback networks of its own, a running local cloud, boto3 clients."""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fixtures"]

# A machine that is busy with other tests is slow, not wrong.
settings.register_profile("lifeboat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lifeboat")

# Of what is collected nothing is ever garbage: looking for it takes half of the collection.
gc.disable()

START_SECONDS = 60
_NETWORKS = count(random.randrange(30))  # noqa: S311  (two test runs on one machine should seldom meet)


# A worker keeps the stack that it once applied for all of its files that need one. An apply takes as much of the cores as
# a hundred small tests, so these files are divided among STACKS workers, the longest first (in seconds, with both cores
# taken), and the other workers run the rest meanwhile. What destroys the stack comes last.
ON_THE_STACK = "first_apply"
STACKS = int(os.environ.get("LIFEBOAT_STACKS", "2"))
LONG_ON_THE_STACK = {
    "test_recover_database": 380,
    "test_recover": 340,
    "test_cut_off_recoveries": 170,
    "test_policy_gate": 150,
    "test_readme": 130,
    "test_more_lost_things": 120,
    "test_more_switches": 110,
    "test_ami": 90,
    "test_dns": 75,
    "test_apply": 70,
    "test_app": 65,
    "test_pipeline": 65,
    "test_lost_things": 60,
    "test_started_together": 60,
    "test_dump_job": 45,
}
SHORT_ON_THE_STACK = 30
DESTROYS = "test_destroy"
# A parameter of these names divides a file among workers: each value has a stack of its own.
APART = ("shard", "stage")
LONGEST = (
    "test_docker",
    "test_wrong_inputs",
    "test_stack_plan",
    "test_killed_applies",
    "test_failed_dumps",
    "test_backups",
    "test_restore_command",
    "test_rds",
    "test_module_examples",
)


def pytest_configure() -> None:
    """Take signals as usual, also where the tests were started with nohup or in the background: what they start inherits it."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    for number, handler in usual.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


# Before xdist reads the marks, else it sees none, and every test gets a cloud, or a whole stack, of its own.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the group that one worker runs, in an order that keeps all workers busy to the end."""

    needing = {item.path.stem for item in items if ON_THE_STACK in getattr(item, "fixturenames", ())}
    stacks = _stacks(needing)

    def group(item: pytest.Item) -> str:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        shard = next((params[name] for name in APART if name in params), 0)
        if "test_killed_applies" in item.nodeid:
            return item.nodeid
        if shard != 0:
            return f"{item.path.stem} {shard}"
        return f"stack {stacks[item.path.stem]}" if item.path.stem in stacks else item.path.stem

    def turn(item: pytest.Item) -> tuple[int, int]:
        name = item.path.stem
        if name in stacks:
            return 0, -1 if name == DESTROYS else -LONG_ON_THE_STACK.get(name, SHORT_ON_THE_STACK)
        return 1, LONGEST.index(name) if name in LONGEST else len(LONGEST)

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=turn)


def _stacks(files: Iterable[str]) -> dict[str, int]:
    """Return which of the stacks each file uses, so that all are in use for about as long."""
    seconds, found = [0] * STACKS, dict[str, int]()
    for name in sorted(files, key=lambda name: (-LONG_ON_THE_STACK.get(name, SHORT_ON_THE_STACK), name)):
        found[name] = seconds.index(min(seconds))
        seconds[found[name]] += LONG_ON_THE_STACK.get(name, SHORT_ON_THE_STACK)
    return found


def pytest_collection_finish() -> None:
    """Look for garbage from now on, among what the tests make."""
    gc.freeze()
    gc.enable()


@dataclass(frozen=True, kw_only=True)
class RunningCloud:
    """A local cloud in a process of its own."""

    directory: Path
    port: int
    network: str
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, region: str = "eu-west-1", **config: Any) -> Any:
        """Return a boto3 client that tries each call once."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
        )

    def control(self, verb: str, **asked: Any) -> dict[str, Any]:
        """Send one control request; an answer other than 200 raises with its text."""
        request = urllib.request.Request(
            f"{self.endpoint}/_localcloud/{verb}", json.dumps(asked).encode(), {"X-Localcloud": "1"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                document: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        return document


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@cache
def own_network(port: int) -> str:
    """Return a loopback network for the cloud on a port, of a worker's own share (port 4566's own is 127.77).

    One that somebody listens in is passed over: the stack of a worker stays while clouds of many files come and go.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    listening = [c.laddr.ip for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    used = {".".join(address.split(".")[:2]) for address in listening}
    candidates = (f"127.{100 + (worker % 5) * 30 + next(_NETWORKS) % 30}" for _ in range(30))
    return next(network for network in candidates if network not in used)


def start_cloud(directory: Path, port: int | None = None, options: Sequence[str] = ()) -> RunningCloud:
    """Start a local cloud on a folder and wait until it answers."""
    port = port or free_port()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "out").open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "localcloud", "serve"),
                *("--directory", str(directory), "--port", str(port), "--network", own_network(port)),
                *options,
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
        )
    cloud = RunningCloud(directory=directory, port=port, network=own_network(port), process=process)
    deadline = time.monotonic() + START_SECONDS
    while b"listening" not in (directory / "out").read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError((directory / "out").read_text())
        time.sleep(0.1)
    return cloud


def stop_cloud(cloud: RunningCloud) -> None:
    """End a cloud as an operator would, and fail when it does not go."""
    cloud.process.send_signal(signal.SIGTERM)
    cloud.process.wait(60)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a temporary folder that the account PostgreSQL runs as may pass through (pytest's own are private)."""
    folder = Path(tempfile.mkdtemp(prefix="lifeboat-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_temporary_files() -> Iterator[Path]:
    """Let temporary files go into a folder that nobody else writes to, so that what is left is ours."""
    with open_folder() as folder:
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningCloud]:
    """A fresh local cloud for the tests of one file."""
    with open_folder() as directory:
        running = start_cloud(directory / "cloud")
        yield running
        stop_cloud(running)
