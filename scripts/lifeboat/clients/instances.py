"""The application's EC2 instances: which there are, stopped and terminated by id; and how many more the account allows."""

from __future__ import annotations

import re
from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.model import ImageId, Instance, InstanceId, Owner, Room

_ALIVE = ("pending", "running", "stopping", "stopped")
# Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances, in vCPUs (Service Quotas, service code ec2).
_STANDARD = "L-1216C47A"
# Of a family's name what stands before its number; with is and im for is4gen and im4gn. Accelerated ones such as inf,
# trn and dl, hpc and mac have quotas of their own (EC2 user guide, "On-Demand Instance quotas").
_STANDARD_FAMILIES = {"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}
_NOT_THERE = ("InvalidInstanceID.NotFound",)


class Instances:
    """The instances of one region that bear our tags."""

    def __init__(self, *, ec2: Any, quotas: Any, owner: Owner) -> None:
        self._ec2 = ec2
        self._quotas = quotas
        self._owner = owner

    def alive(self) -> list[Instance]:
        """Return our instances that exist and are not being terminated, oldest first."""
        filters = [
            {"Name": "tag:application", "Values": [self._owner.application]},
            {"Name": "tag:environment", "Values": [self._owner.environment]},
            {"Name": "instance-state-name", "Values": list(_ALIVE)},
        ]
        with translated("list the application's instances"):
            found = sdk.items(self._ec2, "describe_instances", "Reservations", Filters=filters)
            return sorted(
                (_instance(one) for reservation in found for one in reservation["Instances"]),
                key=lambda one: (one.launched_at, one.id),
            )

    def instance(self, instance: InstanceId) -> Instance | None:
        """Return one instance, whatever its state; None when EC2 does not know it (any more)."""
        with translated(f"look at {instance}"):
            answer = sdk.unless_absent(_NOT_THERE, lambda: self._ec2.describe_instances(InstanceIds=[instance]))
        found = [one for reservation in answer["Reservations"] for one in reservation["Instances"]] if answer else []
        return _instance(found[0]) if found else None

    def is_well(self, instance: InstanceId) -> bool:
        """Return whether it runs and passes both of EC2's status checks: of the machine, not of what runs on it."""
        with translated(f"look at the status of {instance}"):
            answer = sdk.unless_absent(_NOT_THERE, lambda: self._ec2.describe_instance_status(InstanceIds=[instance]))
        found = answer["InstanceStatuses"] if answer else []  # of instances that run alone
        return bool(found) and all(found[0][kind]["Status"] == "ok" for kind in ("InstanceStatus", "SystemStatus"))

    def stop(self, instance: InstanceId) -> None:
        """Order an instance to stop; it is not waited for."""
        with translated(f"stop {instance}"):
            self._ec2.stop_instances(InstanceIds=[instance])

    def terminate(self, instance: InstanceId) -> None:
        """Order an instance to terminate; one that is gone already is as good."""
        with translated(f"terminate {instance}"):
            sdk.unless_absent(_NOT_THERE, lambda: self._ec2.terminate_instances(InstanceIds=[instance]))

    def room(self, kind: str) -> Room | None:
        """Return whether the account may run one more instance of a type; None for types that this quota is not about."""
        if not _is_standard(kind):
            return None
        with translated("look at the quota of EC2 instances"):
            limit = self._quotas.get_service_quota(ServiceCode="ec2", QuotaCode=_STANDARD)["Quota"]["Value"]
            running = sdk.items(
                self._ec2,
                "describe_instances",
                "Reservations",
                Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}],
            )
            instances = [one for reservation in running for one in reservation["Instances"]]
            on_demand = [one for one in instances if one.get("InstanceLifecycle") != "spot"]  # which has its own quota
            standard = [kind for kind in (one["InstanceType"] for one in on_demand) if _is_standard(kind)]
            sizes = self._sizes({kind, *standard})
        return Room(needed=sizes[kind], used=sum(sizes[one] for one in standard), limit=int(limit))

    def _sizes(self, kinds: set[str]) -> dict[str, int]:
        found = sdk.items(self._ec2, "describe_instance_types", "InstanceTypes", InstanceTypes=sorted(kinds))
        return {one["InstanceType"]: int(one["VCpuInfo"]["DefaultVCpus"]) for one in found}


def _is_standard(kind: str) -> bool:
    return re.split(r"\d|-", kind, maxsplit=1)[0] in _STANDARD_FAMILIES


def _instance(found: Any) -> Instance:
    return Instance(
        id=InstanceId(found["InstanceId"]),
        state=found["State"]["Name"],
        image=ImageId(found["ImageId"]) if "ImageId" in found else None,
        kind=str(found.get("InstanceType", "")),
        launched_at=found["LaunchTime"],
        address=found.get("PublicIpAddress"),
    )
