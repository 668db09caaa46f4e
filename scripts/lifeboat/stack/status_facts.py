"""What a status has to see of the stack: what Terraform built, and what AWS says of each of these things now."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

from lifeboat.clients import programs as git
from lifeboat.decisions import recoveries
from lifeboat.decisions.status import built
from lifeboat.errors import IntegrityFailure, SignInRefused
from lifeboat.model import ImageId, Recovery
from lifeboat.site import Site
from lifeboat.stack import recovered
from lifeboat.stack import recovery_file as files
from lifeboat.status_model import Beat, InstanceSeen, RecoveryFile, Resource, Stack

_ROTATION_SECONDS = 5.0


def stack(site: Site) -> Stack:
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


def architecture(site: Site, recovery: Recovery) -> str | None:
    """Return what the application's instance is built for; where that is gone, what its image is; None where both are."""
    found = site.protection_settings().architecture(recovery.app.instance_id, recovery.region)
    if found is not None:
        return found
    image = site.images().image(ImageId(recovery.app.ami_id), recovery.region)
    return None if image is None else image.architecture


def beat(site: Site, recovery: Recovery, now: datetime) -> Beat:
    """Return when the serving database was last written to, and whether its heartbeat tells that, or that nobody is let in."""
    try:
        at, known_by = _written_until(site, recovery, now)
    except SignInRefused as error:
        return Beat(at=None, known_by=error.summary, stopped=True, refused=True)
    return Beat(at=at, known_by=known_by, stopped=not known_by.startswith("the heartbeat"))


def _written_until(site: Site, recovery: Recovery, now: datetime) -> tuple[datetime | None, str]:
    answers = site.database_answers(recovery)
    try:
        return answers.written_until(before=now)
    except SignInRefused:
        # A password that is just being changed is for some seconds in one of the two places alone.
        time.sleep(_ROTATION_SECONDS)
        return answers.written_until(before=now)


def keys(found: Stack) -> dict[str, str]:
    """Return the region of each key that the stack built, by its ARN."""
    return {str(one.attributes["arn"]): one.region for one in built.keys(found).values()}


def recovery_file(site: Site) -> RecoveryFile:
    """Return whether this checkout has a recovery file, whether git has it, and what it lacks of what recoveries did."""
    text = files.text(site)
    path = site.project.recovery_file
    disagrees = recovered.disagreeing(site)
    if disagrees is None:
        named, wanted = recoveries.image_in(text), recoveries.image_in(recovered.agreeing(site))
        if named != wanted:
            disagrees = f"environments/{path.name} names {named or 'no image'}, and a recovery launched from {wanted}"
    uncommitted = text is not None and git.uncommitted(path)
    return RecoveryFile(exists=text is not None, uncommitted=uncommitted, disagrees=disagrees or "")
