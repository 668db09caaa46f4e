"""What hosted zones answer: authoritative DNS (RFC 1034, 2308, 4592) over record sets in Route 53's own shape."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.SOA
import dns.rrset
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rrset import RRset

Record = dict[str, Any]  # as in botocore's ResourceRecordSet
LONGEST_CHAIN = 16
MULTIVALUE_ANSWERS = 8  # Route 53 answers with up to eight of a multivalue set
_OCTAL = re.compile(r"\\([0-3][0-7]{2})")
_WILDCARD = dns.name.Name([b"*"])


class Unanswerable(Exception):
    """The truth lies outside these zones, such as an alias to a load balancer: SERVFAIL, never an empty answer."""


def name_of(text: str) -> Name:
    r"""Return an absolute name; Route 53 writes unusual characters as octal (\052), DNS libraries as decimal."""
    return dns.name.from_text(_OCTAL.sub(lambda found: f"\\{int(found[1], 8):03d}", text), dns.name.root)


def rdata_of(kind: str, value: str) -> dns.rdata.Rdata:
    """Return one value in wire form; names in it are absolute, with or without a last dot."""
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value, origin=dns.name.root, relativize=False)


@dataclass(frozen=True, kw_only=True)
class HostedZone:
    """One public zone."""

    zone_id: str
    origin: Name
    records: Sequence[Record]

    @cached_property
    def nodes(self) -> dict[Name, list[Record]]:
        """Return the record sets by name; names compare without case."""
        nodes: dict[Name, list[Record]] = {}
        for record in self.records:
            nodes.setdefault(name_of(record["Name"]), []).append(record)
        return nodes

    def at(self, name: Name) -> list[Record] | None:
        """Return the record sets of a name, a wildcard's where only that covers it; None when there is no such name."""
        if self._is_there(name):
            return self.nodes.get(name, [])
        encloser = name.parent()
        while not self._is_there(encloser):
            encloser = encloser.parent()
        return self.nodes.get(_WILDCARD + encloser)

    def _is_there(self, name: Name) -> bool:
        # A name without records of its own is there when there are names below it (RFC 8020).
        return name == self.origin or name in self.nodes or any(node.is_subdomain(name) for node in self.nodes)

    def delegated(self, name: Name) -> RRset | None:
        """Return the NS records of the zone cut that `name` lies at or below; None where this zone answers itself."""
        for depth in range(len(self.origin) + 1, len(name) + 1):
            cut = name.split(depth)[1]
            for record in self.nodes.get(cut, []):
                if record["Type"] == "NS":
                    return _rrset(cut, record)
        return None

    def start_of_authority(self) -> RRset | None:
        """Return the SOA with the time for which "there is nothing" may be kept (RFC 2308)."""
        for record in self.nodes.get(self.origin, []):
            if record["Type"] == "SOA":
                rrset = _rrset(self.origin, record)
                soa = rrset[0]
                assert isinstance(soa, dns.rdtypes.ANY.SOA.SOA)
                rrset.ttl = min(rrset.ttl, soa.minimum)
                return rrset
        return None


@dataclass(kw_only=True)
class Reply:
    """An answer without its envelope."""

    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    authoritative: bool = True
    answer: list[RRset] = field(default_factory=list)
    authority: list[RRset] = field(default_factory=list)


class Zones:
    """Every public zone at one moment."""

    def __init__(self, zones: Iterable[HostedZone], *, dice: random.Random | None = None) -> None:
        self._zones = list(zones)
        self._dice = dice or random.Random()

    def hosting(self, name: Name) -> HostedZone | None:
        """Return the zone with the longest name that `name` lies in; of several, the one created first."""
        return max(
            (zone for zone in self._zones if name.is_subdomain(zone.origin)),
            key=lambda zone: len(zone.origin),
            default=None,
        )

    def reply(self, name: Name, kind: RdataType) -> Reply:
        """Answer one question, following CNAMEs as far as they stay in these zones."""
        reply, seen = Reply(), set[Name]()
        while name not in seen and len(seen) < LONGEST_CHAIN:
            zone = self.hosting(name)
            if zone is None:
                if not seen:
                    reply.rcode, reply.authoritative = dns.rcode.REFUSED, False
                return reply
            seen.add(name)
            cut = zone.delegated(name)
            if cut is not None:
                reply.authority.append(cut)
                reply.authoritative = bool(reply.answer)
                return reply
            found = self._found(zone, name, kind)
            if found and found[0].rdtype == dns.rdatatype.CNAME != kind and kind != dns.rdatatype.ANY:
                reply.answer.append(found[0])
                leads = found[0][0]
                assert isinstance(leads, dns.rdtypes.ANY.CNAME.CNAME)
                name = leads.target
                continue
            if found is None:
                reply.rcode = dns.rcode.NXDOMAIN
            reply.answer.extend(found or [])
            if not found and (start := zone.start_of_authority()) is not None:
                reply.authority.append(start)
            return reply
        return reply

    def _found(self, zone: HostedZone, name: Name, kind: RdataType) -> list[RRset] | None:
        """Return what a name has of a kind, or its CNAME instead; None when there is no such name."""
        records = zone.at(name)
        if records is None:
            return None
        kinds = {dns.rdatatype.from_text(record["Type"]) for record in records}
        if kind == dns.rdatatype.ANY:
            return [rrset for each in sorted(kinds) for rrset in self._of_kind(records, name, each)]
        if kind not in kinds and dns.rdatatype.CNAME in kinds:
            kind = dns.rdatatype.CNAME
        return self._of_kind(records, name, kind)

    def _of_kind(self, records: Sequence[Record], name: Name, kind: RdataType) -> list[RRset]:
        chosen = [self._without_alias(record) for record in self._picked(records, kind)]
        rrsets = [_rrset(name, record) for record in chosen if record is not None]
        for more in rrsets[1:]:
            for rdata in more:
                rrsets[0].add(rdata, more.ttl)
        return rrsets[:1]

    def _picked(self, records: Sequence[Record], kind: RdataType) -> list[Record]:
        """Return the record sets of a kind that this question gets: one by weight, up to eight of a multivalue set."""
        mine = [record for record in records if dns.rdatatype.from_text(record["Type"]) == kind]
        if len(mine) < 2:
            return mine
        if "Weight" in mine[0]:
            weights = [int(record["Weight"]) for record in mine]
            return self._dice.choices(mine, weights if any(weights) else None)
        return self._dice.sample(mine, min(len(mine), MULTIVALUE_ANSWERS))

    def _without_alias(self, record: Record) -> Record | None:
        """Return the record with the values and TTL of what it is an alias of; None where that has none."""
        kind, origin = dns.rdatatype.from_text(record["Type"]), record
        for _ in range(LONGEST_CHAIN):
            if not record.get("AliasTarget"):
                return {**record, "Name": origin["Name"]}
            target = name_of(record["AliasTarget"]["DNSName"])
            zone = self.hosting(target)
            if zone is None:
                raise Unanswerable(f"{origin['Name']} is an alias of {target}, which no zone here holds")
            found = self._picked(zone.at(target) or [], kind)
            if not found:
                return None
            record = found[0]
        raise Unanswerable(f"{origin['Name']} is an alias of itself")


def _rrset(name: Name, record: Record) -> RRset:
    values = [rdata_of(record["Type"], value["Value"]) for value in record["ResourceRecords"]]
    return dns.rrset.from_rdata_list(name, int(record["TTL"]), values)
