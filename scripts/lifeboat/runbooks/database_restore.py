"""The steps that make the next generation of the database from its copy, until it takes connections and keeps backups."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from lifeboat.database_model import InstanceSettings, RestoredInstance, RestoreOrder
from lifeboat.decisions import databases, decided_copies, drills, generations, retirement
from lifeboat.errors import ChoiceGone, Failed, IntegrityFailure, NothingFits, NotYet, StoppedPartWay, Unreachable
from lifeboat.model import Gap
from lifeboat.runbooks import database_proof, dump_restore, next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn
from lifeboat.stack import database_copies

_POLL_SECONDS = 5.0
_SOON_SECONDS = 1.0
_MISSED = 12  # polls in which RDS may not show yet what was ordered of it; what is missed for longer is ordered anew
_RESTORE_LIMIT = timedelta(hours=12)


def is_restored(c: Recovering) -> Gap | None:
    """Does the new generation's instance take connections?"""
    name = c.fact("identifier")
    if name is None:
        return Gap(text="no copy is decided on")
    found = next_generation.instance(c)
    if found is None:
        return Gap(text=f"{name} does not exist")
    if not next_generation.was_seen_as_ours(c) and not next_generation.is_of_this_run(c, found):
        raise ChoiceGone(
            f"there is a database {name} that this recovery did not make",
            hint=f"lifeboat abort {c.journal.run} -e {c.site.project.env}, then recover anew: another name is taken",
        )
    if found.status == "deleting":
        raise ChoiceGone(
            f"{name} is being deleted: this recovery was being given up",
            hint=f"lifeboat abort {c.journal.run} -e {c.site.project.env}, then recover anew",
        )
    _require_whole(c, found)
    return None if found.usable else Gap(text=f"{name} is {found.status}")


def _require_whole(c: Recovering, found: RestoredInstance) -> None:
    """Raise ChoiceGone where RDS says that nothing will come of the instance."""
    if databases.is_broken(found.status):
        raise ChoiceGone(f"{found.identifier} is {found.status}: {c.fact('copy')} cannot be restored", hint=_another(c))


def _another(c: Recovering) -> str:
    """Return how to recover from another copy."""
    env = c.site.project.env
    return (
        f"lifeboat abort {c.journal.run} -e {env}, lifeboat plan-recovery -e {env}, then lifeboat recover --scope"
        f" {c.request.scope.value} --from ANOTHER -e {env}"
    )


def restore(c: Recovering, turn: Turn) -> None:
    """Order the restore with the settings of the serving instance, of a dump an empty one, and wait until it answers."""
    missed, pause = _MISSED, _SOON_SECONDS
    with c.tell.waiting() as show:
        while (gap := is_restored(c)) is not None:
            missed = missed + 1 if next_generation.instance(c) is None else 0
            if missed > _MISSED:
                _order_it(c, turn)
                missed = 0
            show(gap.text)
            turn.sleep(pause)
            pause = min(_POLL_SECONDS, 1.5 * pause)


def _order_it(c: Recovering, turn: Turn) -> None:
    order = _order(c)
    what = "make an empty" if next_generation.is_from_dump(c) else "restore"
    try:
        with turn.effect(f"{what} {order.identifier} for {order.point.id}", identifier=order.identifier):
            c.site.database_restores(c.recovery.region).restore(order)
    except NothingFits as error:
        raise ChoiceGone(error.summary, hint=_another(c)) from error


def _order(c: Recovering) -> RestoreOrder:
    decided = next_generation.decided(c)
    return RestoreOrder(
        point=decided_copies.restored_in(decided, c.recovery.region),
        to=decided.to,
        identifier=decided.identifier,
        settings=_settings(c),
        run=c.journal.run,
    )


def _settings(c: Recovering) -> InstanceSettings:
    """Return what the new instance must be like: an empty one with room for the dump, and for what the old one had grown to."""
    known = database_copies.settings(c.site)
    if next_generation.is_from_dump(c):
        old = c.site.database_restores(c.recovery.region).instance(c.fact("old_identifier"))
        # Before a drill's settings are taken from it: how much it may grow decides how much room a dump gets.
        known = generations.with_room(known, live=0 if old is None else old.size, raw=c.fact("raw_size") or 0)
    return known if c.isolation is None else drills.settings(known, c.isolation)


def _wait(c: Recovering, turn: Turn, check: Callable[[Recovering], Gap | None], longest: float) -> None:
    """Wait until a check holds, looking often at first and then every `longest` seconds."""
    pause = _SOON_SECONDS
    with c.tell.waiting() as show:
        while (gap := check(c)) is not None:
            show(gap.text)
            turn.sleep(pause)
            pause = min(longest, 1.5 * pause)


def change(c: Recovering, turn: Turn, text: str, order: Callable[[str], None]) -> None:
    """Order a change of the new instance, by its name, as soon as RDS takes one; of one that is broken it takes none.

    RDS answers InvalidDBInstanceState while it makes an instance, changes it or backs it up, also in the moment after it
    was seen to be available.
    """
    with c.tell.waiting() as show:
        while (found := next_generation.instance(c)) is not None and not databases.is_broken(found.status):
            if found.changeable:
                with suppress(NotYet):
                    with turn.effect(text, identifier=found.identifier):
                        order(found.identifier)
                    return
            show(f"{found.identifier} is {found.status}, and takes no change meanwhile")
            turn.sleep(_SOON_SECONDS)


def password_is_managed(c: Recovering) -> Gap | None:
    """Does the database take the password that RDS keeps in a secret of its own?"""
    found = next_generation.instance(c)
    if found is None:
        return Gap(text="there is no restored database")
    _require_whole(c, found)
    if found.password_secret_arn is None:
        return Gap(text=f"the password of {found.identifier} is in no secret")
    if found.secret_status not in ("active", None):
        return Gap(text=f"the secret of its password is {found.secret_status}")
    try:
        why = c.site.database_answers(next_generation.stack_to_sign_in(c, found)).ready()
    except (Unreachable, IntegrityFailure, Failed) as error:
        why = error.summary
    return None if why is None else Gap(text=why)


def manage_password(c: Recovering, turn: Turn) -> None:
    """Let RDS give it a new password under the key of the serving one, and wait until the database takes it."""
    found, settings = next_generation.instance(c), _settings(c)
    restores = c.site.database_restores(c.recovery.region)

    def order(name: str) -> None:
        restores.manage_password(name, settings.password_key, settings.modified)

    if found is not None and found.password_secret_arn is None:
        change(c, turn, f"let RDS manage the password of {found.identifier}", order)
    _wait(c, turn, password_is_managed, _SOON_SECONDS)


def is_kept(c: Recovering) -> Gap | None:
    """Does RDS keep backups of it for as long as of the serving one, and let nobody delete it?"""
    found, days = next_generation.instance(c), database_copies.settings(c.site).retention
    if found is None:
        return Gap(text="there is no restored database")
    _require_whole(c, found)
    if found.retention != days:
        return Gap(text=f"backups are kept {found.retention} days, not {days}")
    return None if found.protected else Gap(text=f"{found.identifier} is not protected from being deleted")


def keep(c: Recovering, turn: Turn) -> None:
    """Turn backups and protection on, and wait until RDS says so; the first backup is made while the database serves.

    Not before the data is proven, and before anything adopts it: until then a recovery that is given up deletes it.
    """
    restores, days = c.site.database_restores(c.recovery.region), database_copies.settings(c.site).retention
    text = f"keep backups of {next_generation.named(c)} for {days} days, and protect it from being deleted"
    change(c, turn, text, lambda name: restores.keep(name, days))
    _wait(c, turn, is_kept, _SOON_SECONDS)


def take_away(c: Recovering, turn: Turn, found: RestoredInstance) -> None:
    """Have the instance deleted: of one that is protected already the protection is lifted first, once RDS takes a change."""
    restores, name = c.site.database_restores(c.recovery.region), found.identifier
    if found.protected:
        change(c, turn, f"lift the protection of {name}", restores.unprotect)
        there = next_generation.instance(c)
        broken = None if there is None or not there.protected else retirement.broken(name, there.status)
        if broken is not None:
            env = c.site.project.env
            raise StoppedPartWay(
                broken, hint=f"{retirement.by_hand(name)}; then lifeboat abort {c.journal.run} -e {env} ends the run"
            )
    while (there := next_generation.instance(c)) is not None and there.status != "deleting":
        with suppress(NotYet):
            with turn.effect(f"delete {name}", identifier=name):
                restores.delete(name)
            return
        turn.sleep(_SOON_SECONDS)


MADE: tuple[Step[Recovering], ...] = (
    Step(
        name="restore",
        title="Restore the next generation of the database",
        check=is_restored,
        do=restore,
        limit=_RESTORE_LIMIT,
    ),
    Step(
        name="password",
        title="Let RDS manage its password",
        check=password_is_managed,
        do=manage_password,
        limit=timedelta(minutes=30),
    ),
    dump_restore.FILL,
    database_proof.PROOF,
)
RESTORING: tuple[Step[Recovering], ...] = (
    *MADE,
    Step(
        name="retention",
        title="Turn its backups and its protection on",
        check=is_kept,
        do=keep,
        limit=timedelta(minutes=30),
    ),
)
