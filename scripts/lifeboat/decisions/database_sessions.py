"""On which database the application works after a recovery, judged by who is connected to the new one and to the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lifeboat.database_model import ClientSession
from lifeboat.model import WorksOn

# An operator's or a backup's, and the heartbeat of the application's host (modules/app-instance): they say nothing of it.
_TOOLS = ("psql", "pg_dump", "pg_dumpall", "pg_restore", "lifeboat")
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Clients:
    """Who is connected to a database; `sessions` None and in words why where it could not be asked; `gone`: nobody can be."""

    identifier: str
    sessions: Sequence[ClientSession] | None
    why: str = ""
    gone: bool = False

    @property
    def unasked(self) -> bool:
        """Whether somebody may be connected that nobody could see."""
        return self.sessions is None and not self.gone


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Which database the application works on as far as anybody can tell, and how that is known."""

    works_on: WorksOn
    why: str


def judged(new: Clients, old: Clients, *, user: str, started: datetime) -> Finding:
    """Return on which of the two an application works that signs in as a user, and was ordered to start anew at a moment.

    In the old one only sessions from after that moment count: a host that is gone leaves its own there for hours (tcp
    keepalive). A pool may be empty while nobody asks anything, so no session at all says nothing; nor do those of others:
    a program that watches databases is in both, or in one of them, whatever the application does.
    """
    there = _of_applications(new.sessions or ())
    behind = [one for one in _of_applications(old.sessions or ()) if one.since is not None and one.since > started]
    on_new, on_old = (any(one.user == user for one in found) for found in (there, behind))
    alone = WorksOn.NEW_AT_LEAST if old.unasked else WorksOn.NEW
    which = {(True, True): WorksOn.BOTH, (True, False): alone, (False, True): WorksOn.OLD}
    # What could not be asked may hold its sessions.
    unknown = not on_new and new.sessions is None
    works_on = WorksOn.UNKNOWN if unknown else which.get((on_new, on_old), WorksOn.UNKNOWN)
    if there:
        has = f"{new.identifier} has sessions of {_words(there)}{'' if on_new else f', none of {user}'}"
        also = f", and {old.identifier} has new ones of {_words(behind)}" if behind else ""
        also = f", and {old.identifier} {_none(old)}" if old.unasked else also
        return Finding(works_on=works_on, why=f"{has}{also}")
    why = f"{new.identifier} {_none(new)}, and {old.identifier} "
    if behind:
        return Finding(works_on=works_on, why=f"{why}has some that began since it was started anew: {_words(behind)}")
    return Finding(works_on=works_on, why=f"{why}{_none(old, since=' that began since')}")


def _of_applications(sessions: Sequence[ClientSession]) -> list[ClientSession]:
    return [one for one in sessions if not one.program.startswith(_TOOLS)]


def _none(clients: Clients, *, since: str = "") -> str:
    return (
        f"could not be asked ({clients.why})"
        if clients.sessions is None
        else f"has no session of an application{since}"
    )


def _words(sessions: Sequence[ClientSession]) -> str:
    """Return as whom, by what and from where they are connected, each once."""
    said = dict.fromkeys(
        f"{one.user}{f' ({one.program})' if one.program else ''}{f' from {one.address}' if one.address else ''}"
        for one in sessions
    )
    more = [f"{len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
    return ", ".join([*list(said)[:_SHOWN], *more])
