"""`lifeboat local env` prints what can be known when the stack can be read only in part."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conftest import open_folder
from tests.gitlab_sites import RECOVERY
from tests.rehearsal import Rehearsal, checkout, passed

BUCKET = "app-local-tfstate-123456789012-eu-west-1"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-12345678-abcdef"


@pytest.fixture(scope="module")
def stack() -> Iterator[Rehearsal]:
    """A local cloud with nothing but a stack's state."""
    with open_folder() as folder:
        made = checkout(folder / "checkout")
        passed(made.lifeboat("local", "up"))
        database = {**RECOVERY["database"], "password_secret_arn": SECRET}
        state = {"outputs": {"recovery": {"value": {**RECOVERY, "database": database}, "type": "dynamic"}}}
        s3 = made.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket=BUCKET, Key="stack.tfstate", Body=json.dumps(state).encode())
        yield made
        made.lifeboat("local", "down")


def test_without_the_databases_secret_only_the_databases_address_is_left_out(stack: Rehearsal) -> None:
    done = passed(stack.lifeboat("local", "env", "-o", "json"))

    variables = json.loads(done.stdout)
    assert variables["APP_URL"] == RECOVERY["app"]["url"]
    assert variables["DUMP_BUCKET"] == RECOVERY["dumps"]["bucket"]
    assert "DATABASE_URL" not in variables
    assert f"DATABASE_URL is not set: cannot read the secret {SECRET}: " in done.stderr


def test_an_address_that_the_shell_has_for_one_service_leads_to_the_local_cloud_too(stack: Rehearsal) -> None:
    shell = ("env", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true")

    done = passed(stack.run(*shell, "lifeboat", "local", "env", "-o", "json"))

    variables = json.loads(done.stdout)
    assert variables["AWS_ENDPOINT_URL_S3"] == variables["AWS_ENDPOINT_URL"]
    assert variables["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] == "false"


@pytest.mark.parametrize("variable", ["AWS_DEFAULTS_MODE", "AWS_REQUEST_CHECKSUM_CALCULATION"])
def test_a_variable_that_boto3_cannot_make_anything_of_is_named(stack: Rehearsal, variable: str) -> None:
    done = passed(stack.run("env", f"{variable}=nosuch", "lifeboat", "backups"), 2)

    assert "error: boto3 cannot be set up: " in done.stderr
    assert "nosuch" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_name_at_all_is_not_the_newest_dump(stack: Rehearsal) -> None:
    done = passed(stack.lifeboat("verify", ""), 2)

    assert "latest or a dump's id" in done.stderr
