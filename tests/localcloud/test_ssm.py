"""SSM Run Command: real shell, real exit statuses, limits and cancelling; what AWS refuses."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.machines import BASE_IMAGE, Machines, until_there

SHELL = "AWS-RunShellScript"


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def host(machines: Machines) -> str:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "application", "Value": "ssm-test"}]}]
    return machines.launch(TagSpecifications=tags)


def send(machines: Machines, host: str, *commands: str, **parameters: str) -> str:
    asked = {"commands": list(commands), **{name: [value] for name, value in parameters.items()}}
    sent = machines.ssm.send_command(InstanceIds=[host], DocumentName=SHELL, Parameters=asked)
    return str(sent["Command"]["CommandId"])


def test_output_errors_and_exit_status_are_the_scripts_own(machines: Machines, host: str) -> None:
    ended = machines.shell(host, "echo out", "echo err >&2", "exit 3")

    assert (ended.status, ended.code, ended.out) == ("Failed", 3, "out\n")
    assert ended.err == "err\nfailed to run commands: exit status 3"


def test_a_command_that_succeeds_says_so(machines: Machines, host: str) -> None:
    ended = machines.shell(host, 'echo "$HOST_ROOT"; false; true')

    assert (ended.status, ended.code, ended.out, ended.err) == ("Success", 0, f"{machines.root(host)}\n", "")


def test_a_command_is_in_progress_while_it_runs(machines: Machines, host: str, tmp_path: Path) -> None:
    number = send(machines, host, until_there(tmp_path / "go"))

    found = machines.ssm.get_command_invocation(CommandId=number, InstanceId=host)
    (tmp_path / "go").touch()

    assert (found["Status"], found["ResponseCode"]) == ("InProgress", -1)
    assert machines.ended(number, host).status == "Success"


def test_a_working_directory_is_below_the_hosts_root(machines: Machines, host: str) -> None:
    ended = machines.shell(host, "pwd", workingDirectory="/opt")

    assert ended.out == f"{machines.root(host)}/opt\n"


def test_a_command_over_its_time_is_ended(machines: Machines, host: str) -> None:
    began = time.monotonic()

    ended = machines.shell(host, "echo begun; sleep 60", executionTimeout="1")

    assert (ended.status, ended.code, ended.out) == ("TimedOut", 137, "begun\n")
    assert time.monotonic() - began < 20


def test_a_cancelled_command_ends_with_its_programs(machines: Machines, host: str) -> None:
    number = send(machines, host, 'echo $$ >"$HOST_ROOT/opt/pid"; sleep 60')
    machines.until((machines.root(host) / "opt/pid").exists)

    machines.ssm.cancel_command(CommandId=number)

    assert machines.ended(number, host).status == "Cancelled"
    assert machines.shell(host, 'kill -0 "$(cat "$HOST_ROOT/opt/pid")"').code != 0


def test_long_output_is_cut_as_the_api_does(machines: Machines, host: str) -> None:
    ended = machines.shell(host, "head -c 30000 /dev/zero | tr '\\0' x")

    assert len(ended.out) == 24000


def test_commands_can_be_sent_by_tag_and_listed_with_their_output(machines: Machines, host: str) -> None:
    sent = machines.ssm.send_command(
        Targets=[{"Key": "tag:application", "Values": ["ssm-test"]}],
        DocumentName=SHELL,
        Parameters={"commands": ["echo by tag"]},
    )["Command"]
    machines.ended(sent["CommandId"], host)

    listed = machines.ssm.list_command_invocations(CommandId=sent["CommandId"], Details=True)["CommandInvocations"]
    command = machines.ssm.list_commands(CommandId=sent["CommandId"])["Commands"][0]

    assert [(i["InstanceId"], i["CommandPlugins"][0]["Output"]) for i in listed] == [(host, "by tag\n")]
    assert (command["Status"], command["TargetCount"], command["CompletedCount"]) == ("Success", 1, 1)


def test_only_running_hosts_with_a_role_are_managed(machines: Machines, host: str) -> None:
    bare = machines.ec2.run_instances(ImageId=BASE_IMAGE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    stopped = machines.launch()
    machines.ec2.stop_instances(InstanceIds=[stopped])
    machines.until(lambda: machines.state(stopped) == "stopped")
    machines.until(lambda: machines.state(bare) == "running")

    listed = machines.ssm.describe_instance_information()["InstanceInformationList"]

    assert [(i["InstanceId"], i["PingStatus"]) for i in listed] == [(host, "Online")]
    for unmanaged in (bare, stopped, "i-0123456789abcdef0"):
        with pytest.raises(
            ClientError, match=f"InvalidInstanceId.*Instances \\[\\[{unmanaged}\\]\\] not in a valid state"
        ):
            send(machines, unmanaged, "true")


def test_a_role_that_may_not_speak_to_ssm_leaves_the_host_unmanaged(cloud: RunningCloud, machines: Machines) -> None:
    machines.role("mute")
    cloud.client("iam").detach_role_policy(
        RoleName="mute", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    mute = machines.launch(IamInstanceProfile={"Name": "mute"})

    with pytest.raises(ClientError, match="InvalidInstanceId"):
        send(machines, mute, "true")


def test_what_ssm_refuses_is_refused(machines: Machines, host: str) -> None:
    def order(**more: object) -> None:
        asked = {"InstanceIds": [host], "DocumentName": SHELL, "Parameters": {"commands": ["true"]}, **more}
        machines.ssm.send_command(**asked)

    with pytest.raises(ClientError, match="InvalidDocument"):
        order(DocumentName="AWS-RunPowerShellScript")
    with pytest.raises(ClientError, match="InvalidParameters.*commands is required"):
        order(Parameters={})
    with pytest.raises(ClientError, match="InvalidParameters.*Undefined parameters: comands"):
        order(Parameters={"commands": ["true"], "comands": ["x"]})
    with pytest.raises(ClientError, match="executionTimeout must be 1 to 172800"):
        order(Parameters={"commands": ["true"], "executionTimeout": ["0"]})
    with pytest.raises(ClientError, match="InvalidCommandId"):
        machines.ssm.get_command_invocation(CommandId="00000000-0000-0000-0000-000000000000", InstanceId=host)
    number = send(machines, host, "true")
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        machines.ssm.get_command_invocation(CommandId=number, InstanceId="i-0123456789abcdef0")


def test_a_command_cut_off_by_a_load_is_not_left_in_progress(
    cloud: RunningCloud, machines: Machines, host: str
) -> None:
    number = send(machines, host, "sleep 60")
    cloud.control("save", name="in-the-middle")

    cloud.control("load", name="in-the-middle")

    assert machines.ended(number, host).status == "Failed"
    assert machines.shell(host, "echo alive").out == "alive\n"
