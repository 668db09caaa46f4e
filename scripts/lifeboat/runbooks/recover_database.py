"""The recovery of the database: from lost data to an application that answers from the next generation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.database_model import CopyCandidate, PointKind, RecoveryPointId, WantedCopy
from lifeboat.decisions import database_choice, decided_copies, deployments, generations
from lifeboat.decisions.database_choice import Choosing
from lifeboat.decisions.decided_copies import DecidedCopy
from lifeboat.decisions.durations import said
from lifeboat.dumps import recovery_choice
from lifeboat.dumps.recovery_choice import Asked
from lifeboat.errors import GitLabUnreachable, LifeboatError, Refused, WrongConfiguration
from lifeboat.model import DatabaseReport, Gap, InstanceId, WorksOn
from lifeboat.runbooks import (
    database_adoption,
    database_losses,
    database_proof,
    database_restore,
    database_sessions,
    deployment,
    next_generation,
)
from lifeboat.runbooks.recover import (
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
from lifeboat.stack import application, database_copies, outputs, recovery_file, repair
from lifeboat.stack.application import Work

# -- what is at hand ---------------------------------------------------------------------------------------------------


def database_is_at_hand(c: Recovering) -> Gap | None:
    """Look at what would stop the recovery later; raises what does, and remarks on what only makes it slower."""
    repair.require_state(c.site, c.site.stack_store())
    require_readable(c)
    require_keys(c)
    _require_host(c)
    remark_on_gitlab(c)
    return None


def require_readable(c: Recovering) -> None:
    """Raise IntegrityFailure where the recovery file is not what we write, WrongConfiguration where no authorities are.

    Where these are named and missing, hours later nobody could check that what was restored is the database, before it gets
    its password.
    """
    generations.options(recovery_file.text(c.site), database_copies.recorded(c.site))
    authorities = c.site.new_postgres(c.recovery).address.ca_file
    if authorities is None:
        c.tell.warn(
            "nobody checks that what is restored is the database before it gets its password: [database] ca_file names its"
            " authorities"
        )
    elif not authorities.is_file():
        raise WrongConfiguration(
            f"there is no file {authorities}, which [database] ca_file names: nobody could check whom the password goes to",
            hint=f"put the bundle of {c.recovery.region} from truststore.pki.rds.amazonaws.com there",
        )


def require_keys(c: Recovering) -> None:
    """Raise Refused where a key of the next generation cannot be used; one that nobody may look at is remarked on."""
    c.remarks += recovery_choice.require_keys(c.site, c.recovery)


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
    made = choice_made(c)
    chosen = made.chosen
    takes = "unknown" if chosen.takes is None else said(chosen.takes)
    unseen = f"; not seen: {database_choice.blind_spots(made.choosing.hidden)}" if made.choosing.hidden else ""
    return Gap(
        text=f"{chosen.point.id} ({chosen.point.kind.value} of {chosen.point.database}) as it was at"
        f" {made.as_of:%Y-%m-%d %H:%M:%S}Z: {made.choosing.choice.why}; lost: {database_choice.lost(chosen)}; takes {takes}"
        f" ({chosen.takes_why}){unseen}"
    )


@dataclass(frozen=True, kw_only=True)
class Made:
    """The choice that was made; the moment of the copy, and of a window the one to name to RDS."""

    choosing: Choosing
    wanted: WantedCopy
    chosen: CopyCandidate
    as_of: datetime
    to: datetime | None
    raw_size: int | None  # of a dump: its bytes before compression


def choice_made(c: Recovering) -> Made:
    """Return the choice; raises NothingFits where nothing fits what is asked, and what a dump is refused with."""
    request, noted = c.request, c.fact("failed_at")
    database_choice.require_time(request.to, now=c.now())
    asked = Asked(
        to=request.to,
        named=None if request.copy is None else RecoveryPointId(request.copy),
        failed_at=(request.failed_at or c.now()) if noted is None else datetime.fromisoformat(noted),
        accepted=request.accept_flagged,
    )
    every = recovery_choice.candidates(c.site, asked)
    made = every.choosing()
    chosen = every.required(made, env=c.site.project.env)
    manifest = recovery_choice.require_fit(c.site, chosen, every.wanted)
    as_of = chosen.to if manifest is None else manifest.snapshot_at
    return Made(
        choosing=made,
        wanted=every.wanted,
        chosen=chosen,
        as_of=as_of,
        to=chosen.to if chosen.point.kind is PointKind.POINT_IN_TIME else None,
        raw_size=None if manifest is None else sum(file.raw_size for file in manifest.files),
    )


def asks(c: Recovering) -> list[str]:
    """Return what the operator would be asked before a copy is restored; nothing where it is decided, or none can be."""
    if c.fact("copy") is not None:
        return []
    try:
        return _to_agree(c, choice_made(c))
    except LifeboatError:
        return []  # the step itself says why


def _to_agree(c: Recovering, made: Made) -> list[str]:
    """Return what the operator has to know of the copy before it is restored."""
    found, declared, at = made.choosing, c.request.failed_at, f"{made.as_of:%Y-%m-%d %H:%M:%S}Z"
    lines = []
    if found.hidden:
        lines.append(
            f"restore {made.chosen.point.id} although a copy that loses less may be there, for not everything could be"
            f" looked at: {database_choice.blind_spots(found.hidden)}"
        )
    if declared is not None and database_choice.is_from_after(made.as_of, made.wanted, declared):
        lines.append(
            f"bring the database back as it was at {at}, after the failure at {declared:%Y-%m-%d %H:%M:%S}Z: whatever broke"
            f" the data then is in it (--to {declared:%Y-%m-%dT%H:%M:%SZ}, or a moment before it, leaves that out)"
        )
    if made.chosen.warning:
        lines.append(f"restore {made.chosen.point.id} although {made.chosen.warning}")
    if c.request.to is None and c.request.copy is None and c.serves:
        lines.append(
            f"bring the database back as it was at {at} although the application answers: what is written from now on stays"
            " behind"
        )
    return lines


def choose_copy(c: Recovering, turn: Turn) -> None:
    """Write down the copy, why it and not the others, and the generation that comes of it."""
    made = choice_made(c)
    to_agree = _to_agree(c, made)
    if to_agree:
        c.agree(to_agree)
    point, found, serving = made.chosen.point, made.choosing, c.recovery.database
    turn.note(
        f"{point.id} ({point.kind.value} of {point.database}): {found.choice.why}",
        raw_size=made.raw_size,
        **decided_copies.facts(_decided(c, made)),
        unseen=[f"{one.what} in {one.region}" for one in found.hidden],
        why_copy=found.choice.why,
        other_copies={other.id: why for other, why in found.others},
        old_generation=serving.active_generation,
        old_identifier=serving.identifier,
    )


def _decided(c: Recovering, made: Made) -> DecidedCopy:
    """Return the copy as what it becomes: a generation that never left a trace."""
    recovery = c.recovery
    name = recovery.application
    present = {generations.identifier(name, generation) for generation in database_copies.recorded(c.site)}
    new = generations.following(name, {*present, *c.site.database_restores(recovery.region).names()})
    return DecidedCopy(
        point=made.chosen.point,
        as_of=made.as_of,
        to=made.to,
        generation=new,
        identifier=generations.identifier(name, new),
    )


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


def report(c: Recovering) -> DatabaseReport | None:
    """Return what came of the database, from the journal; None where none was restored."""
    if c.fact("tables") is None:
        return None
    until, lost, to, left = (c.fact(name) for name in ("data_until", "rpo_seconds", "copy_to", "before_until"))
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
        heartbeats=c.fact("heartbeats") or 0,
        before=c.fact("old_identifier"),
        retire=f"lifeboat retire {old} -e {env}" if there else "",
        before_until=None if left is None else datetime.fromisoformat(left),
        before_known_by=c.fact("before_known_by") or "",
        left_out=tuple(c.fact("left_out") or ()),
        missing=tuple(c.fact("missing") or ()),
        compared_with=tuple(c.fact("compared_with") or ()),
        not_compared=tuple(c.fact("not_compared") or ()),
        probed=tuple(c.fact("probes") or ()),
        probe_findings=tuple(c.fact("probe_findings") or ()),
        works_on=WorksOn(c.fact("works_on") or WorksOn.UNKNOWN),
        works_on_why=c.fact("works_on_why") or "nobody has asked the databases yet",
    )


# -- the steps ---------------------------------------------------------------------------------------------------------

CHOICE: Step[Recovering] = Step(
    name="copy", title="Choose the copy of the database", check=copy_is_chosen, do=choose_copy
)
STEPS: tuple[Step[Recovering], ...] = (
    Step(name="failure", title="Declare when it failed", check=failure_is_declared, do=declare_failure),
    Step(name="preflight", title="Look at everything that a recovery needs", check=database_is_at_hand),
    CHOICE,
    *database_restore.RESTORING,
    database_losses.COMPARED,
    *database_adoption.ADOPTING,
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
    database_sessions.ASKED,
    database_losses.LEFT_BEHIND,
    database_proof.NOTED,
    database_adoption.COPIES,
    Step(name="terraform", title="Prove that Terraform agrees: a plan without changes", check=terraform_agrees),
)
