"""The checks of drills: the last one of each scope, its recovery time against the objective, and the chain of evidence."""

from __future__ import annotations

from collections.abc import Callable

from lifeboat.decisions.durations import said
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, old, once, once_without
from lifeboat.decisions.status.copies import covers
from lifeboat.status_model import Asset, DrillRecord, DrillRow, Facts, Limits, Stack, Weight

SCOPES = ("database", "instance", "full", "state")
_WITH_DATA = ("database", "full")  # scopes in which rows come back
_MOOT = Good(says="nothing to judge: drills.age tells that none went well")


def last(drills: tuple[DrillRecord, ...], scope: str) -> DrillRecord | None:
    """Return the last drill of a scope, however it came out; a full one counts for the database and the instance too."""
    return max((drill for drill in drills if covers(drill, scope)), key=lambda drill: drill.ended, default=None)


def rows(facts: Facts) -> tuple[DrillRow, ...]:
    """Return one row for each scope."""
    unseen = "" if facts.drills.unseen is None else facts.drills.unseen.why
    found = facts.drills.found or ()
    good = tuple(drill for drill in found if drill.passed)
    return tuple(
        DrillRow(scope=scope, record=last(found, scope), good=last(good, scope), unseen=unseen) for scope in SCOPES
    )


# -- the checks --------------------------------------------------------------------------------------------------------


def _last(case: Case, counts: Callable[[DrillRecord], bool]) -> DrillRecord | None:
    return last(tuple(filter(counts, case.facts.drills.value or ())), case.subject)


def _ran_to_its_end(drill: DrillRecord) -> bool:
    return not drill.cut_off


def _went_well(drill: DrillRecord) -> bool:
    return drill.passed


def _age(case: Case) -> Outcome:
    newest, limit = _last(case, _went_well), case.limits.drill
    wanted, command = f"one that went well within {said(limit)}", f"lifeboat drill {case.subject}"
    if newest is None:
        return Bad(found=f"no drill of {_of(case)} ever went well", wanted=wanted, command=command)
    if case.now - newest.ended > limit:
        return Bad(
            found=f"the last drill that went well was {old(case, newest.ended)} ago", wanted=wanted, command=command
        )
    return Good(says=f"{old(case, newest.ended)} ago, {newest.run}")


def _passed(case: Case) -> Outcome:
    found = _last(case, _ran_to_its_end)
    if found is None:
        return _MOOT
    if not found.passed:
        return Bad(
            found=f"the last drill of {_of(case)} that ran to its end failed {old(case, found.ended)} ago: {found.why}",
            wanted="a drill that brings everything back",
            command=f"lifeboat report {found.run}",
        )
    return Good(says=f"passed {old(case, found.ended)} ago")


def _cut_off(case: Case) -> Outcome:
    # A full drill that was cut off is one thing amiss, not one for each of its halves: so it counts for its own kind alone.
    begun, ended = _last(case, lambda drill: drill.scope == case.subject), _last(case, _ran_to_its_end)
    if begun is not None and begun.cut_off and (ended is None or begun.ended > ended.ended):
        return Bad(
            found=f"the last drill of {_of(case)} was cut off {old(case, begun.ended)} ago, with nothing found amiss until then",
            wanted="one that runs to its end",
            command=f"lifeboat drill {case.subject}",
        )
    return Good(says="none since the last that ran to its end" if ended is not None else "none was")


def _rto(case: Case) -> Outcome:
    found = _last(case, _went_well)
    if found is None:
        return _MOOT
    if found.rto_objective is None:
        return Good(says="nothing to judge: none was to be measured")
    if found.rto is None:
        return Bad(
            found=f"the last drill of {_of(case)} never saw the application answer, so its recovery time is not known",
            wanted=f"at most {said(found.rto_objective)}",
            command=f"lifeboat report {found.run}",
        )
    if found.rto > found.rto_objective:
        return Bad(
            found=f"the last drill of {_of(case)} took {said(found.rto)}",
            wanted=f"at most {said(found.rto_objective)}",
            command=f"lifeboat report {found.run} shows which step took how long",
        )
    return Good(says=f"{said(found.rto)} of {said(found.rto_objective)}")


def _rpo(case: Case) -> Outcome:
    found = _last(case, _went_well)
    if found is None:
        return _MOOT
    command, limit = f"lifeboat report {found.run}", found.rpo_objective
    if found.rpo is None and (limit is not None or found.scope in _WITH_DATA):
        text = f"the last drill of {_of(case)} cannot tell what was lost"
        return Bad(found=text, wanted="the time until which data came back", command=command)
    if found.rpo is not None and limit is not None and found.rpo > limit:
        lost = f"the last drill of {_of(case)} lost {said(found.rpo)}"
        return Bad(found=lost, wanted=f"at most {said(limit)}", command=command)
    in_time = found.rto_objective is None or (found.rto is not None and found.rto <= found.rto_objective)
    if found.missed and in_time:
        return Bad(
            found=f"the last drill of {_of(case)} does not show what would be lost: {found.why}",
            wanted="what was written last, read back",
            command=command,
        )
    if limit is None or found.rpo is None:
        return Good(says="no rows come back in such a drill")
    return Good(says=f"{said(found.rpo)} of {said(limit)}")


def _of(case: Case) -> str:
    return {"full": "everything", "state": "the state"}.get(case.subject, f"the {case.subject}")


def _chain(case: Case) -> Outcome:
    findings = case.facts.evidence.value or ()
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        return Bad(
            found=f"{findings[0]}{more}",
            wanted="every bundle of evidence as it was written",
            command="lifeboat report verify",
        )
    return Good(says="whole")


def _scopes(_stack: Stack) -> tuple[str, ...]:
    return SCOPES


def _scopes_without(_limits: Limits) -> tuple[str, ...]:
    return SCOPES


CHECKS = (
    Check(
        id="drills.age",
        asset=Asset.DRILLS,
        weight=Weight.OBJECTIVE,
        title="A drill of each kind went well, not long ago",
        why="What was not rehearsed fails on the night that it must work. A full drill is one of both.",
        act="`lifeboat drill full`, `lifeboat drill state`; the pipeline has a job for a schedule.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=_scopes,
        judge=_age,
        on_missing_stack=_scopes_without,
    ),
    Check(
        id="drills.passed",
        asset=Asset.DRILLS,
        weight=Weight.INTEGRITY,
        title="The last drill of each kind that ran to its end went well",
        why="Only a restore can tell that rows are missing: the last one did.",
        act="`lifeboat report latest` says which step or probe failed.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=_scopes,
        judge=_passed,
        on_missing_stack=_scopes_without,
    ),
    Check(
        id="drills.cut-off",
        asset=Asset.DRILLS,
        weight=Weight.OBJECTIVE,
        title="No drill of each kind was cut off since the last that ran to its end",
        why="It has shown neither that all comes back nor that something does not. A job that is killed each week looks like"
        " one that passes.",
        act="`lifeboat report latest` says how far it came; find out who ended it (a time-out of the job, most often), then"
        " `lifeboat drill` once more.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=_scopes,
        judge=_cut_off,
        on_missing_stack=_scopes_without,
    ),
    Check(
        id="drills.rto",
        asset=Asset.DRILLS,
        weight=Weight.OBJECTIVE,
        title="The recovery time of the last drill of each kind that went well is within the objective",
        why="On the night itself it will not be faster.",
        act="`lifeboat report latest` shows which step took how long.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=_scopes,
        judge=_rto,
        on_missing_stack=_scopes_without,
    ),
    Check(
        id="drills.rpo",
        asset=Asset.DRILLS,
        weight=Weight.OBJECTIVE,
        title="The last drill of each kind that went well shows that no more is lost than the objective allows",
        why="A drill that brings everything back, and cannot tell until when, has not shown what is lost.",
        act="`lifeboat report latest` says what was measured; the heartbeat of modules/app-instance is what it is read from.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=_scopes,
        judge=_rpo,
        on_missing_stack=_scopes_without,
    ),
    Check(
        id="drills.evidence",
        asset=Asset.DRILLS,
        weight=Weight.INTEGRITY,
        title="The chain of evidence is whole",
        why="Evidence that somebody changed, or took away, proves nothing: nor does what is left.",
        act="`lifeboat report verify` names the bundle.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=once,
        judge=_chain,
        on_missing_stack=once_without,
    ),
)
