"""What bears our tags, by kind and region: ours alone, and nothing that is going."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lifeboat.clients.owned_things import KINDS, OwnedThings
from lifeboat.errors import Unreachable
from lifeboat.model import Owner

from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION, REGION

OURS = [{"Key": "application", "Value": "app-x"}, {"Key": "environment", "Value": "x"}]
THEIRS = [{"Key": "application", "Value": "app-x"}, {"Key": "environment", "Value": "y"}]
ASKS = {
    "aws_instance": ("ec2", "DescribeInstances"),
    "aws_db_instance": ("rds", "DescribeDBInstances"),
    "aws_eip": ("ec2", "DescribeAddresses"),
    "aws_s3_bucket": ("s3", "ListBuckets|GetBucketTagging"),
    "aws_vpc": ("ec2", "DescribeVpcs"),
}


def tagged(kind: str, tags: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags}]


@pytest.fixture(scope="module")
def made(cloud: RunningCloud) -> dict[tuple[str, str], set[str]]:
    """Make one thing of each kind, ours in the primary region and theirs beside it; return the ids of ours."""
    ec2, s3, rds = cloud.client("ec2"), cloud.client("s3"), cloud.client("rds")
    ours: dict[tuple[str, str], set[str]] = {}
    for tags in (OURS, THEIRS, []):
        name = f"app-x-{len(tags) and tags[1]['Value']}"
        specification: dict[str, Any] = {"TagSpecifications": tagged("elastic-ip", tags)} if tags else {}
        address = ec2.allocate_address(Domain="vpc", **specification)
        specification = {"TagSpecifications": tagged("vpc", tags)} if tags else {}
        network = ec2.create_vpc(CidrBlock="10.1.0.0/16", **specification)["Vpc"]
        s3.create_bucket(Bucket=f"{name}-b", CreateBucketConfiguration={"LocationConstraint": REGION})
        if tags:
            s3.put_bucket_tagging(Bucket=f"{name}-b", Tagging={"TagSet": tags})
        if tags is OURS:
            ours["aws_eip", REGION] = {address["AllocationId"], address["PublicIp"]}
            ours["aws_vpc", REGION] = {network["VpcId"]}
            ours["aws_s3_bucket", REGION] = {f"{name}-b"}
    database = rds.create_db_instance(
        DBInstanceIdentifier="app-x-g1",
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword="Canary-Pass+1",
        Tags=OURS,
    )["DBInstance"]
    ours["aws_db_instance", REGION] = {"app-x-g1", database["DbiResourceId"]}
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    instances = [
        ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro", TagSpecifications=tagged("instance", OURS)
        )["Instances"][0]["InstanceId"]
        for _ in range(2)
    ]
    ec2.terminate_instances(InstanceIds=instances[1:])
    ours["aws_instance", REGION] = {instances[0]}
    return ours


@pytest.fixture
def things(cloud: RunningCloud) -> Iterator[OwnedThings]:
    owner = Owner(account_id=ACCOUNT, application="app-x", environment="x")
    yield OwnedThings(client=cloud.client, owner=owner)
    cloud.control("faults", clear=True)


@pytest.mark.parametrize("kind", KINDS)
def test_of_each_kind_what_is_ours_is_listed_where_it_is_with_all_its_names(
    made: dict[tuple[str, str], set[str]], things: OwnedThings, kind: str
) -> None:
    here, there = things.of_kind(kind, REGION), things.of_kind(kind, DR_REGION)

    assert [(thing.kind, thing.region, set(thing.ids)) for thing in here] == [(kind, REGION, made[kind, REGION])]
    assert here[0].name in here[0].ids
    assert there == ()


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_not_be_listed_is_not_absent(
    made: dict[tuple[str, str], set[str]], things: OwnedThings, cloud: RunningCloud, kind: str
) -> None:
    service, operation = ASKS[kind]
    cloud.control("faults", add={"service": service, "operation": operation, "code": "AccessDenied", "status": 403})

    with pytest.raises(Unreachable, match="AccessDenied"):
        things.of_kind(kind, REGION)
