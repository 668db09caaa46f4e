"""Secrets Manager replicas that remember the key they are encrypted with."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.models import FakeSecret

from localcloud.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Report each replica's own key: moto always says the account's default one."""
    del cloud
    original = FakeSecret.create_replicas

    def create_replicas(self: Any, replica_regions: list[dict[str, str]], force_overwrite: bool) -> Any:
        replicas = original(self, replica_regions, force_overwrite)
        for replica, asked in zip(replicas, replica_regions, strict=True):
            replica.config["KmsKeyId"] = asked.get("KmsKeyId", "alias/aws/secretsmanager")
        return replicas

    FakeSecret.create_replicas = create_replicas
