"""The environment held against everybody else for something short: this checkout's lock and the lease of all machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from lifeboat.clients import run_files
from lifeboat.clients.lease import Lease
from lifeboat.model import RunId
from lifeboat.site import Site


@contextmanager
def alone(site: Site, tell: Callable[[str], None], command: str) -> Iterator[Lease]:
    """Hold the environment for a command that is no run; raises Locked naming who holds it, here or elsewhere."""
    name = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z-{command.replace(' ', '-')}")
    with run_files.alone(site.project.work, command), site.lease(name, tell).held() as held:
        yield held
