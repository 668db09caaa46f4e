"""What the stack's state tells: its output `recovery`, and the protection table."""

from __future__ import annotations

import json
from datetime import timedelta

from lifeboat.clients.state_store import StateStore
from lifeboat.decisions import protection
from lifeboat.errors import IntegrityFailure
from lifeboat.model import AssetRow, Protection, Recovery
from lifeboat.site import Site


def recovery(store: StateStore) -> Recovery:
    """Return the stack's output; raises IntegrityFailure when there is none, or it is not what we know."""
    body = store.body()
    if body is None:
        raise IntegrityFailure(
            f"there is no state s3://{store.bucket}/{store.key}",
            hint="lifeboat state doctor tells whether it is lost; where nothing was ever applied: lifeboat apply",
        )
    try:
        found = json.loads(body)["outputs"]
        if "recovery" not in found:
            raise IntegrityFailure(
                f"the state s3://{store.bucket}/{store.key} says nothing of the stack yet: an apply of it works, or was cut off",
                hint="wait for the apply, or lifeboat apply, which goes on from there",
            )
        return Recovery.model_validate(found["recovery"]["value"])
    except (KeyError, TypeError, ValueError) as error:  # a pydantic ValidationError is a ValueError
        raise IntegrityFailure(f"the stack's output is not what this lifeboat understands: {error}") from error


def protection_table(site: Site, found: Recovery) -> list[AssetRow]:
    """Return the protection table: what the stack says of itself, and root 1 of the state."""
    try:
        root = json.loads(site.root_state_file.read_bytes())["outputs"]
        more = [Protection.model_validate(entry) for entry in root["protection"]["value"]]
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise IntegrityFailure(f"the state backend's output is not what this lifeboat understands: {error}") from error
    objective = timedelta(hours=found.objectives.rpo_hours)
    return protection.table([*found.protection, *more], rpo=objective)
