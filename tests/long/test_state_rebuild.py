"""Every version of a state gone in both regions: it is made anew of what exists, everything is still the same, a plan is empty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.rehearsal import Rehearsal, passed

WORK = Path(".lifeboat/local")


@pytest.fixture
def rehearsed(stack: Rehearsal) -> Iterator[Rehearsal]:
    """The applied stack, to which this machine's memory goes back too."""
    passed(stack.lifeboat("local", "load", "applied"))
    copy = stack.root / WORK / "state-root.tfstate"
    kept = copy.read_bytes()
    yield stack
    passed(stack.lifeboat("local", "load", "applied"))
    copy.write_bytes(kept)


def as_break_glass(stack: Rehearsal, region: str) -> Any:
    """Return an S3 client of the one role that the bucket's policy lets delete versions."""
    role = "arn:aws:iam::123456789012:role/app-local-break-glass"
    keys = stack.client("sts").assume_role(RoleArn=role, RoleSessionName="accident")["Credentials"]
    return boto3.client(
        "s3",
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{stack.port}",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def lose(stack: Rehearsal, key: str) -> bytes:
    """Delete every version of a state in both regions, and return what stood on top."""
    bucket = stack.exported()["STATE_BUCKET"]
    body = bytes(stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    for region in ("eu-west-1", "eu-central-1"):
        s3, name = as_break_glass(stack, region), bucket.replace("eu-west-1", region)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name, Prefix=key):
            for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=name, Key=found["Key"], VersionId=found["VersionId"])
    return body


def top(stack: Rehearsal, key: str) -> bytes:
    bucket = stack.exported()["STATE_BUCKET"]
    return bytes(stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def things(body: bytes) -> dict[str, Any]:
    """Return which thing each resource of a state is, by its address.

    What the provider calls an attachment of a policy is made up when it is made; which policy of which role it is counts.
    """
    found = {}
    for resource in json.loads(body)["resources"]:
        for instance in resource["instances"] if resource["mode"] == "managed" else ():
            attributes = instance["attributes"]
            address = (
                f"{resource.get('module', '')}.{resource['type']}.{resource['name']}[{instance.get('index_key', '')}]"
            )
            if resource["type"] == "aws_iam_role_policy_attachment":
                found[address] = (attributes["role"], attributes["policy_arn"])
            else:
                found[address] = attributes.get("id", attributes.get("name"))  # a restore testing plan has no id
    return found


def secrets(body: bytes) -> list[str]:
    """Return the texts of a state that the provider says are secret."""
    return [
        instance["attributes"]["secret_string"]
        for resource in json.loads(body)["resources"]
        if resource["type"] == "aws_secretsmanager_secret_version"
        for instance in resource["instances"]
    ]


@pytest.mark.parametrize("root", ["stack", "state"])
def test_after_a_rebuild_everything_is_the_same_and_a_plan_is_empty(rehearsed: Rehearsal, root: str) -> None:
    key = f"{root}.tfstate"
    lost = lose(rehearsed, key)
    if root == "state":
        (rehearsed.root / WORK / "state-root.tfstate").unlink()

    shown = rehearsed.lifeboat("state", "rebuild", "--root", root, "--preview")
    ended = rehearsed.lifeboat("state", "rebuild", "--root", root, "--yes")
    planned = rehearsed.lifeboat("plan", "--detailed-exitcode")
    doctor = rehearsed.lifeboat("state", "doctor", "--root", root)

    passed(shown)
    passed(ended)
    passed(planned)
    assert "no changes" in planned.stdout
    assert things(top(rehearsed, key)) == things(lost)
    before, now = json.loads(lost), json.loads(top(rehearsed, key))
    assert now["outputs"] == before["outputs"]
    if root == "stack":  # which this machine remembers
        assert (now["lineage"], now["serial"]) == (before["lineage"], before["serial"] + 1)
        assert secrets(lost) != []
    for done in (shown, ended, planned, doctor):
        assert not any(secret in done.stdout + done.stderr for secret in secrets(lost))
    assert not any(path.name.startswith("plan-") for path in (rehearsed.root / WORK).iterdir())
    assert "object" not in doctor.stderr
