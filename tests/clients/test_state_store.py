"""Terraform's state, digest and locks, read and mended without Terraform."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from lifeboat.clients.sdk import translated
from lifeboat.clients.state_store import StateStore, name_records, recorded
from lifeboat.errors import IntegrityFailure, Unreachable
from lifeboat.model import Address, ManagedRecord, NameRecord, ZoneId

from tests.conftest import RunningCloud, free_port
from tests.loopback_servers import http, saying

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
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())
    name = f"{name[:50].strip('-')}-{md5(request.node.name.encode())[:8]}"
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
    whole = store.usable(), store.table_exists()
    cloud.client("dynamodb").delete_table(TableName=store.table)
    without_table = store.usable(), store.table_exists()

    assert (whole, without_table) == ((True, True), (False, False))


def test_versions_come_newest_first_with_serial_and_lineage(store: StateStore) -> None:
    for serial in (1, 2, 3):
        store.write(state(serial))

    versions = store.versions()

    assert [(v.serial, v.lineage, v.md5) for v in versions] == [(n, "a", md5(state(n))) for n in (3, 2, 1)]


@pytest.mark.parametrize("empty", [{}, {"Digest": {"S": ""}}])
def test_an_empty_digest_can_be_replaced(store: StateStore, cloud: RunningCloud, empty: dict[str, Any]) -> None:
    key = {"LockID": {"S": f"{store.bucket}/{store.key}-md5"}}
    cloud.client("dynamodb").put_item(TableName=store.table, Item={**key, **empty})

    found = store.digest()
    store.write_digest("0" * 32, instead_of=found)

    assert (found, store.digest()) == ("", "0" * 32)


def test_a_digest_that_disagrees_is_an_integrity_failure(store: StateStore) -> None:
    store.write(state(1))
    store.write_digest("0" * 32, instead_of=None)

    with pytest.raises(IntegrityFailure, match="and its digest says 00000") as told:
        store.checked()
    assert told.value.hint == "lifeboat state doctor"
    store.write_digest(md5(state(1)), instead_of="0" * 32)

    assert store.checked() == state(1)


def test_a_digest_that_somebody_changed_meanwhile_is_not_overwritten(store: StateStore) -> None:
    store.write_digest("a", instead_of=None)

    with pytest.raises(Unreachable, match="ConditionalCheckFailed"):
        store.write_digest("b", instead_of="not a")

    assert store.digest() == "a"


def test_a_missing_state_or_digest_after_an_apply_is_an_integrity_failure(store: StateStore) -> None:
    with pytest.raises(IntegrityFailure, match="there is no state object"):
        store.checked()
    store.write(state(1))
    with pytest.raises(IntegrityFailure, match="there is no digest"):
        store.checked()


def test_a_service_that_does_not_answer_is_unreachable_not_empty(store: StateStore, cloud: RunningCloud) -> None:
    cloud.control("faults", add={"service": "s3", "operation": "GetObject", "code": "AccessDenied", "status": 403})

    with pytest.raises(Unreachable, match="AccessDenied"):
        store.body()


QUESTIONS: dict[str, Callable[[StateStore], object]] = {
    "bucket_exists": StateStore.bucket_exists,
    "usable": StateStore.usable,
    "table_exists": StateStore.table_exists,
    "body": StateStore.body,
    "versions": StateStore.versions,
    "digest": StateStore.digest,
    "write": lambda store: store.write(state(1)),
    "write_digest": lambda store: store.write_digest("a", instead_of=None),
}
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<?xml version='1.0'?><ListVer"


def one_try(service: str, port: int) -> Any:
    return boto3.client(
        service,
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, read_timeout=5),
    )


def store_on(port: int, *, table_on: int | None = None) -> StateStore:
    return StateStore(
        s3=one_try("s3", port),
        dynamodb=one_try("dynamodb", table_on or port),
        bucket="bucket",
        key="stack.tfstate",
        table="table",
        keeps_digest=True,
    )


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_closed_port_is_unreachable(ask: Callable[[StateStore], object]) -> None:
    with pytest.raises(Unreachable, match="^cannot .*Could not connect to the endpoint URL"):
        ask(store_on(free_port()))


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b""], ids=["no HTTP", "nothing"])
def test_a_server_that_is_not_aws_is_unreachable(ask: Callable[[StateStore], object], answer: bytes) -> None:
    with saying(answer) as port, pytest.raises(Unreachable, match="^cannot "):
        ask(store_on(port))


@pytest.mark.parametrize("name", ["body", "versions", "digest"])
def test_an_answer_that_is_cut_off_is_unreachable_not_absent(name: str) -> None:
    with saying(CUT) as port, pytest.raises(Unreachable, match="^cannot "):
        QUESTIONS[name](store_on(port))


@pytest.mark.parametrize(("service", "operation"), [("s3", "list_buckets"), ("sts", "get_caller_identity")])
def test_an_answer_that_cannot_be_parsed_is_unreachable(service: str, operation: str) -> None:
    with saying(http(b"<?xml version='1.0'?><ListVer")) as port:
        client = one_try(service, port)

        with pytest.raises(Unreachable, match="^cannot ask: "), translated("ask"):
            getattr(client, operation)()


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


def test_what_a_replacement_still_has_to_destroy_is_not_taken_for_its_successor() -> None:
    instances = [
        {"status": "tainted", "attributes": {"id": "i-new"}},
        {"deposed": "1a2b3c4d", "attributes": {"id": "i-old"}},
    ]
    document = {"resources": [{"mode": "managed", "type": "aws_instance", "name": "this", "instances": instances}]}

    assert recorded(json.dumps(document).encode()) == {"aws_instance.this": "i-new"}


def test_the_records_that_terraform_keeps_are_read_from_its_state() -> None:
    simple = {
        "zone_id": "Z1",
        "fqdn": "App.Example.Test.",
        "type": "A",
        "ttl": 60,
        "records": ["192.0.2.2", "192.0.2.1"],
    }
    record = {"mode": "managed", "type": "aws_route53_record", "name": "app", "module": "module.app_instance"}
    others = [
        {**simple, "records": None, "alias": [{"name": "lb.example.test"}]},
        {**simple, "set_identifier": "a"},
    ]
    body = json.dumps(
        {
            "resources": [
                {**record, "instances": [{"index_key": 0, "attributes": simple}]},
                {**record, "name": "more", "instances": [{"attributes": values} for values in others]},
                {**record, "mode": "data", "instances": [{"attributes": simple}]},
                {**record, "type": "aws_route53_zone", "instances": [{"attributes": {"zone_id": "Z1"}}]},
            ]
        }
    )

    assert name_records(body.encode()) == [
        ManagedRecord(
            address=Address("module.app_instance.aws_route53_record.app[0]"),
            record=NameRecord(
                zone=ZoneId("Z1"),
                name="app.example.test",
                kind="A",
                ttl=timedelta(seconds=60),
                values=("192.0.2.1", "192.0.2.2"),
            ),
        )
    ]


def test_without_a_state_terraform_keeps_no_record() -> None:
    assert name_records(None) == []
