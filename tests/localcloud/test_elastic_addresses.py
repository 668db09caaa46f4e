"""Elastic addresses that answer: they follow their association, and nobody answers without one."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.machines import WITH_DOCKER, Machines, asked, until

RUN = "docker run --detach --name app --restart always --publish 8080:8080 --env APP_SECRET_NAME=none/database"


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def group(machines: Machines) -> str:
    """Return a security group that lets everybody in on port 8080."""
    created = machines.ec2.create_security_group(GroupName="app", Description="app")["GroupId"]
    machines.ec2.authorize_security_group_ingress(
        GroupId=created, IpProtocol="tcp", FromPort=8080, ToPort=8080, CidrIp="0.0.0.0/0"
    )
    return str(created)


@pytest.fixture(scope="module")
def pair(machines: Machines, group: str) -> tuple[str, str]:
    """Return two hosts: the first runs app:1, the second app:2."""
    first, second = (machines.launch(f"{WITH_DOCKER}{RUN} app:{tag}\n", SecurityGroupIds=[group]) for tag in ("1", "2"))
    return first, second


@pytest.fixture
def elastic(machines: Machines) -> dict[str, str]:
    allocated: dict[str, str] = machines.ec2.allocate_address(Domain="vpc")
    return allocated


def version(elastic: dict[str, str]) -> str | None:
    status, text = asked(f"http://{elastic['PublicIp']}:8080/version")
    return str(json.loads(text)["version"]) if status == 200 else None


def associate(machines: Machines, elastic: dict[str, str], instance: str, *, moving: bool = True) -> str:
    answer = machines.ec2.associate_address(
        AllocationId=elastic["AllocationId"], InstanceId=instance, AllowReassociation=moving
    )
    return str(answer["AssociationId"])


def test_an_address_without_association_refuses_connections(elastic: dict[str, str]) -> None:
    status, text = asked(f"http://{elastic['PublicIp']}:8080/")

    assert elastic["PublicIp"].startswith("127.")
    assert (status, "Connection refused" in text) == (0, True)


def test_an_address_follows_its_association(machines: Machines, pair: tuple[str, str], elastic: dict[str, str]) -> None:
    associate(machines, elastic, pair[0])
    until(lambda: version(elastic) == "1")

    associate(machines, elastic, pair[1])
    until(lambda: version(elastic) == "2")
    left, holder = (machines.described(instance) for instance in pair)

    assert "PublicIpAddress" not in left
    assert holder["PublicIpAddress"] == elastic["PublicIp"]


def test_an_address_that_is_taken_moves_only_when_asked_to(
    machines: Machines, pair: tuple[str, str], elastic: dict[str, str]
) -> None:
    associate(machines, elastic, pair[0])

    with pytest.raises(ClientError, match="Resource.AlreadyAssociated"):
        associate(machines, elastic, pair[1], moving=False)
    until(lambda: version(elastic) == "1")


def test_a_disassociated_and_released_address_answers_nobody(
    machines: Machines, pair: tuple[str, str], elastic: dict[str, str]
) -> None:
    association = associate(machines, elastic, pair[0])
    until(lambda: version(elastic) == "1")

    machines.ec2.disassociate_address(AssociationId=association)
    alone = asked(f"http://{elastic['PublicIp']}:8080/version")[0]
    machines.ec2.release_address(AllocationId=elastic["AllocationId"])

    assert alone == 0
    with pytest.raises(ClientError, match="InvalidAllocationID.NotFound"):
        associate(machines, elastic, pair[0])


def test_the_old_association_is_gone_once_the_address_moved(
    machines: Machines, pair: tuple[str, str], elastic: dict[str, str]
) -> None:
    old = associate(machines, elastic, pair[0])
    associate(machines, elastic, pair[1])

    with pytest.raises(ClientError, match="InvalidAssociationID.NotFound"):
        machines.ec2.disassociate_address(AssociationId=old)
    until(lambda: version(elastic) == "2")


def test_only_published_ports_are_reachable(machines: Machines, pair: tuple[str, str], elastic: dict[str, str]) -> None:
    associate(machines, elastic, pair[0])

    assert asked(f"http://{elastic['PublicIp']}:1338/latest/meta-data/instance-id")[0] == 0


def test_a_port_that_no_security_group_opens_answers_nobody(
    machines: Machines, group: str, elastic: dict[str, str]
) -> None:
    closed = machines.ec2.create_security_group(GroupName="closed", Description="closed")["GroupId"]
    host = machines.launch(f"{WITH_DOCKER}{RUN} app:1\n", SecurityGroupIds=[closed])
    associate(machines, elastic, host)
    inside = f"http://{machines.described(host)['PrivateIpAddress']}:8080/version"
    until(lambda: asked(inside)[0] == 200)
    before = version(elastic)

    machines.ec2.modify_instance_attribute(InstanceId=host, Groups=[group])

    assert before is None
    until(lambda: version(elastic) == "1")


def test_a_terminated_host_gives_its_address_back(machines: Machines, group: str, elastic: dict[str, str]) -> None:
    host = machines.launch(f"{WITH_DOCKER}{RUN} app:1\n", SecurityGroupIds=[group])
    associate(machines, elastic, host)
    until(lambda: version(elastic) == "1")

    machines.ec2.terminate_instances(InstanceIds=[host])
    machines.until(lambda: machines.state(host) == "terminated")
    address = machines.ec2.describe_addresses(AllocationIds=[elastic["AllocationId"]])["Addresses"][0]

    assert not address.get("InstanceId")
    assert "AssociationId" not in address
    assert version(elastic) is None


def test_an_address_answers_again_after_a_load(
    cloud: RunningCloud, machines: Machines, pair: tuple[str, str], elastic: dict[str, str]
) -> None:
    associate(machines, elastic, pair[1])
    until(lambda: version(elastic) == "2")
    cloud.control("save", name="with-address")
    machines.ec2.release_address(AllocationId=elastic["AllocationId"])

    cloud.control("load", name="with-address")

    until(lambda: version(elastic) == "2")
