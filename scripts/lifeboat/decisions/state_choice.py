"""Which version of a state to go back to, why that one, and why none of the others."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifeboat.decisions import state_history
from lifeboat.model import Judged, RunId
from lifeboat.state_model import (
    AtTime,
    BeforeRun,
    LatestGood,
    OneVersion,
    StateChoice,
    StateEntry,
    StateHistory,
    WantedVersion,
    Whose,
)

_WRONG_CLOCK = timedelta(days=1)  # by more than that no clock is wrong: the bucket was filled again


def choose(history: StateHistory, wanted: WantedVersion, whose: Whose) -> StateChoice:
    """Return the version that is wanted, where it is fit to be put on top, and why not each of the other entries.

    Fit is what can be read and is the environment's own, by its lineage and by the environment that it says it is of. One
    that is named by its id may stand behind others; else a version whose serial is lower than one before is passed over,
    for it is an old one that somebody put back, and so is what does not go on from the state that is remembered.
    """
    ours = state_history.lineage(history.entries, whose)
    fit = [entry for entry in history.entries if _unfit(entry, ours, whose) is None]
    named = isinstance(wanted, OneVersion)
    behind = {} if named else state_history.backwards(fit)
    astray = {} if named or whose.known is None else state_history.astray(fit, whose.known)
    chosen: StateEntry | None = None
    rejected = []
    for entry in history.entries:
        why = (
            _unfit(entry, ours, whose)
            or _outside(entry, wanted)
            or astray.get(entry.version_id)
            or _lower(entry, behind)
            or (None if chosen is None else f"older than {chosen.version_id}")
        )
        if why is None:
            chosen = entry
        else:
            rejected.append(Judged(what=entry, why=why))
    return StateChoice(
        chosen=chosen,
        why=_why(chosen, wanted),
        rejected=tuple(rejected),
        remarks=() if chosen is None else (*_remarks_on(wanted), *_remarks(history, chosen, whose)),
    )


def before(run: RunId, named: datetime, first: tuple[datetime, datetime] | None) -> BeforeRun:
    """Return that the version from before a run is wanted, which began when its name says, by the clock of S3.

    `first` is when the first line of its journal was written, as the line says and by S3's clock: what lies between them its
    machine was wrong by. A run that began may push a state before it writes that line.
    """
    if first is None:
        return BeforeRun(run=run, began=named, by_name="its journal is not in the bucket")
    said, written = first
    if abs(written - said) > _WRONG_CLOCK:
        return BeforeRun(run=run, began=named, by_name=f"its journal was put there at {written:%Y-%m-%d %H:%M:%S}Z")
    return BeforeRun(run=run, began=named + (written - said))


def _unfit(entry: StateEntry, ours: str | None, whose: Whose) -> str | None:
    if entry.marker:
        return "a delete marker: it has no content"
    if entry.facts is None:
        return f"cannot be read: {entry.damage}"
    return state_history.foreign(entry.facts, ours, whose)


def _outside(entry: StateEntry, wanted: WantedVersion) -> str | None:
    """Return why an entry is not among those that are asked for."""
    match wanted:
        case OneVersion(version_id=version_id):
            return None if entry.version_id == version_id else "not the version that was asked for"
        case AtTime(at=at):
            return None if entry.written_at <= at else f"written after {at:%Y-%m-%d %H:%M:%S}Z"
        case BeforeRun(run=run, began=began):
            return _after_the_run_began(entry.written_at, run, began)
        case LatestGood():
            return None


def _after_the_run_began(at: datetime, run: str, began: datetime) -> str | None:
    # S3 tells whole seconds, cut off, so what has the second of the beginning may be from after it.
    if at <= began - timedelta(seconds=1):
        return None
    same_second = at <= began
    return f"written in the second in which {run} began" if same_second else f"written after {run} began"


def _lower(entry: StateEntry, behind: dict[str, int]) -> str | None:
    highest = behind.get(entry.version_id)
    if highest is None or entry.facts is None:
        return None
    return f"its serial {entry.facts.serial} is lower than {highest}, which was written before it"


def _why(chosen: StateEntry | None, wanted: WantedVersion) -> str:
    match wanted:
        case OneVersion(version_id=version_id):
            return f"version {version_id} " + ("was asked for" if chosen else "is not there, or not fit")
        case AtTime(at=at):
            what = f"written by {at:%Y-%m-%d %H:%M:%S}Z"
        case BeforeRun(run=run, began=began):
            what = f"written before {run} began at {began:%Y-%m-%d %H:%M:%S}Z"
        case LatestGood():
            what = "of all"
    if chosen is None:
        return f"no version {what} is sound" if what != "of all" else "no version is sound"
    return f"the newest sound version {what}"


def _remarks_on(wanted: WantedVersion) -> list[str]:
    """Return what to know of how a version was asked for."""
    if isinstance(wanted, BeforeRun) and wanted.by_name:
        return [
            f"when {wanted.run} began its name alone says, by the clock of the machine that it ran on: {wanted.by_name}"
        ]
    return []


def _remarks(history: StateHistory, chosen: StateEntry, whose: Whose) -> list[str]:
    """Return what to know of the choice that is no reason against it."""
    found = []
    facts = chosen.facts
    lineages = {entry.facts.lineage for entry in history.entries if entry.facts is not None}
    if whose.lineage is None and len(lineages) > 1:
        found.append(
            f"nothing here remembers the lineage of {whose.environment}; {len(lineages)} are in the history, and the one"
            " of most versions was taken for it"
        )
    before = next((e.facts.resources for e in history.entries if e is not chosen and e.facts and e.facts.resources), 0)
    if facts is not None and facts.resources == 0 and before:
        found.append(f"it has no resources, and another version has {before}")
    twins = [
        entry.version_id
        for entry in history.entries
        if facts is not None
        and entry.facts is not None
        and (entry.facts.lineage, entry.facts.serial) == (facts.lineage, facts.serial)
        and entry.md5 != chosen.md5
    ]
    if twins and facts is not None:
        found.append(f"serial {facts.serial} was written more than once, with other content: {', '.join(twins)}")
    return found
