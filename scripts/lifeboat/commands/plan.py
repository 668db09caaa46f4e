"""`lifeboat plan`: what an apply would change, without changing anything; offline for an account that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from lifeboat.clients import run_files
from lifeboat.decisions.policy.introduced import Deed
from lifeboat.errors import IntegrityFailure, LifeboatError, Refused, ScanNotValid
from lifeboat.model import Plan
from lifeboat.site import Site
from lifeboat.stack import allowed, gate, options, plan_records, planning, preflight
from lifeboat.stack.gate import Gate
from lifeboat.stack.planning import SavedPlan
from lifeboat.state_model import StateRoot
from lifeboat.views import Teller

_NAMES = {StateRoot.BACKEND: "state backend", StateRoot.STACK: allowed.STACK}


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


def run(site: Site, tell: Teller, *, offline: bool) -> Planned:
    """Plan both roots; offline, plan the stack alone against an empty state, which shows that its files are sound."""
    preflight.require(site, tell)
    options.require(site)
    with run_files.plan_folder(site.project.work) as folder:
        if offline:
            tell.warn(
                f"OFFLINE: {site.project.env} is planned against an empty state, without asking AWS anything."
                " This proves that its configuration is sound, and says nothing about what exists."
            )
            return Planned(plans=_named(planning.of_files_alone(site, tell, folder, [StateRoot.STACK])), offline=True)
        both = planning.of_what_stands(site, tell, folder)
        for one in both:
            if one.root is StateRoot.STACK:
                plan_records.planned(site, tell, one.plan)
        return Planned(plans=_named(both), offline=False, refusals=_refusals(site, tell, both))


def _named(saved: Sequence[SavedPlan]) -> tuple[tuple[str, Plan], ...]:
    return tuple((_NAMES[one.root], one.plan) for one in saved)


def _refusals(site: Site, tell: Teller, both: Sequence[SavedPlan]) -> tuple[tuple[str, LifeboatError], ...]:
    found: list[tuple[str, LifeboatError]] = []
    command = f"lifeboat apply -e {site.project.env}"
    rules = Gate(
        tell=tell, deed=Deed.APPLY, risks=(), again=lambda risks: " ".join([command, *map(gate.option, risks)])
    )
    for one in both:
        name = _NAMES[one.root]
        try:
            allowed.require(site, one.plan, name)
            if not one.plan.empty:
                rules.require(name, partial(one.terraform.planned, one.file))
        except (Refused, IntegrityFailure, ScanNotValid) as error:
            found.append((name, error))
    return tuple(found)
