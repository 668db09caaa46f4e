"""ECS on Fargate: clusters and definitions are moto's, what AWS refuses is refused, and RunTask runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from localcloud import container_images, machine_images, tasks
from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services import backup_access, events
from localcloud.tasks import Job, NotStarted

SERVICE = "ecs-tasks.amazonaws.com"
STORE = "ecs.tasks"
KEPT_TASKS = 50  # stopped ones; AWS forgets them after about an hour
MOST_TASKS = 10
# CPU units → MiB of memory (Amazon ECS developer guide, "Task CPU and memory").
FARGATE: dict[int, range | tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}


# -- definitions -------------------------------------------------------------------------------------------------------


@around("ecs", "RegisterTaskDefinition")
def _checked_definition(call: Call, proceed: Callable[[], Answer]) -> Answer:
    asked = call.params
    containers = asked.get("containerDefinitions") or []
    with_secrets = any(container.get("secrets") for container in containers)
    if with_secrets and not asked.get("executionRoleArn"):
        raise _client(
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."
        )
    if "FARGATE" in (asked.get("requiresCompatibilities") or []):
        _check_fargate(asked, containers)
    volumes = {volume["name"] for volume in asked.get("volumes") or []}
    for container in containers:
        for mount in container.get("mountPoints") or []:
            if mount.get("sourceVolume") not in volumes:
                raise _client(f"Unknown volume '{mount.get('sourceVolume')}'.")
    return proceed()


def _check_fargate(asked: dict[str, Any], containers: list[dict[str, Any]]) -> None:
    if asked.get("networkMode") != "awsvpc":
        raise _client("Fargate only supports network mode 'awsvpc'.")
    cpu, memory = str(asked.get("cpu") or ""), str(asked.get("memory") or "")
    if not cpu.isdigit() or not memory.isdigit():
        raise _client("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
    if int(memory) not in FARGATE.get(int(cpu), ()):
        raise _client("No Fargate configuration exists for given values.")
    for container in containers:
        driver = (container.get("logConfiguration") or {}).get("logDriver")
        if driver == "awslogs" and not asked.get("executionRoleArn"):
            raise _client("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
        if ".dkr.ecr." in str(container.get("image")) and not asked.get("executionRoleArn"):
            raise _client("Fargate requires task definition to have execution role ARN to support ECR images.")
        if int(container.get("stopTimeout") or 0) > 120:
            raise _client("Invalid stopTimeout value. The maximum stopTimeout value on Fargate is 120 seconds.")


@around("ecs", "DeleteCluster")
def _empty_cluster(call: Call, proceed: Callable[[], Answer]) -> Answer:
    name = str(call.params.get("cluster") or "default").rsplit("/", 1)[-1]
    for record in call.cloud.store(STORE, call.region).values():
        if record["shape"]["clusterArn"].endswith(f"/{name}") and record["shape"]["lastStatus"] != "STOPPED":
            raise Refused("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    return proceed()


# -- running -----------------------------------------------------------------------------------------------------------


@operation("ecs", "RunTask")
def run_task(call: Call, **asked: Any) -> dict[str, Any]:
    """Start tasks; whatever fails from here on is told by DescribeTasks and by events, as ECS does."""
    cluster = _cluster(call, asked.get("cluster"))
    definition = _definition(call, str(asked["taskDefinition"]))
    count = int(asked.get("count") or 1)
    if not 1 <= count <= MOST_TASKS:
        raise _invalid(f"count should be at least 1 and at most {MOST_TASKS}.")
    if (asked.get("launchType") or "FARGATE") != "FARGATE":
        raise Refused("LocalCloudNotImplemented", "The local cloud runs tasks of launch type FARGATE only.")
    if "FARGATE" not in (definition.get("requiresCompatibilities") or []):
        raise _invalid("Task definition does not support launch_type FARGATE.")
    if len(definition["containerDefinitions"]) != 1:
        raise Refused("LocalCloudNotImplemented", "The local cloud runs tasks of one container only.")
    _check_network(call, asked)
    overrides = asked.get("overrides") or {}
    _check_overrides(definition, overrides)
    for role in (
        overrides.get("executionRoleArn") or definition.get("executionRoleArn"),
        overrides.get("taskRoleArn") or definition.get("taskRoleArn"),
    ):
        if role and not backup_access.assumable(call.cloud, role, SERVICE):
            raise _client(
                f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the "
                "role being passed has the proper trust relationship and permissions and that your IAM user has "
                "permissions to pass this role."
            )
    shapes = [_new(call, cluster, definition, asked) for _ in range(count)]
    for shape in shapes:
        _begin(call.cloud, call.region, shape["taskArn"])
    return {"tasks": shapes, "failures": []}


def _cluster(call: Call, named: str | None) -> Any:
    name = (named or "default").rsplit("/", 1)[-1]
    found = call.cloud.moto("ecs", call.region).clusters.get(name)
    if found is None or found.status != "ACTIVE":
        raise Refused("ClusterNotFoundException", "Cluster not found.")
    return found


def _definition(call: Call, named: str) -> dict[str, Any]:
    backend = call.cloud.moto("ecs", call.region)
    family, _, revision = named.rsplit("/", 1)[-1].partition(":")
    revisions = {
        number: found for number, found in backend.task_definitions.get(family, {}).items() if found.status == "ACTIVE"
    }
    number = int(revision) if revision.isdigit() else max(revisions, default=0)
    if number not in revisions:
        raise _client("TaskDefinition not found." if not revision else "TaskDefinition is inactive")
    found = revisions[number]
    return {
        "taskDefinitionArn": found.arn,
        "family": found.family,
        "containerDefinitions": found.container_definitions,
        "requiresCompatibilities": found.requires_compatibilities,
        "cpu": found.cpu,
        "memory": found.memory,
        "taskRoleArn": getattr(found, "task_role_arn", None),
        "executionRoleArn": getattr(found, "execution_role_arn", None),
    }


def _check_network(call: Call, asked: dict[str, Any]) -> None:
    network: dict[str, Any] | None = (asked.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if network is None:
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    subnets = network.get("subnets") or []
    if not subnets:
        raise _invalid("subnets can not be empty.")
    ec2 = call.cloud.moto("ec2", call.region)
    known = {subnet.id for subnet in ec2.describe_subnets()}
    groups = {group.id for group in ec2.describe_security_groups()}
    for subnet in subnets:
        if subnet not in known:
            raise _invalid(
                f"Error retrieving subnet information for [{subnet}]: The subnet ID '{subnet}' does not exist "
                "(ErrorCode: InvalidSubnetID.NotFound)"
            )
    for group in network.get("securityGroups") or []:
        if group not in groups:
            raise _invalid(
                f"Error retrieving security group information for [{group}]: The security group '{group}' does not "
                "exist (ErrorCode: InvalidGroup.NotFound)"
            )


def _check_overrides(definition: dict[str, Any], overrides: dict[str, Any]) -> None:
    names = {container["name"] for container in definition["containerDefinitions"]}
    for one in overrides.get("containerOverrides") or []:
        if one.get("name") not in names:
            raise _invalid(
                "Override for container named " + str(one.get("name")) + " is not a container in the TaskDefinition."
            )


def _new(call: Call, cluster: Any, definition: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    number, subnet = uuid4().hex, asked["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0]
    arn = f"arn:aws:ecs:{call.region}:{ACCOUNT_ID}:task/{cluster.name}/{number}"
    container = definition["containerDefinitions"][0]
    shape: dict[str, Any] = {
        "taskArn": arn,
        "clusterArn": cluster.arn,
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "containers": [
            {
                "containerArn": f"arn:aws:ecs:{call.region}:{ACCOUNT_ID}:container/{cluster.name}/{number}/{uuid4()}",
                "taskArn": arn,
                "name": container["name"],
                "image": container["image"],
                "lastStatus": "PENDING",
                "networkInterfaces": [],
            }
        ],
        "lastStatus": "PROVISIONING",
        "desiredStatus": "RUNNING",
        "createdAt": call.cloud.now(),
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "cpu": definition["cpu"],
        "memory": definition["memory"],
        "group": asked.get("group") or f"family:{definition['family']}",
        "startedBy": asked.get("startedBy") or "",
        "overrides": asked.get("overrides") or {},
        "attachments": [
            {
                "id": str(uuid4()),
                "type": "ElasticNetworkInterface",
                "status": "ATTACHED",
                "details": [{"name": "subnetId", "value": subnet}],
            }
        ],
        "tags": asked.get("tags") or [],
        "version": 1,
    }
    store = call.cloud.store(STORE, call.region)
    stopped = [name for name, record in store.items() if record["shape"]["lastStatus"] == "STOPPED"]
    for name in stopped[: max(0, len(stopped) - KEPT_TASKS)]:
        del store[name]
    store[arn] = {"shape": shape, "container": container, "definition": definition}
    return shape


def _begin(cloud: Cloud, region: str, arn: str) -> None:
    """Run one task in a thread of its own, from its start to its end."""
    before = cloud.remembered
    record = cloud.store(STORE, region)[arn]
    job = Job(
        task_arn=arn,
        region=region,
        container=record["container"],
        definition=record["definition"],
        overrides=record["shape"]["overrides"],
    )

    def work() -> None:
        with cloud.gate.working():
            if cloud.remembered is not before:
                return
            process = _started(cloud, job, record["shape"])
        if process is None:
            return
        if record["shape"]["desiredStatus"] == "STOPPED":  # stopped before it ran
            tasks.of(cloud).stop(job)
        status = process.wait()
        with cloud.gate.working():
            if cloud.remembered is before:  # else a load has put another cloud in this one's place
                tasks.of(cloud).ended(job)
                _stopped(cloud, region, record["shape"], exit_code=status if status >= 0 else 128 - status)

    cloud.background(work, name=f"task {job.number}")


def _started(cloud: Cloud, job: Job, shape: dict[str, Any]) -> subprocess.Popen[bytes] | None:
    shape["lastStatus"] = "PENDING"
    try:
        process = tasks.of(cloud).start(job)
    except NotStarted as error:
        shape.update(stopCode="TaskFailedToStart", stoppedReason=str(error))
        tasks.of(cloud).ended(job)
        _stopped(cloud, job.region, shape, exit_code=None)
        return None
    shape.update(lastStatus="RUNNING", startedAt=cloud.now(), connectivity="CONNECTED")
    shape["containers"][0]["lastStatus"] = "RUNNING"
    _told(cloud, job.region, shape)
    return process


def _stopped(cloud: Cloud, region: str, shape: dict[str, Any], *, exit_code: int | None) -> None:
    now = cloud.now()
    shape.setdefault("stopCode", "EssentialContainerExited")
    shape.setdefault("stoppedReason", "Essential container in task exited")
    shape.update(lastStatus="STOPPED", desiredStatus="STOPPED", stoppingAt=now, executionStoppedAt=now, stoppedAt=now)
    shape["containers"][0]["lastStatus"] = "STOPPED"
    if exit_code is not None:
        shape["containers"][0]["exitCode"] = exit_code
    _told(cloud, region, shape)
    cloud.changed()


def _told(cloud: Cloud, region: str, shape: dict[str, Any]) -> None:
    """Put the event of a change on the bus, and count what runs in the cluster."""
    shape["version"] += 1
    cluster = cloud.moto("ecs", region).clusters.get(shape["clusterArn"].rsplit("/", 1)[-1])
    if cluster is not None:
        of_cluster = [
            record["shape"]["lastStatus"]
            for record in cloud.store(STORE, region).values()
            if record["shape"]["clusterArn"] == cluster.arn
        ]
        cluster.running_tasks_count = of_cluster.count("RUNNING")
    events.emit(cloud, region, "aws.ecs", "ECS Task State Change", shape, [shape["taskArn"]])


# -- asking and stopping -----------------------------------------------------------------------------------------------


@operation("ecs", "StopTask")
def stop_task(call: Call, **asked: Any) -> dict[str, Any]:
    """End a task: its container gets a signal, and stopTimeout seconds to end."""
    _cluster(call, asked.get("cluster"))
    record = _records(call).get(str(asked["task"]).rsplit("/", 1)[-1])
    if record is None:
        raise _invalid("The referenced task was not found.")
    shape = record["shape"]
    if shape["lastStatus"] != "STOPPED" and shape["desiredStatus"] != "STOPPED":
        shape.update(desiredStatus="STOPPED", stopCode="UserInitiated", stoppingAt=call.cloud.now())
        shape["stoppedReason"] = asked.get("reason") or "Task stopped by user"
        job = Job(
            task_arn=shape["taskArn"],
            region=call.region,
            container=record["container"],
            definition=record["definition"],
            overrides=shape["overrides"],
        )
        call.cloud.background(partial(tasks.of(call.cloud).stop, job), name=f"stop of task {job.number}")
    return {"task": shape}


@operation("ecs", "DescribeTasks")
def describe_tasks(call: Call, **asked: Any) -> dict[str, Any]:
    """Return how tasks are."""
    cluster = _cluster(call, asked.get("cluster"))
    records = _records(call)
    found, missing = [], []
    for named in asked["tasks"]:
        record = records.get(str(named).rsplit("/", 1)[-1])
        if record is None or record["shape"]["clusterArn"] != cluster.arn:
            missing.append({"arn": named, "reason": "MISSING"})
        else:
            found.append(record["shape"])
    return {"tasks": found, "failures": missing}


@operation("ecs", "ListTasks")
def list_tasks(call: Call, **asked: Any) -> dict[str, Any]:
    """Return the tasks of a cluster that are to run, or with desiredStatus STOPPED those that are not."""
    cluster = _cluster(call, asked.get("cluster"))
    wanted = asked.get("desiredStatus") or "RUNNING"
    shapes = [record["shape"] for record in _records(call).values()]
    found = [
        shape["taskArn"]
        for shape in shapes
        if shape["clusterArn"] == cluster.arn
        and shape["desiredStatus"] == wanted
        and asked.get("family") in (None, shape["taskDefinitionArn"].rsplit("/", 1)[-1].split(":")[0])
        and asked.get("startedBy") in (None, shape["startedBy"])
        and asked.get("launchType") in (None, shape["launchType"])
    ]
    begin = int(asked.get("nextToken") or 0)
    end = begin + int(asked.get("maxResults") or 100)
    return {"taskArns": found[begin:end], "nextToken": str(end) if end < len(found) else None}


def _records(call: Call) -> dict[str, dict[str, Any]]:
    return {arn.rsplit("/", 1)[-1]: record for arn, record in call.cloud.store(STORE, call.region).items()}


def ended(cloud: Cloud, region: str, arn: str) -> dict[str, Any] | None:
    """Return a task that has stopped; None while it has not."""
    shape: dict[str, Any] = cloud.store(STORE, region)[arn]["shape"]
    return shape if shape["lastStatus"] == "STOPPED" else None


def _client(text: str) -> Refused:
    return Refused("ClientException", text)


def _invalid(text: str) -> Refused:
    return Refused("InvalidParameterException", text)


def install(cloud: Cloud) -> None:
    """Keep the image of lifeboat in the registry, as this working copy is; end tasks with the cloud and say so."""

    def start(cloud: Cloud) -> None:
        container_images.publish_own(cloud)
        for region in machine_images.REGIONS:
            for record in cloud.store(STORE, region).values():
                shape = record["shape"]
                if shape["lastStatus"] != "STOPPED":
                    shape.update(
                        stopCode="TerminationNotice", stoppedReason="The local cloud stopped while the task ran"
                    )
                    _stopped(cloud, region, shape, exit_code=137)

    cloud.on_start(start)
    cloud.on_end(lambda cloud: tasks.of(cloud).kill_all())
