"""A state that was lost, or put back, is refused by `make apply` in every lock mode, on whatever machine, and comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifeboat.state_model import LockMode

from tests.rehearsal import Rehearsal, passed

MODES: tuple[LockMode, ...] = ("both", "dynamodb", "lockfile")
KNOWN = "known-states/local/stack.json"


def in_mode(stack: Rehearsal, mode: LockMode) -> None:
    """Apply once in a lock mode."""
    stack.edit("environments/local.toml", r"^(lock_table.*)$", rf'\g<1>\nlock_mode = "{mode}"')
    passed(stack.run("make", "apply"))


def forget(stack: Rehearsal) -> None:
    """Let this machine know of the stack's state what a fresh checkout does: nothing."""
    (stack.root / ".lifeboat" / "local" / "known-state.json").unlink(missing_ok=True)


def instances(stack: Rehearsal) -> list[str]:
    found = stack.client("ec2").describe_instances()["Reservations"]
    return sorted(one["InstanceId"] for reservation in found for one in reservation["Instances"])


def memory(stack: Rehearsal) -> dict[str, Any]:
    bucket = stack.exported()["STATE_BUCKET"].replace("eu-west-1", "eu-central-1")
    body = stack.client("s3", "eu-central-1").get_object(Bucket=bucket, Key=KNOWN)["Body"].read()
    document: dict[str, Any] = json.loads(body)
    return document


def delete_state(stack: Rehearsal) -> None:
    env = stack.exported()
    stack.client("s3").delete_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])
    item = {"LockID": {"S": f"{env['STATE_BUCKET']}/{env['STATE_KEY']}-md5"}}
    stack.client("dynamodb").delete_item(TableName=env["LOCK_TABLE"], Key=item)


def put_oldest_on_top(stack: Rehearsal) -> None:
    env, s3 = stack.exported(), stack.client("s3")
    where = {"Bucket": env["STATE_BUCKET"], "Key": env["STATE_KEY"]}
    listed = s3.list_object_versions(Bucket=where["Bucket"], Prefix=where["Key"])["Versions"]
    oldest = [one["VersionId"] for one in listed if one["Key"] == where["Key"]][-1]
    s3.copy_object(**where, CopySource={**where, "VersionId": oldest})


@pytest.mark.parametrize("mode", MODES)
def test_make_apply_refuses_a_state_that_was_lost_or_put_back_and_the_named_command_mends_it(
    stack: Rehearsal, mode: LockMode
) -> None:
    in_mode(stack, mode)
    before, known = instances(stack), memory(stack)

    for accident in (delete_state, put_oldest_on_top):
        accident(stack)
        forget(stack)
        refused = stack.run("make", "apply")
        planned = stack.lifeboat("plan")
        recovering = stack.lifeboat("recover", "--preview")
        first = stack.lifeboat("apply", "--first-apply", "--yes")
        mended = stack.lifeboat("state", "restore", "--latest-good", "--yes")

        said = " ".join(passed(refused, 2).stderr.split())
        assert "Error 3" in said
        assert f"the other region remembers serial {known['serial']} of lineage {known['lineage']}" in said
        assert f"by {known['by']} (run {known['run']})" in said
        assert "next: lifeboat state restore --latest-good -e local" in said
        for done in (planned, recovering):
            assert "the other region remembers serial" in passed(done, 3).stderr
        assert "local was applied before: the other region remembers serial" in passed(first, 3).stderr
        passed(mended)
        known = memory(stack)
    again = stack.run("make", "apply")

    assert "no changes" in passed(again).stdout
    assert instances(stack) == before
    assert memory(stack) == known  # what is the same is not written again
