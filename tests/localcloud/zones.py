"""What the tests of names share: making zones and records in a local cloud, and asking its name server."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any

import dns.message
import dns.query

from tests.conftest import RunningCloud
from tests.localcloud.machines import until

SECONDS = 5


def record(name: str, kind: str, *values: str, ttl: int = 60, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": v} for v in values], **more}


def alias(name: str, kind: str, zone: str, target: str) -> dict[str, Any]:
    where = {"HostedZoneId": zone, "DNSName": target, "EvaluateTargetHealth": False}
    return {"Name": name, "Type": kind, "AliasTarget": where}


@dataclass(frozen=True)
class Names:
    """The zones of one cloud, and its name server."""

    cloud: RunningCloud

    @property
    def route53(self) -> Any:
        return self.cloud.client("route53")

    @property
    def place(self) -> tuple[str, int]:
        return f"{self.cloud.network}.192.53", self.cloud.port

    def zone(self, name: str, **more: Any) -> str:
        made = self.route53.create_hosted_zone(Name=name, CallerReference=f"{name} {time.monotonic_ns()}", **more)
        return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")

    def change(self, zone: str, *changes: tuple[str, dict[str, Any]]) -> str:
        """Send a batch, and return the id of the change."""
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": one} for action, one in changes]}
        sent = self.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
        return str(sent["ChangeInfo"]["Id"])

    def create(self, zone: str, *records: dict[str, Any]) -> None:
        """Create records and wait until the name server has them."""
        self.in_sync(self.change(zone, *(("CREATE", one) for one in records)))

    def in_sync(self, change: str) -> None:
        until(lambda: self.route53.get_change(Id=change)["ChangeInfo"]["Status"] == "INSYNC")

    def ask(self, name: str, kind: str = "A", **query: Any) -> dns.message.Message:
        asked = dns.message.make_query(name, kind, **query)
        return dns.query.udp(asked, self.place[0], port=self.place[1], timeout=SECONDS)

    def over_tcp(self, name: str, kind: str = "A", **query: Any) -> dns.message.Message:
        asked = dns.message.make_query(name, kind, **query)
        return dns.query.tcp(asked, self.place[0], port=self.place[1], timeout=SECONDS)

    def values(self, name: str, kind: str = "A") -> list[str]:
        """Return the answer section as lines, sorted."""
        return sorted(line for rrset in self.ask(name, kind).answer for line in rrset.to_text().splitlines())

    def raw(self, wire: bytes) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(1)
            asking.sendto(wire, self.place)
            return asking.recv(65535)
