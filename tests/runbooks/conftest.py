"""AWS without any server behind it, in this process: enough for steps that order, look and write, and never connect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.rds.models import rds_backends
from moto.server import ThreadedMotoServer

from tests.gitlab_sites import REGION


@dataclass(frozen=True, kw_only=True)
class Quick:
    """What `RunningCloud` is, without its databases and hosts: an instance is there as soon as it is ordered."""

    endpoint: str

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    def becomes(self, identifier: str, status: str) -> None:
        """Let RDS say this of an instance."""
        rds_backends[DEFAULT_ACCOUNT_ID][REGION].databases[identifier].status = status

    def vanishes(self, identifier: str) -> None:
        """Let an instance be gone with its automated snapshots, whatever protects it."""
        backend = rds_backends[DEFAULT_ACCOUNT_ID][REGION]
        del backend.databases[identifier]
        for name in [name for name in backend.database_snapshots if name.startswith(f"rds:{identifier}-")]:
            del backend.database_snapshots[name]


@pytest.fixture(scope="module")
def quick() -> Iterator[Quick]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Quick(endpoint=f"http://{host}:{port}")
    server.stop()
