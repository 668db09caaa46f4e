"""`lifeboat apply`: make both roots what their files say, repair what a killed apply left, show what is protected."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lifeboat.clients import probe, run_files, state_store
from lifeboat.clients.run_files import Run
from lifeboat.clients.state_store import StateStore
from lifeboat.clients.terraform import Running, Terraform
from lifeboat.commands import preflight, repair
from lifeboat.decisions import names, plans, protection
from lifeboat.errors import ApprovalMissing, IntegrityFailure, Interrupted, LifeboatError, Refused
from lifeboat.model import Action, App, AssetRow, Plan, Protection, PublicAnswer, Recovery, RunId
from lifeboat.runbooks import public_name
from lifeboat.site import Site
from lifeboat.views import Teller

# The stack may start while these of root 1 still settle: the provider watches a lifecycle rule for 55 s.
SETTLING = {"aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_replication_configuration"}
PATIENCE = timedelta(minutes=15)
PROBE_SECONDS_AFTER_CHANGES = 120.0
PROBE_SECONDS = 5.0

Agree = Callable[[Sequence[str]], None]  # raises ApprovalMissing when nobody agrees to these lines


@dataclass
class Stages:
    """How long each part took, in seconds, in the order in which they ended."""

    ended: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def timed(self, name: str) -> Any:
        """Time one part."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.ended.append((name, time.monotonic() - started))


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
    stages: list[tuple[str, float]]

    @property
    def changed(self) -> bool:
        """Whether anything had to be changed."""
        return not (self.state_plan.empty and self.stack_plan.empty)


@dataclass(frozen=True, kw_only=True)
class Destroyed:
    """What was taken down."""

    stack_plan: Plan
    stages: list[tuple[str, float]]
    left: tuple[str, ...]


def preview(site: Site, plan: Plan) -> list[str]:
    """Return what will be gone, in words, for the question before it."""
    kinds: dict[str, int] = {}
    for change in plan.changes:
        if change.resource_type in plans.PROTECTED or change.resource_type in plans.HOLDS_DATA:
            kinds[change.resource_type] = kinds.get(change.resource_type, 0) + 1
    lines = [f"destroy {count} {kind}" for kind, count in sorted(kinds.items())]
    lines.append(f"destroy {len(plan.changes)} resources of {site.project.env} in all")
    if site.project.cloud_directory is not None:
        lines.append(f"delete {site.project.cloud_directory} with every database, image and save in it")
    return lines


def run(site: Site, tell: Teller, agree: Agree) -> Applied:
    """Apply both roots and return what is now protected; raises before any change where something is wrong."""
    preflight.require(site)
    run_files.require_space(site.project.work)
    with run_files.held(site.project.work, "apply", patience=PATIENCE, tell=tell.say) as this_run:
        work = Apply(site, tell, agree, this_run)
        try:
            applied = work.everything()
        except BaseException as error:
            if not work.cut_off:
                run_files.mark_ended(this_run.folder, f"failed: {type(error).__name__}")
            raise
        run_files.mark_ended(this_run.folder, "done")
        return applied


class Apply:
    """One apply, from the lock to the table."""

    def __init__(self, site: Site, tell: Teller, agree: Agree, this_run: Run, *, teardown: bool = False) -> None:
        self.site = site
        self.tell = tell
        self.agree = agree
        self.run = this_run
        self.stages = Stages()
        self.settings = site.project.environment.terraform
        self.teardown = teardown
        self.state = site.state_terraform(teardown=teardown)
        self.stack = site.stack_terraform(teardown=teardown)
        self.running: list[Running] = []
        self.root_applied = False

    @property
    def cut_off(self) -> bool:
        """Whether a Terraform of this run was stopped or killed, so that the next run has to look at what it left."""
        return any(running.cut_off for running in self.running)

    def everything(self) -> Applied:
        """Bring both roots to what their files say."""
        try:
            return self._everything()
        except KeyboardInterrupt:
            self._interrupt()
            raise Interrupted(
                "stopped on request; Terraform has saved its state",
                hint=f"lifeboat apply -e {self.site.project.env} goes on from there",
            ) from None
        except Exception:
            self._let_others_finish()
            raise
        finally:
            self.tell.resources_end()

    # -- the course of one apply --------------------------------------------------------------------------------

    def _everything(self) -> Applied:
        check = self._start_check() if not self.site.root_state_file.exists() else None
        with self.stages.timed("local cloud"):
            start_cloud(self.site, self.tell, but=self.run.run)
        preflight.require_account(self.site)
        root_store, stack_store = self.site.root_store(), self.site.stack_store()
        with self.stages.timed("repair"):
            ready = root_store.usable()
            lost = repair.run(self.site, self.tell, self.run)
            self._take_root_state(root_store)
        with self.stages.timed("plan"):
            self._init(self.state, None)
            repair.adopt_root(self.site, self.tell, self.state, lost)
            plan_state = self._start_plan(self.state, "state")
            plan_stack = None
            if ready:
                plan_stack = self._prepare_stack(lost)
            self._wait([plan_state] if check is None else [check, plan_state])
            if plan_stack is not None:
                self._wait([plan_stack])
            repair.forget_adoptions(self.state)
            # Both are judged before either is applied, so that what is refused has changed nothing.
            state_plan = self._judged(plan_state, "state backend")
            stack_plan = None if plan_stack is None else self._planned_stack(plan_stack)
        applying: list[Running] = []
        if not state_plan.empty:
            self.run.note(applying_state=True)
            self.root_applied = True
            applying.append(self._start_apply(self.state, "state"))
        if stack_plan is None:
            with self.stages.timed("state backend until usable"):
                self._wait(
                    applying,
                    until=lambda: self._backend_usable(applying, state_plan, root_store),
                    total=len(state_plan.changes),
                )
            with self.stages.timed("plan of the stack"):
                plan_stack = self._prepare_stack(lost)
                self._wait([plan_stack])
                stack_plan = self._planned_stack(plan_stack)
        if not stack_plan.empty:
            self.run.note(applying_stack=True)
            applying.append(self._start_apply(self.stack, "stack"))
        with self.stages.timed("apply"):
            self._wait(applying, total=len(stack_plan.changes) + len(state_plan.changes))
            self._give_root_state(root_store)
        with self.stages.timed("check"):
            if stack_store.keeps_digest:
                stack_store.check_digest()
            recovery, rows = read_outputs(self.site, stack_store)
            repair.done(self.site, self.run)
        with self.stages.timed("wait for the application"):
            patience = PROBE_SECONDS if stack_plan.empty else PROBE_SECONDS_AFTER_CHANGES
            answers = probe.answer(recovery.app.url, seconds=patience)
        public, unproven = None, tuple[str, ...]()
        if answers is not None and recovery.app.dns_name is not None:
            with self.stages.timed("wait for its public name"):
                public, unproven = self._proven(recovery.app, min(patience, public_name.SEEN_SECONDS))
        return Applied(
            state_plan=state_plan,
            stack_plan=stack_plan,
            recovery=recovery,
            rows=rows,
            answers=answers,
            public=public,
            unproven=unproven,
            stages=self.stages.ended,
        )

    def _proven(self, app: App, seconds: float) -> tuple[PublicAnswer, tuple[str, ...]]:
        """Return what a client of the public name meets, and what is wrong with it."""
        _, instance_id = public_name.told(self.site, app, seconds=seconds)
        wanted = (app.address,)
        found = public_name.seen(self.site, app, addresses=wanted, instance_id=instance_id, seconds=seconds)
        return found, names.differences(found, addresses=wanted, instance_id=instance_id)

    def _planned_stack(self, running: Running) -> Plan:
        repair.forget_adoptions(self.stack)
        return self._judged(running, "stack")

    def _start_check(self) -> Running:
        """Start a plan of the stack that asks nobody anything, so that a wrong input is refused before root 1 exists."""
        terraform = self.site.offline_stack()
        terraform.init(None, seconds=300)
        return self._start_plan(terraform, "check")

    def _prepare_stack(self, lost: repair.Lost) -> Running:
        self._init(self.stack, self.site.backend())
        repair.adopt_stack(self.site, self.tell, self.stack, lost)
        return self._start_plan(self.stack, "stack")

    def _start_plan(self, terraform: Terraform, name: str) -> Running:
        running = terraform.plan(
            out=self.run.folder / f"{name}.plan",
            events=self.run.folder / f"{name}-plan.jsonl",
            seconds=self.settings.plan_minutes * 60,
            keep_fds=[self.run.lock_descriptor],
        )
        return self._under_way(running)

    def _start_apply(self, terraform: Terraform, name: str) -> Running:
        self.run.note(**{f"{name}_started": time.time()})
        running = terraform.apply(
            self.run.folder / f"{name}.plan",
            events=self.run.folder / f"{name}-apply.jsonl",
            seconds=self.settings.apply_minutes * 60,
            parallelism=self.settings.parallelism,
            keep_fds=[self.run.lock_descriptor],
        )
        return self._under_way(running)

    def _under_way(self, running: Running) -> Running:
        self.run.note_terraform(running.process.pid)
        self.running.append(running)
        return running

    def _init(self, terraform: Terraform, backend: dict[str, str] | None) -> None:
        """Run `init`, unless nothing that it depends on changed since the last time."""
        stamp = terraform.data / "lifeboat-init"
        digest = hashlib.sha256(json.dumps([backend, terraform.fingerprint()], sort_keys=True).encode()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            return
        terraform.init(backend, seconds=300)
        stamp.write_text(digest)

    def _judged(self, running: Running, name: str) -> Plan:
        if running.finish() != 0:
            raise running.failure()
        plan = running.plan()
        if not plan.empty:
            self.tell.say(f"{name}: {plans.headline(plan)}")
        judgement = plans.judged(plan)
        for line in plans.lost_by_name(plan.changes):
            self.tell.warn(f"  {line}")
        if judgement.refused and not self.teardown:
            lines = [f"  {change.action.value} {change.address}: {why}" for change, why in judgement.refused]
            raise Refused(
                f"this plan of the {name} would lose what must not be lost:\n" + "\n".join(lines),
                hint="change the configuration so that it stays; if it truly must go: terraform state rm, then by hand",
            )
        if judgement.to_agree and not self.teardown:
            self.agree([f"{change.action.value} {change.address}: {why}" for change, why in judgement.to_agree])
        return plan

    def _backend_usable(self, applying: Sequence[Running], plan: Plan, store: StateStore) -> bool:
        made = (Action.CREATE, Action.UPDATE, Action.REPLACE)
        waited = {c.address for c in plan.changes if c.action in made and c.resource_type not in SETTLING}
        return all(waited <= self._done(running) for running in applying) and store.usable()

    def _done(self, running: Running) -> set[str]:
        return {p.address for p in running.seen if p.kind == "done"}

    def _wait(self, running: Sequence[Running], *, until: Callable[[], bool] | None = None, total: int = 0) -> None:
        """Wait until all ended (or `until` holds), showing what is done and what takes longest."""
        while True:
            for one in running:
                for _ in one.progress():
                    continue
            if total:
                self._show(running, total)
            broken = next((r for r in running if r.ended and r.process.returncode != 0), None)
            if until is not None and broken is None and until():
                return
            if all(one.ended for one in running):
                break
            time.sleep(0.1)
        for one in running:
            if one.finish() != 0:
                raise one.failure()

    def _show(self, running: Iterable[Running], total: int) -> None:
        done = 0
        under_way: dict[str, float] = {}
        for one in running:
            for progress in one.seen:
                if progress.kind == "done":
                    done += 1
                    under_way.pop(progress.address, None)
                elif progress.kind == "failed":
                    under_way.pop(progress.address, None)
                else:
                    under_way[progress.address] = progress.seconds
        slowest = max(under_way.items(), key=lambda item: item[1], default=("", 0.0))
        self.tell.resources(done, total, f"{slowest[0]} ({slowest[1]:.0f} s)" if slowest[0] else "")

    def _let_others_finish(self) -> None:
        """After a failure elsewhere, let what is being applied come to its end, so that its state is whole."""
        alive = [one for one in self.running if not one.ended]
        if alive:
            self.tell.warn("something failed; waiting for " + ", ".join(one.what for one in alive) + " to end")
        try:
            for one in alive:
                one.finish()
            if self.root_applied:
                self._give_root_state(self.site.root_store())
        except LifeboatError as error:
            # What went wrong first is what the operator must read; this comes on top of it.
            self.tell.warn(f"and then: {error.summary}")

    def _interrupt(self) -> None:
        self.tell.warn("stopping: Terraform finishes what it is making and saves its state; this takes up to 90 s")
        for one in self.running:
            if not one.ended:
                one.stop()
        if self.root_applied:
            self._give_root_state(self.site.root_store())

    # -- taking it down -----------------------------------------------------------------------------------------

    def destroy(self) -> Destroyed:
        """Take the protection off, destroy the stack, then the local cloud with root 1 in it."""
        try:
            return self._destroy()
        except KeyboardInterrupt:
            self._interrupt()
            raise Interrupted(
                "stopped on request", hint=f"lifeboat destroy -e {self.site.project.env} goes on"
            ) from None
        finally:
            self.tell.resources_end()

    def _destroy(self) -> Destroyed:
        cloud = self.site.local_cloud()
        with self.stages.timed("local cloud"):
            start_cloud(self.site, self.tell, but=self.run.run)
        preflight.require_account(self.site)
        lost = repair.run(self.site, self.tell, self.run)
        plan = Plan(changes=())
        if cloud is None and self.site.stack_store().body() is None:
            store = self.site.stack_store()
            raise IntegrityFailure(
                f"there is no state s3://{store.bucket}/{store.key}, so lifeboat does not know what to destroy",
                hint="check [state] in the environment's toml; nothing was destroyed",
            )
        if self.site.root_store().bucket_exists() and self.site.stack_store().body() is not None:
            with self.stages.timed("plan"):
                self._init(self.stack, self.site.backend())
                repair.adopt_stack(self.site, self.tell, self.stack, lost)
                plan = self._ended(self._start_destroy_plan()).plan()
                repair.forget_adoptions(self.stack)
            self.agree(preview(self.site, plan))
            # The policies in force let nobody take the protection off but the break-glass role.
            own = self.stack
            self.stack = self.site.stack_terraform(teardown=True, credentials=self.site.as_break_glass())
            with self.stages.timed("take the protection off"):
                running = self._ended(self._start_plan(self.stack, "stack"))
                self._wait([self._start_apply(self.stack, "stack")], total=len(running.changes))
                self.tell.resources_end()
            self.stack = own
            with self.stages.timed("destroy"):
                plan = self._ended(self._start_destroy_plan()).plan()
                self._wait([self._start_apply(self.stack, "stack")], total=len(plan.changes))
        else:
            self.agree(preview(self.site, plan))
        repair.done(self.site, self.run)
        if cloud is not None:
            with self.stages.timed("local cloud down"):
                cloud.down()
                cloud.forget()
                self.site.root_state_file.unlink(missing_ok=True)
        left = () if cloud is not None else (f"the state backend ({self.site.project.environment.state.bucket})",)
        return Destroyed(stack_plan=plan, stages=self.stages.ended, left=left)

    def _start_destroy_plan(self) -> Running:
        running = self.stack.destroy_plan(
            out=self.run.folder / "stack.plan",
            events=self.run.folder / "stack-destroy-plan.jsonl",
            seconds=self.settings.plan_minutes * 60,
        )
        return self._under_way(running)

    def _ended(self, running: Running) -> Running:
        if running.finish() != 0:
            raise running.failure()
        return running

    # -- the state of root 1 ---------------------------------------------------------------------------------------

    def _take_root_state(self, store: StateStore) -> None:
        """Fetch root 1's state where the bucket has a newer one than this machine."""
        body = store.body() if store.bucket_exists() else None
        if body is None:
            return
        local = self.site.root_state_file
        if local.exists():
            here, there = state_store.serial_and_lineage(local.read_bytes()), state_store.serial_and_lineage(body)
            if here == there or (here[1] == there[1] and (here[0] or 0) > (there[0] or 0)):
                return  # ours is newer: a run was killed before it was pushed
            shutil.copy(local, local.with_name(f"{local.name}.{int(time.time())}"))
        write_private(local, body)

    def _give_root_state(self, store: StateStore) -> None:
        local = self.site.root_state_file
        if local.exists() and store.bucket_exists():
            body = local.read_bytes()
            if store.body() != body:
                store.write(body)


def start_cloud(site: Site, tell: Teller, *, but: RunId) -> None:
    """Start the environment's local cloud, if it has one; forget what was known (but for run `but`) of one that is gone."""
    cloud = site.local_cloud()
    if cloud is None:
        return
    found = cloud.up()
    if found == "reused":
        return
    tell.say(f"local cloud started on {cloud.url} ({found})")
    if found != "continued":
        # Nothing of what this machine remembers exists any more: keep it aside, and build anew.
        local = site.root_state_file
        if local.exists():
            local.rename(local.with_name(f"{local.name}.lost-{int(time.time())}"))
        for lost in run_files.unfinished(site.project.work, but=but):
            run_files.mark_ended(lost.folder, "its local cloud is gone")


def read_outputs(site: Site, store: StateStore) -> tuple[Recovery, list[AssetRow]]:
    """Return the stack's output and the protection table; raises IntegrityFailure when the output is not what we know."""
    body = store.body()
    if body is None:
        raise IntegrityFailure(f"there is no state s3://{store.bucket}/{store.key}", hint="lifeboat apply")
    outputs = json.loads(body)["outputs"]
    try:
        recovery = Recovery.model_validate(outputs["recovery"]["value"])
        root = json.loads(site.root_state_file.read_bytes())["outputs"]
        more = [Protection.model_validate(entry) for entry in root["protection"]["value"]]
    except (KeyError, ValidationError, FileNotFoundError) as error:
        raise IntegrityFailure(f"the stack's output is not what this lifeboat understands: {error}") from error
    objective = timedelta(hours=recovery.objectives.rpo_hours)
    return recovery, protection.table([*recovery.protection, *more], rpo=objective)


def write_private(path: Path, body: bytes) -> None:
    """Write a file that only its owner may read, all or nothing."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(body)
    fresh.replace(path)


def nobody_agrees(lines: Sequence[str]) -> None:
    """Refuse for want of a person: the answer of a run without a terminal and without --yes."""
    raise ApprovalMissing(
        "these changes need somebody to agree:\n" + "\n".join(f"  {line}" for line in lines),
        hint="run it on a terminal, or add --yes",
    )
