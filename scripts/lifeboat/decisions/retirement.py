"""Whether an older generation of the database may go, and what a plan that takes it away may touch."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from lifeboat.database_model import RecoveryPoint, RestoredInstance
from lifeboat.decisions import databases
from lifeboat.decisions.generations import number
from lifeboat.decisions.recovery_plan import follows
from lifeboat.model import Action, Change, Plan

_ONE_ATTEMPT = timedelta(hours=1)  # one that is cut off is typed again soon


def forbidden(generation: str, serving: str, instance: RestoredInstance | None) -> str | None:
    """Return why a generation must stay: it serves, or nothing proven serves in its place; None where it may go."""
    if generation == serving:
        return f"{generation} is the generation that serves the application"
    if number(generation) > number(serving):
        return f"{generation} is newer than {serving}, which serves: no newer generation was proven in its place"
    if instance is None or not instance.usable:
        state = "does not exist" if instance is None else f"is {instance.status}"
        return f"{serving}, which serves, {state}: {generation} may be all that there is"
    if instance.retention == 0:
        return f"{serving}, which serves, has no backups yet: {generation} may be all that there is"
    return None


def instead(generation: str, known: Iterable[str], serving: str, env: str) -> str:
    """Return what to type where a generation must stay: what takes another one, older than the one that serves."""
    older = sorted((one for one in known if one != generation and number(one) < number(serving)), key=number)
    if not older:
        return f"no other one may go either: lifeboat plan-recovery -e {env} lists the copies of each"
    return f"an older one: lifeboat retire {older[0]} --preview -e {env}"


def without_copy(identifier: str, copies: Iterable[RecoveryPoint], *, made_at: datetime | None) -> str | None:
    """Return why nothing could be restored of an instance that was made at a moment; None where a copy of it is there.

    Names come again, and copies of an earlier instance of the name are none of it.
    """
    if any(
        copy.database == identifier and copy.restorable and copy.instance_made_at in (None, made_at) for copy in copies
    ):
        return None
    return f"there is no backup yet of {identifier}, which serves"


def snapshot_name(identifier: str) -> str:
    """Return what the snapshot is called that is taken of an instance before it goes."""
    return f"{identifier}-retired"


def final_name(identifier: str) -> str:
    """Return what the snapshot is called that RDS takes as it deletes the instance (modules/database)."""
    return f"{identifier}-final"


def broken(identifier: str, status: str) -> str | None:
    """Return why RDS cannot give an instance up with a snapshot; None where it can, or will be able to by itself."""
    if not databases.is_broken(status):
        return None
    return f"{identifier} is {status}: RDS takes no snapshot of it, and may lift no protection from it"


def stopped(identifier: str, status: str) -> str | None:
    """Return why an instance that somebody stopped cannot be given up yet; None where it is not stopped."""
    if status not in ("stopped", "stopping"):
        return None
    return f"{identifier} is {status}: RDS lifts no protection from it until it is started"


def in_the_way(
    first: RecoveryPoint | None, final: RecoveryPoint | None, *, made_at: datetime | None
) -> RecoveryPoint | None:
    """Return the snapshot whose name keeps an instance, made at a moment, from going with a snapshot; None where none does.

    Names come again where an environment was destroyed and applied anew, and snapshots outlive both. RDS deletes nothing whose
    final snapshot it cannot name; the one that is taken before may be of an attempt that was cut off.
    """
    if final is not None:
        return final
    return first if first is not None and first.instance_made_at != made_at else None


def holds_all(final: RecoveryPoint, first: RecoveryPoint | None, *, made_at: datetime | None) -> bool:
    """Return whether a snapshot is the one that RDS took as it deleted an instance: then the one from before may go.

    `made_at` is when the instance was made; None where nobody knows. One of an earlier instance of the name is none of it.
    """
    if first is None:
        return final.restorable and made_at is not None and final.instance_made_at == made_at
    return final.restorable and final.instance_made_at == first.instance_made_at and final.taken_at >= first.taken_at


def is_stale(first: RecoveryPoint, now: datetime) -> bool:
    """Return whether a snapshot was taken too long ago to be of this attempt: what was written since is not in it."""
    return now - first.taken_at > _ONE_ATTEMPT


def by_hand(identifier: str) -> str:
    """Return the commands that take a broken instance away, without a snapshot; its automated backups stay.

    With one of these states it "can only be deleted when you skip creation of the final snapshot" (RDS API reference,
    DeleteDBInstance).
    """
    return (
        f"aws rds modify-db-instance --db-instance-identifier {identifier} --no-deletion-protection --apply-immediately,"
        f" then aws rds delete-db-instance --db-instance-identifier {identifier} --skip-final-snapshot"
        " --no-delete-automated-backups"
    )


def refused(plan: Plan, generation: str) -> list[tuple[Change, str]]:
    """Return the changes of a plan that have nothing to do with the generation that goes."""
    own = (
        f'module.database.aws_db_instance.this["{generation}"]',
        f'module.database.aws_db_instance_automated_backups_replication.dr["{generation}"]',
    )
    why = "it has nothing to do with the generation: something was edited, or drifted"
    return [
        (change, why)
        for change in plan.changes
        if not (change.address in own and change.action in (Action.DELETE, Action.UPDATE))
        and not follows(change, generation)
    ]
