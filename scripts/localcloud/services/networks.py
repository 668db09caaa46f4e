"""What a network lets through, as far as the local cloud shows it: whether AWS itself is reached, and what is in which VPC."""

from __future__ import annotations

from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around

ANYWHERE = "0.0.0.0/0"
# The agent speaks to both; ec2messages is for agents of before 2023 (Systems Manager user guide, "VPC endpoints").
AGENT_SERVICES = {"ssm", "ssmmessages"}


def reaches_ssm(cloud: Cloud, region: str, instance: Any) -> bool:
    """Return whether an instance's agent has a way to SSM: a route to anywhere, or endpoints in its own network."""
    backend = cloud.moto("ec2", region)
    if not instance.subnet_id:
        return True
    subnet = backend.get_subnet(instance.subnet_id)
    if backend.vpcs[subnet.vpc_id].is_default:  # which AWS makes with a way out
        return True
    routes = _table(backend, subnet).routes
    if any(route.destination_cidr_block == ANYWHERE for route in routes):
        return True
    return endpoints(backend, subnet.vpc_id) >= AGENT_SERVICES


def endpoints(backend: Any, vpc_id: str) -> set[str]:
    """Return the services of AWS that a network has interface endpoints of, by their short names."""
    return {
        str(endpoint.service_name).rpartition(".")[2]
        for endpoint in backend.vpc_end_points.values()
        if endpoint.vpc_id == vpc_id and str(endpoint.vpc_endpoint_type).lower() == "interface"
    }


def _table(backend: Any, subnet: Any) -> Any:
    tables = [table for table in backend.route_tables.values() if table.vpc_id == subnet.vpc_id]
    own = (table for table in tables if subnet.id in table._associations.values())
    return next(own, None) or next(table for table in tables if table.main_association_id is not None)


def check_launch(call: Call) -> None:
    """Refuse a launch into a subnet that does not exist, or with security groups of another network than the subnet's."""
    backend = call.cloud.moto("ec2", call.region)
    subnet_id = call.params.get("SubnetId")
    if subnet_id is None:
        return
    subnet = next((one for one in backend.describe_subnets() if one.id == subnet_id), None)
    if subnet is None:
        raise Refused("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    for name in call.params.get("SecurityGroupIds", []):
        group = backend.get_security_group_from_id(name)
        if group is None:
            raise Refused("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
        if group.vpc_id != subnet.vpc_id:
            raise Refused(
                "InvalidParameter", f"Security group {name} and subnet {subnet_id} belong to different networks."
            )


@around("rds", "CreateDBSubnetGroup", "ModifyDBSubnetGroup")
def check_subnets(call: Call, proceed: Any) -> Answer:
    """Refuse a subnet group of subnets that do not exist, or of more than one network."""
    asked = call.params.get("SubnetIds", [])
    known = {subnet.id: subnet for subnet in call.cloud.moto("ec2", call.region).describe_subnets()}
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise Refused("InvalidSubnet", f"Some input subnets in :[{', '.join(unknown)}] are invalid.")
    if len({known[name].vpc_id for name in asked}) > 1:
        raise Refused("InvalidParameterValue", "The subnets of a DB subnet group must all be in one VPC.")
    answer: Answer = proceed()
    return answer
