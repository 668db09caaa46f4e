"""`lifeboat destroy`: take a disposable environment down, in order, and leave nothing running."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from lifeboat.clients import known_state, restore_tests, run_files, state_store
from lifeboat.clients.terraform import Running
from lifeboat.clients.waiting import Patience, until
from lifeboat.decisions import plans, retirement
from lifeboat.decisions.known_states import Purpose
from lifeboat.errors import IntegrityFailure, NothingFits, Refused, StoppedPartWay
from lifeboat.model import Agree, Plan, Teller
from lifeboat.site import Site
from lifeboat.stack import drill_rest, known_states, preflight, rehearsal, repair
from lifeboat.stack.applying import PATIENCE, Applying, steps

GOING_SECONDS = 1800.0  # RDS takes 5 to 15 minutes to delete an instance


@dataclass(frozen=True, kw_only=True)
class Destroyed:
    """What was taken down."""

    stack_plan: Plan
    stages: list[tuple[str, float]]
    left: tuple[str, ...]


def preview(site: Site, plan: Plan, tested: Sequence[str] = ()) -> list[str]:
    """Return what will be gone, in words, for the question before it; `tested` are databases that restore tests left."""
    kinds: dict[str, int] = {}
    for change in plan.changes:
        if change.resource_type in plans.PROTECTED or change.resource_type in plans.HOLDS_DATA:
            kinds[change.resource_type] = kinds.get(change.resource_type, 0) + 1
    lines = [f"destroy {count} {kind}" for kind, count in sorted(kinds.items())]
    lines.append(f"destroy {len(plan.changes)} resources of {site.project.env} in all")
    lines += [f"delete {name}, which a restore test of AWS Backup left for somebody to look at" for name in tested]
    if site.project.cloud_directory is not None:
        lines.append(f"delete {site.project.cloud_directory} with every database, image and save in it")
    return lines


def run(site: Site, tell: Teller, agree: Agree) -> Destroyed:
    """Destroy the stack of a disposable environment, then its local cloud; raises Refused for any other."""
    project = site.project
    if not project.environment.application.disposable:
        raise Refused(
            f"{project.env} is not disposable, so lifeboat does not destroy it",
            hint=f"if it truly is: set disposable = true in environments/{project.env}.toml, have it reviewed, apply",
        )
    preflight.require(site, tell)
    with run_files.held(project.work, "destroy", patience=PATIENCE, tell=tell.say) as this_run:
        work = Applying(site, tell, this_run, teardown=True)
        with run_files.ending(this_run, lambda: work.cut_off), work.whole(f"lifeboat destroy -e {project.env}"):
            _require_something(site)
            return _destroy(work, agree)


def _destroy(work: Applying, agree: Agree) -> Destroyed:
    site, stages = work.site, work.stages
    local = site.local_cloud()
    with stages.timed("local cloud"):
        rehearsal.start(site, work.tell, but=work.run.run)
    preflight.require_account(site)
    held = site.root_store().table_answers()
    with site.lease(work.run.run, work.tell.say).held() if held else nullcontext() as work.fence:
        plan = _destroy_if_there(work, agree)
    if local is not None:
        with stages.timed("local cloud down"):
            local.down()
            local.forget()
            known_state.forget(site.project.work)
            site.root_state_file.unlink(missing_ok=True)
    left = () if local is not None else (f"the state backend ({site.project.environment.state.bucket})",)
    return Destroyed(stack_plan=plan, stages=stages.ended, left=left)


def _destroy_if_there(work: Applying, agree: Agree) -> Plan:
    site, local = work.site, work.site.local_cloud()
    store = site.stack_store()
    known_states.require(site, Purpose.DESTROY, known_states.STACK)
    if store.keeps_digest and store.body() is not None:
        repair.require_table(site)
    lost = repair.run(site, work.tell, work.run)
    if local is None and store.body() is None:
        raise IntegrityFailure(
            f"there is no state s3://{store.bucket}/{store.key}, so lifeboat does not know what to destroy",
            hint="check [state] in the environment's toml; nothing was destroyed",
        )
    plan = Plan(changes=())
    if site.root_store().bucket_exists() and store.body() is not None:
        drill_rest.require(site, "destroy")
        plan = _destroy_stack(work, agree, lost)
    else:
        agree(preview(site, plan))
    repair.done(site, work.run)
    return plan


def _destroy_stack(work: Applying, agree: Agree, lost: repair.Lost) -> Plan:
    site, stages = work.site, work.stages
    with stages.timed("plan"):
        work.stack.init(site.backend())
        repair.adopt_stack(site, work.tell, work.stack, lost)
        plan = _start_destroy_plan(work).planned()
        repair.forget_adoptions(work.stack)
    _require_able(site)
    groups = _subnet_groups(site)
    tested = site.restore_tests().databases(groups)
    agree(preview(site, plan, tested))
    for name in tested:
        work.tell.say(f"deleting {name}, which a restore test of AWS Backup left")
        site.restore_tests().delete(name)
    # The policies in force let nobody take the protection off but the break-glass role.
    own = work.stack
    work.stack = site.stack_terraform(teardown=True, credentials=site.as_break_glass())
    with stages.timed("take the protection off"):
        unlocking = work.start_plan(work.stack, "stack").planned()
        work.wait([work.start_apply(work.stack, "stack")], total=steps(unlocking))
        work.tell.resources_end()
    work.stack = own
    if tested:
        with stages.timed("restore tests"):
            _wait_until_gone(work, groups)
    with stages.timed("destroy"):
        plan = _start_destroy_plan(work).planned()
        work.wait([work.start_apply(work.stack, "stack")], total=steps(plan))
    # The state stays, of this lineage and with nothing in it: the next apply begins from it.
    work.check_state()
    return plan


def _require_able(site: Site) -> None:
    """Raise Refused where RDS would lift no protection from a database of the stack: nothing is taken down then."""
    region, env = site.project.environment.application.region, site.project.env
    restores = site.database_restores(region)
    for identifier in state_store.database_identifiers(site.stack_store().body()):
        found = restores.instance(identifier)
        why = None if found is None or not found.protected else retirement.broken(identifier, found.status)
        if why is None:
            continue
        if site.local_cloud() is not None:
            hint = f"lifeboat local reset -e {env} takes the local cloud away with all that is in it"
        else:
            order = retirement.by_hand(identifier)
            hint = f"{order}; then lifeboat destroy -e {env}. Where RDS refuses these too, only AWS can do it"
        raise Refused(f"{why}, so nothing is destroyed", hint=hint)


def _subnet_groups(site: Site) -> set[str]:
    """Return the stack's subnet groups, which AWS does not delete while any database is in them."""
    recorded = state_store.recorded(site.stack_store().body())
    return {name for address, name in recorded.items() if "aws_db_subnet_group." in address}


def _wait_until_gone(work: Applying, groups: Collection[str]) -> None:
    site, left = work.site, list[str]()
    tests = site.restore_tests()

    def gone() -> tuple[bool | None, str]:
        left[:] = tests.databases(groups)
        for name in left:
            tests.delete(name)
        return (None if left else True), f"{', '.join(left)} of a restore test is being deleted"

    with work.tell.waiting() as show:
        done = until(Patience(seconds=GOING_SECONDS, tell=show), gone)
    if done is None:
        order = site.shell(restore_tests.by_hand(left[0], site.project.environment.application.region))
        raise StoppedPartWay(
            f"{', '.join(left)} of a restore test is still there after {GOING_SECONDS / 60:.0f} minutes",
            hint=f"{order}; then lifeboat destroy -e {site.project.env}",
        )


def _start_destroy_plan(work: Applying) -> Running:
    running = work.stack.destroy_plan(
        out=work.run.folder / "stack.plan",
        events=work.run.folder / "stack-destroy-plan.jsonl",
        seconds=work.settings.plan_minutes * 60,
    )
    return work.under_way(running)


def _require_something(site: Site) -> None:
    cloud = site.local_cloud()
    if cloud is not None and cloud.health() is None and not (cloud.directory / "live" / "cloud.state").exists():
        raise NothingFits(
            f"there is nothing to destroy: {site.project.env} was never applied, or was destroyed before",
            hint="lifeboat local reset deletes what saves are left" if cloud.directory.exists() else "",
        )
