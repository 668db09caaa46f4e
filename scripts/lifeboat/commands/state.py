"""`lifeboat state list|show|diff`: the history of Terraform's state, one version in full, what differs between two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from lifeboat.clients import state_versions
from lifeboat.clients.state_versions import StateVersions
from lifeboat.decisions import state_diff, state_documents, state_history
from lifeboat.decisions.state_documents import StateDocument
from lifeboat.errors import IntegrityFailure, NothingFits, Unreachable
from lifeboat.model import RunId
from lifeboat.site import Site
from lifeboat.stack import known_states
from lifeboat.state_model import (
    StateDiff,
    StateEntry,
    StateHistory,
    StatePlace,
    StateRoot,
    StateWarning,
    Whose,
)
from lifeboat.views import Teller

LATEST, PREVIOUS, FILE = "latest", "previous", "file:"
_NOT_SEEN = "?"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which root's state is meant, and whether its copy in the other region."""

    root: StateRoot = StateRoot.STACK
    replica: bool = False


def versions(site: Site, source: Source) -> StateVersions:
    """Return the history that is meant."""
    return site.replica_state_versions(source.root) if source.replica else site.state_versions(source.root)


def whose(site: Site, root: StateRoot) -> Whose:
    """Return what a state of this environment is held against: its name, and the lineage that is remembered."""
    return known_states.whose(site, root)


# -- listing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A history with who wrote what, what is amiss with it, and what could not be looked at."""

    place: StatePlace
    history: StateHistory
    warnings: tuple[StateWarning, ...]
    unseen: tuple[Unreachable, ...]
    now: datetime

    def require_whole(self) -> None:
        """Raise Unreachable where something could not be looked at."""
        for error in self.unseen:
            raise error


def listed(site: Site, tell: Teller, source: Source) -> Listed:
    """Return the whole history of a state; raises NothingFits where there is no bucket, or nothing was ever in it."""
    client = versions(site, source)
    with tell.waiting() as show:
        history = client.history(show)
    if not history.entries:
        raise NothingFits(
            f"there is neither a version nor a delete marker of {client.place.url}: nothing is left, or nothing was ever"
            " written. The doctor looks into both regions, and says which",
            hint="lifeboat state doctor",
        )
    entries, unseen = _signed(site, client.place, history.entries)
    history = replace(history, entries=entries)
    held_against = whose(site, source.root)
    return Listed(
        place=client.place,
        history=history,
        warnings=tuple(state_history.warnings(history, held_against)),
        unseen=(*unseen, *_unasked(site, source.root, held_against)),
        now=datetime.now(UTC),
    )


def _unasked(site: Site, root: StateRoot, held_against: Whose) -> list[Unreachable]:
    """Return that the memory could not be asked of which lineage the versions must be; nothing where it could."""
    if not held_against.unseen:
        return []
    return [
        Unreachable(
            f"of which lineage the versions must be is not known: {held_against.unseen}",
            hint=f"where permissions refuse it: take a role that may read {site.state_memory().place(root)}",
        )
    ]


def _signed(
    site: Site, place: StatePlace, entries: Sequence[StateEntry]
) -> tuple[tuple[StateEntry, ...], tuple[Unreachable, ...]]:
    """Return the entries with who wrote them; where that cannot be asked they say so, and so does the error beside them."""
    runs = site.run_spans(place.bucket, place.region)
    unseen: list[Unreachable] = []
    try:
        spans = runs.all()
    except Unreachable as error:
        unseen.append(_unsigned(error))
        spans = runs.of_this_machine()
    longest = timedelta(minutes=site.project.environment.terraform.apply_minutes)
    known: dict[RunId, str] = {}

    def who(run: RunId) -> str:
        if run not in known:
            try:
                known[run] = runs.who(run)
            except Unreachable as error:
                unseen.append(_unsigned(error))
                known[run] = _NOT_SEEN
        return known[run]

    signed = state_history.signed(entries, state_history.writers(entries, spans, longest), who)
    if unseen:
        signed = tuple(entry if entry.by is not None else replace(entry, by=_NOT_SEEN) for entry in signed)
    return signed, tuple(unseen)


def _unsigned(error: Unreachable) -> Unreachable:
    return Unreachable(f"who wrote which version is not known: {error.summary}", hint=error.hint)


# -- one version, and two of them ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Read:
    """A state that was read, what it was called, and where it stands in the history (None: a file)."""

    name: str
    entry: StateEntry | None
    document: StateDocument


def shown(site: Site, source: Source, wanted: str) -> Read:
    """Return one version with all that is in it.

    Raises NothingFits where there is no such version, IntegrityFailure where it is no state that can be read.
    """
    client = versions(site, source)
    return _read(client, wanted, client.listed)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two states, and what the second one has that the first one has not."""

    old: Read
    new: Read
    diff: StateDiff


def compared(site: Site, source: Source, old: str, new: str) -> Compared:
    """Return what becomes of the first state in the second; raises as `shown` does."""
    client = versions(site, source)
    listed = cache(client.listed)
    before, after = _read(client, old, listed), _read(client, new, listed)
    return Compared(old=before, new=after, diff=state_diff.diff(before.document, after.document))


def _read(client: StateVersions, wanted: str, listed: Callable[[], list[StateEntry]]) -> Read:
    entry = None
    if wanted.startswith(FILE):
        body = state_versions.local_file(Path(wanted.removeprefix(FILE)).expanduser())
    else:
        entry = _entry(client, wanted, listed())
        body = client.body(entry.version_id)
    try:
        return Read(name=wanted, entry=entry, document=state_documents.read(body))
    except ValueError as error:
        name = wanted if entry is None else f"version {entry.version_id} of {client.place.url}"
        raise IntegrityFailure(
            f"{name} is no state that can be read: {error}",
            hint=f"lifeboat state list{state_versions.options(client.place)} shows which versions can be;"
            f" {state_history.DOCTOR} says what to do where it is the latest",
        ) from None


def _entry(client: StateVersions, wanted: str, entries: Sequence[StateEntry]) -> StateEntry:
    """Return the entry that is named: by its id, as the latest one, or as the version before that."""
    listing = f"lifeboat state list{state_versions.options(client.place)}"
    if wanted not in (LATEST, PREVIOUS):
        found = next((entry for entry in entries if entry.version_id == wanted), None)
        if found is None:
            raise NothingFits(f"there is no version {wanted!r} of {client.place.url}", hint=listing)
    else:
        tops = [entry for entry in entries if entry.latest]
        below = [entry for entry in entries if not entry.latest and not entry.marker]
        found = next(iter(tops if wanted == LATEST else below), None)
        if found is None:
            raise NothingFits(f"{client.place.url} has no {wanted} version", hint=f"{listing} shows what it has")
    if found.marker:
        raise NothingFits(
            f"{found.version_id} of {client.place.url} is a delete marker: the state was deleted at"
            f" {found.written_at:%Y-%m-%d %H:%M:%S}Z",
            hint=f"{listing} shows the versions below it; {state_history.DOCTOR} says how to bring one back",
        )
    return found
