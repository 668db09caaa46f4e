"""`lifeboat drill database|instance|full|state`: a recovery rehearsed in isolation, timed, proven, and taken away again."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from lifeboat.clients import machines, run_files
from lifeboat.clients.journal import Journal
from lifeboat.clients.lease import Lease
from lifeboat.clients.waiting import WallClock
from lifeboat.decisions import drill_costs, drill_ledger, drills, evidence, timings
from lifeboat.decisions import runs as run_states
from lifeboat.decisions.drill_costs import Sizes
from lifeboat.decisions.drills import EXPIRES_AFTER, Isolation
from lifeboat.decisions.evidence import Ended
from lifeboat.decisions.known_states import Purpose
from lifeboat.drill_model import Drill, DrillReport, DrillRequest, DrillScope, Estimate
from lifeboat.errors import (
    DONE,
    CleanUpIncomplete,
    Failed,
    IntegrityFailure,
    Interrupted,
    LifeboatError,
    NothingFits,
    StoppedPartWay,
    Unreachable,
)
from lifeboat.model import (
    Agree,
    DrillGroups,
    DrillNetwork,
    Event,
    EventKind,
    LeftOpen,
    Recovery,
    RecoveryRequest,
    RunId,
    Scope,
    Teller,
    Timing,
)
from lifeboat.runbooks import drill_asked, drill_tables, drilling
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Runner, Watcher
from lifeboat.site import Site
from lifeboat.stack import (
    database_copies,
    drill_effects,
    drill_turns,
    evidence_keeping,
    known_states,
    outputs,
    preflight,
    rehearsal,
    repair,
)
from lifeboat.stack.drill_effects import Guard, Kept, Removing
from lifeboat.stack.evidence_keeping import Written

RUN_IS = "run: "  # a line of its own on stderr, once something was begun: pipelines take the run from it
LEARNT_FROM = 5  # newest drills of the same scope, for how long one lasts
_FIRST_TIME = timedelta(hours=1)  # what one is taken to last before any was measured
# What a drill of the state restores nothing into: it needs no network, and has the nouns all the same.
_NOWHERE = DrillNetwork(subnet_group="", subnet_ids=[], security_groups=DrillGroups(database="", instance=""))


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Whom to tell how it goes, whom to show the steps, whom to ask for agreement before money is spent."""

    tell: Teller
    watch: Callable[[Journal, timedelta], Watcher]
    agree: Agree


def run(site: Site, orders: Orders, request: DrillRequest) -> DrillReport:
    """Drill, take away what was made, and return what came of it.

    Raises before anything is made where something forbids it; afterwards what the drill failed of, when all is taken
    away; CleanUpIncomplete where something could not be.
    """
    allowed = _allowed(site, orders, request)
    run_id = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{run_states.DRILL}-{request.scope.value}-{uuid4().hex[:6]}")
    with site.drill_lease(run_id, orders.tell.say).held() as held:
        drill_turns.require_nobody(site)
        drill = Drill(
            run=run_id,
            scope=request.scope,
            application=site.project.environment.application.name,
            expires=datetime.now(UTC) + EXPIRES_AFTER,
        )
        journal = site.journal(run_id)
        c = _context(site, orders, journal, Isolation(drill=drill, network=allowed.network), request)
        orders.tell.say(f"{RUN_IS}{run_id}")
        return Drilling(c=c, orders=orders, held=held, journal=journal, estimate=allowed.estimate).carried_out()


@dataclass(frozen=True, kw_only=True)
class _Allowed:
    """What a drill that may begin restores into, and what it is expected to cost."""

    network: DrillNetwork
    estimate: Estimate


def _allowed(site: Site, orders: Orders, request: DrillRequest) -> _Allowed:
    """Return what a drill may begin with; raises where something forbids it, or nobody agrees to what it may cost."""
    rehearsal.require_begun(site, "drill")
    rehearsal.require_running(site, "drill")
    preflight.require(site, orders.tell)
    preflight.require_account(site)
    repair.require_own(site, site.stack_store())
    require_applied(site)
    recovery, env = outputs.recovery(site.stack_store()), site.project.env
    network = _NOWHERE if request.scope is DrillScope.STATE else network_of(site, recovery, request.scope)
    drill_turns.require_nobody(site)
    drill_asked.require(site, recovery, request)
    estimate = _estimate(site, recovery, request)
    drill_costs.require_within(estimate, request.max_cost, f"lifeboat drill {request.scope.value} -e {env}")
    orders.tell.say(f"the drill is expected to cost {drill_costs.words(estimate)}")
    to_agree = drill_costs.to_agree(estimate)
    if to_agree:
        orders.agree(to_agree)
    return _Allowed(network=network, estimate=estimate)


def require_applied(site: Site) -> None:
    """Raise NothingFits where nothing was ever applied, Refused where the state is gone that was there."""
    if site.stack_store().body() is not None:
        return
    known_states.require(site, Purpose.RECOVER, known_states.STACK)
    state = site.project.environment.state
    raise NothingFits(
        f"there is no state in the state backend ({state.bucket}, {state.lock_table}), so nothing was ever applied that"
        " could be drilled",
        hint=f"lifeboat apply -e {site.project.env}",
    )


def network_of(site: Site, recovery: Recovery, scope: DrillScope) -> DrillNetwork:
    """Return the network that a drill restores into; raises Refused where there is none, or it is not what it must be."""
    env, found = site.project.env, drills.network(recovery.drill, site.project.env)
    if scope in (DrillScope.DATABASE, DrillScope.FULL):
        drills.require_reached(found, recovery.database, env)
    drills.require_no_way_out(found, site.drill_networks(recovery.region).seen(found), env)
    return found


def _context(site: Site, orders: Orders, journal: Journal, isolation: Isolation, request: DrillRequest) -> Recovering:
    drill = isolation.drill
    journal.write(
        EventKind.BEGUN,
        text=f"drill of {drill.scope.value}",
        user=run_files.user_name(),
        host=socket.gethostname(),
        machine=machines.machine(),
        drill={"scope": drill.scope.value, "copy": request.copy, "max_cost": request.max_cost},
    )
    return Recovering(
        site=site,
        tell=orders.tell,
        journal=journal,
        request=RecoveryRequest(scope=Scope.DATABASE, copy=request.copy),
        now=WallClock().now,
        agree=_nobody,
        isolation=isolation,
    )


def _nobody(lines: Sequence[str]) -> None:
    """Raise IntegrityFailure: what an operator may agree to in a recovery, a drill is there to find."""
    raise IntegrityFailure(
        "what was restored is not what it should be:\n"
        # What a recovery asks is whether it may serve all the same.
        + "\n".join(f"  {line.partition(', although ')[2] or line}" for line in lines),
        hint="lifeboat plan-recovery shows the other copies; nothing of production was touched",
    )


@dataclass(frozen=True, kw_only=True)
class Drilling:
    """One drill that has begun: from its first step until nothing of it is left."""

    c: Recovering
    orders: Orders
    held: Lease
    journal: Journal
    estimate: Estimate

    @property
    def drill(self) -> Drill:
        """The drill that is carried out."""
        return drilling.drill(self.c)

    def carried_out(self) -> DrillReport:
        """Carry out the steps, take away what was made whatever came of them, and return the report or raise."""
        failed: LifeboatError | None = None
        left: tuple[LeftOpen, ...] = ()
        try:
            left = self._steps()
        except LifeboatError as error:
            failed = _plain(error)
        except KeyboardInterrupt:
            failed = Interrupted("interrupted")
        except Exception as error:  # what nobody foresaw: what was made goes all the same, and what stays is told
            _, incomplete = self._ended(Failed(f"{type(error).__name__}, which nobody foresaw"))
            if incomplete is not None:
                self.orders.tell.warn(f"{incomplete.summary}\n{incomplete.hint}")
            raise
        written, incomplete = self._ended(failed)
        if incomplete is not None:
            raise incomplete
        if failed is not None:
            raise _told(failed, self.c)
        return self._report(left, written)

    def _ended(self, failed: LifeboatError | None) -> tuple[Written, CleanUpIncomplete | None]:
        """Take away what was made, and write the end of the drill and its evidence; return that, and what could not go."""
        kept = self._unwound()
        self._end(failed, kept)
        # What it failed of is what it proved; that something is left the ledger in it says by itself.
        return self._kept(failed), _left_over(self.drill, kept, failed)

    def _steps(self) -> tuple[LeftOpen, ...]:
        site, c = self.c.site, self.c
        guard = Guard(drill=self.drill, things=site.drill_things(), journal=self.journal, region=c.recovery.region)
        runner = Runner(
            journal=self.journal,
            clock=WallClock(),
            fence=drill_turns.DrillTurn(site, self.held),
            watcher=self.orders.watch(self.journal, timedelta(hours=c.recovery.objectives.rto_hours)),
            guard=guard,
        )
        return runner.run(drill_tables.of(self.drill.scope), c)

    def _unwound(self) -> tuple[Kept, ...]:
        """Remove all that the ledger names, once more where the operator interrupts it: what is left costs money."""
        how = Removing(
            things=self.c.site.drill_things(),
            clock=WallClock(),
            tell=self.orders.tell,
            noted=drill_effects.noting(self.journal),
        )
        try:
            return drill_effects.unwind(self.drill, self.journal, how)
        except KeyboardInterrupt:
            return tuple(
                Kept(thing=thing, why="its removal was interrupted") for thing in drill_ledger.left(self.journal.events)
            )

    def _end(self, failed: LifeboatError | None, kept: Sequence[Kept]) -> None:
        """Write down how the drill ended: in its last line, or where something is left in a note for the sweep that writes that."""
        text = "done" if failed is None else failed.summary
        # None: the lines before this one say it, and a sweep reads it from them as the evidence does.
        how: dict[str, Any] = {
            "failed": failed is not None,
            "exit_status": None if failed is None else failed.exit_status,
        }
        with suppress(LifeboatError):  # what is not marked as ended, a sweep looks at once more, and finds nothing
            if kept:
                left = [f"{one.thing.kind} {one.thing.id}" for one in kept]
                noted = {evidence.ENDED_WITH: {"text": text, **how, "left": left}}
                self.journal.write(EventKind.NOTE, step=drill_effects.UNWIND, text="something is left", **noted)
                return
            took = self._timing().took.total_seconds()
            self.journal.write(EventKind.ENDED, text=text, rto_seconds=took, **how)

    def _kept(self, failed: LifeboatError | None) -> Written:
        """Write the evidence of the drill, whatever came of it; that it could not be written is told."""
        about, ended = drill_tables.evidence_of(self.drill.scope), evidence_keeping.ended(failed)
        return evidence_keeping.append(self.c.site, self.orders.tell, self.journal, about, ended)

    def _timing(self) -> Timing:
        noted = self.c.fact("failed_at")
        failed_at = datetime.fromisoformat(noted) if noted else self.c.began
        rto = timedelta(hours=self.c.recovery.objectives.rto_hours)
        answering = drill_tables.answering(self.drill.scope)
        return timings.measured(self.journal.events, failed_at=failed_at, rto=rto, answering=answering)

    def _report(self, left: tuple[LeftOpen, ...], written: Written) -> DrillReport:
        lost, ended, link = self.c.fact("rpo_seconds"), _status(written), written.link
        return DrillReport(
            run=self.drill.run,
            scope=self.drill.scope,
            timing=self._timing(),
            rpo=None if lost is None else timedelta(seconds=lost),
            rpo_objective=timedelta(hours=self.c.recovery.objectives.rpo_hours),
            facts=_facts(self.c),
            remarks=tuple(dict.fromkeys(self.c.remarks)),
            left_open=left,
            estimate=self.estimate,
            made=drill_ledger.made(self.journal.events),
            evidence="not written" if link is None else f"bundle {link.number}, sha256 {link.sha256}",
            exit_status=ended.exit_status,
            why=ended.why,
        )


def _status(written: Written) -> Ended:
    """Return how the command ends where nothing was raised: as the evidence says, and not well where there is none of it."""
    if written.ended is None or (written.link is None and written.ended.exit_status == DONE):
        return Ended(exit_status=Unreachable.exit_status, why="its evidence is not written, so it proves nothing")
    return written.ended


def _facts(c: Recovering) -> tuple[tuple[str, str], ...]:
    """Return what a drill saw, in words, in the order of its steps."""
    canary = c.fact("canary_back")
    came = {None: str(c.fact("canary_why") or ""), True: "came back", False: "written after the copy's moment"}
    found = {
        "copy": f"{c.fact('copy')} ({c.fact('copy_kind')} of {c.fact('source')})" if c.fact("copy") else "",
        "why": c.fact("why_copy"),
        "canary": came[canary] if c.fact("canary_why") else "",
        "data": f"{c.fact('tables')} tables, {c.fact('with_rows')} with rows" if c.fact("tables") is not None else "",
        "until": f"{c.fact('data_until')} ({c.fact('known_by')})" if c.fact("tables") is not None else "",
        "compared with": ", ".join(c.fact("compared_with") or ()),
        "not compared with": "; ".join(c.fact("not_compared") or ()),
        "probes": ", ".join(c.fact("probes") or ()),
        "image": f"{c.fact('image')} ({c.fact('name')})" if c.fact("image") else "",
        "application": f"HTTP {c.fact('status')} on {c.fact('answered')}" if c.fact("answered") else "",
        "state": f"serial {c.fact('serial')}, version {c.fact('version')}" if c.fact("version") else "",
        "plan": "no changes" if c.fact("planned") == 0 else "",
    }
    return tuple((name, str(value)) for name, value in found.items() if value)


# -- what it may cost ----------------------------------------------------------------------------------------------------


def _estimate(site: Site, recovery: Recovery, request: DrillRequest) -> Estimate:
    if request.scope is DrillScope.STATE:
        return drill_costs.estimate(
            request.scope, Sizes(database="", database_gib=0, instance="", instance_gib=0), _FIRST_TIME
        )
    serving = database_copies.serving(site)
    sizes = Sizes(
        database=str(serving.get("instance_class", "")),
        database_gib=int(serving.get("allocated_storage") or 0),
        instance=recovery.app.instance_type,
        instance_gib=_root_gib(site),
    )
    return drill_costs.estimate(request.scope, sizes, _lasts(site, request.scope))


def _root_gib(site: Site) -> int:
    """Return the size of the serving instance's root volume, as Terraform's state has it; 0 where it has none."""
    body = site.stack_store().body()
    resources = json.loads(body)["resources"] if body else []
    found = [
        int(volume["volume_size"])
        for resource in resources
        if resource["type"] == "aws_instance" and resource["mode"] == "managed"
        for instance in resource["instances"]
        for volume in instance["attributes"].get("root_block_device") or []
    ]
    return max(found, default=0)


def _lasts(site: Site, scope: DrillScope) -> timedelta:
    """Return how long drills of this lasted from their first line to their last; an hour where none was measured."""
    bucket = site.journals()
    wanted = f"-{run_states.DRILL}-{scope.value}-"
    spans = []
    for run_id in [one for one in bucket.runs() if wanted in one][-LEARNT_FROM:]:
        with suppress(IntegrityFailure):
            events: list[Event] = bucket.events(run_id)
            last = events[-1] if events else None
            # The end of one that was swept says nothing of how long it lasted.
            if (
                last is not None
                and last.kind is EventKind.ENDED
                and not (last.data.get("failed") or last.data.get("swept"))
            ):
                spans.append(last.at - events[0].at)
    return max(spans, default=_FIRST_TIME)


# -- what went wrong -----------------------------------------------------------------------------------------------------


def _plain(error: LifeboatError) -> LifeboatError:
    """Return what a step failed of: that a recovery could be gone on with says nothing of a drill."""
    cause = error.__cause__
    if isinstance(error, StoppedPartWay) and isinstance(cause, LifeboatError):
        return cause
    return error


def _told(failed: LifeboatError, c: Recovering) -> LifeboatError:
    """Return the same with what to type after a drill: none is gone on with."""
    env, scope = c.site.project.env, drilling.drill(c).scope.value
    made = drill_ledger.made(c.journal.events)
    gone = "and all that it made is gone again" if made else "and had made nothing"
    failed.summary = f"the drill failed, {gone}: {failed.summary}"
    failed.args = (failed.summary,)
    # What a recovery would be told of its run, to give it up or to go on with it, is not for a drill.
    first = failed.hint if failed.hint and c.journal.run not in failed.hint else ""
    shown = f"lifeboat logs {c.journal.run} -e {env} shows how far it came"
    copy = f" --from {c.request.copy}" if c.request.copy else ""
    failed.hint = "\n        ".join(
        [*([first] if first else []), f"{shown}; lifeboat drill {scope}{copy} -e {env} drills anew"]
    )
    return failed


def _left_over(drill: Drill, kept: Sequence[Kept], failed: LifeboatError | None) -> CleanUpIncomplete | None:
    if not kept:
        return None
    also = f"the drill failed ({failed.summary}), and " if failed is not None else ""
    return CleanUpIncomplete(
        f"{also}not all of what the drill {drill.run} made could be removed:\n{drill_effects.words(kept)}",
        hint="lifeboat sweep, once what it says is mended",
    )
