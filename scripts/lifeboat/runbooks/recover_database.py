"""The recovery of the database: from lost data to an application that answers from the next generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lifeboat.clients import private_files
from lifeboat.clients.dump_store import DumpStore
from lifeboat.database_model import (
    CopyCandidate,
    DumpEntry,
    DumpId,
    PointKind,
    Proof,
    RecoveryPoint,
    RecoveryPointId,
    RestoredInstance,
    RestoreOrder,
    Verdict,
)
from lifeboat.decisions import database_choice, deployments, generations, plans, recovery_plan
from lifeboat.decisions.database_choice import Choosing
from lifeboat.decisions.durations import said
from lifeboat.decisions.recovery_plan import Adoption
from lifeboat.dumps import recovery_choice
from lifeboat.dumps.recovery_choice import Asked
from lifeboat.errors import (
    ChoiceGone,
    Failed,
    GitLabUnreachable,
    IntegrityFailure,
    NothingFits,
    Refused,
    StepTookTooLong,
    TerraformFailed,
    Unreachable,
)
from lifeboat.model import DatabaseReport, EventKind, Gap, InstanceId, Plan, RunId, Scope, Secret, Tag
from lifeboat.runbooks import deployment, dump_restore, next_generation
from lifeboat.runbooks.recover import (
    PLAN_LIMIT,
    declare_failure,
    failure_is_declared,
    instance_answers,
    name_answers,
    terraform_agrees,
    wait_for_instance,
    wait_for_name,
)
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn
from lifeboat.stack import application, database_access, database_copies, outputs, repair
from lifeboat.stack.application import Work
from lifeboat.stack.applying import steps

_POLL_SECONDS = 5.0
_SOON_SECONDS = 1.0
# RDS user guide, "Viewing Amazon RDS DB instance status": none of these becomes usable by itself.
_BROKEN = ("failed", "restore-error", "inaccessible-encryption-credentials", "storage-full")
_RESTORE_LIMIT = timedelta(hours=12)
RESTORED = 3  # how deep a verification looks that restores: as deep as what a recovery has proven


# -- what is at hand ---------------------------------------------------------------------------------------------------


def database_is_at_hand(c: Recovering) -> Gap | None:
    """Look at what would stop the recovery later; raises what does, and remarks on what only makes it slower."""
    repair.require_state(c.site, c.site.stack_store())
    require_readable(c)
    database_copies.settings(c.site)
    _require_host(c)
    remark_on_gitlab(c)
    return None


def require_readable(c: Recovering) -> None:
    """Raise IntegrityFailure where the recovery file is not what we write."""
    generations.options(_text(c), database_copies.recorded(c.site))


def _require_host(c: Recovering) -> None:
    """Raise Refused where no instance is there that could serve from the restored database."""
    why = deployments.unreachable(c.site.hosts(c.recovery.region).standing(InstanceId(c.app.instance_id)))
    if why is not None:
        env = c.site.project.env
        raise Refused(
            f"{why}: with the database alone the application does not come back",
            hint=f"lifeboat recover --scope full -e {env} brings both back",
        )


def remark_on_gitlab(c: Recovering) -> None:
    """Remark on it where GitLab does not answer; what its variables shall be is known once the database is there."""
    if c.site.project.environment.gitlab is None:
        return
    try:
        c.site.gitlab(c.gitlab_patience()).variables()
    except GitLabUnreachable as error:
        c.remarks.append(f"GitLab's variables will be left for a resume: {error.summary}")


# -- the copy ----------------------------------------------------------------------------------------------------------


def copy_is_chosen(c: Recovering) -> Gap | None:
    """Is the copy decided on, and the generation that comes of it?"""
    if c.fact("copy") is not None:
        return None
    made = _chosen(c)
    chosen = made.chosen
    takes = "unknown" if chosen.takes is None else said(chosen.takes)
    unseen = f"; not seen: {database_choice.blind_spots(made.choosing.hidden)}" if made.choosing.hidden else ""
    return Gap(
        text=f"{chosen.point.id} ({chosen.point.kind.value} of {chosen.point.database}) as it was at"
        f" {made.as_of:%Y-%m-%d %H:%M:%S}Z: {made.choosing.choice.why}; {said(chosen.loss)} lost, takes {takes}"
        f" ({chosen.takes_why}){unseen}"
    )


@dataclass(frozen=True, kw_only=True)
class _Made:
    """The choice that was made; the moment of the copy, and the one to name to RDS."""

    choosing: Choosing
    chosen: CopyCandidate
    as_of: datetime
    to: datetime | None


def _chosen(c: Recovering) -> _Made:
    """Return the choice; raises NothingFits where nothing fits what is asked, and what a dump is refused with."""
    request, noted = c.request, c.fact("failed_at")
    database_choice.require_time(request.to, now=c.now())
    asked = Asked(
        to=request.to,
        named=None if request.copy is None else RecoveryPointId(request.copy),
        failed_at=c.now() if noted is None else datetime.fromisoformat(noted),
        accepted=request.accept_flagged,
    )
    every = recovery_choice.candidates(c.site, asked)
    made = every.choosing()
    chosen = every.required(made, env=c.site.project.env)
    manifest = recovery_choice.require_fit(c.site, chosen, every.wanted)
    exact = request.to is not None and chosen.point.kind is PointKind.POINT_IN_TIME
    as_of = chosen.to if manifest is None else manifest.snapshot_at
    return _Made(choosing=made, chosen=chosen, as_of=as_of, to=chosen.to if exact else None)


def choose_copy(c: Recovering, turn: Turn) -> None:
    """Write down the copy, why it and not the others, and the generation that comes of it."""
    made = _chosen(c)
    chosen, found = made.chosen, made.choosing
    to_agree = []
    if found.hidden:
        to_agree.append(
            f"restore {chosen.point.id} although a copy that loses less may be there, for not everything could be looked"
            f" at: {database_choice.blind_spots(found.hidden)}"
        )
    if c.request.to is None and c.request.copy is None and c.serves:
        to_agree.append(
            f"bring the database back as it was at {made.as_of:%Y-%m-%d %H:%M:%S}Z although the application answers:"
            " what is written from now on stays behind"
        )
    if to_agree:
        c.agree(to_agree)
    recovery, point = c.recovery, chosen.point
    name = recovery.application
    present = database_copies.recorded(c.site)
    new = generations.following(
        name,
        {
            *(generations.identifier(name, generation) for generation in present),
            *c.site.database_restores(recovery.region).names(),
        },
    )
    turn.note(
        f"{point.id} ({point.kind.value} of {point.database}): {found.choice.why}",
        # By its id and its ARN: neither retention nor prune takes away what a run that has not ended names.
        copy=point.id,
        copy_arn=point.arn,
        copy_kind=point.kind.value,
        copy_region=point.region,
        source=point.database,
        size=point.size,
        copy_to=None if made.to is None else made.to.isoformat(),
        as_of=made.as_of.isoformat(),
        unseen=[f"{one.what} in {one.region}" for one in found.hidden],
        why_copy=found.choice.why,
        other_copies={other.id: why for other, why in found.others},
        generation=new,
        identifier=generations.identifier(name, new),
        old_generation=recovery.database.active_generation,
        old_identifier=recovery.database.identifier,
    )


# -- the restore -------------------------------------------------------------------------------------------------------


def is_restored(c: Recovering) -> Gap | None:
    """Does the new generation's instance take connections?"""
    name = c.fact("identifier")
    if name is None:
        return Gap(text="no copy is decided on")
    found = next_generation.instance(c)
    if found is None:
        return Gap(text=f"{name} does not exist")
    if not _seen_as_ours(c) and not next_generation.is_of_this_run(c, found):
        raise ChoiceGone(
            f"there is a database {name} that this recovery did not make",
            hint=f"lifeboat abort {c.journal.run} -e {c.site.project.env}, then recover anew: another name is taken",
        )
    if found.status in _BROKEN or found.status.startswith("incompatible-"):
        env, copy = c.site.project.env, c.fact("copy")
        raise ChoiceGone(
            f"{name} is {found.status}: {copy} cannot be restored",
            hint=f"lifeboat abort {c.journal.run} -e {env}, lifeboat plan-recovery -e {env}, then lifeboat recover --scope"
            f" {c.request.scope.value} --from ANOTHER -e {env}",
        )
    return None if found.usable else Gap(text=f"{name} is {found.status}")


def _seen_as_ours(c: Recovering) -> bool:
    """Whether this recovery has found the instance to be its own before: an adoption takes the mark off."""
    held = (EventKind.HOLDS, EventKind.DONE)
    return any(event.step == "restore" and event.kind in held for event in c.journal.events)


def restore(c: Recovering, turn: Turn) -> None:
    """Order the restore with the settings of the serving instance, of a dump an empty one, and wait until it answers."""
    restores = c.site.database_restores(c.recovery.region)
    order = _order(c)
    if next_generation.instance(c) is None:
        what = "make an empty" if next_generation.is_from_dump(c) else "restore"
        with turn.effect(f"{what} {order.identifier} for {order.point.id}", identifier=order.identifier):
            restores.restore(order)
    _wait(c, turn, is_restored, _POLL_SECONDS)


def _order(c: Recovering) -> RestoreOrder:
    to = c.fact("copy_to")
    point = RecoveryPoint(
        id=RecoveryPointId(c.fact("copy")),
        kind=PointKind(c.fact("copy_kind")),
        database=c.fact("source"),
        region=c.recovery.region,
        taken_at=datetime.fromisoformat(c.fact("as_of")),
        status="available",
        size=c.fact("size"),
        source=c.fact("source"),
        key=None,
    )
    return RestoreOrder(
        point=point,
        to=None if to is None else datetime.fromisoformat(to),
        identifier=c.fact("identifier"),
        settings=database_copies.settings(c.site),
        run=c.journal.run,
    )


def _wait(c: Recovering, turn: Turn, check: Callable[[Recovering], Gap | None], seconds: float) -> None:
    with c.tell.waiting() as show:
        while (gap := check(c)) is not None:
            show(gap.text)
            turn.sleep(seconds)


def password_is_managed(c: Recovering) -> Gap | None:
    """Does the database take the password that RDS keeps in a secret of its own?"""
    found = next_generation.instance(c)
    if found is None:
        return Gap(text="there is no restored database")
    if found.password_secret_arn is None:
        return Gap(text=f"the password of {found.identifier} is in no secret")
    if found.secret_status not in ("active", None):
        return Gap(text=f"the secret of its password is {found.secret_status}")
    try:
        why = c.site.database_answers(next_generation.sign_in_address(c, found)).ready()
    except (Unreachable, IntegrityFailure) as error:
        why = error.summary
    return None if why is None else Gap(text=why)


def manage_password(c: Recovering, turn: Turn) -> None:
    """Let RDS give it a new password under the key of the serving one, and wait until the database takes it."""
    found, settings = next_generation.instance(c), database_copies.settings(c.site)
    if found is not None and found.password_secret_arn is None:
        with turn.effect(f"let RDS manage the password of {found.identifier}"):
            c.site.database_restores(c.recovery.region).manage_password(
                found.identifier, settings.password_key, settings.modified
            )
    _wait(c, turn, password_is_managed, _SOON_SECONDS)


def _url(c: Recovering, found: RestoredInstance) -> Secret:
    """Return the address of the new database with its password."""
    return database_access.database_url(c.site, next_generation.stack_with(c, found))


# -- what is in it -----------------------------------------------------------------------------------------------------


def data_is_proven(c: Recovering) -> Gap | None:
    """Is it written down what the restored database holds, and until when?"""
    return None if c.fact("tables") is not None else Gap(text="nobody has looked into the restored database")


def prove_data(c: Recovering, turn: Turn) -> None:
    """Count its tables and those with rows, and read from the data itself until when it has any."""
    found = next_generation.instance(c)
    if found is None:
        raise Failed("there is no restored database")
    ordered = next(
        (event.at for event in c.journal.events if event.step == "restore" and event.kind is EventKind.INTENT), c.now()
    )
    proof = c.site.database_answers(_url(c, found)).proof(before=ordered)
    if proof.tables == 0:
        env = c.site.project.env
        raise IntegrityFailure(
            f"{found.identifier} holds no table: {c.fact('copy')} is a copy of nothing",
            hint=f"lifeboat abort {c.journal.run} -e {env}, then lifeboat plan-recovery -e {env} lists other copies",
        )
    if next_generation.is_from_dump(c):
        # All that was committed when it was taken, and nothing else; the commits in it are those of the restore.
        taken = datetime.fromisoformat(c.fact("as_of"))
        proof = replace(proof, until=taken, known_by="the dump's snapshot, with which every table was compared")
    failed_at = datetime.fromisoformat(c.fact("failed_at"))
    lost = None if proof.until is None else max(failed_at - proof.until, timedelta(0))
    until = "an unknown moment" if proof.until is None else f"{proof.until:%Y-%m-%d %H:%M:%S}Z"
    turn.note(
        f"{proof.tables} tables, {proof.with_rows} with rows; data until {until} ({proof.known_by})",
        tables=proof.tables,
        with_rows=proof.with_rows,
        data_until=None if proof.until is None else proof.until.isoformat(),
        known_by=proof.known_by,
        rpo_seconds=None if lost is None else lost.total_seconds(),
    )


def copy_is_noted(c: Recovering) -> Gap | None:
    """Does the copy say that it was restored and held its data?"""
    kind, copy = c.fact("copy_kind"), c.fact("copy")
    if kind == PointKind.DUMP.value:
        proven = _dump(c)[1].proven
    elif kind in (PointKind.MANUAL_SNAPSHOT.value, PointKind.AUTOMATED_SNAPSHOT.value):
        point = c.site.database_snapshots().snapshot(copy, c.recovery.region)
        if point is None:
            return None  # RDS has expired it meanwhile
        proven = point.proven
    else:
        return None  # a window has no tags, a point of AWS Backup none that last
    if proven is not None and proven.level >= RESTORED and proven.at >= c.began.replace(microsecond=0):
        return None
    return Gap(text=f"{copy} does not say that it was restored and held its data")


def note_copy(c: Recovering, turn: Turn) -> None:
    """Write it beside the dump, or on the snapshot, for whoever chooses next."""
    at = c.now().replace(microsecond=0)
    with turn.effect(f"note that {c.fact('copy')} was restored and proven"):
        if next_generation.is_from_dump(c):
            store, entry = _dump(c)
            store.prove(entry, Proof(level=RESTORED, at=at, verdict=Verdict.PASSED))
            return
        snapshots = c.site.database_snapshots()
        point = snapshots.snapshot(c.fact("copy"), c.recovery.region)
        if point is not None:
            snapshots.tag(point, {Tag.PROVEN_AT: at.isoformat()})


def _dump(c: Recovering) -> tuple[DumpStore, DumpEntry]:
    return recovery_choice.dump(c.site, c.fact("source"), DumpId(c.fact("copy")), c.fact("copy_region"))


def backups_are_on(c: Recovering) -> Gap | None:
    """Does RDS keep backups of it for as long as of the serving one?"""
    found, days = next_generation.instance(c), database_copies.settings(c.site).retention
    if found is None:
        return Gap(text="there is no restored database")
    return None if found.retention == days else Gap(text=f"backups are kept {found.retention} days, not {days}")


def turn_backups_on(c: Recovering, turn: Turn) -> None:
    """Turn them on, and wait until RDS says so; the first backup is made while the database serves."""
    found, days = next_generation.instance(c), database_copies.settings(c.site).retention
    if found is not None:
        with turn.effect(f"keep backups of {found.identifier} for {days} days"):
            c.site.database_restores(c.recovery.region).keep_backups(found.identifier, days)
    _wait(c, turn, backups_are_on, _SOON_SECONDS)


# -- Terraform's part --------------------------------------------------------------------------------------------------


def _adopted(c: Recovering) -> bool:
    """Whether Terraform knows the new generation as the one that serves."""
    new = c.fact("generation")
    return new in database_copies.recorded(c.site) and c.recovery.database.active_generation == new


def _options(c: Recovering) -> dict[str, dict[str, Any]]:
    """Return the generations that the files shall name once the new one is among them, with what they say of each."""
    text = _text(c)
    present = generations.options(text, database_copies.recorded(c.site))
    new = c.fact("generation")
    if new is None or new in present:
        return present
    restores, name = c.site.database_restores(c.recovery.region), c.recovery.application
    lost = [one for one in present if restores.instance(generations.identifier(name, one)) is None]
    return generations.with_restored(present, new, lost=lost)


def _lost(c: Recovering) -> list[str]:
    """Return the generations that Terraform knew when this recovery planned, and whose instances are gone."""
    return sorted({*(c.fact("lost_generations") or []), *(set(database_copies.recorded(c.site)) - set(_options(c)))})


def _text(c: Recovering) -> str | None:
    path = c.site.project.recovery_file
    return path.read_text() if path.exists() else None


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
    running = work.start_plan(work.stack, "database")
    c.wait(running)
    repair.forget_adoptions(work.stack)
    c.adoption = _allowed(c, running.planned(), new)
    turn.note(
        plans.headline(c.adoption),
        generations=options,
        lost_generations=_lost(c),
        changes=[f"{x.action.value} {x.address}" for x in c.adoption.changes],
    )


def _allowed(c: Recovering, plan: Plan, new: str) -> Plan:
    """Return the plan; raises Refused with everything in it that a recovery of the database must not touch."""
    adoption = Adoption(generation=new, lost=tuple(_lost(c)), allowed=c.request.allowed)
    both = c.request.scope is Scope.FULL
    judge = recovery_plan.judged_for_both if both else recovery_plan.judged_for_database
    found = judge(plan, adoption)
    if found.refused:
        lines = [f"  {change.action.value} {change.address}: {why}" for change, why in found.refused]
        allowed = (*c.request.allowed, *(change.address for change, _ in found.off))
        undo = f"undo the edit in environments/{c.site.project.env}.tfvars, or restore first what is lost"
        hint = "undo the edit or the drift; where it must be: " + c.again(replace(c.request, allowed=allowed))
        raise Refused(
            "this plan would touch what a recovery of the database must leave alone:\n" + "\n".join(lines),
            hint=undo if found.lost else hint,
        )
    return plan


def file_names_generation(c: Recovering) -> Gap | None:
    """Does the recovery file name the new generation for every later apply?"""
    new, text = c.fact("generation"), _text(c)
    named = {} if text is None or new is None else generations.options(text, [new])
    if new is not None and named.get(new) and generations.active_in(text) == new:
        return None
    name = c.site.project.recovery_file.name
    return Gap(text=f"environments/{name} must name {new or 'the next generation'}, else no later apply knows it")


def write_generations(c: Recovering, turn: Turn) -> None:
    """Write the generations into the recovery file; what an earlier recovery chose beside them stays."""
    _write(c, turn, _options(c))


def _write(c: Recovering, turn: Turn, options: Mapping[str, dict[str, Any]]) -> None:
    path, before = c.site.project.recovery_file, _text(c)
    wanted = generations.file(before, options, str(c.fact("generation")))
    with turn.effect(f"write environments/{path.name}", generation=c.fact("generation"), before=before):
        private_files.write(path, wanted.encode())
        path.chmod(0o644)  # it is committed


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


# -- the application ---------------------------------------------------------------------------------------------------


def is_restarted(c: Recovering) -> Gap | None:
    """Was the application started anew since its secret names the new database?"""
    if c.fact("restarted_for") == c.fact("identifier") is not None:
        return None
    return Gap(text=f"the application was not started anew for {next_generation.named(c)}")


def restart(c: Recovering, turn: Turn) -> None:
    """Start its container anew over SSM: a pool of connections to the old database may live for hours."""
    within = timedelta(seconds=turn.seconds_left)
    work = Work(site=c.site, tell=c.tell, within=within, effect=turn.effect, note=turn.note)
    application.perform(work, application.RESTART)
    turn.note(f"started anew for {c.fact('identifier')}", restarted_for=c.fact("identifier"))


# -- afterwards --------------------------------------------------------------------------------------------------------


def backups_are_copied(c: Recovering) -> Gap | None:
    """Are its backups copied to the other region, as Terraform's files say?"""
    new = c.fact("generation")
    said_of_it = {} if new is None else generations.options(_text(c), [new])[new]
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
    running = work.start_plan(work.stack, "copies")
    c.wait(running)
    plan = _allowed(c, running.planned(), new)
    turn.note(plans.headline(plan), changes=[f"{x.action.value} {x.address}" for x in plan.changes])
    if not plan.empty:
        _apply(c, turn, plan, "copies")


def report(c: Recovering) -> DatabaseReport | None:
    """Return what came of the database, from the journal; None where none was restored."""
    if c.fact("tables") is None:
        return None
    until, lost, to = c.fact("data_until"), c.fact("rpo_seconds"), c.fact("copy_to")
    old, env = c.fact("old_generation"), c.site.project.env
    there = old in database_copies.recorded(c.site)
    objective = outputs.recovery(c.site.stack_store()).objectives.rpo_hours
    return DatabaseReport(
        generation=c.fact("generation"),
        identifier=c.fact("identifier"),
        copy=c.fact("copy"),
        why=c.fact("why_copy"),
        to=None if to is None else datetime.fromisoformat(to),
        until=None if until is None else datetime.fromisoformat(until),
        known_by=c.fact("known_by"),
        rpo=None if lost is None else timedelta(seconds=lost),
        objective=timedelta(hours=objective),
        tables=c.fact("tables"),
        with_rows=c.fact("with_rows"),
        before=c.fact("old_identifier"),
        retire=f"lifeboat retire {old} -e {env}" if there else "",
    )


def given_up(c: Recovering, turn: Turn) -> list[str]:
    """Take away what no apply has carried out: the restored instance, its name in the file; return in words what remains."""
    new, name = c.fact("generation"), c.fact("identifier")
    if new is None:
        return []
    if new in database_copies.recorded(c.site):
        return [
            f"{name} is adopted by Terraform and stays: lifeboat plan -e {c.site.project.env} shows how things stand"
        ]
    told = []
    found, restores = next_generation.instance(c), c.site.database_restores(c.recovery.region)
    if found is not None and next_generation.is_of_this_run(c, found):
        with turn.effect(f"delete {name}", identifier=name):
            restores.unprotect(name)
            restores.delete(name)
        told.append(f"{name}, which this recovery restored and Terraform does not know, is being deleted")
    wrote = [e for e in c.journal.events if e.kind is EventKind.INTENT and e.step == "database-file"]
    path, text = c.site.project.recovery_file, _text(c)
    if wrote and generations.active_in(text) == new:
        before = wrote[0].data.get("before")
        with turn.effect(f"take {new} out of environments/{path.name}"):
            if before is None:
                path.unlink()
            else:
                path.write_text(before)
        told.append(f"environments/{path.name} no longer names {new}")
    return told


# -- the steps ---------------------------------------------------------------------------------------------------------

CHOICE: Step[Recovering] = Step(
    name="copy", title="Choose the copy of the database", check=copy_is_chosen, do=choose_copy
)
RESTORING: tuple[Step[Recovering], ...] = (
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
    Step(name="proof", title="Prove its data", check=data_is_proven, do=prove_data, limit=timedelta(hours=1)),
    Step(
        name="retention",
        title="Turn its backups on",
        check=backups_are_on,
        do=turn_backups_on,
        limit=timedelta(minutes=30),
    ),
)
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
NOTED: Step[Recovering] = Step(
    name="noted",
    title="Note that the copy restores",
    check=copy_is_noted,
    do=note_copy,
    may_stay_open=(Unreachable, NothingFits),
)
COPIES: Step[Recovering] = Step(
    name="copies",
    title="Copy its backups to the other region",
    check=backups_are_copied,
    do=copy_backups,
    limit=timedelta(hours=3),
    may_stay_open=(Unreachable, TerraformFailed, StepTookTooLong),
)
STEPS: tuple[Step[Recovering], ...] = (
    Step(name="failure", title="Declare when it failed", check=failure_is_declared, do=declare_failure),
    Step(name="preflight", title="Look at everything that a recovery needs", check=database_is_at_hand),
    CHOICE,
    *RESTORING,
    *ADOPTING,
    Step(
        name="variables",
        title="Point GitLab at the database",
        check=deployment.variables_match,
        do=deployment.sync_variables,
        may_stay_open=(GitLabUnreachable,),
    ),
    Step(
        name="restart", title="Start the application anew", check=is_restarted, do=restart, limit=timedelta(minutes=30)
    ),
    Step(name="health", title="Wait for health at the instance", check=instance_answers, do=wait_for_instance),
    Step(name="answers", title="Wait for the answer through the public name", check=name_answers, do=wait_for_name),
    NOTED,
    COPIES,
    Step(name="terraform", title="Prove that Terraform agrees: a plan without changes", check=terraform_agrees),
)
