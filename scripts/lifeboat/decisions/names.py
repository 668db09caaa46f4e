"""Where the public name should lead: whether its record must move, what forbids it, and when every client has seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from lifeboat.model import ManagedRecord, NameRecord, PublicAnswer, Switch, Zone, content

DEFAULT_TTL = timedelta(seconds=60)
LONG_TTL = timedelta(minutes=5)  # what the module allows at most: clients keep a lost address for as long
_ADDRESS_KINDS = ("A", "AAAA", "CNAME")


@dataclass(frozen=True, kw_only=True)
class Move:
    """A change of a record and why. `needed` is whether anything changes; it must not while `forbidden` says why.

    `lag` is how long, once the change is on every name server, a client may go on with what it was told before.
    """

    before: NameRecord | None
    after: NameRecord | None
    reasons: tuple[str, ...]
    lag: timedelta
    forbidden: tuple[str, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether the record is not yet what it should be."""
        return self.before != self.after


def moved(
    records: Sequence[NameRecord],
    zone: Zone,
    *,
    name: str,
    to: str,
    managed: ManagedRecord | None,
) -> Move:
    """Decide how the A record of `name`, among all `records` of it, comes to hold the address `to` and nothing else."""
    before = next((record for record in records if record.kind == "A"), None)
    ttl = before.ttl if before is not None else managed.record.ttl if managed is not None else DEFAULT_TTL
    if before is not None and not before.special and before.values == (to,):
        return Move(before=before, after=before, reasons=(f"{name} is already {content(before)}",), lag=timedelta(0))
    after = NameRecord(zone=zone.zone, name=name, kind="A", ttl=ttl, values=(to,))
    return Move(
        before=before,
        after=after,
        reasons=(*_why(before, name, to, _lag(before, zone)), *_beside(records)),
        lag=_lag(before, zone),
        forbidden=tuple(_not_ours(record) for record in records if _not_ours(record)),
    )


def put_back(records: Sequence[NameRecord], zone: Zone, *, name: str, saved: Switch) -> Move:
    """Decide how the record comes to be what it was before the saved switch, which must be what is there now."""
    present = next((record for record in records if record.kind == "A"), None)
    if present == saved.before:
        was = f"{name} is {content(present)}, as it was before the switch of {saved.at:%Y-%m-%d %H:%M:%S}Z"
        return Move(before=present, after=present, reasons=(was,), lag=timedelta(0))
    reasons = (f"before the switch of {saved.at:%Y-%m-%d %H:%M:%S}Z by {saved.who} it was {content(saved.before)}",)
    forbidden = tuple(_not_ours(record) for record in records if _not_ours(record))
    if present != saved.after:
        forbidden += (
            f"{name} is {content(present)}, but the switch of {saved.at:%Y-%m-%d %H:%M:%S}Z made it"
            f" {content(saved.after)}: somebody changed it since",
        )
    return Move(before=present, after=saved.before, reasons=reasons, lag=_lag(present, zone), forbidden=forbidden)


def undone_by_apply(move: Move, managed: ManagedRecord | None) -> str | None:
    """Return why the next apply would undo a move; None when Terraform agrees or does not keep the record."""
    if managed is None or move.after == managed.record:
        return None
    return (
        f"Terraform keeps this record ({managed.address}) as {content(managed.record)}, so the next apply would change"
        f" {content(move.after)} back"
    )


def differences(found: PublicAnswer, *, addresses: Sequence[str], instance_id: str | None = None) -> tuple[str, ...]:
    """Return what keeps a client of the public name from reaching the application at `addresses`, nothing else.

    Empty means proven: the name leads there, each address answers 200, and, where `instance_id` is given, each answer
    says that it comes from that instance. An answer that does not say from which one proves nothing.
    """
    if found.resolved is None:
        return (found.problem,)
    said = f"{found.name} leads to {', '.join(found.resolved.addresses)}, says {found.resolved.server}"
    problems = []
    if set(found.resolved.addresses) != set(addresses):
        problems.append(f"{said}; it should lead to {', '.join(sorted(addresses))}")
    for health in found.healths:
        if health.status != 200:
            status = "" if health.status is None else f"HTTP {health.status}: "
            problems.append(f"{found.name} at {health.address} is not well: {status}{health.says}")
        elif instance_id is not None and health.instance_id != instance_id:
            by = f"comes from {health.instance_id}, not" if health.instance_id else "does not say that it comes"
            problems.append(f"the answer of {found.name} at {health.address} {by} from {instance_id}")
    return tuple(problems)


def _why(before: NameRecord | None, name: str, to: str, lag: timedelta) -> tuple[str, ...]:
    if before is None:
        return (
            f"{name} has no A record, and must lead to {to}",
            f"clients that asked meanwhile remember that for up to {_span(lag)}",
        )
    reasons = [f"{name} is {content(before)}, and must lead to {to}"]
    if to in before.values:
        reasons.append(f"it leads to {to} already, but to other addresses as well")
    reasons.append(f"clients keep the old answer for up to {_span(lag)}")
    if lag > LONG_TTL:
        reasons.append(f"a TTL of {_span(lag)} is long for a name that may have to move: see var.dns.ttl")
    return tuple(reasons)


def _lag(before: NameRecord | None, zone: Zone) -> timedelta:
    return zone.absence_ttl if before is None else before.ttl


def _not_ours(record: NameRecord) -> str:
    """Return why a record of the name forbids a plain A record in its place or beside it; "" when it does not."""
    if record.kind not in _ADDRESS_KINDS:
        return ""
    if record.special:
        return f"the {record.kind} record of {record.name} is {record.special}, which only its owner can change"
    if record.kind == "CNAME":
        return f"{record.name} is a CNAME of {', '.join(record.values)}: change that name, or delete the CNAME first"
    return ""


def _beside(records: Sequence[NameRecord]) -> tuple[str, ...]:
    return tuple(
        f"{record.name} also has AAAA {', '.join(record.values)}, which stays: clients with IPv6 go on to go there"
        for record in records
        if record.kind == "AAAA" and not record.special
    )


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
