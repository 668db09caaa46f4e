"""What only the role break-glass may change, asked with the roles of the applied stack."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.commands.test_copies_on_the_stack import DR
from tests.rehearsal import Rehearsal, passed


def of_role(stack: Rehearsal, role: str, region: str) -> Any:
    """Return S3 for whoever has taken a role of the stack."""
    account = stack.client("sts").get_caller_identity()["Account"]
    arn = f"arn:aws:iam::{account}:role/app-local-{role}"
    taken = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "s3",
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{stack.port}",
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def test_how_dumps_are_encrypted_and_copied_is_changed_by_break_glass_alone(stack: Rehearsal) -> None:
    env = stack.exported()
    state = stack.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    dumps = json.loads(state)["outputs"]["recovery"]["value"]["dumps"]

    for region, bucket in (("eu-west-1", dumps["bucket"]), (DR, dumps["replica_bucket"])):
        operator, break_glass = of_role(stack, "restore-operator", region), of_role(stack, "break-glass", region)
        found = stack.client("s3", region).get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        with pytest.raises(ClientError, match="AccessDenied"):
            operator.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=found)
        with pytest.raises(ClientError, match="AccessDenied"):
            operator.delete_bucket_replication(Bucket=bucket)
        break_glass.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=found)
    copying = stack.client("s3").get_bucket_replication(Bucket=dumps["bucket"])["ReplicationConfiguration"]
    of_role(stack, "break-glass", "eu-west-1").put_bucket_replication(
        Bucket=dumps["bucket"], ReplicationConfiguration=copying
    )
    assert "no changes" in passed(stack.run("make", "plan")).stdout
