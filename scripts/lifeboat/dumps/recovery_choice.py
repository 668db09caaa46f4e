"""The choice of the copy that a recovery restores, from the one list of copies; and the dump behind it, looked into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median

from lifeboat.clients import restore_programs
from lifeboat.clients.dump_store import DumpStore
from lifeboat.database_model import (
    CopyCandidate,
    DumpEntry,
    DumpId,
    Manifest,
    PointKind,
    RecoveryPoint,
    RecoveryPointId,
    RestoreRate,
    WantedCopy,
)
from lifeboat.decisions import database_choice, databases, dump_floors, generations, restores, service_times, timings
from lifeboat.decisions import runs as run_states
from lifeboat.decisions.database_choice import Choosing
from lifeboat.decisions.durations import said
from lifeboat.dumps import choosing as dump_choosing
from lifeboat.dumps import places, points
from lifeboat.dumps.points import Found, Scope
from lifeboat.errors import IntegrityFailure, LifeboatError, NothingFits, Refused, Unreachable
from lifeboat.model import Event, EventKind, Recovery
from lifeboat.site import Site
from lifeboat.stack import database_copies, outputs

LEARNT_FROM = 5  # newest recoveries that restored a database
_MOST_UNREAD = 5  # manifests: whoever has lost their key reads none of the rest either


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an operator asks for: a moment or a copy, or neither; when the data was last good; whether doubts are known."""

    to: datetime | None
    named: RecoveryPointId | None
    failed_at: datetime
    accepted: bool = False


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What speaks against a dump that was looked into: doubts, which may be accepted, and why it can never be chosen.

    `damage` is of the copy in this region alone: the other one may be whole.
    """

    doubts: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    damage: str | None = None


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Every copy that there is and what could not be looked at, what is asked of them, and what restores took."""

    found: Found
    wanted: WantedCopy
    rate: RestoreRate

    @property
    def points(self) -> tuple[RecoveryPoint, ...]:
        """The copies, newest first."""
        return self.found.list.points

    def choosing(self) -> Choosing:
        """Return which copy is taken and why, and where one may be that nobody could see.

        Raises NothingFits where a copy is named that there is none of, Unreachable where nobody can say so.
        """
        named = self.wanted.named
        if named is not None and not any(database_choice.is_named(point, self.wanted) for point in self.points):
            nothing = Choosing(choice=database_choice.nothing(f"{named} was not seen"), others=())
            if database_choice.hidden(self.found.list.unseen, nothing, self.wanted):
                self.found.require_whole()
        made = database_choice.choose(self.points, self.wanted, self.rate)
        return replace(made, hidden=database_choice.hidden(self.found.list.unseen, made, self.wanted))

    def required(self, made: Choosing, *, env: str) -> CopyCandidate:
        """Return what was chosen; raises NothingFits where nothing fits, Unreachable where nobody can say that."""
        if made.choice.chosen is None and made.hidden:
            self.found.require_whole()
        return database_choice.require(made, self.points, self.wanted, env=env)

    def told(self, dump: RecoveryPoint, looked: Looked) -> Candidates:
        """Return the same with what speaks against a dump, in whatever region it lies; damage, where it was seen."""
        points = tuple(
            replace(
                one,
                doubts=(*one.doubts, *looked.doubts),
                unfit=(*looked.unfit, *([looked.damage] if looked.damage and one.region == dump.region else [])),
            )
            if (one.kind, one.database, one.id) == (dump.kind, dump.database, dump.id)
            else one
            for one in self.points
        )
        return replace(self, found=replace(self.found, list=replace(self.found.list, points=points)))


def candidates(site: Site, asked: Asked) -> Candidates:
    """Return every copy of both regions, with what is asked of them; what speaks against a dump is in it."""
    recovery = outputs.recovery(site.stack_store())
    serving = recovery.database.identifier
    found = points.found(site, Scope())
    live = site.database_restores(recovery.region).created_at(serving)
    made = ({} if live is None else {serving: live}) | _made(found.list.points)
    past = _Past(site)
    switching = past.switching(asked.to)
    wanted = WantedCopy(
        serving=serving,
        # A journal that nobody can read may be that of a switch: when an instance was made then says too little.
        served=service_times.served(serving, {} if past.unreadable else made, switching),
        database=recovery.database.name,
        region=recovery.region,
        key=database_copies.serving(site).get("kms_key_id"),
        failed_at=asked.failed_at,
        to=asked.to,
        named=asked.named,
        accepted=asked.accepted,
    )
    return _looked_into(site, Candidates(found=found, wanted=wanted, rate=past.rate()))


def _made(every: Iterable[RecoveryPoint]) -> dict[str, datetime]:
    """Return when the first instance of each name was made, of which anything is left."""
    made: dict[str, datetime] = {}
    for one in every:
        if one.instance_made_at is not None:
            made[one.database] = min(one.instance_made_at, made.get(one.database, one.instance_made_at))
    return made


def _looked_into(site: Site, every: Candidates) -> Candidates:
    """Return the candidates with what speaks against each dump that would be chosen, until nothing does.

    A listing does not tell it. What cannot be reached stays as it is: `require_fit` says why.
    """
    while True:
        try:
            chosen = every.choosing().choice.chosen
            if chosen is None or chosen.point.kind is not PointKind.DUMP or every.wanted.named == chosen.point.id:
                return every
            looked = _looked(site, chosen.point, every.wanted)
        except LifeboatError:
            return every
        if looked == Looked():
            return every
        every = every.told(chosen.point, looked)


def _looked(site: Site, point: RecoveryPoint, wanted: WantedCopy) -> Looked:
    try:
        store, entry = dump(site, point.database, DumpId(point.id), point.region)
        manifest = dump_choosing.whole(store, entry)
    except (IntegrityFailure, NothingFits, Refused) as error:
        return Looked(damage=" ".join(error.summary.split()))
    unfit = restores.unfit_for_recovery(manifest, wanted.database, generations.major(database_copies.settings(site)))
    return Looked(doubts=tuple(restores.flagged(manifest)), unfit=tuple(unfit))


# -- a dump ------------------------------------------------------------------------------------------------------------


def require_fit(site: Site, chosen: CopyCandidate, wanted: WantedCopy) -> Manifest | None:
    """Return the manifest of a dump that was chosen, None of another copy; nothing is changed.

    Raises Refused where it cannot be all of the new instance or is in doubt, IntegrityFailure where it is damaged or of
    another environment, WrongConfiguration where this machine has no pg_restore for it.
    """
    if chosen.point.kind is not PointKind.DUMP:
        return None
    store, entry = dump(site, chosen.point.database, DumpId(chosen.point.id), chosen.point.region)
    manifest = dump_choosing.whole(store, entry)
    if not (wanted.accepted and wanted.named == chosen.point.id):
        dump_choosing.require_undoubted(entry, manifest, f"--from {entry.id} --accept-flagged")
    major = generations.major(database_copies.settings(site))
    against = restores.unfit_for_recovery(manifest, wanted.database, major)
    if against:
        raise Refused(
            f"dump {entry.id} cannot be the database of the application:\n" + "\n".join(f"  {one}" for one in against),
            hint=f"lifeboat plan-recovery -e {site.project.env} lists the other copies",
        )
    restore_programs.folder(major, site.caller_env)
    return manifest


def require_keys(site: Site, recovery: Recovery) -> list[str]:
    """Return which keys of the next generation nobody may look at: RDS sees them.

    Raises Refused where one cannot be used, which RDS would say only when the generation is ordered; IntegrityFailure where
    no state has a serving generation.
    """
    serving, region = database_copies.serving(site), recovery.region
    keys, unseen = site.encryption_keys(region), list[str]()
    named = (serving.get("kms_key_id"), generations.password_key(serving))
    for name in dict.fromkeys(filter(None, named)):
        try:
            why = databases.locked(keys.key(name), region)
        except Unreachable as error:
            unseen.append(f"nobody knows whether the key {name} can be used: {error.summary}")
            continue
        if why is not None:
            raise Refused(why[0], hint=why[1])
    return unseen


def dump(site: Site, database: str, wanted: DumpId, region: str) -> tuple[DumpStore, DumpEntry]:
    """Return a dump and the bucket of the region that it lies in; raises NothingFits where it is not there."""
    store = points.store_in(site, places.of(site), region)
    return store, dump_choosing.chosen(store, database, wanted)


@dataclass(frozen=True, kw_only=True)
class Newest:
    """The manifest of the newest dump that could be read, None without one; in words, which newer ones could not."""

    manifest: Manifest | None
    unread: tuple[str, ...]


def newest_manifest(site: Site, recovery: Recovery, *, before: datetime, but: str = "") -> Newest:
    """Return the manifest of the newest dump of the whole database that was begun before a moment, `but` for one by its id.

    One whose verification failed is passed over, and one that is flagged for what it lacks; so is one whose manifest cannot
    be read: that is told. Raises Unreachable where the bucket cannot be listed.
    """
    store, unread = site.dump_store(recovery), list[str]()
    entries = [one for one in store.entries(recovery.database.name) if one.complete and one.failure is None]
    for entry in sorted(entries, key=lambda one: one.begun_at, reverse=True):
        if entry.begun_at > before or entry.id == but:
            continue
        try:
            manifest = store.manifest(entry)
        except (Unreachable, IntegrityFailure, NothingFits) as error:
            unread.append(f"dump {entry.id}: {error.summary}")
            if len(unread) == _MOST_UNREAD:
                break
            continue
        if manifest.selection.whole and not dump_floors.suspicious(manifest):
            return Newest(manifest=manifest, unread=tuple(unread))
    return Newest(manifest=None, unread=tuple(unread))


# -- what recoveries tell ----------------------------------------------------------------------------------------------


class _Past:
    """The journals of recoveries, newest first: each is read once, and those that nobody asks for are not."""

    def __init__(self, site: Site) -> None:
        self._bucket = site.journals()
        self._unread = [run for run in self._bucket.runs() if run_states.is_recovery(run)]
        self._read: list[Sequence[Event]] = []
        self.unreadable = False

    def switching(self, to: datetime | None) -> list[Sequence[Event]]:
        """Return as many as tell which generation served at a moment; None: now."""
        while self._unread and not service_times.settled(self._read, to):
            self._next()
        return list(self._read)

    def restoring(self) -> list[Sequence[Event]]:
        """Return the newest that restored a database."""
        while self._unread and len(self._restored()) < LEARNT_FROM:
            self._next()
        return self._restored()[:LEARNT_FROM]

    def rate(self) -> RestoreRate:
        """Return what restores took; where none was seen from its order to its end, which one was cut off."""
        rate = learnt(self.restoring())
        return rate if rate.whole is not None else replace(rate, cut_off=cut_off(self._read))

    def _restored(self) -> list[Sequence[Event]]:
        done = (EventKind.DONE,)
        return [events for events in self._read if any(e.step == "restore" and e.kind in done for e in events)]

    def _next(self) -> None:
        try:
            self._read.append(self._bucket.events(self._unread.pop()))
        except IntegrityFailure:
            self.unreadable = True  # of a newer lifeboat, or damaged: it teaches nothing


def learnt(journals: Iterable[Sequence[Event]]) -> RestoreRate:
    """Return what the restores of these recoveries took; those of dumps apart, whose bytes are other ones."""
    by_rds: list[Sequence[Event]] = []
    of_dumps: list[Sequence[Event]] = []
    for events in journals:
        (of_dumps if PointKind.DUMP.value in _chosen(events, "copy_kind") else by_rds).append(events)
    took = timings.expected(by_rds).get("restore")
    filled = timings.expected(of_dumps)
    seconds = sum(filled[step].total_seconds() for step in ("restore", "fill") if step in filled)
    return RestoreRate(
        whole=took,
        bytes_per_second=_speed(by_rds, 0.0 if took is None else took.total_seconds()),
        of_dumps=_speed(of_dumps, seconds) if "fill" in filled else None,
    )


def cut_off(journals: Iterable[Sequence[Event]]) -> str:
    """Return of the newest restore by RDS that was cut off, and found to be made afterwards, what is known of its length."""
    for events in journals:
        seen = timings.seen_within(events, "restore")
        if seen is not None and PointKind.DUMP.value not in _chosen(events, "copy_kind"):
            return (
                f"the recovery that ordered the last restore, at {seen[0]:%Y-%m-%d %H:%M:%S}Z, was cut off before its end"
                f" was seen: it took at most {said(seen[1])}"
            )
    return ""


def _speed(journals: Iterable[Sequence[Event]], seconds: float) -> float | None:
    sizes = [size for events in journals for size in _chosen(events, "size") if isinstance(size, int) and size]
    return median(sizes) / seconds if sizes and seconds > 0 else None


def _chosen(events: Iterable[Event], name: str) -> list[object]:
    """Return what was noted under a name when the copy was chosen."""
    noted = [event.data for event in events if event.step == "copy" and event.kind is EventKind.NOTE]
    return [data[name] for data in noted if name in data]
