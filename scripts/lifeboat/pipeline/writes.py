"""Writing a plan of variables to GitLab: each re-read before it is written, all put back when one of them fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from lifeboat.clients.gitlab import GitLab
from lifeboat.clients.sync_journal import SyncJournal
from lifeboat.decisions import variable_changes
from lifeboat.decisions.variable_changes import same, unlike
from lifeboat.errors import Failed, IntegrityFailure, Interrupted, LifeboatError, Refused, StoppedPartWay, Unreachable
from lifeboat.gitlab_model import Doing, SyncPlan, Variable, VariableChange

TRIES = 3


class OnFailure(StrEnum):
    """What becomes of the variables that were written before one failed."""

    PUT_BACK = "put back"
    LEAVE = "leave"


@dataclass(frozen=True, kw_only=True)
class Scribe:
    """Who writes: the client, the journal, whom to tell, and what happens when something fails."""

    client: GitLab
    journal: SyncJournal
    tell: Callable[[str], None]
    on_failure: OnFailure = OnFailure.PUT_BACK
    again: str = "run the same command again"


@dataclass
class _Sent:
    """A change that was sent, and what GitLab answered; `settled` once GitLab has said whether it was carried out."""

    change: VariableChange
    answer: Variable | None = None
    settled: bool = False


def write(plan: SyncPlan, scribe: Scribe) -> None:
    """Write a plan in its order and verify it. On any failure GitLab is as it was before, or the error names what is not.

    Raises Refused when somebody else changed a variable since the plan was made.
    """
    if not plan.writes:
        return
    sent: list[_Sent] = []
    scribe.journal.begin("write", plan.writes)
    try:
        for number, change in enumerate(plan.writes, 1):
            _write(change, scribe, sent)
            scribe.tell(f"  {number} of {len(plan.writes)}: {change.doing.value} {change.name}")
        missed = variable_changes.missed(plan.changes, scribe.client.variables())
        if missed:
            raise IntegrityFailure("GitLab does not have what was written:\n" + "\n".join(f"  {m}" for m in missed))
    except (LifeboatError, KeyboardInterrupt, OSError) as problem:
        raise _ended(_stopped(problem), sent, scribe) from None
    scribe.journal.end("done")


def _stopped(problem: LifeboatError | KeyboardInterrupt | OSError) -> LifeboatError:
    if isinstance(problem, LifeboatError):
        return problem
    if isinstance(problem, OSError):  # the journal's: a full disk
        return Failed(f"cannot write {problem.filename or 'the journal'}: {problem.strerror}")
    return Interrupted("stopped on request")


def _ended(problem: LifeboatError, sent: list[_Sent], scribe: Scribe) -> LifeboatError:
    """Put back what was sent and return the error to raise, which says what became of it."""
    how = type(problem).__name__
    if not sent:
        _note_end(scribe, f"failed, nothing written: {how}")
        return problem
    if scribe.on_failure is OnFailure.LEAVE:
        _note_end(scribe, f"failed, left as it is: {how}")
        names = ", ".join(str(one.change.name) for one in sent)
        return StoppedPartWay(f"{problem.summary}\n  written before, and left so: {names}", hint=scribe.again)
    scribe.tell(f"{problem.summary}; putting back what was written")
    left = _put_back(sent, scribe)
    if left:
        _note_end(scribe, f"failed, not all put back: {how}")
        lines = "\n".join(f"  NOT put back: {line}" for line in left)
        hint = f"{scribe.again}: it writes what is missing"
        if isinstance(problem, Unreachable):
            # Who called knows what to do without GitLab, and a recovery goes on; what is left half-written is named.
            problem.summary, problem.hint = f"{problem.summary}\n{lines}", hint
            return problem
        return Failed(f"{problem.summary}\n{lines}", hint=hint)
    _note_end(scribe, f"failed, put back: {how}")
    problem.summary += "\n  GitLab is as it was: what was written before is put back"
    if not sent[-1].settled:
        # A request whose answer nobody waits for any more may still be on its way through GitLab.
        problem.summary += (
            f"\n  the last request, for {sent[-1].change.name}, may still be carried out: look again later"
        )
    return problem


def _note_end(scribe: Scribe, how: str) -> None:
    # Where the journal cannot be written, putting back matters more.
    with suppress(OSError):
        scribe.journal.end(how)


# -- forward -----------------------------------------------------------------------------------------------------------


def _write(change: VariableChange, scribe: Scribe, sent: list[_Sent]) -> None:
    """Write one change, once, however many answers get lost on the way."""
    _require_unchanged(change, scribe.client.variable(change.name))
    note = _Sent(change=change)
    for attempt in range(1, TRIES + 1):
        if attempt == 1:
            scribe.journal.writing(change)
            sent.append(note)
        try:
            note.answer = _send(change, scribe.client)
            note.settled = True
        except Unreachable as lost:
            # Whether it was carried out nobody knows but GitLab, so look before doing it again.
            found = scribe.client.variable(change.name)
            if same(found, change.after) and not _unseen(found):
                note.answer, note.settled = found, True
                return
            if found is not None and same(found, change.after):
                change = _value_again(change)
            else:
                _require_unchanged(change, found)
            if attempt == TRIES:
                raise
            scribe.tell(f"{lost.summary}; it was not done, so trying again")
        except LifeboatError:
            note.settled = True  # refused, in so many words
            raise
        else:
            return


def _send(change: VariableChange, client: GitLab) -> Variable | None:
    """Send one change and return the variable as GitLab answers it; raises where that is not what was asked for."""
    if change.after is None:
        client.delete(change.name)
        return None
    if change.doing is Doing.CREATE:
        made = client.create(change.after)
        if made is None:
            found = client.variable(change.name)
            if same(found, change.after) and not _unseen(found):
                return found  # somebody else wanted the very same
            raise _changed_meanwhile(change, found)
        if not same(made, change.after):
            # An older GitLab drops what it does not know: hidden, or the scope. What it made of it must not stay.
            client.delete(made.name)
            raise IntegrityFailure(
                f"GitLab made {made.name} otherwise than asked (it {_otherwise(made, change.after)}); it was deleted again",
                hint="lifeboat gitlab doctor shows the version; hidden variables take 17.4 or newer",
            )
        return made
    changed = client.change(change)
    if changed is None:
        raise _changed_meanwhile(change, None)
    if not same(changed, change.after):
        raise IntegrityFailure(
            f"GitLab changed {change.name} otherwise than asked: it {_otherwise(changed, change.after)}"
        )
    return changed


def _otherwise(found: Variable, asked: Variable) -> str:
    return f"has the scope {found.name.scope}" if found.name != asked.name else unlike(found, asked)


def _unseen(found: Variable | None) -> bool:
    return found is not None and found.hidden


def _value_again(change: VariableChange) -> VariableChange:
    """Return the change that writes the value of a hidden variable once more: nobody can see which one it has."""
    if change.doing is not Doing.CREATE:
        return change
    return replace(change, doing=Doing.REWRITE, before=change.after, attributes=("value",))


def _require_unchanged(change: VariableChange, found: Variable | None) -> None:
    if not same(found, change.before):
        raise _changed_meanwhile(change, found)


def _changed_meanwhile(change: VariableChange, found: Variable | None) -> Refused:
    return Refused(
        f"{change.name} was changed by somebody else since the plan was made: it {unlike(found, change.before)}",
        hint="look at the new plan: lifeboat gitlab plan",
    )


# -- back --------------------------------------------------------------------------------------------------------------


def _put_back(sent: list[_Sent], scribe: Scribe) -> list[str]:
    """Take back what was sent, last first; return what could not be, and why, by variable."""
    left = []
    for one in reversed(sent):
        try:
            why = _one_back(one, scribe)
        except LifeboatError as problem:
            why = problem.summary
        if why:
            left.append(f"{one.change.name}: {why}")
            continue
        with suppress(OSError):
            scribe.journal.undone(one.change)
    return left


def _one_back(one: _Sent, scribe: Scribe) -> str:
    """Put one variable back; return why not all of it could be, nothing when it is as it was."""
    change, client = one.change, scribe.client
    unseen = (
        "GitLab hides its old value from everybody, so nobody can put it back"
        if variable_changes.for_good(change)
        else ""
    )
    found = client.variable(change.name)
    if same(found, change.before):
        return unseen
    if not same(found, change.after) and not (one.answer is not None and same(found, one.answer)):
        return "somebody else has changed it since"
    undo = variable_changes.back(change)
    if undo is None:
        return unseen
    for attempt in range(1, TRIES + 1):
        try:
            _send(undo, client)
        except Unreachable:
            found = client.variable(change.name)
            if same(found, change.before):
                return unseen
            if attempt == TRIES:
                raise
        else:
            break
    return unseen
