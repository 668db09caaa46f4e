"""The lease on an environment: one holder, a counter that only grows, and nobody who lost it goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients.lease import SECONDS, Lease
from lifeboat.errors import Locked, Unreachable
from lifeboat.model import RunId

from tests.conftest import RunningCloud


@pytest.fixture
def table(cloud: RunningCloud) -> str:
    name = f"lock-{uuid4().hex[:8]}"
    cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def of(cloud: RunningCloud, table: str, run: str = "r1", seconds: float = SECONDS) -> Lease:
    return Lease(dynamodb=cloud.client("dynamodb"), table=table, name="test", run=RunId(run), seconds=seconds)


def item(cloud: RunningCloud, table: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.client("dynamodb").get_item(
        TableName=table, Key={"LockID": {"S": "lifeboat/test"}}, ConsistentRead=True
    )["Item"]
    return found


def change(cloud: RunningCloud, table: str, **attributes: Any) -> None:
    cloud.client("dynamodb").put_item(TableName=table, Item={**item(cloud, table), **attributes})


def test_the_second_is_refused_and_told_who_and_since_when(cloud: RunningCloud, table: str) -> None:
    with of(cloud, table, "r1").held(), pytest.raises(Locked) as refused, of(cloud, table, "r2").held():
        pass

    assert re.search(r"has held this environment for \d s: run r1", refused.value.summary)
    assert "lifeboat logs r1" in refused.value.hint


def test_given_back_it_can_be_taken_and_the_counter_has_grown(cloud: RunningCloud, table: str) -> None:
    counters = []
    for _ in range(3):
        with of(cloud, table).held() as held:
            held.require()
            counters.append(held.counter)

    assert counters == [1, 2, 3]


def test_of_eight_at_once_exactly_one_wins(cloud: RunningCloud, table: str) -> None:
    start, end = Barrier(8), Barrier(8)

    def contend(number: int) -> bool:
        start.wait()
        try:
            with of(cloud, table, f"r{number}").held():
                end.wait()
                return True
        except Locked:
            end.wait()
            return False

    with ThreadPoolExecutor(8) as pool:
        won = [list(pool.map(contend, range(8))) for _ in range(5)]

    assert [round_.count(True) for round_ in won] == [1] * 5


def test_a_dead_holder_of_this_machine_gives_way_at_once(cloud: RunningCloud, table: str) -> None:
    script = (
        "import os, boto3, sys\n"
        "from lifeboat.clients.lease import Lease\n"
        "client = boto3.client('dynamodb', region_name='eu-west-1', endpoint_url=sys.argv[1],"
        " aws_access_key_id='x', aws_secret_access_key='x')\n"
        "with Lease(dynamodb=client, table=sys.argv[2], name='test', run='dead').held():\n"
        "    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, cloud.endpoint, table], check=False)
    assert float(item(cloud, table)["Expires"]["N"]) > time.time() + 30

    with of(cloud, table).held() as held:
        held.require()

    assert held.counter == 2


def test_a_holder_of_another_machine_gives_way_only_when_it_expired(cloud: RunningCloud, table: str) -> None:
    with of(cloud, table, "r1").held():
        facts = json.loads(item(cloud, table)["Holder"]["S"])
        elsewhere = {"S": json.dumps({**facts, "machine": "another", "pid": 2**22})}
        change(cloud, table, Holder=elsewhere)
        with pytest.raises(Locked), of(cloud, table, "r2").held():
            pass
        change(cloud, table, Expires={"N": f"{time.time() - 1:.3f}"})
        with of(cloud, table, "r2").held() as held:
            held.require()


def test_who_lost_it_notices_at_the_next_renewal(cloud: RunningCloud, table: str) -> None:
    with of(cloud, table, "r1", seconds=4).held() as held:
        change(cloud, table, Token={"S": "another"})
        time.sleep(2)
        with pytest.raises(Locked, match="is lost"):
            held.require()


def test_who_could_not_renew_in_time_does_not_trust_it_any_more(cloud: RunningCloud, table: str) -> None:
    with of(cloud, table, "r1", seconds=3).held() as held:
        cloud.control("faults", add={"service": "dynamodb", "operation": "UpdateItem", "times": 100})
        time.sleep(3.5)
        cloud.control("faults", clear=True)
        with pytest.raises(Locked, match="could not be renewed"):
            held.require()


def test_a_table_that_is_not_there_is_not_a_free_lease(cloud: RunningCloud) -> None:
    with pytest.raises(Unreachable, match="ResourceNotFoundException"), of(cloud, "nowhere").held():
        pass
