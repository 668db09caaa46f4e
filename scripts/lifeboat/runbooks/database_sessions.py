"""The step that asks the databases themselves on which of them the application works, once it answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from lifeboat.clients.database_answers import DatabaseAnswers
from lifeboat.decisions import database_sessions, recoveries
from lifeboat.decisions.database_sessions import Clients, Finding
from lifeboat.errors import IntegrityFailure, LifeboatError
from lifeboat.model import Gap, WorksOn
from lifeboat.runbooks import database_losses, next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn

# An application may connect only when it is asked something: so often it is looked for, and its health asked before.
_LOOKS, _POLL_SECONDS = 10, 3.0
_LONGEST_LOOK_SECONDS = 180.0  # two databases of which each may take 10 s to connect and a minute to answer


def is_asked(c: Recovering) -> Gap | None:
    """Is it written down on which database the application works?"""
    if c.fact("sessions_of") == c.fact("identifier") is not None:
        return None
    return Gap(text=f"nobody has asked {next_generation.named(c)} whether the application works on it")


def ask(c: Recovering, turn: Turn) -> None:
    """Look for its sessions in the new database and in the old one; on the old one it must not stay, whatever it answers."""
    found = _found(c)
    for _ in range(_LOOKS):
        if found.works_on in (WorksOn.NEW, WorksOn.NEW_AT_LEAST) or turn.seconds_left < _LONGEST_LOOK_SECONDS:
            break
        turn.sleep(_POLL_SECONDS)
        c.health()
        found = _found(c)
    if found.works_on is WorksOn.OLD:
        raise IntegrityFailure(
            f"the application answers from {c.fact('old_identifier')}: {found.why}",
            hint=f"where does it read its database from? After the restart it must read the secret {c.recovery.secrets.name};"
            f" once it does: lifeboat app restart -e {c.site.project.env}",
        )
    if found.works_on is WorksOn.BOTH:
        c.agree(
            [
                f"end the recovery although something of the application is still connected to the old database: {found.why}"
            ]
        )
    if found.works_on is WorksOn.NEW_AT_LEAST:
        c.tell.warn(f"nobody knows whether something of the application works on the old database too: {found.why}")
    if found.works_on is WorksOn.UNKNOWN:
        c.tell.warn(f"nobody knows on which database the application works: {found.why}")
    turn.note(found.why, sessions_of=c.fact("identifier"), works_on=found.works_on.value, works_on_why=found.why)


def _found(c: Recovering) -> Finding:
    new, old, serving = str(c.fact("identifier")), str(c.fact("old_identifier")), c.recovery
    ordered = recoveries.ordered_anew(c.journal.events, database=new, instance=serving.app.instance_id)
    return database_sessions.judged(
        _clients(new, lambda: c.site.database_answers(serving)),
        _clients(old, lambda: database_losses.old_one(c, old)),
        user=serving.database.username,
        started=ordered or c.began,
    )


def _clients(identifier: str, who: Callable[[], DatabaseAnswers | str]) -> Clients:
    """Return who is connected; what cannot be asked, or found out by AWS, stops no recovery of an application that answers."""
    try:
        asked = who()
        if isinstance(asked, str):
            return Clients(identifier=identifier, sessions=None, why=asked, gone=asked == database_losses.GONE)
        return Clients(identifier=identifier, sessions=asked.sessions())
    except LifeboatError as error:
        return Clients(identifier=identifier, sessions=None, why=error.summary)


ASKED: Step[Recovering] = Step(
    name="sessions",
    title="Ask the new database whether the application works on it",
    check=is_asked,
    do=ask,
    limit=timedelta(minutes=10),
)
