"""`lifeboat plan`: what an apply would change, without changing anything; offline for an account that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lifeboat.clients import run_files
from lifeboat.clients.terraform import Running
from lifeboat.decisions.known_states import Purpose
from lifeboat.decisions.policy.introduced import Deed
from lifeboat.errors import IntegrityFailure, LifeboatError, NothingFits, Refused, ScanNotValid
from lifeboat.model import Plan
from lifeboat.site import Site
from lifeboat.stack import allowed, gate, known_states, preflight, rehearsal, repair
from lifeboat.stack.gate import Gate
from lifeboat.views import Teller

_REAL_KEY = re.compile(r"^(AKIA|ASIA)[A-Z2-7]{16}$")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What would change, by root; `offline` when it was compared with nothing; `refusals` why an apply would not do it."""

    plans: tuple[tuple[str, Plan], ...]
    offline: bool
    refusals: tuple[tuple[str, LifeboatError], ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return all(plan.empty for _, plan in self.plans)


def dummy_credentials(env: Mapping[str, str]) -> bool:
    """Return whether the credentials in the environment cannot be real (AWS's documented examples, placeholders)."""
    key = env.get("AWS_ACCESS_KEY_ID", "")
    return bool(key) and (not _REAL_KEY.match(key) or key.endswith("EXAMPLE"))


def run(site: Site, tell: Teller, *, offline: bool) -> Planned:
    """Plan both roots; offline, plan the stack alone against an empty state, which shows that its files are sound."""
    preflight.require(site, tell)
    minutes = site.project.environment.terraform.plan_minutes
    with run_files.plan_folder(site.project.work) as folder:
        if offline:
            tell.warn(
                f"OFFLINE: {site.project.env} is planned against an empty state, without asking AWS anything."
                " This proves that its configuration is sound, and says nothing about what exists."
            )
            terraform = site.offline_stack()
            terraform.init(None)
            events = folder / "stack.jsonl"
            running = terraform.plan(out=folder / "stack.plan", events=events, seconds=minutes * 60)
            return Planned(plans=_planned([(allowed.STACK, running)]), offline=True)
        both = _both(site, tell, folder, minutes)
        plans = tuple((one.name, one.plan) for one in both)
        return Planned(plans=plans, offline=False, refusals=_refusals(site, tell, both))


@dataclass(frozen=True, kw_only=True)
class _Root:
    """A root with its plan, and the whole of that."""

    name: str
    plan: Plan
    show: Callable[[], dict[str, Any]]


def _refusals(site: Site, tell: Teller, both: Sequence[_Root]) -> tuple[tuple[str, LifeboatError], ...]:
    found: list[tuple[str, LifeboatError]] = []
    command = f"lifeboat apply -e {site.project.env}"
    rules = Gate(
        tell=tell, deed=Deed.APPLY, risks=(), again=lambda risks: " ".join([command, *map(gate.option, risks)])
    )
    for root in both:
        name = root.name
        try:
            allowed.require(site, root.plan, name)
            if not root.plan.empty:
                rules.require(name, root.show)
        except (Refused, IntegrityFailure, ScanNotValid) as error:
            found.append((name, error))
    return tuple(found)


def _both(site: Site, tell: Teller, folder: Path, minutes: int) -> list[_Root]:
    rehearsal.require_running(site, "plan against")
    preflight.require_account(site)
    repair.require_own(site, site.stack_store())
    for remark in known_states.require(site, Purpose.PLAN, known_states.BOTH).remarks:
        tell.warn(remark)
    if not site.root_store().bucket_exists():
        raise NothingFits(
            f"there is no state bucket {site.project.environment.state.bucket} yet, so there is nothing to plan against",
            hint=f"lifeboat apply -e {site.project.env} makes it; lifeboat plan --offline checks the configuration alone",
        )
    if site.stack_store().keeps_digest:
        repair.require_table(site)
    # The bucket's state of root 1 counts, not what an earlier apply left on this machine.
    body = site.root_store().body()
    root_state = folder / "state.tfstate"
    if body is not None:
        root_state.touch(mode=0o600)
        root_state.write_bytes(body)
    state, stack = site.state_terraform(state=root_state), site.stack_terraform()
    state.init(None)
    stack.init(site.backend())
    terraforms = {"state backend": state, allowed.STACK: stack}
    running = [
        (name, terraform.plan(out=folder / f"{name}.plan", events=folder / f"{name}.jsonl", seconds=minutes * 60))
        for name, terraform in terraforms.items()
    ]
    return [
        _Root(name=name, plan=plan, show=partial(terraforms[name].planned, folder / f"{name}.plan"))
        for name, plan in _planned(running)
    ]


def _planned(running: Sequence[tuple[str, Running]]) -> tuple[tuple[str, Plan], ...]:
    try:
        return tuple((name, one.planned()) for name, one in running)
    finally:
        # It runs in a session of its own: nobody else would end it, and it holds the lock on the state.
        for _, one in running:
            if not one.ended:
                one.stop()
