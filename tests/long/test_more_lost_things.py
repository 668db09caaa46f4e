"""A database that was deleted, a state that Terraform could not save, names that another environment has, a caller's own
configuration: none of it is quietly made anew, taken over or obeyed."""

from __future__ import annotations

import json
import subprocess

from tests.commands.test_lost_things import copy_environment
from tests.rehearsal import Rehearsal, passed

UNKNOWN = {
    "mode": "managed",
    "type": "aws_instance",
    "name": "unknown",
    "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
    "instances": [{"schema_version": 1, "attributes": {"id": "i-0123456789abcdef0"}}],
}


def advised(done: subprocess.CompletedProcess[str]) -> str:
    """Return the command that an error told to type next."""
    hint = done.stderr.split("  next: ", 1)[1].strip()
    return hint.split(": ", 1)[-1]


def delete_state(stack: Rehearsal) -> None:
    env = stack.exported()
    stack.client("s3").delete_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])


def delete_digest(stack: Rehearsal) -> None:
    env = stack.exported()
    key = {"LockID": {"S": f"{env['STATE_BUCKET']}/{env['STATE_KEY']}-md5"}}
    stack.client("dynamodb").delete_item(TableName=env["LOCK_TABLE"], Key=key)


def state_of(stack: Rehearsal) -> bytes:
    env = stack.exported()
    return bytes(stack.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read())


def test_a_deleted_database_is_not_replaced_by_an_empty_one(stack: Rehearsal) -> None:
    rds = stack.client("rds")
    name = rds.describe_db_instances()["DBInstances"][0]["DBInstanceIdentifier"]
    rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False)
    rds.delete_db_instance(DBInstanceIdentifier=name, FinalDBSnapshotIdentifier="last")
    rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1})

    planned, applied = stack.lifeboat("plan"), stack.lifeboat("apply", "--yes")
    copies = json.loads(stack.lifeboat("plan-recovery", "-o", "json").stdout)["copies"]

    assert 'gone from AWS: module.database.aws_db_instance.this["g1"]' in passed(planned).stdout
    assert "would put an empty database in its place" in passed(applied, 3).stderr
    assert "lifeboat recover --scope database -e local brings it back" in applied.stderr
    assert "last" in [copy["id"] for copy in copies]
    assert rds.describe_db_instances()["DBInstances"] == []


def test_a_second_environment_with_the_same_names_takes_nothing_over(stack: Rehearsal) -> None:
    copy_environment(stack)
    before = state_of(stack)

    commands = (("plan",), ("apply", "--yes"), ("recover", "--preview"), ("destroy", "--yes"))
    refused = [passed(stack.lifeboat(*command, "-e", "mine"), 3) for command in commands]
    planned = stack.run("python", "scripts/ci/saved_plan.py", "plan", "mine", str(stack.root / ".lifeboat" / "saved"))
    refused.append(passed(planned, 3))

    for done in refused:
        assert "is environment local, and mine would take it over: both are app-local" in done.stderr
        assert "give mine a name of its own" in done.stderr
    assert state_of(stack) == before


def test_a_state_that_terraform_could_not_save_is_pushed_by_the_command_that_is_named(stack: Rehearsal) -> None:
    env = stack.exported()
    body = stack.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    newer = {**json.loads(body), "serial": json.loads(body)["serial"] + 1}
    left = stack.root / "terraform" / "stack" / "errored.tfstate"
    left.write_text(json.dumps(newer))
    left.chmod(0o644)

    refused = stack.lifeboat("apply")
    mode = left.stat().st_mode & 0o777
    pushed = stack.run("bash", "-c", advised(refused))
    left.write_text(json.dumps({**newer, "resources": [*newer["resources"], UNKNOWN]}))
    again = stack.lifeboat("apply")

    assert f"(serial {newer['serial']})" in passed(refused, 3).stderr
    assert mode == 0o600
    passed(pushed)
    assert not left.exists()
    assert "no changes" in passed(again).stdout
    assert "still exist: aws_instance.unknown (i-0123456789abcdef0)" in again.stderr
    (kept,) = stack.root.glob(".lifeboat/local/runs/*/superseded-stack.tfstate")
    assert UNKNOWN in json.loads(kept.read_text())["resources"]


def test_nothing_of_the_callers_own_configuration_reaches_the_local_environment(saved: Rehearsal) -> None:
    nowhere = "http://127.0.0.1:9"
    theirs = {
        "AWS_PROFILE": "no-such-profile",
        "AWS_CONFIG_FILE": "/nonexistent",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "http_proxy": nowhere,
        "TF_CLI_ARGS": "-no-such-flag",
        "TF_CLI_ARGS_apply": "-no-such-flag",
        "TF_WORKSPACE": "elsewhere",
        "AWS_ENDPOINT_URL": nowhere,
    }
    script = (
        'eval "$(lifeboat local env)" && aws sts get-caller-identity --query Account --output text'
        ' && curl -sf "$APP_URL" && terraform -chdir=terraform/stack plan -detailed-exitcode -out=by-hand'
        " && terraform -chdir=terraform/stack apply by-hand"
    )

    planned = saved.lifeboat("plan", "--detailed-exitcode", **theirs)
    typed = saved.run("bash", "-c", script, **theirs)
    (saved.root / "terraform" / "stack" / "by-hand").unlink()

    passed(planned)
    assert "0 added, 0 changed, 0 destroyed" in passed(typed).stdout


def test_a_deleted_state_is_refused_and_the_command_that_is_named_brings_it_back(stack: Rehearsal) -> None:
    delete_digest(stack)
    delete_state(stack)

    forgotten = stack.root / ".lifeboat" / "local" / "known-state.json"
    forgotten.unlink(missing_ok=True)  # as in a fresh checkout: the other region remembers
    applied, planned = stack.lifeboat("apply", "--yes"), stack.lifeboat("plan")
    first, made = stack.lifeboat("apply", "--first-apply", "--yes"), stack.run("make", "apply")
    mended = stack.run("bash", "-c", f"{advised(planned)} --yes")
    again = stack.lifeboat("plan", "--detailed-exitcode")

    for done in (applied, planned):
        passed(done, 3)
        assert "is gone, deleted at" in done.stderr
        assert "is serial" in done.stderr
        assert "the other region remembers serial" in done.stderr
    assert "local was applied before: the other region remembers serial" in passed(first, 3).stderr
    assert "is gone, deleted at" in passed(made, 2).stderr  # make's own status for a command that failed
    assert "Error 3" in made.stderr
    passed(mended)
    passed(again)
