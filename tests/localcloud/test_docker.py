"""The docker command of a host: containers are real processes, and what docker refuses is refused in its words."""

from __future__ import annotations

import json

import pytest

from tests.conftest import RunningCloud
from tests.localcloud.machines import WITH_DOCKER, Machines, asked

RUN = "docker run -d -e APP_SECRET_NAME=none/database"


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def host(machines: Machines) -> str:
    return machines.launch(WITH_DOCKER)


@pytest.fixture(scope="module")
def busy(machines: Machines, host: str) -> str:
    """The host once a container runs on it."""
    machines.shell(host, "docker run -d app:1 sleep 3000")
    return host


def address(machines: Machines, host: str) -> str:
    return str(machines.described(host)["PrivateIpAddress"])


def inspected(machines: Machines, host: str, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        machines.shell(host, f"docker inspect {name} --format '{{{{json .State}}}}'").out
    )
    return found


def test_a_container_answers_on_the_port_it_publishes_and_not_after_its_removal(machines: Machines, host: str) -> None:
    url = f"http://{address(machines, host)}:8101/version"
    started = machines.shell(host, f"{RUN} --name answers -p 8101:8080 app:1")
    machines.until(lambda: asked(url)[0] == 200)
    answer = asked(url)

    machines.shell(host, "docker rm -f answers")

    assert started.code == 0
    assert len(started.out.strip()) == 64
    assert json.loads(answer[1]) == {"version": "1", "image": "app:1"}
    assert asked(url)[0] == 0


def test_the_second_image_is_a_newer_version(machines: Machines, host: str) -> None:
    url = f"http://{address(machines, host)}:8102/version"
    machines.shell(host, f"{RUN} --name newer -p 8102:8080 app:2")

    machines.until(lambda: asked(url)[0] == 200)

    assert json.loads(asked(url)[1])["version"] == "2"


def test_what_is_on_the_disk_is_told_of_an_image(machines: Machines, host: str) -> None:
    machines.shell(host, "docker pull app:2")

    found = machines.shell(host, "docker image inspect app:2 --format '{{json .RepoTags}}'")

    assert (found.code, json.loads(found.out)) == (0, ["app:2"])


def test_two_containers_may_use_the_same_port_inside(machines: Machines, host: str) -> None:
    machines.shell(host, f"{RUN} --name left -p 8103:8080 app:1", f"{RUN} --name right -p 8104:8080 app:2")

    for port, version in ((8103, "1"), (8104, "2")):
        url = f"http://{address(machines, host)}:{port}/version"
        machines.until(lambda url=url: asked(url)[0] == 200)  # type: ignore[misc]
        assert json.loads(asked(url)[1])["version"] == version


def test_a_container_that_crashes_is_started_again_by_its_policy(machines: Machines, host: str) -> None:
    sleeping = "sh -c 'echo $$ >$HOST_ROOT/pid; exec sleep 300'"
    machines.shell(host, f"{RUN} --name phoenix --restart always app:1 {sleeping}")
    machines.shell(host, f"{RUN} --name mortal app:1 {sleeping}")

    for name in ("phoenix", "mortal"):
        # Only the one process that the container itself wrote down.
        machines.shell(host, f"docker exec {name} sh -c 'kill -9 \"$(cat $HOST_ROOT/pid)\"'")
    machines.until(lambda: inspected(machines, host, "mortal")["Running"] is False)
    machines.until(lambda: machines.shell(host, "docker inspect phoenix -f '{{.RestartCount}}'").out == "1\n")

    assert inspected(machines, host, "mortal")["ExitCode"] == 137
    assert inspected(machines, host, "phoenix")["Running"] is True


def test_containers_come_back_with_the_host_as_their_policies_say(machines: Machines) -> None:
    host = machines.launch(WITH_DOCKER)
    machines.shell(
        host,
        f"{RUN} --name always --restart always app:1 sleep 300",
        f"{RUN} --name unless --restart unless-stopped app:1 sleep 300",
        f"{RUN} --name stopped --restart unless-stopped app:1 sleep 300",
        f"{RUN} --name never app:1 sleep 300",
        "docker stop stopped",
    )

    machines.ec2.stop_instances(InstanceIds=[host])
    machines.until(lambda: machines.state(host) == "stopped")
    machines.ec2.start_instances(InstanceIds=[host])
    machines.until(lambda: machines.state(host) == "running")

    running = machines.shell(host, "docker ps --format '{{.Names}}'")
    everything = machines.shell(host, "docker ps -a --format '{{.Names}} {{.State}}'")
    assert sorted(running.out.split()) == ["always", "unless"]
    assert "never exited" in everything.out


def test_an_image_of_a_host_brings_its_containers_along(machines: Machines, host: str) -> None:
    machines.shell(host, "docker rm -f carried", f"{RUN} --name carried --restart always app:2 sleep 300")
    image = machines.image(host, "with-containers", NoReboot=True)

    second = machines.launch(image=image)

    assert "carried app:2" in machines.shell(second, "docker ps --format '{{.Names}} {{.Image}}'").out


def test_health_follows_the_images_check(machines: Machines, host: str) -> None:
    machines.shell(host, f"{RUN} --name checked -e PORT=8080 -p 8105:8080 app:1")

    state = inspected(machines, host, "checked")

    assert state["Health"] == {"Status": "starting"}


def test_logs_exec_and_volumes_are_real(machines: Machines, host: str) -> None:
    ended = machines.shell(
        host,
        "mkdir -p $HOST_ROOT/srv/data && echo shared >$HOST_ROOT/srv/data/file",
        "docker run --rm -e COLOUR=red -v /srv/data:/data app:1 sh -c 'echo $COLOUR; cat $HOST_ROOT/data/file; exit 4'",
        "echo status $?",
        "docker run -d --name talks app:1 sh -c 'echo one; echo two; sleep 300' >/dev/null",
        "sleep 1; docker logs --tail 1 talks",
        "docker exec -e SHAPE=round talks sh -c 'echo $SHAPE; exit 5'",
        "echo status $?",
    )

    assert ended.out == "red\nshared\nstatus 4\ntwo\nround\nstatus 5\n"


def test_an_env_file_is_read_and_env_wins_over_it(machines: Machines, host: str) -> None:
    ended = machines.shell(
        host,
        "printf '# comment\\nONE=1\\nTWO=2\\n' >$HOST_ROOT/opt/env",
        "docker run --rm --env-file $HOST_ROOT/opt/env -e TWO=two app:1 sh -c 'echo $ONE $TWO'",
        "docker run --rm --env-file $HOST_ROOT/opt/missing app:1 true; echo status $?",
    )

    assert ended.out == "1 two\nstatus 125\n"
    assert "no such file or directory" in ended.err


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (
            "docker run -d app:9",
            125,
            "docker: Error response from daemon: manifest for app:9 not found: manifest unknown",
        ),
        ("docker run -d nothing", 125, "pull access denied for nothing, repository does not exist"),
        ("docker pull app:9", 1, "Error response from daemon: manifest for app:9 not found: manifest unknown"),
        ("docker run -d APP:1", 125, "invalid reference format"),
        ("docker run -d --gpus all app:1", 125, "unknown flag: --gpus"),
        ("docker run -d -p 8080 app:1", 125, "invalid publish: 8080"),
        ("docker run -d --restart sometimes app:1", 125, "unknown policy 'sometimes'"),
        ("docker run --rm --restart always app:1", 125, "cannot specify both --restart and --rm"),
        ("docker run --rm app:1 no-such-program", 127, "executable file not found in $PATH"),
        ("docker run", 125, "requires at least 1 argument"),
        ("docker stop nobody", 1, "No such container: nobody"),
        ("docker inspect nobody", 1, "Error: No such object: nobody"),
        ("docker image inspect app:99", 1, "Error: No such image: app:99"),
        ("docker exec nobody true", 1, "No such container: nobody"),
        ("docker swarm init", 1, "'swarm' is not a docker command"),
        ("docker inspect -f '{{range .Mounts}}x{{end}}' $(docker ps -q | head -1)", 125, "template parsing error"),
        ("docker login -u AWS --password-stdin registry.example </dev/null", 1, "password is empty"),
        ("docker login registry.example", 1, "Cannot perform an interactive login"),
    ],
)
def test_what_docker_refuses_is_refused_in_its_words(
    machines: Machines, busy: str, command: str, status: int, words: str
) -> None:
    ended = machines.shell(busy, command)

    assert words in ended.err
    assert ended.code == status


def test_a_name_and_a_port_are_taken_once(machines: Machines, host: str) -> None:
    machines.shell(host, f"{RUN} --name taken -p 8106:8080 app:1")

    name = machines.shell(host, f"{RUN} --name taken app:1")
    port = machines.shell(host, f"{RUN} --name other -p 8106:8080 app:1")
    running = machines.shell(host, "docker rm taken")

    assert (name.code, 'The container name "/taken" is already in use' in name.err) == (125, True)
    assert (port.code, "Bind for 0.0.0.0:8106 failed: port is already allocated" in port.err) == (125, True)
    assert (running.code, "container is running" in running.err) == (1, True)


def test_without_its_daemon_docker_says_so(machines: Machines) -> None:
    host = machines.launch("#!/bin/bash\ndnf install -y docker\n")

    ended = machines.shell(host, "docker ps")
    active = machines.shell(host, "systemctl is-active docker")

    assert (ended.code, active.code) == (1, 3)
    assert ended.err.startswith("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")


def test_a_login_keeps_no_password(machines: Machines, host: str) -> None:
    ended = machines.shell(host, "echo canary-password | docker login -u AWS --password-stdin registry.example")

    assert ended.out == "Login Succeeded\n"
    assert "canary-password" not in (machines.root(host) / "root/.docker/config.json").read_text()
