"""Which version of Terraform's state would be put on top again, and what that would change: looked at, nothing written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from lifeboat.clients import known_state, owned_things, private_files, state_locks, state_store
from lifeboat.clients.state_versions import StateVersions
from lifeboat.decisions import known_states as known_states_decided
from lifeboat.decisions import (
    state_choice,
    state_diff,
    state_digest_checks,
    state_documents,
    state_history,
    state_restoring,
)
from lifeboat.decisions.state_documents import StateDocument
from lifeboat.decisions.state_restoring import RESTORE, VERBS, Appearing, Restoring, Seen, Vanishing, Verb
from lifeboat.errors import (
    LifeboatError,
    Locked,
    NothingFits,
    Refused,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.model import StateMark, Teller
from lifeboat.site import Site
from lifeboat.stack import known_states
from lifeboat.state_model import (
    Life,
    Memory,
    OneVersion,
    StateChoice,
    StateDiff,
    StateEntry,
    StateHistory,
    StateRoot,
    StateTop,
    VersionId,
    WantedVersion,
    Whose,
)

_SHOWN = 20  # reasons against versions; a listing shows all


class Source(StrEnum):
    """Which bucket a version is chosen from; it is written to the primary one in any case."""

    PRIMARY = "primary"
    REPLICA = "replica"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to put on top of which root's state, and whose that must be.

    `accept` is how many resources may vanish from what is known. `any_lineage` lets the version that is named by its id be
    of another lineage. `again` is the command that asks for it, without --accept and --to-file.
    """

    root: StateRoot
    wanted: WantedVersion
    whose: Whose
    source: Source = Source.PRIMARY
    accept: int = 0
    any_lineage: bool = False
    again: str


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What is to stand on top of a root's state, and what of that is missing still.

    `seen` is what stood on top when it was looked at, `made_of` what the version says it is made of, and `came_from` where
    that was. `begun` is what its run is about, in words; `again` the command that goes on with it. `any_lineage` is that
    somebody agreed to its lineage, whatever is remembered.
    """

    verb: Verb
    root: StateRoot
    place: str
    restoring: Restoring
    table: bool
    seen: StateTop | None = field(repr=False)
    made_of: VersionId
    came_from: str
    begun: str
    again: str
    any_lineage: bool

    @property
    def written(self) -> tuple[str, ...]:
        """What would be written where, in order."""
        return tuple(state_restoring.words(write, self.place) for write in self.restoring.writes)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a restore would do, and everything that it was found from.

    `vanish` are resources that a state which counts knows and this one does not, `appear` those that this one alone knows;
    `changes` is what becomes of the state on top, None where that cannot be read. `forked` is that what stands on top does
    not go on from what is remembered.
    """

    request: Request
    place: str
    came_from: str
    choice: StateChoice
    chosen: StateEntry
    on_top: StateEntry | None
    restoring: Restoring
    changes: StateDiff | None
    vanish: tuple[Vanishing, ...]
    appear: tuple[Appearing, ...]
    forked: bool
    table: bool
    remarks: tuple[str, ...]
    seen: StateTop | None = field(repr=False)

    @property
    def written(self) -> tuple[str, ...]:
        """What would be written where, in order."""
        return self.writing.written

    @property
    def writing(self) -> Writing:
        """What there is to write for it."""
        facts = self.chosen.facts
        return Writing(
            verb=RESTORE,
            root=self.request.root,
            place=self.place,
            restoring=self.restoring,
            table=self.table,
            seen=self.seen,
            made_of=self.chosen.version_id,
            came_from=self.came_from,
            begun=f"put serial {None if facts is None else facts.serial} of {self.place} on top again",
            again=self.request.again,
            any_lineage=self.request.any_lineage,
        )


# -- looking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Known:
    """The histories of both buckets, and what is remembered; None where the other region's cannot be looked at, with why."""

    primary: StateHistory
    replica: StateHistory | None
    memory: Memory
    remarks: tuple[str, ...]


def look(site: Site, tell: Teller, request: Request) -> Preview:
    """Return what a restore would do; nothing is changed.

    Raises NothingFits where no version fits, with each reason, Locked where somebody holds the state, Unreachable where
    the bucket that it is written to does not answer.
    """
    known = _histories(site, tell, request)
    choice = _choice(request, _source(known, request))
    chosen = _required(choice, request)
    body = _versions(site, request.source, request.root).body(chosen.version_id)
    top = site.state_writing(request.root).top()
    require_as_listed(known.primary, top)
    table = site.stack_store().table_exists()
    own = _own_state(site, request.root)
    keeps = request.root is StateRoot.STACK and known.primary.keeps_digest and table
    left = locks_left(site, request.root)
    restoring = state_restoring.plan(
        Seen(
            chosen=body,
            on_top=None if top is None else top.body,
            rivals=(
                *_marks(known),
                *([] if own is None else [_mark(own)]),
            ),
            keeps_digest=keeps,
            digest=known.primary.digest if keeps else None,
            left=left,
        )
    )
    document = state_documents.read(body)
    counting = _counting(site, request, known, document)
    changes = [(name, state_diff.diff(before, document)) for name, before in counting]
    on_top = None if top is None else _document(top.body)
    return Preview(
        request=request,
        place=site.state_writing(request.root).place,
        came_from=_source(known, request).bucket,
        choice=choice,
        chosen=chosen,
        on_top=known.primary.current,
        restoring=restoring,
        changes=None if on_top is None else state_diff.diff(on_top, document),
        vanish=(*_vanishing(site, request, changes), *_strangers(site, request, known, (chosen, body))),
        appear=state_restoring.appearing(changes),
        forked=_forked(known, request),
        table=table,
        remarks=(
            *choice.remarks,
            *known.remarks,
            *([] if table else [without_table(site)]),
            *_remembered(site, request, known),
        ),
        seen=top,
    )


def _versions(site: Site, source: Source, root: StateRoot) -> StateVersions:
    return site.state_versions(root) if source is Source.PRIMARY else site.replica_state_versions(root)


def _histories(site: Site, tell: Teller, request: Request) -> _Known:
    with tell.waiting() as show:
        try:
            primary = site.state_versions(request.root).history(show)
        except (NothingFits, Unreachable) as error:
            raise _no_primary(request, error) from error
        memory = known_states.remembered(site, request.root)
        unseen = (f"what is remembered in the other region was not asked: {memory.unseen}",) if memory.unseen else ()
        try:
            replica = site.replica_state_versions(request.root).history(show)
        except (NothingFits, Unreachable) as error:
            if request.source is Source.REPLICA:
                raise
            why = f"the replica was not looked at for a higher serial: {error.summary}"
            return _Known(primary=primary, replica=None, memory=memory, remarks=(*unseen, why))
    return _Known(primary=primary, replica=replica, memory=memory, remarks=unseen)


def _no_primary(request: Request, error: LifeboatError) -> Unreachable:
    """Return what can be done where the bucket that Terraform reads is not to be had: nothing can be restored into it."""
    file = f"~/{request.root.value}.tfstate"
    replica = "" if request.source is Source.REPLICA else " --from-replica"
    return Unreachable(
        f"nothing can be written where the bucket of the state does not answer: {error.summary}",
        hint=f"the state itself, out of the replica into a file that only you can read: {request.again}{replica}"
        f" --to-file {file}; once the bucket is there: {request.again}{replica}",
    )


def _source(known: _Known, request: Request) -> StateHistory:
    if request.source is Source.REPLICA and known.replica is not None:
        return known.replica
    return known.primary


def _choice(request: Request, history: StateHistory) -> StateChoice:
    whose = request.whose
    if request.any_lineage and isinstance(request.wanted, OneVersion):
        named = next((e for e in history.entries if e.version_id == request.wanted.version_id), None)
        if named is not None and named.facts is not None:
            whose = replace(whose, lineage=named.facts.lineage)
    return state_choice.choose(history, request.wanted, whose)


def _required(choice: StateChoice, request: Request) -> StateEntry:
    if choice.chosen is not None:
        return choice.chosen
    named = request.wanted.version_id if isinstance(request.wanted, OneVersion) else None
    reasons = [
        f"  {judged.what.version_id}: {judged.why}"
        for judged in choice.rejected
        if named is None or judged.what.version_id == named
    ]
    foreign = any(": of another lineage" in reason for reason in reasons)
    others = "; to take one of another lineage all the same: --allow-lineage" if foreign else ""
    if named is not None and not reasons:
        raise NothingFits(
            f"there is no version {named!r} of this state", hint=f"lifeboat state list{_listing_options(request)}"
        )
    if named is None:
        elsewhere = (
            "" if request.source is Source.REPLICA else f"; out of the other region: {request.again} --from-replica"
        )
        rebuild = "" if request.root is StateRoot.STACK else f" --root {request.root.value}"
        others = f"{elsewhere}; where neither region has one: lifeboat state rebuild{rebuild}"
    raise NothingFits(
        "\n".join([choice.why, *reasons[:_SHOWN]]), hint=f"lifeboat state list shows every version{others}"
    )


def _listing_options(request: Request) -> str:
    root = "" if request.root is StateRoot.STACK else f" --root {request.root.value}"
    return f"{root} --replica" if request.source is Source.REPLICA else root


def require_as_listed(history: StateHistory, top: StateTop | None) -> None:
    """Raise Refused where what stands on top is not what the listing has there: somebody wrote meanwhile."""
    listed = history.current
    version = None if listed is None or listed.marker else listed.version_id
    if version != (None if top is None else top.version_id):
        raise Refused(
            f"somebody has written the state s3://{history.bucket}/{history.key} while it was looked at; nothing was"
            " changed",
            hint="lifeboat state list shows what stands there; then run the same command again",
        )


def _marks(known: _Known) -> list[StateMark]:
    return [*_listed(known), *_there(known)]


def _forked(known: _Known, request: Request) -> bool:
    mark = request.whose.known
    return mark is not None and state_history.fork(known.primary.entries, mark) is not None


def _there(known: _Known) -> list[StateMark]:
    return [] if known.memory.there is None else [known.memory.there.mark]


def _listed(known: _Known) -> list[StateMark]:
    return [*marks(known.primary), *(() if known.replica is None else marks(known.replica))]


def marks(history: StateHistory) -> list[StateMark]:
    """Return which states the readable versions of a history are."""
    return [
        StateMark(serial=entry.facts.serial, lineage=entry.facts.lineage, md5=entry.md5 or "")
        for entry in history.entries
        if entry.facts is not None
    ]


def _own_state(site: Site, root: StateRoot) -> StateMark | bytes | None:
    """Return what this machine knows of the state: root 1's working copy, or which state of the stack was sound last."""
    if root is StateRoot.STACK:
        return known_state.read(site.project.work)
    path = site.root_state_file
    body = path.read_bytes() if path.exists() else None
    return body if body is not None and state_store.mark(body) is not None else None


def _mark(own: StateMark | bytes) -> StateMark:
    found = state_store.mark(own) if isinstance(own, bytes) else own
    if found is None:
        raise AssertionError("what is no state is left out before")
    return found


def _document(body: bytes) -> StateDocument | None:
    try:
        return state_documents.read(body)
    except ValueError:
        return None


def _counting(site: Site, request: Request, known: _Known, chosen: StateDocument) -> list[tuple[str, StateDocument]]:
    """Return the states of which nothing may be lost unseen: on top, under the highest serial, in the replica, here."""
    lineage, ours = chosen.facts.lineage, state_history.lineage(known.primary.entries, request.whose)
    bodies = [
        (_named(entry), site.state_versions(request.root).body(entry.version_id))
        for entry in state_restoring.that_count(
            known.primary.entries, dict.fromkeys([lineage, ours or lineage]), request.whose.known
        )
    ]
    highest = state_restoring.highest(known.primary.entries, lineage)
    if known.replica is not None:
        # One under the same serial counts too: that serial may have been written twice.
        here, versions = {entry.md5 for entry in known.primary.entries}, site.replica_state_versions(request.root)
        bodies += [
            (f"{_named(ahead)}, of the replica", versions.body(ahead.version_id))
            for ahead in state_restoring.ahead(known.replica.entries, lineage, highest - 1)
            if ahead.md5 not in here
        ]
    own = _own_state(site, request.root)
    if isinstance(own, bytes) and _mark(own).lineage == lineage and _mark(own).serial > highest:
        bodies.append(("the working copy on this machine", own))
    return [(name, document) for name, body in bodies if (document := _document(body)) is not None]


def _vanishing(site: Site, request: Request, changes: Sequence[tuple[str, StateDiff]]) -> tuple[Vanishing, ...]:
    found = state_restoring.vanishing(changes)
    if not found:
        return ()
    other = site.root_store() if request.root is StateRoot.STACK else site.stack_store()
    document = _document(other.body() or b"")
    elsewhere = {} if document is None else {address: view.id for address, view in document.resources.items()}
    return state_restoring.unknown_elsewhere(found, elsewhere)


def _strangers(site: Site, request: Request, known: _Known, chosen: tuple[StateEntry, bytes]) -> tuple[Vanishing, ...]:
    """Return what AWS has with our tags and no state would know, where the versions do not tell what was made last.

    Raises Unreachable where that cannot be looked at. Of root 1 nothing is looked for: it finds its things by their names.
    """
    entry, body = chosen
    own = _own_state(site, request.root)
    remembered = [*_there(known), *([] if own is None else [_mark(own)])]
    if request.root is StateRoot.BACKEND or not state_restoring.blind(known.primary.entries, entry, remembered):
        return ()
    application, state = site.project.environment.application, site.project.environment.state
    things = [
        thing
        for kind in owned_things.KINDS
        for region in (application.region, application.dr_region)
        for thing in site.owned_things().of_kind(kind, region)
    ]
    recorded = state_digest_checks.recorded(body) | state_digest_checks.recorded(site.root_store().body())
    return state_restoring.strangers(things, recorded | {state.bucket, state.replica_bucket})


def _named(entry: StateEntry) -> str:
    serial = "?" if entry.facts is None else entry.facts.serial
    return f"serial {serial}{', on top' if entry.latest else ''} (version {entry.version_id})"


def without_table(site: Site) -> str:
    """Return what it means that the lock table is gone."""
    return (
        f"the lock table {site.stack_store().table} is gone: nobody else can be kept out by it, and no digest can be kept;"
        f" lifeboat apply -e {site.project.env} makes it again"
    )


def _remembered(site: Site, request: Request, known: _Known) -> list[str]:
    highest = max((mark.serial for mark in _listed(known)), default=-1)
    own, there = _own_state(site, request.root), known.memory.there
    found = []
    if own is not None and _mark(own).serial > highest:
        found.append(f"this machine knew serial {_mark(own).serial}, which is in neither bucket")
    if there is not None and there.mark.serial > highest:
        found.append(
            f"serial {there.mark.serial} is in neither bucket, and was sound: {known_states_decided.noted(there)}"
        )
    return found


def locks_left(site: Site, root: StateRoot) -> tuple[str, ...]:
    """Return the locks that dead restores and rebuilds of this machine left; raises Locked where there is another one."""
    if root is StateRoot.BACKEND:
        return ()  # Terraform keeps that state in a file; who holds the environment holds it
    left, client = [], site.state_locks(root)
    for lock in client.locks():
        holder = state_locks.holding(lock, client.state)
        if lock.operation not in {verb.lock for verb in VERBS} or holder.life is not Life.GONE:
            raise Locked(
                f"the state is locked {state_locks.words(lock, datetime.now(UTC))}: {holder.why}",
                hint=state_locks.way_out(lock),
            )
        left.append(lock.lock_id)
    return tuple(dict.fromkeys(left))


def require_accepted(preview: Preview) -> None:
    """Raise Refused where more would vanish from what Terraform knows, or appear in it, than was agreed to by number.

    Of what stands on top already that was asked before; not where it left the state that is remembered: then this is what
    lets it be remembered.
    """
    count = len(preview.vanish) + len(preview.appear)
    if not (preview.restoring.writes_state or preview.forked) or count <= preview.request.accept:
        return
    vanish = [f"  {one.address} ({one.id}), known to {one.known_to}" for one in preview.vanish]
    appear = [f"  {one.address} ({one.id})" for one in preview.appear]
    said = [
        *(_counted(vanish, "would vanish from what Terraform knows, and an apply may make a second one")),
        *(_counted(appear, "would appear in it that no newer state has, and an apply may make it anew, or change it")),
    ]
    raise Refused(
        "\n".join(said),
        hint=f"a newer version may fit better: lifeboat state list. If that is what is wanted: {preview.request.again}"
        f" --accept {count}",
    )


def _counted(lines: Sequence[str], what: str) -> list[str]:
    number = len(lines)
    return [f"{number} {'resource' if number == 1 else 'resources'} {what}:", *lines] if lines else []


# -- into a file -------------------------------------------------------------------------------------------------------


def pull(site: Site, request: Request, path: Path) -> StateChoice:
    """Write the chosen version, byte for byte, into a new file that only its owner may read; nothing else is changed."""
    target = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  (a link is left to be judged by what it leads to)
    if target.resolve().is_relative_to(site.project.root.resolve()):
        raise WrongConfiguration(
            f"{target} lies in the checkout, and a state holds passwords that must not get into a commit",
            hint=f"{request.again} --to-file ~/{request.root.value}.tfstate",
        )
    if target.exists():
        raise WrongConfiguration(f"{target} exists already", hint="name a file that is not there yet")
    if not target.parent.is_dir():
        raise WrongConfiguration(f"there is no folder {target.parent}", hint=f"mkdir -p {target.parent}")
    versions = _versions(site, request.source, request.root)
    choice = _choice(request, versions.history())
    private_files.write_named(target, versions.body(_required(choice, request).version_id))
    return choice
