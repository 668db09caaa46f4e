"""The environment in which pytest-terraform's fixtures run: a local cloud, and a provider that can be found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lifeboat.clients import provider_mirror

from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud


@pytest.fixture(scope="session", autouse=True)
def root_cloud() -> Iterator[RunningCloud]:
    """A local cloud that plain Terraform finds by environment variables."""
    with open_folder() as folder, pytest.MonkeyPatch.context() as environment:
        running = start_cloud(folder / "cloud")
        settings = provider_mirror.configuration(folder, {})
        environment.setenv("TF_CLI_CONFIG_FILE", str(settings))
        environment.setenv("AWS_ENDPOINT_URL", running.endpoint)
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.delenv("AWS_CA_BUNDLE", raising=False)
        yield running
        stop_cloud(running)
