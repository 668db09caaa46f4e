"""The steps that prove what a restored database holds, and that write it on the copy it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.clients.dump_store import DumpStore
from lifeboat.database_model import (
    DumpEntry,
    DumpId,
    PointKind,
    Proof,
    Restored,
    RestoredInstance,
    SnapshotTag,
    Verdict,
)
from lifeboat.decisions import databases, manifests, recoveries
from lifeboat.dumps import recovery_choice, verifying
from lifeboat.errors import Failed, IntegrityFailure, NothingFits, Unreachable
from lifeboat.model import Gap, Tag
from lifeboat.runbooks import drill_asked, next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn

# A recovery reads every byte of a dump and compares every table, but checks no index: what that found stands, and is not
# said to have been looked at.
COMPARED = 2


def data_is_proven(c: Recovering) -> Gap | None:
    """Is it written down what the restored database holds, and until when?"""
    if recoveries.is_proven(c.journal.events):
        return None
    return Gap(text="nobody has looked into the restored database")


def prove_data(c: Recovering, turn: Turn) -> None:
    """Count its tables and those with rows, read from the data itself until when it has any, and ask the environment's probes.

    What is wrong with an answer, `compare_rows` judges: somebody may have to agree with it.
    """
    found = next_generation.instance(c)
    if found is None:
        raise Failed("there is no restored database")
    ordered = recoveries.ordered_at(c.journal.events) or c.now()
    proof = c.site.database_answers(next_generation.stack_with(c, found)).proof(before=ordered)
    if proof.with_rows == 0 and not c.request.accept_flagged:
        env, what = c.site.project.env, f"{proof.tables} tables and no row in any" if proof.tables else "no table"
        raise IntegrityFailure(
            f"{found.identifier} holds {what}: {c.fact('copy')} is a copy of nothing",
            hint=f"lifeboat abort {c.journal.run} -e {env}, then lifeboat plan-recovery -e {env} lists other copies;"
            f" --from {c.fact('copy')} --accept-flagged takes this one, if the database was empty",
        )
    if next_generation.is_from_dump(c):
        # All that was committed when it was taken, and nothing else; the commits in it are those of the restore.
        taken = datetime.fromisoformat(c.fact("as_of"))
        proof = replace(proof, until=taken, known_by="the dump's snapshot, with which every table was compared")
    failed_at = datetime.fromisoformat(c.fact("failed_at"))
    lost = None if proof.until is None else max(failed_at - proof.until, timedelta(0))
    until = "an unknown moment" if proof.until is None else f"{proof.until:%Y-%m-%d %H:%M:%S}Z"
    probed = _probed(c, found)
    turn.note(
        f"{databases.content(proof.tables, proof.with_rows, proof.heartbeats)}; data until {until} ({proof.known_by})"
        f"{_words(probed)}",
        tables=proof.tables,
        with_rows=proof.with_rows,
        heartbeats=proof.heartbeats,
        data_until=None if proof.until is None else proof.until.isoformat(),
        known_by=proof.known_by,
        rpo_seconds=None if lost is None else lost.total_seconds(),
        probes=list(probed.names),
        probe_findings=list(probed.findings),
    )


@dataclass(frozen=True, kw_only=True)
class _Probed:
    """Which questions of the environment's file were asked, and what is wrong with the answers."""

    names: Sequence[str]
    findings: Sequence[str]


def _probed(c: Recovering, found: RestoredInstance) -> _Probed:
    """Ask the new database what the environment's file asks of a restored copy.

    To a wrong answer somebody has to agree with all that is missing: nobody is asked anything while other steps run beside.
    """
    questions = [probe.noun for probe in c.site.project.environment.dumps.probes]
    postgres = c.site.new_postgres(next_generation.stack_with(c, found))
    if c.isolation is not None:
        drill_asked.require_readable(c.site, postgres)  # in a recovery somebody may agree that it serves all the same
    findings = verifying.ask(postgres, questions)
    return _Probed(names=[question.name for question in questions], findings=findings)


def _words(probed: _Probed) -> str:
    if not probed.names:
        return ""
    return "; " + ("; ".join(probed.findings) or f"{len(probed.names)} probes have the answers that they shall have")


def copy_is_noted(c: Recovering) -> Gap | None:
    """Does the copy say that it was restored and held its data?

    One that lacks rows or answers a probe wrongly, or of which nobody knows that, is not to be taken for a proven one.
    """
    if c.fact("missing") or c.fact("not_compared") or c.fact("compared_with") == [] or c.fact("probe_findings"):
        return None
    if c.fact("with_rows") == 0:
        return None  # somebody knew that it is empty: nothing was seen in it
    kind, copy = c.fact("copy_kind"), c.fact("copy")
    if kind == PointKind.DUMP.value:
        # Whether a failure stands beside it is another matter: whoever accepted that has restored it all the same.
        noted = any(proof.run == c.journal.run for proof in _dump(c)[1].proofs)
        return None if noted else Gap(text=f"{copy} does not say that it was restored and held its data")
    if kind in (PointKind.MANUAL_SNAPSHOT.value, PointKind.AUTOMATED_SNAPSHOT.value):
        point = c.site.database_snapshots().snapshot(copy, c.recovery.region)
        if point is None:
            return None  # RDS has expired it meanwhile
        proven = point.proven
    else:
        return None  # a window has no tags, a point of AWS Backup none that last
    if proven is not None and proven.at >= c.began.replace(microsecond=0):
        return None
    return Gap(text=f"{copy} does not say that it was restored and held its data")


def note_copy(c: Recovering, turn: Turn) -> None:
    """Write it beside the dump, or on the snapshot, for whoever chooses next."""
    at = c.now().replace(microsecond=0)
    with turn.effect(f"note that {c.fact('copy')} was restored and proven", proves=c.fact("copy")):
        if next_generation.is_from_dump(c):
            store, entry = _dump(c)
            manifest, digest = store.read(entry)
            if c.fact("filled_from") not in (None, manifests.digest(manifest)):
                raise NothingFits(
                    f"the manifest of {entry.id} was written over since it was restored: nothing is noted on it"
                )
            proof = Proof(level=COMPARED, at=at, verdict=Verdict.PASSED, run=c.journal.run, manifest_sha256=digest)
            store.prove(entry, proof)
            return
        snapshots = c.site.database_snapshots()
        point = snapshots.snapshot(c.fact("copy"), c.recovery.region)
        if point is not None:
            by = Restored.PROBES if c.fact("probes") else Restored.ROWS
            snapshots.tag(point, {Tag.PROVEN_AT: at.isoformat(), SnapshotTag.PROVEN_BY: by.value})


def _dump(c: Recovering) -> tuple[DumpStore, DumpEntry]:
    return recovery_choice.dump(c.site, c.fact("source"), DumpId(c.fact("copy")), c.fact("copy_region"))


PROOF: Step[Recovering] = Step(
    name="proof", title="Prove its data", check=data_is_proven, do=prove_data, limit=timedelta(hours=1)
)
NOTED: Step[Recovering] = Step(
    name="noted",
    title="Note that the copy restores",
    check=copy_is_noted,
    do=note_copy,
    may_stay_open=(Unreachable, NothingFits, IntegrityFailure),
)
