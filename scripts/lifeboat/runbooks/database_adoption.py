"""The steps by which Terraform takes a restored database for the one that serves, and copies its backups."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lifeboat.decisions import generations, plans, recovery_plan
from lifeboat.decisions.recovery_plan import Adoption
from lifeboat.errors import StepTookTooLong, TerraformFailed, Unreachable
from lifeboat.model import Gap, Plan, RunId, Scope
from lifeboat.runbooks import next_generation
from lifeboat.runbooks.recover import PLAN_LIMIT, require_on_the_path, require_policy
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn
from lifeboat.stack import database_copies, recovery_file, repair
from lifeboat.stack.applying import steps

_POLL_SECONDS = 5.0


def _adopted(c: Recovering) -> bool:
    """Whether Terraform knows the new generation as the one that serves."""
    new = c.fact("generation")
    return new in database_copies.recorded(c.site) and c.recovery.database.active_generation == new


def _options(c: Recovering) -> dict[str, dict[str, Any]]:
    """Return the generations that the files shall name once the new one is among them, with what they say of each."""
    text, recorded = recovery_file.text(c.site), database_copies.recorded(c.site)
    new = c.fact("generation")
    if new in recorded:
        # Where it was adopted from another checkout, no file of this one names it.
        planned = generations.without(c.fact("generations") or {}, new)
        present = generations.options(text, recorded, planned=planned)
        return generations.with_adopted(present, new, copied=database_copies.copied(c.site))
    present = generations.options(text, recorded)
    if new is None:
        return present
    restores, name = c.site.database_restores(c.recovery.region), c.recovery.application
    lost = [one for one in present if restores.instance(generations.identifier(name, one)) is None]
    return generations.with_restored(present, new, lost=lost)


def _lost(c: Recovering) -> list[str]:
    """Return the generations that Terraform knew when this recovery planned, and whose instances are gone."""
    return sorted({*(c.fact("lost_generations") or []), *(set(database_copies.recorded(c.site)) - set(_options(c)))})


def adoption_is_planned(c: Recovering) -> Gap | None:
    """Has Terraform planned to adopt the restored database, and nothing else?"""
    if _adopted(c) or c.adoption is not None:
        return None
    return Gap(text=f"Terraform does not know {next_generation.named(c)} as the database that serves")


def plan_adoption(c: Recovering, turn: Turn) -> None:
    """Plan, and refuse what is not on the database's path; nothing is changed."""
    work, site, new = c.applying, c.site, str(c.fact("generation"))
    options = _options(c)
    given = generations.variables(options, new)
    work.stack = site.stack_terraform_of(RunId(c.journal.run), variables=given)
    work.stack.init(site.backend())
    repair.adopt_stack(site, c.tell, work.stack, c.lost)
    plan, document = _planned(c, "database")
    c.adoption = _allowed(c, plan, new)
    require_policy(c, turn, lambda: document)
    turn.note(
        plans.headline(c.adoption),
        generations=options,
        lost_generations=_lost(c),
        changes=[f"{x.action.value} {x.address}" for x in c.adoption.changes],
        plan_sha256=work.plan_digest("database"),
    )


def _planned(c: Recovering, name: str) -> tuple[Plan, dict[str, Any]]:
    """Return the plan, and the whole of it as Terraform's document.

    It is made once more where an apply that was cut off has made some of it: AWS refuses to make that again.
    """
    work = c.applying
    running = work.start_plan(work.stack, name)
    c.wait(running)
    plan, file = running.planned(), work.run.folder / f"{name}.plan"
    document = work.stack.planned(file)
    if repair.adopt_planned(c.site, c.tell, work.stack, document):
        again = work.start_plan(work.stack, name)
        c.wait(again)
        plan, document = again.planned(), work.stack.planned(file)
    repair.forget_adoptions(work.stack)
    return plan, document


def _allowed(c: Recovering, plan: Plan, new: str) -> Plan:
    """Return the plan; raises Refused with everything in it that a recovery of the database must not touch."""
    adoption = Adoption(generation=new, lost=tuple(_lost(c)), allowed=c.request.allowed)
    both = c.request.scope is Scope.FULL
    judge = recovery_plan.judged_for_both if both else recovery_plan.judged_for_database
    require_on_the_path(c, judge(plan, adoption), "database")
    return plan


def file_names_generation(c: Recovering) -> Gap | None:
    """Does the recovery file name the new generation for every later apply?"""
    new = c.fact("generation")
    if new is not None and generations.says(recovery_file.text(c.site), _options(c), new):
        return None
    name = c.site.project.recovery_file.name
    return Gap(text=f"environments/{name} must name {new or 'the next generation'}, else no later apply knows it")


def write_generations(c: Recovering, turn: Turn) -> None:
    """Write the generations into the recovery file; what an earlier recovery chose beside them stays."""
    _write(c, turn, _options(c))


def _write(c: Recovering, turn: Turn, options: Mapping[str, dict[str, Any]]) -> None:
    name, before = c.site.project.recovery_file.name, recovery_file.text(c.site)
    wanted = generations.file(before, options, str(c.fact("generation")))
    with turn.effect(f"write environments/{name}", generation=c.fact("generation"), before=before):
        recovery_file.write(c.site, wanted)


def is_adopted(c: Recovering) -> Gap | None:
    """Does Terraform know the restored database, and the application's secret name it?"""
    return (
        None if _adopted(c) else Gap(text=f"{next_generation.named(c)} is not what Terraform knows as the serving one")
    )


def adopt(c: Recovering, turn: Turn) -> None:
    """Apply the plan: the database is adopted, and the secret leads the application to it."""
    if c.adoption is None:
        plan_adoption(c, turn)
    _apply(c, turn, c.adoption, "database")


def _apply(c: Recovering, turn: Turn, plan: Plan | None, name: str) -> None:
    work = c.applying
    headline = plans.headline(plan) if plan is not None else ""
    with turn.effect("apply the plan", plan=headline, serial=c.serial()) as came:
        applying = work.start_apply(work.stack, name)
        c.wait(applying, total=0 if plan is None else steps(plan))
        work.check_state()
        came.update(serial=c.serial(), database=c.recovery.database.identifier)
    repair.done(c.site, work.run)


def backups_are_copied(c: Recovering) -> Gap | None:
    """Are its backups copied to the other region, as Terraform's files say?"""
    new = c.fact("generation")
    said_of_it = {} if new is None else generations.options(recovery_file.text(c.site), [new])[new]
    if new in database_copies.copied(c.site) and said_of_it.get("dr_copy", True):
        return None
    return Gap(text=f"the backups of {next_generation.named(c)} are not copied to {c.recovery.dr_region} yet")


def copy_backups(c: Recovering, turn: Turn) -> None:
    """Wait for the first backup, take the exception out of the file, and apply what comes of it."""
    new = str(c.fact("generation"))
    while (found := next_generation.instance(c)) is not None and found.status != "available":
        turn.sleep(_POLL_SECONDS)
    _write(c, turn, generations.with_copy(_options(c), new))
    work, site = c.applying, c.site
    work.stack = site.stack_terraform_of(RunId(c.journal.run))
    work.stack.init(site.backend())
    planned, document = _planned(c, "copies")
    plan = _allowed(c, planned, new)
    changes = [f"{x.action.value} {x.address}" for x in plan.changes]
    turn.note(plans.headline(plan), changes=changes, plan_sha256=work.plan_digest("copies"))
    if not plan.empty:
        require_policy(c, turn, lambda: document)
        _apply(c, turn, plan, "copies")


ADOPTING: tuple[Step[Recovering], ...] = (
    Step(
        name="adoption",
        title="Plan to adopt the database, and nothing else",
        check=adoption_is_planned,
        do=plan_adoption,
        limit=PLAN_LIMIT,
    ),
    Step(
        name="database-file",
        title="Keep the generation for every later apply",
        check=file_names_generation,
        do=write_generations,
    ),
    Step(
        name="adopt",
        title="Adopt the database and lead the application to it",
        check=is_adopted,
        do=adopt,
        limit=timedelta(hours=2),
    ),
)
COPIES: Step[Recovering] = Step(
    name="copies",
    title="Copy its backups to the other region",
    check=backups_are_copied,
    do=copy_backups,
    limit=timedelta(hours=3),
    may_stay_open=(Unreachable, TerraformFailed, StepTookTooLong),
)
