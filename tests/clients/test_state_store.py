"""Terraform's state, digest and locks, read and mended without Terraform."""

from __future__ import annotations

import hashlib
import json

import pytest
from lifeboat.clients.state_store import StateStore, recorded
from lifeboat.errors import IntegrityFailure, Unreachable

from tests.conftest import RunningCloud

LOCK = {
    "ID": "lock-1",
    "Who": "root@host",
    "Operation": "OperationTypeApply",
    "Created": "2026-03-01T03:00:00.123456789Z",
}


def state(serial: int, lineage: str = "a") -> bytes:
    return json.dumps({"serial": serial, "lineage": lineage, "resources": []}).encode()


@pytest.fixture
def store(cloud: RunningCloud, request: pytest.FixtureRequest) -> StateStore:
    name = request.node.name.replace("_", "-")[:60].strip("-")
    s3, dynamodb = cloud.client("s3"), cloud.client("dynamodb")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return StateStore(s3=s3, dynamodb=dynamodb, bucket=name, key="stack.tfstate", table=name, keeps_digest=True)


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def test_a_backend_is_usable_with_a_versioned_bucket_and_a_table(store: StateStore, cloud: RunningCloud) -> None:
    whole = store.usable()
    cloud.client("dynamodb").delete_table(TableName=store.table)
    without_table = store.usable()

    assert (whole, without_table) == (True, False)


def test_versions_come_newest_first_with_serial_and_lineage(store: StateStore) -> None:
    for serial in (1, 2, 3):
        store.write(state(serial))

    versions = store.versions()

    assert [(v.serial, v.lineage, v.md5) for v in versions] == [(n, "a", md5(state(n))) for n in (3, 2, 1)]


def test_a_digest_that_disagrees_is_an_integrity_failure(store: StateStore) -> None:
    store.write(state(1))
    store.write_digest("0" * 32, instead_of=None)

    with pytest.raises(IntegrityFailure, match="and its digest says 00000"):
        store.check_digest()
    store.write_digest(md5(state(1)), instead_of="0" * 32)

    store.check_digest()


def test_a_digest_that_somebody_changed_meanwhile_is_not_overwritten(store: StateStore) -> None:
    store.write_digest("a", instead_of=None)

    with pytest.raises(Unreachable, match="ConditionalCheckFailed"):
        store.write_digest("b", instead_of="not a")

    assert store.digest() == "a"


def test_a_missing_state_or_digest_after_an_apply_is_an_integrity_failure(store: StateStore) -> None:
    with pytest.raises(IntegrityFailure, match="there is no state object"):
        store.check_digest()
    store.write(state(1))
    with pytest.raises(IntegrityFailure, match="there is no digest"):
        store.check_digest()


def test_item_and_file_of_one_lock_are_one_lock_and_go_together(store: StateStore, cloud: RunningCloud) -> None:
    text = json.dumps(LOCK)
    item = {"LockID": {"S": f"{store.bucket}/{store.key}"}, "Info": {"S": text}}
    cloud.client("dynamodb").put_item(TableName=store.table, Item=item)
    cloud.client("s3").put_object(Bucket=store.bucket, Key=f"{store.key}.tflock", Body=text.encode())

    before = store.locks()
    store.unlock("another-lock")
    kept = store.locks()
    store.unlock("lock-1")

    assert [lock.lock_id for lock in before] == [lock.lock_id for lock in kept] == ["lock-1"]
    assert before[0].who == "root@host"
    assert before[0].created is not None
    assert before[0].created.isoformat() == "2026-03-01T03:00:00.123456+00:00"
    assert store.locks() == []


def test_a_service_that_does_not_answer_is_unreachable_not_empty(store: StateStore, cloud: RunningCloud) -> None:
    cloud.control("faults", add={"service": "s3", "operation": "GetObject", "code": "AccessDenied", "status": 403})

    with pytest.raises(Unreachable, match="AccessDenied"):
        store.body()


def test_the_addresses_of_a_state_carry_their_keys() -> None:
    document = {
        "resources": [
            {
                "mode": "managed",
                "module": "module.database",
                "type": "aws_db_instance",
                "name": "this",
                "instances": [{"index_key": "g1", "attributes": {"id": "db-1"}}],
            },
            {
                "mode": "managed",
                "type": "aws_eip",
                "name": "app",
                "instances": [{"index_key": 0, "attributes": {"id": "e"}}],
            },
            {"mode": "data", "type": "aws_region", "name": "here", "instances": [{}]},
        ]
    }

    assert recorded(json.dumps(document).encode()) == {
        'module.database.aws_db_instance.this["g1"]': "db-1",
        "aws_eip.app[0]": "e",
    }
