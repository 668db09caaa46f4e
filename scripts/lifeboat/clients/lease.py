"""The lease on an environment, in its lock table: one operator at a time, on whatever machine."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psutil
from botocore.exceptions import ClientError

from lifeboat.clients import machines, sdk
from lifeboat.clients.run_files import user_name
from lifeboat.clients.sdk import translated
from lifeboat.clients.waiting import Patience, elapsed
from lifeboat.errors import LifeboatError, Locked, Unreachable
from lifeboat.model import RunId, has_journal
from lifeboat.state_model import AtWork

SECONDS = 60.0  # without a renewal, after which it is anybody's; four are tried in that time
_LOOKS = 8  # at a lease that is watched; its holder renews it twice as seldom
_REFUSED = "ConditionalCheckFailedException"


@dataclass(frozen=True, kw_only=True)
class _Held:
    """What the table says of the lease."""

    token: str
    counter: int
    run: str
    who: str
    machine: str
    pid: int
    began: float
    since: datetime
    expires: str  # as the table writes the number; 0 where it was given back

    @property
    def told(self) -> str:
        """Who it is, and at what: the run where `lifeboat logs` knows it, else the command."""
        return f"{self.who} (process {self.pid}), at {_what(self.run)}"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Who holds a lease: the run, by whom it was begun and where, and since when."""

    run: RunId
    who: str
    since: datetime


def patience(tell: Callable[[str], None], *, seconds: float = SECONDS) -> Patience:
    """Return how long a lease is good for and is watched before it is taken from another machine, and whom to tell."""
    return Patience(seconds=seconds, tell=tell, clock=elapsed)


class Lease:
    """One holder's lease. Its `counter` is higher than that of every holder before it: the fencing number.

    `again` is the command that goes on where the lease was lost.
    """

    def __init__(
        self, *, dynamodb: Any, table: str, name: str, run: RunId, patience: Patience, again: str = ""
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = {"LockID": {"S": f"lifeboat/{name}"}}
        self._token = uuid4().hex
        self._run = run
        self._again = again or "run the same command again"
        self._patience = patience
        self._seconds = patience.seconds
        self._ended = threading.Event()
        self._renewing = threading.Lock()
        self._good_until = 0.0
        self._lost = ""
        self.counter = 0

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Hold the lease, renewing it, and give it back; raises Locked naming the holder and since when."""
        self._acquire()
        keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        keeper.start()
        try:
            yield self
        finally:
            self._ended.set()
            keeper.join()
            self._release()

    def holder(self) -> AtWork | None:
        """Return who holds the lease by now, as the table says; None where nobody does, or there is no table.

        One that its holder did not renew in time is nobody's, nor is one of a process of this machine that is gone.
        """
        with translated(f"read the lease in {self._table}"):
            held = sdk.unless_absent({"ResourceNotFoundException"}, self._found)
        if held is None or float(held.expires) < time.time() or _is_dead(held):
            return None
        return AtWork(
            who=f"{held.who} (process {held.pid})",
            what=_what(held.run),
            since=held.since,
            elsewhere=held.machine != machines.machine(),
        )

    def require(self) -> None:
        """Raise Locked when somebody else has the lease, or had it, or nobody can say whether.

        One that was not renewed in time is renewed now where nobody has taken it since: then nobody had it in between, and
        whoever watches it sees that it is held.
        """
        if not self._lost and self._patience.clock() > self._good_until:
            try:
                self._renew()
            except LifeboatError as error:
                raise Locked(
                    f"the lease of {_what(self._run)} on this environment could not be renewed for {self._seconds:.0f} s, and who"
                    f" holds it now cannot be asked: {error.summary}",
                    hint=self._again,
                ) from error
        if self._lost:
            raise Locked(f"the lease of {_what(self._run)} on this environment is lost: {self._lost}", hint=self._again)

    def holding(self) -> Holding | None:
        """Return who holds it; None where it was given back, was not renewed in time, or its holder of this machine died.

        Of a holder whose clock is behind ours it may say None too early: whoever acts on that takes the lease first.
        """
        with translated(f"look at the lease in {self._table}", hint="lifeboat apply, where nothing was applied yet"):
            held = self._found()
        if held is None or float(held.expires) < time.time() or _is_dead(held):
            return None
        return Holding(run=RunId(held.run), who=held.who, since=held.since)

    def _acquire(self) -> None:
        with translated(f"take the lease in {self._table}", hint="lifeboat apply, where nothing was applied yet"):
            started = self._patience.clock()
            taken = self._take("attribute_not_exists(LockID) OR Expires = :none", {":none": _number(0)})
            if taken is None:
                held = self._found()
                if held is None or not (self._is_nobodys(held) or self._was_left(held)):
                    raise self._locked(self._found())
                started = self._patience.clock()
                unchanged = "#token = :token_seen AND Expires = :expires_seen"
                seen = {":token_seen": {"S": held.token}, ":expires_seen": {"N": held.expires}}
                taken = self._take(f"Expires = :none OR ({unchanged})", {":none": _number(0), **seen})
                if taken is None:
                    raise self._locked(self._found())
            self.counter = taken
            self._good_until = started + self._seconds

    def _is_nobodys(self, held: _Held) -> bool:
        """Return whether a lease is given back, of a dead process of this machine, or ours: the answer to taking it was lost."""
        return float(held.expires) == 0 or held.token == self._token or _is_dead(held)

    def _was_left(self, held: _Held) -> bool:
        """Return whether a lease that looks expired is not renewed for as long as one is good for, which is watched.

        It may only look so because its holder's clock is behind ours. After this time the holder does not trust it any
        more, whatever the clocks say, since it counts the same seconds from its last renewal.
        """
        if float(held.expires) >= time.time():
            return False
        self._patience.tell(
            f"{held.told}, seems to have left the lease on this environment; watching for {self._seconds:.0f} s that it is"
            " not renewed, since that clock may differ from ours"
        )
        began = self._patience.clock()
        while self._patience.clock() - began <= self._seconds:
            self._patience.sleep(self._seconds / _LOOKS)
            found = self._found()
            if found != held:
                return found is not None and float(found.expires) == 0
        return True

    def _take(self, condition: str, values: dict[str, Any]) -> int | None:
        """Take the lease where it is as the condition says, and return its counter; None where it is not."""
        now = time.time()
        facts = {
            "run": self._run,
            "who": f"{user_name()}@{socket.gethostname()}",
            "machine": machines.machine(),
            "pid": psutil.Process().pid,
            "began": psutil.Process().create_time(),
        }
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET #token = :token, Holder = :holder, Since = :since, Expires = :expires"
                " ADD #counter :one",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#token": "Token", "#counter": "Counter"},
                ExpressionAttributeValues={
                    ":token": {"S": self._token},
                    ":holder": {"S": json.dumps(facts)},
                    ":since": _number(now),
                    ":expires": _number(now + self._seconds),
                    ":one": {"N": "1"},
                    **values,
                },
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if sdk.code(error) != _REFUSED:
                raise
            return None
        return int(answer["Attributes"]["Counter"]["N"])

    def _found(self) -> _Held | None:
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=self._key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
        )
        # botocore takes an answer that is cut off for an empty one; a whole one has the capacity that was asked for.
        if "ConsumedCapacity" not in answer:
            raise Unreachable(f"cannot read the lease in {self._table}: the answer is cut off")
        item = answer.get("Item")
        if item is None or "Holder" not in item:
            return None
        facts = json.loads(item["Holder"]["S"])
        return _Held(
            token=item["Token"]["S"],
            counter=int(item["Counter"]["N"]),
            run=facts["run"],
            who=facts["who"],
            machine=facts["machine"],
            pid=facts["pid"],
            began=facts["began"],
            since=datetime.fromtimestamp(float(item["Since"]["N"]), UTC),
            expires=item["Expires"]["N"],
        )

    def _locked(self, held: _Held | None) -> Locked:
        if held is None:
            return Locked("somebody else has just changed the lease on this environment", hint="run it again")
        age = (datetime.now(UTC) - held.since).total_seconds()
        shown = f" (lifeboat logs {held.run} shows how far it is)" if has_journal(RunId(held.run)) else ""
        return Locked(
            f"{held.who} (process {held.pid}) has held this environment for {age:.0f} s: {_what(held.run)}",
            hint=f"wait until it is done{shown}. A holder that died gives way after {self._seconds:.0f} s, and on another"
            " machine when it is then watched for as long",
        )

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            try:
                self._renew()
            except LifeboatError:
                continue  # whoever acts asks once more, when it is too late by the clock
            if self._lost:
                return

    def _renew(self) -> None:
        """Hold it for as long again, or note who took it; raises Unreachable where the table does not answer."""
        with self._renewing, translated(f"renew the lease in {self._table}"):
            started = self._patience.clock()
            try:
                self._set(time.time() + self._seconds)
            except ClientError as error:
                if sdk.code(error) != _REFUSED:
                    raise
                self._lost = self._taken()
            else:
                self._good_until = started + self._seconds

    def _taken(self) -> str:
        """Return in words who has taken the lease from us; one that is free again was somebody's in between all the same."""
        held = self._found()
        if held is None:
            return "it is not in the table any more"
        if float(held.expires) == 0:
            return f"{held.told}, had it meanwhile and gave it back: what they changed is to be looked at first"
        return f"{held.told}, has it since {held.since:%Y-%m-%d %H:%M:%S}Z"

    def _release(self) -> None:
        # The item stays, so that the counter goes on growing.
        try:
            with translated(f"give back the lease in {self._table}"):
                self._set(0)
        except LifeboatError:
            return  # it expires by itself

    def _set(self, expires: float) -> None:
        self._dynamodb.update_item(
            TableName=self._table,
            Key=self._key,
            UpdateExpression="SET Expires = :expires",
            ConditionExpression="#token = :token",
            ExpressionAttributeNames={"#token": "Token"},
            ExpressionAttributeValues={":token": {"S": self._token}, ":expires": _number(expires)},
        )


def _what(run: str) -> str:
    return f"run {run}" if has_journal(RunId(run)) else run.partition("-")[2] or run


def _number(value: float) -> dict[str, str]:
    return {"N": f"{value:.3f}"}


def _is_dead(held: _Held) -> bool:
    """Return whether the holder was a process of this machine that is gone; of another machine's nobody here knows."""
    return held.machine == machines.machine() and machines.is_gone(held.pid, held.began)
