"""Plans of both roots that are kept for as long as somebody reads them: of what stands, or of the files alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeboat.clients import terraform as terraforms
from lifeboat.clients.terraform import Running, Terraform
from lifeboat.decisions.known_states import Purpose
from lifeboat.errors import NothingFits
from lifeboat.model import Plan, Teller
from lifeboat.site import Site
from lifeboat.stack import known_states, preflight, rehearsal, repair
from lifeboat.state_model import StateRoot

_LOOK_SECONDS = 0.1


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
    passed = known_states.require(site, Purpose.PLAN, known_states.BOTH)
    for remark in passed.remarks:
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
    words = "waiting for Terraform to let go of the states, for up to 90 s; asked once more, it is killed"
    how = _End(tell=tell, words=words, end=terraforms.stop)
    backend, planned = _saved(site, folder, [(StateRoot.BACKEND, state), (StateRoot.STACK, stack)], how)
    known_states.require_planned_from(site, passed, planned.file)
    return backend, planned


def of_files_alone(site: Site, tell: Teller, folder: Path, roots: Sequence[StateRoot]) -> tuple[SavedPlan, ...]:
    """Plan roots against an empty state, asking AWS nothing: what the files say, and nothing of what exists."""
    offline = [(root, site.offline_terraform(root)) for root in roots]
    for _, terraform in offline:
        terraform.init(None)
    return _saved(site, folder, offline, _End(tell=tell, words="ending Terraform", end=_killed))


@dataclass(frozen=True, kw_only=True)
class _End:
    """How Terraforms that plan are ended before they are done, and what is told of it."""

    tell: Teller
    words: str
    end: Callable[[Sequence[Running]], None]


def _killed(running: Sequence[Running]) -> None:
    """End Terraforms that hold nothing: a copy of a root with an empty state is made anew each time."""
    for one in running:
        if not one.ended:
            one.kill()


def _saved(site: Site, folder: Path, wanted: Sequence[tuple[StateRoot, Terraform]], how: _End) -> tuple[SavedPlan, ...]:
    seconds = site.project.environment.terraform.plan_minutes * 60
    running: list[tuple[StateRoot, Terraform, Path, Running]] = []
    try:
        how.tell.say(f"planning {' and '.join(root.value for root, _ in wanted)}")
        for root, terraform in wanted:
            out = folder / f"{root.value}.plan"
            planning = terraform.plan(out=out, events=folder / f"{root.value}.jsonl", seconds=seconds)
            running.append((root, terraform, out, planning))
        _wait(how.tell, {root.value: planning for root, *_, planning in running})
        return tuple(
            SavedPlan(root=root, terraform=terraform, file=out, plan=planning.planned())
            for root, terraform, out, planning in running
        )
    except KeyboardInterrupt:
        how.tell.warn(f"interrupted: {how.words}")
        raise
    finally:
        # They run in sessions of their own: nobody else would end them, and they hold the locks on their states.
        _ended([planning for *_, planning in running], how)


def _wait(tell: Teller, planning: Mapping[str, Running]) -> None:
    """Wait until all have planned, or one has failed."""
    began = time.monotonic()
    with tell.waiting() as show:
        while not all(one.ended for one in planning.values()):
            for one in planning.values():
                for _ in one.progress():
                    continue
            if any(one.failed for one in planning.values()):
                return
            left = " and ".join(name for name, one in planning.items() if not one.ended)
            show(f"planning {left} for {time.monotonic() - began:.0f} s")
            time.sleep(_LOOK_SECONDS)


def _ended(running: Sequence[Running], how: _End) -> None:
    try:
        how.end(running)
    except KeyboardInterrupt:
        _killed(running)
        raise
