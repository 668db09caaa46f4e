"""The application's public name: where it leads, its record moved with the old one saved first, and the proof."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from lifeboat.clients import probe, run_files, state_store
from lifeboat.decisions import names
from lifeboat.decisions.names import Move
from lifeboat.errors import NothingFits
from lifeboat.model import App, Door, Health, ManagedRecord, NameRecord, PublicAnswer, Switch, Zone, ZoneId
from lifeboat.site import Site

IN_SYNC_SECONDS = 180.0  # Route 53: "within 60 seconds under normal conditions"
SEEN_SECONDS = 30.0  # then the name servers have it, and the application has answered at its address
_USUAL_PORTS = {"http": 80, "https": 443}

Sleep = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What Route 53 and Terraform's state say of the public name."""

    name: str
    zone: Zone
    records: tuple[NameRecord, ...]
    managed: ManagedRecord | None

    @property
    def record(self) -> NameRecord | None:
        """The A record, as it is now."""
        return next((record for record in self.records if record.kind == "A"), None)


def situation(site: Site, app: App, *, zone: ZoneId | None = None) -> Situation:
    """Return what the name's record is and should be; raises NothingFits where the application has no public name."""
    if app.dns_name is None:
        raise NothingFits(
            f"the application of {site.project.env} has no public name",
            hint=f"set dns in environments/{site.project.env}.tfvars, then lifeboat apply -e {site.project.env}",
        )
    name = app.dns_name.rstrip(".").lower()
    kept = state_store.name_records(site.stack_store().body())
    managed = next((one for one in kept if (one.record.name, one.record.kind) == (name, "A")), None)
    zones = site.zones()
    if zone is None and managed is not None:
        zone = managed.record.zone
    found = zones.zone_of(name) if zone is None else zones.zone(zone)
    return Situation(name=name, zone=found, records=tuple(zones.records(found.zone, name)), managed=managed)


def door(site: Site, app: App) -> Door:
    """Return where the application's health is asked, through its public name where it has one."""
    parts = urlsplit(app.url)
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Door(
        scheme=scheme,
        port=parts.port or _USUAL_PORTS[scheme],
        path=site.project.environment.application.health_path,
        name=app.dns_name,
    )


def told(site: Site, app: App, *, seconds: float, sleep: Sleep = time.sleep) -> tuple[Health, str | None]:
    """Return the health at the instance's own address, and the instance that answers through the name must come from.

    That is None where the application's health does not say which instance it is: then only its wellness is provable.
    """
    here = probe.health(app.address, replace(door(site, app), name=None), seconds=seconds, sleep=sleep)
    return here, None if here.instance_id is None else app.instance_id


def make(
    site: Site,
    move: Move,
    *,
    why: Literal["switch", "revert"],
    now: datetime,
    sleep: Sleep = time.sleep,
) -> Switch:
    """Save the record as it is, change it, and return once every name server has the change.

    Done already (by a run that was killed after it), it is only waited for. Raises what Zones.replace raises.
    """
    who = f"{run_files.user_name()}@{socket.gethostname()}"
    switch = Switch(at=now, who=who, why=why, before=move.before, after=move.after)
    site.switches().save(switch)
    site.zones().replace(move.before, move.after, seconds=IN_SYNC_SECONDS, sleep=sleep)
    return switch


def seen(
    site: Site,
    app: App,
    *,
    addresses: Sequence[str],
    instance_id: str | None,
    seconds: float = SEEN_SECONDS,
    sleep: Sleep = time.sleep,
) -> PublicAnswer:
    """Return what a client of the public name meets, at the latest after `seconds`, sooner once it is as it should be.

    Judge it with `decisions.names.differences` and the same addresses and instance.
    """
    resolver = site.names()
    return probe.through_name(
        resolver.addresses,
        door(site, app),
        seconds=seconds,
        good=lambda found: not names.differences(found, addresses=addresses, instance_id=instance_id),
        sleep=sleep,
    )
