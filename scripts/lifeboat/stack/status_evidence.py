"""What a status has to see of drills: their evidence, whether the chain of it is whole, and what they left behind."""

from __future__ import annotations

from datetime import UTC, timedelta

from lifeboat.decisions import evidence, evidence_chain
from lifeboat.errors import Unreachable
from lifeboat.evidence_model import RESTORED, Bundle, Chain, Kind, Measured, Outcome, Wrong
from lifeboat.site import Site
from lifeboat.stack import evidence_keeping, leaks
from lifeboat.status_model import DrillRecord, LeftBehind

# Of these nobody can tell whether anything is wrong.
_UNKNOWN = (Wrong.UNSEEN, Wrong.UNSEALED)


def chain(site: Site) -> Chain:
    """Return all evidence. Raises Unreachable where it cannot be read, NothingFits where there is no bucket for it."""
    return evidence_keeping.store(site).chain()


def drills(found: Chain) -> tuple[DrillRecord, ...]:
    """Return the drills that there is evidence of, oldest first; what is damaged tells of none."""
    bundles = (found.stored[number].bundle for number in sorted(found.stored))
    return tuple(_record(one) for one in bundles if one is not None and one.kind is Kind.DRILL)


def _record(bundle: Bundle) -> DrillRecord:
    interrupted = bundle.outcome is Outcome.INTERRUPTED
    amiss = evidence.found_amiss(bundle) if interrupted else []
    return DrillRecord(
        scope=bundle.scope,
        run=bundle.run,
        ended=bundle.ended.astimezone(UTC),
        passed=bundle.outcome in RESTORED,
        why=f"{'; '.join(amiss)}; then it was cut off" if amiss else bundle.why or bundle.outcome.value,
        rto=_length(bundle.rto),
        rto_objective=_objective(bundle.rto),
        rpo=_length(bundle.rpo),
        rpo_objective=_objective(bundle.rpo),
        missed=bundle.outcome is Outcome.MISSED,
        cut_off=interrupted and not amiss,
        copies=tuple((copy.kind, copy.region) for copy in bundle.copies if copy.asset == "database"),
    )


def _objective(measured: Measured | None) -> timedelta | None:
    return None if measured is None else timedelta(seconds=measured.objective_seconds)


def _length(measured: Measured | None) -> timedelta | None:
    return None if measured is None or measured.seconds is None else timedelta(seconds=measured.seconds)


def findings(found: Chain) -> tuple[str, ...]:
    """Return what is wrong with the chain. Raises Unreachable where nothing is seen to be, and nobody could look at all of it."""
    amiss = evidence_chain.verified(found)
    wrong = tuple(one.text for one in amiss if one.wrong not in _UNKNOWN)
    if amiss and not wrong:
        raise Unreachable("; ".join(one.text for one in amiss))
    return wrong


def left_behind(site: Site) -> tuple[LeftBehind, ...]:
    """Return what drills left. Raises Unreachable or IntegrityFailure where nobody can say that there is nothing."""
    return tuple(
        LeftBehind(kind=leak.thing.kind, id=leak.thing.id, region=leak.thing.region, run=leak.run)
        for leak in leaks.leaks(site)
    )
