"""What an earlier attempt at a recovery may have left at work is waited for as long as it may live, and no longer."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lifeboat.clients import run_files
from lifeboat.clients.machines import booted_since, machine
from lifeboat.commands import recover
from lifeboat.errors import Locked
from lifeboat.model import EventKind, RunId

from tests.conftest import RunningCloud
from tests.plain_sites import PlainSite, Told, plain_site

RUN = RunId("20260301T030000Z-recover-aaaaaa")
LONG_AGO = datetime(2020, 3, 1, tzinfo=UTC)


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    return plain_site(cloud, tmp_path)


def lock(plain: PlainSite, who: str, age: timedelta) -> None:
    """Lock the stack's state as Terraform does."""
    created = f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%SZ}"
    info = {"ID": "11-22", "Who": who, "Operation": "OperationTypeApply", "Created": created}
    item = {"LockID": {"S": f"{plain.bucket}/stack.tfstate"}, "Info": {"S": json.dumps(info)}}
    plain.cloud.client("dynamodb").put_item(TableName=plain.table, Item=item)


def unlock(plain: PlainSite) -> None:
    key = {"LockID": {"S": f"{plain.bucket}/stack.tfstate"}}
    plain.cloud.client("dynamodb").delete_item(TableName=plain.table, Key=key)


def never() -> None:
    raise AssertionError("it is waited for")


def begun(plain: PlainSite, **facts: str) -> None:
    plain.run(RUN, (EventKind.INTENT, "instance", {}), **facts)


def test_a_lock_of_another_machine_is_told_at_once_and_waited_for(plain: PlainSite) -> None:
    begun(plain)
    lock(plain, "eva@laptop", timedelta(seconds=40))
    told = Told(then=lambda: unlock(plain))

    done = recover.abort(plain.site(), told, RUN)

    assert done[0] == f"{RUN} is given up"
    (line,) = [line for line in told.lines if "11-22" in line]
    assert line.startswith("the state is locked by eva@laptop for 4")
    assert line.endswith("lifeboat state unlock 11-22 -e x")


def test_a_lock_of_another_machine_that_is_too_old_is_refused_at_once(plain: PlainSite) -> None:
    begun(plain)
    lock(plain, "eva@laptop", timedelta(hours=1))

    with pytest.raises(Locked, match="the state is locked by eva@laptop for 36") as refused:
        recover.abort(plain.site(), Told(then=never), RUN)

    assert "if that process is surely dead: " in refused.value.hint
    assert refused.value.hint.endswith("lifeboat state unlock 11-22 -e x")


def test_a_lock_of_somebody_else_is_not_that_of_the_attempt(plain: PlainSite) -> None:
    begun(plain)
    lock(plain, "ann@desk", timedelta(seconds=1))

    assert recover.abort(plain.site(), Told(then=never), RUN)[0] == f"{RUN} is given up"


def test_what_ran_on_this_machine_before_it_was_booted_anew_is_not_waited_for(plain: PlainSite) -> None:
    user, host = run_files.user_name(), socket.gethostname()
    begun(plain, user=user, host=host, machine=f"{host} {machine().split()[1]} another-boot pid:[1]")
    lock(plain, f"{user}@{host}", timedelta(seconds=1))

    assert recover.abort(plain.site(), Told(then=never), RUN)[0] == f"{RUN} is given up"


def test_only_this_machine_before_it_was_booted_is_taken_for_one_that_was_booted_since() -> None:
    host, number, *_ = machine().split()
    now = datetime.now(UTC)

    assert booted_since(f"{host} {number} another-boot pid:[1]", LONG_AGO)
    assert not booted_since(f"{host} {number} another-boot pid:[1]", now)
    assert not booted_since(f"{host} another-machine another-boot pid:[1]", LONG_AGO)
    assert not booted_since(f"{host} another-boot pid:[1]", LONG_AGO)  # as written before machines had an id
    assert not booted_since(f"laptop {number} another-boot pid:[1]", LONG_AGO)
    assert not booted_since(machine(), LONG_AGO)
    assert not booted_since(host, LONG_AGO)
