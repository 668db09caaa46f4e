"""All evidence at once: each run, recovery times over time against their targets, and how long ago each kind of copy was proven."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lifeboat.database_model import PointKind
from lifeboat.decisions import evidence
from lifeboat.evidence_model import RESTORED, Bundle, Finding, Kind, Measured, Stored

# What a recovery can begin with. What was never restored is listed as that, and not left out.
SOURCES: tuple[tuple[str, str], ...] = (
    *(("database", kind.value) for kind in PointKind),
    ("instance", "image"),
    ("state", "state version"),
)


_OWED = "it has ended, and was cut off or refused before it was written: lifeboat sweep writes it"
STOPPED = (
    "only an attempt that stopped has some; it has ended since, and was cut off or refused before that was written:"
    " lifeboat sweep writes it"
)
_NONE = "none was written, it is of an older lifeboat, or it was taken away: lifeboat report verify tells"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One bundle in the chain; None where it cannot be read."""

    number: int
    sha256: str
    bundle: Bundle | None
    damaged: str = ""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A recovery time that was measured, in seconds (None: it never answered), against its objective."""

    at: datetime
    run: str
    number: int
    seconds: float | None
    objective_seconds: float
    met: bool


@dataclass(frozen=True, kw_only=True)
class Series:
    """The recovery times of one kind of run and scope, oldest first."""

    kind: Kind
    scope: str
    timed: tuple[Timed, ...]


@dataclass(frozen=True, kw_only=True)
class ProofAge:
    """When a kind of copy was last restored for real, by which run, and how long ago in seconds; None: never, as far as kept."""

    asset: str
    source: str
    at: datetime | None
    run: str
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All evidence of one environment, newest first; which runs lack some, and why where that is known; what is wrong."""

    application: str
    environment: str
    at: datetime
    entries: tuple[Entry, ...]
    series: tuple[Series, ...]
    proofs: tuple[ProofAge, ...]
    without: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]


def entries(found: Iterable[Stored]) -> tuple[Entry, ...]:
    """Return what is stored, newest first."""
    every = (Entry(number=x.number, sha256=x.sha256, bundle=x.bundle, damaged=x.damaged) for x in found)
    return tuple(sorted(every, key=lambda entry: -entry.number))


def series(found: Sequence[Entry]) -> tuple[Series, ...]:
    """Return the recovery times by kind and scope, by the newest evidence of each run.

    A run that was refused before it changed anything took no time to recover, and is none that failed to answer.
    """
    newest: dict[str, tuple[int, Bundle, Measured]] = {}
    for entry in sorted(found, key=lambda entry: entry.number):
        one = entry.bundle
        if one is not None and one.rto is not None and (one.changed or one.rto.seconds is not None):
            newest[one.run] = (entry.number, one, one.rto)
    timed: dict[tuple[Kind, str], list[Timed]] = {}
    for number, one, rto in sorted(newest.values(), key=lambda kept: kept[1].ended):
        timed.setdefault((one.kind, one.scope), []).append(
            Timed(
                at=one.ended,
                run=one.run,
                number=number,
                seconds=rto.seconds,
                objective_seconds=rto.objective_seconds,
                met=rto.met,
            )
        )
    return tuple(Series(kind=kind, scope=scope, timed=tuple(every)) for (kind, scope), every in sorted(timed.items()))


def proofs(found: Sequence[Entry], *, now: datetime) -> tuple[ProofAge, ...]:
    """Return how long ago each kind of copy was restored for real and held what it shall."""
    newest: dict[tuple[str, str], Bundle] = {}
    for entry in found:
        one = entry.bundle
        if one is not None and one.outcome in RESTORED:
            for copy in one.copies:
                kept = newest.get((copy.asset, copy.kind))
                if kept is None or one.ended > kept.ended:
                    newest[copy.asset, copy.kind] = one
    return tuple(
        _age(asset, source, newest.get((asset, source)), now)
        for asset, source in (*SOURCES, *sorted(newest.keys() - set(SOURCES)))
    )


def _age(asset: str, source: str, proven: Bundle | None, now: datetime) -> ProofAge:
    if proven is None:
        return ProofAge(asset=asset, source=source, at=None, run="", seconds=None)
    age = max(0.0, (now - proven.ended).total_seconds())
    return ProofAge(asset=asset, source=source, at=proven.ended, run=proven.run, seconds=age)


def without(
    runs: Iterable[str], found: Sequence[Entry], *, unended: Collection[str], ended: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return the runs that have a journal and no evidence, or none of their end, newest first, and why in words.

    `ended` are those that have ended and are not marked as that, with the digest of their journals: of these it can be made.
    """
    bundles = [entry.bundle for entry in found if entry.bundle is not None]
    known = {one.run for one in bundles}
    told = {one.run for one in bundles if evidence.tells_the_end(one, ended.get(one.run, ""))}
    lines = []
    for run in sorted(runs, reverse=True):
        if run in ended and run not in told:
            lines.append((run, STOPPED if run in known else _OWED))
        elif run not in known:
            lines.append((run, "it has not ended" if run in unended else _NONE))
    return tuple(lines)


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """One run's evidence, its place in the chain, what is wrong with that, and the recovery times of runs of its sort."""

    link: Stored
    bundle: Bundle
    findings: tuple[Finding, ...]
    history: tuple[Series, ...]
    at: datetime
