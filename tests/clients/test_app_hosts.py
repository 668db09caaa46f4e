"""Scripts on real hosts of a local cloud: arguments that stay arguments, ends of every kind, lost answers, dead hosts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifeboat.clients.hosts import Hosts
from lifeboat.clients.waiting import Patience
from lifeboat.decisions import deployments
from lifeboat.errors import Failed, Interrupted, Refused, Unreachable
from lifeboat.model import ContainerImage, Deployed, HostScript, HostStanding, InstanceId

from tests.conftest import RunningCloud
from tests.localcloud.machines import BASE_IMAGE, WITH_DOCKER, Machines, asked, until

PATIENCE = Patience(seconds=60, tell=lambda _: None)
ECHO = HostScript(name="echo", text='printf "%s|" "$#" "$@"', token="t-echo")
SETTINGS = "AWS_REGION=eu-west-1\nAPP_IMAGE=app:1\nAPP_SECRET_NAME=none/database\nPORT=8080\n"


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def host(machines: Machines) -> InstanceId:
    return InstanceId(machines.launch(WITH_DOCKER))


@pytest.fixture(scope="module")
def hosts(cloud: RunningCloud) -> Hosts:
    return hosts_of(cloud)


@pytest.fixture
def faults(cloud: RunningCloud) -> Iterator[Callable[..., None]]:
    """Give a function that adds a fault; all are dropped afterwards."""
    yield lambda **rule: cloud.control("faults", add=rule) and None
    cloud.control("faults", clear=True)


def hosts_of(cloud: RunningCloud, **sender: Any) -> Hosts:
    return Hosts(ec2=lambda: cloud.client("ec2"), ssm=cloud.client("ssm"), sender=cloud.client("ssm", **sender))


def sent(cloud: RunningCloud, token: str) -> int:
    """Return how many commands carry a token."""
    commands = cloud.client("ssm").get_paginator("list_commands").paginate()
    return sum(token in command["Comment"] for page in commands for command in page["Commands"])


# -- arguments and output ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("a b", "", "c"),
        ("$(touch /tmp/injected)", "`id`", "; exit 9", "'", '"', "\\", "a\nb", "-e", "*", "~", "!x", "#", "${HOME}"),
    ],
)
def test_arguments_arrive_as_they_are(hosts: Hosts, host: InstanceId, arguments: tuple[str, ...]) -> None:
    printed = hosts.run(host, replace(ECHO, arguments=arguments), PATIENCE)

    assert printed == "".join(f"{part}|" for part in (str(len(arguments)), *arguments))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=20), max_size=4))
def test_no_text_is_anything_but_an_argument(hosts: Hosts, host: InstanceId, arguments: list[str]) -> None:
    if any("{{" in argument for argument in arguments):
        return

    printed = hosts.run(host, replace(ECHO, arguments=tuple(arguments)), PATIENCE)

    assert printed == "".join(f"{part}|" for part in (str(len(arguments)), *arguments))


@pytest.mark.parametrize(
    "script",
    [replace(ECHO, arguments=("{{ssm:/production/password}}",)), replace(ECHO, text="echo '{{.Name}}'")],
)
def test_what_ssm_would_replace_itself_is_refused(
    cloud: RunningCloud, hosts: Hosts, host: InstanceId, script: HostScript
) -> None:
    with pytest.raises(Refused, match="which SSM takes for a parameter of its own"):
        hosts.run(host, replace(script, token="t-braces"), PATIENCE)

    assert sent(cloud, "t-braces") == 0


def test_progress_is_told(hosts: Hosts, host: InstanceId) -> None:
    told: list[str] = []

    hosts.run(host, HostScript(name="slow", text="sleep 1", token="t"), Patience(seconds=60, tell=told.append))

    assert f"slow on {host}: InProgress" in told


# -- ends of every kind --------------------------------------------------------------------------------------------------


def test_a_script_that_fails_tells_its_status_and_the_end_of_its_errors_without_secrets(
    hosts: Hosts, host: InstanceId
) -> None:
    text = "for n in $(seq 40); do echo line $n >&2; done; echo password=hunter2 >&2; exit 3"

    with pytest.raises(Failed) as failure:
        hosts.run(host, HostScript(name="breaks", text=text, token="t"), PATIENCE)

    lines = failure.value.summary.splitlines()
    assert lines[0] == f"breaks on {host} failed with status 3:"
    assert "  line 40" in lines
    assert "  line 20" not in lines
    assert "hunter2" not in failure.value.summary
    assert len(lines) <= 13


def test_a_script_without_errors_is_told_by_its_output(hosts: Hosts, host: InstanceId) -> None:
    with pytest.raises(Failed, match="failed with status 4:\n.*said on the way"):
        hosts.run(host, HostScript(name="breaks", text="echo said on the way; exit 4", token="t"), PATIENCE)


def test_a_script_that_takes_too_long_is_ended(hosts: Hosts, host: InstanceId, machines: Machines) -> None:
    script = HostScript(name="hangs", text='echo $$ >"$HOST_ROOT/opt/hangs"; exec sleep 60', token="t")

    with pytest.raises(Failed, match=f"^hangs on {host} (did not end within 1 s|took too long)"):
        hosts.run(host, script, Patience(seconds=1, tell=lambda _: None))

    until(lambda: machines.shell(host, 'kill -0 "$(cat "$HOST_ROOT/opt/hangs")"').code != 0)


def test_a_script_that_somebody_cancels_says_so(cloud: RunningCloud, hosts: Hosts, host: InstanceId) -> None:
    ssm = cloud.client("ssm")

    def cancel(_seconds: float) -> None:
        for command in ssm.list_commands(InstanceId=host)["Commands"]:
            if "t-cancelled" in command["Comment"]:
                ssm.cancel_command(CommandId=command["CommandId"])

    script = HostScript(name="ends early", text="sleep 60", token="t-cancelled")
    with pytest.raises(Failed, match=f"ends early on {host} was cancelled"):
        hosts.run(host, script, Patience(seconds=60, tell=lambda _: None, sleep=cancel))


def interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_script_is_cancelled_and_that_is_said(hosts: Hosts, host: InstanceId) -> None:
    script = HostScript(name="slow", text="sleep 60", token="t-interrupted")

    with pytest.raises(Interrupted, match=f"^slow on {host} was interrupted: its command .* is cancelled$"):
        hosts.run(host, script, replace(PATIENCE, sleep=interrupt))

    until(lambda: hosts.unended(host) == [])


def test_a_script_that_is_interrupted_before_its_answer_came_is_cancelled_too(
    hosts: Hosts, host: InstanceId, faults: Callable[..., None]
) -> None:
    faults(service="ssm", operation="SendCommand", when="after")
    script = HostScript(name="slow", text="sleep 60", token="t-unanswered")

    with pytest.raises(Interrupted, match="its command .* is cancelled"):
        hosts.run(host, script, replace(PATIENCE, sleep=interrupt))

    until(lambda: hosts.unended(host) == [])


def test_an_interruption_that_cannot_be_passed_on_says_that_the_script_may_run_on(
    hosts: Hosts, host: InstanceId, faults: Callable[..., None]
) -> None:
    faults(service="ssm", operation="CancelCommand", code="AccessDeniedException", status=400)
    script = HostScript(name="slow", text="sleep 60", token="t-stays")

    with pytest.raises(Interrupted, match="and may run on: cannot cancel .*AccessDeniedException"):
        hosts.run(host, script, replace(PATIENCE, sleep=interrupt))
    left = hosts.unended(host)
    hosts.end(host, left[0], PATIENCE)

    assert [command.script for command in left] == ["slow"]
    assert hosts.unended(host) == []


# -- what SSM does to its callers ----------------------------------------------------------------------------------------


def test_a_command_that_is_not_known_at_once_is_waited_for(
    hosts: Hosts, host: InstanceId, faults: Callable[..., None]
) -> None:
    faults(service="ssm", operation="GetCommandInvocation", times=3, code="InvocationDoesNotExist", status=400)

    assert hosts.run(host, ECHO, PATIENCE) == "0|"


def test_a_command_that_never_becomes_known_is_an_error(
    hosts: Hosts, host: InstanceId, faults: Callable[..., None]
) -> None:
    faults(service="ssm", operation="GetCommandInvocation", times=999, code="InvocationDoesNotExist", status=400)
    passing = iter(range(0, 100_000, 10))

    with pytest.raises(Unreachable, match=f"SSM accepted echo for {host} and knows nothing of it"):
        hosts.run(host, ECHO, replace(PATIENCE, sleep=lambda _: None, clock=lambda: float(next(passing))))


@pytest.mark.parametrize(
    "fault",
    [
        {"when": "after"},
        {"when": "before"},
        {"when": "before", "code": "ThrottlingException", "status": 400},
        {"when": "after", "status": 200, "delay_seconds": 7},
    ],
    ids=["answer lost", "not reached", "throttled", "answer late"],
)
def test_a_script_runs_once_whatever_becomes_of_the_answer(
    cloud: RunningCloud, host: InstanceId, faults: Callable[..., None], fault: dict[str, Any]
) -> None:
    token = f"t-once-{fault['when']}-{len(fault)}"
    script = HostScript(
        name="count", text=f'echo x >>"$HOST_ROOT/opt/{token}"; cat "$HOST_ROOT/opt/{token}"', token=token
    )
    faults(service="ssm", operation="SendCommand", **fault)

    printed = hosts_of(cloud, read_timeout=5).run(host, script, PATIENCE)

    assert (printed, sent(cloud, token)) == ("x\n", 1)


def test_a_service_that_stays_away_is_given_up(
    cloud: RunningCloud, hosts: Hosts, host: InstanceId, faults: Callable[..., None]
) -> None:
    faults(service="ssm", operation="SendCommand", times=99)

    with pytest.raises(Unreachable, match=f"cannot send echo to {host}: InternalFailure"):
        hosts.run(host, replace(ECHO, token="t-away"), replace(PATIENCE, sleep=lambda _: None))

    assert sent(cloud, "t-away") == 0


def test_what_ssm_refuses_is_not_tried_again(hosts: Hosts, host: InstanceId, faults: Callable[..., None]) -> None:
    slept: list[float] = []
    faults(service="ssm", operation="SendCommand", times=99, code="AccessDeniedException", status=400)

    with pytest.raises(Unreachable, match="AccessDeniedException"):
        hosts.run(host, ECHO, replace(PATIENCE, sleep=slept.append))

    assert slept == []


# -- dead hosts ------------------------------------------------------------------------------------------------------


def test_a_host_says_whether_it_can_be_worked_with(hosts: Hosts, machines: Machines, host: InstanceId) -> None:
    bare = machines.ec2.run_instances(ImageId=BASE_IMAGE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    machines.until(lambda: machines.state(bare) == "running")
    gone = InstanceId("i-0123456789abcdef0")

    alive, without_role, missing = (hosts.standing(InstanceId(i)) for i in (host, bare, gone))
    machines.ec2.terminate_instances(InstanceIds=[bare])
    machines.until(lambda: machines.state(bare) == "terminated")

    assert (alive.state, alive.agent) == ("running", "online")
    assert alive.machine is not None
    assert (alive.machine.architecture, alive.machine.root_device_name) == ("x86_64", "/dev/xvda")
    assert (without_role.state, without_role.agent) == ("running", "offline")
    assert missing == HostStanding(instance=gone, state="missing", agent="offline")
    assert hosts.standing(InstanceId(bare)).state == "terminated"


def test_a_host_without_an_agent_is_unreachable(hosts: Hosts, machines: Machines) -> None:
    stopped = machines.launch()
    machines.ec2.stop_instances(InstanceIds=[stopped])
    machines.until(lambda: machines.state(stopped) == "stopped")

    with pytest.raises(Unreachable, match=f"SSM cannot reach {stopped}: its agent is not online"):
        hosts.run(InstanceId(stopped), ECHO, PATIENCE)


# -- the application's own scripts ---------------------------------------------------------------------------------------


def deployed(hosts: Hosts, host: InstanceId) -> Deployed:
    return deployments.deployed(hosts.run(host, deployments.looking("t"), PATIENCE))


def image(text: str) -> ContainerImage:
    return ContainerImage(text)


@pytest.fixture(scope="module")
def bare(machines: Machines, hosts: Hosts) -> tuple[InstanceId, Deployed]:
    """Return a host with Docker and settings and nothing deployed, and what it said of itself before it had settings."""
    host = InstanceId(machines.launch(WITH_DOCKER))
    before = deployed(hosts, host)
    folder = machines.root(host) / "etc/app"
    machines.shell(host, 'mkdir -p "$HOST_ROOT/etc/app"')
    (folder / "app.env").write_text(SETTINGS)
    return host, before


def test_the_scripts_deploy_remember_go_back_and_restart(
    machines: Machines, hosts: Hosts, bare: tuple[InstanceId, Deployed]
) -> None:
    host, nothing = bare
    seen = [deployed(hosts, host)]
    settings_file = machines.root(host) / "etc/app/app.env"
    version = f"http://{machines.described(host)['PrivateIpAddress']}:8080/version"

    for script in (
        deployments.redeploying(image("app:1"), "t-1"),
        deployments.redeploying(image("app:1"), "t-2"),
        deployments.redeploying(image("app:2"), "t-3"),
        deployments.rolling_back(image("app:1"), "t-4"),
        deployments.restarting("t-5"),
    ):
        hosts.run(host, deployments.judging(script, "/version"), PATIENCE)
        until(lambda: asked(version)[0] == 200)
        seen.append(deployed(hosts, host))

    one, two = image("app:1"), image("app:2")
    assert nothing == Deployed(running=None, configured=None, previous=None)
    assert seen == [
        Deployed(running=None, configured=one, previous=None),
        Deployed(running=one, configured=one, previous=None),
        Deployed(running=one, configured=one, previous=None),
        Deployed(running=two, configured=two, previous=one),
        Deployed(running=one, configured=one, previous=two),
        Deployed(running=one, configured=one, previous=two),
    ]
    assert settings_file.read_text() == SETTINGS
    assert '"version":"1"' in asked(version)[1]
    assert machines.shell(host, "docker ps -a -q | wc -l").out.strip() == "1"


def test_an_image_that_is_not_well_when_it_is_replaced_is_nothing_to_go_back_to(
    machines: Machines, hosts: Hosts, bare: tuple[InstanceId, Deployed]
) -> None:
    host, _ = bare
    version = f"http://{machines.described(host)['PrivateIpAddress']}:8080/version"
    for text in ("app:1", "app:2"):
        hosts.run(host, deployments.judging(deployments.redeploying(image(text), "t"), "/version"), PATIENCE)
        until(lambda: asked(version)[0] == 200)

    # Without a database nobody is well there.
    hosts.run(host, deployments.judging(deployments.rolling_back(image("app:1"), "t"), "/healthz"), PATIENCE)
    kept = deployed(hosts, host)
    (machines.root(host) / "var/lib/app/previous").unlink()
    hosts.run(host, deployments.judging(deployments.redeploying(image("app:2"), "t"), "/healthz"), PATIENCE)
    all_there_is = deployed(hosts, host)

    assert (kept.running, kept.previous) == ("app:1", "app:1")
    assert deployments.rollback(kept).image is None
    assert (all_there_is.running, all_there_is.previous) == ("app:2", "app:1")


def test_an_image_that_does_not_exist_changes_nothing(
    machines: Machines, hosts: Hosts, bare: tuple[InstanceId, Deployed]
) -> None:
    host, _ = bare
    before = deployed(hosts, host)

    with pytest.raises(Failed, match="app-redeploy on .* failed with status 1:\n.*manifest for app:9 not found"):
        hosts.run(host, deployments.redeploying(image("app:9"), "t"), PATIENCE)
    with pytest.raises(Failed, match="manifest for app:9 not found"):
        hosts.run(host, deployments.rolling_back(image("app:9"), "t"), PATIENCE)

    assert deployed(hosts, host) == before
    assert list((machines.root(host) / "etc/app").iterdir()) == [machines.root(host) / "etc/app/app.env"]


def test_what_a_job_of_the_pipeline_runs_is_seen_and_can_be_ended(
    cloud: RunningCloud, hosts: Hosts, host: InstanceId
) -> None:
    cloud.client("ssm").send_command(
        InstanceIds=[host],
        DocumentName="AWS-RunShellScript",
        Comment="job 12 1772332200.815: deploy.sh",
        Parameters={"commands": ["sleep 60"]},
    )

    (left,) = hosts.unended(host)
    hosts.end(host, left, PATIENCE)

    assert left.script == "deploy.sh of job 12"
    assert hosts.unended(host) == []


@pytest.mark.parametrize("script", [deployments.rolling_back, deployments.redeploying_from_disk])
def test_what_is_on_the_disk_needs_no_registry(
    script: Callable[[ContainerImage, str], HostScript],
    cloud: RunningCloud,
    hosts: Hosts,
    bare: tuple[InstanceId, Deployed],
) -> None:
    host, _ = bare
    hosts.run(host, deployments.redeploying(image("app:1"), "t"), PATIENCE)
    hosts.run(host, deployments.redeploying(image("app:2"), "t"), PATIENCE)
    registry = cloud.directory / "live/registry"
    registry.rename(registry.with_name("registry-away"))
    try:
        with pytest.raises(Failed, match="pull access denied for app"):
            hosts.run(host, deployments.redeploying(image("app:1"), "t"), PATIENCE)

        hosts.run(host, script(image("app:1"), "t"), PATIENCE)
    finally:
        shutil.rmtree(registry, ignore_errors=True)  # looked for, so made anew
        registry.with_name("registry-away").rename(registry)

    assert deployed(hosts, host).running == "app:1"


def test_a_host_without_settings_is_not_touched(machines: Machines, hosts: Hosts, host: InstanceId) -> None:
    with pytest.raises(Failed, match="app-redeploy on .* failed"):
        hosts.run(host, deployments.redeploying(image("app:1"), "t"), PATIENCE)
    with pytest.raises(Failed, match="No such container: app"):
        hosts.run(host, deployments.restarting("t"), PATIENCE)

    assert machines.shell(host, "docker ps -a -q | wc -l").out.strip() == "0"
