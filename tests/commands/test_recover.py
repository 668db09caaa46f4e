"""From a dead instance to a green answer, on the applied stack: what changes, what is measured, what is refused."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import gitlab
import pytest

from tests import permissions
from tests.rehearsal import Rehearsal, passed

# Names resolve through the local cloud, so the name is asked by the lifeboat command that resolves it.
IMAGE_FILE = "environments/local.recovery.tfvars.json"
DATABASE = 'module.database.aws_db_instance.this["g1"]'


def instances(stack: Rehearsal) -> list[dict[str, Any]]:
    """Return the application's instances that are not terminated."""
    found = stack.client("ec2").describe_instances(
        Filters=[
            {"Name": "tag:application", "Values": ["app-local"]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
        ]
    )
    return [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]


def variables(stack: Rehearsal) -> dict[str, str | None]:
    """Return GitLab's variables of the environment."""
    env = stack.exported()
    project = gitlab.Gitlab(env["GITLAB_URL"], private_token=env["GITLAB_TOKEN"]).projects.get(env["GITLAB_PROJECT"])
    return {variable.key: variable.value for variable in project.variables.list(get_all=True)}


def job_log(stack: Rehearsal, job: str) -> str:
    env = stack.exported()
    project = gitlab.Gitlab(env["GITLAB_URL"], private_token=env["GITLAB_TOKEN"]).projects.get(env["GITLAB_PROJECT"])
    return str(project.jobs.get(int(job.removeprefix("job "))).trace().decode())


def notes(stack: Rehearsal) -> Any:
    with urllib.request.urlopen(stack.exported()["APP_URL"], timeout=10) as answer:
        return json.load(answer)["notes"]


def by_name(stack: Rehearsal) -> dict[str, Any]:
    """Return what `dns show` finds of the public name."""
    asked = stack.ask("dns", "show", "-o", "json")
    document: dict[str, Any] = json.loads(asked.stdout)
    passed(asked, 11 if document["findings"] else 0)
    return document


def runs(stack: Rehearsal) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(passed(stack.ask("runs", "-o", "json")).stdout)
    return found


def broke(stack: Rehearsal, what: str = "instance") -> None:
    passed(stack.ask("local", "break", what))


@pytest.fixture(scope="module")
def broken(saved: Rehearsal) -> Iterator[Rehearsal]:
    """The stack with a dead instance, for recoveries that are refused; whoever uses it stands beside the others."""
    saved.load("applied")
    broke(saved)
    yield saved
    saved.load("applied")


def test_make_recover_brings_a_dead_instance_back_and_every_later_apply_keeps_it(stack: Rehearsal) -> None:
    image = passed(stack.lifeboat("ami", "bake", "--no-reboot")).stdout.strip()
    rows, before = notes(stack), instances(stack)[0]["InstanceId"]
    broke(stack)
    with pytest.raises(urllib.error.URLError):
        notes(stack)
    dead = by_name(stack)
    trace = stack.root / ".lifeboat/local/cloud/logs/trace.jsonl"
    sent_before = len(trace.read_text().splitlines())

    done = passed(stack.run("make", "recover", "AMI=latest"))
    passed(stack.lifeboat("state", "doctor"))  # what whoever recovers looks with

    sent = [json.loads(line) for line in trace.read_text().splitlines()[sent_before:]]
    after = instances(stack)
    run = runs(stack)[0]
    events = json.loads(passed(stack.ask("logs", run["run"], "-o", "json")).stdout)
    deployed = next(event["data"]["deployed_by"] for event in events if "deployed_by" in event["data"])
    listed = json.loads(passed(stack.ask("ami", "list", "-o", "json")).stdout)
    assert dead["findings"]
    assert by_name(stack)["findings"] == []
    assert notes(stack) == rows
    assert [instance["InstanceId"] != before for instance in after] == [True]
    assert variables(stack)["EC2_INSTANCE_IP"] == after[0]["PublicIpAddress"]
    assert variables(stack)["EC2_INSTANCE_ID"] == after[0]["InstanceId"]
    assert f"EC2_INSTANCE_IP={after[0]['PublicIpAddress']}" in job_log(stack, deployed)
    assert "RTO 0:0" in done.stdout
    assert "the same as before: it moved along" in done.stdout
    assert f"git add {IMAGE_FILE} && git commit " in done.stdout
    assert (run["state"], events[-1]["data"]["rto_seconds"] < 4 * 3600) == ("ended", True)
    evidence = json.loads(passed(stack.ask("report", run["run"], "-o", "json")).stdout)["bundle"]
    assert (evidence["outcome"], [line["seq"] for line in evidence["events"]]) == (
        "met",
        [line["seq"] for line in events],
    )
    assert len(permissions.actions(sent)) > 50
    assert permissions.refused(permissions.actions(sent), stack.client("iam"), "app-local-restore-operator") == []
    assert permissions.refused(permissions.actions(sent), stack.client("iam"), "app-local-writer") != []
    assert json.loads((stack.root / IMAGE_FILE).read_text()) == {"ami_id": image}
    assert [found["id"] for found in listed if found["proven_at"]] == [image]
    assert [instance["ImageId"] for instance in after] == [image]
    # A checkout that never heard of it would go back.
    (stack.root / IMAGE_FILE).rename(stack.root / "kept")
    undone = passed(stack.lifeboat("apply", "--yes"), 3)
    (stack.root / "kept").rename(stack.root / IMAGE_FILE)
    assert f"this plan would undo the recovery {run['run']}" in undone.stderr
    assert instances(stack) == after
    assert "no changes" in passed(stack.run("make", "apply")).stdout


def state_serial(stack: Rehearsal) -> int:
    env = stack.exported()
    body = stack.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    return int(json.loads(body)["serial"])


def test_what_serves_is_not_replaced_unless_somebody_agrees(stack: Rehearsal) -> None:
    before = instances(stack)[0]["InstanceId"]
    passed(stack.ask("ami", "bake", "--no-reboot"))

    refused = passed(stack.lifeboat("recover"), 7)
    after = instances(stack)[0]["InstanceId"]

    assert "which serves: its root volume goes with it" in refused.stderr
    assert (after, [run["state"] for run in runs(stack)]) == (before, ["idle"])
    assert not (stack.root / IMAGE_FILE).exists()


def test_what_ec2_finds_well_is_not_replaced_because_we_cannot_reach_it(stack: Rehearsal) -> None:
    before = instances(stack)[0]["InstanceId"]
    stop = {"commands": ["docker rm --force app"]}
    stack.client("ssm").send_command(InstanceIds=[before], DocumentName="AWS-RunShellScript", Parameters=stop)
    deadline = time.monotonic() + 20
    while by_name(stack)["findings"] == []:
        assert time.monotonic() < deadline

    refused = passed(stack.lifeboat("recover"), 7)

    assert (
        "which EC2 finds well: is it only not to be reached from here? lifeboat app restart -e local" in refused.stderr
    )
    assert [(one["InstanceId"], one["State"]["Name"]) for one in instances(stack)] == [(before, "running")]
    assert not (stack.root / IMAGE_FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ami", "latest", "--accept-foreign-image"], "goes with an image that is named"),
        (["--ami", "nonsense"], "is not latest or an image id"),
        (["--failed-at", "2026-03-01T03:12:00"], "is no time with a zone"),
        (["--failed-at", "2099-01-01T00:00:00Z"], "is in the future"),
        (["--failed-at", "2099-01-01T00:00:00Z", "--preview"], "is in the future"),
        (["--scope", "database", "--to", "9999-12-31T23:59:59-23:59", "--preview"], "is of no year"),
        (["--scope", "database", "--to", "2099-01-01T00:00:00Z", "--preview"], "is in the future"),
        (["--max-age", "soon"], "is no length of time"),
    ],
)
def test_a_wrong_argument_begins_no_run(saved: Rehearsal, arguments: list[str], words: str) -> None:
    before, serial, begun = instances(saved), state_serial(saved), runs(saved)

    refused = passed(saved.ask("recover", *arguments), 2)

    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (instances(saved), state_serial(saved), runs(saved)) == (before, serial, begun)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("LB_RDS_33=because", "there is no rule LB_RDS_33"),
        ("LB_RDS_3", "--accept-risk LB_RDS_3 gives no reason"),
        ("LB_RDS_3= ", "--accept-risk LB_RDS_3 gives no reason"),
        ("LB_RDS_3=one\ntwo", "is not one line"),
    ],
)
@pytest.mark.parametrize("verb", ["apply", "recover", "resume"])
def test_a_risk_without_a_rule_or_a_reason_is_refused_before_anything_is_begun(
    saved: Rehearsal, verb: str, given: str, words: str
) -> None:
    begun = runs(saved)

    done = passed(saved.ask(verb, "--accept-risk", given), 2)

    assert words in done.stderr
    assert runs(saved) == begun


TOML, TFVARS, CI = "environments/local.toml", "environments/local.tfvars", ".gitlab-ci.yml"


def test_a_preview_shows_every_gap_and_changes_nothing(broken: Rehearsal) -> None:
    before, serial, begun = instances(broken), state_serial(broken), runs(broken)
    seen = broken.root / ".lifeboat" / "local" / "last-good.json"
    well = seen.read_text()

    document = json.loads(passed(broken.lifeboat("recover", "--preview", "-o", "json")).stdout)
    passed(broken.ask("recover", "--preview", "--max-age", "1s"), 6)  # not from an image that nobody asked for

    assert seen.read_text() == well
    gaps = {step["step"]: step["gap"] for step in document["steps"]}
    assert gaps["instance"] == f"{before[0]['InstanceId']} runs ami-0f000000000000001, but does not serve"
    assert gaps["variables"]
    assert sorted(document["plan"]) == [
        "replace module.app_instance.aws_eip_association.this",
        "replace module.app_instance.aws_instance.this",
    ]
    assert document["refused"] == []
    assert (instances(broken), state_serial(broken), runs(broken)) == (before, serial, begun)
    assert variables(broken) == {}


def test_a_plan_that_touches_more_than_the_instance_is_refused_and_changes_nothing(broken: Rehearsal) -> None:
    before, kept = instances(broken), (broken.root / TFVARS).read_text()
    broken.edit(TFVARS, r"retention_days\s*=\s*\d+", "retention_days = 21")

    refused = broken.lifeboat("recover")

    (broken.root / TFVARS).write_text(kept)
    passed(refused, 3)
    assert f"update {DATABASE}" in refused.stderr
    assert "lifeboat recover -e local --failed-at 20" in refused.stderr
    assert f"--allow '{DATABASE}'" in refused.stderr
    assert instances(broken) == before


@pytest.mark.parametrize(
    ("edits", "status", "words", "hint"),
    [
        (
            [(TOML, '"app.address"', '"app.nothing"')],
            2,
            "EC2_INSTANCE_IP (local): the stack's output recovery has no app.nothing",
            "edit [[gitlab.variables]] in environments/local.toml",
        ),
        (
            [(TOML, r'"app.address"\nmasked +=.*$', '"database.port"\nmasked = "require"')],
            2,
            "EC2_INSTANCE_IP (local): cannot be masked: it has fewer than 8 characters",
            "edit [[gitlab.variables]] in environments/local.toml",
        ),
        (
            [(TOML, "tokens.maintainer", "tokens.developer")],
            2,
            "it takes the role Maintainer in demo/app",
            "lifeboat gitlab doctor",
        ),
        (
            [(TOML, r"^\[gitlab\]$", '[gitlab]\ndeploy_job = "ship_it"')],
            6,
            "the pipeline of main has no job ship_it to play: it has: ",
            "name the job in [gitlab] deploy_job of environments/local.toml",
        ),
        (
            [
                (CI, "^deploy_application:$", "'deploy_application: [eu]': &one"),
                (CI, r"\Z", "\n'deploy_application: [us]': *one\n"),
            ],
            6,
            "it has: apply, configuration, deploy_application: [eu], deploy_application: [us], ",
            "name the job in [gitlab] deploy_job of environments/local.toml",
        ),
    ],
    ids=["unmapped output", "unmaskable value", "wrong role", "no such job", "two jobs of the name"],
)
def test_what_gitlab_would_refuse_later_is_refused_before_anything_is_changed(
    broken: Rehearsal, edits: list[tuple[str, str, str]], status: int, words: str, hint: str
) -> None:
    before, serial, kept = (
        instances(broken),
        state_serial(broken),
        {name: (broken.root / name).read_text() for name in (TOML, CI)},
    )
    for edit in edits:
        broken.edit(*edit)

    refused = broken.ask("recover")

    for name, text in kept.items():
        (broken.root / name).write_text(text)
    passed(refused, status)
    assert words in refused.stderr
    assert hint in refused.stderr
    assert re.search("without waiting for that, over SSM: lifeboat recover .*--without-gitlab", refused.stderr)
    assert "Traceback" not in refused.stderr
    assert (instances(broken), state_serial(broken), variables(broken)) == (before, serial, {})
    assert {run["state"] for run in runs(broken)} == {"idle"}


def test_a_deployment_that_somebody_must_approve_is_told_before_anything_is_changed(broken: Rehearsal) -> None:
    before, serial = instances(broken), state_serial(broken)
    tokens = json.loads((broken.root / ".lifeboat/local/cloud/gitlab-tokens.json").read_text())["tokens"]
    env = broken.exported()
    owned = gitlab.Gitlab(env["GITLAB_URL"], private_token=tokens["owner"]).projects.get(env["GITLAB_PROJECT"])
    maintainers = {"deploy_access_levels": [{"access_level": 40}], "required_approval_count": 1}
    owned.protected_environments.create({"name": "local", **maintainers})

    refused = broken.ask("recover")

    owned.protected_environments.delete("local")
    passed(refused, 7)
    assert "a deployment to local must be approved in GitLab first" in refused.stderr
    assert (instances(broken), state_serial(broken), variables(broken)) == (before, serial, {})


def test_a_quota_that_leaves_no_room_is_refused_before_the_old_instance_is_touched(stack: Rehearsal) -> None:
    broke(stack)
    stack.control("quota", region="eu-west-1", vcpus=2)

    refused = passed(stack.ask("recover"), 3)

    assert "the account's quota does not allow one more" in refused.stderr
    assert [instance["State"]["Name"] for instance in instances(stack)] == ["running"]


def test_where_nothing_is_missing_nothing_is_done(stack: Rehearsal) -> None:
    passed(stack.ask("gitlab", "sync", "--yes"))
    before = instances(stack)[0]["InstanceId"]

    done = passed(stack.lifeboat("recover"))

    events = json.loads(passed(stack.ask("logs", runs(stack)[0]["run"], "-o", "json")).stdout)
    assert [event for event in events if event["kind"] == "intent"] == []
    assert "RTO 0:00:" in done.stdout
    assert instances(stack)[0]["InstanceId"] == before
