"""The drill of the database: restored from the copy that a recovery would choose, into isolation, and proven to hold its data."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifeboat.decisions import database_choice, decided_copies, drills, evidence
from lifeboat.decisions.decided_copies import DecidedCopy
from lifeboat.decisions.drill_guard import Deed
from lifeboat.drill_model import ThingKind
from lifeboat.errors import Failed, IntegrityFailure, RoleMissing, StepTookTooLong, Unreachable
from lifeboat.model import Gap
from lifeboat.runbooks import (
    database_losses,
    database_proof,
    database_restore,
    drilling,
    next_generation,
    recover_database,
)
from lifeboat.runbooks.recover_database import Made
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn
from lifeboat.stack import drill_effects

# RDS uploads logs every five minutes (RDS user guide, "Restoring to a specified time").
_UPLOADED = timedelta(minutes=20)
_POLL_SECONDS = 10.0
_SOON_SECONDS = 1.0
GENERATION = "drill"  # in the place of g2, g3 …: no apply ever knows it


# -- what is at hand -----------------------------------------------------------------------------------------------------


def database_is_at_hand(c: Recovering) -> Gap | None:
    """Look at what would stop the restore later, as a recovery does before it begins; raises what does."""
    drilling.isolation(c)
    recover_database.require_readable(c)
    recover_database.require_keys(c)
    return None


# -- the canary ----------------------------------------------------------------------------------------------------------


def canary_is_written(c: Recovering) -> Gap | None:
    """Is the canary written, or is it known why none can be?"""
    if c.fact("canary_why") is not None:
        return None
    return Gap(text=f"no canary is written to {c.recovery.database.identifier}")


def write_canary(c: Recovering, turn: Turn) -> None:
    """Write one row to the heartbeat of the database in service, where its copy is one that can still get it.

    Where none can be written the newest beat of the heartbeat tells what was lost, as it does in a recovery, and the drill
    ends with 10: nobody knows then that what was written last comes back.
    """
    serving = c.recovery.database.identifier
    if c.request.copy is not None:
        why = f"{c.request.copy} was made before this drill, so nothing that is written now can be in it"
        turn.note(why, canary=None, canary_why=why)
        return
    thing = drilling.thing(c, ThingKind.DATABASE)
    about = drill_effects.about(Deed.CANARY, thing) | {"id": serving}
    try:
        with turn.effect(f"write a canary to the heartbeat of {serving}", **about) as came:
            at = c.site.canary(c.recovery).write()
            came["canary"] = at.isoformat()
    except (Failed, Unreachable, RoleMissing) as error:
        c.remarks.append(f"without a canary: {error.summary}")
        c.tell.warn(
            f"no canary is written, so nobody will know whether what was written last comes back: {error.summary}"
        )
        turn.note(error.summary, canary=None, canary_why=error.summary, **{evidence.NO_CANARY: error.summary})
        return
    turn.note(f"the canary is the row of {at:%Y-%m-%d %H:%M:%S.%f}Z", canary=at.isoformat(), canary_why="written")


def canary_can_be_restored(c: Recovering) -> Gap | None:
    """Can RDS restore the moment after it?"""
    if c.fact("canary") is None:
        return None
    serving = c.recovery.database.identifier
    until = c.site.database_restores(c.recovery.region).restorable_until(serving)
    why = drills.canary_is_due(datetime.fromisoformat(c.fact("canary")), until)
    return None if why is None else Gap(text=why)


def wait_for_canary(c: Recovering, turn: Turn) -> None:
    """Wait until it can: RDS keeps the log of a database every five minutes."""
    pause = _SOON_SECONDS
    with c.tell.waiting() as show:
        while (gap := canary_can_be_restored(c)) is not None:
            show(gap.text)
            turn.sleep(pause)
            pause = min(_POLL_SECONDS, 1.5 * pause)


def canary_came_back(c: Recovering) -> Gap | None:
    """Is it written down whether the canary is in the restored database?"""
    if c.fact("canary") is None or c.fact("canary_back") is not None:
        return None
    return Gap(text=f"nobody has looked for the canary in {next_generation.named(c)}")


def look_for_canary(c: Recovering, turn: Turn) -> None:
    """Look for it; raises IntegrityFailure where it must be in a copy of that moment and is not."""
    found = next_generation.instance(c)
    if found is None:
        raise Failed("there is no restored database")
    canary, as_of = datetime.fromisoformat(c.fact("canary")), datetime.fromisoformat(c.fact("as_of"))
    there = c.site.canary(next_generation.stack_with(c, found)).has(canary)
    why = None if there else drills.canary_finding(canary, as_of)
    if why is not None:
        raise IntegrityFailure(
            why, hint="lifeboat plan-recovery shows what each copy holds; find out what RDS restored"
        )
    words = "the canary came back" if there else f"the copy is of {as_of:%H:%M:%S}Z, before the canary"
    turn.note(words, canary_back=there)


# -- the copy ------------------------------------------------------------------------------------------------------------


def choose_copy(c: Recovering, turn: Turn) -> None:
    """Choose as a recovery would, and write down the copy, why it and not the others, and the drill's own name for it."""
    made = recover_database.choice_made(c)
    point, found, serving = made.chosen.point, made.choosing, c.recovery.database
    unseen = [f"{one.what} in {one.region}" for one in found.hidden]
    if found.hidden:
        c.remarks.append(f"not everything could be looked at: {database_choice.blind_spots(found.hidden)}")
    if made.chosen.warning:
        c.remarks.append(f"restored {point.id} although {made.chosen.warning}")
    turn.note(
        f"{point.id} ({point.kind.value} of {point.database}): {found.choice.why}",
        raw_size=made.raw_size,
        **decided_copies.facts(_decided(c, made)),
        unseen=unseen,
        why_copy=found.choice.why,
        other_copies={other.id: why for other, why in found.others},
        old_generation=serving.active_generation,
        old_identifier=serving.identifier,
    )


def _decided(c: Recovering, made: Made) -> DecidedCopy:
    return DecidedCopy(
        point=made.chosen.point,
        as_of=made.as_of,
        to=made.to,
        generation=GENERATION,
        identifier=drilling.thing(c, ThingKind.DATABASE).id,
    )


# -- the steps -----------------------------------------------------------------------------------------------------------

RESTORED = "proof"  # when it holds, the data is back: the clock stops
CANARY: tuple[Step[Recovering], ...] = (
    Step(
        name="preflight",
        title="Look at everything that the restore needs",
        check=database_is_at_hand,
    ),
    Step(name="canary", title="Write a canary to the database in service", check=canary_is_written, do=write_canary),
    Step(
        name="window",
        title="Wait until a restore would bring it back",
        check=canary_can_be_restored,
        do=wait_for_canary,
        limit=_UPLOADED,
        may_stay_open=(StepTookTooLong,),
    ),
)
DATA: tuple[Step[Recovering], ...] = (
    Step(
        name="copy",
        title="Choose the copy that a recovery would take",
        check=recover_database.copy_is_chosen,
        do=choose_copy,
    ),
    *database_restore.MADE,
    Step(
        name="canary-back", title="Look for the canary in what was restored", check=canary_came_back, do=look_for_canary
    ),
    database_losses.COMPARED,
    database_proof.NOTED,
)
STEPS: tuple[Step[Recovering], ...] = (*CANARY, drilling.DECLARED, *DATA)
