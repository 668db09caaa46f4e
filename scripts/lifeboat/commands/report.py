"""`lifeboat report`: the evidence of one run or of all, and whether every bundle of it is as it was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lifeboat.clients import evidence_store, private_files
from lifeboat.clients.evidence_store import EvidenceStore
from lifeboat.clients.journal import JournalBucket
from lifeboat.decisions import evidence, evidence_chain, evidence_overview, runs
from lifeboat.decisions.evidence_overview import Overview, RunReport
from lifeboat.errors import IntegrityFailure, LifeboatError, NothingFits, Unreachable, WrongConfiguration
from lifeboat.evidence_model import Bundle, Finding, Stored, Wrong
from lifeboat.model import RunId, RunState
from lifeboat.site import Site
from lifeboat.stack import evidence_keeping

LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """How many bundles were looked at, and what is wrong with them."""

    bundles: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One run's evidence, the bytes that are stored of it, and what to know of it that is not in it."""

    report: RunReport
    body: bytes
    remark: str


def of_run(site: Site, which: str) -> Reported:
    """Return the newest evidence of a run (latest: of the run that ended last).

    Raises NothingFits where there is none, IntegrityFailure where the newest of all cannot be read.
    """
    store = evidence_keeping.store(site)
    every: list[Stored] = []
    found: Stored | None = None
    for one in store.newest_first():
        every.append(evidence_store.without_journal(one))
        if found is None and which in (LATEST, one.run):
            found = one
    newer = [one for one in every if found is None or one.number > found.number]
    lost = (*_unreadable(store, which, newer), *_gone(store, which, 0 if found is None else found.number))
    if found is None:
        raise _no_evidence(site, which, lost)
    if found.bundle is None:
        raise IntegrityFailure(
            f"bundle {found.number}, the newest evidence, cannot be read: {found.damaged}",
            hint=f"lifeboat report verify -e {site.project.env}; lifeboat report RUN shows an older one",
        )
    entries = evidence_overview.entries(every)
    bundle = found.bundle
    history = tuple(
        series
        for series in evidence_overview.series(entries)
        if (series.kind, series.scope) == (bundle.kind, bundle.scope)
    )
    report = RunReport(
        link=found,
        bundle=bundle,
        findings=(*evidence_chain.judged(store.link(found.number), found.number), *lost),
        history=history,
        at=datetime.now(UTC),
    )
    return Reported(report=report, body=store.body(found.number), remark=_remark(site, bundle))


def _remark(site: Site, bundle: Bundle) -> str:
    """Return that a run ended after this evidence of it was written, and that of its end is owed; empty where nothing is."""
    journals, run = site.journals(), RunId(bundle.run)
    try:
        digest = _of_its_end(journals, run) if run in journals.unended() else None
    except (Unreachable, NothingFits) as error:
        return f"whether {run} went on after this was written is not known: {error.summary}"
    if digest is None or evidence.tells_the_end(bundle, digest):
        return ""
    return f"this is of an earlier attempt of {run}: {evidence_overview.STOPPED}"


def _unreadable(store: EvidenceStore, which: str, newer: Iterable[Stored]) -> tuple[Finding, ...]:
    """Return what cannot be read and may be newer evidence of this run: the other region knows whose it was."""
    found = []
    for one in newer:
        if one.bundle is None:
            head = store.link(one.number).heads.get(one.number)
            if head is None or head.damaged or head.run == which:
                text = f"bundle {one.number}, which is, or may be, newer evidence of it, cannot be read: {one.damaged}"
                found.append(Finding(number=one.number, wrong=Wrong.CHANGED, text=text))
    return tuple(found)


def _gone(store: EvidenceStore, which: str, above: int) -> Iterator[Finding]:
    """Yield what was taken away and is, or may be, newer evidence of this run, or of any where the latest is asked for."""
    for number, run in store.gone(above).items():
        if which == LATEST or run in ("", which):
            text = f"bundle {number}{f' (run {run})' if run else ''}, which is, or may be, newer evidence, is gone"
            yield Finding(number=number, wrong=Wrong.MISSING, text=text)


def _no_evidence(site: Site, which: str, lost: Sequence[Finding]) -> LifeboatError:
    env = site.project.env
    if lost:
        return IntegrityFailure(
            f"the evidence of {which} cannot be read:\n" + "\n".join(f"  {one.text}" for one in lost),
            hint=f"lifeboat report verify -e {env}; lifeboat logs {which} -e {env} prints its journal",
        )
    if which == LATEST:
        return NothingFits(
            f"there is no evidence of {env} yet: a recovery writes some when it ends",
            hint=f"lifeboat report --all -e {env} lists the runs that have none",
        )
    known = RunId(which) in site.journals().runs()
    if known:
        return NothingFits(
            f"the run {which} has no evidence: it has not ended, or none could be written",
            hint=f"lifeboat logs {which} -e {env} prints its journal; lifeboat sweep -e {env} writes it where it has ended",
        )
    return NothingFits(f"there is no run {which}", hint=f"lifeboat report --all -e {env} lists them")


def of_all(site: Site) -> Overview:
    """Return all evidence, what is wrong with it, and the runs that have none."""
    chain = evidence_keeping.store(site).chain()
    journals, now = site.journals(), datetime.now(UTC)
    unended = set(journals.unended())
    digests = ((run, _of_its_end(journals, run)) for run in unended if runs.has_evidence(run))
    ended: dict[str, str] = {run: digest for run, digest in digests if digest is not None}
    every = [run for run in journals.runs() if runs.has_evidence(run)]
    entries = evidence_overview.entries(chain.stored.values())
    return Overview(
        application=site.project.environment.application.name,
        environment=site.project.env,
        at=now,
        entries=entries,
        series=evidence_overview.series(entries),
        proofs=evidence_overview.proofs(entries, now=now),
        without=evidence_overview.without(every, entries, unended=unended, ended=ended),
        findings=evidence_chain.verified(chain),
    )


def _of_its_end(journals: JournalBucket, run: RunId) -> str | None:
    """Return the digest of the journal of a run that has ended; None: it has not, as far as anybody knows who cannot read it."""
    try:
        events = journals.events(run)
    except IntegrityFailure:
        return None
    return evidence.digest(events) if runs.state(events) is RunState.ENDED else None


def verify(site: Site) -> Verified:
    """Read every bundle, and what the other region knows of it, and return what is wrong."""
    chain = evidence_keeping.store(site).chain()
    return Verified(bundles=len(chain.stored), findings=evidence_chain.verified(chain))


def require_whole(site: Site, findings: Iterable[Finding]) -> None:
    """Raise IntegrityFailure for what was changed or taken away, naming it; Unreachable for what nobody could look at."""
    grave = [one for one in findings if one.wrong not in (Wrong.UNSEALED, Wrong.UNSEEN)]
    if grave:
        place = evidence_keeping.store(site).place
        raise IntegrityFailure(
            "the evidence is not as it was written:\n" + "\n".join(f"  {one.text}" for one in grave),
            hint=f"older versions of an object are kept: aws s3api list-object-versions --bucket {place.bucket}"
            f" --prefix {place.prefix} shows which was written when",
        )
    unsure = [one.text for one in findings]
    if unsure:
        raise Unreachable(
            "nobody can tell whether all evidence is as it was written:\n" + "\n".join(f"  {text}" for text in unsure),
            hint=f"where the other region did not answer: lifeboat report verify -e {site.project.env} once more when it does;"
            " the next run tells it what it lacks",
        )


def write(path: Path, text: str) -> None:
    """Write a report into a file, whole or not at all, or into the pipe or device that it is; a link is followed.

    Raises WrongConfiguration where it cannot be written.
    """
    try:
        private_files.write_named(path, text.encode())
    except OSError as error:
        raise WrongConfiguration(
            f"the report cannot be written to {path}: {error.strerror}", hint="name another file: --out FILE"
        ) from None
