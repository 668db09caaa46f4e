"""A recovery that is stopped while Terraform works, and one whose job no runner takes."""

from __future__ import annotations

import signal
import time

from tests.commands.test_recover import broke, by_name, deploys, instances, runs, until_it_says
from tests.rehearsal import Rehearsal, passed


def test_ctrl_c_in_the_middle_leaves_a_run_that_resumes(stack: Rehearsal) -> None:
    broke(stack, "instance-gone")
    first = stack.start("lifeboat", "recover")
    until_it_says(first, "Launch the instance")
    time.sleep(6)
    first.send_signal(signal.SIGTERM)
    printed, _ = first.communicate(timeout=200)
    state = runs(stack)[0]

    again = stack.lifeboat("recover")
    resumed = passed(stack.lifeboat("resume"))

    assert first.returncode == 130, printed
    assert f"lifeboat resume {state['run']}" in printed
    assert state["state"] == "open"
    assert f"lifeboat resume {state['run']} goes on with it" in passed(again, 3).stderr
    assert "interrupted" in resumed.stdout
    assert len(instances(stack)) == 1
    assert by_name(stack)["findings"] == []


def test_a_job_that_no_runner_takes_in_time_is_taken_back_and_the_disk_serves_without_a_registry(
    stack: Rehearsal,
) -> None:
    broke(stack)
    stack.edit("environments/local.toml", r"^\[gitlab\]$", "[gitlab]\nstart_minutes = 0.05")
    stack.control("gitlab", runner="offline")

    done = passed(stack.lifeboat("recover"))
    stack.control("gitlab", runner="online")

    assert "no runner is online that takes jobs with no tags" in done.stderr
    assert "deployed by: SSM" in done.stdout
    assert deploys(stack) == ["canceled"]
    assert by_name(stack)["findings"] == []


def test_a_recovery_whose_image_is_gone_says_how_to_take_another_one(stack: Rehearsal) -> None:
    image = passed(stack.lifeboat("ami", "bake", "--no-reboot")).stdout.strip()
    broke(stack, "instance-gone")
    first = stack.start("lifeboat", "recover")
    until_it_says(first, "Launch the instance")
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=200)
    stack.client("ec2").deregister_image(ImageId=image)

    refused = passed(stack.lifeboat("resume"), 6)
    passed(stack.lifeboat("abort"))
    recovered = passed(stack.lifeboat("recover"))

    assert f"{image}, which this recovery has chosen, is gone" in refused.stderr
    assert "lifeboat abort" in refused.stderr
    assert image not in recovered.stdout
    assert len(instances(stack)) == 1
