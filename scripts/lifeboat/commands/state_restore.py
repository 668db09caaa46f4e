"""`lifeboat state restore`: an earlier version of Terraform's state on top again, as Terraform itself would have written it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lifeboat.commands import plan as plan_command
from lifeboat.commands import state as state_command
from lifeboat.commands.plan import Planned
from lifeboat.decisions import runs, state_choice
from lifeboat.errors import LifeboatError, StoppedPartWay, Unreachable, WrongConfiguration
from lifeboat.model import Agree, RunId
from lifeboat.site import Site
from lifeboat.stack import preflight, repair, state_restoring, state_writing
from lifeboat.stack.state_restoring import Preview, Request, Source
from lifeboat.stack.state_writing import Restored
from lifeboat.state_model import BeforeRun, StateChoice, StateRoot, Whose
from lifeboat.views import Teller


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Whom to tell how it goes, whom to show what would be done, whom to ask for agreement."""

    tell: Teller
    show: Callable[[Preview], None]
    agree: Agree


@dataclass(frozen=True, kw_only=True)
class Done:
    """What was chosen, what stands on top now, and what an apply would change of it."""

    preview: Preview
    restored: Restored
    planned: Planned


def run(site: Site, orders: Orders, request: Request) -> Done:
    """Put the version that is asked for on top, and plan both roots with it; raises before any change what forbids it."""
    preflight.require(site, orders.tell)
    preflight.require_account(site)
    if request.root is StateRoot.STACK:
        repair.require_saved(site)
    preview = state_restoring.look(site, orders.tell, request)
    orders.show(preview)
    state_restoring.require_accepted(preview)
    state_writing.require_versioned(site, preview.writing)
    if preview.restoring.writes:
        orders.agree(preview.written)
    restored = state_writing.carry_out(site, orders.tell, preview.writing)
    return Done(preview=preview, restored=restored, planned=_planned(site, orders.tell, preview, restored))


def _planned(site: Site, tell: Teller, preview: Preview, restored: Restored) -> Planned:
    try:
        return plan_command.run(site, tell, offline=False)
    except LifeboatError as error:
        # A plan with a state that the other region does not know may be refused for that, with a hint that undoes it.
        state_writing.require_remembered(restored, preview.writing)
        raise StoppedPartWay(
            f"serial {preview.restoring.serial} stands on top of {preview.place}, and what an apply would change of it could"
            f" not be seen: {error.summary}",
            hint=error.hint or "lifeboat plan",
        ) from error


def pull(site: Site, request: Request, path: Path) -> StateChoice:
    """Write the version that is asked for into a new file that only its owner may read; change nothing else."""
    return state_restoring.pull(site, request, path)


def whose(site: Site, root: StateRoot) -> Whose:
    """Return what a version is held against."""
    return state_command.whose(site, root)


def before_run(site: Site, run: RunId, source: Source) -> BeforeRun:
    """Return that the version from before a run is wanted.

    Its name says when it began, by the clock of its machine; by how much that is wrong its journal tells. Raises
    WrongConfiguration for what is no run, Unreachable where nobody may look for the journal, and the replica is not the source.
    """
    named = runs.began(run)
    if named is None:
        raise WrongConfiguration(
            f"--before-run {run!r} is no run: its name begins with the time it began at",
            hint="lifeboat runs lists recoveries, lifeboat state list which run wrote which version",
        )
    try:
        first = site.journals().first_written(run)
    except Unreachable as error:
        if source is not Source.REPLICA:
            raise
        return BeforeRun(run=run, began=named, by_name=error.summary)
    return state_choice.before(run, named, first)
