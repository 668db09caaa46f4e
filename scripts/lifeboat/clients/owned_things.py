"""What bears the environment's tags in AWS, of the kinds of which a second one costs money or data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lifeboat.clients import sdk
from lifeboat.model import Owner
from lifeboat.state_model import OwnedThing

Region = str
KINDS = ("aws_instance", "aws_db_instance", "aws_eip", "aws_s3_bucket", "aws_vpc")
_UNTAGGED = ("NoSuchTagSet", "NoSuchBucket")
_ALIVE = ["pending", "running", "stopping", "stopped"]


class OwnedThings:
    """The things of one application and environment."""

    def __init__(self, *, client: Callable[[str, str], Any], owner: Owner) -> None:
        self._client = client
        self._owner = owner

    def of_kind(self, kind: str, region: Region) -> tuple[OwnedThing, ...]:
        """Return what there is of one of KINDS in a region; what is being deleted does not count."""
        with sdk.translated(f"list what bears our tags in {region} ({kind})"):
            return tuple(_LISTED[kind](self, kind, region))

    def _ours(self, tags: Mapping[str, str]) -> bool:
        owner = self._owner
        return (tags.get("application"), tags.get("environment")) == (owner.application, owner.environment)

    @property
    def _filters(self) -> list[dict[str, Any]]:
        owner = {"application": self._owner.application, "environment": self._owner.environment}
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in owner.items()]

    def _instances(self, kind: str, region: Region) -> Iterator[OwnedThing]:
        filters = [*self._filters, {"Name": "instance-state-name", "Values": _ALIVE}]
        for reservation in sdk.items(
            self._client("ec2", region), "describe_instances", "Reservations", Filters=filters
        ):
            for instance in reservation["Instances"]:
                about = _about(instance["State"]["Name"], instance.get("LaunchTime"))
                yield _thing(kind, region, about, instance["InstanceId"])

    def _databases(self, kind: str, region: Region) -> Iterator[OwnedThing]:
        for database in sdk.items(self._client("rds", region), "describe_db_instances", "DBInstances"):
            if database["DBInstanceStatus"] != "deleting" and self._ours(sdk.tags(database.get("TagList", []))):
                about = _about(database["DBInstanceStatus"], database.get("InstanceCreateTime"))
                # Terraform's id of it is the second one.
                yield _thing(kind, region, about, database["DBInstanceIdentifier"], database["DbiResourceId"])

    def _addresses(self, kind: str, region: Region) -> Iterator[OwnedThing]:
        for address in self._client("ec2", region).describe_addresses(Filters=self._filters)["Addresses"]:
            of = address.get("InstanceId") or address.get("NetworkInterfaceId")
            about = f"{address['PublicIp']}, {f'associated with {of}' if of else 'associated with nothing'}"
            yield _thing(kind, region, about, address["AllocationId"], address["PublicIp"])

    def _buckets(self, kind: str, region: Region) -> Iterator[OwnedThing]:
        s3 = self._client("s3", region)
        # All of ours are called so, and of others we may not see the tags.
        asked = {"Prefix": f"{self._owner.application}-", "BucketRegion": region}
        for bucket in sdk.items(s3, "list_buckets", "Buckets", **asked):
            name = bucket["Name"]
            tags = sdk.unless_absent(_UNTAGGED, partial(s3.get_bucket_tagging, Bucket=name))
            if self._ours(sdk.tags((tags or {}).get("TagSet", []))):
                yield _thing(kind, region, _about("", bucket.get("CreationDate")), name)

    def _networks(self, kind: str, region: Region) -> Iterator[OwnedThing]:
        for network in sdk.items(self._client("ec2", region), "describe_vpcs", "Vpcs", Filters=self._filters):
            yield _thing(kind, region, network["CidrBlock"], network["VpcId"])


_LISTED: dict[str, Callable[[OwnedThings, str, Region], Iterator[OwnedThing]]] = {
    "aws_instance": OwnedThings._instances,
    "aws_db_instance": OwnedThings._databases,
    "aws_eip": OwnedThings._addresses,
    "aws_s3_bucket": OwnedThings._buckets,
    "aws_vpc": OwnedThings._networks,
}


def _about(status: str, made: datetime | None) -> str:
    """Return how a thing is and since when it exists, as far as AWS says so."""
    since = "" if made is None else f"made {made.astimezone(UTC):%Y-%m-%d %H:%M}Z"
    return ", ".join(part for part in (status, since) if part)


def _thing(kind: str, region: Region, about: str, *ids: str) -> OwnedThing:
    return OwnedThing(kind=kind, region=region, name=ids[0], ids=frozenset(ids), about=about)
