"""The last sound state of each root, remembered outside it: asked before anything is planned, written down afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lifeboat.clients import known_state, owned_things, root_base, run_files, state_store, terraform
from lifeboat.clients.state_store import StateStore
from lifeboat.clients.state_versions import StateVersions
from lifeboat.decisions import known_states, state_digest_checks, state_documents, state_history
from lifeboat.decisions.known_states import Amiss, Purpose, Stood
from lifeboat.errors import LifeboatError, NothingFits, Refused, TooLarge, Unreachable
from lifeboat.model import StateMark
from lifeboat.site import Site
from lifeboat.state_model import KnownState, Memory, OwnedThing, StateEntry, StateRoot, VersionId, Whose

BOTH = (StateRoot.BACKEND, StateRoot.STACK)
STACK = (StateRoot.STACK,)
_TRIES = 3  # of writing it down: each that fails has seen what somebody else wrote
_APPLIES = (Purpose.APPLY, Purpose.FIRST_APPLY)


# -- what is remembered ------------------------------------------------------------------------------------------------


def remembered(site: Site, root: StateRoot) -> Memory:
    """Return what this machine and the other region remember of a root's state; that it could not be asked is told.

    Root 1's working copy is no memory where the bucket has a state that it was not made from: an apply takes that one.
    """
    memory = _remembered(site, root, of_this_machine(site, root))
    if root is StateRoot.BACKEND and memory.here is not None and _is_aside(site, memory.here, memory.there):
        return replace(memory, here=None)
    return memory


def _remembered(site: Site, root: StateRoot, here: StateMark | None) -> Memory:
    try:
        found = site.state_memory().read(root)
    except Unreachable as error:
        return Memory(here=here, unseen=error.summary)
    if found is not None and found.state is None:
        return Memory(here=here, unseen=f"{site.state_memory().place(root)} is damaged: {found.damaged}", damaged=True)
    return Memory(here=here, there=None if found is None else found.state)


def _is_aside(site: Site, here: StateMark, there: KnownState | None) -> bool:
    """Return whether the bucket has a state that the working copy was not made from; what cannot be read is not that."""
    try:
        top, _ = _top(site.root_store())
    except Unreachable:
        return False
    return top is not None and known_states.aside(here, top, root_base.read(site.root_state_file), there)


def working_copy_goes_on(site: Site, here: StateMark, other: StateMark, there: KnownState | None) -> bool:
    """Return whether root 1's working copy is newer than a state of the bucket, and made from it or once in its place."""
    return known_states.goes_on(here, other, root_base.read(site.root_state_file), there)


def of_this_machine(site: Site, root: StateRoot) -> StateMark | None:
    """Return the state that this machine last found sound; of root 1, its working copy."""
    if root is StateRoot.STACK:
        return known_state.read(site.project.work)
    path = site.root_state_file
    return state_store.mark(path.read_bytes()) if path.exists() else None


def whose(site: Site, root: StateRoot) -> Whose:
    """Return what a state is held against: the environment's name, and the lineage that is remembered, where it can be asked.

    Root 1's working copy is no memory of a lineage: a first apply that was cut off makes one of its own.
    """
    memory = remembered(site, root)
    known = known_states.counting(memory) if root is StateRoot.STACK or memory.there is not None else None
    lineage = None if known is None else known.lineage
    return Whose(environment=site.project.env, lineage=lineage, known=known, unseen=memory.unseen)


# -- asked before anything is planned ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What to tell loudly of states that may be planned with, and what somebody has to agree to before.

    `anew` are the roots whose state begins anew where one is remembered; `tops` are the states that were let pass. `put_back`
    is what of that to agree to puts a state back that is gone.
    """

    remarks: tuple[str, ...] = ()
    to_agree: tuple[str, ...] = ()
    anew: tuple[StateRoot, ...] = ()
    tops: tuple[tuple[StateRoot, StateMark], ...] = ()
    put_back: tuple[str, ...] = ()


def require(site: Site, purpose: Purpose, roots: Sequence[StateRoot]) -> Passed:
    """Raise Refused where a state is lost, foreign or older than what is remembered of it; nothing is changed.

    Raises Unreachable where that cannot be known. A recovery goes on then, where nothing that can be seen speaks against
    the state: the other region may be what has failed.
    """
    found = [_require(site, purpose, root) for root in roots]
    return Passed(
        remarks=tuple(remark for one in found for remark in one.remarks),
        to_agree=tuple(line for one in found for line in one.to_agree),
        anew=tuple(root for one in found for root in one.anew),
        tops=tuple(top for one in found for top in one.tops),
        put_back=tuple(line for one in found for line in one.put_back),
    )


def _require(site: Site, purpose: Purpose, root: StateRoot) -> Passed:
    # The memory before the state: what an apply elsewhere saves in between is newer than what was remembered.
    memory = remembered(site, root)
    if root is StateRoot.BACKEND and purpose not in _APPLIES:
        memory = replace(memory, here=None)  # a working copy that did not get into the bucket is an apply's to save
    if memory.unseen and purpose is not Purpose.RECOVER:
        raise _unknown(site, root, memory)
    stood = _stood(site, purpose, root, memory)
    if purpose is Purpose.FIRST_APPLY and _was_applied(root, memory):
        summary, hint = known_states.refused_first(stood, memory)
        raise Refused(summary, hint=hint)
    if stood.top is None:
        return _without_a_state(site, purpose, stood, memory)
    amiss = known_states.amiss(stood.top, memory)
    if amiss in (None, Amiss.ANOTHER):
        stood, amiss = _forked(site, purpose, stood, memory)
    if amiss is not None:
        summary, hint = known_states.refusal(stood, memory, amiss)
        raise Refused(summary, hint=hint)
    tops = () if stood.top is None else ((root, stood.top),)
    put_back = tuple(_put_back(site, stood, memory))
    return Passed(remarks=tuple(_remarks(stood, memory)), to_agree=put_back, tops=tops, put_back=put_back)


def _put_back(site: Site, stood: Stood, memory: Memory) -> list[str]:
    """Return what somebody must agree to where root 1's state is gone, or older, and its working copy would take its place.

    Nothing where it was never in the bucket: a first apply that was cut off leaves its state in the working copy alone.
    """
    if stood.top is not None and stood.beneath is not None:
        return [
            f"put root 1's state back as this machine has it, serial {stood.top.serial}: {stood.url} has an older one, serial"
            f" {stood.beneath.serial}"
        ]
    entries = _entries(site.state_versions(stood.root)) if stood.working_copy else []
    if stood.top is None or not stood.working_copy or not (entries or memory.there is not None):
        return []
    newest = next((entry for entry in entries if entry.facts is not None), None)
    if newest is not None and not _may_be_put_back(site, stood.top, newest, memory.there):
        summary, hint = known_states.not_put_back(stood, stood.top, newest)
        raise Refused(summary, hint=hint)
    return [
        f"put root 1's state back as this machine has it, serial {stood.top.serial}: {stood.url} is gone{_deleted(entries)}"
    ]


def _may_be_put_back(site: Site, here: StateMark, newest: StateEntry, there: KnownState | None) -> bool:
    """Return whether the working copy is the newest version that can be read, or goes on from it."""
    facts = newest.facts
    if facts is None or newest.md5 == here.md5:
        return facts is not None
    mark = StateMark(serial=facts.serial, lineage=facts.lineage, md5=newest.md5 or "")
    return working_copy_goes_on(site, here, mark, there)


def _forked(site: Site, purpose: Purpose, stood: Stood, memory: Memory) -> tuple[Stood, Amiss | None]:
    """Return whether the history left the state that is remembered since, and what goes on from that state.

    Where the remembered state stands on top, and an older one right below it, no version but these is looked at.
    """
    known, amiss = known_states.counting(memory), known_states.amiss(stood.top, memory)
    if known is None:
        return stood, amiss
    try:
        versions = site.state_versions(stood.root)
        below = versions.below_top() if amiss is None and stood.top == known else None
        if stood.top == known and not state_history.may_fork(below, known):
            return stood, amiss
        fork = state_history.fork(versions.entries(), known)
    except Unreachable as error:
        if purpose is not Purpose.RECOVER or amiss is not None:
            raise
        return replace(stood, unseen=error.summary), None
    except NothingFits:
        return stood, amiss  # root 1's working copy, and no bucket
    if fork is None:
        return stood, amiss
    kept = None if fork.kept is None else fork.kept.version_id
    forked = replace(
        stood, kept=kept, other=fork.other.version_id, copy=None if kept else _copy(site, stood.root, known)
    )
    return forked, amiss or Amiss.FORKED


def _copy(site: Site, root: StateRoot, known: StateMark) -> VersionId | None:
    """Return the copy of the remembered state in the other region; None where none is seen."""
    try:
        copies = site.replica_state_versions(root).entries()
    except LifeboatError:
        return None
    return next((entry.version_id for entry in copies if entry.md5 == known.md5), None)


def require_planned_from(site: Site, passed: Passed, plan: Path) -> None:
    """Raise Refused where a saved plan of the stack was made of another state than was let pass: it went in between."""
    serial, lineage = state_store.serial_and_lineage(terraform.state_in(plan))
    why = known_states.planned_from_another(dict(passed.tops).get(StateRoot.STACK), serial or 0, lineage or "")
    if why is not None:
        raise Refused(
            f"the state of {site.project.env} was deleted or replaced while it was planned: {why}; it was not applied",
            hint=f"lifeboat state doctor -e {site.project.env} tells what is wrong with it",
        )


def _was_applied(root: StateRoot, memory: Memory) -> bool:
    """Return whether a state of it was ever sound; a working copy of root 1 a first apply leaves too that was cut off."""
    return memory.there is not None or (root is StateRoot.STACK and memory.here is not None)


def _remarks(stood: Stood, memory: Memory) -> list[str]:
    top, here, there = stood.top, memory.here, memory.there
    if stood.unseen and not memory.unseen:
        return [
            f"whether {stood.url} goes on from what is remembered could not be seen: {stood.unseen}; going on with it"
        ]
    if memory.unseen and top is not None:
        known = (
            "nothing that can be seen contradicts it"
            if here is None
            else f"this machine remembers serial {here.serial}"
        )
        return [
            f"whether {stood.url} (serial {top.serial}) is the newest state could not be asked of the other region:"
            f" {memory.unseen}; going on with it, since it can be read and {known}"
        ]
    if here is not None and there is not None and here.lineage != there.mark.lineage:
        return [
            f"this machine remembers {stood.url} of another lineage, {here.lineage}; what the other region remembers counts:"
            f" {known_states.noted(there)}"
        ]
    return []


def _without_a_state(site: Site, purpose: Purpose, stood: Stood, memory: Memory) -> Passed:
    """Judge a state of which nothing stands on top: it was lost, or there never was one."""
    lost = known_states.refusal(stood, memory, Amiss.GONE)
    if purpose is Purpose.DESTROY and not (stood.versions or stood.damaged):
        return Passed()  # whether what is to go may be taken for gone, destroy itself decides
    if known_states.counting(memory) is not None:
        if _begins_anew(purpose, stood):
            line = f"begin a new state of root 1, with what it made found by its names: {lost[0]}"
            return Passed(to_agree=(line,), anew=(stood.root,))
        raise Refused(lost[0], hint=lost[1])
    if purpose is Purpose.FIRST_APPLY and not stood.damaged:
        return _said_to_be_first(site, purpose, stood)
    if stood.traces or stood.copies:
        summary, hint = known_states.left_over(stood, purpose)
        raise Refused(summary, hint=hint)
    if memory.unseen:
        raise _unknown(site, stood.root, memory, how=f"{stood.how}; ")
    things = _unrecorded(site, stood)
    runs = site.journals().runs() if stood.root is StateRoot.STACK and stood.bucket else []
    signs = [*known_states.named(things), *([f"its bucket has the journal of run {runs[-1]}"] if runs else [])]
    if signs:
        summary, hint = known_states.owned(stood, signs, purpose)
        raise Refused(summary, hint=hint)
    return Passed()


def _said_to_be_first(site: Site, purpose: Purpose, stood: Stood) -> Passed:
    """Judge a first apply that somebody said it is: what bears our tags is agreed to, and a database is none of another's."""
    of_ours = _of_this_environment(site, stood)
    if of_ours is not None:
        summary, hint = known_states.was_there(stood, of_ours)
        raise Refused(summary, hint=hint)
    things = _unrecorded(site, stood)
    if any(thing.kind == "aws_db_instance" for thing in things):
        summary, hint = known_states.owned(stood, known_states.named(things), purpose)
        raise Refused(summary, hint=hint)
    remark = f"{stood.how}: nothing is remembered of it, and it was said that this is a first apply"
    return Passed(remarks=(remark,), to_agree=(known_states.beside(stood, things),) if things else ())


def _of_this_environment(site: Site, stood: Stood) -> StateEntry | None:
    """Return a version or a copy that has resources and says that it is this environment's; None where there is none."""
    both = (
        *([site.state_versions(stood.root)] if stood.versions else []),
        *([site.replica_state_versions(stood.root)] if stood.copies else []),
    )
    return next((e for versions in both for e in versions.entries() if known_states.is_of(e, stood.env)), None)


def _unrecorded(site: Site, stood: Stood) -> list[OwnedThing]:
    """Return what bears the environment's tags and root 1 did not make; raises Unreachable where it may not be looked at.

    Nothing is asked for root 1, which finds what it made by its names, nor where an apply of this machine was cut off while
    it made the stack: that one is gone on with, and what it made is adopted.
    """
    cut_off = (run.folder / "stack-apply.jsonl" for run in run_files.cut_off(site.project.work))
    if stood.root is StateRoot.BACKEND or any(events.exists() for events in cut_off):
        return []
    application, state = site.project.environment.application, site.project.environment.state
    copy = site.root_state_file
    bodies = [site.root_store().body(), copy.read_bytes() if copy.exists() else None]
    root = frozenset({state.bucket, state.replica_bucket}).union(*map(state_digest_checks.recorded, bodies))
    return [
        thing
        for kind in owned_things.KINDS
        for region in (application.region, application.dr_region)
        for thing in site.owned_things().of_kind(kind, region)
        if not thing.ids & root
    ]


def _begins_anew(purpose: Purpose, stood: Stood) -> bool:
    """Return whether an apply may make a new state of root 1: nothing is left of the old one, and the bucket is there."""
    left = stood.versions or stood.copies or stood.damaged
    return stood.root is StateRoot.BACKEND and purpose is Purpose.APPLY and stood.bucket and not left


def _unknown(site: Site, root: StateRoot, memory: Memory, how: str = "") -> Unreachable:
    if memory.damaged:
        return Unreachable(
            f"{how}which state of root {root.value} is the newest cannot be known: {memory.unseen}. A restore looks at every"
            " version, and writes down anew which one it is",
            hint=f"lifeboat state restore --latest-good{_option(root)} -e {site.project.env}",
        )
    return Unreachable(
        f"{how}which state of root {root.value} is the newest cannot be known: {memory.unseen}",
        hint=f"make it possible to ask (the network, a role that may read {site.state_memory().place(root)}); lifeboat recover"
        " goes on without it",
    )


def _option(root: StateRoot) -> str:
    return "" if root is StateRoot.STACK else f" --root {root.value}"


# -- how a state stands ------------------------------------------------------------------------------------------------


def _stood(site: Site, purpose: Purpose, root: StateRoot, memory: Memory) -> Stood:
    """Return what a plan for this purpose would take for the state; where that is none, how it was lost and what is left."""
    store = _store(site, root)
    bucket = store.bucket_exists()
    top, damaged = _top(store) if bucket else (None, False)
    in_bucket = top
    if not damaged and root is StateRoot.BACKEND and purpose in _APPLIES:
        top = _or_working_copy(memory.here, top)
    stood = Stood(
        env=site.project.env,
        root=root,
        url=f"s3://{store.bucket}/{store.key}",
        top=top,
        bucket=bucket,
        damaged=damaged,
        working_copy=bucket and in_bucket is None and top is not None,
        beneath=_beneath(site, top, in_bucket, memory.there),
        forget=f"rm -f {known_state.path(site.project.work)}"
        if root is StateRoot.STACK
        else f"mv {site.root_state_file} {site.root_state_file}.aside",
    )
    return stood if top is not None else _lost(site, store, stood)


def _top(store: StateStore) -> tuple[StateMark | None, bool]:
    """Return which state stands there, and whether what stands there is none; judged as `lifeboat state list` judges it."""
    try:
        body = store.body()
    except TooLarge:
        return None, True
    if body is None:
        return None, False
    try:
        facts = state_documents.facts(body)
    except ValueError:
        return None, True
    return StateMark(serial=facts.serial, lineage=facts.lineage, md5=state_store.md5(body)), False


def _store(site: Site, root: StateRoot) -> StateStore:
    return site.stack_store() if root is StateRoot.STACK else site.root_store()


def _or_working_copy(here: StateMark | None, top: StateMark | None) -> StateMark | None:
    """Return root 1's state as an apply takes it: what is here and did not get into the bucket, where that goes on from it."""
    if here is None or (top is not None and (top.lineage != here.lineage or top.serial >= here.serial)):
        return top
    return here


def _beneath(
    site: Site, top: StateMark | None, in_bucket: StateMark | None, there: KnownState | None
) -> StateMark | None:
    """Return the older state in the bucket that takes the place of one that stood there, and that this machine still has."""
    if top is None or in_bucket is None or top == in_bucket:
        return None
    return in_bucket if known_states.stood(top, root_base.read(site.root_state_file), there) else None


def _lost(site: Site, store: StateStore, stood: Stood) -> Stood:
    entries = _listed(site.state_versions(stood.root)) if stood.bucket else []
    versions = [entry for entry in entries if not entry.marker]
    if not stood.bucket:
        how = f"there is no bucket {store.bucket}"
    elif stood.damaged:
        how = f"what stands at {stood.url} is no Terraform state"
    else:
        how = f"the state {stood.url} is gone{_deleted(entries)}"
    older = [entry for entry in versions if not entry.latest]
    digest = _digest(store, stood)
    return replace(
        stood,
        how=f"{how}{_newest(store) if older and not stood.damaged else ''}",
        versions=bool(older),
        traces=bool(entries) or digest is not None,
        digest=bool(digest),
        copies=any(not entry.marker for entry in _listed(site.replica_state_versions(stood.root))),
    )


def _listed(versions: StateVersions) -> list[StateEntry]:
    """Return the entries of a history; none where there is no bucket."""
    try:
        return versions.listed()
    except NothingFits:
        return []


def _entries(versions: StateVersions) -> Sequence[StateEntry]:
    """Return the entries with what each version says of itself; none where there is no bucket."""
    try:
        return versions.entries()
    except NothingFits:
        return []


def _deleted(entries: Sequence[StateEntry]) -> str:
    return "".join(f", deleted at {e.written_at:%Y-%m-%d %H:%M:%S}Z" for e in entries if e.marker and e.latest)


def _newest(store: StateStore) -> str:
    newest = store.versions(newest=1)[0]
    what = "not a Terraform state" if newest.serial is None else f"serial {newest.serial}"
    return f"; its newest version, written at {newest.written_at:%Y-%m-%d %H:%M:%S}Z, is {what}"


def _digest(store: StateStore, stood: Stood) -> str | None:
    """Return the digest that is left of a state; an empty one a first apply left that was cut off, and Terraform heeds none."""
    keeps = stood.root is StateRoot.STACK and store.keeps_digest and store.table_exists()
    return store.digest() if keeps else None


# -- written down afterwards -------------------------------------------------------------------------------------------


def keep(site: Site, root: StateRoot, body: bytes, run: str) -> str | None:
    """Let the other region remember a sound state; return in words why it does not.

    What is the same is not written again, what is damaged is written over; a lower serial and another lineage never take
    the place of what is there.
    """
    return _kept(site, root, body, run, known_states.forbidden)


def keep_agreed(site: Site, root: StateRoot, body: bytes, run: str) -> str | None:
    """Do the same with a state to whose lineage somebody agreed."""
    return _kept(site, root, body, run, known_states.forbidden_if_agreed)


def told(root: StateRoot, why: str) -> str:
    """Return what it means that the other region does not remember a state."""
    return (
        f"what the state of root {root.value} is now could not be written down in the other region: {why}. Until it is, only"
        " this machine can tell a lost or an older state from the newest"
    )


def _kept(
    site: Site, root: StateRoot, body: bytes, run: str, forbid: Callable[[KnownState | None, StateMark], str | None]
) -> str | None:
    mark = state_store.mark(body)
    if mark is None:
        return "it is no Terraform state"
    memory = site.state_memory()
    state = KnownState(
        mark=mark,
        at=datetime.now(UTC),
        by=f"{run_files.user_name()}@{socket.gethostname()}",
        run=run,
        account=site.project.environment.application.account_id,
    )
    try:
        for _ in range(_TRIES):
            found = memory.read(root)
            known = None if found is None else found.state
            if known is not None and known.mark == mark:
                return None
            why = forbid(known, mark)
            if why is not None:
                return why
            if memory.write(root, state, over=found):
                return None
    except Unreachable as error:
        return error.summary
    return "somebody else writes there just now"
