"""`lifeboat app …` on an applied stack: each ends in a healthy answer, or says why not and what to type next."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.commands.test_ami import healthy, recovery
from tests.localcloud.machines import until
from tests.rehearsal import Rehearsal, passed


def journal(stack: Rehearsal, verb: str) -> list[dict[str, Any]]:
    """Return the journal of the newest run of a verb."""
    runs = json.loads(passed(stack.ask("runs", "-o", "json")).stdout)
    newest = next(run["run"] for run in runs if f"-app-{verb}-" in run["run"])
    events: list[dict[str, Any]] = json.loads(passed(stack.ask("logs", newest, "-o", "json")).stdout)
    return events


def test_a_restart_is_a_new_container_process_and_a_healthy_answer(saved: Rehearsal) -> None:
    app = recovery(saved)["app"]
    root = saved.root / ".lifeboat/local/cloud/live/hosts" / app["instance_id"] / "root"
    record = next((root / "var/lib/docker/containers").glob("*/config.json"))
    before = json.loads(record.read_text())["started"]

    done = passed(saved.lifeboat("app", "restart"))

    assert done.stdout.startswith(f"app:1 answers at {app['url']} on {app['instance_id']}, after ")
    assert json.loads(record.read_text())["started"] > before
    kinds = [(event["kind"], event["text"]) for event in journal(saved, "restart")]
    order = f"restart on {app['instance_id']}"
    assert kinds == [
        ("begun", "restart"),
        ("intent", order),
        ("result", order),
        ("note", f"{app['url']} is well"),
        ("ended", "done"),
    ]


def test_an_image_is_deployed_rolled_back_and_forth_and_the_next_instance_is_warned_of(stack: Rehearsal) -> None:
    app = recovery(stack)["app"]

    nothing = stack.ask("app", "rollback")
    second = passed(stack.ask("app", "redeploy", "--image", "2", "-o", "json"))
    answers = [healthy(app["url"], stack)["image"]]
    back = passed(stack.ask("app", "rollback"))
    answers.append(healthy(app["url"], stack)["image"])
    passed(stack.ask("app", "rollback"))
    answers.append(healthy(app["url"], stack)["image"])

    passed(nothing, 3)
    assert "rollback refused, nothing was changed: no other image ran there before" in nothing.stderr
    assert "next: lifeboat app redeploy --image IMAGE" in nothing.stderr
    document = json.loads(second.stdout)
    assert (document["image"], document["before"], document["health"]["image"]) == ("app:2", "app:1", "app:2")
    assert "the next instance starts with app:1, as environments/local.tfvars says" in second.stderr
    assert "before, app:2 ran" in back.stdout
    assert "the next instance" not in back.stderr
    assert answers == ["app:2", "app:1", "app:2"]
    told = {event["kind"]: event["data"] for event in journal(stack, "redeploy")}
    del told["intent"]["token"]
    assert told["intent"] == {"script": "app-redeploy", "instance": app["instance_id"], "container": "app:2"}
    assert '"image":"app:2"' in told["note"]["answered"]


def test_a_container_that_was_removed_is_deployed_again(saved: Rehearsal) -> None:
    app = recovery(saved)["app"]
    saved.client("ssm").send_command(
        InstanceIds=[app["instance_id"]],
        DocumentName="AWS-RunShellScript",
        Parameters={"commands": ["docker rm --force app"]},
    )
    until(lambda: saved.run("curl", "-sf", f"{app['url']}/healthz").returncode != 0)

    restart = saved.ask("app", "restart")
    redeploy = passed(saved.ask("app", "redeploy"))

    passed(restart, 3)
    assert "there is no container of the application" in restart.stderr
    assert "app:1 answers at" in redeploy.stdout


def test_an_image_that_does_not_exist_leaves_the_old_one_running(saved: Rehearsal) -> None:
    app = recovery(saved)["app"]

    done = passed(saved.ask("app", "redeploy", "--image", "app:9"), 1)

    assert "manifest for app:9 not found" in done.stderr
    assert "app:1 runs there now" in done.stderr
    assert healthy(app["url"], saved)["image"] == "app:1"
    assert journal(saved, "redeploy")[-1]["text"].startswith("failed: ")


@pytest.mark.parametrize("image", ["app:1; touch /tmp/x", "$(id)", "--privileged", "{{ssm:secret}}", ""])
def test_what_is_no_image_reaches_no_shell(saved: Rehearsal, image: str) -> None:
    done = passed(saved.ask("app", "redeploy", "--image", image), 2)

    assert f"{image!r} is no container image" in done.stderr
    assert "lifeboat app redeploy --image registry.example.com/app:2" in done.stderr


def test_on_a_dead_instance_the_recovery_is_named(stack: Rehearsal) -> None:
    instance = recovery(stack)["app"]["instance_id"]
    ec2, iam = stack.client("ec2"), stack.client("iam")
    agent = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"

    iam.detach_role_policy(RoleName="app-local-app", PolicyArn=agent)
    silent = stack.ask("app", "restart")
    iam.attach_role_policy(RoleName="app-local-app", PolicyArn=agent)
    ec2.stop_instances(InstanceIds=[instance])
    until(lambda: not ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"])
    stopped = [stack.ask("app", verb) for verb in ("restart", "rollback", "redeploy")]

    assert f"{instance} runs, but its SSM agent is offline, so nothing can be done on it" in silent.stderr
    for done in (silent, *stopped):
        passed(done, 8)
        assert "next: lifeboat recover -e local" in done.stderr
    assert all(f"{instance} is stop" in done.stderr for done in stopped)


@contextmanager
def pulling(stack: Rehearsal, image: str) -> Iterator[subprocess.Popen[str]]:
    """Give a redeployment whose host takes its time to fetch the image."""
    instance = recovery(stack)["app"]["instance_id"]
    root = stack.root / ".lifeboat/local/cloud/live/hosts" / instance / "root"
    docker, begun = root / "usr/local/bin/docker", root / "tmp/pulling"
    docker.parent.mkdir(parents=True, exist_ok=True)
    docker.write_text(
        '#!/bin/sh\nif [ "$1" = pull ]; then touch "$HOST_ROOT/tmp/pulling"; sleep 60; fi\n'
        'exec "$HOST_ROOT/usr/bin/docker" "$@"\n'
    )
    docker.chmod(0o755)
    process = stack.start("lifeboat", "app", "redeploy", "--image", image)
    try:
        until(begun.exists)
        docker.unlink()
        yield process
    finally:
        docker.unlink(missing_ok=True)
        begun.unlink(missing_ok=True)
        process.kill()
        process.wait()


def statuses(stack: Rehearsal, script: str) -> list[str]:
    """Return how the sendings of a script stand, the newest first."""
    found = stack.client("ssm").list_commands()["Commands"]
    return [command["Status"] for command in found if command["Comment"].startswith(f"lifeboat {script} ")]


def test_an_interrupted_redeploy_cancels_its_command_and_says_so(saved: Rehearsal) -> None:
    with pulling(saved, "2") as redeploy:
        redeploy.send_signal(signal.SIGTERM)
        told, _ = redeploy.communicate(timeout=60)

    until(lambda: statuses(saved, "app-redeploy")[0] == "Cancelled")
    assert redeploy.returncode == 130
    assert "was interrupted: its command" in told
    assert "is cancelled" in told
    assert journal(saved, "redeploy")[-1]["text"].startswith("interrupted: app-redeploy on ")
    assert healthy(recovery(saved)["app"]["url"], saved)["image"] == "app:1"


def test_what_a_killed_redeploy_left_running_is_cancelled_before_the_next_verb(saved: Rehearsal) -> None:
    app = recovery(saved)["app"]
    with pulling(saved, "2") as redeploy:
        redeploy.kill()
        redeploy.communicate(timeout=60)
        before = statuses(saved, "app-redeploy")[0]

        restarted = passed(saved.lifeboat("app", "restart"))

    assert (before, statuses(saved, "app-redeploy")[0]) == ("InProgress", "Cancelled")
    assert (
        f"app-redeploy still runs on {app['instance_id']}, and would replace what is done now; it is cancelled"
        in restarted.stderr
    )
    assert healthy(app["url"], saved)["image"] == "app:1"
    assert any(event["text"] == f"cancel app-redeploy on {app['instance_id']}" for event in journal(saved, "restart"))


def test_two_at_once_are_one_and_a_refusal(saved: Rehearsal) -> None:
    with (saved.root / ".lifeboat/local/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        done = passed(saved.lifeboat("app", "restart"), 5)

    assert "this environment" in done.stderr


def test_every_verb_teaches_by_an_example(saved: Rehearsal) -> None:
    for verb in ("restart", "rollback", "redeploy"):
        assert "Example: " in passed(saved.ask("app", verb, "--help")).stdout
