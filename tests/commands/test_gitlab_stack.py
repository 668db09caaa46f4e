"""GitLab of the applied stack: from its outputs to a deploy job that sees them, and a copy in the real dump bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import gitlab
import pytest

from tests.rehearsal import Rehearsal, passed

CI = """
spec:
  inputs:
    environment: {default: production}
---
deploy_application:
  script: ['echo "to $EC2_INSTANCE_ID at $EC2_INSTANCE_IP"', 'psql "$DATABASE_URL" -Atc "select 6 * 7"']
  environment: {name: "$[[ inputs.environment ]]"}
  when: manual
rollback_application:
  script: ['true']
  environment: {name: "$[[ inputs.environment ]]"}
  when: manual
"""


@pytest.fixture
def stack(stack: Rehearsal) -> Iterator[Rehearsal]:
    path = stack.root / ".gitlab-ci.yml"
    before = path.read_text()
    path.write_text(CI)
    yield stack
    path.write_text(before)


def test_what_terraform_built_reaches_the_deploy_job_and_comes_back_from_a_copy(stack: Rehearsal) -> None:
    before = passed(stack.ask("gitlab", "plan", "--detailed-exitcode"), 20)
    passed(stack.ask("gitlab", "sync", "--yes"))
    after = passed(stack.ask("gitlab", "plan", "--detailed-exitcode"))
    deployed = passed(stack.lifeboat("gitlab", "deploy", "--new-pipeline"))
    again = passed(stack.ask("gitlab", "deploy", "--new-pipeline", "-o", "json"))
    doctor = passed(stack.ask("gitlab", "doctor"))

    env = stack.exported()
    project = gitlab.Gitlab(env["GITLAB_URL"], private_token=env["GITLAB_TOKEN"], timeout=30).projects.get(
        env["GITLAB_PROJECT"]
    )
    variables = {v.key: v for v in project.variables.list(get_all=True)}
    instance = stack.client("ec2").describe_instances()["Reservations"][0]["Instances"][0]
    assert "+ EC2_INSTANCE_IP (local)" in before.stdout
    assert after.stdout.splitlines()[-1] == "no changes: GitLab has what is asked for"
    assert variables["EC2_INSTANCE_ID"].value == instance["InstanceId"]
    assert variables["DATABASE_URL"].value == env["DATABASE_URL"]
    assert variables["DATABASE_URL"].masked
    assert f"  | to {instance['InstanceId']} at {variables['EC2_INSTANCE_IP'].value}" in deployed.stderr
    assert variables["EC2_INSTANCE_IP"].value in env["APP_URL"]
    assert "  | 42" in deployed.stderr
    assert json.loads(again.stdout)["status"] == "success"
    assert "bad" not in doctor.stdout

    project.variables.create({"key": "HEALTH_SECONDS", "value": "120", "environment_scope": "local"})
    copied = json.loads(passed(stack.ask("gitlab", "export", "-o", "json")).stdout)
    bucket, _, key = copied["export"].removeprefix("s3://").partition("/")
    kept = stack.client("s3").head_object(Bucket=bucket, Key=key)
    for key in ("EC2_INSTANCE_IP", "HEALTH_SECONDS"):
        project.variables.delete(key, filter={"environment_scope": "local"})
    back = passed(stack.ask("gitlab", "restore", "--yes"))
    passed(stack.ask("gitlab", "sync", "--yes"))

    assert kept["ServerSideEncryption"] == "aws:kms"
    assert kept["ObjectLockRetainUntilDate"] > datetime.now(UTC)
    assert (copied["variables"], copied["not_exportable"]) == (6, [])
    assert back.stdout.splitlines()[-1] == "1 put back and verified"
    assert back.stderr.splitlines()[-1] == "next: lifeboat gitlab sync -e local"
    restored = project.variables.get("EC2_INSTANCE_IP", filter={"environment_scope": "local"})
    assert restored.attributes == variables["EC2_INSTANCE_IP"].attributes | {"project_id": restored.project_id}


def test_a_shell_that_has_the_token_gives_it_to_no_terraform(stack: Rehearsal) -> None:
    token = stack.exported()["GITLAB_TOKEN"]
    spy = stack.root / "bin"
    spy.mkdir()
    real = passed(stack.run("bash", "-c", "command -v terraform")).stdout.strip()
    (spy / "terraform").write_text(f'#!/bin/sh\nenv >> "{spy}/seen"\nexec {real} "$@"\n')
    (spy / "terraform").chmod(0o755)
    path = f"{spy}:{stack.env()['PATH']}"

    passed(stack.lifeboat("plan", PATH=path, GITLAB_TOKEN=token))

    seen = (spy / "seen").read_text()
    assert "AWS_ENDPOINT_URL=" in seen
    assert token not in seen
