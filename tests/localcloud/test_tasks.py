"""ECS tasks on Fargate: they run with their role, secrets and log, say how they ended, and what AWS refuses is refused."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.machines import until

ACCOUNT = "123456789012"
START, ROLE, STRANGER = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("starts", "works", "stranger"))
GROUP = "/jobs"


@dataclass(frozen=True)
class Stage:
    """A cluster, a network and roles for tasks, and a queue that hears of their states."""

    cloud: RunningCloud
    subnet: str
    security_group: str
    secret: str
    queue: str

    @property
    def ecs(self) -> Any:
        return self.cloud.client("ecs")

    def define(self, family: str, *command: str, **changed: Any) -> str:
        container: dict[str, Any] = {
            "name": "job",
            "image": "app:1",
            "essential": True,
            "command": list(command),
            "readonlyRootFilesystem": True,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": GROUP, "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "job"},
            },
            **changed.pop("container", {}),
        }
        asked = {
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": START,
            "taskRoleArn": ROLE,
            **changed,
        }
        answer = self.ecs.register_task_definition(
            family=family,
            containerDefinitions=[container],
            **{name: value for name, value in asked.items() if value is not None},
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def run(self, definition: str, **changed: Any) -> str:
        network = {"awsvpcConfiguration": {"subnets": [self.subnet], "securityGroups": [self.security_group]}}
        asked = {"cluster": "jobs", "launchType": "FARGATE", "networkConfiguration": network, **changed}
        answer = self.ecs.run_task(
            taskDefinition=definition, **{name: value for name, value in asked.items() if value is not None}
        )
        assert answer["failures"] == []
        return str(answer["tasks"][0]["taskArn"])

    def task(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_tasks(cluster="jobs", tasks=[arn])["tasks"][0]
        return found

    def ended(self, arn: str) -> dict[str, Any]:
        until(lambda: self.task(arn)["lastStatus"] == "STOPPED", 30)
        return self.task(arn)

    def output(self, arn: str) -> list[str]:
        stream = f"job/job/{arn.rpartition('/')[2]}"
        found = self.cloud.client("logs").get_log_events(logGroupName=GROUP, logStreamName=stream)["events"]
        return [event["message"] for event in found]

    def heard(self, arn: str) -> list[tuple[str, Any]]:
        """Return what the queue heard of a task: its states, and the exit codes that came with them."""
        states = []
        sqs = self.cloud.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                event = json.loads(message["Body"])
                if event["resources"] == [arn]:
                    states.append((event["detail"]["lastStatus"], event["detail"]["containers"][0].get("exitCode")))
        return states


@pytest.fixture(scope="module")
def stage(cloud: RunningCloud) -> Stage:
    iam, ec2, sqs, events = (cloud.client(name) for name in ("iam", "ec2", "sqs", "events"))
    for arn, service in ((START, "ecs-tasks"), (ROLE, "ecs-tasks"), (STRANGER, "ec2")):
        trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=arn.rpartition("/")[2], AssumeRolePolicyDocument=document)
    allowed = {"Effect": "Allow", "Action": ["logs:*", "secretsmanager:GetSecretValue"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="starts",
        PolicyName="start",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="jobs", Description="jobs", VpcId=vpc)["GroupId"]
    cloud.client("logs").create_log_group(logGroupName=GROUP)
    cloud.client("ecs").create_cluster(clusterName="jobs")
    secret = cloud.client("secretsmanager").create_secret(Name="job", SecretString=json.dumps({"token": "hunter2"}))
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="heard", EventPattern=json.dumps({"source": ["aws.ecs"]}))
    events.put_targets(Rule="heard", Targets=[{"Id": "queue", "Arn": queue_arn}])
    return Stage(cloud, subnet, group, secret["ARN"], queue)


# -- running -----------------------------------------------------------------------------------------------------------


def test_a_task_runs_its_command_and_says_how_it_ended(stage: Stage) -> None:
    arn = stage.run(stage.define("says", "sh", "-c", "echo one; echo two >&2; exit 7"))

    task = stage.ended(arn)

    assert (task["containers"][0]["exitCode"], task["stopCode"]) == (7, "EssentialContainerExited")
    assert task["stoppedReason"] == "Essential container in task exited"
    assert stage.output(arn) == ["one", "two"]
    assert stage.heard(arn) == [("RUNNING", None), ("STOPPED", 7)]


def test_a_task_works_with_its_role_and_secrets_and_writes_to_its_volume_alone(stage: Stage) -> None:
    script = (
        "python -c \"import boto3; print(boto3.client('sts', 'eu-west-1').get_caller_identity()['Arn'])\"; "
        'echo "$TOKEN $MORE $AWS_REGION"; touch "$SCRATCH/file" && echo written; '
        # Where no unprivileged account can reach the checkout, hosts and tasks run as root, whom no file mode stops.
        'touch here 2>/dev/null && test "$(id -u)" != 0 && echo changed || echo unchanged'
    )
    definition = stage.define(
        "works",
        "sh",
        "-c",
        script,
        volumes=[{"name": "scratch"}],
        container={
            "secrets": [{"name": "TOKEN", "valueFrom": f"{stage.secret}:token::"}],
            "environment": [{"name": "SCRATCH", "value": "/app/scratch"}],
            "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/app/scratch"}],
        },
    )
    arn = stage.run(
        definition,
        overrides={"containerOverrides": [{"name": "job", "environment": [{"name": "MORE", "value": "override"}]}]},
    )

    assert stage.ended(arn)["containers"][0]["exitCode"] == 0
    said = stage.output(arn)
    assert said[0].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/works/"), said[-6:]
    assert said[1:3] == ["hunter2 override eu-west-1", "written"]
    assert said[-1] == "unchanged"


def test_the_image_of_lifeboat_runs_its_command(stage: Stage) -> None:
    arn = stage.run(stage.define("own", "--help", container={"image": "lifeboat:1"}))

    assert stage.ended(arn)["containers"][0]["exitCode"] == 0
    assert any("Exit statuses" in line for line in stage.output(arn))


def test_a_stopped_task_gets_a_signal_and_time_to_end(stage: Stage) -> None:
    script = "trap 'echo stopping; exit 3' TERM; echo up; while :; do sleep 0.1; done"
    arn = stage.run(stage.define("stopped", "bash", "-c", script, container={"stopTimeout": 20}))
    until(lambda: stage.task(arn)["lastStatus"] == "RUNNING", 30)
    assert stage.ecs.list_tasks(cluster="jobs", family="stopped")["taskArns"] == [arn]
    assert stage.ecs.describe_clusters(clusters=["jobs"])["clusters"][0]["runningTasksCount"] == 1
    with pytest.raises(ClientError, match="ClusterContainsTasksException"):
        stage.ecs.delete_cluster(cluster="jobs")

    stage.ecs.stop_task(cluster="jobs", task=arn, reason="enough")

    task = stage.ended(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
    assert task["containers"][0]["exitCode"] in (3, 143)  # 143 when the signal came before the trap
    assert stage.ecs.list_tasks(cluster="jobs", family="stopped")["taskArns"] == []


def test_a_task_that_ran_when_the_cloud_was_saved_has_stopped_after_a_load(stage: Stage) -> None:
    arn = stage.run(stage.define("cut-off", "sleep", "600"))
    until(lambda: stage.task(arn)["lastStatus"] == "RUNNING", 30)
    stage.cloud.control("save", name="running")

    stage.cloud.control("load", name="running")

    task = stage.task(arn)
    assert (task["lastStatus"], task["containers"][0]["exitCode"]) == ("STOPPED", 137)
    assert task["stoppedReason"] == "The local cloud stopped while the task ran"


def test_only_what_did_not_end_by_itself_and_well_rings(stage: Stage) -> None:
    # As modules/backup-alarms has it.
    bad = [
        {"stopCode": [{"anything-but": ["EssentialContainerExited"]}]},
        {"containers": {"exitCode": [{"anything-but": [0]}]}},
    ]
    detail = {"group": [f"family:{name}" for name in ("good", "bad", "absent")], "lastStatus": ["STOPPED"], "$or": bad}
    sqs, events = stage.cloud.client("sqs"), stage.cloud.client("events")
    queue = sqs.create_queue(QueueName="rung")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="rung", EventPattern=json.dumps({"source": ["aws.ecs"], "detail": detail}))
    paths = {"family": "$.detail.group", "status": "$.detail.containers[0].exitCode"}
    template = {"InputPathsMap": paths, "InputTemplate": '"<family> <status>"'}
    events.put_targets(Rule="rung", Targets=[{"Id": "queue", "Arn": arn, "InputTransformer": template}])

    for family, command, image in (("good", "true", "app:1"), ("bad", "false", "app:1"), ("absent", "true", "none:1")):
        stage.ended(stage.run(stage.define(family, command, container={"image": image})))

    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert sorted(message["Body"] for message in messages) == ['"family:absent "', '"family:bad 1"']


# -- not started -------------------------------------------------------------------------------------------------------


def test_an_image_that_the_registry_does_not_have_cannot_be_pulled(stage: Stage) -> None:
    arn = stage.run(stage.define("no-image", "true", container={"image": "nobody/has:this"}))

    task = stage.ended(arn)

    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError:")
    assert "exitCode" not in task["containers"][0]
    assert stage.heard(arn) == [("STOPPED", None)]


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (
            {"secrets": [{"name": "X", "valueFrom": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:none"}]},
            "NotFound",
        ),
        (
            {
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": "/none", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "x"},
                }
            },
            "The specified log group does not exist",
        ),
        ({"command": ["no-such-program"]}, "executable file not found"),
    ],
)
def test_what_a_task_lacks_at_its_start_is_its_stopped_reason(
    stage: Stage, container: dict[str, Any], reason: str
) -> None:
    arn = stage.run(stage.define("lacks", "true", container=container))

    task = stage.ended(arn)

    assert task["stopCode"] == "TaskFailedToStart"
    assert reason in task["stoppedReason"]


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"cpu": "256", "memory": "4096"}, "No Fargate configuration exists for given values"),
        ({"cpu": None}, "'cpu' and 'memory' be defined at the task level"),
        ({"networkMode": "bridge"}, "Fargate only supports network mode"),
        ({"executionRoleArn": None}, "execution role ARN to support log driver awslogs"),
        (
            {"executionRoleArn": None, "container": {"secrets": [{"name": "X", "valueFrom": "arn"}]}},
            "you must also specify a value for 'executionRoleArn'",
        ),
        ({"container": {"mountPoints": [{"sourceVolume": "none", "containerPath": "/x"}]}}, "Unknown volume 'none'"),
        ({"container": {"stopTimeout": 300}}, "120 seconds"),
    ],
)
def test_a_definition_that_fargate_refuses_is_refused(stage: Stage, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClientError, match="ClientException") as refusal:
        stage.define("refused", "true", **changed)

    assert reason in refusal.value.response["Error"]["Message"]
    families = stage.ecs.list_task_definition_families(familyPrefix="refused")["families"]
    assert families == []


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [
        ({"definition": "unknown"}, "ClientException", "TaskDefinition not found."),
        ({"cluster": "unknown"}, "ClusterNotFoundException", "Cluster not found."),
        ({"networkConfiguration": None}, "InvalidParameterException", "Network Configuration must be provided"),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": []}}},
            "InvalidParameterException",
            "subnets can not be empty.",
        ),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0123"]}}},
            "InvalidParameterException",
            "The subnet ID 'subnet-0123' does not exist",
        ),
        ({"count": 11}, "InvalidParameterException", "at most 10"),
        (
            {"overrides": {"containerOverrides": [{"name": "other"}]}},
            "InvalidParameterException",
            "is not a container in the TaskDefinition",
        ),
        ({"overrides": {"taskRoleArn": STRANGER}}, "ClientException", "ECS was unable to assume the role"),
    ],
)
def test_a_run_that_aws_refuses_is_refused(stage: Stage, changed: dict[str, Any], code: str, reason: str) -> None:
    known = stage.define("known", "true")
    before = stage.ecs.list_tasks(cluster="jobs", family="known", desiredStatus="STOPPED")["taskArns"]

    with pytest.raises(ClientError, match=code) as refusal:
        stage.run(changed.get("definition", known), **{k: v for k, v in changed.items() if k != "definition"})

    assert reason in refusal.value.response["Error"]["Message"]
    assert stage.ecs.list_tasks(cluster="jobs", family="known", desiredStatus="STOPPED")["taskArns"] == before


def test_credentials_are_for_the_token_of_a_running_task_alone(stage: Stage) -> None:
    asked = urllib.request.Request(
        f"{stage.cloud.endpoint}/_localcloud/task-credentials", headers={"Authorization": "guessed"}
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked, timeout=10)

    assert refused.value.code == 403
