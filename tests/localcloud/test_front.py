"""The front of the local cloud: routing, answers sent again, unknown operations, state that survives."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import moto
import psutil
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from localcloud.processes import OsUser, Processes

from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud
from tests.localcloud.machines import until


def test_an_unknown_operation_is_refused_at_once_by_name(cloud: RunningCloud) -> None:
    batch = cloud.client("s3", "eu-west-1")
    batch.create_bucket(Bucket="named", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    with pytest.raises(ClientError) as refusal:
        cloud.client("ec2").describe_fast_launch_images()

    assert refusal.value.response["Error"] == {
        "Code": "LocalCloudNotImplemented",
        "Message": "The local cloud does not implement ec2:DescribeFastLaunchImages (region eu-west-1).",
    }
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("body", [b"", b"something"])
def test_an_upload_is_answered_with_content_and_without(cloud: RunningCloud, body: bytes) -> None:
    s3, name = cloud.client("s3", read_timeout=20), f"empty-{len(body)}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    s3.put_object(Bucket=name, Key="a", Body=body)

    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == body


def test_of_many_conditional_writes_at_once_exactly_one_wins(cloud: RunningCloud) -> None:
    s3, dynamodb = cloud.client("s3"), cloud.client("dynamodb")
    s3.create_bucket(Bucket="race", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    dynamodb.create_table(
        TableName="race",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def put_object(key: str) -> object:
        return s3.put_object(Bucket="race", Key=key, Body=b"x", IfNoneMatch="*")

    def put_item(key: str) -> object:
        item = {"k": {"S": key}}
        return dynamodb.put_item(TableName="race", Item=item, ConditionExpression="attribute_not_exists(k)")

    def update_item(key: str) -> object:
        return dynamodb.update_item(
            TableName="race",
            Key={"k": {"S": f"{key}-u"}},
            UpdateExpression="SET v = :v",
            ConditionExpression="attribute_not_exists(k)",
            ExpressionAttributeValues={":v": {"S": "x"}},
        )

    def won(write: Callable[[str], object], key: str) -> int:
        with suppress(ClientError):
            write(key)
            return 1
        return 0

    with ThreadPoolExecutor(8) as pool:
        wins = [
            sum(pool.map(lambda _, w=write, k=f"key-{n}": won(w, k), range(8)))
            for write in (put_object, put_item, update_item)
            for n in range(10)
        ]

    assert wins == [1] * 30


def test_a_call_sent_again_after_its_answer_got_lost_is_not_executed_twice(cloud: RunningCloud) -> None:
    def allocate(attempt: int) -> str:
        request = AWSRequest(
            "POST",
            cloud.endpoint + "/",
            data="Action=AllocateAddress&Version=2016-11-15",
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "amz-sdk-invocation-id": "11111111-2222-3333-4444-555555555555",
                "amz-sdk-request": f"attempt={attempt}; max=3",
            },
        )
        SigV4Auth(Credentials("a", "b"), "ec2", "eu-west-1").add_auth(request)
        return URLLib3Session().send(request.prepare()).text

    first, again = allocate(1), allocate(2)

    assert first == again
    assert len(cloud.client("ec2").describe_addresses()["Addresses"]) == 1


def test_an_object_that_is_read_again_by_the_same_call_is_read_anew(cloud: RunningCloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="read-anew", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def read(attempt: int) -> bytes:
        headers = {
            "amz-sdk-invocation-id": "99999999-2222-3333-4444-555555555555",
            "amz-sdk-request": f"attempt={attempt}; max=3",
        }
        request = AWSRequest("GET", f"{cloud.endpoint}/read-anew/key", headers=headers)
        S3SigV4Auth(Credentials("a", "b"), "s3", "eu-west-1").add_auth(request)
        return bytes(URLLib3Session().send(request.prepare()).content)

    s3.put_object(Bucket="read-anew", Key="key", Body=b"first")
    first = read(1)
    s3.put_object(Bucket="read-anew", Key="key", Body=b"second")

    assert (first, read(2)) == (b"first", b"second")


def test_a_restart_forgets_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("restart")
    cloud = start_cloud(directory)
    cloud.client("dynamodb").create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    key = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
    sealed = cloud.client("kms").encrypt(KeyId=key, Plaintext=b"canary")["CiphertextBlob"]
    stop_cloud(cloud)

    cloud = start_cloud(directory)
    tables = cloud.client("dynamodb").list_tables()["TableNames"]
    opened = cloud.client("kms").decrypt(CiphertextBlob=sealed)["Plaintext"]
    stop_cloud(cloud)

    assert tables == ["kept"]
    assert opened == b"canary"


def test_requests_sent_while_the_cloud_starts_wait_for_its_state() -> None:
    with open_folder() as directory:
        cloud = start_cloud(directory / "cloud")
        cloud.client("sns").create_topic(Name="from-before")
        serving_database(cloud)  # takes a while to start, and so keeps the state from being loaded at once
        stop_cloud(cloud)

        with ThreadPoolExecutor(2) as pool:
            restart = pool.submit(start_cloud, cloud.directory, cloud.port)
            wait_for(lambda: answers(cloud))
            loading = not cloud.control("health")["ready"]
            seen = topics(cloud)
            ready = cloud.control("health")["ready"]
            cloud.client("sns").create_topic(Name="at-once")
            cloud = restart.result()
        both = topics(cloud)
        stop_cloud(cloud)

    assert loading
    assert seen == {"from-before"}
    assert ready
    assert both == {"from-before", "at-once"}


def test_no_write_that_was_acknowledged_before_the_end_is_lost() -> None:
    acknowledged = set()

    def write_on(worker: int) -> None:
        sns = cloud.client("sns", read_timeout=60)
        with suppress(BotoCoreError):
            for number in range(10_000):
                sns.create_topic(Name=f"topic-{worker}-{number}")
                acknowledged.add(f"topic-{worker}-{number}")

    with open_folder() as directory:
        cloud = start_cloud(directory / "cloud")
        serving_database(cloud)  # takes a while to stop, in which a request could still be executed
        with ThreadPoolExecutor(4) as pool:
            for worker in range(4):
                pool.submit(write_on, worker)
            wait_for(lambda: len(acknowledged) > 40)
            stop_cloud(cloud)
        cloud = start_cloud(cloud.directory)
        kept = topics(cloud)
        stop_cloud(cloud)

    assert acknowledged - kept == set()


def topics(cloud: RunningCloud) -> set[str]:
    pages = cloud.client("sns").get_paginator("list_topics").paginate()
    return {topic["TopicArn"].rsplit(":", 1)[1] for page in pages for topic in page["Topics"]}


def answers(cloud: RunningCloud) -> bool:
    with suppress(OSError):
        return bool(cloud.control("health"))
    return False


def test_a_damaged_state_is_put_aside_and_the_cloud_starts_empty(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    cloud = start_cloud(directory)
    cloud.client("sns").create_topic(Name="lost")
    stop_cloud(cloud)
    state = directory / "live" / "cloud.state"
    state.write_bytes(state.read_bytes()[:-1])

    cloud = start_cloud(directory)
    topics = cloud.client("sns").list_topics()["Topics"]
    stop_cloud(cloud)

    assert topics == []
    assert len(list(directory.glob("damaged-*/cloud.state"))) == 1


def test_loading_a_save_brings_back_what_was_deleted_since(cloud: RunningCloud) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="saved")["TopicArn"]
    cloud.control("save", name="before")
    sns.delete_topic(TopicArn=topic)

    cloud.control("load", name="before")

    assert topic in [t["TopicArn"] for t in sns.list_topics()["Topics"]]


def test_a_save_that_does_not_exist_cannot_be_loaded(cloud: RunningCloud) -> None:
    with pytest.raises(AssertionError, match="there is no save named nowhere"):
        cloud.control("load", name="nowhere")


def cut_off(data: bytes) -> bytes:
    return data[:-1]


def of_another_moto(data: bytes) -> bytes:
    body = data[32:].replace(moto.__version__.encode(), b"0" * len(moto.__version__), 1)
    return hashlib.sha256(body).digest() + body


def unreadable(data: bytes) -> bytes:
    """Give a pickle that passes for whole and names a class that does not exist."""
    body = data[32:].replace(b"localcloud.cloud", b"localcloud.clown")
    return hashlib.sha256(body).digest() + body


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_off, "cannot be loaded: the checksum does not match"),
        (of_another_moto, "cannot be loaded: written by format 1 with moto 0"),
        (unreadable, "could not be loaded, all is as it was: ModuleNotFoundError"),
    ],
)
def test_a_save_that_cannot_be_loaded_is_refused_and_the_cloud_goes_on(
    cloud: RunningCloud, damage: Callable[[bytes], bytes], reason: str
) -> None:
    cloud.control("save", name="damaged", replace=True)
    state = cloud.directory / "saves" / "damaged" / "cloud.state"
    state.write_bytes(damage(state.read_bytes()))
    queue = cloud.client("sqs").create_queue(QueueName=damage.__name__)["QueueUrl"]
    held = cloud.directory / "live" / "held"
    held.write_text("a file of the live cloud")
    database = serving_database(cloud)
    servers = postgres_of(cloud)

    with pytest.raises(AssertionError, match=reason) as refusal:
        cloud.control("load", name="damaged")

    assert queue in cloud.client("sqs").list_queues()["QueueUrls"]
    assert held.read_text() == "a file of the live cloud"
    assert serving_database(cloud) == database
    assert len(postgres_of(cloud)) == 1
    if "cannot be" in str(refusal.value):
        assert postgres_of(cloud) == servers
    assert not list(cloud.directory.glob(".live.*"))


def serving_database(cloud: RunningCloud) -> str:
    """Return the resource id of the cloud's only database, made when missing, once it is available."""
    rds = cloud.client("rds")
    if not rds.describe_db_instances()["DBInstances"]:
        rds.create_db_instance(
            DBInstanceIdentifier="goes-on",
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="app",
            MasterUserPassword="canary-password",
        )
    rds.get_waiter("db_instance_available").wait(WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return str(rds.describe_db_instances()["DBInstances"][0]["DbiResourceId"])


def postgres_of(cloud: RunningCloud) -> set[psutil.Process]:
    """Return the servers that the cloud runs."""
    return {child for child in psutil.Process(cloud.process.pid).children() if child.name() == "postgres"}


def test_an_injected_fault_after_execution_loses_only_the_answer(cloud: RunningCloud) -> None:
    sns = cloud.client("sns")
    cloud.control("faults", add={"service": "sns", "operation": "CreateTopic", "when": "after"})

    with pytest.raises(ClientError, match="InternalFailure"):
        sns.create_topic(Name="answer-lost")

    names = [t["TopicArn"].rsplit(":", 1)[1] for t in sns.list_topics()["Topics"]]
    assert "answer-lost" in names


@pytest.mark.parametrize(("when", "there"), [("before", 0), ("after", 1)])
def test_a_call_that_is_held_goes_on_when_the_rules_are_cleared(cloud: RunningCloud, when: str, there: int) -> None:
    sqs, name = cloud.client("sqs"), f"held-{when}"
    rule = {"service": "sqs", "operation": "CreateQueue", "when": when, "status": 200, "held": True}
    cloud.control("faults", add=rule)
    with ThreadPoolExecutor() as pool:
        made = pool.submit(sqs.create_queue, QueueName=name)
        until(lambda: cloud.control("faults")["faults"][0]["hit"] != "")

        early = len(sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", []))
        waits = not made.done()
        cloud.control("faults", clear=True)

        assert (early, waits) == (there, True)
        assert made.result(60)["QueueUrl"].endswith(name)


@pytest.mark.parametrize("rule", [{"held": True}, {"delay_seconds": 1.0}])
def test_an_answer_that_is_cut_off_is_not_held_up_as_well(cloud: RunningCloud, rule: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="an answer that is cut off comes at once"):
        cloud.control("faults", add={"service": "sqs", "operation": "CreateQueue", "when": "cut", **rule})


def test_an_injected_fault_hits_the_paths_that_it_names_alone(cloud: RunningCloud) -> None:
    s3 = cloud.client("s3")
    for name in ("reached", "unreached"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    rule = {"service": "s3", "operation": ".*", "path": "/unreached(/.*)?", "times": 100, "status": 503}
    cloud.control("faults", add=rule)

    s3.put_object(Bucket="reached", Key="key", Body=b"")
    for operation, arguments in ((s3.put_object, {"Key": "key", "Body": b""}), (s3.list_objects_v2, {})):
        with pytest.raises(ClientError) as refused:
            operation(Bucket="unreached", **arguments)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    cloud.control("faults", clear=True)
    s3.list_objects_v2(Bucket="unreached")


def test_a_write_of_the_state_that_failed_is_reported_and_done_again(cloud: RunningCloud) -> None:
    wait_for(lambda: cloud.control("health")["last_save_error"] is None)
    obstacle = cloud.directory / "live" / "cloud.new"
    obstacle.mkdir()
    cloud.client("sns").create_topic(Name="written-late")

    wait_for(lambda: "IsADirectoryError" in str(cloud.control("health")["last_save_error"]))
    obstacle.rmdir()
    wait_for(lambda: cloud.control("health")["last_save_error"] is None)

    assert b"written-late" in (cloud.directory / "live" / "cloud.state").read_bytes()


def test_a_service_that_many_ask_at_once_at_first_is_known_to_all_of_them() -> None:
    answers = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False)

    assert answers.stdout.split() == ["ListBackupVaults"] * 16, answers.stderr


# In a process of its own, where nobody has asked yet; threads take turns as often as they can.
AT_ONCE = """
import io, sys, threading
from concurrent.futures import ThreadPoolExecutor
from localcloud import front
from moto.core.utils import get_service_model
get_service_model("backup")
sys.setswitchinterval(1e-6)
together = threading.Barrier(16)
def ask(_):
    together.wait()
    named = {"SERVER_NAME": "x", "SERVER_PORT": "1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO()}
    return front._match("backup", {"REQUEST_METHOD": "GET", "PATH_INFO": "/backup-vaults/", **named})[0]
with ThreadPoolExecutor(16) as pool:
    print(*pool.map(ask, range(16)))
"""


def test_a_last_write_that_fails_leaves_no_program_running() -> None:
    with open_folder() as directory:
        cloud = start_cloud(directory / "cloud")
        serving_database(cloud)
        servers = postgres_of(cloud)
        (cloud.directory / "live" / "cloud.new").mkdir()

        stop_cloud(cloud)

        assert servers
        assert not any(server.is_running() for server in servers)
        assert list((cloud.directory / "live").rglob("postmaster.pid")) == []  # ended in peace, not killed with us
        assert cloud.process.returncode == 1


def test_programs_started_at_once_are_all_paused_and_all_stopped(tmp_path: Path) -> None:
    processes = Processes()
    ourselves = OsUser(name=None, uid=os.getuid(), gid=os.getgid())
    forking = "while :; do sleep 0.03; done"

    def start(number: int) -> subprocess.Popen[bytes]:
        return processes.start(
            ["bash", "-c", forking], user=ourselves, env={}, cwd=tmp_path, log=tmp_path / f"log{number}"
        )

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(start, range(12)))
        processes.pause()
        late = pool.submit(start, 12)
        first = families(started)
        time.sleep(0.3)
        second = families(started)
        held_off = not late.done()
        processes.resume()
        started.append(late.result())
        time.sleep(0.3)
        third = families(started[:12])
        processes.stop_all()

    assert first == second
    assert third != second
    assert held_off
    assert all(process.poll() is not None for process in started)


def families(started: Sequence[subprocess.Popen[bytes]]) -> list[set[int]]:
    return [{child.pid for child in psutil.Process(process.pid).children()} for process in started]


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until something holds, 20 seconds at most."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_trace_holds_one_line_for_each_request_and_no_body(cloud: RunningCloud) -> None:
    cloud.client("secretsmanager").create_secret(Name="traced", SecretString="canary-password")

    text = (cloud.directory / "logs" / "trace.jsonl").read_text()

    assert json.loads(text.splitlines()[-1])["operation"] == "CreateSecret"
    assert "canary-password" not in text


def test_the_control_port_refuses_a_request_without_its_header(cloud: RunningCloud) -> None:
    answer = URLLib3Session().send(AWSRequest("POST", cloud.endpoint + "/_localcloud/stop").prepare())

    assert answer.status_code == 400


def test_a_signal_that_reaches_another_thread_ends_the_cloud_too() -> None:
    with open_folder() as folder:
        cloud = start_cloud(folder / "cloud")
        others = [int(task.name) for task in Path(f"/proc/{cloud.process.pid}/task").iterdir()]
        others.remove(cloud.process.pid)

        ctypes.CDLL(None).tgkill(cloud.process.pid, others[0], signal.SIGTERM)
        ended = cloud.process.wait(30)

        assert ended == 0
