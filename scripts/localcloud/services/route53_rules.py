"""Which changes of record sets Route 53 takes, and in what words it refuses the others; pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import dns.exception
import dns.name
from dns.name import Name

from localcloud.operations import Refused
from localcloud.zone_answers import HostedZone, Record, name_of, rdata_of

ACTIONS = ("CREATE", "DELETE", "UPSERT")
TYPES = (
    *("A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS"),
    *("PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"),
)
LONGEST_TTL = 2147483647
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*')
_SINGLE = ("CNAME", "SOA")
_PLAIN = re.compile(r"[a-z0-9_-]")
# What an answer is chosen by, and Route 53's word for a set of such records.
POLICIES = {"Weight": "weighted", "MultiValueAnswer": "multivalue answer"}


class Wrong(Exception):
    """A batch that Route 53 refuses as a whole, with every reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = list(reasons)


def require_whole(changes: Sequence[dict[str, Any]]) -> None:
    """Refuse with InvalidInput what is not a change at all, before any record is looked at."""
    if not changes:
        raise Refused("InvalidInput", "Invalid XML ; The ChangeBatch must contain at least one Change.")
    for change in changes:
        record = change.get("ResourceRecordSet") or {}
        _require_one_of(change.get("Action"), ACTIONS)
        _require_one_of(record.get("Type"), TYPES)
        whole = record.get("TTL") is not None and record.get("ResourceRecords")
        if bool(record.get("AliasTarget")) == bool(whole):
            found = "none" if not whole else "more than one"
            raise Refused(
                "InvalidInput",
                "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or "
                f"TrafficPolicyInstanceId], but found {found} in Change with [{_label(change)}]",
            )
        if whole and not 0 <= int(record["TTL"]) <= LONGEST_TTL:
            raise Refused("InvalidInput", f"Invalid XML ; TTL {record['TTL']} is not between 0 and {LONGEST_TTL}.")
        policies = [member for member in POLICIES if record.get(member) is not None]
        if policies and not record.get("SetIdentifier"):
            raise Refused(
                "InvalidInput", f"Invalid request: Missing field 'SetIdentifier' in Change with [{_label(change)}]"
            )
        if record.get("SetIdentifier") and len(policies) != 1:
            raise Refused(
                "InvalidInput",
                f"Invalid request: Expected exactly one of [{', '.join(POLICIES)}], but found "
                f"{'more than one' if policies else 'none'} in Change with [{_label(change)}]",
            )


def _require_one_of(value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise Refused(
            "InvalidInput",
            f"Invalid XML ; cvc-enumeration-valid: Value '{value}' is not facet-valid with respect to enumeration "
            f"'[{', '.join(known)}]'. It must be a value from the enumeration.",
        )


def _label(change: dict[str, Any]) -> str:
    record = change["ResourceRecordSet"]
    identifier = record.get("SetIdentifier", "null")
    return f"Action={change['Action']}, Name={record['Name']}, Type={record['Type']}, SetIdentifier={identifier}"


def changed_by(
    changes: Sequence[dict[str, Any]], before: Sequence[Record], *, zone: HostedZone, others: Sequence[HostedZone]
) -> list[Record]:
    """Return the records after a batch, applied in its order; Wrong with every reason when it is not taken."""
    after, reasons = list(before), list[str]()
    for change in changes:
        try:
            record = _stored(change["ResourceRecordSet"], zone.origin)
            ACT[change["Action"]](after, record, zone)
            if change["Action"] != "DELETE" and "AliasTarget" in record:
                _require_target(record, [replace(zone, records=after), *others])
        except Wrong as wrong:
            reasons += wrong.reasons
    kinds = {record["Type"] for record in after if name_of(record["Name"]) == zone.origin}
    if "SOA" not in kinds:
        reasons.append("A HostedZone must contain exactly one SOA record.")
    if "NS" not in kinds:
        reasons.append("A HostedZone must contain at least one NS record for the zone itself.")
    if reasons:
        raise Wrong(reasons)
    return after


def _stored(asked: Record, origin: Name) -> Record:
    """Return a record as Route 53 keeps it: its name in lower case with a last dot, unusual characters in octal."""
    try:
        name = name_of(asked["Name"])
    except dns.name.LabelTooLong:
        raise _fatal("DomainLabelTooLong", "Domain label is too long", asked["Name"]) from None
    except dns.exception.DNSException:
        raise _fatal("InvalidDomainName", "Value is not a valid domain name", asked["Name"]) from None
    if not name.is_subdomain(origin):
        raise Wrong([f"RRSet with DNS name {written(name)} is not permitted in zone {written(origin)}"])
    record = {**asked, "Name": written(name)}
    values = [value["Value"] for value in asked.get("ResourceRecords") or []]
    reasons = [f"Duplicate Resource Record: '{value}'" for value in sorted({v for v in values if values.count(v) > 1})]
    for value in values:
        try:
            _require_value(record["Type"], value)
        except Wrong as wrong:
            reasons += [f"Invalid Resource Record: '{reason}'" for reason in wrong.reasons]
    if record["Type"] in _SINGLE and len(values) > 1:
        reasons.append(f"Invalid Resource Record Set: a {record['Type']} record must have exactly one value")
    if reasons:
        raise Wrong(reasons)
    return record


def written(name: Name) -> str:
    r"""Return a name as Route 53 writes it: `*.Example.com` is `\052.example.com.`."""
    labels = ["".join(_octal(byte) for byte in label) for label in name.canonicalize().labels]
    return ".".join(labels)


def _octal(byte: int) -> str:
    return chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"\\{byte:03o}"


def _require_value(kind: str, value: str) -> None:
    if kind in ("A", "AAAA"):
        version, read = ("v4", ipaddress.IPv4Address) if kind == "A" else ("v6", ipaddress.IPv6Address)
        try:
            read(value)
        except ValueError:
            raise _fatal(
                f"{kind}RRDATAIllegalIP{version}Address", f"Value is not a valid IP{version} address", value
            ) from None
    elif kind in ("TXT", "SPF") and not _QUOTED.fullmatch(value):
        raise _fatal("InvalidCharacterString", "Value should be enclosed in quotation marks", value)
    else:
        try:
            rdata_of(kind, value)
        except (dns.exception.DNSException, ValueError):
            raise _fatal(f"Invalid{kind}RDATA", f"Value is not valid for type {kind}", value) from None


def _fatal(problem: str, explanation: str, value: str) -> Wrong:
    return Wrong([f"FATAL problem: {problem} ({explanation}) encountered with '{value}'"])


# -- the three actions -----------------------------------------------------------------------------------------------


def _create(after: list[Record], record: Record, zone: HostedZone) -> None:
    if _place(after, record) is not None:
        raise Wrong([f"Tried to create resource record set [{_named(record)}] but it already exists"])
    _require_room(after, record, zone)
    after.append(record)


def _upsert(after: list[Record], record: Record, zone: HostedZone) -> None:
    place = _place(after, record)
    if place is None:
        _require_room(after, record, zone)
        after.append(record)
    else:
        after[place] = record


def _delete(after: list[Record], record: Record, _zone: HostedZone) -> None:
    place = _place(after, record)
    if place is None:
        raise Wrong([f"Tried to delete resource record set [{_named(record)}] but it was not found"])
    if _content(after[place]) != _content(record):
        raise Wrong(
            [
                f"Tried to delete resource record set [{_named(record)}] but the values provided do not match the "
                "current values"
            ]
        )
    del after[place]


ACT: dict[str, Callable[[list[Record], Record, HostedZone], None]] = {
    "CREATE": _create,
    "DELETE": _delete,
    "UPSERT": _upsert,
}


def _place(records: Sequence[Record], record: Record) -> int | None:
    """Return where the record set of the same name, type and identifier stands."""
    return next((place for place, one in enumerate(records) if _key(one) == _key(record)), None)


def _key(record: Record) -> tuple[Name, str, str | None]:
    return name_of(record["Name"]), record["Type"], record.get("SetIdentifier")


def _content(record: Record) -> tuple[Any, ...]:
    # Values in any order; MultiValueAnswer may be left out, as Terraform does (getmoto/moto#7153).
    values = sorted(value["Value"] for value in record.get("ResourceRecords") or [])
    target = record.get("AliasTarget")
    alias = None if not target else (target["HostedZoneId"], name_of(target["DNSName"]))
    ttl = None if record.get("TTL") is None else int(record["TTL"])
    return ttl, values, alias, record.get("Weight")


def _named(record: Record) -> str:
    identifier = f", set identifier='{record['SetIdentifier']}'" if record.get("SetIdentifier") else ""
    return f"name='{record['Name']}', type='{record['Type']}'{identifier}"


def _require_room(after: Sequence[Record], record: Record, zone: HostedZone) -> None:
    """Refuse a new record set that cannot stand beside what the name has."""
    name, kind, where = record["Name"], record["Type"], written(zone.origin)
    beside = [one for one in after if name_of(one["Name"]) == name_of(name)]
    if kind == "CNAME" and name == where:
        raise Wrong([f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {where}"])
    if kind == "CNAME" and any(one["Type"] != "CNAME" for one in beside):
        raise Wrong(
            [
                f"RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records with the "
                f"same DNS name in zone {where}"
            ]
        )
    if kind != "CNAME" and any(one["Type"] == "CNAME" for one in beside):
        raise Wrong(
            [
                f"RRSet of type {kind} with DNS name {name} is not permitted because a conflicting RRSet of type  CNAME "
                f"with the same DNS name already exists in zone {where}"
            ]
        )
    if kind == "SOA" and name != where:
        raise Wrong([f"RRSet of type SOA with DNS name {name} is not permitted in zone {where}"])
    policy = _policy(record)
    if any(one["Type"] == kind and _policy(one) != policy for one in beside):
        raise Wrong(
            [
                f"RRSet with DNS name {name}, type {kind}, SetIdentifier {record.get('SetIdentifier', 'null')} cannot be "
                f"created because a non-{policy} RRSet with the same name and type already exists"
            ]
        )


def _policy(record: Record) -> str:
    return next((word for member, word in POLICIES.items() if record.get(member) is not None), "simple")


def _require_target(record: Record, zones: Sequence[HostedZone]) -> None:
    """Refuse an alias of nothing; what lies in no zone here, such as a load balancer, cannot be looked up."""
    target, kind = record["AliasTarget"], record["Type"]
    zone = next((one for one in zones if one.zone_id == target["HostedZoneId"].removeprefix("/hostedzone/")), None)
    if zone is None:
        return
    name = name_of(target["DNSName"])
    said = f"Tried to create an alias that targets {written(name)}, type {kind} in zone {zone.zone_id}, but the alias target"
    if not name.is_subdomain(zone.origin):
        raise Wrong([f"{said} name does not lie within the target zone"])
    if not any(one["Type"] == kind for one in zone.at(name) or []):
        raise Wrong([f"{said} was not found"])
