"""The recovery of the instance: from a dead one to an application that answers through its public name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from lifeboat import config
from lifeboat.clients import last_good, private_files
from lifeboat.decisions import databases, deployments, names, plans, recoveries, recovery_plan
from lifeboat.decisions.deployments import Expected
from lifeboat.decisions.durations import said
from lifeboat.decisions.policy import introduced
from lifeboat.decisions.policy.introduced import Deed
from lifeboat.decisions.recovery_plan import Judgement
from lifeboat.errors import ChoiceGone, Failed, GitLabUnreachable, Refused, StepTookTooLong, Unreachable
from lifeboat.model import LOSING, Action, Address, Gap, Instance, InstanceId, Plan, RunId
from lifeboat.runbooks import deployment
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn
from lifeboat.stack import gate, outputs, public_name, repair
from lifeboat.stack.applying import steps
from lifeboat.stack.gate import Gate

PLAN_LIMIT = timedelta(minutes=20)
INSTANCE = recoveries.INSTANCE
_POLL_SECONDS = 1.0
_MAY_WRITE = ("pending", "running", "stopping")


# -- when it failed, and whether it can be recovered -------------------------------------------------------------------


def failure_is_declared(c: Recovering) -> Gap | None:
    """Is it written down when the application failed?"""
    return None if c.fact("failed_at") else Gap(text="the time of the failure is not written down")


def declare_failure(c: Recovering, turn: Turn) -> None:
    """Write down when it failed: the clock of this recovery starts there."""
    found = recoveries.failure(
        c.request.failed_at,
        now=c.now(),
        answer=c.answer if c.request.failed_at is None and c.serves else "",
        last_good=last_good.read(c.site.project.work),
    )
    turn.note(
        f"counted from {found.at:%Y-%m-%d %H:%M:%S}Z: {found.why}",
        failed_at=found.at.isoformat(),
        why=found.why,
        counted_from=found.counted_from.value,
    )


def all_is_at_hand(c: Recovering) -> Gap | None:
    """Look at what would stop the recovery later; raises what does, and remarks on what only makes it slower."""
    store, path = c.site.stack_store(), c.site.project.recovery_file
    repair.require_state(c.site, store)
    if path.exists():
        recoveries.readable(path.read_text())
    recovery = outputs.recovery(store)
    _require_database(c, recovery.database.identifier)
    if not c.has_launched:
        require_image(c)
        require_room(c, recovery.app.instance_type)
    deployment.require_gitlab(c)
    return None


def _require_database(c: Recovering, identifier: str) -> None:
    """Raise Refused where the application cannot answer from any instance, since its database cannot."""
    try:
        status = c.site.databases(c.recovery.region).status(identifier)
    except Unreachable as error:
        c.remarks.append(f"whether the database can serve is unknown: {error.summary}")
        return
    why = databases.why_dead(identifier, status)
    if why is not None:
        env = c.site.project.env
        raise Refused(
            f"{why}: no new instance would answer, and the old one is not at fault",
            hint=f"lifeboat recover --scope full -e {env} brings both back, --scope database the database alone; a stopped"
            f" one: aws rds start-db-instance --db-instance-identifier {identifier} --region {c.recovery.region}",
        )


def require_image(c: Recovering) -> None:
    """Raise ChoiceGone where the image that was chosen earlier is gone: another one takes another recovery."""
    if c.fact("image") is None or _why_not_the_one(c) is None:
        return
    found = c.site.images().image(c.image, c.recovery.region)
    if found is None or found.state != "available":
        env = c.site.project.env
        raise ChoiceGone(
            f"{c.image}, which this recovery has chosen, {'is gone' if found is None else f'is {found.state}'}",
            hint=f"lifeboat abort {c.journal.run} -e {env}, then lifeboat recover -e {env} chooses another one",
        )


def require_room(c: Recovering, kind: str) -> None:
    """Raise Refused where the account's quota does not allow one more instance of this kind."""
    try:
        room = c.site.instances().room(kind) if kind else None
    except Unreachable as error:
        c.remarks.append(f"whether the account may run one more instance is unknown: {error.summary}")
        return
    if room is not None and not room.enough:
        raise Refused(
            f"the account's quota does not allow one more {kind}: {room.used} of {room.limit} vCPUs are in use,"
            f" and {room.needed} are needed",
            hint="aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A"
            f" --desired-value {room.used + room.needed}; or stop something that is not needed now",
        )


# -- the image ---------------------------------------------------------------------------------------------------------


def image_is_chosen(c: Recovering) -> Gap | None:
    """Is the image decided on?"""
    if c.fact("image") is not None:
        return None
    chosen = c.choice.chosen
    if chosen is None:
        return Gap(text=c.choice.why)
    c.remarks.extend(remark for remark in c.choice.remarks if remark not in c.remarks)
    return Gap(text=f"{chosen.id} ({chosen.name}, {said(c.now() - chosen.taken_at)} old): {c.choice.why}")


def choose_image(c: Recovering, turn: Turn) -> None:
    """Write down the image, why it and not the others, and which instance it replaces."""
    chosen, replaces = c.choice.chosen, c.replaces
    name = "" if chosen is None else chosen.name
    turn.note(
        f"{c.image} ({name}): {c.choice.why}",
        image=c.image,
        name=name,
        why_image=c.choice.why,
        rejected={judged.what.id: judged.why for judged in c.choice.rejected},
        old_instance=c.app.instance_id,
        old_address=c.app.address,
        replaces=replaces,
        served=c.serves,
    )


# -- the instance ------------------------------------------------------------------------------------------------------


def nothing_is_left_over(c: Recovering) -> Gap | None:
    """Is there no instance that an interrupted attempt launched and Terraform does not know?"""
    found = left_over(c)
    names_ = ", ".join(instance.id for instance in found)
    return Gap(text=f"launched by an attempt that was cut off, and in no state: {names_}") if found else None


def left_over(c: Recovering) -> list[Instance]:
    """Return the instances that an attempt at this recovery launched and Terraform does not know."""
    if c.fact("image") is None:
        return []
    return recoveries.left_over(
        c.site.instances().alive(), recorded=c.recorded(), image=c.image, since=c.began - timedelta(seconds=5)
    )


def end_left_over(c: Recovering, turn: Turn) -> None:
    """Terminate what is left over: Terraform would launch another one beside it."""
    for instance in left_over(c):
        with turn.effect(f"terminate {instance.id}", instance=instance.id):
            c.site.instances().terminate(instance.id)
    while left_over(c):
        turn.sleep(_POLL_SECONDS)


def is_planned(c: Recovering) -> Gap | None:
    """Has Terraform planned the new instance, and nothing else?"""
    if _why_not_the_one(c) is None or c.planned is not None:
        return None
    return Gap(text=f"{_why_not_the_one(c)}; Terraform has to plan one from {c.image}")


def make_plan(c: Recovering, turn: Turn) -> None:
    """Plan, and refuse what is not on the instance's path; nothing is changed."""
    plan_instance(c, turn, ())


def plan_instance(c: Recovering, turn: Turn, targets: Sequence[Address]) -> None:
    """Plan the instance with the whole stack, or with targets alone; raises Refused where it touches anything else."""
    work, site = c.applying, c.site
    work.stack = site.stack_terraform_of(RunId(c.journal.run), image=c.image)
    work.stack.init(site.backend())
    repair.adopt_stack(site, c.tell, work.stack, c.lost)
    replaced = [INSTANCE] if c.replaces and not c.has_launched else []
    running = work.start_plan(work.stack, "stack", replace=replaced, targets=targets)
    c.wait(running)
    repair.forget_adoptions(work.stack)
    plan = _allowed(c, running.planned())
    if not plan.empty:
        require_policy(c, turn, lambda: work.stack.planned(work.run.folder / "stack.plan"))
    lines = to_agree(c, plan)
    if lines:
        c.agree(lines)
    c.planned = plan
    turn.note(
        plans.headline(c.planned),
        changes=[f"{x.action.value} {x.address}" for x in c.planned.changes],
        plan_sha256=work.plan_digest("stack"),
    )


def to_agree(c: Recovering, plan: Plan) -> list[str]:
    """Return what somebody has to agree to, in words: the end of an instance that serves, or may."""
    goes = [change for change in plan.changes if change.address == INSTANCE and change.action in LOSING]
    if not goes or c.has_launched:
        return []
    noted = c.fact("served")
    if c.serves if noted is None else noted:
        why = "which serves: its root volume goes with it"
    elif c.site.instances().is_well(c.old):
        restart = f"lifeboat app restart -e {c.site.project.env}"
        why = f"which EC2 finds well: is it only not to be reached from here? {restart} starts the application anew"
    else:
        return []
    return [f"{change.action.value} {change.address}, {why}" for change in goes]


def _allowed(c: Recovering, plan: Plan) -> Plan:
    """Return the plan; raises Refused with everything in it that a recovery of the instance must not touch."""
    require_on_the_path(c, recovery_plan.judged(plan, allowed=c.request.allowed), "instance")
    return plan


def require_policy(c: Recovering, turn: Turn, show: Callable[[], dict[str, Any]]) -> None:
    """Raise Refused where a plan brings about a grave finding that nobody accepts; what is let pass is written down."""
    passing = policy_gate(c).require("stack", show)
    if passing:
        turn.note("; ".join(map(introduced.accepted, passing)), accepted_risks=gate.record(passing))


def policy_gate(c: Recovering) -> Gate:
    """Return what this recovery asks the rules with."""
    return Gate(
        tell=c.tell,
        deed=Deed.RECOVERY,
        risks=c.request.risks,
        again=lambda risks: c.again(replace(c.request, risks=tuple(risks))),
    )


def require_on_the_path(c: Recovering, found: Judgement, what: str) -> None:
    """Raise Refused with everything that a plan would touch and a recovery of this must leave alone."""
    if not found.refused:
        return
    lines = [f"  {change.action.value} {change.address}: {why}" for change, why in found.refused]
    allowed = (*c.request.allowed, *(change.address for change, _ in found.off))
    undo = f"undo the edit in environments/{c.site.project.env}.tfvars, or restore first what is lost"
    hint = "undo the edit or the drift; where it must be: " + c.again(replace(c.request, allowed=allowed))
    raise Refused(
        f"this plan would touch what a recovery of the {what} must leave alone:\n" + "\n".join(lines),
        hint=undo if found.lost else hint,
    )


def old_one_is_quiet(c: Recovering) -> Gap | None:
    """Has the instance that does not serve stopped writing to the database?"""
    served = c.fact("served")
    if (c.serves if served is None else served) or _why_not_the_one(c) is None:
        return None
    found = c.site.instances().instance(c.old)
    if found is None or found.state not in ("pending", "running"):
        return None
    return Gap(text=f"{c.old} does not serve, but is {found.state} and may still write to the database")


def stop_old_one(c: Recovering, turn: Turn) -> None:
    """Order it to stop, without waiting: what is dead may take minutes."""
    with turn.effect(f"stop {c.old}", instance=c.old):
        c.site.instances().stop(c.old)


def file_says_so(c: Recovering) -> Gap | None:
    """Does the recovery file keep the image for every later apply?"""
    if c.fact("image") is None:
        return None
    present, wanted = _file(c)
    if present == wanted or recoveries.image_in(present) == recoveries.image_in(wanted):
        return None
    name = c.site.project.recovery_file.name
    return Gap(text=f"environments/{name} must name {c.image}, else the next apply goes back to the old image")


def _file(c: Recovering) -> tuple[str | None, str | None]:
    path = c.site.project.recovery_file
    present = path.read_text() if path.exists() else None
    return present, recoveries.recovery_file(present, c.image, config.image_configured(c.site.project))


def write_file(c: Recovering, turn: Turn) -> None:
    """Write the image into the recovery file, keeping what an earlier recovery chose beside it."""
    path = c.site.project.recovery_file
    present, wanted = _file(c)
    with turn.effect(f"write environments/{path.name}", image=c.image, before=present):
        if wanted is None:
            path.unlink(missing_ok=True)
        else:
            private_files.write(path, wanted.encode())
            path.chmod(0o644)  # it is committed


def instance_is_the_one(c: Recovering) -> Gap | None:
    """Does the instance that Terraform knows run, from the image that was chosen?"""
    why = _why_not_the_one(c)
    return None if why is None else Gap(text=why)


def _why_not_the_one(c: Recovering) -> str | None:
    name = InstanceId(c.app.instance_id)
    found = c.site.instances().instance(name)
    if found is None:
        return f"{name} does not exist"
    if found.state != "running":
        return f"{name} is {found.state}"
    if found.image != c.image:
        return f"{name} runs {found.image}"
    if c.replaces and name == c.old:
        return f"{name} runs {found.image}, but does not serve"
    left = sorted(c.to_destroy())
    return f"{name} runs, and Terraform has still to end {', '.join(left)}" if left else None


def launch(c: Recovering, turn: Turn) -> None:
    """Apply the plan: the new instance is made, given the address, and the old one goes."""
    if c.planned is None:
        make_plan(c, turn)
    carry_out(c, turn)


def carry_out(c: Recovering, turn: Turn) -> None:
    """Apply what was planned of the instance."""
    plan, work = c.planned, c.applying
    headline = plans.headline(plan) if plan is not None else ""
    with turn.effect("apply the plan", plan=headline, serial=c.serial()) as came:
        applying = work.start_apply(work.stack, "stack")
        c.wait(applying, total=0 if plan is None else steps(plan))
        work.check_state()
        came.update(serial=c.serial(), instance=c.app.instance_id, address=c.app.address)
    repair.done(c.site, work.run)


def exactly_one_serves(c: Recovering) -> Gap | None:
    """Is the instance that Terraform knows the only one of ours that runs?"""
    name = c.app.instance_id
    others = [one for one in c.site.instances().alive() if one.id != name and one.state in _MAY_WRITE]
    if not others:
        return None
    return Gap(text="besides " + name + ": " + ", ".join(f"{other.id} is {other.state}" for other in others))


def wait_until_alone(c: Recovering, turn: Turn) -> None:
    """Wait until AWS has ended the others; raises when one of them stays."""
    while exactly_one_serves(c) is not None:
        turn.sleep(_POLL_SECONDS)


# -- until it answers --------------------------------------------------------------------------------------------------


def instance_answers(c: Recovering) -> Gap | None:
    """Is the application well at the address, on the instance?"""
    health = c.health()
    why = deployments.unwell(health, Expected(instance=InstanceId(c.app.instance_id)))
    return None if why is None else Gap(text=f"at {health.address}: {why}")


def wait_for_instance(c: Recovering, turn: Turn) -> None:
    """Wait until it is."""
    _wait_until(c, turn, instance_answers)


def name_leads_there(c: Recovering) -> Gap | None:
    """Does the record of the public name hold the address?"""
    app = c.app
    if app.dns_name is None:
        return None
    move = _move(c)
    if move.forbidden:
        raise Refused("; ".join(move.forbidden), hint=f"lifeboat dns show -e {c.site.project.env}")
    return Gap(text="; ".join(move.reasons)) if move.needed else None


def lead_name_there(c: Recovering, turn: Turn) -> None:
    """Save the record, change it, and wait until every name server has it."""
    move = _move(c)
    with turn.effect(f"lead {c.app.dns_name} to {c.app.address}"):
        public_name.make(c.site, move, why="switch", now=c.now(), sleep=turn.sleep)


def _move(c: Recovering) -> names.Move:
    app = c.app
    there = public_name.situation(c.site, app)
    return names.moved(there.records, there.zone, name=there.name, to=app.address, managed=there.managed)


def name_answers(c: Recovering) -> Gap | None:
    """Does a client of the public name reach the application on this instance?"""
    app = c.app
    if app.dns_name is None:
        return instance_answers(c)
    _, instance = public_name.told(c.site, app, seconds=0)
    seen = public_name.seen(c.site, app, addresses=(app.address,), instance_id=instance, seconds=0)
    problems = names.differences(seen, addresses=(app.address,), instance_id=instance)
    return Gap(text="; ".join(problems)) if problems else None


def wait_for_name(c: Recovering, turn: Turn) -> None:
    """Wait until one does."""
    _wait_until(c, turn, name_answers)


def _wait_until(c: Recovering, turn: Turn, check: Callable[[Recovering], Gap | None]) -> None:
    try:
        with c.tell.waiting() as show:
            while (gap := check(c)) is not None:
                show(gap.text)
                turn.sleep(_POLL_SECONDS)
    except StepTookTooLong as error:
        env = c.site.project.env
        instead = f"lifeboat abort {c.journal.run} -e {env}; lifeboat ami list -e {env}; lifeboat recover -e {env} --ami ANOTHER"
        raise StepTookTooLong(
            error.summary, hint=f"if the image is at fault, instead of going on: {instead}"
        ) from error


# -- afterwards --------------------------------------------------------------------------------------------------------


def boot_is_noted(c: Recovering) -> Gap | None:
    """Does the image say that a host booted from it and served?"""
    if not c.has_launched:
        return None  # nothing booted for this recovery
    found = c.site.images().image(c.image, c.recovery.region)
    if found is None or found.owner_id != c.site.owner().account_id:
        return None  # somebody else's cannot be tagged
    if found.proven_at is not None and found.proven_at >= c.began.replace(microsecond=0):
        return None
    return Gap(text=f"{c.image} does not say that it boots and serves")


def note_boot(c: Recovering, turn: Turn) -> None:
    """Write it on the image, for whoever chooses next."""
    found = c.site.images().image(c.image, c.recovery.region)
    if found is not None:
        with turn.effect(f"tag {c.image} as proven"):
            c.site.images().mark_proven(found, c.now())


def terraform_agrees(c: Recovering) -> Gap | None:
    """Would an apply change nothing?"""
    work = c.applying
    work.stack = c.site.stack_terraform_of(RunId(c.journal.run))
    work.stack.init(c.site.backend())
    running = work.start_plan(work.stack, "after")
    c.wait(running)
    c.after = running.planned()
    return None if c.after.empty else Gap(text=_would_change(c.after))


def _would_change(plan: Plan) -> str:
    changes = ", ".join(f"{change.action.value} {change.address}" for change in plan.changes)
    return f"the next apply would change something: {plans.headline(plan)} ({changes or 'outputs'})"


def finish_instance(c: Recovering, turn: Turn) -> None:
    """Apply what Terraform left undone of the instance: that a volume could not be tagged it tells nobody.

    Raises Failed where the next apply would make or end a thing, or touch what is not on the instance's path.
    """
    plan, work = c.after, c.applying
    updates = plan is not None and all(change.action is Action.UPDATE for change in plan.changes)
    if plan is None or not updates or recovery_plan.judged(plan, allowed=c.request.allowed).refused:
        raise Failed("" if plan is None else _would_change(plan))
    require_policy(c, turn, lambda: work.stack.planned(work.run.folder / "after.plan"))
    with turn.effect("apply what is left of the instance", plan=plans.headline(plan), serial=c.serial()) as came:
        c.wait(work.start_apply(work.stack, "after"), total=steps(plan))
        work.check_state()
        came.update(serial=c.serial())
    repair.done(c.site, work.run)
    wait_for_name(c, turn)


# From a running instance to an application that answers: the same whatever else was lost.
DEPLOYED: Step[Recovering] = Step(
    name="deploy",
    title="Deploy the application",
    check=deployment.is_deployed,
    do=deployment.deploy,
    limit=timedelta(hours=1),
)
ANSWERING: tuple[Step[Recovering], ...] = (
    Step(name="health", title="Wait for health at the instance", check=instance_answers, do=wait_for_instance),
    Step(
        name="name",
        title="Lead the public name to it",
        check=name_leads_there,
        do=lead_name_there,
        may_stay_open=(Unreachable,),  # the name may well answer while Route 53 takes no orders
    ),
    Step(name="answers", title="Wait for the answer through the public name", check=name_answers, do=wait_for_name),
    Step(
        name="proven",
        title="Note that the image boots and serves",
        check=boot_is_noted,
        do=note_boot,
        may_stay_open=(Unreachable,),
    ),
)
AGREES: Step[Recovering] = Step(
    name="terraform",
    title="Prove that Terraform agrees: a plan without changes",
    check=terraform_agrees,
    do=finish_instance,
)

STEPS: tuple[Step[Recovering], ...] = (
    Step(name="failure", title="Declare when it failed", check=failure_is_declared, do=declare_failure),
    Step(name="preflight", title="Look at everything that a recovery needs", check=all_is_at_hand),
    Step(name="image", title="Choose the recovery image", check=image_is_chosen, do=choose_image),
    Step(
        name="left-over",
        title="End what an interrupted attempt launched",
        check=nothing_is_left_over,
        do=end_left_over,
    ),
    Step(
        name="plan", title="Plan the new instance, and nothing else", check=is_planned, do=make_plan, limit=PLAN_LIMIT
    ),
    Step(name="fence", title="Stop the instance that does not serve", check=old_one_is_quiet, do=stop_old_one),
    Step(name="file", title="Keep the image for every later apply", check=file_says_so, do=write_file),
    Step(
        name="instance",
        title="Launch the instance from the image",
        check=instance_is_the_one,
        do=launch,
        limit=timedelta(hours=2),
    ),
    Step(name="alone", title="Prove that exactly one instance serves", check=exactly_one_serves, do=wait_until_alone),
    Step(
        name="variables",
        title="Point GitLab at the instance",
        check=deployment.variables_match,
        do=deployment.sync_variables,
        may_stay_open=(GitLabUnreachable,),
    ),
    DEPLOYED,
    *ANSWERING,
    AGREES,
)
# The clock stops when this step holds.
ANSWERS = "answers"
