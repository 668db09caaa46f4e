"""Recoveries that are stopped, that no runner serves, whose image goes, that do without GitLab, that follow another one."""

from __future__ import annotations

import json
import signal
import time

import gitlab

from tests.commands.test_recover import IMAGE_FILE, broke, by_name, instances, runs, variables
from tests.rehearsal import Rehearsal, passed


def deploys(stack: Rehearsal) -> list[str]:
    """Return the statuses of all tries of the deploy job, oldest first."""
    env = stack.exported()
    project = gitlab.Gitlab(env["GITLAB_URL"], private_token=env["GITLAB_TOKEN"]).projects.get(env["GITLAB_PROJECT"])
    jobs = [j for p in project.pipelines.list(get_all=True) for j in p.jobs.list(include_retried=True, get_all=True)]
    return [j.status for j in sorted(jobs, key=lambda j: int(j.id)) if j.name == "deploy_application"]


def interrupted(stack: Rehearsal, words: str, *, later: float = 0.0) -> tuple[int, str]:
    """Ask a recovery to stop, some seconds after it said these words; return how it ended and what it printed then."""
    process = stack.start("lifeboat", "recover")
    assert process.stdout is not None
    assert any(words in line for line in process.stdout), f"it never said {words!r}"
    time.sleep(later)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=200)
    return process.returncode, printed


def test_ctrl_c_in_the_middle_leaves_a_run_that_resumes(stack: Rehearsal) -> None:
    broke(stack, "instance-gone")
    ended, printed = interrupted(stack, "Launch the instance", later=6)
    state = runs(stack)[0]

    again = stack.lifeboat("recover")
    resumed = passed(stack.lifeboat("resume"))

    assert ended == 130, printed
    assert f"lifeboat resume {state['run']}" in printed
    assert state["state"] == "open"
    assert f"lifeboat resume {state['run']} goes on with it" in passed(again, 3).stderr
    assert "interrupted" in resumed.stdout
    assert len(instances(stack)) == 1
    assert by_name(stack)["findings"] == []


def test_ctrl_c_while_the_job_runs_does_not_deploy_twice(stack: Rehearsal) -> None:
    broke(stack)
    stack.edit("scripts/ci/deploy.sh", "^exec ", "sleep 8\nexec ")
    ended, printed = interrupted(stack, "  | deploying ")
    state = runs(stack)[0]

    again = stack.lifeboat("recover")
    resumed = passed(stack.lifeboat("resume"))

    assert ended == 130, printed
    assert "what was played goes on: http" in printed
    assert f"lifeboat resume {state['run']}" in printed
    assert f"lifeboat resume {state['run']} goes on with it" in passed(again, 3).stderr
    assert "interrupted" in resumed.stdout
    assert deploys(stack) == ["success"]


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
    interrupted(stack, "Launch the instance")
    stack.client("ec2").deregister_image(ImageId=image)

    refused = passed(stack.lifeboat("resume"), 6)
    passed(stack.lifeboat("abort"))
    recovered = passed(stack.lifeboat("recover"))

    assert f"{image}, which this recovery has chosen, is gone" in refused.stderr
    assert "lifeboat abort" in refused.stderr
    assert image not in recovered.stdout
    assert len(instances(stack)) == 1


def test_a_recovery_does_without_a_gitlab_that_refuses_its_token_and_is_finished_with_it_later(
    stack: Rehearsal,
) -> None:
    broke(stack)
    stack.edit("environments/local.toml", "tokens.maintainer", "tokens.developer")

    refused = passed(stack.lifeboat("recover"), 2)
    done = passed(stack.lifeboat("recover", "--without-gitlab"), 4)
    answered = by_name(stack)
    stack.edit("environments/local.toml", "tokens.developer", "tokens.maintainer")
    passed(stack.lifeboat("resume"))

    assert "--without-gitlab" in refused.stderr
    assert "the application is back, but 1 steps are open: Point GitLab at the instance" in done.stderr
    assert "deployed by: SSM" in done.stdout
    assert answered["findings"] == []
    assert variables(stack)["EC2_INSTANCE_ID"] == instances(stack)[0]["InstanceId"]
    assert runs(stack)[0]["state"] == "ended"


def test_an_apply_that_knows_an_older_recovery_does_not_undo_the_newest(stack: Rehearsal) -> None:
    older = passed(stack.lifeboat("ami", "bake", "--no-reboot")).stdout.strip()
    broke(stack)
    passed(stack.lifeboat("recover"))
    newer = passed(stack.lifeboat("ami", "bake", "--no-reboot")).stdout.strip()
    broke(stack)
    passed(stack.lifeboat("recover", "--ami", newer))
    after, run = instances(stack), runs(stack)[0]["run"]
    (stack.root / IMAGE_FILE).write_text(json.dumps({"ami_id": older}))

    planned = stack.lifeboat("plan")
    undone = passed(stack.lifeboat("apply", "--yes"), 3)

    assert f"this plan would undo the recovery {run}" in undone.stderr
    assert f"lifeboat recover -e local --ami {older}" in undone.stderr
    assert f"an apply would refuse this: this plan would undo the recovery {run}" in planned.stderr
    assert instances(stack) == after
