"""The database's next generation as a recovery has decided on it: its name, its instance, how it is reached."""

from __future__ import annotations

from lifeboat.clients.database_restores import RUN_TAG
from lifeboat.database_model import LATEST_DUMP, PointKind, RestoredInstance, dump_begun_at
from lifeboat.decisions import decided_copies, recoveries
from lifeboat.decisions.decided_copies import DecidedCopy
from lifeboat.errors import ChoiceGone, Failed
from lifeboat.model import Recovery
from lifeboat.runbooks.recovering import Recovering

MAINTENANCE = "postgres"  # the database that one is connected to while another is made anew


def named(c: Recovering) -> str:
    """Return what the restored database is called; in a preview nobody knows yet."""
    return str(c.fact("identifier") or "the next generation")


def decided(c: Recovering) -> DecidedCopy:
    """Return the copy that was decided on; raises Failed where none is."""
    found = decided_copies.decided(c.fact)
    if found is None:
        raise Failed("no copy is decided on")
    return found


def instance(c: Recovering) -> RestoredInstance | None:
    """Return its instance; None where there is none yet, or no copy is decided on."""
    name = c.fact("identifier")
    return None if name is None else c.site.database_restores(c.recovery.region).instance(name)


def is_of_this_run(c: Recovering, found: RestoredInstance) -> bool:
    """Whether the instance bears the mark of this recovery: made by it, adopted by nobody, serving nobody."""
    return found.tags.get(RUN_TAG) == c.journal.run


def was_seen_as_ours(c: Recovering) -> bool:
    """Whether this recovery has found it to be its own before, with the mark that an adoption takes off."""
    return recoveries.is_ours(c.journal.events)


def require_of_this_run(c: Recovering, found: RestoredInstance) -> None:
    """Raise ChoiceGone where it does not: nothing in it may be touched then."""
    if not is_of_this_run(c, found):
        raise ChoiceGone(
            f"{found.identifier} does not bear the mark of this recovery, so nothing in it is emptied",
            hint=f"lifeboat abort {c.journal.run} -e {c.site.project.env}, then recover anew: another name is taken",
        )


def stack_with(c: Recovering, found: RestoredInstance) -> Recovery:
    """Return the stack's output as it will be once this instance serves; raises Failed where RDS tells no address of it."""
    serving = c.recovery.database
    if found.address is None:
        # To libpq an empty one is whatever server this machine has.
        raise Failed(f"RDS tells no address of {found.identifier}, which is {found.status}")
    there = serving.model_copy(
        update={
            "identifier": found.identifier,
            "address": found.address,
            "port": found.port or serving.port,
            "password_secret_arn": found.password_secret_arn,
        }
    )
    return c.recovery.model_copy(update={"database": there})


def stack_to_sign_in(c: Recovering, found: RestoredInstance) -> Recovery:
    """Return the same, naming a database that is there: the one that a dump goes into may just be none."""
    there = stack_with(c, found)
    if is_from_dump(c):
        there = there.model_copy(update={"database": there.database.model_copy(update={"name": MAINTENANCE})})
    return there


def is_from_dump(c: Recovering) -> bool:
    """Whether it comes from a dump; before a copy is decided on, whether one was asked for."""
    kind = c.fact("copy_kind")
    if kind is not None:
        return bool(kind == PointKind.DUMP.value)
    named = c.request.copy
    return named is not None and (named == LATEST_DUMP or dump_begun_at(named) is not None)
