"""Route 53: changes of records that are refused as AWS refuses them, reach the name servers late, and can be followed.

moto answers the rest. It applies a batch in part, takes a CREATE of what exists and a DELETE with other values, and
calls every change INSYNC at once.
"""

from __future__ import annotations

import random
import re
import string
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from dns.exception import DNSException
from moto.route53.models import RecordSet

from localcloud.cloud import Cloud
from localcloud.front import NOT_BUILT
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services.route53_rules import Wrong, changed_by, require_whole, written
from localcloud.zone_answers import HostedZone, Record, Reply, Zones, name_of

# AWS says "within 60 seconds"; long enough here that who does not wait for INSYNC is caught.
UNTIL_INSYNC = timedelta(seconds=2)
MOST_RECORDS = 1000  # in one batch, an UPSERT's counted twice (Route 53 quotas)
KEPT_CHANGES = 1000
_LOCK = threading.Lock()  # a batch reads the records, then writes them
# Where the answer would depend on who asks, or on health checks, which nothing runs here.
NOT_ANSWERED = (
    *("Failover", "Region", "GeoLocation", "GeoProximityLocation"),
    *("CidrRoutingConfig", "HealthCheckId", "TrafficPolicyInstanceId"),
)
_CHANGE = re.compile(rb"<ChangeInfo>.*?</ChangeInfo>", re.DOTALL)
_MEMBERS = ("SetIdentifier", "Weight", "AliasTarget", "MultiValueAnswer")


# -- changes -------------------------------------------------------------------------------------------------------


@operation("route53", "ChangeResourceRecordSets")
def _change(call: Call, *, HostedZoneId: str, ChangeBatch: dict[str, Any], **_: Any) -> dict[str, Any]:
    changes: list[dict[str, Any]] = ChangeBatch.get("Changes") or []
    for member in NOT_ANSWERED:
        if any(member in change.get("ResourceRecordSet", {}) for change in changes):
            raise Refused(NOT_BUILT, f"The local cloud does not implement route53 records with {member}.")
    require_whole(changes)
    values = [(c["Action"], len(c["ResourceRecordSet"].get("ResourceRecords") or [])) for c in changes]
    if sum(count * (2 if action == "UPSERT" else 1) for action, count in values) > MOST_RECORDS:
        raise Refused("InvalidChangeBatch", f"[Number of records limit of {MOST_RECORDS} exceeded.]")
    with _LOCK:
        zone = _zone(call, HostedZoneId)
        before = _records(zone)
        try:
            others = [_hosted(other) for other in _zones(call.cloud) if other is not zone]
            after = changed_by(changes, before, zone=_hosted(zone), others=others)
        except Wrong as wrong:
            raise Refused("InvalidChangeBatch", f"[{', '.join(wrong.reasons)}]") from None
        waiting, now = _propagating(call.cloud, zone.resource_id), call.cloud.now()
        waiting[:] = [(until, records) for until, records in waiting if until > now]
        waiting.append((now + UNTIL_INSYNC, before))
        zone.rrsets = [_moto_record(record) for record in after]
    return {"ChangeInfo": _new_change(call, ChangeBatch.get("Comment"))}


@operation("route53", "GetChange")
def _get_change(call: Call, *, Id: str, **_: Any) -> dict[str, Any]:
    number = Id.removeprefix("/change/")
    change = call.cloud.store("route53-changes").get(number)
    if change is None:
        raise Refused("NoSuchChange", f"Could not find resource with ID: {number}", 404)
    return {"ChangeInfo": _change_info(call, number, change)}


@around(
    "route53",
    *("CreateHostedZone", "DeleteHostedZone", "AssociateVPCWithHostedZone", "DisassociateVPCFromHostedZone"),
)
def _tracked(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Give the change of a whole zone an id of its own, which GetChange knows."""
    if call.operation == "CreateHostedZone":
        _require_new(call)
    answer = proceed()
    if answer.status < 300:
        info = _new_change(call, call.params.get("Comment"))
        written_info = (
            f"<ChangeInfo><Id>{info['Id']}</Id><Status>{info['Status']}</Status>"
            f"<SubmittedAt>{info['SubmittedAt']:%Y-%m-%dT%H:%M:%SZ}</SubmittedAt></ChangeInfo>"
        )
        answer.body = _CHANGE.sub(written_info.encode(), answer.body)
        if call.operation == "CreateHostedZone":
            _write_in_lower_case(call, answer)
    return answer


def _require_new(call: Call) -> None:
    name, reference = call.params["Name"], call.params["CallerReference"]
    try:
        name_of(name)
    except DNSException:
        raise Refused("InvalidDomainName", f"The domain name {name} is not valid.") from None
    if any(zone.caller_reference == reference for zone in _zones(call.cloud)):
        text = "A hosted zone has already been created with the specified caller reference."
        raise Refused("HostedZoneAlreadyExists", text, 409)


def _write_in_lower_case(call: Call, answer: Answer) -> None:
    """Keep a new zone's name, and those of its first records, as AWS does."""
    zone = next(zone for zone in _zones(call.cloud) if zone.caller_reference == call.params["CallerReference"])
    asked, zone.name = zone.name, written(name_of(zone.name))
    zone.rrsets = [_moto_record({**record, "Name": zone.name}) for record in _records(zone)]
    answer.body = answer.body.replace(f"<Name>{asked}</Name>".encode(), f"<Name>{zone.name}</Name>".encode())


def _new_change(call: Call, comment: str | None) -> dict[str, Any]:
    changes = call.cloud.store("route53-changes")
    number = "C" + "".join(random.choices(string.ascii_uppercase + string.digits, k=20))
    changes[number] = {"at": call.cloud.now(), "comment": comment}
    for old in list(changes)[:-KEPT_CHANGES]:
        del changes[old]
    return _change_info(call, number, changes[number])


def _change_info(call: Call, number: str, change: dict[str, Any]) -> dict[str, Any]:
    pending = call.cloud.now() < change["at"] + UNTIL_INSYNC
    info = {"Id": f"/change/{number}", "Status": "PENDING" if pending else "INSYNC", "SubmittedAt": change["at"]}
    return info if change["comment"] is None else {**info, "Comment": change["comment"]}


# -- moto's zones --------------------------------------------------------------------------------------------------


def _zones(cloud: Cloud) -> Sequence[Any]:
    return list(cloud.moto("route53", "aws").zones.values())


def _zone(call: Call, zone_id: str) -> Any:
    number = zone_id.removeprefix("/hostedzone/")
    for zone in _zones(call.cloud):
        if zone.resource_id == number:
            return zone
    raise Refused("NoSuchHostedZone", f"No hosted zone found with ID: {number}", 404)


def _records(zone: Any) -> list[Record]:
    return [_record(rrset) for rrset in zone.rrsets]


def _record(rrset: Any) -> Record:
    record: Record = {"Name": rrset.name, "Type": rrset.type}
    if rrset.alias_target is None:
        record |= {"TTL": int(rrset.ttl), "ResourceRecords": [_value(value) for value in rrset.records]}
    more = (rrset.set_identifier, rrset.weight, rrset.alias_target, rrset.multi_value_answer)
    return record | {member: value for member, value in zip(_MEMBERS, more, strict=True) if value is not None}


def _value(value: Any) -> dict[str, str]:
    return value if isinstance(value, dict) else {"Value": str(value)}  # moto keeps its own SOA one way, NS another


def _moto_record(record: Record) -> RecordSet:
    values = [value["Value"] for value in record.get("ResourceRecords", [])]
    return RecordSet({**record, "ResourceRecords": values})


# -- what the name servers say ---------------------------------------------------------------------------------------


def reply(cloud: Cloud, name: Any, kind: Any) -> Reply:
    """Answer a question from the zones as the name servers know them; waits while the state is saved or loaded."""
    with cloud.gate.working():
        return Zones([_served(cloud, zone) for zone in _zones(cloud) if not zone.private_zone]).reply(name, kind)


def _served(cloud: Cloud, zone: Any) -> HostedZone:
    """Return a zone as its name servers know it: as it was before the oldest change that has not reached them."""
    known = (records for until, records in _propagating(cloud, zone.resource_id) if until > cloud.now())
    return _hosted(zone, next(known, None))


def _hosted(zone: Any, records: Sequence[Record] | None = None) -> HostedZone:
    return HostedZone(
        zone_id=zone.resource_id, origin=name_of(zone.name), records=_records(zone) if records is None else records
    )


def _propagating(cloud: Cloud, zone_id: str) -> list[tuple[Any, list[Record]]]:
    found: list[tuple[Any, list[Record]]] = cloud.store("route53-propagating").setdefault(zone_id, [])
    return found
