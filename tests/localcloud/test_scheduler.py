"""EventBridge Scheduler: what fires on a tick, and what AWS refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud

ROLE = "arn:aws:iam::123456789012:role/scheduler"
POWERLESS = "arn:aws:iam::123456789012:role/powerless"
STRANGER = "arn:aws:iam::123456789012:role/stranger"


@dataclass(frozen=True)
class Stage:
    """A queue that schedules send to."""

    cloud: RunningCloud
    queue: str
    queue_arn: str

    def create(self, name: str, expression: str, **changed: Any) -> None:
        target = {"Arn": self.queue_arn, "RoleArn": ROLE, "Input": name, **changed.pop("target", {})}
        asked = {"FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target, **changed}
        self.cloud.client("scheduler").create_schedule(Name=name, ScheduleExpression=expression, **asked)

    def tick(self, schedule: str) -> list[str]:
        return [line for line in self.cloud.control("tick", schedule=schedule)["fired"] if "schedule " in line]

    def received(self) -> list[str]:
        sqs = self.cloud.client("sqs")
        found = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return sorted(message["Body"] for message in found)


@pytest.fixture(scope="module")
def stage(cloud: RunningCloud) -> Stage:
    iam = cloud.client("iam")
    for name, service in (("scheduler", "scheduler"), ("powerless", "scheduler"), ("stranger", "ec2")):
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    allow = {"Effect": "Allow", "Action": ["sqs:SendMessage", "sns:Publish", "ecs:*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="scheduler",
        PolicyName="send",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="fired")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return Stage(cloud, queue, arn)


def test_a_tick_fires_what_is_due_and_nothing_else(stage: Stage) -> None:
    stage.create("every-day", "cron(0 3 * * ? *)")
    stage.create("every-hour", "rate(1 hour)")
    stage.create("every-month", "cron(0 3 1 * ? *)", ScheduleExpressionTimezone="Europe/Berlin")
    stage.create("off", "rate(1 day)", State="DISABLED")
    stage.create("passed", "at(2020-01-01T00:00:00)")
    stage.create("to-come", "at(2090-01-01T00:00:00)")

    first = stage.tick("daily")

    assert first == [
        f"schedule default/{name}: sent to {stage.queue_arn}" for name in ("every-day", "every-hour", "passed")
    ]
    assert stage.received() == ["every-day", "every-hour", "passed"]
    assert len(stage.tick("monthly")) == 1
    assert stage.received() == ["every-month"]
    assert len(stage.tick("daily")) == 2  # at(…) fires once


def test_what_is_due_together_fires_in_the_order_of_a_day(stage: Stage) -> None:
    stage.create("verify", "cron(10 4 * * ? *)")
    stage.create("status", "cron(17 * * * ? *)")
    stage.create(
        "kolkata", "cron(0 5 * * ? *)", ScheduleExpressionTimezone="Asia/Kolkata"
    )  # half past eleven at night, UTC
    stage.create("dump", "cron(30 1,13 * * ? *)")
    names = ("dump", "verify", "kolkata", "status")

    fired = [line.partition(":")[0].removeprefix("schedule default/") for line in stage.tick("daily")]

    assert [name for name in fired if name in names] == list(names)
    stage.received()
    for name in names:
        stage.cloud.client("scheduler").delete_schedule(Name=name)


def test_a_role_that_may_not_send_leaves_a_dead_letter(stage: Stage) -> None:
    sqs = stage.cloud.client("sqs")
    letters = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = stage.queue_arn.replace("fired", "dead")
    stage.create("forbidden", "rate(1 day)", target={"RoleArn": POWERLESS, "DeadLetterConfig": {"Arn": arn}})

    lines = stage.tick("daily")

    assert (
        f"schedule default/forbidden: FAILED the role {POWERLESS} is not authorized to perform sqs:SendMessage"
    ) in lines
    assert "forbidden" not in stage.received()
    assert sqs.receive_message(QueueUrl=letters)["Messages"][0]["Body"] == "forbidden"
    stage.cloud.client("scheduler").delete_schedule(Name="forbidden")


def test_a_schedule_of_a_cluster_runs_its_task(stage: Stage) -> None:
    ecs, ec2 = stage.cloud.client("ecs"), stage.cloud.client("ec2")
    cluster = ecs.create_cluster(clusterName="jobs")["cluster"]["clusterArn"]
    task = ecs.register_task_definition(
        family="dump",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "dump", "image": "app:1", "essential": True, "cpu": 256, "memory": 512}],
    )["taskDefinition"]["taskDefinitionArn"]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="jobs", Description="jobs", VpcId=vpc)["GroupId"]
    parameters = {
        "TaskDefinitionArn": task,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": [subnet], "SecurityGroups": [group]}},
    }
    good = json.dumps({"containerOverrides": [{"name": "dump", "command": ["true"]}]})
    bad = json.dumps({"containerOverrides": [{"name": "dump", "command": ["sh", "-c", "exit 11"]}]})
    stage.create("dump", "rate(1 day)", target={"Arn": cluster, "EcsParameters": parameters, "Input": good})
    stage.create("dump-bad", "rate(1 day)", target={"Arn": cluster, "EcsParameters": parameters, "Input": bad})

    lines = stage.tick("daily")

    arns = ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]
    by_code = {
        task["containers"][0]["exitCode"]: task["taskArn"]
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
    }
    assert f"schedule default/dump: task {by_code[0]} ended with exit code 0" in lines
    assert (
        f"schedule default/dump-bad: task {by_code[11]} FAILED: exit code 11 (Essential container in task exited)"
    ) in lines


@pytest.mark.parametrize(
    ("expression", "changed", "reason"),
    [
        ("every day", {}, "Invalid Schedule Expression"),
        ("rate(0 days)", {}, "Invalid Schedule Expression"),
        ("cron(0 3 * * *)", {}, "Invalid Schedule Expression"),
        ("at(tomorrow)", {}, "Invalid Schedule Expression"),
        ("rate(1 day)", {"ScheduleExpressionTimezone": "Mars/Base"}, "is not a time zone"),
        ("rate(1 day)", {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes is required"),
        ("rate(1 day)", {"target": {"RoleArn": STRANGER}}, "must allow AWS EventBridge Scheduler to assume the role"),
        (
            "rate(1 day)",
            {"target": {"Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/jobs"}},
            "EcsParameters is required",
        ),
    ],
)
def test_what_aws_refuses_is_refused(stage: Stage, expression: str, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClientError, match="ValidationException") as refusal:
        stage.create("wrong", expression, **changed)

    assert reason in refusal.value.response["Error"]["Message"]
    names = [found["Name"] for found in stage.cloud.client("scheduler").list_schedules()["Schedules"]]
    assert "wrong" not in names


def test_a_target_that_is_not_built_says_so(stage: Stage) -> None:
    function = "arn:aws:lambda:eu-west-1:123456789012:function:x"

    with pytest.raises(ClientError, match=r"LocalCloudNotImplemented.*schedules of lambda"):
        stage.create("function", "rate(1 day)", target={"Arn": function})
