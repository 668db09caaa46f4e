"""The Terraforms of one run: planned and applied side by side, waited for, stopped without losing their states."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from lifeboat.clients import private_files, root_base, state_store
from lifeboat.clients.run_files import Run
from lifeboat.clients.state_store import StateStore
from lifeboat.clients.terraform import Running, Terraform
from lifeboat.errors import IntegrityFailure, Interrupted, LifeboatError
from lifeboat.model import Action, Address, Plan, Teller
from lifeboat.runner import Fence
from lifeboat.site import Site
from lifeboat.stack import known_states, repair
from lifeboat.state_model import StateRoot

# The stack may start while these of root 1 still settle: the provider watches a lifecycle rule for 55 s, and the
# bucket's policy, which guards it, comes after.
SETTLING = {
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_replication_configuration",
}
PATIENCE = timedelta(minutes=15)
Keep = Callable[[Site, StateRoot, bytes, str], str | None]  # how a sound state is remembered; why it is not, in words


def steps(plan: Plan) -> int:
    """Return how many things Terraform will report as done: a replacement is made of two."""
    return sum(2 if change.action is Action.REPLACE else 1 for change in plan.changes)


@dataclass
class Stages:
    """How long each part took, in seconds, in the order in which they ended."""

    ended: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time one part."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.ended.append((name, time.monotonic() - started))


class Applying:
    """One run's work with both roots: what it started, and what must not be lost when it ends in any way."""

    def __init__(self, site: Site, tell: Teller, this_run: Run, *, teardown: bool = False) -> None:
        self.site = site
        self.tell = tell
        self.run = this_run
        self.stages = Stages()
        self.settings = site.project.environment.terraform
        self.state = site.state_terraform(teardown=teardown)
        self.stack = site.stack_terraform(teardown=teardown)
        self.check = self.stack  # that which asks nobody anything, once it is started
        self.running: list[Running] = []
        self._stopping = False  # said once, however often and at however many places it is asked for
        self.fence: Fence | None = None  # None until there is a lock table to hold a lease in
        self.root_applied = False
        self.keep_root: Keep = known_states.keep
        self.passed: known_states.Passed | None = None  # which states were let pass; None where nobody asked
        self.unremembered: list[str] = []  # of which roots' states the other region does not know, and why

    @property
    def cut_off(self) -> bool:
        """Whether a Terraform of this run was stopped or killed, so that the next run has to look at what it left."""
        return any(running.cut_off for running in self.running)

    @contextmanager
    def whole(self, again: str) -> Iterator[None]:
        """Let what is being applied come to its end whatever happens; `again` is the command that goes on after a stop."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupt(again)
            saved = "Terraform has saved its state" if self.running else "no Terraform had been started"
            raise Interrupted(f"stopped on request; {saved}", hint=f"{again} goes on from there") from None
        except Exception:
            self.let_others_finish()
            raise
        finally:
            self.tell.resources_end()

    # -- plans and applies -----------------------------------------------------------------------------------------

    def start_check(self) -> Running:
        """Start a plan of the stack that asks nobody anything, so that a wrong input is refused before root 1 exists."""
        self.check = self.site.offline_stack()
        self.check.init(None)
        return self.start_plan(self.check, "check")

    def prepare_stack(self, lost: repair.Lost) -> Running:
        self.stack.init(self.site.backend())
        repair.adopt_stack(self.site, self.tell, self.stack, lost)
        return self.start_plan(self.stack, "stack")

    def start_plan(
        self, terraform: Terraform, name: str, *, replace: Sequence[Address] = (), targets: Sequence[Address] = ()
    ) -> Running:
        """Start a plan that is kept in the run's folder; what is named in `replace` is made anew in any case.

        With `targets` it is a plan of these alone, and of what they need.
        """
        running = terraform.plan(
            replace=replace,
            targets=targets,
            out=self.run.folder / f"{name}.plan",
            events=self.run.folder / f"{name}-plan.jsonl",
            seconds=self.settings.plan_minutes * 60,
            keep_fds=[self.run.lock_descriptor],
        )
        return self.under_way(running)

    def plan_digest(self, name: str) -> str:
        """Return the SHA-256 of the saved plan of that name, in hex: what is applied is what was judged."""
        return hashlib.sha256((self.run.folder / f"{name}.plan").read_bytes()).hexdigest()

    def start_apply(self, terraform: Terraform, name: str) -> Running:
        """Start the apply of the plan of that name; raises Locked when somebody took the environment over meanwhile.

        Raises Refused where a plan of the stack was made of another state than was let pass.
        """
        self._require_fence()
        if name == "stack":
            self.require_planned_from(name)
        self.run.note(**{f"{name}_started": time.time()})
        running = terraform.apply(
            self.run.folder / f"{name}.plan",
            events=self.run.folder / f"{name}-apply.jsonl",
            seconds=self.settings.apply_minutes * 60,
            parallelism=self.settings.parallelism,
            keep_fds=[self.run.lock_descriptor],
        )
        return self.under_way(running)

    def require_planned_from(self, name: str) -> None:
        """Raise Refused where the stack's plan of that name was made of another state than the one that was let pass."""
        if self.passed is not None:
            known_states.require_planned_from(self.site, self.passed, self.run.folder / f"{name}.plan")

    def under_way(self, running: Running) -> Running:
        """Note that a Terraform of this run works."""
        self.run.note_terraform(running.process.pid)
        self.running.append(running)
        return running

    def backend_usable(self, applying: Sequence[Running], plan: Plan, store: StateStore) -> bool:
        made = (Action.CREATE, Action.UPDATE, Action.REPLACE)
        waited = {c.address for c in plan.changes if c.action in made and c.resource_type not in SETTLING}
        return all(waited <= self._done(running) for running in applying) and store.usable()

    def _done(self, running: Running) -> set[str]:
        return {p.address for p in running.seen if p.kind == "done"}

    def wait(self, running: Sequence[Running], *, until: Callable[[], bool] | None = None, total: int = 0) -> None:
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

    def let_others_finish(self) -> None:
        """After a failure elsewhere, let what is being applied come to its end, so that its state is whole."""
        alive = [one for one in self.running if not one.ended]
        if alive:
            self.tell.warn("something failed; waiting for " + ", ".join(one.what for one in alive) + " to end")
        try:
            for one in alive:
                one.finish()
            if self.root_applied:
                self.give_root_state(self.site.root_store())
        except LifeboatError as error:
            # What went wrong first is what the operator must read; this comes on top of it.
            self.tell.warn(f"and then: {error.summary}")

    def interrupt(self, again: str) -> None:
        """Stop what works, and keep its state; who has nothing to wait for, or was told already, is told nothing."""
        alive = [one for one in self.running if not one.ended]
        if alive and not self._stopping:
            self._stopping = True
            self.tell.warn(
                "stopping: Terraform finishes what it is making and saves its state, for up to 90 s; asked once more, it is"
                f" killed, and {again} repairs what that leaves"
            )
        try:
            for one in alive:
                one.stop()
            if self.root_applied:
                self.give_root_state(self.site.root_store())
        except KeyboardInterrupt:
            for one in alive:
                one.kill()
            raise Interrupted(
                "killed on request; what Terraform was making may exist and not be in its state",
                hint=f"{again} repairs that and goes on",
            ) from None

    # -- the state of root 1 ---------------------------------------------------------------------------------------

    def take_root_state(self, store: StateStore) -> None:
        """Fetch root 1's state where the bucket has a newer one than this machine, or another one of the same serial."""
        aside = take_root_state(self.site, store)
        if aside is not None:
            self.tell.warn(
                f"the working copy of root 1's state was not made from the one in the bucket; it is kept as {aside}, and what a"
                f" run that was cut off made and only it knows is looked for; lifeboat state diff file:{aside} latest --root state"
                f" -e {self.site.project.env} shows what else it knows"
            )

    def _require_fence(self) -> None:
        if self.fence is not None:
            self.fence.require()

    def give_root_state(self, store: StateStore) -> None:
        """Put root 1's state into the bucket; raises IntegrityFailure where another one stands there than it was made from."""
        self._require_fence()  # nothing else keeps one file from taking the place of another's
        local = self.site.root_state_file
        if local.exists() and store.bucket_exists():
            body, there = local.read_bytes(), store.body()
            if there is not None and there != body and state_store.md5(there) != root_base.read(local):
                ours, theirs = state_store.serial_and_lineage(body)[0], state_store.serial_and_lineage(there)[0]
                raise IntegrityFailure(
                    f"somebody else wrote root 1's state (serial {theirs}) meanwhile, and ours (serial {ours}) is not put"
                    f" over it: {local}",
                    hint="lifeboat state doctor",
                )
            if there != body:
                store.write(body)
            root_base.remember(local, state_store.md5(body))

    def check_state(self) -> None:
        """Remember the stack's state as sound; raises IntegrityFailure where it has a digest that says otherwise."""
        store = self.site.stack_store()
        body = store.checked() if store.keeps_digest else store.body()
        repair.remember_state(self.site, body)
        if body is not None:
            self._remember(StateRoot.STACK, body, known_states.keep)

    def check_root_state(self) -> None:
        """Remember root 1's state as sound, as it was given to the bucket; a new one where somebody agreed to that."""
        path = self.site.root_state_file
        if path.exists():
            self._remember(StateRoot.BACKEND, path.read_bytes(), self.keep_root)

    def _remember(self, root: StateRoot, body: bytes, keep: Keep) -> None:
        mark = state_store.mark(body)
        if mark is not None:
            self.run.note(**{f"{root.value}_known": {"serial": mark.serial, "lineage": mark.lineage}})
        why = keep(self.site, root, body, self.run.run)
        if why is not None:
            self.unremembered.append(known_states.told(root, why))
            self.tell.warn(self.unremembered[-1])


def take_root_state(site: Site, store: StateStore) -> Path | None:
    """Fetch root 1's state unless this machine has what goes on from it, and return where the one that was here is kept.

    Of two that were made from one state the bucket's counts: that is the one which everybody else sees.
    """
    body = store.body() if store.bucket_exists() else None
    if body is None:
        return None
    local, aside = site.root_state_file, None
    ours = local.read_bytes() if local.exists() else None
    if ours not in (None, body) and not _goes_on(site, ours or b"", body):
        aside = local.with_name(f"{local.name}.{int(time.time())}")
        shutil.copy(local, aside)
    if ours is None or aside is not None:
        private_files.write(local, body)
    root_base.remember(local, state_store.md5(body))
    return aside


def _goes_on(site: Site, ours: bytes, body: bytes) -> bool:
    """Return whether the working copy is of a run that was killed before it was given, and nobody worked since."""
    here, there = state_store.mark(ours), state_store.mark(body)
    if here is None or there is None:
        return False
    return known_states.working_copy_goes_on(site, here, there, known_states.remembered(site, StateRoot.BACKEND).there)
