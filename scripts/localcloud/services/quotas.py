"""Service Quotas: how many vCPUs of standard instances may run, which RunInstances holds to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around, operation

STANDARD = "L-1216C47A"
DEFAULT_VCPUS = 64.0
_FAMILIES = ("a", "c", "d", "h", "i", "m", "r", "t", "z")
_NAME = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"


@operation("service-quotas", "GetServiceQuota")
def get_service_quota(call: Call, **asked: Any) -> dict[str, Any]:
    """Return the one quota that is built; AWS's own answer to a code that it does not know, for any other."""
    if (asked["ServiceCode"], asked["QuotaCode"]) != ("ec2", STANDARD):
        raise Refused("NoSuchResourceException", "The request failed because the specified resource does not exist.")
    return {
        "Quota": {
            "ServiceCode": "ec2",
            "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaCode": STANDARD,
            "QuotaName": _NAME,
            "Value": limit(call.cloud, call.region),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
    }


@around("ec2", "RunInstances")
def hold_to_the_limit(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse a launch that would take more vCPUs than the account may use."""
    kind = call.params.get("InstanceType") or "t2.micro"
    if kind.startswith(_FAMILIES):
        backend = call.cloud.moto("ec2", call.region)
        running = [i.instance_type for i in backend.all_instances() if i.state in ("pending", "running")]
        wanted = _vcpus(kind) * int(call.params.get("MinCount", 1))
        used, allowed = sum(_vcpus(one) for one in running if one.startswith(_FAMILIES)), limit(call.cloud, call.region)
        if used + wanted > allowed:
            raise Refused(
                "VcpuLimitExceeded",
                f"You have requested more vCPU capacity than your current vCPU limit of {allowed:.0f} allows for the "
                "instance bucket that the specified instance type belongs to. Please visit "
                "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
            )
    return proceed()


def limit(cloud: Cloud, region: str) -> float:
    """Return how many vCPUs may run in a region."""
    return float(cloud.store("quotas", region).get(STANDARD, DEFAULT_VCPUS))


def change_limit(cloud: Cloud, region: str, vcpus: float) -> None:
    """Change it, as an increase that AWS granted does."""
    cloud.store("quotas", region)[STANDARD] = vcpus
    cloud.changed()


def _vcpus(kind: str) -> int:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    return int(INSTANCE_TYPES.get(kind, {}).get("VCpuInfo", {}).get("DefaultVCpus", 2))
