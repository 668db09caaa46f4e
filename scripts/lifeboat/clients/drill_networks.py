"""The network of drills as EC2 has it now: its routes, its gateways, and where its two security groups let out to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.drill_model import LetOut, NetworkSeen, Route
from lifeboat.model import DrillNetwork

_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
)
_OUT_TO = ("CidrIpv4", "CidrIpv6", "PrefixListId")
LOCAL = "local"  # the route of each table to the network itself


class DrillNetworks:
    """What leads out of networks, in one region."""

    def __init__(self, *, ec2: Any) -> None:
        self._ec2 = ec2

    def seen(self, network: DrillNetwork) -> NetworkSeen:
        """Return what could lead out of a network: every table of it, for a subnet can be given another one at any time."""
        with translated(f"look at what leads out of the network of the subnets {', '.join(network.subnet_ids)}"):
            subnets = self._ec2.describe_subnets(SubnetIds=list(network.subnet_ids))["Subnets"]
            networks = sorted({subnet["VpcId"] for subnet in subnets})
            groups = [network.security_groups.database, network.security_groups.instance]
            return NetworkSeen(
                routes=tuple(self._routes(networks)),
                gateways=tuple(self._gateways(networks)),
                lets_out=tuple(self._lets_out(groups)),
            )

    def _routes(self, networks: Sequence[str]) -> Iterator[Route]:
        filters = [{"Name": "vpc-id", "Values": list(networks)}]
        for table in sdk.items(self._ec2, "describe_route_tables", "RouteTables", Filters=filters):
            for route in table["Routes"]:
                by = _first(route, _TARGETS)
                if by != LOCAL:
                    yield Route(table=table["RouteTableId"], to=_first(route, _DESTINATIONS), by=by)

    def _gateways(self, networks: Sequence[str]) -> Iterator[str]:
        filters = [{"Name": "attachment.vpc-id", "Values": list(networks)}]
        for gateway in sdk.items(self._ec2, "describe_internet_gateways", "InternetGateways", Filters=filters):
            yield gateway["InternetGatewayId"]

    def _lets_out(self, groups: Sequence[str]) -> Iterator[LetOut]:
        filters = [{"Name": "group-id", "Values": list(groups)}]
        for rule in sdk.items(self._ec2, "describe_security_group_rules", "SecurityGroupRules", Filters=filters):
            if rule["IsEgress"]:
                other = rule.get("ReferencedGroupInfo", {})
                yield LetOut(
                    group=rule["GroupId"],
                    rule=rule["SecurityGroupRuleId"],
                    to=_first(rule, _OUT_TO) or str(other.get("GroupId", "?")),
                    stays="GroupId" in other and "VpcPeeringConnectionId" not in other,
                )


def _first(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of these that there is; "" where there is none."""
    return next((str(found[name]) for name in names if found.get(name)), "")
