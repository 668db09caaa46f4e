"""The local cloud as one object: its folders, addresses, programs and everything that it must not forget."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localcloud.processes import OsUser, Processes, unprivileged_user

ACCOUNT_ID = "123456789012"
LOG = logging.getLogger("localcloud")

# Which part of the cloud's loopback network (a.b.X.y) each kind of address comes from.
ADDRESS_RANGES = {"database": range(0, 64), "host": range(64, 128), "elastic": range(128, 192)}
NAME_SERVER = "192.53"  # after those ranges


class Gate:
    """Many requests at once, or one save of everything: never both."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold off a save while something changes the cloud; nest freely only across different threads."""
        with self._condition:
            self._condition.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    def close(self) -> None:
        """Wait until nothing changes the cloud and keep it so for good: who comes later waits until the program ends."""
        with self._condition:
            self._condition.wait_for(lambda: not self._closed)
            self._closed = True
            self._condition.wait_for(lambda: self._inside == 0)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nothing changes the cloud and keep it so."""
        self.close()
        try:
            yield
        finally:
            with self._condition:
                self._closed = False
                self._condition.notify_all()


@dataclass(kw_only=True)
class Remembered:
    """What is saved with the cloud: our own stores, addresses given out, and how far its clock was moved."""

    stores: dict[tuple[str, str], dict[Any, Any]] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)
    clock_offset: timedelta = timedelta(0)


class Cloud:
    """One running local cloud.

    `live` holds all files that belong to its state (a save is a copy of it); `endpoint` is its URL; `network`
    is the first two numbers of the loopback network that its databases, hosts and elastic addresses live in;
    `checkout` is the working copy that it serves, this one unless it is said; `written_once` are patterns of what is
    never written to again in `live`, once it has its name.
    """

    def __init__(self, *, directory: Path, endpoint: str, network: str, checkout: Path | None = None) -> None:
        self.directory = directory
        self.checkout = checkout or Path(__file__).parents[2]
        self.live = directory / "live"
        self.logs = directory / "logs"
        self.endpoint = endpoint
        self.network = network
        self.account_id = ACCOUNT_ID
        self.user: OsUser = unprivileged_user()
        self.processes = Processes()
        self.gate = Gate()
        self.remembered = Remembered()
        self.written_once: list[str] = []
        self.dirty = threading.Event()
        self.stopping = threading.Event()
        self._lock = threading.RLock()
        self._starters: list[Callable[[Cloud], None]] = []
        self._enders: list[Callable[[Cloud], None]] = []

    @property
    def name_server(self) -> tuple[str, int]:
        """Return where names are resolved: an address of the network, on the endpoint's own port number.

        Two clouds never share it, whatever their networks: 127.0.0.1 on that port belongs to one of them.
        """
        return f"{self.network}.{NAME_SERVER}", urlsplit(self.endpoint).port or 80

    # -- what survives a restart -------------------------------------------------------------------------------

    def store(self, name: str, region: str = "global") -> dict[Any, Any]:
        """Return a dictionary (plain picklable values only) that is saved with the cloud and survives restarts.

        Read it afresh at each use: a load replaces it.
        """
        with self._lock:
            return self.remembered.stores.setdefault((name, region), {})

    def folder(self, *parts: str) -> Path:
        """Return a folder below `live`, made when missing, which the unprivileged account may pass through."""
        path = self.live
        for part in parts:
            path = path / part
            if not path.exists():
                path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return path

    def new_address(self, kind: str) -> str:
        """Return a loopback address never given out before; kind is database, host or elastic."""
        with self._lock:
            number = self.remembered.addresses.get(kind, 0) + 1
            self.remembered.addresses[kind] = number
        span = ADDRESS_RANGES[kind]
        return f"{self.network}.{span[number // 250]}.{number % 250 + 1}"

    def changed(self) -> None:
        """Note that something changed, so that the state is soon written."""
        self.dirty.set()

    # -- time --------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the cloud's clock in UTC: the real time plus what ticks moved it."""
        return datetime.now(UTC) + self.remembered.clock_offset

    # -- life ----------------------------------------------------------------------------------------------------

    def on_start(self, starter: Callable[[Cloud], None]) -> None:
        """Call `starter(cloud)` each time the state was loaded or made anew: start what must be running."""
        self._starters.append(starter)

    def on_end(self, ender: Callable[[Cloud], None]) -> None:
        """Call `ender(cloud)` before everything is stopped or replaced by a load; the last registered first."""
        self._enders.append(ender)

    def start(self) -> None:
        """Start what the state says is running."""
        for starter in self._starters:
            starter(self)

    def end(self) -> None:
        """Stop everything that runs."""
        for ender in reversed(self._enders):
            ender(self)
        self.processes.stop_all()

    def background(self, work: Callable[[], None], *, name: str) -> threading.Thread:
        """Run `work` in a daemon thread; an exception in it is logged with its traceback."""

        def run() -> None:
            try:
                work()
            except Exception:
                LOG.exception("background work %s failed", name)
            finally:
                self.changed()

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    # -- moto ----------------------------------------------------------------------------------------------------

    def moto(self, service: str, region: str) -> Any:
        """Return moto's backend of a service in a region ("aws" for global services such as iam and s3)."""
        from moto import backends

        return backends.get_backend(service)[self.account_id][region]

    def client(self, service: str, region: str) -> Any:
        """Return a boto3 client that talks to this cloud over HTTP, for work that spans services."""
        import boto3
        from botocore.config import Config

        make: Any = boto3.client  # its stubs know each service by a literal name
        return make(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="localcloud",
            aws_secret_access_key="localcloud",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
