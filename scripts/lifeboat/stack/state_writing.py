"""A version of Terraform's state written on top under locks, ahead in a journal, and read back through Terraform."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import psutil

from lifeboat.clients import machines, run_files, state_store
from lifeboat.clients.journal import Journal
from lifeboat.clients.lease import Lease
from lifeboat.clients.state_store import StateStore
from lifeboat.decisions import state_diff, state_documents, state_guard_checks, state_restoring
from lifeboat.decisions.policy.planned import Undecided
from lifeboat.decisions.state_documents import StateDocument
from lifeboat.decisions.state_restoring import VERBS, FreeLock, PutDigest, PutState, Write
from lifeboat.errors import (
    IntegrityFailure,
    LifeboatError,
    NothingFits,
    Refused,
    StoppedPartWay,
    Unreachable,
)
from lifeboat.model import EventKind, RunId, Teller
from lifeboat.site import Site
from lifeboat.stack import applying, known_states, repair
from lifeboat.stack.state_restoring import Writing
from lifeboat.state_model import StateOrigin, StateRoot


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What stands on top now: its serial, what was written for it, and the run that did (None: nothing was missing).

    `unremembered` says what it means that the other region does not know of it; "" where it does. `written_down` is that it
    did not know of it before.
    """

    serial: int
    written: tuple[str, ...]
    run: RunId | None
    unremembered: str
    written_down: bool = False


# -- writing -----------------------------------------------------------------------------------------------------------


def carry_out(site: Site, tell: Teller, writing: Writing) -> Restored:
    """Write what is missing, see that Terraform reads it, and return what was done.

    Whatever it is cut off at, the same command goes on from there: what was written is found written. Raises
    StoppedPartWay once something was changed, and before that what forbids it.
    """
    restoring = writing.restoring
    require_versioned(site, writing)
    run = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{writing.verb.run}-{uuid4().hex[:6]}")
    with _held(site, tell, writing, run) as fence:
        if not restoring.writes:
            read_back(site, tell, writing)
            before = known_states.remembered(site, writing.root).there
            unremembered = _remember(site, tell, writing, run)
            _end_earlier(site, run, writing, fence)
            anew = not unremembered and (before is None or before.mark != state_store.mark(restoring.body))
            return Restored(serial=restoring.serial, written=(), run=None, unremembered=unremembered, written_down=anew)
        journal = site.journal(run)
        _begin(journal, writing)
        work = _Work(site=site, tell=tell, writing=writing, journal=journal, fence=fence)
        with _told(work):
            work.carry_out()
        unremembered = _remember(site, tell, writing, run)
        journal.end("done")
        _end_earlier(site, run, writing, fence)
    return Restored(serial=restoring.serial, written=writing.written, run=run, unremembered=unremembered)


def require_remembered(restored: Restored, writing: Writing) -> None:
    """Raise StoppedPartWay where the other region does not know what stands on top: other machines then refuse it."""
    if restored.unremembered:
        raise StoppedPartWay(
            f"serial {restored.serial} stands on top of {writing.place}, but {restored.unremembered}",
            hint=f"the same command writes it down, once the other region answers and takes it: {writing.again}",
        )


def require_versioned(site: Site, writing: Writing) -> None:
    """Raise Refused where a write would replace what stands on top for good: the bucket keeps no versions."""
    store = site.root_store()
    if not writing.restoring.writes_state or (versioning := store.versioning()) == "Enabled":
        return
    command = f"aws s3api put-bucket-versioning --bucket {store.bucket} --versioning-configuration Status=Enabled"
    role, whom = _denied_to_all_but_break_glass(store, "s3:PutBucketVersioning"), ""
    if role:
        whom = "; the bucket's policy lets only those enable it whom it names: the command below takes the role break-glass"
    raise Refused(
        f"versioning of {store.bucket} is {versioning.lower() or 'off'}: what stands on top of {writing.place} would be written"
        f" over, and no version of it would be left{whom}",
        hint=f"{site.shell_as_break_glass(command) if role else site.shell(command)} && {writing.again}",
    )


def _denied_to_all_but_break_glass(store: StateStore, action: str) -> bool:
    """Return whether the bucket's policy denies an action; where it may not be seen, it is taken to be as root 1 made it."""
    try:
        return action in state_guard_checks.denied(store.policy(), store.bucket)
    except (Unreachable, Undecided):
        return True


@contextmanager
def _held(site: Site, tell: Teller, writing: Writing, run: RunId) -> Iterator[Lease | None]:
    """Hold the environment on this machine, and on all machines where there is a table to hold a lease in."""
    with ExitStack() as stack:
        stack.enter_context(run_files.alone(site.project.work, writing.verb.command))
        yield stack.enter_context(site.lease(run, tell.say).held()) if writing.table else None


def _begin(journal: Journal, writing: Writing) -> None:
    process = psutil.Process()
    journal.write(
        EventKind.BEGUN,
        text=writing.begun,
        user=run_files.user_name(),
        host=socket.gethostname(),
        machine=machines.machine(),
        pid=process.pid,
        began=process.create_time(),
        root=writing.root.value,
        version=writing.made_of,
        source=writing.came_from,
        serial=writing.restoring.serial,
    )


@dataclass
class _Work:
    """One restore or rebuild at its writes: `changed` once one was begun of which nobody may say that nothing happened."""

    site: Site
    tell: Teller
    writing: Writing
    journal: Journal
    fence: Lease | None
    changed: bool = False

    def carry_out(self) -> None:
        """Write everything that is missing, in order, each ahead in the journal."""
        writes = self.writing.restoring.writes
        for write in writes:
            if isinstance(write, FreeLock):
                self._one(write, lambda write=write: self._free(write), lambda: None)  # type: ignore[misc]
        with self._locked() as require_locked:
            self._require_as_seen()
            for write in writes:
                match write:
                    case PutState():
                        self._one(write, self._put_state, require_locked)
                    case PutDigest():
                        self._one(write, lambda write=write: self._put_digest(write), require_locked)  # type: ignore[misc]
            read_back(self.site, self.tell, self.writing)

    def _one(self, write: Write, order: Callable[[], None], require_locked: Callable[[], None]) -> None:
        text = state_restoring.words(write, self.writing.place)
        require_locked()
        if self.fence is not None:
            self.fence.require()
        self.journal.write(EventKind.INTENT, step="write", text=text)
        order()
        self.tell.say(text)
        self.journal.write(EventKind.RESULT, step="write", text="done")

    @contextmanager
    def _locked(self) -> Iterator[Callable[[], None]]:
        """Hold Terraform's own lock, where that state has one and there is something to hold it in.

        Gives what raises Locked once somebody removed it.
        """
        root = self.writing.root
        if root is StateRoot.BACKEND or not self._lockable:
            yield lambda: None
            return
        self.journal.write(EventKind.INTENT, step="lock", text="take Terraform's lock")
        client = self.site.state_locks(root)
        with client.taken(self.writing.verb.lock) as lock_id:
            self.journal.write(EventKind.RESULT, step="lock", text=f"lock {lock_id}", lock=lock_id)
            yield lambda: client.require(lock_id)

    @property
    def _lockable(self) -> bool:
        """Whether Terraform itself could lock the state: without the table that it locks in, none can work with it."""
        return self.writing.table or self.site.project.environment.state.lock_mode == "lockfile"

    def _require_as_seen(self) -> None:
        """Raise Refused where anything changed between the look and the lock: what was agreed to was another thing."""
        seen, now = self.writing.seen, self.site.state_writing(self.writing.root).top()
        if (None if seen is None else seen.version_id) != (None if now is None else now.version_id):
            raise Refused(
                f"somebody has written or deleted the state {self.writing.place} since it was looked at; it was not"
                " written",
                hint="lifeboat state list shows what stands there now; then run the same command again",
            )

    def _free(self, write: FreeLock) -> None:
        self.site.state_locks(self.writing.root).unlock(write.lock_id)

    def _put_state(self) -> None:
        origin = StateOrigin(
            by=f"{run_files.user_name()}@{socket.gethostname()}",
            run=self.journal.run,
            made_of=self.writing.made_of,
        )
        top = self.site.state_writing(self.writing.root)
        try:
            top.write(self.writing.restoring.body, self.writing.seen, origin)
        except Unreachable:
            self.changed = True  # its answer may be what was lost
            raise
        self.changed = True

    def _put_digest(self, write: PutDigest) -> None:
        store = self.site.stack_store()
        try:
            store.write_digest(write.digest, instead_of=write.instead_of)
        except Unreachable:
            # The condition fails too when an earlier try got through and its answer was lost.
            if store.digest() != write.digest:
                raise
        self.changed = True


@contextmanager
def _told(work: _Work) -> Iterator[None]:
    """Write down what stops it, and say that it goes on where part of it was done."""
    try:
        yield
    except LifeboatError as error:
        with suppress(LifeboatError):
            work.journal.write(EventKind.STOPPED, text=error.summary)
            if not work.changed:
                work.journal.end("nothing of the state was changed")
        if not work.changed or isinstance(error, StoppedPartWay | IntegrityFailure):
            raise
        raise StoppedPartWay(
            f"the {work.writing.verb.noun} of {work.writing.place} stopped part-way: {error.summary}",
            hint=f"the same command goes on from there: {work.writing.again}"
            + (f"; {error.hint}" if error.hint else ""),
        ) from error


def _end_earlier(site: Site, run: RunId, writing: Writing, fence: Lease | None) -> None:
    """End the journals of restores and rebuilds that were cut off, once this one did what they were to do.

    Only with the lease: who holds it knows that no other one works.
    """
    if fence is None:
        return
    bucket = site.journals()
    for one in bucket.unended():
        if one == run or not state_restoring.is_of(one, VERBS):
            continue
        journal = site.journal(one)
        try:
            journal.open()
        except (IntegrityFailure, NothingFits):
            continue  # lifeboat runs shows it, and why
        if journal.events[0].data.get("root") == writing.root.value:
            journal.end(f"cut off; the state was put right by {run}")


# -- reading back ------------------------------------------------------------------------------------------------------


def read_back(site: Site, tell: Teller, writing: Writing) -> None:
    """See that Terraform reads what stands on top as what was to stand there, and remember it as sound.

    Raises IntegrityFailure where it reads anything else. Without a lock table Terraform cannot be asked, in the modes that
    need it.
    """
    body = writing.restoring.body
    if writing.root is StateRoot.BACKEND:
        _read_back_root(site, body)
        return
    if not writing.table and site.stack_store().keeps_digest:
        repair.remember_state(site, body)
        return
    terraform = site.stack_terraform()
    terraform.init(site.backend())
    _require_same(body, terraform.pull_state(), writing)
    repair.remember_state(site, body)
    tell.say(f"terraform state pull gives serial {writing.restoring.serial}, as it was written")


def _read_back_root(site: Site, body: bytes) -> None:
    """Take root 1's state from the bucket as its working copy, the one before kept aside, and let Terraform read it."""
    applying.take_root_state(site, site.root_store())
    terraform = site.state_terraform()
    terraform.init(None)
    found = {address for address in terraform.addresses() if not _is_data(address)}
    if found != set(state_store.recorded(body)):
        raise IntegrityFailure(
            f"Terraform does not read from {site.root_state_file} what was written to the bucket",
            hint="lifeboat state doctor --root state",
        )


def _remember(site: Site, tell: Teller, writing: Writing, run: RunId) -> str:
    """Let the other region remember what stands on top now; of another lineage only where that was asked for.

    Returns what it means that it does not; "" where it does.
    """
    keep = known_states.keep_agreed if writing.any_lineage else known_states.keep
    why = keep(site, writing.root, writing.restoring.body, run)
    if why is None:
        return ""
    unremembered = known_states.told(writing.root, why)
    tell.warn(unremembered)
    return unremembered


def _is_data(address: str) -> bool:
    return address.startswith("data.") or ".data." in address


def _require_same(written: bytes, pulled: bytes, writing: Writing) -> None:
    """Raise unless both say the same; a newer Terraform writes its own version, and fields that are new, into it."""
    ours, theirs = state_documents.read(written), _read(pulled)
    if theirs is None or ours.facts.serial != theirs.facts.serial or not state_diff.diff(ours, theirs).same:
        raise IntegrityFailure(
            f"terraform state pull does not give what was written to {writing.place}",
            hint="lifeboat state doctor shows how object, digest and locks stand",
        )


def _read(body: bytes) -> StateDocument | None:
    try:
        return state_documents.read(body)
    except ValueError:
        return None
