"""`lifeboat apply`: make both roots what their files say, repair what a killed apply left, show what is protected."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from lifeboat.clients import last_good, machines, probe, run_files
from lifeboat.clients.terraform import Running, Terraform
from lifeboat.decisions import names, plans
from lifeboat.decisions.known_states import Purpose
from lifeboat.decisions.policy.introduced import Deed
from lifeboat.errors import Refused, StoppedPartWay
from lifeboat.model import AcceptedRisk, Agree, App, AssetRow, EventKind, Plan, PublicAnswer, Recovery, Teller
from lifeboat.site import Site
from lifeboat.stack import (
    allowed,
    drill_rest,
    gate,
    known_states,
    options,
    outputs,
    plan_records,
    preflight,
    public_name,
    rehearsal,
    repair,
)
from lifeboat.stack.applying import PATIENCE, Applying, steps
from lifeboat.stack.gate import Gate
from lifeboat.state_model import StateRoot

PROBE_SECONDS_AFTER_CHANGES = 120.0
PROBE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What an apply found and did."""

    state_plan: Plan
    stack_plan: Plan
    recovery: Recovery
    rows: list[AssetRow]
    answers: str | None
    public: PublicAnswer | None  # None where the application has no public name, or does not answer at all
    unproven: tuple[str, ...]  # what keeps clients of the public name from the instance that was applied
    unremembered: tuple[str, ...]  # of which states the other region does not know that they are sound
    stages: list[tuple[str, float]]
    accepted: tuple[str, ...] = ()  # findings of the rules that were let pass, and why
    put_back: tuple[str, ...] = ()  # which state was gone and stands on top again, as somebody agreed

    @property
    def changed(self) -> bool:
        """Whether anything had to be changed."""
        return not (self.state_plan.empty and self.stack_plan.empty) or bool(self.put_back)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of an apply beside the environment: what it is for, and rules whose findings may pass."""

    purpose: Purpose = Purpose.APPLY
    risks: tuple[AcceptedRisk, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Root:
    """A root that is planned: what it is called, what its plan's file is called, and its Terraform."""

    name: str
    file: str
    terraform: Terraform


def run(site: Site, tell: Teller, agree: Agree, asked: Asked) -> Applied:
    """Apply both roots and return what is now protected; raises before any change where something is wrong."""
    preflight.require(site, tell)
    options.require(site)
    run_files.require_space(site.project.work)
    with run_files.held(site.project.work, "apply", patience=PATIENCE, tell=tell.say) as this_run:
        work = Applying(site, tell, this_run)
        with run_files.ending(this_run, lambda: work.cut_off), work.whole(f"lifeboat apply -e {site.project.env}"):
            return _apply(work, agree, asked)


def _gate(site: Site, tell: Teller, asked: Asked) -> Gate:
    """Return what the rules are asked with."""
    first = " --first-apply" if asked.purpose is Purpose.FIRST_APPLY else ""
    again = f"lifeboat apply -e {site.project.env}{first}"
    return Gate(
        tell=tell,
        deed=Deed.APPLY,
        risks=asked.risks,
        again=lambda risks: " ".join([again, *map(gate.option, risks)]),
    )


def _apply(work: Applying, agree: Agree, asked: Asked) -> Applied:
    site, stages = work.site, work.stages
    check = work.start_check() if not site.root_state_file.exists() else None
    with stages.timed("local cloud"):
        rehearsal.start(site, work.tell, but=work.run.run)
    preflight.require_account(site)
    _require_known(work, agree, asked.purpose)
    # Where there is no lock table yet, there is nothing either that two could change at once.
    with ExitStack() as held:
        if site.root_store().table_answers():
            work.fence = held.enter_context(site.lease(work.run.run, work.tell.say).held())
        orders = _Orders(agree=agree, gate=_gate(site, work.tell, asked), purpose=asked.purpose, held=held)
        return _both_roots(work, orders, check)


def _require_known(work: Applying, agree: Agree, purpose: Purpose) -> None:
    """Raise Refused where a state is not the one that is remembered; ask where root 1's is to begin anew."""
    passed = known_states.require(work.site, purpose, known_states.BOTH)
    work.passed = passed
    for remark in passed.remarks:
        work.tell.warn(remark)
    if passed.to_agree:
        agree(passed.to_agree)
    if StateRoot.BACKEND in passed.anew:
        work.keep_root = known_states.keep_agreed


@dataclass(frozen=True, kw_only=True)
class _Orders:
    """Whom to ask, and the rules, what the apply is for, and what is held, or undone, until it ends."""

    agree: Agree
    gate: Gate
    purpose: Purpose
    held: ExitStack


def _prepare_stack(work: Applying, orders: _Orders, lost: repair.Lost) -> Running:
    """Start the plan of the stack: of a first apply, with the digest emptied that would let it fail."""
    if orders.purpose is Purpose.FIRST_APPLY:
        orders.held.callback(repair.begin_anew(work.site, work.tell, orders.agree))
    return work.prepare_stack(lost)


def _both_roots(work: Applying, orders: _Orders, check: Running | None) -> Applied:
    site, stages = work.site, work.stages
    root, stack = (
        _Root(name="state backend", file="state", terraform=work.state),
        _Root(name=allowed.STACK, file="stack", terraform=work.stack),
    )
    checked: Plan | None = None  # of the stack, before there is a backend that the plan could be made with
    root_store, stack_store = site.root_store(), site.stack_store()
    with stages.timed("repair"):
        ready = root_store.usable()
        lost = repair.run(site, work.tell, work.run)
        work.take_root_state(root_store)
    with stages.timed("plan"):
        work.state.init(None)
        repair.adopt_root(site, work.tell, work.state, lost)
        plan_state = work.start_plan(work.state, "state")
        plan_stack = _prepare_stack(work, orders, lost) if ready else None
        work.wait([one for one in (check, plan_state, plan_stack) if one is not None])
        if check is not None:
            checked = check.planned()
        repair.forget_adoptions(work.state)
        # Both are judged before either is applied, so that what is refused has changed nothing.
        state_plan = _judged(work, orders, plan_state, root)
        stack_plan = None if plan_stack is None else _judged(work, orders, plan_stack, stack)
        if stack_plan is None and checked is not None:
            _ask_the_rules(work, orders, checked, _Root(name=allowed.STACK, file="check", terraform=work.check))
    if ready:
        _write_down(work, orders)
    applying: list[Running] = []
    if not state_plan.empty:
        work.run.note(applying_state=True)
        if lost.trusted is not None:
            repair.remember_state(site, lost.trusted)  # killed before the digest is written, the next run knows it
        work.root_applied = True
        applying.append(work.start_apply(work.state, "state"))
    if stack_plan is None:
        with stages.timed("state backend until usable"):
            work.wait(
                applying,
                until=lambda: work.backend_usable(applying, state_plan, root_store),
                total=steps(state_plan),
            )
        if lost.table:
            work.fence = orders.held.enter_context(site.lease(work.run.run, work.tell.say).held())
            repair.fill_table(site, work.tell, work.run, lost)
        with stages.timed("plan of the stack"):
            plan_stack = _prepare_stack(work, orders, lost)
            work.wait([plan_stack])
            stack_plan = _judged_late(work, orders, plan_stack, stack, checked)
        _write_down(work, orders)
    if not stack_plan.empty:
        work.run.note(applying_stack=True)
        applying.append(work.start_apply(work.stack, "stack"))
    with stages.timed("apply"):
        work.wait(applying, total=steps(stack_plan) + steps(state_plan))
        work.give_root_state(root_store)
    with stages.timed("check"):
        work.check_state()
        work.check_root_state()
        recovery = outputs.recovery(stack_store)
        rows = outputs.protection_table(site, recovery)
        repair.done(site, work.run)
        plan_records.applied(site, work.tell)
    with stages.timed("wait for the application"):
        patience = PROBE_SECONDS if stack_plan.empty else PROBE_SECONDS_AFTER_CHANGES
        answers = probe.answer(recovery.app.url, seconds=patience)
    public, unproven = None, tuple[str, ...]()
    if answers is not None and recovery.app.dns_name is not None:
        with stages.timed("wait for its public name"):
            public, unproven = _proven(site, recovery.app, min(patience, public_name.SEEN_SECONDS))
    if answers is not None and not unproven:
        last_good.remember(site.project.work, datetime.now(UTC))
    return Applied(
        state_plan=state_plan,
        stack_plan=stack_plan,
        recovery=recovery,
        rows=rows,
        answers=answers,
        public=public,
        unproven=unproven,
        unremembered=tuple(work.unremembered),
        stages=stages.ended,
        accepted=gate.told(gate.record(orders.gate.passed)),
        put_back=() if work.passed is None else work.passed.put_back,
    )


def _proven(site: Site, app: App, seconds: float) -> tuple[PublicAnswer, tuple[str, ...]]:
    """Return what a client of the public name meets, and what is wrong with it."""
    _, instance_id = public_name.told(site, app, seconds=seconds)
    wanted = (app.address,)
    found = public_name.seen(site, app, addresses=wanted, instance_id=instance_id, seconds=seconds)
    return found, names.differences(found, addresses=wanted, instance_id=instance_id)


def _judged(work: Applying, orders: _Orders, running: Running, root: _Root) -> Plan:
    plan = running.planned()
    if root.name == allowed.STACK:
        work.require_planned_from("stack")
    if not plan.empty:
        work.tell.say(f"{root.name}: {plans.headline(plan)}")
    for line in plans.lost_by_name(plan):
        work.tell.warn(f"  {line}")
    agreement = allowed.require(work.site, plan, root.name)
    if root.name == allowed.STACK:
        drill_rest.require_for(work.site, plan)
    _ask_the_rules(work, orders, plan, root)
    if agreement:
        orders.agree(agreement)
    return plan


def _judged_late(work: Applying, orders: _Orders, running: Running, root: _Root, checked: Plan | None) -> Plan:
    """Return the plan of the stack once there is a backend; of the same changes as the one before it the rules say the same."""
    if checked is not None and running.planned().changes == checked.changes:
        work.require_planned_from("stack")
        agreement = allowed.require(work.site, checked, root.name)
        if agreement:
            orders.agree(agreement)
        return running.planned()
    try:
        return _judged(work, orders, running, root)
    except Refused as refusal:
        raise StoppedPartWay(
            f"the state backend is made, and nothing of the stack: {refusal.summary}", hint=refusal.hint
        ) from refusal


def _ask_the_rules(work: Applying, orders: _Orders, plan: Plan, root: _Root) -> None:
    """Raise Refused where a plan brings about what nobody accepts; one that changes nothing brings nothing about."""
    if not plan.empty:
        orders.gate.require(root.name, lambda: root.terraform.planned(work.run.folder / f"{root.file}.plan"))


def _write_down(work: Applying, orders: _Orders) -> None:
    """Write what was let pass into a journal of this run, and into its own file; it counts only where it is written down."""
    found = gate.record(orders.gate.passed)
    if not found:
        return
    work.run.note(accepted_risks=found)
    journal = work.site.journal(work.run.run)
    who = {"user": run_files.user_name(), "host": socket.gethostname(), "machine": machines.machine()}
    journal.write(EventKind.BEGUN, text="apply", **who)
    journal.write(EventKind.NOTE, text="; ".join(gate.told(found)), accepted_risks=found)
    journal.end("accepted; what came of the apply is in its own files")
