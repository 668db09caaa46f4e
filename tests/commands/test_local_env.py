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
