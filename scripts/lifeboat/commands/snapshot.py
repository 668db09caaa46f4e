"""`lifeboat snapshot …`: manual snapshots of the database taken, listed, copied to the other region, and pruned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lifeboat.clients import programs, state_store
from lifeboat.clients.database_snapshots import DatabaseSnapshots
from lifeboat.clients.waiting import Patience
from lifeboat.database_model import PointKind, RecoveryPoint, RecoveryPointId, SnapshotPruning
from lifeboat.decisions import snapshots as decisions
from lifeboat.decisions.snapshots import SnapshotKeeping, SnapshotSource
from lifeboat.dumps import points, retaining
from lifeboat.dumps.points import Found, Scope
from lifeboat.errors import (
    CleanUpIncomplete,
    IntegrityFailure,
    Locked,
    NothingFits,
    Refused,
    StoppedPartWay,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.model import Agree, Teller
from lifeboat.runner import Fence
from lifeboat.site import Site
from lifeboat.stack import holding, outputs

_SHOWN_REASONS = 10


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """A snapshot that was ordered: `point` None while it is still being made and was not waited for."""

    name: RecoveryPointId
    region: str
    point: RecoveryPoint | None


def create(site: Site, tell: Teller, before: str | None, within: timedelta | None) -> Ordered:
    """Take a snapshot of the serving database; within None it is not waited for. One that is under way is not taken twice."""
    wrong = None if before is None else decisions.wrong_text(before)
    if wrong is not None:
        raise WrongConfiguration(wrong, hint="write the change in other signs: --before 'migration 42'")
    recovery = outputs.recovery(site.stack_store())
    instance, client = recovery.database.identifier, site.database_snapshots()
    body = site.stack_store().body()
    order = decisions.taking(
        SnapshotSource(
            owner=site.owner(),
            region=recovery.region,
            instance=instance,
            now=datetime.now(UTC),
            before=before,
            git_sha=programs.git_sha(site.project.root),
            state_serial=None if body is None else state_store.serial_and_lineage(body)[0],
        )
    )
    # Against an apply or a recovery that replaces the very instance.
    with holding.alone(site, tell.say, "snapshot create"):
        going = decisions.under_way(client.snapshots(recovery.region), order, instance)
        if going is None:
            _require_takeable(site, instance, recovery.region)
            name = client.take(order, instance)
            tell.say(f"taking {name} of {instance}")
        else:
            name = going.id
            tell.say(f"{name} is being taken for the same change already")
    return _ordered(client, tell, (name, recovery.region), within)


def _require_takeable(site: Site, instance: str, region: str) -> None:
    status = site.databases(region).status(instance)
    if status is None:
        raise NothingFits(f"there is no database {instance} in {region}", hint="lifeboat backups; lifeboat recover")
    if status not in ("available", "storage-optimization"):
        raise Refused(
            f"the database {instance} is {status}, and RDS takes snapshots of an available one only",
            hint="lifeboat plan-recovery says what can be had back: a failed one never becomes available"
            if status == "failed"
            else "wait until it is available, then run the same command again",
        )


def _ordered(
    client: DatabaseSnapshots, tell: Teller, place: tuple[RecoveryPointId, str], within: timedelta | None
) -> Ordered:
    name, region = place
    if within is None:
        return Ordered(name=name, region=region, point=None)
    with tell.waiting() as show:
        found = client.available(name, region, Patience(seconds=within.total_seconds(), tell=show))
    return Ordered(name=name, region=region, point=found)


def listed(site: Site) -> Found:
    """Return the manual snapshots of both regions, and what could not be looked at."""
    return points.found(site, Scope(kinds=frozenset({PointKind.MANUAL_SNAPSHOT})))


# -- copying -----------------------------------------------------------------------------------------------------------


def copy(site: Site, tell: Teller, which: RecoveryPointId | None, within: timedelta | None) -> Ordered:
    """Copy a snapshot (None: the newest of the database that serves) to the other region, encrypted with the key there.

    It is made once, however often asked. A snapshot that is in the DR region only is copied to the primary one: that is the
    way back after a failover.
    """
    application, client = site.project.environment.application, site.database_snapshots()
    home, target = application.region, application.dr_region
    found = points.ours(site, client.snapshots(home))
    if which is not None and not any(which in (point.id, point.arn) for point in found):
        elsewhere = points.ours(site, client.snapshots(target))
        if any(which in (point.id, point.arn) for point in elsewhere):
            home, target, found = target, home, elsewhere
    choice = decisions.choose(found, which, home, None if which is not None else _serving(site, tell, found))
    if choice.chosen is None:
        reasons = [f"  {one.what.id}: {one.why}" for one in choice.rejected[:_SHOWN_REASONS]]
        hint = "lifeboat snapshot list" if which else "lifeboat snapshot create"
        raise NothingFits("\n".join([choice.why, *([] if which else reasons)]), hint=hint)
    original = choice.chosen
    order = decisions.copying(original, site.owner(), target)
    there = decisions.copy_in(client.snapshots(target), original)
    if there is not None:
        tell.say(f"{there.id} in {target} is a copy of {original.id} already, or its original")
        name = there.id
    else:
        # By its name (modules/database), which is the same in both regions: the state may be lost.
        name = client.copy(original, order, f"alias/{application.name}-database")
        tell.say(f"copying {original.id} to {target} as {name}: {choice.why}")
    return _ordered(client, tell, (name, target), within)


def _serving(site: Site, tell: Teller, found: Sequence[RecoveryPoint]) -> str | None:
    """Return the instance that serves; where no state tells, that of the newest generation that there are snapshots of."""
    try:
        return outputs.recovery(site.stack_store()).database.identifier
    except (IntegrityFailure, Unreachable) as error:
        last = decisions.last_instance(found, site.owner())
        if last is not None:
            tell.warn(f"{last} is taken for the database that serves, for the stack does not tell: {error.summary}")
        return last


# -- pruning -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sparing:
    """What stays in any case: so many of the newest in each region, and all that are younger."""

    newest: int
    age: timedelta


def prune(
    site: Site, tell: Teller, show: Callable[[SnapshotPruning], None], agree: Agree, sparing: Sparing
) -> SnapshotPruning:
    """Delete the manual snapshots that lifeboat made and nothing speaks for, once somebody agrees to the list."""
    # Held against a recovery, here or elsewhere, which may choose a snapshot while this decides that nobody needs it.
    with holding.alone(site, tell.say, "snapshot prune") as held:
        found = listed(site)
        found.require_whole()
        keeping = SnapshotKeeping(
            newest=sparing.newest,
            age=sparing.age,
            now=found.list.now,
            owner=site.owner(),
            used=retaining.used_by_runs(site),
        )
        pruning = decisions.prunable(found.list.points, keeping)
        show(pruning)
        if pruning.removed:
            agree([f"delete {judged.what.id} in {judged.what.region}" for judged in pruning.removed])
            _remove(site.database_snapshots(), pruning, held)
    return pruning


def _remove(client: DatabaseSnapshots, pruning: SnapshotPruning, fence: Fence) -> None:
    problems: list[Unreachable] = []
    for number, judged in enumerate(pruning.removed):
        try:
            fence.require()
        except Locked as lost:
            raise StoppedPartWay(
                f"{number} of {len(pruning.removed)} deletions were ordered, and the others not: {lost.summary}",
                hint="the same command shows what is left",
            ) from None
        try:
            client.delete(judged.what)
        except Unreachable as error:
            problems.append(error)
    if len(problems) == len(pruning.removed):
        raise problems[0]
    if problems:
        raise CleanUpIncomplete("\n".join(problem.summary for problem in problems), hint=problems[0].hint)
