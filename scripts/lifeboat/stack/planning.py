"""Plans of both roots that are kept for as long as somebody reads them: of what stands, or of the files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeboat.clients.terraform import Running, Terraform
from lifeboat.decisions.known_states import Purpose
from lifeboat.errors import NothingFits
from lifeboat.model import Plan, Teller
from lifeboat.site import Site
from lifeboat.stack import known_states, preflight, rehearsal, repair
from lifeboat.state_model import StateRoot


@dataclass(frozen=True, kw_only=True)
class SavedPlan:
    """A plan of one root, saved to a file that only we may read, and the Terraform that can show it."""

    root: StateRoot
    terraform: Terraform
    file: Path
    plan: Plan


def of_what_stands(site: Site, tell: Teller, folder: Path) -> tuple[SavedPlan, ...]:
    """Plan both roots against what exists. Raises NothingFits where there is no state bucket, before Terraform is asked."""
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
    return _saved(site, folder, [(StateRoot.BACKEND, state), (StateRoot.STACK, stack)])


def of_files_alone(site: Site, folder: Path, roots: Sequence[StateRoot]) -> tuple[SavedPlan, ...]:
    """Plan roots against an empty state, asking AWS nothing: what the files say, and nothing of what exists."""
    offline = [(root, site.offline_terraform(root)) for root in roots]
    for _, terraform in offline:
        terraform.init(None)
    return _saved(site, folder, offline)


def _saved(site: Site, folder: Path, wanted: Sequence[tuple[StateRoot, Terraform]]) -> tuple[SavedPlan, ...]:
    seconds = site.project.environment.terraform.plan_minutes * 60
    running: list[tuple[StateRoot, Terraform, Path, Running]] = []
    try:
        for root, terraform in wanted:
            out = folder / f"{root.value}.plan"
            planning = terraform.plan(out=out, events=folder / f"{root.value}.jsonl", seconds=seconds)
            running.append((root, terraform, out, planning))
        return tuple(
            SavedPlan(root=root, terraform=terraform, file=out, plan=planning.planned())
            for root, terraform, out, planning in running
        )
    finally:
        # It runs in a session of its own: nobody else would end it, and it holds the lock on the state.
        for *_, planning in running:
            if not planning.ended:
                planning.stop()
