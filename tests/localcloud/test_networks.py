"""What is in another network, or in none: refused as AWS refuses it; and an instance that nothing leads to cannot be asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.machines import BASE_IMAGE, READS_SECRETS, TRUST, Machines

REGION = "eu-west-1"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network without a way out: its subnets in two zones, and a security group in it."""

    vpc: str
    subnets: list[str]
    group: str


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


def network(machines: Machines, cidr: str) -> Network:
    ec2 = machines.ec2
    vpc = ec2.create_vpc(CidrBlock=f"{cidr}.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{cidr}.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(GroupName=f"g-{cidr}", Description="g", VpcId=vpc)["GroupId"]
    return Network(vpc=vpc, subnets=subnets, group=group)


@pytest.fixture(scope="module")
def isolated(machines: Machines) -> Network:
    return network(machines, "10.77")


@pytest.fixture(scope="module")
def other(machines: Machines) -> Network:
    return network(machines, "10.78")


def refused(order: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        order()
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def subnet_group(cloud: RunningCloud, subnets: list[str]) -> str:
    name = f"group-{uuid4().hex[:6]}"
    cloud.client("rds").create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="d", SubnetIds=subnets)
    return name


def launch(machines: Machines, **asked: Any) -> str:
    wanted = {"ImageId": BASE_IMAGE, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    return str(machines.ec2.run_instances(**{**wanted, **asked})["Instances"][0]["InstanceId"])


# -- databases ---------------------------------------------------------------------------------------------------------


def test_a_subnet_group_of_a_subnet_that_is_not_there_is_refused(cloud: RunningCloud, isolated: Network) -> None:
    wanted = [isolated.subnets[0], "subnet-00000000000000000"]

    assert refused(lambda: subnet_group(cloud, wanted)) == (
        "InvalidSubnet",
        "Some input subnets in :[subnet-00000000000000000] are invalid.",
    )


def test_a_subnet_group_of_two_networks_is_refused(cloud: RunningCloud, isolated: Network, other: Network) -> None:
    code, _ = refused(lambda: subnet_group(cloud, [isolated.subnets[0], other.subnets[1]]))

    assert code == "InvalidParameterValue"


def test_a_database_in_one_network_takes_no_security_group_of_another(
    cloud: RunningCloud, isolated: Network, other: Network
) -> None:
    group = subnet_group(cloud, isolated.subnets)

    found = refused(
        lambda: cloud.client("rds").create_db_instance(
            DBInstanceIdentifier="mixed",
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="app_admin",
            MasterUserPassword="a-password",
            DBSubnetGroupName=group,
            VpcSecurityGroupIds=[other.group],
        )
    )

    assert found == (
        "InvalidParameterCombination",
        "The DB instance and EC2 security group are in different VPCs. The DB instance is in "
        f"{isolated.vpc} and the EC2 security group is in {other.vpc}",
    )


# -- instances ---------------------------------------------------------------------------------------------------------


def test_a_launch_into_a_subnet_that_is_not_there_is_refused(machines: Machines) -> None:
    assert refused(lambda: launch(machines, SubnetId="subnet-00000000000000000")) == (
        "InvalidSubnetID.NotFound",
        "The subnet ID 'subnet-00000000000000000' does not exist",
    )


def test_a_launch_with_a_security_group_of_another_network_is_refused(
    machines: Machines, isolated: Network, other: Network
) -> None:
    asked = {"SubnetId": isolated.subnets[0], "SecurityGroupIds": [other.group]}

    assert refused(lambda: launch(machines, **asked)) == (
        "InvalidParameter",
        f"Security group {other.group} and subnet {isolated.subnets[0]} belong to different networks.",
    )


def test_an_agent_without_a_way_to_ssm_is_not_online_and_with_endpoints_it_is(
    machines: Machines, isolated: Network
) -> None:
    instance = launch(
        machines,
        SubnetId=isolated.subnets[0],
        SecurityGroupIds=[isolated.group],
        IamInstanceProfile={"Name": machines.role()},
    )

    def online() -> bool:
        filters = [{"Key": "InstanceIds", "Values": [instance]}]
        return bool(machines.ssm.describe_instance_information(Filters=filters)["InstanceInformationList"])

    deadline = time.monotonic() + 60
    while machines.state(instance) != "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    alone = online()
    code, _ = refused(
        lambda: machines.ssm.send_command(
            InstanceIds=[instance], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]}
        )
    )
    for service in ("ssm", "ssmmessages"):
        machines.ec2.create_vpc_endpoint(
            VpcId=isolated.vpc,
            ServiceName=f"com.amazonaws.{REGION}.{service}",
            VpcEndpointType="Interface",
            SubnetIds=[isolated.subnets[0]],
        )

    assert (alone, code) == (False, "InvalidInstanceId")
    assert online()


# -- what an instance's role reads -------------------------------------------------------------------------------------


def secret(cloud: RunningCloud, name: str, **tags: str) -> str:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    client = cloud.client("secretsmanager")
    return str(client.create_secret(Name=name, SecretString="{}", Tags=pairs)["ARN"])


def as_role(cloud: RunningCloud, service: str, policy: dict[str, Any]) -> Any:
    """Return a client of Secrets Manager with the keys of a role that this service takes and that has this policy."""
    iam, name = cloud.client("iam"), f"role-{uuid4().hex[:6]}"
    trust = json.loads(json.dumps(TRUST).replace("ec2.amazonaws.com", service))
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    keys = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    return boto3.client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=cloud.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def allowing(resource: str, **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": [resource]}
    return {"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]}


def test_an_instance_reads_the_secrets_that_its_role_allows_and_no_other(cloud: RunningCloud) -> None:
    drill, production = secret(cloud, "app-drill-1/database"), secret(cloud, "app/database")
    reader = as_role(
        cloud, "ec2.amazonaws.com", allowing(f"arn:aws:secretsmanager:{REGION}:123456789012:secret:app-drill-*")
    )

    read = reader.get_secret_value(SecretId="app-drill-1/database")["ARN"]
    by_arn = reader.get_secret_value(SecretId=drill)["ARN"]

    assert (read, by_arn) == (drill, drill)
    for named in ("app/database", production, "app/none"):
        assert refused(lambda named=named: reader.get_secret_value(SecretId=named))[0] == "AccessDeniedException"


def test_a_condition_on_a_secrets_mark_is_weighed(cloud: RunningCloud) -> None:
    arns = [f"arn:aws:rds:{REGION}:123456789012:db:{name}" for name in ("app-drill-1", "app-g1")]
    ours, theirs = (secret(cloud, f"pw-{number}", owner=arn) for number, arn in enumerate(arns))
    reader = as_role(
        cloud,
        "ec2.amazonaws.com",
        allowing("*", ArnLike={"aws:ResourceTag/owner": f"arn:aws:rds:{REGION}:123456789012:db:app-drill-*"}),
    )

    assert reader.get_secret_value(SecretId=ours)["ARN"] == ours
    assert refused(lambda: reader.get_secret_value(SecretId=theirs))[0] == "AccessDeniedException"


def test_whoever_is_no_instance_reads_everything_as_before(cloud: RunningCloud) -> None:
    name = secret(cloud, "of-anybody")
    task = as_role(cloud, "ecs-tasks.amazonaws.com", allowing("arn:aws:secretsmanager:*:*:secret:none"))

    assert task.get_secret_value(SecretId=name)["ARN"] == name
    assert cloud.client("secretsmanager").get_secret_value(SecretId=name)["ARN"] == name


def test_the_role_of_the_tests_machines_reads_everything(cloud: RunningCloud) -> None:
    name = secret(cloud, "of-a-machine")

    assert as_role(cloud, "ec2.amazonaws.com", READS_SECRETS).get_secret_value(SecretId=name)["ARN"] == name
