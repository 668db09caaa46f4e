"""Holding an environment while its GitLab project is worked on: by the lock of this machine, and by its lease on any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

from lifeboat.clients import run_files
from lifeboat.clients.lease import Lease
from lifeboat.model import RunId
from lifeboat.site import Site


@contextmanager
def alone(site: Site, command: str) -> Iterator[Lease]:
    """Hold the environment and give its lease; raises Locked naming the holder. A recovery holds it already."""
    run = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{command.replace(' ', '-')}-{uuid4().hex[:6]}")
    with run_files.alone(site.project.work, command), site.lease(run).held() as lease:
        yield lease
