"""`lifeboat retire`: an older generation of the database goes, with a snapshot of it that stays."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.clients import run_files
from lifeboat.clients.database_restores import DatabaseRestores
from lifeboat.database_model import RestoredInstance
from lifeboat.decisions import generations, plans, retirement
from lifeboat.decisions.known_states import Purpose
from lifeboat.errors import Failed, NothingFits, NotYet, Refused, StoppedPartWay, Unreachable
from lifeboat.model import Agree, Plan, Recovery, RunId, Teller
from lifeboat.site import Site
from lifeboat.stack import (
    database_copies,
    known_states,
    open_recoveries,
    outputs,
    preflight,
    recovery_file,
    rehearsal,
    repair,
)
from lifeboat.stack.applying import PATIENCE, Applying, steps

_SNAPSHOT_LIMIT = timedelta(hours=6)
_POLL_SECONDS = 5.0
_DELETING = "deleting"


@dataclass(frozen=True, kw_only=True)
class Retired:
    """What is gone, and the snapshot that stays of it; None where none could be taken, since it was gone before."""

    generation: str
    identifier: str
    snapshot: str | None
    to_commit: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A generation that may go: its instance, the snapshot that will stay, and the one that serves in its place.

    `status` is the instance's, None where it is gone; `now` is when it was looked at.
    """

    generation: str
    identifier: str
    snapshot: str
    serving: str
    status: str | None
    now: datetime

    @property
    def final(self) -> str:
        """The snapshot that RDS takes as it deletes it."""
        return retirement.final_name(self.identifier)


def preview(site: Site, generation: str) -> Candidate:
    """Return what would go and what would stay; raises Refused, or NothingFits, where it must not.

    Nothing is changed.
    """
    recovery = outputs.recovery(site.stack_store())
    # It may stop where the application still works on the older one, and asks that one until when it was written to.
    open_recoveries.require_none(site, f"until then {generation} may be what the application has to come back to")
    known = database_copies.recorded(site)
    env = site.project.env
    if generation not in known:
        raise NothingFits(
            f"there is no generation {generation} of the database; Terraform knows {', '.join(sorted(known)) or 'none'}",
            hint=f"lifeboat plan-recovery -e {env} shows the copies of each",
        )
    serving = recovery.database.active_generation
    why = retirement.forbidden(
        generation, serving, site.database_restores(recovery.region).instance(recovery.database.identifier)
    )
    if why is not None:
        raise Refused(why, hint=retirement.instead(generation, known, serving, env))
    _require_backed_up(site, recovery, generation)
    identifier = str(known[generation]["identifier"])
    instance = site.database_restores(recovery.region).instance(identifier)
    if instance is not None and instance.status != _DELETING:
        _require_able(site, recovery, generation, instance)
    return Candidate(
        generation=generation,
        identifier=identifier,
        snapshot=retirement.snapshot_name(identifier),
        serving=recovery.database.identifier,
        status=None if instance is None else instance.status,
        now=datetime.now(UTC),
    )


def _require_backed_up(site: Site, recovery: Recovery, generation: str) -> None:
    """Raise Refused where nothing could be restored of what serves: that backups are switched on is none yet."""
    client, region, serving = site.database_snapshots(), recovery.region, recovery.database
    why = retirement.without_copy(
        serving.identifier,
        [*client.windows(region), *client.snapshots(region)],
        made_at=site.database_restores(region).created_at(serving.identifier),
    )
    if why is not None:
        raise Refused(
            f"{why}: {generation} may be all that there is",
            hint=f"once lifeboat backups -e {site.project.env} shows one, which RDS takes by itself:"
            f" lifeboat retire {generation} -e {site.project.env}",
        )


def _require_able(site: Site, recovery: Recovery, generation: str, instance: RestoredInstance) -> None:
    """Raise Refused where RDS could not give the instance up with a snapshot: nothing is taken from it then."""
    identifier, again = instance.identifier, f"lifeboat retire {generation} -e {site.project.env}"
    broken = retirement.broken(identifier, instance.status)
    if broken is not None:
        raise Refused(
            broken,
            hint=f"once nobody misses anything of it: {retirement.by_hand(identifier)}; then {again} takes it out of"
            " Terraform. Where RDS refuses these too, only AWS can do it",
        )
    stopped = retirement.stopped(identifier, instance.status)
    if stopped is not None:
        raise Refused(stopped, hint=f"aws rds start-db-instance --db-instance-identifier {identifier}; then {again}")
    client, region = site.database_snapshots(), recovery.region
    first, final = (
        client.snapshot(name(identifier), region) for name in (retirement.snapshot_name, retirement.final_name)
    )
    other = retirement.in_the_way(first, final, made_at=site.database_restores(region).created_at(identifier))
    if other is not None:
        raise Refused(
            f"the snapshot {other.id} of {other.taken_at:%Y-%m-%d %H:%M}Z has the name that one of {identifier} would have",
            hint=f"keep it under another name (aws rds copy-db-snapshot --source-db-snapshot-identifier {other.id}"
            f" --target-db-snapshot-identifier {other.id}-earlier --copy-tags), delete it once that is available, then {again}",
        )


def lines(found: Candidate) -> list[str]:
    """Return what has to be agreed to, in words."""
    if found.status is None:
        return [
            f"take {found.identifier} out of Terraform: it is gone from AWS already, so no snapshot is taken of it any more"
        ]
    if found.status == _DELETING:
        return [
            f"take {found.identifier} out of Terraform: RDS deletes it already, so no snapshot is taken of it but"
            f" {found.final}, where RDS was told to take that"
        ]
    return [
        f"delete {found.identifier}, which does not serve ({found.serving} does)",
        f"its automated backups stay until they expire; the snapshot {found.snapshot} is taken first, and goes once"
        f" {found.final} is there, which RDS takes as it deletes it and which stays for ever",
    ]


def run(site: Site, tell: Teller, generation: str, agree: Agree) -> Retired:
    """Take a generation away once its snapshot is there; cut off at any point, the same command goes on.

    Raises Refused before anything is changed where it must not go, StoppedPartWay where something stayed.
    """
    preflight.require(site, tell)
    with run_files.held(site.project.work, "retire", patience=PATIENCE, tell=tell.say) as this_run:
        work = Applying(site, tell, this_run)
        again = f"lifeboat retire {generation} -e {site.project.env}"
        with run_files.ending(this_run, lambda: work.cut_off), work.whole(again):
            rehearsal.require_running(site, "retire")
            preflight.require_account(site)
            repair.require_own(site, site.stack_store())
            work.passed = known_states.require(site, Purpose.APPLY, known_states.STACK)
            for remark in work.passed.remarks:
                tell.warn(remark)
            outputs.recovery(site.stack_store())  # where nothing was applied, there is no table for a lease either
            with site.lease(this_run.run, tell.say).held() as work.fence:
                found = preview(site, generation)
                agree(lines(found))
                lost = repair.run(site, tell, this_run)
                take_snapshot(site, tell, found)
                return _gone(work, found, lost)


def take_snapshot(site: Site, tell: Teller, found: Candidate) -> None:
    """Take the snapshot and wait until it is available: nothing is deleted before.

    One of an attempt that was cut off not long ago is as good; an older one makes room for a new one.
    """
    recovery = outputs.recovery(site.stack_store())
    restores = site.database_restores(recovery.region)
    if found.status in (None, _DELETING):
        gone = "gone from AWS already" if found.status is None else "being deleted already"
        tell.warn(f"{found.identifier} is {gone}: what stays of it are its backups")
        return
    if _is_there(site, tell, recovery, found):
        return
    tell.say(f"taking the snapshot {found.snapshot} of {found.identifier}")
    until = time.monotonic() + _SNAPSHOT_LIMIT.total_seconds()
    with tell.waiting() as show:
        while (progress := restores.snapshot_progress(found.snapshot)) is None or not progress.made:
            said = (
                _ordered(restores, recovery, found) if progress is None else f"{progress.status}, {progress.percent} %"
            )
            if progress is not None and progress.status == "failed":
                raise Failed(
                    f"the snapshot {found.snapshot} of {found.identifier} failed; nothing was deleted",
                    hint="look at the database's events: aws rds describe-events --source-type db-instance"
                    f" --source-identifier {found.identifier}",
                )
            if time.monotonic() > until:
                raise StoppedPartWay(
                    f"the snapshot {found.snapshot} is not available after {_SNAPSHOT_LIMIT}; nothing was deleted",
                    hint=f"lifeboat retire {found.generation} -e {site.project.env} goes on from there",
                )
            show(f"{found.snapshot}: {said}")
            time.sleep(_POLL_SECONDS if progress is None or progress.percent < 100 else 1.0)
    tell.say(f"{found.snapshot} is available")


def _is_there(site: Site, tell: Teller, recovery: Recovery, found: Candidate) -> bool:
    """Return whether an attempt that was cut off took the snapshot not long ago; an older one is deleted."""
    client = site.database_snapshots()
    first = client.snapshot(found.snapshot, recovery.region)
    if first is None or not first.restorable:
        return False
    of = f"{first.id} of {first.taken_at:%Y-%m-%d %H:%M}Z"
    if not retirement.is_stale(first, found.now):
        tell.say(f"an attempt that was cut off took the snapshot {of}")
        return True
    try:
        client.delete(first)
    except Unreachable as error:
        tell.warn(f"the snapshot {of} stays the one that is taken first, and holds nothing newer: {error.summary}")
        return True
    tell.say(f"deleted the snapshot {of}, which an attempt that was cut off took: a new one takes its place")
    return False


def _ordered(restores: DatabaseRestores, recovery: Recovery, found: Candidate) -> str:
    """Order the snapshot and return in words what came of it: of an instance that RDS changes or backs up it takes none yet."""
    try:
        restores.take_snapshot(found.identifier, found.snapshot, _tags(recovery, found))
    except NotYet as busy:
        return busy.summary
    return "ordered"


def _tags(recovery: Recovery, found: Candidate) -> dict[str, str]:
    return {
        "application": recovery.application,
        "environment": recovery.environment,
        "managed-by": "lifeboat",
        "lifeboat:retired": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "lifeboat:kept": f"the last of {found.identifier}",
    }


def _gone(work: Applying, found: Candidate, lost: repair.Lost) -> Retired:
    site = work.site
    path = site.project.recovery_file
    present = generations.options(recovery_file.text(site), database_copies.recorded(site))
    active = outputs.recovery(site.stack_store()).database.active_generation
    restores = site.database_restores(outputs.recovery(site.stack_store()).region)
    # One that is gone would be made anew, empty, by a plan that still names it.
    if restores.instance(found.identifier) is not None:
        before = recovery_file.text(site)
        _write(site, generations.retiring(present, found.generation), active)
        try:
            _applied(work, found.generation, "unprotect", lost)
        except Refused:
            recovery_file.write(site, before)
            raise
    _write(site, generations.without(present, found.generation), active)
    try:
        _applied(work, found.generation, "retire", lost)
    except Refused as error:
        raise StoppedPartWay(f"{found.identifier} has lost its protection: {error.summary}", hint=error.hint) from error
    after = _planned(work, "after")
    if not after.empty:
        raise StoppedPartWay(
            f"{found.identifier} is gone, and the next apply would change something: {plans.headline(after)}",
            hint=f"lifeboat plan -e {site.project.env} shows it",
        )
    repair.done(site, work.run)
    snapshot = _one_of_both(site, work.tell, found)
    name = f"environments/{path.name}"
    return Retired(
        generation=found.generation,
        identifier=found.identifier,
        snapshot=snapshot,
        to_commit=f"git add {name} && git commit -m 'Retired {found.identifier}' -- {name} && git push",
    )


def _one_of_both(site: Site, tell: Teller, found: Candidate) -> str | None:
    """Return the snapshot that stays, if any: the one that RDS took as it deleted the instance holds all that was ever written.

    Until that is available the one that was taken before stays; where it may not be deleted, both do, and that is told.
    """
    recovery = outputs.recovery(site.stack_store())
    client, region = site.database_snapshots(), recovery.region
    try:
        first, final = client.snapshot(found.snapshot, region), client.snapshot(found.final, region)
        made_at = site.database_restores(region).created_at(found.identifier)
        if final is None or not retirement.holds_all(final, first, made_at=made_at):
            if first is None:
                return None
            tell.warn(
                f"{found.final}, which RDS takes as it deletes, is not there: {first.id} holds what was written until"
                f" {first.taken_at:%Y-%m-%d %H:%M}Z"
            )
            return found.snapshot
        client.tag(final, _tags(recovery, found))
        if first is not None:
            client.delete(first)
    except Unreachable as error:
        tell.warn(f"{found.snapshot} and {found.final} both stay, and each of them costs: {error.summary}")
        return found.snapshot
    return found.final


def _write(site: Site, options: Mapping[str, dict[str, Any]], active: str) -> None:
    recovery_file.write(site, generations.file(recovery_file.text(site), options, active))


def _planned(work: Applying, name: str) -> Plan:
    work.stack = work.site.stack_terraform_of(RunId(work.run.run))
    work.stack.init(work.site.backend())
    running = work.start_plan(work.stack, name)
    work.wait([running])
    return running.planned()


def _applied(work: Applying, generation: str, name: str, lost: repair.Lost) -> None:
    work.stack.init(work.site.backend())
    repair.adopt_stack(work.site, work.tell, work.stack, lost)
    plan = _planned(work, name)
    repair.forget_adoptions(work.stack)
    refused = retirement.refused(plan, generation)
    if refused:
        raise Refused(
            "this plan would touch more than the generation that is retired:\n"
            + "\n".join(f"  {change.action.value} {change.address}: {why}" for change, why in refused),
            hint=f"undo the edit or the drift, then lifeboat retire {generation} -e {work.site.project.env}",
        )
    if not plan.empty:
        work.wait([work.start_apply(work.stack, name)], total=steps(plan))
        work.tell.resources_end()
        work.check_state()
