"""Copies of the applied stack's database: kept, tagged, taken, copied and pruned by the roles that may, and by no other."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.clients.dump_store import proven_identity
from lifeboat.database_model import DumpId
from lifeboat.decisions import manifests

from tests import permissions
from tests.backup_sites import manifest
from tests.database_recoveries import wait_until_it_answers
from tests.dump_manifests import proof_body
from tests.rehearsal import Rehearsal, passed

DR = "eu-central-1"


def put_dump(stack: Rehearsal, dumps: dict[str, str], age: timedelta) -> str:
    """Put a verified dump of this age where the stack's dumps lie, wait for its copy, and return its id."""
    begun = datetime.now(UTC).replace(microsecond=0) - age
    dump = DumpId(f"{begun:%Y%m%dT%H%M%SZ}-3f9a1c")
    body = manifests.written(manifest(dump, begun, "app-local", environment="local"))
    folder, at = f"{dumps['prefix']}local/app/{dump}/", begun + timedelta(minutes=10)
    here, there = stack.client("s3"), stack.client("s3", DR)

    def put(name: str, content: bytes) -> str:
        done = here.put_object(Bucket=dumps["bucket"], Key=f"{folder}{name}", Body=content, IfNoneMatch="*")
        return str(done["VersionId"])

    put("schema.dump.zst", b"schema")
    identity = proven_identity(dumps["bucket"], put("manifest.json", body))
    put(f"proofs/{at:%Y%m%dT%H%M%SZ}-2-passed-{identity}.json", json.dumps(proof_body()).encode())
    deadline = time.monotonic() + 60
    while there.list_objects_v2(Bucket=dumps["replica_bucket"], Prefix=folder)["KeyCount"] < 3:
        assert time.monotonic() < deadline, "the dump was not copied"
        time.sleep(0.1)
    return str(dump)


def test_what_a_restore_made_is_removed_as_it_says_from_the_server_that_it_is_on(stack: Rehearsal) -> None:
    passed(stack.lifeboat("dump"))
    restored = passed(stack.lifeboat("restore", "latest", "--to", "beside", "--yes", "-o", "json"))
    again = passed(stack.lifeboat("restore", "latest", "--to", "app_restored", "--yes"))
    refused = passed(stack.lifeboat("restore", "latest", "--to", "app_restored", "--yes"), 3)

    # Elsewhere there may be another server: the one that psql takes where it is told none.
    gone = passed(stack.run("bash", "-c", json.loads(restored.stdout)["to_remove"]))

    assert gone.stdout.splitlines()[-1] == "DROP DATABASE"
    assert "app_restored" in again.stdout
    assert "name a database that does not exist yet: --to app_restored_2" in " ".join(refused.stderr.split())


def test_the_roles_may_do_their_work_with_copies_and_the_writer_may_do_none_of_it(stack: Rehearsal) -> None:
    env = stack.exported()
    state = stack.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    dumps = json.loads(state)["outputs"]["recovery"]["value"]["dumps"]
    # Each day has the last one of it: of many days, more than the defaults keep, the oldest goes.
    settings = stack.root / "environments" / "local.toml"
    settings.write_text(settings.read_text() + "\n[dumps.retention]\ndaily = 1\nweekly = 0\nmonthly = 0\nyearly = 0\n")
    kept, *_, goes = (put_dump(stack, dumps, timedelta(hours=hours)) for hours in (2, 30, 40))
    trace = stack.root / ".lifeboat/local/cloud/logs/trace.jsonl"
    # Until then it reads the database's password, and by boto3 as lifeboat does.
    wait_until_it_answers(stack)

    def sent(*commands: tuple[str, ...]) -> set[str]:
        before = len(trace.read_text().splitlines())
        for command in commands:
            passed(stack.ask(*command))
        return permissions.actions(json.loads(line) for line in trace.read_text().splitlines()[before:])

    looking = sent(("backups",), ("describe", kept))
    name = passed(stack.lifeboat("snapshot", "create", "--before", "migration 42")).stdout.strip()
    time.sleep(1)  # two snapshots of one second would have one name
    working = sent(
        ("snapshot", "create", "--before", "migration 43"),
        ("snapshot", "copy", name),
        ("keep", name, "--why", "audit"),
        ("keep", name, "--release"),
        ("keep", kept, "--why", "audit"),
        ("keep", kept, "--release"),
    )
    going = sent(("retention", "apply", "--yes"))
    pruning = sent(("snapshot", "prune", "--keep", "1", "--older-than", "1s", "--yes"))
    document: dict[str, Any] = json.loads(passed(stack.ask("backups", "-o", "json")).stdout)

    iam = stack.client("iam")
    assert permissions.refused(looking, iam, "app-local-verifier") == []
    assert permissions.refused(going, iam, "app-local-retention") == []
    assert permissions.refused(looking | working | going, iam, "app-local-restore-operator") == []
    assert permissions.refused(pruning, iam, "app-local-break-glass") == []
    assert "rds:DeleteDBSnapshot" in permissions.refused(pruning, iam, "app-local-restore-operator")
    marking = {"s3:PutObjectTagging", "rds:AddTagsToResource", "rds:CreateDBSnapshot", "rds:CopyDBSnapshot"}
    assert marking <= working | going
    for role in ("writer", "verifier", "break-glass"):
        assert marking <= set(permissions.refused(working | going, iam, f"app-local-{role}"))
    assert marking - {"s3:PutObjectTagging"} <= set(permissions.refused(working, iam, "app-local-retention"))
    assert document["unseen"] == []
    found = {(point["id"], point["region"]) for point in document["points"]}
    assert {(kept, DR), (goes, DR), (name, DR)} <= found
    assert (name, "eu-west-1") not in found
    for region, bucket in (("eu-west-1", dumps["bucket"]), (DR, dumps["replica_bucket"])):
        key = f"{dumps['prefix']}local/app/{goes}/manifest.json"
        tags = stack.client("s3", region).get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        assert tags == [{"Key": "lifeboat:keep-as", "Value": "expire"}]
