"""Which controls of other standards a run's evidence answers to, and whether it does: only what was seen counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lifeboat.decisions.policy.controls import Framework
from lifeboat.evidence_model import RESTORED, Bundle, Kind, Outcome


class Shown(StrEnum):
    """Whether a run shows what a control asks for."""

    YES = "shown"
    IN_PART = "shown in part"
    NO = "not shown"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run answers to a control, and by what."""

    framework: Framework
    control: str
    asks: str
    shown: Shown
    by: str


@dataclass(frozen=True, kw_only=True)
class _Control:
    """A control, what it asks for in our words, and how a bundle answers."""

    framework: Framework
    control: str
    asks: str
    answer: Callable[[Bundle], tuple[Shown, str]]


def answers(found: Bundle) -> tuple[Answer, ...]:
    """Return what a run answers to each control."""
    told = []
    for one in CONTROLS:
        shown, by = one.answer(found)
        told.append(Answer(framework=one.framework, control=one.control, asks=one.asks, shown=shown, by=by))
    return tuple(told)


def _restored(found: Bundle) -> tuple[Shown, str]:
    """Answer whether a copy was restored for real."""
    if not found.copies:
        return Shown.NO, "no copy was restored"
    copies = ", ".join(f"{copy.asset} from {copy.kind} {copy.id}" for copy in found.copies)
    if found.outcome in RESTORED:
        return Shown.YES, f"restored: {copies}"
    if found.outcome is Outcome.UNSOUND:
        return Shown.IN_PART, f"restored, and not all as it was: {copies}"
    return Shown.NO, f"chosen, and not restored to the end: {copies}"


def _tested(found: Bundle) -> tuple[Shown, str]:
    """Answer whether the plan for a recovery was tried, and its result written down."""
    what = "a drill" if found.kind is Kind.DRILL else "a real recovery"
    done = sum(step.outcome in ("done", "holds") for step in found.steps)
    said = f"{what} ({found.scope}): {done} of {len(found.steps)} steps done, outcome {found.outcome.value}"
    return (Shown.YES if found.outcome in (*RESTORED, Outcome.UNSOUND) else Shown.IN_PART), said


def _whole(found: Bundle) -> tuple[Shown, str]:
    """Answer whether what was restored was looked at for integrity and completeness."""
    proof = found.proof
    if proof is None:
        return Shown.NO, "nobody looked at restored data"
    said = f"{proof.tables or 0} tables, {proof.with_rows or 0} with rows, {len(proof.probes)} questions asked"
    against = len(proof.probe_findings) + len(proof.missing)
    if against:
        return Shown.IN_PART, f"{said}; {against} found wrong"
    if not proof.compared_with and not proof.probes:
        return Shown.IN_PART, f"{said}; compared with nothing"
    return Shown.YES, f"{said}; compared with {', '.join(proof.compared_with) or 'the answers that they shall have'}"


def _in_time(found: Bundle) -> tuple[Shown, str]:
    """Answer whether it was back within the objectives."""
    measured = [(name, one) for name, one in (("RTO", found.rto), ("RPO", found.rpo)) if one is not None]
    if not measured:
        return Shown.NO, "nothing was measured"
    said = "; ".join(
        f"{name} {'unknown' if one.seconds is None else f'{one.seconds:.0f} s'} of {one.objective_seconds:.0f} s"
        for name, one in measured
    )
    if found.outcome not in RESTORED:
        return Shown.NO, f"{said}, and it did not come back as it shall"
    return (Shown.YES if all(one.met for _, one in measured) else Shown.IN_PART), said


SOC2, NIST, ISO = Framework.SOC2, Framework.NIST, Framework.ISO
CONTROLS = (
    _Control(framework=SOC2, control="A1.2", asks="Data is backed up and can be recovered", answer=_restored),
    _Control(framework=SOC2, control="A1.3", asks="Recovery plans are tested", answer=_tested),
    _Control(framework=NIST, control="CP-4", asks="The contingency plan is tested, its results kept", answer=_tested),
    _Control(framework=NIST, control="CP-9", asks="Backups are made and kept", answer=_restored),
    _Control(framework=NIST, control="CP-9(1)", asks="Backups are tested for reliability and integrity", answer=_whole),
    _Control(framework=NIST, control="CP-10", asks="Recovered within the objectives", answer=_in_time),
    _Control(framework=ISO, control="A.8.13", asks="Backup copies are kept and regularly tested", answer=_whole),
)
