"""A lock table that is gone is made again, for the state that this machine knows and for no other."""

from __future__ import annotations

import json

from tests.rehearsal import Rehearsal, passed


def delete_digest(stack: Rehearsal) -> None:
    env = stack.exported()
    key = {"LockID": {"S": f"{env['STATE_BUCKET']}/{env['STATE_KEY']}-md5"}}
    stack.client("dynamodb").delete_item(TableName=env["LOCK_TABLE"], Key=key)


def lineage(stack: Rehearsal) -> str:
    env = stack.exported()
    body = stack.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    return str(json.loads(body)["lineage"])


def test_a_deleted_lock_table_is_made_again_for_the_state_that_this_machine_knows(stack: Rehearsal) -> None:
    passed(stack.lifeboat("local", "load", "applied"))  # and forget what was applied after it was saved
    table, dynamodb = stack.exported()["LOCK_TABLE"], stack.client("dynamodb")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
    known = stack.root / ".lifeboat" / "local" / "known-state.json"
    refused = [stack.lifeboat(*words) for words in (["plan"], ["destroy", "--yes"], ["recover", "--preview"])]
    known.write_text(json.dumps({"serial": 999, "lineage": lineage(stack), "md5": "0f"}))
    doubted = stack.lifeboat("apply", "--yes")
    passed(stack.run("bash", "-c", doubted.stderr.split("wrong one: ")[1].split(";")[0]))

    mended = stack.lifeboat("apply", "--yes")
    delete_digest(stack)
    once_more = stack.lifeboat("apply")

    for done in refused:
        assert f"there is no lock table {table}" in passed(done, 3).stderr
        assert "next: lifeboat apply -e local makes it again" in done.stderr
    assert "this machine remembers serial 999" in " ".join(passed(doubted, 3).stderr.split())
    assert "the lock table app-local-tflock is gone; the state s3://" in passed(mended).stderr
    assert "wrote the digest of the state (serial " in mended.stderr
    assert json.loads(known.read_text())["serial"] < 999
    assert "no changes" in passed(once_more).stdout
    assert "wrote the digest of the state, which was missing" in once_more.stderr
