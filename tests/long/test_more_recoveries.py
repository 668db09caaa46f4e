"""Recoveries that are stopped or aborted, that no runner serves, without an image or a database that would serve, that do
without GitLab, that follow another one."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import gitlab
import pytest

from tests.commands.test_recover import DATABASE, IMAGE_FILE, broke, by_name, instances, runs, state_serial, variables
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


def test_without_gitlab_it_is_deployed_over_ssm_and_the_sync_stays_open_and_late_is_told(stack: Rehearsal) -> None:
    """Nothing else is wanted of this recovery than of any other: what it may touch besides is named."""
    broke(stack)
    stack.edit("environments/local.tfvars", r"retention_days\s*=\s*\d+", "retention_days = 21")
    failed_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 5 * 3600))
    stack.control("faults", add={"service": "gitlab", "operation": ".*", "times": 10_000, "status": 503})

    done = stack.lifeboat("recover", "--failed-at", failed_at, "--allow", DATABASE)
    stack.control("faults", clear=True)
    answered, open_run = by_name(stack), runs(stack)[0]
    report = json.loads(passed(stack.lifeboat("resume", "-o", "json"), 10).stdout)  # which ends with an empty plan

    assert "the application is back, but 1 steps are open: Point GitLab at the instance" in passed(done, 4).stderr
    assert "deployed by: SSM" in done.stdout
    assert answered["findings"] == []
    assert open_run["state"] == "open"
    # The objective counts from when it failed to when it answered, whenever the rest was finished.
    assert 5 * 3600 < report["rto_seconds"] < 5.5 * 3600
    assert report["rto_seconds"] == pytest.approx(sum(part["seconds"] for part in report["parts"]), abs=0.01)
    assert report["parts"][0]["step"] == "before the recovery was started"
    assert report["parts"][0]["seconds"] >= 5 * 3600
    assert report["facts"]["image"] == "ami-0f000000000000001"
    assert variables(stack)["EC2_INSTANCE_ID"] == instances(stack)[0]["InstanceId"]
    assert runs(stack)[0]["state"] == "ended"


def test_aborting_leaves_nothing_that_nobody_recorded_or_the_next_apply_would_carry_out(stack: Rehearsal) -> None:
    image = passed(stack.lifeboat("ami", "bake", "--no-reboot")).stdout.strip()
    broke(stack)
    before = instances(stack)[0]["InstanceId"]
    first = stack.start("lifeboat", "recover")
    kill = {"service": "ec2", "operation": "RunInstances", "when": "after", "status": 503, "kill": first.pid}
    stack.control("faults", add=kill)
    first.communicate(timeout=300)
    (launched,) = (one["InstanceId"] for one in instances(stack) if one["InstanceId"] != before)
    kept = json.loads((stack.root / IMAGE_FILE).read_text())

    aborted = passed(stack.lifeboat("abort"))
    nothing = passed(stack.lifeboat("resume"), 6)

    assert kept == {"ami_id": image}
    assert f"no longer names {image}, from which nothing was launched" in aborted.stdout
    assert not (stack.root / IMAGE_FILE).exists()
    assert f"{launched}, which an attempt launched and Terraform does not know, is terminated" in aborted.stdout
    assert launched not in [one["InstanceId"] for one in instances(stack)]
    assert "no recovery is open" in nothing.stderr
    assert [run["state"] for run in runs(stack)] == ["ended"]


def test_an_image_that_cannot_serve_is_refused_with_why_before_anything_is_changed(stack: Rehearsal) -> None:
    key, ec2 = stack.client("kms").create_key()["KeyMetadata"]["Arn"], stack.client("ec2")
    ours = [{"Key": "application", "Value": "app-local"}, {"Key": "environment", "Value": "local"}]
    tagged = [{"ResourceType": "image", "Tags": ours}]
    theirs = ec2.create_image(InstanceId=instances(stack)[0]["InstanceId"], Name="theirs", NoReboot=True)["ImageId"]
    _until_available(ec2, theirs)
    copied = {"Name": "sealed", "SourceImageId": theirs, "SourceRegion": "eu-west-1", "TagSpecifications": tagged}
    sealed = ec2.copy_image(Encrypted=True, KmsKeyId=key, **copied)["ImageId"]
    elsewhere = stack.client("ec2", "eu-central-1").copy_image(**copied)["ImageId"]
    _until_available(ec2, sealed)
    _until_available(stack.client("ec2", "eu-central-1"), elsewhere)
    disk = ec2.describe_images(ImageIds=[theirs])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    registered = {
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": disk}}],
        "TagSpecifications": tagged,
    }
    for_arm = ec2.register_image(Name="for-arm", Architecture="arm64", **registered)["ImageId"]
    disabled = ec2.register_image(Name="disabled", Architecture="x86_64", **registered)["ImageId"]
    ec2.disable_image(ImageId=disabled)
    stack.client("kms").disable_key(KeyId=key)
    missing = "ami-0123456789abcdef0"
    reasons = {
        missing: f"there is no image {missing} in eu-west-1",
        elsewhere: "it is in eu-central-1, not in eu-west-1",
        disabled: f"{disabled} cannot be used: it is disabled",
        for_arm: f"{for_arm} cannot be used: it is for arm64, and the instance is x86_64",
        sealed: f"{sealed} cannot be used: its key {key} is disabled",
        theirs: "it is not ours",
    }
    broke(stack)
    before, serial = instances(stack), state_serial(stack)

    refused = {image: stack.lifeboat("recover", "--ami", image) for image in reasons}
    after = (instances(stack), state_serial(stack), variables(stack), (stack.root / IMAGE_FILE).exists())
    accepted = stack.lifeboat("recover", "--ami", theirs, "--accept-foreign-image", "--preview", "-o", "json")

    for image, reason in reasons.items():
        assert reason in passed(refused[image], 6).stderr
        assert "next: " in refused[image].stderr
        assert "Traceback" not in refused[image].stderr
    assert "--accept-foreign-image" in refused[theirs].stderr
    assert after == (before, serial, {}, False)
    gaps = {step["step"]: step["gap"] for step in json.loads(passed(accepted).stdout)["steps"]}
    assert gaps["image"].startswith(f"{theirs} (theirs")


def _until_available(ec2: Any, image: str) -> None:
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 1})


def test_a_database_that_cannot_serve_is_named_and_no_instance_is_replaced_for_it(stack: Rehearsal) -> None:
    before = instances(stack)
    broke(stack, "database")

    previewed = stack.lifeboat("recover", "--preview")
    refused = passed(stack.lifeboat("recover", "--yes"), 3)

    assert "the database app-local-g1 is failed: no new instance would answer" in refused.stderr
    assert "the database app-local-g1 is failed" in previewed.stdout + previewed.stderr
    assert previewed.returncode == 3
    assert instances(stack) == before


def test_what_terraform_leaves_undone_without_a_word_is_applied_before_it_is_done(stack: Rehearsal) -> None:
    broke(stack)
    # The provider writes into its log that it could not tag the volume, and ends as if it had.
    untagged = {"service": "ec2", "operation": "CreateTags", "status": 400, "code": "ExpiredToken"}
    stack.control("faults", add=untagged)

    passed(stack.lifeboat("recover"))
    hit = stack.control("faults")["faults"][-1]["hit"]
    stack.control("faults", clear=True)

    (instance,) = instances(stack)
    attached = [{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    volumes = stack.client("ec2").describe_volumes(Filters=attached)["Volumes"]
    assert hit.startswith("ec2:CreateTags")
    assert volumes
    assert all({"application", "environment"} <= {tag["Key"] for tag in volume["Tags"]} for volume in volumes)
    passed(stack.lifeboat("plan", "--detailed-exitcode"))


def test_what_somebody_edits_meanwhile_is_not_applied_in_its_name(stack: Rehearsal) -> None:
    broke(stack)
    process = stack.start("lifeboat", "recover")
    assert process.stdout is not None
    assert any("Wait for health at the instance" in line for line in process.stdout)
    subscribers = '"on-call@lifeboat.test", "night@lifeboat.test"'
    stack.edit("environments/local.tfvars", '"on-call@lifeboat.test"', subscribers)

    printed, _ = process.communicate(timeout=300)

    assert process.returncode == 4, printed
    assert "the next apply would change something: " in printed
    assert 'aws_sns_topic_subscription.primary["night@lifeboat.test"]' in printed
