"""The copies of the database and the choice among them; what a new generation must be like, from Terraform's state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from lifeboat.database_model import InstanceSettings, RecoveryPoint, RecoveryPointId, RestoreRate, WantedCopy
from lifeboat.decisions import database_choice, generations, timings
from lifeboat.decisions import runs as run_states
from lifeboat.decisions.database_choice import Choosing
from lifeboat.errors import IntegrityFailure
from lifeboat.model import Event, EventKind
from lifeboat.site import Site
from lifeboat.stack import outputs

LEARNT_FROM = 5  # newest recoveries that restored a database


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an operator asks for: a moment or a copy, or neither; and when the data was last good."""

    to: datetime | None
    named: RecoveryPointId | None
    failed_at: datetime


def recorded(site: Site) -> dict[str, dict[str, Any]]:
    """Return the attributes of each generation's instance as Terraform's state has them."""
    return _recorded(site, "aws_db_instance")


def copied(site: Site) -> set[str]:
    """Return the generations whose backups Terraform has let RDS copy to the other region."""
    return set(_recorded(site, "aws_db_instance_automated_backups_replication"))


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
    return generations.settings(_serving(site))


def _serving(site: Site) -> dict[str, Any]:
    active = outputs.recovery(site.stack_store()).database.active_generation
    found = recorded(site)
    if active not in found:
        raise IntegrityFailure(
            f"Terraform's state does not know the database of the serving generation {active}, so nobody knows what a new"
            " one must be like",
            hint=f"lifeboat plan -e {site.project.env} shows what it knows",
        )
    return found[active]


def points(site: Site) -> list[RecoveryPoint]:
    """Return every copy of both regions, in no order."""
    recovery = outputs.recovery(site.stack_store())
    regions = (recovery.region, recovery.dr_region)
    return [point for region in regions for point in site.database_restores(region).points()]


def wanted(site: Site, asked: Asked) -> WantedCopy:
    """Return the copy that is asked for, with where it must be and what must encrypt it."""
    recovery = outputs.recovery(site.stack_store())
    serving = recovery.database.identifier
    return WantedCopy(
        serving=serving,
        serving_since=site.database_restores(recovery.region).created_at(serving),
        region=recovery.region,
        key=_serving(site).get("kms_key_id"),
        failed_at=asked.failed_at,
        to=asked.to,
        named=asked.named,
    )


def choosing(site: Site, asked: Asked, found: Sequence[RecoveryPoint]) -> tuple[Choosing, WantedCopy]:
    """Return which of these copies is restored and why, and what was asked for in full."""
    what = wanted(site, asked)
    return database_choice.choose(found, what, rate(site)), what


def rate(site: Site) -> RestoreRate:
    """Return what the newest restores of this environment took, from their journals."""
    bucket = site.journals()
    newest = [run for run in bucket.runs() if run_states.is_recovery(run)]
    journals: list[Sequence[Event]] = []
    for run in reversed(newest):
        try:
            events = bucket.events(run)
        except IntegrityFailure:
            continue  # of a newer lifeboat, or damaged: it teaches nothing
        if any(event.step == "restore" and event.kind is EventKind.DONE for event in events):
            journals.append(events)
        if len(journals) == LEARNT_FROM:
            break
    took = timings.expected(journals).get("restore")
    if took is None:
        return RestoreRate()
    sizes = [
        int(event.data["size"])
        for events in journals
        for event in events
        if event.step == "copy" and event.kind is EventKind.NOTE and event.data.get("size")
    ]
    speed = median(sizes) / took.total_seconds() if sizes and took.total_seconds() > 0 else None
    return RestoreRate(whole=took, bytes_per_second=speed)
