"""The database's generations as Terraform's state has them, and what a new one must be like."""

from __future__ import annotations

import json
from typing import Any

from lifeboat.database_model import InstanceSettings
from lifeboat.decisions import generations
from lifeboat.decisions.recovery_files import InState
from lifeboat.errors import IntegrityFailure
from lifeboat.site import Site
from lifeboat.stack import outputs


def recorded(site: Site) -> dict[str, dict[str, Any]]:
    """Return the attributes of each generation's instance as Terraform's state has them."""
    return _recorded(site, "aws_db_instance")


def copied(site: Site) -> set[str]:
    """Return the generations whose backups Terraform has let RDS copy to the other region."""
    return set(_recorded(site, "aws_db_instance_automated_backups_replication"))


def in_state(site: Site) -> InState:
    """Return what Terraform's state knows of the generations; raises IntegrityFailure where it has no outputs."""
    known = recorded(site)
    return InState(
        recorded=known.keys(),
        copied=copied(site),
        unprotected={name for name, instance in known.items() if not instance.get("deletion_protection", True)},
        active=outputs.recovery(site.stack_store()).database.active_generation,
    )


def _recorded(site: Site, kind: str) -> dict[str, dict[str, Any]]:
    body = site.stack_store().body()
    resources = json.loads(body)["resources"] if body else []
    return {
        str(instance["index_key"]): instance["attributes"]
        for resource in resources
        if resource["type"] == kind and resource["mode"] == "managed" and resource.get("module") == "module.database"
        for instance in resource["instances"]
        if "deposed" not in instance
    }


def settings(site: Site) -> InstanceSettings:
    """Return what a new generation must be like: like the serving one; raises IntegrityFailure where no state has it."""
    return generations.settings(serving(site))


def serving(site: Site) -> dict[str, Any]:
    """Return the attributes of the serving generation's instance; raises IntegrityFailure where no state has it."""
    active = outputs.recovery(site.stack_store()).database.active_generation
    found = recorded(site)
    if active not in found:
        raise IntegrityFailure(
            f"Terraform's state does not know the database of the serving generation {active}, so nobody knows what a new"
            " one must be like",
            hint=f"lifeboat plan -e {site.project.env} shows what it knows",
        )
    return found[active]
