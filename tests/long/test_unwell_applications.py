"""An application that stays unwell after a restart or a rollback, and a restart that was killed."""

from __future__ import annotations

import json

from tests.commands.test_ami import recovery
from tests.commands.test_app import journal
from tests.rehearsal import Rehearsal, passed


def test_an_application_that_stays_unwell_is_told_with_its_last_answer(saved: Rehearsal) -> None:
    known = recovery(saved)
    secrets, secret = saved.client("secretsmanager"), known["secrets"]["arn"]
    before = secrets.get_secret_value(SecretId=secret)["SecretString"]
    secrets.put_secret_value(SecretId=secret, SecretString="{}")

    done = saved.lifeboat("app", "restart", "--within", "4s")
    secrets.put_secret_value(SecretId=secret, SecretString=before)

    passed(done, 11)
    assert f"{known['app']['url']}/healthz is not well after 4 s: HTTP 503: " in done.stderr
    assert "waits_for" in done.stderr
    assert "lifeboat app rollback" in done.stderr
    assert "is not well after" in journal(saved, "restart")[-1]["text"]
    passed(saved.lifeboat("app", "restart"))


def test_a_rollback_leaves_nothing_to_go_forward_to_where_the_image_before_it_was_not_well(stack: Rehearsal) -> None:
    secrets, secret = stack.client("secretsmanager"), recovery(stack)["secrets"]["arn"]
    before = secrets.get_secret_value(SecretId=secret)["SecretString"]
    passed(stack.lifeboat("app", "redeploy", "--image", "2"))
    secrets.put_secret_value(SecretId=secret, SecretString="{}")
    passed(stack.lifeboat("app", "restart", "--within", "4s"), 11)

    unwell = passed(stack.lifeboat("app", "rollback", "--within", "4s"), 11)
    secrets.put_secret_value(SecretId=secret, SecretString=before)
    again = passed(stack.lifeboat("app", "rollback"), 3)

    assert "next: lifeboat app redeploy --image IMAGE runs another image" in unwell.stderr
    assert "lifeboat app rollback" not in unwell.stderr
    assert "the image that ran before is the one that runs: app:1" in again.stderr


def test_a_restart_that_was_killed_is_ended_by_the_next_and_nobody_resumes_it(stack: Rehearsal) -> None:
    first = stack.start("lifeboat", "app", "restart")
    kill = {"service": "ssm", "operation": "SendCommand", "first": 2, "when": "after", "status": 503, "kill": first.pid}
    stack.control("faults", add=kill)
    first.communicate(timeout=120)
    killed = json.loads(passed(stack.lifeboat("runs", "-o", "json")).stdout)[0]

    resumed = stack.lifeboat("resume", killed["run"])
    passed(stack.lifeboat("app", "restart"))

    after = json.loads(passed(stack.lifeboat("runs", "-o", "json")).stdout)
    assert (first.returncode, killed["state"]) == (-9, "open")
    assert f"the run {killed['run']} is no recovery" in passed(resumed, 3).stderr
    assert [(run["state"], run["text"].split(";")[0]) for run in after[:2]] == [("ended", "done"), ("ended", "cut off")]
