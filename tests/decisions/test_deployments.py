"""What to run on a host, who may be named, what a script looks like, and when the application is well."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import deployments
from lifeboat.decisions.deployments import Deployment, Expected
from lifeboat.model import ContainerImage, Deployed, Health, HostScript, HostStanding, InstanceId

ONE, TWO = (
    ContainerImage("registry.example.com:5000/team/app:1"),
    ContainerImage("registry.example.com:5000/team/app:2"),
)
START_SCRIPT = Path(__file__).parents[2] / "modules/app-instance/templates/user_data.sh.tftpl"
EMPTY = Deployed(running=None, configured=None, previous=None)
DIGEST = "sha256:" + "0" * 64
SCRIPTS = [
    deployments.looking("t"),
    deployments.redeploying(ONE, "t"),
    deployments.redeploying_from_disk(ONE, "t"),
    deployments.rolling_back(ONE, "t"),
    deployments.restarting("t"),
]


@pytest.mark.parametrize(
    "text",
    [
        "app:1",
        "app",
        "team/app:1.2.3-rc.1",
        "registry.example.com/team/app:1",
        "localhost:5000/app:1",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:main_7",
        f"app@{DIGEST}",
        f"app:1@{DIGEST}",
    ],
)
def test_an_image_reference_is_one(text: str) -> None:
    assert deployments.reference(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app:1; reboot",
        "app:$(id)",
        "app:`id`",
        "app:1\n",
        "app:1 --privileged",
        "-v/:/host",
        "--privileged",
        "app:'1'",
        'app:"1"',
        "app:1|sh",
        "app:{{ssm:x}}",
        "App:1",
        "app:",
        ":1",
        "app:-1",
        "app@sha256:12",
        "app:1&",
        "app:\\1",
        "a" * 256,
    ],
)
def test_what_is_no_image_reference_is_refused(text: str) -> None:
    running = Deployed(running=ONE, configured=None, previous=None)

    assert deployments.reference(text) is None
    assert deployments.named(text, EMPTY) is None
    assert deployments.named(text, running) is None


@given(st.text())
def test_nothing_that_means_something_to_a_shell_gets_through(text: str) -> None:
    found = deployments.reference(text)

    assert found is None or not set(found) & set(" \t\n\r;&|<>$`\\\"'(){}*?[]!#~=%")


@pytest.mark.parametrize(
    ("text", "running", "meant"),
    [
        ("2", ONE, TWO),
        ("2", ContainerImage("app:1"), "app:2"),
        ("2", ContainerImage(f"team/app@{DIGEST}"), "team/app:2"),
        ("2", ContainerImage("localhost:5000/app"), "localhost:5000/app:2"),
        ("other:7", ONE, "other:7"),
        ("team/other", ONE, "team/other"),
        ("latest", ContainerImage("app:1"), "app:latest"),
    ],
)
def test_an_operator_names_a_tag_or_a_whole_image(text: str, running: ContainerImage, meant: str) -> None:
    runs = Deployed(running=running, configured=None, previous=None)
    stopped = Deployed(running=None, configured=running, previous=None)

    assert (deployments.named(text, runs), deployments.named(text, stopped)) == (meant, meant)


def test_a_tag_of_nothing_names_nothing() -> None:
    assert deployments.named("2", EMPTY) is None


@pytest.mark.parametrize(
    ("deployed", "expected"),
    [
        (
            Deployed(running=TWO, configured=TWO, previous=ONE),
            {
                "redeployment": Deployment(image=TWO, why="it is what runs"),
                "rollback": Deployment(image=ONE, why=f"it ran before {TWO}"),
                "restart": Deployment(image=TWO, why="it is what runs"),
            },
        ),
        (
            Deployed(running=ONE, configured=ONE, previous=None),
            {
                "redeployment": Deployment(image=ONE, why="it is what runs"),
                "rollback": Deployment(image=None, why="no other image ran there before"),
                "restart": Deployment(image=ONE, why="it is what runs"),
            },
        ),
        (
            Deployed(running=ONE, configured=ONE, previous=ONE),
            {
                "redeployment": Deployment(image=ONE, why="it is what runs"),
                "rollback": Deployment(image=None, why=f"the image that ran before is the one that runs: {ONE}"),
                "restart": Deployment(image=ONE, why="it is what runs"),
            },
        ),
        (
            Deployed(running=None, configured=TWO, previous=ONE),
            {
                "redeployment": Deployment(image=TWO, why="nothing runs, and the host's settings name it"),
                "rollback": Deployment(image=ONE, why="it ran before the container was removed"),
                "restart": Deployment(image=None, why="there is no container of the application"),
            },
        ),
        (
            EMPTY,
            {
                "redeployment": Deployment(image=None, why="nothing runs there, and the host's settings name no image"),
                "rollback": Deployment(image=None, why="no other image ran there before"),
                "restart": Deployment(image=None, why="there is no container of the application"),
            },
        ),
    ],
)
def test_what_is_run_follows_from_what_is_deployed(deployed: Deployed, expected: dict[str, Deployment]) -> None:
    found = {
        "redeployment": deployments.redeployment(deployed, None),
        "rollback": deployments.rollback(deployed),
        "restart": deployments.restart(deployed),
    }

    assert found == expected
    assert deployments.redeployment(deployed, TWO) == Deployment(image=TWO, why="it was named")


def test_what_a_host_prints_is_read_and_what_is_no_image_counts_as_nothing() -> None:
    whole = deployments.deployed("running=app:2\nconfigured=app:2\nprevious=app:1\n")
    odd = deployments.deployed("running=\nconfigured=$(reboot)\nprevious=app:1 app:0\nnoise\n")

    assert whole == Deployed(
        running=ContainerImage("app:2"), configured=ContainerImage("app:2"), previous=ContainerImage("app:1")
    )
    assert (odd, deployments.deployed("")) == (EMPTY, EMPTY)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.name))
def test_a_script_is_sound_shell_and_holds_nothing_that_ssm_or_an_image_could_change(script: HostScript) -> None:
    checked = subprocess.run(["sh", "-n"], input=script.text, capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert "{{" not in script.text
    assert ONE not in script.text


def test_a_redeployment_starts_the_container_as_the_start_script_of_the_instance_does() -> None:
    def how(script: str) -> list[str]:
        found = [line for line in script.splitlines() if line.startswith(("docker rm", "docker run"))]
        names = {"${app_port}": "PORT", "$port": "PORT", '"$app_image"': "IMAGE", '"$1"': "IMAGE"}
        return [re.sub("|".join(map(re.escape, names)), lambda name: names[name[0]], line) for line in found]

    at_boot = how(START_SCRIPT.read_text())

    assert len(at_boot) == 2
    assert how(deployments.redeploying(ONE, "t").text) == at_boot
    assert how(deployments.redeploying_from_disk(ONE, "t").text) == at_boot
    assert how(deployments.rolling_back(ONE, "t").text) == at_boot


@pytest.mark.parametrize(
    ("state", "agent", "why"),
    [
        ("running", "online", None),
        ("missing", "offline", "there is no instance i-1"),
        ("stopped", "offline", "i-1 is stopped"),
        ("terminated", "online", "i-1 is terminated"),
        ("running", "offline", "i-1 runs, but its SSM agent is offline"),
        ("running", "connectionlost", "i-1 runs, but its SSM agent is connectionlost"),
    ],
)
def test_an_instance_is_reached_only_when_it_runs_and_its_agent_answers(
    state: str, agent: str, why: str | None
) -> None:
    assert deployments.unreachable(HostStanding(instance=InstanceId("i-1"), state=state, agent=agent)) == why


@pytest.mark.parametrize(
    ("health", "why"),
    [
        (Health(address="10.0.0.7", status=200, says="ok", image="app:2", instance_id="i-1"), None),
        (Health(address="10.0.0.7", status=200, says="ok"), None),
        (Health(address="10.0.0.7", status=None, says="refused"), "nobody answers: refused"),
        (Health(address="10.0.0.7", status=503, says="waiting", image="app:2"), "HTTP 503: waiting"),
        (Health(address="10.0.0.7", status=204, says=""), "HTTP 204: "),
        (
            Health(address="10.0.0.7", status=200, says="ok", image="app:1", instance_id="i-1"),
            "app:1 answers, not app:2",
        ),
        (Health(address="10.0.0.7", status=200, says="ok", image="app:2", instance_id="i-0"), "i-0 answers, not i-1"),
    ],
)
def test_the_application_is_well_when_the_right_one_says_so(health: Health, why: str | None) -> None:
    expected = Expected(image=ContainerImage("app:2"), instance=InstanceId("i-1"))

    assert deployments.unwell(health, expected) == why


def test_anybody_may_answer_where_nobody_is_expected() -> None:
    assert (
        deployments.unwell(Health(address="10.0.0.7", status=200, says="ok", image="x", instance_id="y"), Expected())
        is None
    )
