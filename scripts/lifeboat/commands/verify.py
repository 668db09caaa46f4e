"""`lifeboat verify`: one copy, all of them, or this week's share, at one of four levels, each with its proof beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from lifeboat.clients import restore_programs
from lifeboat.clients.dump_store import DumpStore
from lifeboat.database_model import DumpEntry, DumpId, Verdict
from lifeboat.decisions import restores, samples
from lifeboat.decisions.restores import Elsewhere
from lifeboat.decisions.samples import Share
from lifeboat.dumps import choosing, places, points, verifying
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth, Verified
from lifeboat.errors import IntegrityFailure, LifeboatError, NothingFits, Refused, Unreachable, WrongConfiguration
from lifeboat.site import CONNECTIONS, Site
from lifeboat.stack import outputs

_AT_ONCE = CONNECTIONS  # copies whose listings are compared: each waits for two answers of S3


@dataclass(frozen=True, kw_only=True)
class Which:
    """Which copies: one of an id (None: the newest), or all, or a share of all; of one database, or of each.

    `region` is where they lie, None where they are written to. `now` says which week's share it is.
    """

    wanted: DumpId | None
    every: bool
    share: Share | None
    database: str | None
    now: datetime
    region: str | None = None


def run(site: Site, tellers: Tellers, which: Which, depth: Depth) -> list[Verified]:
    """Verify copies, the oldest first, and return what came of each."""
    where = places.of(site)
    store = points.store_in(site, where, where.require(which.region))
    copies = chosen(site, store, which)
    if depth.level == 1 and len(copies) > 1:
        return list(_side_by_side(store, copies, depth, tellers))
    done = []
    for number, entry in enumerate(copies, 1):
        if len(copies) > 1:
            tellers.say(f"{number} of {len(copies)}: {entry.database} {entry.id}")
        look = verifying.verify if len(copies) == 1 else verifying.one_of_several
        try:
            done.append(look(store, entry, depth, tellers))
        except KeyboardInterrupt:
            tellers.warn(f"interrupted: nothing is written down of {entry.database} {entry.id}")
            raise
    return done


def _side_by_side(store: DumpStore, copies: Sequence[DumpEntry], depth: Depth, tellers: Tellers) -> Iterator[Verified]:
    quiet = Tellers(say=lambda _: None, tell=lambda *_: None)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number, done in enumerate(pool.map(lambda e: verifying.one_of_several(store, e, depth, quiet), copies), 1):
            if number % 500 == 0:
                tellers.say(f"{number:,} of {len(copies):,} copies")
            yield done


def chosen(site: Site, store: DumpStore, which: Which) -> list[DumpEntry]:
    """Return the copies that are looked at, the oldest first; raises NothingFits where there is none.

    A newest one that somebody took the manifest from is among them, and found so: an older one does not stand for it.
    """
    if not which.every and which.share is None:
        database = which.database or outputs.recovery(site.stack_store()).database.name
        beheaded = restores.beheaded(store.entries(database)) if which.wanted is None else []
        return [choosing.chosen(store, database, beheaded[-1].id if beheaded else which.wanted)]
    entries = store.entries(which.database)
    complete, beheaded = [entry for entry in entries if entry.complete], restores.beheaded(entries)
    if not complete and not beheaded:
        raise NothingFits(f"there is no complete dump in s3://{store.bucket}/{store.prefix}", hint="lifeboat dump")
    if which.share is None:
        return _in_order([*complete, *beheaded])
    # The newest of each database in any case: what is restored first is never left to a week's turn, nor a week to nothing.
    ids = {
        _newest(store, [e for e in complete if e.database == name], which).id for name in {e.database for e in complete}
    }
    ids |= set(samples.chosen([entry.id for entry in complete], which.share, which.now))
    return _in_order([*(entry for entry in complete if entry.id in ids), *beheaded])


def _in_order(entries: Iterable[DumpEntry]) -> list[DumpEntry]:
    return sorted(entries, key=lambda entry: (entry.begun_at, entry.id, entry.database))


def _newest(store: DumpStore, complete: Sequence[DumpEntry], which: Which) -> DumpEntry:
    """Return the newest dump of all of one database; where each is a part or dated ahead, the last one."""
    return choosing.newest_whole(store, complete, which.now) or complete[-1]


def depth(site: Site, asked: Depth) -> Depth:
    """Return how deep to look, with the environment's probes at level 4.

    Raises WrongConfiguration where it has none, and where PG_BIN names no programs that could read a copy.
    """
    if asked.level > 1:
        restore_programs.require_named(site.caller_env)
    asked = replace(asked, env=site.caller_env)
    if asked.level != 4:
        return asked
    probes = tuple(probe.noun for probe in site.project.environment.dumps.probes)
    if not probes:
        raise WrongConfiguration(
            f"environment {site.project.env} has no probes to ask at level 4",
            hint=f"write [[dumps.probes]] into environments/{site.project.env}.toml: name, sql, and expect, minimum or maximum",
        )
    return replace(asked, probes=probes, asked_in=f"environments/{site.project.settings_file.name}")


def elsewhere(site: Site, which: Which, done: Sequence[Verified]) -> list[Elsewhere]:
    """Return which of the copies that failed have another one in the other region; where that cannot be looked at, none."""
    failed = {(v.entry.database, v.entry.id) for v in failures(done)}
    if not failed:
        return []
    where = places.of(site)
    region = where.other(which.region)
    try:
        entries = points.store_in(site, where, region).entries()
    except LifeboatError:
        return []  # what failed is told in any case
    return [Elsewhere(entry=one, region=region) for one in entries if one.complete and (one.database, one.id) in failed]


def failures(done: Sequence[Verified]) -> list[Verified]:
    """Return the copies that failed."""
    return [v for v in done if v.proof is not None and v.proof.verdict is Verdict.FAILED]


def require_sound(done: Sequence[Verified], others: Sequence[Elsewhere] = ()) -> None:
    """Raise IntegrityFailure where a copy failed, Unreachable or Refused where one could not be looked at.

    `others` are copies of those that failed in the other region.
    """
    failed = failures(done)
    if failed:
        raise IntegrityFailure(
            f"{len(failed)} of {len(done)} copies failed: {', '.join(v.entry.id for v in failed[:5])}"
            + (" …" if len(failed) > 5 else ""),
            hint=restores.after_failures([v.entry for v in failed], others),
        )
    unable = [v for v in done if v.proof is None]
    unread = [v for v in unable if isinstance(v.unable, Unreachable)]
    if unread:
        raise Unreachable(
            f"{len(unread)} of {len(done)} copies could not be read:\n" + _why(unread),
            hint="where permissions or a key refuse it, take a role that may; else run it again",
        )
    if unable:
        raise Refused(
            f"{len(unable)} of {len(done)} copies could not be judged by this look on this machine:\n" + _why(unable),
            hint="lifeboat verify --level 2 reads every byte of them",
        )


def _why(unable: Sequence[Verified]) -> str:
    """Return a line for each copy that could not be looked at."""
    lines = []
    for one in unable:
        then = f"; {one.unable.hint}" if one.unable is not None and one.unable.hint else ""
        lines.append(f"  {one.entry.id}: {one.unable}{then}")
    return "\n".join(lines)
