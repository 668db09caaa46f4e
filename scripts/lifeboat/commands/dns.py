"""`lifeboat dns …`: show where the public name leads, switch it to another address, put it back."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Set
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from lifeboat import views
from lifeboat.clients import probe
from lifeboat.decisions import names
from lifeboat.decisions.names import Move
from lifeboat.errors import Interrupted, LifeboatError, NothingFits, Refused, WrongConfiguration
from lifeboat.model import Agree, App, Health, PublicAnswer, Resolved, Switch, ZoneId, content
from lifeboat.runner import Fence
from lifeboat.site import Site
from lifeboat.stack import holding, outputs, public_name
from lifeboat.stack.public_name import Situation

HEALTH_SECONDS = 5.0

Tell = Callable[[str], None]


class Allowed(StrEnum):
    """What a switch is refused for unless it is asked for by name."""

    UNTIL_APPLY = "--until-apply"
    UNANSWERED = "--unanswered"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Everything known of the public name, and what is wrong with it."""

    situation: Situation
    app: App
    here: Health
    public: PublicAnswer
    cached: Resolved | None
    saved: Switch | None
    findings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A move of the name, looked at from all sides and not yet made; `objections` may be allowed by name."""

    situation: Situation
    app: App
    move: Move
    healths: tuple[Health, ...]
    objections: tuple[tuple[Allowed, str], ...]
    why: Literal["switch", "revert"]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the name leads once the move is made."""
        return () if self.move.after is None else self.move.after.values

    def lines(self) -> list[str]:
        """Return what is changed, and why."""
        if not self.move.needed:
            return list(self.move.reasons)
        return [
            f"{self.situation.name} in zone {self.situation.zone.zone}:",
            f"  from {content(self.move.before)}",
            f"  to   {content(self.move.after)}",
            *(f"  {reason}" for reason in self.move.reasons),
            *(f"  {views.health_words(health)}" for health in self.healths),
        ]

    def preview(self) -> list[str]:
        """Return what would be changed, why, and what stands against it."""
        return [
            *self.lines(),
            *(f"  needs {allowed.value}: {why}" for allowed, why in self.objections),
            *(f"  refused: {why}" for why in self.move.forbidden),
        ]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a move.

    `everywhere_by` is when the last client has forgotten the old answer, None when nothing was changed; `public` is
    None where nobody was asked. `findings` are what keeps clients of the name from the application.
    """

    decided: Decided
    everywhere_by: datetime | None = None
    public: PublicAnswer | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the operator allows, whom to ask for agreement to the preview, and whom to tell how it goes."""

    allowed: frozenset[Allowed]
    agree: Agree
    tell: Tell


def show(site: Site, *, zone: str | None = None) -> Shown:
    """Look at the record, at what Terraform keeps, at what DNS answers and at who answers there; changes nothing."""
    recovery = outputs.recovery(site.stack_store())
    app = recovery.app
    situation = _situation(site, app, zone)
    here, instance_id = public_name.told(site, app, seconds=0)
    public = public_name.seen(site, app, addresses=(app.address,), instance_id=instance_id, seconds=0)
    findings = list(names.differences(public, addresses=(app.address,), instance_id=instance_id))
    managed = situation.managed
    if managed is not None and situation.record != managed.record:
        findings.append(
            f"the record is {content(situation.record)}, but Terraform keeps it as {content(managed.record)}: the next"
            " apply puts it back"
        )
    cached: Resolved | None = None
    try:
        cached = site.names().cached(situation.name)
    except LifeboatError as error:
        findings.append(f"this machine's resolver: {error.summary}")
    if cached is not None and public.resolved is not None and cached.addresses != public.resolved.addresses:
        findings.append(
            f"{cached.server} still answers {', '.join(cached.addresses)}, for {cached.ttl.total_seconds():.0f} s at most"
        )
    return Shown(
        situation=situation,
        app=app,
        here=here,
        public=public,
        cached=cached,
        saved=site.switches().newest(situation.name),
        findings=tuple(findings),
    )


def switch_decided(site: Site, *, to: str, zone: str | None = None) -> Decided:
    """Decide a switch to an address; changes nothing."""
    _require_address(to)
    recovery = outputs.recovery(site.stack_store())
    situation = _situation(site, recovery.app, zone)
    move = names.moved(situation.records, situation.zone, name=situation.name, to=to, managed=situation.managed)
    return _looked_at(site, recovery.app, situation, move, why="switch")


def revert_decided(site: Site, *, zone: str | None = None) -> Decided:
    """Decide how to put back what the last switch replaced; changes nothing."""
    recovery = outputs.recovery(site.stack_store())
    situation = _situation(site, recovery.app, zone)
    saved = site.switches().newest(situation.name)
    if saved is None:
        raise NothingFits(
            f"no switch of {situation.name} is saved, neither here nor in the state bucket",
            hint="lifeboat dns switch --to ADDRESS",
        )
    move = names.put_back(situation.records, situation.zone, name=situation.name, saved=saved)
    return _looked_at(site, recovery.app, situation, move, why="revert")


def carried_out(site: Site, decided: Decided, orders: Orders, fence: Fence) -> Done:
    """Make a move that is decided, and prove it through the name; `fence` says that the environment is still held.

    Raises Refused with every reason before anything is changed.
    """
    move = decided.move
    everywhere_by = None
    if move.needed:
        _require_allowed(decided, orders.allowed)
        orders.agree(decided.preview())
        fence.require()  # whoever was asked may have taken their time
        orders.tell("saving the record as it is, changing it, waiting until every name server has it")
        try:
            public_name.make(site, move, why=decided.why, now=datetime.now(UTC))
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped on request; the record as it was is saved, and may be changed by now", hint="lifeboat dns show"
            ) from None
        everywhere_by = datetime.now(UTC) + move.lag
    if not decided.addresses:
        return Done(decided=decided, everywhere_by=everywhere_by, public=None, findings=())
    instances = {health.instance_id for health in decided.healths if health.instance_id}
    instance = instances.pop() if len(instances) == 1 else None
    well = any(health.status == 200 for health in decided.healths)
    seconds = public_name.SEEN_SECONDS if well else HEALTH_SECONDS  # who wants it unanswered need not wait for answers
    public = public_name.seen(site, decided.app, addresses=decided.addresses, instance_id=instance, seconds=seconds)
    findings = names.differences(public, addresses=decided.addresses, instance_id=instance)
    return Done(decided=decided, everywhere_by=everywhere_by, public=public, findings=findings)


def switch(site: Site, *, to: str, zone: str | None, orders: Orders) -> Done:
    """Lead the public name to an address."""
    with holding.alone(site, orders.tell, "dns switch") as held:
        return carried_out(site, switch_decided(site, to=to, zone=zone), orders, held)


def revert(site: Site, *, zone: str | None, orders: Orders) -> Done:
    """Put back what the last switch replaced."""
    with holding.alone(site, orders.tell, "dns revert") as held:
        return carried_out(site, revert_decided(site, zone=zone), orders, held)


def preview(decided: Decided) -> Done:
    """Return a move as it would be made."""
    return Done(decided=decided)


def _situation(site: Site, app: App, zone: str | None) -> Situation:
    return public_name.situation(site, app, zone=None if zone is None else ZoneId(zone))


def _looked_at(site: Site, app: App, situation: Situation, move: Move, *, why: Literal["switch", "revert"]) -> Decided:
    door = replace(public_name.door(site, app), name=situation.name)
    addresses = () if move.after is None else move.after.values
    healths = tuple(probe.health(address, door, seconds=HEALTH_SECONDS) for address in addresses) if move.needed else ()
    objections: list[tuple[Allowed, str]] = []
    undone = names.undone_by_apply(move, situation.managed) if move.needed else None
    if undone is not None:
        objections.append((Allowed.UNTIL_APPLY, undone))
    if healths and all(health.status != 200 for health in healths):
        objections.append((Allowed.UNANSWERED, f"the application is not well at {', '.join(addresses)}"))
    return Decided(situation=situation, app=app, move=move, healths=healths, objections=tuple(objections), why=why)


def _require_allowed(decided: Decided, allowed: Set[Allowed]) -> None:
    missing = [(option, why) for option, why in decided.objections if option not in allowed]
    reasons = [*decided.move.forbidden, *(why for _, why in missing)]
    if reasons:
        options = " ".join(option.value for option, _ in missing)
        raise Refused(
            f"{decided.situation.name} is not switched:\n" + "\n".join(f"  {reason}" for reason in reasons),
            hint="" if decided.move.forbidden else f"to do it all the same, add {options}",
        )


def _require_address(to: str) -> None:
    try:
        address = ipaddress.IPv4Address(to)
    except ValueError:
        raise WrongConfiguration(
            f"--to {to} is not an IPv4 address, and the public name has an A record", hint="--to 192.0.2.10"
        ) from None
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        raise WrongConfiguration(f"--to {to} is no address that a host can have")


# -- in words and for programs ---------------------------------------------------------------------------------------


def shown_rows(shown: Shown) -> list[tuple[str, str]]:
    """Return what is known of the name, a row for each fact."""
    situation, managed, saved = shown.situation, shown.situation.managed, shown.saved
    kept = "does not keep this record" if managed is None else f"{content(managed.record)} ({managed.address})"
    rows = [
        ("name", situation.name),
        ("zone", f"{situation.zone.name} ({situation.zone.zone}), served by {', '.join(situation.zone.servers)}"),
        *(("record", content(record)) for record in situation.records or (None,)),
        ("terraform", kept),
        ("answered", _resolved_words(shown.public.resolved) or shown.public.problem),
        ("cached", _resolved_words(shown.cached) or "unknown"),
        ("instance", f"{shown.app.instance_id}: {views.health_words(shown.here)}"),
        *(("through name", views.health_words(health)) for health in shown.public.healths),
    ]
    if saved is not None:
        said = f"{saved.at:%Y-%m-%d %H:%M:%S}Z by {saved.who}: {content(saved.before)} -> {content(saved.after)}"
        rows.append(("last switch", said))
    return rows


def shown_document(shown: Shown) -> dict[str, Any]:
    """Return what is known of the name for JSON; `findings` is empty when it leads to the instance as it should."""
    situation, managed, saved, cached = shown.situation, shown.situation.managed, shown.saved, shown.cached
    kept = None if managed is None else {"address": managed.address, "record": views.record_document(managed.record)}
    last = (
        None
        if saved is None
        else {
            "at": saved.at.isoformat(),
            "who": saved.who,
            "before": views.record_document(saved.before),
            "after": views.record_document(saved.after),
        }
    )
    return {
        "name": situation.name,
        "zone": {"id": situation.zone.zone, "name": situation.zone.name, "servers": list(situation.zone.servers)},
        "records": [views.record_document(record) for record in situation.records],
        "terraform": kept,
        "instance_id": shown.app.instance_id,
        "instance": asdict(shown.here),
        "public": views.public_document(shown.public),
        "cached": None if cached is None else {"addresses": list(cached.addresses), "said_by": cached.server},
        "last_switch": last,
        "findings": list(shown.findings),
    }


def done_lines(done: Done) -> list[str]:
    """Return what a move is or did."""
    lines = done.decided.preview() if done.everywhere_by is None else done.decided.lines()
    if done.everywhere_by is not None:
        lines.append(
            f"on every name server; the last client has forgotten the old answer by {done.everywhere_by:%H:%M:%S}Z"
        )
    if done.public is not None and not done.findings:
        lines.append(f"{done.public.name} answers: " + ", ".join(views.health_words(h) for h in done.public.healths))
    return lines


def done_document(done: Done) -> dict[str, Any]:
    """Return a move for JSON."""
    move = done.decided.move
    return {
        "name": done.decided.situation.name,
        "needed": move.needed,
        "changed": done.everywhere_by is not None,
        "before": views.record_document(move.before),
        "after": views.record_document(move.after),
        "reasons": list(move.reasons),
        "refused": list(move.forbidden),
        "needs": [{"option": option.value, "why": why} for option, why in done.decided.objections],
        "healths": [asdict(health) for health in done.decided.healths],
        "lag_seconds": move.lag.total_seconds(),
        "everywhere_by": None if done.everywhere_by is None else done.everywhere_by.isoformat(timespec="seconds"),
        "public": views.public_document(done.public),
        "findings": list(done.findings),
    }


def _resolved_words(found: Resolved | None) -> str:
    if found is None:
        return ""
    return f"{', '.join(found.addresses)} (TTL {found.ttl.total_seconds():.0f} s), says {found.server}"
