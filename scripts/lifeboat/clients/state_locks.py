"""Terraform's own lock of a state, taken, looked at and removed as Terraform does it: in the table, as a file, or both."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
from botocore.exceptions import ClientError

from lifeboat.clients import machines, terraform_processes
from lifeboat.clients.run_files import user_name
from lifeboat.clients.sdk import code, translated, unless_absent
from lifeboat.clients.terraform_processes import TerraformProcess
from lifeboat.errors import LifeboatError, Locked, Unreachable
from lifeboat.state_model import Holding, Life, LockedState, LockingProcess, LockPlace, StateLock

_ABSENT = {"NoSuchKey", "NoSuchBucket", "404", "ResourceNotFoundException"}
_REFUSED = {"ConditionalCheckFailedException", "PreconditionFailed", "ConditionalRequestConflict"}
_GONE_ALREADY = {"ConditionalCheckFailedException", "ResourceNotFoundException"}
# Of plan, apply, refresh; an init locks for "migration source state" (internal/command/meta_backend_migrate.go).
_OF_COMMANDS = "OperationType"
# What began later than the lock was taken is not its holder; the clocks of one machine agree.
_CLOCK_MARGIN = timedelta(seconds=5)


class StateLocks:
    """The lock of one state."""

    def __init__(self, *, s3: Any, dynamodb: Any, state: LockedState) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self.state = state

    # -- looking ---------------------------------------------------------------------------------------------------

    def item(self) -> StateLock | None:
        """Return the lock that lies in the table; None where there is none, or no table."""
        text = self._item_text()
        return None if text is None else parsed(text, LockPlace.TABLE)

    def file(self) -> StateLock | None:
        """Return the lock that lies beside the state; None where there is none, or no bucket."""
        found = self._file_text()
        return None if found is None else parsed(found[0], LockPlace.FILE)

    def locks(self) -> list[StateLock]:
        """Return what locks the state in either place, whichever of them the mode looks at."""
        return [lock for lock in (self.item(), self.file()) if lock is not None]

    def _item_text(self) -> str | None:
        what = f"read the lock in {self.state.table}"
        with translated(what):
            answer = unless_absent(
                _ABSENT,
                lambda: self._dynamodb.get_item(
                    TableName=self.state.table,
                    Key=self._key,
                    ConsistentRead=True,
                    ReturnConsumedCapacity="TOTAL",
                ),
            )
        if answer is None:
            return None
        # botocore takes an answer that is cut off for an empty one; a whole one has the capacity that was asked for.
        if "ConsumedCapacity" not in answer:
            raise Unreachable(f"cannot {what}: the answer is cut off")
        item = answer.get("Item")
        return None if item is None else str(item.get("Info", {}).get("S", ""))

    def _file_text(self) -> tuple[str, str] | None:
        """Return the content of the lock file and the ETag that this content has."""
        with translated(f"read the lock file of s3://{self.state.path}"):
            answer = unless_absent(_ABSENT, lambda: self._s3.get_object(Bucket=self.state.bucket, Key=self._file_key))
            if answer is None:
                return None
            return answer["Body"].read().decode(errors="replace"), answer["ETag"]

    @property
    def _key(self) -> dict[str, Any]:
        return {"LockID": {"S": self.state.path}}

    @property
    def _file_key(self) -> str:
        return f"{self.state.key}.tflock"

    # -- taking and giving back ------------------------------------------------------------------------------------

    @contextmanager
    def taken(self, operation: str) -> Iterator[str]:
        """Hold Terraform's lock and give its id; raises Locked naming who has it, since when and for what.

        Killed inside, it stays, and names this process. With the mode "both" it is taken in both places or in neither.
        """
        lock_id = str(uuid4())
        self._take(lock_id, _written(lock_id, operation, self.state))
        try:
            yield lock_id
        except BaseException:
            with suppress(LifeboatError):  # what went wrong first is what there is to say; the lock names us
                self.unlock(lock_id)
            raise
        try:
            self.unlock(lock_id)
        except Unreachable as error:
            raise Unreachable(
                f"the work is done, but its lock {lock_id} could not be removed: {error.summary}", hint=_unlock(lock_id)
            ) from error

    def require(self, lock_id: str) -> None:
        """Raise Locked where the lock is not ours any more in each place that the mode looks at: somebody removed it."""
        found = {lock.place for lock in self.locks() if lock.lock_id == lock_id}
        lost = [place for place in self._places if place not in found]
        if lost:
            raise Locked(
                f"our lock {lock_id} of the state s3://{self.state.path} was removed from the {' and the '.join(lost)}",
                hint="somebody may be changing the state: lifeboat state doctor shows how it stands",
            )

    @property
    def _places(self) -> tuple[LockPlace, ...]:
        """Return where the mode locks, in Terraform's order (internal/backend/remote-state/s3/client.go, Lock)."""
        if self.state.mode == "both":
            return LockPlace.FILE, LockPlace.TABLE
        return (LockPlace.TABLE,) if self.state.mode == "dynamodb" else (LockPlace.FILE,)

    def _take(self, lock_id: str, text: str) -> None:
        put: Mapping[LockPlace, Callable[[str], None]] = {
            LockPlace.TABLE: self._put_item,
            LockPlace.FILE: self._put_file,
        }
        look: Mapping[LockPlace, Callable[[], StateLock | None]] = {
            LockPlace.TABLE: self.item,
            LockPlace.FILE: self.file,
        }
        try:
            for place in self._places:
                self._take_one(lock_id, lambda place=place: put[place](text), look[place])  # type: ignore[misc]
        except BaseException:
            with suppress(LifeboatError):
                self.unlock(lock_id)
            raise

    def _take_one(self, lock_id: str, put: Callable[[], None], look: Callable[[], StateLock | None]) -> None:
        try:
            with translated(f"lock the state s3://{self.state.path}", hint="lifeboat state doctor"):
                try:
                    put()
                except ClientError as error:
                    if code(error) not in _REFUSED:
                        raise
                    found = look()
                    # Ours: the answer to an earlier try of the same call was lost.
                    if found is None or found.lock_id != lock_id:
                        raise self._locked(found) from error
        except Unreachable:
            found = look()
            if found is None or found.lock_id != lock_id:
                raise

    def _put_item(self, text: str) -> None:
        self._dynamodb.put_item(
            TableName=self.state.table,
            Item={**self._key, "Info": {"S": text}},
            ConditionExpression="attribute_not_exists(LockID)",
        )

    def _put_file(self, text: str) -> None:
        self._s3.put_object(
            Bucket=self.state.bucket,
            Key=self._file_key,
            Body=text.encode(),
            ContentType="application/json",
            IfNoneMatch="*",
        )

    def _locked(self, found: StateLock | None) -> Locked:
        if found is None:
            return Locked(
                f"somebody else is just locking the state s3://{self.state.path}", hint="run the same command again"
            )
        return Locked(
            f"the state s3://{self.state.path} is locked {words(found, datetime.now(UTC))}", hint=way_out(found)
        )

    # -- removing --------------------------------------------------------------------------------------------------

    def unlock(self, lock_id: str) -> list[LockPlace]:
        """Remove the lock with this id, file before item as Terraform does, and return where it lay; others stay."""
        if not lock_id:
            return []  # what Terraform did not write has no id
        removed = [LockPlace.FILE] if self._remove_file(lock_id) else []
        return [*removed, LockPlace.TABLE] if self._remove_item(lock_id) else removed

    def _remove_item(self, lock_id: str) -> bool:
        text = self._item_text()
        if text is None or parsed(text, LockPlace.TABLE).lock_id != lock_id:
            return False
        with translated(f"remove the lock {lock_id} from {self.state.table}"):
            try:
                self._dynamodb.delete_item(
                    TableName=self.state.table,
                    Key=self._key,
                    ConditionExpression="Info = :seen",
                    ExpressionAttributeValues={":seen": {"S": text}},
                )
            except ClientError as error:
                if code(error) not in _GONE_ALREADY:
                    raise
        return True

    def _remove_file(self, lock_id: str) -> bool:
        found = self._file_text()
        if found is None or parsed(found[0], LockPlace.FILE).lock_id != lock_id:
            return False
        with translated(f"remove the lock file of s3://{self.state.path}"):
            try:
                # Only what was looked at: another may have taken its place meanwhile.
                self._s3.delete_object(Bucket=self.state.bucket, Key=self._file_key, IfMatch=found[1])
            except ClientError as error:
                if code(error) not in _REFUSED | _ABSENT:
                    raise
                # Another one lies there, or none; or S3 did not decide, and ours may lie there still.
                left = self._file_text()
                if left is not None and parsed(left[0], LockPlace.FILE).lock_id == lock_id:
                    raise
        return True


def way_out(lock: StateLock) -> str:
    """Return what to do about a lock: what Terraform did not write has no id to be removed by."""
    if not lock.lock_id:
        return "lifeboat state doctor"
    return f"wait for it; if that process is surely dead: {_unlock(lock.lock_id)}"


def _unlock(lock_id: str) -> str:
    return f"lifeboat state unlock {lock_id}"


# -- what is written down ------------------------------------------------------------------------------------------


def _written(lock_id: str, operation: str, state: LockedState) -> str:
    """Return the lock as Terraform writes it (internal/states/statemgr/locker.go, LockInfo); Info says which process."""
    process = psutil.Process()
    facts = {"machine": machines.machine(), "pid": process.pid, "began": process.create_time()}
    return _as_go_writes(
        {
            "ID": lock_id,
            "Operation": operation,
            "Info": json.dumps({"lifeboat": facts}),
            "Who": f"{user_name()}@{socket.gethostname()}",
            "Version": f"lifeboat {metadata.version('lifeboat')}",
            "Created": created(time.time_ns()),
            "Path": state.path,
        }
    )


def created(nanoseconds: int) -> str:
    """Return an instant (nanoseconds since 1970) in UTC as Go's RFC3339Nano writes it: without zeros at its end."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _as_go_writes(document: Mapping[str, str]) -> str:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&\u2028\u2029":  # encoding/json, HTMLEscape
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def parsed(text: str, place: LockPlace) -> StateLock:
    """Return the lock that a text is of; one without an id where it is none of Terraform's."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return StateLock(place=place, lock_id="")
    return StateLock(
        place=place,
        lock_id=_text(document, "ID"),
        who=_text(document, "Who"),
        operation=_text(document, "Operation"),
        created=_time(_text(document, "Created")),
        process=_process(_text(document, "Info")),
    )


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    # It is shown on a terminal, and anybody may have written it.
    return "".join(sign if sign.isprintable() else " " for sign in found) if isinstance(found, str) else ""


def _process(info: str) -> LockingProcess | None:
    try:
        facts = json.loads(info)["lifeboat"]
        return LockingProcess(machine=str(facts["machine"]), pid=int(facts["pid"]), began=float(facts["began"]))
    except (ValueError, KeyError, TypeError):
        return None


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)


def words(lock: StateLock, now: datetime) -> str:
    """Return by whom, for how long and for what a state is locked."""
    if not lock.lock_id:
        return f"by something in its {lock.place} that Terraform did not write"
    since = "since an unknown time" if lock.created is None else f"for {(now - lock.created).total_seconds():.0f} s"
    process = "" if lock.process is None else f", process {lock.process.pid}"
    return f"by {lock.who or 'an unknown holder'}{process} {since} ({lock.operation}, lock {lock.lock_id})"


# -- does its holder live? -------------------------------------------------------------------------------------------


def holding(lock: StateLock, state: LockedState, own: Collection[str] = ()) -> Holding:
    """Return whether the holder of a lock of this state lives, as far as this machine can tell.

    `own` are the ids of locks that Terraforms of this very machine took. Of others Terraform tells the name of the host
    alone, which a container or a second virtual machine may have too: that no process is seen here says nothing of them.
    """
    if lock.process is not None:
        return _of_process(lock, lock.process)
    if not lock.lock_id:
        return Holding(life=Life.UNKNOWN, why="it does not say whose it is: Terraform did not write it")
    if not lock.host or lock.host != socket.gethostname():
        return Holding(life=Life.UNKNOWN, why=f"it is of another machine ({lock.host or 'it does not say which'})")
    running = [found for found in terraform_processes.running() if not _elsewhere(found, state)]
    earlier = [found for found in running if _may_hold(found, lock)]
    for life, wanted in ((Life.LIVES, state.path), (Life.UNKNOWN, None)):
        works = [f"process {found.pid} in {found.folder}" for found in earlier if found.state == wanted]
        if works:
            on = "on this state" if life is Life.LIVES else "on nobody knows which state"
            return Holding(life=life, why=f"a Terraform works {on} on this machine: {', '.join(works)}")
    if lock.lock_id not in own:
        return Holding(
            life=Life.UNKNOWN,
            why=f"it is of {lock.host}: no Terraform is seen here that works on this state, and another machine or a container"
            " may be called so too",
        )
    return Holding(
        life=Life.GONE, why=f"a run of this machine took it ({lock.host}), and no Terraform works on this state"
    )


def _of_process(lock: StateLock, process: LockingProcess) -> Holding:
    if process.machine == machines.machine():
        if machines.is_gone(process.pid, process.began):
            return Holding(life=Life.GONE, why=f"its process {process.pid} of this machine is gone")
        return Holding(life=Life.LIVES, why=f"its process {process.pid} works on this machine")
    if lock.created is not None and machines.booted_since(process.machine, lock.created):
        return Holding(life=Life.GONE, why="this machine was booted anew since it was taken")
    return Holding(
        life=Life.UNKNOWN, why=f"its process {process.pid} is of another machine ({lock.host or process.machine})"
    )


def _elsewhere(found: TerraformProcess, state: LockedState) -> bool:
    """Return whether a Terraform surely works on another local cloud than ours: two may have a state of one name.

    Their ports tell them apart, for one host has many names. One whose variables name no endpoint may have it from a file,
    and AWS itself is reached through endpoints too.
    """
    theirs, ours = _port(found.endpoint), _port(state.endpoint)
    return None not in (theirs, ours) and theirs != ours


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def _may_hold(found: TerraformProcess, lock: StateLock) -> bool:
    """Return whether a Terraform began before this lock was taken. How long before says nothing: it may have waited."""
    if found.initialising and lock.operation.startswith(_OF_COMMANDS):
        return False
    return lock.created is None or found.began <= lock.created + _CLOCK_MARGIN
