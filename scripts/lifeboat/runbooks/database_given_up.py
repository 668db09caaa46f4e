"""What becomes of a restored database when its recovery is given up."""

from __future__ import annotations

import socket

from lifeboat.database_model import RestoredInstance
from lifeboat.decisions import databases, generations, giving_up, recoveries
from lifeboat.decisions.generations import Known
from lifeboat.decisions.giving_up import Unrecorded
from lifeboat.errors import Refused
from lifeboat.model import EventKind
from lifeboat.runbooks import database_restore, next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Turn
from lifeboat.stack import database_copies, recovery_file


def require_may(c: Recovering) -> None:
    """Raise Refused, before anything is changed, where an apply that was cut off may have led the application to it."""
    found = None if _adopted(c) else next_generation.instance(c)
    if found is None:
        return
    why = giving_up.why_not(_unrecorded(c, found))
    if why is not None:
        raise Refused(
            f"{why}: an apply that adopts it was cut off, and the application may work on it",
            hint=f"lifeboat resume {c.journal.run} -e {c.site.project.env}, which ends the adoption",
        )


def _adopted(c: Recovering) -> bool:
    return c.fact("generation") in database_copies.recorded(c.site)


def _unrecorded(c: Recovering, found: RestoredInstance) -> Unrecorded:
    return Unrecorded(
        identifier=found.identifier,
        address=found.address,
        marked=next_generation.is_of_this_run(c, found),
        seen=next_generation.was_seen_as_ours(c),
        adopting=recoveries.is_adopting(c.journal.events),
        broken=databases.is_broken(found.status),
        leads_to=_leads_to(c),
    )


def _leads_to(c: Recovering) -> str:
    """Return the host that the application's secret names."""
    recovery = c.recovery
    return c.site.secrets(recovery.region).entry(recovery.secrets.name, "host").reveal()


def given_up(c: Recovering, turn: Turn) -> list[str]:
    """Take away what no apply has carried out, first the file's word of it, then the instance; return what remains.

    In the other order, an apply after a cut in between would adopt an instance that is being deleted.
    """
    new, name = c.fact("generation"), c.fact("identifier")
    if new is None:
        return []
    if _adopted(c):
        return [
            f"{name} is adopted by Terraform and stays: lifeboat plan -e {c.site.project.env} shows how things stand"
        ]
    told = _take_out_of_file(c, turn, new)
    found = next_generation.instance(c)
    if found is None:
        return [*told, *_left_by(c)]
    stays = giving_up.stays(_unrecorded(c, found))
    if stays is not None:
        return [*told, stays]
    database_restore.take_away(c, turn, found)
    return [*told, f"{name}, which this recovery restored and Terraform does not know, is being deleted"]


def _take_out_of_file(c: Recovering, turn: Turn, new: str) -> list[str]:
    """Take the generation out of the recovery file of this checkout; return in words which files name it, or did."""
    hosts, file = recoveries.wrote_generations(c.journal.events), f"environments/{c.site.project.recovery_file.name}"
    text, told = recovery_file.text(c.site), []
    if hosts and generations.names(text, new):
        wrote = [e for e in c.journal.events if e.kind is EventKind.INTENT and e.step == "database-file"]
        known = Known(recorded=database_copies.recorded(c.site), active=c.recovery.database.active_generation)
        wanted = generations.given_up(text, wrote[0].data.get("before") if wrote else None, known)
        with turn.effect(f"take {new} out of {file}") as came:
            recovery_file.write(c.site, wanted)
            came[recoveries.TAKEN_OUT] = socket.gethostname()
        told.append(f"{file} no longer names {new}")
    others = [host for host in hosts if host not in recoveries.taken_out(c.journal.events)]
    told += [
        f"{file} of the checkout on {host} may still name {new}: take it out there, else the next apply from there fails"
        for host in others
    ]
    return told


def _left_by(c: Recovering) -> list[str]:
    """Return in words where the application is led, where an apply that was cut off may have led it to what is gone."""
    if not recoveries.is_adopting(c.journal.events):
        return []
    leads_to = _leads_to(c)
    if leads_to == c.recovery.database.address:
        return []
    return [
        f"the application's secret leads to {leads_to}, where no database of Terraform's is, and no apply leads it back:"
        f" lifeboat recover --scope database -e {c.site.project.env} does"
    ]
