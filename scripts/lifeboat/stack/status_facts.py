"""What a status has to see of the stack: what Terraform built, and what AWS says of each of these things now."""

from __future__ import annotations

import json
from typing import Any

from lifeboat.errors import IntegrityFailure
from lifeboat.model import Recovery
from lifeboat.site import Site
from lifeboat.status_model import InstanceSeen, Resource, Stack


def built(site: Site) -> Stack:
    """Return what Terraform built, as its state says. Raises IntegrityFailure where there is none that can be read."""
    store = site.stack_store()
    body = store.body()
    if body is None:
        raise IntegrityFailure(
            f"there is no state s3://{store.bucket}/{store.key}", hint="lifeboat state doctor says what became of it"
        )
    try:
        state = json.loads(body)
        recovery = Recovery.model_validate(state["outputs"]["recovery"]["value"])
        return Stack(recovery=recovery, resources=tuple(_resources(state)))
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityFailure(f"the stack's state is not what this lifeboat understands: {error}") from error


def _resources(state: dict[str, Any]) -> list[Resource]:
    return [
        Resource(
            kind=str(resource["type"]),
            module=str(resource.get("module", "")),
            name=str(resource["name"]),
            key=str(instance.get("index_key", "")),
            attributes=instance["attributes"],
        )
        for resource in state.get("resources", [])
        if resource["mode"] == "managed"
        for instance in resource["instances"]
        if "deposed" not in instance
    ]


def instance(site: Site, identifier: str, region: str) -> InstanceSeen | None:
    """Return the serving database instance; None where there is none of that name."""
    found = site.database_restores(region).instance(identifier)
    if found is None:
        return None
    return InstanceSeen(
        identifier=identifier,
        status=found.status,
        retention=found.retention,
        protected=found.protected,
        usable=found.usable,
    )
