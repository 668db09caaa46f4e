"""What the history of a state tells as a whole: whose it is, what is amiss with it, which run wrote which version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.model import RunId, StateMark
from lifeboat.state_model import (
    REBUILT,
    RunSpan,
    StateEntry,
    StateFacts,
    StateHistory,
    StateWarning,
    VersionId,
    Whose,
)

DOCTOR = "lifeboat state doctor"
_NAMED = 3  # of the versions that a warning is about


def lineage(entries: Sequence[StateEntry], whose: Whose) -> str | None:
    """Return the lineage that is the environment's: the remembered one, else that of most readable versions.

    Of two that have as many, the one that was there first. None where nothing is remembered and nothing can be read.
    """
    if whose.lineage is not None:
        return whose.lineage
    # Oldest first: of equal counts, most_common gives the one that was counted first.
    found = Counter(entry.facts.lineage for entry in reversed(entries) if entry.facts is not None)
    return found.most_common(1)[0][0] if found else None


def foreign(facts: StateFacts, ours: str | None, whose: Whose) -> str | None:
    """Return why a state is not this environment's; None where nothing says so."""
    if ours is not None and facts.lineage != ours:
        return f"of another lineage ({facts.lineage}, not {ours})"
    if facts.environment not in (None, whose.environment):
        return f"of environment {facts.environment}"
    return None


def backwards(entries: Sequence[StateEntry]) -> dict[str, int]:
    """Return the versions whose serial is lower than that of one written before, with the highest serial before.

    Lineages are apart from each other: each counts its own serials.
    """
    highest: dict[str, int] = {}
    found: dict[str, int] = {}
    for entry in reversed(entries):
        if entry.facts is None:
            continue
        before = highest.get(entry.facts.lineage, -1)
        if entry.facts.serial < before:
            found[entry.version_id] = before
        highest[entry.facts.lineage] = max(before, entry.facts.serial)
    return found


# -- whether it goes on from the state that is remembered ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fork:
    """Where a history leaves the state that is remembered: from `other` on, nothing goes on from `kept`.

    `kept` is the newest version that does; None where the remembered state is none of the versions, though older ones are.
    """

    kept: StateEntry | None
    other: StateEntry


@dataclass(frozen=True, kw_only=True)
class _Line:
    """The versions that go on from the remembered state (`ids`), and where the history leaves them for good."""

    ids: frozenset[VersionId]
    fork: Fork | None


def fork(entries: Sequence[StateEntry], known: StateMark) -> Fork | None:
    """Return where the history leaves the remembered state; None where what was written last goes on from it.

    A serial that is not higher than the one before, with other content, is of somebody who did not know that one: what it
    made is in nothing that comes after. What lifeboat made of a version of the right line is on that line again.
    """
    return _line(entries, known).fork


def may_fork(below: StateEntry | None, known: StateMark) -> bool:
    """Return whether a history may leave the remembered state although that stands on top: an older one was put back there.

    It does not where what lies right below it comes before it. Of what nobody can read, or is of another lineage, nobody
    knows what lies below that.
    """
    if below is None:
        return False
    return below.facts is None or below.facts.lineage != known.lineage or below.facts.serial >= known.serial


def astray(entries: Sequence[StateEntry], known: StateMark) -> dict[VersionId, str]:
    """Return the versions since the remembered state that do not go on from it, each with why not."""
    ids = _line(entries, known).ids
    return {
        entry.version_id: f"it does not go on from serial {known.serial}, which is remembered"
        for entry in entries
        if entry.facts is not None and entry.facts.lineage == known.lineage and entry.version_id not in ids
    }


def _line(entries: Sequence[StateEntry], known: StateMark) -> _Line:
    ours = [(e, e.facts.serial) for e in reversed(entries) if e.facts is not None and e.facts.lineage == known.lineage]
    begin = next((number for number, (entry, _) in enumerate(ours) if entry.md5 == known.md5), None)
    if begin is None:
        return _line_without(ours, known)
    kept, highest = ours[begin]
    ids = {REBUILT, *(entry.version_id for entry, _ in ours[: begin + 1])}
    other: StateEntry | None = None
    for entry, serial in ours[begin + 1 :]:
        if serial > highest and (other is None or entry.made_of in ids):
            kept, other = entry, None
            ids.add(entry.version_id)
        elif entry.md5 == kept.md5 and other is None:
            ids.add(entry.version_id)
        else:
            other = other or entry
        highest = max(highest, serial)
    return _Line(ids=frozenset(ids), fork=None if other is None else Fork(kept=kept, other=other))


def _line_without(ours: Sequence[tuple[StateEntry, int]], known: StateMark) -> _Line:
    """Judge a history that has not the remembered state: it left by its age, with all before it, or was never there."""
    later = [entry for entry, serial in ours if serial >= known.serial]
    aged = all(serial > known.serial for _, serial in ours)
    ids = frozenset(entry.version_id for entry, serial in ours if aged or serial < known.serial)
    return _Line(ids=ids, fork=None if aged or not later else Fork(kept=None, other=later[0]))


# -- what is amiss -----------------------------------------------------------------------------------------------------


def warnings(history: StateHistory, whose: Whose) -> list[StateWarning]:
    """Return what is amiss with a history, what stands on top first."""
    ours = lineage(history.entries, whose)
    found = [*_on_top(history), *_digest(history)]
    strange = [e for e in history.entries if e.facts is not None and foreign(e.facts, ours, whose) is not None]
    if strange:
        reason = foreign(strange[0].facts, ours, whose) if strange[0].facts is not None else ""
        found.append(f"{_versions(strange)} not this environment's: {reason}")
    lower = backwards(history.entries)
    if lower:
        behind = [entry for entry in history.entries if entry.version_id in lower]
        highest = lower[behind[0].version_id]
        serial = behind[0].facts.serial if behind[0].facts is not None else 0
        found.append(f"serials go backwards: {_versions(behind)} behind one before (serial {serial} after {highest})")
    return [StateWarning(what=what, next=DOCTOR) for what in found]


def _versions(entries: Sequence[StateEntry]) -> str:
    names = ", ".join(entry.version_id for entry in entries[:_NAMED])
    more = f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else ""
    return f"version {names} is" if len(entries) == 1 else f"{len(entries)} versions ({names}{more}) are"


def _on_top(history: StateHistory) -> list[str]:
    top = history.current
    if top is None:
        return ["nothing stands on top: the state has older versions and no latest one"]
    if top.marker:
        return [f"the state was deleted at {top.written_at:%Y-%m-%d %H:%M:%S}Z: a delete marker is the latest"]
    if top.facts is None:
        return [f"the latest version is no state that can be read: {top.damage}"]
    return []


def _digest(history: StateHistory) -> list[str]:
    top = history.current
    if not history.keeps_digest or top is None:
        return []
    if history.digest is None:
        return ["there is no digest, so Terraform takes whatever stands there"] if not top.marker else []
    if top.md5 == history.digest:
        return []
    whose = next((entry.version_id for entry in history.entries if entry.md5 == history.digest), None)
    of = "of no version that is left" if whose is None else f"of version {whose}"
    return [f"the digest is not that of the latest version, so every Terraform command is refused: it is {of}"]


# -- who wrote what ----------------------------------------------------------------------------------------------------


def writers(entries: Iterable[StateEntry], spans: Iterable[RunSpan], longest: timedelta) -> dict[str, RunSpan]:
    """Return by version the recorded run in whose time it was written, for versions that do not say who wrote them.

    Of runs that overlap the one that began last. One that never said that it ended wrote until the next began, and no
    longer after its last sign of life than an apply may take (`longest`). What is no state was written by no run: Terraform
    writes states, and each of them whole.
    """
    ordered = sorted(spans, key=lambda span: span.begun)
    nexts = [span.begun for span in ordered[1:]]
    timed = [
        (span, span.ended or min([span.last + longest, *nexts[number : number + 1]]))
        for number, span in enumerate(ordered)
    ]
    found = {}
    for entry in entries:
        if entry.by is None and (entry.facts is not None or entry.marker):
            fitting = [span for span, ended in timed if _during(entry.written_at, span.begun, ended)]
            if fitting:
                found[str(entry.version_id)] = fitting[-1]
    return found


def _during(at: datetime, begun: datetime, ended: datetime) -> bool:
    # S3 tells whole seconds, cut off: what was written in the second that a run began in may be the run's.
    return begun - timedelta(seconds=1) < at <= ended


def signed(
    entries: Iterable[StateEntry], written: dict[str, RunSpan], who: Callable[[RunId], str]
) -> tuple[StateEntry, ...]:
    """Return the entries with who wrote them, as far as the times of runs tell: that is a guess, and told as one.

    `who` is asked for runs that do not know whose they are.
    """
    found = []
    for entry in entries:
        span = written.get(str(entry.version_id))
        if span is None:
            found.append(entry)
        else:
            whose = f"{span.by or who(span.run)}, run {span.run}"
            how = f"probably {whose}" if span.ended else f"unknown; {whose}, was begun and has not ended"
            found.append(replace(entry, by=how))
    return tuple(found)
