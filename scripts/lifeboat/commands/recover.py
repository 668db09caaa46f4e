"""`lifeboat recover`, `resume`, `abort`, `runs`, `logs`: one recovery from the declared failure to the answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from lifeboat.clients import last_good, machines, run_files, state_locks
from lifeboat.clients.journal import Journal, JournalBucket
from lifeboat.clients.run_files import Unfinished
from lifeboat.clients.waiting import WallClock
from lifeboat.decisions import database_choice, evidence, recoveries, recovery_plan, timings
from lifeboat.decisions import runs as run_states
from lifeboat.decisions.known_states import Purpose
from lifeboat.decisions.policy import risks
from lifeboat.errors import IntegrityFailure, Interrupted, Locked, NothingFits, Refused, StoppedPartWay
from lifeboat.model import (
    AcceptedRisk,
    Agree,
    Event,
    EventKind,
    ImageId,
    Instance,
    InstanceId,
    LeftOpen,
    Plan,
    RecoveryPreview,
    RecoveryReport,
    RecoveryRequest,
    RunId,
    RunRow,
    RunState,
    Scope,
    Teller,
)
from lifeboat.runbooks import database_given_up, recover_both, recover_database, tables
from lifeboat.runbooks.deployment import withdraw
from lifeboat.runbooks.recover import INSTANCE, end_left_over, left_over, policy_gate, to_agree
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Runner, Turn, Watcher, flat
from lifeboat.runner import preview as look
from lifeboat.site import Site
from lifeboat.stack import (
    evidence_keeping,
    gate,
    known_states,
    open_recoveries,
    outputs,
    preflight,
    recovery_file,
    rehearsal,
    repair,
)
from lifeboat.stack.applying import PATIENCE, Applying
from lifeboat.state_model import StateRoot

IDLE_LOOKED_AT = 5  # newest of them, for the lock that a killed plan left
LEARNT_FROM = 5  # newest recoveries, for how long a step usually takes
_ORPHAN_POLL_SECONDS = 0.5
_ASKS_LATER = (
    "it may ask once more when the data is restored: where tables hold no rows of which the old database or the newest dump"
    " has some, or a probe is answered wrongly; it ends with 11 then, whoever agreed"
)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Whom to tell how it goes, whom to show the steps, whom to ask for agreement."""

    tell: Teller
    watch: Callable[[Journal, timedelta], Watcher]
    agree: Agree


# -- before ------------------------------------------------------------------------------------------------------------


def preview(site: Site, tell: Teller, request: RecoveryRequest) -> RecoveryPreview:
    """Look at every step and at what Terraform would do; nothing is changed and nobody is kept out."""
    recoveries.require_past(request.failed_at, now=WallClock().now())
    database_choice.require_time(request.to, now=WallClock().now())
    preflight.require(site, tell)
    preflight.require_account(site)
    remarks = _require_backend(site).remarks
    open_recoveries.require_none(site)
    nothing = Journal(run=RunId("preview"), path=Path(), bucket=site.journals(), now=WallClock().now)
    c = Recovering(site=site, tell=tell, journal=nothing, request=request, now=WallClock().now, agree=_nobody)
    every = flat(tables.of(request.scope))
    steps = look([step for step in every if step.name != "terraform"], c)
    needed = any(one.name == "plan" and one.gap is not None for one in steps)
    plan, forbidden = _planned(site, c) if needed else (None, "")
    asked = [] if request.scope is Scope.INSTANCE else recover_database.asks(c)
    return RecoveryPreview(
        steps=steps,
        expected=timings.expected(_past(site)),
        plan=plan,
        refused=[] if plan is None else recovery_plan.judged(plan, allowed=request.allowed).refused,
        forbidden=forbidden,
        remarks=[*remarks, *c.remarks, *([] if request.scope is Scope.INSTANCE else [_ASKS_LATER])],
        asks=[*asked, *([] if plan is None else to_agree(c, plan))],
    )


def _planned(site: Site, c: Recovering) -> tuple[Plan, str]:
    """Return the plan of the instance, and in words what it would be refused for by the rules."""
    with run_files.plan_folder(site.project.work) as folder:
        terraform = site.stack_terraform_of(RunId("preview"), image=c.image)
        terraform.init(site.backend())
        running = terraform.plan(
            out=folder / "plan",
            events=folder / "events.jsonl",
            seconds=site.project.environment.terraform.plan_minutes * 60,
            replace=[INSTANCE] if c.replaces else [],
            targets=recover_both.ALONE if c.request.scope is Scope.FULL else (),
        )
        try:
            plan = running.planned()
        finally:
            if not running.ended:
                running.stop()
        try:
            if not plan.empty:
                policy_gate(c).require("stack", lambda: terraform.planned(folder / "plan"))
        except Refused as refusal:
            return plan, f"{refusal.summary}\n  next: {refusal.hint}"
        return plan, ""


def _past(site: Site) -> list[list[Event]]:
    bucket = site.journals()
    newest = [run for run in bucket.runs() if run_states.is_recovery(run)][-LEARNT_FROM:]
    return [events for events in (_readable(bucket, run) for run in newest) if not isinstance(events, str)]


def _nobody(_lines: Sequence[str]) -> None:
    raise AssertionError("a preview asks nobody")


# -- a recovery --------------------------------------------------------------------------------------------------------


def run(site: Site, orders: Orders, request: RecoveryRequest) -> RecoveryReport:
    """Recover the instance and return what came of it; raises before any change where something forbids it."""
    recoveries.require_past(request.failed_at, now=WallClock().now())
    database_choice.require_time(request.to, now=WallClock().now())
    began = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return _attempt(site, orders, RunId(f"{began}-{run_states.RECOVERY}-{uuid4().hex[:6]}"), request, goes_on=False)


def resume(site: Site, orders: Orders, which: RunId | None, more: RecoveryRequest) -> RecoveryReport:
    """Go on with a recovery that was cut off, on whatever machine it began; None: the only one that is open.

    What is allowed by `more` its plan may touch from now on too, as what is accepted may pass; whether to do without GitLab
    is said anew each time.
    """
    return _attempt(site, orders, which or _only_open(site), more, goes_on=True)


def _attempt(site: Site, orders: Orders, run: RunId, request: RecoveryRequest, *, goes_on: bool) -> RecoveryReport:
    tell = orders.tell
    with ExitStack() as not_begun:
        not_begun.enter_context(_before_anything())
        preflight.require(site, tell)
        run_files.require_space(site.project.work)
        with run_files.held(site.project.work, run_states.RECOVERY, patience=PATIENCE, tell=tell.say) as this_run:
            work = Applying(site, tell, this_run)
            if goes_on:
                this_run.known_as(run)
            with run_files.ending(this_run, lambda: work.cut_off), work.whole(f"lifeboat resume {run}"):
                rehearsal.start(site, tell, but=this_run.run)
                preflight.require_account(site)
                work.passed = _require_backend(site)
                for remark in work.passed.remarks:
                    tell.warn(remark)
                with site.lease(run, tell.say, again=f"lifeboat resume {run}").held() as fence:
                    work.fence = fence
                    journal = site.journal(run)
                    if goes_on:
                        request, elsewhere = _with_more(_reopened(site, tell, journal), request)
                    else:
                        open_recoveries.require_none(site)
                        elsewhere = _came_to_nothing(site, tell)
                    # Whatever step it stopped in: a lock or a stale digest would stop the last one too.
                    lost = repair.run(site, tell, this_run, elsewhere)
                    _begin(journal, request)
                    not_begun.pop_all()
                    this_run.known_as(run)
                    c = Recovering(
                        site=site,
                        tell=tell,
                        journal=journal,
                        request=request,
                        now=WallClock().now,
                        agree=orders.agree,
                        lost=lost,
                        work=work,
                    )
                    objective = timedelta(hours=_rto_hours(site))
                    watcher = orders.watch(journal, objective)
                    runner = Runner(journal=journal, clock=WallClock(), fence=fence, watcher=watcher)
                    with evidence_keeping.kept(site, tell, journal, tables.evidence_of(request.scope)):
                        return _reported(runner, c, objective)


def _with_more(
    reopened: tuple[RecoveryRequest, list[Unfinished]], more: RecoveryRequest
) -> tuple[RecoveryRequest, list[Unfinished]]:
    """Return what was asked of a recovery with what is allowed and accepted now too, and who was at it."""
    before, attempts = reopened
    asked = replace(
        before,
        allowed=(*before.allowed, *more.allowed),
        risks=risks.together(before.risks, more.risks),
        without_gitlab=more.without_gitlab,
    )
    return asked, attempts


@contextmanager
def _before_anything() -> Iterator[None]:
    """Say of an interruption before the journal has a line of this attempt that nothing began: no command knows the run then."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted("interrupted before anything began", hint="run the same command again") from None


@contextmanager
def _held_to_abort(site: Site, tell: Teller, run: RunId) -> Iterator[None]:
    """Hold this checkout's lock for giving a run up."""
    with (
        run_files.held(site.project.work, "abort", patience=timedelta(0), tell=tell.say) as this_run,
        run_files.ending(this_run, lambda: False),
    ):
        this_run.known_as(run)
        yield


def _reported(runner: Runner, c: Recovering, objective: timedelta) -> RecoveryReport:
    """Carry out the steps, and return what came of them; where none is left open, the run has ended."""
    left = _carried_out(runner, c)
    report = _report(c, left, objective)
    if not left:
        repair.done(c.site, c.applying.run)
        c.journal.write(EventKind.ENDED, text="done", rto_seconds=report.timing.took.total_seconds())
    return report


def _carried_out(runner: Runner, c: Recovering) -> tuple[LeftOpen, ...]:
    """Carry out all steps; what stops after the application answered is told as that, and when it was seen well."""
    before = len(c.journal.events)
    try:
        # What waits beside others shows nothing on the line that they show their waits on.
        return runner.run(tables.of(c.request.scope), c, replace(c, tell=_Quiet(c.tell)))
    except StoppedPartWay as error:
        if timings.answered(c.journal.events[before:], tables.ANSWERING) is None:
            raise
        raise StoppedPartWay(
            f"the application answers, but the recovery is not done: {error.summary}", hint=error.hint
        ) from error
    finally:
        seen = timings.answered(c.journal.events[before:], tables.ANSWERING)
        if seen is not None:
            last_good.remember(c.site.project.work, seen)


class _Quiet:
    """A teller for what waits beside others: it warns, and shows no wait of its own."""

    def __init__(self, tell: Teller) -> None:
        self._tell = tell

    def say(self, text: str) -> None:
        self._tell.say(text)

    def warn(self, text: str) -> None:
        self._tell.warn(text)

    def resources(self, done: int, total: int, slowest: str) -> None:
        pass

    def resources_end(self) -> None:
        pass

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        yield lambda _: None


def _begin(journal: Journal, request: RecoveryRequest) -> None:
    journal.write(
        EventKind.BEGUN,
        text=f"attempt {1 + sum(event.kind is EventKind.BEGUN for event in journal.events)}",
        user=run_files.user_name(),
        host=socket.gethostname(),
        machine=machines.machine(),
        request=_request_document(request),
    )


def _rto_hours(site: Site) -> float:
    return outputs.recovery(site.stack_store()).objectives.rto_hours


def _report(c: Recovering, left: tuple[LeftOpen, ...], objective: timedelta) -> RecoveryReport:
    app = c.app
    names = (
        *("image", "name", "why_image", "rejected", "old_instance", "old_address", "deployed_by", "container"),
        *("failed_at", "why", "counted_from"),
    )
    return RecoveryReport(
        run=RunId(c.journal.run),
        timing=timings.measured(
            c.journal.events,
            failed_at=datetime.fromisoformat(c.fact("failed_at")),
            rto=objective,
            answering=tables.ANSWERING,
        ),
        left_open=left,
        remarks=tuple(c.remarks),
        facts={**{name: c.fact(name) for name in names}, "instance": app.instance_id},
        scope=c.request.scope,
        database=recover_database.report(c),
        address=app.address,
        url=app.url,
        public_name=app.dns_name,
        to_commit=_to_commit(c),
        accepted=gate.told([one for event in c.journal.events for one in event.data.get("accepted_risks", [])]),
    )


def _to_commit(c: Recovering) -> str:
    """Return the command that makes the image known to every other checkout; nothing where no file named it or does now."""
    path = c.site.project.recovery_file
    name = f"environments/{path.name}"
    if c.request.scope is not Scope.INSTANCE:
        said = f"Recovered to {c.fact('identifier')}"
        return f"git add {name} && git commit -m '{said}' -- {name} && git push"
    # Where the image is that of the tfvars no file has to name it, and one that was committed still names another.
    if not path.exists() and recoveries.image_before(c.journal.events) is None:
        return ""
    return f"git add {name} && git commit -m 'Recovered from {c.image}' -- {name} && git push"


def _require_backend(site: Site) -> known_states.Passed:
    """Return what to tell loudly of the state to recover with; raises where there is none, or not the one that is known."""
    repair.require_own(site, site.stack_store())
    passed = known_states.require(site, Purpose.RECOVER, known_states.STACK)
    if site.stack_store().body() is None:
        state = site.project.environment.state
        raise NothingFits(
            f"there is no state in the state backend ({state.bucket}, {state.lock_table}), so nothing was ever applied that"
            " could be recovered",
            hint=f"lifeboat apply -e {site.project.env}",
        )
    repair.require_table(site)
    repair.require_backend(site)
    return passed


# -- going on ----------------------------------------------------------------------------------------------------------


def _reopened(site: Site, tell: Teller, journal: Journal) -> tuple[RecoveryRequest, list[Unfinished]]:
    """Read a run's journal, wait until nothing of it works any more, and return what was asked and who was at it."""
    if not run_states.is_recovery(RunId(journal.run)):
        drilled = run_states.is_drill(RunId(journal.run))
        raise Refused(
            f"the run {journal.run} is {'a drill' if drilled else 'no recovery'}: it is not gone on with",
            hint="lifeboat sweep takes away what it left" if drilled else f"lifeboat logs {journal.run}",
        )
    journal.open()
    state = run_states.state(journal.events)
    # One that was set aside is marked as ended, whoever can read its journal now.
    if state is RunState.ENDED or RunId(journal.run) not in site.journals().unended():
        raise Refused(
            f"the run {journal.run} has ended; nothing of it is left to be done, or given up",
            hint=f"lifeboat logs {journal.run}",
        )
    dead = _attempts(site, tell, RunId(journal.run), journal.events)
    began = [event for event in journal.events if event.kind is EventKind.BEGUN]
    return _request(began[-1].data["request"]), dead


def _came_to_nothing(site: Site, tell: Teller) -> list[Unfinished]:
    """Return the attempts of the newest recoveries that changed nothing, of whatever checkout, when none works any more.

    Nobody resumes these. But a plan locks the state, and one that was killed has left its lock there; without a lock
    there is nothing to know of them.
    """
    bucket = site.journals()
    found = [(run, bucket.events(run)) for run in bucket.unended() if run_states.is_recovery(run)]
    idle = [(run, events) for run, events in found if events and run_states.state(events) is RunState.IDLE]
    dead = [one for run, events in idle[-IDLE_LOOKED_AT:] for one in _attempts(site, tell, run, events)]
    return dead if site.state_locks(StateRoot.STACK).locks() else []


def _attempts(site: Site, tell: Teller, run: RunId, events: Sequence[Event]) -> list[Unfinished]:
    """Return every attempt at a run, when no Terraform of any works any more; whoever holds the lease knows it of lifeboat."""
    began = [event for event in events if event.kind is EventKind.BEGUN]
    _wait_for_terraforms(tell, run, site, began)
    return [
        Unfinished(
            run=run,
            folder=site.project.work / "runs" / "elsewhere",
            started=event.at,
            host=str(event.data["host"]),
            user=str(event.data["user"]),
            machine=str(event.data["machine"]),
            # A step is written down before its Terraform starts, or the step before it is.
            terraform_starts=tuple(one.at for one in events),
            known_as=run,
        )
        for event in began
    ]


def _wait_for_terraforms(tell: Teller, run: RunId, site: Site, began: Sequence[Event]) -> None:
    """Wait for what a killed attempt started and what works on: of this machine by its mark, else by Terraform's lock.

    A lock that is older than it would be waited for, or whose machine was booted anew since, is not waited for.
    """
    deadline = time.monotonic() + PATIENCE.total_seconds()
    elsewhere = {
        f"{event.data['user']}@{event.data['host']}"
        for event in began
        if event.data["machine"] != machines.machine() and not machines.booted_since(event.data["machine"], event.at)
    }
    told = False
    with tell.waiting() as show:
        while True:
            here = run_files.terraforms_of(run)
            found = site.state_locks(StateRoot.STACK).locks() if elsewhere else []
            locks = [lock for lock in found if lock.who in elsewhere]
            if not here and not locks:
                return
            now = WallClock().now()
            words = f"the state is locked {state_locks.words(locks[0], now)}" if locks else ""
            may_live = here or any(lock.created is None or now - lock.created < PATIENCE for lock in locks)
            if not may_live or time.monotonic() > deadline:
                what = words or f"processes {', '.join(map(str, here))}"
                raise Locked(
                    f"Terraform of an earlier attempt at {run} still works, or died on another machine ({what})",
                    hint=repair.way_out(site, locks[0]) if locks else "wait for it, then resume again",
                )
            if locks and not told:
                tell.warn(
                    f"{words}: Terraform of an earlier attempt, which may still work there; {repair.way_out(site, locks[0])}"
                )
                told = True
            show("waiting for Terraform of an earlier attempt to finish")
            time.sleep(_ORPHAN_POLL_SECONDS)


def _only_open(site: Site) -> RunId:
    found = open_recoveries.runs(site)
    if len(found) != 1:
        raise NothingFits(
            "no recovery is open" if not found else f"several recoveries are open: {', '.join(found)}",
            hint="lifeboat runs lists them" if not found else f"lifeboat resume {found[-1]}",
        )
    return found[0]


def abort(site: Site, tell: Teller, which: RunId | None) -> list[str]:
    """Give a recovery up and return what remains, in words.

    Only what no apply has carried out is undone: the image in the recovery file, instances that Terraform does not know.
    """
    run = which or _only_open(site)
    with (
        _held_to_abort(site, tell, run),
        site.lease(run, tell.say, again=f"lifeboat abort {run}").held() as held,
    ):
        journal = site.journal(run)
        request, _ = _reopened(site, tell, journal)
        c = Recovering(site=site, tell=tell, journal=journal, request=request, now=WallClock().now, agree=_nobody)
        turn = Turn("abort", limit=timedelta(minutes=10), journal=journal, clock=WallClock(), fence=held)
        told = _given_up(c, turn)
        journal.write(EventKind.ENDED, text=evidence.ABORTED)
        evidence_keeping.append(site, tell, journal, tables.evidence_of(request.scope))
    return [f"{run} is given up", *told]


def _given_up(c: Recovering, turn: Turn) -> list[str]:
    """Undo what no apply has carried out, whatever it was, and return in words what remains; raises before any change."""
    env = c.site.project.env
    repair.require_saved(c.site)
    database_given_up.require_may(c)
    if c.request.scope is Scope.DATABASE:
        again = f"if the database is still away: lifeboat recover --scope database -e {env}"
        return [*database_given_up.given_up(c, turn), again]
    left = left_over(c)
    _require_others(c, left)
    restored = database_given_up.given_up(c, turn)
    if left:
        end_left_over(c, turn)
    app = c.app
    instance = c.site.instances().instance(InstanceId(app.instance_id))
    state = "does not exist any more" if instance is None else f"is {instance.state}"
    return [
        f"the instance {app.instance_id}, from {app.ami_id}, {state}",
        *restored,
        *(f"{one.id}, which an attempt launched and Terraform does not know, is terminated" for one in left),
        *_image_taken_out(c, turn),
        *_left_in_gitlab(c, turn),
        f"lifeboat plan -e {env} shows what an apply would change; if the application is still away: lifeboat recover -e {env}",
    ]


def _image_taken_out(c: Recovering, turn: Turn) -> list[str]:
    """Take an image from which nothing was launched out of the recovery file; return in words which files name it, or did."""
    chosen, app, text = c.fact("image"), c.app, recovery_file.text(c.site)
    file = f"environments/{c.site.project.recovery_file.name}"
    if chosen is None or app.ami_id == chosen:
        return []
    if recoveries.image_in(text) == chosen:
        before = recoveries.image_before(c.journal.events)
        with turn.effect(f"take {chosen} out of {file}"):
            recovery_file.write(c.site, recoveries.with_image(text, before))
        names = "no longer names" if before is None else f"names {before} again instead of"
        return [f"{file} {names} {chosen}, from which nothing was launched"]
    if any(event.step == "file" for event in c.journal.events):
        host = c.journal.events[0].data["host"]
        return [
            f"{file} of the checkout on {host} in which it began may still name {chosen}: take it out there, else the next"
            " apply from there launches it"
        ]
    return []


def _left_in_gitlab(c: Recovering, turn: Turn) -> list[str]:
    """Cancel what waits in GitLab, and return in words what is left there."""
    waits, env = withdraw(c, turn), c.site.project.env
    behind = c.has_launched and c.site.project.environment.gitlab is not None
    points = f"GitLab may still point at {c.old}: lifeboat gitlab plan -e {env}, then lifeboat gitlab sync"
    return [*([waits] if waits else []), *([points] if behind else [])]


def _require_others(c: Recovering, left: Sequence[Instance]) -> None:
    """Raise Refused where giving up would end what serves, or may: what nobody recorded is all that there is."""
    recorded = c.recorded()
    others = [one for one in c.site.instances().alive() if one.id in recorded]
    if left and (not others or any(one.address == c.app.address for one in left)):
        ids = ", ".join(one.id for one in left)
        raise Refused(
            f"giving up would terminate {ids}, which this run launched and which may be all that serves: Terraform's state"
            " does not know it",
            hint=f"lifeboat resume {c.journal.run}, which goes on to an instance that serves",
        )


# -- what there is -----------------------------------------------------------------------------------------------------


def runs(site: Site, newest: int) -> list[RunRow]:
    """Return the newest runs, newest first, wherever they began."""
    bucket = site.journals()
    return [_row(run, _readable(bucket, run)) for run in reversed(bucket.runs()[-newest:])]


def _row(run: RunId, events: list[Event] | str) -> RunRow:
    if isinstance(events, str):
        began = run_states.began(run)
        return RunRow(run=run, state=RunState.UNREADABLE, began=began, who="?", step="", text=events)
    first, last = events[0], events[-1]
    return RunRow(
        run=run,
        state=run_states.state(events),
        began=first.at,
        who=f"{first.data.get('user', '?')}@{first.data.get('host', '?')}",
        step=last.step,
        text=last.text,
    )


def logs(site: Site, run: RunId) -> list[Event]:
    """Return everything that was written down of a run."""
    found = site.journals().events(run)
    if not found:
        hint = "lifeboat runs lists them; one that began this minute may have written nothing down yet"
        raise NothingFits(f"there is no run {run}", hint=hint)
    return found


# -- what cannot be read -----------------------------------------------------------------------------------------------


def _readable(bucket: JournalBucket, run: RunId) -> list[Event] | str:
    """Return the lines of a run; in words why where they cannot be read."""
    try:
        return bucket.events(run) or f"the journal of {run} has no lines"
    except IntegrityFailure as error:
        return error.summary


def set_aside(site: Site, tell: Teller, run: RunId) -> list[str]:
    """Take a recovery whose journal cannot be read for ended, and return in words what nobody knows of it.

    Nothing of it is undone. Raises Refused where the journal can be read.
    """
    with (
        _held_to_abort(site, tell, run),
        site.lease(run, tell.say, again=f"lifeboat abort {run} --unreadable").held(),
    ):
        bucket = site.journals()
        if run not in bucket.runs():
            raise NothingFits(f"there is no run {run}", hint="lifeboat runs lists them")
        why = _readable(bucket, run)
        if not isinstance(why, str):
            raise Refused(f"the journal of {run} can be read", hint=f"lifeboat abort {run} gives it up")
        bucket.mark_ended(run, set_aside=why, by=f"{run_files.user_name()}@{socket.gethostname()}")
    owner, env = site.owner(), site.project.env
    job = "a deploy job that it played may still wait in GitLab, and replaces what runs then when it begins"
    waits = [] if site.project.environment.gitlab is None else [job]
    tags = f"Name=tag:application,Values={owner.application} Name=tag:environment,Values={owner.environment}"
    return [
        f"{run} is set aside, and its journal stays as it is: {why}",
        "nothing of it is undone, and an instance that it launched may run beside the one that Terraform knows:"
        f" aws ec2 describe-instances --filters {tags}",
        *waits,
        f"lifeboat plan -e {env} shows what an apply would change",
    ]


# -- a request, written down -------------------------------------------------------------------------------------------


def _request_document(request: RecoveryRequest) -> dict[str, Any]:
    database = {
        "scope": request.scope.value,
        "to": None if request.to is None else request.to.isoformat(),
        "copy": request.copy,
        "accept_flagged": request.accept_flagged,
    }
    return {
        **({} if request.scope is Scope.INSTANCE else database),
        "image": request.image,
        "failed_at": None if request.failed_at is None else request.failed_at.isoformat(),
        "allowed": list(request.allowed),
        "accepted": sorted(request.accepted),
        "max_age_seconds": None if request.max_age is None else request.max_age.total_seconds(),
        "without_gitlab": request.without_gitlab,
        "accept_risk": {risk.rule: risk.reason for risk in request.risks},
    }


def _request(document: dict[str, Any]) -> RecoveryRequest:
    failed_at, max_age = document["failed_at"], document["max_age_seconds"]
    to = document.get("to")
    return RecoveryRequest(
        scope=Scope(document.get("scope", Scope.INSTANCE.value)),
        to=None if to is None else datetime.fromisoformat(to),
        copy=document.get("copy"),
        image=None if document["image"] is None else ImageId(document["image"]),
        failed_at=None if failed_at is None else datetime.fromisoformat(failed_at),
        allowed=tuple(document["allowed"]),
        accepted=frozenset(ImageId(image) for image in document["accepted"]),
        max_age=None if max_age is None else timedelta(seconds=max_age),
        without_gitlab=document.get("without_gitlab", False),  # not in the journals of older versions
        accept_flagged=document.get("accept_flagged", False),
        risks=tuple(AcceptedRisk(rule=rule, reason=why) for rule, why in document.get("accept_risk", {}).items()),
    )
