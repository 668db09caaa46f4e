"""Disasters on demand: the tag `localcloud:break` on an instance or snapshot does not stick, it breaks it."""

from __future__ import annotations

from localcloud.cloud import Cloud
from localcloud.operations import Refused
from localcloud.services import rds_records as records
from localcloud.services.rds_events import happened

TAG = "localcloud:break"
# Failure states of AWS's that a server cannot serve in, and the event that goes with each.
STATES = {
    "failed": "failed",
    "incompatible-restore": "incompatible restore",
    "storage-full": "storage full",
    "inaccessible-encryption-credentials": "key lost",
}
CRASH = "crash"  # the server is gone, RDS has not noticed: a reboot brings it back
NEXT_RESTORE = "next-restore"  # the next restore from this instance or snapshot ends as incompatible-restore


def break_resource(cloud: Cloud, region: str, arn: str, how: str) -> None:
    """Break the instance or snapshot of an ARN: with a failure state, `crash` (instances) or `next-restore`."""
    kind = arn.split(":")[5]
    record = (records.instance if kind == "db" else records.snapshot)(cloud, region, arn)
    if how == NEXT_RESTORE:
        record["break_restore"] = True
        return
    if kind != "db" or how not in (*STATES, CRASH):
        choices = ", ".join((*STATES, CRASH, NEXT_RESTORE) if kind == "db" else (NEXT_RESTORE,))
        raise Refused("InvalidParameterValue", f"{TAG} is {how!r} for a {kind}; use one of: {choices}")
    with records.CHANGING:
        records.servers(cloud).kill(records.cluster_of(cloud, region, record))
        if how in STATES:
            record["shape"]["DBInstanceStatus"] = how
            records.pass_through(record)
    if how in STATES:
        happened(cloud, region, STATES[how], record["shape"]["DBInstanceIdentifier"])
