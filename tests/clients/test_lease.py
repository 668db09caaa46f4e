"""The lease on an environment: one holder, a counter that only grows, and nobody who lost it goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients.lease import SECONDS, Lease, patience
from lifeboat.clients.waiting import SLEEP_INCLUDED, Patience, elapsed
from lifeboat.errors import Locked, Unreachable
from lifeboat.model import RunId

from tests.conftest import RunningCloud

RECOVERS, APPLIES = "20261129T160748Z-recover-c1091a", "20261129T161739.472595Z-apply"


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
    return patient(cloud, table, run, patience(lambda _: None, seconds=seconds))


def patient(cloud: RunningCloud, table: str, run: str, how: Patience) -> Lease:
    again = f"lifeboat resume {run}"
    return Lease(dynamodb=cloud.client("dynamodb"), table=table, name="test", run=RunId(run), patience=how, again=again)


def item(cloud: RunningCloud, table: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.client("dynamodb").get_item(
        TableName=table, Key={"LockID": {"S": "lifeboat/test"}}, ConsistentRead=True
    )["Item"]
    return found


def change(cloud: RunningCloud, table: str, **attributes: Any) -> None:
    cloud.client("dynamodb").put_item(TableName=table, Item={**item(cloud, table), **attributes})


def test_the_second_is_refused_and_told_who_and_since_when(cloud: RunningCloud, table: str) -> None:
    with of(cloud, table, RECOVERS).held(), pytest.raises(Locked) as refused, of(cloud, table, "r2").held():
        pass

    assert re.search(rf"has held this environment for \d+ s: run {RECOVERS}$", refused.value.summary)
    assert f"lifeboat logs {RECOVERS}" in refused.value.hint


def test_of_what_has_no_journal_the_command_is_told_and_no_id_that_nothing_knows(
    cloud: RunningCloud, table: str
) -> None:
    with of(cloud, table, APPLIES).held(), pytest.raises(Locked) as refused, of(cloud, table, "r2").held():
        pass

    assert re.search(r"has held this environment for \d+ s: apply$", refused.value.summary)
    assert "lifeboat logs" not in refused.value.hint


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
        "from lifeboat.clients.lease import Lease, patience\n"
        "client = boto3.client('dynamodb', region_name='eu-west-1', endpoint_url=sys.argv[1],"
        " aws_access_key_id='x', aws_secret_access_key='x')\n"
        "with Lease(dynamodb=client, table=sys.argv[2], name='test', run='dead', patience=patience(print)).held():\n"
        "    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, cloud.endpoint, table], check=False)
    assert float(item(cloud, table)["Expires"]["N"]) > time.time() + 30

    with of(cloud, table).held() as held:
        held.require()

    assert held.counter == 2


class Watch:
    """A clock that only sleeping moves on; at each sleep something may happen."""

    def __init__(self, happens: Callable[[], None] = lambda: None) -> None:
        self.now = 1000.0
        self.told: list[str] = []
        self._happens = happens

    def patience(self, seconds: float = SECONDS) -> Patience:
        return Patience(seconds=seconds, tell=self.told.append, sleep=self._sleep, clock=lambda: self.now)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self._happens()


def held_elsewhere(cloud: RunningCloud, table: str, *, expires_in: float) -> None:
    """Write a lease down that a process of another machine took; when it expires, that machine's clock said."""
    with of(cloud, table, "r1").held():
        before = item(cloud, table)
    facts = {**json.loads(before["Holder"]["S"]), "machine": "another", "pid": 2**22, "who": "eva@laptop"}
    change(cloud, table, Holder={"S": json.dumps(facts)}, Expires={"N": f"{time.time() + expires_in:.3f}"})


def test_a_lease_of_another_machine_that_has_not_expired_is_not_even_watched(cloud: RunningCloud, table: str) -> None:
    held_elsewhere(cloud, table, expires_in=30)
    watch = Watch()

    with pytest.raises(Locked, match="eva@laptop"), patient(cloud, table, "r2", watch.patience()).held():
        pass

    assert (watch.now, watch.told) == (1000, [])


def test_a_lease_that_only_a_clock_calls_expired_stays_its_holders(cloud: RunningCloud, table: str) -> None:
    held_elsewhere(cloud, table, expires_in=-120)

    def renew() -> None:
        change(cloud, table, Expires={"N": f"{time.time() - 100:.3f}"})  # by a clock that is two minutes behind

    watch = Watch(renew)

    with pytest.raises(Locked, match="eva@laptop"), patient(cloud, table, "r2", watch.patience()).held():
        pass

    assert watch.now - 1000 < SECONDS / 4
    assert "since that clock may differ from ours" in watch.told[0]


def test_a_lease_that_nobody_renews_is_taken_from_another_machine_after_as_long_as_one_lasts(
    cloud: RunningCloud, table: str
) -> None:
    held_elsewhere(cloud, table, expires_in=-1)
    watch = Watch()

    with patient(cloud, table, "r2", watch.patience()).held() as held:
        held.require()

    assert (held.counter, len(watch.told)) == (2, 1)
    assert SECONDS < watch.now - 1000 < SECONDS * 1.25


def test_a_lease_that_is_given_back_while_it_is_watched_is_taken_at_once(cloud: RunningCloud, table: str) -> None:
    held_elsewhere(cloud, table, expires_in=-1)
    watch = Watch(lambda: change(cloud, table, Expires={"N": "0"}))

    with patient(cloud, table, "r2", watch.patience()).held() as held:
        held.require()

    assert watch.now - 1000 < SECONDS / 4


def test_who_slept_longer_than_the_lease_lasts_goes_on_where_nobody_took_it(cloud: RunningCloud, table: str) -> None:
    watch = Watch()

    with patient(cloud, table, "r1", watch.patience()).held() as held:
        seen = item(cloud, table)
        watch.now += SECONDS + 1
        held.require()
        renewed = item(cloud, table)

    assert renewed["Counter"] == seen["Counter"]
    # Who watched it in order to take it sees that it is held.
    assert float(renewed["Expires"]["N"]) > float(seen["Expires"]["N"])


@pytest.mark.parametrize(
    ("expires_in", "words"),
    [
        (30.0, rf"eva@laptop \(process 7\), at run {RECOVERS}, has it since 20"),
        (None, rf"eva@laptop \(process 7\), at run {RECOVERS}, had it meanwhile and gave it back"),
    ],
    ids=["still", "no longer"],
)
def test_who_slept_while_another_had_it_is_told_who_and_the_one_command_that_goes_on(
    cloud: RunningCloud, table: str, expires_in: float | None, words: str
) -> None:
    watch = Watch()

    with patient(cloud, table, "r1", watch.patience()).held() as held:
        facts = {**json.loads(item(cloud, table)["Holder"]["S"]), "who": "eva@laptop", "pid": 7, "run": RECOVERS}
        change(
            cloud,
            table,
            Token={"S": "another"},
            Holder={"S": json.dumps(facts)},
            Counter={"N": "2"},
            Expires={"N": "0" if expires_in is None else f"{time.time() + expires_in:.3f}"},
        )
        watch.now += SECONDS + 1
        with pytest.raises(Locked, match=words) as lost:
            held.require()
        with pytest.raises(Locked, match=words):
            held.require()

    assert lost.value.hint == "lifeboat resume r1"
    assert item(cloud, table)["Token"] == {"S": "another"}


def test_the_lease_counts_the_seconds_that_the_machine_sleeps() -> None:
    # On a machine that never slept the two clocks of Linux tell the same, so which one is asked is what can be seen.
    assert patience(print).clock is elapsed
    assert (time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC) == SLEEP_INCLUDED


def test_who_lost_it_notices_at_the_next_renewal(cloud: RunningCloud, table: str) -> None:
    with of(cloud, table, "r1", seconds=4).held() as held:
        change(cloud, table, Token={"S": "another"})
        time.sleep(2)
        with pytest.raises(Locked, match="is lost"):
            held.require()


def test_who_could_not_renew_in_time_does_not_trust_it_until_the_table_answers(cloud: RunningCloud, table: str) -> None:
    with of(cloud, table, "r1", seconds=3).held() as held:
        cloud.control("faults", add={"service": "dynamodb", "operation": "UpdateItem", "times": 1000})
        time.sleep(3.5)
        with pytest.raises(
            Locked, match="could not be renewed for 3 s, and who holds it now cannot be asked"
        ) as refused:
            held.require()
        cloud.control("faults", clear=True)
        held.require()

    assert refused.value.hint == "lifeboat resume r1"


def test_a_table_that_is_not_there_is_not_a_free_lease(cloud: RunningCloud) -> None:
    with pytest.raises(Unreachable, match="ResourceNotFoundException"), of(cloud, "nowhere").held():
        pass
