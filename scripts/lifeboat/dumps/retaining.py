"""Which dumps stay and which go: looked at in both regions, judged, and told to the buckets by tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lifeboat.clients.dump_store import DumpStore
from lifeboat.database_model import MANIFEST_FILE, DumpEntry, DumpFacts, DumpId, Fate, KeepAs
from lifeboat.decisions import dump_floors, retention
from lifeboat.decisions import runs as run_states
from lifeboat.decisions.retention import KEEP_AS
from lifeboat.dumps import places, points
from lifeboat.errors import IntegrityFailure, LifeboatError, Locked, NothingFits, StoppedPartWay
from lifeboat.model import RunState
from lifeboat.runner import Fence
from lifeboat.site import Site

RUN = "lifeboat:run"
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What was decided, and what the manifests are tagged with now, by region and dump; `whole`: the copies that have one."""

    fates: tuple[Fate, ...]
    tagged: Mapping[tuple[str, DumpId], str | None]
    whole: frozenset[tuple[str, DumpId]]
    findings: tuple[str, ...]  # where the buckets' rules do not do what the tags say

    @property
    def expiring(self) -> list[Fate]:
        """Return those that go."""
        return [fate for fate in self.fates if fate.expires]

    def to_tag(self, fate: Fate) -> list[str]:
        """Return the regions in which a dump is not tagged as it was decided.

        The manifest is tagged first of a dump that goes and last of one that stays; one that goes is tagged again and
        again, since files may have come to it. What may still be written is left alone.
        """
        places = [place for place in self.tagged if place[1] == fate.entry.id]
        if not fate.expires:
            places = [place for place in places if place in self.whole and self.tagged[place] != fate.keep_as.value]
        return [region for region, _ in places]

    def orders(self) -> list[str]:
        """Return what is to be agreed to: each dump that goes, and how many are tagged anew to be kept as what."""
        kept = Counter(fate.keep_as for fate in self.fates if not fate.expires and self.to_tag(fate))
        return [
            *(f"let the bucket expire {fate.entry.id} of {fate.entry.database}" for fate in self.expiring),
            *(f"tag as {kept_as.value}: {count} of the dumps that stay" for kept_as, count in kept.items()),
        ]


def decided(site: Site, database: str | None) -> Retention:
    """Look at all dumps, of a database or of all, and decide; raises where anything cannot be looked at."""
    where, now = places.of(site), datetime.now(UTC)
    policy = site.project.environment.dumps.retention.policy
    stores = {region: points.store_in(site, where, region) for region in where.regions}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        listed = dict(zip(stores, pool.map(lambda store: store.entries(database), stores.values()), strict=True))
        used = pool.submit(used_by_runs, site)
        merged = retention.merged(listed[where.region], listed[where.dr_region])
        holders = _holders(listed, where.regions)
        read = pool.map(lambda entry: _facts(entry, stores[holders[entry.id]]), merged)
        places_of = [(region, entry) for region in where.regions for entry in listed[region]]
        tags = list(pool.map(lambda one: _tags(site, stores[one[0]], one[1]), places_of))
        facts = list(read)
        runs = used.result()
    by_place = {(region, entry.id): found for (region, entry), found in zip(places_of, tags, strict=True)}
    drills = {dump: f"the drill {found[RUN]}" for (_, dump), found in by_place.items() if RUN in found}
    told = [replace(one, used_by=runs.get(one.entry.id) or drills.get(one.entry.id, "")) for one in facts]
    return Retention(
        fates=tuple(retention.fates(told, policy, now)),
        tagged={place: found.get(KEEP_AS) for place, found in by_place.items()},
        whole=frozenset((region, entry.id) for region, entry in places_of if entry.complete),
        findings=tuple(finding for store in stores.values() for finding in rule_findings(site, store)),
    )


def _holders(listed: Mapping[str, Sequence[DumpEntry]], regions: Sequence[str]) -> dict[DumpId, str]:
    """Return in which region each dump is read: where it is whole, of two such regions in the first one."""
    found = {entry.id: region for region in reversed(regions) for entry in listed[region]}
    return found | {entry.id: region for region in reversed(regions) for entry in listed[region] if entry.complete}


def rule_findings(site: Site, store: DumpStore) -> list[str]:
    """Return where the rules of a bucket do not do what the tags say."""
    rules = site.dump_bucket(store.bucket, store.place.region).expiry_rules()
    policy = site.project.environment.dumps.retention.policy
    return [f"s3://{store.bucket}: {finding}" for finding in retention.rule_findings(rules, store.prefix, policy)]


def _facts(entry: DumpEntry, store: DumpStore) -> DumpFacts:
    if not entry.complete:
        return DumpFacts(entry=entry)
    try:
        manifest = store.manifest(entry)
    except IntegrityFailure as error:
        return DumpFacts(entry=entry, unreadable=error.summary)
    return DumpFacts(entry=entry, partial=not manifest.selection.whole, suspicious=dump_floors.suspicious(manifest))


def _tags(site: Site, store: DumpStore, entry: DumpEntry) -> dict[str, str]:
    if not entry.complete:
        return {}
    return site.dump_bucket(store.bucket, store.place.region).tags(f"{entry.prefix}{MANIFEST_FILE}")


def used_by_runs(site: Site) -> dict[str, str]:
    """Return every word of the journals of runs that have not ended, and of which run: an id among them is in use.

    Raises IntegrityFailure where nobody can tell what one of them is at.
    """
    bucket, found = site.journals(), dict[str, str]()
    with suppress(NothingFits):  # without a state bucket no run was ever written down
        for run in bucket.unended():
            events = bucket.events(run)
            if run_states.state(events) is not RunState.ENDED:
                for word in run_states.words(events):
                    found.setdefault(word, f"the run {run}, which has not ended")
    return found


# -- telling the buckets -----------------------------------------------------------------------------------------------


def apply(site: Site, retention: Retention, fence: Fence, tell: Callable[[str], None]) -> int:
    """Tag what is not tagged as it was decided, in both regions, and return of how many dumps.

    Nothing is deleted: the rules of the buckets do that. Raises StoppedPartWay when the environment is somebody else's
    now, or a bucket does not answer: the same command goes on from there.
    """
    where = places.of(site)
    todo = [(fate, region) for fate in retention.fates for region in retention.to_tag(fate)]
    done: set[DumpId] = set()
    for number, (fate, region) in enumerate(todo):
        try:
            fence.require()
            tag(site, points.store_in(site, where, region), fate.entry, fate.keep_as)
        except LifeboatError as error:
            if number == 0 and not isinstance(error, Locked):
                raise
            raise StoppedPartWay(
                f"{number} of {len(todo)} copies of dumps were tagged, and the others not: {error.summary}",
                hint="lifeboat retention apply goes on from there",
            ) from error
        done.add(fate.entry.id)
        tell(f"{number + 1} of {len(todo)} copies of dumps tagged")
    return len(done)


def tag(site: Site, store: DumpStore, entry: DumpEntry, keep_as: KeepAs) -> None:
    """Tag every object of a dump in one bucket: its manifest last, but first where it goes, so that it is none at once."""
    bucket = site.dump_bucket(store.bucket, store.place.region)
    keys = sorted(bucket.keys(entry.prefix), key=lambda key: key.endswith(f"/{MANIFEST_FILE}"))
    for key in reversed(keys) if keep_as is KeepAs.EXPIRE else keys:
        bucket.tag(key, KEEP_AS, keep_as.value)


def summary(fates: Iterable[Fate]) -> str:
    """Return how many dumps are kept as what, in a line."""
    found = list(fates)
    counts = {kind: sum(fate.keep_as is kind for fate in found) for kind in KeepAs}
    return ", ".join(f"{count} {kind.value}" for kind, count in counts.items() if count) or "no dumps"
