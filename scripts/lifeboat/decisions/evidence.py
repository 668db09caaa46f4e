"""What one run proved, from its journal alone and a few facts of where it ran."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lifeboat.decisions import timings
from lifeboat.decisions.drill_ledger import GONE, MADE
from lifeboat.decisions.timings import Answering
from lifeboat.errors import (
    DONE,
    INTERRUPTED,
    OBJECTIVE_MISSED,
    CleanUpIncomplete,
    Failed,
    IntegrityFailure,
    StoppedPartWay,
)
from lifeboat.evidence_model import (
    Attempt,
    Bundle,
    ChosenCopy,
    JournalLine,
    Kind,
    LeftStep,
    Made,
    Measured,
    Outcome,
    PlanMade,
    Proof,
    Rejected,
    StepTaken,
    TimeSpent,
)
from lifeboat.model import Event, EventKind, Objectives, WorksOn

ABORTED = "aborted"  # the text of the last line of a run that was given up
NO_CANARY = "no_canary"  # in the data of a note: why a drill that should have written one could not
ENDED_WITH = "ended_with"  # in the data of a note: how a drill ended that left something: {"text", "failed", "exit_status", "left"}
PLAN_SHA256 = "plan_sha256"  # beside the changes of a plan: of the saved file

_OUTCOMES = {
    DONE: Outcome.MET,
    OBJECTIVE_MISSED: Outcome.MISSED,
    IntegrityFailure.exit_status: Outcome.UNSOUND,
    CleanUpIncomplete.exit_status: Outcome.LEFT_OVER,
    StoppedPartWay.exit_status: Outcome.STOPPED,
    INTERRUPTED: Outcome.INTERRUPTED,
}
_ENDS: dict[EventKind, Literal["done", "holds", "left-open", "stopped"]] = {
    EventKind.DONE: "done",
    EventKind.HOLDS: "holds",
    EventKind.LEFT_OPEN: "left-open",
    EventKind.STOPPED: "stopped",
}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The exit status that an attempt ended with, and why where that is not 0."""

    exit_status: int
    why: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the journal does not say: whose run it is, where, of what, with which versions; titles of steps by name.

    `error` is what the attempt was raised out of; None where it got to its end, and the journal tells how that was.
    """

    kind: Kind
    run: str
    scope: str
    application: str
    environment: str
    account: str
    region: str
    objectives: Objectives
    answering: Answering
    titles: Mapping[str, str] = field(hash=False)
    versions: Mapping[str, str] = field(hash=False)
    error: Ended | None = None


def bundle(events: Sequence[Event], facts: Facts) -> Bundle:
    """Return the evidence of a run whose journal has lines."""
    noted = _noted(events)
    failed_at = _moment(noted.get("failed_at"))
    # A drill has no failure: its clock starts when it does.
    since = failed_at or (events[0].at if facts.kind is Kind.DRILL else None)
    timing = None
    if since is not None:
        rto = timedelta(hours=facts.objectives.rto_hours)
        timing = timings.measured(events, failed_at=since, rto=rto, answering=facts.answering)
    left = _left_open(events, facts)
    found = Bundle(
        kind=facts.kind,
        run=facts.run,
        scope=facts.scope,
        application=facts.application,
        environment=facts.environment,
        account=facts.account,
        region=facts.region,
        began=events[0].at,
        ended=_ended_at(events),
        outcome=Outcome.FAILED,
        exit_status=Failed.exit_status,
        why="",
        changed=any(event.kind is EventKind.INTENT for event in events),
        who=tuple(_attempts(events)),
        versions=dict(facts.versions),
        failed_at=failed_at,
        failed_why=str(noted.get("why", "")) if failed_at is not None else "",
        rto=None if timing is None else _rto(timing.answered_at, timing.took, timing.objective),
        rpo=_rpo(noted, facts),
        time_spent=()
        if timing is None
        else tuple(
            TimeSpent(name=part.name, title=facts.titles.get(part.name, part.name), seconds=part.took.total_seconds())
            for part in timing.parts
        ),
        steps=tuple(_steps(events, facts.titles)),
        copies=tuple(_copies(noted)),
        proof=_proof(noted),
        plans=tuple(_plans(events)),
        left_open=left,
        accepted_risks=tuple(dict.fromkeys(event.text for event in events if event.data.get("accepted_risks"))),
        made=_made(events, facts.kind),
        journal_sha256=digest(events),
        events=tuple(
            JournalLine(
                seq=one.seq, at=one.at, kind=one.kind.value, step=one.step, text=one.text, data=_as_json(one.data)
            )
            for one in events
        ),
    )
    ended = _ended(events, found) if facts.error is None else _raised(facts.error, events, found)
    outcome = _OUTCOMES.get(ended.exit_status, Outcome.FAILED)
    if facts.error is None and events[-1].kind is EventKind.ENDED and events[-1].text == ABORTED:
        outcome = Outcome.GIVEN_UP
    return replace(found, outcome=outcome, exit_status=ended.exit_status, why=ended.why)


def ended_with(events: Iterable[Event]) -> Mapping[str, Any] | None:
    """Return what a drill that left something noted of its end, as its last line says it; None where it did not get there."""
    told = None if (noted := _note_of_end(events)) is None else noted.data[ENDED_WITH]
    return told if isinstance(told, Mapping) else None


def digest(events: Iterable[Event]) -> str:
    """Return the SHA-256 of a journal's lines, in hex: that of its file."""
    return hashlib.sha256(b"".join(map(_line, events))).hexdigest()


def tells_the_end(one: Bundle, journal_sha256: str) -> bool:
    """Return whether a bundle is what its run, of this journal, owes when it has ended.

    A drill writes one, and that may be before what it left is taken away; a recovery writes one for each attempt, also for
    one that stopped, so only that of the whole journal tells how it ended.
    """
    return one.kind is Kind.DRILL or one.journal_sha256 == journal_sha256


def raised(events: Sequence[Event]) -> Ended | None:
    """Return what the last line of a run says that it was raised out of; None where nothing was."""
    end = next((event for event in reversed(events) if event.kind is EventKind.ENDED), None)
    if end is None or not end.data.get("failed"):
        return None
    return Ended(exit_status=int(end.data.get("exit_status", Failed.exit_status)), why=end.text)


def _ended(events: Sequence[Event], found: Bundle) -> Ended:
    """Return how a run ended whose last attempt nothing was raised out of, the gravest first."""
    if events[-1].kind is EventKind.ENDED and events[-1].text == ABORTED:
        return Ended(exit_status=DONE, why="it was given up")
    if found.left_open:
        names = ", ".join(step.title for step in found.left_open)
        return Ended(exit_status=StoppedPartWay.exit_status, why=f"steps are open: {names}")
    unsound = [*_unsound(found.proof), *_not_compared(found)]
    if unsound:
        return Ended(exit_status=IntegrityFailure.exit_status, why="; ".join(unsound))
    left = _left(events, found)
    if left:
        return Ended(exit_status=CleanUpIncomplete.exit_status, why=left)
    missed = [
        f"{name}: {_against(one)}" for name, one in (("RTO", found.rto), ("RPO", found.rpo)) if one and not one.met
    ]
    without = str(_noted(events).get(NO_CANARY, ""))
    if without:
        missed.append(f"no canary, so nobody knows that what was written last comes back: {without}")
    if missed:
        return Ended(exit_status=OBJECTIVE_MISSED, why="; ".join(missed))
    return Ended(exit_status=DONE, why="")


def _not_compared(found: Bundle) -> list[str]:
    """Return what is wrong where a drill restored a database that nobody compared with anything: it could be an empty one."""
    restores = found.kind is Kind.DRILL and found.scope in ("database", "full")
    if not restores or (found.proof is not None and found.proof.compared_with):
        return []
    return ["what was restored was compared with nothing"]


def _raised(error: Ended, events: Sequence[Event], found: Bundle) -> Ended:
    """Return what an attempt was raised out of, and with it what a drill left: that it failed of something stays what it proved."""
    left = _left(events, found)
    return replace(error, why=f"{error.why}; {left}") if left else error


def _left(events: Iterable[Event], found: Bundle) -> str:
    """Return in words what a drill left that is there still, or was until a sweep took it away; "" where it left nothing."""
    if found.left_over:
        return f"still there: {', '.join(f'{one.type} {one.id}' for one in found.left_over)}"
    left = _texts((ended_with(events) or {}).get("left"))
    return f"left, until it was swept: {', '.join(left)}" if left else ""


def _ended_at(events: Sequence[Event]) -> datetime:
    """Return when a run ended: a drill that left something, or was killed, did so before a sweep took away what it left."""
    noted = _note_of_end(events)
    if noted is not None:
        return noted.at
    if not events[-1].data.get("swept"):
        return events[-1].at
    # A sweep tells what is gone, and writes the end, whenever somebody types it.
    own = [event for event in events[:-1] if "gone" not in event.data]
    return own[-1].at if own else events[-1].at


def _note_of_end(events: Iterable[Event]) -> Event | None:
    noted = [event for event in events if event.kind is EventKind.NOTE and ENDED_WITH in event.data]
    return noted[-1] if noted else None


def _against(one: Measured) -> str:
    measured = "unknown" if one.seconds is None else f"{one.seconds:.0f} s"
    return f"{measured}, of {one.objective_seconds:.0f} s"


def _unsound(proof: Proof | None) -> list[str]:
    if proof is None:
        return []
    both = [proof.works_on_why] if proof.works_on == WorksOn.BOTH.value else []
    return [*proof.missing, *proof.probe_findings, *both]


def found_amiss(one: Bundle) -> list[str]:
    """Return what a run had found amiss before it was cut off, be it while it took away what it had made."""
    proof = one.proof
    found = [] if proof is None else [*proof.missing, *proof.probe_findings]
    stopped = [step.why for step in one.steps if step.outcome == "stopped" and step.why != timings.INTERRUPTED]
    return list(dict.fromkeys([*found, *stopped]))


# -- what was noted ----------------------------------------------------------------------------------------------------


def _noted(events: Iterable[Event]) -> dict[str, Any]:
    """Return what was last noted under each name."""
    found: dict[str, Any] = {}
    for event in events:
        if event.kind is EventKind.NOTE:
            found.update(event.data)
    return found


def _moment(text: object) -> datetime | None:
    return None if not isinstance(text, str) else datetime.fromisoformat(text)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _attempts(events: Iterable[Event]) -> Iterator[Attempt]:
    for event in events:
        if event.kind is EventKind.BEGUN:
            about = {name: str(event.data.get(name, "")) for name in ("user", "host", "machine")}
            yield Attempt(at=event.at, **about)


def _rto(answered_at: datetime | None, took: timedelta, objective: timedelta) -> Measured:
    seconds = None if answered_at is None else took.total_seconds()
    return Measured(
        seconds=seconds,
        objective_seconds=objective.total_seconds(),
        met=seconds is not None and took <= objective,
        how="it does not answer" if answered_at is None else f"it answers since {answered_at:%Y-%m-%d %H:%M:%S}Z",
    )


def _rpo(noted: Mapping[str, Any], facts: Facts) -> Measured | None:
    """Return how much was lost; None where no data was restored."""
    if "rpo_seconds" not in noted:
        return None
    seconds, objective = noted["rpo_seconds"], facts.objectives.rpo_hours * 3600
    return Measured(
        seconds=None if seconds is None else float(seconds),
        objective_seconds=float(objective),
        met=seconds is not None and seconds <= objective,
        how=str(noted.get("known_by", "")),
    )


def _copies(noted: Mapping[str, Any]) -> Iterator[ChosenCopy]:
    if noted.get("copy"):
        yield ChosenCopy(
            asset="database",
            id=str(noted["copy"]),
            kind=str(noted.get("copy_kind", "")),
            why=str(noted.get("why_copy", "")),
            region=str(noted.get("copy_region", "")),
            as_of=_moment(noted.get("as_of")),
            rejected=_rejected(noted.get("other_copies")),
            unseen=_texts(noted.get("unseen")),
        )
    if noted.get("image"):
        yield ChosenCopy(
            asset="instance",
            id=str(noted["image"]),
            kind="image",
            why=str(noted.get("why_image", "")),
            rejected=_rejected(noted.get("rejected")),
        )
    if noted.get("version") and "why_version" in noted:
        yield ChosenCopy(
            asset="state",
            id=str(noted["version"]),
            kind="state version",
            why=str(noted["why_version"]),
            rejected=_rejected(noted.get("other_versions")),
        )


def _rejected(others: object) -> tuple[Rejected, ...]:
    if not isinstance(others, Mapping):
        return ()
    return tuple(Rejected(id=str(name), why=str(why)) for name, why in others.items())


def _proof(noted: Mapping[str, Any]) -> Proof | None:
    if noted.get("tables") is None and not noted.get("probes"):
        return None
    return Proof(
        tables=noted.get("tables"),
        with_rows=noted.get("with_rows"),
        data_until=_moment(noted.get("data_until")),
        known_by=str(noted.get("known_by", "")),
        probes=_texts(noted.get("probes")),
        probe_findings=_texts(noted.get("probe_findings")),
        missing=_texts(noted.get("missing")),
        compared_with=_texts(noted.get("compared_with")),
        not_compared=_texts(noted.get("not_compared")),
        works_on=str(noted.get("works_on", "")),
        works_on_why=str(noted.get("works_on_why", "")),
    )


def _plans(events: Iterable[Event]) -> Iterator[PlanMade]:
    for event in events:
        if event.kind is EventKind.NOTE and "changes" in event.data:
            yield PlanMade(
                at=event.at,
                step=event.step,
                sha256=str(event.data.get(PLAN_SHA256, "")),
                headline=event.text,
                changes=_texts(event.data["changes"]),
            )


# -- steps -------------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Taken:
    """A step of an attempt as it is read from line to line."""

    began: datetime
    ended: datetime
    outcome: Literal["done", "holds", "left-open", "stopped", "cut-off"] = "cut-off"
    of_runner: bool = False  # which writes down that a step ends
    why: str = ""


def _steps(events: Sequence[Event], titles: Mapping[str, str]) -> Iterator[StepTaken]:
    """Return the steps of every attempt. A step's first line is written after its check, so it began at the line before."""
    attempt, before = 0, events[0].at
    taken: dict[tuple[int, str], _Taken] = {}
    for event in events:
        if event.kind is EventKind.BEGUN:
            attempt += 1
        elif event.step:
            one = taken.setdefault((attempt, event.step), _Taken(began=before, ended=event.at))
            one.ended = event.at
            one.of_runner = one.of_runner or event.kind is EventKind.DOING
            open_ = one.of_runner or event.kind is EventKind.INTENT
            one.outcome = _ENDS.get(event.kind, "cut-off" if open_ else "done")
            if event.kind in (EventKind.DOING, EventKind.STOPPED, EventKind.LEFT_OPEN):
                one.why = event.text
        before = event.at
    for (number, name), one in taken.items():
        yield StepTaken(
            name=name,
            title=titles.get(name, name),
            attempt=number,
            began=one.began,
            ended=one.ended,
            seconds=(one.ended - one.began).total_seconds(),
            outcome=one.outcome,
            why=one.why,
        )


def _left_open(events: Sequence[Event], facts: Facts) -> tuple[LeftStep, ...]:
    """Return the steps that the last attempt left open."""
    last = max((number for number, one in enumerate(events) if one.kind is EventKind.BEGUN), default=0)
    return tuple(
        LeftStep(name=one.step, title=facts.titles.get(one.step, one.step), why=one.text)
        for one in events[last:]
        if one.kind is EventKind.LEFT_OPEN
    )


# -- what was made -----------------------------------------------------------------------------------------------------


def _made(events: Sequence[Event], kind: Kind) -> tuple[Made, ...]:
    """Return what was made, and when it was seen to be gone: as a drill's ledger says, else what steps tell of themselves."""
    found: dict[tuple[str, str, str], Made] = {}
    for event in events:
        told = event.data.get(MADE), event.data.get(GONE)
        for about in [_named(told[0])] if isinstance(told[0], Mapping) else _told(event, kind):
            # What is made once more is there again.
            found[about] = Made(type=about[0], id=about[1], region=about[2], made_at=event.at)
        if isinstance(told[1], Mapping) and _named(told[1]) in found:
            found[_named(told[1])] = replace(found[_named(told[1])], gone_at=event.at)
    return tuple(found.values())


def _told(event: Event, kind: Kind) -> Iterator[tuple[str, str, str]]:
    """Return what a step of a recovery made; a drill has a ledger of that."""
    if kind is Kind.DRILL:
        return
    if event.kind is EventKind.INTENT and event.step == "restore" and event.data.get("identifier"):
        yield "aws_db_instance", str(event.data["identifier"]), ""
    elif event.kind is EventKind.RESULT and event.step == "instance" and event.data.get("instance"):
        yield "aws_instance", str(event.data["instance"]), ""


def _named(about: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(about.get("type", "")), str(about.get("id", "")), str(about.get("region", ""))


# -- the journal's own bytes -------------------------------------------------------------------------------------------


def _as_json(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as it is after it was written and read: what a line holds, whichever attempt asks."""
    found: dict[str, Any] = json.loads(json.dumps(dict(data)))
    return found


def _line(event: Event) -> bytes:
    """Return a line as the journal's file holds it, so that the digest is that of the file (clients/journal.py)."""
    document = {
        "seq": event.seq,
        "at": event.at.astimezone(UTC).isoformat(),
        "kind": event.kind.value,
        "step": event.step,
        "text": event.text,
        "data": dict(event.data),
    }
    return (json.dumps(document) + "\n").encode()
