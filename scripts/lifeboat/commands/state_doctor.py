"""`lifeboat state doctor|unlock`: all that the state hangs on looked at, and a lock removed whose holder is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from lifeboat.clients import gitlab_api, known_state, owned_things, run_files, state_locks, state_store, terraform
from lifeboat.clients.state_store import StateStore
from lifeboat.clients.state_versions import StateVersions
from lifeboat.decisions import state_digest_checks, state_doctor, state_documents, state_guard_checks, state_unlocking
from lifeboat.decisions.policy.planned import Undecided
from lifeboat.decisions.state_doctor import Diagnosis
from lifeboat.decisions.state_observation import KindSeen, LeftState, LockSeen, Look, Observation, RootSeen
from lifeboat.decisions.state_unlocking import Sure
from lifeboat.errors import IntegrityFailure, LifeboatError, Locked, NothingFits, TooLarge, Unreachable
from lifeboat.gitlab_model import Job
from lifeboat.model import Agree, RunId, StateMark, Teller
from lifeboat.site import Site
from lifeboat.stack import holding, known_states, lock_holders
from lifeboat.state_model import AtWork, KnownState, LockPlace, Memory, OwnedThing, StateEntry, StateLock, StateRoot

_Found = TypeVar("_Found")
_GITLAB_SECONDS = 20.0


# -- doctor ------------------------------------------------------------------------------------------------------------


def diagnose(site: Site, tell: Teller, roots: Sequence[StateRoot]) -> Diagnosis:
    """Look at everything and judge it; changes nothing, and what cannot be looked at is told, not guessed."""
    return state_doctor.diagnose(observe(site, tell, roots))


def require_sound(diagnosis: Diagnosis) -> None:
    """Raise Unreachable where a check could not look, else IntegrityFailure where something is amiss."""
    if diagnosis.unseen:
        raise Unreachable(
            f"{len(diagnosis.unseen)} of {diagnosis.expected} checks could not look:\n"
            + "\n".join(f"  {line}" for line in diagnosis.unseen)
            + "\nonce that can be looked at (the network, a role that may), the doctor says the rest",
            hint="lifeboat state doctor",
        )
    if diagnosis.executed != diagnosis.expected:
        raise Unreachable(
            f"{diagnosis.executed} of {diagnosis.expected} checks were made", hint="lifeboat state doctor"
        )
    if diagnosis.findings:
        raise IntegrityFailure(f"findings: {len(diagnosis.findings)}", hint=diagnosis.findings[0].command)


def observe(site: Site, tell: Teller, roots: Sequence[StateRoot]) -> Observation:
    """Return all that can be seen of these roots' states, and why the rest cannot be."""
    environment, stack = site.project.environment, site.stack_store()
    application = environment.application
    with tell.waiting() as show:
        seen = tuple(_root(site, show, root) for root in roots)
    return Observation(
        env=site.project.env,
        now=datetime.now(UTC),
        mode=environment.state.lock_mode,
        table_name=environment.state.lock_table,
        replica_name=environment.state.replica_bucket,
        replica_region=application.dr_region,
        shell=site.shell(""),
        bucket=_looked(lambda: _versioning(stack)),
        replica_bucket=_looked(lambda: _versioning(site.replica_store())),
        table=_looked(stack.table_status),
        terraform=_looked(_terraform_version),
        cut_off=_looked(lambda: tuple(found.told for found in run_files.cut_off(site.project.work))),
        at_work=_looked(lambda: _at_work(site)),
        rules=_looked(stack.copy_rules),
        replica_key=_looked(lambda: site.replica_store().encryption_key() or _alias(site)),
        replicator=f"arn:aws:iam::{application.account_id}:role/{application.name}-tfstate-replication",
        denied=_looked(lambda: _denied(stack)),
        replica_denied=_looked(lambda: _denied(site.replica_store())),
        as_break_glass=site.shell_as_break_glass,
        roots=seen,
        kinds=_kinds(site) if StateRoot.STACK in roots else (),
        recorded=_looked(lambda: _recorded(site)),
    )


def _looked(ask: Callable[[], _Found | None]) -> Look[_Found]:
    """Return what was found; whatever kept us from looking is no absence."""
    try:
        return Look(found=ask())
    except LifeboatError as error:
        return Look(unseen=error.summary)
    except (OSError, ValueError) as error:
        return Look(unseen=str(error))


def _denied(store: StateStore) -> Mapping[str, frozenset[str]]:
    try:
        return state_guard_checks.denied(store.policy(), store.bucket)
    except Undecided as error:
        raise IntegrityFailure(f"the policy of {store.bucket} cannot be judged: {error}") from error


def _versioning(store: StateStore) -> str | None:
    return store.versioning() if store.bucket_exists() else None


def _alias(site: Site) -> str:
    """Return what the key of the copies is called, for a bucket that does not say its key."""
    application = site.project.environment.application
    return f"arn:aws:kms:{application.dr_region}:{application.account_id}:alias/{application.name}-tfstate"


def _at_work(site: Site) -> AtWork | None:
    """Return who changes the environment: on this machine, else who has the lease of all machines."""
    here = run_files.at_work(site.project.work)
    if here is None:
        return site.lease(RunId("doctor")).holder()
    who = f"{here.user}@{here.host} (process {here.pid})"
    return AtWork(who=who, what=here.command, since=here.since, elsewhere=False)


def _terraform_version() -> tuple[int, ...]:
    found = terraform.version()
    if found.numbers is None:
        raise Unreachable(f"the version of Terraform here is not known: {found.words}")
    return found.numbers


def _root(site: Site, show: Callable[[str], None], root: StateRoot) -> RootSeen:
    versions, store, locks = site.state_versions(root), _store(site, root), site.state_locks(root)

    def locked(look: Callable[[], StateLock | None]) -> LockSeen | None:
        lock = look()
        return None if lock is None else lock_holders.seen(site, lock, locks.state)

    memory = _looked(lambda: known_states.remembered(site, root))
    return RootSeen(
        place=versions.place,
        terraform=site.by_hand(_folder(site, root)),
        entries=_looked(lambda: _entries(versions, show)),
        copies=_looked(lambda: _entries(site.replica_state_versions(root), show)),
        digest=_looked(store.digest) if versions.place.keeps_digest else Look(),
        item=_looked(lambda: locked(locks.item)),
        file=_looked(lambda: locked(locks.file)),
        remembered=_looked(lambda: _remembered(site, root, memory.found)),
        known=_known(memory),
        damaged_memory=memory.found.unseen if memory.found is not None and memory.found.damaged else "",
        left=_looked(lambda: _left(site, root)),
    )


def _store(site: Site, root: StateRoot) -> StateStore:
    return site.stack_store() if root is StateRoot.STACK else site.root_store()


def _folder(site: Site, root: StateRoot) -> Path:
    return site.project.stack_root if root is StateRoot.STACK else site.project.state_root


def _entries(versions: StateVersions, show: Callable[[str], None]) -> tuple[StateEntry, ...] | None:
    """Return the entries of a history; None where there is no bucket."""
    try:
        return versions.entries(show)
    except NothingFits:
        return None


def _remembered(site: Site, root: StateRoot, memory: Memory | None) -> StateMark | None:
    """Return what this machine remembers; of root 1 its working copy, unless it is aside."""
    if root is StateRoot.STACK:
        path, mark = known_state.path(site.project.work), known_state.read(site.project.work)
    else:
        path = site.root_state_file
        mark = state_store.mark(path.read_bytes()) if path.exists() else None
    if mark is None and path.exists():
        raise IntegrityFailure(f"{path} cannot be read, which says what this machine last knew")
    return mark if memory is None else memory.here


def _known(memory: Look[Memory]) -> Look[KnownState]:
    """Return what is written down in the other region; what is damaged was looked at, and is told by itself."""
    if memory.found is None:
        return Look(unseen=memory.unseen)
    return Look() if memory.found.damaged else Look(found=memory.found.there, unseen=memory.found.unseen)


def _left(site: Site, root: StateRoot) -> LeftState | None:
    path = _folder(site, root) / "errored.tfstate"
    if not path.exists():
        return None
    if root is StateRoot.STACK:
        push = f"{site.by_hand(path.parent)} state push errored.tfstate"
    else:
        push = f"cp {path} {site.root_state_file}"  # the working state of root 1 is a file
    try:
        return LeftState(path=str(path), push=push, facts=state_documents.facts(path.read_bytes()))
    except ValueError as error:
        return LeftState(path=str(path), push=push, damage=str(error))


def _kinds(site: Site) -> tuple[KindSeen, ...]:
    things, application = site.owned_things(), site.project.environment.application

    def both(kind: str) -> tuple[OwnedThing, ...]:
        return things.of_kind(kind, application.region) + things.of_kind(kind, application.dr_region)

    return tuple(KindSeen(kind=kind, things=_looked(lambda kind=kind: both(kind))) for kind in owned_things.KINDS)  # type: ignore[misc]


def _recorded(site: Site) -> frozenset[str]:
    """Return the ids of all that the states of both roots know, the working copy of root 1's included."""
    copy = site.root_state_file
    bodies = [_body(site.stack_store()), _body(site.root_store()), copy.read_bytes() if copy.exists() else None]
    return frozenset().union(*map(state_digest_checks.recorded, bodies))


def _body(store: StateStore) -> bytes | None:
    try:
        return store.body()
    except TooLarge:
        return None  # it knows nothing; that it is no state, the check of the object says


# -- unlock ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Who is asked, who is told, and what the operator answers for."""

    agree: Agree
    tell: Teller
    sure: frozenset[Sure] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Locks:
    """What locks a state."""

    url: str
    locks: tuple[LockSeen, ...]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Unlocked:
    """A lock that was removed, and from where."""

    lock_id: str
    places: tuple[LockPlace, ...]


def locks(site: Site, root: StateRoot) -> Locks:
    """Return every lock of a state, in the table and beside it, and whether its holder lives."""
    client = site.state_locks(root)
    found = [lock_holders.seen(site, lock, client.state) for lock in client.locks()]
    return Locks(url=f"s3://{client.state.path}", locks=tuple(found), now=datetime.now(UTC))


def unlock(site: Site, orders: Orders, root: StateRoot, lock_id: str) -> Unlocked:
    """Remove the lock with this id, once it is sure that its holder is gone and somebody agrees; nothing else.

    Raises NothingFits where no lock has this id, Locked where its holder lives or may, Unreachable where GitLab cannot
    be asked whether a job holds it.
    """
    _named(locks(site, root), lock_id)
    longest = timedelta(minutes=site.project.environment.terraform.apply_minutes)
    # Held against an apply or a recovery, here or elsewhere: whoever has the lease may be who holds the lock.
    with _held(site, orders.tell) as require_held:
        found = locks(site, root)
        named = _named(found, lock_id)
        for seen in named:
            refused = state_unlocking.refusal(seen, found.now, orders.sure, longest)
            if refused is not None:
                why, instead = refused
                raise Locked(f"{_words(seen, found)} stays: {why}", hint=instead)
        for seen in named[:1]:
            _require_no_job(site, orders, seen)
        orders.agree([f"remove {_words(seen, found)} ({seen.holding.why})" for seen in named])
        require_held()
        places = site.state_locks(root).unlock(lock_id)
    if not places:
        raise NothingFits(f"the lock {lock_id} went away meanwhile", hint="lifeboat state unlock shows what is left")
    return Unlocked(lock_id=lock_id, places=tuple(places))


@contextmanager
def _held(site: Site, tell: Teller) -> Iterator[Callable[[], None]]:
    """Hold the environment, and give what raises Locked once it is lost; without a lock table, this checkout alone.

    An apply would make the table again, and refuses to while a lock file is left: the lock must be able to go first.
    """
    store = site.stack_store()
    if store.table_exists():
        with holding.alone(site, tell.say, "state unlock") as lease:
            yield lease.require
        return
    tell.warn(
        f"the lock table {store.table} is gone, so nobody elsewhere can be kept out meanwhile; lifeboat apply -e"
        f" {site.project.env} makes it again"
    )
    with run_files.alone(site.project.work, "state unlock"):
        yield lambda: None


def _named(found: Locks, lock_id: str) -> list[LockSeen]:
    named = [seen for seen in found.locks if lock_id and seen.lock.lock_id == lock_id]
    if not named:
        others = "; ".join(_words(seen, found) for seen in found.locks) or "nothing locks it"
        foreign = any(not seen.lock.lock_id for seen in found.locks)
        raise NothingFits(
            f"no lock of {found.url} has the id {lock_id!r}: {others}",
            hint="lifeboat state doctor" if foreign else "lifeboat state unlock shows the locks that there are",
        )
    return named


def _words(seen: LockSeen, found: Locks) -> str:
    return f"the {seen.lock.place} of {found.url}, {state_locks.words(seen.lock, found.now)}"


def _require_no_job(site: Site, orders: Orders, seen: LockSeen) -> None:
    """Raise Locked where a job of GitLab's runs that may hold the lock, Unreachable where that cannot be asked."""
    if not state_unlocking.asks_gitlab(seen, orders.sure):
        return
    if site.project.environment.gitlab is None:
        orders.tell.say(f"{site.project.env} has no [gitlab], so no job is asked for that may hold the lock")
        return
    again = f"lifeboat state unlock {seen.lock.lock_id} {Sure.WITHOUT_GITLAB}"
    patience = gitlab_api.Patience(tell=orders.tell.say, seconds=_GITLAB_SECONDS)
    try:
        working = site.gitlab_pipelines(patience).working()
    except LifeboatError as error:
        raise Unreachable(
            f"whether a job of GitLab's holds the lock could not be asked: {error.summary}",
            hint=f"lifeboat gitlab doctor; where surely none does: {again}",
        ) from error
    jobs = state_unlocking.suspects(working, seen.lock)
    if jobs:
        raise Locked(
            "a job that began before the lock was taken still runs, and may hold it: " + "; ".join(map(_job, jobs)),
            hint=f"wait for it, or cancel it there; where it is surely not the holder: {again}",
        )


def _job(job: Job) -> str:
    return f"{job.name} (job {job.id}, pipeline {job.pipeline.id}, {job.web_url})"
