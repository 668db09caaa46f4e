"""Route 53: which zone holds a name, its records, and the change of one that nobody else changed meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import Failed, LifeboatError, NothingFits, Refused, StoppedPartWay, Unreachable, WrongConfiguration
from lifeboat.model import NameRecord, Zone, ZoneId, content

POLL_SECONDS = 1.0  # Route 53 takes five requests a second for each account
_TRIES = 3
# After these the change may have been made, or may be made when asked again.
_UNDECIDED = {"InvalidChangeBatch", "PriorRequestNotComplete", "Throttling", "ThrottlingException"}
_OCTAL = re.compile(r"\\([0-3][0-7]{2})")

Sleep = Callable[[float], None]


class Zones:
    """The hosted zones of the account."""

    def __init__(self, route53: Any) -> None:
        self._client = route53

    def zone_of(self, name: str) -> Zone:
        """Return the public zone that holds a name: the longest; raises when there is none, or more than one."""
        wanted = plain(name)
        with translated(f"list the hosted zones for {wanted}"):
            pages = sdk.paginator(self._client, "list_hosted_zones").paginate()
            public = [
                (plain(zone["Name"]), zone["Id"].removeprefix("/hostedzone/"))
                for page in pages
                for zone in page["HostedZones"]
                if not zone.get("Config", {}).get("PrivateZone", False)
            ]
        holding = [(zone, number) for zone, number in public if wanted == zone or wanted.endswith(f".{zone}")]
        if not holding:
            raise NothingFits(f"no public hosted zone of this account holds {wanted}")
        longest = max(len(zone) for zone, _ in holding)
        found = sorted(number for zone, number in holding if len(zone) == longest)
        if len(found) > 1:
            raise WrongConfiguration(
                f"{len(found)} hosted zones could hold {wanted}: {', '.join(found)}",
                hint=f"name the one that the domain is delegated to: --zone {found[0]}",
            )
        return self.zone(ZoneId(found[0]))

    def zone(self, zone: ZoneId) -> Zone:
        """Return one zone."""
        with translated(f"look at the hosted zone {zone}"):
            found = self._client.get_hosted_zone(Id=zone)
        name = plain(found["HostedZone"]["Name"])
        authority = next((record for record in self.records(zone, name) if record.kind == "SOA"), None)
        if authority is None:
            raise Unreachable(f"the hosted zone {zone} ({name}) shows no SOA record")
        return Zone(
            zone=zone,
            name=name,
            servers=tuple(plain(server) for server in found.get("DelegationSet", {}).get("NameServers", [])),
            # How long clients remember that there is nothing: RFC 2308, section 5.
            absence_ttl=min(authority.ttl, timedelta(seconds=int(authority.values[0].split()[-1]))),
        )

    def records(self, zone: ZoneId, name: str) -> list[NameRecord]:
        """Return every record set of a name."""
        with translated(f"list the records of {plain(name)} in the hosted zone {zone}"):
            return list(self._records(zone, plain(name)))

    def _records(self, zone: ZoneId, name: str) -> Iterator[NameRecord]:
        # Record sets come in the order of their names, so those of one name are together.
        pages = sdk.paginator(self._client, "list_resource_record_sets").paginate(
            HostedZoneId=zone, StartRecordName=name
        )
        for page in pages:
            for found in page["ResourceRecordSets"]:
                if plain(found["Name"]) != name:
                    return
                yield _record(zone, found)

    def replace(
        self, before: NameRecord | None, after: NameRecord | None, *, seconds: float, sleep: Sleep = time.sleep
    ) -> None:
        """Make the record `after` of `before` (None: there is none) and wait until every name server has it.

        Route 53 takes the batch only while `before` is what is there: it is deleted with its values and created anew in
        one step, which no client sees. Raises Refused when somebody else changed it; StoppedPartWay when it is changed
        and not everywhere within `seconds`. An answer that got lost is never taken for a failure: the record is read
        before anything is repeated.
        """
        deadline = time.monotonic() + seconds
        change = self._changed(before, after, sleep)
        while change is not None and (status := self._status(change)) != "INSYNC":
            if time.monotonic() > deadline:
                raise StoppedPartWay(
                    f"the record is changed, but after {seconds:.0f} s not known to be on every name server: change"
                    f" {change} is {status}",
                    hint="lifeboat dns show tells what is answered",
                )
            sleep(POLL_SECONDS)

    def _changed(self, before: NameRecord | None, after: NameRecord | None, sleep: Sleep) -> str | None:
        """Return the id of the change; None when there is nothing left to follow."""
        one = after or before
        if one is None:
            return None
        lost: LifeboatError = Failed(f"{one.name} was not changed")
        for attempt in range(_TRIES):
            if attempt:
                sleep(POLL_SECONDS)
            try:
                present = next((r for r in self.records(one.zone, one.name) if r.kind == one.kind), None)
            except Unreachable as error:
                if not attempt:
                    raise
                lost = Unreachable(f"{lost.summary}; and then: {error.summary}", hint="lifeboat dns show")
                continue
            if present == after:
                # Done, perhaps by a call whose answer got lost. Made once more, it has an id that can be followed.
                before = after
            elif present != before:
                raise Refused(
                    f"{one.name} was changed meanwhile: it is {content(present)}, not {content(before)}",
                    hint="lifeboat dns show, then decide again",
                )
            if before is None and after is None:
                return None
            try:
                return self._submit(one, before, after)
            except ClientError as error:
                code, status = error.response["Error"].get("Code", ""), error.response["ResponseMetadata"]
                if status.get("HTTPStatusCode", 500) < 500 and code not in _UNDECIDED:
                    with translated(f"change {one.name}"):
                        raise
                lost = Failed(f"cannot change {one.name}: {code}: {error.response['Error'].get('Message', '')}")
            except (BotoCoreError, OSError) as error:
                lost = Unreachable(f"cannot tell whether {one.name} was changed: {error}", hint="lifeboat dns show")
        raise lost

    def _submit(self, one: NameRecord, before: NameRecord | None, after: NameRecord | None) -> str:
        wanted = (("DELETE", before), ("CREATE", after))
        changes = [{"Action": action, "ResourceRecordSet": _written(r)} for action, r in wanted if r is not None]
        sent = self._client.change_resource_record_sets(
            HostedZoneId=one.zone, ChangeBatch={"Comment": "lifeboat", "Changes": changes}
        )
        return str(sent["ChangeInfo"]["Id"])

    def _status(self, change: str) -> str:
        """Return how far a change is, or why that cannot be found out just now."""
        try:
            return str(self._client.get_change(Id=change)["ChangeInfo"]["Status"])
        except (ClientError, BotoCoreError, OSError) as error:
            return f"unknown ({error})"


def plain(name: str) -> str:
    r"""Return a name of Route 53 as people write it: in lower case, no last dot, `*` for \052."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), name).rstrip(".").lower()


def _record(zone: ZoneId, found: dict[str, Any]) -> NameRecord:
    special = ""
    if "AliasTarget" in found:
        special = f"an alias of {plain(found['AliasTarget']['DNSName'])}"
    elif "SetIdentifier" in found:
        special = f"one of several that share the answers ({found['SetIdentifier']})"
    elif "HealthCheckId" in found or "TrafficPolicyInstanceId" in found:
        special = "answered by health or by a traffic policy"
    return NameRecord(
        zone=zone,
        name=plain(found["Name"]),
        kind=found["Type"],
        ttl=timedelta(seconds=int(found.get("TTL", 0))),
        values=tuple(sorted(value["Value"] for value in found.get("ResourceRecords", []))),
        special=special,
    )


def _written(record: NameRecord) -> dict[str, Any]:
    return {
        "Name": record.name,
        "Type": record.kind,
        "TTL": int(record.ttl.total_seconds()),
        "ResourceRecords": [{"Value": value} for value in record.values],
    }
