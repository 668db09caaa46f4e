"""What an apply would write again is found too, by the id that Terraform imports it by, and only where it surely is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from lifeboat.clients.inventory import Inventory
from lifeboat.clients.inventory_rewritten import EVERYTHING, REWRITTEN
from lifeboat.model import Address, Candidate, Wanted

from tests.conftest import RunningCloud

OURS = {"application": "app-local", "environment": "local"}
PAIRS = [{"Key": key, "Value": value} for key, value in OURS.items()]
SMALL = [{"key": key, "value": value} for key, value in OURS.items()]
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]})


def inventory(cloud: RunningCloud, chosen: Mapping[Address, str] | None = None) -> Inventory:
    return Inventory(
        client=cloud.client,
        region="eu-west-1",
        dr_region="eu-central-1",
        application="app-local",
        environment="local",
        finders=EVERYTHING,
        chosen=chosen,
    )


def wanted(kind: str, **values: Any) -> Wanted:
    return Wanted(address=Address(f"{kind}.this"), resource_type=kind, values=values, begun=True)


def found(cloud: RunningCloud, kind: str, **values: Any) -> list[str]:
    return [one.import_id for one in inventory(cloud).candidates(wanted(kind, **values))]


def test_what_is_not_there_is_not_found(cloud: RunningCloud) -> None:
    nothing = {
        **{"vpc_id": "vpc-0", "allocation_id": "eipalloc-0", "instance_id": "i-0", "role": "nobody", "name": "nothing"},
        **{"policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAccess", "secret_id": "nothing", "family": "nothing"},
        **{"rule": "nothing", "target_id": "alarms", "alarm_name": "nothing", "protocol": "email", "endpoint": "a@b.c"},
        **{"dashboard_name": "nothing"},
        **{"arn": "arn:aws:sns:eu-west-1:123456789012:no", "topic_arn": "arn:aws:sns:eu-west-1:123456789012:no"},
    }

    assert {kind: found(cloud, kind, **nothing) for kind in REWRITTEN} == {kind: [] for kind in REWRITTEN}


def test_the_network_and_the_address_have_what_belongs_to_them(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    (group,) = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [network]}])["SecurityGroups"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    instances = [
        ec2.run_instances(ImageId="ami-0f000000000000001", InstanceType="t3.small", MinCount=1, MaxCount=1)[
            "Instances"
        ][0]
        for _ in "ab"
    ]
    mine, other = (instance["InstanceId"] for instance in instances)
    association = ec2.associate_address(AllocationId=address, InstanceId=mine)["AssociationId"]

    assert found(cloud, "aws_default_security_group", vpc_id=network) == [group["GroupId"]]
    assert found(cloud, "aws_eip_association", allocation_id=address, instance_id=mine) == [association]
    assert found(cloud, "aws_eip_association", allocation_id=address, instance_id=other) == []


def test_roles_and_secrets_have_their_policies_and_versions(cloud: RunningCloud) -> None:
    iam, secrets = cloud.client("iam"), cloud.client("secretsmanager")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument="{}")
    iam.put_role_policy(RoleName="worker", PolicyName="own", PolicyDocument=POLICY)
    policy = iam.create_policy(PolicyName="given", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="worker", PolicyArn=policy)
    made = secrets.create_secret(Name="app/db", SecretString="first")
    current = secrets.put_secret_value(SecretId="app/db", SecretString="second")["VersionId"]

    assert found(cloud, "aws_iam_role_policy", role="worker", name="own") == ["worker:own"]
    assert found(cloud, "aws_iam_role_policy", role="worker", name="another") == []
    assert found(cloud, "aws_iam_role_policy_attachment", role="worker", policy_arn=policy) == [f"worker/{policy}"]
    assert found(cloud, "aws_secretsmanager_secret_version", secret_id=made["ARN"]) == [f"{made['ARN']}|{current}"]


def test_the_dump_job_is_the_newest_revision_of_exactly_its_family(cloud: RunningCloud) -> None:
    ecs = cloud.client("ecs")
    ecs.create_cluster(clusterName="app-dump", tags=SMALL)
    container = [{"name": "c", "image": "i", "memory": 64}]
    arns = [
        ecs.register_task_definition(family=family, containerDefinitions=container, tags=SMALL)["taskDefinition"][
            "taskDefinitionArn"
        ]
        for family in ("app-dump", "app-dump", "app-dump-other")
    ]

    assert found(cloud, "aws_ecs_cluster", name="app-dump") == ["app-dump"]
    assert found(cloud, "aws_ecs_task_definition", family="app-dump") == [arns[1]]


def test_alarms_and_topics_have_what_belongs_to_them(cloud: RunningCloud) -> None:
    events, sns, alarms = cloud.client("events"), cloud.client("sns"), cloud.client("cloudwatch")
    events.put_rule(Name="app-rule", EventPattern='{"source": ["aws.rds"]}', Tags=PAIRS)
    topic = sns.create_topic(Name="app-alarms")["TopicArn"]
    events.put_targets(Rule="app-rule", Targets=[{"Id": "alarms", "Arn": topic}])
    queue = "arn:aws:sqs:eu-west-1:123456789012:app"
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    alarms.put_metric_alarm(
        AlarmName="app-stale",
        MetricName="Age",
        Namespace="Lifeboat",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Maximum",
        ComparisonOperator="GreaterThanThreshold",
        Tags=PAIRS,
    )

    alarms.put_dashboard(DashboardName="app-recovery", DashboardBody='{"widgets": []}')

    (rule,) = inventory(cloud).candidates(wanted("aws_cloudwatch_event_rule", name="app-rule"))
    assert rule == Candidate(import_id="app-rule", tagged=True, ours=True, owner=OURS)
    assert found(cloud, "aws_cloudwatch_event_target", rule="app-rule", target_id="alarms") == ["app-rule/alarms"]
    assert found(cloud, "aws_cloudwatch_event_target", rule="app-rule", target_id="another") == []
    assert found(cloud, "aws_cloudwatch_metric_alarm", alarm_name="app-stale") == ["app-stale"]
    assert found(cloud, "aws_cloudwatch_dashboard", dashboard_name="app-recovery") == ["app-recovery"]
    assert found(cloud, "aws_sns_topic_policy", arn=topic) == [topic]
    assert found(cloud, "aws_sns_topic_subscription", topic_arn=topic, protocol="sqs", endpoint=queue) == [subscription]
    assert found(cloud, "aws_sns_topic_subscription", topic_arn=topic, protocol="sqs", endpoint="other") == []


@pytest.mark.parametrize("said", ["second", "unheard-of"])
def test_of_several_things_the_chosen_one_is_it_and_has_the_children(cloud: RunningCloud, said: str) -> None:
    ec2 = cloud.client("ec2")
    tags = [{"ResourceType": "vpc", "Tags": [*PAIRS, {"Key": "Name", "Value": f"two-{said}"}]}]
    first, second = (ec2.create_vpc(CidrBlock="10.8.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"] for _ in "ab")
    network = Wanted(
        address=Address("aws_vpc.this"),
        resource_type="aws_vpc",
        values={"tags_all": {**OURS, "Name": f"two-{said}"}},
        begun=True,
    )
    closed = Wanted(
        address=Address("aws_default_security_group.this"),
        resource_type="aws_default_security_group",
        values={},
        begun=True,
        parents={"vpc_id": network},
    )
    chosen = inventory(cloud, {network.address: second if said == "second" else "vpc-unheard-of"})

    both = inventory(cloud).candidates(network)
    (one,) = chosen.candidates(network)
    groups = chosen.candidates(closed)

    assert {candidate.import_id for candidate in both} == {first, second}
    assert one.import_id == (second if said == "second" else "vpc-unheard-of")
    assert len(groups) == (1 if said == "second" else 0)
